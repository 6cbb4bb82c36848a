//! Twelve incidents: `why` and `doctor` name the cause and the mend within their first three lines.

use std::time::Duration;

use mission_control_runtime::demo::gateway::{Fault, Item, Prompt, Thought};

use super::polite;
use super::processes::House;

/// What nothing may show: the tokens that the tests use, and how session keys begin.
fn secrets(house: &House) -> Vec<String> {
    let operator =
        std::fs::read_to_string(format!("{}/operator-token", house.state_dir())).unwrap_or_default();
    let token = operator.trim().to_owned();
    let sessions = [":agent:ben:", "agent:ben:task", "system:agent:"].map(str::to_owned);
    let known =
        [house.board.token.clone(), "the-gateways-token".to_owned(), "a-wrong-token".to_owned(), token];
    known.into_iter().chain(sessions).filter(|secret| !secret.is_empty()).collect()
}

fn first_three(text: &str) -> String {
    text.lines().take(3).collect::<Vec<_>>().join("\n")
}

/// Both commands say all of this in their first three lines, and neither shows a secret.
fn both_say(house: &House, id: &str, words: &[&str]) {
    let (_, why) = house.command(["why", id]);
    let (_, doctor) = house.command(["doctor"]);
    for (command, text) in [("why", &why), ("doctor", &doctor)] {
        for word in words {
            assert!(first_three(text).contains(word), "{command} does not say {word:?}:\n{text}");
        }
        for secret in secrets(house) {
            assert!(!text.contains(&secret), "{command} shows {secret}:\n{text}");
        }
    }
    let (_, json) = house.command(["why", id, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap_or_else(|why| panic!("{why}: {json}"));
    let same =
        ["what", "why", "next"].map(|field| json[field].as_str().unwrap_or_default().to_owned()).join("\n");
    let same = if json["success"] == false { json.to_string() } else { same };
    for word in words {
        assert!(same.contains(word), "--json does not say {word:?}: {json}");
    }
}

/// A mention of ben that the program has met trouble with; its id.
fn in_trouble(house: &House) -> String {
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    let id = house.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    house.until("trouble", |health| {
        health["delivery"]["failed"] != 0
            || !health["gateway"]["closed"].is_null()
                && health["delivery"]["inFlight"] == 0
                && !health["gateway"]["lastSendError"].is_null()
    });
    id
}

#[test]
fn the_gateway_is_down() {
    let house = House::without_gateway(&["ben"]);
    let id = in_trouble(&house);
    both_say(&house, &id, &["the gateway is unreachable at its address", "OPENCLAW_GATEWAY_URL"]);
    both_say(&house, "ben", &["the gateway is unreachable at its address", "OPENCLAW_GATEWAY_URL"]);
}

#[test]
fn the_gateway_refuses_our_token() {
    let house = House::at(&["ben"], |_| (), Some("a-wrong-token"), polite);
    let id = in_trouble(&house);
    both_say(&house, &id, &["does not accept our token", "OPENCLAW_GATEWAY_TOKEN must equal"]);
}

#[test]
fn the_endpoint_is_off() {
    let house = House::at(&["ben"], |options| options.endpoint = false, None, polite);
    let id = in_trouble(&house);
    both_say(&house, &id, &["is switched off", "gateway.http.endpoints.responses.enabled"]);
}

#[test]
fn the_gateway_does_not_know_the_agent() {
    let house = House::at(&["ben"], |options| options.agents = vec!["ada".to_owned()], None, polite);
    let id = in_trouble(&house);
    both_say(&house, &id, &["he gateway does not know", "agents.entries"]);
}

#[test]
fn the_provider_refuses_its_key() {
    let house = House::new(&["ben"], polite);
    house.faults().always(Fault::Failed("authentication_error", "bad key"));
    let id = in_trouble(&house);
    both_say(&house, &id, &["does not accept its key", "Check the model provider's key", "tried again in"]);
}

#[test]
fn the_provider_is_down() {
    let house = House::new(&["ben"], polite);
    house.faults().always(Fault::Failed("rate_limit_error", "overloaded"));
    let id = in_trouble(&house);
    both_say(&house, &id, &["provider is overloaded or in trouble", "tried again in"]);
}

#[test]
fn the_agent_says_nothing() {
    let house = House::new(&["ben"], |_: &Prompt| Thought::nothing());
    let id = in_trouble(&house);
    house.settled();
    let (_, why) = house.command(["why", &id]);
    for words in ["should have answered and did not", "sked 3 times", "mention the agent to ask again"] {
        assert!(first_three(&why).contains(words), "{why}");
    }
}

#[test]
fn a_lost_answer_is_waited_for() {
    let mut house = House::new(&["ben"], |prompt: &Prompt| {
        let steps =
            prompt.transcript.iter().filter(|entry| matches!(entry.item, Item::ToolResult { .. })).count();
        if steps < 8 { Thought::work("exec", Duration::from_secs(4), "on it") } else { Thought::say("Late.") }
    });
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "take your time");
    house.begun();
    let id = house.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    house.until("the turn", |_| house.command(["why", &id]).1.contains("turn-taken"));
    // It comes back, and has resumed the turn by itself before it listens: else the runtime might ask first.
    let asked = house.gateway().runs();
    let address = house.stop_gateway();
    house.until("the resumed turn", |_| house.gateway().runs() > asked);
    house.start_gateway(&address);
    let waits = "the gateway resumes the agent's turn after a restart";
    house.until("the wait", |_| house.command(["why", &id]).1.contains(waits));
    both_say(&house, &id, &["he answer was lost", waits, "tried again"]);
}

#[test]
fn mission_control_is_down() {
    let mut house = House::new(&["ben"], |_: &Prompt| Thought::say("Hello.").after(Duration::from_secs(2)));
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    house.begun();
    let id = house.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    house.board.leave();
    house.until("trouble", |health| {
        health["delivery"]["failed"] != 0 && health["delivery"]["listFailures"] != 0
    });
    both_say(&house, &id, &["nobody answers at the backend's address", "CONVEX_URL"]);
    let (_, why) = house.command(["why", &id]);
    assert!(why.contains("The agent's answer, which no thread shows:\nHello."), "it was paid for: {why}");
}

#[test]
fn mission_control_refuses_our_token() {
    both_say(
        &refused(House::frank(&["ben"], polite)),
        "ben",
        &["the service token was not accepted", "Check ACCOUNT_ID and SERVICE_TOKEN"],
    );
}

#[test]
fn mission_control_refuses_our_token_and_hides_it() {
    let words = ["refuses every call and hides why", "SERVICE_TOKEN", "make a new one"];
    both_say(&refused(House::new(&["ben"], polite)), "ben", &words);
}

/// The same house with a token that is not known.
fn refused(mut house: House) -> House {
    house.kill();
    let wrong = house.board.token.rsplit_once('_').map(|(front, _)| format!("{front}_wrong")).unwrap();
    house.set_variable("SERVICE_TOKEN", &wrong);
    house.start();
    house.until("the refusal", |health| health["backend"]["accepted"] == false);
    house
}

/// Nothing runs, and nothing could: what is known is in the ledger, and why is in the configuration.
#[test]
fn the_configuration_keeps_it_from_starting() {
    let mut house = House::without_gateway(&["ben"]);
    let id = in_trouble(&house);
    house.kill();
    house.set_variable("SERVICE_TOKEN", "a-wrong-token");
    both_say(&house, &id, &["Invalid SERVICE_TOKEN format", "mc_service_ as the dashboard issues it"]);
    both_say(&house, "ben", &["SERVICE_TOKEN"]);
    let (_, why) = house.command(["why", &id]);
    assert!(first_three(&why).contains("does not run, and cannot start"), "{why}");
}

#[test]
fn nothing_can_be_recorded() {
    let mut house = House::set(&["ben"], polite, &[("LEDGER", "on")]);
    house.kill();
    house.set_variable("STATE_DIR", "/dev/null/state");
    house.set_variable("LEDGER", "off");
    house.start();
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    house.answer_of("ben", &task);
    both_say(
        &house,
        "ben",
        &["STATE_DIR /dev/null/state cannot be opened", "give it to the user of the service"],
    );
    let (code, status) = house.command(["status"]);
    // Its port is known to nobody: that stands where nothing can be written.
    assert_eq!(code, Some(1), "{status}");
    // Where the configuration has it, what is asked of it is told from what is asked elsewhere.
    let port = house.address().rsplit(':').next().unwrap();
    let (code, told) = house.command_with(["dead", "list"], &[("HEALTH_PORT", port)]);
    let words = format!("A service runs at {}, but it can keep nothing", house.address());
    assert!(code == Some(1) && told.starts_with(&words), "{told}");
}

#[test]
fn everything_is_paused() {
    let house = House::new(&["ben"], polite);
    assert_eq!(house.command(["pause"]).0, Some(0));
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    let id = house.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    house.until("the row", |health| health["delivery"]["waiting"] != 0);
    both_say(&house, &id, &["Everything is paused", "`resume` ends that"]);
}

#[test]
fn paused_and_the_gateway_down() {
    let house = House::without_gateway(&["ben"]);
    let id = in_trouble(&house);
    assert_eq!(house.command(["pause", "--agent", "ben"]).0, Some(0));
    both_say(&house, &id, &["the gateway is unreachable at its address", "aused", "`resume --agent"]);
}

#[test]
fn mission_control_and_the_gateway_down() {
    let mut house = House::without_gateway(&["ben"]);
    let id = in_trouble(&house);
    house.board.leave();
    house.until("no lists", |health| health["delivery"]["listFailures"] != 0);
    let words = ["the gateway is unreachable at its address", "nobody answers at the backend's address"];
    both_say(&house, &id, &words);
    both_say(&house, &id, &["OPENCLAW_GATEWAY_URL", "CONVEX_URL"]);
}
