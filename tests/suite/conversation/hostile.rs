//! Hostile peers of the running service: foreign host names, nudge floods, tokens in answers, huge answers.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{Fault, Prompt, Thought};
use serde_json::json;

use super::polite;
use super::processes::{SLOW_POLLS, Stack};

/// Sends a request without a body, unchanged; returns the whole answer.
fn raw(address: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn status_of(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// DNS rebinding: a page of `evil.example` whose name resolves to this machine reads nothing and changes
/// nothing.
#[test]
fn requests_for_foreign_host_names_are_refused_on_every_path() {
    let stack = Stack::set(&["ben"], polite, &[("TASK_STATUS_BASE_URL", "http://runtime:3001")]);
    let token = fs::read_to_string(format!("{}/operator-token", stack.state_dir())).unwrap();
    let bearer = format!("Authorization: Bearer {}\r\n", token.trim());
    let ask = |line: &str, host: &str| {
        let head = format!("{line} HTTP/1.1\r\n{host}{bearer}Connection: close\r\n");
        raw(stack.address(), &head)
    };
    let paths = ["/", "/health", "/version", "/metrics", "/livez", "/readyz", "/overview", "/deliveries"];
    for host in ["evil.example", "evil.example:3001", "localhost.evil.example", "127.0.0.1.nip.example", ""] {
        for line in paths.iter().map(|path| format!("GET {path}")).chain(["POST /pause".to_owned()]) {
            let answer = ask(&line, &format!("Host: {host}\r\n"));
            assert_eq!(status_of(&answer), 403, "{line} at {host:?}: {answer}");
            assert!(answer.contains("TASK_STATUS_BASE_URL"), "the answer says what to do: {answer}");
        }
    }
    assert_eq!(stack.health()["paused"]["all"], false, "nothing was paused");
    for host in [
        "127.0.0.1:3001",
        "10.1.2.3:3001",
        "203.0.113.9",
        "[::1]:3001",
        "[2001:db8::1]:80",
        "localhost",
        "LOCALHOST.:1",
        "runtime:3001",
    ] {
        for path in paths {
            let answer = ask(&format!("GET {path}"), &format!("Host: {host}\r\n"));
            assert!([200, 503].contains(&status_of(&answer)), "{path} at {host}: {answer}");
        }
    }
    // A target in absolute form names a host too.
    let absolute = ask("GET http://evil.example/health", "Host: localhost\r\n");
    assert_eq!(status_of(&absolute), 403, "{absolute}");
    // No browser omits the Host header. Old probes may; requests that change or read private data may not.
    for (line, expected) in [
        ("GET /health", 200),
        ("GET /livez", 200),
        ("GET /overview", 403),
        ("POST /pause", 403),
        ("POST /nudge", 403),
    ] {
        let answer = raw(stack.address(), &format!("{line} HTTP/1.0\r\n{bearer}"));
        assert_eq!(status_of(&answer), expected, "{line} without a Host: {answer}");
    }
}

/// A flood of nudges from a local user is accepted and coalesced, because each list costs a backend call.
#[test]
fn a_flood_of_nudges_makes_few_lists_and_a_lone_nudge_is_prompt() {
    let stack = Stack::slow_polls(&["ben"], polite);
    stack.settled();
    let task = stack.task("assigned", &["ben"]);
    // Only the nudge can bring the row in time.
    let began = Instant::now();
    stack.mention(&task, "ben", "hello");
    assert_eq!(stack.answer_of("ben", &task), "ben answers.");
    assert!(began.elapsed() < SLOW_POLLS / 2, "{:?}", began.elapsed());
    stack.settled();
    let (before, began) = (stack.lists(), Instant::now());
    let mut sent = 0;
    while began.elapsed() < Duration::from_secs(3) || sent <= 40 {
        assert_eq!(stack.ask("POST", "/nudge", ""), 202);
        sent += 1;
    }
    let (lists, seconds) = (stack.lists() - before, began.elapsed().as_secs() + 1);
    assert!(lists >= 1 && lists <= 12 + 4 * seconds, "{lists} lists in {seconds} s for {sent} nudges");
    // The last nudge of a flood is not lost.
    let late = stack.task("assigned", &["ben"]);
    stack.mention(&late, "ben", "hello");
    assert_eq!(stack.answer_of("ben", &late), "ben answers.");
}

/// A token in the form that agents get; assembled here so that no file of the repository contains one.
fn session_token() -> String {
    ["mc", "session", "5f0c99aa77bb55cc5f0c99aa77bb55cc"].join("_")
}

#[test]
fn a_session_token_in_an_agents_text_is_posted_nowhere() {
    let open = [("AGENT_API", "on"), ("AGENT_API_TOKENS", "false")];
    let mind = |prompt: &Prompt| {
        let token = session_token();
        if prompt.outputs().next().is_some() {
            return Thought::say(format!("My token is {token}, keep it."));
        }
        let paper =
            json!({"title": format!("About {token}"), "content": format!("{token}\nend"), "type": "note"});
        Thought::call("document_upsert", &paper)
    };
    let stack = Stack::set(&["ben"], mind, &open);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "who are you?");
    assert_eq!(stack.answer_of("ben", &task), "My token is mc_session_***, keep it.");
    stack.settled();
    let rows = stack.board.rows("documents");
    let [document] = rows.as_slice() else { panic!("one document: {rows:?}") };
    assert_eq!(document["title"], "About mc_session_***");
    assert_eq!(document["content"], "mc_session_***\nend");
    // The same text over the agents' HTTP API.
    let session = format!("task:{task}:agent:ben:{}:v1", stack.board.account);
    let body = json!({"title": "Over HTTP", "content": session_token(), "type": "note"});
    let url = format!("http://{}/agent/document", stack.address());
    let (status, answer) = super::over_http::post(&url, &[("x-openclaw-session-key".into(), session)], &body);
    assert_eq!(status, 200, "{answer}");
    for table in ["messages", "documents", "notifications", "activities"] {
        let rows = json!(stack.board.rows(table)).to_string();
        assert!(!rows.contains(&session_token()), "{table}: {rows}");
    }
    assert!(json!(stack.board.rows("documents")).to_string().contains("Over HTTP"));
}

/// A line of `/proc/PID/status` in MiB.
fn mib(process: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).expect("a line of that name");
    let kib: u32 = line.split_whitespace().nth(1).and_then(|figure| figure.parse().ok()).expect("a figure");
    f64::from(kib) / 1024.0
}

