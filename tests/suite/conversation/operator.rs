//! Operators' commands, on the running service and in the ledger of a stopped one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use mission_control_runtime::demo::gateway::{Fault, Prompt, Thought};
use serde_json::{Value, json};

use super::polite;
use super::processes::Stack;
use crate::support::board::agent;
use crate::support::program::exchange;

pub(super) fn token(stack: &Stack) -> String {
    fs::read_to_string(format!("{}/operator-token", stack.state_dir())).unwrap().trim().to_owned()
}

/// Sends a request to the service with these header lines; returns status and answer.
pub(super) fn ask(
    stack: &Stack,
    method: &str,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> (u16, Value) {
    let answer = exchange(&agent(), (method, &format!("http://{}{path}", stack.address())), headers, body);
    (answer.status().as_u16(), serde_json::from_str(answer.body()).unwrap_or(Value::Null))
}

pub(super) fn as_operator(stack: &Stack, method: &str, path: &str, body: &str) -> (u16, Value) {
    let bearer = format!("Bearer {}", token(stack));
    ask(stack, method, path, body, &[("Authorization", &bearer)])
}

/// A mention of ben that was given up at once because of a permanent failure.
pub(super) fn dead_letter(stack: &Stack) -> (String, String) {
    stack.faults().next(Fault::Failed("server_error", "invalid tool configuration"));
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    let id = stack.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    stack.settled();
    let health = stack.health();
    assert_eq!(
        (&health["delivery"]["ended"], &health["delivery"]["dead"]),
        (&json!({"dead": 1}), &json!(1)),
        "{health}"
    );
    (id, task)
}

/// Ben's messages except automatic notices.
fn answers(stack: &Stack, task: &str) -> Vec<String> {
    stack.said_by("ben", task).into_iter().filter(|text| !text.contains("Automatic note")).collect()
}

/// An agent is found by the beginning of its slug before its first delivery, too.
#[test]
fn why_finds_an_agent_without_deliveries_by_the_beginning_of_its_name() {
    let stack = Stack::new(&["engineer", "engraver", "ben"], polite);
    let idle = "is an agent of this account, and has no deliveries.";
    for typed in ["engineer", "engi", "ENGI"] {
        let (code, shown) = stack.command(["why", typed]);
        assert!(code == Some(0) && shown.contains(&format!("engineer {idle}")), "{typed}: {shown}");
    }
    let (code, shown) = stack.command(["why", "engr"]);
    assert!(code == Some(0) && shown.contains(&format!("engraver {idle}")), "{shown}");
    let (code, shown) = stack.command(["why", "engx"]);
    assert!(code == Some(1) && shown.contains("No agent, task or notification matches"), "{shown}");
}

#[test]
fn a_dead_letter_is_listed_and_retried() {
    let mut stack = Stack::new(&["ben"], polite);
    let (id, task) = dead_letter(&stack);
    let (code, list) = stack.command(["dead", "list"]);
    assert!(code == Some(0) && !list.contains(" old\n") && !list.contains("No service"), "{list}");
    for words in [
        &*id,
        "mention for ben",
        "does not accept the tools of the request",
        "cost so far: asked once",
        "dead retry ID",
    ] {
        assert!(list.contains(words), "{words}: {list}");
    }
    // The title of the task stands next to its id.
    assert!(list.contains(&format!("on {task} “Fix login”")), "{list}");
    let (_, json) = stack.command(["dead", "list", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["dead"][0]["id"], json["dead"].as_array().unwrap().len()), (&json!(id), 1));
    let (_, show) = stack.command(["dead", "show", &id]);
    assert!(show.starts_with("Mention for ben: given up "), "{show}");

    let (code, output) = stack.command(["dead", "retry", &id]);
    let begins = format!("{id}: it begins again: the agent is asked once more.\n");
    assert_eq!((code, output), (Some(0), begins));
    stack.wait_for_log(&format!("An operator changed a delivery action=retry notification={id}"));
    stack.until("the answer", |_| answers(&stack, &task) == ["ben answers."]);
    stack.until("the end", |health| health["delivery"]["waiting"] == 0);
    let health = stack.health();
    assert_eq!(
        (&health["delivery"]["dead"], &health["delivery"]["ended"]["answered"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(stack.command(["dead", "list"]).1, "No dead letters.\n");
    let (code, output) = stack.command(["dead", "retry", &id]);
    let words = format!("{id} is not a dead letter (its state is answered). Mention for ben: answered ");
    assert!(code == Some(1) && output.starts_with(&words), "{output}");
    let (_, why) = stack.command(["why", &id]);
    assert!(why.starts_with("Mention for ben: answered ") && why.contains("retried"), "{why}");
    for runs in [true, false] {
        // Without a service the ledger gives the same answers.
        if !runs {
            stack.stop();
        }
        for verb in ["show", "retry", "drop"] {
            for typed in [&id, &id[..id.len() - 2]] {
                let (code, output) = stack.command(["dead", verb, typed]);
                assert!(code == Some(1) && output.starts_with(&words), "{verb} {typed}: {output}");
            }
            let (code, output) = stack.command(["dead", verb, &id[..2]]);
            assert!(code == Some(2) && output.contains("give at least the first 4 characters"), "{output}");
            let (code, output) = stack.command(["dead", verb, "zzzz-nothing"]);
            assert!(code == Some(1) && output.contains("matches “zzzz-nothing”"), "{verb}: {output}");
        }
    }
}

#[test]
fn the_beginning_of_an_id_is_enough() {
    let mut stack = Stack::new(&["ben"], polite);
    let (id, task) = dead_letter(&stack);
    let start = &id[..id.len() - 2];
    for runs in [true, false] {
        // Without a service the ledger gives the same answers.
        if !runs {
            stack.stop();
        }
        let (code, output) = stack.command(["why", start]);
        assert!(code == Some(0) && output.contains(&format!("id    {id}\n")), "{output}");
        let (code, output) = stack.command(["why", &task[..task.len() - 2]]);
        let first = output.lines().find(|line| !line.starts_with("No service runs here")).unwrap();
        assert!(code == Some(0) && first.contains("Most relevant: "), "{output}");
        let (code, output) = stack.command(["dead", "show", start]);
        assert!(code == Some(0) && output.contains("Mention for ben: given up "), "{output}");
        for (code, output) in [stack.command(["why", &id[..2]]), stack.command(["dead", "retry", &id[..2]])] {
            assert!(code == Some(2) && output.contains("give at least the first 4 characters"), "{output}");
        }
    }
    let (code, output) = stack.command(["dead", "drop", start]);
    assert!(code == Some(0) && output.starts_with(&format!("{id}: it is closed permanently")), "{output}");
}

#[test]
fn a_dead_letter_is_dropped_permanently() {
    let mut stack = Stack::new(&["ben"], polite);
    let (id, _) = dead_letter(&stack);
    let (code, output) = stack.command(["dead", "drop", &id]);
    let closed =
        format!("{id}: it is closed permanently: the agent is not asked again, and nothing is posted.\n");
    assert_eq!((code, output), (Some(0), closed));
    assert_eq!(stack.command(["dead", "retry", &id]).0, Some(1));
    stack.stop();
    stack.start();
    stack.until("the start", |health| health["agentSync"]["agents"] == 1);
    let (_, why) = stack.command(["why", &id]);
    assert!(why.contains("closed permanently by a person"), "{why}");
    assert_eq!((stack.gateway().posts(), &stack.health()["delivery"]["dead"]), (1, &json!(0)));
}

#[test]
fn without_a_service_the_next_start_acts() {
    let mut stack = Stack::new(&["ben"], polite);
    let (id, task) = dead_letter(&stack);
    stack.stop();
    let (code, list) = stack.command(["dead", "list"]);
    assert!(code == Some(0) && list.contains(&id) && list.contains("mention for ben"), "{list}");
    let from = format!("No service runs here: this is what the ledger in {} says.\n", stack.state_dir());
    assert!(list.starts_with(&from), "{list}");
    assert_eq!(stack.command(["status"]).0, Some(1));
    let (code, output) = stack.command(["dead", "retry", &id]);
    let begins = format!("{id}: it begins again with the next start: the agent is asked once more.\n");
    assert_eq!((code, output), (Some(0), begins));
    let (code, output) = stack.command(["dead", "retry", &id]);
    assert!(code == Some(1) && output.contains("already open"), "{output}");
    let (_, why) = stack.command(["why", &id]);
    assert!(why.contains("The service does not run; `run` starts it."), "{why}");
    assert_eq!(stack.command(["pause"]).0, Some(0));
    stack.start();
    stack.until("the row", |health| health["delivery"]["waiting"] == 1 && health["paused"]["all"] == true);
    assert!(answers(&stack, &task).is_empty());
    assert_eq!(stack.command(["resume"]).0, Some(0));
    stack.until("the answer", |_| answers(&stack, &task) == ["ben answers."]);
    stack.settled();
    stack.stop();
    let (code, output) = stack.command(["dead", "drop", &id]);
    assert!(code == Some(1) && output.contains(&format!("{id} is not a dead letter")), "{output}");
}

#[test]
fn a_paused_agent_starts_no_turn_and_the_others_do() {
    let mut stack = Stack::new(&["ben", "ada"], polite);
    let (code, output) = stack.command(["pause", "--agent", "ben"]);
    assert_eq!((code, &*output), (Some(0), "Paused: ben; `resume --agent ben` ends that.\n"));
    stack.wait_for_log("action=pause state=\"Paused: ben; `resume --agent ben` ends that.\"");
    let (code, output) = stack.command(["pause", "--agent", "carl"]);
    assert!(
        code == Some(1) && output.contains("No agent is named carl. The agents are: ben, ada"),
        "{output}"
    );
    let (bens, adas) = (stack.task("in_progress", &["ben"]), stack.task("in_progress", &["ada"]));
    stack.mention(&bens, "ben", "hello");
    stack.mention(&adas, "ada", "hello");
    assert_eq!(stack.answer_of("ada", &adas), "ada answers.");
    assert_eq!(stack.health()["paused"], json!({"all": false, "agents": ["ben"]}));
    let (_, status) = stack.command(["status"]);
    assert!(status.contains("Paused: ben"), "{status}");
    stack.kill_and_start();
    stack.until("the row", |health| health["delivery"]["waiting"] == 1);
    stack.mention(&adas, "ada", "again");
    stack.until("the second answer", |_| stack.said_by("ada", &adas).len() == 2);
    assert!(stack.said_by("ben", &bens).is_empty(), "the pause outlives the process");
    let both = "Everything is paused (and ben by itself)";
    let (_, output) = stack.command(["pause"]);
    assert!(output.starts_with(both), "{output}");
    // `/health` may be a moment old.
    stack.until("the pause", |health| health["paused"]["all"] == true);
    let (_, status) = stack.command(["status"]);
    assert!(status.contains(both), "{status}");
    assert_eq!(stack.command(["resume"]), (Some(0), "2 pauses ended. Nothing is paused.\n".to_owned()));
    stack.wait_for_log("action=resume state=\"Nothing is paused.\"");
    assert_eq!(stack.answer_of("ben", &bens), "ben answers.");
}

#[test]
fn one_agent_is_resumed_alone() {
    let stack = Stack::new(&["ben", "ada"], polite);
    stack.command(["pause", "--agent", "ben"]);
    let (_, output) = stack.command(["pause", "--agent", "ada"]);
    assert_eq!(output, "Paused: ada, ben; `resume --agent ada` ends that of ada, `resume` all of them.\n");
    let (_, output) = stack.command(["resume", "--agent", "ben"]);
    assert_eq!(output, "1 pause ended. Paused: ada; `resume --agent ada` ends that.\n");
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    assert_eq!(stack.answer_of("ben", &task), "ben answers.");
}

#[test]
fn why_knows_an_agent_without_deliveries() {
    let stack = Stack::new(&["ben", "ada"], polite);
    for name in ["ada", "ADA", stack.agent("ada")] {
        let (code, output) = stack.command(["why", name]);
        assert!(
            code == Some(0)
                && output.starts_with("ada is an agent of this account, and has no deliveries.\n"),
            "{output}"
        );
        assert!(output.contains("Nothing blocks it."), "{output}");
    }
    stack.command(["pause", "--agent=ada"]);
    let (code, output) = stack.command(["why", "ada", "--json"]);
    let found: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &found["state"]), (Some(0), &json!("idle")), "{output}");
    assert_eq!(found["what"], "ada is paused; `resume --agent ada` ends that.", "a stop stands first");
    let (code, output) = stack.command(["why", "eve"]);
    assert!(code == Some(1) && output.contains("No agent, task or notification matches “eve”"), "{output}");
}

/// A command in a shell without the service's directory setting: it names the service, and does nothing in
/// the other directory.
#[test]
fn a_service_on_another_directory_is_named_and_its_data_untouched() {
    let stack = Stack::new(&["ben"], polite);
    let (kept, address) = (tempfile::tempdir().unwrap(), stack.address());
    let port = address.rsplit(':').next().unwrap();
    let unit = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/packaging/systemd/mission-control-runtime.service"
    ));
    let unit = unit.unwrap();
    let unit = unit.lines().find_map(|line| line.strip_prefix("StateDirectory=")).unwrap();
    for place in [kept.path().to_owned(), kept.path().join("missing")] {
        let place = place.to_str().unwrap();
        let more = [("STATE_DIR", place), ("HEALTH_PORT", port)];
        let words = format!(
            "A service runs at {address}, but not on STATE_DIR {place}: set STATE_DIR or --state-dir to the folder of the \
             service (under the systemd unit: /var/lib/{unit})"
        );
        for args in [["dead", "list"], ["why", "ben"], ["pause", "--agent=ben"], ["resume", "--agent=ben"]] {
            let (code, output) = stack.command_with(args, &more);
            assert_eq!((code, output.trim_end()), (Some(1), &*words), "{args:?}");
        }
        assert_eq!(stack.command_with(["dead", "retry", "n1"], &more).1.trim_end(), words);
        let (code, status) = stack.command_with(["status"], &more);
        assert!(code == Some(0) && status.contains(&format!("page        no link: {words}")), "{status}");
        let (_, found) = stack.command_with(["doctor"], &more);
        assert!(found.contains(&format!("service         note: {words}")), "{found}");
    }
    // Between its first answer and its first note a service is not named in its own directory.
    fs::remove_file(format!("{}/running.json", stack.state_dir())).unwrap();
    let (code, output) = stack.command_with(["dead", "list"], &[("HEALTH_PORT", port)]);
    assert!(
        code == Some(1) && output.contains("it is starting, or could not write the file; try again"),
        "{output}"
    );
    assert_eq!(stack.health()["paused"], json!({"all": false, "agents": []}));
    assert!(!kept.path().join("missing").exists());
}

