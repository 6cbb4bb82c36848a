//! End-to-end tests: the program as a process between the embedded Mission Control and the scripted gateway.

/// Working, waiting, stuck.
mod alive;
/// Answers that are easily misread.
mod answers;
/// A person behind a backlog of rows of agents.
mod backlog;
/// An agent that only the gateway's restart helps.
mod blocked_agents;
/// Daily budgets: the limit, running turns, the books of the model.
mod budgets;
/// Tasks whose status and facts differ.
mod evidence;
/// The program's own reports, compared with its behaviour.
mod figures;
/// One turn for waiting notifications.
mod folding;
/// A gateway that the program runs itself.
mod gateway_child;
/// A real gateway that is killed, updated, or gives its agents a shell.
mod gateway_process;
/// Heartbeats of agents.
mod heartbeats;
/// Foreign host names, nudge floods, tokens in answers, huge answers.
mod hostile;
/// Credentials of agents: repeated in answers, demanded for calls.
mod identity;
/// Incidents: whether `why` and `doctor` name the cause in three lines.
mod incidents;
/// Runtimes killed in the middle of turns, and the reports about it.
mod interrupted;
/// Repeated kills.
mod killed;
/// The live page and its data.
mod live;
/// Agents that the gateway does not have.
mod missing_agents;
/// The state folder is moved away under the running program.
mod moved;
/// The name of a conversation at the gateway.
mod names;
/// Operators' commands, with and without a running service.
mod operator;
/// Without function tools.
mod over_http;
/// Rows that always fail, ahead of good ones.
mod poison;
/// Mission Control, gateway and program, started and connected.
mod processes;
/// Quiet mode: whom it wakes, and what it would save.
mod quiet_mode;
/// The real gateway.
mod real;
/// Older releases of the gateway.
mod releases;
/// Restarts that a person requests while turns run.
mod requests;
/// Turns that a restarted gateway resumes without their tools.
mod resumed;
/// Two programs on one account.
mod rivals;
/// Changes of agents, and unusable agents.
mod roster;
/// Events of sessions as signs of life.
mod session_events;
/// Obstacles at the start of the program.
mod starts;
/// `/health` and `/metrics`.
mod status_endpoints;
/// A person stops the work on a task.
mod stopped;
/// The orderly stop of the program.
mod stopping;
/// Keys that are stored in Mission Control.
mod stored_keys;
/// The loop brake: agents that wake each other.
mod team;
/// Work of the test kind, killed as a process.
#[cfg(feature = "test-kind")]
mod test_kind;
/// The wake query: latency without polls, and what happens when it is lost.
mod wake_query;
/// Events for agents.
mod wakes;
/// Which workers run the jobs.
mod workers;
/// The workspaces that the program writes.
mod workspaces;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{Fault, Prompt, Thought};
use serde_json::{Value, json};

use crate::support::team::missing_id;
use crate::support::wait;
use processes::{SLOW_POLLS, Stack};

/// The default reply of every agent.
fn polite(prompt: &Prompt) -> Thought {
    Thought::say(format!("{} answers.", prompt.agent))
}

#[test]
fn a_mention_is_answered_and_health_counts_it() {
    let mut stack = Stack::new(&["ben", "ada"], polite);
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "what do you think?");
    assert_eq!(stack.answer_of("ben", &task), "ben answers.");
    stack.settled();
    let health = stack.health();
    assert_eq!((&health["status"], &health["reasons"]), (&json!("healthy"), &json!([])), "{health}");
    assert_eq!(health["delivery"]["ended"]["answered"], 1, "{health}");
    assert_eq!((&health["gateway"]["running"], &health["gateway"]["sessions"]), (&json!(true), &json!(1)));
    assert_eq!(health["versions"]["openclaw"], "2026.9.6", "the gateway tells its release");
    assert_eq!(health["agentSync"]["agents"], 2);
    assert!(health["memory"]["rss"].as_u64().unwrap() > 1_000_000);
    for field in [
        "lastDelivery",
        "delivered",
        "failed",
        "consecutiveFailures",
        "lastErrorAt",
        "lastErrorMessage",
        "noResponseTerminalSkipCount",
        "requiredNotificationRetryExhaustedCount",
        "taskLessReplies",
        "config",
    ] {
        assert!(health["delivery"].get(field).is_some(), "{field}");
    }
    assert_eq!(stack.account()["runtimeStatus"], "online");
    let log = stack.stop();
    assert!(log.contains("Stopped"), "{log}");
    assert_eq!(stack.account()["runtimeStatus"], "offline", "nobody types any more");
    assert_eq!(stack.gateway().overlaps(), 0);
}

