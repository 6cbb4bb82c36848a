//! Every crash point: the process dies before and after each call that it makes of anybody, and another one goes on from
//! what the ledger has. The oracle is what the backend and the model have seen, never our own counts.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mission_control_runtime::convex::{Call, CallError, Convex};
use mission_control_runtime::delivery::deliver::deliver;
use mission_control_runtime::delivery::desk::{Desk, Rules};
use mission_control_runtime::delivery::journal::{Journal, JournalError, Note, Wait};
use mission_control_runtime::delivery::{Job, Outcome, Record};
use mission_control_runtime::gateway::history::TurnMark;
use mission_control_runtime::gateway::{
    Gateway, GatewayError, Input, Progress, Recovered, Reply, ToolCall, Turn,
};
use mission_control_runtime::ledger::Paper;
use mission_control_runtime::mission::Mission;
use mission_control_runtime::model::{AccountId, SessionKey};
use mission_control_runtime::roster;
use mission_control_runtime::secret::Secret;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::desk::Office;
use crate::support::direct::Direct;

/// When a process dies: at which of its calls, and on which side of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Death {
    at: usize,
    after: bool,
}

/// The life of one process: everything it does of the outside passes here.
struct Life {
    death: Option<Death>,
    calls: AtomicUsize,
}

impl Life {
    fn new(death: Option<Death>) -> Self {
        Self { death, calls: AtomicUsize::new(0) }
    }

    fn is_over(&self) -> bool {
        self.death.is_some_and(|death| self.calls.load(Ordering::SeqCst) > death.at)
    }

    /// One call: it is made, unless the process is dead or dies before it.
    fn call<T>(&self, make: impl FnOnce() -> T) -> T {
        assert!(!self.is_over(), "dead");
        let number = self.calls.load(Ordering::SeqCst);
        let dies = self.death.filter(|death| death.at == number);
        if dies.is_some_and(|death| !death.after) {
            self.calls.fetch_add(1, Ordering::SeqCst);
            panic!("it dies before call {number}");
        }
        let result = make();
        self.calls.fetch_add(1, Ordering::SeqCst);
        assert!(dies.is_none(), "it dies after call {number}");
        result
    }
}

struct MortalBackend(Arc<Life>, Direct);

impl Convex for MortalBackend {
    fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError> {
        self.0.call(|| self.1.call(call))
    }
}

/// What the model says, and what it has been told: its sessions outlive our processes.
struct Model {
    script: fn(&Office, usize) -> Reply,
    told: Mutex<Vec<String>>,
    replies: Mutex<HashMap<String, Reply>>,
}

struct MortalGateway<'a>(Arc<Life>, &'a Model, &'a Office);

/// By what a turn is known in a history: its marker, or the results that it carried.
fn key(marker: Option<&str>, outputs: &[String]) -> String {
    marker.map_or_else(|| outputs.join(" "), str::to_owned)
}

impl Gateway for MortalGateway<'_> {
    fn turn(&self, turn: &Turn<'_>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Reply, GatewayError> {
        self.0.call(|| {
            let key = match turn.input {
                Input::Message(text) => key(Some(&text[..=text.find(']').unwrap()]), &[]),
                Input::Outputs(outputs) => {
                    key(None, &outputs.iter().map(|output| output.call_id.clone()).collect::<Vec<_>>())
                }
            };
            let mut told = self.1.told.lock().unwrap();
            let reply = (self.1.script)(self.2, told.len());
            told.push(key.clone());
            self.1.replies.lock().unwrap().insert(key, reply.clone());
            progress(Progress::Taken("resp_1"));
            Ok(reply)
        })
    }

    fn recover(&self, _: &SessionKey, _: &str, mark: &TurnMark<'_>) -> Result<Recovered, GatewayError> {
        self.0.call(|| {
            let ids: Vec<String> = mark.outputs.iter().map(|output| output.call_id.clone()).collect();
            let key = key(Some(mark.marker).filter(|_| ids.is_empty()), &ids);
            Ok(match self.1.replies.lock().unwrap().get(&key) {
                None => Recovered::Absent { marker_seen: false },
                Some(reply) if reply.calls.is_empty() => Recovered::Answered(reply.clone()),
                Some(reply) => Recovered::Calls(reply.clone()),
            })
        })
    }
}

struct MortalJournal<'a>(Arc<Life>, &'a Paper);

impl Journal for MortalJournal<'_> {
    fn note(&self, note: &Note<'_>, wait: Wait) -> Result<(), JournalError> {
        if self.0.is_over() { Ok(()) } else { self.1.note(note, wait) }
    }
}

/// One process works on the job until it is over, or until it dies.
fn live(office: &Office, model: &Model, paper: &Paper, job: &mut Job, life: &Arc<Life>) -> bool {
    let convex = Arc::new(MortalBackend(life.clone(), office.backend.clone()));
    let (account, token) =
        (AccountId::new(&office.team.board.account), Secret::new(&office.team.board.token));
    let mission = Mission::new(convex, account, token);
    let gateway = MortalGateway(life.clone(), model, office);
    let journal = MortalJournal(life.clone(), paper);
    let rules =
        Rules { client_tools: true, base_url: "http://127.0.0.1:1".to_owned(), rounds_max: 8, calls_max: 32 };
    let (team, answered) = (roster::Team::default(), AtomicU64::new(0));
    let desk = Desk {
        mission: &mission,
        gateway: &gateway,
        team: &team,
        stir: &|| (),
        taken: &|_| (),
        answered: &answered,
        journal: &journal,
        rules: &rules,
    };
    for _ in 0..30 {
        match catch_unwind(AssertUnwindSafe(|| deliver(job, &desk))) {
            Ok(Outcome::Closed(_)) if !life.is_over() => return true,
            _ if life.is_over() => return false,
            Ok(_) | Err(_) => {}
        }
    }
    panic!("it comes to no end: {:?}", job.record);
}

