//! Explanations in three sentences: every state of a delivery, and what blocks it.

/// The figures of the agents.
mod agents;
/// What stops a task or an agent.
mod stops;

use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::cause::Cause;
use mission_control_runtime::delivery::journal::RecordedStep;
use mission_control_runtime::delivery::operator_requests::Place;
use mission_control_runtime::delivery::policy::Skip;
use mission_control_runtime::delivery::reply::Silence;
use mission_control_runtime::delivery::{End, PendingAnswer, Record, Stage, ToolRounds};
use mission_control_runtime::gateway_config::Form;
use mission_control_runtime::model::Notification;
use mission_control_runtime::ops::{
    Case, MissingAgents, Paused, ServiceCondition, StoppedByBrake, TurnState, TurnStatus, brief, many, one,
};
use mission_control_runtime::work::{self, WorkId};
use serde_json::{Value, json};

const NOW: Millis = Millis(1_795_000_000_000);
const SILENCE: Duration = Duration::from_mins(15);

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The work of a notification.
fn as_work(row: Value) -> Arc<work::Work> {
    Arc::new(serde_json::from_value::<Notification>(row).unwrap().into())
}

/// A mention of ben, seen a minute ago, with nothing else known.
fn case(id: &str) -> Case {
    let row = json!({"_id": id, "type": "mention", "recipientType": "agent", "recipientId": "k-ben",
        "taskId": "t1", "title": "", "body": "", "createdAt": (NOW - secs(60)).0});
    Case {
        work: as_work(row),
        record: Record::default(),
        agent: "ben".to_owned(),
        first_seen: Some(NOW - secs(60)),
        not_before: None,
        closed: None,
        steps: Vec::new(),
        left_out: 0,
        trouble: None,
        place: None,
        turn: None,
    }
}

fn ended(end: End) -> Case {
    Case { closed: Some((NOW - secs(10), Some(end))), ..case("n1") }
}

fn at(place: Place) -> Case {
    Case { place: Some(place), ..case("n1") }
}

fn runs() -> ServiceCondition {
    ServiceCondition { runs: true, ..ServiceCondition::default() }
}

fn turn(state: TurnState, quiet: u64) -> TurnStatus {
    TurnStatus { state, since: NOW - secs(200), quiet: secs(quiet) }
}

fn answered() -> Stage {
    Stage::Answered(PendingAnswer::new(vec!["It is done.".to_owned()], false))
}

fn unposted() -> PendingAnswer {
    PendingAnswer::new(vec!["a".to_owned(), "b".to_owned()], false)
}

/// A case, its state, and words of the three sentences.
type Row = (Case, &'static str, [&'static str; 3]);

#[track_caller]
fn tell(rows: Vec<Row>) {
    for (case, state, words) in rows {
        let found = one(&case, &runs(), SILENCE, NOW);
        assert_eq!(found.state, state, "{found:?}");
        for (sentence, word) in [&found.what, &found.why, &found.next].into_iter().zip(words) {
            assert!(sentence.contains(word), "{state} lacks {word:?}: {found:?}");
            assert!(!sentence.contains('\n') && sentence.ends_with('.'), "{sentence:?}");
        }
        // The live page shows ended work by its reason alone, and cuts the age off the first sentence.
        if case.closed.is_some() {
            assert!(found.what.contains(" s ago (") && found.what.ends_with("Z)."), "{found:?}");
            let listed = brief(&case, &runs(), SILENCE, NOW);
            assert_eq!(listed.why, found.why);
            assert!(!listed.why.contains(" ago ("), "{listed:?}");
        }
        let first: Vec<String> = found.text().lines().take(3).map(str::to_owned).collect();
        assert_eq!(first, [found.what, found.why, found.next]);
    }
}

fn asked(tries: u32) -> Record {
    Record { tries, ..Record::default() }
}

