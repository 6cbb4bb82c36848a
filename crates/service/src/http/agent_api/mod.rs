//! The agents' HTTP API: the tools of a turn for agents without tools there, and the endpoints that wake agents.
//!
//! A request passes these checks in order, and the first failure is the response (http-and-tools §2.6):
//!
//! 1. It comes from an allowed address, unforwarded ([`network_guard`]).
//! 2. It names an issued session, with its token, and the endpoint is open to that session (`authenticate`).
//! 3. It is within the rate limit ([`buckets`]).
//! 4. It comes from the orchestrator, if only the orchestrator may call the endpoint.
//! 5. Its body is a plain JSON object.
//! 6. It passes the checks of a function tool (`tools::decode`, `tools::guard`).
//!
//! A call that changes the board runs once (`execute`): under its idempotency key ([`repeats`]), and in the record of
//! the agent's running delivery. [`answers`] renders the result in the endpoint's shape. An event for an agent passes
//! the same checks and then enters that agent's queue (`wake_endpoint`). A skill's call of the consumer's application passes
//! the first five (`bridge_endpoint`).

pub mod answers;
mod authenticate;
mod bridge_endpoint;
pub mod buckets;
mod execute;
pub mod network_guard;
pub mod repeats;
mod wake_endpoint;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::{Level, kv};
use serde_json::Value;

use self::answers::{Refusal, failed, leaders_only, refusal};
use self::authenticate::{CallingAgent, stopped};
pub use self::bridge_endpoint::{BRIDGE_CALL, Bridge};
use self::buckets::{Buckets, TooMuch};
use self::network_guard::NetworkGuard;
use self::repeats::{Answer, Known, Repeats};
use crate::delivery::active_delivery::JournalHandle;
use crate::delivery::deps::RecentIds;
use crate::delivery::inflight::InFlight;
use crate::delivery::log_item::{LogItem, millis};
use crate::heartbeat::beats::Beats;
use crate::http::routes::AgentEndpoint;
use crate::metrics::{Metrics, Via};
use crate::roster::Team;
use mcr_clients::mission::Mission;
use mcr_core::delivery::acts::Act;
use mcr_core::delivery::journal::Journal;
use mcr_core::heartbeat::wake_body::WakeBody;
use mcr_core::tools::access::ToolAccess;
use mcr_core::tools::table::Audience;
use mcr_core::tools::{ToolRequest, decode_call, guard};
use mcr_http::message::{Reply, Request};
use mcr_model::SessionScope;
use mcr_model::clock::{Clock, Millis};
use mcr_model::json;
use mcr_model::redact::{OutgoingMask, Redactor};
use mcr_store::sessions::{Session, Sessions};

/// The header with the key of the agent's session.
pub const SESSION: &str = "x-openclaw-session-key";
/// The header with the secret of that session.
pub const TOKEN: &str = "x-runtime-token";
/// The header with the idempotency key of a call.
pub const NAME: &str = "Idempotency-Key";
/// The largest body with a document: a million characters, each of them escaped.
pub const DOCUMENT_BYTES: usize = 8 * 1024 * 1024;

/// The longest idempotency key.
const NAME_CHARS: usize = 255;

