//! Backend calls over HTTP: one [`HttpConvex`] per worker thread, made from a shared
//! [`ConvexEndpoint`](super::ConvexEndpoint).
//!
//! Each client has its own connection, so that threads do not contend for a pool's lock. They share
//! everything else. All attempts of a call carry the same `Convex-Request-Id`, which our log lines and the
//! deployment's log show. It only correlates the two logs. It is no idempotency key; Convex has none over
//! HTTP.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use log::{Level, debug, log, warn};
use serde_json::value::RawValue;
use ureq::{Agent, SendBody, http};

use super::answer::{self, Answer};
use super::endpoint::ConvexShared;
use super::error::{CallClass, CallReason, Ran};
use super::finding::{Finding, Outlook};
use super::known_team::{KnownList, ShorteningReader};
use super::retry::Next;
use super::{Call, CallError, Convex, failure};
use crate::wire::{self, Fault, Outgoing, Registration, Sent, Stop};
use mcr_model::Team;
use mcr_model::clock::{Clock as _, Millis, SystemClock};
use mcr_model::memory::{FREE_BYTES, Share};
use mcr_model::random;

/// A client name of our own with a real version. The backend demands minimum versions of `npm`, `rust` and
/// similar names, and a value without a `-` fails every call.
pub(super) const CLIENT: &str = concat!("mission-control-runtime-", env!("CARGO_PKG_VERSION"));

/// Convex's limits for arguments and results, and for the request around them.
pub(super) const VALUE_BYTES_MAX: usize = 16 * 1024 * 1024;
const REQUEST_BYTES_MAX: usize = VALUE_BYTES_MAX + 2000;

/// Longer deadlines mean "none", and adding them to a clock could overflow.
const DEADLINE_MAX: Duration = Duration::from_hours(24);

/// A thread's client of the deployment. It can be shared, but keeps only one connection.
#[derive(Debug)]
pub struct HttpConvex {
    agent: Agent,
    shared: Arc<ConvexShared>,
    stop: Stop,
    /// Unregisters the agent when this client is dropped.
    _registration: Registration,
}

impl Convex for HttpConvex {
    fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError> {
        self.answer(call, None).map(|(value, _)| value)
    }

    fn call_with_team(&self, call: &Call<'_>) -> Result<(Box<RawValue>, Option<Team>), CallError> {
        let known = self.shared.team.get();
        let (value, is_short) = self.answer(call, known.as_ref())?;
        if let Some(list) = known.filter(|_| is_short) {
            return Ok((value, Some(list.team)));
        }
        Ok(match self.shared.team.learn(&value) {
            Some((rest, team)) => (rest, Some(team)),
            None => (value, None),
        })
    }
}

impl HttpConvex {
    pub(super) fn new(agent: Agent, shared: Arc<ConvexShared>, stop: &Stop) -> Self {
        let registration = stop.register(&agent);
        Self { agent, shared, stop: stop.clone(), _registration: registration }
    }

    /// The value, and whether the known list was left out of it.
    fn answer(&self, call: &Call<'_>, known: Option<&KnownList>) -> Result<(Box<RawValue>, bool), CallError> {
        let id = request_id();
        let begun = Instant::now();
        let until = begun + call.deadline.min(DEADLINE_MAX);
        let mut attempts = 0;
        let result = self.repeat(call, known, (&id, until), &mut attempts);
        let took = begun.elapsed().as_millis();
        result
            .inspect(|_| {
                debug!(function = call.path, attempts, duration_ms = took, request = id.as_str(); "Mission Control answered");
            })
            .map_err(|finding| {
                let error = finding.into_error(call, attempts, &id, &self.shared.redactor);
                // Failures that pass by themselves are for the caller to report, if they last.
                let level = match (error.why, error.class) {
                    (CallReason::Stopped, _) => Level::Debug,
                    (_, CallClass::Transient) => Level::Info,
                    (_, CallClass::Refused | CallClass::Gone | CallClass::Ambiguous) => Level::Warn,
                };
                log!(level, class:% = error.class, duration_ms = took, request = id.as_str(), error:% = error.sentence; "Call of Mission Control failed");
                error
            })
    }

