//! What a gateway's answer to the request for its agents shows.

use std::sync::Arc;

use mission_control_runtime::gateway::client::AgentList;
use serde_json::json;

use super::client;
use crate::support::scripted_http::{Move, ScriptedHttp, answer};

/// A list that was lost or refused shows nothing, and changes nothing. An answer without agents shows that there is no list.
#[test]
fn a_lost_list_is_told_from_a_missing_one() {
    let models = |ids: &[&str]| {
        let data: Vec<_> = ids.iter().map(|id| json!({"id": id, "object": "model"})).collect();
        json!({"object": "list", "data": data}).to_string()
    };
    let listed =
        |ids: &[&str]| AgentList::Listed(ids.iter().map(|id| (*id).to_owned()).collect::<Arc<[String]>>());
    let send = |status, body: &str| Move::Send(answer(status, body));
    let rows = [
        (send(200, &models(&["openclaw", "openclaw/default", "openclaw/qa"])), listed(&["qa"])),
        (send(200, &models(&["openclaw", "openclaw/default"])), AgentList::NotShown),
        (send(200, &models(&["gpt-4"])), AgentList::NotShown),
        (send(200, "<!doctype html><title>OpenClaw</title>"), AgentList::NotShown),
        (send(200, "{\"data\": 1}"), AgentList::NotShown),
        (send(403, "{\"error\": {\"message\": \"missing scope: operator.read\"}}"), AgentList::NotShown),
        (send(401, "{}"), AgentList::Unknown),
        (send(404, "Not Found"), AgentList::Unknown),
        (send(429, "{}"), AgentList::Unknown),
        (send(500, "{}"), AgentList::Unknown),
        (send(503, &models(&["openclaw/qa"])), AgentList::Unknown),
        (Move::CutAfterHead, AgentList::Unknown),
        (
            Move::SendAndCut(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"data\":".to_vec()),
            AgentList::Unknown,
        ),
    ];
    for (reply, expected) in rows {
        let words = format!("{reply:?}");
        let server = ScriptedHttp::start([reply]);
        assert_eq!(client(&server.url()).agent_list(), expected, "{words}");
    }
    assert!(listed(&["qa"]).has("QA") && !listed(&["qa"]).has("ada") && listed(&["qa"]).lacks("ada"));
    assert!(AgentList::NotShown.has("ada") && !AgentList::NotShown.lacks("ada"));
    assert!(!AgentList::Unknown.has("ada") && !AgentList::Unknown.lacks("ada"));
}
