//! One request to the Machines API, and its repetition.

use std::time::Duration;

use mcr_clients::wire::{Roots, Stop};
use mcr_model::BaseUrl;
use mcr_model::random;
use mcr_model::secret::Secret;
use serde::de::DeserializeOwned;

use super::failure;
use crate::transport::{HttpTransport, Transport as _, Verb};
use crate::{ErrorClass, ProviderError};

/// The longest pause that the API's `Retry-After` may demand.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);

/// The time limits of the client. The defaults are for Fly; tests use shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct FlyLimits {
    /// The time limit of each phase of a request.
    pub request: Duration,
    /// The pause before the first repetition. It doubles with each further one.
    pub retry_pause: Duration,
    /// How often a request is sent at most.
    pub attempts: u32,
    /// How long a machine may take to stop.
    pub stopping: Duration,
    /// How long a machine may take to disappear after it was deleted.
    pub ending: Duration,
    /// How long a volume may stay bound to a deleted machine, and listed after it was deleted.
    pub volumes: Duration,
    /// The pause between two looks at something that changes.
    pub look: Duration,
}

impl Default for FlyLimits {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(30),
            // The API takes one request a second for each action and machine.
            retry_pause: Duration::from_secs(1),
            attempts: 5,
            stopping: Duration::from_mins(2),
            ending: Duration::from_mins(1),
            volumes: Duration::from_mins(3),
            look: Duration::from_secs(2),
        }
    }
}

/// The connection to the API. Threads may share it.
pub(super) struct Calls {
    transport: HttpTransport,
    pub(super) limits: FlyLimits,
    pub(super) stop: Stop,
}

impl Calls {
    pub(super) fn new(base: BaseUrl, token: &Secret, roots: &Roots, limits: FlyLimits, stop: &Stop) -> Self {
        // A token that begins with its own scheme is sent as it is.
        let token = token.expose().trim();
        let authorization = Secret::new(if token.starts_with("FlyV1 ") {
            token.to_owned()
        } else {
            format!("Bearer {token}")
        });
        let transport = HttpTransport::new(base, authorization, roots, limits.request);
        Self { transport, limits, stop: stop.clone() }
    }

    /// A request whose repetition does no harm. It is repeated while it may succeed. `what` begins the sentence of an error.
    pub(super) fn repeat(&self, what: &str, verb: Verb<'_>, path: &str) -> Result<Vec<u8>, ProviderError> {
        let mut attempt = 1;
        loop {
            let (error, pause) = match self.once(what, verb, path, self.limits.request) {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            // A state that does not allow something now is for the caller, who knows what would change it.
            let may_succeed = matches!(error.class, ErrorClass::Transient | ErrorClass::Ambiguous)
                && !matches!(error.status, Some(409 | 412));
            if !may_succeed || attempt >= self.limits.attempts {
                return Err(error);
            }
            let grown = self.limits.retry_pause * 2_u32.saturating_pow(attempt - 1);
            if self.stop.wait(pause.unwrap_or_else(|| grown.mul_f64(0.5 + random::unit()))) {
                return Err(error);
            }
            attempt += 1;
        }
    }

    /// Sends a request once. An error comes with the pause that the API demands.
    pub(super) fn once(
        &self,
        what: &str,
        verb: Verb<'_>,
        path: &str,
        answer_limit: Duration,
    ) -> Result<Vec<u8>, (ProviderError, Option<Duration>)> {
        let answer = self.transport.send(verb, path, answer_limit);
        let answer = answer.map_err(|unanswered| (failure::of_unanswered(what, &unanswered), None))?;
        if (200..300).contains(&answer.status) {
            Ok(answer.body)
        } else {
            let pause = answer.retry_after.map(|pause| pause.min(RETRY_AFTER_MAX));
            Err((failure::of_answer(what, answer.status, &answer.body), pause))
        }
    }
}

/// Reads the JSON of a success.
pub(super) fn read<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, ProviderError> {
    serde_json::from_slice(body).map_err(|why| failure::not_understood(what, &why.to_string()))
}
