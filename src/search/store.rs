//! The stored words: tantivy, in a directory of its own.
//!
//! Only its postings are used: which events have a word, how often and where. What a match is and how it is ranked is
//! decided here and in `rank`, so that stored words and the words of the events behind them count alike.

use std::collections::BTreeMap;
use std::path::Path;

use tantivy::directory::MmapDirectory;
use tantivy::postings::Postings as _;
use tantivy::schema::{Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{PreTokenizedString, Token as StoredToken};
use tantivy::{
    DocId, DocSet as _, Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, SegmentReader, TERMINATED,
    TantivyDocument, TantivyError, Term,
};

use super::document::{Document, FIELDS, WEIGHTS};
use super::query::{Phrase, Slot, TextQuery};
use super::rank::Tally;
use crate::domain::{Position, StoreId};

/// Version of the fields and of the analysis: a change of either makes a new one.
const FORMAT: u8 = 1;
/// Memory of the writer; the least that tantivy takes is 15 MB.
const WRITER_BYTES: usize = 32 * 1_024 * 1_024;
const POSITION_FIELD: &str = "position";
const TEXT_FIELDS: [&str; FIELDS] = ["title", "names", "summary", "quotes"];

/// Says how far the stored words reach, and of which log they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Words of events at or below are stored.
    pub position: Position,
    /// The chain hash there.
    pub chain: [u8; 32],
}

/// Stored words.
pub struct Store {
    index: Index,
    writer: IndexWriter,
    reader: IndexReader,
    position: Field,
    fields: [Field; FIELDS],
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("index", &self.index).finish_non_exhaustive()
    }
}

fn schema() -> (Schema, Field, [Field; FIELDS]) {
    let mut schema = Schema::builder();
    let position = schema.add_u64_field(POSITION_FIELD, NumericOptions::default().set_fast());
    let indexing = TextFieldIndexing::default()
        .set_index_option(IndexRecordOption::WithFreqsAndPositions)
        // Lengths of texts are not ranked by.
        .set_fieldnorms(false);
    let options = TextOptions::default().set_indexing_options(indexing);
    let fields = TEXT_FIELDS.map(|name| schema.add_text_field(name, options.clone()));
    (schema.build(), position, fields)
}

impl Store {
    /// Opens or makes the store in a directory, or in memory.
    ///
    /// # Errors
    /// [`TantivyError`] when it cannot be opened, its files are damaged, or it is of another version.
    pub fn open(directory: Option<&Path>) -> Result<Self, TantivyError> {
        let (schema, position, fields) = schema();
        let index = match directory {
            Some(directory) => {
                std::fs::create_dir_all(directory)?;
                let index = Index::open_or_create(MmapDirectory::open(directory)?, schema)?;
                // A flipped bit would be a match that is none: tantivy looks at its checksums only when asked.
                let damaged = index.validate_checksum()?;
                if !damaged.is_empty() {
                    return Err(TantivyError::SystemError(format!("{} files are damaged", damaged.len())));
                }
                index
            }
            None => Index::create_in_ram(schema),
        };
        let writer = index.writer_with_num_threads(1, WRITER_BYTES)?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { index, writer, reader, position, fields })
    }

    /// Tells how far it reaches; nothing where it is empty, of another log, or of another version.
    ///
    /// # Errors
    /// [`TantivyError`] when its files cannot be read.
    pub fn reach(&self, store: StoreId) -> Result<Option<Reach>, TantivyError> {
        let payload = self.index.load_metas()?.payload.unwrap_or_default();
        Ok(read_payload(&payload, store))
    }

    /// Adds the words of the event at a position; they are found after [`Store::commit`].
    ///
    /// # Errors
    /// [`TantivyError`] when it cannot be written.
    pub fn add(&self, position: Position, document: Document) -> Result<(), TantivyError> {
        let mut stored = TantivyDocument::new();
        stored.add_u64(self.position, position.0);
        for (field, tokens) in self.fields.iter().zip(document.fields) {
            let tokens = tokens.into_iter().flat_map(|token| {
                let place = usize::try_from(token.place).unwrap_or(usize::MAX);
                token.terms.into_iter().map(move |text| StoredToken {
                    position: place,
                    text,
                    ..StoredToken::default()
                })
            });
            let tokens: Vec<StoredToken> = tokens.collect();
            if !tokens.is_empty() {
                stored.add_pre_tokenized_text(*field, PreTokenizedString { text: String::new(), tokens });
            }
        }
        self.writer.add_document(stored).map(|_| ())
    }

    /// Makes what was added durable and gives a view of it.
    ///
    /// # Errors
    /// [`TantivyError`] when it cannot be written.
    pub fn commit(&mut self, store: StoreId, reach: Reach) -> Result<Searcher, TantivyError> {
        let mut commit = self.writer.prepare_commit()?;
        commit.set_payload(&payload(store, reach));
        commit.commit()?;
        self.view()
    }

    /// Gives a view of what is stored.
    ///
    /// # Errors
    /// [`TantivyError`] when its files cannot be read.
    pub fn view(&self) -> Result<Searcher, TantivyError> {
        self.reader.reload()?;
        Ok(self.reader.searcher())
    }
}

fn payload(store: StoreId, reach: Reach) -> String {
    let chain = blake3::Hash::from_bytes(reach.chain).to_hex();
    format!("{FORMAT} {store} {} {chain}", reach.position.0)
}

