//! One request to the Machines API, and its repetition.

use std::time::Duration;

use mcr_clients::wire::{self, Fault, Outgoing, Phases, Roots, Sent, Stop};
use mcr_model::BaseUrl;
use mcr_model::random;
use mcr_model::secret::Secret;
use serde::de::DeserializeOwned;
use ureq::{Agent, RequestBuilder, SendBody, http};

use super::failure;
use crate::{ErrorClass, ProviderError};

/// The largest answer: a list of thousands of machines.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

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

/// What a request does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb<'a> {
    Get,
    Post(&'a [u8]),
    Delete,
}

/// The connection to the API. Threads may share it.
pub(super) struct Calls {
    agent: Agent,
    base: BaseUrl,
    authorization: Secret,
    pub(super) limits: FlyLimits,
    pub(super) stop: Stop,
}

impl Calls {
    pub(super) fn new(base: BaseUrl, token: &Secret, roots: &Roots, limits: FlyLimits, stop: &Stop) -> Self {
        let phases = Phases {
            connect: limits.request,
            send: limits.request,
            answer: limits.request,
            body: limits.request,
            idle: Duration::from_secs(25),
            idle_connections: 8,
        };
        let agent = wire::agent(&base, roots, &phases);
        // A token that begins with its own scheme is sent as it is.
        let token = token.expose().trim();
        let authorization = Secret::new(if token.starts_with("FlyV1 ") {
            token.to_owned()
        } else {
            format!("Bearer {token}")
        });
        Self { agent, base, authorization, limits, stop: stop.clone() }
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
        let url = self.base.join(path);
        let mut outgoing = Outgoing::new(match verb {
            Verb::Post(body) => body,
            Verb::Get | Verb::Delete => &[],
        });
        let answered = match verb {
            Verb::Get => self.prepared(self.agent.get(url), answer_limit).call(),
            Verb::Delete => self.prepared(self.agent.delete(url), answer_limit).call(),
            Verb::Post(body) => self
                .prepared(self.agent.post(url), answer_limit)
                .header(http::header::CONTENT_TYPE, "application/json")
                .header(http::header::CONTENT_LENGTH, body.len())
                .send(SendBody::from_reader(&mut outgoing)),
        };
        let answer = answered.map_err(|error| {
            let fault = Fault::of(&error);
            let was_sent = match verb {
                Verb::Post(_) => outgoing.sent() == Sent::Whole,
                // Without a body nothing tells how much was sent, unless there was no connection.
                Verb::Get | Verb::Delete => !matches!(
                    fault,
                    Fault::NameNotFound | Fault::Unreachable(_) | Fault::Proxy(_) | Fault::Certificate(_)
                ),
            };
            (failure::of_fault(what, &fault, was_sent), None)
        })?;
        let status = answer.status().as_u16();
        let pause = answer.headers().get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let pause = pause.and_then(retry_after);
        let body = answer.into_body().into_with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| (failure::of_fault(what, &Fault::of(&error), true), None))?;
        if (200..300).contains(&status) {
            Ok(body)
        } else {
            Err((failure::of_answer(what, status, &body), pause))
        }
    }

    fn prepared<B>(&self, request: RequestBuilder<B>, answer_limit: Duration) -> RequestBuilder<B> {
        request
            .config()
            .timeout_recv_response(Some(answer_limit))
            .build()
            .header(http::header::AUTHORIZATION, self.authorization.expose())
            .header(http::header::ACCEPT, "application/json")
    }
}

/// The seconds of a `Retry-After` header.
fn retry_after(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// Reads the JSON of a success.
pub(super) fn read<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, ProviderError> {
    serde_json::from_slice(body).map_err(|why| failure::not_understood(what, &why.to_string()))
}
