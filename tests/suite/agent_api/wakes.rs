//! `POST /agent/wake` and `POST /agent/event` (worker-pool D.2–D.5): the replies, and the events that wait afterwards.

use std::fs;
use std::time::Instant;

use mission_control_runtime::clock::{Clock as _, Millis};
use mission_control_runtime::heartbeat::keeper::FILE;
use mission_control_runtime::heartbeat::wake::{EVENTS_MAX, PAUSE, WakeQueues};
use mission_control_runtime::model::{SessionKey, SessionScope};
use mission_control_runtime::work::Track;
use serde_json::{Value, json};

use super::{Answer, Plan, Stand, TELLS};
use crate::support::log_capture;

const SESSION: &str = "x-openclaw-session-key";
const NONE: Option<&str> = None;

impl Stand {
    /// The waiting events of an agent: queue and text of each.
    fn waiting(&self, slug: &str) -> Vec<(String, String)> {
        let of = |wakes: &WakeQueues| {
            let events = wakes.waiting(slug).0.into_iter();
            events.map(|event| (event.queue.expose().to_owned(), event.text.clone())).collect()
        };
        self.wakes.read(of)
    }

    fn queue(&self, slug: &str) -> String {
        let [(queue, _)] = <[_; 1]>::try_from(self.waiting(slug)).expect("one event");
        queue
    }

    /// Presents all waiting events, as a heartbeat does.
    fn beats(&self, slug: &str) {
        self.wakes.change(|wakes| wakes.shown(slug, u64::MAX));
    }

    /// The agents that a heartbeat would wake now.
    fn due(&self) -> Vec<String> {
        let now = self.hands.now();
        self.wakes.change(|wakes| wakes.due(now)).0
    }

    /// Waits until the rate limits have recovered.
    fn rests(&self) {
        self.hands.pass(60_000);
    }
}

/// D.3, D.4: one row for each caller that is an agent of the board. The session, the main key and the scope of the body
/// decide the queue. The orchestrator calls.
#[test]
fn the_session_selects_the_queue() {
    let stand = Stand::new();
    let account = stand.team.board.account.clone();
    let lead = stand.own("lead");
    let (task, system) = (format!("task:t1:agent:ben:{account}:v1"), stand.own("ben"));
    let short = format!("agent:ben:{account}");
    let rows = [
        ("agent:ben:cron:nightly-backup:run:abc-123", NONE, NONE, "ben", "agent:ben:main"),
        ("agent:ben:cron:nightly-backup:run:abc-123", Some("primary"), NONE, "ben", "agent:ben:primary"),
        ("agent:ben:cron:nightly-backup:run:abc-123", None, Some("global"), "ben", "global"),
        ("agent:ben:telegram:dm:42", None, None, "ben", "agent:ben:telegram:dm:42"),
        ("agent:ada:cron:backup:run:abc", Some("primary"), Some("per-sender"), "ada", "agent:ada:primary"),
        ("agent:ada:cron:backup:run:abc", None, Some("per-sender"), "ada", "agent:ada:main"),
        ("agent:ada:cron:backup:run:abc", Some("primary"), Some("global"), "ada", "global"),
        ("agent:ada:cron:backup:run:abc:subagent:worker", Some("primary"), Some("global"), "ada", "global"),
        ("agent:ada:cron:backup:run:abc:subagent:worker", None, None, "ada", "agent:ada:main"),
        ("agent:ben:cron:job-1:run:xyz:thread:reply", None, None, "ben", "agent:ben:main"),
        ("agent:ben:cron:job-1", Some("primary"), Some("global"), "ben", "agent:ben:cron:job-1"),
        ("agent:ben:cron:job-1:run", None, None, "ben", "agent:ben:cron:job-1:run"),
        ("agent:ben:cron:a:b:run:x", None, None, "ben", "agent:ben:cron:a:b:run:x"),
        ("agent:ben:telegram:cron:j:run:1", None, None, "ben", "agent:ben:telegram:cron:j:run:1"),
        ("agent:ben:main", Some("primary"), Some("global"), "ben", "agent:ben:main"),
        ("AGENT:Ben:Cron:Job:Run:X", Some(" Primary "), None, "ben", "agent:ben:primary"),
        ("agent::ben:cron:j:run:1", None, None, "ben", "agent:ben:main"),
        // The backend's format, and the short one.
        (&task, None, None, "ben", &task),
        (&system, None, Some("global"), "ben", &system),
        (&short, None, None, "ben", &short),
        // Not an agent's key: the caller's own session.
        ("main", Some("primary"), Some("global"), "lead", "main"),
        ("global", None, None, "lead", "global"),
        ("cron:job:run:1", None, None, "lead", "cron:job:run:1"),
        ("agent:ben", None, None, "lead", "agent:ben"),
    ];
    for (session, main, scope, agent, queue) in rows {
        for endpoint in TELLS {
            let body = json!({"sessionKey": session, "text": "hello", "mainKey": main, "scope": scope});
            let reply = stand.done(endpoint, &lead, &body);
            assert_eq!(reply["agent"], agent, "{body}");
            assert_eq!(stand.queue(agent), queue, "{endpoint} {body}");
            let woken = if endpoint == "wake" { vec![agent.to_owned()] } else { Vec::new() };
            assert_eq!(stand.due(), woken, "{body}");
            stand.beats(agent);
            stand.rests();
        }
    }
}