    fn repeat(
        &self,
        call: &Call<'_>,
        known: Option<&KnownList>,
        (id, until): (&str, Instant),
        attempts: &mut u32,
    ) -> Result<(Box<RawValue>, bool), Finding> {
        let body = request_body(call)?;
        // A failed last attempt proves nothing about the earlier ones.
        let mut ran = Ran::No;
        loop {
            if self.stop.is_closed() {
                return Err(failure::stopped(Sent::Nothing).at_least(ran));
            }
            *attempts += 1;
            let left = until.saturating_duration_since(Instant::now());
            let finding = match self.attempt(call, known, &body, (id, left)) {
                Ok(value) => return Ok(value),
                Err(finding) => finding.at_least(ran),
            };
            ran = finding.ran;
            if !finding.may_be_repeated(call) {
                return Err(finding);
            }
            let left = until.saturating_duration_since(Instant::now());
            let pause = match self.shared.limits.backoff.next(*attempts, finding.why, left, random::unit()) {
                Next::GiveUp => return Err(finding),
                Next::Wait(pause) => pause,
            };
            let why = finding.why.explain();
            let detail = finding.detail.as_deref().map_or(String::new(), |detail| format!(" ({detail})"));
            let detail = self.shared.redactor.excerpt(&detail, super::error::EXCERPT_CHARS_MAX);
            let (reason, pause_ms) = (format!("{why}{detail}"), pause.as_millis());
            // The first retry is worth an info line; the later ones are routine.
            let level = if *attempts == 1 { Level::Info } else { Level::Debug };
            log!(level, function = call.path, reason = reason.as_str(), pause_ms, request = id; "Call of Mission Control is retried");
            if self.stop.wait(pause) {
                // What was transient stays transient: a retry does no harm, but this call has no time for
                // one.
                return Err(Finding { why: CallReason::Stopped, ..finding });
            }
        }
    }

    /// Sends the request once and reads the answer to its end, so that the connection can be reused.
    fn attempt(
        &self,
        call: &Call<'_>,
        known: Option<&KnownList>,
        body: &[u8],
        (id, left): (&str, Duration),
    ) -> Result<(Box<RawValue>, bool), Finding> {
        let mut outgoing = Outgoing::new(body);
        let mut request = self.agent.post(self.shared.base.join(call.kind.endpoint()));
        if let Some(bearer) = &self.shared.bearer {
            request = request.header(http::header::AUTHORIZATION, bearer.clone());
        }
        let sent = request
            .config()
            // Zero would mean "no limit".
            .timeout_global(Some(left.max(Duration::from_millis(1))))
            .build()
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::ACCEPT, "application/json")
            .header(http::header::CONTENT_LENGTH, body.len())
            .header("Convex-Client", CLIENT)
            .header("Convex-Request-Id", id)
            .send(SendBody::from_reader(&mut outgoing));
        let response = sent.map_err(|error| self.broken(&Fault::of(&error), outgoing.sent()))?;
        self.warn_of_deprecation(response.headers());
        self.note_clock(response.headers());
        let status = response.status().as_u16();
        let location = redirect_host(response.headers());
        let mut share = self.shared.memory.share(self.most(&response), left);
        let (body, is_short) = self
            .read_body(response, known, &mut share)
            .map_err(|fault| self.broken(&fault, Sent::Whole).with_status(status))?;
        answer::read(&Answer { status, body, location }, call).map(|value| (value, is_short)).map_err(
            |finding| {
                // The stop switch cuts connections. An answer without a length then only looks complete.
                let cut = finding.why == CallReason::NotUnderstood && self.stop.is_closed();
                if cut { failure::stopped(Sent::Whole) } else { finding }
            },
        )
    }

    /// What a broken connection means. Our own stop switch also breaks connections.
    fn broken(&self, fault: &Fault, sent: Sent) -> Finding {
        if self.stop.is_closed() {
            return failure::stopped(sent);
        }
        let finding = failure::finding(fault, sent);
        let plain = !self.shared.base.is_https();
        if plain && finding.why == CallReason::LostAnswer && sent == Sent::Whole && finding.detail.is_none() {
            return finding.with_detail("if this is an https port, CONVEX_URL must begin with https://");
        }
        if finding.why == CallReason::Unreachable {
            let words = finding.detail.as_deref().unwrap_or_default();
            let by = match wire::proxy_of(&self.agent, &self.shared.base) {
                Some(proxy) => format!(" through the proxy {proxy}"),
                None => String::new(),
            };
            let words = format!("{}{by}: {words}", self.shared.base);
            return finding.with_detail(words);
        }
        finding
    }

    /// The most bytes to read of an answer: the length it announces, or the limit.
    fn most(&self, response: &http::Response<ureq::Body>) -> usize {
        let most = self.shared.limits.answer_bytes;
        let announced = response.body().content_length().filter(|length| *length <= most);
        usize::try_from(announced.unwrap_or(most)).unwrap_or(usize::MAX)
    }

    /// The body, and whether the known list was left out of it.
    fn read_body(
        &self,
        response: http::Response<ureq::Body>,
        known: Option<&KnownList>,
        share: &mut Share,
    ) -> Result<(Vec<u8>, bool), Fault> {
        let most = self.shared.limits.answer_bytes;
        let announced = response.body().content_length();
        if announced.is_some_and(|length| length > most) {
            return Err(Fault::BodyTooLarge);
        }
        // Small answers are read into a buffer of their size.
        let small = announced.unwrap_or(0).min(FREE_BYTES as u64);
        let mut body = Vec::with_capacity(usize::try_from(small).unwrap_or(0));
        let mut reader = response.into_body().into_reader();
        let (result, is_short) = match known {
            Some(known) => {
                let mut shortening = ShorteningReader::new(&mut reader, known);
                (share.read_to_end(&mut shortening, &mut body), shortening.has_left_out())
            }
            None => (share.read_to_end(&mut reader, &mut body), false),
        };
        result.map_err(|error| Fault::of_io(&error))?;
        if body.len() as u64 > most { Err(Fault::BodyTooLarge) } else { Ok((body, is_short)) }
    }

    /// Compares the clocks. An answer without a date changes nothing.
    fn note_clock(&self, headers: &http::HeaderMap) {
        let date = headers.get(http::header::DATE).and_then(|value| value.to_str().ok());
        if let Some(theirs) = date.and_then(Millis::from_http_date) {
            let ahead = theirs.0.saturating_sub(SystemClock.now().0);
            self.shared.clock_ahead.store(ahead, Ordering::Relaxed);
        }
    }

    /// Warns once per endpoint that the backend considers this client outdated.
    fn warn_of_deprecation(&self, headers: &http::HeaderMap) {
        let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let Some(state) = text("x-convex-deprecation-state") else { return };
        if self.shared.deprecation_logged.swap(true, Ordering::Relaxed) {
            return;
        }
        let words =
            format!("{state}: {}", text("x-convex-deprecation-message").unwrap_or("no details given"));
        let words = self.shared.redactor.excerpt(&words, super::error::EXCERPT_CHARS_MAX);
        warn!(client = CLIENT, reason = words.as_str(); "Mission Control considers this client outdated");
    }
}

