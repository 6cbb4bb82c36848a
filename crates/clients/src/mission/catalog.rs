//! The functions of the service API that the runtime calls (backend-contract §2.1–2.32, 2.36), in the contract's order.
//! Agents have no files to upload, so `registerMessageUploadFromAgent` (§2.35) is none of them.

/// One function of the service API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// The path of the function.
    pub path: &'static str,
    /// Which agents may be named as the acting one.
    pub caller: Caller,
    /// Whether the function changes anything.
    pub writes: Writes,
    /// Whether a second run adds nothing to the first (§1.5, convex-http-api D.2).
    pub repeat: Repeat,
}

/// Which agents may be named as the acting one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// No agent is named: the runtime itself calls.
    Runtime,
    /// Any agent of the account.
    AnyAgent,
    /// The account's orchestrator.
    Orchestrator,
    /// Agents with this behaviour flag.
    Flag(&'static str),
}

/// Whether a function changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// It only reads.
    No,
    /// It opens a session at the first use, and otherwise only reads.
    Sessions,
    /// It changes something.
    Yes,
}

/// Whether a second run adds nothing to the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It adds nothing.
    Always,
    /// It adds nothing if the request carries `sourceNotificationId`.
    WithSourceNotification,
    /// It adds something, or loses the first run's answer.
    Never,
}

macro_rules! catalog {
    ($($name:ident = $function:literal, $caller:expr, $writes:ident, $repeat:ident;)*) => {
        $(pub(super) const $name: Function = Function {
            path: concat!("service/actions:", $function),
            caller: $caller,
            writes: Writes::$writes,
            repeat: Repeat::$repeat,
        };)*

        /// All functions.
        pub const ALL: &[Function] = &[$($name),*];
    };
}

use Caller::{AnyAgent, Flag, Orchestrator, Runtime};

catalog! {
    UPDATE_RUNTIME_STATUS = "updateRuntimeStatus", Runtime, Yes, Always;
    // It clears what it reports: a lost answer is a lost request.
    CHECK_RESTART = "checkAndClearRestartRequested", Runtime, Yes, Never;
    GET_PENDING_UPGRADE = "getPendingUpgrade", Runtime, No, Always;
    LIST_AGENTS = "listAgents", Runtime, Sessions, Always;
    LIST_AGENTS_FOR_RUNTIME = "listAgentsForRuntime", Runtime, No, Always;
    GET_ORCHESTRATOR = "getOrchestratorAgentId", Runtime, No, Always;
    LIST_UNDELIVERED = "listUndeliveredNotifications", Runtime, No, Always;
    GET_DELIVERY_CONTEXT = "getNotificationForDelivery", Runtime, Sessions, Always;
    MARK_READ = "markNotificationRead", Runtime, Yes, Always;
    MARK_DELIVERY_ENDED = "markNotificationDeliveryEnded", Runtime, Yes, Always;
    MARK_DELIVERED = "markNotificationDelivered", Runtime, Yes, Always;
    POST_MESSAGE = "createMessageFromAgent", AnyAgent, Yes, WithSourceNotification;
    POST_MESSAGE_AS_ORCHESTRATOR = "createTaskMessageForAgentTool", Orchestrator, Yes, Never;
    // A repeat creates nothing while the first is unanswered (§5.5), but returns an empty list. Only a caller
    // that knows of the repeat can read that as "requested already".
    REQUEST_RESPONSES = "createResponseRequestNotifications", Flag("canMentionAgents"), Yes, Never;
    UPDATE_TASK_STATUS = "updateTaskStatusFromAgent", Flag("canModifyTaskStatus"), Yes, Always;
    // These would only add activity rows, but could also undo changes made in between.
    UPDATE_TASK = "updateTaskFromAgent", Flag("canModifyTaskStatus"), Yes, Never;
    CREATE_TASK = "createTaskFromAgent", Flag("canCreateTasks"), Yes, Never;
    // Each run adds an activity row.
    ASSIGN_TASK = "assignTaskFromAgent", Orchestrator, Yes, Never;
    DELETE_TASK = "deleteTaskFromAgent", Orchestrator, Yes, Never;
    LINK_TASK_TO_PR = "linkTaskToPrForAgentTool", Orchestrator, Yes, Always;
    LIST_TASKS = "listTasksForAgentTool", Orchestrator, No, Always;
    GET_TASK = "getTaskForAgentTool", Orchestrator, No, Always;
    LIST_THREAD = "listTaskThreadForAgentTool", Orchestrator, No, Always;
    SEARCH_TASKS = "searchTasksForAgentTool", Orchestrator, No, Always;
    LOAD_TASK = "loadTaskDetailsForAgentTool", AnyAgent, No, Always;
    GET_TASK_HISTORY = "getTaskHistoryForAgentTool", AnyAgent, No, Always;
    GET_AGENT_SKILLS = "getAgentSkillsForTool", AnyAgent, No, Always;
    // A repeated update would overwrite changes made in between, so a lost one is settled by reading.
    WRITE_DOCUMENT = "createDocumentFromAgent", Flag("canCreateDocuments"), Yes, Never;
    LIST_DOCUMENTS = "listDocumentsForAgent", Runtime, No, Always;
    LIST_ASSIGNED_TASKS = "listAssignedTasksForAgent", AnyAgent, No, Always;
    LIST_TASKS_BY_STATUS = "listTasksForOrchestratorHeartbeat", Runtime, No, Always;
    UPDATE_AGENT_HEARTBEAT = "updateAgentHeartbeat", AnyAgent, Yes, Always;
    // It appends to the history.
    RECORD_UPGRADE = "recordUpgradeResult", Runtime, Yes, Never;
}

/// Returns the stored keys.
pub(super) const GET_RUNTIME_SECRETS: Function = Function {
    path: "service/actions:getRuntimeSecrets",
    caller: Runtime,
    writes: Writes::No,
    repeat: Repeat::Always,
};

/// Functions that a Mission Control may lack (§2.37).
pub const OPTIONAL: &[Function] = &[GET_RUNTIME_SECRETS];
