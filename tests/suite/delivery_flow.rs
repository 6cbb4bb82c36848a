//! The road of a delivery: what the backend and the agent saw, step by step. The backend is the embedded one, called
//! directly; the gateway plays its lines.

/// A full disk when a note is due, and calls that fail behind the answer.
mod after_the_answer;
/// What is counted, and what begins a turn.
mod counted;
/// Every crash point.
mod crashes;
mod crashing_process;
/// A dead letter that is dropped while its mark is retried.
mod dropped;
/// What begins again because a person wants it.
mod retried;
/// Sequences in which something was once lost.
mod sequences;
pub(crate) use sequences::plan;
/// A turn whose answer was lost.
mod settling;
/// A board, a desk, and a job on it.
mod setup;
/// Work of the test kind, stopped at every note.
#[cfg(feature = "test-kind")]
mod test_kind;
/// Whether the board says that somebody types.
mod typing;

use mission_control_runtime::convex;
use mission_control_runtime::delivery::retry::UNKNOWN_MAX;
use mission_control_runtime::delivery::{End, Outcome, Stage, cause};
use mission_control_runtime::gateway::{Class, Why};
use mission_control_runtime::local::{Caller, Kind};
use serde_json::{Value, json};

use crate::support::direct::Fault;
use setup::Office;

const CONTEXT: &str = "getNotificationForDelivery";
const READ: &str = "markNotificationRead";
const POST: &str = "createMessageFromAgent";
const DELIVERED: &str = "markNotificationDelivered";
const ENDED: &str = "markNotificationDeliveryEnded";
const ADVANCE: &str = "updateTaskStatusFromAgent";

/// §2.8: "1 context + read + create message + delivered", and what each of them says.
#[test]
fn a_mention_is_answered_with_four_calls() {
    let office = Office::new();
    let mut job = office.mention("@ben, what do you think?");
    office.gateway.says("  I like it.  ");
    assert_eq!(office.deliver(&mut job), "answered");
    assert_eq!(office.backend.take_names(), [CONTEXT, READ, POST, DELIVERED]);
    let message = office.last_message();
    assert_eq!(
        (&message["content"], &message["authorId"], &message["sourceNotificationId"]),
        (&json!("I like it."), &json!(office.ben), &json!(job.work.id.as_str()))
    );
    assert!(office.is_delivered(&job));
    let turns = office.gateway.take_seen();
    assert_eq!((turns.len(), turns[0].agent.as_str()), (1, "ben"));
    let said = turns[0].message.as_deref().unwrap();
    assert!(said.starts_with(&format!("[n-{} try 1]", job.work.id)), "the marker comes first: {said}");
    assert!(said.contains("what do you think?") && !turns[0].instructions.is_empty());
    assert_eq!(office.stirred(), 1, "others may have to hear of it");
}

/// D-18, D-22: assigned → `in_progress`, with `expectedStatus`, and only once the answer is posted.
#[test]
fn an_answer_to_an_assignment_takes_up_the_work() {
    let office = Office::new();
    let mut job = office.assignment();
    office.gateway.says("On it.");
    assert_eq!(office.deliver(&mut job), "answered");
    let names = office.backend.take_names();
    assert_eq!(names, [CONTEXT, READ, POST, "updateTaskStatusFromAgent", DELIVERED]);
    assert_eq!(office.task()["status"], "in_progress");

    for what in ["not allowed", "already in progress"] {
        let office = Office::new();
        let mut job = office.assignment();
        if what == "not allowed" {
            office.team.flag(&office.ben, "canModifyTaskStatus", false);
        } else {
            office.team.board.edit("tasks", &office.task, json!({"status": "in_progress"}));
        }
        office.gateway.says("On it.");
        assert_eq!(office.deliver(&mut job), "answered", "{what}");
        assert!(!office.backend.take_names().contains(&"updateTaskStatusFromAgent".to_owned()), "{what}");
    }
}

