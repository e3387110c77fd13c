//! The most memory that this process held since a moment, where the system says
//! so (Linux).

/// Begins to measure.
pub(crate) fn begin() {
    // Where it can't be reset there is nothing to tell; `most` then says so.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Most bytes held since [`begin`], or none where that isn't known.
pub(crate) fn most() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}
