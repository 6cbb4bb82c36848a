//! The ledger: every note with a waiting caller is recalled, whatever happens to the process, the disk or the bytes. If
//! that is impossible, the ledger reports it.

/// Changed bytes.
mod damage;
/// Disks that are full, read-only or slow, and folders that are locked.
mod disk;
/// SIGKILL during many concurrent notes.
mod kill;
/// Long texts of open deliveries.
mod long_texts;
/// The ledger in memory, for tests of crashes.
mod memory_ledger;
/// Ledgers of other versions.
mod recorded;
/// What is known about tasks, longer than their deliveries are kept.
mod task_facts;
/// Work that no list of the backend contains.
#[cfg(feature = "test-kind")]
mod test_kind;
/// Fields that only other versions know.
mod unknown_fields;

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::wait;
use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::acts::{Act, ActKind};
use mission_control_runtime::delivery::cause::Cause;
use mission_control_runtime::delivery::journal::{Journal, Note, Step, Wait};
use mission_control_runtime::delivery::policy::Skip;
use mission_control_runtime::delivery::reply::Silence;
use mission_control_runtime::delivery::tool_log::ToolLog;
use mission_control_runtime::delivery::{
    AwaitedBy, BeatRecord, End, JobRecord, Notice, PendingAnswer, Record, Sent, Stage, Stamp, ToolRounds,
    UnknownFields, WithUnknown, dead_letters, from_form_1,
};
use mission_control_runtime::files::{Access, Folder, FolderError};
use mission_control_runtime::gateway::{ToolCall, ToolOutput, Usage};
use mission_control_runtime::guardrails::agent_names::KnownOrigin;
use mission_control_runtime::guardrails::origin::Origin;
use mission_control_runtime::guardrails::{CountStart, Fact, TeamLimit, TeamStop, TeamTurn};
use mission_control_runtime::ledger::{self, KEPT_AGE, KEPT_MAX, Ledger, LedgerError, Opened, Options, Read};
use mission_control_runtime::model::{AccountId, LedgerSync, MessageId, Notification, SessionKey, TaskId};
use mission_control_runtime::pool::outbox::Outbox;
use mission_control_runtime::work::{self, WorkId};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

/// The time of these tests.
const NOW: Millis = Millis(1_765_526_400_123);

fn options() -> Options {
    Options { slow: Duration::ZERO, ..Options::new(AccountId::new("acc1"), LedgerSync::Full) }
}

/// The folder of a ledger, created if needed.
fn folder(directory: &Path) -> Result<Arc<Folder>, FolderError> {
    Folder::make(directory, Access::Owner).map(Arc::new)
}

/// Reads the ledger in this folder.
fn read(directory: &Path) -> Result<Read, LedgerError> {
    ledger::read(&*folder(directory)?)
}

fn try_open(directory: &Path) -> Result<Opened, LedgerError> {
    Ledger::open(&folder(directory)?, &options())
}

fn open(directory: &Path) -> Opened {
    try_open(directory).unwrap_or_else(|why| panic!("it does not open: {why}"))
}

fn notification(id: &str) -> Notification {
    serde_json::from_value(
        json!({"_id": id, "accountId": "acc1", "type": "mention", "recipientType": "agent",
        "recipientId": "agent7", "taskId": "task3", "messageId": "message9", "title": "You were mentioned",
        "body": "…ünïcode…", "createdAt": 1_765_526_399_000.0, "readAt": null}),
    )
    .unwrap()
}

fn row(id: &str) -> work::Work {
    notification(id).into()
}

/// A record that differs for each number.
fn record(failures: u32) -> Record {
    let work =
        ToolRounds { rounds: 2, calls: 3, said: Some("one moment".to_owned()), ..ToolRounds::default() };
    let outputs = vec![ToolOutput { call_id: "c1".to_owned(), output: format!("{{\"n\":{failures}}}") }];
    let failures = [(Cause::Interrupted, failures)].into();
    Record { failures, stage: Stage::Working(ToolRounds { outputs, ..work }), ..Record::default() }
}

/// Notes a record and waits for the disk.
fn put(ledger: &Ledger, id: &str, failures: u32) {
    let (row, record) = (row(id), record(failures));
    let words = format!("attempt {failures}");
    let note = Note::of(&row, NOW).record(&record).step(Step::TurnSent, &words);
    ledger.note(&note, Wait::ForDisk).unwrap();
}

