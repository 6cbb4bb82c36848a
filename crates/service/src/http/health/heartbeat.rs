//! The part of `/health` about heartbeats and waiting events. It never contains an event's text: only the agent that
//! the event is for sees that.

use serde::Serialize;

/// The state of heartbeats.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatHealth {
    /// Whether agents are woken.
    pub running: bool,
    /// How many agents have a scheduled heartbeat.
    pub scheduled_agents: usize,
    /// Events that no heartbeat has shown to its agent yet.
    pub events_waiting: usize,
    /// Events that were accepted since `STATE_DIR` was created.
    pub events_taken: u64,
    /// Events that were removed to make room for newer ones.
    pub events_dropped: u64,
    /// Events that requested a wake of their agent.
    pub wakes_asked: u64,
    /// How many agents wait to be woken.
    pub wakes_due: usize,
    /// Why waiting events will not survive a restart, if so.
    pub events_off: Option<String>,
}
