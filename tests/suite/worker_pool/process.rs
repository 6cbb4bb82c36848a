//! `worker` as a process: from the claim to the completion, against the books of the queue, Telegram and the gateway.

use std::fs;

use mission_control_runtime::demo::pool::{Enqueue, PoolAgent, PoolFault, PoolPolicy, WorkerStatus};
use mission_control_runtime::demo::telegram::TelegramFault;
use serde_json::{Value, json};

use super::bench::PoolBench;
use crate::support::program::{get, text};
use crate::support::wait::until;

fn bench() -> PoolBench {
    PoolBench::new(PoolPolicy::default())
}

fn functions(bench: &PoolBench, job: &str) -> Vec<String> {
    let calls = bench.backend.calls().into_iter();
    let about = |args: &Value| args["messageId"] == job || args.get("messages").is_some();
    calls.filter(|call| about(&call.args)).map(|call| call.function).collect()
}

/// Worker-pool E.5, check 1.
#[test]
fn a_job_is_claimed_hydrated_answered_appended_sent_and_completed() {
    let bench = bench();
    let state = tempfile::tempdir().unwrap();
    let job = bench.ask("c1", "hello");
    let mut worker = bench.worker(state.path()).start();
    let address = worker.address();
    bench.until_done(&job);
    assert_eq!(bench.sent_and_appended("c1", "re: hello"), (1, 1));
    assert_eq!(bench.runs(), 1);
    // The lease is renewed as often as needed, at least between the note of a step and the step.
    let called = functions(&bench, &job);
    let (renewals, steps): (Vec<_>, Vec<_>) =
        called.iter().enumerate().partition(|(_, name)| *name == "workerHeartbeat");
    assert_eq!(
        steps.iter().map(|(_, name)| &***name).collect::<Vec<_>>(),
        [
            "workerHydrationBundle",
            "workerAttachMessageMetadata",
            "workerAppendConversationMessages",
            "workerAttachMessageMetadata",
            "workerAttachMessageMetadata",
            "workerComplete",
        ]
    );
    for note in [1, 3] {
        let (from, to) = (steps[note].0, steps[note + 1].0);
        assert!(renewals.iter().any(|(at, _)| (from..to).contains(at)), "{called:?}");
    }
    let null = bench
        .backend
        .calls()
        .into_iter()
        .find(|call| call.args.as_object().is_some_and(|args| args.values().any(Value::is_null)));
    assert!(null.is_none(), "{null:?}");
    let typing = bench.api.actions();
    assert_eq!(typing.first(), Some(&("c1".to_owned(), "typing".to_owned())));

    until("the end in the health", || {
        let (status, text) = get(&address, "/health");
        let health: Value = serde_json::from_str(&text).unwrap();
        status == 200 && health["jobs"]["ended"]["answered"] == 1
    });
    let (_, text) = get(&address, "/health");
    let health: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&health["status"], &health["mode"]), (&json!("ok"), &json!("droplet")), "{text}");
    assert_eq!(health["lanes"][0]["claims"], 1);
    assert!(!text.contains("123:abc"), "the token is shown nowhere");
    let (status, metrics) = get(&address, "/metrics");
    assert!(status == 200 && metrics.contains("worker_jobs_total{end=\"answered\"} 1"), "{metrics}");
    assert_eq!((get(&address, "/livez").0, get(&address, "/readyz").0), (200, 200));
    worker.signal("TERM");
    let (code, log) = worker.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("123:abc"), "{log}");
}

/// Worker-pool F 16 and E.3: one lane serves every conversation, and its ids come back to theirs.
#[test]
fn one_lane_serves_several_conversations_and_comes_back() {
    let bench = bench();
    let state = tempfile::tempdir().unwrap();
    let _worker = bench.worker(state.path()).start();
    for round in 0..2 {
        let jobs: Vec<String> =
            ["c1", "c2", "c3"].iter().map(|c| bench.ask(c, &format!("round {round}"))).collect();
        for job in &jobs {
            bench.until_done(job);
        }
    }
    for conversation in ["c1", "c2", "c3"] {
        assert_eq!(bench.api.texts(conversation), ["re: round 0", "re: round 1"]);
    }
    let claimed = bench.backend.calls_of("workerClaim").into_iter();
    let claimed = claimed.filter(|call| call.result.as_ref().is_ok_and(|value| !value.is_null()));
    let mut owners: Vec<(String, String)> = claimed
        .map(|call| {
            let conversation = call.result.unwrap()["conversationId"].as_str().unwrap().to_owned();
            (conversation, call.args["workerId"].as_str().unwrap().to_owned())
        })
        .collect();
    owners.sort();
    owners.dedup();
    assert_eq!(owners.len(), 3, "each conversation keeps its worker id: {owners:?}");
}

