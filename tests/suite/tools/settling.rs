//! Calls of which it is not known whether they happened (contract §1.5, D28): what is found, what is made, and how often
//! it stands in the backend's own books.

/// The board, and the tools as they are called on it.
mod setup;

use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::convex::{Class, Why};
use mission_control_runtime::model::{AgentId, Roster, Task, limits};
use mission_control_runtime::tools::run::{Doubt, GRACE, NotNow, ToolBackend, perform, settle};
use mission_control_runtime::tools::table::ROWS;
use mission_control_runtime::tools::{Caller, ToolErrorKind, ToolRequest, offer, prepare};
use serde_json::json;

use self::setup::{BACKENDS, Desk, LOAD, LOST, TOOLS, Tool, as_read, everywhere, makers, tool};
use super::call;
use crate::support::direct::Fault;

#[test]
fn every_writing_tool_is_in_the_table() {
    for row in ROWS.iter().filter(|row| row.writes) {
        assert!(TOOLS.iter().any(|tool| tool.name == row.name.as_str()), "{}", row.name);
    }
}

/// The first row of the table: it happened, and nobody heard. It is found, or made again where that adds nothing, and
/// the agent reads what it would have read.
#[test]
fn what_was_done_is_not_done_again() {
    for (desk, tool) in everywhere(TOOLS.iter()) {
        let plain = Desk::new(BACKENDS[0]);
        let usual = plain.request(tool);
        let usual = plain.with(|caller, hands| perform(&usual, caller, hands));
        desk.direct.fail(tool.function, [Fault::After(LOST.0, LOST.1)]);
        let ran = desk.call(tool);
        assert!(ran.in_doubt && !ran.ok, "{}: {}", tool.name, ran.output);
        assert_eq!(desk.effects(tool), 1, "{}", tool.name);
        // Also at once: what is there is there.
        let settled = desk.settle_as(tool, Duration::ZERO, &[]).unwrap();
        assert_eq!(as_read(&settled), as_read(&usual), "{}", tool.name);
        // Whoever may have been told is told of.
        assert!(!settled.in_doubt && settled.stirs >= usual.stirs, "{}", tool.name);
        assert_eq!(desk.effects(tool), 1, "{}", tool.name);
        if tool.twin.is_some() {
            assert_eq!(settled.made, desk.marks(tool)[..1]);
        }
        let asked = desk.direct.take_names();
        if let Some(reads) = tool.reads {
            assert!(asked.contains(&reads.to_owned()), "{}: {asked:?}", tool.name);
        }
    }
}

/// It did not happen: it is made, once. What would stand there twice if the first were only late waits its time.
#[test]
fn what_was_not_done_is_done_once() {
    for (desk, tool) in everywhere(TOOLS.iter()) {
        desk.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1)]);
        assert!(desk.call(tool).in_doubt);
        assert_eq!(desk.effects(tool), 0, "{}", tool.name);
        if tool.adds_rows() {
            let early = desk.settle_as(tool, Duration::from_secs(5), &[]);
            assert!(matches!(early, Err(NotNow::Early(wait)) if wait + Duration::from_secs(5) == GRACE));
            assert_eq!(desk.effects(tool), 0, "{}", tool.name);
        }
        let settled = desk.settle(tool);
        assert!(settled.result.is_ok() && !settled.in_doubt, "{}: {:?}", tool.name, settled.result);
        assert_eq!(desk.effects(tool), 1, "{}", tool.name);
        if tool.twin.is_some() {
            assert_eq!(settled.made, desk.marks(tool)[..1]);
        }
    }
}

