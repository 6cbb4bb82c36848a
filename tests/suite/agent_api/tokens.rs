//! Which endpoints are open, and the token that every spelling of a session key needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mission_control_runtime::clock::{Clock as _, Millis};
use mission_control_runtime::delivery::Record;
use mission_control_runtime::model::{AgentId, Notification, SessionKey, TaskId, ToolEndpoints};
use mission_control_runtime::sessions::{IDLE_MAX, Session, Sessions};
use mission_control_runtime::tools::access::ToolAccess;
use mission_control_runtime::work::{Track, Work};
use serde_json::json;

use super::{Answer, ENDPOINTS, Plan, Stand, TELLS};
use crate::support::program::private;

const SESSION: &str = "x-openclaw-session-key";
const TOKEN: &str = "x-runtime-token";

/// Function tools work, as by default.
const DEFAULT: ToolAccess = ToolAccess { endpoints: ToolEndpoints::Auto, client_tools: true };

impl Stand {
    fn with_tokens() -> Self {
        Self::with(Plan { tokens: true, ..Plan::default() })
    }

    /// A call with this key, and with this token.
    fn call(&self, endpoint: &str, key: &str, token: Option<&str>, body: &str) -> Answer {
        let headers = [Some((SESSION, key)), token.map(|token| (TOKEN, token))];
        self.send(endpoint, &headers.into_iter().flatten().collect::<Vec<_>>(), body)
    }

    /// The delivery of an earlier process, whose agent may still work on it.
    fn works_on(&self, session: &Session, task: &str) {
        let row = json!({"_id": "n1", "type": "mention", "recipientType": "agent", "recipientId": session.agent,
            "taskId": task, "title": "…", "body": "…", "createdAt": 1});
        let row: Notification = serde_json::from_value(row).unwrap();
        let work = Arc::new(Work::from(row));
        let sent =
            json!({"session": "…", "agent": "ben", "attempt": 1, "at": 1, "failed": false, "spoke": false});
        let sent = serde_json::from_value(sent).unwrap();
        let mut record = Record { sent: Some(sent), ..Record::default() };
        self.inflight.resume(&work, &mut record);
        assert_eq!(work.track, session.track());
    }

    fn own_session(&self, slug: &str, agent: &str) -> Session {
        let (key, track) = (SessionKey::new(self.own(slug)), Track::new(agent, None));
        self.sessions.issue(&key, slug, &track, self.hands.now())
    }

    fn task_session(&self, slug: &str, agent: &str, task: &str) -> Session {
        let key = SessionKey::new(self.key(slug, agent, task));
        let track = Track::new(agent, Some(TaskId::new(task)));
        self.sessions.issue(&key, slug, &track, self.hands.now())
    }
}

/// However many unknown agents they name, and whatever their tokens.
#[test]
fn callers_without_a_valid_token_cause_one_read_of_the_roster_a_minute() {
    let stand = Stand::with_tokens();
    // The first call of a process without a roster reads it.
    assert_eq!(stand.call("wake", "agent:nobody:main", Some("any"), "{}").status, 401);
    let begun = stand.roster.now();
    assert!(!begun.is_empty());
    stand.roster.take_request();
    let requests = |seconds: i64| {
        let request = |number: i64| {
            stand.hands.pass(seconds * 1_000);
            let answer = stand.call("wake", &format!("agent:nobody{number}:main"), Some("any"), "{}");
            assert_eq!(answer.status, 401, "{answer:?}");
            stand.roster.take_request()
        };
        (0..20).filter(|number| request(*number)).count()
    };
    let quick = requests(0);
    let slow = requests(15);
    assert!(quick == 0 && (4..=5).contains(&slow), "{quick} at once, {slow} in five minutes");
    assert!(Arc::ptr_eq(&begun, &stand.roster.now()));
}

