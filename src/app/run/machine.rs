//! The memory of this process and the free disk space.

use std::path::Path;

/// The resident memory, as Linux counts it. 0 where it is not known.
pub(super) fn resident_bytes() -> u64 {
    const KIB: u64 = 1024;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or_default() * KIB
}

/// The free space on the disk of a folder, or of its nearest existing parent.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    let found = folder.ancestors().find_map(|folder| nix::sys::statvfs::statvfs(folder).ok())?;
    // A virtual file system has no blocks at all.
    (found.blocks() > 0).then(|| found.blocks_available().saturating_mul(found.fragment_size()))
}