/// The parts that the endpoints need.
pub struct AgentApiSetup {
    /// The backend.
    pub mission: Mission,
    /// The current roster.
    pub team: Team,
    /// The issued sessions.
    pub sessions: Arc<Sessions>,
    /// The running deliveries.
    pub inflight: InFlight,
    /// The ledger, which records calls.
    pub journal: Arc<dyn Journal>,
    /// The ids of rows that any call created recently.
    pub made: Arc<RecentIds>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Called after a write that may cause notifications.
    pub written: Box<dyn Fn() + Send + Sync>,
    /// Sleeps for this long.
    pub wait: Box<dyn Fn(Duration) + Send + Sync>,
    /// The allowed addresses and host names.
    pub guard: NetworkGuard,
    /// Whether a request needs the session's token as well as its key.
    pub tokens: bool,
    /// How agents reach the tools.
    pub access: ToolAccess,
    /// Whether the gateway shows function tools to its agents, as far as that is known.
    pub shows_tools: Box<dyn Fn() -> bool + Send + Sync>,
    /// How many writing calls one delivery may make.
    pub calls_max: u32,
    /// Removes secrets from responses.
    pub redactor: Arc<Redactor>,
    /// The counters of tool calls.
    pub metrics: Arc<Metrics>,
    /// The queues of waiting events.
    pub beats: Arc<Beats>,
    /// The gateway's name for main sessions.
    pub main_session: String,
    /// Whether each agent has a main session at the gateway, or all share one.
    pub session_scope: SessionScope,
    /// How skills call the consumer's application.
    pub bridge: Bridge,
}

