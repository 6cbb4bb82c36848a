//! Claims (worker-pool B.3; F.12, F.13), alone and in a storm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::thread;

use super::*;
use crate::store::rows_read;

#[test]
fn a_claim_returns_the_job_and_locks_the_conversation() {
    let world = World::with_agent();
    let id = world.enqueue_with("c1", " hello ", json!({"metadata": {"a": "b"}, "providerUserId": " 42 "}));
    let job = world.claim("w1");
    assert_eq!(job["messageId"], json!(id));
    assert_eq!((&job["conversationId"], &job["agentKey"]), (&json!("c1"), &json!("support")));
    assert_eq!(job["leaseExpiresAt"].as_f64(), Some((START + 360_000) as f64));
    assert!(job["leaseId"].as_str().unwrap().starts_with(&format!("{START}-")), "{job}");
    assert_eq!(
        job["payload"],
        json!({"provider": "telegram", "providerUserId": "42", "messageText": " hello ",
            "metadata": {"a": "b", "providerUserId": "42"}})
    );
    world.enqueue("c1", "second");
    assert_eq!(world.claimed_text("w1"), None, "the lock holds the worker itself, too");
    assert_eq!(world.claimed_text("w2"), None);
    assert_eq!(world.end("workerComplete", "w1", &job), true);
    assert_eq!(world.claimed_text("w2"), None, "the conversation stays with its worker");
    assert_eq!(world.claimed_text("w1").as_deref(), Some("second"));
}

/// B.3, rules 1 to 4.
#[test]
fn who_may_claim_what() {
    let world = World::with_agent();
    world.enqueue("c1", "one");
    world.enqueue("c2", "two");
    let wants = |worker: &str, conversation: &str| {
        let args = json!({"workerId": worker, "conversationId": conversation});
        world.ok("workerClaim", args)["payload"]["messageText"].as_str().map(str::to_owned)
    };
    assert_eq!(wants("w1", "c9"), None, "an unknown conversation");
    assert_eq!(wants("w1", "c2").as_deref(), Some("two"));
    assert_eq!(wants("w1", "c1"), None, "the worker serves another conversation");
    assert_eq!(wants("w2", "c2"), None, "locked");
    assert_eq!(wants("w2", "c1").as_deref(), Some("one"));
    // A worker that drains claims nothing.
    world.advance(420_000);
    world.engine.sweep().unwrap();
    world.enqueue("c3", "three");
    assert_eq!(world.status_of("w1").as_deref(), Some("draining"));
    assert_eq!(world.claimed_text("w1"), None);
    assert_eq!(wants("w3", "c3").as_deref(), Some("three"));
}

/// B.3, rule 4: the owner of a conversation keeps it as long as it is fresh.
#[test]
fn a_silent_owner_loses_its_conversation_after_the_stale_time() {
    let world = World::with_agent();
    world.enqueue("c1", "one");
    let job = world.claim("w1");
    world.end("workerComplete", "w1", &job);
    world.enqueue("c1", "two");
    world.advance(419_999);
    assert_eq!(world.claimed_text("w2"), None);
    world.advance(1);
    assert_eq!(world.claimed_text("w2").as_deref(), Some("two"));
}

#[test]
fn priorities_and_times_decide_what_comes_first() {
    let world = World::with_agent();
    world.enqueue_with("low", "low", json!({"priority": 1}));
    world.advance(1);
    world.enqueue_with("later", "later", json!({"priority": 100, "scheduledFor": world.now() + 5_000}));
    world.enqueue_with("high", "high", json!({"priority": 1e9}));
    world.enqueue("normal", "normal");
    let claimed: Vec<_> = (1..=4).map(|number| world.claimed_text(&format!("w{number}"))).collect();
    assert_eq!(claimed, [Some("high".into()), Some("normal".into()), Some("low".into()), None]);
    world.advance(5_000);
    assert_eq!(world.claimed_text("w5").as_deref(), Some("later"));
}

/// A retry changes no order: the message behind it waits. A message for later holds nothing back.
#[test]
fn messages_of_a_conversation_keep_their_order() {
    let world = World::with_agent();
    world.enqueue_with("c1", "tomorrow", json!({"scheduledFor": world.now() + 86_400_000}));
    for text in ["one", "two", "three"] {
        world.enqueue("c1", text);
    }
    let job = world.claim("w1");
    let failed = world.end("workerFail", "w1", &job);
    assert_eq!(failed["requeued"], true);
    assert_eq!(world.claimed_text("w1"), None, "the second message does not overtake the first");
    world.advance(1_200);
    for text in ["one", "two", "three"] {
        let job = world.claim("w1");
        assert_eq!(job["payload"]["messageText"], text);
        world.end("workerComplete", "w1", &job);
    }
    assert_eq!(world.claimed_text("w1"), None);
}

