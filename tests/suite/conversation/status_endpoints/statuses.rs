//! The runtime's reports to the backend, status by status, and the backend's announcements to people.

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::super::processes::Stack;
use super::{Meddler, figures, start};

fn polite(_: &Prompt) -> Thought {
    Thought::say("Here I am.")
}

/// Every change of the account's status, in the backend's order.
fn statuses(stack: &Stack) -> Vec<String> {
    let rows = stack.board.rows("activities").into_iter();
    let changes = rows.filter(|row| row["type"] == "runtime_status_changed");
    changes.map(|row| row["meta"]["newStatus"].as_str().unwrap().to_owned()).collect()
}

/// The announcements to the account's members.
fn announced(stack: &Stack) -> Vec<String> {
    let told = stack.board.notifications_of("user_dana").into_iter();
    told.filter_map(|line| Some(line.strip_prefix("status_change: Runtime is ")?.to_owned())).collect()
}

/// Stops a runtime whose first report the backend has accepted: an earlier stop has nothing to withdraw.
fn stop_reported(stack: &mut Stack) {
    stack.until("a report", |health| health["backend"]["lastReportAt"].is_i64());
    stack.stop();
}

fn reports(stack: &Stack) -> Value {
    stack.account()["runtimeConfig"]["lastHealthCheck"].clone()
}

#[test]
fn a_gateway_started_late_does_not_suppress_the_announcement() {
    let mut stack = Stack::new(&["ben"], polite);
    stop_reported(&mut stack);
    assert_eq!(statuses(&stack), ["online", "offline"]);
    let address = stack.stop_gateway();
    stack.start();
    stack.until("a verdict on the gateway", |health| {
        health["reasons"] == json!(["gateway_unreachable"]) && health["backend"]["lastReportAt"].is_i64()
    });
    stack.start_gateway(&address);
    stack.until_account("online", |account| account["runtimeStatus"] == "online");
    stack.stop();
    let seen = statuses(&stack);
    assert_eq!(seen, ["online", "offline", "provisioning", "online", "offline"]);
    assert_eq!(announced(&stack), ["online", "offline", "online", "offline"]);
}

#[test]
fn a_dead_letter_is_a_reason_in_health_and_leaves_the_account_online() {
    let refused = |_: &Prompt| Thought::fail(400, "no such model");
    let more = [("DELIVERY_MAX_ATTEMPTS", "1"), ("HEALTH_CHECK_INTERVAL", "5000")];
    let mut stack = Stack::set(&["ben"], refused, &more);
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.until("a dead letter", |health| health["reasons"] == json!(["dead_letters"]));
    let before = reports(&stack);
    stack.until_account("the next report", |account| account["runtimeConfig"]["lastHealthCheck"] != before);
    assert_eq!(statuses(&stack), ["online"]);
    // The dead letter is still there after a restart.
    stack.kill_and_start();
    let before = reports(&stack);
    stack.until("the dead letter of before", |health| health["reasons"] == json!(["dead_letters"]));
    stack.until_account("two reports", |account| {
        let at = account["runtimeConfig"]["lastHealthCheck"].as_f64();
        at.zip(before.as_f64()).is_some_and(|(at, before)| at - before > 5_000.0)
    });
    assert_eq!(statuses(&stack), ["online"]);
}

/// A lasting condition (here the clock) must not suppress the announcement either; the next report names it.
#[test]
fn the_first_report_is_online_and_the_next_names_the_condition() {
    let mut stack = Stack::new(&["ben"], polite);
    stop_reported(&mut stack);
    let skewed =
        Meddler::between(&stack, |_, reply| reply.with_header("Date", "Fri, 01 Jan 2100 00:00:00 GMT"));
    start(&mut stack, &[("CONVEX_URL", &skewed.url()), ("HEALTH_CHECK_INTERVAL", "5000")]);
    stack.until("the reason", |health| health["reasons"] == json!(["clock_skew"]));
    stack.until_account("degraded", |account| account["runtimeStatus"] == "degraded");
    assert_eq!(statuses(&stack), ["online", "offline", "online", "degraded"]);
    assert_eq!(announced(&stack), ["online", "offline", "online"]);
}

fn agent(stack: &Stack, slug: &str) -> Value {
    stack.board.row("agents", stack.agent(slug))
}

/// How often the backend got a sign of life of an agent.
fn beats(stack: &Stack) -> f64 {
    let calls = |result| {
        let labels = [("function", "updateAgentHeartbeat"), ("result", result)];
        figures(stack).value("backend_calls_total", &labels).unwrap_or_default()
    };
    calls("ok") + calls("refused") + calls("transient")
}

/// The board shows an agent that answers as online, at the cost of one call for many answers.
#[test]
fn an_agent_that_answers_is_shown_as_online_and_others_are_unchanged() {
    let stack = Stack::set(&["ben", "ada"], polite, &[("HEALTH_CHECK_INTERVAL", "5000")]);
    stack.until("a report", |health| health["backend"]["lastReportAt"].is_i64());
    for slug in ["ben", "ada"] {
        stack.board.edit("agents", stack.agent(slug), json!({"status": "offline"}));
    }
    let task = stack.task("in_progress", &["ben"]);
    for number in 1..=5 {
        stack.mention(&task, "ben", "hello");
        stack.until("the answer", |_| stack.said_by("ben", &task).len() == number);
        if number == 1 {
            // No report of the runtime is needed for it.
            stack.until("the status", |_| agent(&stack, "ben")["status"] == "online");
        }
    }
    stack.settled();
    assert!(agent(&stack, "ben")["lastHeartbeat"].is_number(), "{}", agent(&stack, "ben"));
    let before = reports(&stack);
    stack.until_account("the next report", |account| account["runtimeConfig"]["lastHealthCheck"] != before);
    assert!((beats(&stack) - 1.0).abs() < 0.1, "{} calls for five answers", beats(&stack));
    assert_eq!(agent(&stack, "ada")["status"], "offline");
    let changes =
        stack.board.rows("activities").into_iter().filter(|row| row["type"] == "agent_status_changed");
    assert_eq!(changes.count(), 1);
}
