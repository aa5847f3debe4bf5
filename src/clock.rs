//! Time and randomness: the only place that reads either.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::domain::{EventId, StoreId, Timestamp};

/// Tells the time.
pub trait Clock: Send + Sync + Debug {
    /// Gives the moment by the wall clock; may step backwards.
    fn now(&self) -> Timestamp;
}

/// Makes ids and salts.
pub trait IdSource: Send + Sync + Debug {
    /// Makes an event id that sorts by the time of its making (UUIDv7, RFC 9562).
    fn event_id(&self) -> EventId;
    /// Makes a store id.
    fn store_id(&self) -> StoreId;
    /// Makes 16 bytes that nobody can guess.
    fn salt(&self) -> [u8; 16];
    /// Makes 32 bytes for a secret key.
    fn secret(&self) -> [u8; 32] {
        // A salt has 122 random bits, three have more than the 256 needed.
        let mut hasher = blake3::Hasher::new_derive_key("annals secret key v1");
        for _ in 0..3 {
            hasher.update(&self.salt());
        }
        hasher.finalize().into()
    }
}

/// The machine's clock and random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "this is the module that the ban points to")]
    fn now(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()),
            Err(before) => i64::try_from(before.duration().as_micros()).map(|micros| -micros),
        };
        Timestamp(micros.unwrap_or(i64::MAX))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the module that the ban points to")]
impl IdSource for System {
    fn event_id(&self) -> EventId {
        EventId::from_uuid(Uuid::now_v7())
    }

    fn store_id(&self) -> StoreId {
        StoreId::from_uuid(Uuid::new_v4())
    }

    fn salt(&self) -> [u8; 16] {
        // Version and variant take 6 bits; 122 random bits are far beyond guessing.
        *Uuid::new_v4().as_bytes()
    }
}

/// A clock that stands still until it is moved; for tests and simulations.
#[derive(Debug, Default)]
pub struct Manual {
    now: AtomicI64,
    made: AtomicU64,
}

impl Manual {
    /// Starts at a moment.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self { now: AtomicI64::new(now.0), made: AtomicU64::new(0) }
    }

    /// Moves to a moment, which may be earlier.
    pub fn set(&self, now: Timestamp) {
        self.now.store(now.0, Ordering::SeqCst);
    }

    fn next(&self) -> u128 {
        u128::from(self.made.fetch_add(1, Ordering::SeqCst)) + 1
    }
}

impl Clock for Manual {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }
}

impl IdSource for Manual {
    fn event_id(&self) -> EventId {
        EventId::from_uuid(Uuid::from_u128(self.next()))
    }

    fn store_id(&self) -> StoreId {
        StoreId::from_uuid(Uuid::from_u128(self.next()))
    }

    fn salt(&self) -> [u8; 16] {
        self.next().to_be_bytes()
    }
}

/// Measures elapsed time, for logs and benches.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the module that the ban points to")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Gives the time since the start.
    #[must_use]
    pub fn elapsed(&self) -> std::time::Duration {
        self.0.elapsed()
    }
}
