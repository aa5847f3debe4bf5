//! Writes what a long run did, as Markdown.

use std::fmt::Write as _;
use std::process::Command;

use crate::cycles::Tally;
use crate::hunt::Caught;
use crate::opening::Opening;

/// What is not shown by any of it.
const NOT_COVERED: &str = "\
- Real hardware: that a disk keeps what it said was synced. Disks that lie about their cache lose acknowledged events.
- File systems below POSIX: the replay knows only what POSIX promises, so it is stricter than ext4 or XFS with one
  exception: it keeps the order of names that were not synced.
- Calls that the shim does not see: io_uring, direct system calls, `splice`, asynchronous I/O. Shared writable mappings,
  `copy_file_range`, `sendfile` and links are marked in the trace and end a replay; the store uses none of them. A test
  compares the files with a replay of the whole trace, byte for byte.
- Faults on reading: EIO on `read` is not injected. Damaged bytes are: bits are flipped in stored frames, past the
  checksums of the store below.
- Sealed segments: the runs are short, and no segment of 65,536 events is sealed in them. Its file is derived and may be
  deleted.
- Two faults at once, memory that flips bits, and clocks that jump.
";

/// Everything that a long run found out.
#[derive(Default)]
pub struct Report {
    pub seed: u64,
    pub seconds: u64,
    pub tally: Tally,
    pub caught: Vec<Caught>,
    pub storms: Vec<String>,
    pub openings: Vec<Opening>,
    pub opened_events: u64,
    pub opened_bytes: u64,
}

impl Report {
    /// Gives the text.
    pub fn text(&self) -> String {
        let mut text = String::from("# Torture report\n\n");
        text.push_str(
            "Written by `cargo test --test torture -- --report docs/torture.md`; what it does is told in \
             `tests/crash/`.\n\n",
        );
        writeln!(text, "- machine: {}", machine()).unwrap();
        writeln!(text, "- first seed: {}", self.seed).unwrap();
        let tally = &self.tally;
        writeln!(
            text,
            "- fault cycles: {} in {} s; {} events checked, {} appends tried again",
            tally.total(),
            self.seconds,
            tally.events_checked,
            tally.retries
        )
        .unwrap();
        writeln!(text, "- **broken promises: {}**\n", tally.violations.len()).unwrap();
        for found in &tally.violations {
            writeln!(text, "  - {}: {}", found.kind, found.text.replace('\n', " ")).unwrap();
        }
        text.push_str(
            "## Cycles by fault\n\n| fault in the calls of the server | then | cycles |\n|---|---|---:|\n",
        );
        for (kind, count) in &tally.cycles {
            let (fault, then) = kind.split_once("; ").unwrap_or((kind, "read again"));
            writeln!(text, "| {fault} | {then} | {count} |").unwrap();
        }
        text.push_str("\n## Deliberate faults\n\nEach was on alone; a cycle is one fault and one check.\n\n");
        text.push_str(
            "| deliberate fault | caught by | after cycles | broken promise |\n|---|---|---:|---|\n",
        );
        for Caught { bug, kind, cycles, promise } in &self.caught {
            let promise: String = promise.replace('|', "/").chars().take(110).collect();
            writeln!(text, "| `{bug}` | {kind} | {cycles} | {promise} |").unwrap();
        }
        text.push_str("\n## Storms\n\n");
        self.storms.iter().for_each(|storm| writeln!(text, "- {storm}").unwrap());
        if !self.openings.is_empty() {
            self.openings(&mut text);
        }
        write!(text, "\n## What is not covered\n\n{NOT_COVERED}").unwrap();
        text
    }

    fn openings(&self, text: &mut String) {
        let (events, mib) = (self.opened_events, self.opened_bytes >> 20);
        writeln!(text, "\n## Opening after SIGKILL with {events} events\n").unwrap();
        writeln!(text, "{mib} MiB in the data directory, on disk, in the page cache; events of some hundred bytes that compress well.\n").unwrap();
        text.push_str("| opening | seconds until it serves | of which, in ms |\n|---|---:|---|\n");
        for Opening { what, seconds, phases } in &self.openings {
            let phases: Vec<String> = phases.iter().map(|(phase, ms)| format!("{phase} {ms}")).collect();
            writeln!(text, "| {what} | {seconds:.2} | {} |", phases.join("; ")).unwrap();
        }
    }
}

/// What kind of machine this is.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel: String = kernel.trim().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let system = |path: &str| {
        let output = Command::new("stat").args(["-f", "-c", "%T", path]).output();
        output.map_or_else(
            |_| "?".to_owned(),
            |output| String::from_utf8_lossy(&output.stdout).trim().replace("ext2/ext3", "ext4"),
        )
    };
    let images = if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" };
    let (images, disk) = (system(images), system(env!("CARGO_TARGET_TMPDIR")));
    let profile =
        if cfg!(debug_assertions) { "dev profile (opt-level 1, with assertions)" } else { "release" };
    format!("{cores} vCPU, Linux {kernel}, runs and images on {images}, openings on {disk}; {profile}")
}
