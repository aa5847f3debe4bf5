//! Cells: what is measured, of what, with what.

use std::fmt;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file.
    Raw,
    /// A server that decodes and answers, and stores nothing.
    Null,
    /// The same, that makes the bytes of each request durable in one file before it answers.
    NullLog,
    /// The same, with a file whose blocks were written before: a sync then waits for the data alone, and not for the
    /// file system's journal, in which the writes of neighbours stand too.
    NullPrealloc,
    /// The server under test.
    Annals,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Raw => "raw file",
            Self::Null => "null",
            Self::NullLog => "null-log",
            Self::NullPrealloc => "null-prealloc",
            Self::Annals => "annals",
        })
    }
}

/// Which events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The smallest that the server takes.
    Smallest,
    /// All kinds, as they stand in the example.
    Realistic,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Smallest => "smallest",
            Self::Realistic => "realistic",
        })
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Records written and synced.
    Sync {
        /// Records a sync.
        batch: usize,
    },
    /// Events appended, each client on its own connection with one request under way.
    Append {
        /// How many clients.
        clients: usize,
        /// Events a request.
        batch: usize,
        /// Whether each request expects a revision of its stream.
        conditional: bool,
    },
    /// Everything read, again and again, by one reader.
    ReadAll,
    /// What has a rare tag read, again and again, by one reader.
    ReadRare,
    /// Events appended at a steady pace and followed by one subscriber.
    Subscribe,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sync { batch } => write!(f, "sync every {batch}"),
            Self::Append { clients, batch, conditional } => {
                let plural = if *clients == 1 { "" } else { "s" };
                let condition = if *conditional { ", stream condition" } else { "" };
                write!(f, "append {batch} × {clients} client{plural}{condition}")
            }
            Self::ReadAll => f.write_str("read all"),
            Self::ReadRare => f.write_str("read rare tag"),
            Self::Subscribe => f.write_str("subscribe at 200/s"),
        }
    }
}

/// One measurement of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Of what.
    pub target: Target,
    /// With which events.
    pub shape: Shape,
    /// Doing what.
    pub work: Work,
}

impl Cell {
    /// Gives the cell that limits this one.
    #[must_use]
    pub fn limit(self) -> Option<Self> {
        let target = match (self.target, self.work) {
            (Target::Annals | Target::Null, Work::Append { .. }) => Target::NullLog,
            (Target::Annals, Work::ReadAll | Work::ReadRare) => Target::Null,
            (Target::Raw | Target::NullLog | Target::NullPrealloc | Target::Null | Target::Annals, _) => {
                return None;
            }
        };
        Some(Self { target, ..self })
    }

    /// Gives the cell that shows what a file that is there before it is written would allow.
    #[must_use]
    pub fn ceiling(self) -> Option<Self> {
        match self.work {
            Work::Append { conditional: false, .. } if self.target == Target::Annals => {
                Some(Self { target: Target::NullPrealloc, ..self })
            }
            Work::Append { .. } | Work::Sync { .. } | Work::ReadAll | Work::ReadRare | Work::Subscribe => {
                None
            }
        }
    }

    /// Gives the same cell without its condition.
    #[must_use]
    pub fn unconditional(self) -> Option<Self> {
        match self.work {
            Work::Append { clients, batch, conditional: true } if self.target == Target::Annals => {
                Some(Self { work: Work::Append { clients, batch, conditional: false }, ..self })
            }
            Work::Append { .. } | Work::Sync { .. } | Work::ReadAll | Work::ReadRare | Work::Subscribe => {
                None
            }
        }
    }
}

const CLIENTS_AND_BATCHES: [(usize, usize); 5] = [(1, 1), (16, 1), (64, 1), (1, 100), (16, 100)];
const RAW_BATCHES: [usize; 4] = [1, 16, 100, 1_000];

/// Lists the cells in blocks; the cells of a block differ only in their target and are measured one after the other.
#[must_use]
pub fn blocks() -> Vec<Vec<Cell>> {
    let mut blocks = Vec::new();
    for shape in [Shape::Smallest, Shape::Realistic] {
        let mut block = |targets: &[Target], work| {
            blocks.push(targets.iter().map(|target| Cell { target: *target, shape, work }).collect());
        };
        for batch in RAW_BATCHES {
            block(&[Target::Raw], Work::Sync { batch });
        }
        for (clients, batch) in CLIENTS_AND_BATCHES {
            let work = |conditional| Work::Append { clients, batch, conditional };
            block(&[Target::Null, Target::NullLog, Target::NullPrealloc, Target::Annals], work(false));
            block(&[Target::NullLog, Target::Annals], work(true));
        }
        for work in [Work::ReadAll, Work::ReadRare] {
            block(&[Target::Null, Target::Annals], work);
        }
        block(&[Target::Null, Target::NullLog, Target::Annals], Work::Subscribe);
    }
    blocks
}
