//! The demo: complete, in order, and created only once.

use std::collections::BTreeSet;

use mission_control_runtime::clock::{Clock, Millis, SystemClock};
use mission_control_runtime::local::{Caller, Data, DataLocation, Kind, Opening, Options, Seed};
use serde_json::{Value, json};
use tempfile::TempDir;

fn demo(options: Options) -> Data {
    let opening =
        Opening { location: DataLocation::Memory, seed: Seed::parse("demo"), master_key: None, options };
    Data::open(&opening, Box::new(SystemClock)).unwrap()
}

fn call(data: &Data, kind: Kind, path: &str, mut args: Value) -> Value {
    args["accountId"] = json!(data.account);
    let (status, answer) = data.engine.call(kind, path, &args, Caller::Person, "0123456789abcdef");
    assert_eq!((status, &answer["status"]), (200, &json!("success")), "{path}: {answer}");
    answer["value"].clone()
}

fn look(data: &Data, path: &str) -> Vec<Value> {
    call(data, Kind::Query, path, json!({})).as_array().unwrap().clone()
}

fn service(data: &Data, name: &str, mut args: Value) -> Value {
    args["serviceToken"] = json!(data.service_token.as_ref().unwrap().expose());
    call(data, Kind::Action, &format!("service/actions:{name}"), args)
}

#[test]
fn the_team_exists_with_roles_and_skills() {
    let data = demo(Options::default());
    let agents = look(&data, "agents:list");
    let slugs: Vec<&str> = agents.iter().map(|agent| agent["slug"].as_str().unwrap()).collect();
    assert_eq!(slugs, ["squad-lead", "engineer", "qa", "designer", "writer"]);
    let account = call(&data, Kind::Query, "accounts:get", json!({}));
    assert_eq!(account["name"], "Demo");
    assert_eq!(account["settings"]["orchestratorAgentId"], agents[0]["_id"]);
    assert!(account["settings"]["userMd"].as_str().unwrap().starts_with("# USER"));
    assert_eq!(look(&data, "memberships:list")[0]["role"], "owner");

    for agent in &agents {
        let (slug, soul) = (agent["slug"].as_str().unwrap(), agent["soulContent"].as_str().unwrap());
        for heading in ["## When several are assigned", "## Never"] {
            assert!(soul.contains(heading), "{slug}: {heading}");
        }
        for word in ["wait", "start", "done"] {
            assert!(soul.to_lowercase().contains(word), "{slug}: {word}");
        }
        assert!(slug == "squad-lead" || soul.contains("response_request"), "{slug} hands over");
    }
    // Only QA may mark tasks as done, by the flag and by the rule of the contract (§4.5).
    let may: Vec<bool> =
        agents.iter().map(|agent| agent["openclawConfig"]["behaviorFlags"]["canMarkDone"] == true).collect();
    assert_eq!(may, [false, false, true, false, false]);

    let profiles = service(&data, "listAgentsForRuntime", json!({}));
    for profile in profiles.as_array().unwrap() {
        let skills = profile["resolvedSkills"].as_array().unwrap();
        assert!(skills.iter().any(|skill| skill["slug"] == "handover"), "{}", profile["slug"]);
        assert!(skills.iter().all(|skill| !skill["contentMarkdown"].as_str().unwrap().is_empty()));
    }
    let switched: BTreeSet<bool> =
        look(&data, "skills:list").iter().map(|skill| skill["isEnabled"].as_bool().unwrap()).collect();
    assert_eq!(switched.len(), 2, "one is switched off, to show that it can be");
}

