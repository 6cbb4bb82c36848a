//! Calls with an unknown outcome (contract §1.5, D28): what is found, what is repeated, and how often the
//! effect is in the backend's own books.

/// The board, and the tools as they are called on it.
mod setup;

use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::convex::{CallClass, CallReason};
use mission_control_runtime::model::{AgentId, Roster, Task, limits};
use mission_control_runtime::tools::run::{Doubt, GRACE, NotNow, ToolBackend, perform, settle};
use mission_control_runtime::tools::table::ROWS;
use mission_control_runtime::tools::{Caller, ToolErrorKind, ToolRequest, offer, prepare};
use serde_json::json;

use self::setup::{BACKENDS, Fixture, LOAD, LOST, TOOLS, Tool, as_read, everywhere, makers, tool};
use super::call;
use crate::support::direct::Fault;

#[test]
fn every_writing_tool_is_in_the_table() {
    for row in ROWS.iter().filter(|row| row.writes) {
        assert!(TOOLS.iter().any(|tool| tool.name == row.name.as_str()), "{}", row.name);
    }
}

/// The first row of the table: the effect happened, and its answer was lost. It is found, or repeated if a
/// repetition adds nothing. The agent reads the same result.
#[test]
fn an_effect_that_happened_is_not_repeated() {
    for (fixture, tool) in everywhere(TOOLS.iter()) {
        let plain = Fixture::new(BACKENDS[0]);
        let usual = plain.request(tool);
        let usual = plain.with(|caller, hands| perform(&usual, caller, hands));
        fixture.direct.fail(tool.function, [Fault::After(LOST.0, LOST.1)]);
        let ran = fixture.call(tool);
        assert!(ran.in_doubt && !ran.ok, "{}: {}", tool.name, ran.output);
        assert_eq!(fixture.effects(tool), 1, "{}", tool.name);
        // An effect that is visible is accepted at once.
        let settled = fixture.settle_as(tool, Duration::ZERO, &[]).unwrap();
        assert_eq!(as_read(&settled), as_read(&usual), "{}", tool.name);
        // Agents that may have been notified are counted.
        assert!(!settled.in_doubt && settled.may_notify >= usual.may_notify, "{}", tool.name);
        assert_eq!(fixture.effects(tool), 1, "{}", tool.name);
        if tool.twin.is_some() {
            assert_eq!(settled.made, fixture.marks(tool)[..1]);
        }
        let asked = fixture.direct.take_names();
        if let Some(reads) = tool.reads {
            assert!(asked.contains(&reads.to_owned()), "{}: {asked:?}", tool.name);
        }
    }
}

/// The effect did not happen: it is made, once. If a late first effect would make it twice, the repetition
/// waits.
#[test]
fn an_effect_that_did_not_happen_is_made_once() {
    for (fixture, tool) in everywhere(TOOLS.iter()) {
        fixture.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1)]);
        assert!(fixture.call(tool).in_doubt);
        assert_eq!(fixture.effects(tool), 0, "{}", tool.name);
        if tool.adds_rows() {
            let early = fixture.settle_as(tool, Duration::from_secs(5), &[]);
            assert!(matches!(early, Err(NotNow::Early(wait)) if wait + Duration::from_secs(5) == GRACE));
            assert_eq!(fixture.effects(tool), 0, "{}", tool.name);
        }
        let settled = fixture.settle(tool);
        assert!(settled.result.is_ok() && !settled.in_doubt, "{}: {:?}", tool.name, settled.result);
        assert_eq!(fixture.effects(tool), 1, "{}", tool.name);
        if tool.twin.is_some() {
            assert_eq!(settled.made, fixture.marks(tool)[..1]);
        }
    }
}

/// Rows that look like ours but are not: older rows, and rows of another step.
#[test]
fn a_similar_row_is_not_taken_for_ours() {
    for done in [true, false] {
        for (mut fixture, tool) in everywhere(makers()) {
            let lead = fixture.team.lead.clone();
            let older = fixture.does(&lead, tool);
            // Newer than the first of them; the origin of the second is known.
            fixture.since = Millis(1_765_526_400_000 + 15);
            let known = fixture.does(&lead, tool);
            let lost = if done { Fault::After(LOST.0, LOST.1) } else { Fault::Before(LOST.0, LOST.1) };
            fixture.direct.fail(tool.function, [lost]);
            fixture.call(tool);
            let settled = fixture.settle_as(tool, GRACE, &[&known]).unwrap();
            let marks = fixture.marks(tool);
            assert_eq!(marks.len(), 3, "{} {done}", tool.name);
            assert_eq!(settled.made, marks[2..], "{} {done}", tool.name);
            assert_eq!(marks[..2], [older, known]);
        }
    }
}

