//! The health of Mission Control, as all its callers find it, for `/health` and `/metrics`.
//!
//! Every call that the service makes for itself (lists, contexts, marks, the roster, reports) shows the state
//! of the backend. A tool call of an agent may be refused for the agent's own reasons, so only its success
//! counts.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::value::RawValue;

use super::super::command_env::BackendConnection;
use super::token_refusals::{Token, TokenRefusals};
use mcr_clients::convex::{Call, CallClass, CallError, CallReason, Convex, ConvexEndpoint};
use mcr_clients::mission::{Mission, catalog};
use mcr_clients::wire::Stop;
use mcr_config::Settings;
use mcr_model::clock::{Clock, Millis, SystemClock};
use mcr_model::redact::Redactor;
use mcr_model::{AccountId, Team};
use mcr_service::http::health::BackendHealth;
use mcr_service::metrics::{Metrics, short};

/// This many consecutive failures are no accident.
const IN_A_ROW: u32 = 3;

/// The longest error that is shown.
const ERROR_CHARS: usize = 500;

/// What is known of the backend.
pub(super) struct Backend {
    metrics: Arc<Metrics>,
    redactor: Arc<Redactor>,
    /// The time of the last successful call, and whether a failure followed: a success after a success takes
    /// no lock.
    last_ok: AtomicI64,
    troubled: AtomicBool,
    known: Mutex<BackendState>,
    /// The threads that wait for the backend's return.
    returned: Mutex<Vec<Sender<()>>>,
    /// Measures how long the token has been refused.
    steady: Box<dyn Clock>,
}

#[derive(Default)]
struct BackendState {
    last_failure: Option<Millis>,
    last_error: Option<String>,
    /// Consecutive failures.
    refusals: u32,
    away: u32,
    token_refused: bool,
    refusal: TokenRefusals,
    last_report: Option<Millis>,
    report_error: Option<String>,
}

/// What a failed call shows about the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    /// It does not answer as Mission Control does.
    Away,
    /// It answers, but does not do what was requested.
    Refuses { token: bool },
    /// Nothing: the failure is about this call, or about this program.
    Nothing,
}

fn evidence(call: &Call<'_>, error: &CallError) -> Evidence {
    match error.why {
        CallReason::Unreachable
        | CallReason::NameNotFound
        | CallReason::Proxy
        | CallReason::CertificateRefused
        | CallReason::NoTls
        | CallReason::LostAnswer
        | CallReason::TimedOut
        | CallReason::Overloaded
        | CallReason::ServerFault
        | CallReason::Paused
        | CallReason::NotConvex => Evidence::Away,
        CallReason::TokenRefused | CallReason::Unauthorised => Evidence::Refuses { token: true },
        CallReason::Forbidden
        | CallReason::NotFound
        | CallReason::Invalid
        | CallReason::FunctionFailed
        | CallReason::Unknown
        | CallReason::BadArguments
        | CallReason::NoSuchFunction
        | CallReason::WrongKind
        | CallReason::OurRequest => {
            if is_ours(call.path) {
                Evidence::Refuses { token: false }
            } else {
                Evidence::Nothing
            }
        }
        CallReason::Throttled
        | CallReason::FunctionTimedOut
        | CallReason::DatabaseTimedOut
        | CallReason::TooLarge
        | CallReason::ResultTooLarge
        | CallReason::AnswerTooLarge
        | CallReason::NotUnderstood
        | CallReason::Stopped => Evidence::Nothing,
    }
}

/// Whether a Mission Control may lack this function.
fn is_optional(path: &str) -> bool {
    catalog::OPTIONAL.iter().any(|function| function.path == path)
}

/// Whether the service makes this call for itself, not for an agent.
fn is_ours(path: &str) -> bool {
    catalog::ALL.iter().any(|function| function.path == path && function.caller == catalog::Caller::Runtime)
}

impl Backend {
    /// Uses a monotonic clock.
    pub(super) fn new(metrics: Arc<Metrics>, redactor: Arc<Redactor>, steady: Box<dyn Clock>) -> Self {
        // The first success must be noted as well.
        let (last_ok, troubled) = (AtomicI64::new(i64::MIN), AtomicBool::new(true));
        let (known, returned) = (Mutex::default(), Mutex::default());
        Self { metrics, redactor, last_ok, troubled, known, returned, steady }
    }

    /// Receives a message each time Mission Control answers again after it was away. Several returns before the thread
    /// looks count as one. Each thread has its own receiver.
    pub(super) fn on_return(&self) -> Receiver<()> {
        let (sender, returned) = bounded(1);
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        returned
    }

    fn known(&self) -> MutexGuard<'_, BackendState> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call.
    fn note(&self, call: &Call<'_>, answer: Result<&RawValue, &CallError>, took: Duration) {
        let result = match answer.map_err(|error| error.class) {
            Ok(_) => "ok",
            Err(CallClass::Transient) => "transient",
            Err(CallClass::Refused) => "refused",
            Err(CallClass::Gone) => "gone",
            Err(CallClass::Ambiguous) => "ambiguous",
        };
        self.metrics.backend.record(short(call.path), result, took);
        self.metrics.wake_query.record_call(short(call.path));
        match answer {
            Ok(_) => {
                self.last_ok.store(SystemClock.now().0, Ordering::Relaxed);
                if self.troubled.swap(false, Ordering::AcqRel) {
                    let mut known = self.known();
                    known.refusal.note(Token::Accepted, self.steady.now());
                    let was_away = known.away > 0;
                    *known = BackendState {
                        last_failure: known.last_failure,
                        refusal: std::mem::take(&mut known.refusal),
                        last_report: known.last_report,
                        report_error: known.report_error.take(),
                        ..BackendState::default()
                    };
                    drop(known);
                    if was_away {
                        let returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
                        for thread in returned.iter() {
                            // A full channel already has the message.
                            let _ = thread.try_send(());
                        }
                    }
                }
            }
            // It answers, and may lack this function.
            Err(error) if error.why == CallReason::NoSuchFunction && is_optional(call.path) => {}
            Err(error) if error.why != CallReason::Stopped => self.note_failure(call, error),
            Err(_) => {}
        }
        if call.path.ends_with(":listUndeliveredNotifications") {
            self.note_poll(answer, took);
        }
    }

