//! The service's own reports, compared with its behaviour.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{Fault, Prompt, Thought};
use mission_control_runtime::http::message::Reply;
use serde_json::{Value, json};

use super::polite;
use super::processes::Stack;
use super::status_endpoints::{Meddler, restart};

/// Two variables of the TypeScript runtime are shown as they are set, with the remark that they have no
/// effect.
#[test]
fn health_shows_settings_and_marks_those_without_effect() {
    let more = [("DELIVERY_STREAM_TIMEOUT_MS", "45000"), ("DELIVERY_CONTEXT_FETCH_BATCH_SIZE", "7")];
    let stack = Stack::set(&["ben"], polite, &more);
    let config = &stack.health()["delivery"]["config"];
    assert_eq!((&config["streamTimeoutMs"], &config["contextFetchBatchSize"]), (&json!(45_000), &json!(7)));
    assert_eq!(config["withoutEffect"], json!(["streamTimeoutMs", "contextFetchBatchSize"]), "{config}");
}

/// runtime-behaviour D-12: a cycle without work counts as completed too.
#[test]
fn last_delivery_moves_with_each_completed_cycle() {
    let stack = Stack::new(&["ben"], polite);
    let at = |health: &Value| health["delivery"]["lastDelivery"].as_i64();
    let first = stack.until("a cycle", |health| at(health).is_some());
    stack.until("another", |health| {
        health["delivery"]["lists"].as_u64() > first["delivery"]["lists"].as_u64() && at(health) > at(&first)
    });
    assert_eq!(stack.health()["delivery"]["delivered"], 0);
}

#[test]
fn status_shows_since_when_its_totals_count() {
    let stack = Stack::new(&["ben"], polite);
    let (_, status) = stack.command(["status"]);
    assert!(status.contains("0 not settled, 0 at work; since start: none ended\n"), "{status}");
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.answer_of("ben", &task);
    stack.settled();
    stack.until("the total", |health| health["delivery"]["ended"]["answered"] == 1);
    let (_, status) = stack.command(["status"]);
    assert!(status.contains("; since start: 1 answered\n"), "{status}");
}

#[test]
fn resume_reports_how_many_pauses_ended() {
    let mut stack = Stack::new(&["ben", "ada"], polite);
    let resume = |stack: &Stack| stack.command(["resume"]).1;
    assert_eq!(resume(&stack), "No pause to end. Nothing is paused.\n");
    stack.command(["pause", "--agent", "ben"]);
    stack.command(["pause", "--agent", "ada"]);
    stack.command(["pause"]);
    let (_, output) = stack.command(["resume", "--agent", "ben"]);
    assert!(output.starts_with("1 pause ended. Everything is paused (and ada by itself)"), "{output}");
    assert_eq!(resume(&stack), "2 pauses ended. Nothing is paused.\n");
    stack.command(["pause", "--agent", "ben"]);
    stack.stop();
    let (_, output) = stack.command(["resume"]);
    assert!(
        output.starts_with("1 pause ended. Nothing is paused.\nNo service runs on STATE_DIR"),
        "{output}"
    );
}

#[test]
fn singular_counts_have_singular_nouns() {
    let stack = Stack::set(&["ben"], |_: &Prompt| Thought::nothing(), &[("DELIVERY_MAX_ATTEMPTS", "1")]);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    let note = stack.answer_of("ben", &task);
    assert!(note.starts_with("*(Automatic note: asked once, the agent said nothing"), "{note}");
    stack.settled();
    stack.faults().next(Fault::Failed("invalid_request_error", "no such model"));
    let other = stack.task("in_progress", &["ben"]);
    stack.mention(&other, "ben", "hello");
    stack.until("the end", |health| health["delivery"]["dead"] == 1);
    let (_, list) = stack.command(["dead", "list"]);
    assert!(list.contains("Given up after 1 attempt: "), "{list}");
}

/// The log of a repeated turn has the reason of the first attempt and the pause before the second.
#[test]
fn a_repeated_turn_is_logged_with_its_reason_and_pause() {
    let mut stack = Stack::new(&["ben"], polite);
    stack.faults().next(Fault::HangUp);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.answer_of("ben", &task);
    stack.settled();
    let log = stack.stop();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("is not in the session")).collect();
    assert!(!lines.is_empty(), "{log}");
    let has_pause = |line: &&str| line.ends_with("is not in the session\" pause_ms=0");
    assert!(lines.iter().all(has_pause), "{lines:?}");
}

