//! `run`: the service, from its start to its exit code.

mod admission;
mod agent_api_setup;
mod backend_health;
mod background;
mod beats;
mod budget;
mod displaced;
mod gateway_child;
mod gateway_health;
mod identity;
mod keys_sync;
mod last_hour;
mod listed_agents;
mod listening;
mod machine;
mod nudge_limiter;
mod online;
mod open_state;
mod operator;
mod pool_worker;
mod reporter;
mod request_status;
mod requests;
mod roster_sync;
mod rows;
mod shutdown;
mod signals;
mod snapshot;
mod state;
mod status_report;
mod supervisor;
mod threads;
mod token_refusals;
mod turn_limit;
mod waiting;
mod wake_query;
mod workspace_sync;

use std::cell::LazyCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded, select};
use log::{error, info, warn};

use super::command_env::{BackendConnection, CommandEnv};
use super::exit::Exit;
use super::service_client;
use crate::telemetry;
use mcr_clients::convex::Backoff;
use mcr_clients::gateway::{GatewayEndpoint, GatewayLimits, SessionNaming};
use mcr_clients::wire::Stop;
use mcr_config::table::{SERVICE_TOKEN, WORKER_ID};
use mcr_config::{Report, Settings};
use mcr_core::delivery::operator_requests::OperatorRequest;
use mcr_core::delivery::scheduler::RecoveredState;
use mcr_model::BridgeSettings;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::memory::ByteBudget;
use mcr_model::redact::Redactor;
use mcr_service::delivery::service::Service;
use mcr_service::roster::Team;
use mcr_service::systemd::Notifier;

pub use pool_worker::worker;
pub(super) use roster_sync::named_agents;

use backend_health::observed;
use listening::Listening;
use open_state::{OpenState, open_sessions};
use reporter::report_offline;
use requests::Boot;
use shutdown::{Cause, Shutdown};
use signals::handle_signals;
use state::State;
use threads::ThreadSetup;
use waiting::Opened;

/// Runs until a signal stops it, or another runtime on the same account prevents it. On a machine that the scheduler of a
/// pool has made, it is a worker of that pool.
pub fn run(env_file: Option<&Path>, stop_on_eof: bool) -> Exit {
    let env = CommandEnv::load(env_file);
    if is_of_pool(&env.configuration.report) {
        return worker(env_file, stop_on_eof);
    }
    let Some(settings) = begin_log(&env) else { return Exit::Misconfigured };
    let report = &env.configuration.report;
    // Background tasks call at intervals and make one attempt each, so that `/health` sees every failure.
    // Workers retry.
    let connections = env.connect(settings, Backoff::never()).and_then(|once| {
        let patient = env.connect(settings, Backoff::default())?;
        let bridge = env.configuration.bridge.clone();
        Ok(BackendConnections { once, patient, bridge, memory: env.memory.clone() })
    });
    let connections = match connections {
        Ok(connections) => connections,
        Err(bad) => {
            error!(reason:% = bad; "Not started");
            return Exit::Misconfigured;
        }
    };
    info!(version = env!("CARGO_PKG_VERSION"); "Starting with {}", report.summary());
    log_start(settings);
    serve(settings, &connections, &env.redactor, stop_on_eof)
}

/// Starts the log, with what the configuration has to report. None if it is invalid.
fn begin_log(env: &CommandEnv) -> Option<&Settings> {
    let (level, format, output) = env.log_style();
    telemetry::start(level, format, output, env.redactor.clone());
    let report = &env.configuration.report;
    report.warnings().for_each(|warning| warn!("{warning}"));
    report.errors().for_each(|found| error!("{found}"));
    if env.configuration.settings.is_none() {
        error!(errors = report.errors().count(); "Not started: the configuration is invalid");
    }
    env.configuration.settings.as_ref()
}

/// Whether the configuration is that of a pool's worker: it has an id of the scheduler, and no token for an account.
fn is_of_pool(report: &Report) -> bool {
    let is_given = |name: &str| report.row(name).is_some_and(|row| row.origin.is_given());
    is_given(WORKER_ID.name) && !is_given(SERVICE_TOKEN.name)
}