#[test]
fn a_turn_is_given_up_by_a_person() {
    let stack = Stack::new(&["ben"], |_: &Prompt| Thought::hang());
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.begun();
    let id = stack.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    let (_, why) = stack.command(["why", &id]);
    assert!(why.contains("the agent has been working on it for"), "{why}");
    assert_eq!(as_operator(&stack, "POST", "/turns/nothing/give-up", "").0, 404);
    assert_eq!(as_operator(&stack, "POST", &format!("/turns/{id}/give-up"), "").0, 200);
    stack.settled();
    stack.until("the end", |health| health["delivery"]["ended"]["dead"] == 1);
    let said = stack.said_by("ben", &task);
    assert!(said.len() == 1 && said[0].contains("an operator stopped the wait for the agent"), "{said:?}");
    assert_eq!((stack.gateway().posts(), stack.gateway().in_flight()), (1, 0), "its run was ended");
}

#[test]
fn only_a_client_with_the_token_gets_data() {
    let stack = Stack::new(&["ben"], polite);
    let (id, _) = dead_letter(&stack);
    let mode = |name: &str| {
        fs::metadata(format!("{}/{name}", stack.state_dir())).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("operator-token"), mode("running.json")), (0o600, 0o600));
    let bearer = format!("Bearer {}", token(&stack));
    let host = format!("http://{}", stack.address());
    let paths = [
        ("GET", format!("/why/{id}")),
        ("GET", "/deliveries".to_owned()),
        ("GET", "/overview".to_owned()),
        ("POST", format!("/dead/{id}/retry")),
        ("POST", format!("/dead/{id}/drop")),
        ("POST", format!("/turns/{id}/give-up")),
        ("POST", "/pause".to_owned()),
        ("POST", "/resume".to_owned()),
    ];
    for (method, path) in &paths {
        let wrong = format!("{bearer}0");
        let rows: [(&[(&str, &str)], u16); 4] = [
            (&[], 401),
            (&[("Authorization", &wrong)], 401),
            (&[("Authorization", "Bearer ")], 401),
            (&[("Authorization", &bearer), ("Origin", "http://evil.example")], 403),
        ];
        for (headers, status) in rows {
            let (got, answer) = ask(&stack, method, path, "", headers);
            assert!(
                got == status && !answer.to_string().contains("tools"),
                "{method} {path}: {got} {answer}"
            );
        }
        let other = if *method == "GET" { "POST" } else { "GET" };
        assert_eq!(ask(&stack, other, path, "", &[("Authorization", &bearer)]).0, 405, "{path}");
    }
    let ours: [(&str, &str); 2] = [("Authorization", &bearer), ("Origin", &host)];
    let (status, answer) = ask(&stack, "GET", "/deliveries", "", &ours);
    assert_eq!((status, &answer["dead"][0]["id"]), (200, &json!(id)), "{answer}");
    assert_eq!(as_operator(&stack, "POST", "/pause", "{\"who\":1}").0, 400);
    assert_eq!(as_operator(&stack, "POST", "/pause", "{\"agent\":\"carl\"}").0, 404);
    let (status, answer) = as_operator(&stack, "GET", "/why/nothing", "");
    let words = "has it. Searched: 1 delivery, each by notification, task and agent. A task without deliveries is not found.";
    assert!(status == 404 && answer["error"].as_str().unwrap().ends_with(words), "{answer}");
    for path in ["/health", "/version", "/livez", "/readyz"] {
        assert_eq!(ask(&stack, "GET", path, "", &[]).0, 200, "{path}");
    }
}

