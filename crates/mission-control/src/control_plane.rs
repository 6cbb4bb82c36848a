//! The thread that carries on what spans several calls: requests for machines, and upgrades of the fleet.
//!
//! It holds no state of its own. After a crash it continues from the rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use log::{error, warn};
use mcr_http::panics::Panics;

use super::engine::Engine;
use super::provisioning::ProvisionWorker;
use super::rules::rollout;
use super::store::{StoreError, Table, TableSet};

/// The longest wait without a change. It bounds the delay after a change of the clock.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The longest wait while an upgrade of the fleet runs: a runtime that is silent changes no row.
const WAIT_OF_ROLLOUT: Duration = Duration::from_secs(5);
/// The pause after a failure, so that a defect does not occupy a processor.
const REST: Duration = Duration::from_secs(5);
/// The interval at which a stop is noticed.
const STOP_CHECK: Duration = Duration::from_secs(1);

/// The running thread.
pub struct ControlPlane {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ControlPlane {
    /// Starts the thread. Without a worker, it carries on upgrades only.
    pub fn start(engine: Arc<Engine>, worker: Option<ProvisionWorker>) -> std::io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let seen_by_thread = stopping.clone();
        let run = move || {
            while !seen_by_thread.load(Ordering::Relaxed) {
                let seen = engine.changes();
                let passed = Panics::default().catch("control-plane", || pass(&engine, worker.as_ref()));
                let wait = match passed {
                    Some(Ok(wait)) => wait,
                    Some(Err(why)) => {
                        warn!(reason:% = why; "The control plane could not read or write its rows; it tries again");
                        rest(&seen_by_thread, REST);
                        continue;
                    }
                    None => {
                        error!("The control plane met a defect; it tries again");
                        rest(&seen_by_thread, REST);
                        continue;
                    }
                };
                wait_for_work(&engine, seen, wait, &seen_by_thread);
            }
        };
        let thread = thread::Builder::new().name("control-plane".to_owned()).spawn(run)?;
        Ok(Self { stopping, thread: Some(thread) })
    }

    /// Ends the thread after its current call to a provider, without waiting for it. The rows say where to continue.
    pub fn stop(mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // A call may take minutes. The process ends before, and the next start repeats it.
        drop(self.thread.take().filter(JoinHandle::is_finished).map(JoinHandle::join));
    }
}

/// Does what is due. Returns how long the next step may wait.
fn pass(engine: &Engine, worker: Option<&ProvisionWorker>) -> Result<Duration, StoreError> {
    let longest = if engine.advance_rollout()? { WAIT_OF_ROLLOUT } else { WAIT_MAX };
    let next = worker.map(ProvisionWorker::pass).transpose()?.flatten();
    let next = next.and_then(|ms| Duration::try_from_secs_f64(ms / 1_000.0).ok());
    Ok(next.unwrap_or(longest).min(longest))
}

/// Waits until a row of the control plane changes, for the time, or for a stop.
fn wait_for_work(engine: &Engine, seen: u64, wait: Duration, stopping: &AtomicBool) {
    let tables =
        [Table::Provisions, Table::Rollouts, Table::Runtimes, Table::SystemConfig, Table::MachineTokens];
    let tables = tables.into_iter().fold(TableSet::default(), TableSet::with);
    let mut left = wait;
    while !left.is_zero() && !stopping.load(Ordering::Relaxed) && !engine.has_changed(tables, seen) {
        let part = left.min(STOP_CHECK);
        engine.wait_for_change_of(tables, seen, part);
        left -= part;
    }
}

fn rest(stopping: &AtomicBool, time: Duration) {
    let mut left = time;
    while !left.is_zero() && !stopping.load(Ordering::Relaxed) {
        let part = left.min(STOP_CHECK);
        thread::sleep(part);
        left -= part;
    }
}

impl Engine {
    /// Makes the steps of a running upgrade of the fleet that are possible now. Returns whether there was one.
    pub fn advance_rollout(&self) -> Result<bool, StoreError> {
        // Reports of runtimes are frequent, and mostly there is no rollout.
        if self.store.read(rollout::running)?.is_none() {
            return Ok(false);
        }
        self.store.write(rollout::advance)?;
        Ok(true)
    }
}