/// Another agent has made an equal object. Tasks and messages name their author. Documents do not, so one
/// that fits counts as ours, and of two that fit none does.
#[test]
fn rows_of_others_are_not_taken_for_ours() {
    for (fixture, tool) in everywhere(makers()) {
        let theirs = fixture.does(&fixture.team.ada, tool);
        fixture.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1)]);
        fixture.call(tool);
        let settled = fixture.settle(tool);
        let document = tool.name == "document_upsert";
        assert_eq!(settled.made == [theirs.clone()], document, "{}", tool.name);
        assert_eq!(fixture.effects(tool), if document { 1 } else { 2 }, "{}", tool.name);
        if document {
            fixture.direct.fail(tool.function, [Fault::After(LOST.0, LOST.1)]);
            fixture.call(tool);
            let settled = fixture.settle(tool);
            let error = settled.result.unwrap_err();
            assert_eq!(error.kind, ToolErrorKind::Unsettled);
            assert!(
                error.message.contains("several documents") && error.message.contains(&theirs),
                "{error}"
            );
            assert_eq!(fixture.effects(tool), 2);
        }
    }
}

/// Two equal rows cannot be distinguished: the oldest is as good as any, and a third would be wrong.
#[test]
fn of_equal_rows_the_oldest_is_taken() {
    for (fixture, tool) in everywhere(makers()).into_iter().filter(|(_, tool)| tool.name != "document_upsert")
    {
        for _ in 0..2 {
            fixture.direct.fail(tool.function, [Fault::After(LOST.0, LOST.1)]);
            fixture.call(tool);
        }
        let settled = fixture.settle(tool);
        let marks = fixture.marks(tool);
        assert_eq!(marks.len(), 2);
        assert_eq!(settled.made, marks[..1], "{}", tool.name);
    }
}

/// A list full of newer rows may hide ours; a list that reaches back far enough does not.
#[test]
fn an_effect_that_a_full_list_may_hide_is_not_repeated() {
    for (fixture, tool) in everywhere(makers()) {
        for done in [true, false] {
            let before = fixture.effects(tool);
            let lost = if done { Fault::After(LOST.0, LOST.1) } else { Fault::Before(LOST.0, LOST.1) };
            fixture.direct.fail(tool.function, [lost]);
            fixture.call(tool);
            fixture.crowd(tool, 200);
            let settled = fixture.settle(tool);
            let error = settled.result.unwrap_err();
            assert_eq!(error.kind, ToolErrorKind::Unsettled);
            let words = &error.message;
            assert!(words.contains("too many changes followed to read them all"), "{words}");
            assert!(
                words.contains("was not repeated") && words.contains("Before you call it again"),
                "{words}"
            );
            assert_eq!(fixture.effects(tool), before + usize::from(done), "{}", tool.name);
        }
    }
    // As many rows, but older: the list is as full, and still proves that ours is absent.
    for (mut fixture, tool) in everywhere(makers()) {
        fixture.crowd(tool, 200);
        fixture.since = Millis(1_765_526_400_000 + 500);
        fixture.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1)]);
        fixture.call(tool);
        assert!(fixture.settle(tool).result.is_ok());
        assert_eq!(fixture.effects(tool), 1, "{}", tool.name);
    }
}

