//! Every obstacle at the start: the service answers first, retries the rest, and a stop signal ends it in time.

use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::processes::Stack;
use crate::support::program::{Running, get};
use crate::support::scripted_http::{Move, Refusing, ScriptedHttp};
use crate::support::wait;

/// The bound for the time from the signal to the exit, without running turns. What is silent here stays silent. The
/// promise is ten seconds on a machine without other load.
const STOPS_WITHIN: Duration = Duration::from_mins(1);

fn polite(_: &Prompt) -> Thought {
    Thought::say("Here I am.")
}

/// `/health` of a program that is not the stack's own.
fn health_of(address: &str) -> Value {
    serde_json::from_str(&get(address, "/health").1).unwrap()
}

/// The stop signal ends the program in time and in order.
fn stops(program: Running, obstacle: &str) {
    let began = Instant::now();
    program.signal("TERM");
    let (code, log) = program.end();
    assert_eq!(code, Some(0), "{obstacle}: {log}");
    assert!(began.elapsed() < STOPS_WITHIN, "{obstacle}: {:?}: {log}", began.elapsed());
}

/// The service is `starting` and not ready, with the reason as soon as it is known, and a stop signal works.
#[test]
fn a_service_whose_backend_has_an_obstacle_answers_and_stops_in_time() {
    let mut stack = Stack::frank(&["ben"], polite);
    stack.kill();
    let silent = ScriptedHttp::start([Move::StallAtOnce]);
    let foreign = format!("mc_service_{}_not-this-one", stack.board.account);
    let away = format!("http://{}", Refusing::new().address());
    let rows: [(&str, (&str, &str), Option<&str>); 3] = [
        ("away", ("CONVEX_URL", &away), Some("backend_unreachable")),
        ("slow", ("CONVEX_URL", &silent.url()), None),
        ("refusing", ("SERVICE_TOKEN", &foreign), Some("backend_refused_token")),
    ];
    for (obstacle, variable, reason) in rows {
        let mut program = stack.another_with(&[variable]);
        let address = program.address();
        assert_eq!(get(&address, "/livez").0, 200, "{obstacle}");
        assert_eq!(get(&address, "/readyz").0, 503, "{obstacle}");
        if let Some(reason) = reason {
            let named = || health_of(&address)["reasons"].as_array().unwrap().contains(&json!(reason));
            wait::until("the reason", named);
        }
        let health = health_of(&address);
        assert_eq!(health["status"], "starting", "{obstacle}: {health}");
        stops(program, obstacle);
    }
}

/// The backend comes later: the start goes on by itself.
#[test]
fn a_backend_that_comes_later_ends_the_start() {
    let mut stack = Stack::new(&["ben"], polite);
    stack.kill();
    let task = stack.task("in_progress", &["ben"]);
    let url = stack.board.url();
    stack.board.stop_serving();
    let mut program = stack.another_with(&[]);
    let address = program.address();
    let away = || health_of(&address)["reasons"] == json!(["backend_unreachable", "roster_stale"]);
    wait::until("the reason", away);
    assert_eq!(health_of(&address)["status"], "starting");
    stack.board.serve(url.trim_start_matches("http://"));
    stack.take(program, address);
    stack.until("a judgement", |health| health["status"] == "healthy");
    stack.mention(&task, "ben", "hello");
    assert_eq!(stack.answer_of("ben", &task), "Here I am.");
}

/// Without a gateway the service delivers nothing and stops in time.
#[test]
fn a_service_without_its_gateway_stops_in_time() {
    let mut stack = Stack::new(&["ben"], polite);
    stack.kill();
    let silent = ScriptedHttp::start([Move::StallAtOnce]);
    for url in [format!("http://{}", Refusing::new().address()), silent.url()] {
        let mut program = stack.another_with(&[("OPENCLAW_GATEWAY_URL", &url)]);
        let address = program.address();
        assert_eq!(get(&address, "/livez").0, 200, "{url}");
        stops(program, &url);
    }
}

/// The start line names everything but secrets.
#[test]
fn the_start_line_names_account_backend_gateway_and_versions() {
    let mut stack = Stack::new(&["ben"], polite);
    stack.kill();
    let mut program = stack.another_with(&[("OPENCLAW_VERSION", "2026.9.6")]);
    let line = program.wait_for_log("The service starts");
    let expected = [
        format!("account={}", stack.board.account),
        format!("backend={}", stack.board.url()),
        format!("gateway={}", stack.variable("OPENCLAW_GATEWAY_URL")),
        "gateway_token=yes".to_owned(),
        format!("runtime_version={}", env!("CARGO_PKG_VERSION")),
        "openclaw_version=2026.9.6".to_owned(),
    ];
    for words in &expected {
        assert!(line.replace('"', "").contains(words), "{words}: {line}");
    }
    assert!(!line.contains("dialect"), "the gateway has not reported it yet: {line}");
    for secret in [&stack.board.token, &stack.variable("OPENCLAW_GATEWAY_TOKEN")] {
        assert!(!line.contains(secret.as_str()), "{line}");
    }
    let release = program.wait_for_log("The gateway has reported its release");
    assert!(release.contains("2026.9.6") && release.contains("dialect"), "{release}");
    stops(program, "none");
}
