//! The state of the running service.

mod answers;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::agent_api_setup::{AgentApiConfig, hosts_of};
use super::backend_health::{Backend, clock_ahead};
use super::gateway_health::GatewayStatus;
use super::identity::Identity;
use super::keys_sync::KeysStatus;
use super::last_hour::LastHour;
use super::machine::{free_bytes, resident_bytes};
use super::nudge_limiter::NudgeLimiter;
use super::online::OnlineReports;
use super::operator::Operator;
use super::request_status::RequestStatus;
use super::rows::{delivery_config, delivery_health};
use super::snapshot::Prepared;
use super::status_report::Condition;
use super::wake_query::WakeQueryState;
use super::workspace_sync::WorkspaceStatus;
use mcr_clients::convex::ConvexEndpoint;
use mcr_clients::mission::catalog;
use mcr_config::{EffectiveRow, Settings};
use mcr_core::delivery::scheduler::SchedulerState;
use mcr_core::ops::ServiceCondition;
use mcr_core::ops::reasons::REFUSES_ALL;
use mcr_files::Folder;
use mcr_http::hosts::Hosts;
use mcr_http::panics::Panics;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::redact::Redactor;
use mcr_service::clock::SteadyClock;
use mcr_service::delivery::budget::BudgetKeeper;
use mcr_service::delivery::service::View;
use mcr_service::gateway_child::health::ChildStatus;
use mcr_service::http::agent_api::AgentApi;
use mcr_service::http::health::{
    DeliveryConfig, DeliveryHealth, DiskHealth, Guardrails, Health, HeartbeatHealth, LedgerHealth, Memory,
    PanicHealth, Parts, RosterHealth, Status, Version, seconds,
};
use mcr_service::metrics::Metrics;
use mcr_service::wakeup::Wakeup;
use mcr_store::ledger::Ledger;

pub(super) use answers::starting;

/// After this many missed syncs the roster counts as stale.
const STALE_AFTER_INTERVALS: u32 = 3;

/// The longest error that `/health` shows.
const ERROR_CHARS: usize = 500;

/// The state of the running service.
pub(super) struct State {
    began: Instant,
    identity: Identity,
    config: DeliveryConfig,
    guardrails: Vec<EffectiveRow>,
    sync_interval: Duration,
    idle_sync_interval: Duration,
    redactor: Arc<Redactor>,
    /// The health of the gateway, as its users find it.
    pub(super) gateway: Arc<GatewayStatus>,
    /// Wakes the reporter of the status.
    pub(super) reporter: Wakeup,
    /// The health of Mission Control, as all its callers find it.
    pub(super) backend: Arc<Backend>,
    /// The counters.
    pub(super) metrics: Arc<Metrics>,
    /// The panics of the threads.
    pub(super) panics: Panics,
    roster: Mutex<RosterHealth>,
    /// The health of the agents' workspaces.
    pub(super) workspaces: WorkspaceStatus,
    /// The state of the stored keys.
    pub(super) keys: KeysStatus,
    /// The gateway's process, if the runtime runs it.
    pub(super) child: Option<Arc<ChildStatus>>,
    /// The condition of the subscription to the wake query.
    pub(super) wake_query: WakeQueryState,
    /// The reports about single agents.
    pub(super) online: OnlineReports,
    /// Restarts and upgrades that people request.
    pub(super) requests: RequestStatus,
    disk: Mutex<DiskHealth>,
    /// Why the state in `STATE_DIR` cannot be opened yet, if so.
    unopened: Mutex<Option<String>>,
    /// Why `STATE_DIR` no longer leads to the ledger, if so.
    displaced: Mutex<Option<String>>,
    /// The folder of the state that survives a crash.
    kept_in: PathBuf,
    draining: AtomicBool,
    prepared: Prepared,
    last_hour: LastHour,
    /// The endpoints that compare clocks with the backend.
    clocks: OnceLock<Vec<ConvexEndpoint>>,
    /// Present from the moment in which rows are delivered.
    delivery: OnceLock<View>,
    /// Accepts nudges from outside. Present with the delivery.
    nudges: OnceLock<NudgeLimiter>,
    /// The host names of the service.
    pub(super) hosts: Hosts,
    /// Present once the ledger is open.
    ledger: OnceLock<Arc<Ledger>>,
    /// The daily budgets. Present once the ledger is open.
    budget: OnceLock<Arc<BudgetKeeper>>,
    /// Present from the moment in which agents may call.
    pub(super) agents: OnceLock<AgentApi>,
    /// The operators' requests.
    pub(super) operator: Operator,
    agent_api: AgentApiConfig,
}