/// The default is the caller's own session. A cron run belongs to its agent, and its events go to the main queue.
#[test]
fn defaults_to_the_callers_own_session() {
    let run = "agent:ben:cron:nightly:run:abc-123";
    let rows: [(Plan, &str, &str); 5] = [
        (Plan::default(), run, "agent:ben:main"),
        (Plan::default(), "agent:ben:cron:nightly:run:abc:subagent:worker", "agent:ben:main"),
        (Plan { naming: (Some("Home"), SessionScope::PerSender), ..Plan::default() }, run, "agent:ben:home"),
        (Plan { naming: (Some("Home"), SessionScope::Global), ..Plan::default() }, run, "global"),
        (Plan { naming: (None, SessionScope::Global), ..Plan::default() }, "", ""),
    ];
    for (plan, caller, queue) in rows {
        let stand = Stand::with(plan);
        let own = stand.own("ben");
        let (caller, queue) = if caller.is_empty() { (own.as_str(), own.as_str()) } else { (caller, queue) };
        let reply = stand.done("event", caller, &json!({"text": "hello", "reason": "cron"}));
        assert_eq!((&reply["agent"], stand.queue("ben").as_str()), (&json!("ben"), queue));
        // The body takes precedence over the configuration.
        stand.beats("ben");
        stand.done("event", run, &json!({"text": "hello", "mainKey": "other", "scope": "per-sender"}));
        assert_eq!(stand.queue("ben"), "agent:ben:other");
    }
    let stand = Stand::new();
    let (key, _) = stand.ben_at("in_progress");
    stand.done("wake", &key, &json!({"text": "hello"}));
    assert_eq!(stand.queue("ben"), key);
}

/// D.5: endpoint, text, and whether the agent is woken. The event waits in any case.
#[test]
fn the_text_decides_whether_the_agent_is_woken() {
    let stand = Stand::new();
    let ben = stand.own("ben");
    let long = format!("Exec completed ({}, code 0)", "a".repeat(65));
    let rows = [
        ("Exec finished (gateway id=g1, session=s1, code 0)", true, true),
        ("exec finished (node=n1, code 1)\noutput", true, true),
        ("exec finished: ok", true, true),
        ("Exec completed (amber-at, code 0) :: some output", true, true),
        ("Exec failed (fresh-ke, signal SIGTERM)", true, true),
        ("EXEC COMPLETED (abc12345, code 0)", true, true),
        ("  Exec completed (a, code -1)", true, true),
        ("Exec completed (amber-at, code 0) :: a\nb", true, true),
        ("Exec running (gateway id=g1, session=s1, >5s): ls", false, false),
        ("Exec denied (gateway id=g1, reason): rm -rf /", false, false),
        ("Heartbeat wake", false, true),
        ("cron finished", false, true),
        ("Nightly backup exec failed – see logs", false, true),
        ("Exec completed (rotate api keys)", false, true),
        ("Reminder: if exec failed, notify me", false, true),
        ("Exec completed (a, code 0) trailing", false, true),
        (&long, false, true),
        ("Exec killed (abc12345, signal SIGKILL)", false, true),
    ];
    for (text, by_event, by_wake) in rows {
        for (endpoint, wakes) in [("event", by_event), ("wake", by_wake)] {
            let reply = stand.done(endpoint, &ben, &json!({"text": text}));
            let expected = if wakes { "now" } else { "nextBeat" };
            assert_eq!(
                (&reply["wake"], &reply["waiting"]),
                (&json!(expected), &json!(1)),
                "{endpoint} {text}"
            );
            assert_eq!(stand.due().len(), usize::from(wakes), "{endpoint} {text}");
            assert_eq!(stand.waiting("ben")[0].1, text);
            stand.beats("ben");
            stand.rests();
        }
    }
}