/// Rows that look like ours and are not: older ones, and those that another step has made.
#[test]
fn a_row_that_looks_like_ours_is_not_taken_for_it() {
    for done in [true, false] {
        for (mut desk, tool) in everywhere(makers()) {
            let lead = desk.team.lead.clone();
            let older = desk.does(&lead, tool);
            // Newer than the first of them, and of the second it is known who has made it.
            desk.since = Millis(1_765_526_400_000 + 15);
            let known = desk.does(&lead, tool);
            let lost = if done { Fault::After(LOST.0, LOST.1) } else { Fault::Before(LOST.0, LOST.1) };
            desk.direct.fail(tool.function, [lost]);
            desk.call(tool);
            let settled = desk.settle_as(tool, GRACE, &[&known]).unwrap();
            let marks = desk.marks(tool);
            assert_eq!(marks.len(), 3, "{} {done}", tool.name);
            assert_eq!(settled.made, marks[2..], "{} {done}", tool.name);
            assert_eq!(marks[..2], [older, known]);
        }
    }
}

/// Somebody else has made the same. Tasks and messages say who it was; documents do not, so one that fits is taken for
/// ours, and of two that fit none is.
#[test]
fn what_others_made_is_theirs() {
    for (desk, tool) in everywhere(makers()) {
        let theirs = desk.does(&desk.team.ada, tool);
        desk.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1)]);
        desk.call(tool);
        let settled = desk.settle(tool);
        let document = tool.name == "document_upsert";
        assert_eq!(settled.made == [theirs.clone()], document, "{}", tool.name);
        assert_eq!(desk.effects(tool), if document { 1 } else { 2 }, "{}", tool.name);
        if document {
            desk.direct.fail(tool.function, [Fault::After(LOST.0, LOST.1)]);
            desk.call(tool);
            let settled = desk.settle(tool);
            let error = settled.result.unwrap_err();
            assert_eq!(error.kind, ToolErrorKind::Unsettled);
            assert!(
                error.message.contains("several documents") && error.message.contains(&theirs),
                "{error}"
            );
            assert_eq!(desk.effects(tool), 2);
        }
    }
}

/// Two that are equal cannot be told apart: the oldest is as good as any, and a third would be wrong.
#[test]
fn of_equals_the_oldest_is_taken() {
    for (desk, tool) in everywhere(makers()).into_iter().filter(|(_, tool)| tool.name != "document_upsert") {
        for _ in 0..2 {
            desk.direct.fail(tool.function, [Fault::After(LOST.0, LOST.1)]);
            desk.call(tool);
        }
        let settled = desk.settle(tool);
        let marks = desk.marks(tool);
        assert_eq!(marks.len(), 2);
        assert_eq!(settled.made, marks[..1], "{}", tool.name);
    }
}

/// A list that is full of what came since may hide ours; one that reaches back does not.
#[test]
fn what_a_full_list_may_hide_is_not_made_again() {
    for (desk, tool) in everywhere(makers()) {
        for done in [true, false] {
            let before = desk.effects(tool);
            let lost = if done { Fault::After(LOST.0, LOST.1) } else { Fault::Before(LOST.0, LOST.1) };
            desk.direct.fail(tool.function, [lost]);
            desk.call(tool);
            desk.crowd(tool, 200);
            let settled = desk.settle(tool);
            let error = settled.result.unwrap_err();
            assert_eq!(error.kind, ToolErrorKind::Unsettled);
            let words = &error.message;
            assert!(words.contains("more has happened since than can be read"), "{words}");
            assert!(
                words.contains("was not repeated") && words.contains("Before you call it again"),
                "{words}"
            );
            assert_eq!(desk.effects(tool), before + usize::from(done), "{}", tool.name);
        }
    }
    // As many, but old: the list is as full, and shows all the same that it is not there.
    for (mut desk, tool) in everywhere(makers()) {
        desk.crowd(tool, 200);
        desk.since = Millis(1_765_526_400_000 + 500);
        desk.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1)]);
        desk.call(tool);
        assert!(desk.settle(tool).result.is_ok());
        assert_eq!(desk.effects(tool), 1, "{}", tool.name);
    }
}

