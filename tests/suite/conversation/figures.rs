//! What the service says of itself, held against what it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{Fault, Prompt, Thought};
use mission_control_runtime::http::message::Reply;
use serde_json::{Value, json};

use super::polite;
use super::processes::House;
use super::status_endpoints::{Meddler, restart};

/// Two variables of the original are shown as they are set, and beside them that nothing depends on them.
#[test]
fn health_shows_what_is_set_and_what_has_no_effect() {
    let more = [("DELIVERY_STREAM_TIMEOUT_MS", "45000"), ("DELIVERY_CONTEXT_FETCH_BATCH_SIZE", "7")];
    let house = House::set(&["ben"], polite, &more);
    let config = &house.health()["delivery"]["config"];
    assert_eq!((&config["streamTimeoutMs"], &config["contextFetchBatchSize"]), (&json!(45_000), &json!(7)));
    assert_eq!(config["withoutEffect"], json!(["streamTimeoutMs", "contextFetchBatchSize"]), "{config}");
}

/// runtime-behaviour D-12: also a cycle without work is one that was completed.
#[test]
fn last_delivery_moves_with_each_completed_cycle() {
    let house = House::new(&["ben"], polite);
    let at = |health: &Value| health["delivery"]["lastDelivery"].as_i64();
    let first = house.until("a cycle", |health| at(health).is_some());
    house.until("another", |health| {
        health["delivery"]["lists"].as_u64() > first["delivery"]["lists"].as_u64() && at(health) > at(&first)
    });
    assert_eq!(house.health()["delivery"]["delivered"], 0);
}

#[test]
fn status_says_since_when_its_totals_count() {
    let house = House::new(&["ben"], polite);
    let (_, status) = house.command(["status"]);
    assert!(status.contains("0 not settled, 0 at work; since start: none ended\n"), "{status}");
    let task = house.task("assigned", &["ben"]);
    house.mention(&task, "ben", "hello");
    house.answer_of("ben", &task);
    house.settled();
    house.until("the total", |health| health["delivery"]["ended"]["answered"] == 1);
    let (_, status) = house.command(["status"]);
    assert!(status.contains("; since start: 1 answered\n"), "{status}");
}

#[test]
fn resume_says_how_many_pauses_it_has_ended() {
    let mut house = House::new(&["ben", "ada"], polite);
    let resume = |house: &House| house.command(["resume"]).1;
    assert_eq!(resume(&house), "No pause to end. Nothing is paused.\n");
    house.command(["pause", "--agent", "ben"]);
    house.command(["pause", "--agent", "ada"]);
    house.command(["pause"]);
    let (_, told) = house.command(["resume", "--agent", "ben"]);
    assert!(told.starts_with("1 pause ended. Everything is paused (and ada by itself)"), "{told}");
    assert_eq!(resume(&house), "2 pauses ended. Nothing is paused.\n");
    house.command(["pause", "--agent", "ben"]);
    house.stop();
    let (_, told) = house.command(["resume"]);
    assert!(told.starts_with("1 pause ended. Nothing is paused.\nNo service runs here"), "{told}");
}

#[test]
fn one_is_one() {
    let house = House::set(&["ben"], |_: &Prompt| Thought::nothing(), &[("DELIVERY_MAX_ATTEMPTS", "1")]);
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    let note = house.answer_of("ben", &task);
    assert!(note.starts_with("*(Automatic note: asked once, the agent said nothing"), "{note}");
    house.settled();
    house.faults().next(Fault::Failed("invalid_request_error", "no such model"));
    let other = house.task("in_progress", &["ben"]);
    house.mention(&other, "ben", "hello");
    house.until("the end", |health| health["delivery"]["dead"] == 1);
    let (_, list) = house.command(["dead", "list"]);
    assert!(list.contains("Given up after 1 attempt: "), "{list}");
}

/// The log of a turn that is sent again has one sentence after the other.
#[test]
fn a_turn_that_is_sent_again_is_told_in_whole_sentences() {
    let mut house = House::new(&["ben"], polite);
    house.faults().next(Fault::HangUp);
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    house.answer_of("ben", &task);
    house.settled();
    let log = house.stop();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("is not in the session")).collect();
    assert!(!told.is_empty(), "{log}");
    assert!(told.iter().all(|line| line.ends_with("is not in the session. Next attempt now.")), "{told:?}");
}

/// A gateway that is away is one fact: `status` says it once, and so does the log.
#[test]
fn a_gateway_that_is_away_is_told_once() {
    const FACT: &str = "the gateway is unreachable at its address";
    let mut house = House::without_gateway(&["ben"]);
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    house.until("the breaker", |health| {
        health["gateway"]["breakerOpen"] == true && health["gateway"]["lastSendError"].is_string()
    });
    let (_, status) = house.command(["status"]);
    assert_eq!(status.matches(FACT).count(), 1, "{status}");
    assert!(status.contains("gateway_unreachable, breaker_open: "), "{status}");
    let lines = status.lines().filter(|line| line.contains("gateway") || line.contains("breaker"));
    assert_eq!(lines.count(), 2, "what follows from it, and why: {status}");
    let log = house.stop();
    assert_eq!(log.matches(FACT).count(), 1, "{log}");
}

/// A front that redirects for some seconds is not a wrong address: the pause after it grows from the first one on.
#[test]
fn a_backend_that_redirects_for_a_moment_is_soon_asked_again() {
    let mut house = House::new(&["ben"], polite);
    let (away, met) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let (redirects, meets) = (away.clone(), met.clone());
    let meddler = Meddler::between(&house, move |request, reply| {
        if !redirects.load(Ordering::SeqCst) {
            return reply;
        }
        if String::from_utf8_lossy(request.body()).contains("listUndeliveredNotifications") {
            meets.store(true, Ordering::SeqCst);
        }
        Reply::empty(302).with_header("Location", "https://login.example.com/")
    });
    restart(&mut house, &[("CONVEX_URL", &meddler.url()), ("DELIVERY_BACKOFF_BASE_MS", "1000")]);
    house.until("lists", |health| health["delivery"]["lists"].as_u64() >= Some(1));
    away.store(true, Ordering::SeqCst);
    house.until("a redirect", |_| met.load(Ordering::SeqCst));
    let cycle = house.health()["delivery"]["lastDelivery"].clone();
    away.store(false, Ordering::SeqCst);
    let began = Instant::now();
    let task = house.task("in_progress", &["ben"]);
    house.board.person_says(&task, "@ben, hello");
    house.until("a list", |health| {
        health["delivery"]["listFailures"] == 0 && health["delivery"]["lastDelivery"] != cycle
    });
    assert_eq!(house.answer_of("ben", &task), "ben answers.");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}
