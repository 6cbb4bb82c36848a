//! The effects of calls on an embedded Mission Control, over HTTP.

use std::sync::Arc;

use mission_control_runtime::convex::ConvexEndpoint;
use mission_control_runtime::local::Options;
use mission_control_runtime::mission::{GetOrchestrator, ListAgents, LoadTask, Mission};
use mission_control_runtime::model::{AccountId, AgentId, BaseUrl, Roster, Task, TaskId};
use mission_control_runtime::redact::Redactor;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::tools::run::{ExecutedCall, ToolBackend, run};
use mission_control_runtime::tools::{Caller, ToolErrorKind, offer};
use mission_control_runtime::wire::{Roots, Stop};
use serde_json::{Value, json};

use super::call;
use crate::support::seeds::texts;
use crate::support::team::{Team, missing_id};

/// A board with a team, and the runtime's connection to it.
pub(super) struct Fixture {
    pub(super) team: Team,
    mission: Mission,
    agents: Roster,
}

impl Fixture {
    fn new() -> Self {
        Self::with(Options::default())
    }

    pub(super) fn with(options: Options) -> Self {
        let team = Team::with(options);
        let base = BaseUrl::parse(&team.board.url()).unwrap();
        let redactor = Arc::new(Redactor::default());
        let client = ConvexEndpoint::new(base, &Roots::load(None).unwrap(), redactor).client(&Stop::new());
        let account = AccountId::new(team.board.account.as_str());
        let mission = Mission::new(Arc::new(client), account, Secret::new(team.board.token.as_str()));
        let mut fixture = Self { team, mission, agents: Roster::default() };
        fixture.agents = fixture.roster();
        fixture
    }

    fn roster(&self) -> Roster {
        let agents = self.mission.ask(&ListAgents {}).unwrap().agents;
        let orchestrator = self.mission.ask(&GetOrchestrator {}).unwrap().orchestrator_agent_id;
        Roster::new(agents, orchestrator)
    }

    fn task(&self, id: &str) -> Task {
        let (agent_id, task_id) = (&self.agents.agents()[0].id, &TaskId::new(id));
        self.mission.ask(&LoadTask { agent_id, task_id, message_limit: None }).unwrap().task
    }

    /// An agent calls a tool in a conversation about a task; returns the result object.
    pub(super) fn call(
        &self,
        agent: &str,
        task: Option<&str>,
        tool: &str,
        args: &Value,
    ) -> (ExecutedCall, Value) {
        let task = task.map(|id| self.task(id));
        let agent = AgentId::new(agent);
        let now = self.roster();
        let caller = Caller {
            agent: &agent,
            task: task.as_ref(),
            flags: now.agent(&agent).and_then(|agent| agent.effective_behavior_flags).unwrap_or_default(),
            leads: now.leads(&agent),
            may_close: now.may_close(&agent),
        };
        let refresh = || Some(Arc::new(self.roster()));
        // The roster as it was at the start: agents added since are found by reading again.
        let hands = ToolBackend { mission: &self.mission, roster: &self.agents, refresh: &refresh };
        let ran = run(&call(tool, &args.to_string()), &caller, &offer(&caller), &hands);
        let output: Value = serde_json::from_str(&ran.output).unwrap();
        assert!(!ran.output.contains(&self.team.board.token), "{output}");
        (ran, output)
    }

    /// A call that must succeed.
    fn done(&self, agent: &str, task: Option<&str>, tool: &str, args: &Value) -> Value {
        let (ran, output) = self.call(agent, task, tool, args);
        assert!(ran.ok, "{tool} {args}: {output}");
        output
    }

    /// A call that must fail.
    pub(super) fn refused(
        &self,
        agent: &str,
        task: Option<&str>,
        tool: &str,
        args: &Value,
    ) -> (ToolErrorKind, String) {
        let (ran, output) = self.call(agent, task, tool, args);
        assert!(!ran.ok, "{tool} {args}: {output}");
        let error = ran.error.unwrap();
        (error.kind, error.message)
    }

