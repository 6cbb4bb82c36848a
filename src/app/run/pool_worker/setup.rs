//! The parts of a worker: its clients, its delivery and its lanes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::super::StopSwitches;
use super::super::gateway_health::{GatewayStatus, TrackedGateway, watched};
use super::super::{agent_api_setup, rows};
use crate::app::command_env::CommandEnv;
use mcr_clients::convex::{Backoff, Convex, ConvexEndpoint, ConvexLimits};
use mcr_clients::gateway::{GatewayEndpoint, GatewayLimits};
use mcr_clients::mission::Mission;
use mcr_clients::pool::{FileClient, PoolClient, catalog};
use mcr_clients::telegram::{TelegramEndpoint, TelegramLimits};
use mcr_clients::wire::{Roots, Stop};
use mcr_config::{Settings, WorkerSettings};
use mcr_core::delivery::retry::Budget;
use mcr_core::delivery::scheduler::{RecoveredState, SchedulerConfig};
use mcr_core::pool::lane::{LaneRules, WorkerMode};
use mcr_core::tools::access::ToolAccess;
use mcr_core::work::{Kind, Work};
use mcr_files::Folder;
use mcr_http::panics::Panics;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::{AccountId, ToolEndpoints};
use mcr_service::delivery::budget::BudgetKeeper;
use mcr_service::delivery::call_limit::CallLimit;
use mcr_service::delivery::deps::{RecentIds, Rules};
use mcr_service::delivery::service::DeliverySetup;
use mcr_service::delivery::stall_monitor::{StallLimits, StallWatch};
use mcr_service::delivery::worker::Worker;
use mcr_service::heartbeat::beats::{BeatSettings, Beats, BeatsLeft};
use mcr_service::heartbeat::keeper::Keeper;
use mcr_service::metrics::Metrics;
use mcr_service::pool::{ClaimedJobs, LaneIds, LaneSetup, LaneStatus, PoolPort, PoolRules, SharedHooks};
use mcr_service::roster::Team;
use mcr_service::wakeup::Wakeup;
use mcr_store::ledger::Ledger;
use mcr_store::sessions::Sessions;

/// The longest time for which a failing job is retried here. Then the queue decides about it.
const JOB_AGE_MAX: Duration = Duration::from_mins(30);

/// Which side decides when this worker stops.
pub(super) fn mode(own: &WorkerSettings) -> WorkerMode {
    if own.worker_id.is_some() { WorkerMode::Pool } else { WorkerMode::Droplet }
}

/// The shared parts of a worker.
pub(super) struct WorkerParts<'a> {
    pub(super) settings: &'a Settings,
    pub(super) own: &'a WorkerSettings,
    pub(super) switches: &'a StopSwitches,
    pub(super) gateway: Arc<GatewayStatus>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) claimed_jobs: ClaimedJobs,
    pub(super) ids: Arc<LaneIds>,
    pub(super) panics: Panics,
    queue: ConvexEndpoint,
    gateway_endpoint: Option<GatewayEndpoint>,
    telegram: TelegramEndpoint,
    roots: &'a Roots,
    ledger: Arc<Ledger>,
    folder: Option<Arc<Folder>>,
    reporter: Wakeup,
}

