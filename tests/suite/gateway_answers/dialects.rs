//! Both dialects, how they are learnt, and the probe (spec §2, §9, §11.9).

use std::time::{Duration, Instant};

use mission_control_runtime::gateway::client::GatewayLimits;
use mission_control_runtime::gateway::dialect::{Release, ToolShape};
use mission_control_runtime::gateway::{Class, Why};
use mission_control_runtime::wire::Stop;
use serde_json::{Value, json};

use super::{EARLY, PATIENT, ask, client, endpoint_with, said};
use crate::support::scripted_http::{Move, Refusing, ScriptedHttp, Seen, answer, answer_with};

fn wants(key: &str) -> Move {
    let message = format!("tools.0.{key}: Invalid input: expected something, received undefined");
    Move::Send(answer(
        400,
        &json!({"error": {"message": message, "type": "invalid_request_error"}}).to_string(),
    ))
}

fn shape(seen: &Seen) -> ToolShape {
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    let tool = &body["tools"][0];
    if tool["function"].is_object() { ToolShape::Nested } else { ToolShape::Flat }
}

const FLAT: ToolShape = ToolShape::Flat;
const NESTED: ToolShape = ToolShape::Nested;

#[test]
fn the_other_tool_shape_is_tried_once_and_remembered() {
    let server = ScriptedHttp::start([wants("function"), Move::Send(said("hi"))]);
    let endpoint = endpoint_with(&server.url(), GatewayLimits::new(PATIENT));
    let gateway = endpoint.client(&Stop::new());
    assert!(!endpoint.dialect().too_old_for_tools());
    ask(&gateway).0.unwrap();
    ask(&gateway).0.unwrap();
    // The client of another thread knows it too.
    ask(&endpoint.client(&Stop::new())).0.unwrap();
    let shapes: Vec<ToolShape> = server.seen().iter().map(shape).collect();
    assert_eq!(shapes, [FLAT, NESTED, NESTED, NESTED]);
    assert!(endpoint.dialect().too_old_for_tools());
}

/// Measured on 2026.2.19: the connection is lost before the first event.
#[test]
fn a_lost_answer_shows_the_accepted_tool_shape() {
    let lost = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 900\r\n\r\n".to_vec();
    let server = ScriptedHttp::start([wants("function"), Move::Send(lost), Move::Send(said("hi"))]);
    let endpoint = endpoint_with(&server.url(), GatewayLimits::new(PATIENT));
    let gateway = endpoint.client(&Stop::new());
    assert_eq!(ask(&gateway).0.unwrap_err().class, Class::Lost);
    assert!(endpoint.dialect().too_old_for_tools());
    ask(&gateway).0.unwrap();
    let shapes: Vec<ToolShape> = server.seen().iter().map(shape).collect();
    assert_eq!(shapes, [FLAT, NESTED, NESTED]);
}

#[test]
fn an_upgraded_gateway_gets_the_new_tool_shape() {
    let moves = [wants("function"), Move::Send(said("hi")), wants("name"), Move::Send(said("hi"))];
    let server = ScriptedHttp::start(moves);
    let gateway = client(&server.url());
    for _ in 0..3 {
        ask(&gateway).0.unwrap();
    }
    let shapes: Vec<ToolShape> = server.seen().iter().map(shape).collect();
    assert_eq!(shapes, [FLAT, NESTED, NESTED, FLAT, FLAT]);
}

#[test]
fn a_gateway_that_refuses_both_shapes_gets_two_requests_at_most() {
    for (first, second) in [("function", "name"), ("function", "function")] {
        let server = ScriptedHttp::start([wants(first), wants(second)]);
        let error = ask(&client(&server.url())).0.unwrap_err();
        assert_eq!((error.class, error.why), (Class::Refused, Why::ToolsRefused), "{error:?}");
        assert_eq!(server.seen().len(), 2);
    }
    // A fault in the shape that we sent is our own.
    let server = ScriptedHttp::start([wants("name")]);
    assert_eq!(ask(&client(&server.url())).0.unwrap_err().why, Why::ToolsRefused);
    assert_eq!(server.seen().len(), 1);
}

const STARTED: &str = r#"{"ok":true,"status":"started","version":"2026.9.6","uptimeMs":12}"#;
const READY: &str = r#"{"ready":true,"failing":[],"uptimeMs":12}"#;

