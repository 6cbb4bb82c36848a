//! An agent's credentials: where they are published (nowhere), and what they grant.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use mission_control_runtime::demo::gateway::{Fault, Prompt, Release, Thought};
use serde_json::{Value, json};

use super::over_http::{post, way};
use super::processes::Stack;

/// The headers of a call, by name.
type Headers = Vec<(String, String)>;

/// The text that an agent repeats everywhere, with all that it knows about itself.
fn repeated(prompt: &Prompt, account: &str, task: &str, token: Option<&str>) -> String {
    let tail = token.and_then(|token| token.rsplit('_').next()).unwrap_or("no token");
    let keys = spellings(&prompt.agent, account, task).join(" ");
    format!("I am {} {} {tail} {keys}\n{}", prompt.session, token.unwrap_or_default(), prompt.instructions)
}

/// The spellings of an agent's session keys.
fn spellings(slug: &str, account: &str, task: &str) -> Vec<String> {
    let plain = [
        format!("task:{task}:agent:{slug}:{account}:v1"),
        format!("agent:{slug}:task:{task}:{account}:v1"),
        format!("agent:{slug}:task:{task}:agent:{slug}:{account}:v1"),
        format!("system:agent:{slug}:{account}:v1"),
        format!("agent:{slug}:system:{account}:v1"),
        format!("agent:{slug}:{account}"),
        format!("agent:{slug}:cron:nightly:run:abc"),
    ];
    let encoded = plain.clone().map(|key| key.replace(':', "%3A"));
    plain.into_iter().chain(encoded).collect()
}

/// The board's texts, except its own session rows.
fn board(stack: &Stack) -> String {
    let tables = ["messages", "documents", "tasks", "notifications", "activities"];
    tables.map(|table| json!(stack.board.rows(table)).to_string()).concat().to_lowercase()
}

/// The files of the state directory, as text.
fn files(stack: &Stack) -> String {
    let entries = fs::read_dir(stack.state_dir()).unwrap().map(|entry| entry.unwrap().path());
    let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    entries.filter(|path| path.is_file()).map(read).collect::<String>().to_lowercase()
}

/// An agent that repeats its briefing in its answer, in titles, documents, requests and events publishes no
/// credentials. The same holds for a reply that is recovered after a lost answer.
#[test]
fn a_repeated_briefing_publishes_no_credentials() {
    for over_http in [true, false] {
        let known = Arc::<Mutex<(String, String, Option<String>)>>::default();
        let recorder = known.clone();
        let mind = move |prompt: &Prompt| {
            let (account, task, _) = recorder.lock().unwrap().clone();
            let calls = |text: &str| {
                let title: String = text.chars().take(1_900).collect();
                let message: String = text.chars().take(900).collect();
                [
                    ("document", "document_upsert", json!({"title": title, "content": text, "type": "note"})),
                    ("task-create", "task_create", json!({"title": title, "description": text})),
                    ("task-update", "task_update", json!({"taskId": task, "description": text})),
                    (
                        "response-request",
                        "response_request",
                        json!({"taskId": task, "recipientSlugs": ["ada"], "message": message}),
                    ),
                    (
                        "task-status",
                        "task_status",
                        json!({"taskId": task, "status": "blocked", "blockedReason": message}),
                    ),
                ]
            };
            if prompt.agent != "ben" {
                return Thought::say("Noted.");
            }
            if !over_http {
                let text = repeated(prompt, &account, &task, None);
                if prompt.outputs().next().is_some() {
                    return Thought::say(text);
                }
                let calls = calls(&text);
                return Thought::calls(calls.iter().map(|(_, tool, body)| (*tool, body.clone())));
            }
            let (base, headers) = way(&prompt.instructions);
            let token = headers.iter().find(|(name, _)| name == "x-runtime-token").unwrap().1.clone();
            let text = repeated(prompt, &account, &task, Some(&token));
            recorder.lock().unwrap().2 = Some(token);
            let event = ("event", "", json!({"text": text.chars().take(1_900).collect::<String>()}));
            for (endpoint, _, body) in calls(&text).iter().chain([&event]) {
                let (status, answer) = post(&format!("{base}/agent/{endpoint}"), &headers, body);
                assert_eq!(status, 200, "{endpoint}: {answer}");
            }
            Thought::say(text)
        };
        let flag = if over_http { "false" } else { "true" };
        let more =
            [("OPENCLAW_CLIENT_TOOLS_ENABLED", flag), ("AGENT_API_TOKENS", "on"), ("LOG_LEVEL", "trace")];
        let mut stack = Stack::set(&["ben", "ada"], mind, &more);
        let flags = json!({"canCreateTasks": true, "canMentionAgents": true});
        stack.board.set(json!({"agentDefaults": {"behaviorFlags": flags}}));
        let account = stack.board.account.clone();
        let task = stack.task("in_progress", &["ben"]);
        *known.lock().unwrap() = (account.clone(), task.clone(), None);
        if !over_http {
            // The calls are then found in the session's history.
            let session = format!("agent:ben:task:{task}:{account}:v1");
            stack.faults().next_in(&session, Fault::LoseAnswer);
        }
        stack.mention(&task, "ben", "who are you?");
        let answer = stack.answer_of("ben", &task);
        stack.settled();
        assert!(answer.starts_with("I am (session-key)"), "{answer}");
        let board = board(&stack);
        for text in ["i am (session-key)", "you are **agent ben**"] {
            let places = board.matches(text).count();
            assert!(places >= 5, "in the answer, a document and two tasks: {places} {board}");
        }
        let (_, _, token) = known.lock().unwrap().clone();
        let secrets =
            token.iter().flat_map(|token| [token.clone(), token.rsplit('_').next().unwrap().to_owned()]);
        let secrets: Vec<String> = secrets.map(|secret| secret.to_lowercase()).collect();
        assert_eq!(secrets.len(), if over_http { 2 } else { 0 });
        let keys: Vec<String> =
            spellings("ben", &account, &task).iter().map(|key| key.to_lowercase()).collect();
        let (_, why) = stack.command(["why", &task]);
        let seen = [board, stack.health().to_string(), why].map(|text| text.to_lowercase());
        let log = stack.stop().to_lowercase();
        for secret in secrets.iter().chain(&keys) {
            for text in seen.iter().chain([&log]) {
                assert!(!text.contains(secret.as_str()), "{secret} in {text}");
            }
        }
        // The ledger names sessions for recovery; only its owner can read it. No file has a token.
        let files = files(&stack);
        for secret in &secrets {
            assert!(!files.contains(secret.as_str()), "{secret} in a file");
        }
    }
}

