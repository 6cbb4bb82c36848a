//! Machines at a provider: created, found, listed, stopped and destroyed.
//!
//! [`Provider`] is what the callers see. [`fly`] is the provider Fly Machines, with its clean-up of a whole app.
//! [`digitalocean`] is the provider DigitalOcean. [`cloud_init`] writes what a new virtual machine does at its first start, and
//! [`request`] carries a machine through its steps.
//!
//! A machine costs money. So an error says whether the provider has acted ([`ErrorClass`]), a machine that is created a
//! second time under the same name is found instead, and a machine that is already gone is destroyed.

pub mod cloud_init;
pub mod digitalocean;
pub mod fly;
mod naming;
mod pace;
mod provider;
pub mod request;
mod transport;

pub use naming::Naming;
pub use pace::{Pace, SystemPace};
pub use provider::{
    ErrorClass, Machine, MachineSize, MachineState, NewMachine, Provider, ProviderError, Quote, StartData,
};
pub use transport::{ApiAnswer, HttpTransport, Transport, Unanswered, Verb};
