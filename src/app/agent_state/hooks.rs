//! What a worker does with the state of its agent: restore it before the first turn, store it afterwards.

use std::sync::{Mutex, PoisonError};

use log::{error, info};

use super::AgentState;
use mcr_clients::pool::SnapshotReason;
use mcr_core::pool::lane::LaneEnd;
use mcr_core::pool::resting::OwnedConversation;
use mcr_core::snapshot::SnapshotSchedule;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::{ConversationId, WorkerId};
use mcr_service::pool::WorkerHooks;
use mcr_service::skills::{SkillsOutcome, SkillsSync};
use mcr_service::snapshots::{RestoreMoment, Restored, SnapshotKey, Snapshots};

/// The snapshots and skills of a worker.
pub(in crate::app) struct StateHooks {
    /// None if they are off.
    snapshots: Option<Snapshots>,
    skills: SkillsSync,
    /// The workspace and the agent of the worker.
    usual: SnapshotKey,
    /// The conversation for which the worker was made.
    conversation: Option<ConversationId>,
    schedule: Mutex<SnapshotSchedule>,
}

impl StateHooks {
    pub(in crate::app) fn new(state: &AgentState<'_>) -> Self {
        let own = state.own;
        let conversation = own.conversation.clone();
        Self {
            snapshots: own.snapshots.is_on.then(|| state.snapshots()),
            skills: state.skills(),
            usual: state.key(&conversation.clone().unwrap_or_else(|| ConversationId::new("")), None),
            conversation,
            schedule: Mutex::new(SnapshotSchedule::new(own.snapshots.interval, SystemClock.now())),
        }
    }

    fn key(&self, conversation: &ConversationId, agent: Option<&str>) -> SnapshotKey {
        let mut key = self.usual.clone();
        key.conversation_id = conversation.clone();
        if let Some(agent) = agent {
            agent.clone_into(&mut key.agent_key);
        }
        key
    }

    fn change_schedule<T>(&self, change: impl FnOnce(&mut SnapshotSchedule) -> T) -> T {
        change(&mut self.schedule.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Brings the skills up to date. The error says why the gateway must not start.
    fn sync_skills(&self) -> Result<(), String> {
        let outcome = self.skills.sync();
        match outcome {
            SkillsOutcome::Failed { error, is_fatal: true } => Err(error),
            SkillsOutcome::Failed { .. } | SkillsOutcome::Ready { .. } | SkillsOutcome::Skipped => Ok(()),
        }
    }

    fn store(&self, owned: &OwnedConversation, reason: SnapshotReason) {
        let Some(snapshots) = &self.snapshots else { return };
        self.change_schedule(SnapshotSchedule::on_begin);
        let key = self.key(&owned.conversation, Some(&owned.agent));
        let made = snapshots.create(&owned.worker, &key, reason);
        let now = SystemClock.now();
        match made {
            Ok(_) => self.change_schedule(|schedule| schedule.on_done(now)),
            Err(why) => {
                error!(reason:% = why; "The state of the agent is not stored");
                self.change_schedule(|schedule| schedule.on_failed(now));
            }
        }
    }
}

impl WorkerHooks for StateHooks {
    fn before_start(&self) -> Result<(), String> {
        if let (Some(snapshots), Some(conversation)) = (&self.snapshots, &self.conversation) {
            let restored = snapshots.restore(&self.key(conversation, None), RestoreMoment::Start);
            restored.map_err(|error| error.to_string())?;
        }
        // After the restore, which may bring back skills of an earlier manifest.
        self.sync_skills()
    }

    fn conversation_begins(
        &self,
        _worker: &WorkerId,
        conversation: &ConversationId,
        agent: Option<&str>,
    ) -> Result<(), String> {
        let Some(snapshots) = &self.snapshots else { return Ok(()) };
        let key = self.key(conversation, agent);
        let restored = snapshots.restore(&key, RestoreMoment::Claim).map_err(|error| error.to_string())?;
        match restored {
            // Neither has the skills that another conversation's folders had.
            Restored::From { .. } | Restored::Fresh => {
                info!("The folders of the conversation are new, so the skills are checked again");
                self.sync_skills()
            }
            Restored::AlreadyThere => Ok(()),
        }
    }

    fn between_jobs(&self, owned: &OwnedConversation) {
        let now = SystemClock.now();
        let is_due = self.change_schedule(|schedule| {
            schedule.on_change();
            schedule.due().is_some_and(|due| due <= now)
        });
        if is_due {
            self.store(owned, SnapshotReason::Manual);
        }
    }

    fn id_ends(&self, owned: &OwnedConversation, why: LaneEnd) {
        let reason = match why {
            LaneEnd::Control | LaneEnd::Signal => SnapshotReason::Signal,
            LaneEnd::Idle | LaneEnd::Free => SnapshotReason::Manual,
        };
        self.store(owned, reason);
    }
}
