//! Deliberate faults, to prove that the crash suite finds them.
//!
//! Without the feature `seeded-bugs`, which only the tests of this crate turn on, every question is answered with a
//! constant and the hooks vanish. With it, the environment variable `ANNALS_SEEDED_BUG` names one fault.

/// A deliberate fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Answers before the commit.
    AckBeforeFlush,
    /// Shows the head before the commit.
    PublishHeadBeforeFlush,
    /// Takes a frame whose checksum is wrong.
    SkipFrameChecksum,
    /// Folds the last event twice when the log is opened.
    FoldTwiceAfterRecovery,
    /// Does not index the ids of the last frame when the log is opened.
    ForgetIdsOfLastFrame,
    /// Takes a failed sync for a good one.
    ContinueAfterFailedSync,
    /// Syncs again after a failed sync, and believes the second.
    SyncTwice,
    /// Trusts what the kernel shows after a failed sync, when the store is opened again.
    TrustCacheAfterFailedSync,
    /// Leaves it at the `sync_file_range` of the store below.
    RangeSyncOnly,
    /// Writes the frames of a commit one by one.
    FramesOneByOne,
    /// Moves the watermark before the commit is durable.
    WatermarkBeforeSync,
    /// Records a retry again.
    RetryNotRecognised,
}

#[cfg(feature = "seeded-bugs")]
impl Bug {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::AckBeforeFlush,
        Self::PublishHeadBeforeFlush,
        Self::SkipFrameChecksum,
        Self::FoldTwiceAfterRecovery,
        Self::ForgetIdsOfLastFrame,
        Self::ContinueAfterFailedSync,
        Self::SyncTwice,
        Self::TrustCacheAfterFailedSync,
        Self::RangeSyncOnly,
        Self::FramesOneByOne,
        Self::WatermarkBeforeSync,
        Self::RetryNotRecognised,
    ];

    /// Gives the name that the variable has to have.
    #[must_use]
    pub fn name(self) -> String {
        format!("{self:?}")
    }
}

/// Says whether a fault is on.
#[cfg(feature = "seeded-bugs")]
#[must_use]
pub fn on(bug: Bug) -> bool {
    static ACTIVE: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let active = ACTIVE.get_or_init(|| std::env::var("ANNALS_SEEDED_BUG").ok());
    active.as_deref().is_some_and(|active| active == bug.name())
}

/// Says whether a fault is on: never.
#[cfg(not(feature = "seeded-bugs"))]
#[must_use]
#[inline(always)]
pub const fn on(_: Bug) -> bool {
    false
}