/// The instructions of an agent's last turn.
#[derive(Clone, Default)]
struct Briefings(Arc<Mutex<Vec<(String, String)>>>);

impl Briefings {
    fn add(&self, prompt: &Prompt) {
        self.0.lock().unwrap().push((prompt.agent.clone(), prompt.instructions.clone()));
    }

    fn last_of(&self, slug: &str) -> String {
        let all = self.0.lock().unwrap();
        all.iter().rev().find(|(agent, _)| agent == slug).expect("it had a turn").1.clone()
    }
}

/// A document over HTTP where the briefing says how, else with the function tool, else nothing.
fn writes_as_briefed(prompt: &Prompt, note: &Value) -> Thought {
    if prompt.instructions.contains("Call Mission Control over HTTP") {
        let (base, headers) = way(&prompt.instructions);
        // A service that is starting says so.
        let status = loop {
            match post(&format!("{base}/agent/document"), &headers, note).0 {
                503 => std::thread::yield_now(),
                status => break status,
            }
        };
        return Thought::say(format!("over HTTP: {status}"));
    }
    match (prompt.outputs().next(), prompt.tools.is_empty()) {
        (None, false) => Thought::call("document_upsert", note),
        (Some(_), _) => Thought::say("with a tool"),
        (None, true) => Thought::say("no way"),
    }
}

/// `AGENT_API=auto`: a gateway that is too old for function tools gets briefings with endpoints. Its successor gets
/// function tools again, and the endpoints close.
#[test]
fn briefings_and_endpoints_follow_the_gateways_release() {
    let briefings = Briefings::default();
    let recorder = briefings.clone();
    let note = json!({"title": "Notes", "content": "…", "type": "note"});
    let written = note.clone();
    let mind = move |prompt: &Prompt| {
        recorder.add(prompt);
        writes_as_briefed(prompt, &written)
    };
    let mut stack = Stack::played(&["ben"], mind, |options| options.release = Release::V2026_2_19);
    let asks = |stack: &Stack| {
        let task = stack.task("in_progress", &["ben"]);
        stack.mention(&task, "ben", "write it down");
        let answer = stack.answer_of("ben", &task);
        stack.settled();
        answer
    };
    assert_eq!(asks(&stack), "no way", "the first turn shows that the gateway is too old");
    assert_eq!(asks(&stack), "over HTTP: 200");
    stack.until("the reason", |health| {
        health["reasons"] == json!(["gateway_too_old", "gateway_history_closed"])
    });
    let (_, headers) = way(&briefings.last_of("ben"));
    assert_eq!(headers.len(), 2, "a key and a token");
    let url = format!("http://{}/agent/document", stack.address());
    assert_eq!(post(&url, &headers, &note).0, 200, "open as long as the gateway is too old");

    stack.replace_gateway(Release::V2026_9_6);
    let answer = asks(&stack);
    assert!(["over HTTP: 200", "with a tool"].contains(&answer.as_str()), "{answer}");
    assert_eq!(asks(&stack), "with a tool");
    assert!(!briefings.last_of("ben").contains("/agent/"));
    let (status, refused) = post(&url, &headers, &note);
    let words =
        "AGENT_API=auto closes this endpoint to your session. Call the function tool document_upsert instead";
    assert!(status == 403 && refused["error"].as_str().unwrap().ends_with(words), "{refused}");
    stack.until("no reason", |health| health["reasons"] == json!([]));
    assert_eq!(stack.board.rows("documents").len(), 4);
}

