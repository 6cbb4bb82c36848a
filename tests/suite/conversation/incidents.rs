//! Twelve incidents: `why` and `doctor` name the cause and the remedy within their first three lines.

use std::time::Duration;

use mission_control_runtime::demo::gateway::{Fault, Item, Prompt, Thought};

use super::polite;
use super::processes::Stack;

/// Texts that no output may contain: the tokens of the tests, and the beginnings of session keys.
fn secrets(stack: &Stack) -> Vec<String> {
    let operator =
        std::fs::read_to_string(format!("{}/operator-token", stack.state_dir())).unwrap_or_default();
    let token = operator.trim().to_owned();
    let sessions = [":agent:ben:", "agent:ben:task", "system:agent:"].map(str::to_owned);
    let known =
        [stack.board.token.clone(), "the-gateways-token".to_owned(), "a-wrong-token".to_owned(), token];
    known.into_iter().chain(sessions).filter(|secret| !secret.is_empty()).collect()
}

fn first_three(text: &str) -> String {
    text.lines().take(3).collect::<Vec<_>>().join("\n")
}

/// Checks that both commands contain all of this in their first three lines, and that neither contains a
/// secret.
fn both_say(stack: &Stack, id: &str, words: &[&str]) {
    let (_, why) = stack.command(["why", id]);
    let (_, doctor) = stack.command(["doctor"]);
    for (command, text) in [("why", &why), ("doctor", &doctor)] {
        for word in words {
            assert!(first_three(text).contains(word), "{command} does not say {word:?}:\n{text}");
        }
        for secret in secrets(stack) {
            assert!(!text.contains(&secret), "{command} shows {secret}:\n{text}");
        }
    }
    let (_, json) = stack.command(["why", id, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap_or_else(|why| panic!("{why}: {json}"));
    let same =
        ["what", "why", "next"].map(|field| json[field].as_str().unwrap_or_default().to_owned()).join("\n");
    let same = if json["success"] == false { json.to_string() } else { same };
    for word in words {
        assert!(same.contains(word), "--json does not say {word:?}: {json}");
    }
}

/// A mention of ben whose delivery has failed; returns its id.
fn in_trouble(stack: &Stack) -> String {
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    let id = stack.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    stack.until("trouble", |health| {
        health["delivery"]["failed"] != 0
            || health["gateway"]["missingAgents"]["count"] != 0 && health["delivery"]["waiting"] != 0
            || !health["gateway"]["closed"].is_null()
                && health["delivery"]["inFlight"] == 0
                && !health["gateway"]["lastSendError"].is_null()
    });
    id
}

#[test]
fn the_gateway_is_down() {
    let stack = Stack::without_gateway(&["ben"]);
    let id = in_trouble(&stack);
    both_say(&stack, &id, &["the gateway is unreachable at its address", "OPENCLAW_GATEWAY_URL"]);
    both_say(&stack, "ben", &["the gateway is unreachable at its address", "OPENCLAW_GATEWAY_URL"]);
}

#[test]
fn the_gateway_refuses_our_token() {
    let stack = Stack::at(&["ben"], |_| (), Some("a-wrong-token"), polite);
    let id = in_trouble(&stack);
    both_say(&stack, &id, &["does not accept the runtime's token", "Set OPENCLAW_GATEWAY_TOKEN to"]);
}

#[test]
fn the_endpoint_is_switched_off() {
    let stack = Stack::at(&["ben"], |options| options.endpoint = false, None, polite);
    let id = in_trouble(&stack);
    both_say(&stack, &id, &["is switched off", "gateway.http.endpoints.responses.enabled"]);
}

#[test]
fn the_gateway_does_not_know_the_agent() {
    let stack = Stack::at(&["ben"], |options| options.agents = vec!["ada".to_owned()], None, polite);
    let id = in_trouble(&stack);
    both_say(&stack, &id, &["he gateway does not know", "agents.entries"]);
}

#[test]
fn the_provider_refuses_its_key() {
    let stack = Stack::new(&["ben"], polite);
    stack.faults().always(Fault::Failed("authentication_error", "bad key"));
    let id = in_trouble(&stack);
    both_say(
        &stack,
        &id,
        &["does not accept the gateway's key", "Check the model provider's key", "tried again in"],
    );
}

#[test]
fn the_provider_is_down() {
    let stack = Stack::new(&["ben"], polite);
    stack.faults().always(Fault::Failed("rate_limit_error", "overloaded"));
    let id = in_trouble(&stack);
    both_say(&stack, &id, &["provider is overloaded or fails", "tried again in"]);
}

#[test]
fn the_agent_stays_silent() {
    let stack = Stack::new(&["ben"], |_: &Prompt| Thought::nothing());
    let id = in_trouble(&stack);
    stack.settled();
    let (_, why) = stack.command(["why", &id]);
    for words in ["should have answered and did not", "sked 3 times", "mention the agent to ask again"] {
        assert!(first_three(&why).contains(words), "{why}");
    }
}

#[test]
fn a_lost_answer_is_awaited() {
    let mut stack = Stack::new(&["ben"], |prompt: &Prompt| {
        let steps =
            prompt.transcript.iter().filter(|entry| matches!(entry.item, Item::ToolResult { .. })).count();
        if steps < 8 { Thought::work("exec", Duration::from_secs(4), "on it") } else { Thought::say("Late.") }
    });
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "take your time");
    stack.begun();
    let id = stack.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    stack.until("the turn", |_| stack.command(["why", &id]).1.contains("turn-taken"));
    // The gateway returns, and has resumed the turn before it listens: otherwise the runtime might send it
    // first.
    let asked = stack.gateway().runs();
    let address = stack.stop_gateway();
    stack.until("the resumed turn", |_| stack.gateway().runs() > asked);
    stack.start_gateway(&address);
    let waits = "the gateway resumes the agent's turn after a restart";
    stack.until("the wait", |_| stack.command(["why", &id]).1.contains(waits));
    both_say(&stack, &id, &["he answer was lost", waits, "tried again"]);
}

#[test]
fn mission_control_is_down() {
    let mut stack = Stack::new(&["ben"], |_: &Prompt| Thought::say("Hello.").after(Duration::from_secs(2)));
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.begun();
    let id = stack.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    stack.board.stop_serving();
    stack.until("trouble", |health| {
        health["delivery"]["failed"] != 0 && health["delivery"]["listFailures"] != 0
    });
    both_say(&stack, &id, &["Mission Control is unreachable at its address", "CONVEX_URL"]);
    let (_, why) = stack.command(["why", &id]);
    assert!(why.contains("The agent's answer, not posted in any thread:\nHello."), "it was paid for: {why}");
}

#[test]
fn mission_control_refuses_our_token() {
    both_say(
        &refused(Stack::frank(&["ben"], polite)),
        "ben",
        &["does not accept the service token", "Check ACCOUNT_ID and SERVICE_TOKEN"],
    );
}

#[test]
fn mission_control_refuses_our_token_without_a_reason() {
    let words = ["refuses every call and hides the reason", "SERVICE_TOKEN", "make a new one"];
    both_say(&refused(Stack::new(&["ben"], polite)), "ben", &words);
}

/// Restarts with a token that is not known.
fn refused(mut stack: Stack) -> Stack {
    stack.kill();
    let wrong = stack.board.token.rsplit_once('_').map(|(front, _)| format!("{front}_wrong")).unwrap();
    stack.set_variable("SERVICE_TOKEN", &wrong);
    stack.start();
    stack.until("the refusal", |health| health["backend"]["accepted"] == false);
    stack
}

/// Nothing runs, and nothing could: the facts are in the ledger, and the cause is in the configuration.
#[test]
fn the_configuration_prevents_the_start() {
    let mut stack = Stack::without_gateway(&["ben"]);
    let id = in_trouble(&stack);
    stack.kill();
    stack.set_variable("SERVICE_TOKEN", "a-wrong-token");
    both_say(
        &stack,
        &id,
        &["SERVICE_TOKEN (environment) is ***: invalid format", "mc_service_ as the dashboard issues it"],
    );
    both_say(&stack, "ben", &["SERVICE_TOKEN"]);
    let (_, why) = stack.command(["why", &id]);
    assert!(first_three(&why).contains("does not run, and cannot start"), "{why}");
}

#[test]
fn nothing_can_be_recorded() {
    let mut stack = Stack::set(&["ben"], polite, &[("LEDGER", "on")]);
    stack.kill();
    stack.set_variable("STATE_DIR", "/dev/null/state");
    stack.set_variable("LEDGER", "off");
    stack.start();
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.answer_of("ben", &task);
    both_say(
        &stack,
        "ben",
        &["STATE_DIR /dev/null/state cannot be opened", "give it to the user of the service"],
    );
    let (code, status) = stack.command(["status"]);
    // Its port is known to no command: the port is recorded where nothing can be written.
    assert_eq!(code, Some(1), "{status}");
    // With a configured port, the commands can ask this service.
    let port = stack.address().rsplit(':').next().unwrap();
    let (code, told) = stack.command_with(["dead", "list"], &[("HEALTH_PORT", port)]);
    let words = format!("A service runs at {}, but it stores nothing", stack.address());
    assert!(code == Some(1) && told.starts_with(&words), "{told}");
}

#[test]
fn everything_is_paused() {
    let stack = Stack::new(&["ben"], polite);
    assert_eq!(stack.command(["pause"]).0, Some(0));
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "hello");
    let id = stack.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    stack.until("the row", |health| health["delivery"]["waiting"] != 0);
    both_say(&stack, &id, &["Everything is paused", "`resume` ends that"]);
}

#[test]
fn paused_and_the_gateway_down() {
    let stack = Stack::without_gateway(&["ben"]);
    let id = in_trouble(&stack);
    assert_eq!(stack.command(["pause", "--agent", "ben"]).0, Some(0));
    both_say(&stack, &id, &["the gateway is unreachable at its address", "aused", "`resume --agent"]);
}

#[test]
fn mission_control_and_the_gateway_down() {
    let mut stack = Stack::without_gateway(&["ben"]);
    let id = in_trouble(&stack);
    stack.board.stop_serving();
    stack.until("no lists", |health| health["delivery"]["listFailures"] != 0);
    let words =
        ["the gateway is unreachable at its address", "Mission Control is unreachable at its address"];
    both_say(&stack, &id, &words);
    both_say(&stack, &id, &["OPENCLAW_GATEWAY_URL", "CONVEX_URL"]);
}
