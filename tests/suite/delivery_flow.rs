//! The steps of a delivery, as the backend and the agent see them. The backend is the embedded one, called
//! directly; the gateway is scripted.

/// A full disk when a note is due, and failing calls after the answer.
mod after_the_answer;
/// What is counted, and what begins a turn.
mod counted;
/// Every crash point.
mod crashes;
mod crashing_process;
/// A dead letter that is dropped while its mark is retried.
mod dropped;
/// Every crash point of a turn that answers several rows.
mod folded_crashes;
/// Deliveries that a person restarts.
mod retried;
/// Lost answers of tool rounds, with every release of the gateway.
mod rounds;
/// Sequences in which an effect was once lost or repeated.
mod sequences;
pub(crate) use sequences::plan;
/// A turn whose answer was lost.
mod settling;
/// A board, the parts of the service, and a job.
mod setup;
/// Work of the test kind, stopped at every note.
#[cfg(feature = "test-kind")]
mod test_kind;
/// Whether the board shows "typing".
mod typing;

use mission_control_runtime::convex;
use mission_control_runtime::delivery::cause::Cause;
use mission_control_runtime::delivery::retry::UNKNOWN_MAX;
use mission_control_runtime::delivery::{End, Outcome, Stage};
use mission_control_runtime::gateway::{Class, Why};
use mission_control_runtime::local::{Caller, Kind};
use serde_json::{Value, json};

use crate::support::direct::Fault;
use setup::Fixture;

const CONTEXT: &str = "getNotificationForDelivery";
const READ: &str = "markNotificationRead";
const POST: &str = "createMessageFromAgent";
const DELIVERED: &str = "markNotificationDelivered";
const ENDED: &str = "markNotificationDeliveryEnded";
const ADVANCE: &str = "updateTaskStatusFromAgent";

/// §2.8: "1 context + read + create message + delivered", with the content of each call.
#[test]
fn a_mention_is_answered_with_four_calls() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben, what do you think?");
    fixture.gateway.says("  I like it.  ");
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert_eq!(fixture.backend.take_names(), [CONTEXT, READ, POST, DELIVERED]);
    let message = fixture.last_message();
    assert_eq!(
        (&message["content"], &message["authorId"], &message["sourceNotificationId"]),
        (&json!("I like it."), &json!(fixture.ben), &json!(job.work.id.as_str()))
    );
    assert!(fixture.is_delivered(&job));
    let turns = fixture.gateway.take_seen();
    assert_eq!((turns.len(), turns[0].agent.as_str()), (1, "ben"));
    let said = turns[0].message.as_deref().unwrap();
    assert!(said.starts_with(&format!("[n-{} try 1]", job.work.id)), "the marker comes first: {said}");
    assert!(said.contains("what do you think?") && !turns[0].instructions.is_empty());
    assert_eq!(fixture.stirred(), 1, "others may have to hear of it");
}