impl State {
    pub(super) fn new(settings: &Settings, folder: Option<&Arc<Folder>>, redactor: &Arc<Redactor>) -> Self {
        let metrics = Arc::new(Metrics::new(
            catalog::ALL.iter().chain(catalog::OPTIONAL).map(|function| function.path),
        ));
        let reporter = Wakeup::new();
        Self {
            began: Instant::now(),
            identity: Identity::new(settings, redactor),
            config: delivery_config(&settings.delivery),
            guardrails: settings.guardrails.clone(),
            sync_interval: settings.agents.sync_interval,
            idle_sync_interval: settings.agents.idle_sync_interval,
            redactor: redactor.clone(),
            gateway: Arc::new(GatewayStatus::new(settings, folder, metrics.clone(), reporter.clone())),
            reporter,
            backend: Arc::new(Backend::new(metrics.clone(), redactor.clone(), Box::new(SteadyClock::new()))),
            metrics,
            panics: Panics::default(),
            roster: Mutex::default(),
            workspaces: WorkspaceStatus::default(),
            keys: KeysStatus::default(),
            child: settings.gateway_child.is_some().then(Arc::default),
            wake_query: WakeQueryState::default(),
            online: OnlineReports::default(),
            requests: RequestStatus::default(),
            disk: Mutex::default(),
            unopened: Mutex::default(),
            displaced: Mutex::default(),
            kept_in: settings.state_dir.clone(),
            draining: AtomicBool::new(false),
            prepared: Prepared::default(),
            last_hour: LastHour::default(),
            clocks: OnceLock::new(),
            delivery: OnceLock::new(),
            nudges: OnceLock::new(),
            hosts: hosts_of(settings),
            ledger: OnceLock::new(),
            budget: OnceLock::new(),
            agents: OnceLock::new(),
            operator: Operator::new(settings, folder, redactor),
            agent_api: AgentApiConfig::new(settings),
        }
    }

    /// Sets the ledger, in which steps are noted from now on.
    pub(super) fn set_ledger(&self, ledger: Arc<Ledger>) {
        // It is set once, by the starting thread.
        let _ = self.ledger.set(ledger);
    }

    /// Sets the daily budgets. Those that are reached hold turns from the start.
    pub(super) fn set_budget(&self, budget: Arc<BudgetKeeper>) {
        self.operator.set_full(&budget.full());
        // It is set once, by the starting thread.
        let _ = self.budget.set(budget);
    }

    /// Notes why the state in `STATE_DIR` cannot be opened yet.
    pub(super) fn set_unopened(&self, why: &str) {
        *lock(&self.unopened) = Some(why.to_owned());
    }

    fn ledger_health(&self) -> LedgerHealth {
        let state = self.ledger.get().map(|ledger| ledger.state()).unwrap_or_default();
        let off = state.off.or_else(|| lock(&self.unopened).clone());
        LedgerHealth {
            off: off.map(|why| self.excerpt(&why)),
            holds: state.holds,
            displaced: lock(&self.displaced).as_deref().map(|why| self.excerpt(why)),
            open: state.open,
            notes: state.notes,
            commits: state.commits,
            synced: state.synced,
        }
    }

