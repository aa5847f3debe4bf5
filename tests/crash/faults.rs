//! The kinds of faults, and the lives of a server under each.

use crate::trace::Random;
use crate::workload::{End, Phase};

/// A kind of fault in the calls of the server itself. Every run is also cut at many moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No call fails; the server stops well and starts again.
    None,
    /// The process is killed before a call, and started again.
    Kill,
    /// A sync fails with EIO; the server is started again on what the kernel still shows.
    Sync,
    /// `sync_file_range` fails with EIO.
    Range,
    /// A write fails with EIO.
    Write,
    /// A write is cut short, and then the disk is full.
    Short,
    /// The disk is full from some write on.
    Full,
    /// Faults while the store is opened.
    Opening,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::None,
        Self::Kill,
        Self::Sync,
        Self::Range,
        Self::Write,
        Self::Short,
        Self::Full,
        Self::Opening,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "no failing call",
            Self::Kill => "killed before a call",
            Self::Sync => "EIO on fsync or fdatasync",
            Self::Range => "EIO on sync_file_range",
            Self::Write => "EIO on write",
            Self::Short => "short write, then ENOSPC",
            Self::Full => "ENOSPC from a write on",
            Self::Opening => "faults while opening",
        }
    }

    /// The lives of the server: two or three, the last one without a fault.
    pub fn phases(self, random: &mut Random) -> Vec<Phase> {
        let writers = 1 + random.below(4);
        let answers = 20 + random.below(60) as usize;
        let clean =
            |answers| Phase { faults: String::new(), writers, answers, end: End::Stop, may_refuse: false };
        let faulty = |faults: String| Phase {
            faults,
            writers,
            // More than come before the fault does.
            answers: 400,
            end: if faults_end_it(self) { End::Kill } else { End::Stop },
            may_refuse: true,
        };
        // A commit is about three calls that are counted, an opening about fifty.
        let later = 20 + random.below(200);
        match self {
            Self::None => {
                vec![clean(answers), clean(answers / 2), Phase { end: End::Kill, ..clean(answers / 2) }]
            }
            Self::Kill => vec![
                faulty(format!("any:{}:kill", 1 + random.below(400))),
                faulty(format!("any:{}:kill", 1 + random.below(150))),
                clean(10),
            ],
            Self::Sync => vec![clean(5), faulty(format!("sync:{later}:eio@journal")), clean(answers)],
            Self::Range => {
                vec![clean(5), faulty(format!("range:{}:eio@journal", 1 + later / 2)), clean(answers)]
            }
            Self::Write => vec![clean(5), faulty(format!("write:{later}:eio@journal/")), clean(answers)],
            Self::Short => {
                vec![clean(5), faulty(format!("write:{later}:short:100000@journal/")), clean(answers)]
            }
            Self::Full => vec![clean(5), faulty(format!("write:{later}:enospc:100000")), clean(answers)],
            Self::Opening => {
                let op = ["sync", "write", "range", "any"][random.below(4) as usize];
                let action = match op {
                    "any" => "kill",
                    "write" => ["eio", "enospc", "short:2"][random.below(3) as usize],
                    _ => "eio",
                };
                let rule = |nth: u64| format!("{op}:{nth}:{action}");
                let first = rule(1 + random.below(30));
                let again = rule(1 + random.below(20));
                vec![faulty(first), clean(5), faulty(again), clean(10)]
            }
        }
    }
}

fn faults_end_it(kind: Kind) -> bool {
    kind == Kind::Kill
}
