//! The error of a backend call: its class, its reason, and a sentence for people.

use std::fmt;
use std::time::Duration;

use super::Call;
use mcr_model::redact::Redactor;

/// The longest excerpt of foreign text in an error: long enough for a reason, too short for a page.
pub(super) const EXCERPT_CHARS_MAX: usize = 300;

/// What a failed call means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallClass {
    /// Nothing happened, or repeating does no harm. Retry later.
    Transient,
    /// The backend refused, and would refuse again.
    Refused,
    /// The object of the call no longer exists.
    Gone,
    /// The call may have taken effect. Read before repeating it.
    Ambiguous,
}

impl fmt::Display for CallClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transient => "transient",
            Self::Refused => "refused",
            Self::Gone => "gone",
            Self::Ambiguous => "ambiguous",
        })
    }
}

/// Whether the function ran, as far as all attempts together show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ran {
    /// The function did not run, or everything it did was rolled back.
    No,
    /// The function may have run, completely or in part: an action commits each of its transactions
    /// separately.
    Maybe,
    /// The function ran.
    Yes,
}

/// Why a call returned no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallReason {
    /// Nothing answers at the backend's address.
    Unreachable,
    /// The backend's host name has no address.
    NameNotFound,
    /// The configured proxy refused the connection.
    Proxy,
    /// The backend's certificate was refused.
    CertificateRefused,
    /// The server does not answer in TLS.
    NoTls,
    /// The connection ended before the answer was complete.
    LostAnswer,
    /// A time limit was reached.
    TimedOut,
    /// The backend has no capacity now.
    Overloaded,
    /// Too many calls, or too many writes.
    Throttled,
    /// The backend, or a proxy in front of it, failed.
    ServerFault,
    /// The deployment is paused or disabled.
    Paused,
    /// The server that answered is not a Convex deployment.
    NotConvex,
    /// Convex does not accept the form of the request: a bug in this program.
    OurRequest,
    /// The backend requires another identity.
    Unauthorised,
    /// The backend has no such public function.
    NoSuchFunction,
    /// The function is of another kind.
    WrongKind,
    /// The arguments do not fit the deployed version.
    BadArguments,
    /// The service token, or the account it names, was refused.
    TokenRefused,
    /// The account or the agent lacks permission.
    Forbidden,
    /// The object of the call does not exist.
    NotFound,
    /// A value is invalid.
    Invalid,
    /// The function exceeded its time limit and was stopped.
    FunctionTimedOut,
    /// The database took too long.
    DatabaseTimedOut,
    /// The arguments are too large to send.
    TooLarge,
    /// The function's result is too large for the backend to send.
    ResultTooLarge,
    /// The function failed and gives a reason that belongs to no known family.
    FunctionFailed,
    /// The function failed, and the deployment hides the reason.
    Unknown,
    /// The answer is larger than the limit.
    AnswerTooLarge,
    /// The answer is invalid, or of an unexpected shape.
    NotUnderstood,
    /// This program is stopping.
    Stopped,
}

/// How soon a retry makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// With the usual backoff.
    Soon,
    /// After a pause that lets an overload pass.
    Slowly,
    /// Not within one call: a person has to act first.
    Minutes,
}

/// The pause after an overload or a hidden failure: what the official clients wait (3 s).
const OVERLOAD_PAUSE: Duration = Duration::from_secs(3);
/// The pause where a person has to act first. More frequent retries would only fill the log.
pub(super) const PERSON_PAUSE: Duration = Duration::from_mins(1);
/// The pause for a paused deployment, which stays paused until a person resumes or pays for it.
const PAUSED_PAUSE: Duration = Duration::from_mins(5);

