//! Each reason of `/health`, produced for real, with `/readyz` and `/metrics`. Rows that need single parts (a
//! full disk, workspaces) are in the last test.

use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::demo::gateway::{Prompt, Release, Thought};
use mission_control_runtime::gateway::dialect::HistoryWay;
use mission_control_runtime::gateway_child::health::ChildHealth;
use mission_control_runtime::gateway_keys::health::GatewayKeysHealth;
use mission_control_runtime::guardrails::budget::{Report, ScopeReport};
use mission_control_runtime::http::health::{
    BackendHealth, DeliveryHealth, DiskHealth, GatewayHealth, LedgerHealth, PanicHealth, Parts, RosterHealth,
    START_PATIENCE, TurnHealth,
};
use mission_control_runtime::http::message::Reply;
use mission_control_runtime::model::spending::Limits;
use mission_control_runtime::ops::{HealthReason, TurnState};
use mission_control_runtime::workspace::health::WorkspaceHealth;
use serde_json::{Value, json};

use super::super::processes::Stack;
use super::{Meddler, ask, figures, figures_once, restart};
use crate::support::scripted_http::{Move, Refusing, ScriptedHttp};

fn polite(_: &Prompt) -> Thought {
    Thought::say("Here I am.")
}

fn words(parts: &Parts) -> Vec<&'static str> {
    parts.reasons().into_iter().map(HealthReason::as_str).collect()
}

fn has(health: &Value, reason: &str) -> bool {
    health["reasons"].as_array().unwrap().contains(&json!(reason))
}

/// Waits until it is degraded for exactly these reasons, and compares the figures.
fn degraded(stack: &Stack, reasons: &[&str]) -> Value {
    let health = stack.until(&format!("{reasons:?}"), |health| {
        health["status"] == "degraded" && health["reasons"] == json!(reasons)
    });
    figures_once(stack, |page| {
        let told = |reason: &&str| page.value("runtime_reason", &[("reason", reason)]) == Some(1.0);
        HealthReason::ALL.iter().map(|reason| reason.as_str()).filter(told).eq(reasons.iter().copied())
    });
    health
}

fn ready(stack: &Stack) -> (u16, String) {
    let answer = ask(stack.address(), "GET", "/readyz", "*/*");
    (answer.status, answer.body)
}

#[test]
fn without_a_gateway_the_service_is_ready_and_reports_it() {
    let stack = Stack::set(&["ben"], polite, &[("OPENCLAW_GATEWAY_URL", "")]);
    let health = degraded(&stack, &["no_gateway"]);
    assert_eq!(health["agentApi"]["toolEndpointsOpen"], json!(false));
    assert!(
        health["agentApi"]["why"].as_str().unwrap().starts_with("Agents have function tools."),
        "{health}"
    );
    assert_eq!(ready(&stack).0, 200, "rows wait well");
}

#[test]
fn an_unavailable_gateway_opens_the_breaker_with_the_first_row() {
    let stack = Stack::without_gateway(&["ben"]);
    degraded(&stack, &["gateway_unreachable"]);
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "hello");
    let health = degraded(&stack, &["gateway_unreachable", "breaker_open"]);
    assert_eq!(
        (health["gateway"]["running"].clone(), &health["delivery"]["waiting"]),
        (json!(false), &json!(1))
    );
    assert!(health["delivery"]["oldestUnsettledSeconds"].is_number(), "{health}");
    assert_eq!(ready(&stack).0, 200);
    assert_eq!(figures(&stack).value("gateway_breaker_open", &[]), Some(1.0));
}

#[test]
fn a_refused_gateway_token_differs_from_an_unavailable_gateway() {
    let stack = Stack::set(&["ben"], polite, &[("OPENCLAW_GATEWAY_TOKEN", "not-the-gateways-token")]);
    degraded(&stack, &["gateway_refused_token"]);
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "hello");
    assert!(stack.gateway().posts() == 0, "nothing is sent");
}

