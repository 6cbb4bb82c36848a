//! Bindings, pairing, webhooks and updates (worker-pool C.7, C.8; F.7, F.31, F.33, F.36, F.40).

use super::*;

const SITE: &str = "https://pool.example.cloud/";

fn token(bot: &str) -> String {
    format!("{bot}:{}", "A".repeat(35))
}

/// Gives an agent its bot, and tells Telegram. Returns the secret that Telegram has.
fn with_bot(world: &World, agent: &str, bot: &str) -> String {
    let args = json!({"consumerUserId": "dana", "agentKey": agent, "plaintextValue": token(bot)});
    world.ok("importTelegramTokenForAgent", args);
    let done = world.ok("configureTelegramWebhook", json!({"convexSiteUrl": SITE, "agentKey": agent}));
    assert_eq!((&done["isReady"], &done["botIdentity"]), (&json!(true), &json!(bot)), "{done}");
    assert_eq!(done["webhookUrl"], "https://pool.example.site/agent-factory/telegram/webhook");
    world.telegram.secret_of(bot)
}

fn text(update: u32, person: i64, text: &str) -> Value {
    json!({"update_id": update, "message": {"message_id": 7, "text": text, "chat": {"id": person},
        "from": {"id": person}}})
}

fn send(world: &World, secret: &str, update: &Value) -> (u16, Value) {
    world.engine.receive_update(secret, update.to_string().as_bytes())
}

/// Binds a user to an agent through a pairing code.
fn pair(world: &World, secret: &str, user: &str, agent: &str, update: u32, person: i64) {
    let code = world.ok("createPairingCode", json!({"consumerUserId": user, "agentKey": agent}));
    let code = code["code"].as_str().unwrap().to_owned();
    let answer = send(world, secret, &text(update, person, &format!("/start@bot_1 {code}")));
    assert_eq!(answer.1["pairing"], json!({"status": "used", "consumerUserId": user, "agentKey": agent}));
}

/// F.40: each step of the onboarding is reached.
#[test]
fn the_onboarding_can_be_completed() {
    let world = World::with_agent();
    let state =
        || world.ok("getUserAgentOnboardingState", json!({"consumerUserId": "dana", "agentKey": "support"}));
    assert_eq!(state()["nextAction"], "import_token");
    let args = json!({"consumerUserId": "dana", "agentKey": "support", "plaintextValue": token("1")});
    let imported = world.ok("importTelegramTokenForAgent", args);
    assert_eq!(imported["secretRef"], "telegram.botToken.support");
    assert_eq!(state()["nextAction"], "configure_webhook");
    world.ok("configureTelegramWebhook", json!({"convexSiteUrl": SITE, "agentKey": "support"}));
    assert_eq!(state()["nextAction"], "create_pairing");
    let made = world.ok("createUserAgentPairing", json!({"consumerUserId": "dana", "agentKey": "support"}));
    let code = made["pairing"]["code"].as_str().unwrap().to_owned();
    assert_eq!(made["deepLink"], json!(format!("https://t.me/bot_1?start={code}")));
    let now = state();
    assert_eq!(
        (&now["nextAction"], &now["pairingDeepLink"]),
        (&json!("complete_pairing"), &made["deepLink"])
    );
    let secret = world.telegram.secret_of("1");
    assert_eq!(send(&world, &secret, &text(1, 42, &format!("/start {code}"))).0, 200);
    assert_eq!(state()["nextAction"], "ready");
    let agent = world.ok("getActiveUserAgent", json!({"consumerUserId": "dana"}));
    assert_eq!((&agent["status"], &agent["canChat"]), (&json!("active"), &json!(true)));
    let args = json!({"consumerUserId": "dana", "agentKey": "support"});
    let ready = world.ok("getAgentOperationalReadiness", args.clone());
    assert_eq!(ready["issues"], json!(["missing_message_runtime_config"]));
    assert_eq!(world.ok("getWebhookReadiness", json!({"agentKey": "support"}))["webhookReady"], true);
    assert_eq!(
        world.ok("revokeUserAgentBinding", json!({"consumerUserId": "dana"})),
        json!({"revoked": 1.0})
    );
    assert_eq!(world.ok("getUserAgent", args)["status"], "disabled");
}

