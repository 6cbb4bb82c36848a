//! The client of an OpenClaw gateway, over HTTP and its WebSocket.
//!
//! A turn may take hours, so no clock limits it. After the request is sent, only silence ends the wait, and
//! the caller says how long a silence may be. The bytes of an answer are limited instead. A stream is read to
//! its end, so that the connection can be reused. Once the reply is complete, a failure in the rest of the
//! stream cannot spoil it.
//!
//! A turn is sent once. The one exception is a refusal that names the shape of the tools, because such a
//! refusal runs nothing. The turn is then sent once more in the other shape
//! ([`dialect`](mcr_core::gateway::dialect)).

mod abort;
mod accepted_answer;
mod authorship;
mod configuration;
mod conversation;
mod disconnect;
pub mod dry_run;
mod endpoint;
mod identify;
mod missing_calls;
mod names;
mod probe;
mod query;
mod recover;
mod reply_history;
mod session_events;
mod session_history;
mod socket;

use std::cell::Cell;
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::time::Instant;

use log::{debug, warn};
use ureq::http::header::{self, InvalidHeaderValue};
use ureq::http::{HeaderMap, HeaderValue, Response};
use ureq::{Agent, Body, SendBody};

use crate::wire::{self, Fault, IdleTimeout, Outgoing, Registration, Sent, Stop};
use mcr_core::gateway::codec::{self, ErrorResponse, TurnFailure};
use mcr_core::gateway::dialect::{Dialect, ToolShape};
use mcr_core::gateway::history::TurnProgress;
use mcr_core::gateway::{
    Class, Gateway, GatewayError, ModelCall, Progress, Recovered, Reply, ShownAttempts, Turn, TurnMark, Why,
};
use mcr_core::gateway_config::ShownConfiguration;
use mcr_core::work::WorkId;
use mcr_model::SessionKey;

use accepted_answer::AcceptedAnswer;
use disconnect::{Stage, broken, stopped};
use endpoint::GatewayShared;

pub use endpoint::{GatewayEndpoint, GatewayLimits};
pub use names::SessionNaming;
pub use probe::{AgentList, Probe};
pub use session_events::{EventsFailure, SessionEvents};

/// The most bytes to read of a refusal.
const REFUSAL_BYTES_MAX: u64 = 1024 * 1024;

/// The most bytes to read after the last event.
const REST_BYTES_MAX: usize = 64 * 1024;

/// A thread's client of the gateway. It keeps one connection.
#[derive(Debug)]
pub struct HttpGateway {
    agent: Agent,
    idle_timeout: IdleTimeout,
    /// The token's header. An error if no header can carry the token.
    bearer: Result<Option<HeaderValue>, InvalidHeaderValue>,
    shared: Arc<GatewayShared>,
    stop: Stop,
    /// Unregisters the agent when this client is dropped.
    _registration: Registration,
}

impl Gateway for HttpGateway {
    fn turn(&self, turn: &Turn<'_>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Reply, GatewayError> {
        let begun = Instant::now();
        let result = self.run_turn(turn, progress).map_err(|failure| self.shared.error(failure));
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok(reply) => {
                let (run, calls) = (reply.id.as_deref().unwrap_or_default(), reply.calls.len());
                debug!(agent = turn.agent, run, calls, duration_ms = took, outcome = "answered"; "Turn ended");
            }
            Err(error) => {
                // The caller reports the failure in words for people.
                let (run, reason) = (error.run.as_deref().unwrap_or_default(), &*error.sentence);
                debug!(agent = turn.agent, run, class:? = error.class, duration_ms = took, outcome = "failed", reason;
                    "Turn ended");
            }
        }
        result
    }

    fn recover(
        &self,
        session: &SessionKey,
        agent: &str,
        mark: &TurnMark<'_>,
    ) -> Result<Recovered, GatewayError> {
        recover::recover(self, session, agent, mark).map_err(|failure| self.shared.error(failure))
    }

    fn model_calls(
        &self,
        session: &SessionKey,
        agent: &str,
        mark: &TurnMark<'_>,
    ) -> Result<Option<Vec<ModelCall>>, GatewayError> {
        recover::model_calls(self, session, agent, mark).map_err(|failure| self.shared.error(failure))
    }

    fn has_question(
        &self,
        session: &SessionKey,
        agent: &str,
        marker: &str,
    ) -> Result<Option<bool>, GatewayError> {
        recover::has_question(self, session, agent, marker).map_err(|failure| self.shared.error(failure))
    }

    fn last_attempt(
        &self,
        session: &SessionKey,
        agent: &str,
        work: &WorkId,
    ) -> Result<ShownAttempts, GatewayError> {
        recover::last_attempt(self, session, agent, work).map_err(|failure| self.shared.error(failure))
    }

    fn shows_tools(&self) -> bool {
        !self.shared.memory().dialect().too_old_for_tools()
    }

    fn may_lose_calls(&self) -> bool {
        self.shared.memory().dialect().may_lose_calls()
    }

    fn ends_abandoned_runs(&self) -> bool {
        self.shared.memory().dialect().ends_unheard()
    }

    fn abort(&self, session: &SessionKey, agent: &str, run: Option<&str>) -> Result<bool, GatewayError> {
        abort::abort(self, session, agent, run).map_err(|failure| self.shared.error(failure))
    }
}