    fn note_failure(&self, call: &Call<'_>, error: &CallError) {
        let mut known = self.known();
        known.last_failure = Some(SystemClock.now());
        known.last_error = Some(self.redactor.excerpt(&error.sentence, ERROR_CHARS));
        // A proxy may also refuse the identity.
        let token = if error.why == CallReason::TokenRefused { Token::Refused } else { Token::Unclear };
        known.refusal.note(token, self.steady.now());
        match evidence(call, error) {
            Evidence::Away => {
                known.away += 1;
                known.refusals = 0;
            }
            Evidence::Refuses { token } => {
                known.refusals += 1;
                known.away = 0;
                known.token_refused = token;
            }
            Evidence::Nothing => {}
        }
        self.troubled.store(true, Ordering::Release);
    }

    /// The original service counts a list as a success only if it was not empty.
    fn note_poll(&self, answer: Result<&RawValue, &CallError>, took: Duration) {
        match answer {
            Ok(value) if value.get().trim_start().starts_with("[]") => {}
            Ok(_) => self.metrics.operation("delivery.poll", took, None),
            Err(error) if error.why == CallReason::Stopped => {}
            Err(error) => self.failed("delivery.poll", took, error),
        }
    }

    /// Notes a failed operation of the service.
    pub(super) fn failed(&self, operation: &str, took: Duration, error: &CallError) {
        let why = self.redactor.excerpt(&error.to_string(), ERROR_CHARS);
        self.metrics.operation(operation, took, Some((why, SystemClock.now())));
    }

    /// Notes a status report to the backend.
    pub(super) fn note_report(&self, error: Option<&CallError>) {
        let mut known = self.known();
        match error {
            None => {
                known.last_report = Some(SystemClock.now());
                known.report_error = None;
            }
            Some(error) => {
                known.report_error = Some(self.redactor.excerpt(&error.to_string(), ERROR_CHARS));
            }
        }
    }

    /// Why the service should give up: the backend has refused the token for ten minutes, and no call has
    /// ever succeeded.
    pub(super) fn hopeless(&self) -> Option<String> {
        let known = self.known();
        known.refusal.is_hopeless().then(|| known.last_error.clone().unwrap_or_default())
    }

    /// The health as `/health` shows it.
    pub(super) fn health(&self, clock_ahead_ms: Option<i64>) -> BackendHealth {
        let known = self.known();
        let last_ok = Some(self.last_ok.load(Ordering::Relaxed)).filter(|at| *at != i64::MIN).map(Millis);
        // One failure is enough if no call ever succeeded.
        let enough = if last_ok.is_none() { 1 } else { IN_A_ROW };
        let reachable = match (known.away >= enough, last_ok.is_some() || known.refusals > 0) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
        };
        let refuses = known.refusals >= if known.token_refused { 1 } else { enough };
        let accepted = match reachable {
            Some(true) if refuses => Some(false),
            Some(true) => last_ok.is_some().then_some(true),
            _ => None,
        };
        BackendHealth {
            reachable,
            accepted,
            once_accepted: last_ok.is_some(),
            token_refused: known.token_refused,
            checked_at: last_ok.max(known.last_failure),
            last_error: known.last_error.clone(),
            last_report_at: known.last_report,
            last_report_error: known.report_error.clone(),
            clock_ahead_ms,
        }
    }
}

/// A backend client that notes every call.
struct ObservedClient<C> {
    inner: C,
    backend: Arc<Backend>,
}

impl<C: Convex> Convex for ObservedClient<C> {
    fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError> {
        let begun = Instant::now();
        let answer = self.inner.call(call);
        self.backend.note(call, answer.as_deref(), begun.elapsed());
        answer
    }

    fn call_with_team(&self, call: &Call<'_>) -> Result<(Box<RawValue>, Option<Team>), CallError> {
        let begun = Instant::now();
        let answer = self.inner.call_with_team(call);
        self.backend.note(call, answer.as_ref().map(|(value, _)| &**value), begun.elapsed());
        answer
    }
}

/// The backend as this account sees it, for one thread, with every call noted. `stop` ends its calls.
pub(super) fn observed(
    way: &BackendConnection,
    settings: &Settings,
    stop: &Stop,
    backend: &Arc<Backend>,
) -> Mission {
    let client = ObservedClient { inner: way.endpoint.client(stop), backend: backend.clone() };
    let account = AccountId::new(&settings.account.id);
    Mission::new(Arc::new(client), account, settings.account.service_token.clone())
}

/// By how many milliseconds the backend's clock is ahead of ours, as any of the connections last saw.
pub(super) fn clock_ahead(endpoints: &[ConvexEndpoint]) -> Option<i64> {
    endpoints.iter().find_map(ConvexEndpoint::clock_ahead)
}

#[cfg(test)]
mod tests;
