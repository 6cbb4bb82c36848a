//! Claims, leases, control (worker-pool B.3 to B.5) and the recovery of leases (C.3).

use serde_json::{Value, json};

use super::super::leases::retry_delay_ms;
use super::super::rows::MessageStatus;
use super::super::{Enqueue, WorkerStatus};
use super::{Bench, START, with};

#[test]
fn a_claim_takes_the_message_the_lock_and_a_new_worker() {
    let bench = Bench::new();
    let id = bench.enqueue("c1", "a");
    let job = bench.claim("w1");
    assert_eq!(job["messageId"], json!(id));
    assert_eq!((&job["conversationId"], &job["agentKey"]), (&json!("c1"), &json!("a")));
    assert_eq!(job["leaseExpiresAt"], json!(START + 360_000));
    assert_eq!(job["payload"]["metadata"], json!({"telegramChatId": "7", "providerUserId": "7"}));
    let message = bench.pool.message(&id).expect("the message");
    assert_eq!((message.status, message.attempts), (MessageStatus::Processing, 0), "a claim is no attempt");
    let lock = bench.pool.conversation("c1").and_then(|row| row.lock).expect("a lock");
    assert_eq!((lock.worker_id.as_str(), lock.claimed_message_id), ("w1", id));
    let worker = bench.pool.worker("w1").expect("a row");
    assert_eq!((worker.status, worker.load), (WorkerStatus::Active, 1));
    assert_eq!(worker.assignment.map(|at| at.conversation_id), Some("c1".to_owned()));
}

/// What is set up before a claim.
type Set = fn(&Bench);

/// Rows of B.3, with the numbers of their rules: what is set up, and whether `w1` then gets a message.
fn check(rows: &[(&str, Set, bool)]) {
    for (what, set, gets) in rows {
        let bench = Bench::new();
        set(&bench);
        assert_eq!(!bench.claim("w1").is_null(), *gets, "{what}");
    }
}

#[test]
fn a_claim_gets_only_a_due_message_for_an_active_worker() {
    let rows: [(&str, Set, bool); 5] = [
        ("a due message", |b| drop(b.enqueue("c1", "a")), true),
        (
            "1: a worker that is not active",
            |b| {
                b.enqueue("c1", "a");
                b.pool.register_worker("w1");
                b.pool.set_worker_status("w1", WorkerStatus::Draining);
            },
            false,
        ),
        (
            "2: another conversation than the assigned one",
            |b| {
                b.enqueue("c1", "a");
                b.claim("w1");
                b.enqueue("c2", "a");
            },
            false,
        ),
        (
            "3: a message for later",
            |b| {
                let mut later = Enqueue::telegram("c1", "a", "7", "hi");
                later.scheduled_for = Some(START + 1);
                b.pool.enqueue(later).expect("enqueued");
            },
            false,
        ),
        (
            "3: the 26th due row",
            |b| {
                for _ in 0..25 {
                    b.enqueue("c0", "a");
                }
                b.claim("w0");
                for _ in 0..1 {
                    b.enqueue("c0", "a");
                }
                b.enqueue("c1", "a");
            },
            false,
        ),
    ];
    check(&rows);
}

#[test]
fn a_claim_passes_over_conversations_of_other_workers() {
    let rows: [(&str, Set, bool); 7] = [
        (
            "4: a conversation that a fresh worker owns",
            |b| {
                b.enqueue("c1", "a");
                let lease = b.lease("w0");
                b.call("workerComplete", &lease);
                b.pass(419_999);
                b.enqueue("c1", "a");
            },
            false,
        ),
        (
            "4: a conversation whose worker is stale",
            |b| {
                b.enqueue("c1", "a");
                let lease = b.lease("w0");
                b.call("workerComplete", &lease);
                b.pass(420_000);
                b.enqueue("c1", "a");
            },
            true,
        ),
        (
            "4: a conversation whose worker stopped",
            |b| {
                b.enqueue("c1", "a");
                let lease = b.lease("w0");
                b.call("workerComplete", &lease);
                b.pool.set_worker_status("w0", WorkerStatus::Stopped);
                b.enqueue("c1", "a");
            },
            true,
        ),
        (
            "4: a locked conversation",
            |b| {
                b.enqueue("c1", "a");
                b.claim("w0");
                b.pool.set_worker_status("w0", WorkerStatus::Stopped);
                b.enqueue("c1", "a");
            },
            false,
        ),
        (
            "a second message while the first is processed",
            |b| {
                b.enqueue("c1", "a");
                b.claim("w1");
                b.enqueue("c1", "a");
            },
            false,
        ),
        (
            "the next message of its own conversation",
            |b| {
                b.enqueue("c1", "a");
                let lease = b.lease("w1");
                b.call("workerComplete", &lease);
                b.enqueue("c1", "a");
            },
            true,
        ),
        ("nothing", |_| {}, false),
    ];
    check(&rows);
}