    /// Sets the endpoints that compare clocks with the backend.
    pub(super) fn set_clocks(&self, endpoints: Vec<ConvexEndpoint>) {
        // It is set once, by the starting thread.
        let _ = self.clocks.set(endpoints);
    }

    /// Notes that the service is stopping.
    pub(super) fn set_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Checks the free disk space. A disk may block, so `/health` itself does not check it.
    pub(super) fn check_disk(&self) {
        let free_bytes = free_bytes(&self.kept_in);
        *lock(&self.disk) = DiskHealth { free_bytes };
    }

    /// Checks whether `STATE_DIR` still leads to the ledger. Returns why not, if so. A disk may block.
    pub(super) fn check_folder(&self) -> Option<String> {
        let displaced = self.ledger.get().and_then(|ledger| ledger.displaced());
        lock(&self.displaced).clone_from(&displaced);
        displaced
    }

    /// Sets the agents' API: agents may call from now on.
    pub(super) fn set_agent_api(&self, agents: AgentApi) {
        // It is set once, by the starting thread.
        let _ = self.agents.set(agents);
    }

    /// Sets the delivery: rows are delivered from now on.
    pub(super) fn set_delivery(&self, view: View) -> std::io::Result<()> {
        let nudged = view.clone();
        // Both are set once, by the starting thread.
        let _ = self.nudges.set(NudgeLimiter::start(self.panics.clone(), move || nudged.nudge())?);
        let _ = self.delivery.set(view);
        Ok(())
    }

    /// The delivery, from the moment in which rows are delivered.
    pub(super) fn delivery(&self) -> Option<&View> {
        self.delivery.get()
    }

    /// Applies a new roster.
    pub(super) fn apply_roster(&self) {
        self.operator.apply_roster(self.delivery.get());
        // The reporter compares the roster with the gateway's list of agents.
        self.reporter.notify();
    }

    /// An error, shortened and redacted for display.
    pub(super) fn excerpt(&self, error: &str) -> String {
        self.redactor.excerpt(error, ERROR_CHARS)
    }