/// F.12: more than 25 older rows, all locked or of low priority, hide nothing.
#[test]
fn neither_old_nor_locked_rows_hide_a_message() {
    let world = World::with_agent();
    for number in 0..40 {
        world.enqueue_with("locked", &format!("locked {number}"), json!({"priority": 90}));
    }
    assert_eq!(world.claimed_text("w1").as_deref(), Some("locked 0"));
    for number in 0..40 {
        world.enqueue_with(&format!("old {number}"), "old", json!({"priority": 10}));
    }
    world.advance(1_000);
    world.enqueue_with("new", "urgent", json!({"priority": 80}));
    assert_eq!(world.claimed_text("w2").as_deref(), Some("urgent"));
    assert_eq!(world.claimed_text("w3").as_deref(), Some("old"));
}

/// F.13: with 10,000 queued rows and 1,000 stopped workers, a claim and a poll do as much work as with none.
#[test]
fn a_claim_does_bounded_work() {
    let world = World::with_agent();
    let mut work = Vec::new();
    let measured = |name: &str, args: Value| {
        let before = rows_read();
        world.ok(name, args);
        rows_read() - before
    };
    for rows in [0, 10_000] {
        world.enqueue_with("first", "x", json!({"priority": 100}));
        for number in 0..rows / 10 {
            let id = format!("stopped {number}");
            let worker = json!({"workerId": id, "provider": "fly", "status": "stopped", "load": 0,
                "heartbeatAt": 1, "capabilities": []});
            world.engine.write_row("workers", worker).unwrap();
        }
        for number in 0..rows {
            world.enqueue_with(&format!("c{}", number % 2_000), "x", json!({"priority": number % 7}));
        }
        let worker = json!({"workerId": format!("w{rows}"), "conversationId": "first"});
        let nothing = json!({"workerId": format!("w{rows}"), "conversationId": "c9999"});
        work.push((measured("workerClaim", nothing), measured("workerClaim", worker.clone())));
        let job = world.rows("messageQueue").into_iter().find(|row| row["status"] == "processing").unwrap();
        let ends =
            json!({"workerId": worker["workerId"], "messageId": job["_id"], "leaseId": job["leaseId"]});
        world.ok("workerComplete", ends);
        world.advance(420_000);
    }
    let claimed = world.claim("another");
    assert_eq!(claimed["conversationId"], "c6", "the highest rank, and of it the oldest: {claimed}");
    assert!(work[1].0 <= 5 && work[1].1 <= 5, "{work:?}");
    let before = rows_read();
    assert_eq!(world.claim("yet another")["conversationId"], "c13");
    assert!(rows_read() - before < 20, "{} rows", rows_read() - before);
}

/// Workers on several threads, some of which die, fail and come late. Nothing is lost or doubled, and each conversation is
/// in order.
#[test]
fn a_storm_of_workers_keeps_the_order_and_loses_nothing() {
    const CONVERSATIONS: usize = 12;
    const MESSAGES: usize = 20;
    let world = World::with_agent();
    for number in 0..MESSAGES {
        for conversation in 0..CONVERSATIONS {
            let further = json!({"maxAttempts": 1_000});
            world.enqueue_with(&format!("c{conversation}"), &format!("{number}"), further);
        }
    }
    let done: Mutex<BTreeMap<String, Vec<String>>> = Mutex::default();
    let held: Mutex<BTreeSet<String>> = Mutex::default();
    let count = || done.lock().unwrap().values().map(Vec::len).sum::<usize>();
    thread::scope(|scope| {
        for lane in 0..6_u32 {
            let (world, done, held, count) = (&world, &done, &held, &count);
            scope.spawn(move || {
                let (mut turn, mut life) = (0_u32, 0);
                while count() < CONVERSATIONS * MESSAGES {
                    turn += 1;
                    let worker = format!("lane {lane} life {life}");
                    let job = world.claim(&worker);
                    let Some(conversation) = job["conversationId"].as_str() else {
                        // Time passes, so that silent workers lose their leases and idle ones their conversations.
                        world.advance(20_000);
                        world.engine.sweep().unwrap();
                        life += u32::from(world.should_stop(&worker));
                        continue;
                    };
                    let is_first = held.lock().unwrap().insert(conversation.to_owned());
                    let text = job["payload"]["messageText"].as_str().unwrap().to_owned();
                    match (turn + lane) % 5 {
                        // The worker dies: its lease must expire.
                        0 => {
                            held.lock().unwrap().remove(conversation);
                            life += 1;
                        }
                        1 => {
                            held.lock().unwrap().remove(conversation);
                            world.end("workerFail", &worker, &job);
                        }
                        _ => {
                            let mut books = done.lock().unwrap();
                            held.lock().unwrap().remove(conversation);
                            if world.end("workerComplete", &worker, &job) == true {
                                assert!(is_first, "two workers hold {conversation}");
                                books.entry(conversation.to_owned()).or_default().push(text);
                            }
                        }
                    }
                }
            });
        }
    });
    let expected: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    let books = done.into_inner().unwrap();
    assert_eq!(books.len(), CONVERSATIONS);
    for (conversation, texts) in books {
        assert_eq!(texts, expected, "{conversation}");
    }
    let stats = world.ok("queueStats", json!({}));
    assert_eq!(stats, json!({"queuedReady": 0.0, "processing": 0.0, "deadLetter": 0.0}));
}
