//! `worker`: takes jobs from the queue of a pool, from its start to its exit code.
//!
//! The jobs go through the same dispatcher, ledger and recovery as the work of `run`. There is no account, no roster and no
//! list of notifications: lanes claim the jobs and offer them.

mod health;
mod setup;

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use log::{error, info, warn};

use super::open_state::{in_words, not_opened, open_folder, open_ledger};
use super::shutdown::Shutdown;
use super::signals::handle_signals;
use super::{StopSwitches, begin_log};
use crate::app::agent_state::{AgentState, StateHooks};
use crate::app::command_env::CommandEnv;
use crate::app::exit::Exit;
use health::WorkerHealth;
use mcr_clients::pool::Fail;
use mcr_clients::wire::Roots;
use mcr_config::{Settings, WorkerSettings};
use mcr_core::pool::lane::{LaneEnd, WorkerMode};
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_service::delivery::service::Service;
use mcr_service::pool::{Lane, SharedHooks};
use mcr_service::scheduled_calls::ScheduledCallsStatus;
use setup::WorkerParts;

/// The reason that the queue gets for a job that a stopping machine could not end.
const STOPPED: &str = "worker_stopped: the worker was stopped before the job had ended";

/// Runs until a signal stops it, or the scheduler of the pool ends its worker ids.
pub fn worker(env_file: Option<&Path>, stop_on_eof: bool) -> Exit {
    let env = CommandEnv::load_worker(env_file);
    let settings = begin_log(&env).and_then(|settings| Some((settings, settings.worker.as_ref()?)));
    let Some((settings, own)) = settings else { return Exit::Misconfigured };
    let roots = match Roots::load(settings.ssl_cert_file.as_deref()) {
        Ok(roots) => roots,
        Err(bad) => {
            error!(reason:% = bad; "Not started");
            return Exit::Misconfigured;
        }
    };
    let (lanes, backend) = (own.lanes, &settings.account.convex_url);
    let worker = own.worker_id.as_ref().map_or("none", |id| id.as_str());
    info!(version = env!("CARGO_PKG_VERSION"), lanes, backend:%, worker; "The worker starts");
    serve(settings, own, &env, &roots, stop_on_eof)
}

fn serve(
    settings: &Settings,
    own: &WorkerSettings,
    env: &CommandEnv,
    roots: &Roots,
    stop_on_eof: bool,
) -> Exit {
    let signals = match handle_signals(stop_on_eof) {
        Ok(signals) => signals,
        Err(why) => {
            error!(reason:% = why; "Not started: stop signals cannot be received");
            return Exit::Failed;
        }
    };
    let folder = match open_folder(settings) {
        Ok(folder) => folder,
        Err(why) => {
            error!(reason = in_words(&why); "Not started: STATE_DIR cannot be used");
            return Exit::Failed;
        }
    };
    let opened = match open_ledger(settings, folder.as_ref()) {
        Ok(opened) => opened,
        Err(why) => return not_opened(&why),
    };
    let (ledger, switches) = (opened.ledger.clone(), StopSwitches::default());
    let parts = match WorkerParts::new(settings, own, env, roots, folder, opened.ledger, &switches) {
        Ok(parts) => parts,
        Err(why) => {
            error!(reason = why.as_str(); "Not started");
            return Exit::Misconfigured;
        }
    };
    let state = match AgentState::new(env, settings, own, roots, &switches.calls) {
        Ok(state) => state,
        Err(why) => {
            error!(reason = why.as_str(); "Not started");
            ledger.close();
            return Exit::Misconfigured;
        }
    };
    let hooks: SharedHooks = Arc::new(StateHooks::new(&state));
    if let Err(reason) = hooks.before_start() {
        error!(reason = reason.as_str(); "Not started");
        ledger.close();
        return Exit::Failed;
    }
    let mut left = opened.left;
    parts.recall(&left);
    // Jobs have no dead letters: the queue keeps them.
    left.dead.clear();
    let service = match Service::start(parts.delivery(left, &opened.made, &hooks)) {
        Ok(service) => service,
        Err(why) => {
            error!(reason:% = why; "Not started: a thread cannot be started");
            return Exit::Failed;
        }
    };
    let scheduled = ScheduledCallsStatus::default();
    if let Err(why) = state.scheduled_calls(&scheduled, &switches.chores, &parts.panics).start() {
        error!(reason:% = why; "Not started: a thread cannot be started");
        return Exit::Failed;
    }
    let health = Arc::new(WorkerHealth::new(&parts, service.view(), ledger.clone(), scheduled));
    let server = match health::listen(settings, &env.memory, &health) {
        Ok(server) => server,
        Err(exit) => {
            ledger.close();
            return exit;
        }
    };
    let (stop_lanes, lanes_stop) = bounded::<()>(0);
    let lanes = match start_lanes(&parts, &service, &hooks, &health, &lanes_stop) {
        Ok(lanes) => lanes,
        Err(why) => {
            error!(reason:% = why; "Not started: a thread cannot be started");
            return Exit::Failed;
        }
    };
    let exit = wait(&signals, &service, &lanes.ended);
    // A pool ends its machines one by one, which is no failure.
    let shutdown = Shutdown::begin(signals, settings.delivery.drain, exit);
    health.stops();
    ledger.stops();
    drop(stop_lanes);
    let jobs = parts.claimed_jobs.count();
    info!(jobs, drain_seconds = settings.delivery.drain.as_secs_f64(); "Stopping");
    // The dispatcher still starts what the lanes have claimed.
    let until = Instant::now() + settings.delivery.drain;
    while lanes.threads.iter().any(|lane| !lane.is_finished()) && Instant::now() < until {
        select! {
            recv(shutdown.hurry) -> _ => break,
            recv(lanes.ended) -> _ => {}
            recv(crossbeam_channel::after(std::time::Duration::from_millis(50))) -> _ => {}
        }
    }
    let rest = until.saturating_duration_since(Instant::now());
    let stopped = service.stop(rest, &shutdown.hurry, &switches.turns);
    parts.desk_mode_report(own);
    parts.claimed_jobs.close();
    switches.chores.close();
    switches.calls.close();
    ledger.close();
    server.stop(shutdown.request_limit());
    if stopped.makes_no_calls() {
        ledger.stopped(SystemClock.now());
    }
    info!("Stopped");
    if stopped.in_order { exit } else { Exit::Failed }
}

