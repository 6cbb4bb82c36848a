//! The limits for what agents have caused, and the backlog.

use serde::Serialize;

use super::seconds;
use mcr_core::delivery::agent_limits::AgentLimitsState;
use mcr_core::delivery::backlog::Backlog;
use mcr_model::clock::Millis;

/// The limits for what agents have caused.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentLimitsHealth {
    /// `PEOPLE_RESERVE`, in percent.
    pub people_reserve: usize,
    /// How many workers that is.
    pub reserved_workers: usize,
    /// `AGENT_TURNS_PER_MINUTE`; 0 sets no limit.
    pub agent_turns_per_minute: usize,
    /// How many requests to the gateway agents have caused since the start.
    pub agent_turns: u64,
    /// How many rows of agents could start and wait for that limit.
    pub agent_rows_waiting: usize,
    /// When the limit lets the next request leave, while it holds rows back.
    pub agent_turns_resume_at: Option<Millis>,
    /// How many contexts were read only to learn who caused a row.
    pub origin_reads: u64,
}

impl From<AgentLimitsState> for AgentLimitsHealth {
    fn from(state: AgentLimitsState) -> Self {
        Self {
            people_reserve: state.config.people_reserve_percent,
            reserved_workers: state.reserved_workers,
            agent_turns_per_minute: state.config.requests_per_minute,
            agent_turns: state.requests,
            agent_rows_waiting: state.waiting,
            agent_turns_resume_at: state.ceiling_until,
            origin_reads: state.looks,
        }
    }
}

/// The rows that wait while Mission Control has more of them than a list shows.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BacklogHealth {
    /// The known rows. How many follow is unknown.
    pub rows_at_least: usize,
    /// How long the known rows take at the present pace, in seconds. None if no row was settled lately.
    pub estimated_seconds: Option<f64>,
}

impl From<Backlog> for BacklogHealth {
    fn from(backlog: Backlog) -> Self {
        Self { rows_at_least: backlog.rows, estimated_seconds: backlog.estimate.map(seconds) }
    }
}
