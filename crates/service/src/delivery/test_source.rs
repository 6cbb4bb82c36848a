//! The source of test work: offers what a file lists, once for each start of the process.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::Sender;
use log::{error, info};

use mcr_core::delivery::scheduler::Event;
use mcr_core::work::TestWork;

/// Names a file with test work, one JSON object for each line.
pub const WORK_FILE: &str = "MCR_TEST_KIND_WORK";

/// Offers all work of the file.
pub(super) fn run(inbox: &Sender<Event>) {
    let Some(path) = std::env::var_os(WORK_FILE) else { return };
    match read(Path::new(&path)) {
        Ok(found) => {
            info!("test work to offer: {}", found.len());
            for test in found {
                if inbox.send(Event::Offered(Arc::new(test.into()))).is_err() {
                    return;
                }
            }
        }
        Err(why) => error!("test work cannot be read: {why}"),
    }
}

fn read(path: &Path) -> Result<Vec<TestWork>, String> {
    let text = fs::read_to_string(path).map_err(|why| why.to_string())?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|why| why.to_string())).collect()
}