/// What is tried; the first words, and whether calls come with them; the words after the calls; the end; what is posted.
type Row =
    (&'static str, Option<&'static str>, bool, Option<&'static str>, &'static str, Option<&'static str>);

/// §2.5, the matrix, and W-10: what the first and the last reply say, and what is in the thread.
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
        let office = Office::new();
        let mut job = office.mention("@ben?");
        if calls {
            office.gateway.says_and_calls(first, &tools);
        }
        match if calls { last } else { first } {
            Some(text) => office.gateway.says(text),
            None => office.gateway.says_nothing(),
        };
        assert_eq!(office.deliver(&mut job), end, "{what}");
        assert!(office.is_delivered(&job), "{what}");
        let written: Vec<Value> = office.messages_of_ben();
        assert_eq!(
            written.last().map(|message| message["content"].as_str().unwrap().to_owned()).as_deref(),
            posted,
            "{what}"
        );
    }
}

/// D-24, D-25, D-27: an agent that should answer is asked three times; then it is settled and counted.
#[test]
fn silence_where_an_answer_is_due_is_asked_three_times() {
    for silence in ["", "NO_REPLY", "NO_", "No response from OpenClaw."] {
        let office = Office::new();
        let mut job = office.mention("@ben?");
        for attempt in 1..=3 {
            office.gateway.says(silence);
            let end = office.deliver(&mut job);
            assert_eq!(end, if attempt < 3 { "again" } else { "unanswered" }, "{silence:?}, {attempt}");
            assert_eq!(office.is_delivered(&job), attempt == 3);
            let marked = office.backend.take_names();
            assert_eq!(marked.last().unwrap(), if attempt < 3 { ENDED } else { DELIVERED }, "typing is off");
        }
        let notes = office.messages_of_ben();
        assert_eq!(notes.len(), 1, "a person waits, and is told");
        assert!(notes[0]["content"].as_str().unwrap().starts_with("*(Automatic note: asked 3 times, "));
        assert!(notes[0].get("sourceNotificationId").is_none());
        let markers: Vec<String> = office
            .gateway
            .take_seen()
            .iter()
            .map(|turn| turn.message.as_deref().unwrap()[..60].to_owned())
            .collect();
        assert!(markers[1].contains("try 2") && markers[2].contains("try 3"), "{markers:?}");
    }
}

/// The calls of one reply run in order; all results go back together, under their ids, with tools and instructions.
#[test]
fn results_of_tools_go_back_in_order_with_tools_and_instructions() {
    let office = Office::new();
    let mut job = office.mention("@ben, look at it and move it to review");
    office.team.board.edit("tasks", &office.task, json!({"status": "in_progress"}));
    let review = json!({"taskId": office.task, "status": "review"}).to_string();
    let load = json!({"taskId": office.task}).to_string();
    office.gateway.calls(&[("task_status", &review), ("task_load", &load), ("fly", "{}")]).says("Moved.");
    assert_eq!(office.deliver(&mut job), "answered");
    let turns = office.gateway.take_seen();
    assert_eq!(turns.len(), 2);
    assert_eq!((&turns[1].instructions, &turns[1].tools), (&turns[0].instructions, &turns[0].tools));
    assert!(turns[0].tools.contains(&"task_status") && turns[1].message.is_none());
    let outputs = &turns[1].outputs;
    let ids: Vec<&str> = outputs.iter().map(|output| output.call_id.as_str()).collect();
    assert_eq!(ids, ["c0", "c1", "c2"]);
    let value = |n: usize| serde_json::from_str::<Value>(&outputs[n].output).unwrap();
    assert_eq!(value(0)["success"], true);
    assert_eq!(value(1)["data"]["task"]["status"], "review", "the second call saw what the first one did");
    assert_eq!(value(2)["success"], false);
    assert!(value(2)["error"].as_str().unwrap().contains("Unknown tool: fly"));
    assert_eq!(office.task()["status"], "review");
}

