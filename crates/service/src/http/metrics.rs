//! What `/metrics` says (http-and-tools §3.3): what was counted ([`Metrics`]) and how things stand ([`Health`]), in
//! Prometheus' text form or as JSON.
//!
//! The names of the original are kept; each family stands together under one `HELP` and one `TYPE`, without
//! timestamps. Nothing here holds words of others: labels are fixed names, versions and what the configuration says of
//! the machine.

mod page;

use std::collections::BTreeMap;

use serde::Serialize;

use self::page::{MetricKind, Page};
use super::health::{Health, Memory, Status};
use crate::metrics::{Metrics, Operation};
use mcr_core::delivery::End;
use mcr_core::gateway::Dollars;
use mcr_core::ops::{HealthReason, TurnState};
use mcr_model::clock::Millis;

/// The form of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4";

/// The text for Prometheus.
pub fn exposition(health: &Health, metrics: &Metrics) -> String {
    let mut page = Page::default();
    operations(&mut page, &metrics.operations());
    service(&mut page, health);
    delivery(&mut page, health, metrics);
    ways(&mut page, health, metrics);
    page.text
}

/// The original's.
fn operations(page: &mut Page, all: &[(&'static str, Operation)]) {
    type Read = fn(&Operation) -> String;
    let families: [(MetricKind, &str, &str, Read); 7] = [
        (MetricKind::Counter, "runtime_operation_total", "Operations.", |one| one.count.to_string()),
        (MetricKind::Counter, "runtime_operation_success", "Operations that went well.", |one| {
            one.success_count.to_string()
        }),
        (MetricKind::Counter, "runtime_operation_failure", "Operations that failed.", |one| {
            one.failure_count.to_string()
        }),
        (MetricKind::Gauge, "runtime_operation_success_rate", "The share of those that went well.", |one| {
            format!("{:.3}", one.success_rate())
        }),
        (
            MetricKind::Gauge,
            "runtime_operation_duration_avg",
            "Their average duration in milliseconds.",
            |one| format!("{:.2}", one.average_ms()),
        ),
        (MetricKind::Gauge, "runtime_operation_duration_min", "The shortest, in milliseconds.", |one| {
            one.min_duration_ms.to_string()
        }),
        (MetricKind::Gauge, "runtime_operation_duration_max", "The longest, in milliseconds.", |one| {
            one.max_duration_ms.to_string()
        }),
    ];
    for (kind, name, help, read) in families {
        page.family(kind, name, help);
        for (operation, one) in all {
            page.sample(&[("operation", operation)], read(one));
        }
    }
}

/// The process, and how it is.
fn service(page: &mut Page, health: &Health) {
    let versions = &health.versions;
    let machine = &health.infrastructure;
    page.family(MetricKind::Gauge, "runtime_info", "Versions and the machine; always 1.").sample(
        &[
            ("version", &versions.runtime_service),
            ("openclaw_version", &versions.openclaw),
            ("gateway_dialect", health.gateway.dialect),
            ("droplet_id", &machine.droplet_id),
            ("region", &machine.region),
        ],
        1,
    );
    page.one(MetricKind::Gauge, "runtime_uptime_seconds", "Since the start.", health.uptime);
    page.one(MetricKind::Gauge, "runtime_resident_memory_bytes", "Memory of the process.", health.memory.rss);
    page.family(MetricKind::Gauge, "runtime_status", "1 for the status that /health shows.");
    for status in Status::ALL {
        page.sample(&[("status", status.name())], u8::from(status == health.status));
    }
    page.family(MetricKind::Gauge, "runtime_reason", "1 for each reason that /health shows.");
    for reason in HealthReason::ALL {
        page.sample(&[("reason", reason.as_str())], u8::from(health.reasons.contains(reason)));
    }
    page.maybe("runtime_disk_free_bytes", "Room on the disk of STATE_DIR.", health.disk.free_bytes);
    let ahead = health.backend.clock_ahead_ms.map(seconds_of);
    page.maybe("runtime_backend_clock_ahead_seconds", "How far the backend's clock is ahead of ours.", ahead);
}

/// The rows.
fn delivery(page: &mut Page, health: &Health, metrics: &Metrics) {
    use MetricKind::{Counter, Gauge};
    let delivery = &health.delivery;
    page.one(
        Counter,
        "delivery_no_response_terminal_skip_total",
        "Silences that need not be broken.",
        delivery.no_response_terminal_skip_count,
    );
    page.one(
        Counter,
        "delivery_required_retry_exhausted_total",
        "Silences that should have been broken and were not.",
        delivery.required_notification_retry_exhausted_count,
    );
    // Each end has its line from the start.
    counted(
        page,
        "delivery_ended_total",
        "How notifications ended.",
        "outcome",
        &delivery.ended,
        &End::NAMES,
    );
    counted(
        page,
        "delivery_skipped_total",
        "Why agents did not hear of them.",
        "reason",
        &delivery.skipped,
        &[],
    );
    page.one(Counter, "delivery_failed_total", "Attempts that failed.", delivery.failed);
    page.one(Counter, "delivery_lists_total", "Lists that were begun.", delivery.lists);
    page.one(Gauge, "delivery_running", "1 if rows are listed and worked on.", u8::from(delivery.running));
    page.one(
        Gauge,
        "delivery_consecutive_failures",
        "Attempts that failed, with none between that did not.",
        delivery.consecutive_failures,
    );
    page.one(Gauge, "delivery_list_failures", "The same of lists.", delivery.list_failures);
    page.one(Gauge, "delivery_waiting", "Notifications that are not settled.", delivery.waiting);
    page.one(Gauge, "delivery_in_flight", "Those that are worked on.", delivery.in_flight);
    page.one(Gauge, "delivery_workers", "How many can be.", delivery.config.max_concurrent_sessions);
    page.one(Gauge, "delivery_dead_letters", "Notifications that were given up.", delivery.dead);
    page.one(
        Gauge,
        "delivery_oldest_unsettled_seconds",
        "The age of the oldest that is not settled; 0 if there is none.",
        delivery.oldest_unsettled_seconds.unwrap_or_default(),
    );
    page.family(Gauge, "delivery_turns", "Turns under way.");
    for state in TurnState::ALL {
        let turns = delivery.turns.iter().filter(|turn| turn.state == *state);
        page.sample(&[("state", state.as_str())], turns.count());
    }
    let quiet = delivery.turns.iter().map(|turn| turn.quiet_seconds).fold(0.0, f64::max);
    page.one(Gauge, "delivery_turn_quiet_seconds", "The longest silence of a turn under way.", quiet);
    page.times(
        "delivery_attempt_duration_seconds",
        "How long attempts took; those with the outcome `again` come back.",
        "outcome",
        &metrics.attempts,
    );
    page.family(Counter, "tool_calls_total", "Calls of tools.");
    for (via, family) in [("turn", &metrics.turn_tools), ("http", &metrics.http_tools)] {
        for (tool, result, count) in family.counts() {
            page.sample(&[("tool", tool), ("via", via), ("result", result)], count);
        }
    }
    page.family(MetricKind::Histogram, "tool_call_duration_seconds", "How long they took.");
    for (via, family) in [("turn", &metrics.turn_tools), ("http", &metrics.http_tools)] {
        for (tool, times) in family.times() {
            page.histogram(&[("tool", tool), ("via", via)], &times);
        }
    }
}

fn counted(
    page: &mut Page,
    name: &'static str,
    help: &str,
    label: &str,
    counts: &BTreeMap<&'static str, u64>,
    always: &[&'static str],
) {
    page.family(MetricKind::Counter, name, help);
    let mut all: BTreeMap<&str, u64> = always.iter().map(|name| (*name, 0)).collect();
    all.extend(counts);
    for (name, count) in all {
        page.sample(&[(label, name)], count);
    }
}

/// The ways out of the house and into it.
fn ways(page: &mut Page, health: &Health, metrics: &Metrics) {
    use MetricKind::{Counter, Gauge};
    let gateway = &health.gateway;
    page.one(Gauge, "gateway_up", "1 if turns are sent.", u8::from(gateway.running));
    page.one(
        Gauge,
        "gateway_breaker_open",
        "1 if nothing is sent until the gateway is back.",
        u8::from(gateway.breaker_open),
    );
    page.one(Gauge, "gateway_sessions", "Sessions that were spoken in.", gateway.sessions);
    page.counts("gateway_calls_total", "Calls of the gateway.", ["call", "result"], &metrics.gateway);
    page.times("gateway_call_duration_seconds", "How long they took.", "call", &metrics.gateway);
    let (turns, usage) = metrics.usage();
    page.family(Counter, "gateway_tokens_total", "Tokens, as far as the gateway tells.")
        .sample(&[("direction", "input")], usage.input_tokens)
        .sample(&[("direction", "output")], usage.output_tokens);
    page.one(Counter, "gateway_turns_with_usage_total", "Turns of which it has told.", turns);
    let dollars = Dollars(usage.nano_dollars);
    page.one(
        Counter,
        "gateway_cost_dollars_total",
        "Dollars, of the few turns whose cost it tells.",
        dollars,
    );

    let backend = &health.backend;
    page.one(
        Gauge,
        "backend_up",
        "1 if the backend does what it is asked.",
        u8::from(backend.accepted == Some(true)),
    );
    page.maybe(
        "backend_last_report_timestamp_seconds",
        "When it last took our report.",
        instant(backend.last_report_at),
    );
    page.counts("backend_calls_total", "Calls of the backend.", ["function", "result"], &metrics.backend);
    page.times("backend_call_duration_seconds", "How long they took.", "function", &metrics.backend);

    page.one(Gauge, "roster_agents", "Agents of the account.", health.agent_sync.agents);
    page.maybe(
        "roster_last_sync_timestamp_seconds",
        "When they were last fetched.",
        instant(health.agent_sync.last_sync_at),
    );

    let beats = &health.heartbeat;
    page.one(Counter, "heartbeat_events_total", "Events that were taken for agents.", beats.events_taken);
    page.one(
        Counter,
        "heartbeat_events_dropped_total",
        "Those that made room for newer ones.",
        beats.events_dropped,
    );
    page.one(Counter, "heartbeat_wakes_total", "Those that wanted their agent woken.", beats.wakes_asked);
    page.one(Gauge, "heartbeat_events_waiting", "Those that no beat has shown yet.", beats.events_waiting);
    page.one(Gauge, "heartbeat_wakes_due", "Agents that are to be woken.", beats.wakes_due);

    let ledger = &health.ledger;
    page.one(Gauge, "ledger_up", "1 if what is done is noted on the disk.", u8::from(ledger.off.is_none()));
    page.one(Gauge, "ledger_open", "Deliveries in it that are not over.", ledger.open);
    page.one(Counter, "ledger_notes_total", "Notes taken.", ledger.notes);
    page.one(Counter, "ledger_commits_total", "Transactions.", ledger.commits);
    page.one(Counter, "ledger_synced_total", "Those that somebody waited for.", ledger.synced);

    page.counts("http_requests_total", "Requests of our own server.", ["endpoint", "status"], &metrics.http);
    page.times("http_request_duration_seconds", "How long they took.", "endpoint", &metrics.http);
}

fn instant(at: Option<Millis>) -> Option<f64> {
    at.map(|at| seconds_of(at.0))
}

#[expect(clippy::cast_precision_loss, reason = "instants and spans stay far below 2^53")]
fn seconds_of(ms: i64) -> f64 {
    ms as f64 / 1e3
}

/// The same as JSON, in the original's form.
#[derive(Serialize)]
struct Data<'a> {
    operations: BTreeMap<&'static str, Operation>,
    runtime: Process,
    components: Components<'a>,
    timestamp: Millis,
}

#[derive(Serialize)]
struct Process {
    uptime: f64,
    memory: Memory,
}

#[derive(Serialize)]
struct Components<'a> {
    delivery: Rows<'a>,
    gateway: SessionFigures,
    heartbeat: Beats,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rows<'a> {
    running: bool,
    delivered: u64,
    failed: u64,
    no_response_terminal_skip_count: u64,
    required_notification_retry_exhausted_count: u64,
    ended: &'a BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct SessionFigures {
    running: bool,
    sessions: usize,
}

#[derive(Serialize)]
struct Beats {
    running: bool,
    scheduled: usize,
}

/// For whoever asks for JSON.
pub fn data(health: &Health, metrics: &Metrics) -> String {
    let delivery = &health.delivery;
    let data = Data {
        operations: metrics.operations().into_iter().collect(),
        runtime: Process { uptime: health.uptime, memory: health.memory },
        components: Components {
            delivery: Rows {
                running: delivery.running,
                delivered: delivery.delivered,
                failed: delivery.failed,
                no_response_terminal_skip_count: delivery.no_response_terminal_skip_count,
                required_notification_retry_exhausted_count: delivery
                    .required_notification_retry_exhausted_count,
                ended: &delivery.ended,
            },
            gateway: SessionFigures { running: health.gateway.running, sessions: health.gateway.sessions },
            heartbeat: Beats {
                running: health.heartbeat.running,
                scheduled: health.heartbeat.scheduled_agents,
            },
        },
        timestamp: health.timestamp,
    };
    serde_json::to_string(&data).expect("plain fields and text keys always make JSON")
}