/// F.31: nobody who knows the bot can forge an update.
#[test]
fn a_forged_secret_is_refused() {
    let world = World::with_agent();
    world.add_agent("sales");
    let first = with_bot(&world, "support", "1");
    let other = with_bot(&world, "sales", "2");
    pair(&world, &first, "dana", "support", 1, 42);
    let hook = text(2, 42, "hello");
    let shortened = &first[..first.len() - 1];
    for forged in ["", "af_v1_1", "af:v1:1", "af_v1_1_", "af_v1_3_00", shortened, &first.to_uppercase()] {
        assert_eq!(send(&world, forged, &hook).0, 403, "{forged}");
    }
    let swapped = first.replace("af_v1_1_", "af_v1_2_");
    assert_eq!(send(&world, &swapped, &hook).0, 403);
    // F.33: the user of another bot reaches nobody there, and Telegram is told to be content.
    let (status, answer) = send(&world, &other, &hook);
    assert_eq!((status, &answer["ignored"]), (200, &json!(true)));
    assert!(world.rows("messageQueue").is_empty());
    assert_eq!(send(&world, &first, &hook), (202, json!({"ok": true})));
    // Every configuration makes another secret. If Telegram does not accept the new one, the old one stays valid.
    *world.telegram.is_down.lock().unwrap() = true;
    let args = json!({"convexSiteUrl": SITE, "agentKey": "support"});
    assert!(world.refused("configureTelegramWebhook", args.clone()).contains("connection refused"));
    assert!(world.refused("configureTelegramWebhook", args.clone()).contains("connection refused"));
    assert_eq!(send(&world, &first, &text(3, 42, "still there")).0, 202);
    *world.telegram.is_down.lock().unwrap() = false;
    world.ok("configureTelegramWebhook", args);
    let renewed = world.telegram.secret_of("1");
    assert_ne!(renewed, first);
    assert_eq!(send(&world, &first, &text(4, 42, "late")).0, 403);
    assert_eq!(send(&world, &renewed, &text(4, 42, "new")).0, 202);
    assert!(!world.engine.export().unwrap().to_string().contains(&renewed), "only its hash is stored");
}

/// Two configurations at once reach Telegram one after the other. Otherwise the one that Telegram took first could be
/// confirmed last, and the secret that Telegram has would be dropped.
#[test]
fn configurations_at_once_leave_the_secret_valid_that_telegram_has() {
    let world = World::with_agent();
    let first = with_bot(&world, "support", "1");
    pair(&world, &first, "dana", "support", 1, 42);
    *world.telegram.waits_for_another.lock().unwrap() = true;
    let args = json!({"convexSiteUrl": SITE, "agentKey": "support"});
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| world.ok("configureTelegramWebhook", args.clone()));
        }
    });
    assert_eq!(*world.telegram.most_at_once.lock().unwrap(), 1);
    assert_eq!(send(&world, &world.telegram.secret_of("1"), &text(2, 42, "new")).0, 202);
    assert_eq!(send(&world, &first, &text(3, 42, "old")).0, 403);
}

/// A call of Telegram whose answer is lost may have had its effect, and the next one may have none.
#[test]
fn every_secret_that_telegram_may_have_is_valid() {
    let world = World::with_agent();
    let first = with_bot(&world, "support", "1");
    pair(&world, &first, "dana", "support", 1, 42);
    let args = json!({"convexSiteUrl": SITE, "agentKey": "support"});
    *world.telegram.loses_answers.lock().unwrap() = true;
    world.refused("configureTelegramWebhook", args.clone());
    let unconfirmed = world.telegram.secret_of("1");
    assert_ne!(unconfirmed, first);
    *world.telegram.loses_answers.lock().unwrap() = false;
    *world.telegram.is_down.lock().unwrap() = true;
    for _ in 0..3 {
        world.refused("configureTelegramWebhook", args.clone());
    }
    assert_eq!(send(&world, &unconfirmed, &text(2, 42, "new")).0, 202);
    assert_eq!(send(&world, &first, &text(3, 42, "old")).0, 202);
    *world.telegram.is_down.lock().unwrap() = false;
    world.ok("configureTelegramWebhook", args);
    for old in [&first, &unconfirmed] {
        assert_eq!(send(&world, old, &text(4, 42, "late")).0, 403);
    }
    assert!(world.rows("telegramBots").iter().all(|bot| bot.get("unconfirmedHashes").is_none()));
}

