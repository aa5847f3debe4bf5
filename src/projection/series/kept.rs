//! Series kept from one question for the next: pages of one answer, and questions of one state of knowledge.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::book::{Book, Dimensions};
use super::read::Found;

/// Most books kept.
const BOOKS_MAX: usize = 4;
/// Most observations of all books kept.
const OBSERVATIONS_MAX: usize = 1_000_000;

/// A few books, those that were asked for last.
///
/// A book is known by the releases that it was made of and how each of them stands, which every question finds out anew
/// in the index. So it is never older than the log, and what was erased since is in no answer.
#[derive(Debug, Default)]
pub struct Books(Mutex<VecDeque<Kept>>);

#[derive(Debug)]
struct Kept {
    found: Vec<Found>,
    dimensions: Dimensions,
    observations: usize,
    book: Arc<Book>,
}

impl Books {
    /// Gives the book made of exactly these releases.
    pub(super) fn get(&self, found: &[Found], dimensions: &Dimensions) -> Option<Arc<Book>> {
        let mut kept = self.0.lock();
        let index = kept.iter().position(|kept| kept.found == found && kept.dimensions == *dimensions)?;
        let kept_again = kept.remove(index)?;
        let book = Arc::clone(&kept_again.book);
        kept.push_back(kept_again);
        Some(book)
    }

    /// Drops all books.
    pub fn clear(&self) {
        self.0.lock().clear();
    }

    /// Keeps a book, and drops those not asked for the longest.
    pub(super) fn put(
        &self,
        found: Vec<Found>,
        dimensions: Dimensions,
        observations: usize,
        book: &Arc<Book>,
    ) {
        if observations > OBSERVATIONS_MAX {
            return;
        }
        let mut kept = self.0.lock();
        // Two questions at once may have made the same.
        kept.retain(|other| other.found != found || other.dimensions != dimensions);
        kept.push_back(Kept { found, dimensions, observations, book: Arc::clone(book) });
        let mut all: usize = kept.iter().map(|kept| kept.observations).sum();
        while kept.len() > BOOKS_MAX || all > OBSERVATIONS_MAX {
            let Some(dropped) = kept.pop_front() else { break };
            all = all.saturating_sub(dropped.observations);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Position, Timestamp};

    fn found(position: u64) -> Vec<Found> {
        let (position, known_at) = (Position(position), Timestamp(0));
        vec![Found { position, known_at, superseded: false, asked: true, later: true }]
    }

    #[test]
    fn a_book_is_known_by_its_releases_and_how_they_stand() {
        let (books, none) = (Books::default(), Dimensions::new());
        books.put(found(1), none.clone(), 1, &Arc::default());
        assert!(books.get(&found(1), &none).is_some());
        assert!(books.get(&found(2), &none).is_none() && books.get(&[], &none).is_none());
        let superseded: Vec<Found> =
            found(1).into_iter().map(|found| Found { superseded: true, ..found }).collect();
        assert!(books.get(&superseded, &none).is_none());
        let of_one = Dimensions::from([("AREA".to_owned(), "AL".to_owned())]);
        assert!(books.get(&found(1), &of_one).is_none());
    }

    #[test]
    fn few_books_are_kept_and_none_that_is_too_large() {
        let (books, none) = (Books::default(), Dimensions::new());
        let held = |books: &Books| {
            (1..=9).filter(|n| books.0.lock().iter().any(|kept| kept.found == found(*n))).collect::<Vec<_>>()
        };
        for position in 1..=5 {
            books.put(found(position), none.clone(), 1, &Arc::default());
        }
        assert_eq!(held(&books), [2, 3, 4, 5]);
        assert!(books.get(&found(2), &none).is_some(), "asked for last, so it stays");
        books.put(found(6), none.clone(), OBSERVATIONS_MAX + 1, &Arc::default());
        books.put(found(7), none.clone(), 1, &Arc::default());
        assert_eq!(held(&books), [2, 4, 5, 7]);
        books.put(found(8), none, OBSERVATIONS_MAX - 1, &Arc::default());
        assert_eq!(held(&books), [7, 8]);
        books.clear();
        assert_eq!(held(&books), [0_u64; 0]);
    }
}
