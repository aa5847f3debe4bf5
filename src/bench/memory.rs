//! What the process holds in memory: server, clients and bench together, as they share it.

/// Gives the resident bytes of the process; nothing where the system does not say.
#[must_use]
pub fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    // proc_pid_status(5): always in kB, which are of 1,024 bytes.
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}
