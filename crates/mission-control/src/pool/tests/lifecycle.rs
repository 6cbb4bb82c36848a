//! Workers from their first claim to the end (worker-pool B.5; F.14, F.23).

use super::*;

fn job_done(world: &World, worker: &str, conversation: &str) {
    world.enqueue(conversation, "x");
    let job = world.claim(worker);
    assert_eq!(world.end("workerComplete", worker, &job), true, "{job}");
}

/// B.5: each reason to stop.
#[test]
fn when_a_worker_must_stop() {
    let world = World::with_agent();
    assert!(world.should_stop("unknown"));
    job_done(&world, "w1", "c1");
    assert!(!world.should_stop("w1"));
    world.advance(419_999);
    assert!(!world.should_stop("w1"));
    world.advance(1);
    assert!(world.should_stop("w1"), "stale");
    world.engine.sweep().unwrap();
    assert_eq!(world.status_of("w1").as_deref(), Some("draining"));
    assert!(world.should_stop("w1"), "not active");
}

/// F.14: a worker that polls is alive until its idle time ends.
#[test]
fn an_idle_worker_that_polls_lives_for_its_idle_time() {
    let world = World::with_agent();
    job_done(&world, "w1", "c1");
    for minute in 1..30 {
        world.advance(60_000);
        world.engine.sweep().unwrap();
        assert_eq!(world.claimed_text("w1"), None);
        assert!(!world.should_stop("w1"), "after {minute} minutes");
    }
    world.advance(60_000);
    assert!(world.should_stop("w1"));
    world.engine.sweep().unwrap();
    assert_eq!(world.status_of("w1").as_deref(), Some("draining"));
}

#[test]
fn a_final_snapshot_lets_a_draining_worker_stop() {
    let world = World::with_agent();
    job_done(&world, "w1", "c1");
    world.advance(420_000);
    world.engine.sweep().unwrap();
    let prepared = world.ok(
        "workerPrepareSnapshotUpload",
        json!({"workerId": "w1", "workspaceId": "default", "agentKey": "support", "conversationId": "c1",
            "reason": "signal"}),
    );
    let secret = prepared["uploadUrl"].as_str().unwrap().rsplit_once('=').unwrap().1;
    let file = world.engine.take_upload(secret, "application/gzip", b"archive").unwrap();
    let sum = "0f5e1e9e9f0a9c7c";
    let args = json!({"workerId": "w1", "snapshotId": prepared["snapshotId"], "storageId": file, "sha256": sum,
        "sizeBytes": 7});
    assert!(world.refused("workerFinalizeSnapshotUpload", args.clone()).contains("upload it again"));
    let mut args = args;
    args["sha256"] = json!(world.rows("_storage")[0]["sha256"]);
    assert_eq!(world.ok("workerFinalizeSnapshotUpload", args), true);
    assert_eq!(world.status_of("w1").as_deref(), Some("stopping"));
    world.engine.sweep().unwrap();
    assert_eq!(world.status_of("w1").as_deref(), Some("stopped"));
    // Its conversation is free, and its row is removed later (F.13).
    world.enqueue("c1", "two");
    assert_eq!(world.claimed_text("w2").as_deref(), Some("two"));
    world.advance(8 * 86_400_000);
    world.engine.sweep().unwrap();
    assert_eq!(world.status_of("w1"), None);
}

/// F.23: a worker that never sends its snapshot does not drain for ever.
#[test]
fn draining_has_a_limit() {
    let world = World::with_agent();
    job_done(&world, "w1", "c1");
    world.advance(420_000);
    world.engine.sweep().unwrap();
    world.advance(899_999);
    world.engine.sweep().unwrap();
    assert_eq!(world.status_of("w1").as_deref(), Some("draining"));
    world.advance(1);
    let done = world.ok("startWorkers", json!({}));
    assert_eq!(done, json!({"activeWorkers": 0.0, "spawned": 0.0, "terminated": 0.0}));
    assert_eq!(world.status_of("w1").as_deref(), Some("stopped"));
}

/// B.5: the allowed steps.
#[test]
fn no_step_is_skipped_and_nothing_leaves_the_end() {
    use super::super::lifecycle::advance;
    use super::super::rows::Worker;
    let life = ["active", "draining", "stopping", "stopped"];
    for (from, one) in life.iter().enumerate() {
        for (to, other) in life.iter().enumerate() {
            let mut row = Worker { status: (*one).to_owned(), ..Worker::default() };
            let is_allowed = to == from || to == from + 1;
            assert_eq!(advance(&mut row, other).is_ok(), is_allowed, "{one} to {other}");
        }
    }
}

/// F.24 to F.26: nothing is spawned, and no provider is asked.
#[test]
fn machines_are_left_to_other_commands() {
    let world = World::with_agent();
    for number in 0..20 {
        world.enqueue(&format!("c{number}"), "x");
    }
    assert_eq!(world.ok("startWorkers", json!({}))["spawned"], 0.0);
    assert_eq!(
        world.ok("checkIdleShutdowns", json!({})),
        json!({"checked": 0.0, "stopped": 0.0, "pending": 0.0, "nextCheckScheduled": false})
    );
    for (name, args) in
        [("runFlyCleanup", json!({})), ("deleteFlyVolume", json!({"appName": "a", "volumeId": "v"}))]
    {
        assert!(world.refused(name, args).contains("manages no machines"), "{name}");
    }
    let provider = json!({"kind": "fly", "appName": "a", "organizationSlug": "o", "image": "i", "region": "r",
        "volumeName": "v", "volumePath": "/data", "volumeSizeGb": 10});
    assert!(
        world
            .refused("setProviderRuntimeConfig", json!({"providerConfig": provider}))
            .contains("no machines")
    );
    assert_eq!(world.ok("getProviderRuntimeConfig", json!({})), Value::Null);
}

/// One sweep removes whatever is over, however much there is.
#[test]
fn a_backlog_is_removed_in_one_sweep() {
    let world = World::with_agent();
    for _ in 0..250 {
        world.ok("workerGenerateMediaUploadUrl", json!({}));
    }
    world.advance(3_599_000);
    world.ok("workerGenerateMediaUploadUrl", json!({}));
    world.advance(2_000);
    world.engine.sweep().unwrap();
    assert_eq!(world.rows("uploadAddresses").len(), 1, "the one that is valid stays");
}
