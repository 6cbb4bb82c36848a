//! Conversations without function tools: the agents call over HTTP, with only the information of their
//! briefing.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::processes::Stack;
use crate::support::board::agent;
use crate::support::wait::own_address;

/// The connection to the board in a briefing: the address and the headers.
pub(super) fn way(instructions: &str) -> (String, Vec<(String, String)>) {
    let (_, rest) =
        instructions.split_once("Call Mission Control over HTTP: `POST ").expect("there is a way");
    let (base, rest) = rest.split_once("/agent/…`").unwrap();
    let (headers_text, _) = rest.split_once(" authenticate").unwrap();
    let headers = headers_text.split('`').filter_map(|word| word.split_once(": "));
    (base.to_owned(), headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Makes the call that the briefing describes; status and body.
fn call(instructions: &str, endpoint: &str, body: &Value) -> (u16, Value) {
    let (base, headers) = way(instructions);
    // A service that is starting says so.
    loop {
        let (status, body) = post(&format!("{base}/agent/{endpoint}"), &headers, body);
        if status != 503 {
            return (status, body);
        }
        std::thread::yield_now();
    }
}

pub(super) fn post(url: &str, headers: &[(String, String)], body: &Value) -> (u16, Value) {
    let mut request = agent().post(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut answer = request.send(body.to_string()).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap())
}

const HTTP: (&str, &str) = ("OPENCLAW_CLIENT_TOOLS_ENABLED", "false");

/// End to end: no tool is offered, the board is changed all the same, and no key leaks.
#[test]
fn agents_without_tools_work_over_http() {
    for tokens in [false, true] {
        let briefings: Arc<Mutex<HashMap<String, String>>> = Arc::default();
        let recorder = briefings.clone();
        let mind = move |prompt: &Prompt| {
            assert!(prompt.tools.is_empty());
            recorder.lock().unwrap().insert(prompt.agent.clone(), prompt.instructions.clone());
            let paper = json!({"title": "Notes", "content": "…", "type": "note"});
            let (status, written) = call(&prompt.instructions, "document", &paper);
            let (moved, _) = call(&prompt.instructions, "task-status", &json!({"status": "in_progress"}));
            let (read, _) = call(&prompt.instructions, "document-list", &json!({}));
            Thought::say(format!(
                "{status} {moved} {read} {}",
                written["documentId"].as_str().unwrap_or("none")
            ))
        };
        let flag = if tokens { "on" } else { "off" };
        let more = [HTTP, ("AGENT_API_TOKENS", flag), ("LOG_LEVEL", "debug")];
        let mut stack = Stack::set(&["ben", "ada"], mind, &more);
        let task = stack.task("assigned", &["ben"]);
        stack.mention(&task, "ben", "write it down");
        let answer = stack.answer_of("ben", &task);
        let documents = stack.board.rows("documents");
        let id = documents[0]["_id"].as_str().unwrap();
        assert_eq!(answer, format!("200 200 200 {id}"), "{flag}");
        assert_eq!((documents.len(), &documents[0]["taskId"]), (1, &json!(task)), "the session's task");
        assert_eq!(stack.board.row("tasks", &task)["status"], "in_progress");
        stack.settled();

        let instructions = briefings.lock().unwrap()["ben"].clone();
        let (base, headers) = way(&instructions);
        assert_eq!(headers.len(), if tokens { 2 } else { 1 }, "{headers:?}");
        let health = stack.health().to_string();
        // After the delivery the key is still valid. Alone it is not enough if tokens are required.
        let key = headers[0].1.clone();
        let alone =
            agent().post(format!("{base}/agent/document-list")).header("x-openclaw-session-key", &key);
        assert_eq!(alone.send("{}").unwrap().status(), if tokens { 401 } else { 200 });
        // The same call is then a new one.
        let paper = json!({"title": "Notes", "content": "…", "type": "note"});
        assert_eq!(call(&instructions, "document", &paper).0, 200);
        assert_eq!(stack.board.rows("documents").len(), 2);
        stack.kill_and_start();
        let log = stack.stop();
        for (name, secret) in &headers {
            assert!(!log.contains(secret) && !health.contains(secret), "{name}: {log}");
        }
    }
}

/// A program that dies while its agent works. The next one knows the agent, returns uncertain results again,
/// and repeats no effect.
#[test]
fn a_call_continues_in_the_next_process() {
    // The agent knows one address.
    let address = own_address();
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let (says, hears): (Sender<()>, Receiver<()>) = channel();
    let (goes_on, waits): (Sender<()>, Receiver<()>) = channel();
    let ends = Mutex::new((says, waits));
    let mind = move |prompt: &Prompt| {
        let paper = |name: &str| json!({"title": name, "content": "…", "type": "note"});
        let first = call(&prompt.instructions, "document", &paper("one"));
        let ends = ends.lock().unwrap();
        ends.0.send(()).unwrap();
        ends.1.recv().unwrap();
        let again = call(&prompt.instructions, "document", &paper("one"));
        let other = call(&prompt.instructions, "document", &paper("two"));
        Thought::say(format!("{} {} {}", first == again, again.0, other.0))
    };
    let mut stack = Stack::set(
        &["ben"],
        mind,
        &[HTTP, ("HEALTH_HOST", &host), ("HEALTH_PORT", &port), ("AGENT_API_TOKENS", "on")],
    );
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "write it down");
    hears.recv().unwrap();
    stack.kill_and_start();
    goes_on.send(()).unwrap();
    assert_eq!(stack.answer_of("ben", &task), "true 200 200");
    stack.settled();
    let documents = stack.board.rows("documents");
    let titles: Vec<&str> = documents.iter().map(|paper| paper["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["one", "two"]);
}

/// A call is a sign of life: a turn without another sign for longer than the limit is not aborted.
#[test]
fn a_call_is_a_sign_of_life() {
    let mind = |prompt: &Prompt| {
        for _ in 0..5 {
            // The silence of the turn, which the calls interrupt.
            std::thread::sleep(Duration::from_secs(3));
            call(&prompt.instructions, "document-list", &json!({}));
        }
        Thought::say("At last.")
    };
    let stack = Stack::set(&["ben"], mind, &[HTTP, ("OPENCLAW_REQUEST_TIMEOUT_MS", "10000")]);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "take your time");
    assert_eq!(stack.answer_of("ben", &task), "At last.");
    stack.settled();
    let health = stack.health();
    assert_eq!((stack.gateway().posts(), &health["delivery"]["failed"]), (1, &json!(0)), "{health}");
}
