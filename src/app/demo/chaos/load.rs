//! Keeps the runtime busy: hires agents, and gives each of them one new task after the other.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Fault;
use crate::app::embedded::Board;
use mcr_gateway_sim::load::Behaviour;
use mcr_mission_control::{Caller, Engine, Kind};

/// The agents are those with a number below this that answer.
const AGENTS: usize = 40;

/// The number of open rows at which no new ones are made.
const OPEN_ROWS: usize = 40;

/// The number of rows that one call makes.
const ROWS_AT_ONCE: usize = 2;

/// The number of open rows that are counted.
const COUNTED: usize = 100;

/// Minutes between two heartbeats of an agent: more than a run takes.
const HEARTBEAT: u32 = 1_440;

/// Makes the load, and reads what came of it.
pub(super) struct LoadDriver {
    engine: Arc<Engine>,
    account: String,
    service_token: String,
    /// Ids and slugs.
    agents: Vec<(String, String)>,
    made: usize,
}

impl LoadDriver {
    /// Hires the agents.
    pub(super) fn new(board: &Board) -> Result<Self, String> {
        let token = board.service_token.as_ref().ok_or("the account has no service token")?;
        let mut driver = Self {
            engine: board.engine.clone(),
            account: board.account.clone(),
            service_token: token.expose().to_owned(),
            agents: Vec::new(),
            made: 0,
        };
        let slugs = (0..AGENTS).map(|number| format!("a{number}"));
        for slug in slugs.filter(|slug| Behaviour::of(slug) != Behaviour::Silent) {
            let flags = json!({
                "canCreateTasks": false, "canModifyTaskStatus": true, "canCreateDocuments": true,
                "canMentionAgents": true, "canReviewTasks": false, "canMarkDone": false,
            });
            let agent = json!({
                "name": format!("Agent {slug}"), "slug": slug, "role": "Agent", "description": "Works under load",
                "soulContent": "Works.", "heartbeatInterval": HEARTBEAT,
                "openclawConfig": {"skillIds": [], "behaviorFlags": flags},
            });
            let id = driver.call(Kind::Mutation, "agents:create", agent)?;
            driver.agents.push((id.as_str().unwrap_or_default().to_owned(), slug));
        }
        Ok(driver)
    }

    /// The slugs of the agents.
    pub(super) fn slugs(&self) -> Vec<String> {
        self.agents.iter().map(|(_, slug)| slug.clone()).collect()
    }

    /// The slugs of the agents by id.
    pub(super) fn agents(&self) -> HashMap<String, String> {
        self.agents.iter().cloned().collect()
    }

    /// The number of rows made so far.
    pub(super) fn made(&self) -> usize {
        self.made
    }

    /// The number of rows that are not marked as delivered, as far as counted.
    pub(super) fn open(&self) -> Result<usize, String> {
        let open = self.service("listUndeliveredNotifications", json!({"limit": COUNTED}))?;
        Ok(open.as_array().map_or(0, Vec::len))
    }

    /// Makes some rows, unless enough are open: a person mentions an agent on a new task.
    pub(super) fn top_up(&mut self) -> Result<(), String> {
        let missing = OPEN_ROWS.saturating_sub(self.open()?).min(ROWS_AT_ONCE);
        for _ in 0..missing {
            let (_, slug) = &self.agents[self.made % self.agents.len()];
            let content = format!("@{slug}, this is number {}", self.made);
            let task = json!({"title": format!("Task {}", self.made), "priority": 3, "labels": []});
            let task = self.call(Kind::Mutation, "tasks:create", task)?;
            self.call(Kind::Mutation, "messages:create", json!({"taskId": task, "content": content}))?;
            self.made += 1;
        }
        Ok(())
    }

    /// All records of a table of the board.
    pub(super) fn records(&self, table: &str) -> Result<Vec<Value>, String> {
        self.engine.read_table(table).map_err(|why| why.to_string())
    }

    /// Damages one record as a faulty runtime would.
    pub(super) fn damage(&self, fault: Fault) -> Result<(), String> {
        let agents = self.agents();
        let is_own =
            |record: &Value, field: &str| record[field].as_str().is_some_and(|id| agents.contains_key(id));
        let any = |table: &str, field: &str| {
            let found = self.records(table)?.into_iter().find(|record| is_own(record, field));
            found.ok_or_else(|| format!("--fault needs a run in which the agents leave {table}"))
        };
        match fault {
            Fault::Loss => {
                let mut row = any("notifications", "recipientId")?;
                // A new row, marked as delivered, without an answer.
                for field in ["_id", "_creationTime"] {
                    row.as_object_mut().and_then(|row| row.remove(field));
                }
                self.engine.write_row("notifications", row).map(drop).map_err(|why| why.to_string())
            }
            Fault::Post => {
                let message = any("messages", "authorId")?;
                let again = json!({
                    "taskId": message["taskId"], "agentId": message["authorId"], "content": message["content"],
                });
                self.service("createMessageFromAgent", again).map(drop)
            }
            Fault::Effect => {
                let document = any("documents", "authorId")?;
                let again = json!({
                    "agentId": document["authorId"], "title": document["title"], "content": document["content"],
                    "type": document["type"],
                });
                self.service("createDocumentFromAgent", again).map(drop)
            }
        }
    }

    fn service(&self, name: &str, mut args: Value) -> Result<Value, String> {
        args["serviceToken"] = json!(self.service_token);
        self.call(Kind::Action, &format!("service/actions:{name}"), args)
    }

    /// Calls a function of the board.
    fn call(&self, kind: Kind, path: &str, mut args: Value) -> Result<Value, String> {
        args["accountId"] = json!(self.account);
        let (_, mut answer) = self.engine.call(kind, path, &args, Caller::Person, "chaos");
        match answer["status"].as_str() {
            Some("success") => Ok(answer["value"].take()),
            _ => Err(format!(
                "{path} failed: {}",
                answer["errorMessage"].as_str().unwrap_or("no reason given")
            )),
        }
    }
}