/// F.7: an update that comes again has the same answer, and no effect.
#[test]
fn a_repeated_update_changes_nothing() {
    let world = World::with_agent();
    let secret = with_bot(&world, "support", "1");
    let code = world.ok("createPairingCode", json!({"consumerUserId": "dana", "agentKey": "support"}));
    let start = text(1, 42, &format!("/start {}", code["code"].as_str().unwrap()));
    let first = send(&world, &secret, &start);
    assert_eq!(first.1["pairing"]["status"], "used");
    assert_eq!(send(&world, &secret, &start), first);
    let hello = text(2, 42, " hello ");
    for _ in 0..3 {
        assert_eq!(send(&world, &secret, &hello), (202, json!({"ok": true})));
    }
    assert_eq!(world.rows("messageQueue").len(), 1);
    let job = world.claim("w1");
    assert_eq!(job["conversationId"], "user-agent:support:dana");
    let payload = &job["payload"];
    assert_eq!((&payload["messageText"], &payload["externalMessageId"]), (&json!("hello"), &json!("7")));
    assert_eq!(
        payload["metadata"],
        json!({"providerUserId": "42", "telegramBotIdentity": "1", "telegramChatId": "42", "telegramUserId": "42"})
    );
}

/// C.7: what an update without a message for an agent is answered.
#[test]
fn whatever_comes_is_answered_with_200() {
    let world = World::with_agent();
    let secret = with_bot(&world, "support", "1");
    pair(&world, &secret, "dana", "support", 1, 42);
    let rows = [
        (json!({"update_id": 10, "edited_message": {}}), "no message"),
        (json!({"message": {"text": "x"}}), "no message"),
        (json!({"update_id": 11, "message": {"text": "x", "from": {"id": 42}}}), "no chat"),
        (json!({"update_id": 12, "message": {"chat": {"id": 0}, "from": {"id": 42}}}), "no chat"),
        (json!({"update_id": 13, "message": {"chat": {"id": 42}, "from": {"id": 42}}}), "no text"),
        (json!({"update_id": 14, "message": {"chat": [], "from": 1, "text": {}}}), "not understood"),
        (text(15, 43, "a stranger"), "no active binding"),
        (json!([1, 2]), "not understood"),
    ];
    for (update, reason) in rows {
        let (status, answer) = send(&world, &secret, &update);
        assert_eq!((status, &answer["ignored"]), (200, &json!(true)), "{update}");
        assert!(answer["reason"].as_str().unwrap().contains(reason), "{update}: {answer}");
    }
    assert_eq!(world.engine.receive_update(&secret, b"{\"update_id\"").0, 200);
    for (number, start) in
        ["/start", "/start ab", "/start a b c d", "/startx", "/start@ code", "/start wrong-code"]
            .iter()
            .enumerate()
    {
        let (status, answer) = send(&world, &secret, &text(20 + u32::try_from(number).unwrap(), 42, start));
        assert_eq!((status, &answer["pairing"]["status"]), (200, &json!("failed")), "{start}");
    }
    assert!(world.rows("messageQueue").is_empty());
}