/// W-11: a bounded loop with a defined end: behind the last round the agent can only answer.
#[test]
fn an_agent_in_a_loop_comes_to_an_end() {
    let office = Office::new();
    let mut job = office.mention("@ben?");
    for _ in 0..9 {
        office.gateway.calls(&[("get_agent_skills", "{}")]);
    }
    office.gateway.says("That is all I found.");
    assert_eq!(office.deliver(&mut job), "answered");
    let turns = office.gateway.take_seen();
    assert_eq!(turns.len(), 10);
    assert!(turns[8].outputs[0].output.contains("\"success\":true"), "the eighth results");
    assert!(turns[9].outputs[0].output.contains("limit") && turns[9].tools.is_empty());
    let skills = office.backend.take_names().iter().filter(|name| *name == "getAgentSkillsForTool").count();
    assert_eq!(skills, 8);

    // It calls even where nothing is offered: its words count, its calls do not.
    let office = Office::new();
    let mut job = office.mention("@ben?");
    for _ in 0..9 {
        office.gateway.calls(&[("get_agent_skills", "{}")]);
    }
    office.gateway.says_and_calls(Some("One more."), &[("get_agent_skills", "{}")]);
    assert_eq!(office.deliver(&mut job), "answered");
    assert_eq!(office.last_message()["content"], "One more.");
}

#[test]
fn no_delivery_makes_more_than_thirty_two_calls() {
    let office = Office::new();
    let mut job = office.mention("@ben?");
    let calls: Vec<(&str, &str)> = std::iter::repeat_n(("get_agent_skills", "{}"), 40).collect();
    office.gateway.calls(&calls).says("Enough.");
    assert_eq!(office.deliver(&mut job), "answered");
    let outputs = office.gateway.take_seen().remove(1).outputs;
    let ran = outputs.iter().filter(|output| output.output.contains("\"success\":true")).count();
    assert_eq!((outputs.len(), ran), (40, 32));
    assert!(outputs[39].output.contains("32 calls"), "{}", outputs[39].output);
}

/// What is too long for a model is cut with a word about it, and never breaks the turn.
#[test]
fn a_result_that_is_too_long_is_cut_with_a_word() {
    let office = Office::new();
    for _ in 0..4 {
        office.team.board.person_says(&office.task, &"é".repeat(50_000));
    }
    let mut job = office.mention("@ben, read it all");
    let load = json!({"taskId": office.task, "messageLimit": 10}).to_string();
    office.gateway.calls(&[("task_load", &load)]).says("Read.");
    assert_eq!(office.deliver(&mut job), "answered");
    let output = office.gateway.take_seen().remove(1).outputs.remove(0).output;
    let value: Value = serde_json::from_str(&output).unwrap();
    assert!(
        output.len() < 150_000 && value["cut"].as_str().unwrap().contains("Ask for less"),
        "{}",
        output.len()
    );
}

/// W-3, W-12: what was done is not done again.
#[test]
fn a_delivery_goes_on_where_it_stopped() {
    // The turn with the results failed: they go back without running the tools again.
    let office = Office::new();
    let mut job = office.mention("@ben?");
    let create = json!({"title": "Notes", "content": "…", "type": "note"}).to_string();
    office.gateway.calls(&[("document_upsert", &create)]).fails(Class::Transient, Why::ProviderTrouble);
    assert_eq!(office.deliver(&mut job), "again");
    office.gateway.says("Written.");
    assert_eq!(office.deliver(&mut job), "answered");
    let turns = office.gateway.take_seen();
    assert_eq!(turns.len(), 3);
    assert_eq!(turns[1].outputs, turns[2].outputs);
    assert_eq!(office.backend.args_of("createDocumentFromAgent").len(), 1);

    // The answer could not be posted: it is posted later, and the agent is not asked again.
    for (function, fault) in [
        (POST, Fault::Before(convex::Class::Transient, convex::Why::Unreachable)),
        (POST, Fault::After(convex::Class::Transient, convex::Why::LostAnswer)),
        (DELIVERED, Fault::Before(convex::Class::Transient, convex::Why::Unreachable)),
        (DELIVERED, Fault::After(convex::Class::Transient, convex::Why::LostAnswer)),
    ] {
        let office = Office::new();
        let mut job = office.mention("@ben?");
        office.backend.fail(function, [fault.clone()]);
        office.gateway.says("Yes.");
        assert_eq!(office.deliver(&mut job), "again", "{fault:?}");
        assert_eq!(office.deliver(&mut job), "answered", "{fault:?}");
        assert_eq!(office.gateway.take_seen().len(), 1, "{fault:?}");
        assert_eq!(office.messages_of_ben().len(), 1, "{fault:?}");
        assert!(office.is_delivered(&job));
    }
}

