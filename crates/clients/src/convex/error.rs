//! A call that brought no value: its class, its reason, and the sentence for people.

use std::fmt;
use std::time::Duration;

use super::Call;
use mcr_model::redact::Redactor;

/// The longest text of others in an error: enough for a reason, too short for a page.
pub(super) const EXCERPT_CHARS_MAX: usize = 300;

/// What a failed call means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Nothing happened, or asking again is harmless: ask again later.
    Transient,
    /// The backend said no, and would say it again.
    Refused,
    /// What the call was about no longer exists.
    Gone,
    /// It may have happened: read before repeating.
    Ambiguous,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transient => "transient",
            Self::Refused => "refused",
            Self::Gone => "gone",
            Self::Ambiguous => "ambiguous",
        })
    }
}

/// Whether the function ran, as far as can be known of all attempts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ran {
    /// It did not, or all it did was rolled back.
    No,
    /// It may have, or in parts: an action commits each of its transactions alone.
    Maybe,
    /// It did.
    Yes,
}

/// Why a call brought no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Nobody answers at the backend's address.
    Unreachable,
    /// The backend's name has no address.
    NameNotFound,
    /// The environment's proxy did not let us through.
    Proxy,
    /// The backend's certificate is not good.
    CertificateRefused,
    /// The other side does not speak TLS.
    NoTls,
    /// The connection ended before the answer was complete.
    LostAnswer,
    /// A limit of time was reached.
    TimedOut,
    /// The backend has no room now.
    Overloaded,
    /// Too many calls, or too many writes.
    Throttled,
    /// The backend, or the front before it, failed by itself.
    ServerFault,
    /// The deployment is paused or disabled.
    Paused,
    /// Whatever answered is no Convex deployment.
    NotConvex,
    /// The request is not as Convex wants it: a mistake of this program.
    OurRequest,
    /// The backend wants another identity.
    Unauthorised,
    /// There is no such public function.
    NoSuchFunction,
    /// The function is of another kind.
    WrongKind,
    /// The arguments do not fit the deployed version.
    BadArguments,
    /// The service token, or the account it names, is not accepted.
    TokenRefused,
    /// The account or the agent may not do this.
    Forbidden,
    /// What the call is about does not exist.
    NotFound,
    /// A value is not acceptable.
    Invalid,
    /// The function took too long and was ended.
    FunctionTimedOut,
    /// The database took too long.
    DatabaseTimedOut,
    /// The arguments are too large to be sent.
    TooLarge,
    /// The function's result is too large for the backend to send.
    ResultTooLarge,
    /// The function failed for a reason that it gives, of no known family.
    FunctionFailed,
    /// The function failed and the deployment hides why.
    Unknown,
    /// The answer is larger than we take.
    AnswerTooLarge,
    /// The answer is broken, or of an unexpected shape.
    NotUnderstood,
    /// This program is stopping.
    Stopped,
}

/// How fast asking again makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// With the usual back-off.
    Soon,
    /// With a pause that lets an overload pass.
    Slowly,
    /// Not within one call: somebody has to do something first.
    Minutes,
}

/// After an overload, and after a failure nobody can read: what the official clients wait (3 s).
const OVERLOAD_PAUSE: Duration = Duration::from_secs(3);
/// Where a person has to act first, asking more often only fills logs.
pub(super) const PERSON_PAUSE: Duration = Duration::from_mins(1);
/// A paused deployment stays so until somebody pays or presses a button.
const PAUSED_PAUSE: Duration = Duration::from_mins(5);

