//! A board to test on: an embedded backend with one account, its token, and a clock that tests move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use mission_control_runtime::clock::{Clock, Millis};
use mission_control_runtime::http::server::{Server, ServerLimits};
use mission_control_runtime::local::http_api::{API_PATHS, BODY_BYTES, HttpApi};
use mission_control_runtime::local::{Caller, Engine, Kind, Options, Owner};
use mission_control_runtime::secret::Secret;
use serde_json::{Value, json};

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Clock for Hands {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

/// The backend with one account.
pub(crate) struct Board {
    pub(crate) engine: Arc<Engine>,
    pub(crate) account: String,
    pub(crate) token: String,
    hands: Hands,
    slowness: Arc<AtomicU64>,
    server: Option<Server>,
    agent: ureq::Agent,
}

impl Board {
    /// With the stand-in's corrections.
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let mut board = Self::unserved(options);
        let engine = board.engine.clone();
        let door = HttpApi::new(engine.clone(), Secret::new(ADMIN_KEY), "127.0.0.1");
        let limits = API_PATHS
            .iter()
            .fold(ServerLimits::default(), |limits, path| limits.with_body_limit(path, BODY_BYTES));
        let slowness = board.slowness.clone();
        let answer = move |request| {
            std::thread::sleep(Duration::from_millis(slowness.load(Ordering::Relaxed)));
            door.answer(&request)
        };
        let server = Server::bind("127.0.0.1:0", limits, answer).unwrap();
        board.server = Some(server);
        board
    }

    /// Without a way in over HTTP: for tests that change the engine itself.
    pub(crate) fn unserved(options: Options) -> Self {
        let hands = Hands(Arc::new(AtomicI64::new(1_765_526_400_000)));
        let engine = Engine::in_memory(Box::new(hands.clone()), options).unwrap();
        let (account, token) = engine
            .create_account(
                "Acme",
                "acme",
                Owner { user_id: "user_dana", name: "Dana Reyes", email: "dana@example.com" },
            )
            .unwrap();
        let (engine, token) = (Arc::new(engine), token.expose().to_owned());
        Self { engine, account, token, hands, slowness: Arc::default(), server: None, agent: agent() }
    }

    /// The engine, of a board that is not served.
    pub(crate) fn engine_mut(&mut self) -> &mut Engine {
        Arc::get_mut(&mut self.engine).expect("nobody serves it")
    }

    /// From now on nobody answers.
    pub(crate) fn leave(&mut self) {
        self.server.take().unwrap().stop(std::time::Duration::ZERO);
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.as_ref().expect("it is served").local_addr())
    }

    /// Time goes on.
    pub(crate) fn pass(&self, ms: i64) {
        self.hands.0.fetch_add(ms, Ordering::SeqCst);
    }

    /// From now on every call over HTTP takes so long.
    pub(crate) fn is_slow(&self, by: Duration) {
        self.slowness.store(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// What time it is there.
    pub(crate) fn clock(&self) -> Hands {
        self.hands.clone()
    }

    /// A service function with this account's id and token; its value, or the text of its error.
    pub(crate) fn service(&self, name: &str, mut args: Value) -> Result<Value, String> {
        args["accountId"] = json!(self.account);
        args["serviceToken"] = json!(self.token);
        self.call(Kind::Action, &format!("service/actions:{name}"), &args)
    }

    /// A mutation by the account's person.
    pub(crate) fn person(&self, path: &str, mut args: Value) -> Result<Value, String> {
        args["accountId"] = json!(self.account);
        self.call(Kind::Mutation, path, &args)
    }

    /// A query by the account's person.
    pub(crate) fn look(&self, path: &str, mut args: Value) -> Result<Value, String> {
        args["accountId"] = json!(self.account);
        self.call(Kind::Query, path, &args)
    }

    /// Any call, as it stands, by somebody who has the admin key: over HTTP, if it is served.
    pub(crate) fn call(&self, kind: Kind, path: &str, args: &Value) -> Result<Value, String> {
        let answer = match &self.server {
            Some(_) => self.post(kind, path, args),
            None => self.engine.call(kind, path, args, Caller::Person, REQUEST_ID).1,
        };
        match answer["status"].as_str() {
            Some("success") => Ok(answer["value"].clone()),
            _ => Err(answer["errorMessage"].as_str().unwrap_or("a fault of the platform").to_owned()),
        }
    }

    fn post(&self, kind: Kind, path: &str, args: &Value) -> Value {
        let endpoint = match kind {
            Kind::Query => "query",
            Kind::Mutation => "mutation",
            Kind::Action => "action",
        };
        let request = self.agent.post(format!("{}/api/{endpoint}", self.url()));
        let request = request
            .header("Content-Type", "application/json")
            .header("Authorization", &format!("Convex {ADMIN_KEY}"))
            .header("Convex-Request-Id", REQUEST_ID);
        let body = json!({"path": path, "args": [args], "format": "json"});
        let mut answer = request.send(body.to_string()).unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }
}

/// Under which every call of a test is made.
const REQUEST_ID: &str = "0123456789abcdef";

/// What opens the board to people.
pub(crate) const ADMIN_KEY: &str = "admin-key-of-the-tests";

/// A client that takes every status as an answer.
pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into()
}
