//! Fifty rows whose every delivery fails, each in its way, ahead of 150 good ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{Fault, Prompt, Thought};

use super::processes::Stack;

const POISON: usize = 50;
const GOOD: usize = 150;
/// The number of different failures.
const KINDS: usize = 5;

/// The figures of a run.
struct Figures {
    /// How long each good row waited for its turn, the shortest first.
    waits: Vec<Duration>,
    /// How many turns of failing rows began between the arrival of a good row and its own turn, the fewest
    /// first.
    before: Vec<usize>,
}

impl Figures {
    fn at(&self, percent: usize) -> (f64, usize) {
        let place = (GOOD - 1) * percent / 100;
        (self.waits[place].as_secs_f64() * 1_000.0, self.before[place])
    }
}

/// Permanent faults. Three look like an unavailable gateway; a stall occupies a worker for its duration.
fn fault(n: usize) -> (&'static str, Fault) {
    let faults: [_; KINDS] = [
        ("bad-gateway", Fault::BadGateway),
        ("page", Fault::Html),
        ("hang-up", Fault::HangUp),
        ("unknown-tool", Fault::UnknownTool),
        ("stall", Fault::StallBefore),
    ];
    faults[n % faults.len()].clone()
}

/// All good rows are answered, with `poison` failing rows ahead of them.
fn run(poison: usize) -> Figures {
    let names: Vec<String> =
        (0..KINDS).map(|n| fault(n).0.to_owned()).chain((0..10).map(|n| format!("good{n}"))).collect();
    let slugs: Vec<&str> = names.iter().map(String::as_str).collect();
    let began: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let note = began.clone();
    let stack = Stack::new(&slugs, move |prompt: &Prompt| {
        note.lock().unwrap().entry(prompt.session.clone()).or_insert_with(Instant::now);
        Thought::say(format!("{} answers.", prompt.agent))
    });
    let session = |name: &str, task: &str| {
        format!("agent:{name}:task:{task}:{}:v1", stack.board.account).to_lowercase()
    };
    let mut sick = Vec::new();
    for n in 0..poison {
        let (name, fault) = fault(n);
        let task = stack.task("assigned", &[name]);
        stack.faults().always_in(&session(name, &task), fault);
        stack.mention(&task, name, "hello");
        sick.push((name, task));
    }
    // Rows that fail before the gateway accepts them are not in its books.
    stack.until("every poisonous row that gets so far has been tried", |_| {
        let seen = stack.gateway().requests();
        let taken = |name: &str| name == "unknown-tool";
        let mut taken = sick.iter().filter(|(name, _)| taken(name));
        taken.all(|(name, task)| seen.iter().any(|seen| seen.session == session(name, task)))
    });
    let good: Vec<(String, String)> = (0..GOOD)
        .map(|n| {
            let name = format!("good{}", n % 10);
            let task = stack.task("assigned", &[&name]);
            (name, task)
        })
        .collect();
    let mut arrived = Vec::new();
    for (name, task) in &good {
        arrived.push((stack.gateway().requests().len(), Instant::now()));
        stack.mention(task, name, "hello");
    }
    for (name, task) in &good {
        assert_eq!(stack.answer_of(name, task), format!("{name} answers."));
    }
    let seen = stack.gateway().requests();
    let began = began.lock().unwrap().clone();
    let (mut waits, mut before) = (Vec::new(), Vec::new());
    for ((name, task), (posts, at)) in good.iter().zip(arrived) {
        let session = session(name, task);
        waits.push(began[&session].saturating_duration_since(at));
        let since = seen.iter().skip(posts);
        let others = since.take_while(|seen| seen.session != session);
        before.push(others.filter(|seen| !seen.agent.starts_with("good")).count());
    }
    waits.sort_unstable();
    before.sort_unstable();
    for (name, task) in &sick {
        // On a slow machine the silent rows have used up their attempts by now.
        let said = stack.said_by(name, task);
        assert!(said.iter().all(|text| text.starts_with("*(Automatic note: ")), "{name}: {said:?}");
    }
    assert_eq!(stack.gateway().overlaps(), 0);
    Figures { waits, before }
}

/// W-5, D4. The time is printed and not asserted. The number of turns before a good row's own does not depend
/// on the machine: no failing row has two turns before a good row that had arrived.
#[test]
#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn fifty_failing_rows_delay_no_other() {
    let (alone, beside) = (run(0), run(POISON));
    for percent in [50, 99, 100] {
        let ((alone, _), (beside, turns)) = (alone.at(percent), beside.at(percent));
        println!(
            "p{percent}: a good turn begins {alone:.1} ms after its row alone, {beside:.1} ms beside {POISON} poisonous \
             rows, of which {turns} turns began before it"
        );
    }
    let (_, turns) = beside.at(100);
    assert!(turns <= POISON, "{turns} poisonous turns began before a good one that was there");
}
