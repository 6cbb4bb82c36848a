//! Validators, hydration, history, files, snapshots, skills, and the answers over HTTP.

use serde_json::{Value, json};

use super::super::{PoolFault, SkillFile, SkillRelease, WorkerStatus, names};
use super::{Bench, START, with};
use mcr_http::message::{Method, Request};

/// A call of each function that passes its validator, in the order of B.2.
fn calls() -> Vec<(&'static str, Value)> {
    let lease = json!({"workerId": "w", "messageId": "m", "leaseId": "l"});
    vec![
        ("workerControlState", json!({"workerId": "w"})),
        ("workerClaim", json!({"workerId": "w", "conversationId": "c"})),
        ("workerConversationHasQueued", json!({"conversationId": "c"})),
        ("workerHydrationBundle", json!({"messageId": "m", "workspaceId": "default"})),
        ("workerHeartbeat", lease.clone()),
        ("workerComplete", lease.clone()),
        ("workerFail", with(lease, "errorMessage", json!("e"))),
        (
            "workerAppendConversationMessages",
            json!({"conversationId": "c", "workspaceId": "default",
                "messages": [{"role": "user", "content": "hi", "at": 1.0}]}),
        ),
        ("workerAttachMessageMetadata", json!({"messageId": "m", "metadata": {"k": "v"}})),
        ("workerGenerateMediaUploadUrl", json!({})),
        ("workerGetStorageFileUrl", json!({"storageId": "s"})),
        (
            "workerPrepareSnapshotUpload",
            json!({"workerId": "w", "workspaceId": "default", "agentKey": "a", "conversationId": "c",
                "reason": "signal"}),
        ),
        (
            "workerFinalizeSnapshotUpload",
            json!({"workerId": "w", "snapshotId": "s", "storageId": "f", "sha256": "00", "sizeBytes": 1.0}),
        ),
        ("workerFailSnapshotUpload", json!({"workerId": "w", "snapshotId": "s", "error": "e"})),
        (
            "workerLatestSnapshotForRestore",
            json!({"workspaceId": "default", "agentKey": "a", "conversationId": "c"}),
        ),
        (
            "workerGlobalSkillsManifest",
            json!({"workspaceId": "default", "workerId": "w", "releaseChannel": "stable"}),
        ),
    ]
}

#[test]
fn every_function_takes_its_arguments_and_nothing_else() {
    let optional = ["conversationId", "workspaceId", "workerId", "releaseChannel"];
    assert!(names().map(|(name, _)| name).eq(calls().into_iter().map(|(name, _)| name)));
    for (name, args) in calls() {
        let bench = Bench::new();
        let refused = |args: &Value| {
            bench.try_call(name, args).is_err_and(|why| why.starts_with("ArgumentValidationError"))
        };
        assert!(bench.try_call(name, &args).is_ok(), "{name}");
        assert!(refused(&with(args.clone(), "nowMs", json!(1))), "{name}: an unknown argument");
        for field in args.as_object().expect("an object").keys() {
            assert!(refused(&with(args.clone(), field, Value::Null)), "{name}: null for {field}");
            let mut without = args.clone();
            without.as_object_mut().expect("an object").remove(field);
            let may_miss = match name {
                "workerClaim" => field == "conversationId",
                "workerAppendConversationMessages" => field == "workspaceId",
                "workerGlobalSkillsManifest" => optional.contains(&field.as_str()),
                _ => false,
            };
            assert_eq!(refused(&without), !may_miss, "{name} without {field}");
        }
    }
    let bench = Bench::new();
    let wrong = json!({"conversationId": "c", "messages": [{"role": "robot", "content": "hi"}]});
    assert!(bench.try_call("workerAppendConversationMessages", &wrong).is_err());
}

#[test]
fn hydration_needs_a_message_in_work_a_conversation_and_an_agent() {
    let bench = Bench::new();
    let id = bench.enqueue("c1", "a");
    let args = json!({"messageId": id, "workspaceId": "default"});
    assert_eq!(bench.call("workerHydrationBundle", &args), Value::Null, "queued");
    let lease = bench.lease("w1");
    let bundle = bench.call("workerHydrationBundle", &args);
    assert_eq!(bundle["telegramBotToken"], json!("1:token"));
    assert_eq!(bundle["conversationState"], json!({"contextHistory": [], "pendingToolCalls": []}));
    assert_eq!(bundle["bridgeRuntimeConfig"], Value::Null);
    assert_eq!(bundle["payload"]["messageText"], json!("hi"));
    bench.pool.remove_agent("a");
    assert_eq!(bench.call("workerHydrationBundle", &args), Value::Null, "no agent");
    bench.call("workerComplete", &lease);
    assert_eq!(bench.call("workerHydrationBundle", &args), Value::Null, "done");
}

