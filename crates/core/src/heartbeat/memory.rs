//! What ended beats mean for the next ones of their agent. The ledger has their records, so this survives the process.

use super::gate::QuietAnswer;
use crate::delivery::reply::Silence;
use crate::delivery::{BeatRecord, End};
use mcr_model::TaskId;
use mcr_model::clock::Millis;

/// What an ended beat means for the next ones of its agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BeatMemory {
    /// When the last beat began that left a record.
    pub began: Option<Millis>,
    /// The last answer, if it was quiet.
    pub quiet: Option<QuietAnswer>,
    /// When the assignees of a task were last asked.
    pub asked: Vec<(TaskId, Millis)>,
}

impl BeatMemory {
    /// Adds a beat that has ended. Beats are added in the order of their ends.
    pub fn add(&mut self, beat: &BeatRecord, end: &End, was_sent: bool) {
        self.began = Some(beat.at);
        if was_sent {
            self.quiet =
                is_quiet(beat, end).then(|| QuietAnswer { digest: beat.digest.clone(), at: beat.at });
        }
        for task in &beat.asked {
            self.asked.retain(|(known, _)| known != task);
            self.asked.push((task.clone(), beat.at));
        }
    }
}

/// Whether the agent has said that it has nothing to do. An empty answer and a placeholder may be failures of the provider.
fn is_quiet(beat: &BeatRecord, end: &End) -> bool {
    let said_so = matches!(end, End::Silent(Silence::HeartbeatOk | Silence::NoReply));
    said_so && !beat.acted
}