/// A backend that cannot be asked now decides nothing.
#[test]
fn a_backend_that_is_away_is_no_answer() {
    for (desk, tool) in everywhere(TOOLS.iter()) {
        for lost in [Fault::Before(LOST.0, LOST.1), Fault::After(LOST.0, LOST.1)] {
            desk.direct.fail(tool.function, [lost]);
            desk.call(tool);
            let before = desk.effects(tool);
            for why in [Why::Unreachable, Why::Overloaded, Why::TokenRefused] {
                let class = if why == Why::TokenRefused { Class::Refused } else { Class::Transient };
                desk.direct.fail(tool.reads.unwrap_or(tool.function), [Fault::Before(class, why)]);
                let settled = desk.settle_as(tool, GRACE, &[]);
                let Err(NotNow::Away(error)) = settled else { panic!("{} {why:?}: {settled:?}", tool.name) };
                assert_eq!(error.why, why);
                assert_eq!(desk.effects(tool), before, "{}", tool.name);
            }
        }
    }
}

/// The answer is lost once more while it is settled: it is looked for again, and made no third time.
#[test]
fn an_answer_lost_in_settling_is_settled_too() {
    for (desk, tool) in everywhere(makers()) {
        desk.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1), Fault::After(LOST.0, LOST.1)]);
        desk.call(tool);
        let settled = desk.settle(tool);
        assert_eq!(settled.made, desk.marks(tool)[..1]);
        assert_eq!(desk.effects(tool), 1, "{}", tool.name);
    }
    for (desk, tool) in everywhere(TOOLS.iter()) {
        desk.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1), Fault::Before(LOST.0, LOST.1)]);
        desk.call(tool);
        let settled = desk.settle_as(tool, GRACE, &[]);
        if tool.adds_rows() {
            // Now it is the second that may still be on its way.
            assert!(matches!(settled, Err(NotNow::Early(GRACE))), "{}: {settled:?}", tool.name);
            assert_eq!(desk.effects(tool), 0);
        } else {
            assert!(settled.unwrap().result.is_ok(), "{}", tool.name);
            assert_eq!(desk.effects(tool), 1);
        }
    }
    for (desk, tool) in everywhere(TOOLS.iter().filter(|tool| !tool.adds_rows())) {
        desk.direct.fail(tool.function, vec![Fault::Before(LOST.0, LOST.1); 9]);
        desk.call(tool);
        let settled = desk.settle_as(tool, GRACE, &[]);
        assert!(matches!(settled, Err(NotNow::LostAgain(_))), "{}: {settled:?}", tool.name);
        assert_eq!(desk.effects(tool), 0);
    }
}

/// A backend that answers and shows nothing: it is not to be known, and not to be waited for.
#[test]
fn what_cannot_be_read_is_not_made_again() {
    let whys =
        [Why::Unknown, Why::NotUnderstood, Why::NoSuchFunction, Why::ResultTooLarge, Why::AnswerTooLarge];
    for (desk, tool) in everywhere(TOOLS.iter().filter(|tool| tool.reads.is_some())) {
        desk.direct.fail(tool.function, [Fault::After(LOST.0, LOST.1)]);
        desk.call(tool);
        for why in whys {
            desk.direct.fail(tool.reads.unwrap(), [Fault::Before(Class::Refused, why)]);
            let settled = desk.settle(tool);
            assert!(!settled.in_doubt && settled.stirs);
            let error = settled.result.unwrap_err();
            assert_eq!(error.kind, ToolErrorKind::Unsettled, "{} {why:?}: {error}", tool.name);
            assert!(
                error.message.starts_with(&format!("It is not known whether {} happened", tool.name)),
                "{error}"
            );
        }
        assert_eq!(desk.effects(tool), 1, "{}", tool.name);
    }
}

/// What the call was about is gone: then so is what it may have done, and the backend refuses it once more.
#[test]
fn what_is_gone_is_said_to_be_gone() {
    for (desk, tool) in everywhere(TOOLS.iter().filter(|tool| tool.reads == LOAD)) {
        let gone = Fault::Before(Class::Gone, Why::NotFound);
        desk.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1), gone.clone()]);
        desk.call(tool);
        desk.direct.fail(LOAD.unwrap(), [gone.clone(), gone]);
        let error = desk.settle(tool).result.unwrap_err();
        assert_eq!(error.kind, ToolErrorKind::NotFound, "{}: {error}", tool.name);
    }
}

