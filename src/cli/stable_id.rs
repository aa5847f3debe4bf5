//! Event ids for lines that carry none.

use std::collections::HashMap;

use prost::Message as _;
use uuid::Uuid;

use crate::pb::Event;

/// Separates these hashes from every other use of BLAKE3.
const CONTEXT: &str = "annals import event id v1";

/// Gives each event of one file an id that depends only on its content and on how many equal ones came before it.
///
/// The id is a UUID of version 8 (RFC 9562) from the BLAKE3 hash of the ordinal, as 8 bytes little-endian from 0,
/// and the protobuf bytes of the event. So a line keeps its id when other lines are added, removed or moved, and
/// equal lines of one file stay different events; but equal lines of *different* files get the same id and are
/// taken for the same event, unless they carry ids.
#[derive(Debug, Default)]
pub struct StableIds {
    seen: HashMap<[u8; 32], u64>,
}

impl StableIds {
    /// Gives the id of the next event of the file. The event must not have one yet.
    pub fn next(&mut self, event: &Event) -> Uuid {
        // The generated messages hold sorted maps: equal content has equal bytes.
        let bytes = event.encode_to_vec();
        let ordinal = self.seen.entry(*blake3::hash(&bytes).as_bytes()).or_default();
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&ordinal.to_le_bytes()).update(&bytes);
        *ordinal += 1;
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        Uuid::new_v8(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(title: &str) -> Event {
        Event { title: title.to_owned(), ..Event::default() }
    }

    fn ids(titles: &[&str]) -> Vec<Uuid> {
        let mut ids = StableIds::default();
        titles.iter().map(|title| ids.next(&event(title))).collect()
    }

    #[test]
    fn the_scheme_is_frozen() {
        // Changing the scheme would make every import add its events a second time.
        let text: Vec<_> = ids(&["a", "a"]).iter().map(Uuid::to_string).collect();
        assert_eq!(text, ["e259feb3-b7ea-8f1e-be05-d5bf2ef3f169", "6c1937ab-7480-8fca-aef8-c4b60058822e"]);
    }

    #[test]
    fn ids_do_not_depend_on_the_surroundings() {
        let (alone, among) = (ids(&["b", "b"]), ids(&["a", "b", "c", "a", "b"]));
        assert_eq!(alone, [among[1], among[4]]);
    }

    #[test]
    fn equal_events_of_a_file_stay_apart() {
        let mut all = ids(&["a", "a", "a", "b"]);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn ids_are_uuids_of_version_8() {
        for id in ids(&["a", "b"]) {
            assert_eq!((id.get_version_num(), id.get_variant()), (8, uuid::Variant::RFC4122));
        }
    }
}
