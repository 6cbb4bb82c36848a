//! The guardrails in `/metrics`.

use super::page::{MetricKind, Page};
use crate::http::health::{Guardrails, GuardrailsHealth};

/// What the guardrails have stopped.
pub(super) fn stopped(page: &mut Page, health: &GuardrailsHealth) {
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

/// The limits: which are set, their numbers, and which hold work back. The labels are names of variables.
pub(super) fn limits(page: &mut Page, guardrails: &Guardrails) {
    let each = || guardrails.0.iter().map(|(name, guardrail)| ([("variable", *name)], guardrail));
    page.family(
        MetricKind::Gauge,
        "guardrails_set",
        "1 for each variable of the guardrails that is set, 0 for one with its default.",
    );
    for (labels, guardrail) in each() {
        page.sample(&labels, u8::from(!guardrail.is_default));
    }
    page.family(
        MetricKind::Gauge,
        "guardrails_limit",
        "The limits that are numbers; 0 switches a limit off.",
    );
    for (labels, guardrail) in each() {
        let number = guardrail.value.as_ref().and_then(|value| value.parse::<f64>().ok());
        if let Some(number) = number.filter(|number| number.is_finite()) {
            page.sample(&labels, number);
        }
    }
    page.family(MetricKind::Gauge, "guardrails_holding", "1 for each guardrail that holds work back now.");
    for (labels, guardrail) in each() {
        page.sample(&labels, u8::from(guardrail.holds));
    }
}
