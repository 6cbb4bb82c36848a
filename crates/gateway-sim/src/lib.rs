//! A stand-in for the OpenClaw gateway, for the demo and for tests. It has no language model.
//!
//! [`gateway`] serves the same HTTP interface as the real gateway. A [`gateway::ScriptedModel`] decides what its agents say;
//! the demo uses [`team`], and kill tests use [`load`].

pub mod derived;
pub mod gateway;
pub mod load;
pub mod team;
