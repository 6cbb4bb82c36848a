//! A scripted OpenClaw gateway: complete except for the language model, which a [`ScriptedModel`] replaces.
//!
//! It implements several releases of openclaw-gateway (`release`) and keeps sessions with their histories. [`Faults`] make it
//! misbehave, and [`Observations`] record what it received. The demo, the tests and the simulations use it.
//!
//! A request passes through these modules: `turn` accepts it, `schema` and `turn_request` parse it. `run` runs the turn in
//! a session of `sessions`, which writes a `transcript`, and `answer` formats the result. `history`, `invoke` and `probes`
//! serve the other endpoints, and `socket` the WebSocket, where `session_events` reports what is written.
//!
//! A gateway that crashes and restarts (openclaw-gateway §11.5) is a second instance with the `sessions` of the first
//! ([`ScriptedGateway::restarted`]). It resumes their unfinished turns (`restart`).
//!
//! ```
//! use std::sync::Arc;
//! use mcr_gateway_sim::gateway::{self, Options, Prompt, ScriptedGateway, Thought};
//! use mcr_http::server::{ServerLimits, Server};
//! let model = Arc::new(|prompt: &Prompt| Thought::say(format!("{} received: {}", prompt.agent, prompt.text)));
//! let scripted = ScriptedGateway::new(Options::default(), model);
//! let limits = ServerLimits::default().with_body_limit(gateway::PATH, gateway::BODY_BYTES);
//! let gateway = scripted.clone();
//! let server = Server::bind_refusing("127.0.0.1:0", limits, ScriptedGateway::refuse, move |r| gateway.answer(&r))?;
//! # std::io::Result::Ok(())
//! ```

mod answer;
mod delegation;
mod directives;
mod failure;
mod faults;
mod history;
mod ids;
mod invoke;
mod observations;
mod probes;
mod provider;
mod release;
mod restart;
mod run;
mod schema;
mod scripted_model;
mod session_events;
mod sessions;
mod silence;
mod socket;
mod transcript;
mod turn;
mod turn_request;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;

pub use self::answer::HALF_EMOJI;
use self::answer::{body, refusal};
pub use self::directives::Directives;
pub use self::faults::{Fault, Faults};
use self::ids::Ids;
pub use self::observations::{Marks, Observations, Seen, marker};
pub use self::release::Release;
pub use self::scripted_model::{
    Act, Call, InputItem, ModelUsage, Offered, Prompt, ScriptedModel, Thought, Tokens,
};
use self::sessions::{Sessions, Slots};
pub use self::transcript::{Entry, Item, StopReason};
use self::turn_request::TurnRequest;
use mcr_http::message::{Reply, Request};
use mcr_model::clock::{Clock, Millis, SystemClock};

/// The path of the endpoint for turns.
pub const PATH: &str = "/v1/responses";
/// In [`Options::agents`]: every requested agent exists, even if it is not listed.
pub const ANY_AGENT: &str = "*";
/// The maximum body of a turn, in bytes.
pub const BODY_BYTES: usize = 20 * 1024 * 1024;

/// The interval at which a waiting request checks its conditions.
const POLL_INTERVAL: Duration = Duration::from_millis(25);
/// The number of responses whose session is remembered for `previous_response_id`.
const RESPONSES: usize = 500;

/// The phase in the gateway's lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Accepts turns, but reports that it is not ready.
    Starting,
    /// Runs normally.
    Running,
    /// Finishes its turns and accepts no more.
    Draining,
}

