//! Runtimes that are killed in the middle of turns: what was never received is sent again soon, our own crashes are
//! counted for what they are, and `why` tells of them.

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

/// Everything here must be over after this; the limit of a silent turn is 15 minutes.
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

/// A turn that only ends once it may, and how often it was begun.
fn patient() -> (Arc<AtomicBool>, impl Fn(&Prompt) -> Thought + Send + Sync + 'static) {
    let may_end = Arc::new(AtomicBool::new(false));
    let open = may_end.clone();
    let mind = move |prompt: &Prompt| {
        if open.load(Ordering::Relaxed) { polite(prompt) } else { Thought::hang() }
    };
    (may_end, mind)
}

/// Four crashes during one turn are no lost answers: the message is answered, and `why` tells of each of them.
#[test]
fn a_message_outlives_four_kills_of_the_runtime_in_its_turn() {
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

/// The note of a turn is on the disk, and the request never arrives: at a gateway whose turns outlive their client that
/// is told from its list of sessions, in seconds.
#[test]
fn what_a_gateway_never_received_is_sent_again_in_seconds() {
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
    // Requests to it are on their way for ever.
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
    // And now and then it is killed for good measure, with turns that go on without it.
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

/// Written by what only a newer version understands, a row is left to that version: nothing is asked, posted, marked or
/// closed, and it is said. That version goes on with it.
#[test]
fn a_row_of_a_newer_version_is_left_untouched_and_said() {
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
    house.mention(&task, "ben", "and now?");
    house.until("the row behind it", |health| health["delivery"]["waiting"] == 1);
    let behind = |house: &House| {
        let later = house.undelivered()[1]["_id"].as_str().unwrap().to_owned();
        let told = why(house, &later);
        let words = told["why"].as_str().unwrap().to_owned();
        (words, told["next"].as_str().unwrap().to_owned())
    };
    let (words, next) = behind(&house);
    assert!(words.contains(&id) && next.contains(&format!("dead drop {id}")), "{words} {next}");
    let health = house.health();
    assert!(health["reasons"].as_array().unwrap().contains(&json!("unreadable_rows")), "{health}");
    assert!(health["delivery"]["unreadable"][0].as_str().unwrap().contains("waits behind it"), "{health}");
    for of in [&task, "ben"] {
        let told = why(&house, of);
        assert!(
            told["what"].as_str().unwrap().contains("not understood") && told.to_string().contains(&id),
            "{told}"
        );
    }
    assert_eq!(house.gateway().posts(), 2, "ben is asked nothing more");
    let log = house.stop();
    let line = format!("A newer version wrote the row of {id} (its record is of an unknown shape");
    assert!(log.contains(&line), "{log}");
    assert_eq!(why(&house, &id)["state"], "unreadable", "also while no service runs");
    assert!(why(&house, &task)["deliveries"].to_string().contains(&id));
    stage(json!("fresh"));
    house.start();
    assert_eq!(house.answer_of("ben", &task), "ben answers.");
    house.settled();
}

/// Closed rows that are not understood are told in one line that alarms nobody, and the same by `doctor` and `why`.
#[test]
fn a_closed_row_that_is_not_understood_is_no_trouble() {
    let mut house = House::new(&["ben"], polite);
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    let id = house.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    house.settled();
    house.until("the end in the ledger", |_| why(&house, &id)["state"] == "answered");
    house.stop();
    let place = Path::new(house.state_dir()).to_owned();
    forge(&place, &id, |kept| kept["form"] = json!(3));
    house.start();
    let log = house.stop();
    assert!(
        log.contains("closed rows of the ledger that are not understood: 1") && !log.contains("ERROR"),
        "{log}"
    );
    let (_, told) = house.command(["doctor"]);
    assert!(told.contains("closed rows of the ledger that are not understood: 1"), "{told}");
    assert!(!told.contains("left untouched"), "{told}");
    let told = why(&house, &id);
    assert_eq!(
        (&told["what"], &told["next"]),
        (&json!(format!("{id} ended (answered).")), &json!("Done. No action needed."))
    );
    assert_eq!(house.command(["dead", "list"]).1.lines().last(), Some("Nothing was given up."));
}

/// A damaged row is not begun again: people are told so in its thread, once, whatever becomes of the process.
#[test]
fn a_damaged_row_ends_with_one_line_in_its_thread() {
    let (may_end, mind) = patient();
    let mut house = House::played(&["ben"], mind, with_status);
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    house.begun();
    let id = house.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    house.kill();
    let place = Path::new(house.state_dir()).to_owned();
    forge(&place, &id, |kept| *kept = json!({}));
    may_end.store(true, Ordering::Relaxed);
    house.start();
    house.settled();
    house.kill_and_start();
    house.until("the end in the ledger", |health| health["delivery"]["dead"] == 1);
    let said = house.said_by("ben", &task);
    assert!(said.len() == 1 && said[0].contains("this mention is damaged"), "{said:?}");
    assert_eq!(house.gateway().posts(), 1, "ben is not asked again");
    assert_eq!(why(&house, &id)["state"], "dead");
}

/// The runtime crashes again and again over one delivery that nothing else is in hand with: at last it is given up, and
/// the thread says so. The same crashes at an unquiet time are held against nobody.
#[test]
fn what_crashes_the_runtime_by_itself_is_given_up_at_last() {
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

/// A stop in order is no crash, and a turn that it cuts off is no lost answer: however often.
#[test]
fn a_restart_in_order_is_held_against_nobody() {
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

/// A row that the agent does not hear of shows no answer of his.
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
    // Its end is noted after the mark.
    house.until("the end in the ledger", |_| {
        told = why(&house, &id);
        told["state"].is_string()
    });
    assert_eq!(told["state"], "skipped", "{told}");
    let steps: Vec<String> = steps(&told).into_iter().map(|(step, _)| step).collect();
    assert_eq!(steps, ["ended"], "{told}");
}

/// A line for people is told with the notification that it is about.
#[test]
fn a_notice_is_told_with_its_notification() {
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

/// How long it took is measured from the beginning, whatever a retry by a person begins anew.
#[test]
fn what_was_retried_is_measured_from_its_creation() {
    let house = House::new(&["ben"], polite);
    let (id, _) = super::operator::dead_letter(&house);
    let first = why(&house, &id)["steps"][0]["at"].as_i64().unwrap();
    // A measurable while later.
    house.until("a while", |_| SystemClock.now().0 - first > 1_500);
    assert_eq!(house.command(["dead", "retry", &id]).0, Some(0));
    house.until("the answer", |health| health["delivery"]["ended"]["answered"] == 1);
    let told = why(&house, &id);
    let words = told["why"].as_str().unwrap();
    let took = words.split("it was over ").nth(1).unwrap();
    assert!(!took.starts_with("0 s") && !took.contains(" ms "), "{words}");
}

/// Rows of a task that nobody has begun: at a service that waits for the gateway, behind another, and with no service.
#[test]
fn why_of_a_task_finds_rows_that_wait() {
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
        assert!(told.starts_with("2 not settled"), "{when}: {told}");
        assert!(ids.iter().all(|id| told.contains(id)), "{when}: {told}");
    };
    finds(&house, "paused");
    house.stop();
    finds(&house, "no service");
}
