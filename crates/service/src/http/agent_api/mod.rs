//! What agents call over HTTP: the same tools as in a turn, for agents that have none there, and what wakes them.
//!
//! A request goes down this road, and the first thing that is wrong with it is its answer (http-and-tools §2.6): it must
//! be [`network_guard`], name a session that was issued (`authenticate`), not come too often ([`buckets`]), come from the orchestrator
//! where only it may, have a JSON body without strange wrapping, and then everything that is asked of a function tool
//! (`tools::decode`, `tools::guard`). What changes the board is made once (`execute`): under the name that its agent gave
//! it ([`repeats`]), and in the record of the delivery that the agent is at work on. [`answers`] puts what came of it into
//! the endpoint's shape. What an agent is to hear of goes the same road, and then into its queue (`wake_endpoint`).

pub mod answers;
mod authenticate;
pub mod buckets;
mod execute;
pub mod network_guard;
pub mod repeats;
mod wake_endpoint;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::info;
use serde_json::Value;

use self::answers::{Refusal, failed, leaders_only, refusal};
use self::authenticate::{CallingAgent, stopped};
use self::buckets::{Buckets, TooMuch};
use self::network_guard::NetworkGuard;
use self::repeats::{Answer, Known, Repeats};
use crate::delivery::active_delivery::JournalHandle;
use crate::delivery::deps::RecentIds;
use crate::delivery::inflight::InFlight;
use crate::heartbeat::keeper::Keeper;
use crate::http::routes::AgentEndpoint;
use crate::metrics::{Metrics, Via};
use crate::roster::Team;
use mcr_clients::mission::Mission;
use mcr_core::delivery::journal::Journal;
use mcr_core::heartbeat::wake_body::WakeBody;
use mcr_core::tools::table::Audience;
use mcr_core::tools::{ToolRequest, decode_call, guard};
use mcr_http::message::{Reply, Request};
use mcr_model::SessionScope;
use mcr_model::clock::{Clock, Millis};
use mcr_model::json;
use mcr_model::redact::{Redactor, without_our_tokens};
use mcr_store::sessions::{Session, Sessions};

/// The header that says in which session an agent speaks.
pub const SESSION: &str = "x-openclaw-session-key";
/// The header with the secret of that session.
pub const TOKEN: &str = "x-runtime-token";
/// The header with the name of a call.
pub const NAME: &str = "Idempotency-Key";
/// The largest body of a document: a million characters, each of them escaped.
pub const DOCUMENT_BYTES: usize = 8 * 1024 * 1024;

/// The longest name of a call.
const NAME_CHARS: usize = 255;

/// What the endpoints are made of.
pub struct AgentApiSetup {
    /// The backend.
    pub mission: Mission,
    /// Who there is.
    pub team: Team,
    /// The sessions that were issued.
    pub sessions: Arc<Sessions>,
    /// What agents are at work on.
    pub inflight: InFlight,
    /// Where their calls are noted.
    pub journal: Arc<dyn Journal>,
    /// What was made lately, by whomever.
    pub made: Arc<RecentIds>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// To be called when something was written that makes notifications.
    pub stir: Box<dyn Fn() + Send + Sync>,
    /// Waits.
    pub wait: Box<dyn Fn(Duration) + Send + Sync>,
    /// Whom to let in.
    pub guard: NetworkGuard,
    /// Whether a session's secret must be shown besides its key.
    pub tokens: bool,
    /// How many writing calls one delivery may make.
    pub calls_max: u32,
    /// What no answer may hold.
    pub redactor: Arc<Redactor>,
    /// Where calls of tools are counted.
    pub metrics: Arc<Metrics>,
    /// What waits for agents.
    pub wakes: Arc<Keeper>,
    /// The name of main sessions at the gateway.
    pub main_session: String,
    /// Whether each agent has its own there.
    pub session_scope: SessionScope,
}

