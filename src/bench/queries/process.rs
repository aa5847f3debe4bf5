//! What the system says of another process: memory, processor time, bytes read from the disk; and of the processors.
//!
//! All of it is nothing where the system has no `/proc` (Linux, proc(5)).

use std::time::Duration;

/// Ticks a second in which `/proc` counts processor time, on every Linux (`USER_HZ`).
const TICKS: u64 = 100;
/// Place of the time in user mode behind the name of the program, which ends with `)`; that in the kernel follows.
const USER_TIME: usize = 11;
/// Place of the stolen time in the counters of a processor.
const STOLEN: usize = 7;

/// The memory of a process, in bytes, and its threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All that is resident.
    pub resident: u64,
    /// Of it, what is the process's own and cannot be given back.
    pub anonymous: u64,
    /// Of it, pages of files, which the system takes back when it needs them.
    pub file: u64,
    /// The most that was ever resident.
    pub peak: u64,
    /// Threads: each holds memory of its own.
    pub threads: u64,
}

/// Gives the memory of a process.
#[must_use]
pub fn memory(pid: u32) -> Option<Memory> {
    memory_of(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn memory_of(status: &str) -> Option<Memory> {
    let value = |name: &str| {
        let rest = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        rest.map(str::trim)
    };
    let bytes = |name: &str| value(name)?.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024);
    Some(Memory {
        resident: bytes("VmRSS")?,
        anonymous: bytes("RssAnon")?,
        file: bytes("RssFile")?,
        peak: bytes("VmHWM")?,
        threads: value("Threads")?.parse().ok()?,
    })
}

/// Gives the processor time that a process has used, on all cores together.
#[must_use]
pub fn cpu(pid: u32) -> Option<Duration> {
    cpu_of(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn cpu_of(stat: &str) -> Option<Duration> {
    // The name of the program may hold anything, blanks and brackets too.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: Vec<u64> =
        fields.split(' ').skip(USER_TIME).take(2).filter_map(|field| field.parse().ok()).collect();
    let [user, kernel] = ticks.as_slice() else { return None };
    Some(Duration::from_millis((user + kernel).checked_mul(1_000 / TICKS)?))
}

/// Processor time of all cores together since the system started, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processor {
    all: u64,
    /// Of it, what the host of this machine gave to others while this one had work.
    stolen: u64,
}

impl Processor {
    /// Reads the counters.
    #[must_use]
    pub fn now() -> Option<Self> {
        Self::of(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    fn of(stat: &str) -> Option<Self> {
        let fields = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        // The time of guests behind these is counted in that of users already.
        let ticks: Vec<u64> =
            fields.split_whitespace().take(STOLEN + 1).map_while(|field| field.parse().ok()).collect();
        Some(Self { all: ticks.iter().sum(), stolen: *ticks.get(STOLEN)? })
    }

    /// Gives what was stolen since an earlier look, in hundredths of all; nothing when no time passed.
    #[must_use]
    pub fn stolen_percent(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|ticks| *ticks > 0)?;
        Some(self.stolen.saturating_sub(before.stolen) as f64 * 100.0 / all as f64)
    }
}

/// Gives the bytes that a process had the disk read.
#[must_use]
pub fn bytes_read(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("read_bytes:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_read() {
        let status = "Name:\tannals\nVmHWM:\t    4096 kB\nVmRSS:\t    2048 kB\nRssAnon:\t    1024 kB\n\
                      RssFile:\t    1000 kB\nRssShmem:\t       0 kB\n\
                      Threads:\t9\n";
        let kib = 1_024;
        let expected = Memory {
            resident: 2_048 * kib,
            anonymous: 1_024 * kib,
            file: 1_000 * kib,
            peak: 4_096 * kib,
            threads: 9,
        };
        assert_eq!(memory_of(status), Some(expected));
        assert_eq!(memory_of("Name:\tannals\n"), None);
    }

    #[test]
    fn stolen_time_is_told_of_what_passed_between() {
        let processor = |stat| Processor::of(stat).unwrap();
        let before = processor("cpu  100 0 0 100 0 0 0 10 50 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n");
        let after = processor("cpu  180 0 0 110 0 0 0 20 90 0\n");
        assert_eq!(after.stolen_percent(before), Some(10.0));
        assert_eq!(before.stolen_percent(before), None);
        assert_eq!(Processor::of("cpu  1 2 3"), None);
    }

    #[test]
    fn processor_time_is_read_behind_any_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 9 0 100 1 2";
        assert_eq!(cpu_of(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu_of("7 (annals"), None);
    }
}
