//! The part of `/health` about heartbeats and waiting events. It never contains an event's text: only the agent that
//! the event is for sees that.

use serde::Serialize;

use super::seconds;
use crate::heartbeat::beats::BeatFigures;
use crate::heartbeat::tally::BeatTally;
use mcr_model::clock::Millis;

/// The state of heartbeats.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatHealth {
    /// Whether agents are woken.
    pub running: bool,
    /// Which heartbeats are sent to the model (`HEARTBEAT_MODE`).
    pub mode: &'static str,
    /// How many agents have a scheduled heartbeat.
    pub scheduled_agents: usize,
    /// The heartbeats of all agents since the start.
    pub beats: BeatCounts,
    /// The heartbeats of each agent.
    pub agents: Vec<AgentBeats>,
    /// Why the operator's checklist is not used, if so.
    pub checklist_error: Option<String>,
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

/// Counts of heartbeats.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BeatCounts {
    /// Those that were sent to the model.
    pub prompted: u64,
    /// Those of them in which the agent did something.
    pub did_work: u64,
    /// Those that were saved, because nothing had changed, or because of the hour.
    pub saved: u64,
    /// Those that were given up after all retries.
    pub failed: u64,
    /// Requests for a response that were sent without the model.
    pub follow_ups: u64,
    /// The tokens of those that were sent.
    pub tokens: u64,
    /// What the saved ones would have cost at the average of those that were sent. None if none was sent.
    pub tokens_saved: Option<u64>,
}

impl BeatCounts {
    /// The counts of this tally.
    pub fn of(tally: &BeatTally) -> Self {
        Self {
            prompted: tally.prompted,
            did_work: tally.worked,
            saved: tally.saved,
            failed: tally.failed,
            follow_ups: tally.follow_ups,
            tokens: tally.tokens(),
            tokens_saved: tally.tokens_saved(),
        }
    }
}

/// The heartbeats of one agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentBeats {
    /// Its slug.
    pub agent: String,
    /// Seconds between two heartbeats.
    pub interval_seconds: f64,
    /// Why the interval differs from the one that is set, if so.
    pub interval_corrected: Option<&'static str>,
    /// When the next one is due; none while one runs.
    pub next_at: Option<Millis>,
    /// When Mission Control last took the report of a heartbeat of this agent; none since the start.
    pub reported_at: Option<Millis>,
    /// Why the last one was given up, redacted; none if it was not.
    pub last_error: Option<String>,
    /// Its counts.
    #[serde(flatten)]
    pub counts: BeatCounts,
}

impl AgentBeats {
    /// The heartbeats with these figures.
    pub fn of(figures: &BeatFigures) -> Self {
        Self {
            agent: figures.agent.clone(),
            interval_seconds: seconds(figures.interval),
            interval_corrected: figures.corrected,
            next_at: figures.next,
            reported_at: figures.reported,
            last_error: figures.tally.last_error.clone(),
            counts: BeatCounts::of(&figures.tally),
        }
    }
}