/// The endpoints. Shared by all connections.
pub struct AgentApi {
    setup: AgentApiSetup,
    buckets: Mutex<Buckets>,
    repeats: Mutex<Repeats>,
    /// When the roster was last read because somebody would have been refused by it.
    looked: Mutex<Millis>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AgentApi {
    /// Open for calls.
    pub fn new(setup: AgentApiSetup) -> Self {
        Self { setup, buckets: Mutex::default(), repeats: Mutex::default(), looked: Mutex::default() }
    }

    /// Decides by the head alone whether the call's body is read: the answer to a caller that is not let in.
    pub fn refuse(&self, request: &Request) -> Option<Reply> {
        let refused = match self.setup.guard.refuses(request) {
            Some(why) => Refusal::new(403, why),
            None => self.session(request).err()?,
        };
        Some(self.refused(&refused))
    }

    /// Answers a call at this door.
    pub fn answer(&self, door: AgentEndpoint, request: &Request) -> Reply {
        let began = Instant::now();
        let answered = self.walk(door, request, began);
        answered.unwrap_or_else(|refused| self.refused(&refused))
    }

    fn refused(&self, refused: &Refusal) -> Reply {
        let error = self.setup.redactor.clean(&refused.error);
        Refusal { error, ..refused.clone() }.reply()
    }

    fn walk(&self, door: AgentEndpoint, request: &Request, began: Instant) -> Result<Reply, Refusal> {
        if let Some(why) = self.setup.guard.refuses(request) {
            return Err(Refusal::new(403, why));
        }
        let session = self.session(request)?;
        let answered = self.walk_as(door, request, session, began);
        if let AgentEndpoint::Tool(row) = door {
            let failed = match &answered {
                Ok(reply) => failed(reply.status(), true),
                Err(refused) => failed(refused.status, refused.retryable),
            };
            self.setup.metrics.tool(Via::Http, row.name.as_str(), failed, began.elapsed());
        }
        answered
    }

    fn walk_as(
        &self,
        door: AgentEndpoint,
        request: &Request,
        session: Session,
        began: Instant,
    ) -> Result<Reply, Refusal> {
        let call = door.call();
        let agent = session.agent.to_string();
        let began_it = lock(&self.buckets).begin(&agent, self.setup.clock.now());
        began_it.map_err(|much| match much {
            TooMuch::OfThisAgent(wait) => Refusal::later(
                429,
                "Too many calls of this agent at once. Make fewer, and repeat this one later",
                wait,
            ),
            TooMuch::OfAll(wait) => {
                Refusal::later(503, "Too many calls of all agents are under way. Repeat this one later", wait)
            }
        })?;
        let _under_way = UnderWay { api: self, agent: &agent };
        let mut speaker = self.speaker(session)?;
        if let Some(held) = &speaker.held {
            if held.is_stopped() {
                return Err(stopped());
            }
            self.setup.inflight.beat(&held.work().id);
            held.hears(self.handle());
        }
        if let AgentEndpoint::Tool(row) = door
            && row.audience == Audience::Leader
        {
            speaker.leads = self.leads(&speaker, call)?;
            if !speaker.leads {
                return Err(leaders_only(row));
            }
        }
        let arguments = body(request)?;
        let result = match door {
            AgentEndpoint::Tool(row) => {
                let current = speaker.session.task();
                // As in a turn: a token in a document or a message would open this API to its readers.
                let arguments = &without_our_tokens(arguments);
                let asked = decode_call(row.name, arguments, current).map_err(|error| refusal(&error))?;
                if matches!(asked, ToolRequest::TaskCreate(_)) {
                    speaker.leads = self.leads(&speaker, call)?;
                }
                let mut allowed = guard::rights(&asked, &speaker.caller());
                if allowed.is_err() && self.look_again(&mut speaker) {
                    allowed = guard::rights(&asked, &speaker.caller());
                }
                match allowed {
                    Err(error) => Err(refusal(&error)),
                    Ok(()) if row.writes => self.once_named(request, &speaker, &asked.key(), |name| {
                        self.make(&asked, &speaker, name, began)
                    }),
                    Ok(()) => self.read(&asked, &speaker, began),
                }
            }
            AgentEndpoint::Tell(errand) => {
                let ask = WakeBody::read(errand, arguments).map_err(|error| refusal(&error))?;
                if ask.is_for_another(&speaker.slug) {
                    speaker.leads = self.leads(&speaker, call)?;
                }
                self.tell(&ask, &speaker, request)
            }
        };
        match &result {
            Ok(_) => info!("{}: called {} over HTTP", speaker.slug, call.name),
            Err(refused) => {
                let error = self.setup.redactor.clean(&refused.error);
                info!("{}: called {} over HTTP: {} {error}", speaker.slug, call.name, refused.status);
            }
        }
        result
    }

    fn handle(&self) -> JournalHandle<'_> {
        JournalHandle { journal: &*self.setup.journal, clock: &*self.setup.clock }
    }

