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
const REASON: &str = "Why the task cannot go on and what would help. Required with status blocked; at most 2000 \
                      characters.";
const DUE: &str = "When it should be finished: milliseconds since 1970-01-01 UTC.";

/// All tools in the order of the offer, which is the order of [`ToolName`].
pub static ROWS: [ToolSpec; 17] = [
    ToolSpec {
        name: ToolName::TaskStatus,
        endpoint: "task-status",
        audience: Audience::Modifiers,
        refusal: "Forbidden: Agent is not allowed to modify task status",
        writes: true,
        does: "change the task's status",
        says: "Move a task to another status. Call it before you write your reply: what you say in the thread moves \
               nothing. Ways: assigned to in_progress, in_progress to review, review to done or back to \
               in_progress, most of them to blocked and from blocked back to in_progress. Steps in between are \
               taken for you. A task leaves the inbox only when somebody is assigned.",
        check: "the task exists, that it can move there from where it stands, and that somebody is assigned to it \
                (task_load shows it)",
        fields: &[
            must("taskId", Type::Text, HERE),
            must("status", SETTABLE, "Where the task should stand."),
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
        says: "Change fields of a task: any number of them, at least one. Fields you leave out stay as they are; \
               labels and assignees are replaced as a whole. Call it before you write your reply. For the status \
               alone use task_status.",
        check: "the task exists, that it can move to that status, that the people are members of the account, and \
                that a task at work keeps an assignee (task_load shows it)",
        fields: &[
            must("taskId", Type::Text, HERE),
            may("title", Type::Text, "The new title, at most 2000 characters."),
            may("description", Type::Text, "The new description, in Markdown; replaces the old one."),
            may("priority", Type::Range(1, 5), "1 is the highest, 5 the lowest."),
            may("labels", Type::Texts, "The new labels; they replace all old ones."),
            may(
                "assignedAgentIds",
                Type::Texts,
                "Ids (or slugs) of the agents on the task; they replace all who are on it now.",
            ),
            may(
                "assignedUserIds",
                Type::Texts,
                "Ids of the people on the task; they replace all who are on it now.",
            ),
            may("status", SETTABLE, "Where the task should stand; done only for a task in review."),
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
        says: "Create a new task, for work that should be followed up on its own. It begins in the inbox unless you \
               say otherwise. If you ask for assigned or in_progress, you become its assignee; the orchestrator does \
               not, and puts agents on the task by naming them in assigneeSlugs. Each call creates another task: \
               look for an existing one first.",
        check: "you may create tasks and that the agents you named still exist",
        fields: &[
            must("title", Type::Text, "What is to be done, in one line, at most 2000 characters."),
            may(
                "description",
                Type::Text,
                "All that somebody needs who knows nothing of this conversation, in Markdown.",
            ),
            may("priority", Type::Priority, "1 is the highest, 5 the lowest; 3 if left out."),
            may("labels", Type::Texts, "Free words."),
            may("status", CREATABLE, "Where the task begins; inbox if left out."),
            may("blockedReason", Type::Text, REASON),
            may("dueDate", Type::Number, DUE),
            may(
                "assigneeSlugs",
                Type::Texts,
                "Slugs of the agents who shall do it; only the orchestrator may name any.",
            ),
        ],
    },
    ToolSpec {
        name: ToolName::DocumentUpsert,
        endpoint: "document",
        audience: Audience::Writers,
        refusal: "Forbidden: Agent is not allowed to create documents",
        writes: true,
        does: "create and update documents",
        says: "Write a document that people can open: the only way to hand over anything longer than a message. \
               With documentId you overwrite that document (an empty content empties it), without it you create a new \
               one. Afterwards link it in \
               your reply as [Document](/document/<documentId>), with the documentId from the result.",
        check: "the document and the task exist and that you may write documents",
        fields: &[
            may("documentId", Type::Text, "Id of the document to overwrite; leave it out to create one."),
            may(
                "taskId",
                Type::Text,
                "Id of the task it belongs to. Left out: the current task for a new document, and the task it has \
                 for an old one.",
            ),
            must("title", Type::Text, "Its title, at most 2000 characters."),
            must("content", Type::Text, "The whole document in Markdown, at most 1000000 characters."),
            must("type", DOCUMENT, "deliverable for a result, note for what you found on the way."),
        ],
    },
    ToolSpec {
        name: ToolName::DocumentList,
        endpoint: "document-list",
        audience: Audience::WritersOrOnTask,
        refusal: "Forbidden: Agent may not list documents",
        writes: false,
        does: "list documents",
        says: "List documents of the account, or of one task: ids and titles without their text, last changed \
               first.",
        check: "the task exists",
        fields: &[
            may("taskId", Type::Text, "Only the documents of this task."),
            may("type", DOCUMENT, "Only documents of this type."),
            may("limit", up_to(limits::SEARCH_ROWS), "How many at most: 50 if left out, 100 at the most."),
        ],
    },
    ToolSpec {
        name: ToolName::ResponseRequest,
        endpoint: "response-request",
        audience: Audience::Askers,
        refusal: "Forbidden: Agent may not request responses",
        writes: true,
        does: "ask other agents for a response",
        says: "Ask other agents to answer in the thread of a task. This is the way to reach them: an @mention in \
               your text may wake nobody. Somebody who was asked already and has not answered yet is not asked \
               again.",
        check: "the task and all agents you named exist",
        fields: &[
            may("taskId", Type::Text, HERE),
            must("recipientSlugs", Type::Texts, "Slugs of the agents, at most 10."),
            must("message", Type::Text, "What you want to know from them, at most 1000 characters."),
        ],
    },
    ToolSpec {
        name: ToolName::GetAgentSkills,
        endpoint: "get-agent-skills",
        audience: Audience::Everyone,
        refusal: "Forbidden: Agent may not query skills",
        writes: false,
        does: "query the skills of agents",
        says: "Find out which skills an agent has, or all agents, before you hand work to one.",
        check: "the agent exists",
        fields: &[may("agentId", Type::Text, "Slug or id of one agent; left out: all agents.")],
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
                "How many messages: 10 if left out, 200 at the most.",
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
        says: "Read a task with its messages, oldest first, and what happened to it (status, fields, assignees), \
               newest first. For questions such as who moved it, and when.",
        check: "the task exists",
        fields: &[
            TASK,
            may(
                "messageLimit",
                up_to(limits::LIST_ROWS),
                "How many messages: 25 if left out, 200 at the most.",
            ),
            may(
                "activityLimit",
                Type::Count { least: 0, most: limits::LIST_ROWS },
                "How many activities: 30 if left out, 200 at the most.",
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
        says: "Put agents on a task that exists. Nobody is taken off it. Those who come to it are told, and a task \
               in the inbox begins. You yourself cannot be put on a task.",
        check: "the task and all agents on it still exist",
        fields: &[TASK, must("assigneeSlugs", Type::Texts, "Slugs of the agents to add.")],
    },
    ToolSpec {
        name: ToolName::TaskMessage,
        endpoint: "task-message",
        audience: Audience::Leader,
        refusal: "Forbidden: Only the orchestrator can post task messages",
        writes: true,
        does: "post a message in the thread of another task",
        says: "Write a message into the thread of another task. In the current one simply reply.",
        check: "the task exists",
        fields: &[TASK, must("content", Type::Text, "The message, in Markdown, at most 100000 characters.")],
    },
    ToolSpec {
        name: ToolName::TaskList,
        endpoint: "task-list",
        audience: Audience::Leader,
        refusal: "Forbidden: Only the orchestrator can list tasks",
        writes: false,
        does: "list tasks",
        says: "List tasks, newest first. For the tasks of one agent name a status as well: without it, older ones \
               may be missing.",
        check: "the agent exists",
        fields: &[
            may("status", ANYWHERE, "Only tasks that stand here."),
            may("assigneeSlug", Type::Text, "Only tasks of this agent."),
            may("limit", up_to(limits::LIST_ROWS), "How many at most: 50 if left out, 200 at the most."),
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
            may("limit", up_to(limits::LIST_ROWS), "How many messages: 50 if left out, 200 at the most."),
        ],
    },
    ToolSpec {
        name: ToolName::TaskSearch,
        endpoint: "task-search",
        audience: Audience::Leader,
        refusal: "Forbidden: Only the orchestrator can search tasks",
        writes: false,
        does: "search tasks",
        says: "Find tasks whose title, description or reason for being blocked contains a text, in any case. The \
               text is looked for as it stands: one telling word finds more than a sentence.",
        check: "you may search tasks",
        fields: &[
            must("query", Type::Text, "The text to look for."),
            may("limit", up_to(limits::SEARCH_ROWS), "How many at most: 20 if left out, 100 at the most."),
        ],
    },
    ToolSpec {
        name: ToolName::TaskDelete,
        endpoint: "task-delete",
        audience: Audience::Leader,
        refusal: "Forbidden: Only the orchestrator can delete/archive tasks",
        writes: true,
        does: "archive tasks",
        says: "Archive a task for good: it leaves the board and no agent can bring it back. Its messages and \
               documents stay.",
        check: "the task exists",
        fields: &[TASK, must("reason", Type::Text, "Why, for people; at most 2000 characters.")],
    },
    ToolSpec {
        name: ToolName::TaskLinkPr,
        endpoint: "task-link-pr",
        audience: Audience::Leader,
        refusal: "Forbidden: Only the orchestrator can link tasks to PRs",
        writes: true,
        does: "link a task to a pull request",
        says: "Tie a task to a pull request on GitHub: the task shows its number, and the pull request names the \
               task. A second call replaces the number.",
        check: "the task exists",
        fields: &[TASK, must("prNumber", Type::Number, "The number of the pull request, such as 65.")],
    },
];
