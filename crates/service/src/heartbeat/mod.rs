//! The live part of heartbeats: who is to be woken, kept across a crash.

pub mod keeper;
