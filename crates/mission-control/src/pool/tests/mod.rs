//! The pool as its callers see it: functions by name, at times that the test chooses.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::needless_pass_by_value,
    reason = "times are whole numbers far below 2^53, and arguments are written where they are used"
)]

mod claims;
mod conversations;
mod documents;
mod inputs;
mod leases;
mod lifecycle;
mod operations;
mod publishing;
mod telegram;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{BotAccount, TelegramApi, WebhookState};
use crate::call::Options;
use crate::engine::{Caller, Engine};
use crate::function::Kind;
use crate::vault::{MasterKey, Vault};
use crate::{catalog, pool};
use mcr_model::clock::{Clock, Millis};
use mcr_model::secret::Secret;

/// Saturday, 2026-03-28T12:00:00Z.
const START: i64 = 1_774_699_200_000;

#[derive(Clone)]
struct SetClock(Arc<AtomicI64>);

impl Clock for SetClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

/// A Telegram with two bots, whose files are 10 MB large.
#[derive(Default)]
struct FakeTelegram {
    webhooks: Mutex<BTreeMap<String, (String, String)>>,
    is_down: Mutex<bool>,
    /// It sets webhooks, but nobody gets its answer.
    loses_answers: Mutex<bool>,
    /// A call that sets a webhook waits a moment for another one.
    waits_for_another: Mutex<bool>,
    at_once: Mutex<usize>,
    /// The most such calls that ran at the same time.
    most_at_once: Mutex<usize>,
}

impl FakeTelegram {
    fn id(token: &Secret) -> String {
        token.expose().split(':').next().unwrap_or_default().to_owned()
    }

    fn secret_of(&self, bot: &str) -> String {
        self.webhooks.lock().unwrap()[bot].1.clone()
    }
}

impl TelegramApi for FakeTelegram {
    fn account(&self, token: &Secret) -> Result<BotAccount, String> {
        let id = Self::id(token);
        Ok(BotAccount { username: Some(format!("bot_{id}")), id })
    }

    fn set_webhook(&self, token: &Secret, url: &str, secret: &Secret) -> Result<(), String> {
        if *self.is_down.lock().unwrap() {
            return Err("connection refused".to_owned());
        }
        if *self.waits_for_another.lock().unwrap() {
            let now = {
                let mut now = self.at_once.lock().unwrap();
                *now += 1;
                *now
            };
            let mut most = self.most_at_once.lock().unwrap();
            *most = now.max(*most);
            drop(most);
            std::thread::sleep(std::time::Duration::from_millis(200));
            *self.at_once.lock().unwrap() -= 1;
        }
        let hook = (url.to_owned(), secret.expose().to_owned());
        self.webhooks.lock().unwrap().insert(Self::id(token), hook);
        if *self.loses_answers.lock().unwrap() { Err("the connection was closed".to_owned()) } else { Ok(()) }
    }

    fn webhook(&self, token: &Secret) -> Result<WebhookState, String> {
        let url = self.webhooks.lock().unwrap().get(&Self::id(token)).map(|(url, _)| url.clone());
        Ok(WebhookState { url, ..WebhookState::default() })
    }

    fn fetch_file(&self, _: &Secret, file_id: &str) -> Result<Vec<u8>, String> {
        if file_id == "broken" { Err("connection refused".to_owned()) } else { Ok(vec![7; 10_000_000]) }
    }
}

/// A deployment with its clock.
struct World {
    engine: Engine,
    clock: SetClock,
    telegram: Arc<FakeTelegram>,
}

impl World {
    fn new() -> Self {
        let clock = SetClock(Arc::new(AtomicI64::new(START)));
        let vault = Vault::new(&MasterKey::from_file(&[7; 32]).unwrap());
        let telegram = Arc::new(FakeTelegram::default());
        let engine = Engine::in_memory(Box::new(clock.clone()), Options::default()).unwrap();
        let engine = engine.with_vault(vault).unwrap().with_telegram(telegram.clone());
        Self { engine, clock, telegram }
    }

