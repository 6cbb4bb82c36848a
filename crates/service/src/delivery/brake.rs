//! The loop brake of all workers: one owner of the counts, so two turns never take the same last place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcr_core::delivery::Record;
use mcr_core::delivery::policy::{Skip, Verdict};
use mcr_core::guardrails::team::Threads;
use mcr_core::guardrails::{CountStart, TeamTurn};
use mcr_core::tools::ToolRequest;
use mcr_core::work::Work;
use mcr_model::{DeliveryContext, TaskId, TeamLimits};

/// The counts of all threads. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Brake(Arc<Mutex<Threads>>);

impl Brake {
    /// A brake that continues these counts.
    pub fn new(threads: Threads) -> Self {
        Self(Arc::new(Mutex::new(threads)))
    }

    fn lock(&self) -> MutexGuard<'_, Threads> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees a context that was read just now. If a person's word has ended a stop of the thread, the record gets the new
    /// start of the count, and the start is returned.
    pub(super) fn see(&self, record: &mut Record, context: &DeliveryContext) -> Option<CountStart> {
        let resumed = self.lock().see(context, record.team.as_ref());
        if let Some(team) = &mut record.team {
            team.is_retried = false;
        }
        let start = resumed?;
        record.team = Some(TeamTurn::at(start));
        Some(start)
    }

    /// From where the turns of this thread are counted.
    pub(super) fn start_of(&self, task: &TaskId) -> CountStart {
        self.lock().start_of(task)
    }

    /// Decides whether the delivery starts a turn. The record gets the facts about the decision.
    pub(super) fn admit(
        &self,
        record: &mut Record,
        context: &DeliveryContext,
        limits: TeamLimits,
    ) -> Verdict {
        let Some(turn) = self.lock().admit(context, record.team.as_ref(), limits) else {
            return Verdict::Deliver;
        };
        let verdict = if turn.stop.is_some() { Verdict::Skip(Skip::TeamLimit) } else { Verdict::Deliver };
        record.team = Some(turn);
        verdict
    }

    /// Whether `admit` would stop the delivery. Counts nothing.
    pub(super) fn stops(&self, record: &Record, context: &DeliveryContext, limits: TeamLimits) -> bool {
        self.lock().stops(context, record.team.as_ref(), limits)
    }

    /// A call of the agent that works on this has succeeded. Documents with new content are progress.
    pub fn succeeded(&self, work: &Work, request: &ToolRequest) {
        if let (ToolRequest::DocumentUpsert(document), Some(task)) = (request, work.track.task()) {
            self.lock().wrote(task, &document.content);
        }
    }
}