/// Worker-pool E.5, check 3, and F 4 and 9: each refusal reaches the queue once, with its reason, and costs no turn.
#[test]
fn a_job_that_cannot_be_answered_is_reported_once_with_its_reason() {
    let bench = bench();
    bench.backend.put_agent(PoolAgent {
        key: "mute".to_owned(),
        enabled: true,
        telegram_token: None,
        bridge: None,
    });
    bench.put_agent("gone");
    let enqueue = |conversation: &str, agent: &str, text: &str| {
        let message = Enqueue::telegram(conversation, agent, conversation, text);
        bench.backend.enqueue(Enqueue { max_attempts: Some(1), ..message }).unwrap()
    };
    let rows = [
        (enqueue("c1", "mute", "hi"), "telegram_token_missing"),
        (enqueue("c2", "gone", "hi"), "hydration_missing"),
        (enqueue("c3", "a", "EMPTY"), "empty_answer"),
        (enqueue("c4", "a", "FAIL the model refuses"), "the model refuses"),
    ];
    bench.backend.remove_agent("gone");
    let state = tempfile::tempdir().unwrap();
    let _worker = bench.worker(state.path()).with("DELIVERY_MAX_ATTEMPTS", "1").start();
    for (job, reason) in &rows {
        until("the dead letter", || bench.status(job) == "dead_letter");
        let why = bench.backend.message(job).unwrap().last_error.unwrap_or_default();
        assert!(why.contains(reason), "{why} / {reason}");
    }
    assert_eq!(bench.backend.calls_of("workerFail").len(), rows.len());
    assert_eq!(bench.api.attempts(), 0);
}

/// Worker-pool E.5, check 7, and F 3.
#[test]
fn a_message_of_the_system_without_a_token_completes() {
    let bench = bench();
    let no_token = PoolAgent { key: "mute".to_owned(), enabled: true, telegram_token: None, bridge: None };
    bench.backend.put_agent(no_token);
    let payload = json!({"provider": "system_push", "providerUserId": "u", "messageText": "the news"});
    let job = bench.backend.enqueue(Enqueue::with_payload("c1", "mute", payload)).unwrap();
    let state = tempfile::tempdir().unwrap();
    let _worker = bench.worker(state.path()).start();
    bench.until_done(&job);
    assert_eq!(bench.sent_and_appended("c1", "re: the news"), (0, 1));
    assert_eq!(bench.api.attempts(), 0);
}

/// Worker-pool E.5, checks 4 and 5, and F 1 and 6.
#[test]
fn a_failed_send_never_asks_the_model_again() {
    let bench = bench();
    for fault in [
        TelegramFault::RetryAfter(1),
        TelegramFault::Fails(500, "Internal Server Error"),
        TelegramFault::RetryAfter(1),
    ] {
        bench.api.plan(fault);
    }
    bench.backend.plan("workerAppendConversationMessages", PoolFault::LoseAnswer);
    bench.backend.plan("workerComplete", PoolFault::LoseAnswer);
    let words = (0..1_000).map(|n| format!("<w{n:04}>&")).collect::<Vec<_>>().join(" ");
    let job = bench.ask("c1", &format!("SAY {words}"));
    let state = tempfile::tempdir().unwrap();
    let _worker = bench.worker(state.path()).start();
    bench.until_done(&job);
    let texts = bench.api.texts("c1");
    assert!(texts.len() == 3 && texts.iter().all(|text| text.chars().count() <= 4_096));
    assert_eq!(texts.join(" "), words);
    assert_eq!((bench.runs(), bench.api.too_early()), (1, 0));
    assert_eq!(bench.sent_and_appended("c1", &words), (0, 1));
}

