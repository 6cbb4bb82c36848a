//! The jobs of the agents: one sort for every writing function of the backend contract (§2.12–§2.20, §2.28).

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

/// A tool and its arguments.
type Call = fn(&Place) -> (&'static str, Value);

/// The lead's actions in jobs of one sort.
pub(super) struct Sort {
    /// Its name in the table of results.
    pub(super) name: &'static str,
    /// The function whose calls are broken.
    pub(super) function: &'static str,
    /// Whether a call with these arguments is broken.
    pub(super) is_it: fn(&Value) -> bool,
    /// The tool that the lead calls first, if any.
    pub(super) call: Option<Call>,
    /// What the lead answers.
    pub(super) says: fn() -> String,
}

/// Where a job takes place.
pub(super) struct Place {
    pub(super) number: usize,
    pub(super) task: String,
    /// A document of the task.
    pub(super) document: String,
}

const PLAIN: Sort = Sort { name: "", function: "", is_it: |_| true, call: None, says: || "Done.".to_owned() };

/// All sorts.
pub(super) const SORTS: [Sort; 12] = [
    Sort {
        name: "createMessageFromAgent",
        function: "createMessageFromAgent",
        is_it: |args| args.get("sourceNotificationId").is_some(),
        ..PLAIN
    },
    Sort {
        name: "createMessageFromAgent, without key",
        function: "createMessageFromAgent",
        is_it: |args| args.get("sourceNotificationId").is_none(),
        says: || format!("{}\n\n{}", "x".repeat(60_000), "y".repeat(60_000)),
        ..PLAIN
    },
    Sort {
        name: "createTaskMessageForAgentTool",
        function: "createTaskMessageForAgentTool",
        call: Some(|at| {
            ("task_message", json!({"taskId": at.task, "content": format!("Note {}.", at.number)}))
        }),
        ..PLAIN
    },
    Sort {
        name: "createResponseRequestNotifications",
        function: "createResponseRequestNotifications",
        call: Some(|at| {
            let message = format!("Please check number {}.", at.number);
            ("response_request", json!({"recipientSlugs": ["ben"], "message": message}))
        }),
        ..PLAIN
    },
    Sort {
        name: "updateTaskStatusFromAgent",
        function: "updateTaskStatusFromAgent",
        call: Some(|_| ("task_status", json!({"status": "review"}))),
        ..PLAIN
    },
    Sort {
        name: "updateTaskFromAgent",
        function: "updateTaskFromAgent",
        call: Some(|at| {
            let labels = [format!("label-{}", at.number)];
            ("task_update", json!({"description": "All of it.", "labels": labels, "priority": "high"}))
        }),
        ..PLAIN
    },
    Sort {
        name: "createTaskFromAgent",
        function: "createTaskFromAgent",
        call: Some(|at| ("task_create", json!({"title": format!("Part {}", at.number)}))),
        ..PLAIN
    },
    Sort {
        name: "assignTaskFromAgent",
        function: "assignTaskFromAgent",
        call: Some(|at| ("task_assign", json!({"taskId": at.task, "assigneeSlugs": ["ben"]}))),
        ..PLAIN
    },
    Sort {
        name: "deleteTaskFromAgent",
        function: "deleteTaskFromAgent",
        call: Some(|at| ("task_delete", json!({"taskId": at.task, "reason": "Not needed."}))),
        ..PLAIN
    },
    Sort {
        name: "linkTaskToPrForAgentTool",
        function: "linkTaskToPrForAgentTool",
        call: Some(|at| ("task_link_pr", json!({"taskId": at.task, "prNumber": at.number + 1}))),
        ..PLAIN
    },
    Sort {
        name: "createDocumentFromAgent, new",
        function: "createDocumentFromAgent",
        is_it: |args| args.get("documentId").is_none(),
        call: Some(|at| {
            let title = format!("Report {}", at.number);
            ("document_upsert", json!({"title": title, "content": "# New", "type": "note"}))
        }),
        ..PLAIN
    },
    Sort {
        name: "createDocumentFromAgent, update",
        function: "createDocumentFromAgent",
        is_it: |args| args.get("documentId").is_some(),
        call: Some(|at| {
            let title = format!("Paper {}", at.number);
            let paper = json!({
                "documentId": at.document, "taskId": at.task, "title": title, "content": "# Changed", "type": "note",
            });
            ("document_upsert", paper)
        }),
        ..PLAIN
    },
];

pub(super) fn sort(name: &str) -> &'static Sort {
    SORTS.iter().find(|sort| sort.name == name).unwrap()
}

/// The reply of an agent without a job.
pub(super) fn silence() -> Thought {
    Thought::say("HEARTBEAT_OK")
}

/// The other agents only answer requests.
pub(super) fn others(prompt: &Prompt) -> Thought {
    if prompt.text.contains("another agent asks you for a response") {
        Thought::say("Checked.")
    } else {
        silence()
    }
}

/// The message that a turn answers.
pub(super) fn asked(prompt: &Prompt) -> &str {
    prompt.text.rsplit_once(" message to answer>>").map_or("", |(_, message)| message)
}
