//! Whether valid time lies in a window, and how surely.

use crate::domain::Bounds;

/// How sure it is that an entry lies in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// It could overlap.
    May,
    /// It certainly lies within.
    Must,
}

/// A window of valid time, [`from`, `to`), in day numbers; [`Bounds::OPEN_START`] and [`Bounds::OPEN_END`] = unbounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First day, inclusive.
    pub from: i32,
    /// Day after the last, exclusive.
    pub to: i32,
    /// How sure a match must be.
    pub certainty: Certainty,
}

impl Window {
    /// Tells how bounds match the window, if they do.
    #[must_use]
    pub fn matches(&self, bounds: Bounds, qualified: bool) -> Option<Certainty> {
        if bounds.earliest_start >= self.to || bounds.latest_end <= self.from {
            return None;
        }
        // A date marked approximate or uncertain is never certain, wherever its bounds lie.
        let must = !qualified && bounds.earliest_start >= self.from && bounds.latest_end <= self.to;
        match (must, self.certainty) {
            (true, _) => Some(Certainty::Must),
            (false, Certainty::May) => Some(Certainty::May),
            (false, Certainty::Must) => None,
        }
    }
}
