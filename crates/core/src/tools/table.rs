//! The table of tools: one row each. Language models read its texts, which should teach them when to call a
//! tool and what its effect is.

use super::ToolName;
pub use super::row::{Audience, CallSpec, Field, ToolSpec, Type};
use mcr_model::limits;

/// The row of this endpoint.
pub fn endpoint(name: &str) -> Option<&'static ToolSpec> {
    ROWS.iter().find(|row| row.endpoint == name)
}

const fn may(name: &'static str, is: Type, says: &'static str) -> Field {
    Field { name, is, required: false, says }
}

const fn must(name: &'static str, is: Type, says: &'static str) -> Field {
    Field { name, is, required: true, says }
}

const fn up_to(most: u32) -> Type {
    Type::Count { least: 1, most }
}

/// The statuses that agents may set.
const SETTABLE: Type = Type::OneOf(&["in_progress", "review", "done", "blocked"]);
/// The statuses in which a task may be created. Archived tasks are not worth creating.
const CREATABLE: Type = Type::OneOf(&["inbox", "assigned", "in_progress", "review", "done", "blocked"]);
/// All statuses.
const ANYWHERE: Type =
    Type::OneOf(&["inbox", "assigned", "in_progress", "review", "done", "blocked", "archived"]);
const DOCUMENT: Type = Type::OneOf(&["deliverable", "note", "template", "reference"]);

const TASK: Field = must("taskId", Type::Text, "Id of the task, as the briefing or another tool shows it.");
const HERE: &str = "Id of the task. Use the id of the current task unless you mean another one.";
const REASON: &str = "Why the task cannot continue and what would help. Required with status blocked; at \
                      most 2000 characters.";
const DUE: &str = "Due date in milliseconds since 1970-01-01 UTC.";

