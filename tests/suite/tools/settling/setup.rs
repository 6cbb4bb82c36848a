//! A board on which the orchestrator calls its writing tools, and the resulting rows in the backend's books.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::clock::{Clock as _, Millis};
use mission_control_runtime::convex::{CallClass, CallReason};
use mission_control_runtime::local::Options;
use mission_control_runtime::mission::{GetOrchestrator, ListAgents, Mission};
use mission_control_runtime::model::{AccountId, AgentId, Notification, Roster, Task, TaskId};
use mission_control_runtime::secret::Secret;
use mission_control_runtime::tools::run::{
    Doubt, ExecutedCall, GRACE, NotNow, Performed, ToolBackend, run, settle,
};
use mission_control_runtime::tools::{Caller, ToolRequest, offer, prepare, render};
use serde_json::{Value, json};

use crate::support::direct::Direct;
use crate::support::team::Team;
use crate::tools::call;

/// The kinds of backend, for each of the rows.
pub(super) const BACKENDS: [Options; 3] = [
    Options { original: false, redact: false },
    Options { original: true, redact: false },
    Options { original: false, redact: true },
];
/// The answer is lost.
pub(super) const LOST: (CallClass, CallReason) = (CallClass::Ambiguous, CallReason::LostAnswer);

/// A board on which the orchestrator is in a conversation about a task, with its connection to the backend.
pub(super) struct Fixture {
    pub(super) team: Team,
    pub(super) direct: Direct,
    pub(super) mission: Mission,
    pub(super) roster: Roster,
    pub(super) here: String,
    /// The latest instant of everything that existed before the call.
    pub(super) since: Millis,
    /// Requests for a response whose delivery has begun here.
    pub(super) served: RefCell<Vec<Notification>>,
}

impl Fixture {
    pub(super) fn new(options: Options) -> Self {
        let team = Team::with(options);
        let direct = Direct::new(team.board.engine.clone());
        let account = AccountId::new(team.board.account.as_str());
        let mission = Mission::new(Arc::new(direct.clone()), account, Secret::new(&team.board.token));
        let old = json!({"agentId": team.ada, "title": "Old", "content": "old", "type": "note"});
        team.board.service("createDocumentFromAgent", old).unwrap();
        let here = team.task("in_progress", &[&team.ada]);
        let agents = mission.ask(&ListAgents {}).unwrap().agents;
        let orchestrator = mission.ask(&GetOrchestrator {}).unwrap().orchestrator_agent_id;
        let roster = Roster::new(agents, orchestrator);
        let since = Millis(1_765_526_400_000);
        let fixture = Self { team, direct, mission, roster, here, since, served: RefCell::default() };
        fixture.direct.take_names();
        fixture
    }

    pub(super) fn task(&self) -> Task {
        serde_json::from_value(self.team.board.row("tasks", &self.here)).unwrap()
    }

    pub(super) fn with<T>(&self, act: impl FnOnce(&Caller<'_>, &ToolBackend<'_>) -> T) -> T {
        let (agent, task) = (AgentId::new(&self.team.lead), self.task());
        let caller = Caller {
            agent: &agent,
            task: Some(&task),
            flags: self.roster.agent(&agent).unwrap().effective_behavior_flags.unwrap(),
            leads: true,
            may_close: true,
        };
        let refresh = || Some(Arc::new(self.roster.clone()));
        act(&caller, &ToolBackend { mission: &self.mission, roster: &self.roster, refresh: &refresh })
    }

    pub(super) fn request(&self, tool: &Tool) -> ToolRequest {
        let call = call(tool.name, &self.args(tool).to_string());
        self.with(|caller, _| prepare(&call, caller, &offer(caller)).unwrap())
    }

    pub(super) fn args(&self, tool: &Tool) -> Value {
        let mut args = (tool.args)(&self.team);
        if ["task_message", "task_delete", "task_link_pr", "task_assign"].contains(&tool.name) {
            args["taskId"] = json!(self.here);
        }
        args
    }

    /// The agent makes the call, and time passes.
    pub(super) fn call(&self, tool: &Tool) -> ExecutedCall {
        self.team.board.advance(1_000);
        let call = call(tool.name, &self.args(tool).to_string());
        let ran = self.with(|caller, hands| run(&call, caller, &offer(caller), hands));
        self.team.board.advance(1_000);
        ran
    }

