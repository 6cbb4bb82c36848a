//! Provisioning: a machine for an account, from the request to its end.
//!
//! A request is one row ([`Provision`](crate::rows::Provision)) whose state says what happens next:
//!
//! ```text
//! requested ─► creating ─► booting ─► reporting ─► online
//!     any of them ─► error(reason, step)        any of them ─► destroying ─► gone
//! ```
//!
//! `human/provisioning.rs` has the functions for people, `worker` makes the calls to the provider, `bootstrap` gives the new
//! machine its secrets, and `observe` hears of its first report. Each step is written before the call that it names. So a
//! crash at any instant leaves a state from which the next start continues. `machines` says what a provider must do.

mod bootstrap;
mod machines;
mod state;
#[cfg(test)]
mod tests;
mod worker;

use mcr_model::BaseUrl;

pub use bootstrap::BootstrapRefusal;
pub use machines::{FaultKind, FoundMachine, MachineFault, Machines, WantedMachine};
pub(crate) use state::{
    announce, issue_token, last, live, never_created, observe, record_token_change, start_again,
    start_destroying, view,
};
pub use worker::{OpenMachines, ProvisionWorker};

use crate::validate::Is;

/// The providers of the contract (backend-contract §3.0).
pub(crate) const PROVIDER: Is = Is::OneOf(&["digitalocean", "fly", "aws", "gcp"]);

pub(crate) const REQUESTED: &str = "requested";
pub(crate) const CREATING: &str = "creating";
pub(crate) const BOOTING: &str = "booting";
pub(crate) const REPORTING: &str = "reporting";
pub(crate) const ONLINE: &str = "online";
pub(crate) const ERROR: &str = "error";
pub(crate) const DESTROYING: &str = "destroying";
pub(crate) const GONE: &str = "gone";

/// All states.
pub(crate) const STATES: &[&str] =
    &[REQUESTED, CREATING, BOOTING, REPORTING, ONLINE, ERROR, DESTROYING, GONE];

/// How long a one-time token is valid.
pub(crate) const TOKEN_MS: f64 = 15.0 * 60_000.0;

/// What happens to a machine that does not report in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTimeout {
    /// It stays, and people look at it. It costs money until they destroy it.
    #[default]
    Keep,
    /// It is destroyed.
    Destroy,
}

/// How machines are provided.
#[derive(Clone, Debug)]
pub struct ProvisionSettings {
    /// The address under which machines reach this server.
    pub public_url: BaseUrl,
    /// The providers that this program can call.
    pub providers: Vec<String>,
    /// How long a machine may take from its creation to its first report, in milliseconds.
    pub timeout_ms: u32,
    /// What follows then.
    pub on_timeout: OnTimeout,
}