    fn row(&self, task: &str) -> Value {
        self.team.board.row("tasks", task)
    }
}

#[test]
fn a_task_moves_on_and_is_closed_by_an_agent_with_the_right() {
    let fixture = Fixture::new();
    let (lead, ada) = (fixture.team.lead.as_str(), fixture.team.ada.as_str());
    let task = fixture.team.task("assigned", &[ada]);
    let here = Some(task.as_str());
    // Intermediate steps are taken automatically.
    let moved = fixture.done(ada, here, "task_status", &json!({"taskId": task, "status": "review"}));
    assert_eq!(moved["message"], "The task is now review");
    assert_eq!(fixture.row(&task)["status"], "review");
    let again = fixture.done(ada, here, "task_status", &json!({"status": "review"}));
    assert_eq!(again["message"], "The task already was review");
    // The flag alone is not enough, nor is the backend's rule.
    let done = json!({"status": "done"});
    let (kind, words) = fixture.refused(ada, here, "task_status", &done);
    assert_eq!(
        (kind, words.as_str()),
        (ToolErrorKind::Forbidden, "Forbidden: Not allowed to mark tasks as done")
    );
    fixture.team.flag(ada, "canMarkDone", true);
    let (_, words) = fixture.refused(ada, here, "task_status", &done);
    assert!(words.contains("only quality agents may"), "{words}");
    fixture.refused(lead, here, "task_status", &done);
    fixture.team.flag(lead, "canMarkDone", true);
    fixture.done(lead, here, "task_status", &done);
    assert_eq!(fixture.row(&task)["status"], "done");
    // No agent can return the task from there.
    let (kind, words) = fixture.refused(ada, here, "task_status", &json!({"status": "in_progress"}));
    assert_eq!(
        (kind, words.as_str()),
        (ToolErrorKind::Conflict, "Invalid transition: Cannot move from 'done' to 'in_progress'")
    );
}

/// If there is a quality agent, it closes tasks, and the orchestrator does not.
#[test]
fn a_quality_agent_closes_where_there_is_one() {
    let fixture = Fixture::new();
    let lead = fixture.team.lead.clone();
    let qa = fixture.team.board.agent("qa", "Qa", "Tester", json!({}));
    fixture.team.flag(&qa, "canMarkDone", true);
    fixture.team.flag(&lead, "canMarkDone", true);
    let task = fixture.team.task("review", &[&qa]);
    let here = Some(task.as_str());
    fixture.refused(&lead, here, "task_update", &json!({"status": "done"}));
    fixture.done(&qa, here, "task_update", &json!({"status": "done"}));
    assert_eq!(fixture.row(&task)["status"], "done");
}

#[test]
fn a_call_sees_the_effect_of_an_earlier_call() {
    let fixture = Fixture::new();
    let lead = fixture.team.lead.as_str();
    fixture.team.flag(lead, "canMarkDone", true);
    let here = fixture.team.task("review", &[lead]);
    let other = fixture.team.task("in_progress", &[lead]);
    // One task was in review when the turn began, another was not: each is checked by its own state.
    let (_, words) =
        fixture.refused(lead, Some(&here), "task_status", &json!({"taskId": other, "status": "done"}));
    assert!(
        words.starts_with("Forbidden: Task must be in review before marking done (it is in_progress now")
    );
    fixture.done(lead, Some(&here), "task_status", &json!({"taskId": other, "status": "review"}));
    fixture.done(lead, Some(&here), "task_status", &json!({"taskId": other, "status": "done"}));
    assert_eq!(fixture.row(&other)["status"], "done");
}

