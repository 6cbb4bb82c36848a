//! `run`: the service, from the first line of its log to its exit code.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender};
use log::{error, info, warn};

use super::exit::Exit;
use super::ground::{Ground, Way};
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::convex::{Backoff, CallError};
use crate::http::health::{BackendHealth, Health, Version};
use crate::http::message::{Reply, Request};
use crate::http::routes::{Route, route};
use crate::http::server::{Limits, Server};
use crate::mission::{GetOrchestrator, Mission};
use crate::redact::Redactor;
use crate::telemetry;
use crate::wire::Stop;

/// How long requests that have arrived may take once we were told to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// The longest that a thread may take to end after it was told.
const FAREWELL: Duration = Duration::from_secs(5);

/// How soon a backend that did not answer is asked again; doubled with every failure.
const FIRST_AGAIN: Duration = Duration::from_secs(1);

/// The longest error that `/health` repeats.
const ERROR_CHARS: usize = 500;

/// Runs until a signal asks for the end.
pub fn run(env_file: Option<&Path>) -> Exit {
    let ground = Ground::survey(env_file);
    let (level, format) = ground.log_style();
    telemetry::start(level, format, ground.redactor.clone());

    let report = &ground.configuration.report;
    report.warnings.iter().for_each(|warning| warn!("{warning}"));
    report.mistakes.iter().for_each(|mistake| error!("{mistake}"));
    let Some(settings) = &ground.configuration.settings else {
        error!("not started: {} in the configuration", count(report.mistakes.len(), "mistake"));
        return Exit::Misconfigured;
    };
    // Tried once each time: the watch has its own rhythm, and `/health` learns of every failure.
    let way = match ground.way(settings, Backoff::never()) {
        Ok(way) => way,
        Err(bad) => {
            error!("not started: {bad}");
            return Exit::Misconfigured;
        }
    };
    info!("{} {}: {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), report.summary());
    serve(settings, &way, ground.redactor.clone())
}

fn serve(settings: &Settings, way: &Way, redactor: Arc<Redactor>) -> Exit {
    // In place before anything slow: as PID 1 of a container an unhandled signal is ignored.
    let (told, signals) = crossbeam_channel::bounded(1);
    let heard = ctrlc::set_handler(move || {
        // A full channel has the news already.
        let _ = told.try_send(());
    });
    if let Err(why) = heard {
        error!("not started: signals cannot be handled ({why})");
        return Exit::Failed;
    }
    let stop = Stop::new();
    let state = Arc::new(State::new(settings, &redactor));
    let answering = state.clone();
    let address = (settings.http.host.as_str(), settings.http.port);
    let server = match Server::bind(address, Limits::default(), move |request| answering.answer(&request)) {
        Ok(server) => server,
        Err(why) => {
            error!(
                "not started: cannot listen on {} port {} ({why}); see HEALTH_HOST and HEALTH_PORT",
                address.0, address.1
            );
            return Exit::Failed;
        }
    };
    info!("listening on http://{}", server.local_addr());
    warn!(
        "this version does not poll or deliver yet: it answers /health and /version, and watches the backend"
    );

    // Nothing is ever sent: the thread holds one end as long as it lives, on whichever way it ends.
    let (alive, ended) = crossbeam_channel::bounded::<()>(0);
    let mission = way.mission(settings, &stop);
    let watch = Watch {
        mission,
        state,
        redactor,
        stop: stop.clone(),
        interval: settings.report_interval,
        _alive: alive,
    };
    if let Err(why) = thread::Builder::new().name("backend".into()).spawn(move || watch.run()) {
        error!("not started: no thread to be had ({why})");
        return Exit::Failed;
    }

    // An error means that the handler is gone, and with it every way to be told: that is the end, too.
    let _ = signals.recv();
    info!("stopping");
    stop.close();
    let cut_off = server.stop(LAST_ANSWERS);
    if cut_off > 0 {
        warn!("{} cut off in the middle", count(cut_off, "request"));
    }
    if ended.recv_timeout(FAREWELL) == Err(RecvTimeoutError::Timeout) {
        warn!("the thread that watches the backend did not end within {} s", FAREWELL.as_secs());
    }
    info!("stopped");
    Exit::Done
}

/// Asks the backend now and then whether it knows us.
struct Watch {
    mission: Mission,
    state: Arc<State>,
    redactor: Arc<Redactor>,
    stop: Stop,
    interval: Duration,
    _alive: Sender<()>,
}

impl Watch {
    fn run(self) {
        let mut failures = 0;
        while !self.stop.is_closed() {
            let answer = self.mission.ask(&GetOrchestrator {});
            if self.stop.is_closed() {
                return;
            }
            failures = if answer.is_ok() { 0 } else { failures + 1 };
            let pause = self.pause(failures, answer.as_ref().err());
            self.tell(answer.err());
            self.stop.wait(pause);
        }
    }

    /// While it is out of reach, soon at first and then less often; where a person has to act first, seldom.
    fn pause(&self, failures: u32, error: Option<&CallError>) -> Duration {
        let patience = error.and_then(|error| error.not_before).unwrap_or_default();
        let soon = FIRST_AGAIN.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let usual = if failures == 0 { self.interval } else { soon.min(self.interval) };
        usual.max(patience)
    }

    /// Notes the news for `/health`; the log hears only of what has changed.
    fn tell(&self, error: Option<CallError>) {
        let answered = error.as_ref().is_none_or(|error| error.status.is_some());
        let accepted = error.is_none();
        let last_error = error.map(|error| self.redactor.excerpt(&error.to_string(), ERROR_CHARS));
        let before = self.state.note(BackendHealth {
            reachable: Some(answered),
            accepted: answered.then_some(accepted),
            checked_at: Some(SystemClock.now()),
            last_error: last_error.clone(),
        });
        let changed = (before.reachable, before.accepted) != (Some(answered), answered.then_some(accepted));
        match last_error {
            None if changed => info!("Mission Control answers and knows the account"),
            Some(sentence) if changed => warn!("{sentence}"),
            None | Some(_) => {}
        }
    }
}

/// What the HTTP server tells.
struct State {
    began: Instant,
    version: Version,
    ip_address: String,
    backend: Mutex<BackendHealth>,
}

impl State {
    /// What people set is shown to whoever asks: a secret in the wrong variable must not be.
    fn new(settings: &Settings, redactor: &Redactor) -> Self {
        let version = Version {
            runtime_service_version: redactor.clean(&settings.runtime_version),
            openclaw_version: redactor.clean(settings.openclaw_version.as_deref().unwrap_or("unknown")),
            droplet_id: redactor.clean(&settings.droplet.id),
            region: redactor.clean(&settings.droplet.region),
        };
        Self {
            began: Instant::now(),
            version,
            ip_address: redactor.clean(&settings.droplet.ip),
            backend: Mutex::default(),
        }
    }

    fn backend(&self) -> BackendHealth {
        self.backend.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the news; gives back what was known before.
    fn note(&self, news: BackendHealth) -> BackendHealth {
        std::mem::replace(&mut *self.backend.lock().unwrap_or_else(PoisonError::into_inner), news)
    }

    fn answer(&self, request: &Request) -> Reply {
        match route(request) {
            Route::Health => {
                let health = Health::new(
                    &self.version,
                    &self.ip_address,
                    self.began.elapsed(),
                    self.backend(),
                    SystemClock.now(),
                );
                Reply::json(health.pretty()).no_store()
            }
            Route::Version => Reply::json_of(&self.version).no_store(),
            Route::Refused(reply) => reply,
        }
    }
}

fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}
