//! The source of test work. At each start of the process it offers the items of a file, except those with a confirmed
//! end.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::Sender;
use log::{error, info};

use mcr_core::delivery::scheduler::Event;
use mcr_core::work::{TestWork, WorkId};

/// The variable with the path of a file of test work: one JSON object per line.
pub const WORK_FILE: &str = "MCR_TEST_KIND_WORK";

/// The file with the ids of confirmed ends, one per line.
fn ended(file: &Path) -> PathBuf {
    file.with_extension("ended")
}

/// Confirms the end of an item: the next process does not offer it. Without a file there is nothing to confirm.
pub(super) fn confirm(id: &WorkId) -> io::Result<()> {
    let Some(file) = std::env::var_os(WORK_FILE) else { return Ok(()) };
    let mut ended = OpenOptions::new().append(true).create(true).open(ended(Path::new(&file)))?;
    ended.write_all(format!("{id}\n").as_bytes())
}

/// Offers the items of the file.
pub(super) fn run(inbox: &Sender<Event>) {
    let Some(path) = std::env::var_os(WORK_FILE) else { return };
    match read(Path::new(&path)) {
        Ok(found) => {
            info!(items = found.len(); "Test work offered");
            for test in found {
                if inbox.send(Event::Offered(Arc::new(test.into()))).is_err() {
                    return;
                }
            }
        }
        Err(why) => error!(reason = why.as_str(); "Test work cannot be read"),
    }
}

fn read(path: &Path) -> Result<Vec<TestWork>, String> {
    let text = fs::read_to_string(path).map_err(|why| why.to_string())?;
    let ended = match fs::read_to_string(ended(path)) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why.to_string()),
        read => read.unwrap_or_default(),
    };
    let ended: HashSet<&str> = ended.lines().collect();
    let listed = text.lines().map(|line| serde_json::from_str(line).map_err(|why| why.to_string()));
    let is_open = |found: &Result<TestWork, String>| {
        found.as_ref().map_or(true, |test| !ended.contains(test.id.as_str()))
    };
    listed.filter(is_open).collect()
}