    /// With the enabled agent `support`.
    fn with_agent() -> Self {
        let world = Self::new();
        world.add_agent("support");
        world
    }

    fn add_agent(&self, key: &str) {
        let args = json!({"agentKey": key, "version": "1.0.0", "enabled": true,
            "secretsRef": [format!("telegram.botToken.{key}")]});
        self.ok("configureAgent", args);
    }

    fn now(&self) -> i64 {
        self.clock.now().0
    }

    fn advance(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }

    /// Calls a function as a person, or as a worker if a worker may.
    fn call(&self, name: &str, args: &Value) -> Result<Value, String> {
        let path = format!("agentFactory:{name}");
        let kind = match (pool::find_action(&path), catalog::find(&path)) {
            (Some(_), _) => Kind::Action,
            (None, Some(function)) => function.kind,
            (None, None) => panic!("no function {name}"),
        };
        let caller =
            if name.starts_with("worker") && name != "workerStats" { Caller::Worker } else { Caller::Person };
        self.call_as(caller, kind, name, args)
    }

    fn call_as(&self, caller: Caller, kind: Kind, name: &str, args: &Value) -> Result<Value, String> {
        let path = format!("agentFactory:{name}");
        let (status, mut answer) = self.engine.call_at("http://mc.test", kind, &path, args, caller, "0");
        assert_eq!(status, 200, "{name}: {answer}");
        match answer["status"].as_str() {
            Some("success") => Ok(answer["value"].take()),
            _ => Err(answer["errorMessage"].as_str().unwrap().to_owned()),
        }
    }

    fn ok(&self, name: &str, args: Value) -> Value {
        self.call(name, &args).unwrap_or_else(|why| panic!("{name} {args}: {why}"))
    }

    fn refused(&self, name: &str, args: Value) -> String {
        self.call(name, &args).expect_err(&format!("{name} {args}"))
    }

    /// Adds a message to a conversation of the agent `support`.
    fn enqueue(&self, conversation: &str, text: &str) -> String {
        self.enqueue_with(conversation, text, json!({}))
    }

    fn enqueue_with(&self, conversation: &str, text: &str, further: Value) -> String {
        let mut args = json!({"conversationId": conversation, "agentKey": "support", "provider": "telegram",
            "providerUserId": "42", "messageText": text});
        args.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        self.ok("enqueue", args).as_str().unwrap().to_owned()
    }

    fn claim(&self, worker: &str) -> Value {
        self.ok("workerClaim", json!({"workerId": worker}))
    }

    /// The text of the message that a worker claims.
    fn claimed_text(&self, worker: &str) -> Option<String> {
        self.claim(worker)["payload"]["messageText"].as_str().map(str::to_owned)
    }

    /// Ends a claimed job.
    fn end(&self, name: &str, worker: &str, job: &Value) -> Value {
        let mut args = json!({"workerId": worker, "messageId": job["messageId"], "leaseId": job["leaseId"]});
        if name == "workerFail" {
            args["errorMessage"] = json!("it failed");
        }
        self.ok(name, args)
    }

    fn item(&self, conversation: &str, at: usize) -> Value {
        self.ok("listQueueItemsForConversation", json!({"conversationId": conversation}))[at].clone()
    }

    fn should_stop(&self, worker: &str) -> bool {
        self.ok("workerControlState", json!({"workerId": worker}))["shouldStop"] == true
    }

    fn status_of(&self, worker: &str) -> Option<String> {
        let rows = self.engine.read_table("workers").unwrap();
        let row = rows.into_iter().find(|row| row["workerId"] == worker)?;
        Some(row["status"].as_str().unwrap().to_owned())
    }

    fn rows(&self, table: &str) -> Vec<Value> {
        self.engine.read_table(table).unwrap()
    }
}