/// Names what this service works for and with, without secrets.
fn log_start(settings: &Settings) {
    let gateway = settings.gateway.url.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    let token = |is_set| if is_set { "yes" } else { "no" };
    info!(
        account = settings.account.id.as_str(),
        backend:% = settings.account.convex_url,
        gateway,
        gateway_token = token(settings.gateway.token.is_some()),
        runtime_version = settings.runtime_version.as_str(),
        openclaw_version = settings.openclaw_version.as_deref().unwrap_or("not set");
        "The service starts"
    );
}

fn stop_line(running: usize, drain: Duration) -> String {
    match running {
        0 => "stopping".to_owned(),
        running => format!(
            "stopping: {} may continue for {:.1} s; a second signal cuts them off",
            count(running, "running turn"),
            drain.as_secs_f64()
        ),
    }
}

fn serve(
    settings: &Settings,
    connections: &BackendConnections,
    redactor: &Arc<Redactor>,
    stop_on_eof: bool,
) -> Exit {
    // Installed before anything slow: as PID 1 of a container an unhandled signal is ignored.
    let signals = match handle_signals(stop_on_eof) {
        Ok(signals) => signals,
        Err(why) => {
            error!(reason:% = why; "Not started: stop signals cannot be received");
            return Exit::Failed;
        }
    };
    let systemd = LazyCell::new(|| Notifier::of(|name| std::env::var_os(name)));
    let opened = waiting::open_or_wait(settings, &connections.memory, redactor, || &systemd, &signals);
    let Opened { state: OpenState { ledger, left, made, budget, memories }, folder, listening, boot } =
        match opened {
            Ok(opened) => opened,
            Err(exit) => return exit,
        };
    let state = Arc::new(State::new(settings, folder.as_ref(), redactor));
    let listening =
        match listening.map_or_else(|| Listening::start(settings, &connections.memory, state.clone()), Ok) {
            Ok(listening) => listening,
            Err(exit) => {
                ledger.close();
                return exit;
            }
        };
    listening.answer_of(state.clone());
    let server = listening.server;
    state.set_ledger(ledger.clone());
    state.set_budget(budget.clone());
    let names = agent_api_setup::open_names(folder.as_ref(), &ledger);
    let sessions = Arc::new(open_sessions(settings, folder.as_ref(), &ledger));
    let team = Team::new(roster_sync::confirm_after(&settings.agents));
    let beats = beats::open(settings, folder.as_ref(), &ledger, team.clone(), (&left, memories));
    let address = service_client::address(settings.http.connect_host(), server.local_addr().port());
    state.operator.accept_requests(address.clone());
    let (boot, (leave, leaves)) = (Boot::adopt(boot, &state.requests), bounded(1));
    let left = RecoveredState { hold: state.operator.hold(), ..left };
    let switches = StopSwitches::default();
    let gateway = gateway_endpoint(settings, connections, redactor, names)
        .inspect(|gateway| state.gateway.set_endpoint(gateway));
    state.set_clocks([&connections.once.endpoint, &connections.patient.endpoint].map(Clone::clone).into());
    let threads = ThreadSetup {
        settings,
        folder: folder.as_ref(),
        connections,
        gateway,
        state: &state,
        switches: &switches,
        ledger: &ledger,
        team: team.clone(),
        made: &made,
        budget: &budget,
        sessions: &sessions,
        beats: &beats,
        redactor,
    };
    let started = threads.start(server.local_addr().port(), left, (boot, address.clone(), leave.clone()));
    let (service, chores, child) = match started {
        Ok(started) => started,
        Err(why) => {
            error!(reason:% = why; "Not started: a thread cannot be started");
            return Exit::Failed;
        }
    };

    let view = service.view();
    let is_alive = move || view.ask(OperatorRequest::Ping).is_some();
    if let Err(why) = supervisor::start(&systemd, address, &state, is_alive, service.ended()) {
        // systemd waits in vain and ends this process, with the reason in the log.
        error!(reason:% = why; "Systemd is not notified: a thread cannot be started");
    }

    let cause = wait(&signals, &leaves, &service, &state);
    if cause == Cause::Lost {
        error!("The dispatcher has ended unexpectedly; please report this as a bug");
    }
    ledger.stops();
    let (view, drain) = (service.view(), cause.drain(settings.delivery.drain));
    let shutdown = Shutdown::begin(signals, drain, cause.exit());
    state.set_draining();
    let running = view.state().running;
    info!(turns = running, drain_seconds = drain.as_secs_f64(); "Stopping");
    systemd.stopping(&stop_line(running, drain), drain + shutdown::EXIT_LIMIT);
    switches.chores.close();
    for wakeup in [team.wakeup(), &state.reporter, state.requests.wakeup(), &state.wake_query.wakeup] {
        wakeup.notify();
    }
    let stopped = service.stop(drain, &shutdown.hurry, &switches.turns);
    gateway_child::stop(child.as_ref(), &shutdown);
    // Reporting "offline" next to another runtime would take its agents off the board. If there is none after
    // all, the backend notices by itself that the reports have stopped.
    if state.backend.health(None).accepted == Some(true) && view.state().foreign.is_none() {
        let mission = observed(&connections.once, settings, &switches.calls, &state.backend);
        report_offline(&mission, shutdown.offline_limit());
    }
    switches.calls.close();
    ledger.close();
    let cut_off = server.stop(shutdown.request_limit());
    if cut_off > 0 {
        warn!(requests = cut_off; "Requests were cut off");
    }
    let chores_run = have_not_ended(&chores, shutdown.thread_limit());
    if cause.is_orderly() && stopped.makes_no_calls() && cut_off == 0 && !chores_run {
        ledger.stopped(SystemClock.now());
    }
    info!("Stopped");
    if stopped.in_order { cause.exit() } else { Exit::Failed }
}

