//! §5 and §7: empty answers, and failures of a turn.

use serde_json::json;

use super::super::*;

#[test]
fn silence_is_an_internal_error_after_a_nudge() {
    let target = Target::both();
    for said in ["EMPTY", "SAY NO_REPLY"] {
        let session = fresh("silent");
        assert_eq!(target.turn(&session, said, json!({})).failure(), internal_error(500), "{said}");
        let answer = target.events(&fresh("silent"), said, json!({}));
        assert_eq!((answer.failure(), answer.names().len()), (internal_error(200), 6), "{said}");
    }
    assert_eq!(target.turn(&fresh("blank"), "   ", json!({})).failure(), internal_error(500));
}

#[test]
fn passes_other_words_through() {
    let target = Target::both();
    for said in ["Done. NO_REPLY", "HEARTBEAT_OK", "HEARTBEAT_OK all good", "/status"] {
        assert_eq!(target.turn(&fresh("words"), format!("SAY {said}"), json!({})).text(), said);
    }
}

#[test]
fn a_provider_refusal_is_an_immediate_failed_response() {
    let target = Target::both();
    for status in [400, 404] {
        let expected = (status, "invalid_request_error".to_owned(), format!("{status} bad thing"));
        let asked = format!("FAIL {status} bad thing");
        let session = fresh("refused");
        assert_eq!(target.turn(&session, asked.as_str(), json!({})).failure(), expected);
        let answer = target.events(&fresh("refused"), asked.as_str(), json!({}));
        assert_eq!(answer.failure(), (200, expected.1, expected.2));

        let items = target.history(&session, "").json()["items"].clone();
        let last = items.as_array().unwrap().last().unwrap();
        assert_eq!((&last["role"], &last["stopReason"]), (&json!("assistant"), &json!("error")));
        let key = last["idempotencyKey"].as_str().unwrap();
        assert!(key.starts_with("resp_") && key.ends_with(":terminal-error"), "{key}");
    }
}

#[test]
fn a_refused_key_blocks_only_its_agent() {
    let target = Target::both();
    for (agent, status, code) in
        [("locked", 401, "authentication_error"), ("broke", 402, "insufficient_quota")]
    {
        let model = json!({"model": format!("openclaw/{agent}")});
        let key = |name: &str| fresh(name).replace("engineer", agent);
        let failure = target.turn(&key("key"), format!("FAIL {status} no"), model.clone()).failure();
        assert_eq!(failure, (status, code.to_owned(), format!("{status} no")));
        assert_eq!(target.turn(&key("after"), "SAY hi", model.clone()).failure(), internal_error(500));
        assert_eq!(target.events(&key("after"), "SAY hi", model).failure(), internal_error(200));
        assert_eq!(target.turn(&fresh("other"), "SAY hi", json!({})).text(), "hi");
    }
}