/// §3.8 of the gateway's specification: sessions are named by the table of the design, in lower case, with
/// the agent first.
#[test]
fn sessions_have_the_agents_name_in_front() {
    let stack = Stack::new(&["ben", "ada"], polite);
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.answer_of("ben", &task);
    let seen = stack.gateway().requests();
    assert_eq!(seen[0].session, format!("agent:ben:task:{task}:{}:v1", stack.board.account).to_lowercase());
    assert_eq!(seen[0].agent, "ben");
}

/// Every fault of the gateway at the same time, each in its own session. Each affects only its own row,
/// nothing of it is posted, and the others do not wait for it.
#[test]
fn a_gateway_fault_in_one_session_affects_no_other() {
    let faults = [
        ("html", Fault::Html),
        ("bad-gateway", Fault::BadGateway),
        ("hang-up", Fault::HangUp),
        ("lose-answer", Fault::LoseAnswer),
        ("half-answer", Fault::HalfAnswer),
        ("cut-after", Fault::CutAfter(5)),
        ("huge", Fault::Huge(100 * 1024 * 1024)),
        ("endless", Fault::Endless),
        ("not-json", Fault::NotJson),
        ("append-only", Fault::AppendOnly),
        ("failed", Fault::Failed("api_error", "internal error")),
        ("unknown-tool", Fault::UnknownTool),
        ("same-ids", Fault::SameCallIds),
        ("broken-args", Fault::BrokenArguments),
        ("extra-items", Fault::ExtraItems),
    ];
    let names: Vec<&str> = faults.iter().map(|(name, _)| *name).chain(["hung", "good", "late"]).collect();
    let stack = Stack::new(&names, |prompt: &Prompt| {
        if prompt.agent == "hung" {
            return polite(prompt).after(Duration::from_mins(10));
        }
        let calls = ["same-ids", "broken-args"].contains(&prompt.agent.as_str());
        if calls && prompt.outputs().next().is_none() {
            return Thought::call("get_agent_skills", &json!({}));
        }
        polite(prompt)
    });
    let mut tasks = BTreeMap::new();
    for (name, fault) in faults {
        let task = stack.task("assigned", &[name]);
        let session = format!("agent:{name}:task:{task}:{}:v1", stack.board.account);
        stack.faults().next_in(&session, fault);
        stack.mention(&task, name, "hello");
        tasks.insert(name, task);
    }
    let hung = stack.task("assigned", &["hung"]);
    stack.mention(&hung, "hung", "hello");
    let hangs = || stack.gateway().requests().iter().any(|request| request.agent == "hung");
    stack.until("the turn that hangs", |_| hangs());
    let good = stack.task("assigned", &["good"]);
    stack.mention(&good, "good", "hello");
    // A page in place of an answer opens the breaker until a probe has found the gateway again.
    stack.answer_of("good", &good);

    for (name, task) in &tasks {
        assert_eq!(stack.answer_of(name, task), format!("{name} answers."), "in the end, and nothing else");
    }
    let late = stack.task("assigned", &["late"]);
    stack.mention(&late, "late", "hello");
    stack.answer_of("late", &late);
    assert!(stack.said_by("hung", &hung).is_empty(), "the others have not waited for it");
    assert_eq!(stack.gateway().overlaps(), 0, "never two turns of a session at once");
}

