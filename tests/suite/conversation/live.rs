//! The live page at `/`, and its data about deliveries.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::operator::{as_operator, dead_letter, token};
use super::polite;
use super::processes::Stack;

/// An answer as received from the socket: status, head in lower case, body.
fn raw(stack: &Stack, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(stack.address()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

fn of_path(stack: &Stack, method: &str, path: &str) -> (u16, String, String) {
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", stack.address());
    raw(stack, &request)
}

#[test]
fn the_page_needs_no_token_and_contains_no_data() {
    let stack = Stack::new(&["ben"], polite);
    let (id, task) = dead_letter(&stack);
    let (status, head, body) = of_path(&stack, "GET", "/");
    assert_eq!(status, 200);
    for line in [
        "content-type: text/html",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "content-security-policy: default-src 'none'; script-src 'nonce-",
        "frame-ancestors 'none'",
    ] {
        assert!(head.contains(line), "{line}: {head}");
    }
    assert!(!head.contains("set-cookie") && !head.contains("access-control"), "{head}");
    let account = stack.board.account.clone();
    for secret in [&token(&stack), &stack.board.token, &account, &id, &task, "the-gateways-token", "ben"] {
        assert!(!body.contains(secret), "{secret} is in the page");
    }
    assert_ne!(body, of_path(&stack, "GET", "/").2, "the nonce is another one each time");

    let (status, head_of_head, none) = of_path(&stack, "HEAD", "/");
    assert!(status == 200 && none.is_empty() && head_of_head.contains("content-length: "), "{head_of_head}");
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let (status, head, _) = of_path(&stack, method, "/");
        assert!(status == 405 && head.contains("allow: get, head"), "{method}: {head}");
    }
    for path in ["//", "/index.html", "/page", "/page.html", "/live.html"] {
        assert_eq!(of_path(&stack, "GET", path).0, 404, "{path}");
    }
    let counted = stack.health();
    assert_eq!(counted["delivery"]["dead"], 1, "{counted}");
}

/// DNS rebinding makes a foreign page look like ours to a browser. The host name identifies it, with or
/// without a token.
#[test]
fn a_rebound_host_name_gets_no_data() {
    let stack = Stack::new(&["ben"], polite);
    let (id, _) = dead_letter(&stack);
    let requests = [
        ("GET", "/overview".to_owned()),
        ("GET", "/deliveries".to_owned()),
        ("GET", format!("/why/{id}")),
        ("POST", format!("/dead/{id}/drop")),
        ("POST", "/pause".to_owned()),
    ];
    for (method, path) in requests {
        let lines = format!(
            "{method} {path} HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n\
             Content-Length: 0\r\nConnection: close\r\n"
        );
        let (status, _, body) = raw(&stack, &format!("{lines}\r\n"));
        assert!(status == 403 && !body.contains(&id), "{method} {path}: {status} {body}");
        let bearer = format!("Authorization: Bearer {}\r\n", token(&stack));
        let elsewhere = lines.replace("Host: evil.example", &format!("Host: {}", stack.address()));
        let (status, _, body) = raw(&stack, &format!("{elsewhere}{bearer}\r\n"));
        assert!(status == 403 && !body.contains(&id), "{method} {path}: {status} {body}");
    }
    let health = stack.health();
    assert_eq!((&health["delivery"]["dead"], &health["paused"]["all"]), (&json!(1), &json!(false)));
}

/// The data for operators once the condition holds: an outcome is recorded a moment later.
fn seen(stack: &Stack, is_so: impl Fn(&Value) -> bool) -> Value {
    let mut overview = Value::Null;
    stack.until("the look", |_| {
        let (status, seen) = as_operator(stack, "GET", "/overview", "");
        assert_eq!(status, 200, "{seen}");
        overview = seen;
        is_so(&overview)
    });
    overview
}

fn sum(overview: &Value, name: &str) -> u64 {
    overview["hour"][name].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).sum()
}

