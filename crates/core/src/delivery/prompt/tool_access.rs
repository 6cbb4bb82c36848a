//! How the agent performs an action in this turn: by a tool, over HTTP, or not at all.

use super::Scene;
use crate::tools::ToolName;

/// The body of the tool's endpoint in the briefing, and a remark on it; `None` for a tool that the briefing
/// does not explain over HTTP.
fn example(tool: ToolName) -> Option<(&'static str, &'static str)> {
    match tool {
        ToolName::TaskStatus => Some((
            r#"{"taskId":"…","status":"…","blockedReason":"…"}"#,
            " (`blockedReason` only with blocked)",
        )),
        ToolName::TaskUpdate => Some((r#"{"taskId":"…","title":"…"}"#, " (or other fields)")),
        ToolName::TaskCreate => Some((r#"{"title":"…","description":"…"}"#, "")),
        ToolName::DocumentUpsert => Some((
            r#"{"title":"…","content":"…","type":"deliverable","taskId":"…"}"#,
            " (`type`: deliverable, note, template or reference)",
        )),
        ToolName::ResponseRequest => Some((
            r#"{"taskId":"…","recipientSlugs":["…"],"message":"…"}"#,
            " (at most 10 slugs, 1,000 characters)",
        )),
        ToolName::TaskAssign => Some((r#"{"taskId":"…","assigneeSlugs":["…"]}"#, "")),
        ToolName::TaskLoad => Some((r#"{"taskId":"…"}"#, "")),
        ToolName::DocumentList
        | ToolName::GetAgentSkills
        | ToolName::TaskHistory
        | ToolName::TaskMessage
        | ToolName::TaskList
        | ToolName::TaskGet
        | ToolName::TaskThread
        | ToolName::TaskSearch
        | ToolName::TaskDelete
        | ToolName::TaskLinkPr => None,
    }
}

impl Scene<'_> {
    /// The name of the tool, or its endpoint over HTTP; `None` if it is not available.
    pub(super) fn way(&self, tool: ToolName) -> Option<String> {
        if self.tools.contains(&tool) {
            return Some(format!("`{tool}`"));
        }
        self.tools_over_http()?;
        example(tool)?;
        Some(format!("`POST /agent/{}`", tool.row().endpoint))
    }

    /// Like [`Scene::way`]; over HTTP with the whole address and the body.
    pub(super) fn way_and_body(&self, tool: ToolName) -> Option<String> {
        let way = self.way(tool)?;
        let Some(http) = self.tools_over_http() else { return Some(way) };
        let (body, more) = example(tool)?;
        let base = http.base_url.trim_end_matches('/');
        Some(format!("`POST {base}/agent/{}` `{body}`{more}", tool.row().endpoint))
    }

    /// How to ask another agent for an answer; `None` if this agent may ask none.
    pub(super) fn way_to_ask(&self) -> Option<String> {
        let may = self.context.effective_behavior_flags.can_mention_agents && self.context.task.is_some();
        self.way(ToolName::ResponseRequest).filter(|_| may)
    }
}