/// An answer outlives any absence of the backend.
#[test]
fn an_answer_is_never_given_up_because_the_backend_is_away() {
    let office = Office::new();
    let mut job = office.mention("@ben?");
    let away = Fault::Before(convex::Class::Transient, convex::Why::Unreachable);
    office.backend.fail(POST, std::iter::repeat_n(away, 50));
    office.gateway.says("Yes.");
    for _ in 0..50 {
        assert_eq!(office.deliver(&mut job), "again");
    }
    assert_eq!(office.deliver(&mut job), "answered");
    assert_eq!(office.messages_of_ben().len(), 1);
}

/// Only the first part carries `sourceNotificationId`; one whose posting was not confirmed is looked for before it is
/// posted again, also where looking fails at first, and also where two parts are alike.
#[test]
fn an_over_long_answer_is_posted_in_parts() {
    let lost = || Fault::After(convex::Class::Ambiguous, convex::Why::LostAnswer);
    let away = || Fault::Before(convex::Class::Transient, convex::Why::Unreachable);
    let rows: [(&str, Vec<Fault>, Vec<Fault>); 5] = [
        ("all is well", vec![], vec![]),
        ("the first is lost", vec![Fault::After(convex::Class::Transient, convex::Why::LostAnswer)], vec![]),
        ("the second is lost", vec![Fault::Pass, lost()], vec![]),
        ("the second is lost, and looking fails twice", vec![Fault::Pass, lost()], vec![away(), away()]),
        ("the second did not arrive", vec![Fault::Pass, away()], vec![]),
    ];
    for alike in [false, true] {
        let head = |n: usize| if alike { "x".to_owned() } else { n.to_string() };
        let paragraphs: Vec<String> = (0..6).map(|n| format!("{}{}", head(n), "x".repeat(49_000))).collect();
        for (what, faults, looks) in &rows {
            let office = Office::new();
            let mut job = office.mention("@ben, the whole story");
            office.backend.fail(POST, faults.clone());
            office.backend.fail("loadTaskDetailsForAgentTool", looks.clone());
            office.gateway.says(&paragraphs.join("\n\n"));
            let mut end = office.deliver(&mut job);
            for _ in 0..10 {
                if end == "again" {
                    end = office.deliver(&mut job);
                }
            }
            assert_eq!(end, "answered", "{what}");
            let messages = office.messages_of_ben();
            let said: Vec<String> = messages
                .iter()
                .flat_map(|message| message["content"].as_str().unwrap().split("\n\n"))
                .map(|part| part[..1].to_owned())
                .collect();
            assert_eq!(said, (0..6).map(head).collect::<Vec<_>>(), "{what}, alike: {alike}");
            let sources: Vec<bool> =
                messages.iter().map(|message| message.get("sourceNotificationId").is_some()).collect();
            assert!(messages.len() == 3 && sources == [true, false, false], "{what}: {sources:?}");
            assert_eq!(office.gateway.take_seen().len(), 1, "{what}");
        }
    }
}