#[test]
fn the_history_comes_from_the_cache_of_its_workspace_and_ends_at_its_limit() {
    let bench = Bench::new();
    let id = bench.enqueue("c1", "a");
    bench.claim("w1");
    let say = |count: usize, workspace: Option<&str>| {
        let list: Vec<Value> =
            (0..count).map(|n| json!({"role": "user", "content": n.to_string()})).collect();
        let args = json!({"conversationId": "c1", "messages": list});
        let args = match workspace {
            Some(name) => with(args, "workspaceId", json!(name)),
            None => args,
        };
        bench.try_call("workerAppendConversationMessages", &args)
    };
    assert_eq!(say(10, None).expect("appended"), json!({"updated": true, "messageCount": 10}));
    assert_eq!(say(70, Some("default")).expect("appended")["messageCount"], json!(80));
    let length = |workspace: &str| {
        let args = json!({"messageId": id, "workspaceId": workspace});
        bench.call("workerHydrationBundle", &args)["conversationState"]["contextHistory"]
            .as_array()
            .map(Vec::len)
    };
    assert_eq!((length("default"), length("other")), (Some(64), Some(80)));
    assert!(say(8_192 - 80, None).is_ok());
    assert!(say(1, None).is_err_and(|why| why.contains("too long")));
    let other = json!({"conversationId": "c9", "messages": []});
    let answer = bench.call("workerAppendConversationMessages", &other);
    assert_eq!(answer, json!({"updated": false, "messageCount": 0}));
}

#[test]
fn metadata_is_merged_and_ready_attachments_get_a_url() {
    let bench = Bench::new();
    let file = bench.pool.store(b"content".to_vec());
    let attachment = |status: &str| json!({"kind": "photo", "status": status, "storageId": file, "telegramFileId": "t", "expiresAt": 1});
    let payload = json!({"provider": "telegram", "providerUserId": "7", "messageText": "see",
        "attachments": [attachment("ready"), attachment("expired")]});
    let message = super::super::Enqueue::with_payload("c1", "a", payload);
    let id = bench.pool.enqueue(message).expect("enqueued");
    bench.claim("w1");
    let args = json!({"messageId": id, "metadata": {"k": "v"}});
    assert_eq!(bench.call("workerAttachMessageMetadata", &args), json!(true));
    let missing = with(args, "messageId", json!("m"));
    assert_eq!(bench.call("workerAttachMessageMetadata", &missing), json!(false));
    let bundle = bench.call("workerHydrationBundle", &json!({"messageId": id, "workspaceId": "default"}));
    assert_eq!(bundle["payload"]["metadata"], json!({"k": "v", "providerUserId": "7"}));
    let list = &bundle["payload"]["attachments"];
    assert_eq!(list[0]["downloadUrl"], json!(format!("http://pool.invalid/api/storage/{file}")));
    assert!(list[1].get("downloadUrl").is_none());
}

