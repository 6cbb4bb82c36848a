//! A worker: takes jobs, one at a time, and owes exactly one answer for each.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::{Receiver, Sender};
use log::error;

use super::deliver::{Desk, Rules, deliver};
use super::dispatcher::Event;
use super::retry::{self, Next};
use super::{Job, Outcome, Trouble};
use crate::chance;
use crate::gateway::Gateway;
use crate::mission::Mission;
use crate::roster::Team;

/// What a worker works with: its own ways to the backend and to the gateway, so that no two threads meet at one.
pub struct Worker {
    /// The backend.
    pub mission: Mission,
    /// The gateway.
    pub gateway: Box<dyn Gateway>,
    /// Who there is.
    pub team: Team,
    /// How agents may act.
    pub rules: std::sync::Arc<Rules>,
}

impl Worker {
    /// Works until there are no more jobs to come.
    pub(super) fn run(self, jobs: &Receiver<Box<Job>>, inbox: &Sender<Event>, nudges: &Sender<()>) {
        let stir = || {
            // A full channel has the news already.
            let _ = nudges.try_send(());
        };
        let desk = Desk {
            mission: &self.mission,
            gateway: &*self.gateway,
            team: &self.team,
            stir: &stir,
            rules: &self.rules,
        };
        for job in jobs {
            let mut debt = Debt { job: Some(job), outcome: None, inbox };
            // A panic is one row's problem: the thread goes on, and the guard has answered.
            let _ = catch_unwind(AssertUnwindSafe(move || debt.pay(&desk)));
        }
    }
}

/// The answer that is owed for a job, on whichever way the work on it ends.
struct Debt<'a> {
    job: Option<Box<Job>>,
    outcome: Option<Outcome>,
    inbox: &'a Sender<Event>,
}

impl Debt<'_> {
    fn pay(&mut self, desk: &Desk<'_>) {
        if let Some(job) = &mut self.job {
            self.outcome = Some(deliver(job, desk));
        }
    }
}

impl Drop for Debt<'_> {
    fn drop(&mut self) {
        let Some(mut job) = self.job.take() else { return };
        let outcome = self.outcome.take().unwrap_or_else(|| {
            error!("{}: {}", job.row.id, Trouble::Broken);
            match retry::after(&mut job.record, &Trouble::Broken, chance::unit()) {
                Next::Again(pause) => Outcome::Again { trouble: Trouble::Broken, pause },
                Next::End(end) => Outcome::Closed(end),
            }
        });
        // The dispatcher outlives its workers; if it is gone all the same, nobody is left to be told.
        let _ = self.inbox.send(Event::Finished(job, outcome));
    }
}
