//! The names of the tools: a closed list, so that every match over tools must decide about each of them.

use super::table::{ROWS, ToolSpec};
use mcr_model::words;

words! {
    /// A tool that agents can call.
    ToolName {
        /// Move a task.
        TaskStatus = "task_status",
        /// Change a task.
        TaskUpdate = "task_update",
        /// Create a task.
        TaskCreate = "task_create",
        /// Write a document.
        DocumentUpsert = "document_upsert",
        /// List documents.
        DocumentList = "document_list",
        /// Request an answer from agents.
        ResponseRequest = "response_request",
        /// Look up skills.
        GetAgentSkills = "get_agent_skills",
        /// Read a task with its thread.
        TaskLoad = "task_load",
        /// Read the events of a task.
        TaskHistory = "task_history",
        /// Assign agents to a task.
        TaskAssign = "task_assign",
        /// Post in any thread.
        TaskMessage = "task_message",
        /// List tasks.
        TaskList = "task_list",
        /// Read a task.
        TaskGet = "task_get",
        /// Read a thread.
        TaskThread = "task_thread",
        /// Find tasks.
        TaskSearch = "task_search",
        /// Archive a task.
        TaskDelete = "task_delete",
        /// Link a task to a pull request.
        TaskLinkPr = "task_link_pr",
    }
}

impl ToolName {
    /// The tool's row in the table.
    pub fn row(self) -> &'static ToolSpec {
        // INVARIANT: the table has the tools in the order of the list; a test checks it.
        &ROWS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_has_its_row_and_its_word() {
        assert_eq!(ToolName::ALL.len(), ROWS.len());
        for tool in ToolName::ALL {
            assert_eq!(tool.row().name, *tool);
            assert_eq!(tool.as_str().parse(), Ok(*tool));
        }
        assert_eq!("task_note".parse::<ToolName>(), Err(()));
    }
}
