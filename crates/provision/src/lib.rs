//! Machines at a provider: created, found, listed, stopped and destroyed.
//!
//! [`Provider`] is what the callers see. [`fly`] is the provider Fly Machines, with its clean-up of a whole app.
//!
//! A machine costs money. So an error says whether the provider has acted ([`ErrorClass`]), a machine that is created a
//! second time under the same name is found instead, and a machine that is already gone is destroyed.

pub mod fly;
mod provider;

pub use provider::{ErrorClass, Machine, MachineState, NewMachine, Provider, ProviderError};
