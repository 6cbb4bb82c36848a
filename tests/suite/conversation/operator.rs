//! What people ask and have done: on the running service, and in the ledger of a stopped one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use mission_control_runtime::demo::gateway::{Fault, Prompt, Thought};
use serde_json::{Value, json};

use super::polite;
use super::processes::House;
use crate::support::board::agent;
use crate::support::program::exchange;

pub(super) fn token(house: &House) -> String {
    fs::read_to_string(format!("{}/operator-token", house.state_dir())).unwrap().trim().to_owned()
}

/// Asks the service with these header lines: status and answer.
fn ask(house: &House, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let answer = exchange(&agent(), (method, &format!("http://{}{path}", house.address())), headers, body);
    (answer.status().as_u16(), serde_json::from_str(answer.body()).unwrap_or(Value::Null))
}

pub(super) fn as_operator(house: &House, method: &str, path: &str, body: &str) -> (u16, Value) {
    let bearer = format!("Bearer {}", token(house));
    ask(house, method, path, body, &[("Authorization", &bearer)])
}

/// A mention of ben that was given up at once, because nothing else could come of it.
pub(super) fn dead_letter(house: &House) -> (String, String) {
    house.faults().next(Fault::Failed("server_error", "invalid tool configuration"));
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    let id = house.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    house.settled();
    let health = house.health();
    assert_eq!(
        (&health["delivery"]["ended"], &health["delivery"]["dead"]),
        (&json!({"dead": 1}), &json!(1)),
        "{health}"
    );
    (id, task)
}

/// What ben has said that is no automatic note.
fn answers(house: &House, task: &str) -> Vec<String> {
    house.said_by("ben", task).into_iter().filter(|text| !text.contains("Automatic note")).collect()
}

