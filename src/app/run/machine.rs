//! What the machine says of this process, and of its disk.

use std::path::Path;

/// How much memory is resident, as Linux counts it; 0 where it does not say.
pub(super) fn resident_bytes() -> u64 {
    const KIB: u64 = 1024;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or_default() * KIB
}

/// What is free for us on the disk of a folder, or of the next one above it that is there.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    let found = folder.ancestors().find_map(|folder| nix::sys::statvfs::statvfs(folder).ok())?;
    // What is no disk has no blocks at all.
    (found.blocks() > 0).then(|| found.blocks_available().saturating_mul(found.fragment_size()))
}