    /// The roster's entry, to be changed.
    pub(super) fn roster(&self) -> MutexGuard<'_, RosterHealth> {
        lock(&self.roster)
    }

    /// Notes the counts of the last minute once it has ended. Returns how long the current minute lasts.
    pub(super) fn minute(&self) -> Duration {
        self.last_hour.note(&self.metrics, self.delivery.get());
        self.last_hour.rest()
    }

    /// The condition of the account, for the backend.
    pub(super) fn condition(&self) -> Condition {
        let parts = self.parts();
        Condition { delivers: parts.delivers(), impaired: parts.is_impaired() }
    }

    /// Whether `/readyz` is 200, apart from a stop.
    pub(super) fn is_ready(&self) -> bool {
        self.parts().missing().is_empty()
    }

    /// The gateway's version: the configured one, or as it was found.
    pub(super) fn openclaw_version(&self) -> Option<String> {
        self.identity.openclaw(self.gateway.version())
    }

    fn parts(&self) -> Parts {
        let state = self.delivery.get().map(View::state);
        let breaker = state.as_ref().and_then(|state| state.breaker_open.as_deref());
        let mut gateway = self.gateway.health(breaker, state.is_some());
        gateway.missing_agents = self.missing_agents().report();
        gateway.blocked_agents = self.operator.slugs(self.delivery.get().map(View::blocked_agents));
        gateway.child = self.child.as_ref().map(|child| child.now());
        let advice = &mut gateway.missing_agents.advice;
        for text in [&mut gateway.closed, &mut gateway.last_send_error, advice].into_iter().flatten() {
            *text = self.excerpt(text);
        }
        Parts {
            gateway,
            delivery: self.delivery_health(state),
            roster: self.roster_health(),
            workspaces: self.workspaces.now(),
            keys: self.keys.now(),
            backend: self.backend.health(self.clocks.get().and_then(|clocks| clock_ahead(clocks))),
            ledger: self.ledger_health(),
            budget: self.budget.get().and_then(|budget| budget.report(SystemClock.now())),
            budget_stalled: self.budget.get().is_some_and(|budget| budget.is_stalled()),
            is_pending: false,
            disk: *lock(&self.disk),
            panics: PanicHealth::of(self.panics.last().as_ref()),
        }
    }

    fn roster_health(&self) -> RosterHealth {
        let mut roster = self.roster().clone();
        let interval = if roster.last_error.is_some() { self.sync_interval } else { self.idle_sync_interval };
        let patience = interval * STALE_AFTER_INTERVALS;
        let early = roster.last_error.is_none() && self.began.elapsed() < patience;
        roster.stale = roster.last_sync_at.map_or(!early, |at| SystemClock.now().since(at) > patience);
        roster
    }

    fn delivery_health(&self, state: Option<SchedulerState>) -> DeliveryHealth {
        let turns = self.delivery.get().map(View::turns).unwrap_or_default();
        let delivery = state.map_or_else(
            || DeliveryHealth { config: self.config.clone(), ..DeliveryHealth::default() },
            |state| delivery_health(state, turns, self.config.clone(), &|error| self.excerpt(error)),
        );
        DeliveryHealth { wake_query: self.wake_query.now().into(), ..delivery }
    }

    /// The conditions that block all deliveries.
    fn service_condition(&self) -> ServiceCondition {
        let state = self.delivery.get().map(View::state);
        let breaker =
            state.as_ref().map_or(Some("the service is starting"), |now| now.breaker_open.as_deref());
        let backend = self.backend.health(None);
        let lists = state.as_ref().and_then(|now| now.stats.list_error.clone());
        let hides = backend.accepted == Some(false) && !backend.token_refused;
        let why = lists.or_else(|| if backend.accepted == Some(true) { None } else { backend.last_error });
        let ledger = self.ledger_health();
        ServiceCondition {
            runs: true,
            mistake: None,
            gateway: self.gateway.health(breaker, state.is_some()).closed,
            backend: why.map(|why| if hides { format!("{REFUSES_ALL} ({why})") } else { why }),
            foreign: state.and_then(|now| now.foreign).map(|foreign| foreign.to_string()),
            ledger: ledger.off,
            holds: ledger.holds,
            displaced: ledger.displaced,
            paused: self.operator.paused(),
            budget: self.budget.get().map(|budget| budget.held()).unwrap_or_default(),
            missing: self.missing_agents(),
        }
    }

    fn version(&self) -> Version {
        self.identity.version(self.gateway.version())
    }

    pub(super) fn health(&self) -> Health {
        let mut parts = self.parts();
        let is_starting = parts.is_starting(self.began.elapsed());
        parts.is_pending = is_starting && parts.reasons().is_empty();
        let reasons = parts.reasons();
        let guardrails = Guardrails::of(&self.guardrails, &parts);
        let status = match () {
            () if self.draining.load(Ordering::Relaxed) => Status::Draining,
            () if is_starting => Status::Starting,
            () if reasons.is_empty() => Status::Healthy,
            () => Status::Degraded,
        };
        let Parts {
            gateway, delivery, roster, workspaces, keys, backend, ledger, budget, disk, panics, ..
        } = parts;
        Health {
            status,
            reasons,
            uptime: seconds(self.began.elapsed()),
            versions: self.identity.versions(self.gateway.version()),
            infrastructure: self.identity.infrastructure(),
            gateway,
            delivery,
            guardrails,
            heartbeat: self.agents.get().map_or_else(HeartbeatHealth::default, AgentApi::heartbeat),
            agent_api: self.agent_api.health(self.gateway.shows_tools()),
            agent_sync: roster,
            workspaces,
            gateway_keys: keys,
            backend,
            ledger,
            budget,
            requests: self.requests.shown(),
            disk,
            panics,
            paused: self.operator.paused().cleaned(&|name| self.redactor.clean(name)),
            memory: Memory { rss: resident_bytes() },
            timestamp: SystemClock.now(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
