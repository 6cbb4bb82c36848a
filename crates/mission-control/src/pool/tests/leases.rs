//! Leases (worker-pool B.4; F.10, F.11).

use super::*;

/// The lease operations with one wrong part each.
#[test]
fn without_the_lease_nothing_changes() {
    let world = World::with_agent();
    world.enqueue("c1", "one");
    let job = world.claim("w1");
    let before = world.rows("messageQueue");
    let good = json!({"workerId": "w1", "messageId": job["messageId"], "leaseId": job["leaseId"]});
    let other = world.enqueue("c2", "two");
    let before = [before, world.rows("messageQueue").split_off(1)].concat();
    for (field, value) in
        [("workerId", "w2"), ("leaseId", "another"), ("messageId", "unknown"), ("messageId", other.as_str())]
    {
        let mut args = good.clone();
        args[field] = json!(value);
        assert_eq!(world.ok("workerHeartbeat", args.clone()), false, "{field}");
        assert_eq!(world.ok("workerComplete", args.clone()), false, "{field}");
        args["errorMessage"] = json!("x");
        assert_eq!(
            world.ok("workerFail", args),
            json!({"requeued": false, "deadLettered": false, "nextScheduledFor": null})
        );
    }
    assert_eq!(world.rows("messageQueue"), before);
    assert_eq!(world.end("workerComplete", "w1", &job), true);
    assert_eq!(world.end("workerComplete", "w1", &job), false, "a repeat looks like a lost lease");
    assert_eq!(world.end("workerHeartbeat", "w1", &job), false);
}

#[test]
fn a_heartbeat_extends_lease_lock_and_life() {
    let world = World::with_agent();
    world.enqueue("c1", "one");
    let job = world.claim("w1");
    for _ in 0..5 {
        world.advance(300_000);
        assert_eq!(world.end("workerHeartbeat", "w1", &job), true);
        world.engine.sweep().unwrap();
        assert!(!world.should_stop("w1"));
    }
    assert_eq!(world.claimed_text("w2"), None);
    let lock = &world.rows("conversations")[0]["lock"];
    assert_eq!(lock["leaseExpiresAt"].as_f64(), Some((world.now() + 360_000) as f64));
    world.advance(360_000);
    assert_eq!(world.claimed_text("w2").as_deref(), Some("one"), "the claim itself recovers the lease");
    assert_eq!(world.end("workerHeartbeat", "w1", &job), false);
}

/// B.4: attempts, pauses, the dead letter.
#[test]
fn the_fifth_failure_is_the_last() {
    let world = World::with_agent();
    world.enqueue("c1", "one");
    world.enqueue("c1", "two");
    for attempt in 1..=5 {
        let job = world.claim("w1");
        assert_eq!(job["payload"]["messageText"], "one", "{attempt}");
        let failed = world.end("workerFail", "w1", &job);
        let item = world.item("c1", 1);
        assert_eq!(
            (&item["attempts"], &item["lastError"]),
            (&json!(f64::from(attempt)), &json!("it failed"))
        );
        if attempt < 5 {
            let next = failed["nextScheduledFor"].as_f64().unwrap();
            let base = f64::from(1_000 << (attempt - 1));
            let pause = next - world.now() as f64;
            assert!((base..=base * 1.1).contains(&pause), "{attempt}: {pause}");
            assert_eq!((&failed["requeued"], &failed["deadLettered"]), (&json!(true), &json!(false)));
            assert_eq!((&item["scheduledFor"], &item["status"]), (&json!(next), &json!("queued")));
            world.advance(pause as i64);
        } else {
            assert_eq!(failed, json!({"requeued": false, "deadLettered": true, "nextScheduledFor": null}));
            assert_eq!(item["status"], "dead_letter");
        }
    }
    assert_eq!(world.claimed_text("w1").as_deref(), Some("two"), "a dead letter holds nothing back");
}

/// F.10: a message that kills its workers ends as a dead letter.
#[test]
fn an_expired_lease_counts_as_an_attempt() {
    let world = World::with_agent();
    world.enqueue_with("c1", "poison", json!({"maxAttempts": 3}));
    for number in 1..=3 {
        assert_eq!(world.claimed_text(&format!("w{number}")).as_deref(), Some("poison"));
        world.advance(360_000);
        let released = world.ok("releaseStuckJobs", json!({}));
        assert_eq!(released, json!({"requeued": 1.0, "unlocked": 1.0}));
    }
    let item = world.item("c1", 0);
    assert_eq!((&item["status"], &item["attempts"]), (&json!("dead_letter"), &json!(3.0)));
    assert_eq!(item["lastError"], "The lease of the worker w3 expired");
    assert_eq!(world.claimed_text("w4"), None);
}

/// F.11: the dead worker does not look alive, and its conversation is free at once.
#[test]
fn recovery_does_not_revive_the_dead_worker() {
    let world = World::with_agent();
    world.enqueue("c1", "one");
    world.claim("w1");
    world.advance(360_000);
    world.ok("recoverQueue", json!({}));
    let worker = &world.rows("workers")[0];
    assert_eq!(worker["heartbeatAt"].as_f64(), Some(START as f64));
    assert_eq!((&worker["load"], worker.get("assignment")), (&json!(0.0), None));
    assert_eq!(world.claimed_text("w2").as_deref(), Some("one"));
    world.advance(60_000);
    world.engine.sweep().unwrap();
    assert_ne!(world.status_of("w1").as_deref(), Some("active"));
}

/// The time of a caller finds leases. It does not park what they held.
#[test]
fn a_release_as_of_later_makes_messages_due_now() {
    let world = World::with_agent();
    let ten_years = world.now() + 10 * 365 * 86_400_000;
    for name in ["releaseStuckJobs", "recoverQueue"] {
        let (dead, next) = (format!("dead-{name}"), format!("next-{name}"));
        world.enqueue(name, "one");
        assert_eq!(world.claimed_text(&dead).as_deref(), Some("one"), "{name}");
        world.ok(name, json!({"nowMs": ten_years}));
        let item = world.item(name, 0);
        assert_eq!(
            (&item["status"], item["scheduledFor"].as_f64()),
            (&json!("queued"), Some(world.now() as f64)),
            "{name}"
        );
        assert_eq!(world.claimed_text(&next).as_deref(), Some("one"), "{name}");
        let before = world.ok(name, json!({"nowMs": -1}));
        let count = before.get("released").unwrap_or(&before);
        assert_eq!(count["requeued"], 0.0, "{name}: no lease had expired then");
        let job = &world.rows("messageQueue").into_iter().find(|row| row["conversationId"] == name).unwrap();
        let end = json!({"workerId": next, "messageId": job["_id"], "leaseId": job["leaseId"]});
        assert_eq!(world.ok("workerComplete", end), true);
    }
}