impl Why {
    /// What happened, to stand behind "`path`: ".
    pub fn explain(self) -> &'static str {
        match self {
            Self::Unreachable => "nobody answers at the backend's address",
            Self::NameNotFound => "the backend's host name is not known",
            Self::Proxy => "the proxy of the environment did not let us through",
            Self::CertificateRefused => "the backend's certificate was refused",
            Self::NoTls => "the other side did not answer in TLS",
            Self::LostAnswer => "the connection ended before the answer was complete",
            Self::TimedOut => "no complete answer came in time",
            Self::Overloaded => "the backend is overloaded",
            Self::Throttled => "the backend gets too many calls",
            Self::ServerFault => "the backend, or a proxy in front of it, failed",
            Self::Paused => "the deployment is paused or disabled",
            Self::NotConvex => "what answered is not a Convex deployment",
            Self::OurRequest => "the backend does not accept the form of our request",
            Self::Unauthorised => "the backend did not accept our identity",
            Self::NoSuchFunction => "the backend has no such public function",
            Self::WrongKind => "the function is of another kind on this backend",
            Self::BadArguments => "the arguments do not fit the deployed backend",
            Self::TokenRefused => "the service token was not accepted",
            Self::Forbidden => "not allowed",
            Self::NotFound => "it does not exist",
            Self::Invalid => "a value is not acceptable",
            Self::FunctionTimedOut => "the function took too long and was ended",
            Self::DatabaseTimedOut => "the backend's database took too long",
            Self::TooLarge => "the arguments are too large",
            Self::ResultTooLarge => "the function's result is too large for the backend",
            Self::FunctionFailed => "the function failed",
            Self::Unknown => "the function failed, and the deployment hides why",
            Self::AnswerTooLarge => "the answer is larger than we take",
            Self::NotUnderstood => "the answer is not understood",
            Self::Stopped => "this program is stopping",
        }
    }

    /// What a person can do, as a sentence; nothing where waiting is all there is.
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Unreachable => Some("Check that the backend runs, CONVEX_URL and the network."),
            Self::NameNotFound => Some("Check CONVEX_URL and the name server."),
            Self::Proxy => Some("Check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY."),
            Self::CertificateRefused => Some("Check CONVEX_URL, SSL_CERT_FILE and the clock."),
            Self::NoTls => Some("Should CONVEX_URL begin with http://?"),
            Self::Paused => Some("Resume it in the Convex dashboard."),
            Self::NotConvex => {
                Some("Check CONVEX_URL: it should be https://NAME.convex.cloud, without a path.")
            }
            Self::OurRequest => Some("Please report this as a bug."),
            Self::Unauthorised | Self::TokenRefused => {
                Some("Check ACCOUNT_ID and SERVICE_TOKEN, or issue a new token.")
            }
            Self::NoSuchFunction | Self::WrongKind | Self::BadArguments => Some(
                "The backend may be older or newer than this runtime: deploy both from matching versions.",
            ),
            Self::Unknown => Some("The deployment's log shows the reason under the request id."),
            Self::TimedOut => Some("Check that CONVEX_URL is a Convex deployment that is not overloaded."),
            Self::ServerFault => Some("If it stays, the deployment's log may say more under the request id."),
            Self::LostAnswer
            | Self::Overloaded
            | Self::Throttled
            | Self::Forbidden
            | Self::NotFound
            | Self::Invalid
            | Self::FunctionTimedOut
            | Self::DatabaseTimedOut
            | Self::TooLarge
            | Self::ResultTooLarge
            | Self::FunctionFailed
            | Self::AnswerTooLarge
            | Self::NotUnderstood
            | Self::Stopped => None,
        }
    }

    pub(super) fn pace(self) -> Pace {
        match self {
            Self::Overloaded | Self::Throttled | Self::DatabaseTimedOut | Self::FunctionTimedOut => {
                Pace::Slowly
            }
            Self::NotUnderstood | Self::NotConvex | Self::Proxy | Self::Unknown => Pace::Slowly,
            Self::CertificateRefused
            | Self::NoTls
            | Self::Paused
            | Self::OurRequest
            | Self::Unauthorised
            | Self::NoSuchFunction
            | Self::WrongKind
            | Self::BadArguments
            | Self::TokenRefused => Pace::Minutes,
            // These pass by themselves, or are about this one call: no reason to slow down for the others.
            Self::Unreachable
            | Self::NameNotFound
            | Self::LostAnswer
            | Self::TimedOut
            | Self::ServerFault
            | Self::Forbidden
            | Self::NotFound
            | Self::Invalid
            | Self::FunctionFailed
            | Self::TooLarge
            | Self::ResultTooLarge
            | Self::AnswerTooLarge
            | Self::Stopped => Pace::Soon,
        }
    }

    /// How long to leave the backend alone; nothing where the caller's own rhythm will do.
    pub fn not_before(self) -> Option<Duration> {
        if self == Self::Paused {
            return Some(PAUSED_PAUSE);
        }
        match self.pace() {
            Pace::Soon => None,
            Pace::Slowly => Some(OVERLOAD_PAUSE),
            Pace::Minutes => Some(PERSON_PAUSE),
        }
    }
}

/// A call that brought no value. All its texts are redacted.
///
/// [`Why::Unknown`] is refused, but must never be final at its first time: behind it may stand anything, also a
/// conflict that passes. Space such calls out and count them. In an action, `ran` is then [`Ran::Maybe`].
#[derive(Clone, Debug)]
pub struct CallError {
    /// What it means for the caller.
    pub class: Class,
    /// Why.
    pub why: Why,
    /// Whether the function ran. An unsafe call that is refused with [`Ran::Maybe`] may have done a part of its
    /// work.
    pub ran: Ran,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// How often it was tried.
    pub attempts: u32,
    /// How long to leave the backend alone.
    pub not_before: Option<Duration>,
    /// Convex's stable code, such as `TooManyWrites`; of an application error, the code it threw.
    pub code: Option<Box<str>>,
    /// The function's own words, one line.
    pub literal: Option<Box<str>>,
    /// The request id, as the deployment's log shows it; empty where no request was made.
    pub request_id: Box<str>,
    /// What happened and what to do, for people.
    pub sentence: Box<str>,
}

impl CallError {
    /// An error of a road that is not HTTP: a double's, or one of the typed calls above.
    pub fn new(class: Class, why: Why, request_id: &str, sentence: &str) -> Self {
        Self {
            class,
            why,
            ran: match class {
                Class::Ambiguous => Ran::Maybe,
                Class::Transient | Class::Refused | Class::Gone => Ran::No,
            },
            status: None,
            attempts: 0,
            not_before: why.not_before(),
            code: None,
            literal: None,
            request_id: request_id.into(),
            sentence: sentence.into(),
        }
    }

    /// A request that could not be put into JSON.
    pub fn before_sending(path: &str, words: &str) -> Self {
        let sentence = format!("{path}: {} ({words}).", Why::OurRequest.explain());
        Self::new(Class::Refused, Why::OurRequest, "", &sentence)
    }

    /// A value that does not fit its type. The function ran all the same: what a call that may not be repeated has
    /// done is then known to the backend alone.
    pub fn not_understood(call: &Call<'_>, words: &str) -> Self {
        let class = if call.is_harmless() { Class::Refused } else { Class::Ambiguous };
        // The words may quote the value. Known secrets are the log's to hide; what has the shape of one goes here.
        let words = Redactor::default().excerpt(words, EXCERPT_CHARS_MAX);
        let sentence = format!("{}: {} ({words}).", call.path, Why::NotUnderstood.explain());
        Self { ran: Ran::Yes, ..Self::new(class, Why::NotUnderstood, "", &sentence) }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        if self.request_id.is_empty() { Ok(()) } else { write!(f, " (request {})", self.request_id) }
    }
}

impl std::error::Error for CallError {}