/// An unavailable backend decides nothing.
#[test]
fn an_unavailable_backend_decides_nothing() {
    for (fixture, tool) in everywhere(TOOLS.iter()) {
        for lost in [Fault::Before(LOST.0, LOST.1), Fault::After(LOST.0, LOST.1)] {
            fixture.direct.fail(tool.function, [lost]);
            fixture.call(tool);
            let before = fixture.effects(tool);
            for why in [CallReason::Unreachable, CallReason::Overloaded, CallReason::TokenRefused] {
                let class =
                    if why == CallReason::TokenRefused { CallClass::Refused } else { CallClass::Transient };
                fixture.direct.fail(tool.reads.unwrap_or(tool.function), [Fault::Before(class, why)]);
                let settled = fixture.settle_as(tool, GRACE, &[]);
                let Err(NotNow::Away(error)) = settled else { panic!("{} {why:?}: {settled:?}", tool.name) };
                assert_eq!(error.why, why);
                assert_eq!(fixture.effects(tool), before, "{}", tool.name);
            }
        }
    }
}

/// The answer is lost again while the call is settled: it is looked for again, and not made a third time.
#[test]
fn an_answer_lost_while_settling_is_settled_too() {
    for (fixture, tool) in everywhere(makers()) {
        fixture.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1), Fault::After(LOST.0, LOST.1)]);
        fixture.call(tool);
        let settled = fixture.settle(tool);
        assert_eq!(settled.made, fixture.marks(tool)[..1]);
        assert_eq!(fixture.effects(tool), 1, "{}", tool.name);
    }
    for (fixture, tool) in everywhere(TOOLS.iter()) {
        fixture.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1), Fault::Before(LOST.0, LOST.1)]);
        fixture.call(tool);
        let settled = fixture.settle_as(tool, GRACE, &[]);
        if tool.adds_rows() {
            // Now the second call may still be on its way.
            assert!(matches!(settled, Err(NotNow::Early(GRACE))), "{}: {settled:?}", tool.name);
            assert_eq!(fixture.effects(tool), 0);
        } else {
            assert!(settled.unwrap().result.is_ok(), "{}", tool.name);
            assert_eq!(fixture.effects(tool), 1);
        }
    }
    for (fixture, tool) in everywhere(TOOLS.iter().filter(|tool| !tool.adds_rows())) {
        fixture.direct.fail(tool.function, vec![Fault::Before(LOST.0, LOST.1); 9]);
        fixture.call(tool);
        let settled = fixture.settle_as(tool, GRACE, &[]);
        assert!(matches!(settled, Err(NotNow::LostAgain(_))), "{}: {settled:?}", tool.name);
        assert_eq!(fixture.effects(tool), 0);
    }
}

/// A backend that answers and shows nothing: the outcome cannot be known, and waiting does not help.
#[test]
fn an_unreadable_effect_is_not_repeated() {
    let whys = [
        CallReason::Unknown,
        CallReason::NotUnderstood,
        CallReason::NoSuchFunction,
        CallReason::ResultTooLarge,
        CallReason::AnswerTooLarge,
    ];
    for (fixture, tool) in everywhere(TOOLS.iter().filter(|tool| tool.reads.is_some())) {
        fixture.direct.fail(tool.function, [Fault::After(LOST.0, LOST.1)]);
        fixture.call(tool);
        for why in whys {
            fixture.direct.fail(tool.reads.unwrap(), [Fault::Before(CallClass::Refused, why)]);
            let settled = fixture.settle(tool);
            assert!(!settled.in_doubt && settled.may_notify);
            let error = settled.result.unwrap_err();
            assert_eq!(error.kind, ToolErrorKind::Unsettled, "{} {why:?}: {error}", tool.name);
            assert!(
                error.message.starts_with(&format!("It is unknown whether {} happened", tool.name)),
                "{error}"
            );
        }
        assert_eq!(fixture.effects(tool), 1, "{}", tool.name);
    }
}

/// The object of the call was deleted. So was its possible effect, and the backend refuses the call again.
#[test]
fn a_deleted_object_is_reported_as_gone() {
    for (fixture, tool) in everywhere(TOOLS.iter().filter(|tool| tool.reads == LOAD)) {
        let gone = Fault::Before(CallClass::Gone, CallReason::NotFound);
        fixture.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1), gone.clone()]);
        fixture.call(tool);
        fixture.direct.fail(LOAD.unwrap(), [gone.clone(), gone]);
        let error = fixture.settle(tool).result.unwrap_err();
        assert_eq!(error.kind, ToolErrorKind::NotFound, "{}: {error}", tool.name);
    }
}

