//! A real gateway, of any release, whose process the test controls: it is killed in the middle of turns, so is the program, and
//! its agents call the board from their shell. `make conformance` runs these tests; the board and the model are the oracle.
//!
//! `KILLS` is the number of kills, `KILL_SEED` repeats a run, `UPDATES` names the releases of an update in order.

#![allow(clippy::print_stdout, reason = "the figures are for people, and the seed repeats what failed")]

use std::collections::BTreeMap;
use std::env;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::processes::Stack;
use crate::support::dice::Dice;
use crate::support::real_gateway::RealGateway;

/// Two agents work at each kill.
const AGENTS: [&str; 2] = ["builder", "tester"];
/// The kills of each kind if the environment names no number.
const KILLS: u64 = 2;
/// The pause of the model in each turn, in milliseconds.
const PAUSE: u64 = 500;

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Gateway,
    Runtime,
}

/// One message to an agent, whose answer and effects happen once.
struct Row {
    slug: &'static str,
    task: String,
    /// A word that only this conversation has.
    word: String,
}

impl Row {
    /// Mentions the agent: with tools it writes a document, moves the task, then answers.
    fn send(stack: &Stack, gateway: &RealGateway, slug: &'static str, word: String) -> Self {
        let task = stack.task("in_progress", &[slug]);
        let document = json!({"title": word, "content": "Written once.", "type": "note", "taskId": task});
        let status = json!({"taskId": task, "status": "review"});
        let text = if gateway.has_tools() {
            format!(
                "DELAY {PAUSE}\nCALL document_upsert {document}\nTHEN\nDELAY {PAUSE}\nCALL task_status {status}\n\
                 THEN\nDELAY {PAUSE}\nSAY {word} is done."
            )
        } else {
            format!("DELAY {PAUSE}\nSAY {word} is done.")
        };
        stack.tell(&task, slug, &text);
        Self { slug, task, word }
    }

    /// What is wrong with it on the board.
    fn faults(&self, stack: &Stack, gateway: &RealGateway) -> Vec<String> {
        let mut faults = Vec::new();
        let said = stack.said_by(self.slug, &self.task);
        let answer = format!("{} is done.", self.word);
        match said.iter().filter(|text| **text == answer).count() {
            1 if said.len() == 1 => {}
            0 => faults.push(format!("lost: {said:?}")),
            1 => faults.push(format!("other texts: {said:?}")),
            _ => faults.push(format!("doubled: {said:?}")),
        }
        if gateway.has_tools() {
            let documents =
                stack.board.rows("documents").iter().filter(|row| row["title"] == self.word).count();
            if documents != 1 {
                faults.push(format!("{documents} documents"));
            }
            let happened = stack.board.look("activities:listByTask", json!({"taskId": self.task})).unwrap();
            let is_move = |row: &&Value| row["type"] == "task_status_changed";
            let moves = happened.as_array().unwrap().iter().filter(is_move).count();
            if moves != 1 {
                faults.push(format!("{moves} moves"));
            }
        }
        faults.iter().map(|fault| format!("{} {}: {fault}", self.slug, self.word)).collect()
    }
}

/// The attempts of the runtime and the resumptions of the gateway in the calls of the model.
fn kind_of(call: &Value) -> &'static str {
    let messages = call["messages"].to_string();
    if messages.contains("Your previous turn was interrupted") {
        "after a resumption by the gateway"
    } else if messages.contains(" try 2]") || messages.contains(" try 3]") {
        "after a repeat by the runtime"
    } else {
        "first attempts"
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|text| text.parse().ok())
}

