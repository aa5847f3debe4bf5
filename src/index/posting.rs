//! The slots of a term while they grow.

use std::borrow::Cow;

use roaring::RoaringBitmap;

/// Most slots that are kept one by one: as many as a roaring container does.
const FEW_MAX: usize = 4_096;

/// Slots in rising order.
///
/// Most terms have few, and the writer adds to all terms of an event: at the end of a list that is one write, where a bitmap
/// takes three steps through memory and a search.
#[derive(Clone, Debug)]
pub(super) enum Posting {
    /// Each.
    Few(Vec<u16>),
    /// As a bitmap.
    Many(RoaringBitmap),
}

impl Posting {
    /// Begins.
    pub(super) fn of(slot: u16) -> Self {
        Self::Few(vec![slot])
    }

    /// Adds a slot above all others: a tail takes events in order, and a term stands once among those of an event.
    pub(super) fn push(&mut self, slot: u16) {
        match self {
            Self::Few(slots) if slots.len() < FEW_MAX => slots.push(slot),
            Self::Few(slots) => {
                let mut bitmap = bitmap_of(slots);
                bitmap.insert(u32::from(slot));
                *self = Self::Many(bitmap);
            }
            Self::Many(bitmap) => {
                bitmap.insert(u32::from(slot));
            }
        }
    }

    /// Gives all slots.
    pub(super) fn bitmap(&self) -> Cow<'_, RoaringBitmap> {
        match self {
            Self::Few(slots) => Cow::Owned(bitmap_of(slots)),
            Self::Many(bitmap) => Cow::Borrowed(bitmap),
        }
    }

    /// Gives the number of slots.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Few(slots) => u64::try_from(slots.len()).unwrap_or(u64::MAX),
            Self::Many(bitmap) => bitmap.len(),
        }
    }

    /// Gives the last slot.
    pub(super) fn last(&self) -> Option<u16> {
        match self {
            Self::Few(slots) => slots.last().copied(),
            Self::Many(bitmap) => bitmap.max().and_then(|slot| u16::try_from(slot).ok()),
        }
    }
}

fn bitmap_of(slots: &[u16]) -> RoaringBitmap {
    slots.iter().copied().map(u32::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_become_many_and_stay_the_same_slots() {
        let mut posting = Posting::of(3);
        let mut expected = vec![3];
        for slot in (4..20_000).step_by(3) {
            posting.push(slot);
            expected.push(slot);
            if expected.len() % 500 == 0 {
                assert!(posting.bitmap().iter().eq(expected.iter().copied().map(u32::from)));
                assert_eq!(posting.len(), u64::try_from(expected.len()).unwrap());
                assert_eq!(posting.last(), expected.last().copied());
            }
        }
        assert!(matches!(posting, Posting::Many(_)));
    }
}
