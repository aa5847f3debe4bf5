//! Which part of the index to look into for an id or a stream.
//!
//! A new event has an id that no part holds, and often a stream that none does: without this, every append would search
//! every part in vain, and slow down as the log grows.

use ahash::RandomState;
use hashbrown::HashTable;

/// Tables grow by moving all that they hold; so many tables are each small enough to do it within a millisecond at ten
/// million keys.
const SHARDS: usize = 256;

/// The number of the last part that holds each key, by a fingerprint of the key of 40 bits: eight choose the table. Numbers
/// are the caller's, and rise.
///
/// It may name a part for a key that is not there, and a later part than the right one, when fingerprints agree. It never
/// names an earlier part, and never none for a key that is there. The hash is keyed at random, so that nobody can choose
/// ids that agree.
#[derive(Clone, Debug)]
pub struct Locator {
    hasher: RandomState,
    shards: Vec<HashTable<Entry>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    print: u32,
    part: u32,
}

impl Default for Locator {
    fn default() -> Self {
        Self { hasher: RandomState::new(), shards: vec![HashTable::new(); SHARDS] }
    }
}

impl Locator {
    /// Takes note that a part holds a key; parts come in order.
    pub fn put(&mut self, key: &[u8], part: u32) {
        let (shard, print) = place_in(&self.hasher, key);
        if let Some(table) = self.shards.get_mut(shard) {
            put(table, print, part);
        }
    }

    /// Takes note of the keys of many parts, on all cores: filling the tables is what opening a large log waits for.
    ///
    /// `visit` gives each key of a part; it is called for every part, which come in order with their numbers, on every
    /// core.
    pub fn put_all<P: Sync>(
        &mut self,
        parts: &[(u32, P)],
        keys: usize,
        visit: impl Fn(&P, &mut dyn FnMut(&[u8])) + Sync,
    ) {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(SHARDS);
        let (hasher, visit) = (&self.hasher, &visit);
        std::thread::scope(|scope| {
            let width = SHARDS.div_ceil(threads);
            for (number, shards) in self.shards.chunks_mut(width).enumerate() {
                scope.spawn(move || {
                    for table in &mut *shards {
                        table.reserve(keys / SHARDS, |entry| spread(entry.print));
                    }
                    for (number_of_part, part) in parts {
                        visit(part, &mut |key| {
                            let (shard, print) = place_in(hasher, key);
                            let mine = shard.checked_sub(number * width);
                            if let Some(table) = mine.and_then(|shard| shards.get_mut(shard)) {
                                put(table, print, *number_of_part);
                            }
                        });
                    }
                });
            }
        });
    }

    /// Gives the last part that may hold a key; earlier ones may, too. Nothing if none does.
    #[must_use]
    pub fn last_part(&self, key: &[u8]) -> Option<u32> {
        let (shard, print) = place_in(&self.hasher, key);
        self.shards.get(shard)?.find(spread(print), |entry| entry.print == print).map(|entry| entry.part)
    }
}

/// Gives the table of a key, and its fingerprint there.
fn place_in(hasher: &RandomState, key: &[u8]) -> (usize, u32) {
    let [shard, _, _, _, print @ ..] = hasher.hash_one(key).to_be_bytes();
    (usize::from(shard), u32::from_be_bytes(print))
}

fn put(table: &mut HashTable<Entry>, print: u32, part: u32) {
    let same = |entry: &Entry| entry.print == print;
    match table.entry(spread(print), same, |entry| spread(entry.print)) {
        hashbrown::hash_table::Entry::Occupied(mut held) => held.get_mut().part = part,
        hashbrown::hash_table::Entry::Vacant(free) => {
            free.insert(Entry { print, part });
        }
    }
}

/// The table takes the place from the low bits and its tag from the high ones, of which a fingerprint alone has none.
const fn spread(print: u32) -> u64 {
    (print as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_every_key_is_named_and_of_no_other() {
        let mut locator = Locator::default();
        let key = |number: u32| number.to_be_bytes();
        for part in 0..3 {
            // A third of the keys come again in the next part.
            for number in part * 20_000..(part + 1) * 20_000 + 7_000 {
                locator.put(&key(number), part);
            }
        }
        // The same keys at once are in the same places.
        let mut together = Locator { hasher: locator.hasher.clone(), ..Locator::default() };
        let parts = [0, 1, 2].map(|part| (part, part));
        together.put_all(&parts, 67_000, |part, put| {
            (part * 20_000..(part + 1) * 20_000 + 7_000).for_each(|number| put(&key(number)));
        });
        assert!(
            (0..90_000).all(|number| together.last_part(&key(number)) == locator.last_part(&key(number)))
        );
        let last = |number: u32| (number / 20_000).min(2);
        for number in 0..67_000 {
            assert!(locator.last_part(&key(number)).is_some_and(|part| part >= last(number)), "{number}");
        }
        let wrong = (0..67_000).filter(|number| locator.last_part(&key(*number)) != Some(last(*number)));
        assert!(wrong.count() < 10);
        assert!((100_000..200_000).filter(|number| locator.last_part(&key(*number)).is_some()).count() < 10);
    }
}
