//! A board with a team on it: an orchestrator, two who work, and what they do.

use mission_control_runtime::local::Options;
use serde_json::{Value, json};

use super::board::Board;

/// The board and its agents.
pub(crate) struct Team {
    pub(crate) board: Board,
    /// The orchestrator; may do everything.
    pub(crate) lead: String,
    /// May do everything, too.
    pub(crate) ada: String,
    /// May do what agents may by default.
    pub(crate) ben: String,
}

impl Team {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        Self::on(Board::with(options))
    }

    /// On a board that nobody reaches over HTTP.
    pub(crate) fn unserved(options: Options) -> Self {
        Self::on(Board::unserved(options))
    }

    fn on(board: Board) -> Self {
        let all = json!({"openclawConfig": {
            "model": "minimax-m2.5", "temperature": 0.7, "skillIds": [],
            "behaviorFlags": {"canCreateTasks": true},
        }});
        let lead = board.agent("lead", "Lead", "Orchestrator", all.clone());
        let ada = board.agent("ada", "Ada", "Engineer", all);
        let ben = board.agent("ben", "Ben", "Writer", json!({}));
        board.set(json!({"orchestratorAgentId": lead}));
        Self { board, lead, ada, ben }
    }

    /// A task with these agents on it.
    pub(crate) fn task(&self, status: &str, agents: &[&str]) -> String {
        let reason = if status == "blocked" { json!({"blockedReason": "no key"}) } else { json!({}) };
        let mut row = json!({"status": status, "assignedAgentIds": agents});
        row.as_object_mut().unwrap().extend(reason.as_object().unwrap().clone());
        self.board.task(row)
    }

    /// An agent moves a task.
    pub(crate) fn moves(&self, agent: &str, task: &str, to: &str) -> Result<Value, String> {
        let mut args = json!({"agentId": agent, "taskId": task, "status": to});
        if to == "blocked" {
            args["blockedReason"] = json!("waiting");
        }
        self.board.service("updateTaskStatusFromAgent", args)
    }

    /// Takes a setting of the flags of an agent away, or gives it.
    pub(crate) fn flag(&self, agent: &str, flag: &str, set: bool) {
        let config = json!({"model": "m", "temperature": 0.7, "skillIds": [], "behaviorFlags": {flag: set}});
        self.board.edit("agents", agent, json!({"openclawConfig": config}));
    }

    /// What happened to a task, newest first: the kind and its details.
    pub(crate) fn happened(&self, task: &str) -> Vec<(String, Value)> {
        let rows = self.board.look("activities:listByTask", json!({"taskId": task})).unwrap();
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| (row["type"].as_str().unwrap().to_owned(), row["meta"].clone())).collect()
    }
}

/// The first line of a refusal, or `ok`.
pub(crate) fn outcome(answer: Result<Value, String>) -> String {
    match answer {
        Ok(_) => "ok".to_owned(),
        Err(text) => super::seeds::refusal(Err(text)),
    }
}

/// An id like this one, of a row that is not there.
pub(crate) fn gone(id: &str) -> String {
    let (table, _) = id.split_at(2);
    format!("{table}{}", "0".repeat(id.len() - 2))
}
