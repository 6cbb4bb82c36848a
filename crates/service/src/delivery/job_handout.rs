//! Gives each job to a worker without one.
//!
//! The last worker that became idle gets the next job. So little traffic uses few workers: the others never touch their
//! stacks, their connections and their part of the allocator.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};

use mcr_core::delivery::Job;

/// The dispatcher's end: the channels of all workers.
pub(super) struct JobHandout {
    jobs: Vec<Sender<Box<Job>>>,
    idle: IdleWorkers,
}

/// A worker's end.
pub(super) struct WorkerSeat {
    /// The jobs of this worker. The channel closes when the dispatcher ends.
    pub(super) jobs: Receiver<Box<Job>>,
    index: usize,
    idle: IdleWorkers,
}

/// The indexes of the idle workers. Clones share them.
#[derive(Clone, Default)]
struct IdleWorkers(Arc<Mutex<Vec<usize>>>);

impl JobHandout {
    /// The ends for this many workers, which are all idle.
    pub(super) fn among(workers: usize) -> (Self, Vec<WorkerSeat>) {
        let idle = IdleWorkers::default();
        idle.indexes().extend((0..workers).rev());
        let seat = |index| {
            // A worker counts as idle shortly before it waits again, so one job may wait for it.
            let (sender, jobs) = bounded(1);
            (sender, WorkerSeat { jobs, index, idle: idle.clone() })
        };
        let (jobs, seats) = (0..workers).map(seat).unzip();
        (Self { jobs, idle }, seats)
    }

    /// Gives the job to an idle worker. Returns false if there is none.
    pub(super) fn give(&self, job: Box<Job>) -> bool {
        let worker = self.idle.indexes().pop().and_then(|index| self.jobs.get(index));
        worker.is_some_and(|jobs| jobs.try_send(job).is_ok())
    }
}

impl WorkerSeat {
    /// The worker has finished its job. Call it before the dispatcher gets the result.
    pub(super) fn is_idle(&self) {
        self.idle.indexes().push(self.index);
    }
}

impl IdleWorkers {
    fn indexes(&self) -> MutexGuard<'_, Vec<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcr_core::delivery::Record;
    use mcr_core::work::Work;
    use mcr_model::Notification;
    use serde_json::json;

    fn job() -> Box<Job> {
        let row = json!({"_id": "n", "type": "mention", "recipientType": "agent", "recipientId": "a",
            "title": "", "body": "", "createdAt": 1});
        let work: Work = serde_json::from_value::<Notification>(row).unwrap().into();
        Box::new(Job::new(0, Arc::new(work), Record::default()))
    }

    #[test]
    fn the_last_worker_that_became_idle_gets_the_next_job() {
        let (handout, seats) = JobHandout::among(3);
        let taken_by = || seats.iter().position(|seat| seat.jobs.try_recv().is_ok());
        assert!(handout.give(job()) && handout.give(job()));
        assert_eq!((taken_by(), taken_by()), (Some(0), Some(1)));
        seats[0].is_idle();
        assert_eq!((handout.give(job()), taken_by()), (true, Some(0)));
        for seat in [1, 0] {
            seats[seat].is_idle();
        }
        let order = [(); 4].map(|()| (handout.give(job()), taken_by()));
        assert_eq!(order, [(true, Some(0)), (true, Some(1)), (true, Some(2)), (false, None)]);
    }
}
