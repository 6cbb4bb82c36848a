//! One request to a provider, and its answer. It does not depend on the provider.

use std::fmt::Write as _;
use std::time::Duration;

use mcr_clients::wire::{self, Fault, Outgoing, Phases, Roots, Sent};
use mcr_model::BaseUrl;
use mcr_model::secret::Secret;
use ureq::{Agent, RequestBuilder, SendBody, http};

/// The largest answer: a list of thousands of machines.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a request does.
#[derive(Clone, Copy, Debug)]
pub enum Verb<'a> {
    /// Reads.
    Get,
    /// Creates, or orders something.
    Post(&'a [u8]),
    /// Replaces.
    Put(&'a [u8]),
    /// Deletes.
    Delete,
}

/// An answer, whatever its status.
#[derive(Clone, Debug, Default)]
pub struct ApiAnswer {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`: how long to wait.
    pub retry_after: Option<Duration>,
    /// `RateLimit-Remaining`: how many more requests are allowed now.
    pub requests_left: Option<u64>,
    /// `RateLimit-Reset`: the Unix time in seconds at which more are allowed.
    pub reset_at_s: Option<i64>,
    /// The body.
    pub body: Vec<u8>,
}

/// A request without a complete answer.
#[derive(Clone, Debug)]
pub struct Unanswered {
    /// What broke.
    pub words: String,
    /// Whether the provider may have read the request.
    pub was_sent: bool,
}

/// Sends requests.
pub trait Transport: Send + Sync {
    /// Sends a request once and waits no longer than this for the first byte of its answer.
    fn send(&self, verb: Verb<'_>, path: &str, answer_limit: Duration) -> Result<ApiAnswer, Unanswered>;
}

/// HTTP with a token. Threads may share it.
pub struct HttpTransport {
    agent: Agent,
    base: BaseUrl,
    authorization: Secret,
}

impl HttpTransport {
    /// `authorization` is the whole header. `request` is the time limit of each phase of a request.
    pub fn new(base: BaseUrl, authorization: Secret, roots: &Roots, request: Duration) -> Self {
        let phases = Phases {
            connect: request,
            send: request,
            answer: request,
            body: request,
            idle: Duration::from_secs(25),
            idle_connections: 8,
        };
        let agent = wire::agent(&base, roots, &phases);
        Self { agent, base, authorization }
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

impl Transport for HttpTransport {
    fn send(&self, verb: Verb<'_>, path: &str, answer_limit: Duration) -> Result<ApiAnswer, Unanswered> {
        let url = self.base.join(path);
        let body = match verb {
            Verb::Post(body) | Verb::Put(body) => body,
            Verb::Get | Verb::Delete => &[],
        };
        let mut outgoing = Outgoing::new(body);
        let with_body = |request: RequestBuilder<_>, outgoing: &mut Outgoing<'_>| {
            self.prepared(request, answer_limit)
                .header(http::header::CONTENT_TYPE, "application/json")
                .header(http::header::CONTENT_LENGTH, body.len())
                .send(SendBody::from_reader(outgoing))
        };
        let answered = match verb {
            Verb::Get => self.prepared(self.agent.get(url), answer_limit).call(),
            Verb::Delete => self.prepared(self.agent.delete(url), answer_limit).call(),
            Verb::Post(_) => with_body(self.agent.post(url), &mut outgoing),
            Verb::Put(_) => with_body(self.agent.put(url), &mut outgoing),
        };
        let answer = answered.map_err(|error| {
            let fault = Fault::of(&error);
            let was_sent = match verb {
                Verb::Post(_) | Verb::Put(_) => outgoing.sent() == Sent::Whole,
                // Without a body nothing tells how much was sent, unless there was no connection.
                Verb::Get | Verb::Delete => !matches!(
                    fault,
                    Fault::NameNotFound | Fault::Unreachable(_) | Fault::Proxy(_) | Fault::Certificate(_)
                ),
            };
            Unanswered { words: fault.to_string(), was_sent }
        })?;
        let header =
            |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let read = ApiAnswer {
            status: answer.status().as_u16(),
            retry_after: header("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs),
            requests_left: header("ratelimit-remaining").and_then(|text| text.parse().ok()),
            reset_at_s: header("ratelimit-reset").and_then(|text| text.parse().ok()),
            body: Vec::new(),
        };
        let body = answer.into_body().into_with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body =
            body.map_err(|error| Unanswered { words: Fault::of(&error).to_string(), was_sent: true })?;
        Ok(ApiAnswer { body, ..read })
    }
}

/// An id or a name within a path or a query. Anything but letters, digits, `-`, `_` and `.` is escaped, so that it stays one
/// segment.
pub(crate) fn segment(id: &str) -> String {
    let mut path = String::with_capacity(id.len());
    let is_dots = id.bytes().all(|byte| byte == b'.');
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && !is_dots) {
            path.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}
