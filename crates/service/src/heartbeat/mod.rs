//! The live part of heartbeats: the agents that wait to be woken, kept across a crash.

pub mod keeper;
