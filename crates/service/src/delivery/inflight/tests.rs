//! Calls and notes of deliveries that agents work on.

use serde_json::json;

use super::*;
use crate::delivery::active_delivery::{CallAdmission, JournalHandle};
use mcr_core::delivery::journal::{Note, Step, Wait};
use mcr_core::delivery::tool_log;
use mcr_core::tools::ToolRequest;
use mcr_model::clock::SystemClock;
use mcr_model::{BehaviorFlags, Notification, TaskId};
use mcr_store::ledger::MemoryLedger;

fn work(id: &str) -> Arc<Work> {
    let row = json!({"_id": id, "type": "mention", "recipientType": "agent", "recipientId": "a",
        "taskId": "t1", "title": "", "body": "", "createdAt": 1});
    Arc::new(Work::from(serde_json::from_value::<Notification>(row).unwrap()))
}

fn rights() -> AgentRights {
    AgentRights { task: None, flags: BehaviorFlags::default(), leads: false, may_close: false }
}

fn request() -> ToolRequest {
    let arguments = json!({"status": "review"}).to_string();
    mcr_core::tools::decode("task_status", &arguments, Some(&TaskId::new("t1"))).unwrap()
}

fn other_request() -> ToolRequest {
    let arguments = json!({"taskId": "t1", "content": "Done."}).to_string();
    mcr_core::tools::decode("task_message", &arguments, Some(&TaskId::new("t1"))).unwrap()
}

/// The agent makes a call over HTTP; returns the result if the call had run before.
fn calls(held: &ActiveDelivery, journal: &MemoryLedger) -> Option<String> {
    let handle = JournalHandle { journal, clock: &SystemClock };
    held.confirm_results(handle);
    match held.begin(&request(), None, 8, handle) {
        CallAdmission::Known(output) => Some(output),
        CallAdmission::Make(making) => {
            making.carried_out("moved", vec!["message_1".to_owned()], Vec::new());
            None
        }
        _ => panic!("the call is neither known nor run"),
    }
}

/// While the agent works, the worker's record has no tool log, but the worker's notes have it.
#[test]
fn a_note_of_the_worker_contains_the_calls_over_http() {
    let (inflight, journal) = (InFlight::new(crossbeam_channel::bounded(1).0), MemoryLedger::default());
    let (work, mut record) = (work("n1"), Record::default());
    inflight.hold(&work, &mut record, rights(), Reading::default());
    let held = inflight.held_of(&work).unwrap();
    assert_eq!(calls(&held, &journal), None);
    let note = Note::of(&work, Millis(1)).record(&record).step(Step::TurnSent, "");
    held.note(&note, &journal, Wait::ForDisk).unwrap();
    let left = journal.crash(0);
    assert!(left[0].record.effects.has_made("message_1") && left[0].record.effects.count() == 1);
    let effects = inflight.let_go(&work).unwrap();
    assert_eq!(effects, left[0].record.effects, "the log is returned at the end");
    assert!(inflight.held(&work.track).is_none() && inflight.let_go(&work).is_none());
}

/// A later list renews a notification that waits for its next attempt.
#[test]
fn a_note_of_a_call_has_the_work_of_the_last_attempt() {
    let (inflight, journal) = (InFlight::new(crossbeam_channel::bounded(1).0), MemoryLedger::default());
    let (first, mut record) = (work("n1"), Record::default());
    let later = Notification { created_at: Millis(9), ..first.notification().unwrap().clone() };
    inflight.hold(&first, &mut record, rights(), Reading::default());
    inflight.hold(&Arc::new(later.into()), &mut record, rights(), Reading::default());
    assert_eq!(calls(&inflight.held_of(&first).unwrap(), &journal), None);
    assert_eq!(journal.crash(0)[0].work.created_at(), Millis(9));
}