/// People change a task as soon as it exists.
#[test]
fn a_changed_task_is_recognised_by_its_text() {
    let rows = [
        (json!({"status": "done", "priority": 1.0, "labels": ["x"], "dueDate": 1.0}), "found"),
        (json!({"assignedUserIds": ["user_dana"]}), "found"),
        (json!({"title": "Check it"}), "unclear"),
        (json!({"description": "Most of it."}), "unclear"),
        (json!({"title": "Check it", "description": "Most of it."}), "made"),
    ];
    for (changes, outcome) in rows {
        let (fixture, tool) = (Fixture::new(BACKENDS[0]), tool("task_create"));
        fixture.direct.fail(tool.function, [Fault::After(LOST.0, LOST.1)]);
        fixture.call(tool);
        let made = fixture.marks(tool)[0].clone();
        let mut changes = changes.clone();
        changes["updatedAt"] = json!(1_765_526_500_000.0_f64);
        fixture.team.board.edit("tasks", &made, changes.clone());
        let settled = fixture.settle(tool);
        let got = match &settled.result {
            Ok(_) if settled.made == [made.clone()] => "found",
            Ok(_) => "made",
            Err(error) => {
                assert!(error.message.contains(&made), "{error}");
                "unclear"
            }
        };
        assert_eq!(got, outcome, "{changes}");
    }
    // An untouched task must be equal in every field.
    for other in [json!({"priority": 1}), json!({"labels": ["other"]}), json!({"assignedAgentIds": ["ben"]})]
    {
        let (fixture, tool) = (Fixture::new(BACKENDS[0]), tool("task_create"));
        let mut args = fixture.args(tool);
        args["agentId"] = json!(fixture.team.lead);
        args.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        if other.get("assignedAgentIds").is_some() {
            args["assignedAgentIds"] = json!([fixture.team.ben]);
        }
        fixture.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1)]);
        fixture.call(tool);
        fixture.team.board.service("createTaskFromAgent", args).unwrap();
        assert!(fixture.settle(tool).result.is_ok());
        assert_eq!(fixture.effects(tool), 2, "{other}");
    }
}

const BOTH: Tool =
    Tool { args: |_| json!({"recipientSlugs": ["ben", "ada"], "message": "What do you think?"}), ..TOOLS[4] };

/// A row of the request is proof, wherever it is: in the list, or delivered here and answered since. In the
/// second case the backend would create another one (§5.5).
#[test]
fn a_response_is_requested_once() {
    for (mut fixture, request) in everywhere([&BOTH].into_iter()) {
        for delivered in 0..=2 {
            let before = fixture.effects(request);
            fixture.direct.fail(request.function, [Fault::After(LOST.0, LOST.1)]);
            fixture.call(request);
            let marks = fixture.marks(request).split_off(before);
            assert_eq!(marks.len(), 2, "both are asked");
            for id in &marks[..delivered] {
                fixture.serve(id);
            }
            for agent in [&fixture.team.ben, &fixture.team.ada] {
                fixture.team.board.says(agent, &fixture.here, "Good.");
            }
            let settled = fixture.settle_as(request, Duration::ZERO, &[]).unwrap();
            let mut made = settled.made.clone();
            made.sort();
            let mut expected = marks;
            expected.sort();
            assert_eq!((made, settled.result.unwrap().message), (expected, None), "{delivered} delivered");
            assert_eq!(fixture.effects(request), before + 2);
            fixture.since = fixture.now();
        }
    }
}

/// The backend leaves out agents that were asked before and have not answered; the caller gets their names.
#[test]
fn a_request_that_reached_some_is_not_repeated_for_the_others() {
    for (fixture, request) in everywhere([&BOTH].into_iter()) {
        let earlier = json!({
            "requesterAgentId": fixture.team.ben, "taskId": fixture.here, "recipientSlugs": ["ada"], "message": "Well?",
        });
        fixture.team.board.service("createResponseRequestNotifications", earlier).unwrap();
        fixture.direct.fail(request.function, [Fault::After(LOST.0, LOST.1)]);
        fixture.call(request);
        let settled = fixture.settle(request);
        let message = settled.result.unwrap().message.unwrap();
        assert!(
            message.starts_with(
                "Not all requests were sent. Already asked about this task and not answered yet: ada."
            ),
            "{message}"
        );
        assert_eq!((settled.made.len(), fixture.effects(request)), (1, 2));
    }
}

