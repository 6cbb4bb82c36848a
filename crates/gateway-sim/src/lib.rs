//! A stand-in for the OpenClaw gateway, for the demo and for tests. It has no language model.
//!
//! [`gateway`] serves the same HTTP interface as the real gateway. A [`gateway::ScriptedModel`] decides what its agents say;
//! the demo uses [`team`].

pub mod gateway;
pub mod team;