#[test]
fn a_claim_may_name_a_conversation_and_prefers_priority() {
    let bench = Bench::new();
    bench.enqueue("c1", "a");
    let mut urgent = Enqueue::telegram("c2", "a", "7", "hi");
    urgent.priority = Some(900);
    let urgent = bench.pool.enqueue(urgent).expect("enqueued");
    let other = bench.call("workerClaim", &json!({"workerId": "w9", "conversationId": "c9"}));
    assert_eq!(other, Value::Null);
    assert_eq!(bench.pool.message(&urgent).map(|row| row.priority), Some(100), "clamped");
    assert_eq!(bench.claim("w1")["messageId"], json!(urgent));
    let named = bench.call("workerClaim", &json!({"workerId": "w2", "conversationId": "c1"}));
    assert_eq!(named["conversationId"], json!("c1"));
}

#[test]
fn without_the_lease_nothing_changes() {
    let bench = Bench::new();
    let id = bench.enqueue("c1", "a");
    let lease = bench.lease("w1");
    let nothing = json!({"requeued": false, "deadLettered": false, "nextScheduledFor": null});
    for (name, value) in [("workerId", "w2"), ("leaseId", "x"), ("messageId", "m")] {
        let wrong = with(lease.clone(), name, json!(value));
        assert_eq!(bench.call("workerHeartbeat", &wrong), json!(false), "{name}");
        assert_eq!(bench.call("workerComplete", &wrong), json!(false), "{name}");
        let failed = with(wrong, "errorMessage", json!("e"));
        assert_eq!(bench.call("workerFail", &failed), nothing, "{name}");
    }
    assert_eq!(bench.pool.message(&id).map(|row| row.status), Some(MessageStatus::Processing));
    assert_eq!(bench.call("workerComplete", &lease), json!(true));
    assert_eq!(bench.call("workerComplete", &lease), json!(false), "a repeat looks like a lost lease");
}

#[test]
fn a_heartbeat_extends_the_lease_and_the_lock() {
    let bench = Bench::new();
    let id = bench.enqueue("c1", "a");
    let lease = bench.lease("w1");
    bench.pass(300_000);
    assert_eq!(bench.call("workerHeartbeat", &lease), json!(true));
    let end = Some(START + 660_000);
    assert_eq!(bench.pool.message(&id).and_then(|row| row.lease_expires_at), end);
    let lock = bench.pool.conversation("c1").and_then(|row| row.lock);
    assert_eq!(lock.map(|lock| lock.lease_expires_at), end);
    assert_eq!(bench.pool.worker("w1").map(|row| row.heartbeat_at), Some(START + 300_000));
}

#[test]
fn completion_frees_the_lock_and_keeps_the_assignment() {
    let bench = Bench::new();
    let id = bench.enqueue("c1", "a");
    let lease = bench.lease("w1");
    bench.pass(5_000);
    assert_eq!(bench.call("workerComplete", &lease), json!(true));
    assert_eq!(bench.pool.message(&id).map(|row| row.status), Some(MessageStatus::Done));
    assert_eq!(bench.pool.conversation("c1").and_then(|row| row.lock), None);
    let worker = bench.pool.worker("w1").expect("a row");
    assert_eq!((worker.load, worker.assignment.is_some()), (0, true));
    assert_eq!(worker.scheduled_shutdown_at, Some(START + 1_800_000), "from the last claim");
}

