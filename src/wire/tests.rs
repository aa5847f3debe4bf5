//! Page tokens, statuses, and the search for text that is not UTF-8.

use proptest::prelude::*;
use prost::Message as _;

use super::page_token::ChainStart;
use super::*;
use crate::domain::{Position, StoreId};
use crate::journal::ChainHash;
use crate::pb;
use crate::timeline::Key;

fn store(number: u128) -> StoreId {
    StoreId::from_uuid(uuid::Uuid::from_u128(number))
}

#[test]
fn the_descriptors_decode() {
    assert!(POOL.get_message_by_name("annals.v1.Event").is_some());
}

proptest! {
    #[test]
    fn a_page_token_comes_back(snapshot: u64, chain: [u8; 32], value: i64, position: u64, question: [u8; 16]) {
        let chain = ChainStart::of(&ChainHash::from_bytes(chain));
        let after = Key { value, position: Position(position) };
        let token = PageToken { snapshot: Position(snapshot), chain, after };
        let text = token.encode(store(1), question);
        prop_assert_eq!(PageToken::decode(&text, store(1), question).unwrap(), token);
        let other_store = PageToken::decode(&text, store(2), question);
        let mismatch = matches!(other_store, Err(RequestError::StoreMismatch { .. }));
        prop_assert!(mismatch);
    }

    #[test]
    fn a_changed_page_token_is_refused(at in 0_usize..162, digit in 0_u8..16, question: [u8; 16]) {
        let after = Key { value: 8, position: Position(9) };
        let token = PageToken { snapshot: Position(7), chain: ChainStart::default(), after };
        let text = token.encode(store(1), question);
        let mut changed = text.clone().into_bytes();
        changed[at] = b"0123456789abcdef"[usize::from(digit)];
        let changed = String::from_utf8(changed).unwrap();
        let read = PageToken::decode(&changed, store(1), question);
        prop_assert_eq!(read.is_ok(), changed == text);
    }

    #[test]
    fn any_text_as_a_page_token_is_refused(text in "\\PC{0,200}") {
        prop_assert!(PageToken::decode(&text, store(1), [0; 16]).is_err());
    }

    #[test]
    fn the_search_for_bad_text_ends_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let message = POOL.get_message_by_name("annals.v1.AppendEventsRequest").unwrap();
        let path = scan::invalid_path(&message, &bytes);
        // Where it finds a field, the decoder refuses the message too.
        prop_assert!(path.is_none() || pb::AppendEventsRequest::decode(bytes.as_slice()).is_err());
    }
}