/// Builds `{"path":…,"format":"json","args":[{…}]}`, or refuses arguments over the limit.
///
/// The format is a constant because the backend reads it only after the function ran. `json` differs from the
/// older `convex_encoded_json` only in values this service never sends (bytes, 64-bit integers, infinities).
/// The arguments are in an array of one, as the official client still sends them: the best-proven form.
fn request_body(call: &Call<'_>) -> Result<Vec<u8>, Finding> {
    let args = call.args.get();
    let path = serde_json::Value::from(call.path).to_string();
    let body = [r#"{"path":"#, &path, r#","format":"json","args":["#, args, "]}"].concat();
    if args.len() > VALUE_BYTES_MAX || body.len() > REQUEST_BYTES_MAX {
        let detail = format!("{} bytes; Convex takes 16 MiB", args.len());
        return Err(Finding::new(CallReason::TooLarge, Ran::No, Outlook::Stays).with_detail(detail));
    }
    Ok(body.into_bytes())
}

/// The host of a `Location` header, or the whole of a relative one.
fn redirect_host(headers: &http::HeaderMap) -> Option<String> {
    let location = headers.get(http::header::LOCATION)?.to_str().ok()?;
    let uri: Option<http::Uri> = location.parse().ok();
    Some(uri.as_ref().and_then(http::Uri::host).unwrap_or(location).to_owned())
}

/// 16 lower-case hex digits, as the backend generates when none are sent.
fn request_id() -> String {
    random::hex::<8>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convex::FunctionKind;

    /// convex-http-api A.2: parsed from the right, the longest suffix that is a version is the version.
    #[test]
    fn our_name_and_version_are_read_as_such() {
        let cuts = CLIENT.match_indices('-').map(|(at, _)| at);
        let is_version = |text: &str| {
            let core = text.split(['-', '+']).next().unwrap_or_default();
            core.split('.').count() == 3 && core.split('.').all(|part| part.parse::<u64>().is_ok())
        };
        let at = cuts.into_iter().find(|at| is_version(&CLIENT[at + 1..])).expect("a version in the name");
        assert_eq!(
            (&CLIENT[..at], &CLIENT[at + 1..]),
            ("mission-control-runtime", env!("CARGO_PKG_VERSION"))
        );
    }

    #[test]
    fn request_ids_are_sixteen_hex_digits_and_differ() {
        let (one, other) = (request_id(), request_id());
        assert!(one.len() == 16 && one.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{one}");
        assert_ne!(one, other);
    }

    #[test]
    fn arguments_over_the_limit_are_not_sent() {
        let of = |length: usize| RawValue::from_string(format!("\"{}\"", "x".repeat(length - 2))).unwrap();
        let body = |args: &RawValue| {
            let call = Call {
                kind: FunctionKind::Action,
                path: "a:b",
                args,
                deadline: Duration::ZERO,
                may_repeat: false,
            };
            request_body(&call)
        };
        assert!(body(&of(VALUE_BYTES_MAX)).is_ok());
        let refused = body(&of(VALUE_BYTES_MAX + 1)).err().unwrap();
        assert_eq!((refused.why, refused.ran), (CallReason::TooLarge, Ran::No));
        let small = RawValue::from_string(r#"{"a":1.50}"#.to_owned()).unwrap();
        let text = String::from_utf8(body(&small).ok().unwrap()).unwrap();
        assert_eq!(text, r#"{"path":"a:b","format":"json","args":[{"a":1.50}]}"#);
    }
}
