//! What `/health` says of the agents' own rhythm, and of what waits for it. What events say is told to nobody but their
//! agents.

use serde::Serialize;

/// The agents' own rhythm.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatHealth {
    /// Whether agents are woken.
    pub running: bool,
    /// How many wait for their beat.
    pub scheduled_agents: usize,
    /// Events that no beat has shown yet.
    pub events_waiting: usize,
    /// Those that were taken, since `STATE_DIR` is there.
    pub events_taken: u64,
    /// Those that had to make room for newer ones.
    pub events_dropped: u64,
    /// Those that wanted their agent woken.
    pub wakes_asked: u64,
    /// How many agents are to be woken.
    pub wakes_due: usize,
    /// Why what waits will not survive a restart, if so.
    pub events_off: Option<String>,
}