/// W-1, D1, D2: a later message is folded into the row while the agent is at work on the one before. It is heard, and
/// its answer is not taken for the first one's.
#[test]
fn a_message_that_comes_while_the_agent_works_is_heard_too() {
    let office = Office::original();
    let mut job = office.update("first");
    let (team, task) = (office.team.board.engine.clone(), office.task.clone());
    let account = office.team.board.account.clone();
    office.gateway.says("About the first.");
    office.gateway.meanwhile(move || {
        let args = json!({"accountId": account, "taskId": task, "content": "second"});
        let (status, answer) =
            team.call(Kind::Mutation, "messages:create", &args, Caller::Person, "0123456789abcdef");
        assert_eq!(status, 200, "{answer}");
    });
    office.gateway.says("About the second.");
    assert_eq!(office.deliver(&mut job), "again", "another turn is another beginning");
    assert_eq!(office.deliver(&mut job), "answered");
    let turns = office.gateway.take_seen();
    assert_eq!(turns.len(), 2);
    assert!(turns[1].message.as_deref().unwrap().contains("second"));
    let said: Vec<Value> =
        office.messages_of_ben().into_iter().map(|message| message["content"].clone()).collect();
    assert_eq!(said, ["About the first.", "About the second."]);
    assert!(office.is_delivered(&job));

    // Nothing came: one read more than for a mention, and that is all.
    let office = Office::new();
    let mut job = office.update("first");
    office.gateway.says("About the first.");
    assert_eq!(office.deliver(&mut job), "answered");
    assert_eq!(office.backend.take_names(), [CONTEXT, READ, POST, DELIVERED, CONTEXT]);
}

/// A panic in the middle is this row's trouble: what was done is noted, typing ends, and a call that had begun is made
/// once it is certain that it was not carried out.
#[test]
fn a_breakdown_in_the_middle_repeats_nothing() {
    let office = Office::new();
    let mut job = office.mention("@ben?");
    let create = |title: &str| json!({"title": title, "content": "…", "type": "note"}).to_string();
    let (one, two) = (create("one"), create("two"));
    office.gateway.calls(&[("document_upsert", &one), ("document_upsert", &two), ("get_agent_skills", "{}")]);
    office.backend.fail("createDocumentFromAgent", [Fault::Pass, Fault::Panic]);
    assert_eq!(office.deliver(&mut job), "again");
    assert_eq!(office.backend.take_names().last().unwrap(), ENDED, "typing ends");
    assert_eq!(office.deliver(&mut job), "again", "it may still be on its way");
    office.team.board.pass(15_000);
    office.gateway.says("Done.");
    assert_eq!(office.deliver(&mut job), "answered");
    let outputs = office.gateway.take_seen().remove(1).outputs;
    assert!(outputs.iter().all(|output| output.output.contains("\"success\":true")), "{outputs:?}");
    assert_eq!(office.team.board.rows("documents").len(), 2);
}

/// D-18: the step into `in_progress` outlives an absence of the backend, too.
#[test]
fn the_work_is_taken_up_even_if_the_backend_is_away_for_a_moment() {
    let office = Office::new();
    let mut job = office.assignment();
    let away = Fault::Before(convex::Class::Transient, convex::Why::Unreachable);
    office.backend.fail("updateTaskStatusFromAgent", [away]);
    office.gateway.says("On it.");
    assert_eq!(office.deliver(&mut job), "again");
    assert_eq!(office.deliver(&mut job), "answered");
    assert_eq!((office.task()["status"].clone(), office.messages_of_ben().len()), (json!("in_progress"), 1));
}

/// W-39, D-21: there is no thread, so the reply is kept.
#[test]
fn a_reply_without_a_thread_is_kept() {
    let office = Office::new();
    let mut job = office.task_less();
    office.gateway.says("Good to know.");
    match office.outcome(&mut job) {
        Outcome::Closed(End::Kept(text)) => assert_eq!(text, "Good to know."),
        other => panic!("{other:?}"),
    }
    assert!(office.is_delivered(&job) && office.messages_of_ben().is_empty());
    assert_eq!(office.gateway.take_seen()[0].session.split(':').next(), Some("system"));
}

