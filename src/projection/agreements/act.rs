//! Acts of the index, when they happened, and the record that they make.

use crate::domain::{ActFacts, Action, Bounds, Factuality, LinkType, Position, TermField};
use crate::index::{Part, View};
use crate::pb;
use crate::projection::civil::date_of;

/// Which date of an act counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Basis {
    /// The date of the act.
    #[default]
    Act,
    /// The day it takes effect, where it is given.
    Effective,
}

impl Basis {
    /// Gives the other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Act => Self::Effective,
            Self::Effective => Self::Act,
        }
    }
}

/// When something happened: some day from `earliest` to `latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// Earliest day; [`Bounds::OPEN_START`] = open.
    pub earliest: i32,
    /// Latest day; [`Bounds::OPEN_END`] = open.
    pub latest: i32,
    /// Whether it is sure to have happened by then.
    pub sure: bool,
}

impl When {
    /// Tells whether it can have happened by a day.
    #[must_use]
    pub const fn may(self, day: i32) -> bool {
        self.earliest <= day
    }

    /// Tells whether it has certainly happened by a day.
    #[must_use]
    pub const fn must(self, day: i32) -> bool {
        self.sure && self.latest <= day
    }

    /// Writes it for the wire.
    #[must_use]
    pub fn date(self, event_id: &str) -> pb::ActDate {
        pb::ActDate {
            earliest: date_of(self.earliest),
            latest: date_of(self.latest),
            sure: self.sure,
            event_id: event_id.to_owned(),
        }
    }
}

/// An event of any kind, as what it tells of happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Where the event stands in the log.
    pub position: Position,
    /// Whether it can have happened at all.
    pub counts: bool,
    /// The last day of the term that an act states.
    pub expires_on: Option<i32>,
    act: When,
    effective: When,
}

impl Happening {
    /// Takes it from the index; `act` is what the event says if it is an act of an agreement.
    #[must_use]
    pub fn at(part: &dyn Part, slot: u16, act: Option<&ActFacts<'_>>) -> Option<Self> {
        let columns = part.columns();
        let Bounds { earliest_start: earliest, latest_start: latest, .. } = columns.bounds(slot)?;
        let factuality = columns.factuality(slot)?;
        let certain = factuality == Factuality::Certain;
        // EDTF gives no bound to how far an approximate date may be off.
        let made = When { earliest, latest, sure: certain && !columns.is_qualified(slot) };
        let effective_on = act.and_then(|act| act.effective_on);
        let effective = effective_on.map_or(made, |day| When {
            earliest: day.number(),
            latest: day.number(),
            sure: certain,
        });
        Some(Self {
            position: part.position_at(slot),
            counts: factuality != Factuality::Counterfactual,
            expires_on: act.and_then(|act| act.expires_on).map(crate::domain::Day::number),
            act: made,
            effective,
        })
    }

    /// Gives when it happened.
    #[must_use]
    pub const fn when(&self, basis: Basis) -> When {
        match basis {
            Basis::Act => self.act,
            Basis::Effective => self.effective,
        }
    }
}

/// A standing act.
#[derive(Clone, Debug)]
pub struct Act<'a> {
    /// As it happened.
    pub happening: Happening,
    /// What it says.
    pub facts: ActFacts<'a>,
}

impl<'a> Act<'a> {
    /// Takes an act out of the index, by slot and number.
    #[must_use]
    pub fn at(part: &'a dyn Part, slot: u16, number: usize) -> Option<Self> {
        let facts = part.act(number)?;
        Some(Self { happening: Happening::at(part, slot, Some(&facts))?, facts })
    }

    /// Gives the same with names of its own.
    #[must_use]
    pub fn into_owned(self) -> Act<'static> {
        Act { happening: self.happening, facts: self.facts.into_owned() }
    }

    /// Gives when it happened. A mention is no act, so it makes nothing sure.
    #[must_use]
    pub fn when(&self, basis: Basis) -> When {
        let when = self.happening.when(basis);
        When { sure: when.sure && self.facts.action != Action::ReportedToExist, ..when }
    }

    /// Gives the key of the acting party.
    #[must_use]
    pub fn acting(&self) -> Option<&str> {
        self.facts.acting_party.as_deref()
    }
}

/// Gives the parts that hold an act, in position order, as far as they begin before a position.
pub fn parts_with_acts(view: &View, as_of: Position) -> impl Iterator<Item = &dyn Part> {
    view.parts().filter(move |part| part.base() < as_of && part.act_count() > 0)
}

/// Gives slots and numbers, rising, of the acts of a stream in a part, up to a position.
#[must_use]
pub fn acts_of_stream(part: &dyn Part, stream: &str, as_of: Position) -> Vec<(u16, usize)> {
    let slots = part.slots_up_to(as_of);
    let found = part.posting(&TermField::Stream.term(stream));
    let found = found.iter().flat_map(|found| found.iter()).take_while(|slot| *slot < slots);
    let found = found.filter_map(|slot| u16::try_from(slot).ok());
    found.filter_map(|slot| Some((slot, part.act_at(slot)?))).collect()
}

/// A link of the world family that a standing event elsewhere has to an agreement.
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    /// The event elsewhere, as it happened.
    pub happening: Happening,
    /// What it says.
    pub link_type: LinkType,
}

/// What is recorded of one agreement in a state of knowledge.
#[derive(Clone, Debug, Default)]
pub struct Record<'a> {
    /// Standing acts, by position.
    pub acts: Vec<Act<'a>>,
    /// Links from elsewhere, by position.
    pub incoming: Vec<Incoming>,
}

impl<'r> Record<'r> {
    /// Gives the acts that can have happened at all.
    pub fn counting(&self) -> impl Iterator<Item = &Act<'r>> + Clone {
        self.acts.iter().filter(|act| act.happening.counts)
    }

    /// Tells whether anything took effect at another time than it was made: else the basis makes no difference.
    #[must_use]
    pub fn has_effects(&self) -> bool {
        let links = self.incoming.iter().map(|link| link.happening);
        let mut all = self.acts.iter().map(|act| act.happening).chain(links);
        all.any(|found| found.act != found.effective)
    }

    /// Gives the earliest day of the first act that counts.
    #[must_use]
    pub fn first_day(&self, basis: Basis) -> Option<i32> {
        self.counting().map(|act| act.when(basis).earliest).min()
    }

    /// Gives the keys of the parties, each once.
    #[must_use]
    pub fn parties(&self) -> std::collections::BTreeSet<&str> {
        self.counting().flat_map(|act| &act.facts.parties).map(AsRef::as_ref).collect()
    }
}