/// The endpoints. Shared by all connections.
pub struct AgentApi {
    setup: AgentApiSetup,
    buckets: Mutex<Buckets>,
    repeats: Mutex<Repeats>,
    /// When a refused call last caused a read of the roster.
    looked: Mutex<Millis>,
    /// When a caller without a valid token last did so.
    looked_for_unknown: Mutex<Millis>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AgentApi {
    /// Endpoints without any calls yet.
    pub fn new(setup: AgentApiSetup) -> Self {
        Self {
            setup,
            buckets: Mutex::default(),
            repeats: Mutex::default(),
            looked: Mutex::default(),
            looked_for_unknown: Mutex::default(),
        }
    }

    /// The response to a caller that is not allowed, by the request's head alone. If there is one, the body is not
    /// read.
    pub fn refuse(&self, endpoint: AgentEndpoint, request: &Request) -> Option<Reply> {
        self.admit(endpoint, request).err().map(|refused| self.refused(&refused))
    }

    /// Answers a call of this endpoint.
    pub fn answer(&self, endpoint: AgentEndpoint, request: &Request) -> Reply {
        let began = Instant::now();
        let answered = self.check(endpoint, request, began);
        answered.unwrap_or_else(|refused| self.refused(&refused))
    }

    fn refused(&self, refused: &Refusal) -> Reply {
        let error = self.setup.redactor.clean(&refused.error);
        Refusal { error, ..refused.clone() }.reply()
    }

    fn check(&self, endpoint: AgentEndpoint, request: &Request, began: Instant) -> Result<Reply, Refusal> {
        let session = self.admit(endpoint, request)?;
        let answered = self.check_as(endpoint, request, session, began);
        if let AgentEndpoint::Tool(row) = endpoint {
            let failed = match &answered {
                Ok(reply) => failed(reply.status(), true),
                Err(refused) => failed(refused.status, refused.retryable),
            };
            self.setup.metrics.tool(Via::Http, row.name.as_str(), failed, began.elapsed());
        }
        answered
    }

    fn check_as(
        &self,
        endpoint: AgentEndpoint,
        request: &Request,
        session: Session,
        began: Instant,
    ) -> Result<Reply, Refusal> {
        let call = endpoint.call();
        let agent = session.agent.to_string();
        let began_it = lock(&self.buckets).begin(&agent, self.setup.clock.now());
        began_it.map_err(|much| match much {
            TooMuch::OfThisAgent(wait) => Refusal::later(
                429,
                "Too many calls by this agent. Make fewer calls and repeat this one later",
                wait,
            ),
            TooMuch::OfAll(wait) => Refusal::later(
                503,
                "Too many calls by all agents are in progress. Repeat this one later",
                wait,
            ),
        })?;
        let _under_way = UnderWay { api: self, agent: &agent };
        let mut calling = self.identify(session)?;
        if let Some(held) = &calling.held {
            if held.is_stopped() {
                return Err(stopped());
            }
            self.setup.inflight.beat(&held.work().id);
            held.confirm_results(self.handle());
        }
        if let AgentEndpoint::Tool(row) = endpoint
            && row.audience == Audience::Leader
        {
            calling.leads = self.leads(&calling, call)?;
            if !calling.leads {
                return Err(leaders_only(row));
            }
        }
        let arguments = body(request)?;
        let mask = self.mask(request, &calling);
        let result = match endpoint {
            AgentEndpoint::Tool(row) => {
                let current = calling.session.task();
                // As in a turn: readers of a document or message must not find credentials for this API in it.
                let arguments = &mask.clean(arguments);
                let asked = decode_call(row.name, arguments, current).map_err(|error| {
                    let acts: Vec<Act> =
                        Act::of_refused_call(row.name.as_str(), error.kind).into_iter().collect();
                    self.note_loose(&acts, &calling);
                    refusal(&error)
                })?;
                if matches!(asked, ToolRequest::TaskCreate(_)) {
                    calling.leads = self.leads(&calling, call)?;
                }
                let mut allowed = guard::rights(&asked, &calling.caller());
                if allowed.is_err() && self.look_again(&mut calling) {
                    allowed = guard::rights(&asked, &calling.caller());
                }
                match allowed {
                    Err(error) => Err(refusal(&error)),
                    Ok(()) if row.writes => self.once_named(request, &calling, &asked.key(), |name| {
                        self.make(&asked, &calling, name, began)
                    }),
                    Ok(()) => self.read(&asked, &calling, began),
                }
            }
            AgentEndpoint::Tell(kind) => {
                let ask = WakeBody::read(kind, arguments).map_err(|error| refusal(&error))?.masked(&mask);
                if ask.is_for_another(&calling.slug) {
                    calling.leads = self.leads(&calling, call)?;
                }
                self.accept_event(&ask, &calling, request)
            }
            AgentEndpoint::Bridge => self.call_bridge(&mask.clean(arguments), request),
        };
        self.log_call(&calling, call.name, began, &result);
        result
    }

    /// Removes the caller's credentials from what it writes.
    fn mask(&self, request: &Request, calling: &CallingAgent) -> OutgoingMask {
        let mask = OutgoingMask::new(self.setup.mission.account(), &calling.slug);
        let key = request.header(SESSION).unwrap_or_default();
        mask.with_token(&calling.session.token).with_token(&calling.session.agent_token).with_key(key)
    }

    fn log_call(&self, calling: &CallingAgent, tool: &str, began: Instant, result: &Result<Reply, Refusal>) {
        let work = calling.held.as_ref().map(|held| held.work());
        let item = match &work {
            Some(work) => LogItem::from(&**work).with_slug(&calling.slug),
            None => LogItem::without_work(&calling.slug, calling.session.task()),
        };
        let status = match result {
            Ok(reply) => reply.status(),
            Err(refused) => refused.status,
        };
        let mut fields = vec![
            ("tool", kv::Value::from(tool)),
            ("duration_ms", millis(began.elapsed())),
            ("outcome", kv::Value::from(if result.is_ok() { "ok" } else { "failed" })),
            ("status", kv::Value::from(status)),
        ];
        let error = result.as_ref().err().map(|refused| self.setup.redactor.clean(&refused.error));
        fields.extend(error.as_deref().map(|error| ("reason", kv::Value::from(error))));
        item.log(Level::Info, "Tool called over HTTP", &fields);
    }

    fn handle(&self) -> JournalHandle<'_> {
        JournalHandle { journal: &*self.setup.journal, clock: &*self.setup.clock }
    }

