//! The families about the limits for agents and the backlog.

use super::page::{MetricKind, Page};
use super::seconds_of;
use crate::http::health::DeliveryHealth;

/// Writes the families.
pub(super) fn write(page: &mut Page, delivery: &DeliveryHealth) {
    use MetricKind::{Counter, Gauge};
    let limits = &delivery.limits;
    page.one(
        Gauge,
        "delivery_people_reserved_workers",
        "Workers kept for notifications that people have caused.",
        limits.reserved_workers,
    );
    page.one(
        Gauge,
        "delivery_agent_turns_per_minute_limit",
        "The number of requests to the gateway that agents may cause in a minute; 0 sets no limit.",
        limits.agent_turns_per_minute,
    );
    page.one(
        Counter,
        "delivery_agent_turns_total",
        "Requests to the gateway that agents have caused.",
        limits.agent_turns,
    );
    page.one(
        Gauge,
        "delivery_agent_rows_limited",
        "Notifications that agents have caused and that wait for the limit of requests in a minute.",
        limits.agent_rows_waiting,
    );
    page.maybe(
        "delivery_agent_turns_resume_timestamp_seconds",
        "When the limit of requests in a minute lets the next one leave.",
        limits.agent_turns_resume_at.map(|at| seconds_of(at.0)),
    );
    page.one(
        Gauge,
        "delivery_lists_limited",
        "1 while lists come at DELIVERY_INTERVAL only, because the calls of the backend exceed BACKEND_CALLS_MONTHLY.",
        u8::from(delivery.lists_limited),
    );
    page.one(
        Counter,
        "delivery_origin_reads_total",
        "Contexts that were read only to learn who caused a notification.",
        limits.origin_reads,
    );
    page.one(
        Gauge,
        "delivery_backlog_rows",
        "Known notifications while Mission Control has more than a list shows; 0 otherwise.",
        delivery.backlog.as_ref().map_or(0, |backlog| backlog.rows_at_least),
    );
}
