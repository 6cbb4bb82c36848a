//! How the agent does a thing in this turn: by a tool, over HTTP, or not at all.

use super::Scene;

/// What can be done over HTTP: the tool's name, the endpoint, its body, and what there is to say to that.
const ENDPOINTS: [(&str, &str, &str, &str); 7] = [
    (
        "task_status",
        "task-status",
        r#"{"taskId":"…","status":"…","blockedReason":"…"}"#,
        " (`blockedReason` only for blocked)",
    ),
    ("task_update", "task-update", r#"{"taskId":"…","title":"…"}"#, " (or whichever fields are to change)"),
    ("task_create", "task-create", r#"{"title":"…","description":"…"}"#, ""),
    (
        "document_upsert",
        "document",
        r#"{"title":"…","content":"…","type":"deliverable","taskId":"…"}"#,
        " (`type`: deliverable, note, template or reference)",
    ),
    (
        "response_request",
        "response-request",
        r#"{"taskId":"…","recipientSlugs":["…"],"message":"…"}"#,
        " (at most 10 slugs, 1,000 characters)",
    ),
    ("task_assign", "task-assign", r#"{"taskId":"…","assigneeSlugs":["…"]}"#, ""),
    ("task_load", "task-load", r#"{"taskId":"…"}"#, ""),
];

impl Scene<'_> {
    /// How this tool's work is done: its name, or its endpoint over HTTP; none if it cannot be done.
    pub(super) fn way(&self, tool: &str) -> Option<String> {
        if self.tools.contains(&tool) {
            return Some(format!("`{tool}`"));
        }
        self.http.filter(|_| self.tools.is_empty())?;
        let (_, endpoint, ..) = ENDPOINTS.iter().find(|(name, ..)| *name == tool)?;
        Some(format!("`POST /agent/{endpoint}`"))
    }

    /// The same; over HTTP with the whole address and what the body holds.
    pub(super) fn way_and_body(&self, tool: &str) -> Option<String> {
        let way = self.way(tool)?;
        let Some(http) = self.http.filter(|_| self.tools.is_empty()) else { return Some(way) };
        let (_, endpoint, body, more) = ENDPOINTS.iter().find(|(name, ..)| *name == tool)?;
        Some(format!("`POST {}/agent/{endpoint}` `{body}`{more}", http.base_url.trim_end_matches('/')))
    }

    /// How another agent is asked for an answer; none if this one may ask nobody.
    pub(super) fn way_to_ask(&self) -> Option<String> {
        let may = self.context.effective_behavior_flags.can_mention_agents && self.context.task.is_some();
        self.way("response_request").filter(|_| may)
    }
}