/// Rows of other requests prove nothing: older rows, rows with other words or recipients, and rows of another
/// step.
#[test]
fn rows_of_other_requests_prove_nothing() {
    for (mut fixture, request) in everywhere([tool("response_request")].into_iter()) {
        let asks = |recipient: &str, message: &str| {
            let args = json!({
                "requesterAgentId": fixture.team.lead, "taskId": fixture.here, "recipientSlugs": [recipient],
                "message": message,
            });
            fixture.team.board.advance(10);
            let made = fixture.team.board.service("createResponseRequestNotifications", args).unwrap();
            let id = made["notificationIds"][0].as_str().unwrap().to_owned();
            fixture.team.board.advance(10);
            fixture.team.board.says(
                if recipient == "ben" { &fixture.team.ben } else { &fixture.team.ada },
                &fixture.here,
                "Good.",
            );
            id
        };
        asks("ben", "What do you think?");
        let since = fixture.now();
        asks("ada", "What do you think?");
        asks("ben", "And this?");
        let known = asks("ben", "What do you think?");
        fixture.since = since;
        let before = fixture.effects(request);
        fixture.direct.fail(request.function, [Fault::Before(LOST.0, LOST.1)]);
        fixture.call(request);
        let settled = fixture.settle_as(request, GRACE, &[&known]).unwrap();
        assert_eq!((settled.made.len(), fixture.effects(request)), (1, before + 1));
        assert_ne!(settled.made[0], known);
    }
}

/// A full list may hide the row: the request counts neither as absent nor is it repeated. Recipients that
/// cannot be looked up now are looked up later.
#[test]
fn a_request_that_a_full_list_may_hide_is_not_repeated() {
    let (fixture, request) = (Fixture::new(BACKENDS[0]), tool("response_request"));
    for _ in 0..limits::UNDELIVERED_ROWS {
        fixture.team.board.notification(&fixture.team.ada, json!({"taskId": fixture.here}));
    }
    fixture.direct.fail(request.function, [Fault::After(LOST.0, LOST.1)]);
    fixture.call(request);
    let error = fixture.settle(request).result.unwrap_err();
    assert_eq!(error.kind, ToolErrorKind::Unsettled);
    assert!(error.message.contains("too many changes followed to read them all"), "{error}");
    assert_eq!(fixture.effects(request), 1);

    let (fixture, request) = (Fixture::new(BACKENDS[0]), tool("response_request"));
    fixture.direct.fail(request.function, [Fault::After(LOST.0, LOST.1)]);
    fixture.call(request);
    let asked = fixture.request(request);
    let doubt = Doubt { since: fixture.since, age: GRACE, is_known: &|_| false, requests: &|_| Vec::new() };
    let unknown = Roster::default();
    let settled = fixture.with(|caller, hands| {
        let hands = ToolBackend { roster: &unknown, refresh: &|| None, ..*hands };
        settle(&asked, &doubt, caller, &hands)
    });
    assert!(matches!(settled, Err(NotNow::Away(_))), "{settled:?}");
    assert_eq!(fixture.effects(request), 1);
}

/// D14, D27: an update has several steps, and a completed step is neither undone nor repeated.
#[test]
fn a_half_done_update_is_completed() {
    const ALL: Tool = Tool {
        args: |team| json!({"title": "Other", "status": "review", "assignedAgentIds": [team.ada, team.ben]}),
        ..TOOLS[1]
    };
    let fixture = Fixture::new(BACKENDS[0]);
    fixture.direct.fail(ALL.function, [Fault::Before(LOST.0, LOST.1)]);
    assert!(fixture.call(&ALL).in_doubt);
    // Ben was notified before the update was lost, and its first step was still made.
    let told = || {
        let mut told = fixture.team.board.notifications_of(&fixture.team.ben);
        told.retain(|line| line.starts_with("assignment"));
        told
    };
    assert_eq!(told(), ["assignment: Lead assigned you"]);
    fixture.team.moves(&fixture.team.ada, &fixture.here, "review").unwrap();
    let settled = fixture.settle(&ALL).result.unwrap();
    let task = fixture.team.board.row("tasks", &fixture.here);
    assert_eq!((&task["title"], &task["status"]), (&json!("Other"), &json!("review")), "{settled:?}");
    assert_eq!(told(), ["assignment: Lead assigned you"]);
    // Now that everything is done, nothing is repeated.
    fixture.settle(&ALL).result.unwrap();
    assert_eq!(fixture.direct.take_names(), ["loadTaskDetailsForAgentTool"]);
}