    pub(super) fn settle_as(&self, tool: &Tool, age: Duration, known: &[&str]) -> Result<Performed, NotNow> {
        let request = self.request(tool);
        self.direct.take_names();
        let requests = |_: &TaskId| self.served.borrow().clone();
        let doubt =
            Doubt { since: self.since, age, is_known: &|id| known.contains(&id), requests: &requests };
        self.with(|caller, hands| settle(&request, &doubt, caller, hands))
    }

    pub(super) fn settle(&self, tool: &Tool) -> Performed {
        self.settle_as(tool, GRACE, &[]).unwrap_or_else(|why| panic!("{}: {why}", tool.name))
    }

    /// How often the effect is in the backend's books.
    pub(super) fn effects(&self, tool: &Tool) -> usize {
        self.marks(tool).len()
    }

    /// The ids of the rows that prove the effect, oldest first.
    pub(super) fn marks(&self, tool: &Tool) -> Vec<String> {
        let (table, like) = tool.mark;
        let mut rows = self.team.board.rows(table);
        rows.retain(|row| contains(row, &like()));
        rows.sort_by(|one, other| {
            one["createdAt"].as_f64().unwrap().total_cmp(&other["createdAt"].as_f64().unwrap())
        });
        rows.iter().map(|row| row["_id"].as_str().unwrap().to_owned()).collect()
    }

    /// This row is delivered here.
    pub(super) fn serve(&self, id: &str) {
        let row = self.team.board.row("notifications", id);
        self.served.borrow_mut().push(serde_json::from_value(row).unwrap());
        self.team.board.service("markNotificationDelivered", json!({"notificationId": id})).unwrap();
    }

    /// The backend's time.
    pub(super) fn now(&self) -> Millis {
        self.team.board.clock().now()
    }

    /// Another agent does the same, over another connection.
    pub(super) fn does(&self, agent: &str, tool: &Tool) -> String {
        let (function, id) = tool.twin.unwrap();
        let mut args = self.args(tool);
        args["agentId"] = json!(agent);
        if tool.name == "document_upsert" {
            args["taskId"] = json!(self.here);
        }
        self.team.board.advance(10);
        let made = if tool.name == "task_message" {
            json!({"messageId": self.team.board.says(agent, &self.here, "Please look.")})
        } else {
            self.team.board.service(function, args).unwrap()
        };
        made[id].as_str().unwrap().to_owned()
    }

    /// Adds this many other rows of the same kind, one in each millisecond.
    pub(super) fn crowd(&self, tool: &Tool, rows: usize) {
        let (board, ada) = (&self.team.board, &self.team.ada);
        for n in 0..rows {
            board.advance(1);
            let title = format!("Row {n}");
            let made = match tool.name {
                "task_create" => {
                    board.service("createTaskFromAgent", json!({"agentId": ada, "title": title}))
                }
                "document_upsert" => {
                    let paper = json!({"agentId": ada, "title": title, "content": "c", "type": "note",
                        "taskId": self.here});
                    board.service("createDocumentFromAgent", paper)
                }
                _ => Ok(json!(board.says(ada, &self.here, &title))),
            };
            made.unwrap();
        }
    }
}

pub(super) fn contains(row: &Value, like: &Value) -> bool {
    like.as_object().unwrap().iter().all(|(name, value)| match value {
        Value::Object(_) => contains(&row[name], value),
        _ => row[name] == *value,
    })
}