#[test]
fn one_request_returns_everything() {
    let stack = Stack::new(&["ben", "ada", "cleo"], |prompt: &Prompt| match prompt.agent.as_str() {
        "cleo" => Thought::hang(),
        slug => Thought::say(format!("{slug} answers.")),
    });
    let (dead, _) = dead_letter(&stack);
    let answered = stack.task("in_progress", &["ada"]);
    stack.mention(&answered, "ada", "hello");
    stack.answer_of("ada", &answered);
    stack.settled();
    let hung = stack.task("in_progress", &["cleo"]);
    stack.mention(&hung, "cleo", "hello");
    stack.begun();
    assert_eq!(as_operator(&stack, "POST", "/pause", "{\"agent\":\"ben\"}").0, 200);
    let held = stack.task("in_progress", &["ben"]);
    stack.mention(&held, "ben", "hello");
    stack.until("the row", |health| health["delivery"]["waiting"] == 2);

    let overview = seen(&stack, |now| now["counts"] == json!({"inFlight": 1, "unsettled": 1, "dead": 1}));
    assert_eq!(overview["health"]["reasons"], json!(["dead_letters"]));
    assert_eq!(overview["reasons"][0]["name"], "dead_letters");
    assert!(overview["reasons"][0]["words"].as_str().unwrap().contains("dead list"));
    assert_eq!(overview["dead"][0]["id"], json!(dead));
    let turn = &overview["inFlight"][0];
    assert_eq!((&turn["agent"], &turn["task"]), (&json!("cleo"), &json!(hung)));
    assert!(turn["turn"]["since"].is_i64() && turn["turn"]["quietSeconds"].is_f64(), "{turn}");
    let held_row = &overview["unsettled"][0];
    assert_eq!((&held_row["agent"], &held_row["state"]), (&json!("ben"), &json!("held")));
    assert!(overview["recent"].as_array().unwrap().iter().all(|one| one["state"] != "dead"), "{overview}");

    let agents = overview["agents"]["shown"].as_array().unwrap();
    let of = |slug: &str| agents.iter().find(|agent| agent["slug"] == slug).unwrap();
    assert_eq!((agents.len(), &overview["agents"]["count"]), (3, &json!(3)));
    assert_eq!((&of("ben")["paused"], &of("ben")["ended"]["dead"]), (&json!(true), &json!(1)));
    assert_eq!((&of("ada")["name"], &of("ada")["ended"]["answered"]), (&json!("Agent ada"), &json!(1)));
    assert_eq!((&of("cleo")["inFlight"], &of("cleo")["doing"][0]["task"]), (&json!(1), &json!(hung)));
    assert!(of("ada")["tokensRead"].as_u64() > Some(0), "{}", of("ada"));

    let counted = ["answered", "dead", "turns", "failed"].map(|name| sum(&overview, name));
    assert_eq!(counted, [1, 1, 2, 1], "{}", overview["hour"]);
    assert_eq!(sum(&overview, "tokensRead"), of("ada")["tokensRead"].as_u64().unwrap());
    let (_, again) = as_operator(&stack, "GET", "/overview", "");
    assert_eq!(sum(&again, "turns"), 2, "to look counts nothing twice");
}

#[test]
fn a_restart_resets_counts_and_keeps_the_ledger() {
    let mut stack = Stack::new(&["ben"], polite);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.answer_of("ben", &task);
    stack.settled();
    stack.stop();
    stack.start();
    stack.until("the start", |health| health["agentSync"]["agents"] == 1);
    let overview = seen(&stack, |now| now["recent"][0]["state"] == "answered");
    assert_eq!(sum(&overview, "answered"), 0, "{}", overview["hour"]);
    assert_eq!(overview["hour"]["turns"].as_array().unwrap().len(), 1);
    assert_eq!(overview["agents"]["shown"][0]["ended"]["answered"], 1, "{overview}");
}