/// A new process does not know yet that the gateway is too old. An agent that was briefed by its predecessor goes on.
#[test]
fn an_agent_of_an_old_gateway_goes_on_in_the_next_process() {
    let briefings = Briefings::default();
    let recorder = briefings.clone();
    let mind = move |prompt: &Prompt| {
        recorder.add(prompt);
        if prompt.instructions.contains("Call Mission Control over HTTP") {
            return Thought::hang();
        }
        Thought::say("no way")
    };
    let mut stack = Stack::played(&["ben"], mind, |options| options.release = Release::V2026_2_19);
    let first = stack.task("in_progress", &["ben"]);
    stack.mention(&first, "ben", "write it down");
    assert_eq!(stack.answer_of("ben", &first), "no way");
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "write it down");
    stack.until("the turn", |_| briefings.0.lock().unwrap().len() == 2);
    let (_, headers) = way(&briefings.last_of("ben"));
    stack.kill();
    // The outcome of the turn stays open, and the next process learns nothing of the gateway.
    stack.stop_gateway();
    stack.start();
    let note = json!({"title": "Notes", "content": "…", "type": "note"});
    let call = |headers: &Headers| loop {
        let (status, answer) = post(&format!("http://{}/agent/document", stack.address()), headers, &note);
        if status != 503 {
            return (status, answer);
        }
    };
    let (status, answer) = call(&headers);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(stack.health()["gateway"]["dialect"], "flat", "it has not learnt it");
    assert_eq!(stack.board.rows("documents").len(), 1);
}

/// With function tools, briefings state no credentials until the agent wants to leave an event.
#[test]
fn an_agent_that_leaves_events_finds_its_token_in_its_briefing() {
    let briefings = Briefings::default();
    let recorder = briefings.clone();
    let mind = move |prompt: &Prompt| {
        recorder.add(prompt);
        Thought::say("Noted.")
    };
    let mut stack = Stack::set(&["ben", "ada"], mind, &[("LOG_LEVEL", "debug")]);
    let asks = |stack: &Stack| {
        for slug in ["ben", "ada"] {
            let task = stack.task("in_progress", &[slug]);
            stack.mention(&task, slug, "hello");
            stack.answer_of(slug, &task);
        }
        stack.settled();
        ["ben", "ada"].map(|slug| briefings.last_of(slug))
    };
    for text in asks(&stack) {
        assert!(!text.contains("x-runtime-token") && !text.contains("/agent/"), "{text}");
    }
    let run = "agent:ben:cron:nightly:run:1";
    let tell = |stack: &Stack, headers: &Headers| {
        post(&format!("http://{}/agent/event", stack.address()), headers, &json!({"text": "done"}))
    };
    let session = |key: &str| ("x-openclaw-session-key".to_owned(), key.to_owned());
    let (status, refused) = tell(&stack, &vec![session(run)]);
    assert!(status == 401 && refused["error"].as_str().unwrap().ends_with("your next instructions will"));
    let [ben, ada] = asks(&stack);
    assert!(!ada.contains("x-runtime-token"), "{ada}");
    let headers = headers_of(&ben);
    assert_eq!(headers[0].1, format!("agent:ben:{}", stack.board.account));
    assert_eq!(tell(&stack, &headers).0, 200);
    assert_eq!(tell(&stack, &vec![session(run), headers[1].clone()]).0, 200, "also in a scheduled run");
    // It opens no tools, and no other session.
    let url = format!("http://{}/agent/document-list", stack.address());
    assert_eq!(post(&url, &headers, &json!({})).0, 403);
    let other = session(&format!("system:agent:ada:{}:v1", stack.board.account));
    assert_eq!(tell(&stack, &vec![other, headers[1].clone()]).0, 401);
    stack.kill_and_start();
    stack.until("the team", |health| health["agentSync"]["agents"] == 2);
    assert_eq!(headers_of(&asks(&stack)[0]), headers, "after a restart");
    let health = stack.until("the events", |health| health["heartbeat"]["eventsWaiting"] == 2).to_string();
    let log = stack.stop();
    for (_, secret) in &headers {
        assert!(!health.contains(secret) && !log.contains(secret) && !files(&stack).contains(&headers[1].1));
    }
}