/// A writing tool as it is called here.
pub(super) struct Tool {
    pub(super) name: &'static str,
    /// The called function of the backend.
    pub(super) function: &'static str,
    pub(super) args: fn(&Team) -> Value,
    /// The rows that prove the effect.
    pub(super) mark: (&'static str, fn() -> Value),
    /// How others can make such a row, and where its id then is.
    pub(super) twin: Option<(&'static str, &'static str)>,
    /// The function that is read to settle the call.
    pub(super) reads: Option<&'static str>,
}

pub(super) const LOAD: Option<&str> = Some("loadTaskDetailsForAgentTool");

pub(super) const TOOLS: [Tool; 10] = [
    Tool {
        name: "task_status",
        function: "updateTaskStatusFromAgent",
        args: |_| json!({"status": "review"}),
        mark: ("activities", || json!({"type": "task_status_changed", "meta": {"newStatus": "review"}})),
        twin: None,
        reads: None,
    },
    Tool {
        name: "task_update",
        function: "updateTaskFromAgent",
        args: |_| json!({"title": "Other", "priority": "high", "labels": ["a", "b"], "dueDate": 1_765_612_800_000_i64}),
        mark: ("activities", || json!({"type": "task_updated"})),
        twin: None,
        reads: LOAD,
    },
    Tool {
        name: "task_create",
        function: "createTaskFromAgent",
        args: |_| json!({"title": "Check", "description": "All of it.", "labels": ["new"]}),
        mark: ("tasks", || json!({"title": "Check", "description": "All of it."})),
        twin: Some(("createTaskFromAgent", "taskId")),
        reads: Some("listTasksForOrchestratorHeartbeat"),
    },
    Tool {
        name: "document_upsert",
        function: "createDocumentFromAgent",
        args: |_| json!({"title": "Paper", "content": "# Text", "type": "note"}),
        mark: ("documents", || json!({"title": "Paper"})),
        twin: Some(("createDocumentFromAgent", "documentId")),
        reads: Some("listDocumentsForAgent"),
    },
    Tool {
        name: "response_request",
        function: "createResponseRequestNotifications",
        args: |_| json!({"recipientSlugs": ["@Ben"], "message": "What do you think?"}),
        mark: ("notifications", || json!({"type": "response_request"})),
        twin: None,
        reads: Some("listUndeliveredNotifications"),
    },
    Tool {
        name: "task_assign",
        function: "assignTaskFromAgent",
        args: |_| json!({"assigneeSlugs": ["ben"]}),
        mark: ("activities", || json!({"type": "task_updated"})),
        twin: None,
        reads: LOAD,
    },
    Tool {
        name: "task_message",
        function: "createTaskMessageForAgentTool",
        args: |_| json!({"content": "Please look."}),
        mark: ("messages", || json!({"content": "Please look."})),
        twin: Some(("", "messageId")),
        reads: LOAD,
    },
    Tool {
        name: "task_delete",
        function: "deleteTaskFromAgent",
        args: |_| json!({"reason": "Not needed."}),
        mark: ("activities", || json!({"type": "task_status_changed", "meta": {"newStatus": "archived"}})),
        twin: None,
        reads: LOAD,
    },
    Tool {
        name: "task_link_pr",
        function: "linkTaskToPrForAgentTool",
        args: |_| json!({"prNumber": 65}),
        mark: ("tasks", || json!({"metadata": {"prNumber": 65.0}})),
        twin: None,
        reads: None,
    },
    Tool {
        name: "document_upsert",
        function: "createDocumentFromAgent",
        args: |team| {
            let old = &team.board.rows("documents")[0]["_id"];
            json!({"documentId": old, "title": "Paper", "content": "# Text", "type": "note"})
        },
        mark: ("activities", || json!({"type": "document_updated"})),
        twin: None,
        reads: Some("listDocumentsForAgent"),
    },
];

impl Tool {
    /// Whether a second call adds a row of any kind.
    pub(super) fn adds_rows(&self) -> bool {
        !["task_status", "task_link_pr"].contains(&self.name)
    }
}

/// The tools that add a row with each call.
pub(super) fn makers() -> impl Iterator<Item = &'static Tool> {
    TOOLS.iter().filter(|tool| tool.twin.is_some())
}

/// Each of these tools on its own board, with every kind of backend.
pub(super) fn everywhere(tools: impl Iterator<Item = &'static Tool>) -> Vec<(Fixture, &'static Tool)> {
    let tools: Vec<&Tool> = tools.collect();
    let fixtures =
        BACKENDS.iter().flat_map(|options| tools.iter().map(|tool| (Fixture::new(*options), *tool)));
    fixtures.collect()
}

/// The outcome as the agent reads it, without the differences between two boards.
pub(super) fn as_read(performed: &Performed) -> Value {
    let mut read: Value = serde_json::from_str(&render(performed.result.as_ref())).unwrap();
    for id in ["taskId", "documentId", "messageId"] {
        if let Some(id) = read.get_mut(id) {
            *id = json!("an id");
        }
        if let Some(id) = read.get_mut("data").and_then(|data| data.get_mut(id)) {
            *id = json!("an id");
        }
    }
    if let Some(data) = read.get_mut("data").and_then(Value::as_object_mut) {
        data.remove("updatedAt");
        // The ids of the first call cannot be found again.
        data.remove("notificationIds");
    }
    read
}

pub(super) fn tool(name: &str) -> &'static Tool {
    TOOLS.iter().find(|tool| tool.name == name).unwrap()
}
