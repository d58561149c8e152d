//! The memory of this process, as far as the system tells.

/// Bytes that this process holds; 0 where the system does not say.
pub fn in_use() -> usize {
    status("VmRSS:")
}

/// The most that it ever held.
pub fn peak() -> usize {
    status("VmHWM:")
}

fn status(key: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kilobytes.unwrap_or(0) * 1024
}
