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
    assert!(pb::POOL.get_message_by_name("annals.v1.Event").is_some());
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
        let message = pb::POOL.get_message_by_name("annals.v1.AppendEventsRequest").unwrap();
        let path = scan::invalid_path(&message, &bytes);
        // Where it finds a field, the decoder refuses the message too.
        let read = pb::AppendEventsRequest::decode(bytes.as_slice()).and_then(|request| {
            request.events.into_iter().try_for_each(|event| pb::Event::decode(event).map(drop))
        });
        prop_assert!(path.is_none() || read.is_err());
    }
}

#[test]
fn messages_are_counted_by_what_is_decoded_at_once() {
    let holds = |name: &str, bytes: &[u8], most| {
        let message = pb::POOL.get_message_by_name(&format!("annals.v1.{name}")).unwrap();
        scan::holds_more_messages(&message, bytes, most)
    };
    let event = pb::Event { sources: vec![pb::Source::default(); 9], ..pb::Event::default() };
    assert!(holds("Event", &event.encode_to_vec(), 8) && !holds("Event", &event.encode_to_vec(), 9));
    let conditions = vec![pb::Condition::default(); 3];
    let append = pb::AppendEventsRequest::of(vec![event; 5], conditions);
    let pb::AppendEventsRequest { events, conditions } = append.clone();
    let stream = pb::AppendStreamRequest { events, conditions };
    for (name, bytes) in
        [("AppendEventsRequest", append.encode_to_vec()), ("AppendStreamRequest", stream.encode_to_vec())]
    {
        // Each event and each condition counts, and nothing inside the events, which stay encoded.
        assert!(holds(name, &bytes, 7) && !holds(name, &bytes, 8), "{name}");
    }
}

/// An honest tree whose second leaf is the one given.
fn answer_with(leaf_data: Vec<u8>) -> (pb::GetLogProofResponse, crate::proof::VerifierKey) {
    use crate::proof::{Checkpoint, Evidence, Hash, Inclusion, Signer};
    let signer = Signer::new("annals/test", &[7; 32]).unwrap();
    let first = Hash::leaf(b"first");
    let root = Hash::node(&first, &Hash::leaf(&leaf_data));
    let state = Checkpoint { origin: "annals/test".to_owned(), size: 2, root };
    let inclusion = Some(Inclusion { index: 1, leaf_data, path: vec![first] });
    let evidence = Evidence { checkpoint: state.sign(&signer).unwrap(), inclusion, consistency: None };
    (proof::response(&state, evidence, None, signer.verifier()), signer.verifier().clone())
}

fn leaf_at(position: u64) -> Vec<u8> {
    let facts = [b"annals record v1".as_slice(), &position.to_be_bytes(), &[0; 16], &[9; 16], &[0; 48]];
    facts.concat()
}

#[test]
fn an_answer_proves_only_what_it_says() {
    use crate::domain::EventId;
    use proof::ProofFault::{Differs, Field};
    let (sound, key) = answer_with(leaf_at(2));
    let proved = proof::check(&sound, &key, None).unwrap();
    assert_eq!(proved.event, Some((Position(2), EventId::from_bytes([9; 16]))));
    let check = |change: &dyn Fn(&mut pb::GetLogProofResponse), expected| {
        let mut changed = sound.clone();
        change(&mut changed);
        assert_eq!(proof::check(&changed, &key, None), Err(expected));
    };
    check(&|answer| answer.tree_size = 3, Differs("tree_size"));
    check(&|answer| answer.root_hash.clear(), Differs("root_hash"));
    let inclusion = |answer: &mut pb::GetLogProofResponse, change: &dyn Fn(&mut pb::InclusionProof)| {
        change(answer.inclusion.as_mut().unwrap());
    };
    let hash = |proof: &mut pb::InclusionProof| proof.leaf_hash = "00".repeat(32);
    check(&|answer| inclusion(answer, &hash), Differs("inclusion.leaf_hash"));
    let short = |proof: &mut pb::InclusionProof| proof.hashes = vec!["00".to_owned()];
    check(&|answer| inclusion(answer, &short), Field("inclusion.hashes"));
    let many = |proof: &mut pb::InclusionProof| proof.hashes = vec!["00".repeat(32); 70];
    check(&|answer| inclusion(answer, &many), Field("inclusion.hashes"));
    // A record that says it stands elsewhere, and bytes that are no record.
    let (elsewhere, _) = answer_with(leaf_at(7));
    assert_eq!(proof::check(&elsewhere, &key, None), Err(Differs("inclusion.leaf_index")));
    let (no_record, _) = answer_with(b"second".to_vec());
    assert_eq!(proof::check(&no_record, &key, None), Err(Field("inclusion.leaf_data")));
}