/// People work on a task as soon as it is there.
#[test]
fn a_task_is_known_by_its_words_once_it_was_changed() {
    let rows = [
        (json!({"status": "done", "priority": 1.0, "labels": ["x"], "dueDate": 1.0}), "found"),
        (json!({"assignedUserIds": ["user_dana"]}), "found"),
        (json!({"title": "Check it"}), "unclear"),
        (json!({"description": "Most of it."}), "unclear"),
        (json!({"title": "Check it", "description": "Most of it."}), "made"),
    ];
    for (changes, outcome) in rows {
        let (desk, tool) = (Desk::new(BACKENDS[0]), tool("task_create"));
        desk.direct.fail(tool.function, [Fault::After(LOST.0, LOST.1)]);
        desk.call(tool);
        let made = desk.marks(tool)[0].clone();
        let mut changes = changes.clone();
        changes["updatedAt"] = json!(1_765_526_500_000.0_f64);
        desk.team.board.edit("tasks", &made, changes.clone());
        let settled = desk.settle(tool);
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
    // Nobody has touched it: then everything must be the same.
    for other in [json!({"priority": 1}), json!({"labels": ["other"]}), json!({"assignedAgentIds": ["ben"]})]
    {
        let (desk, tool) = (Desk::new(BACKENDS[0]), tool("task_create"));
        let mut args = desk.args(tool);
        args["agentId"] = json!(desk.team.lead);
        args.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        if other.get("assignedAgentIds").is_some() {
            args["assignedAgentIds"] = json!([desk.team.ben]);
        }
        desk.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1)]);
        desk.call(tool);
        desk.team.board.service("createTaskFromAgent", args).unwrap();
        assert!(desk.settle(tool).result.is_ok());
        assert_eq!(desk.effects(tool), 2, "{other}");
    }
}

const BOTH: Tool =
    Tool { args: |_| json!({"recipientSlugs": ["ben", "ada"], "message": "What do you think?"}), ..TOOLS[4] };

/// A row of the request is proof, wherever it is by now: in the list, or delivered here and answered since. Then the
/// backend would create a second one (§5.5).
#[test]
fn an_agent_is_asked_once() {
    for (mut desk, request) in everywhere([&BOTH].into_iter()) {
        for delivered in 0..=2 {
            let before = desk.effects(request);
            desk.direct.fail(request.function, [Fault::After(LOST.0, LOST.1)]);
            desk.call(request);
            let marks = desk.marks(request).split_off(before);
            assert_eq!(marks.len(), 2, "both are asked");
            for id in &marks[..delivered] {
                desk.serve(id);
            }
            for agent in [&desk.team.ben, &desk.team.ada] {
                desk.team.board.says(agent, &desk.here, "Good.");
            }
            let settled = desk.settle_as(request, Duration::ZERO, &[]).unwrap();
            let mut made = settled.made.clone();
            made.sort();
            let mut expected = marks;
            expected.sort();
            assert_eq!((made, settled.result.unwrap().message), (expected, None), "{delivered} delivered");
            assert_eq!(desk.effects(request), before + 2);
            desk.since = desk.now();
        }
    }
}

/// The backend leaves out who was asked before and has not answered; the agent is told who that is.
#[test]
fn a_request_that_reached_some_is_not_repeated_for_the_others() {
    for (desk, request) in everywhere([&BOTH].into_iter()) {
        let earlier = json!({
            "requesterAgentId": desk.team.ben, "taskId": desk.here, "recipientSlugs": ["ada"], "message": "Well?",
        });
        desk.team.board.service("createResponseRequestNotifications", earlier).unwrap();
        desk.direct.fail(request.function, [Fault::After(LOST.0, LOST.1)]);
        desk.call(request);
        let settled = desk.settle(request);
        let message = settled.result.unwrap().message.unwrap();
        assert!(message.starts_with("Not everybody was asked anew: ada had been asked"), "{message}");
        assert_eq!((settled.made.len(), desk.effects(request)), (1, 2));
    }
}

