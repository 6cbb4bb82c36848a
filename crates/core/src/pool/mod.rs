//! The decisions of a worker of a pool: when to claim, which job is its own, how long its lease holds, what the agent is
//! asked. Nothing here calls the queue.
//!
//! [`lane`] is the loop of one worker id, which serves one conversation at a time. [`lease`] keeps the right to work on a
//! claimed job and says when it is gone. [`prompt`] writes the question for the agent. [`outbox`] does everything after
//! the answer exactly once. [`resting`] keeps the ids whose conversations have no due message. [`job`] decides whether a job can be worked on, and where its answer goes.

pub mod job;
pub mod lane;
pub mod lease;
pub mod prompt;
pub mod resting;
pub mod scheduled;

pub use crate::outbox;