/// The headers that a briefing states.
fn headers_of(instructions: &str) -> Headers {
    let headers = instructions.split('`').filter(|word| word.starts_with("x-"));
    let headers = headers.filter_map(|word| word.split_once(": "));
    headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// One HTTP/1.1 exchange with the program: status and body.
fn raw(stack: &Stack, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(stack.address()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
}

/// A local user who knows every session key but no token gets nothing, whatever form the request has. Where function
/// tools are off, the same.
#[test]
fn a_local_user_without_a_token_gets_nothing() {
    for more in [vec![], vec![("OPENCLAW_CLIENT_TOOLS_ENABLED", "false")], vec![("AGENT_API", "on")]] {
        let mut stack = Stack::set(&["ben", "ada"], |_: &Prompt| Thought::say("Noted."), &more);
        stack.board.set(json!({"orchestratorAgentId": stack.agent("ada")}));
        let task = stack.task("in_progress", &["ben"]);
        stack.mention(&task, "ben", "the-secret-subject");
        stack.answer_of("ben", &task);
        stack.settled();
        let before = board(&stack);
        let account = stack.board.account.clone();
        let mut keys = spellings("ben", &account, &task);
        keys.extend(spellings("ada", &account, &task));
        keys.push("agent:nobody:cron:nightly:run:abc".to_owned());
        let guesses = [
            String::new(),
            "x-runtime-token: \r\n".to_owned(),
            "x-runtime-token: mc_session_\r\n".to_owned(),
            format!(
                "x-runtime-token: {}\r\n",
                ["mc", "session", "00000000000000000000000000000000"].join("_")
            ),
            format!("x-runtime-token: {}\r\n", "0".repeat(4_000)),
            "x-runtime-token: null\r\n".to_owned(),
            "x-runtime-token: undefined\r\nx-runtime-token: \r\n".to_owned(),
            "x_runtime_token: 1\r\nX-Runtime-Token:\t\r\n".to_owned(),
            "Authorization: Bearer the-gateways-token\r\n".to_owned(),
            "Cookie: x-runtime-token=1\r\n".to_owned(),
            "X-HTTP-Method-Override: POST\r\nX-Original-URL: /agent/task-load\r\n".to_owned(),
            "Origin: http://localhost\r\n".to_owned(),
        ];
        let body =
            json!({"taskId": task, "text": "x", "title": "x", "content": "x", "type": "note", "token": "x",
            "x-runtime-token": "", "status": "done", "reason": "x"})
            .to_string();
        let send = |method: &str, target: &str, headers: &str, body: &str| {
            let length = body.len();
            let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
            raw(&stack, &format!("{head}{headers}Content-Length: {length}\r\n\r\n{body}"))
        };
        let mut answers = Vec::new();
        let endpoints = ["task-load", "task-list", "task-status", "task-delete", "document", "event", "wake"];
        for key in &keys {
            let session = format!("x-openclaw-session-key: {key}\r\n");
            for endpoint in endpoints {
                let target = format!("/agent/{endpoint}");
                answers.push(send("POST", &target, &session, &body));
                let query = format!("{target}?x-openclaw-session-key={key}&x-runtime-token=&token=1");
                answers.push(send("POST", &query, &session, &body));
            }
            for guess in &guesses {
                answers.push(send("POST", "/agent/task-load", &format!("{session}{guess}"), &body));
            }
        }
        let session = format!("x-openclaw-session-key: {}\r\n", keys[0]);
        for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "post", "P0ST"]
        {
            answers.push(send(method, "/agent/task-load", &session, ""));
        }
        for target in [
            "/agent/task-load/",
            "/agent//task-load",
            "//agent/task-load",
            "/Agent/Task-Load",
            "/agent/task%2dload",
            "/agent/%74ask-load",
            "/agent/./task-load",
            "/x/../agent/task-load",
            "/health/../agent/task-load",
            "http://localhost/agent/task-load",
            "/agent/task-load;x=1",
            "/agent/task-load#x",
            "/agent/bridge",
            "/agent/",
        ] {
            answers.push(send("POST", target, &session, &body));
        }
        let twice = format!("{session}x-openclaw-session-key: {}\r\n", keys[1]);
        answers.push(send("POST", "/agent/task-load", &twice, &body));
        let chunked = format!("{session}Transfer-Encoding: chunked\r\n");
        answers.push(send("POST", "/agent/task-load", &chunked, "0\r\n\r\n"));
        for (status, answer) in &answers {
            assert!((400..=505).contains(status), "{status} {answer}");
            for word in ["the-secret-subject", "Noted", &account, &task, "mc_session"] {
                assert!(!answer.contains(word), "{word} in {answer}");
            }
        }
        assert_eq!(board(&stack), before, "nothing on the board has changed");
        assert_eq!(stack.health()["heartbeat"]["eventsWaiting"], 0);
        let log = stack.stop();
        assert!(!log.contains("Tool called over HTTP"), "{log}");
    }
}
