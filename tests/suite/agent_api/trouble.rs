//! A backend that is unreachable, slow, or loses replies (W2, W7, W8, W9, §9.10): a status with a sentence, never a secret.

use std::sync::{Arc, Mutex};

use mission_control_runtime::convex::{Call, CallClass, CallError, CallReason, Convex, Ran};
use mission_control_runtime::local::Options;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{ENDPOINTS, Plan, Stand};
use crate::support::board::Board;
use crate::support::direct::Direct;

/// A backend with planned failures.
struct Moody {
    team: Mutex<Option<Direct>>,
    /// Which functions fail, how, and whether they still take effect.
    mood: Mutex<Option<(&'static str, CallClass, CallReason, bool)>>,
}

impl Convex for Moody {
    fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError> {
        let direct = self.team.lock().unwrap().clone().expect("there is a team");
        let mood = *self.mood.lock().unwrap();
        match mood {
            Some((function, class, why, done)) if call.path.ends_with(function) => {
                if done {
                    drop(direct.call(call));
                }
                let mut error = CallError::new(class, why, "", "as the canary c4n4ry-secret-value says.");
                error.ran = if done { Ran::Maybe } else { Ran::No };
                Err(error)
            }
            _ => direct.call(call),
        }
    }
}

fn stand() -> (Stand, Arc<Moody>) {
    let moody = Arc::new(Moody { team: Mutex::default(), mood: Mutex::default() });
    let stand = Stand::with(Plan { convex: Some(moody.clone()), ..Plan::default() });
    let board: &Board = &stand.team.board;
    *moody.team.lock().unwrap() = Some(Direct::new(board.engine.clone()));
    (stand, moody)
}

/// A body with which each endpoint reaches the backend.
fn body(endpoint: &str, task: &str) -> Value {
    let mut body = match endpoint {
        "task-status" => json!({"status": "review"}),
        "task-update" | "task-create" => json!({"title": "x"}),
        "task-assign" => json!({"assigneeSlugs": ["ada"]}),
        "response-request" => json!({"recipientSlugs": ["ada"], "message": "x"}),
        "document" => json!({"title": "x", "content": "y", "type": "note"}),
        "task-message" => json!({"content": "x"}),
        "task-search" => json!({"query": "x"}),
        "task-delete" => json!({"reason": "x"}),
        "task-link-pr" => json!({"prNumber": 7}),
        _ => json!({}),
    };
    if !["task-create", "document", "document-list", "task-list", "task-search", "get-agent-skills"]
        .contains(&endpoint)
    {
        body["taskId"] = json!(task);
    }
    body
}

/// An unreachable backend is a 502, a slow one a 504, and a busy one a 429 with a time. The service continues.
#[test]
fn a_failing_backend_maps_to_502_504_or_429() {
    let rows = [
        (CallReason::Unreachable, 502, true),
        (CallReason::TimedOut, 504, true),
        (CallReason::Throttled, 429, true),
    ];
    for (why, status, retryable) in rows {
        let (stand, moody) = stand();
        let lead = stand.own("lead");
        let task = stand.team.task("assigned", &[&stand.team.ben]);
        stand.done("get-agent-skills", &lead, &json!({}));
        *moody.mood.lock().unwrap() = Some(("", CallClass::Transient, why, false));
        for (endpoint, _) in ENDPOINTS {
            let refused = stand.post(endpoint, &lead, &body(endpoint, &task));
            assert_eq!(refused.status, status, "{endpoint} {why:?}: {refused:?}");
            assert_eq!(refused.body["retryable"], retryable, "{endpoint} {why:?}: {refused:?}");
            assert!(
                !refused.error().is_empty() && !refused.body.to_string().contains("c4n4ry"),
                "{refused:?}"
            );
            assert!(status != 429 || refused.retry_after.is_some(), "{refused:?}");
        }
        // In the first moment of a process no session is known. The reply must not say so.
        let fresh = Stand::with(Plan { convex: Some(moody.clone()), ..Plan::default() });
        let refused = fresh.post("task-load", &lead, &json!({"taskId": task}));
        assert_eq!(refused.status, status, "{refused:?}");
        let again = fresh.post("task-load", "nobody", &json!({"taskId": task}));
        assert_eq!(
            (again.status, again.retry_after),
            (503, Some(1)),
            "strangers do not make it ask again: {again:?}"
        );
    }
}

/// A call over HTTP counts in the metrics as a tool call with its result.
#[test]
fn counts_calls_as_tool_calls() {
    let (stand, moody) = stand();
    let ben = stand.own("ben");
    let task = stand.team.task("assigned", &[&stand.team.ben]);
    stand.done("task-load", &ben, &json!({"taskId": task}));
    let rows = [
        ("task-load", json!({}), 400),
        ("task-load", json!({"taskId": "no-such-task"}), 422),
        ("task-delete", json!({"taskId": task, "reason": "x"}), 403),
        ("task-status", json!({"taskId": task, "status": "done"}), 403),
    ];
    for (endpoint, body, status) in rows {
        assert_eq!(stand.post(endpoint, &ben, &body).status, status, "{endpoint} {body}");
    }
    *moody.mood.lock().unwrap() = Some(("", CallClass::Transient, CallReason::Unreachable, false));
    assert_eq!(stand.post("task-load", &ben, &json!({"taskId": task})).status, 502);
    let mut counted: Vec<_> = stand.metrics.http_tools.counts().filter(|(.., count)| *count > 0).collect();
    counted.sort_unstable();
    assert_eq!(
        counted,
        [
            ("task_delete", "forbidden", 1),
            ("task_load", "invalid", 1),
            ("task_load", "malformed", 1),
            ("task_load", "ok", 1),
            ("task_load", "unavailable", 1),
            ("task_status", "forbidden", 1),
        ]
    );
    assert_eq!(stand.metrics.turn_tools.counts().map(|(.., count)| count).sum::<u64>(), 0);
}

/// Outside of a delivery a lost reply is reported as lost. With an idempotency key the call is not repeated.
#[test]
fn reports_a_lost_reply_as_lost() {
    for why in [CallReason::LostAnswer, CallReason::TimedOut] {
        let (stand, moody) = stand();
        let ada = stand.own("ada");
        stand.done("get-agent-skills", &ada, &json!({}));
        *moody.mood.lock().unwrap() = Some(("createTaskFromAgent", CallClass::Ambiguous, why, true));
        let headers = [("x-openclaw-session-key", ada.as_str()), ("Idempotency-Key", "n")];
        let lost = stand.send("task-create", &headers, r#"{"title":"x"}"#);
        assert_eq!(lost.status, if why == CallReason::TimedOut { 504 } else { 502 }, "{lost:?}");
        assert!(
            lost.error().contains("may have happened") && lost.body.get("retryable").is_none(),
            "{lost:?}"
        );
        *moody.mood.lock().unwrap() = None;
        let again = stand.send("task-create", &headers, r#"{"title":"x"}"#);
        assert_eq!((again.status, &again.body), (lost.status, &lost.body));
        assert_eq!(stand.team.board.rows("tasks").len(), 1);
    }
}

/// W8: a deployment that hides its reasons does not look like missing permissions.
#[test]
fn a_hidden_reason_is_not_a_403() {
    let stand =
        Stand::with(Plan { options: Options { redact: true, ..Options::default() }, ..Plan::default() });
    let refused = stand.post("task-load", &stand.own("ben"), &json!({"taskId": "nonsense"}));
    assert_eq!(refused.status, 500, "{refused:?}");
    assert!(refused.error().contains("without a reason"), "{refused:?}");
}

/// No reply contains a secret, even if every text of the backend contains one.
#[test]
fn no_reply_contains_a_secret() {
    let stand = Stand::with(Plan { tokens: true, ..Plan::default() });
    let (key, task) = stand.ben_at("in_progress");
    let task = mission_control_runtime::model::TaskId::new(task.as_str());
    let track = mission_control_runtime::work::Track::new(stand.team.ben.as_str(), Some(task));
    let session = stand.sessions.issue(
        &mission_control_runtime::model::SessionKey::new(key.as_str()),
        "ben",
        &track,
        mission_control_runtime::clock::Millis(0),
    );
    let token = session.token.expose().to_owned();
    let secrets = [stand.team.board.token.clone(), token.clone(), key.clone()];
    for secret in &secrets {
        let unknown = json!({"title": "x", secret.as_str(): "x"});
        let rows = [
            ("task-update", unknown.to_string()),
            ("task-status", json!({"taskId": secret, "status": secret}).to_string()),
            ("get-agent-skills", json!({"agentId": secret}).to_string()),
            ("response-request", json!({"recipientSlugs": [secret], "message": "x"}).to_string()),
            ("task-load", format!("{{\"{secret}")),
            ("task-load", json!({"taskId": secret}).to_string()),
            ("wake", json!({"text": "x", secret.as_str(): "x"}).to_string()),
            ("event", json!({"text": "x", "scope": secret}).to_string()),
            ("event", json!({"text": "x", "sessionKey": format!("agent:{secret}:main")}).to_string()),
        ];
        for (endpoint, body) in rows {
            let headers = [("x-openclaw-session-key", key.as_str()), ("x-runtime-token", token.as_str())];
            let answer = stand.send(endpoint, &headers, &body);
            assert!(answer.status >= 400, "{endpoint} {body}: {answer:?}");
            for secret in &secrets {
                assert!(!answer.body.to_string().contains(secret.as_str()), "{endpoint} {body}: {answer:?}");
            }
        }
        let kind = format!("{secret}/x");
        let headers = [
            ("x-openclaw-session-key", key.as_str()),
            ("x-runtime-token", token.as_str()),
            ("Content-Type", kind.as_str()),
        ];
        let answer = stand.send("task-load", &headers, "{}");
        assert!(!answer.body.to_string().contains(secret.as_str()), "{answer:?}");
    }
}