/// All tools in the order of the offer, which is the order of [`ToolName`].
pub static ROWS: [ToolSpec; 17] = [
    ToolSpec {
        name: ToolName::TaskStatus,
        endpoint: "task-status",
        audience: Audience::Modifiers,
        refusal: "Forbidden: Agent is not allowed to modify task status",
        writes: true,
        does: "change the task's status",
        says: "Change the status of a task. Call this before you reply: text in the thread does not change \
               the status. Allowed moves: assigned to in_progress, in_progress to review, review to done or \
               back to in_progress, most statuses to blocked, and blocked to in_progress. Intermediate \
               steps happen automatically. A task leaves the inbox only when someone is assigned.",
        check: "the task exists, that its present status allows this move, and that someone is assigned to \
                it (task_load shows it)",
        fields: &[
            must("taskId", Type::Text, HERE),
            must("status", SETTABLE, "The new status."),
            may("blockedReason", Type::Text, REASON),
        ],
    },
    ToolSpec {
        name: ToolName::TaskUpdate,
        endpoint: "task-update",
        audience: Audience::Modifiers,
        refusal: "Forbidden: Agent is not allowed to modify tasks",
        writes: true,
        does: "change the task's fields",
        says: "Change one or more fields of a task. Omitted fields stay unchanged. Labels and assignees \
               replace the whole list. Call this before you reply. To change only the status, use \
               task_status.",
        check: "the task exists, that its present status allows this move, that the people are members of \
                the account, and that an assigned or in_progress task keeps an assignee (task_load shows \
                it)",
        fields: &[
            must("taskId", Type::Text, HERE),
            may("title", Type::Text, "The new title, at most 2000 characters."),
            may("description", Type::Text, "The new description in Markdown; it replaces the old one."),
            may("priority", Type::Range(1, 5), "1 is the highest, 5 the lowest."),
            may("labels", Type::Texts, "The new labels; they replace all old ones."),
            may(
                "assignedAgentIds",
                Type::Texts,
                "Ids or slugs of the assigned agents; they replace all assigned agents.",
            ),
            may(
                "assignedUserIds",
                Type::Texts,
                "Ids of the assigned people; they replace all assigned people.",
            ),
            may("status", SETTABLE, "The new status; done only for a task in review."),
            may("blockedReason", Type::Text, REASON),
            may("dueDate", Type::Number, DUE),
        ],
    },
    ToolSpec {
        name: ToolName::TaskCreate,
        endpoint: "task-create",
        audience: Audience::Creators,
        refusal: "Forbidden: Agent is not allowed to create tasks",
        writes: true,
        does: "create tasks",
        says: "Create a task for work that needs its own follow-up. It starts in the inbox unless you set \
               another status. With status assigned or in_progress, you become its assignee. The \
               orchestrator does not; it assigns agents with assigneeSlugs. Each call creates another task: \
               look for an existing one first.",
        check: "you may create tasks and that the named agents still exist",
        fields: &[
            must("title", Type::Text, "What to do, in one line, at most 2000 characters."),
            may(
                "description",
                Type::Text,
                "Everything that a reader without this conversation needs, in Markdown.",
            ),
            may("priority", Type::Priority, "1 is the highest, 5 the lowest; default 3."),
            may("labels", Type::Texts, "Free-form labels."),
            may("status", CREATABLE, "The first status; default inbox."),
            may("blockedReason", Type::Text, REASON),
            may("dueDate", Type::Number, DUE),
            may("assigneeSlugs", Type::Texts, "Slugs of the agents to assign; only for the orchestrator."),
        ],
    },
    ToolSpec {
        name: ToolName::DocumentUpsert,
        endpoint: "document",
        audience: Audience::Writers,
        refusal: "Forbidden: Agent is not allowed to create documents",
        writes: true,
        does: "create and update documents",
        says: "Write a document that people can open. Only a document can deliver anything longer than a \
               message. With documentId, overwrite that document (empty content clears it). Without \
               documentId, create a new one. Then link it in your reply as \
               [Document](/document/<documentId>), with the documentId from the result.",
        check: "the document and the task exist and that you may write documents",
        fields: &[
            may("documentId", Type::Text, "Id of the document to overwrite; omit it to create one."),
            may(
                "taskId",
                Type::Text,
                "Id of the document's task. If omitted, a new document gets the current task and an \
                 existing one keeps its task.",
            ),
            must("title", Type::Text, "The title, at most 2000 characters."),
            must("content", Type::Text, "The whole document in Markdown, at most 1000000 characters."),
            must("type", DOCUMENT, "Use deliverable for a result and note for other findings."),
        ],
    },
    ToolSpec {
        name: ToolName::DocumentList,
        endpoint: "document-list",
        audience: Audience::WritersOrOnTask,
        refusal: "Forbidden: Agent may not list documents",
        writes: false,
        does: "list documents",
        says: "List documents of the account or of one task: ids and titles without the text, last changed \
               first.",
        check: "the task exists",
        fields: &[
            may("taskId", Type::Text, "Only the documents of this task."),
            may("type", DOCUMENT, "Only documents of this type."),
            may("limit", up_to(limits::SEARCH_ROWS), "Maximum number of documents; default 50, at most 100."),
        ],
    },
    ToolSpec {
        name: ToolName::ResponseRequest,
        endpoint: "response-request",
        audience: Audience::Askers,
        refusal: "Forbidden: Agent may not request responses",
        writes: true,
        does: "ask other agents for a response",
        says: "Ask other agents to answer in the thread of a task. Use this to reach them: an @mention in \
               your text may start no agent. An agent that was already asked and has not answered yet is \
               not asked again.",
        check: "the task and all named agents exist",
        fields: &[
            may("taskId", Type::Text, HERE),
            must("recipientSlugs", Type::Texts, "Slugs of the agents, at most 10."),
            must("message", Type::Text, "Your question to them, at most 1000 characters."),
        ],
    },
    ToolSpec {
        name: ToolName::GetAgentSkills,
        endpoint: "get-agent-skills",
        audience: Audience::Everyone,
        refusal: "Forbidden: Agent may not query skills",
        writes: false,
        does: "query the skills of agents",
        says: "List the skills of one agent or of all agents. Use this before you delegate work.",
        check: "the agent exists",
        fields: &[may("agentId", Type::Text, "Slug or id of one agent; omit it for all agents.")],
    },
    ToolSpec {
        name: ToolName::TaskLoad,
        endpoint: "task-load",
        audience: Audience::Everyone,
        refusal: "Forbidden: Agent may not load tasks",
        writes: false,
        does: "load a task with its thread",
        says: "Read a task and the last messages of its thread, oldest first.",
        check: "the task exists",
        fields: &[
            TASK,
            may(
                "messageLimit",
                up_to(limits::LIST_ROWS),
                "Maximum number of messages; default 10, at most 200.",
            ),
        ],
    },
    ToolSpec {
        name: ToolName::TaskHistory,
        endpoint: "task-history",
        audience: Audience::OnTask,
        refusal: "Forbidden: Agent may not read histories",
        writes: false,
        does: "read the history of a task",
        says: "Read a task with its messages, oldest first, and its changes (status, fields, assignees), \
               newest first. Use this to find out, for example, who moved a task and when.",
        check: "the task exists",
        fields: &[
            TASK,
            may(
                "messageLimit",
                up_to(limits::LIST_ROWS),
                "Maximum number of messages; default 25, at most 200.",
            ),
            may(
                "activityLimit",
                Type::Count { least: 0, most: limits::LIST_ROWS },
                "Maximum number of changes; default 30, at most 200.",
            ),
        ],
    },
    ToolSpec {
        name: ToolName::TaskAssign,
        endpoint: "task-assign",
        audience: Audience::Leader,
        refusal: "Forbidden: Only the orchestrator can assign agents",
        writes: true,
        does: "assign agents to a task",
        says: "Assign agents to an existing task. Current assignees stay. New assignees are notified, and a \
               task in the inbox moves to in_progress. You cannot assign yourself.",
        check: "the task and all its assigned agents still exist",
        fields: &[TASK, must("assigneeSlugs", Type::Texts, "Slugs of the agents to add.")],
    },
    ToolSpec {
        name: ToolName::TaskMessage,
        endpoint: "task-message",
        audience: Audience::Leader,
        refusal: "Forbidden: Only the orchestrator can post task messages",
        writes: true,
        does: "post a message in the thread of another task",
        says: "Post a message in the thread of another task. For the current task, just reply.",
        check: "the task exists",
        fields: &[TASK, must("content", Type::Text, "The message in Markdown, at most 100000 characters.")],
    },
    ToolSpec {
        name: ToolName::TaskList,
        endpoint: "task-list",
        audience: Audience::Leader,
        refusal: "Forbidden: Only the orchestrator can list tasks",
        writes: false,
        does: "list tasks",
        says: "List tasks, newest first. To list the tasks of one agent, also set a status: without it, \
               older tasks may be missing.",
        check: "the agent exists",
        fields: &[
            may("status", ANYWHERE, "Only tasks with this status."),
            may("assigneeSlug", Type::Text, "Only tasks of this agent."),
            may("limit", up_to(limits::LIST_ROWS), "Maximum number of tasks; default 50, at most 200."),
        ],
    },
    ToolSpec {
        name: ToolName::TaskGet,
        endpoint: "task-get",
        audience: Audience::Leader,
        refusal: "Forbidden: Only the orchestrator can get tasks",
        writes: false,
        does: "get a task",
        says: "Read the fields of one task, without its thread.",
        check: "the task exists",
        fields: &[TASK],
    },
    ToolSpec {
        name: ToolName::TaskThread,
        endpoint: "task-thread",
        audience: Audience::Leader,
        refusal: "Forbidden: Only the orchestrator can read task threads",
        writes: false,
        does: "read the thread of a task",
        says: "Read the last messages of a task's thread, oldest first.",
        check: "the task exists",
        fields: &[
            TASK,
            may("limit", up_to(limits::LIST_ROWS), "Maximum number of messages; default 50, at most 200."),
        ],
    },
    ToolSpec {
        name: ToolName::TaskSearch,
        endpoint: "task-search",
        audience: Audience::Leader,
        refusal: "Forbidden: Only the orchestrator can search tasks",
        writes: false,
        does: "search tasks",
        says: "Find tasks whose title, description or blocked reason contains a text; case is ignored. The \
               whole text must occur as written: one distinctive word finds more than a sentence.",
        check: "you may search tasks",
        fields: &[
            must("query", Type::Text, "The text to find."),
            may("limit", up_to(limits::SEARCH_ROWS), "Maximum number of tasks; default 20, at most 100."),
        ],
    },
    ToolSpec {
        name: ToolName::TaskDelete,
        endpoint: "task-delete",
        audience: Audience::Leader,
        refusal: "Forbidden: Only the orchestrator can delete/archive tasks",
        writes: true,
        does: "archive tasks",
        says: "Archive a task permanently: it leaves the board, and no agent can restore it. Its messages \
               and documents stay.",
        check: "the task exists",
        fields: &[
            TASK,
            must(
                "reason",
                Type::Text,
                "The reason, for people to read; at most 2000 \
                                                    characters.",
            ),
        ],
    },
    ToolSpec {
        name: ToolName::TaskLinkPr,
        endpoint: "task-link-pr",
        audience: Audience::Leader,
        refusal: "Forbidden: Only the orchestrator can link tasks to PRs",
        writes: true,
        does: "link a task to a pull request",
        says: "Link a task to a pull request on GitHub: the task shows its number, and the pull request \
               names the task. A second call replaces the number.",
        check: "the task exists",
        fields: &[TASK, must("prNumber", Type::Number, "The number of the pull request, such as 65.")],
    },
];
