//! What an event rests on, and what rests on it.

mod carried;
mod dependents;
mod field;
mod lineage;

pub use carried::{Carried, Target};
pub use dependents::{Dependent, Dependents, DependentsError, EVENTS_MAX, Root, dependents};
pub use lineage::{Lineage, LineageQuery, NODES_MAX, Node, lineage};

use crate::domain::LinkType;

/// Links in a row that are followed where a question does not say.
pub const DEPTH_DEFAULT: u32 = 10;
/// Most links in a row that are followed.
pub const DEPTH_MAX: u32 = 100;

/// Links from an event to what it was made of (W3C PROV `wasQuotedFrom`, `wasDerivedFrom`; `hadPrimarySource` for CITES).
pub const DERIVATIONS: &[LinkType] = &[LinkType::Cites, LinkType::DerivedFrom, LinkType::Quotes];

/// Links that lead back: those, and those to an earlier edition of the same (W3C PROV `wasRevisionOf`).
pub const FOUNDATIONS: &[LinkType] =
    &[LinkType::Corrects, LinkType::Supersedes, LinkType::Cites, LinkType::DerivedFrom, LinkType::Quotes];
