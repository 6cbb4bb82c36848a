//! The metrics of heartbeats and waiting events.

use super::page::MetricKind::{Counter, Gauge};
use super::page::Page;
use crate::http::health::HeartbeatHealth;

/// Writes the figures of heartbeats and waiting events.
pub(super) fn write(page: &mut Page, beats: &HeartbeatHealth) {
    let counts = &beats.beats;
    page.one(Gauge, "heartbeat_agents", "Agents with a scheduled heartbeat.", beats.scheduled_agents);
    page.one(Counter, "heartbeat_prompted_total", "Heartbeats that were sent to the model.", counts.prompted);
    page.one(
        Counter,
        "heartbeat_worked_total",
        "Heartbeats in which the agent did something.",
        counts.did_work,
    );
    page.one(Counter, "heartbeat_saved_total", "Heartbeats that were not sent to the model.", counts.saved);
    page.one(Counter, "heartbeat_failed_total", "Heartbeats that were given up.", counts.failed);
    page.one(
        Counter,
        "heartbeat_follow_ups_total",
        "Requests for a response that heartbeats sent without the model.",
        counts.follow_ups,
    );
    page.one(Counter, "heartbeat_tokens_total", "The tokens of heartbeats.", counts.tokens);
    page.one(Counter, "heartbeat_events_total", "Events that were accepted for agents.", beats.events_taken);
    page.one(
        Counter,
        "heartbeat_events_dropped_total",
        "Events that were removed to make room for newer ones.",
        beats.events_dropped,
    );
    page.one(
        Counter,
        "heartbeat_wakes_total",
        "Events that requested a wake of their agent.",
        beats.wakes_asked,
    );
    page.one(
        Gauge,
        "heartbeat_events_waiting",
        "Events that no heartbeat has shown to its agent yet.",
        beats.events_waiting,
    );
    page.one(Gauge, "heartbeat_wakes_due", "Agents that wait to be woken.", beats.wakes_due);
}
