use std::sync::Arc;

use super::analysis::tokens;
use super::document::Document;
use super::query::{TextQuery, TextQueryError};
use crate::codec::texts::Texts;

fn words(text: &str) -> Vec<Vec<String>> {
    tokens(text, 0).map(|token| token.terms).collect()
}

fn one(text: &str) -> Vec<String> {
    words(text).into_iter().map(|terms| terms.join("|")).collect()
}

#[test]
fn case_diacritics_and_separators_do_not_count() {
    assert_eq!(one("Edi Rama’s 12,658 ÉLYSÉE"), ["edi", "rama", "s", "12658", "elysee"]);
    assert_eq!(one("£1.6m U.S. Tirana-based"), ["1.6m", "u", "s", "tirana", "based"]);
    assert_eq!(
        one("İstanbul ISPARTA ısparta Ђорђе Αθήνας"),
        ["istanbul", "isparta", "isparta", "ђорђе", "αθηνασ"]
    );
    assert_eq!(one("Łódź Đinđić Þingvellir ﬁsh"), ["lodz", "dindic", "thingvellir", "fish"]);
    // Words of a script without spaces are looked for one by one.
    assert_eq!(one("日本"), ["日", "本"]);
}

#[test]
fn a_letter_that_is_also_written_as_two_stands_for_both() {
    assert_eq!(one("Müller Mueller Muller"), ["muller|mueller", "mueller", "muller"]);
    assert_eq!(one("Århus Køge Straße"), ["arhus|aarhus", "koge|koege", "strasse"]);
}

#[test]
fn a_word_is_cut_at_a_bound_and_never_within_a_letter() {
    let long = "ж".repeat(200);
    assert_eq!(words(&long).first().and_then(|terms| terms.first()).map(String::len), Some(128));
}

#[test]
fn questions_are_read_or_refused() {
    let read = TextQuery::parse;
    let shape = |text: &str| -> Vec<(usize, bool)> {
        let query = read(text).unwrap();
        query
            .phrases
            .iter()
            .map(|p| (p.slots.len(), p.slots.last().is_some_and(|slot| slot.prefix)))
            .collect()
    };
    assert_eq!(shape("joint task*"), [(1, false), (1, true)]);
    assert_eq!(shape("\"joint migration taskforce\" rama"), [(3, false), (1, false)]);
    assert_eq!(shape("Tirana-based"), [(2, false)]);
    assert_eq!(read("\"open"), Err(TextQueryError::OpenPhrase));
    assert_eq!(read("* , \"\""), Err(TextQueryError::NoWord));
    assert_eq!(read(&"a ".repeat(33)), Err(TextQueryError::TooManyWords));
    assert_eq!(read(&"a".repeat(1_001)), Err(TextQueryError::TooLong));
}

#[test]
fn a_phrase_stays_within_one_text() {
    let text = |text: &str| text.to_owned();
    let document = Document::of(&Texts {
        titles: vec![text("joint migration"), text("taskforce")],
        names: vec![text("Migration Taskforce")],
        ..Texts::default()
    });
    let weight = |asked: &str| document.weight(&TextQuery::parse(asked).unwrap().phrases[0]);
    assert_eq!(weight("\"joint migration\""), 4);
    assert_eq!(weight("\"migration taskforce\""), 2);
    assert_eq!(weight("migration"), 6);
    assert_eq!(weight("task*"), 6);
    assert_eq!(weight("\"taskforce joint\""), 0);
}

mod stored {
    use super::*;
    use crate::domain::{Position, StoreId};
    use crate::search::rank::Tally;
    use crate::search::store::{Reach, Store, tally};

    fn store_id(number: u128) -> StoreId {
        StoreId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn document(title: &str) -> Document {
        Document::of(&Texts { titles: vec![title.to_owned()], ..Texts::default() })
    }

    #[test]
    fn what_is_stored_outlives_the_program_and_belongs_to_its_log() {
        let directory = tempfile::tempdir().unwrap();
        let reach = Reach { position: Position(2), chain: [7; 32] };
        {
            let mut store = Store::open(Some(directory.path())).unwrap();
            store.add(Position(1), document("joint taskforce")).unwrap();
            store.add(Position(2), document("joint programme")).unwrap();
            store.commit(store_id(1), reach).unwrap();
            store.add(Position(3), document("never committed taskforce")).unwrap();
        }
        let store = Store::open(Some(directory.path())).unwrap();
        assert_eq!(store.reach(store_id(1)).unwrap(), Some(reach));
        assert_eq!(store.reach(store_id(2)).unwrap(), None);
        let query = TextQuery::parse("taskforce").unwrap();
        let mut tallied = Tally::new(1, Position(9), true);
        tally(&store.view().unwrap(), &query, &mut tallied).unwrap();
        let found = Arc::new(tallied.finish());
        let slots: Vec<u32> = found.slots(Position(0), 65_536).iter().collect();
        assert_eq!(slots, [0]);
        // ln(1 + (9 - 1 + 0.5) / (1 + 0.5)) * 4 * 2.2 / (4 + 1.2)
        assert_eq!(found.score(Position(1)), 3_210_511);
    }

    #[test]
    fn a_flipped_bit_is_noticed_when_it_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        {
            let mut store = Store::open(Some(directory.path())).unwrap();
            for position in 1..=100 {
                store.add(Position(position), document(&format!("word{position} common"))).unwrap();
            }
            store.commit(store_id(1), Reach { position: Position(100), chain: [0; 32] }).unwrap();
        }
        let files = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let file = files.into_iter().find(|path| path.extension().is_some_and(|e| e == "idx")).unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[10] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        assert!(Store::open(Some(directory.path())).is_err());
    }
}
