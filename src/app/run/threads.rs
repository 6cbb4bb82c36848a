//! Starts the threads of the running service.

use std::io;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use super::backend_health::observed;
use super::gateway_health::{TrackedGateway, watched};
use super::reporter::Reporter;
use super::requests::{Boot, Requests};
use super::roster_sync::{Reported, RosterSync, named_agents};
use super::shutdown::Cause;
use super::state::State;
use super::wake_query::WakeQuery;
use super::{
    BackendConnections, StopSwitches, agent_api_setup, background, budget, displaced, gateway_child,
    keys_sync, roster_sync, rows, workspace_sync,
};
use mcr_clients::gateway::GatewayEndpoint;
use mcr_config::Settings;
use mcr_core::delivery::retry::Budget;
use mcr_core::delivery::scheduler::{RecoveredState, SchedulerConfig};
use mcr_files::Folder;
use mcr_model::redact::Redactor;
use mcr_service::delivery::budget::BudgetKeeper;
use mcr_service::delivery::call_limit::CallLimit;
use mcr_service::delivery::deps::{RecentIds, Rules};
use mcr_service::delivery::service::{DeliverySetup, Service, View};
use mcr_service::delivery::stall_monitor::{StallLimits, StallWatch};
use mcr_service::delivery::worker::Worker;
use mcr_service::gateway_child::GatewayChild;
use mcr_service::heartbeat::beats::Beats;
use mcr_service::roster::Team;
use mcr_store::ledger::Ledger;
use mcr_store::sessions::Sessions;

/// The parameters of the threads.
pub(super) struct ThreadSetup<'a> {
    pub(super) settings: &'a Settings,
    pub(super) folder: Option<&'a Arc<Folder>>,
    pub(super) connections: &'a BackendConnections,
    /// `None` where no gateway is configured.
    pub(super) gateway: Option<GatewayEndpoint>,
    pub(super) state: &'a Arc<State>,
    pub(super) ledger: &'a Arc<Ledger>,
    pub(super) team: Team,
    pub(super) made: &'a Arc<RecentIds>,
    pub(super) budget: &'a Arc<BudgetKeeper>,
    pub(super) sessions: &'a Arc<Sessions>,
    pub(super) beats: &'a Arc<Beats>,
    pub(super) redactor: &'a Arc<Redactor>,
    pub(super) switches: &'a StopSwitches,
}