fn says(text: &str) -> Reply {
    Reply { text: Some(text.to_owned()), ..Reply::default() }
}

fn calls(calls: &[(&str, Value)]) -> Reply {
    let calls = calls.iter().enumerate().map(|(n, (name, arguments))| ToolCall {
        call_id: format!("{name}-{n}"),
        name: (*name).to_owned(),
        arguments: arguments.to_string(),
    });
    Reply { calls: calls.collect(), ..Reply::default() }
}

fn answers(_: &Office, _: usize) -> Reply {
    says("Yes.")
}

fn works(office: &Office, told: usize) -> Reply {
    let paper = |title: &str| json!({"title": title, "content": "…", "type": "note"});
    match told {
        0 => calls(&[
            ("document_upsert", paper("one")),
            ("task_load", json!({"taskId": office.task})),
            ("document_upsert", paper("two")),
        ]),
        1 => calls(&[("task_status", json!({"taskId": office.task, "status": "in_progress"}))]),
        _ => says("Done."),
    }
}

fn tells_a_long_story(_: &Office, _: usize) -> Reply {
    let paragraph = |n: u32| format!("{n}{}", "x".repeat(60_000));
    says(&[paragraph(0), paragraph(1), paragraph(2)].join("\n\n"))
}

/// A kind of delivery: how it begins, what the agent does, how many turns it takes, the first letters of the messages,
/// the documents that stand there in the end.
struct Kind {
    name: &'static str,
    begins: fn(&Office) -> Job,
    script: fn(&Office, usize) -> Reply,
    turns: usize,
    messages: &'static [&'static str],
    documents: usize,
}

const KINDS: [Kind; 5] = [
    Kind {
        name: "a plain answer",
        begins: |office| office.mention("@ben?"),
        script: answers,
        turns: 1,
        messages: &["Y"],
        documents: 0,
    },
    Kind {
        name: "an assignment",
        begins: Office::assignment,
        script: answers,
        turns: 1,
        messages: &["Y"],
        documents: 0,
    },
    Kind {
        name: "a thread update",
        begins: |office| office.update("well?"),
        script: answers,
        turns: 1,
        messages: &["Y"],
        documents: 0,
    },
    Kind {
        name: "two rounds of tools",
        begins: |office| office.mention("@ben, write it down"),
        script: works,
        turns: 3,
        messages: &["D"],
        documents: 2,
    },
    Kind {
        name: "an answer in three parts",
        begins: |office| office.mention("@ben, the whole story"),
        script: tells_a_long_story,
        turns: 1,
        messages: &["0", "1", "2"],
        documents: 0,
    },
];

/// Dies once as told, and goes on; whether it was alive long enough to die.
fn dies_and_goes_on(kind: &Kind, death: Death, survive: usize) -> bool {
    let what = format!("{}, {death:?}, {survive} unwaited notes survive", kind.name);
    let office = Office::new();
    let model = Model { script: kind.script, told: Mutex::default(), replies: Mutex::default() };
    let paper = Paper::default();
    let mut job = (kind.begins)(&office);
    let mut row = job.row.clone();
    let finished = live(&office, &model, &paper, &mut job, &Arc::new(Life::new(Some(death))));
    if !finished {
        let left = paper.crash(survive).into_iter().find(|left| left.row.id == row.id);
        let record = left.map(|left| left.record).unwrap_or_default();
        let fresh = matches!(record, Record { sent: None, .. }) && !office.is_delivered(&job);
        if fresh || !office.is_delivered(&job) || record != Record::default() {
            // The next process has it as it is listed then.
            let now = office.team.board.row("notifications", row.id.as_str());
            row.read_at = serde_json::from_value(now["readAt"].clone()).unwrap();
            let mut job = Job { number: 1, row, record };
            assert!(live(&office, &model, &paper, &mut job, &Arc::new(Life::new(None))), "{what}");
        }
    }
    let told = model.told.lock().unwrap();
    assert_eq!(told.len(), kind.turns, "{what}: no turn is paid twice: {told:?}");
    let messages = office.messages_of_ben();
    let said: Vec<&str> = messages.iter().map(|message| &message["content"].as_str().unwrap()[..1]).collect();
    assert_eq!(said, kind.messages, "{what}");
    assert!(office.is_delivered(&job), "{what}");
    let documents = office.team.board.rows("documents").len();
    // A call that was cut in the middle is not made again: the agent was told that it may have been carried out.
    let cut = kind.documents.saturating_sub(documents);
    assert!(documents <= kind.documents && cut <= 1, "{what}: {documents} documents");
    finished
}

#[test]
fn whoever_dies_when_everything_happens_once() {
    let mut points = 0;
    for kind in &KINDS {
        for after in [false, true] {
            for survive in [0, usize::MAX] {
                let mut at = 0;
                while !dies_and_goes_on(kind, Death { at, after }, survive) {
                    at += 1;
                    points += 1;
                }
            }
        }
    }
    assert!(points > 120, "{points} crash points");
}
