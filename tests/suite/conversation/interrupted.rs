//! Runtimes that are killed in the middle of turns. A turn that was never received is soon sent again, our
//! own crashes are counted as crashes, and `why` reports them.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mission_control_runtime::clock::{Clock as _, SystemClock};
use mission_control_runtime::demo::gateway::{Prompt, Release, Thought};
use mission_control_runtime::ledger;
use serde_json::{Value, json};

use super::operator::as_operator;
use super::polite;
use super::processes::House;
use crate::support::dice::Dice;
use crate::support::forge::forge;
use crate::support::program::private;

/// Everything here must end within this time; the limit of a silent turn is 15 minutes.
const SECONDS_NOT_MINUTES: Duration = Duration::from_secs(50);

fn with_status(options: &mut mission_control_runtime::demo::gateway::Options) {
    options.tools_allowed = vec!["sessions_list".to_owned(), "sessions_history".to_owned()];
}

fn steps(why: &Value) -> Vec<(String, String)> {
    let steps = why["steps"].as_array().unwrap().iter();
    steps
        .map(|step| (step["step"].as_str().unwrap().to_owned(), step["words"].as_str().unwrap().to_owned()))
        .collect()
}

fn why(house: &House, id: &str) -> Value {
    let (_, told) = house.command(["why", id, "--json"]);
    serde_json::from_str(&told).unwrap_or_else(|why| panic!("{why}: {told}"))
}

/// A turn that ends only when permitted, and how often it was begun.
fn patient() -> (Arc<AtomicBool>, impl Fn(&Prompt) -> Thought + Send + Sync + 'static) {
    let may_end = Arc::new(AtomicBool::new(false));
    let open = may_end.clone();
    let mind = move |prompt: &Prompt| {
        if open.load(Ordering::Relaxed) { polite(prompt) } else { Thought::hang() }
    };
    (may_end, mind)
}

/// Four crashes during one turn are no lost answers: the message is answered, and `why` reports each of them.
#[test]
fn a_message_survives_four_kills_of_the_runtime_in_its_turn() {
    let (may_end, mind) = patient();
    let mut house = House::played(&["ben"], mind, with_status);
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    let id = house.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    for kill in 1..=4 {
        house.until_posts(kill);
        may_end.store(kill == 4, Ordering::Relaxed);
        house.kill_and_start();
    }
    assert_eq!(house.answer_of("ben", &task), "ben answers.");
    house.settled();
    let told = why(&house, &id);
    let steps = steps(&told);
    let count = |name: &str| steps.iter().filter(|(step, _)| step == name).count();
    assert_eq!((count("turn-sent"), count("restarted")), (5, 4), "{steps:?}");
    let sent: Vec<&str> =
        steps.iter().filter(|(step, _)| step == "turn-sent").map(|(_, words)| words.as_str()).collect();
    for (number, words) in (1..).zip(sent) {
        assert!(words.contains(&format!("try {number}")), "{words}");
    }
    assert!(told["cost"].as_str().unwrap().contains("asked 5 times"), "{told}");
}

