//! A board to test on: an embedded backend with one account, its token, and a clock that tests move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use mission_control_runtime::clock::{Clock, Millis};
use mission_control_runtime::local::{Caller, Engine, Kind, Options};
use serde_json::{Value, json};

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub struct Hands(Arc<AtomicI64>);

impl Clock for Hands {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

/// The backend with one account.
pub struct Board {
    pub engine: Engine,
    pub account: String,
    pub token: String,
    hands: Hands,
}

impl Board {
    /// With the stand-in's corrections.
    pub fn new() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        let hands = Hands(Arc::new(AtomicI64::new(1_765_526_400_000)));
        let engine = Engine::in_memory(Box::new(hands.clone()), options).unwrap();
        let (account, token) =
            engine.found("Acme", "acme", ("user_dana", "Dana Reyes", "dana@example.com")).unwrap();
        Self { engine, account, token: token.expose().to_owned(), hands }
    }

    /// Time goes on.
    pub fn pass(&self, ms: i64) {
        self.hands.0.fetch_add(ms, Ordering::SeqCst);
    }

    /// A service function with this account's id and token; its value, or the text of its error.
    pub fn service(&self, name: &str, mut args: Value) -> Result<Value, String> {
        args["accountId"] = json!(self.account);
        args["serviceToken"] = json!(self.token);
        self.call(Kind::Action, &format!("service/actions:{name}"), &args)
    }

    /// A mutation by the account's person.
    pub fn person(&self, path: &str, mut args: Value) -> Result<Value, String> {
        args["accountId"] = json!(self.account);
        self.call(Kind::Mutation, path, &args)
    }

    /// A query by the account's person.
    pub fn look(&self, path: &str, mut args: Value) -> Result<Value, String> {
        args["accountId"] = json!(self.account);
        self.call(Kind::Query, path, &args)
    }

    /// Any call, as it stands.
    pub fn call(&self, kind: Kind, path: &str, args: &Value) -> Result<Value, String> {
        let (_, answer) = self.engine.call(kind, path, args, Caller::Person, "0123456789abcdef");
        match answer["status"].as_str() {
            Some("success") => Ok(answer["value"].clone()),
            _ => Err(answer["errorMessage"].as_str().unwrap_or("a fault of the platform").to_owned()),
        }
    }
}
