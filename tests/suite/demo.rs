//! `demo`: the program with everything around it, as a visitor meets it, and the team's manners.

/// Questions and unknown tasks.
mod answers;
/// Kills under load.
mod chaos;
/// Options, ports and the printed text.
mod command;
/// The guardrails do not stop the team, and their variables have an effect.
mod guardrails;
/// SIGKILL of the demo itself.
mod killed;
/// The worker pool with its chat.
mod pool;
/// Another gateway, and its limit of turns.
mod turn_limit;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{Act, InputItem, Offered, Prompt, ScriptedModel, Thought};
use mission_control_runtime::demo::team::{Member, Team};
use serde_json::{Value, json};

use crate::support::program::{Program, Running};

/// The longest that a conversation may take.
const PATIENCE: Duration = Duration::from_mins(3);

/// What Robin asks for at once.
const TITLE: &str = "Tell our guests what to bring";

/// A visitor who is logged in.
struct Visitor {
    program: Running,
    printed: HashMap<String, String>,
    cookie: String,
    proof: String,
}

impl Visitor {
    fn comes() -> Self {
        Self::of(Program::new(["demo", "--port", "0"]))
    }

    fn of(program: Program) -> Self {
        let mut program = program.start();
        let printed = program.environment().expect("it starts");
        let live =
            |name: &String| name.starts_with("  Live      http://127.0.0.1:") && name.ends_with("/#token");
        assert!(printed.keys().any(live), "the link to the runtime's page stands above: {printed:?}");
        let url = format!("{}/login", printed["CONVEX_URL"]);
        let key = json!({"key": printed["ADMIN_KEY"]}).to_string();
        let answer = browser().post(url).send(key);
        let mut answer = answer.expect("the key that is printed opens the page");
        let cookie = answer.headers()["Set-Cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let proof: Value = serde_json::from_reader(answer.body_mut().as_reader()).unwrap();
        Self { program, printed, cookie, proof: proof["proof"].as_str().unwrap().to_owned() }
    }

    /// Calls a function as the page does.
    fn call(&self, kind: &str, path: &str, mut args: Value) -> Value {
        args["accountId"] = json!(self.printed["ACCOUNT_ID"]);
        let request = browser()
            .post(format!("{}/api/{kind}", self.printed["CONVEX_URL"]))
            .header("Cookie", &self.cookie)
            .header("X-Mission-Control", &self.proof)
            .content_type("application/json");
        let sent = request.send(json!({"path": path, "args": args, "format": "json"}).to_string());
        let answer: Value = serde_json::from_reader(sent.unwrap().body_mut().as_reader()).unwrap();
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["value"].clone()
    }

    fn tasks(&self) -> Vec<Value> {
        self.call("query", "board:snapshot", json!({}))["tasks"].as_array().unwrap().clone()
    }

    /// The task with its thread and its history, once it is as wanted.
    fn task(&self, title: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        let mut seen = Value::Null;
        while Instant::now() < until {
            if let Some(task) = self.tasks().iter().find(|task| task["title"] == title) {
                let shown = self.call("query", "board:snapshot", json!({"taskId": task["_id"]}));
                seen = shown["task"].clone();
                if fits(&seen) {
                    return seen;
                }
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("{title} never was {what}: {seen:#}");
    }

    fn done(&self, title: &str) -> Value {
        self.task(title, "done, with a verdict", |shown| {
            shown["task"]["status"] == "done" && said(shown).last().is_some_and(|(who, _)| who == "Tomas")
        })
    }

    fn writes(&self, task: &Value, content: &str) {
        self.call("mutation", "messages:create", json!({"taskId": task["task"]["_id"], "content": content}));
    }

    /// Nothing waits to be delivered to an agent.
    fn settled(&self) {
        let until = Instant::now() + PATIENCE;
        let args = json!({"serviceToken": self.printed["SERVICE_TOKEN"]});
        loop {
            let waiting = self.call("action", "service/actions:listUndeliveredNotifications", args.clone());
            if waiting.as_array().unwrap().is_empty() {
                return;
            }
            assert!(Instant::now() < until, "{waiting:#}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The address of the runtime's page.
    fn runtime_address(&self) -> String {
        let live = self.printed.keys().find_map(|line| line.strip_prefix("  Live      http://"));
        live.and_then(|rest| rest.split('/').next()).expect("the link to the runtime's page").to_owned()
    }

    /// The process of the runtime.
    fn runtime(&self) -> String {
        let id = self.program.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        // A child belongs to the thread that has started it, which is the first one.
        let children = children.unwrap();
        let mut children = children.split_whitespace();
        let child = children.next().expect("a runtime").to_owned();
        assert_eq!(children.next(), None, "there is one");
        child
    }
}

/// Straight to this machine, whatever proxies the surroundings name.
fn browser() -> ureq::Agent {
    ureq::Agent::config_builder().proxy(None).timeout_global(Some(PATIENCE)).build().into()
}

/// Who has said what.
fn said(shown: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("nobody").to_owned();
    let thread = shown["thread"].as_array().into_iter().flatten();
    thread.map(|item| (text(&item["authorName"]), text(&item["content"]))).collect()
}

/// Where the task has been, in order.
fn way(shown: &Value) -> Vec<String> {
    let history = shown["activities"].as_array().into_iter().flatten().rev();
    history.filter_map(|step| step["meta"]["newStatus"].as_str().map(str::to_owned)).collect()
}

fn nobody_repeats_themselves(shown: &Value) {
    let mut seen = HashSet::new();
    for line in said(shown) {
        assert!(seen.insert(line.clone()), "{line:?} is said twice: {shown:#}");
    }
}

/// The issue: "a conversation among the demo team by itself: mention, tools, hand-over by `response_request`,
/// review, done, within seconds"; then the team answers a visitor, also after its runtime was killed, and ends without orphans.
#[test]
fn the_team_plays_by_itself_and_then_answers_a_visitor() {
    let mut visitor = Visitor::comes();
    let first = visitor.done(TITLE);
    let who: Vec<String> = said(&first).into_iter().map(|(who, _)| who).collect();
    let expected = ["Robin Vale", "Mara", "Noor", "Mara", "Noor", "Tomas", "Noor", "Tomas"];
    assert_eq!(who, expected, "{first:#}");
    let words: Vec<String> = said(&first).into_iter().map(|(_, words)| words).collect();
    assert!(words[0].contains("@squad-lead") && words[3].starts_with("Noor starts"), "{words:#?}");
    assert!(words[4].contains("](/document/") && words[5].contains("found one thing"), "{words:#?}");
    assert_eq!(way(&first), ["in_progress", "review", "in_progress", "review", "done"]);
    let documents = visitor.call("query", "documents:list", json!({}));
    let document = documents.as_array().unwrap().iter().find(|one| one["taskId"] == first["task"]["_id"]);
    let id = document.expect("its document")["_id"].as_str().unwrap().to_owned();
    assert!(words[4].contains(&id) && words[6].contains(&id), "one document, changed: {words:#?}");

    // The task that waited for a runtime: two are on it, and hand over.
    let together = visitor.done("A booking page that works on a phone");
    assert!(said(&together).iter().any(|(who, words)| who == "Iris" && words.contains("Jonas has it now")));
    for shown in [&first, &together] {
        nobody_repeats_themselves(shown);
    }

    visitor.settled();
    let seeded = "Remind guests on the evening before";
    let task = visitor.task(seeded, "there", |_| true);
    visitor.writes(&task, "@engineer, how far are you?");
    let answered = visitor.task(seeded, "answered", |shown| said(shown).len() == 2);
    assert_eq!(
        (said(&answered)[1].0.as_str(), &answered["task"]["status"]),
        ("Jonas", &json!("in_progress"))
    );
    visitor.settled();
    assert_eq!(said(&visitor.task(seeded, "there", |_| true)).len(), 2, "a word is answered once, by one");

    guardrails::nothing_was_stopped(&visitor.runtime_address());

    // A runtime that dies is started again, and the board does not mind.
    let before = visitor.runtime();
    visitor.writes(&task, "@engineer, please finish it");
    thread::sleep(Duration::from_millis(700));
    let killed = std::process::Command::new("kill").args(["-KILL", &before]).status().unwrap();
    assert!(killed.success());
    visitor.program.wait_for_log("is started again");
    let again = visitor.program.address();
    let finished = visitor.done(seeded);
    nobody_repeats_themselves(&finished);
    visitor.settled();

    guardrails::nothing_was_stopped(&again);

    let runtime = visitor.runtime();
    assert_ne!(before, runtime);
    visitor.program.signal("TERM");
    let (code, log) = visitor.program.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(!Path::new(&format!("/proc/{runtime}")).exists(), "the runtime is gone, too");
    let complaints: Vec<&str> =
        log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).collect();
    // The runtime names its crash, unless it was killed with no active delivery.
    assert!(complaints[0].contains("signal: 9"), "{complaints:#?}");
    assert!(complaints[1..].iter().all(|line| line.contains("The last process crashed")), "{complaints:#?}");
    assert!(complaints.len() <= 2, "{complaints:#?}");
    for tool in ["task_assign", "document_upsert", "response_request", "task_status"] {
        assert!(
            log.lines().any(|line| line.contains("Tool called") && line.contains(&format!(" tool={tool} "))),
            "{tool}:\n{log}"
        );
    }
    // Its secrets are printed once, for whoever started it, and stand in no line of the log.
    for name in ["ADMIN_KEY", "SERVICE_TOKEN"] {
        assert_eq!(log.matches(visitor.printed[name].as_str()).count(), 0, "{name}");
    }
}

/// A team of its own, spoken to without a gateway.
fn team() -> Team {
    Team::new(|| {
        [("j1", "squad-lead", "Mara"), ("j2", "engineer", "Jonas"), ("j3", "qa", "Tomas")]
            .map(|(id, slug, name)| Member { id: id.into(), slug: slug.into(), name: name.into() })
            .into()
    })
}

fn prompt(agent: &str, kind: &str) -> Prompt {
    let tools = ["task_load", "task_status", "document_upsert", "response_request"];
    let tools =
        tools.map(|name| Offered { name: name.into(), description: String::new(), parameters: Value::Null });
    Prompt {
        agent: agent.into(),
        session: format!("agent:{agent}:task:k1:acc:v1"),
        run: "r1".into(),
        instructions: String::new(),
        tools: tools.into(),
        said: vec![InputItem::User(String::new())],
        text: format!("[n-1 try 1]\nNotification ({kind}): something happened.\n"),
        abandoned: None,
        nudged: false,
        waits: false,
        transcript: Arc::default(),
    }
}

fn with_output(mut prompt: Prompt, id: &str, output: &Value) -> Prompt {
    prompt.said = vec![InputItem::Output { call_id: id.into(), output: output.to_string() }];
    prompt.text = format!("Tool:{id}: {output}");
    prompt
}

fn loaded(status: &str, thread: &Value) -> Value {
    json!({"success": true, "data": {"thread": thread, "task": {
        "_id": "k1", "title": "A task", "status": status, "priority": 3, "assignedUserIds": [],
        "assignedAgentIds": ["j2"], "labels": [], "createdBy": "u1", "createdAt": 1, "updatedAt": 1,
    }}})
}

fn words(thought: &Thought) -> String {
    match &thought.act {
        Act::Say(text) => text.clone(),
        Act::Call { calls, .. } => calls.iter().flat_map(|call| [&*call.name, &*call.arguments]).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn everybody_loads_the_task_first_and_is_silent_unless_asked() {
    let word = json!([{"messageId": "m1", "authorType": "agent", "authorId": "j3", "authorName": "Tomas",
        "content": "Well.", "createdAt": 2}]);
    for (agent, kind, status, expected) in [
        ("engineer", "thread_update", "in_progress", "HEARTBEAT_OK"),
        ("engineer", "status_change", "in_progress", "HEARTBEAT_OK"),
        ("engineer", "something_new", "in_progress", "HEARTBEAT_OK"),
        ("engineer", "response_request", "done", "HEARTBEAT_OK"),
        ("engineer", "response_request", "review", "HEARTBEAT_OK"),
        ("engineer", "assignment", "assigned", "I have read the task"),
        ("engineer", "response_request", "in_progress", "document_upsert"),
        ("qa", "thread_update", "review", "HEARTBEAT_OK"),
        ("qa", "response_request", "done", "HEARTBEAT_OK"),
        ("qa", "response_request", "in_progress", "I do not test half-finished work"),
        ("squad-lead", "thread_update", "review", "HEARTBEAT_OK"),
        ("squad-lead", "thread_update", "in_progress", "HEARTBEAT_OK"),
    ] {
        let team = team();
        let first = team.think(&prompt(agent, kind));
        assert!(words(&first).starts_with("task_load{"), "{agent}, {kind}: {first:?}");
        let then = team.think(&with_output(prompt(agent, kind), "c1", &loaded(status, &word)));
        assert!(words(&then).starts_with(expected), "{agent}, {kind}, {status}: {then:?}");
    }
}

#[test]
fn a_tool_that_fails_is_said_and_a_result_that_comes_twice_is_answered_alike() {
    let team = team();
    let start = prompt("engineer", "response_request");
    team.think(&start);
    let result = with_output(start.clone(), "c1", &loaded("in_progress", &json!([])));
    let once = team.think(&result);
    assert!(words(&once).starts_with("document_upsert"));
    assert_eq!(words(&team.think(&result)), words(&once), "the plan does not move on");
    let failed = json!({"success": false, "error": "Forbidden: Agent is not allowed to create documents"});
    let said = team.think(&with_output(start.clone(), "c2", &failed));
    assert_eq!(words(&said), "BLOCKED: Forbidden: Agent is not allowed to create documents.");

    let mut bare = start;
    bare.tools.clear();
    assert!(words(&team.think(&bare)).starts_with("BLOCKED"));
    let mut system = prompt("engineer", "status_change");
    system.session = "agent:engineer:system:acc:v1".into();
    assert_eq!(words(&team.think(&system)), "HEARTBEAT_OK");
}
