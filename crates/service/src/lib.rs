//! The runtime at work: threads that deliver, the tools they run for agents, the API for agents, and what is measured.
//!
//! A newcomer reads [`delivery`] first, then [`delivery::deliver`].

pub mod clock;
pub mod delivery;
pub mod heartbeat;
pub mod http;
pub mod metrics;
pub mod roster;
pub mod tools;