impl CallReason {
    /// What happened, to follow "`path`: ". Tools show these words to agents as well.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Unreachable => "Mission Control is unreachable at its address",
            Self::NameNotFound => "Mission Control's host name cannot be resolved",
            Self::Proxy => "the configured proxy refused the connection",
            Self::CertificateRefused => "Mission Control's certificate is not trusted",
            Self::NoTls => "the server did not answer in TLS",
            Self::LostAnswer => "the connection ended before the answer was complete",
            Self::TimedOut => "no complete answer arrived in time",
            Self::Overloaded => "Mission Control is overloaded",
            Self::Throttled => "Mission Control refused the call because it receives too many",
            Self::ServerFault => "Mission Control, or a proxy in front of it, failed",
            Self::Paused => "the Convex deployment is paused or disabled",
            Self::NotConvex => "the server at Mission Control's address is not a Convex deployment",
            Self::OurRequest => "Mission Control does not accept the form of the request",
            Self::Unauthorised => "Mission Control requires another identity",
            Self::NoSuchFunction => "Mission Control has no such public function",
            Self::WrongKind => "Mission Control has a function of another kind under this name",
            Self::BadArguments => "the arguments do not fit the deployed version of Mission Control",
            Self::TokenRefused => "Mission Control does not accept the service token",
            Self::Forbidden => "Mission Control does not permit the call",
            Self::NotFound => "the object of the call does not exist",
            Self::Invalid => "Mission Control does not accept a value of the call",
            Self::FunctionTimedOut => "the function exceeded its time limit and was stopped",
            Self::DatabaseTimedOut => "Mission Control's database took too long",
            Self::TooLarge => "the arguments of the call are too large",
            Self::ResultTooLarge => "the function's result is too large for Mission Control to send",
            Self::FunctionFailed => "the function failed",
            Self::Unknown => "the function failed, and the deployment hides the reason",
            Self::AnswerTooLarge => "the answer exceeds the runtime's size limit",
            Self::NotUnderstood => "the answer is invalid or has an unexpected form",
            Self::Stopped => "this program is stopping",
        }
    }

    /// What a person can do about it, as a sentence. `None` where waiting is the only option.
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Unreachable => {
                Some("Check that Mission Control runs, that CONVEX_URL is right, and that the network is up.")
            }
            Self::NameNotFound => Some("Check the host name in CONVEX_URL and this machine's DNS."),
            Self::Proxy => Some("Check the proxy settings: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY."),
            Self::CertificateRefused => Some("Check CONVEX_URL, SSL_CERT_FILE and this machine's clock."),
            Self::NoTls => Some("Check CONVEX_URL: a server without TLS needs http:// in front."),
            Self::Paused => Some("Resume the deployment in the Convex dashboard."),
            Self::NotConvex => {
                Some("Check CONVEX_URL: it should be https://NAME.convex.cloud, without a path.")
            }
            Self::OurRequest => Some("Please report this as a bug."),
            Self::Unauthorised | Self::TokenRefused => {
                Some("Check ACCOUNT_ID and SERVICE_TOKEN, or issue a new token.")
            }
            Self::NoSuchFunction | Self::WrongKind | Self::BadArguments | Self::NotUnderstood => Some(
                "Mission Control may be older or newer than this runtime: deploy matching versions of both.",
            ),
            Self::Unknown => Some("Look up the request id in the deployment's log: it shows the reason."),
            Self::TimedOut => {
                Some("Check that CONVEX_URL names a Convex deployment and that it is not overloaded.")
            }
            Self::ServerFault => Some("If this persists, look up the request id in the deployment's log."),
            Self::AnswerTooLarge => Some("Please report this as a bug, with the name of the function."),
            Self::LostAnswer => {
                Some("If this persists, check the network and the proxies on the way to CONVEX_URL.")
            }
            Self::Overloaded => {
                Some("If this persists, check the deployment's load in the Convex dashboard.")
            }
            Self::Throttled => Some(
                "The runtime calls less often now. If this persists, raise DELIVERY_INTERVAL, or check the deployment's limits.",
            ),
            Self::FunctionTimedOut | Self::DatabaseTimedOut => {
                Some("If this persists, look for slow functions in the deployment's log.")
            }
            Self::FunctionFailed => Some("Look up the request id in the deployment's log."),
            Self::ResultTooLarge => {
                Some("Look up the function in the deployment's log, and delete data that it no longer needs.")
            }
            Self::Forbidden => Some("Check the agent's permissions in Mission Control."),
            // The brackets of the sentence have the reason, and the caller shortens or corrects the value.
            Self::NotFound | Self::Invalid | Self::TooLarge | Self::Stopped => None,
        }
    }

    /// The whole error text: what failed, why, and what to do.
    fn sentence(self, path: &str, detail: &str) -> String {
        let remedy = self.remedy().map_or(String::new(), |remedy| format!(" {remedy}"));
        format!("{path}: {} ({detail}).{remedy}", self.explain())
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
            // These pass by themselves, or concern this one call: no reason to slow down the other calls.
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

    /// How long to make no further calls. `None` where the caller's own schedule is enough.
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

/// A call that returned no value. All its texts are redacted.
///
/// The class of [`CallReason::Unknown`] is refused, but a caller must not treat its first occurrence as final. The
/// hidden reason may be anything, even a conflict that passes. Space such calls out and count them. In an
/// action, `ran` is then [`Ran::Maybe`].
#[derive(Clone, Debug)]
pub struct CallError {
    /// What the error means for the caller.
    pub class: CallClass,
    /// Why the call failed.
    pub why: CallReason,
    /// Whether the function ran. An unsafe call that is refused with [`Ran::Maybe`] may have done a part of
    /// its work.
    pub ran: Ran,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// How many attempts were made.
    pub attempts: u32,
    /// How long to make no further calls.
    pub not_before: Option<Duration>,
    /// Convex's stable code, such as `TooManyWrites`. For an application error, the code that the function
    /// threw.
    pub code: Option<Box<str>>,
    /// The function's own message, on one line.
    pub literal: Option<Box<str>>,
    /// The request id, as the deployment's log shows it. Empty where no request was made.
    pub request_id: Box<str>,
    /// What happened and what to do, for people.
    pub sentence: Box<str>,
}

impl CallError {
    /// An error that does not come from HTTP: from a test double, or from the typed calls above.
    pub fn new(class: CallClass, why: CallReason, request_id: &str, sentence: &str) -> Self {
        Self {
            class,
            why,
            ran: match class {
                CallClass::Ambiguous => Ran::Maybe,
                CallClass::Transient | CallClass::Refused | CallClass::Gone => Ran::No,
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

    /// The error for a request that could not be serialised to JSON.
    pub fn before_sending(path: &str, words: &str) -> Self {
        let why = CallReason::OurRequest;
        Self::new(CallClass::Refused, why, "", &why.sentence(path, words))
    }

    /// The error for a value that does not fit its type. The function ran nevertheless. If the call must not
    /// be repeated, only the backend knows its effect.
    pub fn not_understood(call: &Call<'_>, words: &str) -> Self {
        let class = if call.is_harmless() { CallClass::Refused } else { CallClass::Ambiguous };
        // The words may quote the value. The logger hides known secrets; text that looks like a secret is
        // removed here.
        let words = Redactor::default().excerpt(words, EXCERPT_CHARS_MAX);
        let why = CallReason::NotUnderstood;
        Self { ran: Ran::Yes, ..Self::new(class, why, "", &why.sentence(call.path, &words)) }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        if self.request_id.is_empty() { Ok(()) } else { write!(f, " (request {})", self.request_id) }
    }
}

impl std::error::Error for CallError {}
