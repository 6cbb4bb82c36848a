//! Exports of boards of any size, for tests and benchmarks of the embedded Mission Control.

use serde_json::{Value, json};

/// How many rows an export has.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) tasks: usize,
    pub(crate) agents: usize,
    /// Spread evenly over the tasks.
    pub(crate) messages: usize,
    pub(crate) documents: usize,
    /// Undelivered notifications to agents.
    pub(crate) waiting: usize,
    /// How many agents follow each task.
    pub(crate) followers: usize,
}

/// The statuses of the tasks, in turn.
pub(crate) const STATUSES: [&str; 5] = ["inbox", "assigned", "in_progress", "review", "done"];

/// A row's id: two letters for the table, then a number.
pub(crate) fn id(table: &str, number: usize) -> String {
    format!("{table}{number:030}")
}

/// An export of a team at work.
pub(crate) fn copy(size: Size) -> Value {
    let account = id("k1", 0);
    let mut at = 1_760_000_000_000.0;
    let mut row = |id: String, fields: Value| {
        at += 1.0;
        let mut row = json!({"_id": id, "_creationTime": at, "accountId": account, "createdAt": at});
        row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        row.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        row
    };
    let agent = |number: usize| id("js", number % size.agents);
    let soul = "Works carefully, asks when in doubt, and writes down what was decided. ".repeat(60);
    let config = json!({"model": "minimax-m2.5", "temperature": 0.7, "skillIds": []});
    let settings = json!({"orchestratorAgentId": id("js", 0), "orchestratorChatTaskId": id("kx", 0)});
    let accounts = vec![row(
        account.clone(),
        json!({"name": "Bench", "slug": "bench", "plan": "free", "runtimeStatus": "online", "settings": settings,
            "accountId": null}),
    )];
    let memberships = vec![row(
        id("mb", 0),
        json!({"userId": "user_owner", "userName": "Owner", "userEmail": "owner@example.com", "role": "owner",
            "joinedAt": 1.0, "createdAt": null}),
    )];
    let agents = (0..size.agents).map(|n| {
        let fields = json!({"name": format!("Agent {n}"), "slug": format!("agent-{n}"), "role": "Engineer",
            "status": "online", "heartbeatInterval": 15.0, "soulContent": soul, "openclawConfig": config});
        row(id("js", n), fields)
    });
    let agents: Vec<Value> = agents.collect();
    let tasks = (0..size.tasks).map(|n| {
        let fields = json!({"title": format!("Task {n}"), "description": "What is to be done, and why. ".repeat(15),
            "status": STATUSES[n % STATUSES.len()], "priority": 3.0, "assignedUserIds": [],
            "assignedAgentIds": [agent(n)], "labels": ["one", "two"], "createdBy": "user_owner",
            "updatedAt": 1_760_000_000_000_usize + n});
        row(id("kx", n), fields)
    });
    let tasks: Vec<Value> = tasks.collect();
    let subscriptions = (0..size.tasks * size.followers).map(|n| {
        let (task, follower) = (n / size.followers, n / size.followers + n % size.followers);
        let fields = json!({"taskId": id("kx", task), "subscriberType": "agent", "subscriberId": agent(follower),
            "subscribedAt": 1.0, "createdAt": null});
        row(id("sb", n), fields)
    });
    let subscriptions: Vec<Value> = subscriptions.collect();
    let content = "A sentence about the work that was done, with a `name` and a link. ".repeat(8);
    let messages = (0..size.messages).map(|n| {
        let (kind, author) =
            if n % 2 == 0 { ("user", "user_owner".to_owned()) } else { ("agent", agent(n / 2)) };
        let fields = json!({"taskId": id("kx", n % size.tasks), "authorType": kind, "authorId": author,
            "content": content, "mentions": []});
        row(id("kd", n), fields)
    });
    let messages: Vec<Value> = messages.collect();
    let notifications = (0..size.waiting).map(|n| {
        let fields = json!({"type": "mention", "recipientType": "agent", "recipientId": agent(n),
            "taskId": id("kx", n % size.tasks), "title": "Owner mentioned you",
            "messageId": (size.messages > 0).then(|| id("kd", n % size.messages)),
            "body": "You were mentioned in a task"});
        row(id("jn", n), fields)
    });
    let notifications: Vec<Value> = notifications.collect();
    let documents = (0..size.documents).map(|n| {
        let title = if n == 0 { "Repository \u{2014} Primary".to_owned() } else { format!("Document {n}") };
        let fields = json!({"title": title, "content": "Where the code is. ".repeat(30), "type": "reference",
            "kind": "file", "authorType": "user", "authorId": "user_owner", "version": 1.0,
            "taskId": (n > 0).then(|| id("kx", n % size.tasks)), "updatedAt": 1_760_000_000_000_usize + n});
        row(id("dc", n), fields)
    });
    let documents: Vec<Value> = documents.collect();
    json!({"format": "mission-control-runtime export", "version": 1, "tables": {
        "accounts": accounts, "memberships": memberships, "agents": agents, "tasks": tasks,
        "messages": messages, "subscriptions": subscriptions, "notifications": notifications,
        "documents": documents,
    }})
}
