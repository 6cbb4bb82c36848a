//! A board for tests: an embedded backend with one account, its token, and a test clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use mission_control_runtime::clock::{Clock, Millis};
use mission_control_runtime::http::hosts::Hosts;
use mission_control_runtime::http::server::{Server, ServerLimits};
use mission_control_runtime::local::http_api::{API_PATHS, BODY_BYTES, HttpApi};
use mission_control_runtime::local::{Caller, Engine, Kind, MasterKey, Options, Owner, Vault};
use mission_control_runtime::secret::Secret;
use serde_json::{Value, json};

/// A clock that only tests advance.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl Clock for TestClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

/// A backend with one account.
pub(crate) struct Board {
    pub(crate) engine: Arc<Engine>,
    pub(crate) account: String,
    pub(crate) token: String,
    clock: TestClock,
    slowness: Arc<AtomicU64>,
    server: Option<Server>,
    agent: ureq::Agent,
}

impl Board {
    /// With the corrections of a stand-in, and served over HTTP.
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let mut board = Self::unserved(options);
        board.serve("127.0.0.1:0");
        board
    }

    /// Served over HTTP, with a master key for stored keys.
    pub(crate) fn with_vault(options: Options) -> Self {
        let mut board = Self::unserved(options);
        let engine = Arc::into_inner(board.engine).unwrap();
        let key = MasterKey::from_file(&[7; 32]).unwrap();
        board.engine = Arc::new(engine.with_vault(Vault::new(&key)).unwrap());
        board.serve("127.0.0.1:0");
        board
    }

    /// Serves the board at this address.
    pub(crate) fn serve(&mut self, address: &str) {
        let api = HttpApi::new(self.engine.clone(), Secret::new(ADMIN_KEY), Hosts::default());
        let limits = API_PATHS
            .iter()
            .fold(ServerLimits::default(), |limits, path| limits.with_body_limit(path, BODY_BYTES));
        let slowness = self.slowness.clone();
        super::wait::until_free(address);
        let answer = move |request| {
            std::thread::sleep(Duration::from_millis(slowness.load(Ordering::Relaxed)));
            api.answer(&request)
        };
        self.server = Some(Server::bind(address, limits, answer).unwrap());
    }

    /// Without HTTP, for tests that change the engine directly.
    pub(crate) fn unserved(options: Options) -> Self {
        let clock = TestClock(Arc::new(AtomicI64::new(1_765_526_400_000)));
        let engine = Engine::in_memory(Box::new(clock.clone()), options).unwrap();
        let (account, token) = engine
            .create_account(
                "Acme",
                "acme",
                Owner { user_id: "user_dana", name: "Dana Reyes", email: "dana@example.com" },
            )
            .unwrap();
        let (engine, token) = (Arc::new(engine), token.expose().to_owned());
        Self { engine, account, token, clock, slowness: Arc::default(), server: None, agent: agent() }
    }

    /// The engine of a board without a server.
    pub(crate) fn engine_mut(&mut self) -> &mut Engine {
        Arc::get_mut(&mut self.engine).expect("nobody serves it")
    }

    /// Stops the server, so that every further call fails.
    pub(crate) fn stop_serving(&mut self) {
        self.server.take().unwrap().stop(std::time::Duration::ZERO);
    }

    /// The address of the server.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.as_ref().expect("it is served").local_addr())
    }

    /// Advances the clock.
    pub(crate) fn advance(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }

    /// Delays every further call over HTTP by this time.
    pub(crate) fn slow_down_by(&self, by: Duration) {
        self.slowness.store(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// The test clock.
    pub(crate) fn clock(&self) -> TestClock {
        self.clock.clone()
    }

    /// Calls a service function with this account's id and token. Returns its value or the text of its error.
    pub(crate) fn service(&self, name: &str, mut args: Value) -> Result<Value, String> {
        args["accountId"] = json!(self.account);
        args["serviceToken"] = json!(self.token);
        self.call(Kind::Action, &format!("service/actions:{name}"), &args)
    }

    /// Calls a mutation as the account's person.
    pub(crate) fn person(&self, path: &str, mut args: Value) -> Result<Value, String> {
        args["accountId"] = json!(self.account);
        self.call(Kind::Mutation, path, &args)
    }

    /// Calls a query as the account's person.
    pub(crate) fn look(&self, path: &str, mut args: Value) -> Result<Value, String> {
        args["accountId"] = json!(self.account);
        self.call(Kind::Query, path, &args)
    }

    /// Makes any call with the admin key and these exact arguments: over HTTP, if the board is served.
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

/// The request id of every call.
const REQUEST_ID: &str = "0123456789abcdef";

/// The admin key of every board.
pub(crate) const ADMIN_KEY: &str = "admin-key-of-the-tests";

/// A client that returns every status as a response.
pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into()
}
