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
use super::processes::Stack;
use crate::support::dice::Dice;
use crate::support::forge::forge;
use crate::support::program::private;

/// Everything here must end within this time; the limit of a silent turn is 15 minutes.
const SECONDS_NOT_MINUTES: Duration = Duration::from_mins(5);

fn with_status(options: &mut mission_control_runtime::demo::gateway::Options) {
    options.tools_allowed = vec!["sessions_list".to_owned(), "sessions_history".to_owned()];
}

fn steps(why: &Value) -> Vec<(String, String)> {
    let steps = why["steps"].as_array().unwrap().iter();
    steps
        .map(|step| (step["step"].as_str().unwrap().to_owned(), step["words"].as_str().unwrap().to_owned()))
        .collect()
}

fn why(stack: &Stack, id: &str) -> Value {
    let (_, output) = stack.command(["why", id, "--json"]);
    serde_json::from_str(&output).unwrap_or_else(|why| panic!("{why}: {output}"))
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
    let mut stack = Stack::played(&["ben"], mind, with_status);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    let id = stack.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    for kill in 1..=4 {
        stack.until_posts(kill);
        stack.kill();
        may_end.store(kill == 4, Ordering::Relaxed);
        stack.start();
    }
    assert_eq!(stack.answer_of("ben", &task), "ben answers.");
    stack.settled();
    let output = why(&stack, &id);
    let steps = steps(&output);
    let count = |name: &str| steps.iter().filter(|(step, _)| step == name).count();
    assert_eq!((count("turn-sent"), count("restarted")), (5, 4), "{steps:?}");
    let sent: Vec<&str> =
        steps.iter().filter(|(step, _)| step == "turn-sent").map(|(_, words)| words.as_str()).collect();
    for (number, words) in (1..).zip(sent) {
        assert!(words.contains(&format!("try {number}")), "{words}");
    }
    assert!(output["cost"].as_str().unwrap().contains("asked 5 times"), "{output}");
}

