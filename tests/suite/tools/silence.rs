//! Backends that give no reasons, are unavailable, or lose an answer (contract D6, D7, D8, D27).

use mission_control_runtime::convex::{CallClass, CallError, CallReason, Ran};
use mission_control_runtime::local::Options;
use mission_control_runtime::tools::ToolErrorKind;
use mission_control_runtime::tools::table::ROWS;
use serde_json::json;

use super::effects::Fixture;
use super::selection::arguments;
use super::{TestCaller, call, make_against, task_json};
use crate::support::team::missing_id;

/// A production deployment gives no reasons; the agent still gets everything that can be known.
#[test]
fn a_backend_without_reasons_still_yields_useful_sentences() {
    let fixture = Fixture::with(Options { redact: true, ..Options::default() });
    let team = &fixture.team;
    let (lead, ada) = (team.lead.as_str(), team.ada.as_str());
    let begun = team.task("in_progress", &[ada]);
    let inbox = team.task("inbox", &[]);
    let blocked = team.task("blocked", &[]);
    let nowhere = missing_id(&inbox);
    let here = Some(begun.as_str());
    let silent = "Mission Control refused the call without a reason. Check that ";
    let rows = [
        // Checked against the workflow after reading the task.
        (
            "task_status",
            json!({"taskId": inbox, "status": "review"}),
            ToolErrorKind::Conflict,
            "Invalid transition: Cannot move from 'inbox' to 'review'",
        ),
        (
            "task_update",
            json!({"taskId": inbox, "status": "in_progress"}),
            ToolErrorKind::Conflict,
            "Invalid transition: Cannot move from 'inbox' to 'in_progress'",
        ),
        (
            "task_status",
            json!({"taskId": blocked, "status": "in_progress"}),
            ToolErrorKind::Conflict,
            "Invalid status change: Cannot move to 'in_progress' without at least one assignee",
        ),
        (
            "task_status",
            json!({"taskId": nowhere, "status": "review"}),
            ToolErrorKind::Refused,
            "could not be read either: check its id",
        ),
        (
            "task_update",
            json!({"taskId": begun, "assignedUserIds": ["user_nobody"]}),
            ToolErrorKind::Refused,
            "people are members of the account",
        ),
        (
            "task_update",
            json!({"taskId": begun, "assignedUserIds": [], "assignedAgentIds": []}),
            ToolErrorKind::Refused,
            "an assigned or in_progress task keeps an assignee",
        ),
        // Known in advance.
        (
            "task_create",
            json!({"title": "T", "assigneeSlugs": ["nix"]}),
            ToolErrorKind::Invalid,
            "Unknown assignee slugs: nix. The agents are: ",
        ),
        (
            "response_request",
            json!({"recipientSlugs": ["nix"], "message": "M"}),
            ToolErrorKind::Invalid,
            "Unknown recipient slugs: nix",
        ),
        ("task_get", json!({"taskId": nowhere}), ToolErrorKind::NotFound, "Not found: Task does not exist"),
        // Unknowable: the sentence says what to check.
        ("task_load", json!({"taskId": nowhere}), ToolErrorKind::Refused, silent),
        ("task_message", json!({"taskId": nowhere, "content": "C"}), ToolErrorKind::Refused, silent),
        ("task_delete", json!({"taskId": nowhere, "reason": "R"}), ToolErrorKind::Refused, silent),
    ];
    for (tool, args, kind, words) in rows {
        let (got, message) = fixture.refused(lead, here, tool, &args);
        assert!(message.contains(words), "{tool} {args}: {message}");
        assert_eq!(got, kind, "{tool} {args}: {message}");
        assert!(!message.contains("Request ID") && !message.contains("service/actions"), "{message}");
    }
}

fn error(class: CallClass, why: CallReason) -> CallError {
    CallError::new(class, why, "4f1b", "service/actions:x: a sentence for operators. Check CONVEX_URL.")
}