/// Worker-pool B.8: files of the message in the workspace, files of the answer from the disk.
#[test]
fn files_come_in_and_go_out() {
    let bench = bench();
    let stored = bench.backend.store(b"the report".to_vec());
    bench.api.put_file("tg-1", b"a voice".to_vec());
    let out = tempfile::Builder::new().prefix("mcr-out").tempdir_in("/tmp").unwrap();
    let song = out.path().join("song.mp3");
    fs::write(&song, b"la la").unwrap();
    let attachment = |kind: &str, status: &str, storage: &str, telegram: &str, name: &str| {
        json!({"kind": kind, "status": status, "storageId": storage, "telegramFileId": telegram,
            "fileName": name, "expiresAt": 9_999_999_999_999_i64})
    };
    let payload = json!({"provider": "telegram", "providerUserId": "7",
        "messageText": format!("SAY Listen.\\nMEDIA: {}", song.display()),
        "metadata": {"telegramChatId": "-100"},
        "attachments": [attachment("document", "ready", &stored, "tg-0", "../../report.txt"),
            attachment("photo", "expired", "none", "tg-2", "old.png")]});
    let job = bench.backend.enqueue(Enqueue::with_payload("c1", "a", payload)).unwrap();
    let state = tempfile::tempdir().unwrap();
    let _worker = bench.worker(state.path()).start();
    bench.until_done(&job);
    let request = bench.gateway().observations().requests().pop().unwrap();
    let path = format!(".telegram-attachments/{job}/report.txt");
    assert!(request.text.contains(&format!("path \"{path}\"")), "{}", request.text);
    assert!(request.text.contains("no longer stored"), "{}", request.text);
    assert_eq!(fs::read(bench.workspace.path().join(&path)).unwrap(), b"the report");
    let metadata = bench.backend.message(&job).unwrap().payload["metadata"].clone();
    assert_eq!(metadata["convexAttachmentPath1"], json!(path));
    // F 2: the chat, and not the person.
    let messages = bench.api.messages();
    assert_eq!(messages.iter().map(|sent| &*sent.chat).collect::<Vec<_>>(), ["-100", "-100"]);
    assert_eq!(messages[0].text, "Listen.");
    let file = messages[1].file.clone();
    assert_eq!(file, Some(("sendAudio".to_owned(), "song.mp3".to_owned(), b"la la".to_vec())));
}

/// Worker-pool E.5, check 13, and F 15.
#[test]
fn a_worker_of_a_pool_obeys_the_scheduler_and_one_on_a_droplet_takes_a_fresh_id() {
    let bench = bench();
    let state = tempfile::tempdir().unwrap();
    let worker = bench.worker(state.path()).with("AGENT_FACTORY_WORKER_ID", "afw-1").start();
    let (code, log) = worker.end();
    assert_eq!(code, Some(0), "its row is missing, so it ends: {log}");
    assert!(bench.backend.calls_of("workerClaim").is_empty());

    bench.backend.register_worker("afw-1");
    let job = bench.ask("c1", "hello");
    let worker = bench.worker(state.path()).with("WORKER_ID", "afw-1").start();
    bench.until_done(&job);
    bench.backend.set_worker_status("afw-1", WorkerStatus::Draining);
    let (code, log) = worker.end();
    assert_eq!(code, Some(0), "{log}");

    let state = tempfile::tempdir().unwrap();
    let job = bench.ask("c2", "hello");
    let _worker = bench.worker(state.path()).start();
    bench.until_done(&job);
    let id = |call: &mission_control_runtime::demo::pool::PoolCall| {
        call.args["workerId"].as_str().map(str::to_owned)
    };
    let first = bench.backend.calls_of("workerComplete").last().and_then(id).unwrap();
    bench.backend.set_worker_status(&first, WorkerStatus::Stopped);
    let job = bench.ask("c3", "again");
    bench.until_done(&job);
    let second = bench.backend.calls_of("workerComplete").last().and_then(id).unwrap();
    assert_ne!(first, second);
}

/// The tokens of bots are part of the addresses that are called at Telegram, so another machine must have TLS, as in `local`.
#[test]
fn a_worker_sends_no_token_of_a_bot_in_the_clear() {
    let bench = bench();
    let state = tempfile::tempdir().unwrap();
    for address in ["http://api.example.com", "http://10.0.0.7:8081"] {
        let output = bench.worker(state.path()).with("TELEGRAM_API_BASE_URL", address).output();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(
            said.contains("TELEGRAM_API_BASE_URL") && said.contains("must begin with https://"),
            "{said}"
        );
    }
    assert!(bench.backend.calls().is_empty(), "the queue was not called");
}

#[test]
fn an_unreadable_token_file_ends_the_worker() {
    let bench = bench();
    let state = tempfile::tempdir().unwrap();
    let missing = state.path().join("worker-token");
    fs::create_dir(state.path().join("folder")).unwrap();
    for path in [missing, state.path().join("folder")] {
        let output =
            bench.worker(state.path()).with("WORKER_AUTH_TOKEN_FILE", path.to_str().unwrap()).output();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains("WORKER_AUTH_TOKEN_FILE") && said.contains(path.to_str().unwrap()), "{said}");
    }
    assert!(bench.backend.calls().is_empty(), "the queue was not called");
}