#[test]
fn what_gave_up_is_listed_and_begins_again() {
    let mut house = House::new(&["ben"], polite);
    let (id, task) = dead_letter(&house);
    let (code, list) = house.command(["dead", "list"]);
    assert!(code == Some(0) && !list.contains(" old\n") && !list.contains("No service"), "{list}");
    for words in
        [&*id, "mention for ben", "does not accept our tools", "cost so far: asked once", "dead retry ID"]
    {
        assert!(list.contains(words), "{words}: {list}");
    }
    let (_, json) = house.command(["dead", "list", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["dead"][0]["id"], json["dead"].as_array().unwrap().len()), (&json!(id), 1));
    let (_, show) = house.command(["dead", "show", &id]);
    assert!(show.starts_with("Mention for ben: given up "), "{show}");

    let (code, told) = house.command(["dead", "retry", &id]);
    assert_eq!(
        (code, &*told),
        (Some(0), &*format!("{id}: it begins again: the agent is asked once more.\n"))
    );
    house.hear(&format!("an operator retries {id}"));
    house.until("the answer", |_| answers(&house, &task) == ["ben answers."]);
    house.until("the end", |health| health["delivery"]["waiting"] == 0);
    let health = house.health();
    assert_eq!(
        (&health["delivery"]["dead"], &health["delivery"]["ended"]["answered"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(house.command(["dead", "list"]).1, "Nothing was given up.\n");
    let (code, told) = house.command(["dead", "retry", &id]);
    assert!(code == Some(1) && told.contains("Nothing with this id was given up"), "{told}");
    let (_, why) = house.command(["why", &id]);
    assert!(why.starts_with("Mention for ben: answered ") && why.contains("retried"), "{why}");
}

#[test]
fn what_gave_up_is_dropped_for_good() {
    let mut house = House::new(&["ben"], polite);
    let (id, _) = dead_letter(&house);
    let (code, told) = house.command(["dead", "drop", &id]);
    assert_eq!(
        (code, &*told),
        (
            Some(0),
            &*format!("{id}: it is closed for good: the agent is not asked again, and nothing is posted.\n")
        )
    );
    assert_eq!(house.command(["dead", "retry", &id]).0, Some(1));
    house.stop();
    house.start();
    house.until("the start", |health| health["agentSync"]["agents"] == 1);
    let (_, why) = house.command(["why", &id]);
    assert!(why.contains("closed for good by a person"), "{why}");
    assert_eq!((house.gateway().posts(), &house.health()["delivery"]["dead"]), (1, &json!(0)));
}

#[test]
fn without_a_service_the_next_start_acts() {
    let mut house = House::new(&["ben"], polite);
    let (id, task) = dead_letter(&house);
    house.stop();
    let (code, list) = house.command(["dead", "list"]);
    assert!(code == Some(0) && list.contains(&id) && list.contains("mention for ben"), "{list}");
    let from = format!("No service runs here: this is what the ledger in {} says.\n", house.state_dir());
    assert!(list.starts_with(&from), "{list}");
    assert_eq!(house.command(["status"]).0, Some(1));
    let (code, told) = house.command(["dead", "retry", &id]);
    assert_eq!(
        (code, &*told),
        (Some(0), &*format!("{id}: it begins again with the next start: the agent is asked once more.\n"))
    );
    let (code, told) = house.command(["dead", "retry", &id]);
    assert!(code == Some(1) && told.contains("under way already"), "{told}");
    let (_, why) = house.command(["why", &id]);
    assert!(why.contains("The service does not run; `run` starts it."), "{why}");
    assert_eq!(house.command(["pause"]).0, Some(0));
    house.start();
    house.until("the row", |health| health["delivery"]["waiting"] == 1 && health["paused"]["all"] == true);
    assert!(answers(&house, &task).is_empty());
    assert_eq!(house.command(["resume"]).0, Some(0));
    house.until("the answer", |_| answers(&house, &task) == ["ben answers."]);
    house.settled();
    house.stop();
    let (code, told) = house.command(["dead", "drop", &id]);
    assert!(code == Some(1) && told.contains("Nothing with this id was given up"), "{told}");
}

#[test]
fn a_paused_agent_begins_nothing_and_the_others_do() {
    let mut house = House::new(&["ben", "ada"], polite);
    let (code, told) = house.command(["pause", "--agent", "ben"]);
    assert_eq!((code, &*told), (Some(0), "Paused: ben; `resume --agent ben` ends that.\n"));
    house.hear("an operator pauses: Paused: ben; `resume --agent ben` ends that.");
    let (code, told) = house.command(["pause", "--agent", "carl"]);
    assert!(code == Some(1) && told.contains("There is no agent carl; there are: ben, ada"), "{told}");
    let (bens, adas) = (house.task("in_progress", &["ben"]), house.task("in_progress", &["ada"]));
    house.mention(&bens, "ben", "hello");
    house.mention(&adas, "ada", "hello");
    assert_eq!(house.answer_of("ada", &adas), "ada answers.");
    assert_eq!(house.health()["paused"], json!({"all": false, "agents": ["ben"]}));
    let (_, status) = house.command(["status"]);
    assert!(status.contains("Paused: ben"), "{status}");
    house.kill_and_start();
    house.until("the row", |health| health["delivery"]["waiting"] == 1);
    house.mention(&adas, "ada", "again");
    house.until("the second answer", |_| house.said_by("ada", &adas).len() == 2);
    assert!(house.said_by("ben", &bens).is_empty(), "the pause outlives the process");
    let both = "Everything is paused (and ben by itself)";
    let (_, told) = house.command(["pause"]);
    assert!(told.starts_with(both), "{told}");
    // What `/health` says may be a moment old.
    house.until("the pause", |health| health["paused"]["all"] == true);
    let (_, status) = house.command(["status"]);
    assert!(status.contains(both), "{status}");
    assert_eq!(house.command(["resume"]), (Some(0), "2 pauses ended. Nothing is paused.\n".to_owned()));
    house.hear("an operator resumes: Nothing is paused.");
    assert_eq!(house.answer_of("ben", &bens), "ben answers.");
}

#[test]
fn an_agent_alone_goes_on() {
    let house = House::new(&["ben", "ada"], polite);
    house.command(["pause", "--agent", "ben"]);
    let (_, told) = house.command(["pause", "--agent", "ada"]);
    assert_eq!(told, "Paused: ada, ben; `resume --agent ada` ends that of ada, `resume` all of them.\n");
    let (_, told) = house.command(["resume", "--agent", "ben"]);
    assert_eq!(told, "1 pause ended. Paused: ada; `resume --agent ada` ends that.\n");
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    assert_eq!(house.answer_of("ben", &task), "ben answers.");
}

#[test]
fn why_knows_an_agent_without_deliveries() {
    let house = House::new(&["ben", "ada"], polite);
    for name in ["ada", "ADA", house.agent("ada")] {
        let (code, told) = house.command(["why", name]);
        assert!(
            code == Some(0) && told.starts_with("ada is an agent of this account, and has no deliveries.\n"),
            "{told}"
        );
        assert!(told.contains("Nothing stands in its way."), "{told}");
    }
    house.command(["pause", "--agent=ada"]);
    let (code, told) = house.command(["why", "ada", "--json"]);
    let found: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &found["state"]), (Some(0), &json!("idle")), "{told}");
    assert_eq!(found["why"], "ada is paused; `resume --agent ada` ends that.");
    let (code, told) = house.command(["why", "eve"]);
    assert!(code == Some(1) && told.contains("Nothing is known of eve"), "{told}");
}

/// A command in a shell that lacks the service's directory: it finds the service, and does nothing beside it.
#[test]
fn a_service_on_another_directory_is_named_and_nothing_is_done_beside_it() {
    let house = House::new(&["ben"], polite);
    let (kept, address) = (tempfile::tempdir().unwrap(), house.address());
    let port = address.rsplit(':').next().unwrap();
    let unit =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/openclaw/mission-control-runtime.service"));
    let unit = unit.unwrap();
    let unit = unit.lines().find_map(|line| line.strip_prefix("StateDirectory=")).unwrap();
    for place in [kept.path().to_owned(), kept.path().join("missing")] {
        let place = place.to_str().unwrap();
        let more = [("STATE_DIR", place), ("HEALTH_PORT", port)];
        let words = format!(
            "A service runs at {address}, but not on STATE_DIR {place}: set STATE_DIR to the service's (under the \
             systemd unit: /var/lib/{unit})"
        );
        for args in [["dead", "list"], ["why", "ben"], ["pause", "--agent=ben"], ["resume", "--agent=ben"]] {
            let (code, told) = house.command_with(args, &more);
            assert_eq!((code, told.trim_end()), (Some(1), &*words), "{args:?}");
        }
        assert_eq!(house.command_with(["dead", "retry", "n1"], &more).1.trim_end(), words);
        let (code, status) = house.command_with(["status"], &more);
        assert!(code == Some(0) && status.contains(&format!("page        no link: {words}")), "{status}");
        let (_, found) = house.command_with(["doctor"], &more);
        assert!(found.contains(&format!("service         note: {words}")), "{found}");
    }
    // Between its first answer and its first note a service is not named in its own directory.
    fs::remove_file(format!("{}/running.json", house.state_dir())).unwrap();
    let (code, told) = house.command_with(["dead", "list"], &[("HEALTH_PORT", port)]);
    assert!(code == Some(1) && told.contains("it is just starting, or could not write; try again"), "{told}");
    assert_eq!(house.health()["paused"], json!({"all": false, "agents": []}));
    assert!(!kept.path().join("missing").exists());
}

#[test]
fn a_turn_is_given_up_by_a_person() {
    let house = House::new(&["ben"], |_: &Prompt| Thought::hang());
    let task = house.task("in_progress", &["ben"]);
    house.mention(&task, "ben", "hello");
    house.begun();
    let id = house.undelivered()[0]["_id"].as_str().unwrap().to_owned();
    let (_, why) = house.command(["why", &id]);
    assert!(why.contains("the agent has been at work on it for"), "{why}");
    assert_eq!(as_operator(&house, "POST", "/turns/nothing/give-up", "").0, 404);
    assert_eq!(as_operator(&house, "POST", &format!("/turns/{id}/give-up"), "").0, 200);
    house.settled();
    house.until("the end", |health| health["delivery"]["ended"]["dead"] == 1);
    let said = house.said_by("ben", &task);
    assert!(said.len() == 1 && said[0].contains("a person has given it up"), "{said:?}");
    assert_eq!((house.gateway().posts(), house.gateway().in_flight()), (1, 0), "its run was ended");
}

#[test]
fn only_who_shows_the_token_is_told_anything() {
    let house = House::new(&["ben"], polite);
    let (id, _) = dead_letter(&house);
    let mode = |name: &str| {
        fs::metadata(format!("{}/{name}", house.state_dir())).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("operator-token"), mode("running.json")), (0o600, 0o600));
    let bearer = format!("Bearer {}", token(&house));
    let host = format!("http://{}", house.address());
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
            let (got, answer) = ask(&house, method, path, "", headers);
            assert!(
                got == status && !answer.to_string().contains("tools"),
                "{method} {path}: {got} {answer}"
            );
        }
        let other = if *method == "GET" { "POST" } else { "GET" };
        assert_eq!(ask(&house, other, path, "", &[("Authorization", &bearer)]).0, 405, "{path}");
    }
    let ours: [(&str, &str); 2] = [("Authorization", &bearer), ("Origin", &host)];
    let (status, answer) = ask(&house, "GET", "/deliveries", "", &ours);
    assert_eq!((status, &answer["dead"][0]["id"]), (200, &json!(id)), "{answer}");
    assert_eq!(as_operator(&house, "POST", "/pause", "{\"who\":1}").0, 400);
    assert_eq!(as_operator(&house, "POST", "/pause", "{\"agent\":\"carl\"}").0, 404);
    let (status, answer) = as_operator(&house, "GET", "/why/nothing", "");
    let told = "among 1 deliveries. (A task of which no agent was told has none.)";
    assert!(status == 404 && answer["error"].as_str().unwrap().ends_with(told), "{answer}");
    for path in ["/health", "/version", "/livez", "/readyz"] {
        assert_eq!(ask(&house, "GET", path, "", &[]).0, 200, "{path}");
    }
}