fn page(title: &str) -> Move {
    let body = format!("<!doctype html><title>{title}</title>");
    Move::Send(answer_with(200, "Content-Type: text/html\r\n", body.as_bytes()))
}

#[test]
fn a_probe_trusts_the_json_rather_than_the_status() {
    let json = |status, body: &str| Move::Send(answer(status, body));
    let starting = r#"{"ready":false,"failing":["startup-sidecars"]}"#;
    let draining = r#"{"ready":false,"failing":["gateway-draining"]}"#;
    let live = r#"{"ok":true,"status":"live"}"#;
    let text = |status| Move::Send(answer_with(status, "Content-Type: text/plain\r\n", b"Not Found"));
    let rows = [
        ("§2 ready", vec![json(200, STARTED), json(200, READY), json(200, "{}")], true, None, true),
        (
            "§2 our token is refused",
            vec![json(200, STARTED), json(200, READY), json(401, r#"{"error":{"type":"unauthorized"}}"#)],
            false,
            Some(Why::TokenRefused),
            true,
        ),
        (
            "§8 the endpoint is off",
            vec![json(200, STARTED), json(200, READY), text(404)],
            false,
            Some(Why::EndpointOff),
            true,
        ),
        ("§2 starting", vec![json(503, STARTED), json(503, starting)], false, Some(Why::Draining), true),
        ("§2 draining", vec![json(200, STARTED), json(503, draining)], false, Some(Why::Draining), true),
        ("§11.9 2026.3.13", vec![text(404), json(200, READY)], true, None, false),
        ("§11.9 only health", vec![text(404), text(404), json(200, live)], true, None, false),
        ("§11.9 2026.2.19", vec![page("OpenClaw Control")], true, None, false),
        ("somebody else", vec![page("nginx")], false, Some(Why::NotAGateway), false),
        ("nobody's JSON", vec![json(200, r#"{"hello":1}"#)], false, Some(Why::NotAGateway), false),
    ];
    for (name, moves, ready, why, has_version) in rows {
        let server = ScriptedHttp::start(moves);
        let probe = client(&server.url()).probe();
        assert_eq!((probe.reachable, probe.ready, probe.why), (true, ready, why), "{name}: {probe:?}");
        let release = has_version.then_some(Release { year: 2026, month: 9, number: 6 });
        assert_eq!((probe.dialect.release, probe.version.is_some()), (release, has_version), "{name}");
        assert_eq!(server.connections(), 1, "{name}");
        // Our token is sent only to a gateway that has identified itself.
        for seen in server.seen() {
            let shown = seen.head.to_lowercase().contains("authorization");
            assert_eq!(shown, seen.head.starts_with("GET /v1/models "), "{name}: {}", seen.head);
        }
    }
    let refusing = Refusing::new();
    let probe = client(&format!("http://{}", refusing.address())).probe();
    assert_eq!((probe.reachable, probe.ready, probe.why), (false, false, Some(Why::Unreachable)));
}

#[test]
fn a_probe_has_a_short_timeout() {
    for bad in
        [Move::StallAtOnce, Move::SendAndStall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec())]
    {
        let server = ScriptedHttp::start([bad]);
        let limits = GatewayLimits { probe: Duration::from_millis(200), ..GatewayLimits::new(PATIENT) };
        let begun = Instant::now();
        let probe = endpoint_with(&server.url(), limits).client(&Stop::new()).probe();
        assert_eq!((probe.reachable, probe.why), (false, Some(Why::Unreachable)));
        assert!(begun.elapsed() < EARLY, "{:?}", begun.elapsed());
    }
}

#[test]
fn the_version_determines_the_tool_shape() {
    for (version, tools) in [("2026.2.19", NESTED), ("2026.3.31", FLAT)] {
        let started = STARTED.replace("2026.9.6", version);
        let moves =
            [answer(200, &started), answer(200, READY), answer(200, "{}"), said("hi")].map(Move::Send);
        let server = ScriptedHttp::start(moves);
        let gateway = client(&server.url());
        assert_eq!(gateway.probe().dialect.too_old_for_tools(), tools == NESTED);
        ask(&gateway).0.unwrap();
        assert_eq!(shape(&server.seen()[3]), tools, "{version}");
    }
}
