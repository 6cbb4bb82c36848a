//! What every provider can do.

use std::fmt;

use mcr_model::clock::Millis;

/// A provider of machines.
///
/// Every operation may be repeated: a second `create` with the same name finds the machine of the first, and to stop or
/// destroy a machine that is stopped or gone is a success.
pub trait Provider {
    /// Creates a machine, or finds the one that has this name already.
    fn create(&self, wanted: &NewMachine) -> Result<Machine, ProviderError>;

    /// The machine with this name.
    fn find(&self, name: &str) -> Result<Option<Machine>, ProviderError>;

    /// All machines that exist.
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
    /// Where it runs.
    pub region: String,
    /// The image of its container.
    pub image: String,
    /// How many processors it has.
    pub cpus: u32,
    /// Its memory, in MiB.
    pub memory_mb: u32,
    /// Its environment.
    pub environment: Vec<(String, String)>,
}

/// A machine as the provider lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The provider's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub region: String,
    /// What it does.
    pub state: MachineState,
    /// The version of its configuration, if the provider has versions.
    pub version: Option<String>,
    /// When it was created, if the provider says so.
    pub created_at: Option<Millis>,
    /// The ids of its volumes.
    pub volumes: Vec<String>,
}

/// What a machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineState {
    /// It runs, or is about to, or is changing: it must be stopped before it is destroyed.
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
