//! The overview of the whole pool, and dead letters that are tried again.

use serde_json::{Value, json};

use super::World;

/// A bot's token of the fake Telegram.
const BOT: &str = "4711:AAbbccddeeffgghhiijjkkllmm";

fn overview(world: &World) -> Value {
    world.ok("getPoolOverview", json!({}))
}

/// A message that no attempt is left for.
fn dead_letter(world: &World) -> String {
    let id = world.enqueue_with("c1", "hello", json!({"maxAttempts": 1}));
    let job = world.claim("w1");
    assert_eq!(world.end("workerFail", "w1", &job)["deadLettered"], true);
    id
}

/// worker-pool B.4: all attempts are there again, and a repeated call is refused.
#[test]
fn a_dead_letter_is_tried_again_once() {
    let world = World::with_agent();
    let id = dead_letter(&world);
    let shown = &overview(&world)["deadLetters"][0];
    assert_eq!((&shown["messageId"], &shown["lastError"]), (&json!(id), &json!("it failed")));
    assert_eq!(world.claimed_text("w1"), None);
    let again = json!({"messageId": id});
    assert_eq!(world.ok("retryDeadLetter", again.clone()), true);
    let refused = world.refused("retryDeadLetter", again.clone());
    assert!(refused.contains(&format!("The message {id} is queued, not a dead letter")), "{refused}");
    let item = world.item("c1", 0);
    assert_eq!((&item["attempts"], &item["status"]), (&json!(0.0), &json!("queued")));
    let job = world.claim("w1");
    assert!(world.refused("retryDeadLetter", again.clone()).contains("is processing"));
    assert_eq!(world.end("workerComplete", "w1", &job), true);
    assert!(world.refused("retryDeadLetter", again).contains("is done"));
    let queue = overview(&world)["queue"].clone();
    assert_eq!((&queue["done"], &queue["dead_letter"]), (&json!(1.0), &json!(0.0)));
    assert!(world.refused("retryDeadLetter", json!({"messageId": "unknown"})).contains("no message unknown"));
}

/// A message with a later place in the line waits for the one that is tried again.
#[test]
fn a_dead_letter_keeps_its_place() {
    let world = World::with_agent();
    let id = dead_letter(&world);
    world.advance(1);
    world.enqueue("c1", "later");
    world.ok("retryDeadLetter", json!({"messageId": id}));
    assert_eq!(world.claimed_text("w1").as_deref(), Some("hello"));
}

#[test]
fn the_overview_shows_queue_conversations_workers_pairing_and_scheduled_messages() {
    let world = World::with_agent();
    let token = json!({"consumerUserId": "u1", "agentKey": "support", "plaintextValue": BOT});
    world.ok("importTelegramTokenForAgent", token);
    let code = world.ok("createUserAgentPairing", json!({"consumerUserId": "u1", "agentKey": "support"}));
    let waiting = overview(&world)["pairings"][0].clone();
    assert_eq!(
        (&waiting["code"], &waiting["deepLink"]),
        (&code["pairing"]["code"], &json!(code["deepLink"].as_str().unwrap()))
    );
    let shown_code = json!({"code": waiting["code"], "botIdentity": "4711", "telegramUserId": "42", "telegramChatId": "42"});
    world.ok("consumePairingCode", shown_code);
    let user = json!({"consumerUserId": "u1", "agentKey": "support", "content": "hello"});
    world.ok("sendMessageToUserAgent", user);
    let due = world.now();
    world.advance(10);
    let failed = world.claim("w1");
    world.end("workerFail", "w1", &failed);
    world.ok(
        "createPushJobCustomForAgent",
        json!({"companyId": "c", "consumerUserId": "u1", "agentKey": "support", "title": "Morning", "text": "Good morning",
            "periodicity": "daily", "timezone": "UTC", "schedule": {"kind": "daily", "time": "09:00"}}),
    );
    let seen = overview(&world);
    assert_eq!(seen["pairings"], json!([]), "the code was used");
    let binding = &seen["bindings"][0];
    assert_eq!((&binding["consumerUserId"], &binding["telegramChatId"]), (&json!("u1"), &json!("42")));
    let retry = seen["queue"]["nextRetryAt"].as_f64().unwrap();
    assert!(retry > world.now() as f64 && seen["queue"]["firstDueAt"] == retry, "{seen}");
    let talk = &seen["conversations"][0];
    assert_eq!((&talk["consumerUserId"], &talk["state"]), (&json!("u1"), &json!("waiting")));
    assert_eq!(seen["pushJobs"][0]["title"], "Morning");
    assert!(seen["pushJobs"][0]["nextRunAt"].as_f64().unwrap() > due as f64);
    assert_eq!(seen["workers"][0]["workerId"], "w1");
    world.advance(5_000);
    let job = world.claim("w1");
    let talk = &overview(&world)["conversations"][0];
    assert_eq!((&talk["state"], &talk["workerId"]), (&json!("busy"), &json!("w1")));
    assert_eq!(talk["leaseExpiresAt"], job["leaseExpiresAt"]);
    world.end("workerComplete", "w1", &job);
    assert_eq!(overview(&world)["conversations"][0]["state"], "idle");
}

/// However many messages there are, the answer is bounded.
#[test]
fn the_overview_of_a_long_queue_is_short() {
    let world = World::with_agent();
    let long = "x".repeat(10_000);
    for conversation in 0..120 {
        let id = format!("c{conversation}");
        world.enqueue_with(&id, &long, json!({"maxAttempts": 1}));
        let job = world.claim(&format!("w{conversation}"));
        world.end("workerFail", &format!("w{conversation}"), &job);
    }
    let seen = overview(&world);
    for list in ["deadLetters", "conversations", "workers"] {
        assert_eq!(seen[list].as_array().unwrap().len(), 50, "{list}");
    }
    assert_eq!(seen["conversations"][0]["conversationId"], "c119", "the newest first");
    assert_eq!(seen["queue"]["dead_letter"], 120.0);
    assert!(seen.to_string().len() < 200_000);
}