#[test]
fn every_outcome_is_explained() {
    let rows: Vec<Row> = vec![
        (
            Case { record: asked(2), ..ended(End::Answered(1)) },
            "answered",
            [
                "Mention for ben: answered 10 s ago",
                "asked 2 times; the delivery ended 50 s after its creation",
                "Done. No action needed.",
            ],
        ),
        (ended(End::Answered(3)), "answered", ["answered in 3 messages", "not asked", "Done"]),
        (ended(End::Kept("x".to_owned())), "kept", ["answered", "no thread", "Done. No action needed."]),
        (
            ended(End::Silent(Silence::HeartbeatOk)),
            "silent",
            ["ended without an answer 10 s ago", "The agent had nothing to say; none was required.", "Done"],
        ),
        (
            Case {
                record: Record { failures: [(Cause::Silence, 3)].into(), ..asked(3) },
                ..ended(End::Unanswered(Silence::Empty))
            },
            "unanswered",
            [
                "should have answered and did not",
                "Asked 3 times, the agent's reply was empty.",
                "mention the agent",
            ],
        ),
        (
            ended(End::Skipped(Skip::ArchivedTask)),
            "skipped",
            ["not sent to the agent", "he task is archived", "Done"],
        ),
        (ended(End::Gone), "gone", ["no longer existed", "deleted", "Done"]),
        (
            ended(End::Dead("the request is too large".to_owned())),
            "dead",
            [
                "given up 10 s ago",
                "The request is too large.",
                "`dead retry n1` sends a new turn, `dead drop n1`",
            ],
        ),
        (
            Case {
                record: Record { unposted: Some(unposted()), ..asked(1) },
                ..ended(End::Dead("no".to_owned()))
            },
            "dead",
            ["given up", "No.", "`dead retry n1` posts the answer that the agent has given"],
        ),
        (
            ended(End::Stopped),
            "stopped",
            ["stopped", "A person stopped the work on this task.", "mention the agent to ask again"],
        ),
        (
            ended(End::Dropped("no".to_owned())),
            "dropped",
            ["closed permanently by a person", "It had been given up: no.", "Done"],
        ),
        (
            Case { closed: Some((NOW, None)), ..case("n1") },
            "over",
            ["ended 0 s ago", "does not know", "Done"],
        ),
    ];
    tell(rows);
}

#[test]
fn open_work_is_explained() {
    let rests = Place::Rests(NOW + secs(12));
    let trouble = |case: Case, words: &str| Case { trouble: Some(words.to_owned()), ..case };
    let rows: Vec<Row> = vec![
        (
            Case { turn: Some(turn(TurnState::Working, 3)), ..at(Place::Running) },
            "working",
            ["working on it for 3 min", "last sign of life was 3 s ago", "checked in 14 min"],
        ),
        (
            Case { turn: Some(turn(TurnState::Waiting, 3)), ..at(Place::Running) },
            "working",
            ["working on it", "busy with other turns", "posted when it arrives"],
        ),
        (
            Case { turn: Some(turn(TurnState::Quiet, 100)), ..at(Place::Running) },
            "working",
            ["working on it", "No sign of life for 100 s", "in 13 min"],
        ),
        (
            Case { turn: Some(turn(TurnState::Stuck, 900)), ..at(Place::Running) },
            "working",
            ["working on it", "stuck: no sign of life for 15 min", "now"],
        ),
        (at(Place::Running), "working", ["about to be sent", "A worker is processing it", "at once"]),
        (
            Case {
                record: Record { stage: Stage::Working(ToolRounds::default()), ..asked(1) },
                ..at(Place::Running)
            },
            "working",
            ["a tool call of the agent is running", "worker", "at once"],
        ),
        (
            Case { record: Record { stage: answered(), ..asked(1) }, ..at(Place::Running) },
            "working",
            ["is being posted", "worker", "at once"],
        ),
        (
            at(Place::Ready),
            "waiting",
            ["open; it was created 60 s ago", "free worker", "as soon as possible"],
        ),
        (
            at(Place::Behind(WorkId::new("n0"))),
            "waiting",
            ["open", "Another delivery of the same agent and task comes first: n0.", "`why n0`"],
        ),
        (
            trouble(
                Case {
                    record: Record { failures: [(Cause::ProviderTrouble, 2)].into(), ..asked(2) },
                    ..at(rests.clone())
                },
                "the provider is down",
            ),
            "resting",
            ["tried 2 times, and still open", "The provider is down.", "tried again in 12 s"],
        ),
        (
            trouble(
                Case {
                    record: Record {
                        stage: answered(),
                        failures: [(Cause::BackendAway, 1)].into(),
                        ..asked(1)
                    },
                    ..at(rests.clone())
                },
                "the provider is unreachable",
            ),
            "resting",
            ["the answer is not in the thread yet", "The provider is unreachable.", "tried again in 12 s"],
        ),
        (
            trouble(at(rests), "the answer was lost: it goes on"),
            "resting",
            ["waits for its next attempt", "The answer was lost: it goes on.", "tried again"],
        ),
        (case("n1"), "closing", ["ended just now", "being recorded", "`why n1`"]),
    ];
    tell(rows);
}

