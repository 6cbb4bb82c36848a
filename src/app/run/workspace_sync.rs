//! The thread that keeps the agents' workspaces up to date with Mission Control.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use log::{info, warn};

use super::backend_health::observed;
use super::background::spawn;
use super::roster_sync::{confirm_after, pace};
use super::state::State;
use super::threads::ThreadSetup;
use mcr_clients::convex::CallError;
use mcr_clients::mission::{ListAgentsForRuntime, Mission};
use mcr_clients::wire::Stop;
use mcr_config::Settings;
use mcr_core::gateway::dialect::Release;
use mcr_core::repeated_call::{CallPace, RepeatedCall};
use mcr_model::AgentId;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_service::clock::SteadyClock;
use mcr_service::workspace::Workspaces;
use mcr_service::workspace::health::WorkspaceHealth;
use mcr_service::workspace::token::TokenFiles;
use mcr_store::sessions::Sessions;

/// The health of the workspaces, for `/health`.
#[derive(Default)]
pub(super) struct WorkspaceStatus(Mutex<WorkspaceHealth>);

impl WorkspaceStatus {
    /// The present state.
    pub(super) fn now(&self) -> WorkspaceHealth {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, health: WorkspaceHealth) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }
}

/// The files with the agents' tokens, if workspaces are written.
pub(super) fn token_files(settings: &Settings) -> Option<TokenFiles> {
    settings.agents.profile_sync.then(|| TokenFiles::new(settings.agents.workspace_root.clone()))
}

/// Starts the thread, if workspaces are written. A message of the returned channel asks for a sync at once.
pub(super) fn start(setup: &ThreadSetup<'_>, living: Sender<()>) -> io::Result<Sender<()>> {
    // One message is enough: a sync reads everything.
    let (changed, wake_ups) = crossbeam_channel::bounded(1);
    let settings = setup.settings;
    if !settings.agents.profile_sync {
        return Ok(changed);
    }
    let stop = setup.switches.chores.clone();
    let mut sync = WorkspaceSync {
        mission: observed(&setup.connections.once, settings, &stop, &setup.state.backend),
        state: setup.state.clone(),
        workspaces: Workspaces::new(settings.agents.workspace_root.clone())
            .confirming_after(confirm_after(&settings.agents)),
        configured_version: settings.openclaw_version.clone(),
        sessions: settings.http.session_tokens.then(|| setup.sessions.clone()),
        reported: BTreeMap::new(),
    };
    let (pace, switch) = (pace(&settings.agents), stop.clone());
    spawn("workspace", setup.state.panics.clone(), stop, move || {
        let _living = &living;
        sync.run(&switch, &wake_ups, pace);
    })?;
    Ok(changed)
}

struct WorkspaceSync {
    mission: Mission,
    state: Arc<State>,
    workspaces: Workspaces,
    /// Where the agents' tokens come from, if the agent API requires one.
    sessions: Option<Arc<Sessions>>,
    /// The configured version of the gateway, which takes precedence.
    configured_version: Option<String>,
    /// The problem of each agent that was last logged.
    reported: BTreeMap<String, String>,
}

impl WorkspaceSync {
    /// Syncs at once, and whenever the roster was fetched or has changed, until the switch is closed. If the roster
    /// cannot be fetched, syncs go on at the idle interval.
    fn run(&mut self, stop: &Stop, wake_ups: &Receiver<()>, pace: CallPace) {
        if let Err(why) = self.workspaces.recover() {
            warn!(reason:% = why; "Unfinished writes to workspaces cannot be completed");
        }
        let clock = SteadyClock::new();
        let mut call = RepeatedCall::new(pace);
        while !stop.is_closed() {
            if call.due(true, clock.now()) <= clock.now() {
                call.begins(clock.now());
                match self.sync() {
                    Ok(()) => call.succeeds(),
                    Err(error) => {
                        call.fails(error.not_before, clock.now());
                        if call.failures() == 1 && !stop.is_closed() {
                            warn!(error:%; "The profiles of agents cannot be fetched");
                        }
                    }
                }
            }
            let now = clock.now();
            let rest = call.due(true, now).since(now);
            match wake_ups.recv_timeout(rest) {
                Ok(()) => call.request(),
                Err(RecvTimeoutError::Timeout) => {}
                // The roster's thread holds the sender until it stops.
                Err(RecvTimeoutError::Disconnected) => drop(stop.wait(rest)),
            }
        }
    }

    fn sync(&mut self) -> Result<(), CallError> {
        let began = Instant::now();
        let profiles = self.mission.ask(&ListAgentsForRuntime {})?;
        let version = self.configured_version.clone().or_else(|| self.state.gateway.version());
        let release = version.as_deref().and_then(Release::parse);
        let token = |agent: &AgentId| self.sessions.as_ref().map(|sessions| sessions.agent_token(agent));
        let health = self.workspaces.sync(&profiles.0, &token, release, SystemClock.now());
        let mut health = health.shown(&|text| self.state.excerpt(text));
        health.sync_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.log(&health);
        self.state.workspaces.set(health);
        Ok(())
    }

    /// Logs changed files and new problems.
    fn log(&mut self, health: &WorkspaceHealth) {
        if health.changes > 0 {
            info!(files = health.changes, milliseconds = health.sync_ms; "Workspaces are written");
        }
        let mut problems: BTreeMap<String, String> =
            health.rejected.iter().chain(&health.removed).cloned().collect();
        for agent in &health.agents {
            let words: Vec<&str> = agent.error.iter().chain(&agent.warnings).map(String::as_str).collect();
            if !words.is_empty() {
                problems.insert(agent.slug.clone(), words.join("; "));
            }
        }
        let all = health.error.as_ref().or(health.kept.as_ref());
        problems.extend(all.map(|why| (String::new(), why.clone())));
        for (agent, problem) in
            problems.iter().filter(|(agent, problem)| self.reported.get(*agent) != Some(problem))
        {
            warn!(agent = agent.as_str(), problem = problem.as_str(); "A workspace needs attention");
        }
        self.reported = problems;
    }
}