/// An answer that the connection has lost is found in the session: one turn, one post.
#[test]
fn a_lost_answer_is_not_paid_for_twice() {
    let faults = [
        ("lose", Fault::LoseAnswer),
        ("half", Fault::HalfAnswer),
        ("cut-none", Fault::CutAfter(0)),
        ("cut-one", Fault::CutAfter(1)),
        ("cut-five", Fault::CutAfter(5)),
        ("taken-back", Fault::AppendOnly),
        ("failed", Fault::Failed("api_error", "internal error")),
        ("huge", Fault::Huge(100 * 1024 * 1024)),
        ("endless", Fault::Endless),
    ];
    let names: Vec<String> = ["words", "tools"]
        .iter()
        .flat_map(|kind| faults.iter().map(move |(name, _)| format!("{kind}-{name}")))
        .collect();
    let slugs: Vec<&str> = names.iter().map(String::as_str).collect();
    let stack = Stack::new(&slugs, |prompt: &Prompt| {
        if prompt.agent.starts_with("tools")
            && prompt.offers("document_upsert")
            && prompt.outputs().next().is_none()
        {
            let document = json!({"title": "Notes", "content": "…", "type": "note"});
            return Thought::call("document_upsert", &document);
        }
        polite(prompt)
    });
    let mut tasks = BTreeMap::new();
    for name in &names {
        let fault = &faults.iter().find(|(fault, _)| name.ends_with(&format!("-{fault}"))).unwrap().1;
        let task = stack.task("in_progress", &[name]);
        let session = format!("agent:{name}:task:{task}:{}:v1", stack.board.account);
        // The calls are lost, and then the answer to their results.
        stack.faults().next_in(&session, fault.clone());
        if name.starts_with("tools") {
            stack.faults().next_in(&session, fault.clone());
        }
        stack.mention(&task, name, "hello");
        tasks.insert(name, task);
    }
    for (name, task) in &tasks {
        assert_eq!(stack.answer_of(name, task), format!("{name} answers."));
    }
    stack.settled();
    let marks = stack.gateway().markers();
    assert_eq!(marks.len(), names.len());
    for (marker, marks) in marks {
        assert_eq!((marks.posts, marks.runs, marks.answers), (1, 1, 1), "{marker}");
    }
    let turns = faults.len() as u64 * 3;
    assert_eq!(
        (stack.gateway().posts(), stack.gateway().runs()),
        (turns, turns),
        "the results went back once"
    );
    assert_eq!(stack.board.rows("documents").len(), faults.len(), "every tool ran once");
    assert_eq!(stack.gateway().overlaps(), 0);
}

/// A gateway that is killed in the middle of many turns resumes them by itself, or gets them again before it
/// does. Either way each is answered once, and no answered turn is repeated.
#[test]
fn a_killed_gateway_loses_no_turn() {
    let names = ["done", "one", "two", "three"];
    let mut stack = Stack::new(&names, |prompt: &Prompt| {
        let thought = polite(prompt);
        let first = prompt.text.contains("try 1]") && !prompt.text.contains("[System]");
        if first && prompt.agent != "done" { thought.after(Duration::from_mins(10)) } else { thought }
    });
    let tasks: Vec<(&str, String)> = names.map(|name| (name, stack.task("in_progress", &[name]))).into();
    stack.mention(&tasks[0].1, "done", "hello");
    stack.answer_of("done", &tasks[0].1);
    for (name, task) in &tasks[1..] {
        stack.mention(task, name, "hello");
    }
    wait::until("the start of each turn", || stack.gateway().runs() == 4);
    // The gateway's uptime has whole seconds: within one, a new process counts as the same.
    std::thread::sleep(Duration::from_millis(1_500));
    stack.restart_gateway();
    for (name, task) in &tasks {
        assert_eq!(stack.answer_of(name, task), format!("{name} answers."));
    }
    stack.settled();
    for (marker, marks) in stack.gateway().markers() {
        assert_eq!(marks.answers, 1, "{marker}: {marks:?}");
        assert!(marks.runs <= 2, "{marker}: {marks:?}");
    }
    assert_eq!(stack.gateway().overlaps(), 0);
}