/// Another delivery of the same track starts while the first one pauses: calls belong to the new one. When the first one
/// continues, it still has its own calls, whatever the worker's record contains.
#[test]
fn a_passed_delivery_keeps_its_tool_log() {
    let (inflight, journal) = (InFlight::new(crossbeam_channel::bounded(1).0), MemoryLedger::default());
    let (first, second, record) = (work("n1"), work("n2"), Record::default());
    let begins = |work: &Arc<Work>| {
        inflight.hold(work, &mut record.clone(), rights(), Reading::default());
        inflight.held(&work.track).unwrap()
    };
    let held = begins(&first);
    assert_eq!(calls(&held, &journal), None);
    let passing = begins(&second);
    let handle = JournalHandle { journal: &journal, clock: &SystemClock };
    assert!(matches!(held.begin(&request(), None, 8, handle), CallAdmission::Over));
    assert_eq!(calls(&passing, &journal), None, "each delivery has its own log");
    inflight.let_go(&second);
    let (held, mut again) = (begins(&first), record.clone());
    held.with_log(&mut again, Record::send_again);
    assert!(held.has_made("message_1") && again == record);
    assert_eq!(calls(&held, &journal).as_deref(), Some("moved"));
    assert_eq!(calls(&held, &journal), None, "one known result per call");
    inflight.forget(&first);
    assert!(inflight.held_of(&first).is_none() && inflight.held(&first.track).is_none());
}

/// Calls over HTTP and calls of function tools in one turn go into one log, which the record only borrows.
#[test]
fn calls_over_http_and_function_calls_share_one_log() {
    let (inflight, journal) = (InFlight::new(crossbeam_channel::bounded(1).0), MemoryLedger::default());
    let (work, mut record) = (work("n1"), Record::default());
    record.effects.made("earlier".to_owned());
    inflight.hold(&work, &mut record, rights(), Reading::default());
    let held = inflight.held_of(&work).unwrap();
    assert_eq!(record, Record::default(), "the table has the log");
    assert_eq!(calls(&held, &journal), None);

    let digest = tool_log::digest_of(&other_request());
    let seen = held.with_log(&mut record, |record| {
        let seen = (record.effects.has_made("message_1"), record.effects.has_acted());
        record.effects.keep(digest, "written");
        record.effects.made("document_1".to_owned());
        seen
    });
    assert_eq!(seen, (true, true), "the function tool sees the call over HTTP");
    assert_eq!(record, Record::default(), "the record keeps no copy of the log");
    let handle = JournalHandle { journal: &journal, clock: &SystemClock };
    let CallAdmission::Make(making) = held.begin(&request(), None, 8, handle) else {
        panic!("it is another call")
    };
    assert!(
        making.has_made("document_1") && making.has_made("earlier"),
        "the call over HTTP sees the function tool"
    );
    making.had_no_effect(Vec::new());

    held.with_log(&mut record, Record::send_again);
    let repeated = held.begin(&other_request(), None, 8, handle);
    assert!(
        matches!(repeated, CallAdmission::Known(output) if output == "written"),
        "the function tool ran before"
    );
    let repeated =
        held.with_log(&mut record, |record| record.effects.recall(&tool_log::digest_of(&request())));
    assert_eq!(repeated.as_deref(), Some("moved"), "the call over HTTP ran before");
    let log = inflight.let_go(&work).unwrap();
    assert!(["earlier", "message_1", "document_1"].iter().all(|id| log.has_made(id)));
}

/// A change that panics returns the log.
#[test]
fn a_panic_loses_no_tool_log() {
    let inflight = InFlight::new(crossbeam_channel::bounded(1).0);
    let (work, mut record) = (work("n1"), Record::default());
    inflight.hold(&work, &mut record, rights(), Reading::default());
    let held = inflight.held_of(&work).unwrap();
    let change = std::panic::AssertUnwindSafe(|| {
        held.with_log(&mut record, |record| {
            record.effects.made("message_1".to_owned());
            std::panic::resume_unwind(Box::new(()));
        });
    });
    assert!(std::panic::catch_unwind(change).is_err());
    assert!(held.has_made("message_1") && record == Record::default());
}

/// The note of a call has no record: the worker's last note and pause stay as they are.
#[test]
fn a_note_of_a_call_changes_the_tool_log_alone() {
    let (inflight, journal) = (InFlight::new(crossbeam_channel::bounded(1).0), MemoryLedger::default());
    let (work, mut record) = (work("n1"), Record { tries: 3, ..Record::default() });
    inflight.hold(&work, &mut record, rights(), Reading::default());
    let held = inflight.held_of(&work).unwrap();
    let note = Note::of(&work, Millis(1)).record(&record).rests(Some(Millis(9)));
    held.note(&note, &journal, Wait::ForDisk).unwrap();
    // The worker continues without a new note.
    record.tries = 4;
    assert_eq!(calls(&held, &journal), None);
    let left = journal.crash(0).remove(0);
    assert_eq!((left.record.tries, left.not_before), (3, Some(Millis(9))));
    assert!(left.record.effects.has_made("message_1"));
}
