//! A scripted OpenClaw gateway: everything of a gateway but the model, whose place a [`ScriptedModel`] takes.
//!
//! It speaks both dialects as openclaw-gateway has them, keeps sessions and their histories, and can be told to
//! misbehave ([`Faults`]). What it saw stands in its [`Observations`]. The demo, the tests and the simulations use this one.
//!
//! A request goes down the files: `turn` lets it in, `schema` and `turn_request` understand it, `run` plays its turn in a session of `sessions`,
//! which writes a `transcript`; `answer` says what came of it. `history`, `invoke` and `probes` answer everything else, and
//! `socket` speaks WebSocket.
//!
//! A gateway that is killed and comes back (openclaw-gateway §11.5) is a second one that is given the `sessions` of the
//! first ([`ScriptedGateway::restarted`]) and resumes what they left open (`restart`).
//!
//! ```
//! use std::sync::Arc;
//! use mcr_gateway_sim::gateway::{self, Options, Prompt, ScriptedGateway, Thought};
//! use mcr_http::server::{ServerLimits, Server};
//! let mind = Arc::new(|prompt: &Prompt| Thought::say(format!("{} heard: {}", prompt.agent, prompt.text)));
//! let scripted = ScriptedGateway::new(Options::default(), mind);
//! let limits = ServerLimits::default().with_body_limit(gateway::PATH, gateway::BODY_BYTES);
//! let doors = scripted.clone();
//! let server = Server::bind_refusing("127.0.0.1:0", limits, ScriptedGateway::refuse, move |r| doors.answer(&r))?;
//! # std::io::Result::Ok(())
//! ```

mod answer;
mod directives;
mod faults;
mod history;
mod ids;
mod invoke;
mod observations;
mod probes;
mod provider;
mod restart;
mod run;
mod schema;
mod scripted_model;
mod sessions;
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
pub use self::scripted_model::{Act, Call, InputItem, Offered, Prompt, ScriptedModel, Thought};
use self::sessions::{Sessions, Slots};
pub use self::transcript::{Entry, Item, StopReason};
use self::turn_request::TurnRequest;
use mcr_http::message::{Reply, Request};
use mcr_model::clock::{Clock, Millis, SystemClock};

/// The path of turns.
pub const PATH: &str = "/v1/responses";
/// Among [`Options::agents`]: every agent that is asked for exists, whether it is listed or not.
pub const ANYBODY: &str = "*";
/// The largest body of a turn, in bytes.
pub const BODY_BYTES: usize = 20 * 1024 * 1024;

/// How often somebody who waits looks whether it is still worth it.
const LOOK: Duration = Duration::from_millis(25);
/// Responses whose session is remembered for `previous_response_id`.
const RESPONSES: usize = 500;

/// Which release it plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The newest.
    V2026_9_6,
    /// The one that the reference product pinned.
    V2026_2_19,
}

/// Where it is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It listens and takes turns, and says that it is not ready.
    Starting,
    /// It runs.
    Running,
    /// It finishes what it has and takes nothing more.
    Draining,
}

