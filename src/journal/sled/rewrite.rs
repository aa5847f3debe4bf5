//! Writes a journal's database anew: without what was erased, or from what was found of a damaged one.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use ::sled::Batch;

use super::contain::{guarded, io_error, open_error, open_failure};
use super::{Database, Entries, SledJournal, Writer, key, own};
use crate::domain::{Position, StoreId};
use crate::journal::error::OpenError;
use crate::journal::files::{self, StoreFiles};
use crate::journal::walk::SourceError;
use crate::journal::watermark::Watermark;
use crate::journal::{Direction, EncodedFrame, Journal as _, Tail, generation, salvage};

/// Page cache of a database while it is filled.
const REBUILD_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Frames copied in one batch by a rewrite.
const COPIED_FRAMES: usize = 64;

impl SledJournal {
    /// Writes a journal anew from what was found of it, and keeps the files that were there under `kept`.
    ///
    /// # Errors
    /// [`OpenError`]; the journal is then as it was.
    pub fn rebuild(
        dir: &Path,
        store: StoreId,
        pieces: &[salvage::Piece],
        kept: &Path,
    ) -> Result<(), OpenError> {
        let generation = generation::current(dir)?;
        let place = generation::path(dir, generation + 1);
        if place.exists() {
            std::fs::remove_dir_all(&place).map_err(OpenError::Io)?;
        }
        let database = Database::open(&place, REBUILD_CACHE_BYTES)?;
        let mut tail = Tail::origin(store);
        for frames in salvage::frames(pieces) {
            let mut batch = Batch::default();
            for frame in frames.map_err(OpenError::Io)? {
                batch.insert(&key(frame.first()), &**frame.bytes());
                let recorded_at = Some(frame.recorded_at());
                tail = Tail { position: frame.last(), chain: frame.chain(), recorded_at };
            }
            guarded(|| database.frames.apply_batch(batch)).map_err(open_error)?;
        }
        let mut files = StoreFiles::open(&place).map_err(OpenError::Io)?;
        own(&database.db, &mut files, store)?;
        Watermark::open(&place, &tail)?;
        files.sync_all().map_err(OpenError::Io)?;
        files::link_all(&generation::path(dir, generation), kept).map_err(OpenError::Io)?;
        generation::switch(dir, generation + 1).map_err(OpenError::Io)?;
        drop(database);
        generation::clean(dir, generation + 1).map_err(OpenError::Io)
    }

    /// Copies every entry to a new database, replaced frames in the place of the stored ones, and makes it durable.
    pub(super) fn copy(&self, to: &Path, replaced: Vec<EncodedFrame>) -> io::Result<()> {
        if to.exists() {
            std::fs::remove_dir_all(to)?;
        }
        let from = self.database();
        let target = Database::open(to, self.cache_bytes).map_err(open_failure)?;
        let mut replaced: BTreeMap<Position, EncodedFrame> =
            replaced.into_iter().map(|frame| (frame.first(), frame)).collect();
        let mut entries = Entries::new(from.frames.iter(), Direction::Forward).peekable();
        while entries.peek().is_some() {
            let mut batch = Batch::default();
            for entry in entries.by_ref().take(COPIED_FRAMES) {
                let (first, bytes) = entry.map_err(|error| match error {
                    SourceError::Io(error) => error,
                    SourceError::Damaged(detail) => io::Error::other(detail),
                })?;
                let bytes = replaced.remove(&first).map_or(bytes, |frame| frame.bytes().clone());
                batch.insert(&key(first), &*bytes);
            }
            guarded(|| target.frames.apply_batch(batch)).map_err(io_error)?;
        }
        let mut files = StoreFiles::open(to)?;
        own(&target.db, &mut files, self.store).map_err(open_failure)
    }

    /// Goes over to the database of another generation.
    pub(super) fn take_up(&self, writer: &mut Writer, generation: u64) -> io::Result<()> {
        let place = generation::path(&self.dir, generation);
        let database = Database::open(&place, self.cache_bytes).map_err(open_failure)?;
        writer.files = StoreFiles::open(&place)?;
        writer.watermark = Watermark::open(&place, &self.tail()).map_err(io::Error::other)?;
        writer.files.sync_all()?;
        writer.generation = generation;
        // Closed before its files are removed; a walk under way keeps its own handle.
        drop(std::mem::replace(&mut *self.database.write(), database));
        generation::clean(&self.dir, generation)
    }
}
