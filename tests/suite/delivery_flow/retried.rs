//! Given-up deliveries that a person restarts, and records of a program of form 1.

use mission_control_runtime::convex;
use mission_control_runtime::delivery::from_form_1;
use mission_control_runtime::gateway::{Class, Why};
use serde_json::{Value, json};

use super::setup::Fixture;
use super::{CONTEXT, DELIVERED, POST};
use crate::support::direct::Fault;

/// Messages without the automatic notice: their first characters, and whether they carry the row's id.
fn said(fixture: &Fixture) -> Vec<(String, bool)> {
    let messages = fixture.messages_of_ben().into_iter();
    let text = |message: &Value| message["content"].as_str().unwrap().to_owned();
    messages
        .filter(|message| !text(message).contains("Automatic note"))
        .map(|message| (text(&message)[..1].to_owned(), message.get("sourceNotificationId").is_some()))
        .collect()
}

/// Wherever the posting of a long answer ended, the rest is posted, in order, without another turn.
#[test]
fn an_existing_answer_is_posted_without_another_turn() {
    let refused = || Fault::Before(convex::CallClass::Refused, convex::CallReason::Forbidden);
    for missing in 0..3 {
        let fixture = Fixture::new();
        let mut job = fixture.mention("@ben, the whole plan");
        let answer: Vec<String> = (0..3).map(|n| format!("{n}{}", "x".repeat(90_000))).collect();
        fixture.backend.fail(POST, std::iter::repeat_n(Fault::Pass, missing).chain([refused()]));
        fixture.gateway.says(&answer.join("\n\n"));
        assert_eq!(fixture.deliver(&mut job), "dead", "{missing}");
        assert!(fixture.is_delivered(&job), "the backend has it as settled");
        assert_eq!(job.record.unposted.as_ref().unwrap().parts.len(), 3 - missing);
        assert_eq!(said(&fixture).len(), missing);

        job.record = job.record.retried();
        assert_eq!(fixture.deliver(&mut job), "answered", "{missing}");
        let expected = [("0", true), ("1", false), ("2", false)].map(|(text, key)| (text.to_owned(), key));
        assert_eq!(said(&fixture), expected, "{missing}");
        assert_eq!(fixture.gateway.take_seen().len(), 1, "it was asked once");
    }
}

/// Without an answer the agent is asked again, although the backend has the row as settled. The effects of
/// its tools are not repeated, and the agent is informed.
#[test]
fn without_an_answer_the_agent_is_asked_again_and_no_effect_is_repeated() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben, please");
    fixture
        .gateway
        .calls(&[("document_upsert", &json!({"title": "Plan", "content": "All of it."}).to_string())]);
    fixture.gateway.fails(Class::Refused, Why::TooLarge);
    assert_eq!(fixture.deliver(&mut job), "dead");
    let documents = fixture.team.board.rows("documents").len();

    job.record = job.record.retried();
    fixture.backend.take_names();
    fixture
        .gateway
        .calls(&[("document_upsert", &json!({"title": "Plan", "content": "All of it."}).to_string())]);
    fixture.gateway.says("Here it is.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let names = fixture.backend.take_names();
    assert!(names.first().unwrap() == CONTEXT && names.last().unwrap() == DELIVERED, "{names:?}");
    assert_eq!((fixture.team.board.rows("documents").len(), said(&fixture).len()), (documents, 1));
}

/// A delivery that only lacked its mark is only marked.
#[test]
fn a_delivery_without_its_mark_is_only_marked() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben?");
    fixture
        .backend
        .fail(DELIVERED, [Fault::Before(convex::CallClass::Refused, convex::CallReason::Forbidden)]);
    fixture.gateway.says("Yes.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert!(job.record.unmarked && !fixture.is_delivered(&job));
    job.record = job.record.retried();
    fixture.backend.take_names();
    assert_eq!(fixture.deliver(&mut job), "answered");
    assert_eq!(fixture.backend.take_names(), [DELIVERED]);
    assert!(!job.record.unmarked && fixture.is_delivered(&job));
    assert_eq!((said(&fixture).len(), fixture.gateway.take_seen().len()), (1, 1));
}

/// A delivery that a program of form 1 has left continues at its last step. No step is repeated, and results
/// go to the session and the agent that called.
#[test]
fn a_delivery_left_by_form_1_is_completed() {
    let (session, heard) = ("task:old:agent:ben-before:acc:v1", json!([null, 1]));
    let call = json!({"call_id": "c1", "output": "{}"});
    let rows = [
        (
            json!({"working": {"pending": [], "doubt": null, "outputs": [call], "rounds": 1, "calls": 1, "acted": true, "said": null}}),
            "answered",
            vec!["Y"],
        ),
        (
            json!({"answered": {"parts": ["1", "2", "3"], "posted": 1, "doubt": null, "advance": false, "note_on": null}}),
            "answered",
            vec!["2", "3"],
        ),
        (
            json!({"answered": {"parts": ["A line."], "posted": 0, "doubt": null, "advance": false, "note_on": {"dead": "x"}}}),
            "dead",
            vec!["A"],
        ),
        (json!({"ended": {"answered": 1}}), "answered", vec![]),
    ];
    for (stage, end, posted) in rows {
        let fixture = Fixture::new();
        let mut job = fixture.mention("@ben?");
        let works = stage.get("working").is_some();
        job.record = from_form_1(json!({"tries": 1, "requests": 1, "answered": !works, "whom": [session, "ben-before"], "heard": heard,
            "reopened": true, "since": 1, "stage": stage}))
        .unwrap();
        fixture.gateway.says("Yes.");
        assert_eq!(fixture.deliver(&mut job), end, "{stage}");
        assert!(fixture.is_delivered(&job));
        let texts: Vec<String> = said(&fixture).into_iter().map(|(text, _)| text).collect();
        assert_eq!(texts, posted, "{stage}");
        let seen = fixture.gateway.take_seen();
        let asked: Vec<_> =
            seen.iter().map(|turn| (&*turn.session, &*turn.agent, turn.outputs.len())).collect();
        assert_eq!(asked, if works { vec![(session, "ben-before", 1)] } else { vec![] }, "{stage}");
    }
}