/// Rows that no agent can answer are settled with their reason, and the others continue.
#[test]
fn rows_without_agent_or_task_are_settled_and_counted() {
    let stack = Stack::new(&["ben"], polite);
    let (task, other) = (stack.task("assigned", &["ben"]), stack.task("archived", &["ben"]));
    stack
        .board
        .notification(&missing_id(&stack.board.account.replacen('k', "j", 1)), json!({"taskId": task}));
    stack.board.notification(stack.agent("ben"), json!({"taskId": missing_id(&task)}));
    stack.board.notification(stack.agent("ben"), json!({"taskId": other}));
    stack.mention(&task, "ben", "hello");
    assert_eq!(stack.answer_of("ben", &task), "ben answers.");
    stack.settled();
    let health = stack.health();
    assert_eq!(health["delivery"]["ended"], json!({"answered": 1, "skipped": 3}), "{health}");
    assert_eq!(health["delivery"]["delivered"], 4);
    assert_eq!(health["delivery"]["skipped"].as_object().unwrap().len(), 3, "{health}");
}

/// Agents that answer each other do not wait for polls: each hop is one list at once.
#[test]
fn five_agents_in_a_chain_do_not_wait_for_polls() {
    let names = ["one", "two", "three", "four", "five"];
    let stack = Stack::slow_polls(&names, |prompt: &Prompt| {
        let next = match prompt.agent.as_str() {
            "one" => "two",
            "two" => "three",
            "three" => "four",
            "four" => "five",
            _ => return Thought::say("The end."),
        };
        if prompt.outputs().next().is_none() && prompt.offers("response_request") {
            return Thought::call(
                "response_request",
                &json!({"recipientSlugs": [next], "message": "Your turn."}),
            );
        }
        Thought::say(format!("Over to {next}."))
    });
    let task = stack.task("in_progress", &names);
    stack.mention(&task, "one", "begin");
    let began = Instant::now();
    for name in names {
        stack.answer_of(name, &task);
    }
    // Four hops by polls would take four intervals.
    assert!(began.elapsed() < SLOW_POLLS, "{:?}", began.elapsed());
}

#[test]
fn a_nudge_is_local_has_no_body_and_is_cheap() {
    let stack = Stack::new(&["ben"], polite);
    let rows: [(&str, &str, &str, u16); 5] = [
        ("POST", "/nudge", "", 202),
        ("POST", "/nudge", "{}", 400),
        ("GET", "/nudge", "", 405),
        ("POST", "/nudges", "", 404),
        ("POST", "/health", "", 405),
    ];
    for (method, path, body, status) in rows {
        assert_eq!(stack.ask(method, path, body), status, "{method} {path} {body:?}");
    }
    let before = stack.lists();
    for _ in 0..200 {
        assert_eq!(stack.ask("POST", "/nudge", ""), 202);
    }
    stack.until("the list of a nudge", |health| health["delivery"]["lists"].as_u64() > Some(before));
}

/// Without a gateway nothing is lost and health gives the reason; with it the backlog is processed.
#[test]
fn without_a_gateway_rows_wait_and_health_gives_the_reason() {
    let mut stack = Stack::without_gateway(&["ben"]);
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.wait_for_log("the gateway is unreachable at its address");
    let health = stack.health();
    assert_eq!(health["status"], "degraded");
    assert!(health["reasons"].as_array().unwrap().contains(&json!("gateway_unreachable")), "{health}");
    let waiting: Vec<Value> = stack.undelivered();
    assert_eq!(waiting.len(), 1, "it still waits");
    stack.stop();
}