/// Waits for the threads that hold the sender of `chores`. Returns whether the time was too short.
fn have_not_ended(chores: &Receiver<()>, limit: Duration) -> bool {
    let have_not_ended = chores.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
    if have_not_ended {
        warn!("Not every thread ended in time");
    }
    have_not_ended
}

/// The gateway of the agents, if one is configured.
fn gateway_endpoint(
    settings: &Settings,
    connections: &BackendConnections,
    redactor: &Arc<Redactor>,
    names: SessionNaming,
) -> Option<GatewayEndpoint> {
    let base = settings.gateway.url.clone()?;
    let (token, limits) = (settings.gateway.token.clone(), GatewayLimits::new(settings.gateway.silence_max));
    let endpoint =
        GatewayEndpoint::with_limits(base, token, &connections.once.roots, redactor.clone(), limits);
    Some(endpoint.with_names(names).with_memory(connections.memory.gateway.clone()))
}

/// Waits until there is a reason to stop.
fn wait(signals: &Receiver<()>, leaves: &Receiver<Cause>, service: &Service, state: &State) -> Cause {
    loop {
        select! {
            // The caller keeps a sender, so the channel stays open.
            recv(leaves) -> cause => return cause.unwrap_or(Cause::Requested),
            // An error means that the handler is gone, so that no signal can arrive any more.
            recv(signals) -> _ => return Cause::Signal,
            recv(service.must_leave()) -> _ => return Cause::Foreign,
            recv(service.ended()) -> _ => return Cause::Lost,
            default(state.panics.catch("main", || state.minute()).unwrap_or(Duration::from_mins(1))) => {}
        }
        if let Some(why) = state.backend.hopeless() {
            error!(
                reason:% = why;
                "Giving up: Mission Control has refused the service token for ten minutes, and no call has ever \
                 succeeded; correct SERVICE_TOKEN, ACCOUNT_ID and CONVEX_URL, which must be of one deployment, \
                 and start again"
            );
            return Cause::TokenRefused;
        }
    }
}

/// The connections to the backend.
struct BackendConnections {
    once: BackendConnection,
    patient: BackendConnection,
    /// The bridge of the environment.
    bridge: BridgeSettings,
    /// The memory for answers of the backend and the gateway, and for requests.
    memory: ByteBudget,
}

/// The stop switches of the calls.
#[derive(Default)]
struct StopSwitches {
    /// For the roster and the reports: closed at once.
    chores: Stop,
    /// For the agents' turns: closed at the end of the drain.
    turns: Stop,
    /// For the workers' backend calls: closed last.
    calls: Stop,
}

fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}