fn kill(victim: Victim) {
    let gateway = RealGateway::of_environment();
    let kills = number("KILLS").unwrap_or(KILLS);
    let seed = number("KILL_SEED").unwrap_or_else(|| {
        u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
    });
    println!("{victim:?} of {}: KILL_SEED={seed}", gateway.release());
    let mut dice = Dice(seed);
    let mut stack = Stack::over(&gateway, &AGENTS, &[]);
    let began = Instant::now();
    let quiet = Row::send(&stack, &gateway, AGENTS[0], format!("quiet-{seed}"));
    stack.settled();
    let life = u64::try_from(began.elapsed().as_millis()).unwrap();
    assert_eq!(quiet.faults(&stack, &gateway), Vec::<String>::new());
    let needed = gateway.model_calls(&quiet.word).len();

    let mut rows = Vec::new();
    for round in 0..kills {
        for slug in AGENTS {
            rows.push(Row::send(&stack, &gateway, slug, format!("{slug}-{round}-{seed}")));
        }
        stack.until("a turn", |health| health["delivery"]["inFlight"] != 0);
        std::thread::sleep(Duration::from_millis(dice.roll(life)));
        match victim {
            Victim::Gateway => {
                gateway.kill();
                gateway.start();
            }
            Victim::Runtime => stack.kill_and_start(),
        }
        stack.settled();
        let last = &rows[rows.len() - AGENTS.len()..];
        for fault in last.iter().flat_map(|row| row.faults(&stack, &gateway)) {
            println!("  round {round}: {fault}");
        }
    }

    let faults: Vec<String> = rows.iter().flat_map(|row| row.faults(&stack, &gateway)).collect();
    let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
    let mut repeated = 0;
    for row in &rows {
        let made = gateway.model_calls(&row.word);
        repeated += usize::from(made.len() > needed);
        for call in &made {
            *calls.entry(kind_of(call)).or_default() += 1;
        }
    }
    println!(
        "{victim:?} of {}: {kills} kills, {} rows, {} faults; {needed} calls of the model for each row without a kill, {repeated} \
         rows with more; {calls:?}",
        gateway.release(),
        rows.len(),
        faults.len(),
    );
    assert!(faults.is_empty(), "seed {seed}:\n{}", faults.join("\n"));
    let (case, title) = match victim {
        Victim::Gateway => ("gateway-kills", "the gateway is killed at random instants of turns"),
        Victim::Runtime => ("runtime-kills", "the runtime is killed at random instants of turns"),
    };
    let rows = rows.len();
    let sentence = format!(
        "{kills} kills, {rows} messages: none lost, none doubled; the model was asked again for {repeated}"
    );
    gateway.report(case, title, &sentence);
}

#[test]
#[ignore = "needs a real gateway: make conformance"]
fn a_gateway_that_is_killed_in_turns_loses_and_doubles_nothing() {
    kill(Victim::Gateway);
}

#[test]
#[ignore = "needs a real gateway: make conformance"]
fn a_runtime_that_is_killed_in_turns_loses_and_doubles_nothing() {
    kill(Victim::Runtime);
}

/// Without function tools, an agent calls the board from its shell with the credentials of its briefing.
#[test]
#[ignore = "needs a real gateway: make conformance"]
fn an_agent_calls_the_board_from_its_shell() {
    let gateway = RealGateway::of_environment();
    let stack = Stack::over(&gateway, &AGENTS[..1], &[("OPENCLAW_CLIENT_TOOLS_ENABLED", "false")]);
    let task = stack.task("in_progress", &AGENTS[..1]);
    let document = json!({"title": "From the shell", "content": "Written by curl.", "type": "note"});
    stack.tell(&task, AGENTS[0], &format!("BOARD document {document}\nSAY Written."));
    assert_eq!(stack.answer_of(AGENTS[0], &task), "Written.");
    stack.settled();
    let documents = stack.board.rows("documents");
    assert_eq!(documents.len(), 1, "{documents:?}");
    assert_eq!((&documents[0]["title"], &documents[0]["taskId"]), (&json!("From the shell"), &json!(task)));
    let title = "the HTTP API for agents, from the agent's shell";
    gateway.report(
        "agent-api",
        title,
        "the agent wrote a document with curl and the credentials of its briefing",
    );
}

/// The releases of `UPDATES` follow each other over one state, while turns run and messages wait. The dialect follows.
#[test]
#[ignore = "needs a real gateway: make conformance"]
fn a_gateway_that_is_updated_under_load_loses_and_doubles_nothing() {
    let Ok(releases) = env::var("UPDATES") else {
        println!("SKIPPED the update: UPDATES names no releases");
        return;
    };
    let gateway = RealGateway::of_environment();
    let stack = Stack::over(&gateway, &AGENTS, &[]);
    let mut rows = Vec::new();
    for (round, release) in releases.split_whitespace().enumerate() {
        let mut send = |when: &str| {
            rows.extend(
                AGENTS.map(|slug| Row::send(&stack, &gateway, slug, format!("{slug}-{round}-{when}"))),
            );
        };
        let from = gateway.release();
        send("before");
        stack.until("a turn", |health| health["delivery"]["inFlight"] != 0);
        send("during");
        gateway.stop();
        send("down");
        gateway.use_release(release);
        gateway.start();
        send("after");
        stack.settled();
        let health = stack.until("the release", |health| health["versions"]["openclaw"] == release);
        println!("{from} to {release}: {}", health["gateway"]["behaviour"]);
    }
    let faults: Vec<String> = rows.iter().flat_map(|row| row.faults(&stack, &gateway)).collect();
    println!("{} rows, {} faults", rows.len(), faults.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
