//! The roster in `/health`.

use serde::Serialize;

use mcr_model::clock::Millis;

/// The state of the roster.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RosterHealth {
    /// Whether the roster is fetched at intervals.
    pub running: bool,
    /// When it was last fetched.
    pub last_sync_at: Option<Millis>,
    /// The error of the last fetch, redacted; none if it succeeded.
    pub last_error: Option<String>,
    /// How many agents the last fetch added.
    pub added_count: usize,
    /// How many agents the last fetch removed.
    pub removed_count: usize,
    /// Whether the roster is older than three intervals or was never fetched.
    pub stale: bool,
    /// How many agents there are.
    pub agents: usize,
    /// How many problems the agents have: unusable slugs or intervals, unreadable rows.
    pub problem_count: usize,
    /// The first of them, redacted: the agent and the problem.
    pub problems: Vec<(String, String)>,
}

/// The most problems of agents that `/health` shows.
pub const PROBLEMS_SHOWN_MAX: usize = 20;