/// Which callers may address which agents: caller, session, status, field and words.
#[test]
fn agents_wake_themselves_and_the_orchestrator_wakes_any_agent() {
    let stand = Stand::new();
    let account = stand.team.board.account.clone();
    let adas = stand.own("ada");
    let rows: [(&str, String, u16, &str); 13] = [
        ("ben", stand.own("ben"), 200, ""),
        ("ben", "agent:ben:main".to_owned(), 200, ""),
        ("ben", "agent:BEN:cron:j:run:1".to_owned(), 200, ""),
        ("ben", format!("agent:ben:{account}"), 200, ""),
        ("ben", adas.clone(), 403, "only the orchestrator"),
        ("ben", format!("agent:ada:{account}"), 403, "only the orchestrator"),
        ("ben", format!("task:t:agent:ada:{account}:v1"), 403, "only the orchestrator"),
        ("ben", "agent:ada:cron:j:run:1".to_owned(), 403, "only the orchestrator"),
        ("ben", "agent:nobody:main".to_owned(), 403, "only the orchestrator"),
        ("lead", adas.clone(), 200, ""),
        ("lead", "agent:ada:main".to_owned(), 200, ""),
        ("lead", "agent:nobody:main".to_owned(), 404, "Not found"),
        ("lead", "system:agent:nobody:x:v1".to_owned(), 404, "get_agent_skills"),
    ];
    for (caller, session, status, words) in rows {
        for endpoint in TELLS {
            let key = stand.own(caller);
            let answer = stand.post(endpoint, &key, &json!({"sessionKey": session, "text": "hello"}));
            assert_eq!(answer.status, status, "{caller} {session}: {answer:?}");
            assert!(answer.error().contains(words), "{answer:?}");
            let field = if status == 200 { Value::Null } else { json!("sessionKey") };
            assert_eq!(answer.body["field"], field, "{answer:?}");
            assert!(!answer.body.to_string().contains(&session), "no key in an answer: {answer:?}");
        }
        stand.rests();
    }
    // The present orchestrator is read from the board for each call.
    stand.team.board.set(json!({"orchestratorAgentId": stand.team.ben}));
    let hers = json!({"sessionKey": adas, "text": "hello"});
    assert_eq!(stand.post("wake", &stand.own("ben"), &hers).status, 200);
    assert_eq!(stand.post("wake", &stand.own("lead"), &hers).status, 403);
    // An agent that was added after the roster was read.
    stand.team.board.agent("eve", "Eve", "Writer", json!({}));
    stand.rests();
    let reply = stand.done("wake", &stand.own("ben"), &json!({"sessionKey": "agent:eve:main", "text": "x"}));
    assert_eq!(reply["agent"], "eve");
}