/// D-18, D-22: assigned → `in_progress`, with `expectedStatus`, and only after the answer is posted.
#[test]
fn an_answer_to_an_assignment_starts_the_task() {
    let fixture = Fixture::new();
    let mut job = fixture.assignment();
    fixture.gateway.says("On it.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let names = fixture.backend.take_names();
    assert_eq!(names, [CONTEXT, READ, POST, "updateTaskStatusFromAgent", DELIVERED]);
    assert_eq!(fixture.task()["status"], "in_progress");

    for what in ["not allowed", "already in progress"] {
        let fixture = Fixture::new();
        let mut job = fixture.assignment();
        if what == "not allowed" {
            fixture.team.flag(&fixture.ben, "canModifyTaskStatus", false);
        } else {
            fixture.team.board.edit("tasks", &fixture.task, json!({"status": "in_progress"}));
        }
        fixture.gateway.says("On it.");
        assert_eq!(fixture.deliver(&mut job), "answered", "{what}");
        assert!(!fixture.backend.take_names().contains(&"updateTaskStatusFromAgent".to_owned()), "{what}");
    }
}

/// The case; the first text, and whether calls come with it; the text after the calls; the outcome; the
/// posted text.
type Row =
    (&'static str, Option<&'static str>, bool, Option<&'static str>, &'static str, Option<&'static str>);

/// §2.5, the matrix, and W-10: the first and the last reply, and the text in the thread.
#[test]
fn the_matrix_of_replies() {
    let tools = [("get_agent_skills", "{}")];
    let rows: [Row; 11] = [
        ("heartbeat no-op, no calls", Some("HEARTBEAT_OK"), false, None, "silent", None),
        ("a text", Some("Hello."), false, None, "answered", Some("Hello.")),
        ("calls, then a text", None, true, Some("Done."), "answered", Some("Done.")),
        (
            "a text and calls, then a text",
            Some("Let me see."),
            true,
            Some("Done."),
            "answered",
            Some("Done."),
        ),
        (
            "a text and calls, then nothing",
            Some("I looked it up: none."),
            true,
            None,
            "answered",
            Some("I looked it up: none."),
        ),
        ("calls, then nothing", None, true, None, "silent", None),
        ("W-10: calls, then NO_REPLY", None, true, Some("NO_REPLY"), "silent", None),
        ("W-10: calls, then HEARTBEAT_OK", None, true, Some("HEARTBEAT_OK"), "silent", None),
        ("W-10: calls, then a placeholder", None, true, Some("No response from OpenClaw."), "silent", None),
        ("NO_REPLY and calls, then a text", Some("NO_REPLY"), true, Some("Done."), "answered", Some("Done.")),
        ("NO_REPLY and calls, then nothing", Some("NO_REPLY"), true, None, "silent", None),
    ];
    for (what, first, calls, last, end, posted) in rows {
        let fixture = Fixture::new();
        let mut job = fixture.mention("@ben?");
        if calls {
            fixture.gateway.says_and_calls(first, &tools);
        }
        match if calls { last } else { first } {
            Some(text) => fixture.gateway.says(text),
            None => fixture.gateway.says_nothing(),
        };
        assert_eq!(fixture.deliver(&mut job), end, "{what}");
        assert!(fixture.is_delivered(&job), "{what}");
        let written: Vec<Value> = fixture.messages_of_ben();
        assert_eq!(
            written.last().map(|message| message["content"].as_str().unwrap().to_owned()).as_deref(),
            posted,
            "{what}"
        );
    }
}

/// D-24, D-25, D-27: an agent that should answer is asked three times; then the row is settled and counted.
#[test]
fn an_expected_answer_is_requested_three_times() {
    for silence in ["", "NO_REPLY", "NO_", "No response from OpenClaw."] {
        let fixture = Fixture::new();
        let mut job = fixture.mention("@ben?");
        for attempt in 1..=3 {
            fixture.gateway.says(silence);
            let end = fixture.deliver(&mut job);
            assert_eq!(end, if attempt < 3 { "again" } else { "unanswered" }, "{silence:?}, {attempt}");
            assert_eq!(fixture.is_delivered(&job), attempt == 3);
            let marked = fixture.backend.take_names();
            assert_eq!(marked.last().unwrap(), if attempt < 3 { ENDED } else { DELIVERED }, "typing is off");
        }
        let notes = fixture.messages_of_ben();
        assert_eq!(notes.len(), 1, "a person waits and gets a line");
        assert!(notes[0]["content"].as_str().unwrap().starts_with("*(Automatic note: asked 3 times, "));
        assert!(notes[0].get("sourceNotificationId").is_none());
        let markers: Vec<String> = fixture
            .gateway
            .take_seen()
            .iter()
            .map(|turn| turn.message.as_deref().unwrap()[..60].to_owned())
            .collect();
        assert!(markers[1].contains("try 2") && markers[2].contains("try 3"), "{markers:?}");
    }
}

/// The calls of one reply run in order. All results are returned together, under their ids, with tools and
/// instructions.
#[test]
fn tool_results_are_returned_in_order_with_tools_and_instructions() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben, look at it and move it to review");
    fixture.team.board.edit("tasks", &fixture.task, json!({"status": "in_progress"}));
    let review = json!({"taskId": fixture.task, "status": "review"}).to_string();
    let load = json!({"taskId": fixture.task}).to_string();
    fixture.gateway.calls(&[("task_status", &review), ("task_load", &load), ("fly", "{}")]).says("Moved.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let turns = fixture.gateway.take_seen();
    assert_eq!(turns.len(), 2);
    assert_eq!((&turns[1].instructions, &turns[1].tools), (&turns[0].instructions, &turns[0].tools));
    assert!(turns[0].tools.contains(&"task_status") && turns[1].message.is_none());
    let outputs = &turns[1].outputs;
    let ids: Vec<&str> = outputs.iter().map(|output| output.call_id.as_str()).collect();
    assert_eq!(ids, ["c0", "c1", "c2"]);
    let value = |n: usize| {
        let (marker, text) = outputs[n].output.split_once('\n').unwrap();
        assert_eq!(marker, format!("[n-{} try 1 result 1.{}]", job.work.id, n + 1));
        serde_json::from_str::<Value>(text).unwrap()
    };
    assert_eq!(value(0)["success"], true);
    assert_eq!(value(1)["data"]["task"]["status"], "review", "the second call saw what the first one did");
    assert_eq!(value(2)["success"], false);
    assert!(value(2)["error"].as_str().unwrap().contains("Unknown tool: fly"));
    assert_eq!(fixture.task()["status"], "review");
}

/// W-11: a bounded loop with a defined end: after the last round the agent can only answer.
#[test]
fn an_agent_in_a_loop_is_ended() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    for _ in 0..9 {
        fixture.gateway.calls(&[("get_agent_skills", "{}")]);
    }
    fixture.gateway.says("That is all I found.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let turns = fixture.gateway.take_seen();
    assert_eq!(turns.len(), 10);
    assert!(turns[8].outputs[0].output.contains("\"success\":true"), "the eighth results");
    assert!(turns[9].outputs[0].output.contains("limit") && turns[9].tools.is_empty());
    let skills = fixture.backend.take_names().iter().filter(|name| *name == "getAgentSkillsForTool").count();
    assert_eq!(skills, 8);

    // It calls although nothing is offered: its text counts, its calls do not.
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    for _ in 0..9 {
        fixture.gateway.calls(&[("get_agent_skills", "{}")]);
    }
    fixture.gateway.says_and_calls(Some("One more."), &[("get_agent_skills", "{}")]);
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert_eq!(fixture.last_message()["content"], "One more.");
}

#[test]
fn no_delivery_makes_more_than_thirty_two_calls() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    let calls: Vec<(&str, &str)> = std::iter::repeat_n(("get_agent_skills", "{}"), 40).collect();
    fixture.gateway.calls(&calls).says("Enough.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let outputs = fixture.gateway.take_seen().remove(1).outputs;
    let ran = outputs.iter().filter(|output| output.output.contains("\"success\":true")).count();
    assert_eq!((outputs.len(), ran), (40, 32));
    assert!(outputs[39].output.contains("32 calls"), "{}", outputs[39].output);
}

/// A result that is too long for a model is cut with a remark, and never breaks the turn.
#[test]
fn a_result_that_is_too_long_is_cut_with_a_remark() {
    let fixture = Fixture::new();
    for _ in 0..4 {
        fixture.team.board.person_says(&fixture.task, &"é".repeat(50_000));
    }
    let mut job = fixture.mention("@ben, read it all");
    let load = json!({"taskId": fixture.task, "messageLimit": 10}).to_string();
    fixture.gateway.calls(&[("task_load", &load)]).says("Read.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let output = fixture.gateway.take_seen().remove(1).outputs.remove(0).output;
    let value: Value = serde_json::from_str(output.split_once('\n').unwrap().1).unwrap();
    assert!(
        output.len() < 150_000 && value["cut"].as_str().unwrap().contains("Request less"),
        "{}",
        output.len()
    );
}

/// W-3, W-12: completed steps are not repeated.
#[test]
fn a_delivery_continues_where_it_stopped() {
    // The turn with the results failed: they are sent again without running the tools again.
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    let create = json!({"title": "Notes", "content": "…", "type": "note"}).to_string();
    fixture.gateway.calls(&[("document_upsert", &create)]).fails(Class::Transient, Why::ProviderTrouble);
    assert_eq!(fixture.deliver(&mut job), "again");
    fixture.gateway.says("Written.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let turns = fixture.gateway.take_seen();
    assert_eq!(turns.len(), 3);
    assert_eq!(turns[1].outputs, turns[2].outputs);
    assert_eq!(fixture.backend.args_of("createDocumentFromAgent").len(), 1);

    // The answer could not be posted: it is posted later, and the agent is not asked again.
    for (function, fault) in [
        (POST, Fault::Before(convex::CallClass::Transient, convex::CallReason::Unreachable)),
        (POST, Fault::After(convex::CallClass::Transient, convex::CallReason::LostAnswer)),
        (DELIVERED, Fault::Before(convex::CallClass::Transient, convex::CallReason::Unreachable)),
        (DELIVERED, Fault::After(convex::CallClass::Transient, convex::CallReason::LostAnswer)),
    ] {
        let fixture = Fixture::new();
        let mut job = fixture.mention("@ben?");
        fixture.backend.fail(function, [fault.clone()]);
        fixture.gateway.says("Yes.");
        assert_eq!(fixture.deliver(&mut job), "again", "{fault:?}");
        assert_eq!(fixture.deliver(&mut job), "answered", "{fault:?}");
        assert_eq!(fixture.gateway.take_seen().len(), 1, "{fault:?}");
        assert_eq!(fixture.messages_of_ben().len(), 1, "{fault:?}");
        assert!(fixture.is_delivered(&job));
    }
}

/// An answer survives any outage of the backend.
#[test]
fn an_answer_survives_any_outage_of_the_backend() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    let away = Fault::Before(convex::CallClass::Transient, convex::CallReason::Unreachable);
    fixture.backend.fail(POST, std::iter::repeat_n(away, 50));
    fixture.gateway.says("Yes.");
    for _ in 0..50 {
        assert_eq!(fixture.deliver(&mut job), "again");
    }
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert_eq!(fixture.messages_of_ben().len(), 1);
}

/// Only the first part carries `sourceNotificationId`. A part whose posting was not confirmed is looked for
/// before it is posted again, even if the first look fails, and even if two parts are equal.
#[test]
fn an_over_long_answer_is_posted_in_parts() {
    let lost = || Fault::After(convex::CallClass::Ambiguous, convex::CallReason::LostAnswer);
    let away = || Fault::Before(convex::CallClass::Transient, convex::CallReason::Unreachable);
    let rows: [(&str, Vec<Fault>, Vec<Fault>); 5] = [
        ("all is well", vec![], vec![]),
        (
            "the first is lost",
            vec![Fault::After(convex::CallClass::Transient, convex::CallReason::LostAnswer)],
            vec![],
        ),
        ("the second is lost", vec![Fault::Pass, lost()], vec![]),
        ("the second is lost, and looking fails twice", vec![Fault::Pass, lost()], vec![away(), away()]),
        ("the second did not arrive", vec![Fault::Pass, away()], vec![]),
    ];
    for alike in [false, true] {
        let head = |n: usize| if alike { "x".to_owned() } else { n.to_string() };
        let paragraphs: Vec<String> = (0..6).map(|n| format!("{}{}", head(n), "x".repeat(49_000))).collect();
        for (what, faults, looks) in &rows {
            let fixture = Fixture::new();
            let mut job = fixture.mention("@ben, the whole plan");
            fixture.backend.fail(POST, faults.clone());
            fixture.backend.fail("loadTaskDetailsForAgentTool", looks.clone());
            fixture.gateway.says(&paragraphs.join("\n\n"));
            let mut end = fixture.deliver(&mut job);
            for _ in 0..10 {
                if end == "again" {
                    end = fixture.deliver(&mut job);
                }
            }
            assert_eq!(end, "answered", "{what}");
            let messages = fixture.messages_of_ben();
            let said: Vec<String> = messages
                .iter()
                .flat_map(|message| message["content"].as_str().unwrap().split("\n\n"))
                .map(|part| part[..1].to_owned())
                .collect();
            assert_eq!(said, (0..6).map(head).collect::<Vec<_>>(), "{what}, alike: {alike}");
            let sources: Vec<bool> =
                messages.iter().map(|message| message.get("sourceNotificationId").is_some()).collect();
            assert!(messages.len() == 3 && sources == [true, false, false], "{what}: {sources:?}");
            assert_eq!(fixture.gateway.take_seen().len(), 1, "{what}");
        }
    }
}

/// W-1, D1, D2: a later message is folded into the row while the agent works on the earlier one. It is
/// answered, and its answer is not taken for the first one's.
#[test]
fn a_message_during_a_turn_is_answered_too() {
    let fixture = Fixture::original();
    let mut job = fixture.update("first");
    let (team, task) = (fixture.team.board.engine.clone(), fixture.task.clone());
    let account = fixture.team.board.account.clone();
    fixture.gateway.says("About the first.");
    fixture.gateway.meanwhile(move || {
        let args = json!({"accountId": account, "taskId": task, "content": "second"});
        let (status, answer) =
            team.call(Kind::Mutation, "messages:create", &args, Caller::Person, "0123456789abcdef");
        assert_eq!(status, 200, "{answer}");
    });
    fixture.gateway.says("About the second.");
    assert_eq!(fixture.deliver(&mut job), "again", "another turn is another beginning");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let turns = fixture.gateway.take_seen();
    assert_eq!(turns.len(), 2);
    assert!(turns[1].message.as_deref().unwrap().contains("second"));
    let said: Vec<Value> =
        fixture.messages_of_ben().into_iter().map(|message| message["content"].clone()).collect();
    assert_eq!(said, ["About the first.", "About the second."]);
    assert!(fixture.is_delivered(&job));

    // No later message: one more read than for a mention, and no other call.
    let fixture = Fixture::new();
    let mut job = fixture.update("first");
    fixture.gateway.says("About the first.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert_eq!(fixture.backend.take_names(), [CONTEXT, READ, POST, DELIVERED, CONTEXT]);
}

/// A panic affects only its own row: completed steps are recorded, typing ends, and a call that had begun is
/// made only after it is certain that it was not executed.
#[test]
fn a_panic_in_the_middle_repeats_no_effect() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    let create = |title: &str| json!({"title": title, "content": "…", "type": "note"}).to_string();
    let (one, two) = (create("one"), create("two"));
    fixture.gateway.calls(&[
        ("document_upsert", &one),
        ("document_upsert", &two),
        ("get_agent_skills", "{}"),
    ]);
    fixture.backend.fail("createDocumentFromAgent", [Fault::Pass, Fault::Panic]);
    assert_eq!(fixture.deliver(&mut job), "again");
    assert_eq!(fixture.backend.take_names().last().unwrap(), ENDED, "typing ends");
    assert_eq!(fixture.deliver(&mut job), "again", "it may still be on its way");
    fixture.team.board.advance(15_000);
    fixture.gateway.says("Done.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let outputs = fixture.gateway.take_seen().remove(1).outputs;
    assert!(outputs.iter().all(|output| output.output.contains("\"success\":true")), "{outputs:?}");
    assert_eq!(fixture.team.board.rows("documents").len(), 2);
}

/// D-18: the step into `in_progress` survives an outage of the backend too.
#[test]
fn the_task_is_started_after_an_outage_of_the_backend() {
    let fixture = Fixture::new();
    let mut job = fixture.assignment();
    let away = Fault::Before(convex::CallClass::Transient, convex::CallReason::Unreachable);
    fixture.backend.fail("updateTaskStatusFromAgent", [away]);
    fixture.gateway.says("On it.");
    assert_eq!(fixture.deliver(&mut job), "again");
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert_eq!(
        (fixture.task()["status"].clone(), fixture.messages_of_ben().len()),
        (json!("in_progress"), 1)
    );
}

/// W-39, D-21: there is no thread, so the reply is kept.
#[test]
fn a_reply_without_a_thread_is_kept() {
    let fixture = Fixture::new();
    let mut job = fixture.task_less();
    fixture.gateway.says("Good to know.");
    match fixture.outcome(&mut job) {
        Outcome::Closed(End::Kept(text)) => assert_eq!(text, "Good to know."),
        other => panic!("{other:?}"),
    }
    assert!(fixture.is_delivered(&job) && fixture.messages_of_ben().is_empty());
    assert_eq!(fixture.gateway.take_seen()[0].session.split(':').next(), Some("system"));
}

/// §2.2: rows that are not for the agent cost one read and one mark, and no typing.
#[test]
fn a_skipped_row_costs_one_read_and_one_mark() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    fixture.team.board.edit("tasks", &fixture.task, json!({"status": "archived"}));
    assert_eq!(fixture.deliver(&mut job), "skipped");
    assert_eq!(fixture.backend.take_names(), [CONTEXT, DELIVERED]);
    assert!(fixture.gateway.take_seen().is_empty());
}

/// D5, and "contexts of other accounts": no agent receives it, and the row ends.
#[test]
fn a_row_unknown_to_the_backend_is_given_up_after_some_attempts() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    fixture.backend.fail(CONTEXT, std::iter::repeat_n(Fault::Instead(Value::Null), 10));
    for _ in 1..UNKNOWN_MAX {
        assert_eq!(fixture.deliver(&mut job), "again");
    }
    assert_eq!(fixture.deliver(&mut job), "gone");
    assert!(!fixture.backend.take_names().contains(&DELIVERED.to_owned()));
}

#[test]
fn the_context_of_another_notification_or_account_reaches_no_agent() {
    for foreign in ["_id", "accountId"] {
        let fixture = Fixture::new();
        let mut job = fixture.mention("@ben?");
        let mut context = fixture.context(&job);
        context["notification"][foreign] = json!("someone_elses");
        fixture.backend.fail(CONTEXT, std::iter::repeat_n(Fault::Instead(context), 20));
        for _ in 1..8 {
            assert_eq!(fixture.deliver(&mut job), "again", "{foreign}");
        }
        assert_eq!(fixture.deliver(&mut job), "dead", "{foreign}");
        assert!(fixture.gateway.take_seen().is_empty());
    }
}

/// Every class of the gateway's errors, and the outcome of the row.
#[test]
fn a_failed_turn_affects_only_its_row() {
    let rows = [
        (Class::Closed, Why::Unreachable, "again", 0, 0),
        (Class::Closed, Why::TokenRefused, "again", 0, 0),
        (Class::Transient, Why::ProviderTrouble, "again", 0, 0),
        (Class::Transient, Why::Interrupted, "again", 1, 0),
        (Class::Lost, Why::LostAnswer, "again", 0, 0),
        (Class::Refused, Why::UnknownAgent, "again", 0, 0),
        (Class::Refused, Why::TooLarge, "dead", 0, 0),
    ];
    for (class, why, end, failures, lost) in rows {
        let fixture = Fixture::new();
        let mut job = fixture.mention("@ben?");
        fixture.gateway.fails(class, why);
        assert_eq!(fixture.deliver(&mut job), end, "{why:?}");
        let failed = (job.record.own_failures(), job.record.failures.of(Cause::LostAnswer));
        assert_eq!(failed, (failures, lost), "{why:?}");
        let names = fixture.backend.take_names();
        assert_eq!(
            names.last().unwrap(),
            if end == "dead" { DELIVERED } else { ENDED },
            "{why:?}: typing is off"
        );
    }
}

/// A row that cannot be marked as read is answered all the same; a permanent refusal ends the row with its
/// reason.
#[test]
fn backend_failures_are_distinguished() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    fixture.backend.fail(READ, [Fault::Before(convex::CallClass::Transient, convex::CallReason::Overloaded)]);
    fixture.gateway.says("Yes.");
    assert_eq!(fixture.deliver(&mut job), "answered");

    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    fixture.backend.fail(POST, [Fault::Before(convex::CallClass::Refused, convex::CallReason::Forbidden)]);
    fixture.gateway.says("Yes.");
    assert_eq!(fixture.deliver(&mut job), "dead");
    assert!(
        matches!(&job.record.stage, Stage::Ended(End::Dead(why)) if why.contains("does not permit the call"))
    );

    // A refusal without a reason may pass: it is retried, and the row is given up in the end (D6).
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    let hidden = Fault::Before(convex::CallClass::Refused, convex::CallReason::Unknown);
    fixture.backend.fail(CONTEXT, std::iter::repeat_n(hidden, 30));
    for _ in 1..20 {
        assert_eq!(fixture.deliver(&mut job), "again");
    }
    assert_eq!(fixture.deliver(&mut job), "dead");
}
