//! Byte strings in one run of bytes, sorted.

use bytes::Bytes;

use super::layout::{LayoutError, Reader, Writer};
use super::packed::{Packed, partition_point};

/// Sorted byte strings, each once, one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    bytes: Bytes,
    /// Where each ends in `bytes`.
    ends: Packed,
}

impl Names {
    /// Packs names, sorted, each once.
    pub(super) fn of(names: &[&[u8]]) -> Self {
        let ends = names.iter().scan(0, |end, name| {
            *end += name.len();
            Some(*end)
        });
        Self { ends: Packed::of_numbers(ends), bytes: names.concat().into() }
    }

    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Gives one by number, from 0.
    pub(super) fn get(&self, number: usize) -> Option<&[u8]> {
        self.bytes.get(self.ends.range(number)?)
    }

    /// Gives the number of a name.
    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        let number = partition_point(self.len(), |number| self.get(number).is_some_and(|held| held < name));
        (self.get(number)? == name).then_some(number)
    }

    pub(super) fn write(&self, out: &mut Writer) {
        self.ends.write(out);
        out.counted(&self.bytes);
    }

    pub(super) fn read(from: &mut Reader) -> Result<Self, LayoutError> {
        let ends = Packed::read(from)?;
        let bytes = from.counted()?;
        if !ends.are_ends_of(bytes.len()) {
            return Err(LayoutError);
        }
        Ok(Self { bytes, ends })
    }
}