#[test]
fn a_photo_of_10_mb_is_stored_and_a_lost_one_is_named() {
    let world = World::with_agent();
    let secret = with_bot(&world, "support", "1");
    pair(&world, &secret, "dana", "support", 1, 42);
    let mut update = text(2, 42, "");
    update["message"]["caption"] = json!("look");
    update["message"]["photo"] =
        json!([{"file_id": "small", "file_size": 10}, {"file_id": "large", "file_size": 10_000_000}]);
    update["message"]["voice"] = json!({"file_id": "broken", "mime_type": "audio/ogg"});
    update["message"]["document"] = json!({"file_id": "huge", "file_size": 30_000_000, "file_name": "a.PDF"});
    assert_eq!(send(&world, &secret, &update).0, 202);
    assert_eq!(send(&world, &secret, &update).0, 202);
    let job = world.claim("w1");
    let bundle =
        world.ok("workerHydrationBundle", json!({"messageId": job["messageId"], "workspaceId": "d"}));
    let payload = &bundle["payload"];
    assert_eq!(payload["messageText"], "look");
    let files = payload["attachments"].as_array().unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(
        (&files[0]["kind"], &files[0]["mimeType"], &files[0]["sizeBytes"], &files[0]["telegramFileId"]),
        (&json!("photo"), &json!("image/jpeg"), &json!(10_000_000.0), &json!("large"))
    );
    let metadata = &payload["metadata"];
    assert_eq!(metadata["telegramMediaType"], "photo+voice+document");
    assert_eq!(metadata["telegramVoiceFileId"], "broken");
    let why = metadata["telegramMediaError"].as_str().unwrap();
    assert!(
        why.contains("voice: connection refused") && why.contains("document: the file is larger"),
        "{why}"
    );
    let id = files[0]["storageId"].as_str().unwrap().to_owned();
    assert_eq!(world.engine.stored_file(&id).unwrap().unwrap().1.len(), 10_000_000);
    assert_ne!(world.rows("messageAttachments").len(), 0);
    // Seven days later the file is gone, and the message says so.
    world.advance(7 * 86_400_000 + 1);
    world.engine.sweep().unwrap();
    world.engine.sweep().unwrap();
    assert!(world.engine.stored_file(&id).unwrap().is_none());
    assert!(world.rows("messageAttachments").is_empty());
    let item = world.item("user-agent:support:dana", 0);
    assert_eq!(item["payload"]["attachments"][0]["status"], "expired");
    let mut bare = text(3, 42, "");
    bare["message"]["voice"] = json!({"file_id": "v"});
    assert_eq!(send(&world, &secret, &bare).0, 202);
    assert_eq!(
        world.item("user-agent:support:dana", 0)["payload"]["messageText"],
        "[telegram media] voice message"
    );
}

/// F.36: codes cannot be guessed, and none is used twice or too late.
#[test]
fn a_pairing_code_is_used_once_and_in_time() {
    let world = World::with_agent();
    assert!(
        world
            .refused("createPairingCode", json!({"consumerUserId": "dana", "agentKey": "support"}))
            .contains("has no bot")
    );
    let secret = with_bot(&world, "support", "1");
    let create = |ttl: i64| {
        world.ok("createPairingCode", json!({"consumerUserId": "dana", "agentKey": "support", "ttlMs": ttl}))
    };
    let codes: std::collections::BTreeSet<String> =
        (0..50).map(|_| create(1)["code"].as_str().unwrap().to_owned()).collect();
    assert!(codes.len() == 50 && codes.iter().all(|code| code.len() == 10));
    let pending = world.rows("pairingCodes").iter().filter(|row| row["status"] == "pending").count();
    assert_eq!(pending, 1, "a new code replaces the others for the agent");
    let code = create(1);
    assert_eq!(code["expiresAt"].as_f64(), Some((world.now() + 60_000) as f64));
    let consume = |code: &Value, bot: &str| {
        let args =
            json!({"code": code["code"], "botIdentity": bot, "telegramUserId": "42", "telegramChatId": "42"});
        world.call("consumePairingCode", &args)
    };
    assert!(consume(&code, "2").unwrap_err().contains("another bot"));
    world.advance(60_000);
    assert!(consume(&code, "1").unwrap_err().contains("has expired"));
    let status = || world.ok("getPairingCodeStatus", json!({"code": code["code"]}))["status"].clone();
    assert_eq!(status(), "expired", "before a row says so");
    world.engine.sweep().unwrap();
    assert_eq!((status(), world.rows("identityBindings").len()), (json!("expired"), 0));
    let code = create(i64::MAX);
    assert_eq!(code["expiresAt"].as_f64(), Some((world.now() + 86_400_000) as f64));
    assert_eq!(consume(&code, "1").unwrap()["status"], "used");
    assert!(consume(&code, "1").unwrap_err().contains("used already"));
    assert_eq!(world.rows("identityBindings").len(), 1);
    drop(secret);
}