/// An unavailable gateway is one fact: `status` reports it once, and so does the log.
#[test]
fn an_unavailable_gateway_is_reported_once() {
    const FACT: &str = "the gateway is unreachable at its address";
    let mut stack = Stack::without_gateway(&["ben"]);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.until("the breaker", |health| {
        health["gateway"]["breakerOpen"] == true && health["gateway"]["lastSendError"].is_string()
    });
    let (_, status) = stack.command(["status"]);
    assert_eq!(status.matches(FACT).count(), 1, "{status}");
    assert!(status.contains("gateway_unreachable, breaker_open: "), "{status}");
    let lines = status.lines().filter(|line| line.contains("gateway") || line.contains("breaker"));
    assert_eq!(lines.count(), 2, "what follows from it, and why: {status}");
    let log = stack.stop();
    assert_eq!(log.matches(FACT).count(), 2, "at the start, and when the first row waits: {log}");
}

/// A proxy that redirects for some seconds is not a wrong address: the pause grows from the first one on.
#[test]
fn a_passing_redirect_of_the_backend_is_soon_retried() {
    let mut stack = Stack::new(&["ben"], polite);
    let (away, met) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let (redirects, meets) = (away.clone(), met.clone());
    let meddler = Meddler::between(&stack, move |request, reply| {
        if !redirects.load(Ordering::SeqCst) {
            return reply;
        }
        if String::from_utf8_lossy(request.body()).contains("listUndeliveredNotifications") {
            meets.store(true, Ordering::SeqCst);
        }
        Reply::empty(302).with_header("Location", "https://login.example.com/")
    });
    restart(&mut stack, &[("CONVEX_URL", &meddler.url()), ("DELIVERY_BACKOFF_BASE_MS", "1000")]);
    stack.until("lists", |health| health["delivery"]["lists"].as_u64() >= Some(1));
    away.store(true, Ordering::SeqCst);
    stack.until("a redirect", |_| met.load(Ordering::SeqCst));
    let cycle = stack.health()["delivery"]["lastDelivery"].clone();
    away.store(false, Ordering::SeqCst);
    let began = Instant::now();
    let task = stack.task("in_progress", &["ben"]);
    stack.board.person_says(&task, "@ben, hello");
    stack.until("a list", |health| {
        health["delivery"]["listFailures"] == 0 && health["delivery"]["lastDelivery"] != cycle
    });
    assert_eq!(stack.answer_of("ben", &task), "ben answers.");
    // After an answer that only a person can change, the pause is a minute.
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
}

/// Every line about a delivery has the agent, the task and the notification as fields. The last line also has the
/// attempt, its duration and the outcome.
#[test]
fn log_lines_of_a_delivery_have_its_ids_and_outcome_as_fields() {
    let mind = |prompt: &Prompt| {
        let has_results = prompt.outputs().next().is_some();
        if has_results { polite(prompt) } else { Thought::call("get_agent_skills", &json!({})) }
    };
    let mut stack = Stack::set(&["ben"], mind, &[("LOG_FORMAT", "json")]);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.answer_of("ben", &task);
    stack.settled();
    let rows = stack.board.rows("notifications");
    let row = rows.iter().find(|row| row["type"] == "mention").expect("the mention")["_id"].clone();
    let log = stack.stop();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for (message, outcome) in [("Tool called", "ok"), ("Delivery ended", "answered")] {
        let found: Vec<&Value> = lines.iter().filter(|line| line["message"] == message).collect();
        let [line] = found[..] else { panic!("{message}: {log}") };
        assert_eq!((&line["agent"], &line["task"]), (&json!("ben"), &json!(task)), "{line}");
        assert_eq!((&line["notification"], &line["attempt"]), (&row, &json!(1)), "{line}");
        assert_eq!(line["outcome"], outcome, "{line}");
        assert!(line["duration_ms"].is_u64(), "{line}");
    }
    let tool = lines.iter().find_map(|line| line["tool"].as_str());
    assert_eq!(tool, Some("get_agent_skills"), "{log}");
}
