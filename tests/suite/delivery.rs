//! Delivery decisions: which notifications reach an agent, the text of its briefing, and the handling of its
//! reply. Rules are cited by the numbers of the behaviour specification (P-, PR-, O-, N-, D-, W-).

/// Whole briefings, to be read.
mod golden;
/// Which notifications start an agent.
mod policy;
/// The texts of the briefing, each under its condition.
mod prompt;
/// The safety of the briefing against foreign texts, and its length.
mod prompt_limits;
/// Which notifications address their agent.
mod quiet_mode;
/// The interpretation of a reply, and the division of a long one.
mod reply;
/// When a row is given up.
mod retry;

use mission_control_runtime::delivery::prompt::{Briefing, HttpUse, HttpWay, Scene, brief};
use mission_control_runtime::model::{DeliveryContext, TaskStatus, Word};
use mission_control_runtime::tools::ToolName;
use serde_json::{Value, json};

/// An engineer receives another agent's message on its task.
fn context() -> DeliveryContext {
    serde_json::from_value(context_json()).unwrap()
}

fn context_json() -> Value {
    json!({
        "notification": {"_id": "n1", "type": "thread_update", "recipientType": "agent", "recipientId": "agent-a",
            "taskId": "T1", "messageId": "m2", "title": "Writer replied",
            "body": "New message in task \"Fix login redirect\"", "createdAt": 1_765_526_400_120.0},
        "agent": {"_id": "agent-a", "name": "Engineer", "slug": "engineer", "role": "Full-stack engineer",
            "status": "online"},
        "task": {"_id": "T1", "title": "Fix login redirect", "description": "After SSO the user lands on /404.",
            "status": "in_progress", "priority": 2.0, "assignedAgentIds": ["agent-a"], "createdBy": "user_1",
            "createdAt": 1_765_440_000_000.0, "updatedAt": 1_765_520_000_000.0},
        "message": {"_id": "m2", "taskId": "T1", "authorType": "agent", "authorId": "agent-b",
            "content": "Does this also happen on mobile?", "createdAt": 1_765_526_400_118.0},
        "thread": [
            {"messageId": "m1", "authorType": "agent", "authorId": "agent-a", "authorName": "Engineer",
             "content": "Reproduced on staging.", "createdAt": 1_765_520_000_000.0},
            {"messageId": "m2", "authorType": "agent", "authorId": "agent-b", "authorName": "Writer",
             "content": "Does this also happen on mobile?", "createdAt": 1_765_526_400_118.0}],
        "orchestratorAgentId": "agent-o",
        "primaryUserMention": {"id": "user_1", "name": "Dana Reyes", "email": "dana@example.com"},
        "mentionableAgents": [
            {"id": "agent-a", "slug": "engineer", "name": "Engineer", "role": "Full-stack engineer"},
            {"id": "agent-q", "slug": "qa", "name": "QA", "role": "QA reviewer"},
            {"id": "agent-o", "slug": "squad-lead", "name": "Squad Lead", "role": "Orchestrator"},
            {"id": "agent-b", "slug": "writer", "name": "Writer", "role": "Technical writer"}],
        "assignedAgents": [
            {"id": "agent-a", "slug": "engineer", "name": "Engineer", "role": "Full-stack engineer"}],
        "deliverySessionKey": "task:T1:agent:engineer:A1:v1",
        "repositoryDoc": {"title": "Repository — Primary", "content": "Clone into work/app; branches are feat/<id>."}
    })
}

/// All tools, as offered to an agent with every right.
const TOOLS: &[ToolName] = ToolName::ALL;
/// The tools of an agent without special rights on a task.
const USUAL: [ToolName; 8] = [
    ToolName::TaskStatus,
    ToolName::TaskUpdate,
    ToolName::DocumentUpsert,
    ToolName::DocumentList,
    ToolName::ResponseRequest,
    ToolName::GetAgentSkills,
    ToolName::TaskLoad,
    ToolName::TaskHistory,
];
const LABELS: [&str; 3] = [
    "change a task's status (`task_status`)",
    "ask other agents (`response_request`)",
    "load a task (`task_load`)",
];
const HTTP: HttpWay<'_> = HttpWay {
    token_file: None,
    purpose: HttpUse::Tools,
    base_url: "http://runtime:3000/",
    session_key: "task:T1:agent:engineer:A1:v1",
    token: None,
};

/// The usual scene of a context: tools are offered, and space is ample.
fn scene(context: &DeliveryContext) -> Scene<'_> {
    Scene {
        context,
        labels: &LABELS,
        tools: &USUAL,
        leads: mission_control_runtime::delivery::policy::leads(context),
        may_close: false,
        http: None,
        marker: "[n-n1 try 1]",
        fence: "q7f3x9kd",
        now: mission_control_runtime::clock::Millis(1_765_526_460_000),
        budget_chars: 60_000,
        repeat: false,
    }
}

fn set_status(context: &mut DeliveryContext, status: TaskStatus) {
    context.task.as_mut().unwrap().status = Word::Known(status);
}

/// Both texts of a briefing.
fn whole(briefing: &Briefing) -> String {
    format!("{}\n{}", briefing.instructions, briefing.input)
}

fn texts(scene: &Scene<'_>) -> String {
    whole(&brief(scene))
}