#[test]
fn a_gateway_without_the_endpoint_is_named() {
    let stack = Stack::played(&["ben"], polite, |options| options.endpoint = false);
    degraded(&stack, &["gateway_endpoint_off"]);
}

#[test]
fn a_gateway_too_old_for_tools_is_reported_once_known() {
    let stack = Stack::played(&["ben"], polite, |options| options.release = Release::V2026_2_19);
    degraded(&stack, &["gateway_history_closed"]);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    let health = degraded(&stack, &["gateway_too_old", "gateway_history_closed"]);
    assert_eq!(health["gateway"]["dialect"], "nested");
    let why = "The gateway is too old for function tools.";
    assert_eq!(health["agentApi"], json!({"toolEndpointsOpen": true, "why": why, "tokens": true}));
    assert_eq!(figures(&stack).families["runtime_info"].samples[0].labels["gateway_dialect"], "nested");
}

#[test]
fn an_unavailable_backend_leaves_the_service_alive_and_not_ready() {
    let mut stack = Stack::new(&["ben"], polite);
    let nobody = format!("http://{}", Refusing::new().address());
    restart(&mut stack, &[("CONVEX_URL", &nobody)]);
    let health = stack.until("the reason", |health| has(health, "roster_stale"));
    assert!(has(&health, "backend_unreachable"), "{health}");
    assert_eq!(health["status"], "starting", "the start is retried: {health}");
    assert!(!has(&health, "report_failing"), "the report is not what is wrong: {health}");
    assert_eq!(health["backend"]["reachable"], json!(false));
    assert_eq!(ready(&stack), (503, "{\"ready\":false,\"missing\":[\"backend\"]}".to_owned()));
    assert_eq!(ask(stack.address(), "GET", "/livez", "*/*").status, 200);
    stack.until("lists that fail", |health| has(health, "delivery_failing"));
    let page = figures(&stack);
    assert!(page.value("runtime_operation_failure", &[("operation", "delivery.poll")]) >= Some(3.0));
    let calls = [("function", "listUndeliveredNotifications"), ("result", "transient")];
    assert!(page.value("backend_calls_total", &calls) >= Some(3.0));
}

/// With a reason and without one, as a production deployment answers.
#[test]
fn a_backend_that_refuses_all_differs_from_a_refused_token() {
    let mut stack = Stack::frank(&["ben"], polite);
    let foreign = format!("mc_service_{}_not-this-one", stack.board.account);
    restart(&mut stack, &[("SERVICE_TOKEN", &foreign)]);
    let health = stack.until("the reason", |health| has(health, "backend_refused_token"));
    assert_eq!(health["status"], "starting", "{health}");
    assert!(!has(&health, "backend_refuses_all"), "{health}");
    assert_eq!(ready(&stack).0, 503);

    let hidden = json!({"status": "error", "errorMessage": "[Request ID: 0123456789abcdef] Server Error"});
    let meddler = Meddler::between(&stack, move |_, _| Reply::json_of(&hidden));
    restart(&mut stack, &[("CONVEX_URL", &meddler.url())]);
    let health = stack.until("the reason", |health| has(health, "backend_refuses_all"));
    assert_eq!(health["status"], "starting", "{health}");
    assert!(!has(&health, "backend_refused_token"), "{health}");
    assert_eq!(
        (&health["backend"]["reachable"], &health["backend"]["accepted"]),
        (&json!(true), &json!(false))
    );
}

#[test]
fn a_refused_report_affects_nothing_else() {
    let mut stack = Stack::new(&["ben"], polite);
    let refused = json!({"status": "error", "errorMessage": "[Request ID: 0123456789abcdef] Server Error"});
    let meddler = Meddler::between(&stack, move |request, reply| {
        let reports = request.body().windows(19).any(|part| part == b"updateRuntimeStatus");
        if reports { Reply::json_of(&refused) } else { reply }
    });
    restart(&mut stack, &[("CONVEX_URL", &meddler.url())]);
    let health = degraded(&stack, &["report_failing"]);
    assert!(health["backend"]["lastReportError"].is_string(), "{health}");
    assert_eq!(ready(&stack).0, 200);
}

