//! The subscription to the wake query, over the deployment's sync endpoint. It blocks its thread.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use ureq::http::{HeaderName, StatusCode};

use super::error::{CallReason, EXCERPT_CHARS_MAX};
use super::http::CLIENT;
use super::{ConvexEndpoint, error_text};
use crate::wire::{Fault, Stop, WebSocket, WebSocketFault, WebSocketRequest};
use mcr_core::wake_query::connection::{SyncSession, WakeConnection, WakeEnd};
use mcr_core::wake_query::pace::EndClass;
use mcr_core::wake_query::{PATH, WakeCondition};
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::secret::Secret;
use mcr_model::{AccountId, random};

/// The close code of a server that has no capacity now.
const TRY_AGAIN_LATER: u16 = 1013;

/// The endpoint of the sync protocol for clients that are not browsers.
const ENDPOINT: &str = "/api/sync";

/// Time and size limits of the subscription. The defaults are for production; tests use shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct WakeLimits {
    /// Connecting, and each phase of opening the WebSocket.
    pub connect: Duration,
    /// A connection without a message for this long is broken. The server sends one at least every 15 s.
    pub silence: Duration,
    /// The most bytes of a message.
    pub message_bytes: usize,
}

impl Default for WakeLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            message_bytes: 1024 * 1024,
        }
    }
}

/// The subscriber of one account.
pub struct WakeSubscriber {
    endpoint: ConvexEndpoint,
    args: Value,
    limits: WakeLimits,
    session: SyncSession,
}

/// How a subscription ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionEnd {
    /// What it says about the next subscription.
    pub class: EndClass,
    /// Why, redacted, to follow "the wake query".
    pub reason: String,
    /// For how long it had brought values.
    pub lasted: Option<Duration>,
}

impl SubscriptionEnd {
    /// The condition that the end leaves behind.
    pub fn condition(&self) -> WakeCondition {
        match self.class {
            EndClass::Missing => WakeCondition::Missing,
            EndClass::Broken | EndClass::Overloaded(_) | EndClass::Refused => WakeCondition::Failing,
        }
    }
}

impl WakeSubscriber {
    /// A subscriber for this account.
    pub fn new(endpoint: ConvexEndpoint, account: &AccountId, token: &Secret, limits: WakeLimits) -> Self {
        let args = json!({"accountId": account, "serviceToken": token.expose()});
        Self { endpoint, args, limits, session: SyncSession::new(uuid()) }
    }

