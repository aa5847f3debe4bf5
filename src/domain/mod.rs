//! What Annals is about: events, their times, sources and links, and the rules they keep.
//!
//! Pure values and functions: no I/O, no clock, no wire types, no storage.

pub mod agreement;
pub mod codes;
pub mod comparison;
pub mod country;
pub mod currency;
pub mod decimal;
pub mod entity;
pub mod event;
pub mod facts;
pub mod findings;
pub mod funding;
pub mod ids;
pub mod link;
pub mod money;
pub mod position;
pub mod source;
pub mod statement;
pub mod statistics;
pub mod tag;
pub mod terms;
pub mod text;
pub mod time;
pub mod uri;
pub mod visit;
pub mod vocabulary;

pub use agreement::{ActFacts, Agreement};
pub use comparison::Comparison;
pub use country::{CountryCode, CountryVerdict};
pub use currency::Currency;
pub use decimal::Decimal;
pub use entity::{
    Entity, ExternalId, Participant, Place, check_country, check_country_code, check_participants,
};
pub use event::{Event, Payload};
pub use facts::{Bounds, EventFacts, KnowledgeLink, RecordForm, RecordedFacts};
pub use findings::{Caveat, Findings, Invalid, Violation};
pub use funding::{FundingTransfer, TransferFacts};
pub use ids::{EventId, STREAM_NAME_BYTES_MAX, StoreId, StreamName, StreamNameError};
pub use link::{LifeLink, LifeTarget, Link, LinkTarget};
pub use money::Money;
pub use position::{Position, Revision, Timestamp};
pub use source::{Source, known_from_sources, known_time};
pub use statement::Statement;
pub use statistics::{Observation, StatisticalRelease};
pub use terms::{TermField, TermList, Terms};
pub use text::quote_length;
pub use time::{CalendarUnit, Day, Precision, Shape, TimeSpan, day_of};
pub use visit::Visit;
pub use vocabulary::{
    Action, AmountQualifier, Assertion, CaveatCode, Factuality, Kind, LinkType, Measure, Modality,
    ReleaseAction, Role, Stage, VisitStatus,
};
