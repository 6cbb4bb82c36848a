//! The guardrails in `/metrics`.

use super::page::{MetricKind, Page};
use crate::http::health::GuardrailsHealth;

/// What the guardrails have stopped.
pub(super) fn guardrails(page: &mut Page, health: &GuardrailsHealth) {
    page.one(
        MetricKind::Counter,
        "guardrails_team_stops_total",
        "Threads that the loop brake has stopped.",
        health.team_stops,
    );
    page.one(
        MetricKind::Gauge,
        "guardrails_stopped_threads",
        "Threads that wait for a person because of the loop brake.",
        health.stopped_threads,
    );
}
