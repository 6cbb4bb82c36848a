//! `demo-pool`: a person chats, a worker is killed, and nothing is lost or sent twice.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::program::{Program, Running, exchange};
use crate::support::wait::until;

/// The running demo, as a visitor of the chat sees it.
struct ChatVisitor {
    program: Running,
    chat: String,
    client: ureq::Agent,
}

impl ChatVisitor {
    fn comes() -> Self {
        let mut program = Program::new(["demo-pool", "--port", "0"]).start();
        let printed = program.printed_to_the_key().expect("it starts");
        let chat =
            printed.lines().find_map(|line| line.trim().strip_prefix("Chat")).expect("the chat's address");
        let client = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        Self { program, chat: chat.trim().to_owned(), client }
    }

    fn state(&self) -> Value {
        let answer = exchange(&self.client, ("GET", &format!("{}/state", self.chat)), &[], "");
        assert_eq!(answer.status(), 200, "{}", answer.body());
        serde_json::from_str(answer.body()).unwrap()
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, String) {
        let answer =
            exchange(&self.client, ("POST", &format!("{}{path}", self.chat)), headers, &body.to_string());
        (answer.status().as_u16(), answer.into_body())
    }

    #[track_caller]
    fn act(&self, path: &str, body: &Value) {
        let (status, body) = self.post(path, &[("X-Demo-Chat", "1")], body);
        assert_eq!(status, 200, "{body}");
    }

    fn say(&self, text: &str) {
        self.act("/say", &json!({"text": text}));
    }

    /// The texts of the bot, in order.
    fn replies(&self) -> Vec<String> {
        let state = self.state();
        let lines = state["lines"].as_array().unwrap().iter().filter(|line| line["from"] == "bot");
        lines.map(|line| line["text"].as_str().unwrap().to_owned()).collect()
    }

    /// The number of the worker that has the conversation.
    fn serving(&self) -> Option<usize> {
        let state = self.state();
        let workers = state["workers"].as_array().unwrap();
        workers.iter().position(|worker| worker["serves"] == true && worker["process"].is_number())
    }

    fn processes(&self) -> Vec<u64> {
        let state = self.state();
        state["workers"].as_array().unwrap().iter().filter_map(|worker| worker["process"].as_u64()).collect()
    }
}

fn is_running(process: u64) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
        && fs::read_to_string(format!("/proc/{process}/stat"))
            .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')))
}

#[test]
fn the_chat_goes_on_after_its_worker_was_killed_and_nothing_is_left_behind() {
    let visitor = ChatVisitor::comes();
    // A foreign page cannot send the header.
    assert_eq!(visitor.post("/say", &[], &json!({"text": "x"})).0, 403);
    let (status, why) = visitor.post("/say", &[("X-Demo-Chat", "1")], &json!({"text": " "}));
    assert!(status == 400 && why.contains("1 to 500 characters"), "{why}");
    visitor.say("hello");
    until("the first reply", || visitor.replies() == ["You wrote: hello"]);
    // Each job begins with a sign of typing.
    let typing = || visitor.state()["typing"].as_u64().unwrap();
    let before = typing();
    visitor.say("a message: from  me");
    visitor.say("again");
    until("the worker at work", || typing() > before && visitor.serving().is_some());
    let worker = visitor.serving().unwrap();
    let killed = visitor.state()["workers"][worker]["process"].as_u64().unwrap();
    visitor.act("/kill", &json!({"worker": worker + 1}));
    until("the end of the process", || !is_running(killed));
    let expected = ["You wrote: hello", "You wrote: a message: from me", "You wrote: again"];
    until("the replies after the kill", || visitor.replies() == expected);
    let book = json!({"asked": 3, "answered": 3, "lost": 0, "twice": 0, "dead": 0});
    until("the count", || visitor.state()["book"] == book);
    let shown = visitor.state()["workers"][worker].clone();
    assert_eq!((&shown["kills"], &shown["starts"]), (&json!(1), &json!(2)), "{shown}");
    let processes = visitor.processes();
    assert_eq!(processes.len(), 2, "{processes:?}");
    visitor.program.signal("INT");
    let (code, log) = visitor.program.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(!processes.into_iter().any(is_running), "{log}");
}