/// On a stop signal the program waits for a running turn; on a second signal it does not.
#[test]
fn a_stop_waits_for_a_running_turn_and_a_second_stop_does_not() {
    for hurry in [false, true] {
        let turn = if hurry { Duration::from_mins(10) } else { Duration::from_secs(3) };
        let drain = [("DRAIN_TIMEOUT_MS", "300000")];
        let mut stack = Stack::set(&["ben"], move |prompt: &Prompt| polite(prompt).after(turn), &drain);
        let task = stack.task("assigned", &["ben"]);
        stack.mention(&task, "ben", "hello");
        stack.begun();
        let began = Instant::now();
        let log = if hurry { stack.stop_twice() } else { stack.stop() };
        assert_eq!(stack.messages_of("ben", &task).len(), usize::from(!hurry), "{log}");
        assert_eq!(log.contains("a second stop signal"), hurry, "{log}");
        // Without the second signal the stop takes the whole drain.
        assert!(!hurry || began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
        let row = &stack.board.rows("notifications")[0];
        assert!(
            row.get("readAt").is_none() || row.get("deliveredAt").is_some(),
            "nobody types any more: {row}"
        );
    }
}

/// Agents that always reply, the orchestrator among them, come to a stop: twelve hand-offs after the person's
/// message.
#[test]
fn a_conversation_of_agents_alone_ends() {
    let stack = Stack::led_by("lead", &["lead", "ben"], polite);
    let task = stack.task("in_progress", &["lead", "ben"]);
    for slug in ["lead", "ben"] {
        stack.board.follows(&task, "agent", stack.agent(slug));
    }
    stack.mention(&task, "ben", "hello");
    stack.settled();
    let said = stack.messages_of("ben", &task).len() + stack.messages_of("lead", &task).len();
    // The answer to the person, the hand-offs, and the notice.
    assert_eq!(said, 1 + 12 + 1, "{}", stack.health());
    assert!(stack.health()["delivery"]["skipped"]["team-limit"].as_u64() >= Some(1), "{}", stack.health());
}

/// The program is killed repeatedly at random moments in the middle of turns with tools. Each agent answers
/// once, each turn is sent once, and no document is written twice.
#[test]
fn repeated_kills_repeat_no_effect() {
    let names: Vec<String> = (0..12).map(|n| format!("agent{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut stack = Stack::new(&names, |prompt: &Prompt| {
        let thought = match prompt.outputs().next() {
            None => {
                let paper = json!({"title": prompt.agent, "content": "…", "type": "note"});
                Thought::call("document_upsert", &paper)
            }
            Some(_) => polite(prompt),
        };
        thought.after(Duration::from_millis(150))
    });
    let tasks: Vec<String> = names.iter().map(|name| stack.task("in_progress", &[name])).collect();
    for (name, task) in names.iter().zip(&tasks) {
        stack.mention(task, name, "write it down");
    }
    for pause in [40, 170, 90, 310, 20, 230] {
        // Nothing begins before two lists have been compared.
        stack.until("work", |health| {
            let delivery = &health["delivery"];
            delivery["inFlight"] != 0 || delivery["lists"].as_u64() > Some(1) && delivery["waiting"] == 0
        });
        std::thread::sleep(Duration::from_millis(pause));
        stack.kill_and_start();
    }
    for (name, task) in names.iter().zip(&tasks) {
        assert_eq!(stack.answer_of(name, task), format!("{name} answers."));
    }
    stack.settled();
    for name in &names {
        let own = |row: &&Value| row["title"] == **name;
        let documents = stack.board.rows("documents").iter().filter(own).count();
        // At most one call was active in each delivery when a process died; the agent gets that report
        // instead of a second call.
        assert!(documents <= 1, "{name}: {documents} documents");
    }
    for (marker, marks) in stack.gateway().markers() {
        assert!(marks.answers <= 1, "{marker}: {marks:?}");
    }
}