/// Ten sessions answer with 15.5 MB each at once: memory stays within the budget and is released.
#[test]
#[allow(clippy::print_stdout, reason = "figures for a run with --nocapture")]
fn ten_huge_answers_stay_within_the_memory_budget() {
    let names: Vec<String> = (0..10).map(|number| format!("huge{number}")).collect();
    let slugs: Vec<&str> = names.iter().map(String::as_str).chain(["small"]).collect();
    let stack = Stack::new(&slugs, polite);
    stack.settled();
    let process = stack.process();
    let idle = mib(process, "VmRSS");
    let mut tasks = Vec::new();
    for name in &names {
        let task = stack.task("assigned", &[name]);
        let session = format!("agent:{name}:task:{task}:{}:v1", stack.board.account);
        stack.faults().next_in(&session, Fault::Huge(15_500_000));
        tasks.push(task);
    }
    for (name, task) in names.iter().zip(&tasks) {
        stack.mention(task, name, "say a lot");
    }
    // A small answer is processed while the large ones arrive.
    let small = stack.task("assigned", &["small"]);
    stack.mention(&small, "small", "hello");
    assert_eq!(stack.answer_of("small", &small), "small answers.");
    stack.until("all ten turns", |_| {
        let seen = stack.gateway().requests();
        names.iter().all(|name| seen.iter().any(|request| &request.agent == name))
    });
    stack.settled();
    let peak = mib(process, "VmHWM");
    let until = Instant::now() + Duration::from_mins(2);
    let mut left = mib(process, "VmRSS");
    while left > idle + 25.0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(200));
        left = mib(process, "VmRSS");
    }
    println!("idle {idle:.1} MiB, peak {peak:.1} MiB, afterwards {left:.1} MiB");
    assert!(peak <= idle + 64.0 + 40.0, "idle {idle:.1} MiB, at worst {peak:.1} MiB");
    assert!(left <= idle + 25.0, "idle {idle:.1} MiB, afterwards {left:.1} MiB");
}