impl<'a> WorkerParts<'a> {
    /// The parts. The error says why the worker cannot start.
    pub(super) fn new(
        settings: &'a Settings,
        own: &'a WorkerSettings,
        env: &CommandEnv,
        roots: &'a Roots,
        folder: Option<Arc<Folder>>,
        ledger: Arc<Ledger>,
        switches: &'a StopSwitches,
    ) -> Result<Self, String> {
        let limits = ConvexLimits { backoff: Backoff::default(), ..ConvexLimits::default() };
        let base = settings.account.convex_url.clone();
        let mut queue = ConvexEndpoint::with_limits(base, roots, env.redactor.clone(), limits)
            .with_memory(env.memory.backend.clone());
        if let Some(token) = &own.auth_token {
            queue = queue.with_bearer(token).ok_or("WORKER_AUTH_TOKEN cannot be sent in a header")?;
        }
        let metrics = Arc::new(Metrics::new(catalog::ALL.iter().map(|function| function.name)));
        let reporter = Wakeup::new();
        let status = GatewayStatus::new(settings, folder.as_ref(), metrics.clone(), reporter.clone());
        let gateway = Arc::new(status);
        let gateway_endpoint = settings.gateway.url.clone().map(|base| {
            let (token, limits) =
                (settings.gateway.token.clone(), GatewayLimits::new(settings.gateway.silence_max));
            GatewayEndpoint::with_limits(base, token, roots, env.redactor.clone(), limits)
                .with_names(agent_api_setup::open_names(folder.as_ref(), &ledger))
                .with_memory(env.memory.gateway.clone())
        });
        if let Some(endpoint) = &gateway_endpoint {
            gateway.set_endpoint(endpoint);
        }
        let telegram = TelegramEndpoint::new(own.telegram.clone(), roots, TelegramLimits::default());
        let (endpoint, stop) = (queue.clone(), switches.calls.clone());
        let (namespace, limit) = (own.namespace.clone(), own.call_limit);
        let renewer = move || PoolClient::new(Arc::new(endpoint.client(&stop)), &namespace, limit);
        let kept_in = folder.clone().filter(|_| ledger.state().off.is_none());
        let ids = LaneIds::open(kept_in, own.poll, SystemClock.now());
        Ok(Self {
            settings,
            own,
            switches,
            gateway,
            metrics,
            claimed_jobs: ClaimedJobs::new(own.renewal, renewer),
            ids: Arc::new(ids),
            panics: Panics::default(),
            queue,
            gateway_endpoint,
            telegram,
            roots,
            ledger,
            folder,
            reporter,
        })
    }

    /// A client of the queue for one thread.
    pub(super) fn client(&self, stop: &Stop) -> PoolClient {
        let convex: Arc<dyn Convex> = Arc::new(self.queue.client(stop));
        PoolClient::new(convex, &self.own.namespace, self.own.call_limit)
    }

    /// Adds the jobs of an earlier process to the claimed jobs, and the records of those that ended.
    pub(super) fn recall(&self, left: &RecoveredState) {
        for (work, ..) in &left.open {
            if let Kind::Job(job) = &work.kind {
                self.claimed_jobs.recalled(job);
            }
        }
        let Some(folder) = self.folder.as_ref().filter(|_| self.ledger.state().off.is_none()) else { return };
        // The queue may hand out again what has ended here.
        match mcr_store::ledger::read(folder) {
            Ok(read) => read
                .deliveries
                .into_iter()
                .filter(|row| row.closed.is_some() && row.work.is_job())
                .for_each(|row| self.claimed_jobs.remember(&row.id, row.record)),
            Err(why) => {
                log::warn!(reason:% = why; "The records of ended jobs cannot be read: a job that is handed out again starts anew");
            }
        }
    }