#[test]
fn status_describes_the_service_for_people() {
    let mut stack = Stack::new(&["ben"], polite);
    stack.until("all is known", |health| {
        health["status"] == "healthy" && health["versions"]["openclaw"] == "2026.9.6"
    });
    let (code, status) = stack.command(["status"]);
    assert_eq!(code, Some(0), "{status}");
    let link = format!("http://{}/#token={}", stack.address(), token(&stack));
    for words in
        ["status      healthy, ready", "gateway     open, 2026.9.6", "deliveries  0 not settled", &link]
    {
        assert!(status.contains(words), "{words}: {status}");
    }
    assert_eq!(stack.command(["status", "--ready"]).0, Some(0));
    let (_, json) = stack.command(["status", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["ready"], &json["health"]["status"]), (&json!(true), &json!("healthy")));
    stack.kill();
    let (code, status) = stack.command(["status"]);
    assert!(code == Some(1) && status.contains("No service answers at "), "{status}");
}

/// A real turn, and its answer.
#[test]
fn doctor_sends_one_turn_on_request() {
    let stack = Stack::new(&["ben"], polite);
    let (code, found) = stack.command(["doctor", "--live"]);
    assert_eq!(code, Some(0), "{found}");
    assert!(
        found.contains("ben answered: \u{201c}ben answers.\u{201d}") && found.contains("knows all 1 agents"),
        "{found}"
    );
    let seen = stack.gateway().requests();
    assert!(seen.len() == 1 && seen[0].session.starts_with("agent:ben:key:"), "in a session of its own");
}