/// The vectors of B.4.
#[test]
fn the_pause_of_a_retry_is_that_of_the_component() {
    for (attempt, pause) in [(1, 1_015), (2, 2_055), (3, 4_149), (4, 8_567), (5, 17_513), (8, 120_182)] {
        assert_eq!(retry_delay_ms(attempt, START), pause, "attempt {attempt}");
    }
}

#[test]
fn the_fifth_failure_is_a_dead_letter() {
    let bench = Bench::new();
    let id = bench.enqueue("c1", "a");
    for attempt in 1..=5 {
        bench.pass(130_000);
        let failed = with(bench.lease("w1"), "errorMessage", json!(format!("e{attempt}")));
        let answer = bench.call("workerFail", &failed);
        assert_eq!(answer["requeued"], json!(attempt < 5), "attempt {attempt}");
        assert_eq!(answer["deadLettered"], json!(attempt == 5), "attempt {attempt}");
        assert_eq!(answer["nextScheduledFor"].is_null(), attempt == 5);
    }
    let message = bench.pool.message(&id).expect("the message");
    assert_eq!((message.status, message.attempts), (MessageStatus::DeadLetter, 5));
    assert_eq!(message.last_error.as_deref(), Some("e5"));
    assert!(message.dead_lettered_at.is_some());
}

#[test]
fn an_expired_lease_is_queued_again_and_counts_as_no_attempt() {
    let bench = Bench::new();
    let id = bench.enqueue("c1", "a");
    let lease = bench.lease("w1");
    bench.pass(300_000);
    assert_eq!(bench.claim("w2"), Value::Null, "the scheduled recovery finds a valid lease");
    bench.pass(60_999);
    assert_eq!(bench.claim("w2"), Value::Null, "expired, but the watchdog is not due");
    bench.pass(1);
    assert_eq!(bench.claim("w2")["messageId"], json!(id));
    assert_eq!(bench.call("workerHeartbeat", &lease), json!(false), "the old lease is lost");
    let message = bench.pool.message(&id).expect("the message");
    assert_eq!((message.attempts, message.claims), (0, 2));
    let old = bench.pool.worker("w1").expect("a row");
    assert_eq!((old.load, old.assignment), (0, None));
    assert_eq!(old.heartbeat_at, START + 361_000, "it looks alive");
}

#[test]
fn a_lease_can_be_taken_away() {
    let bench = Bench::new();
    let id = bench.enqueue("c1", "a");
    let lease = bench.lease("w1");
    assert!(bench.pool.lose_lease(&id));
    assert!(!bench.pool.lose_lease(&id), "no worker holds it");
    assert_eq!(bench.call("workerComplete", &lease), json!(false));
    assert_eq!(bench.claim("w1")["messageId"], json!(id));
}

/// B.5: each reason to stop.
#[test]
fn control_state_names_each_reason_to_stop() {
    let bench = Bench::new();
    assert!(bench.should_stop("w1"), "missing_worker");
    bench.pool.register_worker("w1");
    assert!(!bench.should_stop("w1"));
    bench.pass(419_999);
    assert!(!bench.should_stop("w1"));
    bench.pass(1);
    assert!(bench.should_stop("w1"), "stale_heartbeat");
    for status in [WorkerStatus::Draining, WorkerStatus::Stopping, WorkerStatus::Stopped] {
        bench.pool.register_worker("w2");
        bench.pool.set_worker_status("w2", status);
        assert!(bench.should_stop("w2"), "status_{status}");
    }
    bench.enqueue("c1", "a");
    let lease = bench.lease("w3");
    bench.call("workerComplete", &lease);
    for _ in 0..6 {
        bench.pass(300_000);
        bench.enqueue("c1", "a");
        let lease = bench.lease("w3");
        if !bench.should_stop("w3") {
            bench.call("workerComplete", &lease);
        }
    }
    assert!(!bench.should_stop("w3"), "each claim moves the shutdown");
}
