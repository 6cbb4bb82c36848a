//! What is written down about an account's machine.

use mcr_model::clock::Millis;
use serde::{Deserialize, Serialize};

/// The state of an account's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryState {
    /// Wanted. Nothing has been asked of the provider.
    Requested,
    /// The provider may have been asked for the machine.
    Creating,
    /// The machine exists and has not reported yet.
    Booting,
    /// The machine has reported.
    Online,
    /// A step failed. The entry says which, why, and whether a machine may exist.
    Failed,
    /// Its end was ordered.
    Destroying,
    /// It does not exist any more.
    Gone,
}

impl EntryState {
    /// The word for it, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Creating => "creating",
            Self::Booting => "booting",
            Self::Online => "online",
            Self::Failed => "failed",
            Self::Destroying => "destroying",
            Self::Gone => "gone",
        }
    }
}

/// A step that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The checks before anything is changed.
    Check,
    /// The tags and the firewall.
    Prepare,
    /// The creation.
    Create,
    /// The first report.
    Boot,
    /// The destruction.
    Destroy,
}

impl Step {
    /// The word for it, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Prepare => "prepare",
            Self::Create => "create",
            Self::Boot => "boot",
            Self::Destroy => "destroy",
        }
    }
}

/// The entry of an account's machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineEntry {
    /// The account.
    pub account: String,
    /// The number of the machine, from 1. A machine that is gone is followed by the next number.
    pub attempt: u32,
    /// The name of the machine.
    pub name: String,
    /// Where it runs.
    pub region: String,
    /// Its size.
    pub size: String,
    /// Its image.
    pub image: String,
    /// Its state.
    pub state: EntryState,
    /// Whether the provider may have been asked for it, so that it may exist.
    pub may_exist: bool,
    /// The provider's id.
    pub machine: Option<String>,
    /// Its public address.
    pub address: Option<String>,
    /// The step that failed.
    pub step: Option<Step>,
    /// Why it failed.
    pub reason: Option<String>,
    /// When the machine was wanted.
    pub begun_at_ms: i64,
    /// When the entry last changed.
    pub updated_at_ms: i64,
}

impl MachineEntry {
    /// Whether the entry says that nothing of the machine can exist.
    pub fn is_over(&self) -> bool {
        match self.state {
            EntryState::Gone => true,
            EntryState::Requested | EntryState::Failed => !self.may_exist,
            EntryState::Creating | EntryState::Booting | EntryState::Online | EntryState::Destroying => false,
        }
    }

    pub(super) fn move_to(&mut self, state: EntryState, now: Millis) {
        self.state = state;
        (self.step, self.reason) = (None, None);
        self.updated_at_ms = now.0;
    }

    pub(super) fn fail(&mut self, step: Step, reason: &str, now: Millis) {
        self.move_to(EntryState::Failed, now);
        (self.step, self.reason) = (Some(step), Some(reason.to_owned()));
    }
}
