//! Skills, templates, scheduled messages and broadcasts (worker-pool B.10, C.10, C.11; F.34, F.35, F.41, F.42).

use super::*;

const SKILL: &str = "bc70e26f40b8816eb177813dda1f5f529a27a4641d45aa19cae2348a8c6a5fe9";
const SCRIPT: &str = "450f0af4f4c1ecc4c7180f2e364c8a59bfed69dd350fb6b47bce8641c2a37786";

fn demo() -> Value {
    json!({"slug": "Demo", "version": "1.0.0", "files": [
        {"path": "SKILL.md", "content": "# demo\n", "sha256": SKILL},
        {"path": "scripts/index.mjs", "content": "export default {};\n", "sha256": SCRIPT},
    ]})
}

fn manifest(world: &World, channel: &str) -> Value {
    world.ok("workerGlobalSkillsManifest", json!({"releaseChannel": channel}))
}

/// B.10, the vector.
#[test]
fn the_manifest_has_the_checksums_of_the_vector() {
    let world = World::new();
    let empty = manifest(&world, "stable");
    assert_eq!(empty["manifestVersion"], "2e1cfa82b035c26cbbbdae632cea070514eb8b773f616aaeaf668e2f0be8f10d");
    let deployed = world.ok("globalSkillsDeploy", demo());
    assert_eq!(deployed["sha256"], "ece125e2201bb837dd312e65a6b9a0b6adb5b6e63fce075f0739fc86b2127e68");
    let found = manifest(&world, "stable");
    assert_eq!(found["manifestVersion"], "54ade31617ccf67f776bc6177c01fa5fae3e2aca5ce5b5248e58da8627cc45e8");
    let skill = &found["skills"][0];
    let files: Vec<(&str, &str)> = skill["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["path"].as_str().unwrap(), file["sha256"].as_str().unwrap()))
        .collect();
    assert_eq!(
        files,
        [
            ("scripts/index.mjs", SCRIPT),
            ("SKILL.md", SKILL),
            (".af-global-skill.json", "41937f08ca66c1aa65af5256c202e9f4077032e933fcca60978fc5cebd4c6fac"),
        ]
    );
    // The worker's own check agrees.
    let parsed = serde_json::from_value(found).unwrap();
    assert_eq!(mcr_core::skills::check(&parsed).unwrap().skills[0].folder, "demo");
}

#[test]
fn a_channel_has_one_release_of_a_skill() {
    let world = World::new();
    world.ok("globalSkillsDeploy", demo());
    world.ok("globalSkillsDeploy", demo());
    let mut second = demo();
    second["version"] = json!("1.1.0");
    second["releaseChannel"] = json!("canary");
    world.ok("globalSkillsDeploy", second.clone());
    let versions = |channel: &str| manifest(&world, channel)["skills"][0]["version"].clone();
    assert_eq!((versions("stable"), versions("canary")), (json!("1.0.0"), json!("1.1.0")));
    second["releaseChannel"] = json!("stable");
    world.ok("globalSkillsDeploy", second);
    assert_eq!(versions("stable"), "1.1.0");
    assert_eq!(world.ok("globalSkillsList", json!({})).as_array().unwrap().len(), 2);
    world.ok("globalSkillsSetStatus", json!({"slug": "demo", "status": "disabled"}));
    assert_eq!(manifest(&world, "stable")["skills"], json!([]));
    assert_eq!(world.ok("globalSkillsList", json!({"status": "active"})), json!([]));
    let gone = world.ok("globalSkillsDelete", json!({"slug": "demo"}));
    assert_eq!((&gone["deletedVersions"], &gone["deletedReleases"]), (&json!(2.0), &json!(4.0)));
    assert!(world.refused("globalSkillsDelete", json!({"slug": "demo"})).contains("does not exist"));
    assert!(world.rows("globalSkillVersions").is_empty() && world.rows("globalSkillReleases").is_empty());
}

/// F.34 and F.35: a wrong bundle is refused as a whole.
#[test]
fn a_wrong_bundle_changes_nothing() {
    type Change = fn(&mut Value);
    let world = World::new();
    world.ok("globalSkillsDeploy", demo());
    let before = (world.rows("globalSkillVersions"), world.rows("globalSkillReleases"));
    let rows: [(&str, Change); 10] = [
        ("missing the required field `sha256`", |skill| {
            drop(skill["files"][0].as_object_mut().unwrap().remove("sha256"));
        }),
        ("The checksum of `SKILL.md`", |skill| skill["files"][0]["sha256"] = json!("0")),
        ("the part `..`", |skill| skill["files"][0]["path"] = json!("a/..")),
        ("the part `..`", |skill| skill["files"][0]["path"] = json!("..")),
        ("not of the form 1.2.3", |skill| skill["version"] = json!("1")),
        ("exists with another content", |skill| {
            skill["files"][0] = json!({"path": "SKILL.md", "content": "x",
                "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"});
        }),
        ("is of the format esm", |skill| skill["moduleFormat"] = json!("cjs")),
        ("more than 200000", |skill| {
            skill["files"][0]["content"] = json!("x".repeat(1_000_000));
        }),
        ("remove it from the folder", |skill| skill["files"][0]["path"] = json!(".af-global-skill.json")),
        ("The name `/` needs", |skill| skill["slug"] = json!("/")),
    ];
    for (words, change) in rows {
        let mut skill = demo();
        change(&mut skill);
        let why = world.refused("globalSkillsDeploy", skill);
        assert!(why.contains(words), "{words}: {why}");
    }
    assert_eq!((world.rows("globalSkillVersions"), world.rows("globalSkillReleases")), before);
}

/// C.11.
#[test]
fn templates_have_keys_and_count_their_use() {
    let world = World::with_agent();
    world.ok("bindUserAgent", json!({"consumerUserId": "dana", "agentKey": "support"}));
    let create = |title: &str| {
        world.ok(
            "createMessageTemplate",
            json!({"title": title, "text": " Hello ", "tags": ["B", " a ", "b", ""], "actorUserId": "u"}),
        )
    };
    let (first, second) = (create(" Good day! "), create("good day"));
    let list = || world.ok("listMessageTemplatesByCompany", json!({}));
    let row = |id: &Value| list().as_array().unwrap().iter().find(|row| row["_id"] == *id).cloned().unwrap();
    assert_eq!(
        (&row(&first)["templateKey"], &row(&second)["templateKey"]),
        (&json!("good-day"), &json!("good-day-2"))
    );
    assert_eq!((&row(&first)["tags"], &row(&first)["text"]), (&json!(["a", "b"]), &json!("Hello")));
    let args = json!({"consumerUserId": "dana", "agentKey": "support", "templateId": second});
    let sent = world.ok("sendMessageTemplateToUserAgent", args.clone());
    assert_eq!(sent["usageCount"], 1.0);
    assert_eq!(list()[0]["_id"], second, "most used first");
    let payload = world.claim("w1")["payload"].clone();
    assert_eq!((&payload["messageText"], &payload["provider"]), (&json!("Hello"), &json!("system_push")));
    assert_eq!(payload["metadata"]["source"], "message_template");
    assert_eq!(payload["metadata"]["templateKey"], "good-day-2");
    world.ok("updateMessageTemplate", json!({"templateId": first, "title": "Bye", "actorUserId": "v"}));
    assert_eq!((&row(&first)["templateKey"], &row(&first)["updatedBy"]), (&json!("bye"), &json!("v")));
    world.ok("updateMessageTemplate", json!({"templateId": second, "enabled": false, "actorUserId": "v"}));
    assert!(world.refused("sendMessageTemplateToUserAgent", args).contains("is disabled"));
    assert_eq!(list().as_array().unwrap().len(), 1);
    let large = json!({"title": "x", "text": "x".repeat(1_000_000), "tags": [], "actorUserId": "u"});
    assert!(world.refused("createMessageTemplate", large).contains("1000000 bytes, more than 65536"));
    assert_eq!(world.ok("deleteMessageTemplate", json!({"templateId": first})), true);
    assert_eq!(world.ok("deleteMessageTemplate", json!({"templateId": first})), false);
}

fn job(world: &World, further: Value) -> Value {
    let mut args = json!({"companyId": "acme", "consumerUserId": "dana", "title": "Morning", "text": "Good morning",
        "periodicity": "daily", "timezone": "Europe/Rome", "schedule": {"kind": "daily", "time": "14:00"}});
    args.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    world.ok("createPushJobCustom", args)
}

/// C.10 and F.42: a run is on time, once, and missed ones are not caught up.
#[test]
fn a_scheduled_message_runs_on_time_and_once() {
    let world = World::with_agent();
    world.ok("bindUserAgent", json!({"consumerUserId": "dana", "agentKey": "support"}));
    let id = job(&world, json!({}));
    let jobs = || world.ok("listPushJobsForUser", json!({"consumerUserId": "dana"}));
    // 14:00 in Rome is 13:00Z, one hour from now; the next day has summer time.
    assert_eq!(jobs()[0]["nextRunAt"].as_f64(), Some((START + 3_600_000) as f64));
    world.advance(3_599_999);
    world.engine.sweep().unwrap();
    assert!(world.rows("messageQueue").is_empty());
    world.advance(1);
    world.engine.sweep().unwrap();
    world.engine.sweep().unwrap();
    assert_eq!(jobs()[0]["nextRunAt"].as_f64(), Some((START + 24 * 3_600_000) as f64));
    let item = world.item("user-agent:support:dana", 0);
    let metadata = &item["payload"]["metadata"];
    assert_eq!(
        (&metadata["pushMode"], &metadata["conversationTargetSource"]),
        (&json!("scheduled"), &json!("legacy_user"))
    );
    assert_eq!(
        metadata["runKey"],
        json!(format!("scheduled:{}:{}", id.as_str().unwrap(), START + 3_600_000))
    );
    world.advance(5 * 86_400_000);
    let none = json!({"scanned": 0.0, "enqueued": 0.0, "skipped": 0.0, "failed": 0.0});
    let once = json!({"scanned": 1.0, "enqueued": 1.0, "skipped": 0.0, "failed": 0.0});
    assert_eq!(world.ok("dispatchDuePushJobs", json!({})), once);
    assert_eq!(world.ok("dispatchDuePushJobs", json!({})), none);
    assert_eq!(world.ok("triggerPushJobNow", json!({"jobId": id}))["status"], "enqueued");
    assert_eq!(world.ok("triggerPushJobNow", json!({"jobId": id}))["status"], "skipped", "at the same time");
    let runs = world.ok("listPushDispatchesByJob", json!({"jobId": id}));
    assert_eq!(runs.as_array().unwrap().len(), 3);
    let user = json!({"consumerUserId": "dana", "agentKey": "support"});
    let stats = world.ok("getUserAgentUsageStats", user.clone());
    assert_eq!(
        stats,
        json!({"totalPushJobs": 1.0, "activePushJobs": 1.0, "totalDispatches": 3.0,
            "latestDispatchAt": world.now() as f64, "contextMessages": 0.0, "queuedMessages": 3.0,
            "failedMessages": 0.0})
    );
    // Without an agent a run fails, and says so. A disabled job does not run.
    world.ok("revokeUserAgentBinding", json!({"consumerUserId": "dana"}));
    world.advance(86_400_000);
    assert_eq!(world.ok("dispatchDuePushJobs", json!({}))["failed"], 1.0);
    let runs = world.ok("listPushDispatchesByJob", json!({"jobId": id, "limit": 1}));
    assert!(runs[0]["error"].as_str().unwrap().contains("no active agent"), "{runs}");
    assert_eq!(world.ok("setPushJobEnabled", json!({"jobId": id, "enabled": false})), true);
    world.advance(86_400_000);
    assert_eq!(world.ok("dispatchDuePushJobs", json!({})), none);
    assert!(
        world
            .refused(
                "updatePushJobForAgent",
                json!({"consumerUserId": "dana", "agentKey": "support", "jobId": id})
            )
            .contains("not the active agent")
    );
}

/// A stored job that cannot be planned says so, and stops neither the other jobs nor the recovery of leases.
#[test]
fn a_bad_job_holds_nothing_back() {
    let world = World::with_agent();
    world.ok("bindUserAgent", json!({"consumerUserId": "dana", "agentKey": "support"}));
    world.enqueue("c1", "held by a dead worker");
    world.claim("w1");
    let bad = job(&world, json!({}));
    let good = job(&world, json!({}));
    let mut row = world.rows("pushJobs").into_iter().find(|row| row["_id"] == bad).unwrap();
    row["timezone"] = json!("Mars/Olympus");
    world.engine.write_row("pushJobs", row).unwrap();
    world.advance(3_600_000);
    world.engine.sweep().unwrap();
    assert_eq!(world.item("c1", 0)["status"], "queued");
    let runs = |id: &Value| world.ok("listPushDispatchesByJob", json!({"jobId": id}));
    assert_eq!(runs(&good)[0]["status"], "enqueued");
    let failed = runs(&bad);
    assert_eq!(failed[0]["status"], "failed");
    assert!(
        failed[0]["error"].as_str().unwrap().contains("time zone \"Mars/Olympus\" does not exist"),
        "{failed}"
    );
    world.advance(86_400_000);
    world.engine.sweep().unwrap();
    assert_eq!((runs(&good).as_array().unwrap().len(), runs(&bad).as_array().unwrap().len()), (2, 1));
    let jobs = world.ok("listPushJobsForUser", json!({"consumerUserId": "dana"}));
    let shown = jobs.as_array().unwrap().iter().find(|row| row["_id"] == bad).unwrap();
    assert_eq!(shown["nextRunAt"], Value::Null);
    // With its zone corrected, it runs again.
    world.ok("updatePushJob", json!({"jobId": bad, "timezone": "Europe/Rome"}));
    world.advance(86_400_000);
    world.engine.sweep().unwrap();
    assert_eq!(runs(&bad)[0]["status"], "enqueued");
}

/// An import takes only jobs that a function could have written.
#[test]
fn a_bad_job_is_not_imported() {
    let world = World::with_agent();
    job(&world, json!({}));
    let export = world.engine.export().unwrap();
    let rows: [(&str, Value, &str); 4] = [
        ("timezone", json!("Mars/Olympus"), "does not exist"),
        ("periodicity", json!("hourly"), "periodicity"),
        ("schedule", json!({"kind": "daily", "time": "25:00"}), "HH:mm"),
        ("isScheduled", json!("maybe"), "isScheduled"),
    ];
    for (field, value, words) in rows {
        let mut copy = export.clone();
        copy["tables"]["pushJobs"][0][field] = value;
        let why = World::new().engine.import(&copy).unwrap_err().to_string();
        assert!(why.contains(words), "{field}: {why}");
    }
    World::new().engine.import(&export).unwrap();
}

#[test]
fn a_job_comes_from_a_template_of_the_company() {
    let world = World::with_agent();
    let template = |further: Value| {
        let mut args = json!({"companyId": "acme", "templateKey": "monday", "title": "Plan", "text": "Plan the week",
            "periodicity": "weekly", "suggestedTimes": [{"kind": "weekly", "weekday": 1, "time": "08:00"}],
            "actorUserId": "u"});
        args.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        world.call("createPushTemplate", &args)
    };
    let id = template(json!({})).unwrap();
    assert!(template(json!({})).unwrap_err().contains("already"));
    assert!(
        template(json!({"companyId": "other", "periodicity": "daily"}))
            .unwrap_err()
            .contains("make them equal")
    );
    assert!(
        template(json!({"templateKey": "x", "periodicity": "manual"}))
            .unwrap_err()
            .contains("no suggested times")
    );
    let from = |company: &str, zone: &str| {
        let args =
            json!({"companyId": company, "consumerUserId": "dana", "templateId": id, "timezone": zone});
        world.call("createPushJobFromTemplate", &args)
    };
    assert!(from("other", "UTC").unwrap_err().contains("another company"));
    assert!(from("acme", "Mars/Olympus").unwrap_err().contains("does not exist"));
    from("acme", "UTC").unwrap();
    let jobs = world.ok("listPushJobsForUser", json!({"consumerUserId": "dana"}));
    assert_eq!(jobs.as_array().unwrap().len(), 1, "refused ones left nothing");
    assert_eq!((&jobs[0]["text"], &jobs[0]["sourceTemplateId"]), (&json!("Plan the week"), &id));
    assert_eq!(jobs[0]["schedule"], json!({"kind": "weekly", "weekday": 1.0, "time": "08:00"}));
    assert_eq!(world.ok("listPushTemplatesByCompany", json!({"companyId": "other"})), json!([]));
    assert_eq!(world.ok("deletePushTemplate", json!({"templateId": id})), true);
}

/// F.41: only the company's agents, and the bound user's chat.
#[test]
fn a_broadcast_reaches_the_company_and_its_people() {
    let world = World::with_agent();
    for (key, company, enabled) in [("a", "acme", true), ("b", "other", true), ("c", "acme", false)] {
        let args = json!({"agentKey": key, "version": "1", "secretsRef": [], "enabled": enabled, "companyId": company});
        world.ok("configureAgent", args);
    }
    let bound = json!({"consumerUserId": "dana", "agentKey": "a", "botIdentity": "1", "telegramUserId": "42",
        "telegramChatId": "43"});
    world.ok("bindUserAgent", bound);
    let args = json!({"companyId": "acme", "title": "News", "text": "We moved", "requestedBy": "robin"});
    let sent = world.ok("sendBroadcastToAllActiveAgents", args);
    assert_eq!(
        (&sent["enqueued"], &sent["failed"], &sent["totalTargets"]),
        (&json!(2.0), &json!(0.0), &json!(2.0))
    );
    let rows = world.rows("pushDispatches");
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["broadcastId"] == sent["broadcastId"] && row["status"] == "enqueued"));
    assert_eq!(world.rows("broadcasts")[0]["status"], "done");
    let chat = world.item("user-agent:a:dana", 0);
    let payload = &chat["payload"];
    assert_eq!(
        (&payload["provider"], &payload["messageText"]),
        (&json!("telegram"), &json!("News\n\nWe moved"))
    );
    assert_eq!(payload["metadata"]["telegramChatId"], "43");
    assert_eq!(world.item("broadcast:agent:support", 0)["payload"]["provider"], "system_push");
}
