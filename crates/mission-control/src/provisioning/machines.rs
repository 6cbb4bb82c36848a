//! What the worker asks of a provider. The program that runs this backend connects it with a client of a real one.

use std::fmt;
use std::net::IpAddr;

use mcr_model::secret::Secret;

/// The machines at a provider.
pub trait Machines {
    /// Creates the machine, or finds the one that has its name already. A lost answer must not lead to a second machine.
    fn create(&self, wanted: &WantedMachine) -> Result<FoundMachine, MachineFault>;

    /// The machine with this name. Lists may lag, so a new machine may be missing for a while.
    fn find(&self, wanted: &WantedMachine) -> Result<Option<FoundMachine>, MachineFault>;

    /// Destroys the machine with this name and waits until it is gone. If it is not there, a creation that was sent gets the
    /// time that it may need to show.
    fn destroy(&self, wanted: &WantedMachine) -> Result<(), MachineFault>;
}

/// A machine as the account's row wants it.
#[derive(Clone, Debug)]
pub struct WantedMachine {
    /// Its account.
    pub account: String,
    /// Which machine of the account's request it is. Account and attempt determine its name.
    pub attempt: u32,
    /// Where it runs.
    pub region: String,
    /// Its size in the provider's words.
    pub size: String,
    /// The image of its disk or its container.
    pub image: String,
    /// The slugs of the account's agents, which its gateway gets. None once it was created.
    pub agents: Vec<String>,
    /// Where it gets its secrets, and the one-time token for that. `None` once it was created.
    pub bootstrap: Option<(String, Secret)>,
    /// Whether a creation may have been sent already.
    pub asked_before: bool,
}

/// A machine that exists.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundMachine {
    /// The provider's id.
    pub id: String,
    /// Its public address, once it has one.
    pub address: Option<IpAddr>,
    /// Its price in US dollars a month, if the provider says so.
    pub monthly_usd: Option<f64>,
    /// Whether it is being destroyed, or has been.
    pub is_ending: bool,
}

/// What a failed call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The provider may do it when it is asked again. Whether it has acted may be unknown.
    Passing,
    /// The provider will not do it: the request or the account at the provider must change first.
    Refused,
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineFault {
    /// What it means.
    pub kind: FaultKind,
    /// What happened and what would help.
    pub sentence: String,
}

impl fmt::Display for MachineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}