    /// A call that changes something: once under its name. `call` tells it from others.
    fn once_named(
        &self,
        request: &Request,
        speaker: &CallingAgent,
        call: &str,
        make: impl FnOnce(Option<&str>) -> Result<Reply, Refusal>,
    ) -> Result<Reply, Refusal> {
        let name = only(request, NAME)?.filter(|name| !name.is_empty());
        let Some(name) = name else { return make(None) };
        if name.len() > NAME_CHARS || !name.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(Refusal::new(400, "Idempotency-Key must have at most 255 plain characters"));
        }
        let agent = speaker.session.agent.as_str();
        let known = lock(&self.repeats).begin(agent, name, call, self.setup.clock.now());
        match known {
            Known::Nothing => {}
            Known::Answer(answer) => {
                return Ok(Reply::json(answer.body).with_status(answer.status).no_store());
            }
            Known::UnderWay => {
                let words =
                    "The same call is under way under this Idempotency-Key: make it again in a moment";
                return Err(Refusal::later(409, words, Duration::from_secs(1)));
            }
            Known::Other => {
                let words =
                    "This Idempotency-Key is the name of another call: give each call a name of its own";
                return Err(Refusal::new(422, words));
            }
        }
        let mut naming = NamedRequest { api: self, agent, name, answer: None };
        let result = make(Some(name));
        // What may go well another time is not kept, nor what came to nothing for our own reasons.
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

/// A call under way, in whichever way it ends.
struct UnderWay<'a> {
    api: &'a AgentApi,
    agent: &'a str,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(&self.api.buckets).end(self.agent);
    }
}

/// The same of one with a name.
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

/// A header that may stand once.
fn only<'a>(request: &'a Request, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = request.headers_named(name);
    let value = values.next();
    match values.next() {
        Some(_) => Err(Refusal::new(400, format!("The header {name} is given more than once. Send it once"))),
        None => Ok(value),
    }
}

/// The body as text that is JSON.
fn body(request: &Request) -> Result<&str, Refusal> {
    let plain = |coding: &str| coding.eq_ignore_ascii_case("identity");
    if request.headers_named("Content-Encoding").any(|coding| !plain(coding)) {
        return Err(Refusal::new(415, "Unsupported Content-Encoding: send the JSON body as it is"));
    }
    if let Some(kind) = request.headers_named("Content-Type").find(|kind| !is_text(kind)) {
        let kind = Redactor::default().excerpt(kind, 60);
        return Err(Refusal::new(415, format!("Unsupported Content-Type: {kind}. Send application/json")));
    }
    let invalid = |why: &str| Refusal::new(400, format!("Invalid JSON body{why}"));
    let text = std::str::from_utf8(request.body()).map_err(|_| invalid(" (it is no UTF-8)"))?;
    match serde_json::from_str::<Value>(&json::text(text)) {
        Ok(Value::Object(_)) => Ok(text),
        Ok(_) => Err(invalid(": send one JSON object, such as {}")),
        Err(_) if text.trim().is_empty() => Err(invalid(": send {} where there is nothing to say")),
        Err(error) => Err(invalid(&format!(" (line {}, column {})", error.line(), error.column()))),
    }
}

/// Whether JSON may stand under this type: clients that are told none name their own.
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