#[test]
fn status_tells_people_how_it_is() {
    let mut house = House::new(&["ben"], polite);
    house.until("all is known", |health| {
        health["status"] == "healthy" && health["versions"]["openclaw"] == "2026.9.6"
    });
    let (code, status) = house.command(["status"]);
    assert_eq!(code, Some(0), "{status}");
    let link = format!("http://{}/#token={}", house.address(), token(&house));
    for words in
        ["status      healthy, ready", "gateway     open, 2026.9.6", "deliveries  0 not settled", &link]
    {
        assert!(status.contains(words), "{words}: {status}");
    }
    assert_eq!(house.command(["status", "--ready"]).0, Some(0));
    let (_, json) = house.command(["status", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["ready"], &json["health"]["status"]), (&json!(true), &json!("healthy")));
    house.kill();
    let (code, status) = house.command(["status"]);
    assert!(code == Some(1) && status.contains("No service answers at "), "{status}");
}

/// A real turn, and its answer.
#[test]
fn doctor_sends_one_turn_if_it_is_wanted() {
    let house = House::new(&["ben"], polite);
    let (code, found) = house.command(["doctor", "--live"]);
    assert_eq!(code, Some(0), "{found}");
    assert!(
        found.contains("ben answered: \u{201c}ben answers.\u{201d}") && found.contains("knows all 1 agents"),
        "{found}"
    );
    let seen = house.gateway().requests();
    assert!(seen.len() == 1 && seen[0].session.starts_with("agent:ben:key:"), "in a session of its own");
}
