//! The threads that carry on what spans several calls: one for requests for machines, one for upgrades of the fleet. A call to
//! a provider may take minutes, and an upgrade does not wait for it.
//!
//! They hold no state of their own. After a crash they continue from the rows.

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

/// The running threads.
pub struct ControlPlane {
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl ControlPlane {
    /// Starts the threads. Without a worker, there are upgrades only.
    pub fn start(engine: Arc<Engine>, worker: Option<ProvisionWorker>) -> std::io::Result<Self> {
        let mut started = Self { stopping: Arc::new(AtomicBool::new(false)), threads: Vec::new() };
        if let Some(worker) = worker {
            started.spawn("control-plane", engine.clone(), move |_| {
                let next = worker.pass()?.and_then(|ms| Duration::try_from_secs_f64(ms / 1_000.0).ok());
                Ok(next.unwrap_or(WAIT_MAX).min(WAIT_MAX))
            })?;
        }
        started.spawn("fleet-upgrade", engine, |engine| {
            Ok(if engine.advance_rollout()? { WAIT_OF_ROLLOUT } else { WAIT_MAX })
        })?;
        Ok(started)
    }

    /// Starts a thread that does what is due. `pass` returns how long the next step may wait.
    fn spawn(
        &mut self,
        name: &'static str,
        engine: Arc<Engine>,
        pass: impl Fn(&Engine) -> Result<Duration, StoreError> + Send + 'static,
    ) -> std::io::Result<()> {
        let stopping = self.stopping.clone();
        let run = move || {
            while !stopping.load(Ordering::Relaxed) {
                let seen = engine.changes();
                let passed = Panics::default().catch(name, || pass(&engine));
                match passed {
                    Some(Ok(wait)) => wait_for_work(&engine, seen, wait, &stopping),
                    Some(Err(why)) => {
                        warn!(thread = name, reason:% = why; "The control plane could not read or write its rows; it tries again");
                        rest(&stopping, REST);
                    }
                    None => {
                        error!(thread = name; "The control plane met a defect; it tries again");
                        rest(&stopping, REST);
                    }
                }
            }
        };
        self.threads.push(thread::Builder::new().name(name.to_owned()).spawn(run)?);
        Ok(())
    }

    /// Ends the threads after their current step, without waiting for a call to a provider. The rows say where to continue.
    pub fn stop(mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // A call may take minutes. The process ends before, and the next start repeats it.
        for thread in self.threads.drain(..).filter(JoinHandle::is_finished) {
            drop(thread.join());
        }
    }
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

#[cfg(test)]
mod tests;
