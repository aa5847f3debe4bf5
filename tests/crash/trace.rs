//! What the shim recorded: every call that changed a file, in order, with its bytes and its outcome.

use std::path::Path;

/// What a call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A process began.
    Start,
    /// A file was made.
    Create,
    /// Bytes were written at an offset.
    Write,
    /// A file got a new length, the offset.
    Truncate,
    /// A file or directory was synced.
    Sync,
    /// `sync_file_range`: a promise of nothing.
    Range,
    /// A file got another name, the data.
    Rename,
    /// A file was removed.
    Unlink,
    /// A directory was made.
    Mkdir,
    /// A directory was removed.
    Rmdir,
    /// A file was extended to the offset.
    Extend,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    pub kind: Kind,
    /// Whether the shim met it with a fault.
    pub injected: bool,
    /// The file, relative to the watched directory; "." is that directory.
    pub path: String,
    /// The errno that the program saw, or 0.
    pub error: i32,
    pub offset: u64,
    pub data: Vec<u8>,
    /// Length of the trace after this call: what an answer that came later was preceded by.
    pub end: u64,
}

const HEAD_BYTES: usize = 24;

/// Reads a trace.
pub fn read(path: &Path) -> Vec<Call> {
    let bytes = std::fs::read(path).unwrap();
    let mut calls = Vec::new();
    let mut at = 0;
    // The last record may be cut short: SIGKILL also ends the write of it.
    while at + HEAD_BYTES <= bytes.len() {
        let head = &bytes[at..at + HEAD_BYTES];
        let number = |from: usize, len: usize| {
            let mut wide = [0; 8];
            wide[..len].copy_from_slice(&head[from..from + len]);
            u64::from_le_bytes(wide)
        };
        let (path_len, data_len) = (number(2, 2) as usize, number(16, 8) as usize);
        let path_end = at + HEAD_BYTES + path_len;
        let end = path_end + data_len;
        if end > bytes.len() {
            break;
        }
        let path = String::from_utf8(bytes[at + HEAD_BYTES..path_end].to_vec()).unwrap();
        calls.push(Call {
            kind: kind(head[0], &path),
            injected: head[1] != 0,
            error: number(4, 4) as i32,
            offset: number(8, 8),
            data: bytes[path_end..end].to_vec(),
            end: end as u64,
            path,
        });
        at = end;
    }
    calls
}

/// The numbers of shim.c.
fn kind(number: u8, path: &str) -> Kind {
    match number {
        1 => Kind::Start,
        2 => Kind::Create,
        3 => Kind::Write,
        4 => Kind::Truncate,
        5 | 6 => Kind::Sync,
        7 => Kind::Range,
        8 => Kind::Rename,
        9 => Kind::Unlink,
        10 => Kind::Mkdir,
        11 => Kind::Rmdir,
        12 => Kind::Extend,
        _ => panic!("a call on {path} that the replay does not know: {number}"),
    }
}

/// A small generator with a seed: what is chosen at random can be chosen again.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}