/// What one gateway is like.
#[derive(Clone)]
pub struct Options {
    /// Which release it plays.
    pub release: Release,
    /// What callers must show; without it everybody is let in.
    pub token: Option<String>,
    /// Its agents, in order.
    pub agents: Vec<String>,
    /// Whether it has the endpoint for turns.
    pub endpoint: bool,
    /// How many turns run at once, over all sessions.
    pub max_concurrent: usize,
    /// How many items each session remembers at least; with 0 there is no memory and no history.
    pub transcript: usize,
    /// How many requests the books keep.
    pub requests: usize,
    /// Whether a second turn fails that comes during the very first of a session, as it can on the new release.
    pub fresh_sessions_conflict: bool,
    /// How long a turn may take whose provider never answers.
    pub run_timeout: Duration,
    /// How long a provider's 429, 5xx and cuts are tried again inside before the turn fails.
    pub provider_patience: Duration,
    /// Which of the tools `sessions_list` and `sessions_history` may be called from outside.
    pub tools_allowed: Vec<String>,
    /// Whether it speaks WebSocket; else there is only its page where that is asked for.
    pub sockets: bool,
    /// How long after a restart the first turn is resumed that it cut off.
    pub resume_after: Duration,
    /// What ids are made of.
    pub seed: u64,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Options {
    fn knows(&self, agent: &str) -> bool {
        self.agents.iter().any(|known| known == agent || known == ANYBODY)
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

/// The gateway. Clones are the same one.
#[derive(Clone)]
pub struct ScriptedGateway {
    inner: Arc<Inner>,
}

/// What all requests share.
struct Inner {
    options: Options,
    model: Arc<dyn ScriptedModel>,
    ids: Ids,
    sessions: Sessions,
    slots: Slots,
    faults: Faults,
    books: Arc<Observations>,
    phase: Mutex<Phase>,
    began: Millis,
    /// Until when the provider of an agent is left alone.
    cooling: Mutex<HashMap<String, Millis>>,
    /// The sessions of the last responses, with whatever must be the same to ask for them.
    responses: Mutex<VecDeque<(String, Scope, String)>>,
    ended: AtomicBool,
}

/// Whose response it was: the agent, and the session that was asked for.
type Scope = (String, Option<String>);

impl ScriptedGateway {
    /// A gateway whose agents have this mind.
    pub fn new(options: Options, model: Arc<dyn ScriptedModel>) -> Self {
        let sessions = Sessions::new(options.transcript);
        let books = Arc::new(Observations::new(options.requests));
        Self::with(options, model, sessions, books)
    }

    /// Kills it, and the gateway that takes its place: with its sessions and its books, and without the memory of what
    /// was to go wrong. What was under way has written what it had written, is answered to nobody, and is resumed.
    #[must_use]
    pub fn restarted(&self) -> Self {
        self.restarted_as(|_| {})
    }

    /// As [`ScriptedGateway::restarted`], with changed options.
    #[must_use]
    pub fn restarted_as(&self, change: impl FnOnce(&mut Options)) -> Self {
        self.end();
        let old = &self.inner;
        old.books.killed();
        let mut options = old.options.clone();
        options.seed = options.seed.wrapping_add(1);
        change(&mut options);
        let new =
            Self::with(options, Arc::clone(&old.model), old.sessions.inherited(), Arc::clone(&old.books));
        if new.inner.options.release == Release::V2026_9_6 {
            let inner = Arc::clone(&new.inner);
            std::thread::spawn(move || restart::resume_all(&inner));
        }
        new
    }

    fn with(
        options: Options,
        model: Arc<dyn ScriptedModel>,
        sessions: Sessions,
        books: Arc<Observations>,
    ) -> Self {
        let inner = Inner {
            ids: Ids::new(options.seed),
            sessions,
            slots: Slots::new(options.max_concurrent),
            faults: Faults::default(),
            books,
            phase: Mutex::new(Phase::Running),
            began: options.clock.now(),
            cooling: Mutex::default(),
            responses: Mutex::default(),
            ended: AtomicBool::new(false),
            options,
            model,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What is to go wrong.
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// What it saw.
    pub fn books(&self) -> &Observations {
        &self.inner.books
    }

    /// From now on it is in this phase.
    pub fn set_phase(&self, phase: Phase) {
        *locked(&self.inner.phase) = phase;
    }

    /// Ends everything that waits, for good: before the server that serves it is stopped.
    pub fn end(&self) {
        self.inner.ended.store(true, Ordering::Release);
        self.inner.faults.end();
    }

    /// Answers a request.
    pub fn answer(&self, request: &Request) -> Reply {
        let inner = &self.inner;
        let path = request.path();
        if path == PATH {
            return turn::answer(inner, request);
        }
        if path == invoke::PATH {
            return invoke::answer(inner, request);
        }
        if path == socket::PATH && inner.options.sockets && socket::is_wanted(request) {
            return socket::answer(inner, request);
        }
        match history::key_of(&path) {
            Some(key) if inner.options.release == Release::V2026_9_6 => history::answer(inner, request, &key),
            _ => probes::answer(inner, request),
        }
    }

    /// What is refused before it gets here, in the gateway's own words: for `Server::bind_refusing`.
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

    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::Acquire)
    }

    fn up_for(&self) -> Duration {
        self.options.clock.now().since(self.began)
    }

    fn lets_in(&self, request: &Request) -> bool {
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

    /// The session of an earlier response, if it was asked for in the same way.
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

/// Nothing is run while it stops.
fn draining() -> Reply {
    let message = "Gateway is temporarily unavailable while suspending or restarting";
    let error = json!({"message": message, "type": "service_unavailable", "code": "gateway_unavailable"});
    body(503, &json!({"error": error}))
}
