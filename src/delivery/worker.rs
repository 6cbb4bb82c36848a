//! A worker: takes jobs, one at a time, and owes exactly one answer for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use super::cooling::Cooling;
use super::deliver::deliver;
use super::desk::{Answers, Desk, Made, Rules};
use super::dispatcher::Event;
use super::inflight::InFlight;
use super::journal::Journal;
use super::{Job, Outcome};
use crate::clock::SystemClock;
use crate::gateway::Gateway;
use crate::metrics::Metrics;
use crate::mission::Mission;
use crate::roster::Team;
use crate::sessions::Sessions;

/// What a worker works with: its own ways to the backend and to the gateway, so that no two threads meet at one.
pub struct Worker {
    /// The backend.
    pub mission: Mission,
    /// The gateway.
    pub gateway: Box<dyn Gateway>,
    /// Where every step is noted.
    pub journal: Arc<dyn Journal>,
    /// Who there is.
    pub team: Team,
    /// What was made lately, by whomever.
    pub made: Arc<Made>,
    /// The sessions in which agents may call over HTTP.
    pub sessions: Arc<Sessions>,
    /// How agents may act.
    pub rules: Arc<Rules>,
    /// Where attempts and calls of tools are counted.
    pub metrics: Arc<Metrics>,
}

/// A worker's ends of the channels.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) jobs: Receiver<Box<Job>>,
    pub(super) inbox: Sender<Event>,
    pub(super) nudges: Sender<()>,
    /// Which turns are under way.
    pub(super) inflight: InFlight,
    /// Agents whose key is refused.
    pub(super) cooling: Arc<Cooling>,
    /// The turns of all workers that were answered.
    pub(super) answers: Arc<Answers>,
    /// Whether the dispatcher wants to hear that a turn was taken.
    pub(super) on_trial: Arc<AtomicBool>,
}

impl Worker {
    /// Works until there are no more jobs to come. Whatever happens to a job, its outcome is told: a panic is caught
    /// on the road.
    pub(super) fn run(self, ends: &Ends) {
        let stir = || {
            // A full channel has the news already.
            let _ = ends.nudges.try_send(());
        };
        // The dispatcher outlives its workers; if it is gone all the same, nobody is left to be told.
        let tell = |event: Event| drop(ends.inbox.send(event));
        let taken = |number: u64| {
            if ends.on_trial.load(Ordering::Relaxed) {
                tell(Event::Taken(number));
            }
        };
        let desk = Desk {
            mission: &self.mission,
            gateway: &*self.gateway,
            team: &self.team,
            stir: &stir,
            taken: &taken,
            answers: &ends.answers,
            cooling: &ends.cooling,
            made: &self.made,
            inflight: &ends.inflight,
            sessions: &self.sessions,
            journal: &*self.journal,
            clock: &SystemClock,
            rules: &self.rules,
            metrics: &self.metrics,
        };
        for mut job in &ends.jobs {
            let began = Instant::now();
            let outcome = deliver(&mut job, &desk);
            let name = match &outcome {
                Outcome::Closed(end) => end.name(),
                Outcome::Again { .. } => "again",
            };
            self.metrics.attempts.record(name, "done", began.elapsed());
            tell(Event::Finished(job, outcome));
        }
    }
}
