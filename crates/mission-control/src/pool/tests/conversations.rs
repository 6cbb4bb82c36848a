//! Hydration, histories, secrets and snapshots (worker-pool B.2, B.9, C.6; F.18, F.21, F.30, F.32, F.38, F.39).

use super::*;

fn hydrated(world: &World, message: &Value) -> Value {
    world.ok("workerHydrationBundle", json!({"messageId": message, "workspaceId": "default"}))
}

#[test]
fn the_bundle_has_everything_that_a_worker_needs() {
    let world = World::with_agent();
    world.ok("importSecret", json!({"secretRef": "telegram.botToken.support", "plaintextValue": "1:old"}));
    world.ok(
        "importSecret",
        json!({"secretRef": "telegram.botToken.support", "plaintextValue": "1:new \u{1f511}"}),
    );
    world.ok("importSecret", json!({"secretRef": "agent-bridge.serviceKey", "plaintextValue": "key"}));
    world.ok("importSecret", json!({"secretRef": "agent-bridge.serviceId.support", "plaintextValue": "own"}));
    world.ok("importSecret", json!({"secretRef": "agent-bridge.serviceId", "plaintextValue": "all"}));
    world.ok(
        "configureAgent",
        json!({"agentKey": "support", "version": "2", "enabled": true, "botIdentity": "1",
            "secretsRef": ["telegram.botToken.support"],
            "bridgeConfig": {"enabled": true, "baseUrl": "https://bridge.test"}}),
    );
    world.enqueue("c1", "hello");
    assert_eq!(hydrated(&world, &json!("unknown")), Value::Null);
    let queued = world.item("c1", 0)["_id"].clone();
    assert_eq!(hydrated(&world, &queued), Value::Null, "not in work yet");
    let job = world.claim("w1");
    let bundle = hydrated(&world, &job["messageId"]);
    assert_eq!(bundle["payload"], job["payload"]);
    assert_eq!(bundle["telegramBotToken"], "1:new \u{1f511}");
    assert_eq!(
        bundle["bridgeRuntimeConfig"],
        json!({"baseUrl": "https://bridge.test", "appBaseUrlMapJson": null, "serviceId": "own", "appKey": null,
            "serviceKey": "key", "serviceKeySecretRef": "agent-bridge.serviceKey", "botIdentity": "1"})
    );
    let empty = json!({"contextHistory": [], "pendingToolCalls": []});
    assert_eq!(bundle["conversationState"], empty);
    let status = world.ok("secretStatus", json!({"secretRefs": ["telegram.botToken.support", "none"]}));
    assert_eq!(
        status,
        json!([{"secretRef": "telegram.botToken.support", "hasActive": true, "version": 2.0},
            {"secretRef": "none", "hasActive": false, "version": null}])
    );
    // F.30: nothing of a secret is readable in the tables.
    let stored = world.engine.export().unwrap().to_string();
    assert!(!stored.contains("1:new") && !stored.contains("1:old"));
}

/// F.32: strangers can call nothing, and workers only their functions.
#[test]
fn every_function_has_a_guard() {
    let world = World::with_agent();
    for function in pool::FUNCTIONS.iter().copied().flatten() {
        let name = function.path.strip_prefix("agentFactory:").unwrap();
        // Workers call these two on a schedule, where the deployment has no cron.
        let is_of_worker = name.starts_with("worker") && name != "workerStats"
            || matches!(name, "startWorkers" | "dispatchDuePushJobs");
        let ask = |caller| {
            let args = json!({"unknown": 1});
            world.call_as(caller, function.kind, name, &args).unwrap_err()
        };
        // Arguments are checked first, as on the platform; so the guard is asked directly.
        assert!(ask(Caller::Stranger).contains("ArgumentValidationError"), "{name}");
        assert_eq!(function.guard == crate::function::Guard::Worker, is_of_worker, "{name}");
    }
    let args = json!({"workerId": "w1"});
    let refused = world.call_as(Caller::Stranger, Kind::Mutation, "workerClaim", &args).unwrap_err();
    assert!(refused.contains("Authorization: Bearer TOKEN"), "{refused}");
    for (kind, name) in [(Kind::Action, "startWorkers"), (Kind::Mutation, "dispatchDuePushJobs")] {
        world.call_as(Caller::Worker, kind, name, &json!({})).unwrap();
        assert!(world.call_as(Caller::Stranger, kind, name, &json!({})).is_err(), "{name}");
    }
    for (kind, name) in [
        (Kind::Query, "queueStats"),
        (Kind::Query, "workerStats"),
        (Kind::Action, "recoverQueue"),
        (Kind::Action, "runFlyCleanup"),
    ] {
        assert!(
            world.call_as(Caller::Worker, kind, name, &json!({})).unwrap_err().contains("Unauth"),
            "{name}"
        );
    }
    let args = json!({"agentKey": "support"});
    assert!(world.call_as(Caller::Worker, Kind::Action, "getWebhookReadiness", &args).is_err());
}