#[test]
fn the_orchestrator_assigns_work_and_keeps_none() {
    let fixture = Fixture::new();
    let (lead, ada, ben) = (fixture.team.lead.as_str(), fixture.team.ada.as_str(), fixture.team.ben.as_str());
    let args =
        json!({"title": "Follow up", "status": "in_progress", "assigneeSlugs": ["@Lead", "ada", "ADA"]});
    let created = fixture.done(lead, None, "task_create", &args);
    let task = created["taskId"].as_str().unwrap();
    assert_eq!(fixture.row(task)["status"], "assigned");
    assert_eq!(texts(&fixture.row(task)["assignedAgentIds"]), [ada]);
    assert_eq!(fixture.team.board.notifications_of(ada), ["assignment: Lead assigned you"]);
    assert!(fixture.team.board.notifications_of(lead).is_empty());
    // A task without agents stays in the inbox.
    let created = fixture.done(lead, None, "task_create", &json!({"title": "Later", "status": "assigned"}));
    let later = created["taskId"].as_str().unwrap();
    assert_eq!(fixture.row(later)["status"], "inbox");
    // An agent that creates a task in progress is assigned to it.
    fixture.team.flag(ben, "canCreateTasks", true);
    let created = fixture.done(ben, None, "task_create", &json!({"title": "Mine", "status": "in_progress"}));
    assert_eq!(texts(&fixture.row(created["taskId"].as_str().unwrap())["assignedAgentIds"]), [ben]);
    // An agent that was added after the roster was read.
    let cleo = fixture.team.board.agent("cleo", "Cleo", "Engineer", json!({}));
    fixture.done(lead, None, "task_assign", &json!({"taskId": later, "assigneeSlugs": ["cleo"]}));
    assert_eq!(fixture.row(later)["status"], "in_progress");
    assert_eq!(fixture.team.board.notifications_of(&cleo), ["assignment: Lead assigned you"]);
}

/// D14, with the real backend's notifications.
#[test]
fn agents_added_by_an_update_are_notified() {
    let fixture = Fixture::new();
    let (lead, ada, ben) = (fixture.team.lead.as_str(), fixture.team.ada.as_str(), fixture.team.ben.as_str());
    let task = fixture.team.task("in_progress", &[ada]);
    let here = Some(task.as_str());
    let output = fixture.done(lead, here, "task_update", &json!({"assignedAgentIds": [ben], "priority": 1}));
    assert_eq!(output["message"], "Modified: priority, assignedAgentIds.");
    assert_eq!(texts(&fixture.row(&task)["assignedAgentIds"]), [ben]);
    assert_eq!(fixture.team.board.notifications_of(ben), ["assignment: Lead assigned you"]);
    assert!(fixture.team.board.notifications_of(ada).is_empty());
}

#[test]
fn a_repeated_request_for_a_response_is_reported() {
    let fixture = Fixture::new();
    let (ada, ben) = (fixture.team.ada.as_str(), fixture.team.ben.as_str());
    let task = fixture.team.task("in_progress", &[ada]);
    let here = Some(task.as_str());
    let args = json!({"recipientSlugs": ["@Ben"], "message": "Which key?"});
    let (ran, output) = fixture.call(ada, here, "response_request", &args);
    assert!(ran.ok && ran.may_notify, "{output}");
    assert_eq!(output["data"]["notificationIds"].as_array().unwrap().len(), 1);
    assert_eq!(fixture.team.board.notifications_of(ben), ["response_request: Ada requested a response"]);
    let (ran, output) = fixture.call(ada, here, "response_request", &args);
    assert!(ran.ok && !ran.may_notify);
    assert!(output["message"].as_str().unwrap().starts_with("No new request was sent"), "{output}");
    assert_eq!(fixture.team.board.notifications_of(ben).len(), 1);
}

