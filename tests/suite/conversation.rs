//! The whole of it: the program as a process between the embedded Mission Control and the scripted gateway.

/// Working, waiting, stuck.
mod alive;
/// Answers that are easily misread.
mod answers;
/// What it says of itself, held against what it does.
mod figures;
/// Foreign host names, nudge floods, tokens in answers, huge answers.
mod hostile;
/// What went wrong, and whether people are told so in three lines.
mod incidents;
/// Killed in the middle of turns, and what is told of it.
mod interrupted;
/// Killed again and again.
mod killed;
/// The page for people, and what it asks for.
mod live;
/// The state folder is moved away under the running program.
mod moved;
/// Under which name a conversation is kept at the gateway.
mod names;
/// What people ask and have done, beside the service and without it.
mod operator;
/// Without function tools.
mod over_http;
/// Rows that fail for ever in front of good ones.
mod poison;
/// The three of them, started and joined.
mod processes;
/// At a gateway that is not of this house.
mod real;
/// Two of them on one account.
mod rivals;
/// What it says of itself: `/health` and `/metrics`.
mod status_endpoints;
/// A person stops the work on a task.
mod stopped;
/// How it ends when it is told to.
mod stopping;
/// Work of the test kind, killed as a process.
#[cfg(feature = "test-kind")]
mod test_kind;
/// What agents are to hear of.
mod wakes;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{Fault, Prompt, Thought};
use serde_json::{Value, json};

use crate::support::team::gone;
use processes::House;

/// What every agent here says unless a test wants something else.
fn polite(prompt: &Prompt) -> Thought {
    Thought::say(format!("{} answers.", prompt.agent))
}

#[test]
fn a_mention_becomes_an_answer_and_health_tells_of_it() {
    let mut house = House::new(&["ben", "ada"], polite);
    let task = house.task("assigned", &["ben"]);
    house.mention(&task, "ben", "what do you think?");
    assert_eq!(house.answer_of("ben", &task), "ben answers.");
    house.settled();
    let health = house.health();
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
    assert_eq!(house.account()["runtimeStatus"], "online");
    let log = house.stop();
    assert!(log.contains("stopped"), "{log}");
    assert_eq!(house.account()["runtimeStatus"], "offline", "nobody types any more");
    assert_eq!(house.gateway().overlaps(), 0);
}

/// §3.8 of the gateway's file: sessions are named by the table of the design, lower-cased, by way of the agent.
#[test]
fn sessions_have_the_agents_name_in_front() {
    let house = House::new(&["ben", "ada"], polite);
    let task = house.task("assigned", &["ben"]);
    house.mention(&task, "ben", "hello");
    house.answer_of("ben", &task);
    let seen = house.gateway().requests();
    assert_eq!(seen[0].session, format!("agent:ben:task:{task}:{}:v1", house.board.account).to_lowercase());
    assert_eq!(seen[0].agent, "ben");
}

/// Every fault of the gateway at the same time, each in a session of its own: each is that row's own problem, nothing
/// of it is posted, and the others do not wait for it.
#[test]
fn a_gateway_that_misbehaves_in_one_session_disturbs_no_other() {
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
    let names: Vec<&str> = faults.iter().map(|(name, _)| *name).chain(["good", "late"]).collect();
    let house = House::new(&names, |prompt: &Prompt| {
        let calls = ["same-ids", "broken-args"].contains(&prompt.agent.as_str());
        if calls && prompt.outputs().next().is_none() {
            return Thought::call("get_agent_skills", &json!({}));
        }
        polite(prompt)
    });
    let mut tasks = BTreeMap::new();
    for (name, fault) in faults {
        let task = house.task("assigned", &[name]);
        let session = format!("agent:{name}:task:{task}:{}:v1", house.board.account);
        house.faults().next_in(&session, fault);
        house.mention(&task, name, "hello");
        tasks.insert(name, task);
    }
    let began = Instant::now();
    let good = house.task("assigned", &["good"]);
    house.mention(&good, "good", "hello");
    house.answer_of("good", &good);
    // A page in place of an answer closes the gate until a probe has found the gateway behind it.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());

    for (name, task) in &tasks {
        assert_eq!(house.answer_of(name, task), format!("{name} answers."), "in the end, and nothing else");
    }
    let late = house.task("assigned", &["late"]);
    let began = Instant::now();
    house.mention(&late, "late", "hello");
    house.answer_of("late", &late);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(house.gateway().overlaps(), 0, "never two turns of a session at once");
}