/// F.38: a history has no end. F.39: the system prompt is no part of the user's text.
#[test]
fn a_long_history_goes_on_and_does_not_contain_the_system_prompt() {
    let world = World::with_agent();
    world.ok("setMessageRuntimeConfig", json!({"messageConfig": {"systemPrompt": " Be brief. "}}));
    world.enqueue("c1", "hello");
    let job = world.claim("w1");
    let line = |number: usize| json!({"role": "user", "content": format!("{number}"), "at": number});
    for part in 0..10 {
        let messages: Vec<Value> = (0..1_000).map(|number| line(part * 1_000 + number)).collect();
        let args = json!({"conversationId": "c1", "messages": messages});
        let appended = world.ok("workerAppendConversationMessages", args);
        assert_eq!(appended, json!({"updated": true, "messageCount": (part + 1) as f64 * 1_000.0}));
    }
    let bundle = hydrated(&world, &job["messageId"]);
    let history = bundle["conversationState"]["contextHistory"].as_array().unwrap();
    assert_eq!(history.len(), 8_193);
    assert_eq!(history[8_191]["content"], "9999");
    assert_eq!(
        (&history[8_192]["role"], &history[8_192]["content"]),
        (&json!("system"), &json!("Be brief."))
    );
    assert_eq!(bundle["payload"]["messageText"], "hello");
    // A worker of the same workspace gets the last 64.
    let long = "\u{e9}".repeat(100_000);
    let args = json!({"conversationId": "c1", "workspaceId": "default",
        "messages": [{"role": "assistant", "content": long}]});
    world.ok("workerAppendConversationMessages", args);
    let history = hydrated(&world, &job["messageId"])["conversationState"]["contextHistory"].clone();
    assert_eq!(history.as_array().unwrap().len(), 65);
    let last = history[63]["content"].as_str().unwrap();
    assert!(
        last.len() < 140_000 && last.ends_with("[cut: 68928 more bytes]"),
        "{}",
        &last[last.len() - 40..]
    );
    let none = json!({"conversationId": "c9", "messages": []});
    assert_eq!(
        world.ok("workerAppendConversationMessages", none),
        json!({"updated": false, "messageCount": 0.0})
    );
}

/// The bundle of a long history of long messages has a bounded size, and the newest message is never left out.
#[test]
fn a_bundle_has_about_a_mebibyte_of_history() {
    let world = World::with_agent();
    world.enqueue("c1", "hello");
    let job = world.claim("w1");
    for number in 0..30 {
        let content = format!("{number} {}", "x".repeat(100_000));
        let args = json!({"conversationId": "c1", "messages": [{"role": "user", "content": content}]});
        world.ok("workerAppendConversationMessages", args);
    }
    let bundle = hydrated(&world, &job["messageId"]);
    let history = bundle["conversationState"]["contextHistory"].as_array().unwrap();
    let numbers: Vec<&str> =
        history.iter().map(|line| line["content"].as_str().unwrap().split(' ').next().unwrap()).collect();
    assert_eq!(numbers, ["20", "21", "22", "23", "24", "25", "26", "27", "28", "29"]);
    assert!(bundle.to_string().len() < 1_100_000, "{}", bundle.to_string().len());
}

#[test]
fn metadata_are_added_to_a_message() {
    let world = World::with_agent();
    let id = world.enqueue("c1", "hello");
    let args = json!({"messageId": id, "metadata": {"convexAttachmentPath1": "/x", "providerUserId": "43"}});
    assert_eq!(world.ok("workerAttachMessageMetadata", args), true);
    assert_eq!(
        world.claim("w1")["payload"]["metadata"],
        json!({"convexAttachmentPath1": "/x", "providerUserId": "43"})
    );
    let unknown = json!({"messageId": "nothing", "metadata": {}});
    assert_eq!(world.ok("workerAttachMessageMetadata", unknown), false);
    let large = json!({"messageId": id, "metadata": {"x": "y".repeat(100_000)}});
    assert!(world.refused("workerAttachMessageMetadata", large).contains("more than 65536"));
}