/// C.8: a user has one agent, and a chat one user.
#[test]
fn a_new_binding_replaces_the_old_ones() {
    let world = World::with_agent();
    world.add_agent("sales");
    with_bot(&world, "support", "1");
    let bind = |user: &str, agent: &str, chat: Value| {
        let mut args = json!({"consumerUserId": user, "agentKey": agent});
        if chat.is_string() {
            args["telegramChatId"] = chat.clone();
            args["telegramUserId"] = chat;
        }
        world.call("bindUserAgent", &args)
    };
    assert!(bind("dana", "sales", json!("42")).unwrap_err().contains("has no bot"));
    assert!(bind("dana", "nobody", json!(null)).unwrap_err().contains("does not exist"));
    let first = bind("dana", "support", json!("42")).unwrap();
    assert_eq!(
        (&first["status"], &first["source"], &first["botIdentity"]),
        (&json!("active"), &json!("api"), &json!("1"))
    );
    bind("robin", "support", json!("42")).unwrap();
    assert_eq!(world.ok("getUserAgentBinding", json!({"consumerUserId": "dana"})), Value::Null);
    let resolved = world.ok("resolveAgentForTelegram", json!({"telegramUserId": "42"}));
    assert_eq!(
        resolved,
        json!({"agentKey": "support", "consumerUserId": "robin", "conversationId": "user-agent:support:robin"})
    );
    let other_bot = json!({"botIdentity": "2", "telegramUserId": "42", "telegramChatId": "42"});
    assert_eq!(world.ok("resolveAgentForTelegram", other_bot)["agentKey"], Value::Null);
    bind("robin", "sales", json!(null)).unwrap();
    assert_eq!(world.ok("myAgentKey", json!({"consumerUserId": "robin"}))["agentKey"], "sales");
    assert_eq!(world.ok("resolveAgentForTelegram", json!({"telegramUserId": "42"}))["agentKey"], Value::Null);
    // The agent of another user cannot be taken over.
    let theft = json!({"consumerUserId": "eve", "agentKey": "sales", "plaintextValue": token("3")});
    assert!(world.refused("importTelegramTokenForAgent", theft).contains("belongs to another user"));
    let taken = json!({"consumerUserId": "robin", "agentKey": "sales", "plaintextValue": token("1")});
    assert!(world.refused("importTelegramTokenForAgent", taken).contains("one bot serves one agent"));
    let wrong = json!({"consumerUserId": "robin", "agentKey": "sales", "plaintextValue": "hello"});
    assert!(world.refused("importTelegramTokenForAgent", wrong).contains("no token of a bot"));
    let http = json!({"convexSiteUrl": "http://x.example"});
    assert!(world.refused("configureTelegramWebhook", http).contains("https://"));
}

/// C.8, migration.
#[test]
fn bindings_without_a_bot_are_reset() {
    let world = World::with_agent();
    let row = json!({"consumerUserId": "old", "agentKey": "support", "conversationId": "c", "status": "active",
        "source": "telegram_pairing", "boundAt": 1, "telegramUserId": "42"});
    world.engine.write_row("identityBindings", row).unwrap();
    let code = json!({"code": "ABC", "consumerUserId": "old", "agentKey": "support", "status": "pending",
        "createdAt": 1, "expiresAt": 1e13});
    world.engine.write_row("pairingCodes", code).unwrap();
    let name = "softResetTelegramBindingsMissingBotIdentity";
    let dry = world.ok(name, json!({"revokeActiveBindings": false, "expirePendingPairings": false}));
    assert_eq!((&dry["annotatedBindings"], &dry["expiredPairings"]), (&json!(1.0), &json!(0.0)));
    let done = world.ok(name, json!({}));
    assert_eq!(
        done,
        json!({"revokedBindings": 1.0, "annotatedBindings": 0.0, "expiredPairings": 1.0,
            "pendingPairingsMissingBotIdentity": 1.0, "legacyBindingsMissingBotIdentity": 1.0,
            "profilesMissingBotIdentity": 1.0})
    );
    let metadata = &world.rows("identityBindings")[0]["metadata"];
    assert_eq!(metadata["softResetReason"], "missing_bot_identity");
    assert_eq!(metadata["softResetMode"], "telegram_bot_identity_v1");
    let args = json!({"consumerUserId": "dana", "agentKey": "support", "plaintextValue": token("1")});
    world.ok("importTelegramTokenForAgent", args);
    let again = world.ok("reconcileTelegramBotIdentityForAgent", json!({"agentKey": "support"}));
    assert_eq!((&again["botIdentity"], &again["updated"]), (&json!("1"), &json!(false)));
}