/// A document without a task is found in the list of all documents.
#[test]
fn a_document_without_task_is_found_among_all() {
    for options in BACKENDS {
        let fixture = Fixture::new(options);
        let paper = |task: Option<&str>| {
            let agent = AgentId::new(&fixture.team.lead);
            let task: Option<Task> = task.map(|_| fixture.task());
            let flags = fixture.roster.agent(&agent).unwrap().effective_behavior_flags.unwrap();
            let caller = Caller { agent: &agent, task: task.as_ref(), flags, leads: true, may_close: true };
            let call = call("document_upsert", &fixture.args(tool("document_upsert")).to_string());
            prepare(&call, &caller, &offer(&caller)).unwrap()
        };
        let (here, nowhere) = (paper(Some("here")), paper(None));
        let settle = |request: &ToolRequest| {
            let doubt =
                Doubt { since: fixture.since, age: GRACE, is_known: &|_| false, requests: &|_| Vec::new() };
            fixture.with(|caller, hands| settle(request, &doubt, caller, hands)).unwrap()
        };
        fixture.team.board.advance(10);
        let in_task = settle(&here).made;
        fixture.team.board.advance(10);
        let alone = settle(&nowhere).made;
        assert_ne!(in_task, alone);
        assert_eq!(settle(&here).made, in_task);
        assert_eq!(settle(&nowhere).made, alone);
        // More than a short list shows, and then more than the longest.
        for (more, found) in [(60, true), (60, false)] {
            fixture.crowd(tool("document_upsert"), more);
            assert_eq!(settle(&nowhere).result.is_ok(), found);
        }
        assert_eq!(fixture.effects(tool("document_upsert")), 2);
    }
}

/// The original backend reads a hundred documents and then leaves out deleted ones (D20): a short list
/// proves nothing.
#[test]
fn deleted_documents_may_hide_others() {
    for options in BACKENDS {
        let (fixture, tool) = (Fixture::new(options), tool("document_upsert"));
        fixture.direct.fail(tool.function, [Fault::After(LOST.0, LOST.1)]);
        fixture.call(tool);
        let made = fixture.marks(tool)[0].clone();
        fixture.team.board.edit("documents", &made, json!({"taskId": null}));
        fixture.crowd(tool, 100);
        let rows = fixture.team.board.rows("documents");
        let crowd = rows.iter().filter(|row| row["title"].as_str().unwrap().starts_with("Row"));
        for row in crowd.take(40) {
            fixture.team.board.edit("documents", row["_id"].as_str().unwrap(), json!({"deletedAt": 1.0}));
        }
        let ToolRequest::DocumentUpsert(mut paper) = fixture.request(tool) else {
            panic!("it is a document")
        };
        paper.task_id = None;
        let doubt =
            Doubt { since: fixture.since, age: GRACE, is_known: &|_| false, requests: &|_| Vec::new() };
        let request = ToolRequest::DocumentUpsert(paper);
        let settled = fixture.with(|caller, hands| settle(&request, &doubt, caller, hands)).unwrap();
        assert_eq!(settled.made == [made], !options.original, "{:?}", settled.result);
        assert_eq!(fixture.effects(tool), 1);
    }
}

/// A backend of another version refuses the call, and waiting does not help.
#[test]
fn a_permanent_refusal_is_reported() {
    for (fixture, tool) in everywhere(TOOLS.iter()) {
        let refused = Fault::Before(CallClass::Refused, CallReason::BadArguments);
        fixture.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1), refused]);
        fixture.call(tool);
        let settled = fixture.settle(tool);
        assert_eq!(settled.result.unwrap_err().kind, ToolErrorKind::Unavailable, "{}", tool.name);
        assert!(!settled.in_doubt);
        assert_eq!(fixture.effects(tool), 0, "{}", tool.name);
    }
}