/// The threads of the lanes.
struct Lanes {
    threads: Vec<JoinHandle<()>>,
    /// A message for each lane that has ended.
    ended: Receiver<LaneEnd>,
}

fn start_lanes(
    parts: &WorkerParts<'_>,
    service: &Service,
    hooks: &SharedHooks,
    health: &WorkerHealth,
    stop: &Receiver<()>,
) -> std::io::Result<Lanes> {
    let (ends, ended): (Sender<LaneEnd>, _) = bounded(parts.own.lanes);
    let mut threads = Vec::new();
    for number in 1..=parts.own.lanes {
        let (view, status) = (service.view(), health.lane(number));
        let setup = parts.lane(number, hooks, status, stop, Box::new(move |work| view.offer(work)));
        let ends = ends.clone();
        let lane = move || {
            let end = Lane::new(setup).run();
            // The receiver is gone only after the end of the process has begun.
            let _ = ends.send(end);
        };
        threads.push(thread::Builder::new().name(format!("lane-{number}")).spawn(lane)?);
    }
    Ok(Lanes { threads, ended })
}

/// Waits for a reason to stop.
fn wait(signals: &Receiver<()>, service: &Service, lanes: &Receiver<LaneEnd>) -> Exit {
    select! {
        recv(signals) -> _ => Exit::Done,
        // A lane of a pool ends with its worker id, which ends the machine. A lane that panicked ends the process too.
        recv(lanes) -> end => if end.is_ok() { Exit::Done } else { Exit::Failed },
        recv(service.ended()) -> _ => {
            error!("The dispatcher has ended unexpectedly; please report this as a bug");
            Exit::Failed
        }
    }
}

impl WorkerParts<'_> {
    /// On a machine that ends for good, the jobs that have not ended go back to the queue at once. On a droplet the next
    /// process continues them.
    fn desk_mode_report(&self, own: &WorkerSettings) {
        if setup::mode(own) == WorkerMode::Droplet {
            return;
        }
        for held in self.claimed_jobs.held() {
            let job = held.job.claimed.message_id.as_str();
            match self.client(&self.switches.calls).ask(&Fail { lease: held.lease(), error_message: STOPPED })
            {
                Ok(_) => warn!(job; "Job reported as failed, because the worker stops"),
                Err(error) => warn!(job, error:%; "Job not reported as failed: its lease must end"),
            }
        }
    }
}
