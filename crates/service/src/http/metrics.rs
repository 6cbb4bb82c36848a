//! The body of `/metrics` (http-and-tools §3.3): the counters ([`Metrics`]) and the current state ([`Health`]), in
//! Prometheus' text format or as JSON.
//!
//! The old runtime's names are kept. Each family has one `HELP` and one `TYPE` line, followed by its samples without
//! timestamps. Labels never contain text from outside: they are fixed names, versions, and the configured names of
//! the machine.

mod budget;
mod guardrails;
mod heartbeats;
mod limits;
mod page;

use std::collections::BTreeMap;

use serde::Serialize;

use self::page::{MetricKind, Page};
use super::health::{Health, Memory, Status};
use crate::metrics::{Metrics, Operation};
use mcr_core::delivery::End;
use mcr_core::ops::{HealthReason, TurnState};
use mcr_model::clock::Millis;
use mcr_model::spending::Dollars;

/// The media type of the text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4";

/// The metrics in Prometheus' text format.
pub fn exposition(health: &Health, metrics: &Metrics) -> String {
    let mut page = Page::default();
    operations(&mut page, &metrics.operations());
    service(&mut page, health);
    delivery(&mut page, health, metrics);
    connections(&mut page, health, metrics);
    page.text
}

/// The old runtime's families.
fn operations(page: &mut Page, all: &[(&'static str, Operation)]) {
    type Read = fn(&Operation) -> String;
    let families: [(MetricKind, &str, &str, Read); 7] = [
        (MetricKind::Counter, "runtime_operation_total", "Operations.", |one| one.count.to_string()),
        (MetricKind::Counter, "runtime_operation_success", "Operations that succeeded.", |one| {
            one.success_count.to_string()
        }),
        (MetricKind::Counter, "runtime_operation_failure", "Operations that failed.", |one| {
            one.failure_count.to_string()
        }),
        (
            MetricKind::Gauge,
            "runtime_operation_success_rate",
            "The share of operations that succeeded.",
            |one| format!("{:.3}", one.success_rate()),
        ),
        (
            MetricKind::Gauge,
            "runtime_operation_duration_avg",
            "The average duration in milliseconds.",
            |one| format!("{:.2}", one.average_ms()),
        ),
        (
            MetricKind::Gauge,
            "runtime_operation_duration_min",
            "The shortest duration in milliseconds.",
            |one| one.min_duration_ms.to_string(),
        ),
        (
            MetricKind::Gauge,
            "runtime_operation_duration_max",
            "The longest duration in milliseconds.",
            |one| one.max_duration_ms.to_string(),
        ),
    ];
    for (kind, name, help, read) in families {
        page.family(kind, name, help);
        for (operation, one) in all {
            page.sample(&[("operation", operation)], read(one));
        }
    }
}

/// The process and its state.
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
    page.one(MetricKind::Gauge, "runtime_uptime_seconds", "Seconds since the start.", health.uptime);
    page.one(
        MetricKind::Gauge,
        "runtime_resident_memory_bytes",
        "Resident memory of the process.",
        health.memory.rss,
    );
    page.family(MetricKind::Gauge, "runtime_status", "1 for the current status in /health.");
    for status in Status::ALL {
        page.sample(&[("status", status.name())], u8::from(status == health.status));
    }
    page.family(MetricKind::Gauge, "runtime_reason", "1 for each reason in /health.");
    for reason in HealthReason::ALL {
        page.sample(&[("reason", reason.as_str())], u8::from(health.reasons.contains(reason)));
    }
    budget::budget(page, health);
    page.maybe("runtime_disk_free_bytes", "Free space on the disk of STATE_DIR.", health.disk.free_bytes);
    let ahead = health.backend.clock_ahead_ms.map(seconds_of);
    page.maybe(
        "runtime_backend_clock_ahead_seconds",
        "By how much the backend's clock is ahead of ours.",
        ahead,
    );
}

/// Deliveries, turns and tools.
fn delivery(page: &mut Page, health: &Health, metrics: &Metrics) {
    use MetricKind::{Counter, Gauge};
    let delivery = &health.delivery;
    page.one(
        Counter,
        "delivery_no_response_terminal_skip_total",
        "Turns without an answer where none was required.",
        delivery.no_response_terminal_skip_count,
    );
    page.one(
        Counter,
        "delivery_required_retry_exhausted_total",
        "Notifications that required an answer and got none after all retries.",
        delivery.required_notification_retry_exhausted_count,
    );
    // Every end has a line from the start, so that a rate over it is defined.
    counted(
        page,
        "delivery_ended_total",
        "Ended notifications by outcome.",
        "outcome",
        &delivery.ended,
        &End::NAMES,
    );
    counted(
        page,
        "delivery_skipped_total",
        "Notifications that were skipped without a turn, by reason.",
        "reason",
        &delivery.skipped,
        &[],
    );
    guardrails::stopped(page, &delivery.guardrails);
    guardrails::limits(page, &health.guardrails);
    page.one(Counter, "delivery_failed_total", "Failed attempts.", delivery.failed);
    page.one(Counter, "delivery_lists_total", "Requests for the list of notifications.", delivery.lists);
    page.one(
        Gauge,
        "delivery_running",
        "1 if notifications are listed and delivered.",
        u8::from(delivery.running),
    );
    page.one(
        Gauge,
        "delivery_consecutive_failures",
        "Attempts that failed since the last success.",
        delivery.consecutive_failures,
    );
    page.one(
        Gauge,
        "delivery_list_failures",
        "Lists that failed since the last success.",
        delivery.list_failures,
    );
    page.one(Gauge, "delivery_waiting", "Notifications that are not settled.", delivery.waiting);
    page.one(Gauge, "delivery_in_flight", "Notifications that a worker has.", delivery.in_flight);
    page.one(Gauge, "delivery_workers", "The number of workers.", delivery.config.max_concurrent_sessions);
    page.one(
        Gauge,
        "delivery_dead_letters",
        "Dead letters: given up, and waiting for a person's decision.",
        delivery.dead,
    );
    page.one(
        Gauge,
        "delivery_oldest_unsettled_seconds",
        "The age of the oldest unsettled notification; 0 if there is none.",
        delivery.oldest_unsettled_seconds.unwrap_or_default(),
    );
    limits::write(page, delivery);
    page.family(Gauge, "delivery_turns", "Running turns by state.");
    for state in TurnState::ALL {
        let turns = delivery.turns.iter().filter(|turn| turn.state == *state);
        page.sample(&[("state", state.as_str())], turns.count());
    }
    let quiet = delivery.turns.iter().map(|turn| turn.quiet_seconds).fold(0.0, f64::max);
    page.one(
        Gauge,
        "delivery_turn_quiet_seconds",
        "The longest time since a running turn's last sign of life.",
        quiet,
    );
    page.times(
        "delivery_attempt_duration_seconds",
        "The duration of attempts; the outcome `again` means that another attempt follows.",
        "outcome",
        &metrics.attempts,
    );
    page.family(Counter, "tool_calls_total", "Tool calls.");
    for (via, family) in [("turn", &metrics.turn_tools), ("http", &metrics.http_tools)] {
        for (tool, result, count) in family.counts() {
            page.sample(&[("tool", tool), ("via", via), ("result", result)], count);
        }
    }
    page.family(MetricKind::Histogram, "tool_call_duration_seconds", "The duration of tool calls.");
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

/// The connections to the gateway and the backend, and our own server.
fn connections(page: &mut Page, health: &Health, metrics: &Metrics) {
    use MetricKind::{Counter, Gauge};
    let gateway = &health.gateway;
    page.one(Gauge, "gateway_up", "1 if turns are sent.", u8::from(gateway.running));
    page.one(
        Gauge,
        "gateway_breaker_open",
        "1 if the breaker holds turns back until the gateway answers again.",
        u8::from(gateway.breaker_open),
    );
    page.one(Gauge, "gateway_sessions", "Sessions that had a turn since the start.", gateway.sessions);
    page.counts("gateway_calls_total", "Calls of the gateway.", ["call", "result"], &metrics.gateway);
    page.times(
        "gateway_call_duration_seconds",
        "The duration of calls of the gateway.",
        "call",
        &metrics.gateway,
    );
    let (turns, usage) = metrics.usage();
    page.family(Counter, "gateway_tokens_total", "Tokens, as far as the gateway reports them.")
        .sample(&[("direction", "input")], usage.input_tokens)
        .sample(&[("direction", "output")], usage.output_tokens);
    page.one(Counter, "gateway_turns_with_usage_total", "Turns whose tokens the gateway reported.", turns);
    let dollars = Dollars(usage.nano_dollars);
    page.one(
        Counter,
        "gateway_cost_dollars_total",
        "Dollars, for the turns whose cost the gateway reported.",
        dollars,
    );

    let backend = &health.backend;
    page.one(
        Gauge,
        "backend_up",
        "1 if the backend accepts our calls.",
        u8::from(backend.accepted == Some(true)),
    );
    page.maybe(
        "backend_last_report_timestamp_seconds",
        "When the backend last accepted our status report.",
        instant(backend.last_report_at),
    );
    page.counts("backend_calls_total", "Calls of the backend.", ["function", "result"], &metrics.backend);
    page.one(
        Counter,
        "wake_query_runs_total",
        "Runs of the wake query that this runtime has caused or seen. They count as calls of the backend.",
        metrics.wake_query.total(),
    );
    page.times(
        "backend_call_duration_seconds",
        "The duration of calls of the backend.",
        "function",
        &metrics.backend,
    );

    page.one(Gauge, "roster_agents", "Agents of the account.", health.agent_sync.agents);
    page.maybe(
        "roster_last_sync_timestamp_seconds",
        "When the roster was last fetched.",
        instant(health.agent_sync.last_sync_at),
    );

    heartbeats::write(page, &health.heartbeat);

    let ledger = &health.ledger;
    page.one(Gauge, "ledger_up", "1 if the ledger is written to the disk.", u8::from(ledger.off.is_none()));
    page.one(Gauge, "ledger_open", "Deliveries that have not ended.", ledger.open);
    page.one(Counter, "ledger_notes_total", "Notes written.", ledger.notes);
    page.one(Counter, "ledger_commits_total", "Transactions.", ledger.commits);
    page.one(Counter, "ledger_synced_total", "Transactions that a caller waited for.", ledger.synced);

    page.counts("http_requests_total", "Requests to our own server.", ["endpoint", "status"], &metrics.http);
    page.times(
        "http_request_duration_seconds",
        "The duration of requests to our own server.",
        "endpoint",
        &metrics.http,
    );
}

fn instant(at: Option<Millis>) -> Option<f64> {
    at.map(|at| seconds_of(at.0))
}

#[expect(clippy::cast_precision_loss, reason = "instants and spans stay far below 2^53")]
fn seconds_of(ms: i64) -> f64 {
    ms as f64 / 1e3
}

/// The JSON form, with the old runtime's fields.
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
    heartbeat: ScheduledBeats,
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
struct ScheduledBeats {
    running: bool,
    scheduled: usize,
}

/// The metrics as JSON.
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
            heartbeat: ScheduledBeats {
                running: health.heartbeat.running,
                scheduled: health.heartbeat.scheduled_agents,
            },
        },
        timestamp: health.timestamp,
    };
    serde_json::to_string(&data).expect("plain fields and text keys always make JSON")
}
