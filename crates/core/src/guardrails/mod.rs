//! Limits that keep agents from running away: what they may spend.

pub mod budget;
