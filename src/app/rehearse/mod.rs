//! `rehearse`: puts a gateway that is not in use yet through the conformance cases, and says whether it may be used.
//!
//! Each case has a board in memory (`board`), a runtime as a child process, and tasks and sessions of its own (`talk`).
//! The candidate's agents use the scripted model of this command, or a real one. `order` plays the cases of
//! [`mcr_gateway_sim::rehearsal`], which also judges them. The account's Mission Control is read for the names of the agents
//! only, and nothing is written there.

mod board;
mod candidate;
mod command;
mod order;
mod runtime_log;
mod talk;

use std::path::PathBuf;
use std::time::Duration;

pub use self::candidate::{Candidate, CandidateProcess};
pub use self::command::{MODEL_PORT, Rehearse, rehearse};
pub use self::order::rehearse_with;
use mcr_clients::wire::{Roots, Stop};
use mcr_gateway_sim::model_book::ModelBook;

/// What the cases need besides the candidate.
pub struct Staging {
    /// The calls of the candidate's model.
    pub book: ModelBook,
    /// Whether the candidate's model is a real one.
    pub real_model: bool,
    /// The cases to play, by id. Without any, all of them.
    pub cases: Vec<String>,
    /// The time limit of a case.
    pub patience: Duration,
    /// The time limit of a case whose provider fails. A gateway retries for minutes.
    pub provider_patience: Duration,
    /// The program of the runtime, if it is not the running one.
    pub program: Option<PathBuf>,
    /// The trusted certificates.
    pub roots: Roots,
    /// The file of further trusted certificates, for the runtime.
    pub ssl_cert_file: Option<PathBuf>,
    /// Ends the rehearsal.
    pub stop: Stop,
}