/// The note of a turn is on disk, and the request never arrives. At a gateway whose turns outlive their
/// client, its list of sessions shows that, within seconds.
#[test]
fn a_turn_never_received_is_sent_again_within_seconds() {
    let names: Vec<String> = (0..40).map(|number| format!("a{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut house = House::played(
        &names,
        |prompt: &Prompt| polite(prompt).after(Duration::from_millis(200)),
        |options| {
            options.release = Release::V2026_2_19;
            with_status(options);
        },
    );
    let gateway = house.variable("OPENCLAW_GATEWAY_URL");
    // Requests to it never arrive.
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap();
    house.kill();
    house.set_variable("OPENCLAW_GATEWAY_URL", &format!("http://{}", nowhere.local_addr().unwrap()));
    house.start();
    for number in 0..200 {
        let name = names[number % names.len()];
        let task = house.task("in_progress", &[name]);
        house.board.person_says(&task, &format!("@{name}, number {number}"));
    }
    assert_eq!(house.ask("POST", "/nudge", ""), 202);
    house.until("twenty notes", |_| {
        let read = ledger::read(&private(Path::new(house.state_dir()))).unwrap();
        read.tales.iter().filter(|tale| tale.record.sent.is_some()).count() == 20
    });
    house.kill();
    house.set_variable("OPENCLAW_GATEWAY_URL", &gateway);
    drop(nowhere);
    let began = Instant::now();
    house.start();
    // In addition it is killed at random, with turns that continue without it.
    let mut dice = Dice(7);
    for _ in 0..4 {
        house.works();
        std::thread::sleep(Duration::from_millis(dice.roll(350)));
        house.kill_and_start();
    }
    while !house.undelivered().is_empty() {
        let left = house.undelivered().len();
        assert!(
            began.elapsed() < SECONDS_NOT_MINUTES,
            "{left} of 200 are not delivered after {:?}",
            began.elapsed()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    for message in house.board.rows("messages") {
        if message["content"].as_str().is_some_and(|text| text.ends_with(" answers.")) {
            *answers.entry(message["taskId"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    assert_eq!((answers.len(), answers.values().max()), (200, Some(&1)));
    let twice: Vec<_> =
        house.gateway().markers().into_iter().filter(|(_, marks)| marks.answers > 1).collect();
    assert!(twice.is_empty(), "paid twice: {twice:?}");
}

/// A row that only a newer version understands is left to that version: no turn, post, mark or outcome, and a
/// report. That version continues it.
#[test]
fn a_row_of_a_newer_version_is_left_untouched_and_reported() {
    let (may_end, mind) = patient();
    let mut house = House::played(&["ben", "ada"], mind, with_status);
    let (task, other) = (house.task("in_progress", &["ben"]), house.task("in_progress", &["ada"]));
    house.mention(&task, "ben", "hello");
    house.begun();
    let id = house.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    house.kill();
    let place = Path::new(house.state_dir()).to_owned();
    let stage = |stage: Value| {
        forge(&place, &id, |kept| kept["record"]["stage"] = stage.clone());
    };
    stage(json!({"leased": {"until": 7}}));
    may_end.store(true, Ordering::Relaxed);
    house.start();
    house.mention(&other, "ada", "hello");
    assert_eq!(house.answer_of("ada", &other), "ada answers.");
    house.until("the end of the other", |health| health["delivery"]["ended"] == json!({"answered": 1}));
    let row = house.board.row("notifications", &id);
    assert!(row.get("deliveredAt").is_none() && house.said_by("ben", &task).is_empty(), "{row}");
    assert_eq!(house.gateway().posts(), 2, "ben is not asked");
    for command in ["doctor", "dead"] {
        let (_, told) =
            if command == "dead" { house.command(["dead", "list"]) } else { house.command(["doctor"]) };
        assert!(told.contains("newer version") && told.contains("left untouched"), "{told}");
    }
    let told = why(&house, &id);
    assert!(
        told["state"] == "unreadable" && told["why"].as_str().unwrap().contains("newer version"),
        "{told}"
    );
    let log = house.stop();
    assert!(log.contains(&format!("{id} is left untouched: its record is of an unknown shape")), "{log}");
    assert_eq!(why(&house, &id)["state"], "unreadable", "also while no service runs");
    stage(json!("fresh"));
    house.start();
    assert_eq!(house.answer_of("ben", &task), "ben answers.");
    house.settled();
}

/// The runtime crashes repeatedly over one delivery while no other is in hand: it is given up in the end,
/// with a notice in the thread. Crashes while other work is in hand are held against no delivery.
#[test]
fn a_delivery_that_crashes_the_runtime_is_given_up() {
    let (may_end, mind) = patient();
    let mut house = House::played(&["ben"], mind, with_status);
    let place = Path::new(house.state_dir()).to_owned();
    for (quiet, said) in [(false, "ben answers."), (true, "the runtime crashes whenever it works on it")] {
        may_end.store(false, Ordering::Relaxed);
        let task = house.task("in_progress", &["ben"]);
        house.mention(&task, "ben", "hello");
        house.begun();
        let id = house.undelivered()[0]["_id"].as_str().unwrap().to_owned();
        house.kill();
        forge(&place, &id, |kept| (kept["record"]["crashes"], kept["record"]["held"]) = (json!(1), json!(5)));
        if quiet {
            // The process had worked for an hour before.
            let hands = std::fs::read_to_string(place.join("ledger.hands")).unwrap();
            let began = hands.split(' ').nth(1).unwrap();
            let earlier = format!("{:020}", began.parse::<i64>().unwrap() - 3_600_000);
            std::fs::write(place.join("ledger.hands"), hands.replacen(began, &earlier, 1)).unwrap();
        }
        may_end.store(true, Ordering::Relaxed);
        house.start();
        let answer = house.answer_of("ben", &task);
        assert!(answer.contains(said), "{answer}");
        house.settled();
        let told = why(&house, &id);
        let restarted = steps(&told).into_iter().find(|(step, _)| step == "restarted").unwrap().1;
        assert!(
            restarted.starts_with("the runtime crashed") && restarted.contains("(crash 2)"),
            "{restarted}"
        );
        assert_eq!(told["state"] == "dead", quiet, "{told}");
    }
}

/// An orderly stop is no crash, and a turn that it cuts off is no lost answer, however often.
#[test]
fn an_orderly_restart_is_held_against_no_delivery() {
    let (may_end, mind) = patient();
    let mut house = House::played(&["ben"], mind, with_status);
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    let id = house.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    for stop in 1..=5 {
        house.until_posts(stop);
        may_end.store(stop == 5, Ordering::Relaxed);
        house.stop_twice();
        house.start();
    }
    assert_eq!(house.answer_of("ben", &task), "ben answers.");
    house.settled();
    let told = why(&house, &id);
    let restarted: Vec<_> = steps(&told).into_iter().filter(|(step, _)| step == "restarted").collect();
    assert!(
        restarted.len() == 5 && restarted.iter().all(|(_, words)| words.contains("stopped")),
        "{restarted:?}"
    );
}

/// A skipped row shows no answer of the agent.
#[test]
fn a_skipped_row_shows_no_answer() {
    let house = House::new(&["ben"], polite);
    let task = house.task("archived", &["ben"]);
    assert_eq!(house.command(["pause"]).0, Some(0));
    house.mention(&task, "ben", "hello");
    let id = house.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    assert_eq!(house.command(["resume"]).0, Some(0));
    house.settled();
    let mut told = why(&house, &id);
    // Its outcome is recorded after the mark.
    house.until("the end in the ledger", |_| {
        told = why(&house, &id);
        told["state"].is_string()
    });
    assert_eq!(told["state"], "skipped", "{told}");
    let steps: Vec<String> = steps(&told).into_iter().map(|(step, _)| step).collect();
    assert_eq!(steps, ["ended"], "{told}");
}

/// A notice for people is shown with its notification.
#[test]
fn a_notice_is_shown_with_its_notification() {
    let house = House::new(&["ben"], |_: &Prompt| Thought::hang());
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    house.begun();
    let id = house.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    assert_eq!(as_operator(&house, "POST", &format!("/turns/{id}/give-up"), "").0, 200);
    house.settled();
    let mut told = why(&house, &id);
    house.until("the last note", |_| {
        told = why(&house, &id);
        steps(&told).last().is_some_and(|(step, _)| step == "ended")
    });
    let steps = steps(&told);
    let words = |name: &str| {
        steps
            .iter()
            .find(|(step, _)| step == name)
            .map_or_else(|| panic!("no {name}: {told}"), |(_, words)| words)
    };
    for name in ["posting", "told"] {
        assert!(words(name).contains(&id) && words(name).contains("notice"), "{name}: {}", words(name));
    }
}

/// The duration is measured from the creation, even after a retry by a person.
#[test]
fn a_retried_delivery_is_measured_from_its_creation() {
    let house = House::new(&["ben"], polite);
    let (id, _) = super::operator::dead_letter(&house);
    let first = why(&house, &id)["steps"][0]["at"].as_i64().unwrap();
    // A measurable time later.
    house.until("a while", |_| SystemClock.now().0 - first > 1_500);
    assert_eq!(house.command(["dead", "retry", &id]).0, Some(0));
    house.until("the answer", |health| health["delivery"]["ended"]["answered"] == 1);
    let told = why(&house, &id);
    let words = told["why"].as_str().unwrap();
    let took = words.split("the delivery ended ").nth(1).unwrap();
    assert!(!took.starts_with("0 s") && !took.contains(" ms "), "{words}");
}

/// Rows of a task that have not begun: while the service waits for the gateway, behind another row, and
/// without a service.
#[test]
fn why_of_a_task_finds_waiting_rows() {
    let mut house = House::new(&["ben"], polite);
    assert_eq!(house.command(["pause"]).0, Some(0));
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "one");
    house.mention(&task, "ben", "two");
    house.until("both", |health| health["delivery"]["waiting"] == 2);
    let ids: Vec<String> =
        house.undelivered().iter().map(|row| row["_id"].as_str().unwrap().to_owned()).collect();
    let finds = |house: &House, when: &str| {
        for what in [&task, &ids[0], &ids[1]] {
            let (code, told) = house.command(["why", what]);
            assert_eq!(code, Some(0), "{when}: {told}");
        }
        let (_, told) = house.command(["why", &task]);
        assert!(told.starts_with("2 open"), "{when}: {told}");
        assert!(ids.iter().all(|id| told.contains(id)), "{when}: {told}");
    };
    finds(&house, "paused");
    house.stop();
    finds(&house, "no service");
}