/// Rows of other requests prove nothing: older ones, those with other words or for others, and those of another step.
#[test]
fn other_requests_are_not_taken_for_this_one() {
    for (mut desk, request) in everywhere([tool("response_request")].into_iter()) {
        let asks = |recipient: &str, message: &str| {
            let args = json!({
                "requesterAgentId": desk.team.lead, "taskId": desk.here, "recipientSlugs": [recipient],
                "message": message,
            });
            desk.team.board.pass(10);
            let made = desk.team.board.service("createResponseRequestNotifications", args).unwrap();
            let id = made["notificationIds"][0].as_str().unwrap().to_owned();
            desk.team.board.pass(10);
            desk.team.board.says(
                if recipient == "ben" { &desk.team.ben } else { &desk.team.ada },
                &desk.here,
                "Good.",
            );
            id
        };
        asks("ben", "What do you think?");
        let since = desk.now();
        asks("ada", "What do you think?");
        asks("ben", "And this?");
        let known = asks("ben", "What do you think?");
        desk.since = since;
        let before = desk.effects(request);
        desk.direct.fail(request.function, [Fault::Before(LOST.0, LOST.1)]);
        desk.call(request);
        let settled = desk.settle_as(request, GRACE, &[&known]).unwrap();
        assert_eq!((settled.made.len(), desk.effects(request)), (1, before + 1));
        assert_ne!(settled.made[0], known);
    }
}

/// A full list may hide the row: it is neither taken for absent nor made again. Recipients that cannot be looked up now
/// are looked up later.
#[test]
fn a_request_that_may_be_hidden_is_not_repeated() {
    let (desk, request) = (Desk::new(BACKENDS[0]), tool("response_request"));
    for _ in 0..limits::UNDELIVERED_ROWS {
        desk.team.board.notification(&desk.team.ada, json!({"taskId": desk.here}));
    }
    desk.direct.fail(request.function, [Fault::After(LOST.0, LOST.1)]);
    desk.call(request);
    let error = desk.settle(request).result.unwrap_err();
    assert_eq!(error.kind, ToolErrorKind::Unsettled);
    assert!(error.message.contains("more has happened since than can be read"), "{error}");
    assert_eq!(desk.effects(request), 1);

    let (desk, request) = (Desk::new(BACKENDS[0]), tool("response_request"));
    desk.direct.fail(request.function, [Fault::After(LOST.0, LOST.1)]);
    desk.call(request);
    let asked = desk.request(request);
    let doubt = Doubt { since: desk.since, age: GRACE, is_known: &|_| false, requests: &|_| Vec::new() };
    let unknown = Roster::default();
    let settled = desk.with(|caller, hands| {
        let hands = ToolBackend { roster: &unknown, refresh: &|| None, ..*hands };
        settle(&asked, &doubt, caller, &hands)
    });
    assert!(matches!(settled, Err(NotNow::Away(_))), "{settled:?}");
    assert_eq!(desk.effects(request), 1);
}

/// D14, D27: an update goes in steps, and what one of them did is not undone or done twice.
#[test]
fn a_half_done_update_is_brought_to_its_end() {
    const ALL: Tool = Tool {
        args: |team| json!({"title": "Other", "status": "review", "assignedAgentIds": [team.ada, team.ben]}),
        ..TOOLS[1]
    };
    let desk = Desk::new(BACKENDS[0]);
    desk.direct.fail(ALL.function, [Fault::Before(LOST.0, LOST.1)]);
    assert!(desk.call(&ALL).in_doubt);
    // Ben was told before the update was lost, and its first step was still made.
    let told = || {
        let mut told = desk.team.board.told(&desk.team.ben);
        told.retain(|line| line.starts_with("assignment"));
        told
    };
    assert_eq!(told(), ["assignment: Lead assigned you"]);
    desk.team.moves(&desk.team.ada, &desk.here, "review").unwrap();
    let settled = desk.settle(&ALL).result.unwrap();
    let task = desk.team.board.row("tasks", &desk.here);
    assert_eq!((&task["title"], &task["status"]), (&json!("Other"), &json!("review")), "{settled:?}");
    assert_eq!(told(), ["assignment: Lead assigned you"]);
    // And now that all is so, it is not made again.
    desk.settle(&ALL).result.unwrap();
    assert_eq!(desk.direct.take_names(), ["loadTaskDetailsForAgentTool"]);
}

