//! Tokens and session keys, said back by the agent, by the gateway and by Mission Control: none comes out.

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use mission_control_runtime::http::message::Reply;
use serde_json::json;

use super::super::house::House;
use super::super::operator::as_operator;
use super::{Meddler, ask, restart};

/// As the house sets it.
const GATEWAYS: &str = "the-gateways-token";

#[test]
fn what_others_say_back_comes_out_of_no_answer() {
    // The agent says every key it knows of, and calls tools by such names.
    let mut house = House::set(
        &["ben", "ada", "cleo"],
        |prompt: &Prompt| {
            let key = prompt.session.clone();
            match (prompt.agent.as_str(), prompt.outputs().next()) {
                ("ben", None) => Thought::calls([
                    (key.as_str(), json!({"taskId": key})),
                    (GATEWAYS, json!({"serviceToken": key})),
                    ("task_load", json!({"taskId": key})),
                ]),
                ("ben", Some(_)) => Thought::say(format!("{key} {GATEWAYS}")),
                (_, _) => Thought::fail(500, format!("Bearer {GATEWAYS} in {key}")),
            }
        },
        &[("DELIVERY_MAX_ATTEMPTS", "1"), ("LOG_LEVEL", "debug")],
    );
    let token = house.board.token.clone();
    let secret = token.rsplit('_').next().unwrap().to_owned();
    let hidden = json!({"status": "error", "errorMessage": format!(
        "[Request ID: 0123456789abcdef] Server Error\nUncaught Error: {token} task:k1:agent:ben:{}:v1 {GATEWAYS}\n",
        house.board.account
    )});
    // Mission Control does so, too, where it is told how the service does.
    let meddler = Meddler::between(&house, move |request, reply| {
        let reports = request.body().windows(19).any(|part| part == b"updateRuntimeStatus");
        if reports { Reply::json_of(&hidden) } else { reply }
    });
    let place = house.state_dir().to_owned();
    restart(&mut house, &[("CONVEX_URL", &meddler.url()), ("LOG_LEVEL", "debug"), ("STATE_DIR", &place)]);
    let mut tasks = Vec::new();
    for slug in ["ben", "ada", "cleo"] {
        let task = house.task("in_progress", &[slug]);
        house.mention(&task, slug, "hello");
        tasks.push(task);
    }
    house.answer_of("ben", &tasks[0]);
    house.until("failures", |health| {
        health["delivery"]["failed"].as_u64() >= Some(1) && health["backend"]["lastReportError"].is_string()
    });
    let address = house.address().to_owned();
    let mut all = String::new();
    for (path, accept) in [
        ("/health", "*/*"),
        ("/metrics", "*/*"),
        ("/metrics", "application/json"),
        ("/version", "*/*"),
        ("/readyz", "*/*"),
        ("/livez", "*/*"),
        ("/no-such-path", "*/*"),
        ("/", "*/*"),
    ] {
        let answer = ask(&address, "GET", path, accept);
        all.push_str(&answer.body);
        all.push_str(&answer.headers);
    }
    // Operators are shown what was written, and where; a task's id alone opens nothing.
    let mut overview = json!(null);
    house.until("what has ended is written", |_| {
        overview = as_operator(&house, "GET", "/overview", "").1;
        overview["recent"].as_array().is_some_and(|recent| !recent.is_empty())
    });
    all.push_str(&overview.to_string());
    all.push_str(&house.stop());
    let account = house.board.account.clone();
    for canary in [token.as_str(), secret.as_str(), GATEWAYS] {
        assert!(!all.contains(canary), "{canary} is in {all}");
    }
    for task in &tasks {
        for key in [format!("task:{task}"), format!("{task}:{account}:v1"), format!("{task}%3A")] {
            let key = key.to_lowercase();
            assert!(!all.to_lowercase().contains(&key), "{key} is in {all}");
        }
    }
}
