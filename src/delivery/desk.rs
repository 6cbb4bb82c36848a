//! What a delivery is made with.

use std::sync::atomic::AtomicU64;

use log::debug;

use super::Job;
use super::journal::{Journal, Note, Step, Wait};
use crate::clock::{Clock as _, SystemClock};
use crate::gateway::Gateway;
use crate::mission::Mission;
use crate::roster::Team;

/// What a worker delivers with.
#[derive(Clone, Copy)]
pub struct Desk<'a> {
    /// The backend.
    pub mission: &'a Mission,
    /// The gateway.
    pub gateway: &'a dyn Gateway,
    /// Who there is.
    pub team: &'a Team,
    /// To be called when we have written something that makes notifications.
    pub stir: &'a dyn Fn(),
    /// To be called when the gateway has taken the turn of this job.
    pub taken: &'a dyn Fn(u64),
    /// How many turns of all workers were answered.
    pub answered: &'a AtomicU64,
    /// Where every step is noted.
    pub journal: &'a dyn Journal,
    /// How agents may act.
    pub rules: &'a Rules,
}

impl Desk<'_> {
    /// Notes how far the delivery is. A ledger that cannot be written says so of itself; the work goes on without it.
    pub(super) fn note(&self, job: &Job, step: Step, words: &str, wait: Wait) {
        let note = Note::of(&job.row, SystemClock.now()).record(&job.record).step(step, words);
        if let Err(error) = self.journal.note(&note, wait) {
            debug!("{}: not noted: {error}", job.row.id);
        }
    }
}

/// How agents may act.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether they are offered tools; otherwise they are told of the HTTP endpoints.
    pub client_tools: bool,
    /// Where these are.
    pub base_url: String,
    /// How many times results of tools go back in one delivery.
    pub rounds_max: u32,
    /// How many calls one delivery may make.
    pub calls_max: u32,
}