impl ThreadSetup<'_> {
    /// Starts everything but the server. The receiver disconnects when the background tasks have ended.
    pub(super) fn start(
        &self,
        port: u16,
        left: RecoveredState,
        requests: (Option<Boot>, String, Sender<Cause>),
    ) -> io::Result<(Service, Receiver<()>, Option<GatewayChild>)> {
        let team = self.team.clone();
        self.state.operator.set_team(team.clone());
        let service = Service::start(self.delivery(&team, port, left))?;
        self.state.set_delivery(service.view())?;
        self.state.set_agent_api(self.agent_api(&team, service.view()));

        // Nothing is ever sent: each thread holds a sender until it ends or panics.
        let (alive, ended) = crossbeam_channel::bounded::<()>(0);
        let stop = &self.switches.chores;
        let mission = observed(&self.connections.once, self.settings, stop, &self.state.backend);
        let gateway = self.gateway.as_ref().map(|gateway| gateway.client(stop));
        let mut reporter = Reporter::new(mission, gateway, self.state.clone(), team.clone(), self.settings);
        let (interval, switch, living) = (self.settings.report_interval, stop.clone(), alive.clone());
        background::spawn("reporter", self.state.panics.clone(), stop.clone(), move || {
            let _living = &living;
            reporter.run(&switch, interval);
        })?;
        let mission = observed(&self.connections.once, self.settings, stop, &self.state.backend);
        let (state, sessions, beats) = (self.state.clone(), self.sessions.clone(), self.beats.clone());
        let changed = workspace_sync::start(self, alive.clone())?;
        let mut roster = RosterSync {
            mission,
            state,
            view: service.view(),
            team: team.clone(),
            sessions,
            beats,
            changed,
            named: named_agents(self.settings),
            pace: roster_sync::pace(&self.settings.agents),
            followed: team.now(),
            reported: Reported::default(),
        };
        let (switch, living) = (stop.clone(), alive.clone());
        background::spawn("roster", self.state.panics.clone(), stop.clone(), move || {
            let _living = &living;
            roster.run(&switch);
        })?;
        keys_sync::start(self, service.view(), alive.clone())?;
        if self.budget.is_on() {
            budget::start(self, &team, service.view())?;
        }
        self.start_requests(requests, service.view(), alive.clone())?;
        if let Some(mut wake_query) = WakeQuery::new(self, service.view()) {
            let (switch, living) = (stop.clone(), alive.clone());
            background::spawn("wake-query", self.state.panics.clone(), stop.clone(), move || {
                let _living = &living;
                wake_query.run(&switch);
            })?;
        }
        let (view, switch, state) = (service.view(), stop.clone(), self.state.clone());
        background::spawn("state-dir", self.state.panics.clone(), stop.clone(), move || {
            let _living = &alive;
            displaced::watch(&state, &view, &switch);
        })?;
        let child = gateway_child::start(self, service.view())?;
        Ok((service, ended, child))
    }

    /// Starts the thread that reads requests for a restart or an upgrade. Without a place to remember them it must not.
    fn start_requests(
        &self,
        (boot, address, leave): (Option<Boot>, String, Sender<Cause>),
        view: View,
        living: Sender<()>,
    ) -> io::Result<()> {
        let Some(boot) = boot else { return Ok(()) };
        let stop = &self.switches.chores;
        let mission = observed(&self.connections.once, self.settings, stop, &self.state.backend);
        let mut requests =
            Requests::new(boot, self.settings, mission, self.state.clone(), view, address, leave);
        let switch = stop.clone();
        background::spawn("requests", self.state.panics.clone(), stop.clone(), move || {
            let _living = &living;
            requests.run(&switch);
        })
    }

    fn delivery(&self, team: &Team, port: u16, left: RecoveredState) -> DeliverySetup {
        let settings = self.settings;
        let delivery = &settings.delivery;
        let rules = Arc::new(Rules {
            access: agent_api_setup::tool_access(settings),
            base_url: settings.http.base_url(port).to_string(),
            session_tokens: settings.http.session_tokens,
            token_files: workspace_sync::token_files(settings),
            rounds_max: delivery.tool_rounds_max,
            calls_max: delivery.tool_calls_max,
            silence_max: settings.gateway.silence_max,
            budget: Budget { attempts: delivery.attempts_max, age: delivery.age_max },
            notes: delivery.no_response_note,
            wake_on: delivery.wake_on.clone(),
            team: delivery.team,
        });

        let worker = |_| Worker {
            mission: observed(&self.connections.patient, settings, &self.switches.calls, &self.state.backend),
            gateway: Box::new(TrackedGateway {
                gateway: self.gateway.as_ref().map(|gateway| gateway.client(&self.switches.turns)),
                status: self.state.gateway.clone(),
            }),
            journal: self.ledger.clone(),
            team: team.clone(),
            made: self.made.clone(),
            sessions: self.sessions.clone(),
            rules: rules.clone(),
            beats: self.beats.clone(),
            budget: self.budget.clone(),
            metrics: self.state.metrics.clone(),
            pool: None,
        };
        let plan = SchedulerConfig {
            workers: delivery.concurrent_sessions_max,
            list_limit: u32::try_from(delivery.list_limit).unwrap_or(u32::MAX),
            intervals: rows::poll_intervals(settings),
            calls_monthly: delivery.calls_monthly,
            fold_max: delivery.fold_max,
            agent_limits: rows::agent_limits(delivery),
        };
        let status = self.state.gateway.clone();
        let prober = self.gateway.as_ref().map(|gateway| gateway.client(&self.switches.chores));
        let workers = (0..plan.workers).map(worker).collect();
        let mission = observed(&self.connections.once, settings, &self.switches.chores, &self.state.backend);
        let journal = self.ledger.clone();
        let watcher = self.gateway.as_ref().map(|gateway| gateway.client(&self.switches.turns));
        let looping = self.state.gateway.clone();
        let watch = StallWatch {
            limits: StallLimits::of(settings.gateway.silence_max),
            look: watched(watcher, self.state.gateway.clone()),
            calls: CallLimit {
                most: delivery.tool_calls_max,
                may_loop: Box::new(move || looping.dialect().may_ask_again()),
            },
        };
        DeliverySetup {
            plan,
            mission,
            workers,
            journal,
            left,
            watch,
            beats: self.beats.clone(),
            probe: Box::new(move || status.probe(prober.as_ref())),
            team: team.clone(),
            backend_calls: {
                let metrics = self.state.metrics.clone();
                Box::new(move || metrics.backend_calls())
            },
            reporter: self.state.reporter.clone(),
            panics: self.state.panics.clone(),
            jobs: None,
        }
    }
}
