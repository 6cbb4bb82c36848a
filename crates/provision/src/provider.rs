//! What every provider can do.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use mcr_model::clock::Millis;
use mcr_model::secret::Secret;
use mcr_model::visible;

/// The most characters of a provider's own words in an error.
const EXCERPT_CHARS_MAX: usize = 200;

/// A provider of machines. Threads may share it.
///
/// Every operation may be repeated: a second `create` with the same name finds the machine of the first, and to stop or
/// destroy a machine that is stopped or gone is a success.
pub trait Provider: Send + Sync {
    /// Checks that this machine can be created, and asks its price. Nothing is changed.
    fn check(&self, wanted: &NewMachine) -> Result<Quote, ProviderError>;

    /// Makes what must exist before the first machine: tags, a firewall. Nothing of it costs money.
    fn prepare(&self, wanted: &NewMachine) -> Result<(), ProviderError>;

    /// Creates a machine, or finds the one that has this name already, and waits until it runs.
    fn create(&self, wanted: &NewMachine) -> Result<Machine, ProviderError>;

    /// The machine with this name.
    fn find(&self, name: &str) -> Result<Option<Machine>, ProviderError>;

    /// The machine of a creation whose answer was lost. Lists may lag, so `None` takes as long as a new machine may need to
    /// show.
    fn settle(&self, wanted: &NewMachine) -> Result<Option<Machine>, ProviderError>;

    /// All machines of ours that exist.
    fn list(&self) -> Result<Vec<Machine>, ProviderError>;

    /// Stops a machine and waits until it has stopped. A machine that is gone has stopped.
    fn stop(&self, machine: &Machine) -> Result<(), ProviderError>;

    /// Destroys a machine and waits until it is gone.
    fn destroy(&self, machine: &Machine) -> Result<(), ProviderError>;
}

/// A machine to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMachine {
    /// The name, unique among the machines that exist.
    pub name: String,
    /// The account that it serves, if it serves one. A provider with tags lets an account have one machine only.
    pub account: Option<String>,
    /// Where it runs.
    pub region: String,
    /// The image of its container or disk.
    pub image: String,
    /// How large it is.
    pub size: MachineSize,
    /// What it starts with.
    pub start: StartData,
    /// Whether a creation with this name may have been sent already, by this process or by an earlier one. Then the provider
    /// gives that machine time to show before it makes one.
    pub asked_before: bool,
}

/// The size of a machine, as its provider counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineSize {
    /// A size of the provider's price list.
    Listed(String),
    /// Processors and memory.
    Resources {
        /// How many processors it has.
        cpus: u32,
        /// Its memory, in MiB.
        memory_mb: u32,
    },
}

/// What a machine starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartData {
    /// The environment of its container.
    Environment(Vec<(String, String)>),
    /// User data for cloud-init. Every program on the machine can read it, so it holds no lasting secret. It may hold a
    /// one-time token, so it is not printed.
    UserData(Secret),
}

/// What a machine would cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quote {
    /// US dollars a month, such as `12.00`, if the provider says so.
    pub monthly_usd: Option<String>,
    /// How many more machines the account at the provider may have, if the provider says so.
    pub machines_left: Option<u64>,
}

/// A machine as the provider lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The provider's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub region: String,
    /// Its size in the price list, if the provider has one.
    pub size: Option<String>,
    /// What it does.
    pub state: MachineState,
    /// Its public address.
    pub address: Option<IpAddr>,
    /// The account in its tags, if there is one.
    pub account: Option<String>,
    /// The version of its configuration, if the provider has versions.
    pub version: Option<String>,
    /// When it was created, if the provider says so.
    pub created_at: Option<Millis>,
    /// The ids of its volumes.
    pub volumes: Vec<String>,
}

/// What a machine does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MachineState {
    /// It runs, or is about to, or is changing: it must be stopped before it is destroyed.
    #[default]
    Active,
    /// It does not run.
    Stopped,
    /// It is being destroyed.
    Ending,
    /// It does not exist any more, although the provider still shows it.
    Gone,
}

/// Whether the provider has acted, and whether it may be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Nothing was done. Asked again later, the provider may do it.
    Transient,
    /// Nothing was done. The request or the account must change first.
    Refused,
    /// The thing does not exist.
    Gone,
    /// It is unknown whether anything was done.
    Ambiguous,
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderError {
    /// Whether the provider has acted.
    pub class: ErrorClass,
    /// The HTTP status of its answer.
    pub status: Option<u16>,
    /// What happened and what would help, in a sentence without the final full stop.
    pub sentence: String,
}

impl ProviderError {
    pub(crate) fn new(class: ErrorClass, sentence: String) -> Self {
        Self { class, status: None, sentence }
    }

    /// The error of an answer with this status. `words` are the provider's own.
    pub(crate) fn of_answer(class: ErrorClass, mut sentence: String, status: u16, words: &str) -> Self {
        // Writing to a string cannot fail.
        let _ = write!(sentence, " (HTTP {status}");
        if !words.is_empty() {
            let excerpt: String = words.chars().take(EXCERPT_CHARS_MAX).collect();
            sentence.push_str(": ");
            visible::push_line(&mut sentence, excerpt.trim());
        }
        sentence.push(')');
        Self { class, status: Some(status), sentence }
    }

    /// Whether the thing does not exist.
    pub fn is_gone(&self) -> bool {
        self.class == ErrorClass::Gone
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}
