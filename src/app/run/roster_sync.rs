//! The thread that keeps the roster up to date, and with it the state kept for its agents.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use log::{info, warn};

use super::state::State;
use mcr_clients::convex::CallError;
use mcr_clients::mission::Mission;
use mcr_clients::wire::Stop;
use mcr_config::{Agents, Settings};
use mcr_core::absence::CONFIRM_AFTER;
use mcr_core::ops::{AgentProblem, agent_problems};
use mcr_core::repeated_call::{CallPace, RepeatedCall};
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::{AgentId, Roster};
use mcr_service::clock::SteadyClock;
use mcr_service::delivery::service::View;
use mcr_service::heartbeat::beats::Beats;
use mcr_service::http::health::PROBLEMS_SHOWN_MAX;
use mcr_service::roster::Team;
use mcr_store::sessions::Sessions;

/// When the roster is fetched, and likewise the profiles of agents.
pub(super) fn pace(agents: &Agents) -> CallPace {
    CallPace::of_roster(agents.sync_interval, agents.idle_sync_interval)
}

/// How long an agent is missing before it is gone: at least the time between two fetches that the operator has set.
pub(super) fn confirm_after(agents: &Agents) -> Duration {
    agents.sync_interval.min(CONFIRM_AFTER)
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
    pub(super) view: View,
    pub(super) team: Team,
    pub(super) sessions: Arc<Sessions>,
    pub(super) beats: Arc<Beats>,
    /// Wakes the thread that writes workspaces. Its end ends that thread.
    pub(super) changed: Sender<()>,
    /// The variables that name agents by their slugs, with these slugs.
    pub(super) named: Vec<(&'static str, Vec<String>)>,
    pub(super) pace: CallPace,
    /// The roster that was last followed.
    pub(super) followed: Arc<Roster>,
    /// What the log has already named: slugs of variables, and problems of agents.
    pub(super) reported: Reported,
}

/// What the log has already named.
#[derive(Default)]
pub(super) struct Reported {
    unknown: BTreeSet<(&'static str, String)>,
    problems: BTreeSet<AgentProblem>,
}

impl RosterSync {
    /// Fetches the roster at once, at every interval and on request, until the switch is closed.
    pub(super) fn run(&mut self, stop: &Stop) {
        let clock = SteadyClock::new();
        let mut call = RepeatedCall::new(self.pace);
        while !stop.is_closed() {
            let now = clock.now();
            if self.team.take_request() {
                call.request();
            }
            let mut wants_workspaces = false;
            if call.due(self.view.state().is_idle, now) <= now {
                call.begins(now);
                let began = Instant::now();
                let fetched = self.team.fetch(&self.mission);
                if stop.is_closed() {
                    return;
                }
                match &fetched {
                    Ok(_) => {
                        call.succeeds();
                        self.state.metrics.operation("agent_sync.run", began.elapsed(), None);
                        // A profile may have changed, which the roster does not show. So workspaces are compared at
                        // the roster's interval.
                        wants_workspaces = true;
                    }
                    Err(error) => {
                        call.fails(error.not_before, clock.now());
                        self.note_failure(error, call.failures(), began.elapsed());
                    }
                }
            }
            let newest = self.team.now();
            if !Arc::ptr_eq(&newest, &self.followed) {
                wants_workspaces |= shows_other_profiles(&self.followed, &newest);
                self.follow(newest);
            }
            if wants_workspaces {
                // A full channel already has the message.
                let _ = self.changed.try_send(());
            }
            let now = clock.now();
            self.team.wakeup().wait(call.due(self.view.state().is_idle, now).since(now));
        }
    }

    /// Applies a roster that this or another thread has fetched.
    fn follow(&mut self, roster: Arc<Roster>) {
        let now = SystemClock.now();
        self.sessions.follow(&roster, now);
        let (dropped, _) = self.beats.wakes().change(|wakes| wakes.tidy(&roster, now));
        for (agent, events) in dropped {
            warn!(agent = agent.as_str(), events; "Events of an agent that no longer exists are deleted");
        }
        self.beats.nudge();
        let problems = agent_problems(&roster);
        self.note_roster(&roster, &problems);
        self.log_unknown(&roster);
        self.log_problems(problems);
        self.followed = roster;
        self.state.apply_roster();
    }

    fn note_failure(&self, error: &CallError, failures: u32, took: Duration) {
        // Of consecutive failures, only the first is logged.
        if failures == 1 {
            warn!(error:%; "The roster cannot be fetched");
        }
        self.state.backend.failed("agent_sync.run", took, error);
        self.state.roster().last_error = Some(self.state.excerpt(&error.to_string()));
    }

    fn note_roster(&self, now: &Roster, problems: &[AgentProblem]) {
        let ids = |roster: &Roster| -> HashSet<AgentId> {
            roster.agents().iter().map(|agent| agent.id.clone()).collect()
        };
        let (old, new) = (ids(&self.followed), ids(now));
        let mut health = self.state.roster();
        health.running = true;
        health.last_sync_at = Some(SystemClock.now());
        health.last_error = None;
        health.added_count = new.difference(&old).count();
        health.removed_count = old.difference(&new).count();
        health.agents = new.len();
        health.problem_count = problems.iter().filter(|found| !found.is_note).count();
        let shown = problems.iter().take(PROBLEMS_SHOWN_MAX);
        let clean = |text: &str| self.state.excerpt(text);
        health.problems = shown.map(|found| (clean(&found.agent), clean(&found.problem))).collect();
        if health.added_count + health.removed_count > 0 {
            info!(agents = new.len(), added = health.added_count, removed = health.removed_count; "The roster has changed");
        }
    }

    fn log_unknown(&mut self, roster: &Roster) {
        for (variable, slugs) in &self.named {
            for slug in slugs.iter().filter(|slug| roster.by_slug(slug).is_none()) {
                if self.reported.unknown.insert((variable, slug.clone())) {
                    warn!(variable, agent = slug.as_str(); "A variable names an agent that is not in the roster");
                }
            }
        }
    }

    /// Logs new problems, at most as many as `/health` shows.
    fn log_problems(&mut self, problems: Vec<AgentProblem>) {
        let problems: BTreeSet<AgentProblem> = problems.into_iter().filter(|found| !found.is_note).collect();
        for found in problems.difference(&self.reported.problems).take(PROBLEMS_SHOWN_MAX) {
            warn!(agent = found.agent.as_str(), problem = found.problem.as_str(); "An agent in Mission Control needs attention");
        }
        self.reported.problems = problems;
    }
}

/// Whether something of an agent that is written into workspaces has changed.
fn shows_other_profiles(before: &Roster, now: &Roster) -> bool {
    let shown = |roster: &Roster| -> Vec<[String; 3]> {
        let agents = roster.agents().iter();
        agents.map(|agent| [agent.slug.clone(), agent.name.clone(), agent.role.clone()]).collect()
    };
    shown(before) != shown(now)
}