#[test]
fn a_clock_difference_is_reported() {
    let mut stack = Stack::new(&["ben"], polite);
    for (date, ahead) in [("Sun, 06 Nov 1994 08:49:37 GMT", false), ("Fri, 01 Jan 2100 00:00:00 GMT", true)] {
        let meddler = Meddler::between(&stack, move |_, reply| reply.with_header("Date", date));
        restart(&mut stack, &[("CONVEX_URL", &meddler.url())]);
        let health = degraded(&stack, &["clock_skew"]);
        assert_eq!(health["backend"]["clockAheadMs"].as_i64().unwrap() > 0, ahead, "{health}");
    }
}

#[test]
fn consecutive_failures_and_dead_letters_are_reported() {
    let slugs = ["one", "two", "three"];
    let refused = |_: &Prompt| Thought::fail(400, "no such model");
    let stack = Stack::set(&slugs, refused, &[("DELIVERY_MAX_ATTEMPTS", "1")]);
    for slug in slugs {
        let task = stack.task("assigned", &[slug]);
        stack.mention(&task, slug, "hello");
    }
    let health = stack.until("dead letters", |health| health["delivery"]["dead"] == 3);
    assert!(has(&health, "dead_letters"), "{health}");
    assert_eq!(
        has(&health, "delivery_failing"),
        health["delivery"]["consecutiveFailures"].as_u64() >= Some(3)
    );
    assert_eq!(figures(&stack).value("delivery_ended_total", &[("outcome", "dead")]), Some(3.0));
}

#[test]
fn without_a_ledger_the_service_works_and_reports_it() {
    let mut stack = Stack::new(&["ben"], polite);
    restart(&mut stack, &[("STATE_DIR", "/proc/there-is-no-room-here"), ("LEDGER", "off")]);
    degraded(&stack, &["ledger_off"]);
    assert_eq!(figures(&stack).value("ledger_up", &[]), Some(0.0));
}

/// Until the first answers, nothing is known.
#[test]
fn the_service_starts_before_it_judges_and_drains_before_it_ends() {
    let mut stack = Stack::new(&["ben"], |_: &Prompt| Thought::say("Soon.").after(Duration::from_secs(4)));
    let silent = ScriptedHttp::start([Move::StallAtOnce]);
    stack.kill();
    let mut mute = stack.another_with(&[("CONVEX_URL", &silent.url())]);
    let address = mute.address();
    let health: Value = serde_json::from_str(&ask(&address, "GET", "/health", "*/*").body).unwrap();
    assert_eq!(
        (&health["status"], &health["reasons"]),
        (&json!("starting"), &json!(["backend_pending"])),
        "{health}"
    );
    assert_eq!(ask(&address, "GET", "/readyz", "*/*").status, 503);
    assert_eq!(ask(&address, "GET", "/livez", "*/*").status, 200);
    mute.kill();

    stack.start();
    stack.until("a judgement", |health| health["status"] == "healthy");
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.begun();
    let program = stack.give();
    program.signal("TERM");
    let address = stack.address().to_owned();
    stack.take(program, address);
    stack.until("draining", |health| health["status"] == "draining");
    let (status, body) = ready(&stack);
    assert!(status == 503 && body.contains("draining"), "{status} {body}");
    assert_eq!(ask(stack.address(), "GET", "/livez", "*/*").status, 200);
    assert_eq!(figures(&stack).value("runtime_status", &[("status", "draining")]), Some(1.0));
}

