//! Notices in the threads of work that waits for a budget: one for each thread, day and limit. A raised limit and a count
//! that starts from zero are new limits.
//!
//! A posted notice is kept in the ledger. Before a post the thread is read, so that a notice whose post was not confirmed is
//! not posted again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use log::{debug, info};

use super::BudgetKeeper;
use crate::roster::Team;
use crate::tools::run::GRACE;
use mcr_clients::convex::Ran;
use mcr_clients::mission::{LoadTask, Mission, PostMessage};
use mcr_core::delivery::operator_requests::{Pending, Place};
use mcr_core::digest::half_digest;
use mcr_core::guardrails::budget::{Held, Reached, Scope};
use mcr_model::{AgentId, TaskId, limits};

/// How many threads are informed in one round.
const POSTS_AT_ONCE: usize = 10;

/// Posts the notices.
pub struct BudgetNotices {
    mission: Mission,
    team: Team,
    keeper: Arc<BudgetKeeper>,
    /// Notices whose post may still arrive, with the time of the post.
    doubtful: HashMap<(TaskId, String), Instant>,
}

impl BudgetNotices {
    /// The notices that `keeper` does not know as posted are posted.
    pub fn new(mission: Mission, team: Team, keeper: Arc<BudgetKeeper>) -> Self {
        Self { mission, team, keeper, doubtful: HashMap::new() }
    }

    /// Informs the threads of the waiting work. `day` is the day that ends, in the zone of the budgets. Returns whether
    /// no further thread is left to be informed now.
    pub fn inform(&mut self, held: &Held, day: &str, pending: &[Pending]) -> bool {
        let roster = self.team.now();
        let mut posts = 0;
        for row in pending.iter().filter(|row| row.place != Place::Running) {
            let needs_turn = row.record.needs_turn(&row.work) && row.record.sent.is_none();
            let (Some(task), true) = (row.work.track.task(), needs_turn) else { continue };
            let agent = roster.agents().iter().find(|agent| agent.id.as_str() == row.work.track.agent);
            let Some(agent) = agent else { continue };
            let Some(reached) = held.of(&agent.slug) else { continue };
            let line = notice(reached, day);
            let key = (task.clone(), line);
            let waits = self.doubtful.get(&key).is_some_and(|at| at.elapsed() < GRACE);
            if waits || self.keeper.is_noticed(day, &name_of(&key)) {
                continue;
            }
            if posts == POSTS_AT_ONCE {
                return false;
            }
            posts += 1;
            self.post(key, day, &agent.id);
        }
        true
    }

    fn post(&mut self, key: (TaskId, String), day: &str, agent: &AgentId) {
        let (task, line) = &key;
        let look = LoadTask { agent_id: agent, task_id: task, message_limit: Some(limits::LIST_ROWS) };
        let is_there = match self.mission.ask(&look) {
            Ok(found) => found.thread.iter().any(|item| item.content == *line),
            Err(error) => {
                debug!(task:%, error:%; "A thread cannot be read, so it is not told of a budget yet");
                return;
            }
        };
        if !is_there {
            let message = PostMessage {
                task_id: task,
                agent_id: agent,
                content: line,
                suppress_agent_notifications: Some(true),
                attachments: &[],
                source_notification_id: None,
            };
            if let Err(error) = self.mission.ask(&message) {
                debug!(task:%, error:%; "A notice about a budget is not posted yet");
                if error.ran != Ran::No {
                    self.doubtful.insert(key, Instant::now());
                }
                return;
            }
            info!(task:%; "A thread was told that its work waits for a budget");
        }
        self.doubtful.remove(&key);
        self.keeper.keep_notice(day, &name_of(&key));
    }
}

/// The name of a notice among those of its day.
fn name_of((task, line): &(TaskId, String)) -> String {
    format!("{task}/{}", half_digest(line))
}

/// The notice of a limit on a day. It has no figure that changes meanwhile, so that it is recognised after a restart.
fn notice(reached: &Reached, day: &str) -> String {
    let whose = match &reached.scope {
        Scope::Account => "the daily budget of all agents".to_owned(),
        Scope::Agent(slug) => format!("the daily budget of {slug}"),
    };
    let reset = if reached.forgiven.is_zero() {
        String::new()
    } else {
        format!(", counted from {} on", reached.forgiven)
    };
    format!(
        "*(Automatic note of {day}: {whose} ({}{reset}) is reached, so the waiting messages of this task are answered when \
         the next day begins, or when an operator raises the budget.)*",
        reached.limits
    )
}