#[test]
fn an_updated_document_keeps_its_task() {
    let fixture = Fixture::new();
    let ben = fixture.team.ben.as_str();
    let task = fixture.team.task("in_progress", &[ben]);
    let other = fixture.team.task("in_progress", &[ben]);
    let args = json!({"title": "Report", "content": "# One", "type": "deliverable"});
    let written = fixture.done(ben, Some(&task), "document_upsert", &args);
    let id = written["documentId"].as_str().unwrap();
    assert_eq!(fixture.team.board.row("documents", id)["taskId"], json!(task));
    let args = json!({"documentId": id, "title": "Report", "content": "# Two", "type": "deliverable"});
    fixture.done(ben, Some(&other), "document_upsert", &args);
    let row = fixture.team.board.row("documents", id);
    assert_eq!((&row["taskId"], &row["content"]), (&json!(task), &json!("# Two")));
    fixture.done(ben, None, "document_upsert", &args);
    assert_eq!(fixture.team.board.row("documents", id)["taskId"], json!(task));
    let listed = fixture.done(ben, None, "document_list", &json!({"taskId": task}));
    assert_eq!(listed["data"]["documents"][0]["_id"], json!(id));
    let (_, words) = fixture.refused(
        ben,
        None,
        "document_upsert",
        &json!({"documentId": missing_id(id), "title": "T", "content": "C", "type": "note"}),
    );
    assert!(words.starts_with("taskId is required for this document"), "{words}");
}

#[test]
fn tasks_are_read_searched_archived_and_linked() {
    let fixture = Fixture::new();
    let (lead, ada) = (fixture.team.lead.as_str(), fixture.team.ada.as_str());
    let task = fixture.team.task("in_progress", &[ada]);
    fixture.team.board.says(ada, &task, "begun");
    let args = json!({"taskId": task});
    let loaded = fixture.done(ada, None, "task_load", &args);
    assert_eq!(loaded["data"]["task"]["title"], "Fix login");
    assert_eq!(loaded["data"]["thread"][0]["content"], "begun");
    let history = fixture.done(
        ada,
        Some(&task),
        "task_history",
        &json!({"taskId": task, "messageLimit": 50, "activityLimit": 40}),
    );
    assert_eq!(history["data"]["meta"], json!({"messageLimitApplied": 50, "activityLimitApplied": 40}));
    assert_eq!(fixture.done(lead, None, "task_get", &args)["data"]["task"]["_id"], json!(task));
    assert_eq!(fixture.done(lead, None, "task_thread", &args)["data"]["thread"][0]["authorName"], "Ada");
    let found = fixture.done(lead, None, "task_search", &json!({"query": "LOGIN"}));
    assert_eq!(found["data"]["results"][0]["_id"], json!(task));
    let listed =
        fixture.done(lead, None, "task_list", &json!({"assigneeSlug": "@Ada", "status": "in_progress"}));
    assert_eq!(listed["data"]["tasks"][0]["_id"], json!(task));
    let skills = fixture.done(ada, None, "get_agent_skills", &json!({"agentId": "ben"}));
    assert_eq!(skills["data"]["agents"][0]["agentId"], "ben");
    let linked = fixture.done(lead, None, "task_link_pr", &json!({"taskId": task, "prNumber": 65}));
    assert_eq!(linked["data"]["prNumber"], 65);
    let posted = fixture.done(lead, None, "task_message", &json!({"taskId": task, "content": "Go on"}));
    assert!(posted["messageId"].is_string());
    let archived = fixture.done(lead, None, "task_delete", &json!({"taskId": task, "reason": "twice"}));
    assert_eq!(archived, json!({"success": true}));
    assert_eq!(fixture.row(&task)["status"], "archived");
    let (kind, words) = fixture.refused(lead, None, "task_get", &json!({"taskId": missing_id(&task)}));
    assert_eq!((kind, words.as_str()), (ToolErrorKind::NotFound, "Not found: Task does not exist"));
    // An invented id.
    let (kind, words) = fixture.refused(lead, None, "task_load", &json!({"taskId": "the login one"}));
    assert_eq!(kind, ToolErrorKind::Invalid, "{words}");
}
