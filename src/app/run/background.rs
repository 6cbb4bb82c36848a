//! Background tasks, each on a separate thread: fetching the roster, and reporting the status to the backend.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use log::{debug, info, warn};

use super::state::State;
use super::status_report::StatusHistory;
use mcr_clients::convex::{CallClass, CallError};
use mcr_clients::gateway::HttpGateway;
use mcr_clients::mission::{Mission, UpdateAgentHeartbeat, UpdateRuntimeStatus};
use mcr_clients::wire::Stop;
use mcr_config::Settings;
use mcr_http::panics::Panics;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::{AgentId, AgentStatus, Roster, RuntimeReport, RuntimeStatus};
use mcr_service::heartbeat::beats::Beats;
use mcr_service::roster::Team;
use mcr_store::sessions::Sessions;

/// The pause before a failed call is retried. It doubles with every failure.
const FIRST_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The pause before a task that panicked is restarted.
const PANIC_RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Starts the thread of a task, which ends when the switch is closed. After a panic the task is restarted.
pub(super) fn spawn(
    name: &'static str,
    panics: Panics,
    stop: Stop,
    mut chore: impl FnMut() + Send + 'static,
) -> io::Result<()> {
    let keep_on = move || {
        while panics.catch(name, &mut chore).is_none() && !stop.is_closed() {
            stop.wait(PANIC_RESTART_PAUSE);
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(keep_on).map(drop)
}
/// How often the gateway is probed while the reported status is "starting".
const START_PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// The shortest time between two reports that an agent is alive: one call for many answers.
const BEAT_INTERVAL: Duration = Duration::from_mins(5);

/// The time limit for reporting agents in one round, so that the next status report is in time. The rest
/// follows later.
const AGENT_REPORTS_MAX: Duration = Duration::from_secs(5);

/// The pause after failures: short at first, then longer. Long where a person has to act first.
pub(super) fn pause(failures: u32, error: Option<&CallError>, interval: Duration) -> Duration {
    let patience = error.and_then(|error| error.not_before).unwrap_or_default();
    let soon = FIRST_RETRY_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let usual = if failures == 0 { interval } else { soon.min(interval) };
    usual.max(patience)
}

/// The variables that name agents by their slugs, with these slugs.
pub(in crate::app) fn named_agents(settings: &Settings) -> Vec<(&'static str, Vec<String>)> {
    vec![
        ("WAKE_ON", settings.delivery.wake_on.agents.keys().cloned().collect()),
        ("BUDGET_AGENTS", settings.budgets.agents.keys().cloned().collect()),
    ]
}

/// Keeps the roster up to date, and with it the state kept for its agents.
pub(super) struct RosterSync {
    pub(super) mission: Mission,
    pub(super) state: Arc<State>,
    pub(super) team: Team,
    pub(super) sessions: Arc<Sessions>,
    pub(super) beats: Arc<Beats>,
    /// Wakes the thread that writes workspaces. Its end ends that thread.
    pub(super) changed: Sender<()>,
    /// The variables that name agents by their slugs, with these slugs.
    pub(super) named: Vec<(&'static str, Vec<String>)>,
}

impl RosterSync {
    /// Fetches the roster at once and then at every interval, until the switch is closed.
    pub(super) fn run(&self, stop: &Stop, interval: Duration) {
        let Self { mission, state, team, sessions, beats, changed, named } = self;
        let mut failures = 0;
        let mut before = Arc::new(Roster::default());
        let mut unknown: BTreeSet<(&str, &str)> = BTreeSet::new();
        while !stop.is_closed() {
            let began = Instant::now();
            let fetched = team.fetch(mission);
            if stop.is_closed() {
                return;
            }
            failures = if fetched.is_ok() { 0 } else { failures + 1 };
            let rest = pause(failures, fetched.as_ref().err(), interval);
            match fetched {
                Ok(roster) => {
                    state.metrics.operation("agent_sync.run", began.elapsed(), None);
                    let now = SystemClock.now();
                    sessions.follow(&roster, now);
                    let knows = |slug: &str| roster.by_slug(slug).is_some();
                    beats.wakes().change(|wakes| wakes.tidy(&knows, now));
                    beats.nudge();
                    note_roster(&before, &roster, state);
                    let named =
                        named.iter().flat_map(|(name, slugs)| slugs.iter().map(move |slug| (*name, slug)));
                    for (variable, slug) in named.filter(|(_, slug)| roster.by_slug(slug).is_none()) {
                        if unknown.insert((variable, slug)) {
                            warn!(variable, agent = slug.as_str(); "A variable names an agent that is not in the roster");
                        }
                    }
                    if shows_other_profiles(&before, &roster) {
                        // A full channel already has the message.
                        let _ = changed.try_send(());
                    }
                    before = roster;
                    state.apply_roster();
                }
                Err(error) => {
                    if failures == 1 {
                        warn!(error:%; "The roster cannot be fetched");
                    }
                    state.backend.failed("agent_sync.run", began.elapsed(), &error);
                    state.roster().last_error = Some(state.excerpt(&error.to_string()));
                }
            }
            stop.wait(rest);
        }
    }
}

/// Whether something of an agent that is written into workspaces has changed.
fn shows_other_profiles(before: &Roster, now: &Roster) -> bool {
    let shown = |roster: &Roster| -> Vec<[String; 3]> {
        let agents = roster.agents.iter();
        agents.map(|agent| [agent.slug.clone(), agent.name.clone(), agent.role.clone()]).collect()
    };
    shown(before) != shown(now)
}

fn note_roster(before: &Roster, now: &Roster, state: &State) {
    let ids =
        |roster: &Roster| roster.agents.iter().map(|agent| agent.id.clone()).collect::<HashSet<AgentId>>();
    let (old, new) = (ids(before), ids(now));
    let mut health = state.roster();
    health.running = true;
    health.last_sync_at = Some(SystemClock.now());
    health.last_error = None;
    health.added_count = new.difference(&old).count();
    health.removed_count = old.difference(&new).count();
    health.agents = new.len();
    if health.added_count + health.removed_count > 0 {
        info!(agents = new.len(), added = health.added_count, removed = health.removed_count; "The roster has changed");
    }
}

/// Reports the status to the backend, and learns the backend's health from the answers.
pub(super) struct Reporter {
    mission: Mission,
    /// For probing the gateway and its version. `None` where no gateway is configured.
    gateway: Option<HttpGateway>,
    state: Arc<State>,
    team: Team,
    began: Instant,
    verdict: StatusHistory,
    /// When the backend was last informed about each agent.
    beats: HashMap<AgentId, Instant>,
    report: RuntimeReport,
    /// The configured gateway version, which takes precedence.
    configured_version: Option<String>,
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
        let configured_version = settings.openclaw_version.clone();
        let (began, verdict, beats) = (Instant::now(), StatusHistory::default(), HashMap::new());
        Self {
            mission,
            gateway,
            state,
            team,
            began,
            verdict,
            beats,
            report,
            configured_version,
            before: None,
        }
    }

    /// Reports at once and then at every interval, until the switch is closed. `provisioning` is reported
    /// once, and its end at once. Next to another runtime, each repetition would announce that one as "back
    /// online".
    pub(super) fn run(&mut self, stop: &Stop, interval: Duration) {
        let mut failures = 0;
        let mut due = Instant::now();
        let mut starting = false;
        while !stop.is_closed() {
            let status = self.look();
            let waits = starting && status == RuntimeStatus::Provisioning;
            if !waits && (starting || due <= Instant::now()) {
                let result = self.send_status(status);
                if stop.is_closed() {
                    return;
                }
                failures = if result.is_ok() { 0 } else { failures + 1 };
                starting = result.is_ok() && status == RuntimeStatus::Provisioning;
                due = Instant::now() + pause(failures, result.as_ref().err(), interval);
                self.note(result.err().as_ref());
            }
            stop.wait(if starting {
                START_PROBE_INTERVAL
            } else {
                due.saturating_duration_since(Instant::now())
            });
        }
    }

    /// Checks the gateway and the disk, and returns the status to report.
    fn look(&mut self) -> RuntimeStatus {
        self.state.gateway.probe(self.gateway.as_ref());
        self.state.check_disk();
        self.verdict.next(self.state.condition(), self.began.elapsed())
    }

    fn send_status(&mut self, status: RuntimeStatus) -> Result<(), CallError> {
        self.report.last_health_check = Some(SystemClock.now());
        self.report.openclaw_version =
            self.configured_version.clone().or_else(|| self.state.gateway.version());
        self.mission.ask(&UpdateRuntimeStatus { status, config: Some(&self.report) })?;
        self.verdict.reported(status, self.began.elapsed());
        self.report_agents();
        Ok(())
    }

    /// Reports the agents that have answered since the last report. An error of the backend ends the round:
    /// the status report matters more.
    fn report_agents(&mut self) {
        let (roster, now) = (self.team.now(), Instant::now());
        let known = |(slug, answered): (String, Instant)| {
            let id = roster.by_slug(&slug)?.id.clone();
            let result = self.beats.get(&id);
            result.is_none_or(|at| *at < answered && now - *at >= BEAT_INTERVAL).then_some(id)
        };
        let due: Vec<AgentId> = self.state.gateway.answers().into_iter().filter_map(known).collect();
        for id in due {
            if now.elapsed() > AGENT_REPORTS_MAX {
                return;
            }
            let beat =
                UpdateAgentHeartbeat { agent_id: &id, status: AgentStatus::Online, current_task_id: None };
            if let Err(error) = self.mission.ask(&beat) {
                debug!(agent:% = id, error:%; "Mission Control was not informed that an agent is online");
                if error.class == CallClass::Transient {
                    return;
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