    /// Runs a writing call once under its idempotency key. `call` identifies its content.
    fn once_named(
        &self,
        request: &Request,
        calling: &CallingAgent,
        call: &str,
        make: impl FnOnce(Option<&str>) -> Result<Reply, Refusal>,
    ) -> Result<Reply, Refusal> {
        let name = only(request, NAME)?.filter(|name| !name.is_empty());
        let Some(name) = name else { return make(None) };
        if name.len() > NAME_CHARS || !name.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(Refusal::new(400, "Idempotency-Key must have at most 255 plain characters"));
        }
        let agent = calling.session.agent.as_str();
        let known = lock(&self.repeats).begin(agent, name, call, self.setup.clock.now());
        match known {
            Known::Nothing => {}
            Known::Answer(answer) => {
                return Ok(Reply::json(answer.body).with_status(answer.status).no_store());
            }
            Known::UnderWay => {
                let words = "The same call is in progress under this Idempotency-Key: repeat it in a moment";
                return Err(Refusal::later(409, words, Duration::from_secs(1)));
            }
            Known::Other => {
                let words = "This Idempotency-Key belongs to another call: use a new key for each call";
                return Err(Refusal::new(422, words));
            }
        }
        let mut naming = NamedRequest { api: self, agent, name, answer: None };
        let result = make(Some(name));
        // A result that may differ next time is not kept, nor a failure of our own.
        naming.answer = match &result {
            Ok(reply) => answer_of(reply),
            Err(refused) if refused.retryable || refused.status == 500 => None,
            Err(refused) => answer_of(&self.refused(refused)),
        };
        drop(naming);
        result
    }
}

fn answer_of(reply: &Reply) -> Option<Answer> {
    reply.body().map(|body| Answer { status: reply.status(), body: Arc::from(body) })
}

/// A running call; its drop ends it in the rate limit, however the call ends.
struct UnderWay<'a> {
    api: &'a AgentApi,
    agent: &'a str,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(&self.api.buckets).end(self.agent);
    }
}

/// A running call with an idempotency key; its drop stores its answer, or frees the key.
struct NamedRequest<'a> {
    api: &'a AgentApi,
    agent: &'a str,
    name: &'a str,
    answer: Option<Answer>,
}

impl Drop for NamedRequest<'_> {
    fn drop(&mut self) {
        lock(&self.api.repeats).end(self.agent, self.name, self.answer.take());
    }
}

/// The value of a header that may be given once.
fn only<'a>(request: &'a Request, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = request.headers_named(name);
    let value = values.next();
    match values.next() {
        Some(_) => Err(Refusal::new(400, format!("The header {name} appears more than once. Send it once"))),
        None => Ok(value),
    }
}

/// The body, checked to be one JSON object.
fn body(request: &Request) -> Result<&str, Refusal> {
    let plain = |coding: &str| coding.eq_ignore_ascii_case("identity");
    if request.headers_named("Content-Encoding").any(|coding| !plain(coding)) {
        return Err(Refusal::new(415, "Unsupported Content-Encoding: send the JSON body uncompressed"));
    }
    if let Some(kind) = request.headers_named("Content-Type").find(|kind| !is_text(kind)) {
        let kind = Redactor::default().excerpt(kind, 60);
        return Err(Refusal::new(415, format!("Unsupported Content-Type: {kind}. Send application/json")));
    }
    let invalid = |why: &str| Refusal::new(400, format!("Invalid JSON body{why}"));
    let text = std::str::from_utf8(request.body()).map_err(|_| invalid(" (it is not UTF-8)"))?;
    match serde_json::from_str::<Value>(&json::text(text)) {
        Ok(Value::Object(_)) => Ok(text),
        Ok(_) => Err(invalid(": send one JSON object, such as {}")),
        Err(_) if text.trim().is_empty() => Err(invalid(": send {} if there are no fields")),
        Err(error) => Err(invalid(&format!(" (line {}, column {})", error.line(), error.column()))),
    }
}

/// Whether a body of this media type may be JSON: clients without a given type send their default.
fn is_text(kind: &str) -> bool {
    let mut parts = kind.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let plain = ["", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"];
    let fits = kind.ends_with("/json") || kind.ends_with("+json") || plain.contains(&kind.as_str());
    let utf8 = |part: &str| {
        let part = part.to_ascii_lowercase();
        part.strip_prefix("charset=")
            .is_none_or(|name| ["utf-8", "utf8", "us-ascii"].contains(&name.trim_matches('"')))
    };
    fits && parts.all(utf8)
}