/// Every accepted spelling of an agent's keys, for its session about a task or its own session.
fn spellings(account: &str, task: &str) -> Vec<(String, bool)> {
    let about_task = [
        format!("task:{task}:agent:ben:{account}:v1"),
        format!("agent:ben:task:{task}:{account}:v1").to_lowercase(),
        format!("agent:ben:task:{task}:agent:ben:{account}:v1").to_lowercase(),
    ];
    let own = [
        format!("system:agent:ben:{account}:v1"),
        format!("agent:ben:system:{account}:v1").to_lowercase(),
        format!("agent:ben:system:agent:ben:{account}:v1").to_lowercase(),
        format!("agent:ben:{account}"),
        format!("agent:ben:{account}").to_lowercase(),
        "agent:ben:cron:nightly:run:abc".to_owned(),
        "agent:ben:cron:any-id:run:any-id:subagent:worker".to_owned(),
        "AGENT:Ben:Cron:Job:Run:X".to_owned(),
        "agent::ben:cron:j:run:1".to_owned(),
    ];
    about_task.map(|key| (key, true)).into_iter().chain(own.map(|key| (key, false))).collect()
}

/// Without the token of its session, a key opens nothing in any spelling; the error says what to do. With another
/// session's token it opens nothing either, also if both sessions belong to one agent.
#[test]
fn every_spelling_needs_the_token_of_its_session() {
    let stand = Stand::with_tokens();
    let task = stand.team.task("in_progress", &[&stand.team.ben]);
    let about_task = stand.task_session("ben", &stand.team.ben, &task).token;
    let own = stand.own_session("ben", &stand.team.ben).token;
    let leads = stand.own_session("lead", &stand.team.lead).token;
    let account = stand.team.board.account.clone();
    let wrong = |token: &str| {
        let (prefix, digits) = token.rsplit_once('_').unwrap();
        let cut = &token[..token.len() - 1];
        [digits.to_owned(), cut.to_owned(), format!("{token}0"), token.to_uppercase(), format!("{prefix}_")]
    };
    let endpoints = ENDPOINTS.map(|(endpoint, _)| endpoint).into_iter().chain(TELLS);
    for (key, is_about_task) in spellings(&account, &task) {
        let (right, other) = if is_about_task { (&about_task, &own) } else { (&own, &about_task) };
        for endpoint in endpoints.clone() {
            let refused = stand.call(endpoint, &key, None, "{}");
            assert_eq!(refused.status, 401, "{endpoint} {key}: {refused:?}");
            let way =
                if TELLS.contains(&endpoint) { "your next instructions will" } else { "function tools" };
            assert!(refused.error().starts_with("Missing x-runtime-token header. Send"), "{refused:?}");
            assert!(refused.error().ends_with(way), "{refused:?}");
            let refused = stand.call(endpoint, &key, Some(""), "{}");
            assert_eq!(refused.status, 401, "a blank token, {endpoint} {key}: {refused:?}");
        }
        let others = [other, &leads].map(|token| token.expose().to_owned());
        for token in others.into_iter().chain(wrong(right.expose())) {
            for endpoint in ["document", "wake"] {
                let refused = stand.call(endpoint, &key, Some(&token), "{}");
                assert_eq!(refused.status, 401, "{endpoint} {key} {token}: {refused:?}");
                assert!(refused.error().starts_with("Unknown session key, or its token is wrong. Send"));
            }
        }
        let paper = json!({"title": "Whose?", "content": "…", "type": "note"}).to_string();
        let answer = stand.call("document", &key, Some(right.expose()), &paper);
        assert_eq!(answer.status, 200, "{key}: {answer:?}");
        let row = stand.team.board.row("documents", answer.body["documentId"].as_str().unwrap());
        assert_eq!(row["authorId"], json!(stand.team.ben), "{key}");
        stand.hands.pass(60_000);
        let told = stand.call("wake", &key, Some(right.expose()), r#"{"text":"x"}"#);
        assert_eq!((told.status, &told.body["agent"]), (200, &json!("ben")), "{key}: {told:?}");
        stand.hands.pass(60_000);
    }
    // No refusal tells whether a key exists.
    for token in [None, Some(leads.expose())] {
        for endpoint in ["document", "wake"] {
            let known = stand.call(endpoint, &stand.own("ben"), token, "{}");
            let unknown = stand.call(endpoint, "agent:nobody:cron:n:run:r", token, "{}");
            assert_eq!((known.status, known.body), (unknown.status, unknown.body), "{endpoint}");
        }
    }
}

/// `AGENT_API` closes the tools' endpoints, never those of events, and the error names the function tool.
#[test]
fn closed_endpoints_name_the_function_tool() {
    let rows = [
        (ToolEndpoints::Auto, true, false, false),
        (ToolEndpoints::Auto, true, true, true),
        (ToolEndpoints::Auto, false, false, true),
        (ToolEndpoints::On, true, false, true),
        (ToolEndpoints::Off, true, true, false),
        (ToolEndpoints::Off, false, false, false),
    ];
    for (endpoints, client_tools, hides, open) in rows {
        let access = Some(ToolAccess { endpoints, client_tools });
        let hides_tools = Arc::new(AtomicBool::new(hides));
        let stand = Stand::with(Plan { tokens: true, access, hides_tools, ..Plan::default() });
        let own = stand.own_session("lead", &stand.team.lead).token;
        stand.team.board.set(json!({"orchestratorAgentId": stand.team.lead}));
        for (endpoint, _) in ENDPOINTS {
            let answer = stand.call(endpoint, &stand.own("lead"), Some(own.expose()), "no JSON");
            stand.hands.pass(60_000);
            if open {
                assert_eq!(answer.status, 400, "{access:?} {endpoint}: {answer:?}");
                continue;
            }
            let tool =
                if endpoint == "document" { "document_upsert".into() } else { endpoint.replace('-', "_") };
            let words = format!(
                "Forbidden: AGENT_API={} closes this endpoint to your session. Call the function tool {tool} instead",
                endpoints.name()
            );
            assert_eq!((answer.status, answer.error()), (403, words.as_str()), "{access:?} {endpoint}");
            // A caller without the token does not learn it.
            assert_eq!(stand.call(endpoint, &stand.own("lead"), None, "no JSON").status, 401);
        }
        for endpoint in TELLS {
            let answer = stand.call(endpoint, &stand.own("lead"), Some(own.expose()), r#"{"text":"x"}"#);
            assert_eq!(answer.status, 200, "{access:?} {endpoint}: {answer:?}");
        }
    }
}

/// The gateway is replaced while agents work: the endpoints open when it turns out to be too old, and close again for
/// all sessions whose briefing did not describe them.
#[test]
fn the_endpoints_follow_the_gateway() {
    let hides_tools = Arc::<AtomicBool>::default();
    let plan =
        Plan { tokens: true, access: Some(DEFAULT), hides_tools: hides_tools.clone(), ..Plan::default() };
    let stand = Stand::with(plan);
    let task = stand.team.task("in_progress", &[&stand.team.ben]);
    let session = stand.task_session("ben", &stand.team.ben, &task);
    let key = stand.key("ben", &stand.team.ben, &task);
    let status = || stand.call("document-list", &key, Some(session.token.expose()), "{}").status;
    assert_eq!(status(), 403);
    hides_tools.store(true, Ordering::SeqCst);
    assert_eq!(status(), 200);
    stand.sessions.is_briefed(&session, true);
    hides_tools.store(false, Ordering::SeqCst);
    assert_eq!(status(), 403, "no delivery is running whose briefing described the endpoints");
    stand.works_on(&session, &task);
    assert_eq!(status(), 200, "the running delivery keeps its endpoints");
    stand.sessions.is_briefed(&session, false);
    assert_eq!(status(), 403, "the next briefing offers function tools");
}

/// An agent that used the endpoints of events, or tried to without a token, finds the token of its own session in its
/// briefings. That is kept for a week, across restarts; unknown keys change nothing.
#[test]
fn users_of_events_get_their_token() {
    let stand = Stand::with(Plan { tokens: true, access: Some(DEFAULT), ..Plan::default() });
    let (ben, ada) = (AgentId::new(&stand.team.ben), AgentId::new(&stand.team.ada));
    let own = stand.own_session("ben", &stand.team.ben);
    let account = stand.team.board.account.clone();
    let granted = |agent: &AgentId, slug: &str| {
        let leaves = stand.sessions.leaves_events(agent, stand.hands.now());
        leaves.then(|| stand.sessions.own(agent, slug)).flatten()
    };
    assert!(granted(&ben, "ben").is_none());
    // The first accepted call reads the roster.
    let lead = stand.own_session("lead", &stand.team.lead).token;
    assert_eq!(stand.call("event", &stand.own("lead"), Some(lead.expose()), "no JSON").status, 400);
    for endpoint in ["document", "task-load"] {
        stand.call(endpoint, &stand.own("ben"), None, "{}");
    }
    stand.call("wake", "agent:nobody:cron:n:run:r", None, "{}");
    assert!(granted(&ben, "ben").is_none(), "it did not try to leave an event");
    let refused = stand.call("event", "agent:ben:cron:nightly:run:1", None, r#"{"text":"x"}"#);
    assert_eq!(refused.status, 401, "{refused:?}");
    let (key, session) = granted(&ben, "ben").expect("its next instructions state it");
    assert_eq!((key.expose(), &session), (format!("agent:ben:{account}").as_str(), &own));
    let used = stand.call("event", key.expose(), Some(session.token.expose()), r#"{"text":"x"}"#);
    assert_eq!(used.status, 200, "{used:?}");
    assert!(granted(&ada, "ada").is_none(), "the others have not");

    let week = stand.hands.now() + IDLE_MAX;
    assert!(!stand.sessions.leaves_events(&ben, week), "it has not used them for a week");
    let ada_own = stand.own_session("ada", &stand.team.ada);
    stand.call("wake", &stand.own("ada"), Some(ada_own.token.expose()), r#"{"text":"x"}"#);
    assert!(granted(&ada, "ada").is_some(), "it used one");
}

/// What was learnt about a session and its agent survives a restart and the rewriting of the file.
#[test]
fn what_a_session_needs_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let account = mission_control_runtime::model::AccountId::new("acc");
    let now = Millis(1_765_526_400_000);
    let open = || Sessions::open(&private(folder.path()), account.clone(), now);
    let (ben, own) = (AgentId::new("b"), SessionKey::new("system:agent:ben:acc:v1"));
    let track = Track::new("b", Some(TaskId::new("t1")));
    let key = SessionKey::new("task:t1:agent:ben:acc:v1");
    let issue = |sessions: &Sessions, at: Millis| sessions.issue(&key, "ben", &track, at);
    let sessions = open();
    sessions.issue(&own, "ben", &Track::new("b", None), now);
    let first = issue(&sessions, now);
    assert!(!first.endpoints);
    sessions.is_briefed(&first, true);
    sessions.uses_events(&ben, now);
    for round in 0..2 {
        drop(open());
        let sessions = open();
        let later = now + Duration::from_hours(30);
        assert!(sessions.leaves_events(&ben, now) && sessions.own(&ben, "ben").is_some(), "{round}");
        assert!(issue(&sessions, later).endpoints, "{round}");
        assert_eq!(issue(&sessions, later).token, first.token, "{round}");
    }
    let sessions = open();
    sessions.is_briefed(&issue(&sessions, now), false);
    assert!(!issue(&open(), now).endpoints);
    // A version that does not know the line for events ignores it: it names no session.
    let text = std::fs::read_to_string(folder.path().join("sessions.lines")).unwrap();
    assert!(text.contains(r#""lane":"events","at":1765526400000,"digests":[]"#), "{text}");
}

/// The token in the file of an agent's workspace is valid in each session of that agent, and in no other.
#[test]
fn the_token_of_an_agent_opens_its_own_sessions_only() {
    let stand = Stand::with_tokens();
    let ben = &stand.team.ben;
    let (own, task) = (stand.own_session("ben", ben), stand.task_session("ben", ben, "T1"));
    let other = stand.own_session("ada", &stand.team.ada);
    let token = stand.sessions.agent_token(&AgentId::new(ben));
    for session in [&own, &task] {
        assert!(session.has_token(token.expose()) && session.has_token(session.token.expose()));
        assert!(!session.has_token(other.token.expose()) && !session.has_token(other.agent_token.expose()));
    }
    assert!(!other.has_token(token.expose()) && !own.has_token(task.token.expose()));
    assert!(token.expose().starts_with("mc_session_"), "redaction knows the prefix");
    let status =
        |slug| stand.call("event", &stand.own(slug), Some(token.expose()), r#"{"text": "later"}"#).status;
    assert_eq!((status("ben"), status("ada")), (200, 401));
}
