//! The tail: the runs that no segment holds yet.

use std::sync::Arc;

use super::{Part as _, RUN_LEN, Run, SEGMENT_LEN};
use crate::domain::{Position, RecordedFacts};

/// Runs of [`RUN_LEN`] positions, one after another; only the last may have fewer.
///
/// A copy shares the runs. An event is folded into the last run itself where no copy holds it, else into a copy of it, so
/// whoever holds a tail sees it as it was, and nobody waits.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    base: Position,
    runs: Vec<Arc<Run>>,
}

impl Tail {
    /// Begins after a position.
    #[must_use]
    pub const fn after(base: Position) -> Self {
        Self { base, runs: Vec::new() }
    }

    /// Gives the position before the first.
    #[must_use]
    pub const fn base(&self) -> Position {
        self.base
    }

    /// Gives the last position.
    #[must_use]
    pub fn last(&self) -> Position {
        self.runs.last().map_or(self.base, |run| run.last())
    }

    /// Gives the runs, in position order; none is empty.
    #[must_use]
    pub fn runs(&self) -> &[Arc<Run>] {
        &self.runs
    }

    /// Gives the run that holds a position, and the slot in it.
    #[must_use]
    pub fn locate(&self, position: Position) -> Option<(&Run, u16)> {
        let offset = position.0.checked_sub(self.base.0)?.checked_sub(1)?;
        let run = self.runs.get(usize::try_from(offset / RUN_LEN).ok()?)?;
        let slot = u16::try_from(offset % RUN_LEN).ok()?;
        (u32::from(slot) < run.len()).then_some((run.as_ref(), slot))
    }

    /// Adds the event at the next position; others are left alone. Gives whether it was the next.
    pub fn fold(&mut self, facts: &RecordedFacts) -> bool {
        if facts.position != self.last().next() {
            return false;
        }
        if self.runs.last().is_none_or(|run| u64::from(run.len()) >= RUN_LEN) {
            self.runs.push(Arc::new(Run::after(self.last())));
        }
        self.runs.last_mut().is_some_and(|run| Arc::make_mut(run).fold(facts))
    }

    /// Gives the runs of the segment that begins after a position, if all are there.
    #[must_use]
    pub fn segment_after(&self, base: Position) -> Option<Self> {
        let from = usize::try_from(base.0.checked_sub(self.base.0)? / RUN_LEN).ok()?;
        let runs = self.runs.get(from..)?;
        let runs: Vec<Arc<Run>> =
            runs.iter().take_while(|run| run.base() < base.plus(SEGMENT_LEN)).cloned().collect();
        let segment = Self { base, runs };
        segment.is_segment().then_some(segment)
    }

    /// Tells whether it holds a whole segment and no more.
    #[must_use]
    pub fn is_segment(&self) -> bool {
        self.last() == self.base.plus(SEGMENT_LEN)
    }

    /// Takes the runs at and below a position away, which is the last of one; gives them.
    pub(super) fn split_off_up_to(&mut self, last: Position) -> Vec<Arc<Run>> {
        let rest = self.runs.partition_point(|run| run.last() <= last);
        self.base = last;
        self.runs.drain(..rest).collect()
    }

    /// Puts runs in the place of those with the same positions.
    pub(super) fn replace(&mut self, rebuilt: &Self) {
        for run in &rebuilt.runs {
            let same = |held: &&mut Arc<Run>| (held.base(), held.last()) == (run.base(), run.last());
            if let Some(held) = self.runs.iter_mut().find(same) {
                *held = Arc::clone(run);
            }
        }
    }
}