fn prepare(world: &World, conversation: &str) -> (Value, String) {
    let prepared = world.ok(
        "workerPrepareSnapshotUpload",
        json!({"workerId": "w1", "workspaceId": "default", "agentKey": "support",
            "conversationId": conversation, "reason": "manual"}),
    );
    let secret = prepared["uploadUrl"].as_str().unwrap().rsplit_once('=').unwrap().1.to_owned();
    (prepared["snapshotId"].clone(), secret)
}

fn finalize(world: &World, snapshot: &Value, secret: &str, content: &[u8]) -> Value {
    let file = world.engine.take_upload(secret, "application/gzip", content).unwrap();
    let stored = world.rows("_storage").into_iter().find(|row| row["_id"] == json!(file)).unwrap();
    let args = json!({"workerId": "w1", "snapshotId": snapshot, "storageId": file, "sha256": stored["sha256"],
        "sizeBytes": stored["size"]});
    assert_eq!(world.ok("workerFinalizeSnapshotUpload", args.clone()), true);
    assert_eq!(world.ok("workerFinalizeSnapshotUpload", args), true, "a repeat after a lost answer");
    json!(file)
}

fn latest(world: &World, conversation: &str) -> Value {
    let args = json!({"workspaceId": "default", "agentKey": "support", "conversationId": conversation});
    world.ok("workerLatestSnapshotForRestore", args)
}

/// F.17, F.18 and F.21.
#[test]
fn the_newest_good_snapshot_is_restored_and_expires_with_its_file() {
    let world = World::with_agent();
    world.enqueue("c1", "hello");
    world.enqueue("c2", "hello");
    assert_eq!(latest(&world, "c1"), Value::Null);
    let (first, secret) = prepare(&world, "c1");
    let file = finalize(&world, &first, &secret, b"first archive");
    assert!(world.engine.take_upload(&secret, "a/b", b"x").is_err(), "an address is used once");
    // A failed one and an unfinished one hide nothing.
    world.advance(1_000);
    let (failed, _) = prepare(&world, "c1");
    let args = json!({"workerId": "w1", "snapshotId": failed, "error": "disk full"});
    assert_eq!(world.ok("workerFailSnapshotUpload", args), true);
    let (_, late) = prepare(&world, "c1");
    let found = latest(&world, "c1");
    assert_eq!((&found["snapshotId"], &found["sizeBytes"]), (&first, &json!(13.0)));
    assert_eq!(found["downloadUrl"], json!(format!("http://mc.test/api/storage/{}", file.as_str().unwrap())));
    assert_eq!(latest(&world, "c2"), Value::Null, "another conversation");
    let stored = world.engine.stored_file(file.as_str().unwrap()).unwrap().unwrap();
    assert_eq!(stored, ("application/gzip".to_owned(), b"first archive".to_vec()));
    // A new one comes first, and the old one stays: its lineage is listed.
    let (second, secret) = prepare(&world, "c1");
    finalize(&world, &second, &secret, b"second");
    assert_eq!(latest(&world, "c1")["snapshotId"], second);
    let listed = world.ok("listSnapshotsForConversation", json!({"conversationId": "c1"}));
    let states: Vec<&str> =
        listed.as_array().unwrap().iter().map(|row| row["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["ready", "uploading", "failed", "ready"]);
    assert_eq!(world.rows("dataSnapshots")[3]["previousSnapshotId"], first);
    // Another worker's snapshot cannot be finished.
    let args = json!({"workerId": "w2", "snapshotId": failed, "error": "x"});
    assert_eq!(world.ok("workerFailSnapshotUpload", args), false);
    world.advance(8 * 86_400_000);
    assert!(world.engine.take_upload(&late, "a/b", b"x").is_err(), "the address has expired");
    for _ in 0..3 {
        world.engine.sweep().unwrap();
    }
    assert_eq!((latest(&world, "c1"), world.rows("_storage").len()), (Value::Null, 0));
    assert!(world.engine.stored_file(file.as_str().unwrap()).unwrap().is_none());
    let missing = json!({"workerId": "w1", "workspaceId": "default", "agentKey": "other", "conversationId": "c1",
        "reason": "manual"});
    assert!(world.refused("workerPrepareSnapshotUpload", missing).contains("has no conversation c1"));
}