/// The note of a turn is on disk, and the request never arrives. At a gateway whose turns outlive their
/// client, its list of sessions shows that, within seconds.
#[test]
fn a_turn_never_received_is_sent_again_within_seconds() {
    let names: Vec<String> = (0..40).map(|number| format!("a{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut stack = Stack::played(
        &names,
        |prompt: &Prompt| polite(prompt).after(Duration::from_millis(200)),
        |options| {
            options.release = Release::V2026_2_19;
            with_status(options);
        },
    );
    let gateway = stack.variable("OPENCLAW_GATEWAY_URL");
    // Requests to it never arrive.
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap();
    stack.kill();
    stack.set_variable("OPENCLAW_GATEWAY_URL", &format!("http://{}", nowhere.local_addr().unwrap()));
    for number in 0..200 {
        let name = names[number % names.len()];
        let task = stack.task("in_progress", &[name]);
        stack.board.person_says(&task, &format!("@{name}, number {number}"));
    }
    // The rows are there before a probe finds the gateway silent.
    stack.start();
    assert_eq!(stack.ask("POST", "/nudge", ""), 202);
    stack.until("twenty notes", |_| {
        let read = ledger::read(&private(Path::new(stack.state_dir()))).unwrap();
        read.deliveries.iter().filter(|delivery| delivery.record.sent.is_some()).count() == 20
    });
    stack.kill();
    stack.set_variable("OPENCLAW_GATEWAY_URL", &gateway);
    drop(nowhere);
    let began = Instant::now();
    stack.start();
    // In addition it is killed at random, with turns that continue without it.
    let mut dice = Dice(7);
    for _ in 0..4 {
        stack.works();
        std::thread::sleep(Duration::from_millis(dice.roll(350)));
        stack.kill_and_start();
    }
    while !stack.undelivered().is_empty() {
        let left = stack.undelivered().len();
        assert!(
            began.elapsed() < SECONDS_NOT_MINUTES,
            "{left} of 200 are not delivered after {:?}",
            began.elapsed()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    for message in stack.board.rows("messages") {
        if message["content"].as_str().is_some_and(|text| text.ends_with(" answers.")) {
            *answers.entry(message["taskId"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    assert_eq!((answers.len(), answers.values().max()), (200, Some(&1)));
    let twice: Vec<_> =
        stack.gateway().markers().into_iter().filter(|(_, marks)| marks.answers > 1).collect();
    assert!(twice.is_empty(), "paid twice: {twice:?}");
}

/// A row that only a newer version understands is left to that version: no turn, post, mark or outcome, and a
/// report. That version continues it.
#[test]
fn a_row_of_a_newer_version_is_left_untouched_and_reported() {
    let (may_end, mind) = patient();
    let mut stack = Stack::played(&["ben", "ada"], mind, with_status);
    let (task, other) = (stack.task("in_progress", &["ben"]), stack.task("in_progress", &["ada"]));
    stack.mention(&task, "ben", "hello");
    stack.begun();
    let id = stack.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    stack.kill();
    let place = Path::new(stack.state_dir()).to_owned();
    let stage = |stage: Value| {
        forge(&place, &id, |kept| kept["record"]["stage"] = stage.clone());
    };
    stage(json!({"leased": {"until": 7}}));
    may_end.store(true, Ordering::Relaxed);
    stack.start();
    stack.mention(&other, "ada", "hello");
    assert_eq!(stack.answer_of("ada", &other), "ada answers.");
    stack.until("the end of the other", |health| health["delivery"]["ended"] == json!({"answered": 1}));
    let row = stack.board.row("notifications", &id);
    assert!(row.get("deliveredAt").is_none() && stack.said_by("ben", &task).is_empty(), "{row}");
    assert_eq!(stack.gateway().posts(), 2, "ben is not asked");
    for command in ["doctor", "dead"] {
        let (_, output) =
            if command == "dead" { stack.command(["dead", "list"]) } else { stack.command(["doctor"]) };
        assert!(output.contains("newer version") && output.contains("left untouched"), "{output}");
    }
    let output = why(&stack, &id);
    assert!(
        output["state"] == "unreadable" && output["why"].as_str().unwrap().contains("newer version"),
        "{output}"
    );
    stack.mention(&task, "ben", "and now?");
    stack.until("the row behind it", |health| health["delivery"]["waiting"] == 1);
    let behind = |stack: &Stack| {
        let later = stack.undelivered()[1]["_id"].as_str().unwrap().to_owned();
        let told = why(stack, &later);
        let words = told["why"].as_str().unwrap().to_owned();
        (words, told["next"].as_str().unwrap().to_owned())
    };
    let (words, next) = behind(&stack);
    assert!(words.contains(&id) && next.contains(&format!("dead drop {id}")), "{words} {next}");
    let health = stack.health();
    assert!(health["reasons"].as_array().unwrap().contains(&json!("unreadable_rows")), "{health}");
    assert!(health["delivery"]["unreadable"][0].as_str().unwrap().contains("waits behind it"), "{health}");
    for of in [&task, "ben"] {
        let told = why(&stack, of);
        assert!(
            told["what"].as_str().unwrap().contains("not understood") && told.to_string().contains(&id),
            "{told}"
        );
    }
    assert_eq!(stack.gateway().posts(), 2, "ben is asked nothing more");
    let log = stack.stop();
    let line = format!("reason=\"A newer version wrote the row of {id} (its record is of an unknown shape");
    assert!(log.contains(&line), "{log}");
    assert_eq!(why(&stack, &id)["state"], "unreadable", "also while no service runs");
    assert!(why(&stack, &task)["deliveries"].to_string().contains(&id));
    stage(json!("fresh"));
    stack.start();
    assert_eq!(stack.answer_of("ben", &task), "ben answers.");
    stack.settled();
}

/// Closed rows that are not understood are told in one line that alarms nobody, and the same by `doctor` and `why`.
#[test]
fn a_closed_row_that_is_not_understood_is_no_trouble() {
    let mut stack = Stack::new(&["ben"], polite);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    let id = stack.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    stack.settled();
    stack.until("the end in the ledger", |_| why(&stack, &id)["state"] == "answered");
    stack.stop();
    let place = Path::new(stack.state_dir()).to_owned();
    forge(&place, &id, |kept| kept["form"] = json!(3));
    stack.start();
    let log = stack.stop();
    assert!(
        log.contains("closed rows of the ledger that are not understood: 1") && !log.contains("ERROR"),
        "{log}"
    );
    let (_, told) = stack.command(["doctor"]);
    assert!(told.contains("closed rows of the ledger that are not understood: 1"), "{told}");
    assert!(!told.contains("left untouched"), "{told}");
    let told = why(&stack, &id);
    assert_eq!(
        (&told["what"], &told["next"]),
        (&json!(format!("{id} ended (answered).")), &json!("Done. No action needed."))
    );
    assert_eq!(stack.command(["dead", "list"]).1.lines().last(), Some("No dead letters."));
}

/// A damaged row is not begun again: people are told so in its thread, once, whatever becomes of the process.
#[test]
fn a_damaged_row_ends_with_one_line_in_its_thread() {
    let (may_end, mind) = patient();
    let mut stack = Stack::played(&["ben"], mind, with_status);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.begun();
    let id = stack.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    stack.kill();
    let place = Path::new(stack.state_dir()).to_owned();
    forge(&place, &id, |kept| *kept = json!({}));
    may_end.store(true, Ordering::Relaxed);
    stack.start();
    stack.settled();
    stack.kill_and_start();
    stack.until("the end in the ledger", |health| health["delivery"]["dead"] == 1);
    let said = stack.said_by("ben", &task);
    assert!(said.len() == 1 && said[0].contains("this mention is damaged"), "{said:?}");
    assert_eq!(stack.gateway().posts(), 1, "ben is not asked again");
    assert_eq!(why(&stack, &id)["state"], "dead");
}

/// The runtime crashes again and again over one delivery while no other is active: at last it is given up, and
/// the thread says so. The same crashes at an unquiet time are held against nobody.
#[test]
fn a_delivery_that_crashes_the_runtime_is_given_up() {
    let (may_end, mind) = patient();
    let mut stack = Stack::played(&["ben"], mind, with_status);
    let place = Path::new(stack.state_dir()).to_owned();
    for (quiet, said) in
        [(false, "ben answers."), (true, "the runtime crashed repeatedly while it worked on this")]
    {
        may_end.store(false, Ordering::Relaxed);
        let task = stack.task("in_progress", &["ben"]);
        stack.mention(&task, "ben", "hello");
        stack.begun();
        let id = stack.undelivered()[0]["_id"].as_str().unwrap().to_owned();
        stack.kill();
        forge(&place, &id, |kept| (kept["record"]["crashes"], kept["record"]["held"]) = (json!(1), json!(5)));
        // The process had worked for an hour before, or not at all.
        let hands = std::fs::read_to_string(place.join("ledger.hands")).unwrap();
        let time = |line: usize| hands.lines().nth(line).unwrap().split_whitespace().nth(1).unwrap();
        let began = time(0).parse::<i64>().unwrap();
        let earlier = if quiet { format!("{:020}", began - 3_600_000) } else { time(1).to_owned() };
        std::fs::write(place.join("ledger.hands"), hands.replacen(time(0), &earlier, 1)).unwrap();
        may_end.store(true, Ordering::Relaxed);
        stack.start();
        let answer = stack.answer_of("ben", &task);
        assert!(answer.contains(said), "{answer}");
        stack.settled();
        let output = why(&stack, &id);
        let restarted = steps(&output).into_iter().find(|(step, _)| step == "restarted").unwrap().1;
        assert!(
            restarted.starts_with("the runtime crashed") && restarted.contains("(crash 2)"),
            "{restarted}"
        );
        assert_eq!(output["state"] == "dead", quiet, "{output}");
    }
}

/// An orderly stop is no crash, and a turn that it cuts off is no lost answer, however often.
#[test]
fn an_orderly_restart_is_held_against_no_delivery() {
    let (may_end, mind) = patient();
    let mut stack = Stack::played(&["ben"], mind, with_status);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    let id = stack.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    for stop in 1..=5 {
        stack.until_posts(stop);
        may_end.store(stop == 5, Ordering::Relaxed);
        stack.stop_twice();
        stack.start();
    }
    assert_eq!(stack.answer_of("ben", &task), "ben answers.");
    stack.settled();
    let output = why(&stack, &id);
    let restarted: Vec<_> = steps(&output).into_iter().filter(|(step, _)| step == "restarted").collect();
    assert!(
        restarted.len() == 5 && restarted.iter().all(|(_, words)| words.contains("stopped")),
        "{restarted:?}"
    );
}

/// A skipped row shows no answer of the agent.
#[test]
fn a_skipped_row_shows_no_answer() {
    let stack = Stack::new(&["ben"], polite);
    let task = stack.task("archived", &["ben"]);
    assert_eq!(stack.command(["pause"]).0, Some(0));
    stack.mention(&task, "ben", "hello");
    let id = stack.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    assert_eq!(stack.command(["resume"]).0, Some(0));
    stack.settled();
    let mut output = why(&stack, &id);
    // Its outcome is recorded after the mark.
    stack.until("the end in the ledger", |_| {
        output = why(&stack, &id);
        output["state"].is_string()
    });
    assert_eq!(output["state"], "skipped", "{output}");
    let steps: Vec<String> = steps(&output).into_iter().map(|(step, _)| step).collect();
    assert_eq!(steps, ["ended"], "{output}");
}

/// A notice for people is shown with its notification.
#[test]
fn a_notice_is_shown_with_its_notification() {
    let stack = Stack::new(&["ben"], |_: &Prompt| Thought::hang());
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.begun();
    let id = stack.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    assert_eq!(as_operator(&stack, "POST", &format!("/turns/{id}/give-up"), "").0, 200);
    stack.settled();
    let mut output = why(&stack, &id);
    stack.until("the last note", |_| {
        output = why(&stack, &id);
        steps(&output).last().is_some_and(|(step, _)| step == "ended")
    });
    let steps = steps(&output);
    let words = |name: &str| {
        steps
            .iter()
            .find(|(step, _)| step == name)
            .map_or_else(|| panic!("no {name}: {output}"), |(_, words)| words)
    };
    for name in ["posting", "told"] {
        assert!(words(name).contains(&id) && words(name).contains("notice"), "{name}: {}", words(name));
    }
}

/// The duration is measured from the creation, even after a retry by a person.
#[test]
fn a_retried_delivery_is_measured_from_its_creation() {
    let stack = Stack::new(&["ben"], polite);
    let (id, _) = super::operator::dead_letter(&stack);
    let first = why(&stack, &id)["steps"][0]["at"].as_i64().unwrap();
    // A measurable time later.
    stack.until("a while", |_| SystemClock.now().0 - first > 1_500);
    assert_eq!(stack.command(["dead", "retry", &id]).0, Some(0));
    stack.until("the answer", |health| health["delivery"]["ended"]["answered"] == 1);
    let output = why(&stack, &id);
    let words = output["why"].as_str().unwrap();
    let took = words.split("the delivery ended ").nth(1).unwrap();
    assert!(!took.starts_with("0 s") && !took.contains(" ms "), "{words}");
}

/// Rows of a task that have not begun: while the service waits for the gateway, behind another row, and
/// without a service.
#[test]
fn why_of_a_task_finds_waiting_rows() {
    let mut stack = Stack::new(&["ben"], polite);
    assert_eq!(stack.command(["pause"]).0, Some(0));
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "one");
    stack.mention(&task, "ben", "two");
    stack.until("both", |health| health["delivery"]["waiting"] == 2);
    let ids: Vec<String> =
        stack.undelivered().iter().map(|row| row["_id"].as_str().unwrap().to_owned()).collect();
    let finds = |stack: &Stack, when: &str| {
        for what in [&task, &ids[0], &ids[1]] {
            let (code, output) = stack.command(["why", what]);
            assert_eq!(code, Some(0), "{when}: {output}");
        }
        let (_, output) = stack.command(["why", &task]);
        assert!(output.lines().any(|line| line.contains("2 open, 0 given up")), "{when}: {output}");
        assert!(ids.iter().all(|id| output.contains(id)), "{when}: {output}");
    };
    finds(&stack, "paused");
    stack.stop();
    finds(&stack, "no service");
}
