//! Byte strings in one run of bytes, sorted.

/// Sorted byte strings, one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) bytes: Vec<u8>,
    /// Where each ends in `bytes`.
    pub(super) ends: Vec<u32>,
}

/// Gives the range of one of several runs, by where each ends.
pub(super) fn range(ends: &[u32], at: usize) -> Option<std::ops::Range<usize>> {
    let end = usize::try_from(*ends.get(at)?).ok()?;
    let start = match at.checked_sub(1) {
        Some(before) => usize::try_from(*ends.get(before)?).ok()?,
        None => 0,
    };
    Some(start..end)
}

/// Lengths inside a segment are below 4 GiB, unless each of its 65,536 events brings 64 KiB of terms, names or parties of
/// its own: as much as an event has in all by default.
pub(super) fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Names {
    /// Packs names, sorted, each once.
    pub(super) fn of(names: &[&[u8]]) -> Self {
        let mut packed = Self::default();
        names.iter().for_each(|name| packed.push(name));
        packed.shrink_to_fit();
        packed
    }

    /// Adds the next, which is greater than all before.
    pub(super) fn push(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(length(self.bytes.len()));
    }

    /// Gives back what was taken on the way: a segment stays for as long as the log is open.
    pub(super) fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Gives one by number, from 0; nothing beyond the last.
    pub(super) fn get(&self, number: usize) -> &[u8] {
        range(&self.ends, number).and_then(|range| self.bytes.get(range)).unwrap_or_default()
    }

    /// Gives the number of the first that is not less.
    pub(super) fn lower_bound(&self, name: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle) < name {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        let number = self.lower_bound(name);
        (number < self.len() && self.get(number) == name).then_some(number)
    }
}
