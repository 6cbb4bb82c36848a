//! A backend for the unit tests of this crate: accounts, a test clock, and the calls of people and runtimes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};

use crate::data::OWNER;
use crate::engine::{Caller, Engine};
use crate::provisioning::{OnTimeout, ProvisionSettings};
use crate::{Kind, MasterKey, Options, Vault};
use mcr_model::BaseUrl;
use mcr_model::clock::{Clock, Millis};

/// The time of a new board.
pub(crate) const START: i64 = 1_800_000_000_000;

/// A clock that only tests advance.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl Clock for TestClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(START)))
    }
}

impl TestClock {
    pub(crate) fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

/// A backend whose first account belongs to the operator.
pub(crate) struct TestBoard {
    pub(crate) engine: Arc<Engine>,
    pub(crate) clock: TestClock,
    pub(crate) first: String,
}

/// How machines are provided in tests.
pub(crate) fn settings(on_timeout: OnTimeout) -> ProvisionSettings {
    ProvisionSettings {
        public_url: BaseUrl::parse("https://control.example.com").expect("an address"),
        providers: vec!["digitalocean".to_owned()],
        timeout_ms: 900_000,
        on_timeout,
    }
}

impl TestBoard {
    pub(crate) fn new() -> Self {
        let clock = TestClock::default();
        let engine = Engine::in_memory(Box::new(clock.clone()), Options::default()).expect("a new engine");
        Self::with(engine, clock)
    }

    pub(crate) fn with(engine: Engine, clock: TestClock) -> Self {
        let (first, _) = engine.create_account("First", "first", OWNER).expect("an account");
        let key = MasterKey::from_file(&[7; 32]).expect("a key");
        let engine = engine.with_vault(Vault::new(&key)).expect("nothing is sealed");
        let engine = Arc::new(engine.with_provisioning(settings(OnTimeout::Keep)));
        Self { engine, clock, first }
    }

    /// Makes a call as a person.
    pub(crate) fn call(&self, kind: Kind, path: &str, args: &Value) -> Result<Value, String> {
        let answer = self.engine.call(kind, path, args, Caller::Person, "r").1;
        match answer["status"].as_str() {
            Some("success") => Ok(answer["value"].clone()),
            _ => Err(answer["errorMessage"].as_str().unwrap_or("a fault").to_owned()),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers make the arguments for this call")]
    pub(crate) fn change(&self, path: &str, args: Value) -> Result<Value, String> {
        self.call(Kind::Mutation, path, &args)
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers make the arguments for this call")]
    pub(crate) fn look(&self, path: &str, args: Value) -> Value {
        self.call(Kind::Query, path, &args).expect(path)
    }

    pub(crate) fn switch(&self, key: &str, value: &str) {
        self.change("systemConfig:set", json!({"key": key, "value": value})).expect("a switch");
    }

    /// A further account.
    pub(crate) fn account(&self, slug: &str) -> String {
        let made = self.change("accounts:create", json!({"name": slug, "slug": slug})).expect("an account");
        made["accountId"].as_str().expect("an id").to_owned()
    }

    /// A new service token of an account.
    pub(crate) fn token(&self, account: &str) -> String {
        let args = json!({"accountId": account});
        let made = self.call(Kind::Action, "service/actions:provisionServiceToken", &args).expect("a token");
        made["token"].as_str().expect("a token").to_owned()
    }

    /// The runtime of an account reports. `clock_is_off` is added to its own clock.
    pub(crate) fn report(
        &self,
        (account, token): (&str, &str),
        status: &str,
        version: &str,
        clock_is_off: i64,
    ) -> Result<Value, String> {
        #[expect(clippy::cast_precision_loss, reason = "a date")]
        let now = (self.clock.now().0 + clock_is_off) as f64;
        let args = json!({
            "accountId": account, "serviceToken": token, "status": status,
            "config": {
                "dropletId": "unknown", "ipAddress": "unknown", "lastHealthCheck": now,
                "openclawVersion": "2026.8.2", "runtimeServiceVersion": version,
            },
        });
        self.call(Kind::Action, "service/actions:updateRuntimeStatus", &args)
    }

    /// The types of an account's activities, oldest first.
    pub(crate) fn happened(&self, account: &str) -> Vec<String> {
        let rows = self.engine.read_table("activities").expect("activities");
        let rows = rows.iter().filter(|row| row["accountId"] == account);
        rows.map(|row| row["type"].as_str().unwrap_or_default().to_owned()).collect()
    }
}