/// What the agent has answered and the way has lost is found in the session: the model is asked once, and the answer is
/// posted once.
#[test]
fn an_answer_that_is_lost_on_its_way_is_not_paid_for_twice() {
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
    let house = House::new(&slugs, |prompt: &Prompt| {
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
        let task = house.task("in_progress", &[name]);
        let session = format!("agent:{name}:task:{task}:{}:v1", house.board.account);
        // The calls are lost, and then the answer to their results.
        house.faults().next_in(&session, fault.clone());
        if name.starts_with("tools") {
            house.faults().next_in(&session, fault.clone());
        }
        house.mention(&task, name, "hello");
        tasks.insert(name, task);
    }
    for (name, task) in &tasks {
        assert_eq!(house.answer_of(name, task), format!("{name} answers."));
    }
    house.settled();
    let marks = house.gateway().markers();
    assert_eq!(marks.len(), names.len());
    for (marker, marks) in marks {
        assert_eq!((marks.posts, marks.runs, marks.answers), (1, 1, 1), "{marker}");
    }
    let turns = faults.len() as u64 * 3;
    assert_eq!(
        (house.gateway().posts(), house.gateway().runs()),
        (turns, turns),
        "the results went back once"
    );
    assert_eq!(house.board.rows("documents").len(), faults.len(), "every tool ran once");
    assert_eq!(house.gateway().overlaps(), 0);
}

/// A gateway that is killed in the middle of many turns resumes them by itself, or is asked again before it does; either
/// way each is answered once, and nothing that was answered is asked again.
#[test]
fn a_gateway_that_is_killed_in_the_middle_loses_nothing() {
    let names = ["done", "one", "two", "three"];
    let mut house = House::new(&names, |prompt: &Prompt| {
        let thought = polite(prompt);
        let first = prompt.text.contains("try 1]") && !prompt.text.contains("[System]");
        if first && prompt.agent != "done" { thought.after(Duration::from_mins(10)) } else { thought }
    });
    let tasks: Vec<(&str, String)> = names.map(|name| (name, house.task("in_progress", &[name]))).into();
    house.mention(&tasks[0].1, "done", "hello");
    house.answer_of("done", &tasks[0].1);
    for (name, task) in &tasks[1..] {
        house.mention(task, name, "hello");
    }
    let until = Instant::now() + Duration::from_secs(20);
    while house.gateway().runs() < 4 {
        assert!(Instant::now() < until, "they never began");
        std::thread::sleep(Duration::from_millis(10));
    }
    // Longer than the second within which a process counts as the same.
    std::thread::sleep(Duration::from_millis(1_500));
    house.restart_gateway();
    for (name, task) in &tasks {
        assert_eq!(house.answer_of(name, task), format!("{name} answers."));
    }
    house.settled();
    for (marker, marks) in house.gateway().markers() {
        assert_eq!(marks.answers, 1, "{marker}: {marks:?}");
        assert!(marks.runs <= 2, "{marker}: {marks:?}");
    }
    assert_eq!(house.gateway().overlaps(), 0);
}

/// Rows that nobody can answer are settled with their reason, and the rest goes on.
#[test]
fn rows_whose_agent_or_task_is_gone_are_settled_and_counted() {
    let house = House::new(&["ben"], polite);
    let (task, other) = (house.task("assigned", &["ben"]), house.task("archived", &["ben"]));
    house.board.notification(&gone(&house.board.account.replacen('k', "j", 1)), json!({"taskId": task}));
    house.board.notification(house.agent("ben"), json!({"taskId": gone(&task)}));
    house.board.notification(house.agent("ben"), json!({"taskId": other}));
    house.mention(&task, "ben", "hello");
    assert_eq!(house.answer_of("ben", &task), "ben answers.");
    house.settled();
    let health = house.health();
    assert_eq!(health["delivery"]["ended"], json!({"answered": 1, "skipped": 3}), "{health}");
    assert_eq!(health["delivery"]["delivered"], 4);
    assert_eq!(health["delivery"]["skipped"].as_object().unwrap().len(), 3, "{health}");
}

/// Agents that answer each other do not wait for polls: each hop is one list at once.
#[test]
fn five_agents_in_a_chain_answer_within_a_moment() {
    let names = ["one", "two", "three", "four", "five"];
    let house = House::slow_polls(&names, |prompt: &Prompt| {
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
    let task = house.task("in_progress", &names);
    house.mention(&task, "one", "begin");
    let began = Instant::now();
    for name in names {
        house.answer_of(name, &task);
    }
    // The list interval is a minute here; four hops by polls would take minutes.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_nudge_is_for_this_machine_has_no_body_and_is_cheap() {
    let house = House::new(&["ben"], polite);
    let rows: [(&str, &str, &str, u16); 5] = [
        ("POST", "/nudge", "", 202),
        ("POST", "/nudge", "{}", 400),
        ("GET", "/nudge", "", 405),
        ("POST", "/nudges", "", 404),
        ("POST", "/health", "", 405),
    ];
    for (method, path, body, status) in rows {
        assert_eq!(house.ask(method, path, body), status, "{method} {path} {body:?}");
    }
    let before = house.lists();
    for _ in 0..200 {
        assert_eq!(house.ask("POST", "/nudge", ""), 202);
    }
    let took = house.lists() - before;
    assert!(took >= 1, "a nudge makes a list");
}

/// Without a gateway nothing is lost and health says why; with it the backlog is worked off.
#[test]
fn without_a_gateway_rows_wait_and_health_says_why() {
    let mut house = House::without_gateway(&["ben"]);
    let task = house.task("assigned", &["ben"]);
    house.mention(&task, "ben", "hello");
    house.hear("the gateway is unreachable at its address");
    let health = house.health();
    assert_eq!(health["status"], "degraded");
    assert!(health["reasons"].as_array().unwrap().contains(&json!("gateway_unreachable")), "{health}");
    let waiting: Vec<Value> = house.undelivered();
    assert_eq!(waiting.len(), 1, "it still waits");
    house.stop();
}

/// A turn that runs is waited for when the program is told to stop; told twice, it does not wait.
#[test]
fn a_running_turn_is_waited_for_unless_somebody_is_in_a_hurry() {
    for hurry in [false, true] {
        let mut house = House::new(&["ben"], |prompt: &Prompt| polite(prompt).after(Duration::from_secs(3)));
        let task = house.task("assigned", &["ben"]);
        house.mention(&task, "ben", "hello");
        house.begun();
        let began = Instant::now();
        let log = if hurry { house.stop_twice() } else { house.stop() };
        assert_eq!(house.messages_of("ben", &task).len(), usize::from(!hurry), "{log}");
        assert_eq!(log.contains("told twice"), hurry, "{log}");
        assert!(!hurry || began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        let row = &house.board.rows("notifications")[0];
        assert!(
            row.get("readAt").is_none() || row.get("deliveredAt").is_some(),
            "nobody types any more: {row}"
        );
    }
}

/// Agents that always have something to say, the orchestrator among them, stop of themselves: nobody wakes up any more
/// for an answer to an update once agents have been alone for eight messages.
#[test]
fn agents_that_never_stop_talking_are_stopped() {
    let house = House::led_by("lead", &["lead", "ben"], polite);
    let task = house.task("in_progress", &["lead", "ben"]);
    for slug in ["lead", "ben"] {
        house.board.follows(&task, "agent", house.agent(slug));
    }
    house.mention(&task, "ben", "hello");
    house.settled();
    let said = house.messages_of("ben", &task).len() + house.messages_of("lead", &task).len();
    assert!((2..=12).contains(&said), "{said} messages: {}", house.health());
    assert!(house.health()["delivery"]["skipped"]["reply-loop"].as_u64() >= Some(1), "{}", house.health());
}

/// The program is killed at odd moments, again and again, in the middle of turns with tools: each agent answers once,
/// the model is asked for each turn once, and no document is written twice.
#[test]
fn a_program_that_is_killed_again_and_again_repeats_nothing() {
    let names: Vec<String> = (0..12).map(|n| format!("agent{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut house = House::new(&names, |prompt: &Prompt| {
        let thought = match prompt.outputs().next() {
            None => {
                let paper = json!({"title": prompt.agent, "content": "…", "type": "note"});
                Thought::call("document_upsert", &paper)
            }
            Some(_) => polite(prompt),
        };
        thought.after(Duration::from_millis(150))
    });
    let tasks: Vec<String> = names.iter().map(|name| house.task("in_progress", &[name])).collect();
    for (name, task) in names.iter().zip(&tasks) {
        house.mention(task, name, "write it down");
    }
    for pause in [40, 170, 90, 310, 20, 230] {
        // Nothing begins before two lists have been compared.
        house.until("work", |health| {
            let delivery = &health["delivery"];
            delivery["inFlight"] != 0 || delivery["lists"].as_u64() > Some(1) && delivery["waiting"] == 0
        });
        std::thread::sleep(Duration::from_millis(pause));
        house.kill_and_start();
    }
    for (name, task) in names.iter().zip(&tasks) {
        assert_eq!(house.answer_of(name, task), format!("{name} answers."));
    }
    house.settled();
    for name in &names {
        let own = |row: &&Value| row["title"] == **name;
        let documents = house.board.rows("documents").iter().filter(own).count();
        // At most one call was under way in each when a process died; the agent was told so instead of trying again.
        assert!(documents <= 1, "{name}: {documents} documents");
    }
    for (marker, marks) in house.gateway().markers() {
        assert!(marks.answers <= 1, "{marker}: {marks:?}");
    }
}
