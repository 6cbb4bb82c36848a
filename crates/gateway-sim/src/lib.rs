//! The other side of the runtime, for people who want to see it work and for tests: an OpenClaw gateway without a
//! model behind it.
//!
//! [`gateway`] is spoken to over HTTP as a real one; what its agents say is a [`gateway::ScriptedModel`]'s business. The mind of
//! the demo is its [`team`].

pub mod gateway;
pub mod team;