    /// Subscribes, and calls `on_new` for each new value, until the connection ends or `on_new` breaks. The end is
    /// `None` if `on_new` or `stop` caused it.
    pub fn subscribe(
        &mut self,
        stop: &Stop,
        on_new: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Option<SubscriptionEnd> {
        let (mut connection, messages) = self.session.begin(PATH, self.args.clone(), SystemClock.now().0);
        let mut first_value = None;
        let end = self.follow(&mut connection, &messages, stop, &mut || {
            first_value.get_or_insert_with(Instant::now);
            on_new()
        });
        let ended = end.err().filter(|_| !stop.is_closed()).map(|cause| {
            let (class, reason) = self.explain(cause, connection.has_value());
            let reason = self.endpoint.redactor().excerpt(&reason, EXCERPT_CHARS_MAX);
            SubscriptionEnd { class, reason, lasted: first_value.map(|at: Instant| at.elapsed()) }
        });
        self.session.ended(&connection, ended.as_ref().map_or("the client stops", |end| &end.reason));
        ended
    }

    fn follow(
        &self,
        connection: &mut WakeConnection,
        messages: &[String],
        stop: &Stop,
        on_new: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<(), Cause> {
        if stop.is_closed() {
            return Ok(());
        }
        let limits = self.limits;
        let request = WebSocketRequest {
            base: self.endpoint.base(),
            roots: self.endpoint.roots(),
            path: ENDPOINT,
            headers: &[(HeaderName::from_static("convex-client"), CLIENT)],
            connect: limits.connect,
            answer: limits.connect,
            message_bytes: limits.message_bytes,
            share: self.endpoint.memory().share(limits.message_bytes, limits.silence),
        };
        let mut socket =
            WebSocket::open(request, stop, Instant::now() + 2 * limits.connect).map_err(Cause::Opening)?;
        for message in messages {
            socket.send_text(message, Instant::now() + limits.silence).map_err(Cause::Socket)?;
        }
        loop {
            let text = socket.receive_text(Instant::now() + limits.silence).map_err(Cause::Socket)?;
            match connection.receive(&text) {
                Ok(false) => {}
                Ok(true) => {
                    if on_new().is_break() {
                        socket.close();
                        return Ok(());
                    }
                }
                Err(end) => {
                    socket.close();
                    return Err(Cause::Protocol(end));
                }
            }
        }
    }

    /// What the end of a connection means.
    fn explain(&self, cause: Cause, had_value: bool) -> (EndClass, String) {
        match cause {
            Cause::Opening(WebSocketFault::Refused(status, retry_after)) => refused(status, retry_after),
            Cause::Opening(WebSocketFault::NoSwitch) => {
                (EndClass::Refused, "a proxy in front of the backend does not pass WebSockets".to_owned())
            }
            Cause::Opening(WebSocketFault::Connection(fault)) => {
                (EndClass::Broken, format!("the backend cannot be reached: {}", fault_words(&fault)))
            }
            Cause::Socket(WebSocketFault::Connection(Fault::TooSlow)) => {
                (EndClass::Broken, format!("no message for {} s", self.limits.silence.as_secs_f64()))
            }
            Cause::Opening(fault) | Cause::Socket(fault) => socket_fault(&fault),
            Cause::Protocol(end) => protocol_end(end, had_value),
        }
    }
}

/// What ended a connection.
enum Cause {
    Opening(WebSocketFault),
    Socket(WebSocketFault),
    Protocol(WakeEnd),
}

fn fault_words(fault: &Fault) -> String {
    match fault {
        Fault::NameNotFound => "its host name is not found".to_owned(),
        Fault::Proxy(words) => format!("the proxy: {words}"),
        Fault::Certificate(fault) => format!("its certificate {}", fault.explain()),
        Fault::Unreachable(words) | Fault::NoTls(words) | Fault::BadRequest(words) => words.clone(),
        Fault::TooSlow => "it does not answer in time".to_owned(),
        Fault::Lost => "the connection ended".to_owned(),
        Fault::NotHttp => "the answer is not HTTP".to_owned(),
        Fault::HeadTooLarge => "its headers are over 12 KiB".to_owned(),
        Fault::BodyTooLarge => "its answer is too large".to_owned(),
        Fault::Crowded => "no memory is free for its answer".to_owned(),
    }
}

fn refused(status: StatusCode, retry_after: Option<Duration>) -> (EndClass, String) {
    let words = format!("the backend refuses a WebSocket with {status}");
    match status.as_u16() {
        // An older backend, or a proxy that passes only some paths.
        404 => (EndClass::Missing, format!("{words}: it has no sync endpoint")),
        429 | 503 => (EndClass::Overloaded(retry_after), words),
        408 | 425 | 500.. => (EndClass::Broken, words),
        _ => (EndClass::Refused, words),
    }
}

fn socket_fault(fault: &WebSocketFault) -> (EndClass, String) {
    match fault {
        WebSocketFault::Connection(fault) => {
            (EndClass::Broken, format!("the connection broke: {}", fault_words(fault)))
        }
        WebSocketFault::Refused(status, retry_after) => refused(*status, *retry_after),
        WebSocketFault::NoSwitch => {
            (EndClass::Refused, "the backend does not switch to WebSocket".to_owned())
        }
        WebSocketFault::Closed(code) => {
            let class = match code {
                Some(TRY_AGAIN_LATER) => EndClass::Overloaded(None),
                _ => EndClass::Broken,
            };
            let code = code.map_or_else(String::new, |code| format!(" ({code})"));
            (class, format!("the backend closed the connection{code}"))
        }
        WebSocketFault::Violation(broken) => {
            (EndClass::Refused, format!("the backend sent {}", broken.explain()))
        }
        WebSocketFault::Crowded(crowded) => (EndClass::Broken, crowded.to_string()),
    }
}

fn protocol_end(end: WakeEnd, had_value: bool) -> (EndClass, String) {
    match end {
        WakeEnd::VersionGap => (EndClass::Broken, "a message of the backend was lost".to_owned()),
        WakeEnd::Malformed(why) => {
            (EndClass::Refused, format!("the backend sent a malformed message: {why}"))
        }
        WakeEnd::Fatal(why) => (EndClass::Refused, format!("the backend reports a fatal error: {why}")),
        WakeEnd::Auth(why) => (EndClass::Refused, format!("the backend refuses an identity: {why}")),
        WakeEnd::Removed => (EndClass::Refused, "the backend has removed the query".to_owned()),
        WakeEnd::NotANumber(value) => {
            (EndClass::Refused, format!("{PATH} answers {value}, which is not a number"))
        }
        WakeEnd::Failed(text, data) => {
            let data = data.and_then(|data| to_raw_value(&data).ok());
            let found = error_text::read(&text, data.as_deref());
            let literal = found.literal.map_or_else(String::new, |literal| format!(": {literal}"));
            match found.why {
                CallReason::NoSuchFunction | CallReason::WrongKind => {
                    (EndClass::Missing, format!("the backend has no query {PATH}"))
                }
                // Deployments that hide their errors do not say which.
                CallReason::Unknown if !had_value && literal.is_empty() => (
                    EndClass::Missing,
                    format!("the backend has no query {PATH}, or the query fails ({text})"),
                ),
                _ => (EndClass::Refused, format!("{PATH} fails{literal}")),
            }
        }
    }
}

/// A random UUID (RFC 9562 §5.4).
fn uuid() -> String {
    let hex = random::hex::<16>();
    // The fixed digits are the version and the variant.
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_its_form() {
        let id = uuid();
        let dashes: Vec<usize> = id.match_indices('-').map(|(at, _)| at).collect();
        assert_eq!((id.len(), dashes), (36, vec![8, 13, 18, 23]), "{id}");
        assert!(id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]), "{id}");
    }

