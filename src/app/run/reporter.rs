//! The thread that reports the status to the backend, and learns the backend's health from the answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{debug, info, warn};

use super::state::State;
use super::status_report::StatusHistory;
use mcr_clients::convex::{CallClass, CallError};
use mcr_clients::gateway::HttpGateway;
use mcr_clients::mission::{Mission, UpdateAgentHeartbeat, UpdateRuntimeStatus};
use mcr_clients::wire::Stop;
use mcr_config::Settings;
use mcr_core::repeated_call::{CallPace, RepeatedCall};
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::{AgentId, AgentStatus, RuntimeReport, RuntimeStatus};
use mcr_service::clock::SteadyClock;
use mcr_service::roster::Team;

/// How often the gateway is probed while the reported status is "starting".
const START_PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// How often the gateway's list of agents is read while agents of the account are missing.
const MISSING_AGENTS_INTERVAL: Duration = Duration::from_secs(10);

/// The shortest time between two reports that an agent is alive: one call for many answers.
pub(super) const AGENT_REPORT_INTERVAL: Duration = Duration::from_mins(5);

/// The time limit for reporting agents in one round, so that the next status report is in time. The rest
/// follows later.
const AGENT_REPORTS_MAX: Duration = Duration::from_secs(5);

/// Reports the status, and which agents are online.
pub(super) struct Reporter {
    mission: Mission,
    /// For probing the gateway and its version. `None` where no gateway is configured.
    gateway: Option<HttpGateway>,
    state: Arc<State>,
    team: Team,
    began: Instant,
    verdict: StatusHistory,
    /// The status that the backend has accepted last.
    reported: Option<RuntimeStatus>,
    /// When the backend was last informed about each agent.
    beats: HashMap<AgentId, Instant>,
    report: RuntimeReport,
    /// The version of this process.
    version: String,
    /// Whether the backend answered the last report, and whether it accepted the report.
    before: Option<(bool, bool)>,
}

impl Reporter {
    /// A reporter with the settings of this machine.
    pub(super) fn new(
        mission: Mission,
        gateway: Option<HttpGateway>,
        state: Arc<State>,
        team: Team,
        settings: &Settings,
    ) -> Self {
        let report = RuntimeReport {
            droplet_id: settings.droplet.id.clone(),
            ip_address: settings.droplet.ip.clone(),
            region: Some(settings.droplet.region.clone()),
            last_health_check: None,
            openclaw_version: None,
            runtime_service_version: Some(settings.runtime_version.clone()),
            last_upgrade_at: None,
            last_upgrade_status: None,
        };
        let version = settings.runtime_version.clone();
        let (began, verdict, beats) = (Instant::now(), StatusHistory::default(), HashMap::new());
        Self {
            mission,
            gateway,
            state,
            team,
            began,
            verdict,
            reported: None,
            beats,
            report,
            version,
            before: None,
        }
    }

    /// Reports at once, at every interval and after a change, until the switch is closed. `provisioning` is reported
    /// once, and its end at once. Next to another runtime, each repetition would announce that one as "back
    /// online".
    pub(super) fn run(&mut self, stop: &Stop, interval: Duration) {
        let clock = SteadyClock::new();
        let wakeup = self.state.reporter.clone();
        let mut call = RepeatedCall::new(CallPace::of_status(interval));
        while !stop.is_closed() {
            let starting = self.waits_for_gateway(&call);
            if starting || call.due(false, clock.now()) <= clock.now() {
                self.state.gateway.probe(self.gateway.as_ref());
                self.state.check_disk();
            }
            self.state.follow_listed_agents(self.gateway.as_ref());
            let status = self.verdict.next(self.state.condition(), self.began.elapsed());
            let changed = self.reported.is_some_and(|reported| reported != status);
            if changed {
                call.request();
            }
            let is_due = call.due(false, clock.now()) <= clock.now();
            if if starting { changed } else { is_due } {
                call.begins(clock.now());
                let result = self.send_status(status);
                if stop.is_closed() {
                    return;
                }
                match &result {
                    Ok(()) => call.succeeds(),
                    Err(error) => call.fails(error.not_before, clock.now()),
                }
                self.note(result.err().as_ref());
            }
            if call.failures() == 0 {
                self.report_agents();
            }
            let now = clock.now();
            let due = call.due(false, now).since(now);
            let wait = if self.waits_for_gateway(&call) { START_PROBE_INTERVAL } else { due };
            let has_all_agents = self.state.missing_agents().is_empty();
            wakeup.wait(if has_all_agents { wait } else { wait.min(MISSING_AGENTS_INTERVAL) });
        }
    }

    /// Whether the backend knows that the service is starting, and the next report is due when that ends.
    fn waits_for_gateway(&self, call: &RepeatedCall) -> bool {
        self.reported == Some(RuntimeStatus::Provisioning) && call.failures() == 0
    }

    fn send_status(&mut self, status: RuntimeStatus) -> Result<(), CallError> {
        self.report.last_health_check = Some(SystemClock.now());
        self.report.openclaw_version = self.state.openclaw_version();
        self.state.requests.report(&mut self.report, &self.version);
        self.mission.ask(&UpdateRuntimeStatus { status, config: Some(&self.report) })?;
        self.verdict.reported(status, self.began.elapsed());
        self.reported = Some(status);
        Ok(())
    }

    /// Reports the agents that have answered since the last report. An error of the backend ends the round:
    /// the status report matters more.
    fn report_agents(&mut self) {
        let (roster, now) = (self.team.now(), Instant::now());
        let known = |(slug, answered): (String, Instant)| {
            let id = roster.by_slug(&slug)?.id.clone();
            let result = self.beats.get(&id);
            result.is_none_or(|at| *at < answered && now - *at >= AGENT_REPORT_INTERVAL).then_some(id)
        };
        let due: Vec<AgentId> = self.state.gateway.answers().into_iter().filter_map(known).collect();
        for id in due {
            if now.elapsed() > AGENT_REPORTS_MAX {
                return;
            }
            let beat =
                UpdateAgentHeartbeat { agent_id: &id, status: AgentStatus::Online, current_task_id: None };
            match self.mission.ask(&beat) {
                Ok(_) => self.state.online.note(&id),
                Err(error) => {
                    debug!(agent:% = id, error:%; "Mission Control was not informed that an agent is online");
                    if error.class == CallClass::Transient {
                        return;
                    }
                }
            }
            // A refusal would recur, so it is not retried at once.
            self.beats.insert(id, now);
        }
    }

    /// Notes the result for `/health`. Only changes are logged.
    fn note(&mut self, error: Option<&CallError>) {
        self.state.backend.note_report(error);
        let now = Some((error.is_none_or(|error| error.status.is_some()), error.is_none()));
        let changed = std::mem::replace(&mut self.before, now) != now;
        match error {
            None if changed => info!("Mission Control answers and knows the account"),
            Some(error) if changed => {
                warn!(error = self.state.excerpt(&error.to_string()); "The status cannot be reported");
            }
            None | Some(_) => {}
        }
    }
}

/// Sends the last report, which also ends "typing".
pub(super) fn report_offline(mission: &Mission, within: Duration) {
    let offline = UpdateRuntimeStatus { status: RuntimeStatus::Offline, config: None };
    if let Err(error) = mission.ask_within(within, &offline) {
        warn!(error:%; "Mission Control was not informed of this stop");
    }
}