fn close(ledger: &Ledger, id: &str, at: Millis, wait: Wait) {
    let (row, end) = (row(id), End::Answered(1));
    let record = Record { stage: Stage::Ended(end.clone()), ..Record::default() };
    ledger.note(&Note::of(&row, at).record(&record).step(Step::Ended, "answered").ends(&end), wait).unwrap();
}

fn silence() -> impl Strategy<Value = Silence> {
    use Silence::{Empty, HeartbeatOk, NoReply, Placeholder};
    prop::sample::select(vec![Empty, NoReply, Placeholder, HeartbeatOk])
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        any::<usize>().prop_map(End::Answered),
        any::<String>().prop_map(End::Kept),
        silence().prop_map(End::Silent),
        silence().prop_map(End::Unanswered),
        prop::sample::select(Skip::ALL.to_vec()).prop_map(End::Skipped),
        Just(End::Gone),
        Just(End::Stopped),
        any::<String>().prop_map(End::Dead),
        any::<String>().prop_map(End::Dropped),
        any::<String>().prop_map(|id| End::Folded(WorkId::new(id))),
    ]
}

fn work() -> impl Strategy<Value = ToolRounds> {
    let output = (any::<String>(), any::<String>());
    let output = output.prop_map(|(call_id, output)| ToolOutput { call_id, output });
    let outputs = prop::collection::vec(output, 0..4);
    (outputs, any::<u32>(), any::<u32>(), any::<Option<String>>()).prop_map(
        |(outputs, rounds, calls, said)| ToolRounds {
            pending: outputs
                .iter()
                .map(|output| ToolCall {
                    call_id: output.call_id.clone(),
                    name: output.output.clone(),
                    arguments: "{}".to_owned(),
                })
                .collect(),
            doubt: (rounds % 2 == 0).then_some(NOW),
            acted: calls % 2 == 0,
            outputs,
            rounds,
            calls,
            said,
            whom: (rounds % 3 == 0).then(whom),
            extra: extra(calls),
        },
    )
}

fn stage() -> impl Strategy<Value = Stage> {
    let parts = prop::collection::vec(any::<String>(), 0..4);
    let answered = (parts, any::<usize>(), any::<bool>());
    prop_oneof![
        Just(Stage::Fresh),
        work().prop_map(Stage::Working),
        answered.prop_map(|(parts, posted, advance)| Stage::Answered(PendingAnswer {
            extra: extra(u32::from(advance)),
            posted,
            doubt: advance.then_some(NOW),
            ..PendingAnswer::new(parts, advance)
        })),
        (any::<String>(), any::<bool>()).prop_map(|(line, doubt)| Stage::Notice(Notice {
            doubt: doubt.then_some(NOW),
            extra: extra(u32::from(doubt)),
            ..Notice::new(line, End::Dead("why".to_owned()))
        })),
        end().prop_map(Stage::Ended),
    ]
}

fn whom() -> (SessionKey, String) {
    (SessionKey::new("task:t:agent:a:acc:v1"), "a".to_owned())
}

fn effects(number: u32) -> ToolLog {
    let done = json!([{"call": "c0ffee", "output": format!("{{\"n\": {number}}}"), "called": number.is_multiple_of(2)}]);
    let acts = json!({"list": [{"at": 1, "what": "document", "id": "doc_1", "text": ""}], "left_out": 1});
    serde_json::from_value(json!({"done": done, "made": ["doc_1"], "acts": acts})).unwrap()
}

/// What only the record of a job has.
fn job(number: u32) -> Box<JobRecord> {
    let outbox = Outbox::new(format!("answer {number}"), vec!["part".to_owned()], None);
    Box::new(JobRecord { outbox: number.is_multiple_of(2).then_some(outbox), ..JobRecord::default() })
}

fn beat(number: u32) -> Box<BeatRecord> {
    Box::new(BeatRecord {
        digest: format!("{number:x}"),
        at: NOW,
        tasks: vec![TaskId::new("t1"), TaskId::new("t2")],
        events: number.is_multiple_of(2).then_some(u64::from(number)),
        target: number.is_multiple_of(3).then(|| TaskId::new("t1")),
        asked: vec![TaskId::new("t2"); usize::from(number.is_multiple_of(2))],
        requests: number,
        acted: number.is_multiple_of(2),
        extra: extra(number),
    })
}

/// Fields that only a newer version knows, for odd numbers.
fn extra(number: u32) -> UnknownFields {
    let fields = if number.is_multiple_of(2) { json!({}) } else { json!({"later": {"number": number}}) };
    serde_json::from_value(fields).unwrap()
}

