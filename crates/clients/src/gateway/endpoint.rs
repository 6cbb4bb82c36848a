//! A gateway as all threads share it: its address, its limits, and what is known of its dialect.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ureq::http::HeaderValue;

use super::HttpGateway;
use super::names::SessionNaming;
use crate::wire::{self, Phases, Roots, Stop};
use mcr_core::gateway::GatewayError;
use mcr_core::gateway::codec::{TurnFailure, in_short};
use mcr_core::gateway::dialect::{Dialect, Memory};
use mcr_model::BaseUrl;
use mcr_model::memory::{ByteBudget, Pool};
use mcr_model::redact::Redactor;
use mcr_model::secret::Secret;

/// Time and size limits. The defaults are for production; tests use shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct GatewayLimits {
    /// Looking up the host name, and connecting.
    pub connect: Duration,
    /// Sending the head, and sending the body.
    pub send: Duration,
    /// The longest silence while waiting for a reply.
    pub silence: Duration,
    /// Reading the end of a stream after the reply is complete.
    pub rest: Duration,
    /// One request of a probe.
    pub probe: Duration,
    /// One request over the WebSocket, or connecting there.
    pub socket: Duration,
    /// The most bytes of an answer.
    pub answer_bytes: usize,
    /// The longest silence within a large event or body, which already holds memory.
    pub step: Duration,
    /// The longest wait for memory.
    pub room: Duration,
}

impl GatewayLimits {
    /// The default limits.
    pub fn new(silence: Duration) -> Self {
        Self {
            connect: Duration::from_secs(10),
            send: Duration::from_secs(30),
            silence,
            rest: Duration::from_millis(250),
            probe: Duration::from_secs(2),
            socket: Duration::from_secs(10),
            answer_bytes: 32 * 1024 * 1024,
            step: Duration::from_secs(20),
            room: Duration::from_mins(2),
        }
    }
}

/// A gateway's address and settings, from which each thread makes its client. All clients share what is
/// learnt of the gateway's dialect. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GatewayEndpoint(Arc<GatewayShared>);

#[derive(Debug)]
pub(super) struct GatewayShared {
    pub(super) base: BaseUrl,
    pub(super) turns: String,
    pub(super) token: Option<Secret>,
    pub(super) roots: Roots,
    pub(super) redactor: Arc<Redactor>,
    pub(super) limits: GatewayLimits,
    /// The memory for answers.
    pub(super) pool: Pool,
    pub(super) names: SessionNaming,
    memory: Mutex<Memory>,
}

impl GatewayEndpoint {
    /// An endpoint with the default limits. `silence_max` is the longest silence of a turn.
    pub fn new(
        base: BaseUrl,
        token: Option<Secret>,
        roots: &Roots,
        redactor: Arc<Redactor>,
        silence_max: Duration,
    ) -> Self {
        Self::with_limits(base, token, roots, redactor, GatewayLimits::new(silence_max))
    }

    /// An endpoint with the given limits.
    pub fn with_limits(
        base: BaseUrl,
        token: Option<Secret>,
        roots: &Roots,
        redactor: Arc<Redactor>,
        limits: GatewayLimits,
    ) -> Self {
        let turns = base.join("/v1/responses");
        let token = token.filter(|token| !token.is_empty());
        let (roots, pool, memory) = (roots.clone(), ByteBudget::default().gateway, Mutex::default());
        let names = SessionNaming::default();
        Self(Arc::new(GatewayShared { base, turns, token, roots, redactor, limits, pool, names, memory }))
    }

    /// Names sessions by this choice. Call it before the first clone.
    #[must_use]
    pub fn with_names(mut self, names: SessionNaming) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.names = names;
        }
        self
    }

    /// Takes the memory for answers from this pool. Call it before the first clone.
    #[must_use]
    pub fn with_memory(mut self, pool: Pool) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.pool = pool;
        }
        self
    }

    /// A client for one thread. `stop` ends its turns.
    pub fn client(&self, stop: &Stop) -> HttpGateway {
        let limits = &self.0.limits;
        let phases = Phases {
            connect: limits.connect,
            send: limits.send,
            answer: limits.silence,
            body: limits.silence,
            // The gateway closes idle connections after 5 s. A request sent into a closing connection would
            // be lost.
            idle: Duration::from_secs(3),
            idle_connections: 1,
        };
        let (agent, idle_timeout) = wire::patient_agent(&self.0.base, &self.0.roots, &phases, limits.silence);
        let bearer = self.0.token.as_ref().map(|token| {
            HeaderValue::from_str(&format!("Bearer {}", token.expose())).map(|mut value| {
                value.set_sensitive(true);
                value
            })
        });
        let registration = stop.register(&agent);
        HttpGateway {
            agent,
            idle_timeout,
            bearer: bearer.transpose(),
            shared: self.0.clone(),
            stop: stop.clone(),
            _registration: registration,
        }
    }

    /// The gateway's address.
    pub fn base(&self) -> &BaseUrl {
        &self.0.base
    }

    /// The gateway's version in its own words, if it has named one.
    pub fn version(&self) -> Option<String> {
        self.0.memory().version().map(str::to_owned)
    }

    /// What is known of the gateway's dialect so far.
    pub fn dialect(&self) -> Dialect {
        self.0.memory().dialect()
    }
}

impl GatewayShared {
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        // No code panics while it holds the lock, and the memory is always replaced as a whole.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Foreign text as one short line without secrets.
    pub(super) fn words(&self, text: &str) -> String {
        in_short(&self.redactor, text)
    }

    /// The error for the caller: short and without secrets.
    pub(super) fn error(&self, failure: TurnFailure) -> GatewayError {
        failure.into_error(&self.redactor)
    }
}