/// The configuration of one gateway.
#[derive(Clone)]
pub struct Options {
    /// The emulated release.
    pub release: Release,
    /// The token that callers must send. Without it every caller is accepted.
    pub token: Option<String>,
    /// Its agents, in order.
    pub agents: Vec<String>,
    /// Whether the endpoint for turns is enabled.
    pub endpoint: bool,
    /// The maximum number of concurrent turns, over all sessions.
    pub max_concurrent: usize,
    /// The minimum number of items each session keeps. With 0 there are no sessions and no history.
    pub transcript: usize,
    /// The number of requests that [`Observations`] keep.
    pub requests: usize,
    /// Whether a second turn fails during the very first turn of a session, as the new release can do.
    pub fresh_sessions_conflict: bool,
    /// The timeout of a turn whose provider never answers.
    pub run_timeout: Duration,
    /// How long the gateway retries a provider's 429, 5xx and cut connections before the turn fails.
    pub provider_patience: Duration,
    /// Which of the tools `sessions_list` and `sessions_history` external callers may use.
    pub tools_allowed: Vec<String>,
    /// Whether it accepts WebSocket connections. Otherwise it serves its page there.
    pub sockets: bool,
    /// The delay after a restart before the first interrupted turn is resumed.
    pub resume_after: Duration,
    /// The seed of the ids.
    pub seed: u64,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Options {
    fn knows(&self, agent: &str) -> bool {
        self.agents.iter().any(|known| known == agent || known == ANY_AGENT)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            release: Release::V2026_9_6,
            token: None,
            agents: vec!["engineer".to_owned(), "qa".to_owned()],
            endpoint: true,
            max_concurrent: 64,
            transcript: 1_000,
            requests: 1_000,
            fresh_sessions_conflict: true,
            run_timeout: Duration::from_secs(20),
            provider_patience: Duration::ZERO,
            tools_allowed: Vec::new(),
            sockets: true,
            resume_after: Duration::from_secs(5),
            seed: SystemClock.now().0.unsigned_abs(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// The scripted gateway. Clones share one instance.
#[derive(Clone)]
pub struct ScriptedGateway {
    inner: Arc<Inner>,
}

/// The state that all requests share.
struct Inner {
    options: Options,
    model: Arc<dyn ScriptedModel>,
    ids: Ids,
    sessions: Sessions,
    slots: Slots,
    faults: Faults,
    observations: Arc<Observations>,
    phase: Mutex<Phase>,
    started: Millis,
    /// The end of the cool-down of each agent's provider.
    cooling: Mutex<HashMap<String, Millis>>,
    /// The sessions of the last responses, with the scope a request must match to continue them.
    responses: Mutex<VecDeque<(String, Scope, String)>>,
    ended: AtomicBool,
}

/// The scope of a response: the agent, and the requested session.
type Scope = (String, Option<String>);

impl ScriptedGateway {
    /// A gateway whose agents use this model.
    pub fn new(options: Options, model: Arc<dyn ScriptedModel>) -> Self {
        let sessions = Sessions::new(options.transcript);
        let observations = Arc::new(Observations::new(options.requests));
        Self::with(options, model, sessions, observations)
    }

    /// Crashes this gateway and returns its restarted successor, with the sessions and observations but without planned
    /// faults. Interrupted turns keep what they had written, receive no response, and are resumed.
    #[must_use]
    pub fn restarted(&self) -> Self {
        self.restarted_as(|_| {})
    }

    /// [`ScriptedGateway::restarted`] with changed options.
    #[must_use]
    pub fn restarted_as(&self, change: impl FnOnce(&mut Options)) -> Self {
        self.end();
        let old = &self.inner;
        old.observations.killed();
        let mut options = old.options.clone();
        options.seed = options.seed.wrapping_add(1);
        change(&mut options);
        let new = Self::with(
            options,
            Arc::clone(&old.model),
            old.sessions.inherited(),
            Arc::clone(&old.observations),
        );
        if new.inner.options.release.resumes() {
            let inner = Arc::clone(&new.inner);
            std::thread::spawn(move || restart::resume_all(&inner));
        }
        new
    }

    fn with(
        options: Options,
        model: Arc<dyn ScriptedModel>,
        sessions: Sessions,
        observations: Arc<Observations>,
    ) -> Self {
        let inner = Inner {
            ids: Ids::new(options.seed),
            sessions,
            slots: Slots::new(options.max_concurrent),
            faults: Faults::default(),
            observations,
            phase: Mutex::new(Phase::Running),
            started: options.clock.now(),
            cooling: Mutex::default(),
            responses: Mutex::default(),
            ended: AtomicBool::new(false),
            options,
            model,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The planned faults.
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// The recorded observations.
    pub fn observations(&self) -> &Observations {
        &self.inner.observations
    }

    /// Sets the phase.
    pub fn set_phase(&self, phase: Phase) {
        *locked(&self.inner.phase) = phase;
    }

    /// Ends every waiting request permanently. Call this before the serving server stops.
    pub fn end(&self) {
        self.inner.ended.store(true, Ordering::Release);
        self.inner.faults.end();
    }

    /// Handles a request.
    pub fn answer(&self, request: &Request) -> Reply {
        let inner = &self.inner;
        let path = request.path();
        if path == PATH {
            return turn::answer(inner, request);
        }
        if path == invoke::PATH {
            return invoke::answer(inner, request);
        }
        if path == socket::PATH && inner.options.sockets && socket::is_upgrade(request) {
            return socket::answer(inner, request);
        }
        match history::key_of(&path) {
            Some(key) if !inner.options.release.is_oldest() => history::answer(inner, request, &key),
            _ => probes::answer(inner, request),
        }
    }

    /// Formats the server's own refusals as the gateway does: for `Server::bind_refusing`.
    pub fn refuse(status: u16, why: &str) -> Reply {
        match status {
            413 => refusal(413, "invalid_request_error", "Payload too large"),
            500.. => refusal(status, "api_error", why),
            _ => refusal(status, "invalid_request_error", why),
        }
    }
}

impl Inner {
    fn phase(&self) -> Phase {
        *locked(&self.phase)
    }

    fn is_running(&self) -> bool {
        !self.ended.load(Ordering::Acquire)
    }

    fn up_for(&self) -> Duration {
        self.options.clock.now().since(self.started)
    }

    fn is_authorized(&self, request: &Request) -> bool {
        let Some(token) = &self.options.token else { return true };
        let shown = request.header("Authorization").and_then(|header| header.split_once(' '));
        shown.is_some_and(|(scheme, shown)| scheme.eq_ignore_ascii_case("bearer") && shown.trim() == token)
    }

    fn is_cooling(&self, agent: &str) -> bool {
        locked(&self.cooling).get(agent).is_some_and(|until| self.options.clock.now() < *until)
    }

    fn cool(&self, agent: &str, time: Duration) {
        locked(&self.cooling).insert(agent.to_owned(), self.options.clock.now() + time);
    }

    fn remember(&self, run: &str, ask: &TurnRequest) {
        let Some(session) = &ask.session else { return };
        let mut responses = locked(&self.responses);
        if responses.len() == RESPONSES {
            responses.pop_front();
        }
        responses.push_back((run.to_owned(), (ask.agent.clone(), ask.wanted.clone()), session.clone()));
    }

    /// The session of an earlier response, if its scope matches.
    fn session_of(&self, ask: &TurnRequest) -> Option<String> {
        let (wanted, scope) = (ask.previous.as_ref()?, (ask.agent.clone(), ask.wanted.clone()));
        let responses = locked(&self.responses);
        let found = responses.iter().find(|(run, whose, _)| run == wanted && *whose == scope);
        found.map(|(_, _, session)| session.clone())
    }
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The refusal of a draining gateway.
fn draining() -> Reply {
    let message = "Gateway is temporarily unavailable while suspending or restarting";
    let error = json!({"message": message, "type": "service_unavailable", "code": "gateway_unavailable"});
    body(503, &json!({"error": error}))
}
