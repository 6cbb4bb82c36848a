//! A board with a team: an orchestrator, two other agents, and their actions.

use mission_control_runtime::local::Options;
use serde_json::{Value, json};

use super::board::Board;

/// The board and its agents.
pub(crate) struct Team {
    pub(crate) board: Board,
    /// The orchestrator, with all permissions.
    pub(crate) lead: String,
    /// An agent with all permissions.
    pub(crate) ada: String,
    /// An agent with the default permissions.
    pub(crate) ben: String,
}

impl Team {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        Self::on(Board::with(options))
    }

    /// On a board without HTTP.
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

    /// Adds a task with these assigned agents.
    pub(crate) fn task(&self, status: &str, agents: &[&str]) -> String {
        let reason = if status == "blocked" { json!({"blockedReason": "no key"}) } else { json!({}) };
        let mut row = json!({"status": status, "assignedAgentIds": agents});
        row.as_object_mut().unwrap().extend(reason.as_object().unwrap().clone());
        self.board.task(row)
    }

    /// Changes a task's status on behalf of an agent.
    pub(crate) fn moves(&self, agent: &str, task: &str, to: &str) -> Result<Value, String> {
        let mut args = json!({"agentId": agent, "taskId": task, "status": to});
        if to == "blocked" {
            args["blockedReason"] = json!("waiting");
        }
        self.board.service("updateTaskStatusFromAgent", args)
    }

    /// Sets or removes a flag of an agent.
    pub(crate) fn flag(&self, agent: &str, flag: &str, set: bool) {
        let config = json!({"model": "m", "temperature": 0.7, "skillIds": [], "behaviorFlags": {flag: set}});
        self.board.edit("agents", agent, json!({"openclawConfig": config}));
    }

    /// The activities of a task, newest first: the kind and its details.
    pub(crate) fn activities_of(&self, task: &str) -> Vec<(String, Value)> {
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

/// An id like this one, of a row that does not exist.
pub(crate) fn missing_id(id: &str) -> String {
    let (table, _) = id.split_at(2);
    format!("{table}{}", "0".repeat(id.len() - 2))
}
