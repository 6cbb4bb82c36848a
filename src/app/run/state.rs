//! What is known of the running service, and what its HTTP server tells of it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::line::Line;
use super::operator::{self, Operator};
use crate::clock::{Clock as _, Millis, SystemClock};
use crate::config::Settings;
use crate::delivery::dispatcher::Standing;
use crate::delivery::inflight::Seen;
use crate::delivery::service::View;
use crate::http::health::{
    BackendHealth, DeliveryConfig, DeliveryHealth, GatewayHealth, Health, Infrastructure, LedgerHealth,
    Memory, RosterHealth, TurnHealth, Version, Versions, reasons, seconds,
};
use crate::http::message::{Reply, Request};
use crate::http::routes::{Route, route};
use crate::ledger::Ledger;
use crate::ops::House;
use crate::redact::Redactor;

/// A roster that missed so many turns is not to be relied on.
const STALE_AFTER_INTERVALS: u32 = 3;

/// How old an answer of `/health` may be.
const FRESH: Duration = Duration::from_millis(20);

/// The longest error that `/health` repeats.
const ERROR_CHARS: usize = 500;

/// What the configuration says of versions and the machine.
struct Told {
    runtime_service_version: String,
    /// Where it says nothing, the gateway tells.
    openclaw_version: Option<String>,
    droplet_id: String,
    region: String,
}

/// What is known.
pub(super) struct State {
    began: Instant,
    version: Told,
    ip_address: String,
    config: DeliveryConfig,
    sync_interval: Duration,
    redactor: Arc<Redactor>,
    /// The way to the agents, as its users have found it.
    pub(super) line: Arc<Line>,
    backend: Mutex<BackendHealth>,
    roster: Mutex<RosterHealth>,
    snapshot: Mutex<Option<(Instant, Arc<[u8]>)>>,
    /// There from the moment on in which rows are delivered.
    delivery: OnceLock<View>,
    /// There once it is open.
    ledger: OnceLock<Arc<Ledger>>,
    /// What people ask and want done.
    pub(super) operator: Operator,
}

impl State {
    /// What people set is shown to whoever asks: a secret in the wrong variable must not be.
    pub(super) fn new(settings: &Settings, redactor: &Arc<Redactor>) -> Self {
        let version = Told {
            runtime_service_version: redactor.clean(&settings.runtime_version),
            openclaw_version: settings.openclaw_version.as_deref().map(|version| redactor.clean(version)),
            droplet_id: redactor.clean(&settings.droplet.id),
            region: redactor.clean(&settings.droplet.region),
        };
        let delivery = &settings.delivery;
        let config = DeliveryConfig {
            max_concurrent_sessions: delivery.concurrent_sessions_max,
            // The next two rule nothing here; dashboards find what would have been.
            stream_timeout_ms: settings.gateway.silence_max.as_millis(),
            context_fetch_batch_size: 1,
            list_limit: delivery.list_limit,
            interval_ms: delivery.interval.as_millis(),
            idle_interval_ms: delivery.idle_interval.as_millis(),
            backoff_base_ms: delivery.backoff_base.as_millis(),
            backoff_max_ms: delivery.backoff_max.as_millis(),
        };
        Self {
            began: Instant::now(),
            version,
            ip_address: redactor.clean(&settings.droplet.ip),
            config,
            sync_interval: settings.agents.sync_interval,
            redactor: redactor.clone(),
            line: Arc::new(Line::new(settings.gateway.url.is_some())),
            backend: Mutex::default(),
            roster: Mutex::default(),
            snapshot: Mutex::default(),
            delivery: OnceLock::new(),
            ledger: OnceLock::new(),
            operator: Operator::new(settings, redactor),
        }
    }

    /// From now on steps are noted here.
    pub(super) fn keeps(&self, ledger: Arc<Ledger>) {
        // It is set once, by the one who starts.
        let _ = self.ledger.set(ledger);
    }

