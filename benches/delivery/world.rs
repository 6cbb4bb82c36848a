//! The account of the benchmark: one track for each task and agent, and the backend's replies about them in the forms and
//! usual sizes of backend-contract §3.

use std::fmt::Display;
use std::sync::Arc;

use serde_json::{Value, json};

use super::observations::Kind;

pub(crate) const ACCOUNT: &str = "k17bench000000000000000000000000";
/// A token for the doubles. It is not a secret.
pub(crate) const TOKEN: &str = "mc_service_k17bench000000000000000000000000_for-the-bench";
/// The working agents of the team. A roster may have more.
pub(crate) const AGENTS: usize = 5;
/// Messages of a thread, and the text of each.
const THREAD: usize = 10;
const WORDS: &str = "I looked into the redirect after the login: on staging the user lands on `/404` when the session \
    is older than an hour, because the return address is read before the token is renewed. The fix is small, but \
    the same code serves the mobile client, so please check both before it goes out. Logs are attached to the \
    ticket, and the failing test is in the branch.";

/// The track of a notification: the strict order of one agent and one task.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Track {
    pub(crate) task: usize,
    pub(crate) agent: usize,
}

impl Track {
    /// The tracks that a burst uses: every task has its own agent.
    pub(crate) fn of_task(task: usize) -> Self {
        Self { task, agent: task % AGENTS }
    }

    /// Its session, by the gateway's name.
    pub(crate) fn session(self) -> String {
        format!("agent:{}:task:{}:{ACCOUNT}:v1", slug(self.agent), task_id(self.task))
    }

    /// The track of a session, by either form of its name.
    pub(crate) fn of_session(name: &str) -> Option<Self> {
        let after = |mark: &str| {
            let (_, rest) = name.split_once(mark)?;
            let word = rest.split(':').next()?;
            word.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().ok()
        };
        Some(Self { task: after("task:")?, agent: after("agent:")? })
    }
}

fn id(table: &str, number: usize) -> String {
    format!("{table}{number:030}")
}

pub(crate) fn row_id(number: usize) -> String {
    id("jn", number)
}

/// The number in an id.
pub(crate) fn number(id: &str) -> Option<usize> {
    id.get(2..)?.parse().ok()
}

pub(crate) fn task_id(task: usize) -> String {
    id("kx", task)
}

pub(crate) fn agent_id(agent: usize) -> String {
    id("js", agent)
}

pub(crate) fn message_id(number: usize) -> String {
    id("kd", number)
}

pub(crate) fn slug(agent: usize) -> String {
    format!("agent-{agent}")
}

fn agent(number: usize) -> Value {
    json!({"_id": agent_id(number), "_creationTime": 1_764_000_000_000.5, "accountId": ACCOUNT,
        "name": format!("Agent {number}"), "slug": slug(number), "role": "Full-stack engineer", "status": "online",
        "lastHeartbeat": 1_765_526_100_000.0, "heartbeatInterval": 1440.0, "icon": "Code2",
        "soulContent": "# SOUL\n\nWorks carefully, asks when in doubt, writes down what was decided. ".repeat(6),
        "openclawConfig": {"model": "minimax-m2.5", "temperature": 0.7, "maxTokens": 4096.0, "skillIds": [],
            "contextConfig": {"maxHistoryMessages": 50.0, "includeTaskContext": true, "includeTeamContext": true},
            "behaviorFlags": flags()},
        "createdAt": 1_764_000_000_000.0})
}

fn flags() -> Value {
    json!({"canCreateTasks": false, "canModifyTaskStatus": true, "canCreateDocuments": true,
        "canMentionAgents": true, "canReviewTasks": false, "canMarkDone": false})
}

/// The gateway's list of its agents.
pub(crate) fn models() -> String {
    let agents = (0..AGENTS).map(|agent| format!("openclaw/{}", slug(agent)));
    let ids = ["openclaw", "openclaw/default"].map(str::to_owned).into_iter().chain(agents);
    let models: Vec<Value> = ids
        .map(
            |id| json!({"id": id, "object": "model", "created": 0, "owned_by": "openclaw", "permission": []}),
        )
        .collect();
    json!({"object": "list", "data": models}).to_string()
}

/// The reply of `listAgents`.
pub(crate) fn roster(agents: usize, now: f64) -> String {
    let mut list: Vec<Value> = (0..agents).map(agent).collect();
    for (number, agent) in list.iter_mut().enumerate() {
        // All agents have reported recently, so that no heartbeat runs during the benchmark.
        agent["lastHeartbeat"] = json!(now);
        agent["systemSessionKey"] = json!(format!("system:agent:{}:{ACCOUNT}:v1", slug(number)));
        agent["effectiveBehaviorFlags"] = flags();
    }
    Value::from(list).to_string()
}

/// A row without its closing brace: timestamps may follow.
pub(crate) fn row(number: usize, kind: Kind, track: Track, created: f64) -> String {
    let mut row = json!({"_id": row_id(number), "_creationTime": created + 0.25, "accountId": ACCOUNT,
        "type": kind.word(), "recipientType": "agent", "recipientId": agent_id(track.agent),
        "taskId": task_id(track.task), "title": "Dana Reyes mentioned you",
        "body": "You were mentioned in the task \"Fix login redirect\"", "createdAt": created});
    if kind != Kind::Assignment {
        row["messageId"] = json!(message_id(track.task));
    }
    let mut text = row.to_string();
    text.pop();
    text
}