#[test]
fn a_snapshot_is_prepared_finished_and_found() {
    let bench = Bench::new();
    bench.pool.register_worker("w1");
    bench.pool.set_worker_status("w1", WorkerStatus::Draining);
    let key = json!({"workspaceId": "default", "agentKey": "a", "conversationId": "c1"});
    let prepare = with(with(key.clone(), "workerId", json!("w1")), "reason", json!("signal"));
    let first = bench.call("workerPrepareSnapshotUpload", &prepare);
    assert_eq!(first["expiresAt"], json!(START + 604_800_000));
    assert_eq!(bench.call("workerLatestSnapshotForRestore", &key), Value::Null, "uploading");
    let file = bench.pool.store(vec![1, 2, 3]);
    let finish = json!({"workerId": "w1", "snapshotId": first["snapshotId"], "storageId": file,
        "sha256": "aa", "sizeBytes": 3});
    let foreign = with(finish.clone(), "workerId", json!("w2"));
    assert_eq!(bench.call("workerFinalizeSnapshotUpload", &foreign), json!(false));
    assert_eq!(bench.call("workerFinalizeSnapshotUpload", &finish), json!(true));
    let worker = bench.pool.worker("w1").expect("a row");
    assert_eq!(worker.status, WorkerStatus::Stopping);
    assert_eq!(worker.last_snapshot_id.map(Value::from), Some(first["snapshotId"].clone()));
    let found = bench.call("workerLatestSnapshotForRestore", &key);
    assert_eq!((&found["sha256"], &found["sizeBytes"]), (&json!("aa"), &json!(3)));
    let second = bench.call("workerPrepareSnapshotUpload", &prepare);
    let failed = json!({"workerId": "w1", "snapshotId": second["snapshotId"], "error": "disk"});
    assert_eq!(bench.call("workerFailSnapshotUpload", &failed), json!(true));
    assert_eq!(bench.call("workerLatestSnapshotForRestore", &key), Value::Null, "only the newest counts");
    assert_eq!(bench.pool.snapshots().len(), 2);
}

/// The vector of B.10.
#[test]
fn a_manifest_has_the_digests_of_the_component() {
    let bench = Bench::new();
    let empty = bench.call("workerGlobalSkillsManifest", &json!({}));
    assert_eq!(
        empty["manifestVersion"],
        json!("2e1cfa82b035c26cbbbdae632cea070514eb8b773f616aaeaf668e2f0be8f10d")
    );
    let file = |path: &str, content: &str| SkillFile { path: path.to_owned(), content: content.to_owned() };
    bench.pool.publish(SkillRelease {
        channel: "stable".to_owned(),
        slug: "demo".to_owned(),
        version: "1.0.0".to_owned(),
        module_format: "esm".to_owned(),
        files: vec![file("scripts/index.mjs", "export default {};\n"), file("SKILL.md", "# demo\n")],
    });
    let manifest = bench.call("workerGlobalSkillsManifest", &json!({}));
    let skill = &manifest["skills"][0];
    let marker = &skill["files"][2];
    assert_eq!(skill["sha256"], json!("ece125e2201bb837dd312e65a6b9a0b6adb5b6e63fce075f0739fc86b2127e68"));
    assert_eq!(marker["sha256"], json!("41937f08ca66c1aa65af5256c202e9f4077032e933fcca60978fc5cebd4c6fac"));
    assert_eq!(marker["content"].as_str().map(str::len), Some(207));
    assert_eq!(
        manifest["manifestVersion"],
        json!("54ade31617ccf67f776bc6177c01fa5fae3e2aca5ce5b5248e58da8627cc45e8")
    );
    let canary = bench.call("workerGlobalSkillsManifest", &json!({"releaseChannel": "canary"}));
    assert_eq!(canary["skills"], json!([]));
}

#[test]
fn over_http_numbers_have_fractions_and_a_failed_function_is_status_200() {
    let bench = Bench::new();
    bench.enqueue("c1", "a");
    let post = |path: &str, body: &Value| {
        let request = Request::new(Method::Post, path).with_body(body.to_string());
        let reply = bench.pool.answer(&request);
        let text = String::from_utf8_lossy(reply.body().unwrap_or_default()).into_owned();
        (reply.status(), text)
    };
    let body = json!({"path": "agentFactory:workerClaim", "format": "json", "args": [{"workerId": "w1"}]});
    let (status, text) = post("/api/mutation", &body);
    assert_eq!(status, 200);
    assert!(text.contains("\"leaseExpiresAt\":1700000360000.0"), "{text}");
    let (status, text) = post("/api/query", &body);
    assert!(status == 200 && text.contains("\"status\":\"error\""), "{text}");
    bench.pool.plan("workerClaim", PoolFault::Overload);
    assert_eq!(post("/api/mutation", &body).0, 503);
    let before = bench.pool.calls_of("workerClaim").len();
    bench.pool.plan("workerClaim", PoolFault::LoseAnswer);
    bench.pool.plan("workerClaim", PoolFault::Cut);
    post("/api/mutation", &body);
    assert_eq!(bench.pool.calls_of("workerClaim").len(), before + 1, "a lost answer ran");
    post("/api/mutation", &body);
    assert_eq!(bench.pool.calls_of("workerClaim").len(), before + 1, "a cut call did not");
}