    #[test]
    fn each_status_of_the_opening_has_its_class() {
        for (status, expected) in [
            (404, EndClass::Missing),
            (429, EndClass::Overloaded(Some(Duration::from_secs(7)))),
            (503, EndClass::Overloaded(Some(Duration::from_secs(7)))),
            (502, EndClass::Broken),
            (200, EndClass::Refused),
            (301, EndClass::Refused),
            (400, EndClass::Refused),
            (403, EndClass::Refused),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refused(status, Some(Duration::from_secs(7))).0, expected, "{status}");
        }
    }

    #[test]
    fn each_failure_of_the_query_has_its_class() {
        let missing =
            "[Request ID: 1] Server Error\nCould not find public function for 'service/wake:changed'.\n";
        let token = "[Request ID: 1] Server Error\nUncaught Error: Invalid service token\n";
        let hidden = "[Request ID: 1] Server Error";
        for (text, had_value, expected) in [
            (missing, false, EndClass::Missing),
            (missing, true, EndClass::Missing),
            (token, false, EndClass::Refused),
            (hidden, false, EndClass::Missing),
            (hidden, true, EndClass::Refused),
        ] {
            let end = WakeEnd::Failed(text.to_owned(), None);
            assert_eq!(protocol_end(end, had_value).0, expected, "{text} {had_value}");
        }
    }
}