#[test]
fn the_board_shows_every_status_and_a_thread() {
    let data = demo(Options::default());
    let tasks = look(&data, "tasks:list");
    let statuses: BTreeSet<&str> = tasks.iter().map(|task| task["status"].as_str().unwrap()).collect();
    let all = ["archived", "assigned", "blocked", "done", "in_progress", "inbox", "review"];
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), all);
    for task in &tasks {
        let (status, agents) =
            (task["status"].as_str().unwrap(), task["assignedAgentIds"].as_array().unwrap());
        assert_eq!(agents.is_empty(), ["inbox", "archived"].contains(&status), "{task}");
        assert_eq!(task.get("blockedReason").is_some(), status == "blocked", "{task}");
        assert!(task["createdAt"].as_f64() <= task["updatedAt"].as_f64(), "{task}");
    }
    let together = tasks.iter().filter(|task| task["assignedAgentIds"].as_array().unwrap().len() == 2);
    assert_eq!(together.map(|task| &task["status"]).collect::<Vec<_>>(), ["assigned"]);

    let review = tasks.iter().find(|task| task["status"] == "review").unwrap();
    let args = json!({"taskId": review["_id"]});
    let thread = call(&data, Kind::Query, "messages:listByTask", args.clone());
    let said: Vec<&str> =
        thread.as_array().unwrap().iter().map(|message| message["authorName"].as_str().unwrap()).collect();
    assert_eq!(said, ["Robin Vale", "Noor", "Robin Vale", "Noor", "Tomas"]);
    let times: Vec<f64> =
        thread.as_array().unwrap().iter().map(|message| message["createdAt"].as_f64().unwrap()).collect();
    assert!(times.is_sorted() && times[0] < times[4], "{times:?}");
    let newest = look(&data, "activities:list")[0]["createdAt"].as_f64().unwrap();
    let now = SystemClock.now().since(Millis(0)).as_secs_f64() * 1000.0;
    assert!((1.0..12.0 * 3_600_000.0).contains(&(now - newest)), "it ends before now: {newest} {now}");
    let made = data.engine.export().unwrap()["tables"].clone();
    let made = made.as_object().unwrap().values().flat_map(|rows| rows.as_array().unwrap());
    let mut instants: Vec<f64> = made.map(|row| row["_creationTime"].as_f64().unwrap()).collect();
    instants.sort_by(f64::total_cmp);
    assert!(instants.windows(2).all(|pair| pair[0] < pair[1]), "no two rows at the same instant");
    assert_eq!(thread[0]["mentions"][0]["slug"], "writer");
    let documents = call(&data, Kind::Query, "documents:listByTask", args);
    assert_eq!(documents[0]["title"], "Cancellation rules, second draft");
    let titles: BTreeSet<String> = look(&data, "documents:list")
        .iter()
        .filter(|document| document["type"] == "reference")
        .map(|document| document["title"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(titles.into_iter().collect::<Vec<_>>(), ["Account Briefing", "Repository \u{2014} Primary"]);
}

#[test]
fn only_the_shared_task_waits_for_a_runtime() {
    let data = demo(Options::default());
    let waiting = service(&data, "listUndeliveredNotifications", json!({}));
    let waiting = waiting.as_array().unwrap();
    let kinds: Vec<&str> = waiting.iter().map(|row| row["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["assignment", "assignment"]);
    let now = SystemClock.now().since(Millis(0)).as_secs_f64() * 1000.0;
    for row in waiting {
        let created = row["createdAt"].as_f64().unwrap();
        assert!((now - 600_000.0..=now).contains(&created), "they wait since the start: {row}");
    }
    let context = service(&data, "getNotificationForDelivery", json!({"notificationId": waiting[0]["_id"]}));
    assert_eq!(context["task"]["title"], "A booking page that works on a phone");
    assert!(context["repositoryDoc"]["content"].as_str().unwrap().contains("make test"));
    assert_eq!(look(&data, "notifications:listTyping"), [] as [Value; 0], "no agent is shown as typing");
}

#[test]
fn the_demo_contains_no_secret_and_loads_with_original_behaviour() {
    let data = demo(Options { original: true, ..Options::default() });
    assert_eq!(look(&data, "agents:list").len(), 5);
    let all = data.engine.export().unwrap().to_string();
    assert!(!all.contains("mc_service_") && !all.contains("mc_admin_"));
    assert!(!all.contains(data.admin_key.expose()));
}

#[test]
fn existing_data_are_not_changed() {
    let home = TempDir::new().unwrap();
    let open = |seed: Seed| {
        let location = DataLocation::Directory(home.path().join("data"));
        let opening = Opening { location, seed, master_key: None, options: Options::default() };
        Data::open(&opening, Box::new(SystemClock)).unwrap()
    };
    let first = open(Seed::Demo);
    let before = first.engine.export().unwrap();
    assert!(first.is_new);
    drop(first);
    for seed in [Seed::Demo, Seed::Nothing, Seed::Export(home.path().join("not even there"))] {
        let again = open(seed.clone());
        assert!(!again.is_new, "{seed:?}");
        assert_eq!(again.engine.export().unwrap(), before, "{seed:?}");
    }

    // And vice versa: existing data without the demo stay without it.
    let location = DataLocation::Directory(home.path().join("plain"));
    let plain = Opening { location, seed: Seed::Nothing, master_key: None, options: Options::default() };
    drop(Data::open(&plain, Box::new(SystemClock)).unwrap());
    let data = Data::open(&Opening { seed: Seed::Demo, ..plain }, Box::new(SystemClock)).unwrap();
    assert_eq!((look(&data, "agents:list").len(), look(&data, "tasks:list").len()), (0, 0));
}
