//! Cells: what is measured, of what, with what, beside what.

use std::fmt;

use super::work::{Beside, Condition, Load, Via, Work};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file.
    Raw,
    /// The functions that decode, check, digest and answer an append, on as many threads as there are cores, without
    /// transport and log.
    Codec,
    /// The index in memory, on one thread.
    Index,
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
            Self::Codec => "codec",
            Self::Index => "index",
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

impl Shape {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Smallest, Self::Realistic];
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Smallest => "smallest",
            Self::Realistic => "realistic",
        })
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

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.target, self.shape, self.work)
    }
}

/// A cell that another is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// What the ratio is called.
    pub name: String,
    /// Which cell.
    pub cell: Cell,
}

/// Load that the codec alone is a limit of.
const CODED: Load = Load::unary(16, 100);

impl Cell {
    /// Lists the cells that this one is compared with; each differs in one thing, which gives the ratio its name.
    #[must_use]
    pub fn bases(self) -> Vec<Base> {
        let of = |target: Target| Base { name: target.to_string(), cell: Self { target, ..self } };
        match (self.target, self.work) {
            (Target::Annals, Work::Append(load)) => self.bases_of_append(load),
            (Target::Annals, Work::ReadAll | Work::ReadRare) => vec![of(Target::Null)],
            (Target::Null, Work::Append(_)) => vec![of(Target::NullLog)],
            (Target::Index, Work::Fold { looked_at: true }) => {
                let cell = Self { work: Work::Fold { looked_at: false }, ..self };
                vec![Base { name: "plain".to_owned(), cell }]
            }
            (Target::Annals | Target::Null, _)
            | (Target::Raw | Target::Codec | Target::Index | Target::NullLog | Target::NullPrealloc, _) => {
                Vec::new()
            }
        }
    }

    fn bases_of_append(self, load: Load) -> Vec<Base> {
        let mut bases = Vec::new();
        let mut add = |name: &str, target, load| {
            let cell = Self { target, work: Work::Append(load), ..self };
            bases.push(Base { name: name.to_owned(), cell });
        };
        // What goes on beside an append is the server's own affair: a null server does nothing of the kind.
        if load.beside == Beside::Nothing {
            add("null-log", Target::NullLog, load);
        }
        if load.plainer().is_none() && matches!(load.via, Via::Unary { .. }) {
            add("prealloc", Target::NullPrealloc, load);
        }
        if load == CODED {
            add("codec", Target::Codec, load);
        }
        if let Some(calls) = load.as_calls() {
            add("unary", Target::Annals, calls);
        }
        if let Some(plain) = load.plainer() {
            add("plain", Target::Annals, plain);
        }
        bases
    }
}

/// How many subscribers there are beside appends.
#[derive(Clone, Debug)]
pub struct Subscribers {
    /// Each of whom gets a share of the events; at most 1,000.
    pub busy: Vec<usize>,
    /// Who get nothing.
    pub idle: Vec<usize>,
}

const RAW_BATCHES: [usize; 4] = [1, 16, 100, 1_000];
const SERVERS: [Target; 4] = [Target::Null, Target::NullLog, Target::NullPrealloc, Target::Annals];
/// Clients and events a request.
const CALLS: [(usize, usize); 11] = [
    (1, 1),
    (4, 1),
    (16, 1),
    (64, 1),
    (256, 1),
    (1, 10),
    (16, 10),
    (1, 100),
    (16, 100),
    (1, 1_000),
    (16, 1_000),
];
/// Those of them that are measured with a condition on the stream, and with one on what came since.
const ON_STREAM: [(usize, usize); 5] = [(1, 1), (16, 1), (64, 1), (1, 100), (16, 100)];
const ON_NONE_SINCE: [(usize, usize); 2] = [(1, 1), (16, 1)];
/// Those of them that are measured on a stream, too, with as many events under way.
const STREAMED: [(usize, usize); 4] = [(1, 1), (16, 1), (64, 1), (256, 1)];
/// That of them that is measured while the server does something else.
const ACCOMPANIED: (usize, usize) = (16, 1);
const READERS: usize = 4;

/// Lists the cells in blocks; a block holds cells that are compared with each other, and are measured one after the
/// other.
#[must_use]
pub fn blocks(subscribers: &Subscribers) -> Vec<Vec<Cell>> {
    let mut blocks = Vec::new();
    for shape in Shape::ALL {
        let on = |targets: &[Target], work| -> Vec<Cell> {
            targets.iter().map(|target| Cell { target: *target, shape, work }).collect()
        };
        for batch in RAW_BATCHES {
            blocks.push(on(&[Target::Raw], Work::Sync { batch }));
        }
        blocks.push(
            [false, true]
                .into_iter()
                .flat_map(|looked_at| on(&[Target::Index], Work::Fold { looked_at }))
                .collect(),
        );
        for calls in CALLS {
            let loads = appends(calls, subscribers).into_iter();
            blocks.push(loads.flat_map(|(targets, load)| on(&targets, Work::Append(load))).collect());
        }
        for work in [Work::ReadAll, Work::ReadRare] {
            blocks.push(on(&[Target::Null, Target::Annals], work));
        }
        blocks.push(on(&[Target::Null, Target::NullLog, Target::Annals], Work::Subscribe));
    }
    blocks
}

/// Lists what is appended in one block, and to what.
fn appends(calls: (usize, usize), subscribers: &Subscribers) -> Vec<(Vec<Target>, Load)> {
    let plain = Load::unary(calls.0, calls.1);
    let mut loads = Vec::new();
    if plain == CODED {
        loads.push((vec![Target::Codec], plain));
    }
    loads.push((SERVERS.to_vec(), plain));
    let conditional = vec![Target::NullLog, Target::Annals];
    if ON_STREAM.contains(&calls) {
        loads.push((conditional.clone(), plain.on(Condition::Stream)));
    }
    if ON_NONE_SINCE.contains(&calls) {
        loads.push((conditional, plain.on(Condition::NoneSince)));
    }
    if STREAMED.contains(&calls) {
        loads.push((vec![Target::Null, Target::NullLog, Target::Annals], Load::stream(calls.0)));
    }
    if calls == ACCOMPANIED {
        let busy = subscribers.busy.iter().map(|count| Beside::Busy(*count));
        let idle = subscribers.idle.iter().map(|count| Beside::Idle(*count));
        let readers = [0, READERS].map(|readers| Beside::Stored { readers });
        for beside in busy.chain(idle).chain(readers) {
            loads.push((vec![Target::Annals], plain.beside(beside)));
        }
    }
    loads
}

/// Keeps the cells whose line contains a text, and those that they are compared with; blocks without any are dropped.
#[must_use]
pub fn only(blocks: Vec<Vec<Cell>>, text: &str) -> Vec<Vec<Cell>> {
    // A multiplication sign is hard to type.
    let plain = |text: &str| text.replace('×', "x");
    let text = plain(text);
    let named = |cell: &Cell| plain(&cell.to_string()).contains(&text);
    let keep = |block: Vec<Cell>| -> Vec<Cell> {
        let bases: Vec<_> = block.iter().filter(|cell| named(cell)).flat_map(|cell| cell.bases()).collect();
        let compared = |cell: &Cell| bases.iter().any(|base| base.cell == *cell);
        block.into_iter().filter(|cell| named(cell) || compared(cell)).collect()
    };
    blocks.into_iter().map(keep).filter(|block| !block.is_empty()).collect()
}
