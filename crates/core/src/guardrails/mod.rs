//! Guardrails: limits that keep agents from running away.
//!
//! The loop brake ([`team`]) counts the turns that agents cause in a thread since a person last wrote there. At its
//! limit the rows that agents cause are skipped, and the dispatcher keeps them until a person writes again or retries
//! one. [`origin`] decides whether a person or an agent caused a row, and [`agent_names`] does so for a row that is only
//! listed. [`budget`] limits what agents spend in a day.

pub mod agent_names;
pub mod budget;
pub mod origin;
pub mod team;
mod team_thread;
mod team_turn;

pub use team_turn::{CountStart, Fact, TeamLimit, TeamStop, TeamTurn};
