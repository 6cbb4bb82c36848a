//! The guardrails in `/health`: their limits, and what they have stopped.

use serde::Serialize;

/// The limits of the guardrails.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "these are the variables' names")]
pub struct GuardrailsConfig {
    pub team_turns_max: u32,
    pub team_turns_per_progress: u32,
    pub team_turns_hard_max: u32,
    pub team_depth_max: u32,
}

/// What the guardrails have stopped.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardrailsHealth {
    /// How many threads wait for a person because of the loop brake.
    pub stopped_threads: usize,
    /// How often the loop brake has stopped a thread.
    pub team_stops: u64,
}