/// A document without a task: the list of all documents.
#[test]
fn a_document_of_no_task_is_found_among_all() {
    for options in BACKENDS {
        let desk = Desk::new(options);
        let paper = |task: Option<&str>| {
            let agent = AgentId::new(&desk.team.lead);
            let task: Option<Task> = task.map(|_| desk.task());
            let flags = desk.roster.agent(&agent).unwrap().effective_behavior_flags.unwrap();
            let caller = Caller { agent: &agent, task: task.as_ref(), flags, leads: true, may_close: true };
            let call = call("document_upsert", &desk.args(tool("document_upsert")).to_string());
            prepare(&call, &caller, &offer(&caller)).unwrap()
        };
        let (here, nowhere) = (paper(Some("here")), paper(None));
        let settle = |request: &ToolRequest| {
            let doubt =
                Doubt { since: desk.since, age: GRACE, is_known: &|_| false, requests: &|_| Vec::new() };
            desk.with(|caller, hands| settle(request, &doubt, caller, hands)).unwrap()
        };
        desk.team.board.pass(10);
        let in_task = settle(&here).made;
        desk.team.board.pass(10);
        let alone = settle(&nowhere).made;
        assert_ne!(in_task, alone);
        assert_eq!(settle(&here).made, in_task);
        assert_eq!(settle(&nowhere).made, alone);
        // More than a short list shows, and then more than the longest.
        for (more, found) in [(60, true), (60, false)] {
            desk.crowd(tool("document_upsert"), more);
            assert_eq!(settle(&nowhere).result.is_ok(), found);
        }
        assert_eq!(desk.effects(tool("document_upsert")), 2);
    }
}

/// The original reads a hundred documents and then leaves out deleted ones (D20): a short list is no proof.
#[test]
fn deleted_documents_hide_others() {
    for options in BACKENDS {
        let (desk, tool) = (Desk::new(options), tool("document_upsert"));
        desk.direct.fail(tool.function, [Fault::After(LOST.0, LOST.1)]);
        desk.call(tool);
        let made = desk.marks(tool)[0].clone();
        desk.team.board.edit("documents", &made, json!({"taskId": null}));
        desk.crowd(tool, 100);
        let rows = desk.team.board.rows("documents");
        let crowd = rows.iter().filter(|row| row["title"].as_str().unwrap().starts_with("Row"));
        for row in crowd.take(40) {
            desk.team.board.edit("documents", row["_id"].as_str().unwrap(), json!({"deletedAt": 1.0}));
        }
        let ToolRequest::DocumentUpsert(mut paper) = desk.request(tool) else { panic!("it is a document") };
        paper.task_id = None;
        let doubt = Doubt { since: desk.since, age: GRACE, is_known: &|_| false, requests: &|_| Vec::new() };
        let request = ToolRequest::DocumentUpsert(paper);
        let settled = desk.with(|caller, hands| settle(&request, &doubt, caller, hands)).unwrap();
        assert_eq!(settled.made == [made], !options.original, "{:?}", settled.result);
        assert_eq!(desk.effects(tool), 1);
    }
}

/// A backend of another version refuses it, and nothing is gained by waiting.
#[test]
fn what_is_refused_for_good_is_told() {
    for (desk, tool) in everywhere(TOOLS.iter()) {
        let refused = Fault::Before(Class::Refused, Why::BadArguments);
        desk.direct.fail(tool.function, [Fault::Before(LOST.0, LOST.1), refused]);
        desk.call(tool);
        let settled = desk.settle(tool);
        assert_eq!(settled.result.unwrap_err().kind, ToolErrorKind::Unavailable, "{}", tool.name);
        assert!(!settled.in_doubt);
        assert_eq!(desk.effects(tool), 0, "{}", tool.name);
    }
}