/// A call never fails its delivery: a failure of the backend becomes a correct sentence.
#[test]
fn every_tool_reports_every_backend_failure() {
    let rows = [
        (
            CallClass::Transient,
            CallReason::Unreachable,
            ToolErrorKind::Unavailable,
            "is unavailable (Mission Control is unreachable",
        ),
        (CallClass::Transient, CallReason::TimedOut, ToolErrorKind::Unavailable, "is unavailable"),
        (CallClass::Transient, CallReason::Throttled, ToolErrorKind::Throttled, "too many calls"),
        (CallClass::Refused, CallReason::TokenRefused, ToolErrorKind::Unavailable, "is unavailable"),
        (CallClass::Refused, CallReason::BadArguments, ToolErrorKind::Unavailable, "is unavailable"),
        (CallClass::Refused, CallReason::Unknown, ToolErrorKind::Refused, "without a reason. Check that "),
        (CallClass::Gone, CallReason::NotFound, ToolErrorKind::NotFound, "without a reason. Check that "),
        (CallClass::Refused, CallReason::Stopped, ToolErrorKind::Unavailable, "this program is stopping"),
        (
            CallClass::Ambiguous,
            CallReason::LostAnswer,
            ToolErrorKind::Unsettled,
            "may have happened. Check whether it did",
        ),
    ];
    let who = TestCaller::with_all_rights("in_progress");
    for (class, why, kind, words) in rows {
        for row in &ROWS {
            let call = call(row.name.as_str(), &arguments(row.name.as_str()).to_string());
            let made = make_against(&who, &call, Vec::new(), Some(error(class, why)));
            assert!(made.error().contains(words), "{} {why:?}: {}", row.name, made.error());
            let error = made.ran.error.as_ref().unwrap();
            assert_eq!(error.kind, kind, "{} {why:?}", row.name);
            for hidden in ["service/actions", "CONVEX_URL", "4f1b", "operators"] {
                assert!(!made.error().contains(hidden), "{}", made.error());
            }
            // A call that may have happened may have notified agents.
            let lost = kind == ToolErrorKind::Unsettled && row.writes;
            assert_eq!(made.ran.may_notify, lost, "{} {why:?}", row.name);
        }
    }
}

/// D27, W36: an update has several steps; after a failure the agent gets the task's present state.
#[test]
fn a_half_done_update_is_reported_as_half_done() {
    let who = TestCaller::with_all_rights("in_progress");
    let mut lost = error(CallClass::Refused, CallReason::Invalid);
    lost.literal = Some("Invalid user: x is not a member of this account".into());
    let args = json!({"status": "review", "assignedUserIds": ["x"]});
    let look = ("loadTaskDetailsForAgentTool", json!({"task": task_json("review"), "thread": []}));
    let made = make_against(&who, &call("task_update", &args.to_string()), vec![look], Some(lost));
    assert_eq!(
        made.error(),
        "Invalid user: x is not a member of this account. Part of the change may have happened: the task is review now"
    );
    assert_eq!(made.functions(), ["updateTaskFromAgent", "loadTaskDetailsForAgentTool"]);
}

/// The orchestrator's new agents are assigned and notified before the update; that remains reported if the
/// update fails.
#[test]
fn agents_assigned_before_a_failure_stay_notified() {
    let who = TestCaller::with_all_rights("in_progress");
    let args = json!({"assignedAgentIds": ["a-eng"], "title": "T"}).to_string();
    for class in [CallClass::Transient, CallClass::Ambiguous, CallClass::Refused] {
        let answers = vec![
            ("loadTaskDetailsForAgentTool", json!({"task": task_json("review"), "thread": []})),
            ("assignTaskFromAgent", json!({"taskId": "t-here"})),
        ];
        let trouble = error(class, CallReason::ServerFault);
        let made = make_against(&who, &call("task_update", &args), answers, Some(trouble));
        assert!(made.error().ends_with("The new agents were assigned and notified anyway"));
        assert!(made.ran.may_notify, "{class}");
    }
}

/// A lost call that may be repeated is not reported as without effect.
#[test]
fn a_lost_repeatable_call_is_not_reported_as_without_effect() {
    let mut lost = error(CallClass::Transient, CallReason::LostAnswer);
    lost.ran = Ran::Maybe;
    let who = TestCaller::with_all_rights("in_progress");
    let call = call("task_status", r#"{"status":"review"}"#);
    let made = make_against(&who, &call, Vec::new(), Some(lost));
    assert!(made.error().contains("may have happened anyway, and repeating it is safe"));
    assert!(made.ran.may_notify);
}

/// D8: secrets in the words of the backend or of the agent itself.
#[test]
fn no_secret_is_returned() {
    let token = ["mc_service_", "k17abc_5f0c99aa77bb55cc11dd"].concat();
    let key = "task:t1:agent:ada:acc1:v1";
    let mut leak = error(CallClass::Refused, CallReason::Forbidden);
    leak.literal = Some(format!("Forbidden: {token} may not, {key}\n    at handler (x.ts:1)").into());
    let who = TestCaller::with_all_rights("in_progress");
    let made = make_against(&who, &call("task_load", r#"{"taskId":"t"}"#), Vec::new(), Some(leak));
    assert!(!made.ran.output.contains("5f0c99aa77bb55cc11dd") && !made.ran.output.contains(key));
    let args = json!({"taskId": "t", "assigneeSlugs": [token]}).to_string();
    let made = make_against(&who, &call("task_assign", &args), Vec::new(), None);
    assert!(made.error().starts_with("Unknown assignee slugs") && !made.error().contains("5f0c99aa"));
    let made = make_against(&who, &call(&token, "{}"), Vec::new(), None);
    assert!(!made.error().contains("5f0c99aa"), "{}", made.error());
}