/// Causes that block every delivery come first, and all of them are named.
#[test]
fn what_blocks_every_delivery_is_named_first() {
    let paused =
        |all, agents: &[&str]| Paused { all, agents: agents.iter().map(|a| (*a).to_owned()).collect() };
    let gateway = || Some("the gateway is unreachable at its address. Check that it runs.".to_owned());
    let backend = || Some("the token was not accepted".to_owned());
    let lists = ["ada".to_owned()];
    let rows: [(ServiceCondition, &[&str]); 10] = [
        (
            ServiceCondition {
                missing: MissingAgents::compare(["ada", "ben"].into_iter(), Some(&lists), Form::Entries),
                ..runs()
            },
            &["The gateway does not know the agent ben: add it, under its slug, to agents.entries"],
        ),
        (ServiceCondition::default(), &["The service does not run; `run` starts it."]),
        (
            ServiceCondition { paused: paused(true, &[]), ..runs() },
            &["Everything is paused; `resume` ends that."],
        ),
        (
            ServiceCondition { paused: paused(false, &["ben"]), ..runs() },
            &["ben is paused; `resume --agent ben` ends that."],
        ),
        (
            ServiceCondition { paused: paused(false, &["k-ben"]), ..runs() },
            &["ben is paused; `resume --agent ben` ends that."],
        ),
        (
            ServiceCondition { gateway: gateway(), ..runs() },
            &["No turn can begin: the gateway is unreachable", "Check that it runs."],
        ),
        (
            ServiceCondition { backend: backend(), ..runs() },
            &["Mission Control is unavailable: the token was not accepted."],
        ),
        (
            ServiceCondition { foreign: Some("another runtime works here".to_owned()), ..runs() },
            &["Another runtime works here."],
        ),
        (
            ServiceCondition {
                gateway: gateway(),
                backend: backend(),
                paused: paused(true, &[]),
                ledger: Some("disk full".to_owned()),
                ..runs()
            },
            &[
                "Everything is paused",
                "Also: No turn can begin",
                "Also: Mission Control",
                "Nothing is recorded: disk full.",
            ],
        ),
        (
            ServiceCondition { ledger: Some("disk full".to_owned()), holds: true, ..runs() },
            &["Nothing new begins until STATE_DIR can be written again: disk full."],
        ),
    ];
    for (condition, words) in rows {
        let case = Case { trouble: Some("its own".to_owned()), ..at(Place::Ready) };
        let found = one(&case, &condition, SILENCE, NOW);
        assert_eq!(found.state, "held", "{found:?}");
        for word in words {
            assert!(found.why.contains(word), "{word}: {}", found.why);
        }
    }
    // Another agent's pause, or a pause that comes too late for a turn, blocks nothing.
    let others = ServiceCondition { paused: paused(false, &["ada"]), ..runs() };
    assert_eq!(one(&at(Place::Ready), &others, SILENCE, NOW).state, "waiting");
    let case = Case { record: Record { stage: answered(), ..Record::default() }, ..at(Place::Ready) };
    assert_eq!(
        one(&case, &ServiceCondition { paused: paused(true, &[]), ..runs() }, SILENCE, NOW).state,
        "waiting"
    );
    assert_eq!(one(&case, &ServiceCondition { gateway: gateway(), ..runs() }, SILENCE, NOW).state, "waiting");
}

/// Of many deliveries the most informative one is explained: waiting, given up, the latest end.
#[test]
fn of_many_deliveries_the_most_informative_is_explained() {
    let named = |id: &str, case: Case| {
        let mut case = case;
        Arc::make_mut(&mut case.work).id = WorkId::new(id);
        case
    };
    let over = named("over", ended(End::Answered(1)));
    let dead = named("dead", ended(End::Dead("no".to_owned())));
    let behind = named("behind", at(Place::Behind(WorkId::new("rests"))));
    let rests = named("rests", at(Place::Rests(NOW + secs(5))));
    let rows = [
        (
            vec![over.clone(), dead.clone(), behind, rests],
            "2 open, 1 given up, 1 ended. Most relevant: rests:",
        ),
        (vec![over.clone(), dead], "0 open, 1 given up, 1 ended. Most relevant: dead:"),
        (vec![over], "0 open, 0 given up, 1 ended. Most relevant: over:"),
    ];
    for (cases, words) in rows {
        let found = many("ben", &cases, &runs(), &StoppedByBrake::of(&cases), SILENCE, NOW).unwrap();
        assert!(found.what.starts_with(words), "{}", found.what);
        assert_eq!((found.id.as_str(), found.deliveries.len()), ("ben", cases.len()));
    }
    assert!(many("ben", &[], &runs(), &StoppedByBrake::default(), SILENCE, NOW).is_none());
}

/// The timeline with its times, steps and words, and the agent's answer.
#[test]
fn the_timeline_follows() {
    let step = |at, step: &str, words: &str| RecordedStep {
        at: NOW - secs(at),
        step: step.to_owned(),
        words: words.to_owned(),
    };
    let steps = vec![step(50, "turn-sent", "to ben, try 1"), step(20, "rests", "the provider is down")];
    let record = Record { tries: 1, unposted: Some(unposted()), ..Record::default() };
    let case = Case { steps, record, ..ended(End::Dead("no".to_owned())) };
    let text = one(&case, &runs(), SILENCE, NOW).text();
    for words in [
        "Z  turn-sent     to ben, try 1\n",
        "Z  rests         the provider is down\n",
        "not posted in any thread:\na\n\nb\n",
    ] {
        assert!(text.contains(words), "{words:?}: {text}");
    }
    let data = json!(one(&case, &runs(), SILENCE, NOW));
    assert_eq!((&data["steps"][0]["step"], &data["unposted"]), (&json!("turn-sent"), &json!("a\n\nb")));
}