/// The parts of a healthy service, with this change.
fn parts(change: impl FnOnce(&mut Parts)) -> Parts {
    let mut parts = Parts {
        gateway: GatewayHealth { configured: true, running: true, ..GatewayHealth::default() },
        delivery: DeliveryHealth { running: true, ..DeliveryHealth::default() },
        roster: RosterHealth { last_sync_at: Some(Millis(1)), ..RosterHealth::default() },
        workspaces: WorkspaceHealth::default(),
        keys: GatewayKeysHealth::default(),
        backend: BackendHealth {
            reachable: Some(true),
            accepted: Some(true),
            once_accepted: true,
            checked_at: Some(Millis(1)),
            ..BackendHealth::default()
        },
        ledger: LedgerHealth::default(),
        budget: None,
        budget_stalled: false,
        is_pending: false,
        disk: DiskHealth { free_bytes: Some(1 << 40) },
        panics: PanicHealth::default(),
    };
    change(&mut parts);
    parts
}

/// Every reason, from its parts.
#[test]
fn every_reason_follows_from_its_part() {
    let turn = |state| TurnHealth {
        notification_id: "n".to_owned(),
        agent: None,
        state,
        since: Millis(1),
        quiet_seconds: 1.0,
    };
    let spent = |reached| Report {
        scopes: vec![ScopeReport { reached, ..ScopeReport::default() }],
        ..Report::default()
    };
    let unpriced = |nano_dollars| {
        let limits = Limits { nano_dollars, ..Limits::default() };
        let scope = ScopeReport { unpriced_tokens: 1, limits, ..ScopeReport::default() };
        Report { scopes: vec![scope], ..Report::default() }
    };
    let rows: Vec<(Parts, &[&str])> = vec![
        (parts(|_| {}), &[]),
        (parts(|p| p.gateway.trouble = Some(HealthReason::GatewayUnreachable)), &["gateway_unreachable"]),
        (parts(|p| p.gateway.trouble = Some(HealthReason::GatewayRefusedToken)), &["gateway_refused_token"]),
        (parts(|p| p.gateway.trouble = Some(HealthReason::GatewayEndpointOff)), &["gateway_endpoint_off"]),
        (parts(|p| p.gateway.too_old = true), &["gateway_too_old"]),
        (parts(|p| p.gateway.missing_agents.count = 1), &["agents_missing"]),
        (parts(|p| p.gateway.blocked_agents.push("ben".to_owned())), &["agents_blocked"]),
        (parts(|p| p.gateway.history = Some(HistoryWay::Closed)), &["gateway_history_closed"]),
        (parts(|p| p.gateway.history = Some(HistoryWay::Socket)), &[]),
        (parts(|p| p.gateway.breaker_open = true), &["breaker_open"]),
        (
            // The limit opens the breaker, and it stays open however well the gateway is.
            parts(|p| {
                p.gateway.breaker_open = true;
                p.gateway.trouble = Some(HealthReason::TurnLimitReached);
            }),
            &["turn_limit_reached"],
        ),
        (parts(|p| p.backend.reachable = Some(false)), &["backend_unreachable"]),
        (
            parts(|p| (p.backend.accepted, p.backend.token_refused) = (Some(false), true)),
            &["backend_refused_token"],
        ),
        (parts(|p| p.backend.accepted = Some(false)), &["backend_refuses_all"]),
        (parts(|p| p.delivery.consecutive_failures = 2), &[]),
        (parts(|p| p.delivery.consecutive_failures = 3), &["delivery_failing"]),
        (parts(|p| p.delivery.list_failures = 3), &["delivery_failing"]),
        (parts(|p| p.delivery.dead = 1), &["dead_letters"]),
        (parts(|p| p.delivery.turns = vec![turn(TurnState::Quiet), turn(TurnState::Waiting)]), &[]),
        (
            parts(|p| p.delivery.turns = vec![turn(TurnState::Quiet), turn(TurnState::Stuck)]),
            &["stuck_turns"],
        ),
        (parts(|p| p.roster.stale = true), &["roster_stale"]),
        (parts(|p| p.roster.problem_count = 1), &["agents_unusable"]),
        (parts(|p| p.workspaces.error = Some("no".to_owned())), &["profiles_unwritable"]),
        (
            parts(|p| {
                p.gateway.child =
                    Some(ChildHealth { reason: Some("no".to_owned()), ..ChildHealth::default() });
            }),
            &["gateway_process_failing"],
        ),
        (parts(|p| p.gateway.child = Some(ChildHealth::default())), &[]),
        (parts(|p| p.keys.needs_attention = true), &["keys_not_synced"]),
        (parts(|p| p.keys.last_error = Some("Mission Control is away".to_owned())), &[]),
        (parts(|p| p.workspaces.rejected = vec![("..".to_owned(), "no".to_owned())]), &[]),
        (parts(|p| p.backend.last_report_error = Some("no".to_owned())), &["report_failing"]),
        (parts(|p| p.budget = Some(spent(false))), &[]),
        (parts(|p| p.budget = Some(spent(true))), &["budget_reached"]),
        (parts(|p| p.budget = Some(unpriced(None))), &[]),
        (parts(|p| p.budget = Some(unpriced(Some(1)))), &["budget_uncounted"]),
        (parts(|p| p.budget_stalled = true), &["budget_stalled"]),
        (parts(|p| p.is_pending = true), &["backend_pending"]),
        (parts(|p| p.ledger.off = Some("no".to_owned())), &["ledger_off"]),
        (parts(|p| p.disk.free_bytes = Some(100 << 20)), &[]),
        (parts(|p| p.disk.free_bytes = Some((100 << 20) - 1)), &["disk_low"]),
        (parts(|p| p.disk.free_bytes = None), &[]),
        (parts(|p| p.backend.clock_ahead_ms = Some(-30_000)), &[]),
        (parts(|p| p.backend.clock_ahead_ms = Some(-30_001)), &["clock_skew"]),
        (parts(|p| p.backend.clock_ahead_ms = Some(30_001)), &["clock_skew"]),
        (parts(|p| p.delivery.foreign_instance = Some("k1".to_owned())), &["foreign_instance"]),
        (parts(|p| p.panics.recent = true), &["thread_panicked"]),
    ];
    for (number, (parts, expected)) in rows.into_iter().enumerate() {
        assert_eq!(words(&parts), expected, "row {number}");
        assert!(!parts.is_starting(START_PATIENCE) && parts.missing().is_empty());
    }
    assert!(
        Parts::default().is_starting(START_PATIENCE) && Parts::default().reasons().is_empty(),
        "nothing is known yet"
    );
    assert_eq!(Parts::default().missing(), ["backend", "delivery"]);
    let moved = parts(|p| p.ledger.displaced = Some("no".to_owned()));
    assert_eq!((words(&moved), moved.missing()), (vec!["state_dir_moved"], vec!["ledger"]));
    assert_eq!(parts(|p| p.ledger.holds = true).missing(), ["ledger"], "what is begun could not be noted");
}

/// Until Mission Control has accepted a call and returned the roster, the service is starting, but not for ever.
#[test]
fn a_start_ends_with_the_roster_or_after_two_minutes() {
    let delivery = DeliveryHealth { running: true, ..DeliveryHealth::default() };
    let backend = |once_accepted| BackendHealth {
        checked_at: Some(Millis(1)),
        once_accepted,
        ..BackendHealth::default()
    };
    let fetched = RosterHealth { last_sync_at: Some(Millis(1)), ..RosterHealth::default() };
    let failed = RosterHealth { last_error: Some("away".to_owned()), ..RosterHealth::default() };
    let rows = [
        (backend(true), fetched.clone(), false, false),
        (backend(true), failed.clone(), true, false),
        (backend(false), failed, true, false),
        (backend(true), RosterHealth::default(), true, true),
        (BackendHealth::default(), fetched, true, true),
    ];
    for (number, (backend, roster, at_first, later)) in rows.into_iter().enumerate() {
        let parts = Parts { delivery: delivery.clone(), backend, roster, ..Parts::default() };
        let after = |up: Duration| parts.is_starting(up);
        assert_eq!((after(Duration::ZERO), after(START_PATIENCE)), (at_first, later), "row {number}");
    }
}
