//! The program follows the wake query of the embedded Mission Control.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::polite;
use super::processes::Stack;

const AUTO: (&str, &str) = ("WAKE_QUERY", "auto");

/// Longer than a signal and its turn take on a busy machine.
const QUIET: Duration = Duration::from_secs(20);

/// Longer than any step takes, and far shorter than the interval of lists beside a wake query.
const SOON: Duration = Duration::from_mins(2);

fn state(health: &Value) -> &Value {
    &health["delivery"]["wakeQuery"]["state"]
}

fn subscribed(stack: &Stack) {
    stack.until("the subscription", |health| *state(health) == "subscribed");
}

/// Waits until the first comparison of two lists has ruled out another runtime, so that work may begin.
fn ready(stack: &Stack) -> String {
    subscribed(stack);
    let task = stack.task("assigned", &["ben"]);
    say(stack, &task, "hello");
    stack.answer_of("ben", &task);
    stack.settled();
    task
}

/// A person mentions ben. Nothing nudges the program.
fn say(stack: &Stack, task: &str, words: &str) {
    stack.board.advance(1_000);
    stack.board.person_says(task, &format!("@ben, {words}"));
}

/// A model that reports when each turn begins.
fn reporting() -> (impl Fn(&Prompt) -> Thought + Send + Sync + 'static, Receiver<Instant>) {
    let (sender, turns): (Sender<Instant>, Receiver<Instant>) = channel();
    let sender = Mutex::new(sender);
    let model = move |prompt: &Prompt| {
        let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
        // After the test the receiver is gone.
        let _ = sender.send(Instant::now());
        polite(prompt)
    };
    (model, turns)
}

/// Waits until the pause before the next list is longer than this, because nothing was written for a while.
fn quiet(stack: &Stack, pause: Duration) {
    let (mut lists, mut since) = (stack.lists(), Instant::now());
    let until = since + SOON;
    loop {
        std::thread::sleep(Duration::from_millis(20));
        let now = stack.lists();
        if now != lists && since.elapsed() > pause / 2 {
            // The pauses double, so the next one is longer still.
            return;
        }
        if now != lists {
            (lists, since) = (now, Instant::now());
        }
        assert!(Instant::now() < until, "lists are frequent");
    }
}

/// The benchmark has the targets; here the latency must only be far below the pause before the next list.
#[test]
#[allow(clippy::print_stdout, reason = "the figure of the embedded Mission Control")]
fn a_message_begins_its_turn_without_a_poll_or_a_nudge() {
    let (model, turns) = reporting();
    let stack = Stack::set(&["ben"], model, &[AUTO, ("DELIVERY_INTERVAL", "60000")]);
    let task = ready(&stack);
    let wait = |number: usize| {
        while turns.try_recv().is_ok() {}
        let created = Instant::now();
        say(&stack, &task, &format!("question {number}"));
        let wait = turns.recv_timeout(SOON).expect("a turn").saturating_duration_since(created);
        stack.settled();
        wait
    };
    let mut waits: Vec<Duration> = (0..20).map(wait).collect();
    waits.sort_unstable();
    println!("created → turn begins: p50 {:?}, p99 {:?}", waits[10], waits[19]);
    quiet(&stack, QUIET);
    let waited = wait(20);
    assert!(waited < QUIET, "{waited:?}");
}

#[test]
fn an_account_without_news_is_not_polled() {
    let stack = Stack::set(&["ben"], polite, &[AUTO]);
    ready(&stack);
    // The last marks of the answer are events too.
    quiet(&stack, Duration::from_secs(2));
    let lists = stack.lists();
    // Polls at the configured interval of one second would be fifteen; the pauses after the last event double.
    std::thread::sleep(Duration::from_secs(15));
    let more = stack.lists() - lists;
    assert!(more <= 8, "{more} lists");
}

#[test]
fn while_the_subscription_is_lost_the_program_polls_and_then_follows_it_again() {
    let mut stack = Stack::set(&["ben"], polite, &[AUTO]);
    ready(&stack);
    let address = stack.board.url().trim_start_matches("http://").to_owned();
    stack.board.stop_serving();
    let health = stack.until("the loss", |health| *state(health) == "failing");
    assert!(health["delivery"]["wakeQuery"]["reason"].is_string(), "{health}");
    stack.board.serve(&address);
    // Written while nothing may be subscribed.
    let task = stack.task("assigned", &["ben"]);
    say(&stack, &task, "still there?");
    stack.answer_of("ben", &task);
    subscribed(&stack);
    let task = stack.task("assigned", &["ben"]);
    say(&stack, &task, "and now?");
    stack.answer_of("ben", &task);
}

#[test]
fn with_off_the_program_only_polls() {
    let stack = Stack::new(&["ben"], polite);
    let task = stack.task("assigned", &["ben"]);
    say(&stack, &task, "hello");
    stack.answer_of("ben", &task);
    let health = stack.health();
    let expected = json!({"state": "off", "since": null, "reason": null});
    assert_eq!(health["delivery"]["wakeQuery"], expected);
}

#[test]
fn doctor_says_whether_the_backend_offers_the_query() {
    let stack = Stack::set(&["ben"], polite, &[AUTO]);
    let (_, report) = stack.command(["doctor"]);
    let line =
        "wake query      ok\n  service/wake:changed answers: notifications are listed when it changes\n";
    assert!(report.contains(line), "{report}");
}
