//! The reserve over a scripted file system, and a log over it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::clock::{Clock, IdSource, Manual};
use crate::domain::{Position, Timestamp};
use crate::journal::conformance::store;
use crate::journal::{Journal, MemoryJournal};
use crate::log::tests::append;
use crate::log::{AppendError, Log, QueueLimits};
use crate::search::Engine;

const MIB: u64 = 1_024 * 1_024;
/// Must be free for a small commit when the held half is held, and when it is not.
const FLOOR: u64 = RESERVE_BYTES_DEFAULT / 2 + COMMIT_SLACK_BYTES;

/// A disk of which others take what the test says.
#[derive(Debug)]
struct Scripted {
    size: u64,
    others: AtomicU64,
    held: AtomicU64,
    /// Whether space can be held at all.
    can_hold: AtomicBool,
}

#[derive(Clone, Debug)]
struct Handle(Arc<Scripted>);

impl Handle {
    fn with_free(bytes: u64) -> Self {
        let others = AtomicU64::new(1_000 * MIB - bytes);
        Self(Arc::new(Scripted { size: 1_000 * MIB, others, held: AtomicU64::new(0), can_hold: true.into() }))
    }

    /// Lets others take so much that this much is free.
    fn leave(&self, bytes: u64) {
        self.0.others.store(self.0.size - self.held_bytes() - bytes, Ordering::SeqCst);
    }
}

impl Volume for Handle {
    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.0.size - self.0.others.load(Ordering::SeqCst) - self.held_bytes())
    }

    fn held_bytes(&self) -> u64 {
        self.0.held.load(Ordering::SeqCst)
    }

    fn hold(&self, bytes: u64) -> io::Result<()> {
        if bytes > 0 && !self.0.can_hold.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if bytes > self.held_bytes() + self.free_bytes()? {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.held.store(bytes, Ordering::SeqCst);
        Ok(())
    }
}

fn reserve(handle: &Handle) -> Reserve {
    Reserve::over(Box::new(handle.clone()), RESERVE_BYTES_DEFAULT)
}

fn log_over(journal: &MemoryJournal, handle: &Handle) -> (Log, Arc<Reserve>) {
    let clock = Arc::new(Manual::at(Timestamp(0)));
    let reserve = Arc::new(reserve(handle));
    let parts = (Arc::clone(&clock) as Arc<dyn Clock>, clock as Arc<dyn IdSource>);
    let journal: Arc<dyn Journal> = Arc::new(journal.clone());
    let words = Engine::new(Arc::clone(&journal), None, Box::new(|| true));
    let disk = Some((Arc::clone(&reserve), Arc::new(words)));
    (Log::over_disk(journal, None, QueueLimits::default(), parts, disk, &|_| {}).unwrap().0, reserve)
}

#[tokio::test]
async fn appends_are_refused_before_the_disk_is_full_and_taken_again_when_there_is_space() {
    let (journal, disk) = (MemoryJournal::new(store()), Handle::with_free(500 * MIB));
    let (log, reserve) = log_over(&journal, &disk);
    reserve.take();
    append(&log, 1).await.unwrap();
    disk.leave(FLOOR + 64 * 1_024);
    append(&log, 2).await.unwrap();
    disk.leave(FLOOR);
    let Err(AppendError::DiskFull(full)) = append(&log, 3).await else {
        panic!("a small commit needs some bytes")
    };
    assert_eq!(full.free_bytes, FLOOR);
    assert!(full.needed_bytes > FLOOR && full.needed_bytes < FLOOR + 64 * 1_024, "{full}");
    disk.leave(0);
    assert!(matches!(append(&log, 3).await, Err(AppendError::DiskFull(_))));
    // Nothing was written, nothing is poisoned, and what is recorded is still answered.
    assert_eq!((log.head().position, journal.tail().position), (Position(2), Position(2)));
    assert!(!log.is_read_only());
    assert!(append(&log, 2).await.unwrap().replayed);
    disk.leave(500 * MIB);
    let answer = append(&log, 3).await.unwrap();
    assert_eq!((answer.replayed, answer.events[0].position), (false, Position(3)));
}

#[test]
fn what_is_held_counts_as_free() {
    let disk = Handle::with_free(FLOOR + RESERVE_BYTES_DEFAULT / 2);
    let reserve = reserve(&disk);
    assert_eq!(reserve.admit(0), Ok(()), "nothing is held yet");
    assert_eq!(disk.held_bytes(), RESERVE_BYTES_DEFAULT / 2, "it is held as soon as there is room");
    assert_eq!(reserve.admit(0), Ok(()));
    assert!(reserve.admit(1).is_err());
}

#[test]
fn a_full_disk_gives_up_what_is_held_once_and_holds_what_is_left() {
    let disk = Handle::with_free(500 * MIB);
    let reserve = reserve(&disk);
    reserve.take();
    assert_eq!(disk.held_bytes(), 32 * MIB);
    let tries = AtomicU64::new(0);
    let open = || {
        tries.fetch_add(1, Ordering::SeqCst);
        let free = disk.free_bytes().unwrap();
        if free < 12 * MIB { Err(io::ErrorKind::StorageFull) } else { Ok(free) }
    };
    assert_eq!((reserve.with_room(open), tries.load(Ordering::SeqCst)), (Ok(468 * MIB), 1));
    // Without any space it is released at once.
    disk.leave(0);
    assert_eq!((reserve.with_room(open), tries.load(Ordering::SeqCst)), (Ok(32 * MIB), 2));
    // Opening took 12 MiB; the rest is held again, but for a margin.
    disk.leave(20 * MIB);
    reserve.take();
    assert_eq!((disk.held_bytes(), disk.free_bytes().unwrap()), (19 * MIB, MIB));
    // With too little it is released where the work fails.
    disk.leave(10 * MIB);
    assert_eq!((reserve.with_room(open), tries.load(Ordering::SeqCst)), (Ok(29 * MIB), 4));
    // An error with space left is no reason to release it.
    disk.leave(300 * MIB);
    reserve.take();
    let failed: Result<(), &str> = reserve.with_room(|| Err("damaged"));
    assert_eq!((failed, disk.held_bytes()), (Err("damaged"), 32 * MIB));
}

#[test]
fn where_no_space_can_be_held_all_of_the_reserve_stays_free() {
    let disk = Handle::with_free(500 * MIB);
    disk.0.can_hold.store(false, Ordering::SeqCst);
    let reserve = reserve(&disk);
    reserve.take();
    disk.leave(RESERVE_BYTES_DEFAULT + COMMIT_SLACK_BYTES);
    assert_eq!(reserve.admit(0), Ok(()));
    assert!(reserve.admit(1).is_err());
    assert_eq!(disk.held_bytes(), 0);
}

#[test]
fn a_directory_tells_its_space_and_holds_a_file_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let volume = Directory(directory.path().to_owned());
    assert!(volume.free_bytes().unwrap() > 0);
    assert_eq!(volume.held_bytes(), 0);
    for bytes in [MIB, 3 * MIB, 2 * MIB] {
        volume.hold(bytes).unwrap();
        assert_eq!(volume.held_bytes(), bytes);
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::fs::MetadataExt as _;
            let found = std::fs::metadata(directory.path().join(RESERVE_FILE)).unwrap();
            assert!(found.blocks() * 512 >= bytes, "really allocated");
        }
    }
    volume.hold(0).unwrap();
    volume.hold(0).unwrap();
    assert!(!directory.path().join(RESERVE_FILE).exists());
}
