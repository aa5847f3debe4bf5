//! Seals segments off the writer's path.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tracing::{debug, warn};

use super::Proofs;
use super::disk::Reserve;
use super::error::causes;
use super::rebuild::chain_at;
use crate::domain::Position;
use crate::index::{Index, Part, SEGMENT_LEN, Segment, SegmentStore};
use crate::journal::Journal;
use parking_lot::Mutex;

/// Segments that may wait to be sealed before the writer waits.
pub const FULL_SEGMENTS_MAX: usize = 4;

/// What the sealing thread works with.
#[derive(Debug)]
pub struct Sealer {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) index: Arc<Index>,
    pub(super) segments: Option<SegmentStore>,
    pub(super) proofs: Arc<Proofs>,
    pub(super) full_segments: Receiver<Position>,
    pub(super) sealing: Arc<Mutex<()>>,
    pub(super) reserve: Option<Arc<Reserve>>,
}

impl Sealer {
    /// Works until the writer is gone.
    pub fn run(self) {
        while let Ok(base) = self.full_segments.recv() {
            let _sealing = self.sealing.lock();
            // As it is now: contents may have been erased since it became full.
            let Some(tail) = self.index.view().tail().segment_after(base) else { continue };
            let segment = Arc::new(Segment::of(&tail));
            drop(tail);
            self.store(&segment);
            let number = segment.base().0 / SEGMENT_LEN;
            let runs = self.index.seal(segment);
            // Last: it reads the journal again, and nothing waits for it.
            if let Err(error) = self.proofs.seal(number) {
                warn!(error = causes(&error), number, "root of a segment not computed");
            }
            // The writer has given its view back by now, so most likely the runs are freed here.
            drop(runs);
        }
    }

    fn store(&self, segment: &Segment) {
        let Some(segments) = &self.segments else {
            return;
        };
        let number = segment.base().0 / SEGMENT_LEN;
        if !self.reserve.as_ref().is_none_or(|reserve| reserve.has_room_for_segment()) {
            // What is left is for the journal.
            warn!(number, "segment not stored: the disk is nearly full");
            return;
        }
        let chain = match chain_at(self.journal.as_ref(), segment.last()) {
            Ok(chain) => chain,
            Err(error) => {
                warn!(error = causes(&error), number, "segment not stored: journal not read");
                return;
            }
        };
        match segments.put(number, segment, chain.as_bytes()) {
            Ok(()) => debug!(number, "segment sealed"),
            // The index is built again from the journal when it is next opened.
            Err(error) => warn!(error = causes(&error), number, "segment not stored"),
        }
    }
}
