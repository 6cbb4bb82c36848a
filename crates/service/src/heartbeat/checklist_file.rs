//! Reads the operator's checklist (`HEARTBEAT_CHECKLIST`).

use std::path::Path;

/// The largest checklist file that is read.
const BYTES_MAX: u64 = 64 * 1024;

/// The text of the checklist, or why it cannot be used.
pub fn read(path: &Path) -> Result<String, String> {
    let found = std::fs::metadata(path).map_err(|why| why.to_string())?;
    if !found.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let bytes = found.len();
    if bytes > BYTES_MAX {
        return Err(format!("it has {bytes} bytes; at most {BYTES_MAX} are read"));
    }
    let text = std::fs::read_to_string(path).map_err(|why| why.to_string())?;
    if text.trim().is_empty() { Err("it is empty".to_owned()) } else { Ok(text) }
}
