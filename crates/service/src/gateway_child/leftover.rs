//! The gateway of an earlier runtime, where this runtime is not to run one.

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, thread};

use log::{info, warn};
use nix::sys::signal::Signal;

use super::THREAD;
use super::process::GatewayProcess;
use super::record::ChildRecord;
use mcr_core::gateway_child::KILL_AGAIN;
use mcr_files::Folder;
use mcr_http::panics::Panics;

/// Ends the process that an earlier runtime has noted, on a thread of its own. The gateway may finish its turns within
/// `drain`. If this runtime ends before, the record is left for the next one.
pub fn end_leftover(folder: &Arc<Folder>, drain: Duration, panics: Panics) -> io::Result<()> {
    let Some(record) = ChildRecord::read(folder) else { return Ok(()) };
    let folder = folder.clone();
    let process = GatewayProcess::adopted(record.identity());
    let end = move || {
        // The record of a process that was not ended is left for the next runtime.
        let _ = panics.catch(THREAD, || end(&process, &folder, drain));
    };
    thread::Builder::new().name(THREAD.to_owned()).spawn(end).map(drop)
}

fn end(process: &GatewayProcess, folder: &Folder, drain: Duration) {
    let pid = process.identity.pid;
    if process.identity.runs() {
        info!(pid; "The gateway of an earlier runtime is asked to end, because OPENCLAW_COMMAND is not set");
        process.signal(Signal::SIGTERM);
        if !process.ends_until(Instant::now() + drain) {
            warn!(pid; "The gateway of an earlier runtime has not ended in time and is killed");
            process.signal(Signal::SIGKILL);
            while !process.ends_until(Instant::now() + KILL_AGAIN) {
                process.signal(Signal::SIGKILL);
            }
        }
        info!(pid; "The gateway of an earlier runtime has ended");
    }
    ChildRecord::remove(folder);
}
