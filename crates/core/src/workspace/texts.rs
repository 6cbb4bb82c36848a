//! The texts that every agent gets. `docs/runtime` shows the same texts.

/// The rules of work, for `AGENTS.md`.
const AGENTS: &str = include_str!("texts/AGENTS.md");

/// The checklist of heartbeats, for `HEARTBEAT.md`.
const HEARTBEAT: &str = include_str!("texts/HEARTBEAT.md");

/// `AGENTS.md` without the agent's skills. `parent` is the folder of the workspace root, as the gateway sees it.
pub fn agents_text(parent: &str) -> String {
    AGENTS.replace("{{PARENT}}", parent.trim_end_matches('/'))
}

/// `HEARTBEAT.md`.
pub fn heartbeat_text() -> &'static str {
    HEARTBEAT
}
