//! Integers in as few bits as their range takes.

use bytes::Bytes;

use super::layout::{LayoutError, Reader, Writer};

/// Bytes behind the last integer: each is read as a part of eight bytes.
const PADDING: usize = 8;
/// The most bits that lie within eight bytes whichever bit of the first they begin at.
const SHIFTED_WIDTH_MAX: u32 = u64::BITS - 7;

/// Integers by place: each is kept as its distance from the least of them, in as many bits as the greatest distance has
/// (frame of reference).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    len: usize,
    least: i64,
    /// Bits of a distance: 1 to [`SHIFTED_WIDTH_MAX`], or 64.
    width: u32,
    bytes: Bytes,
}

/// Gives the first place of `len` that does not hold, where those that hold come first.
pub(super) fn partition_point(len: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

fn bytes_of(len: usize, width: u32) -> usize {
    let bits = usize::try_from(width).map_or(usize::MAX, |width| len.saturating_mul(width));
    bits.div_ceil(8).saturating_add(PADDING)
}

/// Gives the byte in which an integer begins, and the bit of it.
fn place(at: usize, width: u32) -> (usize, u32) {
    let bit = usize::try_from(width).map_or(usize::MAX, |width| at.saturating_mul(width));
    (bit / 8, u32::try_from(bit % 8).unwrap_or_default())
}

impl Packed {
    pub(super) fn of(values: &[i64]) -> Self {
        let least = values.iter().copied().min().unwrap_or_default();
        let most = values.iter().copied().max().unwrap_or_default();
        let len = values.len();
        let needed = (u64::BITS - most.abs_diff(least).leading_zeros()).max(1);
        let width = if needed > SHIFTED_WIDTH_MAX { u64::BITS } else { needed };
        let mut bytes = vec![0; bytes_of(len, width)];
        for (at, value) in values.iter().enumerate() {
            let (first, shift) = place(at, width);
            let Some(eight) = bytes.get_mut(first..).and_then(<[u8]>::first_chunk_mut) else { break };
            *eight = (u64::from_le_bytes(*eight) | value.abs_diff(least) << shift).to_le_bytes();
        }
        Self { len, least, width, bytes: bytes.into() }
    }

    /// Packs numbers of things in memory: places, lengths, ends.
    pub(super) fn of_numbers(numbers: impl Iterator<Item = usize>) -> Self {
        Self::of(&numbers.map(|number| i64::try_from(number).unwrap_or(i64::MAX)).collect::<Vec<_>>())
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Gives about how many bytes it takes.
    pub(super) const fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<i64> {
        if at >= self.len {
            return None;
        }
        let (first, shift) = place(at, self.width);
        let eight = u64::from_le_bytes(*self.bytes.get(first..)?.first_chunk()?);
        let distance = (eight >> shift) & (u64::MAX >> (u64::BITS - self.width));
        Some(self.least.wrapping_add_unsigned(distance))
    }

    /// Gives an integer that is the number of a thing.
    pub(super) fn number(&self, at: usize) -> Option<usize> {
        usize::try_from(self.get(at)?).ok()
    }

    /// Gives the range of one of several runs, by where each ends.
    pub(super) fn range(&self, at: usize) -> Option<std::ops::Range<usize>> {
        let end = self.number(at)?;
        Some(at.checked_sub(1).map_or(Some(0), |before| self.number(before))?..end)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = i64> + Clone {
        (0..self.len).filter_map(|at| self.get(at))
    }

    /// Gives the place of the first integer that does not hold, of those that hold first.
    pub(super) fn partition_point(&self, holds: impl Fn(i64) -> bool) -> usize {
        partition_point(self.len, |at| self.get(at).is_some_and(&holds))
    }

    /// Gives the place of an integer, where they rise.
    pub(super) fn find(&self, value: i64) -> Option<usize> {
        let at = self.partition_point(|held| held < value);
        (self.get(at)? == value).then_some(at)
    }

    /// Tells whether all are numbers of one of so many things.
    pub(super) fn all_below(&self, bound: usize) -> bool {
        self.iter().all(|value| usize::try_from(value).is_ok_and(|value| value < bound))
    }

    /// Tells whether they never fall and end at a length.
    pub(super) fn are_ends_of(&self, len: usize) -> bool {
        self.iter().is_sorted()
            && self.len.checked_sub(1).map_or(Some(0), |last| self.number(last)) == Some(len)
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.count(self.len);
        out.bytes(&self.least.to_le_bytes());
        out.bytes(&[u8::try_from(self.width).unwrap_or_default()]);
        out.bytes(&self.bytes);
    }

    pub(super) fn read(from: &mut Reader) -> Result<Self, LayoutError> {
        let len = from.count()?;
        let least = i64::from_le_bytes(from.array()?);
        let [width] = from.array()?;
        let width = u32::from(width);
        if width == 0 || (width > SHIFTED_WIDTH_MAX && width != u64::BITS) {
            return Err(LayoutError);
        }
        Ok(Self { len, least, width, bytes: from.slice(bytes_of(len, width))? })
    }
}

/// Integers by place, as they are or by number in a list of the distinct ones: whichever is smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    places: Packed,
    /// The distinct ones, rising; `None` where `places` has the integers themselves.
    distinct: Option<Packed>,
}

impl Column {
    pub(super) fn of(values: &[i64]) -> Self {
        let places = Packed::of(values);
        let mut distinct = values.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let listed = Packed::of(&distinct);
        let bits = u64::BITS - u64::try_from(distinct.len()).unwrap_or(u64::MAX).leading_zeros();
        if listed.bytes_len().saturating_add(bytes_of(values.len(), bits)) >= places.bytes_len() {
            return Self { places, distinct: None };
        }
        let numbers = values.iter().map(|value| distinct.partition_point(|held| held < value));
        Self { places: Packed::of_numbers(numbers), distinct: Some(listed) }
    }

    pub(super) const fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<i64> {
        match &self.distinct {
            None => self.places.get(at),
            Some(distinct) => distinct.get(self.places.number(at)?),
        }
    }

    /// Gives the least and the greatest.
    pub(super) fn ends(&self) -> Option<(i64, i64)> {
        let values = self.distinct.as_ref().unwrap_or(&self.places);
        values.iter().min().zip(values.iter().max())
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.bytes(&[u8::from(self.distinct.is_some())]);
        self.places.write(out);
        if let Some(distinct) = &self.distinct {
            distinct.write(out);
        }
    }

    pub(super) fn read(from: &mut Reader) -> Result<Self, LayoutError> {
        let is_coded = from.flag()?;
        let places = Packed::read(from)?;
        let distinct = if is_coded { Some(Packed::read(from)?) } else { None };
        if distinct.as_ref().is_some_and(|distinct| !places.all_below(distinct.len())) {
            return Err(LayoutError);
        }
        Ok(Self { places, distinct })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl Fn(&mut Writer)) -> Reader {
        let mut out = Writer::default();
        write(&mut out);
        Reader::of(out.into_bytes())
    }

    /// Ranges of all widths, few values and many.
    fn values() -> impl Strategy<Value = Vec<i64>> {
        (0..64_u32, any::<i64>(), proptest::collection::vec(any::<i64>(), 0..90)).prop_map(
            |(shift, base, values)| {
                values.into_iter().map(|value| base.wrapping_add(value >> shift)).collect()
            },
        )
    }

    proptest! {
        #[test]
        fn every_integer_is_where_it_was_put(values in values()) {
            let packed = Packed::of(&values);
            let column = Column::of(&values);
            for (at, value) in values.iter().enumerate() {
                prop_assert_eq!((packed.get(at), column.get(at)), (Some(*value), Some(*value)));
            }
            prop_assert_eq!((packed.get(values.len()), column.get(values.len())), (None, None));
            prop_assert_eq!(column.ends(), values.iter().copied().min().zip(values.iter().copied().max()));
            prop_assert_eq!(Packed::read(&mut written(|out| packed.write(out))), Ok(packed));
            prop_assert_eq!(Column::read(&mut written(|out| column.write(out))), Ok(column));
        }

        #[test]
        fn what_rises_is_found(values in values(), wanted in -70..70_i64) {
            let mut values: Vec<i64> = values.into_iter().map(|value| value % 64).collect();
            values.sort_unstable();
            values.dedup();
            let packed = Packed::of(&values);
            prop_assert_eq!(packed.find(wanted), values.binary_search(&wanted).ok());
        }
    }

    #[test]
    fn few_values_far_apart_take_a_bit_each() {
        let values: Vec<i64> = (0..64_000).map(|at| if at % 2 == 0 { i64::MIN } else { i64::MAX }).collect();
        let column = Column::of(&values);
        assert!(column.places.bytes_len() < 64_000 / 8 + 20, "{}", column.places.bytes_len());
        assert_eq!((column.get(8), column.get(9)), (Some(i64::MIN), Some(i64::MAX)));
    }

    #[test]
    fn no_width_but_those_in_use_is_read() {
        for width in [0, 58, 63, 65, 255] {
            let read = Packed::read(&mut written(|out| {
                out.count(0);
                out.bytes(&[0; 8]);
                out.bytes(&[width; 900]);
            }));
            assert_eq!(read, Err(LayoutError), "{width}");
        }
    }
}
