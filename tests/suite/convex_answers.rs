//! Every answer that the backend can give, over a socket, and its class.
//!
//! The rows are those of convex-http-api A.3 and backend-contract §1.4. Five kinds of callers test each row,
//! because the meaning of an answer depends on what a second run would do.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mission_control_runtime::convex::{
    Backoff, Call, CallClass, CallError, CallReason, Convex, ConvexEndpoint, ConvexLimits, FunctionKind,
    HttpConvex,
};
use mission_control_runtime::model::BaseUrl;
use mission_control_runtime::redact::Redactor;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::wire::{Phases, Roots, Stop};
use serde_json::value::RawValue;

use crate::support::scripted_http::{Move, ScriptedHttp, answer};

/// Application errors: messages of the function and of the platform, plain and hidden.
mod application_errors;
/// Connections that break or stall, at each point.
mod connections;
/// What is sent, how it is repeated, and how calls end.
mod conversation;
/// Secrets that answers repeat.
mod echoes;
/// System errors: status and code.
mod system_errors;

/// The token of these tests, which no text may show. It is in two parts, because no source may contain a
/// plausible token.
const TOKEN: &str = concat!("mc_service_", "acc0unt_s3cr3ts3cr3ts3cr3t");
const GOOD: &str = r#"{"status":"success","value":{"n":3.0,"s":"x"},"logLines":["[LOG] hi"]}"#;

/// The caller of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    UnsafeAction,
    SafeAction,
    UnsafeMutation,
    SafeMutation,
    Query,
}

impl Caller {
    const ALL: [Self; 5] =
        [Self::UnsafeAction, Self::SafeAction, Self::UnsafeMutation, Self::SafeMutation, Self::Query];

    fn kind(self) -> FunctionKind {
        match self {
            Self::UnsafeAction | Self::SafeAction => FunctionKind::Action,
            Self::UnsafeMutation | Self::SafeMutation => FunctionKind::Mutation,
            Self::Query => FunctionKind::Query,
        }
    }

    /// Calls the function `a:b`, with the token among its arguments.
    fn ask(self, convex: &dyn Convex, deadline: Duration) -> Result<Box<RawValue>, CallError> {
        let args = RawValue::from_string(format!(r#"{{"serviceToken":"{TOKEN}"}}"#)).unwrap();
        self.ask_with(convex, &args, deadline)
    }

    fn ask_with(
        self,
        convex: &dyn Convex,
        args: &RawValue,
        deadline: Duration,
    ) -> Result<Box<RawValue>, CallError> {
        let may_repeat = matches!(self, Self::SafeAction | Self::SafeMutation);
        convex.call(&Call { kind: self.kind(), path: "a:b", args, deadline, may_repeat })
    }
}

/// The classes of an answer: for an unsafe action, for an unsafe mutation, and for the three others.
type Classes = (CallClass, CallClass, CallClass);

fn class_for(classes: Classes, caller: Caller) -> CallClass {
    match caller {
        Caller::UnsafeAction => classes.0,
        Caller::UnsafeMutation => classes.1,
        Caller::SafeAction | Caller::SafeMutation | Caller::Query => classes.2,
    }
}

/// Nothing happened, for queries and mutations. An unsafe action may have done a part.
const ROLLED_BACK: Classes = (CallClass::Ambiguous, CallClass::Transient, CallClass::Transient);
/// It may have happened.
const MAYBE: Classes = (CallClass::Ambiguous, CallClass::Ambiguous, CallClass::Transient);
/// It may have happened, and a retry would bring the same result.
const MAYBE_SAME: Classes = (CallClass::Ambiguous, CallClass::Ambiguous, CallClass::Refused);
const TRANSIENT: Classes = (CallClass::Transient, CallClass::Transient, CallClass::Transient);
const REFUSED: Classes = (CallClass::Refused, CallClass::Refused, CallClass::Refused);
const GONE: Classes = (CallClass::Gone, CallClass::Gone, CallClass::Gone);

/// The deadline of calls that are expected to end long before it, even on a loaded machine.
const PATIENT: Duration = Duration::from_mins(1);

/// The bound for an end that does not wait for [`PATIENT`].
const EARLY: Duration = Duration::from_secs(40);

fn roots() -> &'static Roots {
    static ROOTS: OnceLock<Roots> = OnceLock::new();
    ROOTS.get_or_init(|| Roots::load(None).unwrap())
}

fn endpoint(url: &str, limits: ConvexLimits) -> ConvexEndpoint {
    let redactor = Arc::new(Redactor::new(&[Secret::new(TOKEN)]));
    ConvexEndpoint::with_limits(BaseUrl::parse(url).unwrap(), roots(), redactor, limits)
}

fn client(url: &str, limits: ConvexLimits) -> HttpConvex {
    endpoint(url, limits).client(&Stop::new())
}

/// Phases short enough for tests that wait for their end. Connecting is not one of them.
fn phases(each: Duration) -> Phases {
    Phases { connect: PATIENT, send: each, answer: each, body: each, idle: PATIENT, idle_connections: 1 }
}

/// Makes one attempt: the first pause is longer than any deadline.
fn asks_once() -> ConvexLimits {
    ConvexLimits { phases: phases(PATIENT), answer_bytes: 4096, backoff: Backoff::never() }
}

/// Retries at once.
fn asks_again() -> ConvexLimits {
    let soon = Duration::from_millis(1);
    ConvexLimits {
        backoff: Backoff { first: soon, most: soon, overload: soon, shortest_attempt: soon },
        ..asks_once()
    }
}

/// The check behind the rows. It compares the error that each caller gets after this move of the server. It
/// also counts the complete requests that the server sees when the next one would succeed.
fn check(name: &str, bad: &Move, why: CallReason, classes: Classes) {
    check_with(name, bad, asks_once(), asks_again(), |caller, convex| {
        (caller.ask(convex, PATIENT), why, class_for(classes, caller))
    });
}

fn check_with(
    name: &str,
    bad: &Move,
    once: ConvexLimits,
    again: ConvexLimits,
    ask: impl Fn(Caller, &dyn Convex) -> (Result<Box<RawValue>, CallError>, CallReason, CallClass),
) {
    for caller in Caller::ALL {
        let server = ScriptedHttp::start([bad.clone()]);
        let (result, why, class) = ask(caller, &client(&server.url(), once));
        let error = result.expect_err(name);
        assert_eq!((error.why, error.class), (why, class), "{name}, {caller:?}: {error:?}");
        assert_eq!(error.attempts, 1, "{name}, {caller:?}: {error:?}");
        assert!(error.sentence.starts_with("a:b: "), "{name}: {}", error.sentence);
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains(TOKEN), "{name}: {text}");
        }

        let reaches = usize::from(!matches!(bad, Move::CutAtOnce | Move::CutAfterHead | Move::CutInBody(_)));
        let server = ScriptedHttp::start([bad.clone(), Move::Send(answer(200, GOOD))]);
        let (result, ..) = ask(caller, &client(&server.url(), again));
        // A paused deployment is not called again within a call, nor is an application error retried.
        let said = why == CallReason::DatabaseTimedOut && error.status == Some(200);
        let repeats = class == CallClass::Transient && why != CallReason::Paused && !said;
        assert_eq!(result.is_ok(), repeats, "{name}, {caller:?}: {result:?}");
        let seen = server.seen();
        assert_eq!(seen.len(), reaches + usize::from(repeats), "{name}, {caller:?}: requests seen");
        assert!(seen.windows(2).all(|two| two[0].body == two[1].body), "{name}: the same request again");
    }
}
