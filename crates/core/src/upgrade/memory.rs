//! What is stored of a request, so that the next process continues it.

use serde::{Deserialize, Serialize};

use crate::unknown_fields::UnknownFields;
use mcr_model::UpgradeStatus;
use mcr_model::clock::Millis;
use mcr_model::words;

words! {
    /// What is requested.
    OperationKind {
        /// Start the same version again.
        Restart = "restart",
        /// Start another version.
        Upgrade = "upgrade",
    }
}

words! {
    /// The step of a request.
    Step {
        /// The request is stored.
        Accept = "accept",
        /// Running turns finish.
        Drain = "drain",
        /// `UPGRADE_COMMAND` runs.
        Run = "run",
        /// The process ends, and its supervisor starts the next one.
        Arm = "arm",
        /// The new version runs on trial.
        Confirm = "confirm",
        /// `UPGRADE_COMMAND` installs the version before.
        RollBack = "roll_back",
        /// The request has an outcome.
        Done = "done",
    }
}

words! {
    /// How a request ended.
    OutcomeKind {
        /// As requested.
        Succeeded = "success",
        /// The requested version does not run.
        Failed = "failed",
        /// The requested version did not work, and the version before runs again.
        RolledBack = "rolled_back",
        /// It was withdrawn before anything was changed.
        Cancelled = "cancelled",
    }
}

impl OutcomeKind {
    /// The word for Mission Control, which learns nothing of a request that it has withdrawn itself.
    pub fn status(self) -> Option<UpgradeStatus> {
        match self {
            Self::Succeeded => Some(UpgradeStatus::Success),
            Self::Failed => Some(UpgradeStatus::Failed),
            Self::RolledBack => Some(UpgradeStatus::RolledBack),
            Self::Cancelled => None,
        }
    }
}

words! {
    /// Whether Mission Control knows the outcome.
    Report {
        /// Not yet.
        Due = "due",
        /// A report was sent, and its answer is missing.
        Attempted = "attempted",
        /// No report is needed any more.
        Settled = "settled",
    }
}

/// Reads a word of a list. An unknown word makes the memory unreadable, so that nothing is done by mistake.
macro_rules! reads_words {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let word = String::deserialize(from)?;
                word.parse().map_err(|()| serde::de::Error::custom(format!("the word {word} is unknown")))
            }
        }
    )*};
}
reads_words!(OperationKind, Step, OutcomeKind, Report);

/// The versions that a machine runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// The runtime's version.
    pub runtime: String,
    /// The gateway's version. Empty if it is unknown, or if a request does not name one.
    pub openclaw: String,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeOutcome {
    /// In a word.
    pub kind: OutcomeKind,
    /// Why, if the request was not fulfilled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub at: Millis,
}

/// A request and how far it is carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestedOperation {
    /// Names the request. For an upgrade: when it was requested, by Mission Control's clock. For a restart: when this
    /// runtime read the request.
    pub id: Millis,
    /// What is requested.
    pub kind: OperationKind,
    /// How far it is carried out.
    pub step: Step,
    /// When this step began.
    pub since: Millis,
    /// When the request was accepted.
    pub accepted_at: Millis,
    /// The versions before.
    pub from: Installed,
    /// The requested versions.
    pub to: Installed,
    /// Whether the version before was ready.
    #[serde(default)]
    pub was_ready: bool,
    /// How often the requested version was started, without the starts that ended in an orderly stop.
    #[serde(default)]
    pub boots: u32,
    /// Why the requested version is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// How the request ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<UpgradeOutcome>,
    /// Whether Mission Control knows the outcome.
    pub report: Report,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

impl RequestedOperation {
    /// Whether it has no outcome yet.
    pub fn is_open(&self) -> bool {
        self.step != Step::Done
    }

    /// Whether the requested version differs in the gateway.
    pub(super) fn wants_openclaw(&self) -> bool {
        !self.to.openclaw.is_empty() && self.to.openclaw != self.from.openclaw
    }
}

/// A version that did not work here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The version of the runtime.
    pub version: String,
    /// Why it was rolled back.
    pub reason: String,
    /// When.
    pub at: Millis,
}

/// The most versions in quarantine.
const QUARANTINE_MAX: usize = 20;

/// What the next process must know. One JSON object in the state folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UpgradeMemory {
    /// The last request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<RequestedOperation>,
    /// The versions that were rolled back. A request for one of them fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantine: Vec<Quarantined>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

impl UpgradeMemory {
    /// The open request.
    pub fn open(&self) -> Option<&RequestedOperation> {
        self.operation.as_ref().filter(|operation| operation.is_open())
    }

    /// The version that status reports name. Mission Control records a success at the first report with the requested
    /// versions. So the version on trial is not named before its own result is reported.
    pub fn reported_version<'a>(&'a self, own: &'a str) -> &'a str {
        let is_on_trial = |operation: &&RequestedOperation| {
            let is_upgrade = operation.kind == OperationKind::Upgrade && operation.to.runtime == own;
            is_upgrade && operation.report != Report::Settled
        };
        self.operation.as_ref().filter(is_on_trial).map_or(own, |operation| &operation.from.runtime)
    }

    pub(super) fn quarantine(&mut self, version: &str, reason: &str, at: Millis) {
        self.release(version);
        let oldest = self.quarantine.len().saturating_sub(QUARANTINE_MAX - 1);
        self.quarantine.drain(..oldest);
        self.quarantine.push(Quarantined { version: version.to_owned(), reason: reason.to_owned(), at });
    }

    pub(super) fn release(&mut self, version: &str) {
        self.quarantine.retain(|bad| bad.version != version);
    }

    pub(super) fn quarantined(&self, version: &str) -> Option<&Quarantined> {
        self.quarantine.iter().find(|bad| bad.version == version)
    }
}