    fn ledger_health(&self) -> LedgerHealth {
        let state = self.ledger.get().map(|ledger| ledger.state()).unwrap_or_default();
        LedgerHealth { off: state.off, open: state.open, commits: state.commits }
    }

    /// From now on rows are delivered.
    pub(super) fn delivers(&self, view: View) {
        // It is set once, by the one who starts.
        let _ = self.delivery.set(view);
    }

    /// There is a new roster.
    pub(super) fn heard_roster(&self) {
        self.operator.heard_roster(self.delivery.get());
    }

    /// An error as it may be shown.
    pub(super) fn excerpt(&self, error: &str) -> String {
        self.redactor.excerpt(error, ERROR_CHARS)
    }

    /// Takes the news of the backend; gives back what was known before.
    pub(super) fn note_backend(&self, news: BackendHealth) -> BackendHealth {
        std::mem::replace(&mut *lock(&self.backend), news)
    }

    /// What is known of the backend.
    pub(super) fn backend(&self) -> BackendHealth {
        lock(&self.backend).clone()
    }

    /// The roster's entry, to be changed.
    pub(super) fn roster(&self) -> MutexGuard<'_, RosterHealth> {
        lock(&self.roster)
    }

    /// Whether there is something to complain about.
    pub(super) fn is_degraded(&self) -> bool {
        let (gateway, delivery, roster, backend) = self.parts();
        !reasons(&gateway, &delivery, &roster, &backend, &self.ledger_health()).is_empty()
    }

    fn parts(&self) -> (GatewayHealth, DeliveryHealth, RosterHealth, BackendHealth) {
        let standing = self.delivery.get().map(View::standing);
        let gateway = self.line.health(
            standing.as_ref().map_or(Some("not started yet"), |standing| standing.gate_closed.as_deref()),
        );
        let delivery = self.delivery_health(standing);
        (gateway, delivery, self.roster_health(), self.backend())
    }

    fn roster_health(&self) -> RosterHealth {
        let mut roster = self.roster().clone();
        let patience = self.sync_interval * STALE_AFTER_INTERVALS;
        roster.stale = roster.last_sync_at.is_none_or(|at| SystemClock.now().since(at) > patience);
        roster
    }

    fn delivery_health(&self, standing: Option<Standing>) -> DeliveryHealth {
        let Some(standing) = standing else {
            return DeliveryHealth { config: self.config, ..DeliveryHealth::default() };
        };
        let tally = standing.tally;
        DeliveryHealth {
            running: true,
            last_delivery: tally.last_delivery,
            delivered: tally.settled(),
            failed: tally.failed,
            consecutive_failures: tally.consecutive_failures,
            last_error_at: tally.last_error_at,
            last_error_message: tally.last_error.as_deref().map(|error| self.excerpt(error)),
            no_response_terminal_skip_count: tally.of("silent"),
            required_notification_retry_exhausted_count: tally.of("unanswered"),
            task_less_replies: tally.of("kept"),
            ended: tally.ended,
            skipped: tally.skipped,
            list_failures: standing.list_failures,
            waiting: standing.known,
            dead: standing.dead,
            in_flight: standing.running,
            lists: standing.lists,
            foreign_instance: standing.foreign.map(|foreign| foreign.to_string()),
            oldest_unsettled_at: standing.oldest,
            turns: self
                .delivery
                .get()
                .map(View::turns)
                .unwrap_or_default()
                .into_iter()
                .map(turn_health)
                .collect(),
            config: self.config,
        }
    }

    /// Answers a request.
    pub(super) fn answer(&self, request: &Request) -> Reply {
        match route(request) {
            Route::Health => Reply::json(self.snapshot()).no_store(),
            Route::Version => Reply::json_of(&self.version()).no_store(),
            Route::Live => Reply::json_of(&json!({"live": true})).no_store(),
            Route::Ready => {
                let ready = self.is_ready();
                Reply::json_of(&json!({"ready": ready})).with_status(if ready { 200 } else { 503 }).no_store()
            }
            Route::Operator(wanted) => {
                let ground = operator::Ground {
                    view: self.delivery.get(),
                    ledger: self.ledger.get().map(|ledger| &**ledger),
                    house: self.house(),
                };
                self.operator.answer(wanted, request, &ground).no_store()
            }
            Route::Nudge => {
                // Before the start there is nobody to be nudged, and no need: the first list is made at once.
                if let Some(delivery) = self.delivery.get() {
                    delivery.nudge();
                }
                Reply::empty(202).no_store()
            }
            Route::Refused(reply) => reply,
        }
    }

    /// Whether it delivers: Mission Control has let us in, and the delivery runs. Without a gateway it does so, too.
    fn is_ready(&self) -> bool {
        let heard = self.backend().accepted == Some(true) || self.roster().last_sync_at.is_some();
        heard && self.delivery.get().is_some()
    }

    /// What stands in everybody's way.
    fn house(&self) -> House {
        let standing = self.delivery.get().map(View::standing);
        let gate =
            standing.as_ref().map_or(Some("the service is starting"), |now| now.gate_closed.as_deref());
        let backend = self.backend();
        let lists = standing.as_ref().and_then(|now| now.tally.list_error.clone());
        House {
            runs: true,
            gateway: self.line.health(gate).closed,
            backend: lists.or_else(|| if backend.accepted == Some(true) { None } else { backend.last_error }),
            foreign: standing.and_then(|now| now.foreign).map(|foreign| foreign.to_string()),
            ledger: self.ledger_health().off,
            paused: self.operator.paused(),
        }
    }

    fn version(&self) -> Version {
        let told = &self.version;
        let openclaw = told.openclaw_version.clone().or_else(|| self.line.version());
        Version {
            runtime_service_version: told.runtime_service_version.clone(),
            openclaw_version: openclaw.unwrap_or_else(|| "unknown".to_owned()),
            droplet_id: told.droplet_id.clone(),
            region: told.region.clone(),
        }
    }

    /// `/health` as it was at most [`FRESH`] ago: however many ask, it is made a few times a second.
    fn snapshot(&self) -> Arc<[u8]> {
        let mut last = lock(&self.snapshot);
        match &*last {
            Some((made, body)) if made.elapsed() < FRESH => body.clone(),
            Some(_) | None => {
                let body: Arc<[u8]> = self.health(SystemClock.now()).pretty().into_bytes().into();
                *last = Some((Instant::now(), body.clone()));
                body
            }
        }
    }

    fn health(&self, now: Millis) -> Health {
        let (gateway, delivery, agent_sync, backend) = self.parts();
        let ledger = self.ledger_health();
        let reasons = reasons(&gateway, &delivery, &agent_sync, &backend, &ledger);
        let version = self.version();
        Health {
            status: if reasons.is_empty() { "healthy" } else { "degraded" },
            reasons,
            uptime: seconds(self.began.elapsed()),
            versions: Versions {
                runtime_service: version.runtime_service_version,
                openclaw: version.openclaw_version,
            },
            infrastructure: Infrastructure {
                droplet_id: version.droplet_id,
                ip_address: self.ip_address.clone(),
                region: version.region,
            },
            gateway,
            delivery,
            agent_sync,
            backend,
            ledger,
            paused: self.operator.paused(),
            memory: Memory { rss: resident_bytes() },
            timestamp: now,
        }
    }
}

fn turn_health(turn: Seen) -> TurnHealth {
    TurnHealth {
        notification_id: turn.row.to_string(),
        agent: turn.agent,
        state: turn.state.name(),
        since: turn.since,
        quiet_seconds: seconds(turn.quiet),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As Linux counts it; 0 where it does not say.
fn resident_bytes() -> u64 {
    const KIB: u64 = 1024;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or_default() * KIB
}