/// A turn with all that its request needs.
struct Outbound<'a> {
    turn: &'a Turn<'a>,
    agent: String,
    session: String,
    dialect: Dialect,
}

impl HttpGateway {
    /// Probes the gateway's state. Takes a few seconds at most.
    pub fn probe(&self) -> Probe {
        probe::probe(self)
    }

    /// Asks a ready gateway for its version and its way to the history, unless both are known since the last loss of contact.
    pub fn identify(&self) {
        identify::identify(self);
    }

    /// Like [`HttpGateway::identify`], and asks this session for the version if nothing else names it. The session has the
    /// gateway's name for it and must exist.
    pub fn identify_by(&self, session: &str) {
        identify::identify_by(self, session);
    }

    /// What is known of the gateway's dialect so far.
    pub fn dialect(&self) -> Dialect {
        self.shared.memory().dialect()
    }

    /// The gateway's version in its own words, if it has named one.
    pub fn version(&self) -> Option<String> {
        self.shared.memory().version().map(str::to_owned)
    }

    /// Requests the list of the gateway's agents.
    pub fn agent_list(&self) -> AgentList {
        probe::agent_list(self)
    }

    /// The gateway's configuration, without its secrets. An error says why the gateway does not show it.
    pub fn configuration(&self) -> Result<ShownConfiguration, GatewayError> {
        configuration::read(self).map_err(|failure| self.shared.error(failure))
    }

    /// Looks at a running turn, on a separate connection. `None` where the gateway does not show it.
    pub fn look(
        &self,
        session: &SessionKey,
        agent: &str,
        mark: &TurnMark<'_>,
    ) -> Result<Option<TurnProgress>, GatewayError> {
        recover::look(self, session, agent, mark).map_err(|failure| self.shared.error(failure))
    }

