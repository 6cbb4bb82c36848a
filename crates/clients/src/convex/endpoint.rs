//! A deployment's address and settings, and what its clients share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use super::http::{HttpConvex, VALUE_BYTES_MAX};
use super::known_team::KnownTeam;
use super::retry::Backoff;
use crate::wire::{self, Phases, Roots, Stop};
use mcr_model::BaseUrl;
use mcr_model::memory::{ByteBudget, Pool};
use mcr_model::redact::Redactor;
use mcr_model::secret::Secret;
use ureq::http::HeaderValue;

/// An answer also has log lines: 256 of 4 KiB.
const ANSWER_BYTES_MAX: u64 = VALUE_BYTES_MAX as u64 + 1024 * 1024 + 2000;

/// Time and size limits of the calls. The defaults are for production; tests use shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct ConvexLimits {
    /// The limits of the phases of one attempt.
    pub phases: Phases,
    /// The most bytes of an answer's body.
    pub answer_bytes: u64,
    /// The pauses between attempts.
    pub backoff: Backoff,
}

impl Default for ConvexLimits {
    fn default() -> Self {
        let phases = Phases {
            connect: Duration::from_secs(10),
            send: Duration::from_secs(30),
            // The server's own limit on a request is 300 s. The call's deadline is usually far shorter.
            answer: Duration::from_secs(310),
            body: Duration::from_mins(1),
            idle: Duration::from_secs(25),
            idle_connections: 1,
        };
        Self { phases, answer_bytes: ANSWER_BYTES_MAX, backoff: Backoff::default() }
    }
}

/// A deployment's address and settings, from which each thread makes its client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ConvexEndpoint(Arc<ConvexShared>);

#[derive(Debug)]
pub(super) struct ConvexShared {
    pub(super) base: BaseUrl,
    roots: Roots,
    pub(super) redactor: Arc<Redactor>,
    /// The header with a token, if the deployment wants one.
    pub(super) bearer: Option<HeaderValue>,
    pub(super) limits: ConvexLimits,
    /// The memory for answers.
    pub(super) memory: Pool,
    /// Whether the deprecation warning has been logged.
    pub(super) deprecation_logged: AtomicBool,
    /// By how many milliseconds the deployment's clock is ahead of ours. [`UNHEARD`] before its first answer.
    pub(super) clock_ahead: AtomicI64,
    pub(super) team: KnownTeam,
}

/// Marks an unknown clock: no clock is that far ahead.
const UNHEARD: i64 = i64::MIN;

impl ConvexEndpoint {
    /// An endpoint with the default limits.
    pub fn new(base: BaseUrl, roots: &Roots, redactor: Arc<Redactor>) -> Self {
        Self::with_limits(base, roots, redactor, ConvexLimits::default())
    }

    /// An endpoint with the given limits.
    pub fn with_limits(base: BaseUrl, roots: &Roots, redactor: Arc<Redactor>, limits: ConvexLimits) -> Self {
        let roots = roots.clone();
        let (deprecation_logged, clock_ahead) = (AtomicBool::new(false), AtomicI64::new(UNHEARD));
        let memory = ByteBudget::default().backend;
        Self(Arc::new(ConvexShared {
            base,
            roots,
            redactor,
            bearer: None,
            limits,
            memory,
            deprecation_logged,
            clock_ahead,
            team: KnownTeam::default(),
        }))
    }

    /// Takes the memory for answers from this pool. Call it before the first clone.
    #[must_use]
    pub fn with_memory(mut self, memory: Pool) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.memory = memory;
        }
        self
    }

    /// Sends this token with every call. Returns none if no header can carry it. Call it before the first clone.
    #[must_use]
    pub fn with_bearer(mut self, token: &Secret) -> Option<Self> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
        bearer.set_sensitive(true);
        Arc::get_mut(&mut self.0)?.bearer = Some(bearer);
        Some(self)
    }

    /// A client for one thread. `stop` ends its calls.
    pub fn client(&self, stop: &Stop) -> HttpConvex {
        let agent = wire::agent(&self.0.base, &self.0.roots, &self.0.limits.phases);
        HttpConvex::new(agent, self.0.clone(), stop)
    }

    /// The deployment's address.
    pub fn base(&self) -> &BaseUrl {
        &self.0.base
    }

    pub(super) fn roots(&self) -> &Roots {
        &self.0.roots
    }

    pub(super) fn redactor(&self) -> &Redactor {
        &self.0.redactor
    }

    pub(super) fn memory(&self) -> &Pool {
        &self.0.memory
    }

    /// By how many milliseconds the deployment's clock is ahead of ours, to the second. `None` before its
    /// first answer.
    pub fn clock_ahead(&self) -> Option<i64> {
        Some(self.0.clock_ahead.load(Ordering::Relaxed)).filter(|ahead| *ahead != UNHEARD)
    }

    /// The proxy between us and the deployment, if any.
    pub fn proxy(&self) -> Option<String> {
        let agent = wire::agent(&self.0.base, &self.0.roots, &self.0.limits.phases);
        wire::proxy_of(&agent, &self.0.base)
    }
}