/// §2.2: rows that the agent does not hear of cost one read and one mark, and no typing.
#[test]
fn a_skipped_row_is_marked_and_nothing_else() {
    let office = Office::new();
    let mut job = office.mention("@ben?");
    office.team.board.edit("tasks", &office.task, json!({"status": "archived"}));
    assert_eq!(office.deliver(&mut job), "skipped");
    assert_eq!(office.backend.take_names(), [CONTEXT, DELIVERED]);
    assert!(office.gateway.take_seen().is_empty());
}

/// D5, and "contexts of other accounts": nobody hears of it, and it comes to an end.
#[test]
fn a_row_that_the_backend_does_not_know_is_left_after_some_attempts() {
    let office = Office::new();
    let mut job = office.mention("@ben?");
    office.backend.fail(CONTEXT, std::iter::repeat_n(Fault::Instead(Value::Null), 10));
    for _ in 1..UNKNOWN_MAX {
        assert_eq!(office.deliver(&mut job), "again");
    }
    assert_eq!(office.deliver(&mut job), "gone");
    assert!(!office.backend.take_names().contains(&DELIVERED.to_owned()));
}

#[test]
fn the_context_of_another_notification_or_account_reaches_nobody() {
    for foreign in ["_id", "accountId"] {
        let office = Office::new();
        let mut job = office.mention("@ben?");
        let mut context = office.context(&job);
        context["notification"][foreign] = json!("someone_elses");
        office.backend.fail(CONTEXT, std::iter::repeat_n(Fault::Instead(context), 20));
        for _ in 1..8 {
            assert_eq!(office.deliver(&mut job), "again", "{foreign}");
        }
        assert_eq!(office.deliver(&mut job), "dead", "{foreign}");
        assert!(office.gateway.take_seen().is_empty());
    }
}

/// Every class of the gateway's errors, and what becomes of the row.
#[test]
fn a_failed_turn_is_that_rows_own_problem() {
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
        let office = Office::new();
        let mut job = office.mention("@ben?");
        office.gateway.fails(class, why);
        assert_eq!(office.deliver(&mut job), end, "{why:?}");
        let failed = (job.record.own_failures(), job.record.failures.of(cause::LOST_ANSWER));
        assert_eq!(failed, (failures, lost), "{why:?}");
        let names = office.backend.take_names();
        assert_eq!(
            names.last().unwrap(),
            if end == "dead" { DELIVERED } else { ENDED },
            "{why:?}: typing is off"
        );
    }
}

/// What cannot be marked as read is answered all the same; a refusal for good ends the row with its reason.
#[test]
fn the_backends_own_trouble_is_told_apart() {
    let office = Office::new();
    let mut job = office.mention("@ben?");
    office.backend.fail(READ, [Fault::Before(convex::Class::Transient, convex::Why::Overloaded)]);
    office.gateway.says("Yes.");
    assert_eq!(office.deliver(&mut job), "answered");

    let office = Office::new();
    let mut job = office.mention("@ben?");
    office.backend.fail(POST, [Fault::Before(convex::Class::Refused, convex::Why::Forbidden)]);
    office.gateway.says("Yes.");
    assert_eq!(office.deliver(&mut job), "dead");
    assert!(matches!(&job.record.stage, Stage::Ended(End::Dead(why)) if why.contains("not allowed")));

    // A refusal that hides its reason may pass: it is asked again, and given up in the end (D6).
    let office = Office::new();
    let mut job = office.mention("@ben?");
    let hidden = Fault::Before(convex::Class::Refused, convex::Why::Unknown);
    office.backend.fail(CONTEXT, std::iter::repeat_n(hidden, 30));
    for _ in 1..20 {
        assert_eq!(office.deliver(&mut job), "again");
    }
    assert_eq!(office.deliver(&mut job), "dead");
}