/// The part after the notification in a delivery context, with the closing brace. The task and its thread have `changed`
/// since the row was created, as the backend changes them together.
pub(crate) fn surroundings(kind: Kind, track: Track, changed: f64) -> String {
    let Track { task, agent: number } = track;
    let thread: Vec<Value> = (1..=THREAD)
        .map(|n| {
            let last = n == THREAD;
            let by_agent = n % 2 == 1;
            let author = if by_agent { agent_id((number + 1) % AGENTS) } else { "user_2abCDefGhIJ".into() };
            let name =
                if by_agent { format!("Agent {}", (number + 1) % AGENTS) } else { "Dana Reyes".into() };
            let content = if last { format!("@{} {WORDS}", slug(number)) } else { WORDS.to_owned() };
            json!({"messageId": message_id(if last { task } else { 1_000_000 + task * 100 + n }),
                "authorType": if by_agent { "agent" } else { "user" }, "authorId": author, "authorName": name,
                "content": content, "createdAt": changed})
        })
        .collect();
    let message = json!({"_id": message_id(task), "_creationTime": 1_765_526_000_000.75, "accountId": ACCOUNT,
        "taskId": task_id(task), "authorType": "user", "authorId": "user_2abCDefGhIJ",
        "content": format!("@{} {WORDS}", slug(number)),
        "mentions": [{"type": "agent", "id": agent_id(number), "name": format!("Agent {number}"),
            "slug": slug(number)}],
        "createdAt": 1_765_526_000_000.0});
    let mate = |n: usize| json!({"id": agent_id(n), "slug": slug(n), "name": format!("Agent {n}"), "role": "Full-stack engineer"});
    let assigned = kind == Kind::Assignment;
    let text = json!({
        "agent": agent(number),
        "task": {"_id": task_id(task), "_creationTime": 1_765_440_000_000.25, "accountId": ACCOUNT,
            "title": "Fix login redirect",
            "description": "After the single sign-on the user lands on /404. ".repeat(8),
            "status": if assigned { "assigned" } else { "in_progress" }, "priority": 2.0,
            "assignedUserIds": ["user_2abCDefGhIJ"], "assignedAgentIds": [agent_id(number)], "labels": ["bug"],
            "createdBy": "user_2abCDefGhIJ", "createdAt": 1_765_440_000_000.0, "updatedAt": changed},
        "message": if assigned { Value::Null } else { message },
        "thread": thread,
        "sourceNotificationType": null,
        "orchestratorAgentId": null,
        "primaryUserMention": {"id": "user_2abCDefGhIJ", "name": "Dana Reyes", "email": "dana@example.com"},
        "mentionableAgents": (0..AGENTS).map(mate).collect::<Vec<_>>(),
        "assignedAgents": [mate(number)],
        "effectiveBehaviorFlags": flags(),
        "deliverySessionKey": format!("task:{}:agent:{}:{ACCOUNT}:v1", task_id(task), slug(number)),
        "repositoryDoc": {"title": "Repository \u{2014} Primary", "content": "Where the code is. ".repeat(20)},
        "globalBriefingDoc": null,
        "taskOverview": null,
    })
    .to_string();
    format!(",{}", &text[1..])
}

/// The agent's answer in this run.
pub(crate) fn reply(run: impl Display) -> String {
    format!("Reproduced on staging and fixed in the branch; both clients are covered now (run {run}).")
}

/// The placeholder for the number of the run in a prepared stream.
const RUN: &str = "@run@";

/// The stream of a run (openclaw-gateway §6): the immediate part, and the part after the model is done.
#[derive(Clone)]
pub(crate) struct Events {
    first: Arc<str>,
    last: Arc<str>,
}

impl Events {
    /// The stream of this run.
    pub(crate) fn of_run(&self, run: usize) -> [String; 2] {
        let run = run.to_string();
        [self.first.replace(RUN, &run), self.last.replace(RUN, &run)]
    }
}

/// The stream of any run of an agent.
pub(crate) fn events(agent: usize) -> Events {
    let (id, item) = (format!("resp_{:026}{RUN}", 0), format!("msg_{:026}{RUN}", 0));
    let (model, text) = (format!("openclaw/{}", slug(agent)), reply(RUN));
    let event = |name: &str, mut data: Value| {
        data["type"] = json!(name);
        format!("event: {name}\ndata: {data}\n\n")
    };
    let response = |status: &str, output: Value| {
        json!({"response": {"id": id, "object": "response", "created_at": 1_795_253_507, "status": status,
            "model": model, "output": output,
            "usage": {"input_tokens": 2289, "output_tokens": 31, "total_tokens": 2320}}})
    };
    let place = |mut data: Value| {
        data["item_id"] = json!(item);
        data["output_index"] = json!(0);
        data["content_index"] = json!(0);
        data
    };
    let message = |status: &str, content: Value| {
        json!({"type": "message", "id": item, "role": "assistant", "content": content, "phase": "final_answer",
            "status": status})
    };
    let part = json!({"type": "output_text", "text": text});
    let done = message("completed", json!([part]));
    let first = [
        event("response.created", response("in_progress", json!([]))),
        event("response.in_progress", response("in_progress", json!([]))),
        event(
            "response.output_item.added",
            json!({"output_index": 0, "item": message("in_progress", json!([]))}),
        ),
        event("response.content_part.added", place(json!({"part": {"type": "output_text", "text": ""}}))),
    ];
    let last = [
        event("response.output_text.delta", place(json!({"delta": text}))),
        event("response.output_text.done", place(json!({"text": text}))),
        event("response.content_part.done", place(json!({"part": part}))),
        event("response.output_item.done", json!({"output_index": 0, "item": done})),
        event("response.completed", response("completed", json!([done]))),
        "data: [DONE]\n\n".to_owned(),
    ];
    Events { first: first.concat().into(), last: last.concat().into() }
}