    /// Opens a connection that follows the events of sessions.
    pub fn session_events(&self) -> Result<SessionEvents<'_>, EventsFailure> {
        SessionEvents::open(self)
    }

    fn run_turn(
        &self,
        turn: &Turn<'_>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Reply, TurnFailure> {
        if self.stop.is_closed() {
            return Err(stopped(Stage::Asking(Sent::Nothing)));
        }
        let agent = codec::agent_id(turn.agent)?;
        let session = self.name(turn.session, &agent)?;
        let outbound = Outbound { turn, agent, session, dialect: self.shared.memory().dialect() };
        let reply = self.send_in_either_shape(&outbound, progress)?;
        identify::identify_by(self, &outbound.session);
        let reply = authorship::check(self, &outbound, reply)?;
        Ok(missing_calls::add(self, &outbound, reply))
    }

    /// The session's name at this gateway.
    fn name(&self, session: &SessionKey, agent: &str) -> Result<String, TurnFailure> {
        let names = self.shared.names.get(|| probe::is_single(self))?;
        Ok(codec::session_key(session, agent, names))
    }

    fn send_in_either_shape(
        &self,
        outbound: &Outbound<'_>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Reply, TurnFailure> {
        match self.send(outbound, outbound.dialect.tools, progress) {
            Err(failure) if failure.wants_other_tools => {
                let other = outbound.dialect.tools.other();
                let second = self.send(outbound, other, progress);
                // A gateway checks tools before it answers: an answer that breaks off has accepted them.
                let accepted = second
                    .as_ref()
                    .map_or_else(|failure| failure.run.is_some() || failure.status() == Some(200), |_| true);
                if accepted && self.shared.memory().accepted(other) {
                    match other {
                        ToolShape::Flat => warn!("The gateway accepts tools in the current form"),
                        ToolShape::Nested => warn!(
                            "The gateway accepts tools only in an old form and may never show them to the agent: upgrade it to 2026.3.31 or later"
                        ),
                    }
                }
                second
            }
            first => first,
        }
    }

    /// Sends the turn once and reads the answer.
    fn send(
        &self,
        outbound: &Outbound<'_>,
        tools: ToolShape,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Reply, TurnFailure> {
        let body = codec::body(outbound.turn, &outbound.agent, tools)?;
        let mut request = self
            .agent
            .post(&self.shared.turns)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "text/event-stream")
            .header(header::CONTENT_LENGTH, body.len())
            .header("x-openclaw-agent-id", &outbound.agent)
            .header("x-openclaw-session-key", &outbound.session);
        match &self.bearer {
            Ok(Some(bearer)) => request = request.header(header::AUTHORIZATION, bearer),
            Err(_) => {
                let words = "the token has a character that is not allowed in a header";
                return Err(TurnFailure::new(Class::Closed, Why::TokenRefused).with_detail(words));
            }
            Ok(None) => {}
        }
        outbound.turn.pulse.beat();
        self.idle_timeout.set_by(outbound.turn.pulse, self.shared.limits.silence);
        let mut outgoing = Outgoing::new(&body);
        let sent = request.send(SendBody::from_reader(&mut outgoing));
        let response =
            sent.map_err(|error| self.broken(&Fault::of(&error), Stage::Asking(outgoing.sent())))?;
        // The request is sent, and may be large.
        drop(body);
        let status = response.status().as_u16();
        if status != 200 {
            let offered = (!outbound.turn.tools.is_empty()).then_some(tools);
            return Err(self.read_refusal(response, offered).with_status(status));
        }
        self.read_reply(response, outbound, progress).map_err(|failure| {
            // The stop switch cuts connections. An answer without a length then only looks complete.
            let cut = matches!(failure.why, Why::LostAnswer | Why::NotUnderstood) && self.stop.is_closed();
            let failure = if cut { stopped(Stage::Answering).with_run(failure.run) } else { failure };
            failure.with_status(status)
        })
    }

    /// What a broken connection means. Our own stop switch also breaks connections.
    fn broken(&self, fault: &Fault, stage: Stage) -> TurnFailure {
        if self.stop.is_closed() {
            return stopped(stage);
        }
        let failure = broken(fault, stage);
        if failure.why != Why::Unreachable {
            return failure;
        }
        let by = wire::proxy_of(&self.agent, &self.shared.base);
        let by = by.map_or(String::new(), |proxy| format!(" through the proxy {proxy}"));
        let words = failure.detail.as_deref().unwrap_or("no connection");
        let words = format!("{}{by}: {words}", self.shared.base);
        failure.with_detail(words)
    }

    fn read_refusal(&self, response: Response<Body>, tools: Option<ToolShape>) -> TurnFailure {
        let status = response.status().as_u16();
        let (head, body) = response.into_parts();
        let mut bytes = Vec::new();
        match body.into_reader().take(REFUSAL_BYTES_MAX).read_to_end(&mut bytes) {
            Ok(_) => {
                let retry_after = text(&head.headers, &header::RETRY_AFTER);
                codec::refusal(&ErrorResponse { status, body: &bytes, retry_after, tools })
            }
            Err(error) => self.broken(&Fault::of_io(&error), Stage::Answering),
        }
    }

    /// Reads the answer to an accepted turn: a stream, or one body.
    fn read_reply(
        &self,
        response: Response<Body>,
        outbound: &Outbound<'_>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Reply, TurnFailure> {
        let kind = text(response.headers(), &header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        let most = self.shared.limits.answer_bytes;
        let body = response.into_body();
        if body.content_length().is_some_and(|length| length > most as u64) {
            return Err(TurnFailure::new(Class::Lost, Why::AnswerTooLarge));
        }
        let limits = &self.shared.limits;
        let steps = Cell::new((0, Instant::now()));
        // A turn may be silent for minutes, but not in the middle of a large message: other turns wait for
        // its memory.
        let pace = |held: usize| {
            let (before, since) = steps.get();
            if held != before {
                steps.set((held, Instant::now()));
            }
            match (held, held == before) {
                (0, true) => {}
                (0, false) => self.idle_timeout.set_by(outbound.turn.pulse, limits.silence),
                (_, false) => self.idle_timeout.set(limits.step),
                (_, true) if since.elapsed() >= limits.step => return Err(ErrorKind::TimedOut.into()),
                (_, true) => self.idle_timeout.set(limits.step.saturating_sub(since.elapsed())),
            }
            Ok(())
        };
        let taken = AcceptedAnswer {
            kind: &kind,
            most,
            announced: body.content_length(),
            memory: (&self.shared.pool, limits.room),
            pace: &pace,
            broken: &|error| self.broken(&Fault::of_io(error), Stage::Answering),
            behind: &|reader, buffer| self.finish_stream(reader, buffer),
        };
        taken.read(&mut body.into_reader(), progress)
    }

    /// Reads the rest of a stream whose reply is complete, so that the connection can be reused. A failure
    /// here costs only the connection.
    fn finish_stream(&self, reader: &mut dyn Read, buffer: &mut [u8]) {
        let rest = self.shared.limits.rest;
        self.idle_timeout.set(rest);
        let begun = Instant::now();
        let mut left = REST_BYTES_MAX;
        while begun.elapsed() < rest {
            match reader.read(buffer) {
                Ok(count) if count > 0 && count <= left => left -= count,
                _ => return,
            }
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