/// Every field with every wrong value. Nothing waits afterwards.
#[test]
fn checks_and_names_every_field() {
    let mut stand = Stand::new();
    let key = |name: &str, bytes: usize| json!({"text": "x", name: "k".repeat(bytes)});
    let mut rows: Vec<(Value, u16, &str, &str)> = vec![
        (json!({}), 400, "text", "text is required"),
        (json!({"text": null}), 400, "text", "text is required"),
        (json!({"text": ""}), 400, "text", "text is required"),
        (json!({"text": " \n\t"}), 400, "text", "text is required"),
        (json!({"text": "x".repeat(4096)}), 200, "", ""),
        (json!({"text": "x".repeat(4097)}), 422, "text", "at most 4096 bytes"),
        (json!({"text": "é".repeat(2048)}), 200, "", ""),
        (json!({"text": "é".repeat(2049)}), 422, "text", "at most 4096 bytes"),
        (json!({"text": format!("x{}", "😀".repeat(1024))}), 422, "text", "at most 4096 bytes"),
        (json!({"text": "😀".repeat(1024)}), 200, "", ""),
        (json!({"text": "a\u{0}b"}), 200, "", ""),
        (json!({"text": "x", "sessionKey": ""}), 400, "sessionKey", "must not be empty"),
        (json!({"text": "x", "sessionKey": "  "}), 400, "sessionKey", "must not be empty"),
        (key("sessionKey", 1025), 422, "sessionKey", "at most 1024 bytes"),
        (key("mainKey", 1025), 422, "mainKey", "at most 1024 bytes"),
        (key("reason", 100_000), 200, "", ""),
        (json!({"text": "x", "scope": "all"}), 422, "scope", "must be per-sender or global"),
        (json!({"text": "x", "scope": "GLOBAL"}), 422, "scope", "must be per-sender or global"),
        (json!({"text": "x", "session": "y"}), 400, "", "Unknown field: session"),
        (
            json!({"text": "x", "reason": null, "sessionKey": null, "mainKey": null, "scope": null}),
            200,
            "",
            "",
        ),
        (json!({"text": "x", "reason": "", "mainKey": " ", "scope": ""}), 200, "", ""),
    ];
    for name in ["text", "sessionKey", "reason", "mainKey", "scope"] {
        for value in [json!(5), json!(true), json!([]), json!(["x"]), json!({}), json!(1.5)] {
            let mut body = json!({"text": "x"});
            body[name] = value;
            rows.push((body, 400, name, "must be a string"));
        }
    }
    for endpoint in TELLS {
        for (body, status, field, words) in &rows {
            let answer = stand.post(endpoint, &stand.own("ben"), body);
            let short: String = body.to_string().chars().take(80).collect();
            assert_eq!(answer.status, *status, "{endpoint} {short}: {answer:?}");
            assert_eq!(answer.body["field"].as_str().unwrap_or_default(), *field, "{short}: {answer:?}");
            assert!(answer.error().contains(words), "{short}: {answer:?}");
            let waits = stand.waiting("ben").len();
            assert_eq!(waits, usize::from(*status == 200), "{short}");
            stand.beats("ben");
            stand.rests();
        }
        stand = Stand::new();
    }
    let utf8 = [(SESSION, stand.own("ben")), ("Content-Type", "text/xml".to_owned())];
    let headers = utf8.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(stand.send("wake", &headers, r#"{"text":"x"}"#).status, 415);
}

/// Headers, status and words.
type Row<'a> = (Vec<(&'a str, &'a str)>, &'a str, u16, &'a str);

/// The checks are those of tool calls: the first of two errors is reported, and before the body is parsed.
#[test]
fn applies_the_checks_of_tool_calls() {
    let stand = Stand::new();
    let ben = stand.own("ben");
    let good = r#"{"text":"x"}"#;
    for endpoint in TELLS {
        let rows: [Row<'_>; 8] = [
            (vec![], "no", 401, "Missing x-openclaw-session-key header"),
            (vec![(SESSION, "nobody")], "no", 401, "Unknown session key"),
            (vec![(SESSION, &ben), (SESSION, &ben)], "no", 400, "appears more than once"),
            (vec![(SESSION, &ben), ("X-Forwarded-For", "127.0.0.1")], "no", 403, "forwarded"),
            (vec![(SESSION, &ben), ("Forwarded", "for=127.0.0.1")], good, 403, "forwarded"),
            (vec![(SESSION, &ben), ("Host", "evil.example")], good, 403, "Host header"),
            (vec![(SESSION, &ben)], "no", 400, "Invalid JSON body (line 1"),
            (vec![(SESSION, &ben), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")], good, 400, "once"),
        ];
        for (headers, body, status, words) in rows {
            let answer = stand.send(endpoint, &headers, body);
            assert_eq!(answer.status, status, "{endpoint} {headers:?}: {answer:?}");
            assert!(answer.error().contains(words), "{endpoint} {headers:?}: {answer:?}");
            assert!(!answer.body.to_string().contains(&ben), "{answer:?}");
        }
    }
    assert!(stand.waiting("ben").is_empty());
}

/// With session secrets, a key alone grants nothing. A cron run presents the secret of its agent's own session.
#[test]
fn requires_the_secret_of_a_session() {
    let stand = Stand::with(Plan { tokens: true, ..Plan::default() });
    let own = SessionKey::new(stand.own("ben"));
    let track = Track::new(stand.team.ben.as_str(), None);
    let token = stand.sessions.issue(&own, "ben", &track, Millis(0)).token;
    let run = "agent:ben:cron:nightly:run:abc";
    let rows = [
        (own.expose(), None, 401),
        (own.expose(), Some("0123456789abcdef0123456789abcdef"), 401),
        (own.expose(), Some(token.expose()), 200),
        (run, None, 401),
        (run, Some(token.expose()), 200),
    ];
    for (key, shown, status) in rows {
        let headers: Vec<(&str, &str)> =
            [Some((SESSION, key)), shown.map(|token| ("x-runtime-token", token))]
                .into_iter()
                .flatten()
                .collect();
        let answer = stand.send("wake", &headers, r#"{"text":"x"}"#);
        assert_eq!(answer.status, status, "{answer:?}");
    }
    assert_eq!(stand.waiting("ben").len(), 2);
}

#[test]
fn keeps_twenty_events_and_wakes_once_in_ten_seconds() {
    let stand = Stand::new();
    let (ben, ada) = (stand.own("ben"), stand.own("ada"));
    for number in 1..=EVENTS_MAX + 1 {
        let reply = stand.done("event", &ben, &json!({"text": format!("event {number}")}));
        let expected = (number.min(EVENTS_MAX), number > EVENTS_MAX);
        assert_eq!((&reply["waiting"], &reply["dropped"]), (&json!(expected.0), &json!(expected.1)));
        stand.hands.pass(1_000);
    }
    let waits = stand.waiting("ben");
    assert_eq!((waits.len(), waits[0].1.as_str(), waits[19].1.as_str()), (20, "event 2", "event 21"));
    let figures = stand.wakes.read(WakeQueues::figures);
    assert_eq!((figures.waiting, figures.dropped, figures.taken, figures.asked), (20, 1, 21, 0));

    stand.rests();
    assert_eq!(stand.done("wake", &ben, &json!({"text": "go"}))["wake"], "now");
    let before = stand.hands.now();
    assert_eq!(stand.due(), ["ben"]);
    let reply = stand.done("wake", &ben, &json!({"text": "go"}));
    let (earliest, latest) = (before + PAUSE, stand.hands.now() + PAUSE);
    let at = reply["wakesAt"].as_i64().unwrap();
    assert_eq!(reply["wake"], "later", "{reply}");
    assert!((earliest.0..=latest.0).contains(&at), "{reply}");
    assert_eq!(stand.done("wake", &ada, &json!({"text": "go"}))["wake"], "now", "others are not held up");
    assert_eq!(stand.due(), ["ada"]);
    stand.hands.pass(10_000);
    assert_eq!(stand.due(), ["ben"], "none is lost, and all come in one");
    stand.hands.pass(10_000);
    assert_eq!(stand.done("wake", &ben, &json!({"text": "go"}))["wake"], "now");
}

fn named(stand: &Stand, endpoint: &str, key: &str, name: &str, body: &Value) -> Answer {
    stand.send(endpoint, &[(SESSION, key), ("Idempotency-Key", name)], &body.to_string())
}

#[test]
fn an_idempotency_key_survives_a_restart() {
    let stand = Stand::new();
    let (ben, lead) = (stand.own("ben"), stand.own("lead"));
    let body = json!({"text": "once", "reason": "exec-event"});
    let first = named(&stand, "wake", &ben, "n1", &body);
    assert_eq!(first.status, 200, "{first:?}");
    stand.done("event", &ben, &json!({"text": "between"}));
    let again = named(&stand, "wake", &ben, "n1", &json!({"reason": "exec-event", "text": "once"}));
    assert_eq!((again.status, &again.body), (200, &first.body));
    for (endpoint, body) in [("event", body.clone()), ("wake", json!({"text": "other"}))] {
        let other = named(&stand, endpoint, &ben, "n1", &body);
        assert_eq!(other.status, 422, "{other:?}");
        assert!(other.error().contains("belongs to another call"), "{other:?}");
    }
    // A refusal before acceptance does not use up the idempotency key.
    assert_eq!(named(&stand, "wake", &ben, "n2", &json!({"text": ""})).status, 400);
    assert_eq!(named(&stand, "wake", &ben, "n2", &json!({"text": "two"})).status, 200);
    let to_ben = json!({"text": "once", "sessionKey": "agent:ben:main"});
    assert_eq!(named(&stand, "wake", &lead, "n1", &to_ben).status, 200, "names are each agent's own");
    assert_eq!(stand.waiting("ben").len(), 4);

    let next = stand.again();
    let reply = named(&next, "wake", &ben, "n1", &body);
    assert_eq!((reply.status, &reply.body["waiting"]), (200, &json!(4)), "{reply:?}");
    assert_eq!(next.waiting("ben").len(), 4, "nothing was forgotten, and nothing taken twice");
}

/// Waiting events survive the process. Damaged ones are reported, set aside, and not fatal.
#[test]
fn waiting_events_survive_a_restart() {
    log_capture::begin();
    let stand = Stand::new();
    let ben = stand.own("ben");
    let reply = stand.done("wake", &ben, &json!({"text": "hello", "reason": "test"}));
    assert_eq!(reply["kept"], true);
    let stand = stand.again();
    assert_eq!(stand.waiting("ben"), [(ben.clone(), "hello".to_owned())]);
    assert_eq!(stand.due(), ["ben"], "and its agent is still to be woken");
    let path = stand.folder.path().join(FILE);
    let text = fs::read(&path).unwrap();
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    let stand = stand.again();
    assert!(stand.waiting("ben").is_empty());
    let lines = log_capture::lines();
    assert!(lines.iter().any(|line| line.contains("WARN") && line.contains("wakes.damaged")), "{lines:?}");
    assert_eq!(stand.done("wake", &ben, &json!({"text": "hello"}))["kept"], true);
    assert_eq!(stand.again().waiting("ben").len(), 1);
}

#[test]
fn without_a_disk_events_stay_in_memory_and_the_reply_says_so() {
    let stand = Stand::new();
    let ben = stand.own("ben");
    fs::create_dir(stand.folder.path().join("wakes.json.new")).unwrap();
    for waiting in 1..3 {
        let reply = stand.done("event", &ben, &json!({"text": "hello"}));
        assert_eq!((&reply["kept"], &reply["waiting"]), (&json!(false), &json!(waiting)));
    }
    assert!(stand.wakes.off().is_some());
    fs::remove_dir(stand.folder.path().join("wakes.json.new")).unwrap();
    assert_eq!(stand.done("event", &ben, &json!({"text": "hello"}))["kept"], true);
    assert_eq!((stand.wakes.off(), stand.again().waiting("ben").len()), (None, 3));
}

/// A thousand calls at full speed: the first are accepted, the others refused with a time to retry.
#[test]
fn rate_limits_the_events_of_one_agent() {
    let stand = Stand::new();
    let (ben, ada) = (stand.own("ben"), stand.own("ada"));
    let began = Instant::now();
    let (mut good, mut refused) = (0, 0);
    for _ in 0..1_000 {
        let answer = stand.post("event", &ben, &json!({"text": "hello"}));
        match answer.status {
            200 => good += 1,
            429 => {
                refused += 1;
                assert!(answer.retry_after.is_some_and(|secs| secs >= 1), "{answer:?}");
            }
            _ => panic!("{answer:?}"),
        }
    }
    let most = 20 + 5 * (began.elapsed().as_secs() + 1);
    assert!(good >= 20 && good <= most && good + refused == 1_000, "{good} of {most}");
    assert_eq!(stand.waiting("ben").len(), EVENTS_MAX);
    stand.done("event", &ada, &json!({"text": "hello"}));
}