/// The facts of the loop brake, if any.
fn team(number: u32) -> Option<TeamTurn> {
    let stop = TeamStop { limit: TeamLimit::Depth, turns: number, is_first: number.is_multiple_of(2) };
    (!number.is_multiple_of(3)).then(|| TeamTurn {
        start: CountStart { message_at: NOW, retries: number % 2 },
        number,
        depth: number % 5,
        progress: number % 7,
        baseline: Fact::document("before").into_iter().collect(),
        news: Fact::document("after").into_iter().collect(),
        stop: number.is_multiple_of(5).then_some(stop),
        is_renewed: number.is_multiple_of(7),
        is_retried: number.is_multiple_of(11),
        extra: extra(number),
    })
}

fn any_record() -> impl Strategy<Value = Record> {
    let counts = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
    (counts, any::<u32>(), any::<u32>(), stage()).prop_map(
        |((failures, doubts, outages, turned_away, lost), silences, unknown, stage)| Record {
            not_accepted: lost,
            requests: failures,
            suspected: doubts,
            held: silences,
            extra: extra(lost),
            tries: failures,
            failures: serde_json::from_value(json!({
                "crash": doubts,
                "interrupted": failures,
                "unknown-agent": doubts,
                "backend-away": outages,
                "turned-away": turned_away,
                "lost-answer": lost,
                "silence": silences,
                "of-a-newer-version": unknown,
            }))
            .unwrap(),
            unanswered_question: Some(lost),
            tools_missing: lost % 4 == 1,
            charged: (lost % 3 == 1).then_some(lost),
            parted: Some(doubts),
            sent: Some(Sent {
                session: SessionKey::new("task:t:agent:a:acc:v1"),
                agent: "a".to_owned(),
                attempt: failures,
                run: Some("resp_1".to_owned()),
                at: NOW,
                lost: Some(NOW),
                silent: true,
                failed: true,
                spoke: true,
                looked: Some(NOW),
                grown: Some((u64::from(lost), NOW)),
                without_tools: lost % 3 == 1,
                interrupted: lost % 2 == 0,
                extra: extra(doubts),
            }),
            heard: Some(Stamp { message: Some(MessageId::new("m")), at: NOW }),
            began_paused: lost % 5 == 0,
            title: format!("title {lost}"),
            seen: (lost % 2 == 0).then(|| Act { number: Some(7), ..Act::new(ActKind::Seen).at(NOW) }),
            unaddressed: lost % 7 == 0,
            team: team(lost),
            folded_into: (lost % 5 == 0).then(|| WorkId::new("n9")),
            origin: (lost % 3 == 0).then_some(KnownOrigin { by: Origin::Agent, at: NOW }),
            answered: lost % 2 == 0,
            answered_then: u64::from(failures),
            reopened: doubts % 2 == 0,
            rested: u64::from(doubts),
            waits: if lost % 3 == 0 { AwaitedBy::Person } else { AwaitedBy::Agent },
            since: NOW,
            effects: effects(silences),
            beat: (lost % 2 == 0).then(|| beat(silences)),
            job: (lost % 3 == 0).then(|| job(silences)),
            spent: WithUnknown {
                known: Usage { input_tokens: 5, output_tokens: u64::from(lost), ..Usage::default() },
                extra: extra(silences),
            },
            unmarked: false,
            is_closed: false,
            unposted: (lost % 2 == 0).then(|| PendingAnswer {
                doubt: Some(NOW),
                extra: extra(silences),
                ..PendingAnswer::new(vec!["words".to_owned()], true)
            }),
            stage,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Every stage and every end is recalled unchanged.
    #[test]
    fn what_was_noted_is_there_again(
        records in prop::collection::vec((any_record(), any::<Option<i64>>()), 1..12),
        ends in prop::collection::vec(end(), 1..6),
    ) {
        let home = TempDir::new().unwrap();
        let Opened { ledger, .. } = open(home.path());
        let mut wait = [Wait::Not, Wait::ForDisk].into_iter().cycle();
        for (number, (record, rest)) in records.iter().enumerate() {
            let row = row(&format!("n{number}"));
            let note = Note::of(&row, NOW).record(record).rests(rest.map(Millis));
            ledger.note(&note, wait.next().unwrap()).unwrap();
        }
        for (number, end) in ends.iter().enumerate() {
            let row = row(&format!("e{number}"));
            ledger.note(&Note::of(&row, NOW).ends(end), wait.next().unwrap()).unwrap();
        }
        drop(ledger);
        let opened = open(home.path());
        prop_assert!(opened.unreadable.is_empty());
        prop_assert_eq!(opened.open.len(), records.len());
        for (number, (found, (record, rest))) in opened.open.iter().zip(&records).enumerate() {
            prop_assert_eq!(found.work.id.as_str(), format!("n{number}"));
            prop_assert_eq!(format!("{:?}", &*found.work), format!("{:?}", row(&format!("n{number}"))));
            prop_assert_eq!(&found.record, record);
            prop_assert_eq!(found.not_before, rest.map(Millis));
            prop_assert_eq!(found.first_seen, NOW);
        }
        let found: Vec<_> = opened.closed.iter().map(|closed| closed.end.clone()).collect();
        prop_assert_eq!(found, ends);
    }
}

/// The names on the disk are those used everywhere else in the runtime, and never change.
#[test]
fn what_is_kept_has_stable_names() {
    let name = |value: serde_json::Value| match value {
        serde_json::Value::Object(map) => map.into_iter().next().unwrap().0,
        other => other.as_str().unwrap().to_owned(),
    };
    for skip in Skip::ALL {
        assert_eq!(name(json!(skip)), skip.name());
    }
    for silence in [Silence::Empty, Silence::NoReply, Silence::Placeholder, Silence::HeartbeatOk] {
        assert_eq!(name(json!(silence)), silence.name());
        for end in [End::Silent(silence), End::Unanswered(silence), End::Skipped(Skip::NoTask), End::Gone] {
            assert_eq!(name(json!(end)), end.name());
        }
    }
    let dropped = End::Dropped(String::new());
    for end in [End::Answered(1), End::Kept(String::new()), End::Dead(String::new()), dropped] {
        assert_eq!(name(json!(end)), end.name());
    }
    let answer = PendingAnswer::new(vec!["a".to_owned()], true);
    let record = Record { stage: Stage::Answered(answer), ..Record::default() };
    let stage = json!({"answered": {"parts": ["a"], "posted": 0, "doubt": null, "advance": true}});
    assert_eq!(json!(record), json!({"stage": stage}), "what is as in the beginning is left out");
    let sent = json!({"session": "task:t", "agent": "a", "attempt": 1, "run": "r", "at": 1, "lost": 2, "silent": true, "failed": true,
        "spoke": true, "looked": 3, "grown": [4, 5], "interrupted": true});
    let effects = json!({"done": [{"call": "c", "output": "o", "called": true}], "made": ["m"]});
    let cost = json!({"input_tokens": 3, "output_tokens": 4});
    let unposted = json!({"parts": ["words"], "posted": 0, "doubt": 1, "advance": true});
    let failures = json!({"internal": 1, "backend": 2, "backend-away": 3, "turned-away": 4, "lost-answer": 5, "silence": 6, "no-context": 7,
        "earlier": 8, "earlier-provider": 9, "crash": 10, "answer-not-received": 11});
    let all = json!({"tries": 1, "requests": 1, "suspected": 1, "held": 1, "failures": failures, "answered_then": 1,
        "sent": sent, "unheard": 1, "parted": 1, "heard": ["m", 1], "answered": true,
        "reopened": true, "rested": 1, "waits": "person", "since": 1, "effects": effects, "spent": cost, "unposted": unposted, "stage": stage});
    let known: Record = serde_json::from_value(all.clone()).unwrap();
    assert_eq!(json!(known), all);
    let counted_apart: Record =
        serde_json::from_value(json!({"crashes": 2, "failures": {"crash": 3}})).unwrap();
    assert_eq!(json!(counted_apart), json!({"failures": {"crash": 5}}), "crashes had a field of their own");
    assert!(serde_json::from_value::<Record>(json!({"crashes": "many"})).is_err());
    assert_eq!(json!(Stage::Fresh), "fresh");
    let notice = Stage::Notice(Notice::new("a line".to_owned(), End::Gone));
    assert_eq!(json!(notice), json!({"notice": {"line": "a line", "doubt": null, "end": "gone"}}));
    let work = Stage::Working(ToolRounds { whom: Some(whom()), ..ToolRounds::default() });
    assert_eq!(json!(work)["working"]["whom"], json!(["task:t:agent:a:acc:v1", "a"]));
    let names: std::collections::HashSet<_> = Step::ALL.map(Step::name).into();
    assert_eq!(names.len(), Step::ALL.len());
}

/// "One writer thread with group commit": notes that wait at the same time cost one sync.
#[test]
fn notes_that_are_waited_for_together_are_one_commit() {
    let home = TempDir::new().unwrap();
    let slow = Options { slow: Duration::from_millis(2), ..options() };
    let ledger = Ledger::open(&folder(home.path()).unwrap(), &slow).unwrap().ledger;
    let (threads, notes) = (16, 25);
    thread::scope(|scope| {
        for thread in 0..threads {
            let ledger = &ledger;
            scope.spawn(move || (0..notes).for_each(|count| put(ledger, &format!("n{thread}"), count)));
        }
    });
    let state = ledger.state();
    assert_eq!((state.notes, state.open, &state.off), (u64::from(threads * notes), 16, &None));
    assert!(state.synced < u64::from(threads * notes / 4), "{state:?}");
    drop(ledger);
    let found = open(home.path()).open;
    assert!(found.len() == 16 && found.iter().all(|found| found.record == record(notes - 1)));
}

/// "Order per delivery is kept": the last note counts, with or without a waiting caller. The history has all steps.
#[test]
fn the_last_note_counts() {
    let home = TempDir::new().unwrap();
    let ledger = open(home.path()).ledger;
    for count in 0..40 {
        let (row, record) = (row("n1"), record(count));
        let words = count.to_string();
        let note = Note::of(&row, NOW + Duration::from_millis(count.into())).record(&record);
        let wait = if count % 7 == 0 { Wait::ForDisk } else { Wait::Not };
        ledger.note(&note.step(Step::Rests, &words), wait).unwrap();
    }
    // A note without a record leaves the record unchanged.
    let row = row("n1");
    ledger.note(&Note::of(&row, NOW).step(Step::TurnTaken, "run_1"), Wait::ForDisk).unwrap();
    let seen = read(home.path()).unwrap();
    let [delivery] = &seen.deliveries[..] else { panic!("{seen:?}") };
    let words: Vec<_> = delivery.steps.iter().map(|steps| steps.words.clone()).collect();
    let expected: Vec<_> = (0..40).map(|count| count.to_string()).chain(["run_1".to_owned()]).collect();
    assert_eq!((words, delivery.left_out, &delivery.record), (expected, 0, &record(39)));
    assert_eq!((delivery.first_seen, delivery.closed), (NOW, None));
    drop(ledger);
    assert_eq!(open(home.path()).open[0].record, record(39));
}

/// A closed delivery that continues keeps its step history, also across a restart.
#[test]
fn a_story_goes_on_where_it_ended() {
    let home = TempDir::new().unwrap();
    let ledger = open(home.path()).ledger;
    put(&ledger, "n1", 1);
    close(&ledger, "n1", NOW, Wait::ForDisk);
    put(&ledger, "n1", 2);
    put(&ledger, "n1", 3);
    assert_eq!(ledger.state().open, 1);
    close(&ledger, "n1", NOW, Wait::ForDisk);
    drop(ledger);
    let ledger = open(home.path()).ledger;
    put(&ledger, "n1", 4);
    drop(ledger);
    let opened = open(home.path());
    assert_eq!((opened.open.len(), opened.closed.len(), &opened.open[0].record), (1, 0, &record(4)));
    let seen = read(home.path()).unwrap();
    let steps: Vec<_> = seen.deliveries[0].steps.iter().map(|steps| steps.words.as_str()).collect();
    assert_eq!(steps, ["attempt 1", "answered", "attempt 2", "attempt 3", "answered", "attempt 4"]);
}

/// "Bounded size": after 20,000 deliveries the file has only the last ones, and the other pages are returned.
#[test]
fn what_is_over_is_kept_for_a_while_and_the_file_stays_small() {
    let home = TempDir::new().unwrap();
    let ledger = open(home.path()).ledger;
    put(&ledger, "never over", 1);
    for count in 0..20_000_u32 {
        let wait = if count % 100 == 0 { Wait::ForDisk } else { Wait::Not };
        close(&ledger, &format!("n{count}"), NOW + Duration::from_millis(count.into()), wait);
    }
    put(&ledger, "never over", 2);
    // The other rows are removed in small steps, with the next commits.
    let closed = |seen: &mission_control_runtime::ledger::Read| {
        seen.deliveries.iter().filter(|delivery| delivery.closed.is_some()).count()
    };
    for count in 3..400 {
        put(&ledger, "never over", count);
    }
    let seen = read(home.path()).unwrap();
    assert_eq!(closed(&seen), KEPT_MAX);
    assert_eq!(seen.deliveries.last().unwrap().id.as_str(), "n19999");
    let size = || std::fs::metadata(home.path().join("ledger.sqlite")).unwrap().len();
    wait::until("a smaller file", || size() <= 6_000_000);
    // A week later all but the latest row are too old.
    let later = NOW + KEPT_AGE + Duration::from_mins(10);
    for count in 0..40 {
        close(&ledger, "the latest", later, Wait::ForDisk);
        put(&ledger, "never over", count);
    }
    assert_eq!(closed(&read(home.path()).unwrap()), 1);
    drop(ledger);
    let opened = open(home.path());
    assert_eq!((opened.open.len(), opened.closed.len()), (1, 1));
    assert_eq!(opened.closed[0].id.as_str(), "the latest");
}

/// The last dead letters are kept for a person's decision, however many deliveries end after them.
#[test]
fn what_was_given_up_is_not_pushed_out() {
    let home = TempDir::new().unwrap();
    let ledger = open(home.path()).ledger;
    for count in 0..dead_letters::MOST + 20 {
        let (row, end) = (row(&format!("d{count}")), End::Dead("no".to_owned()));
        let note = Note::of(&row, NOW + Duration::from_millis(count as u64)).ends(&end);
        ledger.note(&note, Wait::Not).unwrap();
    }
    let later = NOW + Duration::from_mins(1);
    for count in 0..3 * KEPT_MAX {
        let wait = if count % 50 == 0 { Wait::ForDisk } else { Wait::Not };
        close(&ledger, &format!("n{count}"), later, wait);
    }
    drop(ledger);
    let opened = open(home.path());
    let dead = opened.dead;
    assert_eq!((dead.len(), dead[0].work.id.as_str()), (dead_letters::MOST, "d20"));
    assert!(opened.closed.len() <= KEPT_MAX + 100, "{}", opened.closed.len());
}

/// A ledger that is off accepts every note, records nothing, and reports that.
#[test]
fn a_ledger_that_is_off_says_so() {
    let ledger = Ledger::off("STATE_DIR is not writable");
    put(&ledger, "n1", 1);
    let state = ledger.state();
    assert_eq!((state.off.as_deref(), state.notes), (Some("STATE_DIR is not writable"), 0));
    ledger.close();
}

/// A closed ledger refuses notes that wait, and loses none of the earlier notes.
#[test]
fn the_end_writes_what_is_left() {
    let home = TempDir::new().unwrap();
    let ledger = Arc::new(open(home.path()).ledger);
    let (tell, steps) = mpsc::channel();
    let mut noted = 0;
    thread::scope(|scope| {
        for thread in 0..4 {
            let (ledger, tell) = (&ledger, tell.clone());
            scope.spawn(move || {
                for count in 0.. {
                    let (row, record) = (row(&format!("n{thread}.{count}")), record(count));
                    let note = Note::of(&row, NOW).record(&record);
                    let wait = if count % 2 == 0 { Wait::ForDisk } else { Wait::Not };
                    match ledger.note(&note, wait) {
                        Ok(()) => tell.send(wait).unwrap(),
                        Err(why) => return assert_eq!(why.to_string(), "the ledger is closed"),
                    }
                }
            });
        }
        drop(tell);
        // Closes during the notes. A later note counts only if its caller has waited for the disk.
        noted += steps.iter().take(100).count();
        ledger.close();
        noted += steps.iter().filter(|wait| *wait == Wait::ForDisk).count();
    });
    assert!(noted >= 100);
    let found = open(home.path()).open.len();
    assert!(found >= noted, "{found} of {noted}");
}

/// Another account's deliveries in the same folder are neither recalled nor lost.
#[test]
fn accounts_do_not_mix() {
    let home = TempDir::new().unwrap();
    put(&open(home.path()).ledger, "n1", 1);
    let other = Options { account: AccountId::new("acc2"), ..options() };
    let opened = Ledger::open(&folder(home.path()).unwrap(), &other).unwrap();
    assert_eq!((opened.open.len(), opened.foreign, opened.unreadable.len()), (0, 1, 0));
    put(&opened.ledger, "n2", 2);
    drop(opened);
    let opened = open(home.path());
    assert_eq!((opened.open.len(), opened.foreign), (1, 1));
    assert_eq!(opened.open[0].work.id, WorkId::new("n1"));
}