fn read_payload(text: &str, store: StoreId) -> Option<Reach> {
    let mut parts = text.split(' ');
    let is_ours = parts.next()? == FORMAT.to_string() && parts.next()? == store.to_string();
    let position = Position(parts.next()?.parse().ok()?);
    let chain = *blake3::Hash::from_hex(parts.next()?).ok()?.as_bytes();
    is_ours.then_some(Reach { position, chain })
}

/// Tallies the events of a view that have phrases of a question.
///
/// # Errors
/// [`TantivyError`] when the files cannot be read.
pub fn tally(view: &Searcher, query: &TextQuery, tally: &mut Tally) -> Result<(), TantivyError> {
    for reader in view.segment_readers() {
        let fields = TEXT_FIELDS.map(|name| view.schema().get_field(name));
        let positions = reader.fast_fields().u64(POSITION_FIELD)?;
        let documents = usize::try_from(reader.max_doc()).unwrap_or(usize::MAX);
        let mut weights: Vec<Vec<u32>> = vec![vec![0; documents]; query.phrases.len()];
        for (phrase, weights) in query.phrases.iter().zip(&mut weights) {
            for (field, weight) in fields.iter().zip(WEIGHTS) {
                let Ok(field) = field else { continue };
                count(reader, *field, phrase, |document, count| {
                    let place = usize::try_from(document).ok().and_then(|document| weights.get_mut(document));
                    if let Some(held) = place {
                        *held = held.saturating_add(count.saturating_mul(weight));
                    }
                })?;
            }
        }
        for (document, at) in (0..reader.max_doc()).zip(0_usize..) {
            let of_phrases = weights.iter().map(|weights| weights.get(at).copied().unwrap_or_default());
            if of_phrases.clone().any(|weight| weight > 0)
                && let Some(position) = positions.first(document)
            {
                tally.add(position, of_phrases);
            }
        }
    }
    Ok(())
}

/// Visits the documents in whose field a phrase stands, with how often it does.
fn count(
    reader: &SegmentReader,
    field: Field,
    phrase: &Phrase,
    mut visit: impl FnMut(DocId, u32),
) -> Result<(), TantivyError> {
    let words = reader.inverted_index(field)?;
    if let [Slot { terms, prefix: false }] = phrase.slots.as_slice()
        && let [term] = terms.as_slice()
    {
        // By far the commonest question needs no places.
        let term = Term::from_field_text(field, term);
        if let Some(mut postings) = words.read_postings(&term, IndexRecordOption::WithFreqs)? {
            while postings.doc() != TERMINATED {
                visit(postings.doc(), postings.term_freq());
                postings.advance();
            }
        }
        return Ok(());
    }
    let mut begins: Option<BTreeMap<DocId, Vec<u32>>> = None;
    for (offset, slot) in (0_u32..).zip(&phrase.slots) {
        let places = places(&words, field, slot, offset, begins.as_ref())?;
        let met = match begins.take() {
            None => places,
            Some(before) => meet(before, &places),
        };
        begins = Some(met);
    }
    for (document, places) in begins.unwrap_or_default() {
        visit(document, u32::try_from(places.len()).unwrap_or(u32::MAX));
    }
    Ok(())
}

/// Keeps the begins of phrases that both sides have.
fn meet(
    mut before: BTreeMap<DocId, Vec<u32>>,
    places: &BTreeMap<DocId, Vec<u32>>,
) -> BTreeMap<DocId, Vec<u32>> {
    before.retain(|document, begins| {
        let others = places.get(document).map_or(&[][..], Vec::as_slice);
        begins.retain(|begin| others.binary_search(begin).is_ok());
        !begins.is_empty()
    });
    before
}

/// Gives where a word stands, less its offset in the phrase, by document; only of documents in `within`, if given.
fn places(
    words: &tantivy::InvertedIndexReader,
    field: Field,
    slot: &Slot,
    offset: u32,
    within: Option<&BTreeMap<DocId, Vec<u32>>>,
) -> Result<BTreeMap<DocId, Vec<u32>>, TantivyError> {
    let mut found: BTreeMap<DocId, Vec<u32>> = BTreeMap::new();
    let mut held = Vec::new();
    for term in terms(words, slot)? {
        let term = Term::from_field_text(field, &term);
        let Some(mut postings) = words.read_postings(&term, IndexRecordOption::WithFreqsAndPositions)? else {
            continue;
        };
        while postings.doc() != TERMINATED {
            let document = postings.doc();
            if within.is_none_or(|within| within.contains_key(&document)) {
                postings.positions(&mut held);
                let begins = held.iter().filter_map(|place| place.checked_sub(offset));
                found.entry(document).or_default().extend(begins);
            }
            postings.advance();
        }
    }
    for begins in found.values_mut() {
        begins.sort_unstable();
        // Two spellings of one word stand at one place.
        begins.dedup();
    }
    Ok(found)
}

/// Gives the stored terms that will do for a word.
fn terms(words: &tantivy::InvertedIndexReader, slot: &Slot) -> Result<Vec<String>, TantivyError> {
    if !slot.prefix {
        return Ok(slot.terms.clone());
    }
    let mut found = Vec::new();
    for begin in &slot.terms {
        let mut stream = words.terms().range().ge(begin.as_bytes()).into_stream()?;
        while stream.advance() && stream.key().starts_with(begin.as_bytes()) {
            found.push(String::from_utf8_lossy(stream.key()).into_owned());
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