    /// The delivery of jobs, with as many workers as lanes.
    pub(super) fn delivery(
        &self,
        left: RecoveredState,
        made: &Arc<RecentIds>,
        hooks: &SharedHooks,
    ) -> DeliverySetup {
        let (settings, delivery) = (self.settings, &self.settings.delivery);
        let account = AccountId::new(&settings.account.id);
        let mission = Mission::new(
            Arc::new(self.queue.client(&self.switches.calls)),
            account.clone(),
            settings.account.service_token.clone(),
        );
        let rules = Arc::new(Rules {
            // An agent of a pool has no tools of Mission Control.
            access: ToolAccess { endpoints: ToolEndpoints::Off, client_tools: false },
            base_url: settings.http.base_url(settings.http.port).to_string(),
            session_tokens: false,
            token_files: None,
            rounds_max: delivery.tool_rounds_max,
            calls_max: delivery.tool_calls_max,
            silence_max: settings.gateway.silence_max,
            budget: Budget { attempts: delivery.attempts_max, age: delivery.age_max.min(JOB_AGE_MAX) },
            notes: delivery.no_response_note,
            wake_on: delivery.wake_on.clone(),
            team: delivery.team,
        });
        let pool_rules = Arc::new(PoolRules {
            workspace: self.own.workspace.clone(),
            session_prefix: self.own.session_prefix.clone(),
            parse_mode: self.own.parse_mode,
            workspace_dir: self.own.workspace_dir.clone(),
        });
        let beats = no_beats(&account);
        let team = Team::new(Duration::from_mins(1));
        let sessions = Arc::new(Sessions::in_memory(account));
        let worker = |_| Worker {
            mission: mission.clone(),
            gateway: Box::new(TrackedGateway {
                gateway: self.gateway_endpoint.as_ref().map(|gateway| gateway.client(&self.switches.turns)),
                status: self.gateway.clone(),
            }),
            journal: self.ledger.clone(),
            team: team.clone(),
            made: made.clone(),
            sessions: sessions.clone(),
            rules: rules.clone(),
            beats: beats.clone(),
            budget: Arc::new(BudgetKeeper::off()),
            metrics: self.metrics.clone(),
            pool: Some(PoolPort {
                client: self.client(&self.switches.calls),
                telegram: self.telegram.client(&self.switches.calls),
                telegram_endpoint: self.telegram.clone(),
                files: FileClient::new(self.roots, &self.switches.calls),
                stop: self.switches.calls.clone(),
                claimed_jobs: self.claimed_jobs.clone(),
                rules: pool_rules.clone(),
                hooks: hooks.clone(),
            }),
        };
        // A job of an earlier process has no lane, so it needs a worker of its own.
        let workers = self.own.lanes + left.open.len().min(self.own.lanes);
        let prober = self.gateway_endpoint.as_ref().map(|gateway| gateway.client(&self.switches.chores));
        let watcher = self.gateway_endpoint.as_ref().map(|gateway| gateway.client(&self.switches.turns));
        let status = self.gateway.clone();
        let metrics = self.metrics.clone();
        DeliverySetup {
            plan: SchedulerConfig {
                workers,
                list_limit: 1,
                intervals: rows::poll_intervals(settings),
                calls_monthly: delivery.calls_monthly,
                fold_max: 1,
                agent_limits: rows::agent_limits(delivery),
            },
            mission: mission.clone(),
            workers: (0..workers).map(worker).collect(),
            journal: self.ledger.clone(),
            left,
            watch: StallWatch {
                limits: StallLimits::of(settings.gateway.silence_max),
                look: watched(watcher, self.gateway.clone()),
                calls: CallLimit { most: delivery.tool_calls_max, may_loop: Box::new(|| false) },
                events: self.gateway_endpoint.as_ref().map(|gateway| gateway.client(&self.switches.turns)),
            },
            beats: beats.clone(),
            probe: Box::new(move || status.probe(prober.as_ref())),
            team: team.clone(),
            backend_calls: Box::new(move || metrics.backend_calls()),
            reporter: self.reporter.clone(),
            panics: self.panics.clone(),
            jobs: Some(self.claimed_jobs.clone()),
        }
    }

    /// One lane. Only the first one has the id that the scheduler has given.
    pub(super) fn lane(
        &self,
        number: usize,
        hooks: &SharedHooks,
        status: Arc<LaneStatus>,
        stop: &Receiver<()>,
        offer: Box<dyn Fn(Arc<Work>) -> bool + Send>,
    ) -> LaneSetup {
        let given = self.own.worker_id.clone().filter(|_| number == 1);
        let mode = if given.is_some() { WorkerMode::Pool } else { WorkerMode::Droplet };
        LaneSetup {
            number,
            rules: LaneRules {
                mode,
                poll: self.own.poll,
                idle: self.own.idle,
                conversation: self.own.conversation.clone().filter(|_| mode == WorkerMode::Pool),
            },
            given,
            client: self.client(&self.switches.chores),
            claimed_jobs: self.claimed_jobs.clone(),
            ids: self.ids.clone(),
            hooks: hooks.clone(),
            offer,
            status,
            stop: stop.clone(),
        }
    }
}

/// A worker of a pool has no heartbeats: nobody schedules its agents.
fn no_beats(account: &AccountId) -> Arc<Beats> {
    let wakes = Arc::new(Keeper::in_memory(account, String::new()));
    let settings = BeatSettings { rules: None, checklist: None, zone: mcr_model::zone::Zone::default() };
    let left = BeatsLeft { open: Vec::new(), memories: BTreeMap::new() };
    Arc::new(Beats::new(settings, Team::default(), wakes, left))
}
