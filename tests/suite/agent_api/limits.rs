//! Rate limits and idempotency keys (W11, W18).

use std::time::Instant;

use serde_json::{Value, json};

use super::{Answer, Stand};
use crate::support::program::get;

/// A thousand calls from one agent: the first are answered, the others refused with a time to retry. Neither another agent
/// nor `/health` is affected.
#[test]
fn rate_limits_one_agent_without_affecting_others() {
    let stand = Stand::new();
    let (ada, ben) = (stand.own("ada"), stand.own("ben"));
    let began = Instant::now();
    let (mut good, mut refused) = (0, 0);
    for number in 0..1_000 {
        let answer = stand.post("document-list", &ada, &json!({}));
        match answer.status {
            200 => good += 1,
            429 => {
                refused += 1;
                assert!(answer.retry_after.is_some_and(|secs| secs >= 1), "{answer:?}");
                assert!(answer.error().contains("Too many calls"), "{answer:?}");
            }
            _ => panic!("{answer:?}"),
        }
        if number % 100 == 0 {
            assert_eq!(stand.post("document-list", &ben, &json!({})).status, 200);
            assert_eq!(get(&stand.server.local_addr().to_string(), "/health").0, 200);
        }
    }
    let most = 20 + 5 * (began.elapsed().as_secs() + 1);
    assert!(good >= 20 && good <= most && good + refused == 1_000, "{good} of {most}");
}

fn named(stand: &Stand, endpoint: &str, key: &str, name: &str, body: &Value) -> Answer {
    let headers = [("x-openclaw-session-key", key), ("Idempotency-Key", name)];
    stand.send(endpoint, &headers, &body.to_string())
}

#[test]
fn a_call_with_an_idempotency_key_runs_once() {
    let stand = Stand::new();
    let (ada, lead) = (stand.own("ada"), stand.own("lead"));
    let body = json!({"title": "Once", "priority": 2});
    let first = named(&stand, "task-create", &ada, "n1", &body);
    assert_eq!(first.status, 200, "{first:?}");
    for same in [body.clone(), json!({"priority": "high", "title": " Once "})] {
        let again = named(&stand, "task-create", &ada, "n1", &same);
        assert_eq!((again.status, &again.body), (200, &first.body), "{same}");
    }
    let other = named(&stand, "task-create", &ada, "n1", &json!({"title": "Other"}));
    assert_eq!(other.status, 422, "{other:?}");
    assert!(other.error().contains("belongs to another call"), "{other:?}");
    let elsewhere = json!({"title": "Once", "content": "…", "type": "note"});
    assert_eq!(named(&stand, "document", &ada, "n1", &elsewhere).status, 422);
    assert_eq!(named(&stand, "task-create", &lead, "n1", &body).status, 200, "names are each agent's own");
    assert_eq!(named(&stand, "task-create", &ada, "n2", &body).status, 200);
    assert_eq!(stand.team.board.rows("tasks").len(), 3);

    // Without an idempotency key each call outside of a delivery is executed.
    for _ in 0..2 {
        stand.done("task-create", &ada, &body);
    }
    assert_eq!(stand.team.board.rows("tasks").len(), 5);
    let twice =
        [("x-openclaw-session-key", ada.as_str()), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")];
    assert_eq!(stand.send("task-create", &twice, &body.to_string()).status, 400);
    assert_eq!(named(&stand, "task-create", &ada, &"x".repeat(256), &body).status, 400);
    // A repeated refusal has the same words.
    let wrong = json!({"title": "x", "assigneeSlugs": ["ben"]});
    let refused = named(&stand, "task-create", &ada, "n3", &wrong);
    assert_eq!(refused.status, 403);
    assert_eq!(
        named(&stand, "task-create", &ada, "n3", &json!({"title": "x"})).status,
        200,
        "nothing was made of it"
    );
}
