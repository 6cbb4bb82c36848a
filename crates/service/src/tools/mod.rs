//! Execution of tool calls.

pub mod run;
