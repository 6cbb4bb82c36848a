//! Events for agents: they survive a SIGKILL right after the response, and no other agent can read them.

use std::fs;
use std::path::Path;

use mission_control_runtime::heartbeat::keeper::FILE;
use serde_json::{Value, json};

use super::polite;
use super::processes::Stack;
use super::status_endpoints::{ask, figures, restart};
use crate::support::board::agent;

/// A text that no open endpoint and no log may contain.
const CANARY: &str = "c4n4ry-in-an-event";

/// Sends an event in this session, repeating while the service is busy; returns the response.
pub(super) fn tell(stack: &Stack, endpoint: &str, session: &str, body: &Value) -> Value {
    loop {
        let url = format!("http://{}/agent/{endpoint}", stack.address());
        let request = agent().post(url).header("x-openclaw-session-key", session);
        let mut answer = request.send(body.to_string()).unwrap();
        let (status, text) = (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap());
        match status {
            200 => return serde_json::from_str(&text).unwrap(),
            // It is starting, or there were too many requests in one second.
            429 | 503 => std::thread::yield_now(),
            _ => panic!("{status} {text}"),
        }
    }
}

fn waits(stack: &Stack, events: u64) -> Value {
    let health = stack.until("what waits", |health| health["heartbeat"]["eventsWaiting"] == events);
    health["heartbeat"].clone()
}

#[test]
fn an_event_survives_a_sigkill_after_its_response() {
    let more = [
        ("OPENCLAW_SESSION_MAIN_KEY", "Home"),
        ("LOG_LEVEL", "debug"),
        ("AGENT_API_TOKENS", "false"),
        ("AGENT_SYNC_INTERVAL", "5000"),
    ];
    let mut stack = Stack::set(&["ben", "ada"], polite, &more);
    stack.board.set(json!({"orchestratorAgentId": stack.agent("ada")}));
    let run = "agent:ben:cron:nightly:run:abc";
    let own = format!("system:agent:ada:{}:v1", stack.board.account);
    let answer = tell(&stack, "wake", run, &json!({"text": CANARY, "reason": CANARY}));
    assert_eq!(
        (&answer["agent"], &answer["wake"], &answer["kept"]),
        (&json!("ben"), &json!("now"), &json!(true))
    );
    stack.kill_and_start();
    let beats = waits(&stack, 1);
    assert_eq!(
        (&beats["wakesAsked"], &beats["wakesDue"], &beats["eventsOff"]),
        (&json!(1), &json!(1), &json!(null))
    );

    // Each event is on disk when it is confirmed, whenever the process dies.
    for number in 2..=21_u64 {
        let answer = tell(&stack, "event", run, &json!({"text": format!("{CANARY} {number}")}));
        assert_eq!((&answer["waiting"], &answer["dropped"]), (&json!(number.min(20)), &json!(number > 20)));
        if number % 7 == 0 {
            stack.kill_and_start();
        }
    }
    tell(&stack, "event", &own, &json!({"text": CANARY, "sessionKey": "agent:ben:main"}));
    tell(&stack, "event", &own, &json!({"text": CANARY}));
    let beats = waits(&stack, 21);
    assert_eq!((&beats["eventsTaken"], &beats["eventsDropped"]), (&json!(23), &json!(2)));
    let page = figures(&stack);
    let rows = [
        ("heartbeat_events_total", 23.0),
        ("heartbeat_events_dropped_total", 2.0),
        ("heartbeat_wakes_total", 1.0),
        ("heartbeat_events_waiting", 21.0),
        ("heartbeat_wakes_due", 1.0),
    ];
    for (name, value) in rows {
        assert_eq!(page.value(name, &[]), Some(value), "{name}");
    }
    let asked = page.value("http_requests_total", &[("endpoint", "event"), ("status", "200")]);
    assert!(asked.is_some_and(|asked| asked >= 2.0), "{asked:?}");

    // The configuration determines the queue; the file is readable by its owner only.
    let path = Path::new(stack.state_dir()).join(FILE);
    let kept = fs::read_to_string(&path).unwrap();
    assert!(kept.contains("\"agent:ben:home\"") && kept.contains(CANARY), "{kept}");
    let open = ["/health", "/metrics", "/version", "/readyz"];
    let said: String = open.map(|path| ask(stack.address(), "GET", path, "*/*").body).concat();
    assert!(!said.contains(CANARY) && !said.contains(run), "{said}");

    // An agent that was removed gets no more events.
    let args = json!({"agentId": stack.agent("ben")});
    stack.board.person("agents:remove", args).unwrap();
    stack.kill_and_start();
    let beats = waits(&stack, 1);
    assert_eq!((&beats["eventsTaken"], &beats["wakesDue"]), (&json!(23), &json!(0)));
    assert_eq!(beats["eventsDropped"], json!(22), "two were displaced, and twenty deleted");
    let log = stack.stop();
    assert!(log.contains("Events of an agent that no longer exists are deleted"), "{log}");
    assert!(!log.contains(CANARY) && !log.contains(run) && !log.contains(&own), "{log}");
}

#[test]
fn a_damaged_or_unwritable_file_is_reported_and_not_fatal() {
    let mut stack = Stack::set(&["ben"], polite, &[("AGENT_API_TOKENS", "false")]);
    let own = format!("system:agent:ben:{}:v1", stack.board.account);
    tell(&stack, "wake", &own, &json!({"text": "hello"}));
    stack.kill();
    let path = Path::new(stack.state_dir()).join(FILE);
    let kept = fs::read(&path).unwrap();
    fs::write(&path, &kept[..kept.len() / 2]).unwrap();
    stack.start();
    stack.wait_for_log("The file of waiting events is unusable");
    assert_eq!(tell(&stack, "wake", &own, &json!({"text": "hello"}))["waiting"], 1);
    assert_eq!(waits(&stack, 1)["eventsTaken"], 1);

    restart(&mut stack, &[("STATE_DIR", "/dev/null/nowhere"), ("LEDGER", "off")]);
    assert_eq!(tell(&stack, "wake", &own, &json!({"text": "hello"}))["kept"], false);
    let beats = waits(&stack, 1);
    assert!(beats["eventsOff"].as_str().is_some_and(|why| !why.is_empty()), "{beats}");
}
