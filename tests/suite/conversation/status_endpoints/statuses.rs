//! The runtime's reports to the backend, status by status, and the backend's announcements to people.

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::super::processes::House;
use super::{Meddler, figures, start};

fn polite(_: &Prompt) -> Thought {
    Thought::say("Here I am.")
}

/// Every change of the account's status, in the backend's order.
fn statuses(house: &House) -> Vec<String> {
    let rows = house.board.rows("activities").into_iter();
    let changes = rows.filter(|row| row["type"] == "runtime_status_changed");
    changes.map(|row| row["meta"]["newStatus"].as_str().unwrap().to_owned()).collect()
}

/// The announcements to the account's members.
fn announced(house: &House) -> Vec<String> {
    let told = house.board.told("user_dana").into_iter();
    told.filter_map(|line| Some(line.strip_prefix("status_change: Runtime is ")?.to_owned())).collect()
}

/// Stops a runtime whose first report the backend has accepted: an earlier stop has nothing to withdraw.
fn stop_reported(house: &mut House) {
    house.until("a report", |health| health["backend"]["lastReportAt"].is_i64());
    house.stop();
}

fn reports(house: &House) -> Value {
    house.account()["runtimeConfig"]["lastHealthCheck"].clone()
}

#[test]
fn a_gateway_started_late_does_not_suppress_the_announcement() {
    let mut house = House::new(&["ben"], polite);
    stop_reported(&mut house);
    assert_eq!(statuses(&house), ["online", "offline"]);
    let address = house.stop_gateway();
    house.start();
    house.until("a verdict on the gateway", |health| {
        health["reasons"] == json!(["gateway_unreachable"]) && health["backend"]["lastReportAt"].is_i64()
    });
    house.start_gateway(&address);
    house.until_account("online", |account| account["runtimeStatus"] == "online");
    house.stop();
    let seen = statuses(&house);
    assert_eq!(seen, ["online", "offline", "provisioning", "online", "offline"]);
    assert_eq!(announced(&house), ["online", "offline", "online", "offline"]);
}

#[test]
fn a_dead_letter_is_a_reason_in_health_and_leaves_the_account_online() {
    let refused = |_: &Prompt| Thought::fail(400, "no such model");
    let more = [("DELIVERY_MAX_ATTEMPTS", "1"), ("HEALTH_CHECK_INTERVAL", "5000")];
    let mut house = House::set(&["ben"], refused, &more);
    let task = house.task("assigned", &["ben"]);
    house.mention(&task, "ben", "hello");
    house.until("a dead letter", |health| health["reasons"] == json!(["dead_letters"]));
    let before = reports(&house);
    house.until_account("the next report", |account| account["runtimeConfig"]["lastHealthCheck"] != before);
    assert_eq!(statuses(&house), ["online"]);
    // The dead letter is still there after a restart.
    house.kill_and_start();
    let before = reports(&house);
    house.until("the dead letter of before", |health| health["reasons"] == json!(["dead_letters"]));
    house.until_account("two reports", |account| {
        let at = account["runtimeConfig"]["lastHealthCheck"].as_f64();
        at.zip(before.as_f64()).is_some_and(|(at, before)| at - before > 5_000.0)
    });
    assert_eq!(statuses(&house), ["online"]);
}

/// A lasting condition (here the clock) must not suppress the announcement either; the next report names it.
#[test]
fn the_first_report_is_online_and_the_next_names_the_condition() {
    let mut house = House::new(&["ben"], polite);
    stop_reported(&mut house);
    let skewed =
        Meddler::between(&house, |_, reply| reply.with_header("Date", "Fri, 01 Jan 2100 00:00:00 GMT"));
    start(&mut house, &[("CONVEX_URL", &skewed.url()), ("HEALTH_CHECK_INTERVAL", "5000")]);
    house.until("the reason", |health| health["reasons"] == json!(["clock_skew"]));
    house.until_account("degraded", |account| account["runtimeStatus"] == "degraded");
    assert_eq!(statuses(&house), ["online", "offline", "online", "degraded"]);
    assert_eq!(announced(&house), ["online", "offline", "online"]);
}

fn agent(house: &House, slug: &str) -> Value {
    house.board.row("agents", house.agent(slug))
}

/// How often the backend got a sign of life of an agent.
fn beats(house: &House) -> f64 {
    let calls = |result| {
        let labels = [("function", "updateAgentHeartbeat"), ("result", result)];
        figures(house).value("backend_calls_total", &labels).unwrap_or_default()
    };
    calls("ok") + calls("refused") + calls("transient")
}

/// The board shows an agent that answers as online, at the cost of one call for many answers.
#[test]
fn an_agent_that_answers_is_shown_as_online_and_others_are_unchanged() {
    let house = House::set(&["ben", "ada"], polite, &[("HEALTH_CHECK_INTERVAL", "5000")]);
    for slug in ["ben", "ada"] {
        house.board.edit("agents", house.agent(slug), json!({"status": "offline"}));
    }
    let task = house.task("in_progress", &["ben"]);
    for number in 1..=5 {
        house.mention(&task, "ben", "hello");
        house.until("the answer", |_| house.said_by("ben", &task).len() == number);
    }
    house.settled();
    house.until("the status", |_| agent(&house, "ben")["status"] == "online");
    assert!(agent(&house, "ben")["lastHeartbeat"].is_number(), "{}", agent(&house, "ben"));
    let before = reports(&house);
    house.until_account("two more reports", |account| {
        let at = account["runtimeConfig"]["lastHealthCheck"].as_f64();
        at.zip(before.as_f64()).is_some_and(|(at, before)| at - before > 9_000.0)
    });
    assert!((beats(&house) - 1.0).abs() < 0.1, "{} calls for five answers", beats(&house));
    assert_eq!(agent(&house, "ada")["status"], "offline");
    let changes =
        house.board.rows("activities").into_iter().filter(|row| row["type"] == "agent_status_changed");
    assert_eq!(changes.count(), 1);
}
