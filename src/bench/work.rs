//! What is done in a cell.

use std::fmt;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Records written and synced.
    Sync {
        /// Records a sync.
        batch: usize,
    },
    /// Events folded into the index.
    Fold {
        /// Whether a question still looks at what each batch is folded into.
        looked_at: bool,
    },
    /// Events appended.
    Append(Load),
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
            Self::Fold { looked_at: false } => f.write_str("fold"),
            Self::Fold { looked_at: true } => f.write_str("fold, looked at"),
            Self::Append(load) => write!(f, "append {load}"),
            Self::ReadAll => f.write_str("read all"),
            Self::ReadRare => f.write_str("read rare tag"),
            Self::Subscribe => f.write_str("subscribe at 200/s"),
        }
    }
}

/// How events are appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// By which call, and how many at once.
    pub via: Via,
    /// Events a request.
    pub batch: usize,
    /// What each request asks to hold.
    pub condition: Condition,
    /// What else the server does meanwhile.
    pub beside: Beside,
}

/// By which call events are appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A call a request.
    Unary {
        /// Each has a connection of its own and one request under way.
        clients: usize,
    },
    /// One call for all requests, of one client.
    Stream {
        /// Requests under way: the next is sent when one is answered.
        in_flight: usize,
    },
}

/// What a request asks to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Nothing,
    /// Its stream has the revision that the client left it at, or is empty.
    Stream,
    /// No event came to its stream since the last position that the client knows.
    NoneSince,
}

/// What else a server does while events are appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// It sends each event to one of so many subscribers, each of whom follows streams of its own.
    Busy(usize),
    /// It evaluates each event for so many subscribers, who wait for what never comes.
    Idle(usize),
    /// It holds events already, and so many readers read all there is, again and again.
    Stored {
        /// How many; the store alone where there are none.
        readers: usize,
    },
}

impl Load {
    /// Appends by calls of their own.
    #[must_use]
    pub const fn unary(clients: usize, batch: usize) -> Self {
        Self { via: Via::Unary { clients }, batch, condition: Condition::Nothing, beside: Beside::Nothing }
    }

    /// Appends single events by one call.
    #[must_use]
    pub const fn stream(in_flight: usize) -> Self {
        Self { via: Via::Stream { in_flight }, ..Self::unary(0, 1) }
    }

    /// Puts a condition on each request.
    #[must_use]
    pub const fn on(self, condition: Condition) -> Self {
        Self { condition, ..self }
    }

    /// Gives the server something else to do.
    #[must_use]
    pub const fn beside(self, beside: Beside) -> Self {
        Self { beside, ..self }
    }

    /// Gives the same load without what sets it apart: first what goes on beside it, then its condition.
    #[must_use]
    pub fn plainer(self) -> Option<Self> {
        match (self.beside, self.condition) {
            (Beside::Stored { readers: 1.. }, _) => Some(self.beside(Beside::Stored { readers: 0 })),
            (Beside::Busy(_) | Beside::Idle(_) | Beside::Stored { readers: 0 }, _) => {
                Some(self.beside(Beside::Nothing))
            }
            (Beside::Nothing, Condition::Stream | Condition::NoneSince) => Some(self.on(Condition::Nothing)),
            (Beside::Nothing, Condition::Nothing) => None,
        }
    }

    /// Gives what appends as many events at once by calls of their own.
    #[must_use]
    pub const fn as_calls(self) -> Option<Self> {
        match self.via {
            Via::Stream { in_flight } => Some(Self { via: Via::Unary { clients: in_flight }, ..self }),
            Via::Unary { .. } => None,
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.via {
            Via::Unary { clients } => write!(f, "{} × {}", self.batch, many(clients, "client"))?,
            Via::Stream { in_flight } => write!(f, "{} × {in_flight} on a stream", self.batch)?,
        }
        f.write_str(match self.condition {
            Condition::Nothing => "",
            Condition::Stream => ", stream condition",
            Condition::NoneSince => ", none_since",
        })?;
        match self.beside {
            Beside::Nothing => Ok(()),
            Beside::Busy(count) => write!(f, ", {}", many(count, "busy subscriber")),
            Beside::Idle(count) => write!(f, ", {}", many(count, "idle subscriber")),
            Beside::Stored { readers: 0 } => f.write_str(", filled store"),
            Beside::Stored { readers } => write!(f, ", filled store, {}", many(readers, "reader")),
        }
    }
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
