//! Claimed jobs of a worker pool as work.

use serde::{Deserialize, Serialize};

use super::{Kind, Rank, Track, Work, WorkId};
use crate::unknown_fields::UnknownFields;
use crate::unreadable::Unreadable;
use mcr_model::clock::Millis;
use mcr_model::{ClaimedJob, JobId, WorkerId};

/// The name of the kind in the ledger.
pub(super) const NAME: &str = "job";

/// A message of the queue that a worker has claimed. The lease in it is that of the claim that offered the work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "job", rename_all = "camelCase")]
pub struct PoolJob {
    /// The worker id that has claimed the message.
    pub worker: WorkerId,
    /// When the claim was sent, by this machine's clock.
    pub claimed_at: Millis,
    /// The message with its lease.
    pub claimed: ClaimedJob,
}

impl PoolJob {
    /// The id of the work: the same for every claim of the message, so that a second one continues the first.
    pub fn work_id(message: &JobId) -> WorkId {
        WorkId::new(format!("job-{message}"))
    }
}

/// A job is in the track of its conversation: the conversation has one session, and a session has one turn at a time.
impl From<PoolJob> for Work {
    fn from(job: PoolJob) -> Self {
        Self {
            id: PoolJob::work_id(&job.claimed.message_id),
            track: Track::conversation(&job.claimed.agent_key, job.claimed.conversation_id.clone()),
            rank: Rank::Question,
            kind: Kind::Job(Box::new(job)),
            extra: UnknownFields::default(),
        }
    }
}

pub(super) fn from_json(text: &str) -> Result<Work, Unreadable> {
    let found: PoolJob = serde_json::from_str(text).map_err(|why| Unreadable::of("its job", &why))?;
    Ok(found.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::work::Lane;

    fn job() -> PoolJob {
        let claimed = json!({"messageId": "m1", "conversationId": "c1", "agentKey": "a1", "leaseId": "l1",
            "leaseExpiresAt": 9, "payload": {"provider": "telegram", "providerUserId": "7", "messageText": "hi"}});
        let claimed = serde_json::from_value(claimed).unwrap();
        PoolJob { worker: WorkerId::new("w1"), claimed_at: Millis(7), claimed }
    }

    #[test]
    fn a_job_comes_back_from_its_json_as_it_was() {
        let work = Work::from(job());
        assert_eq!(work.id.as_str(), "job-m1");
        assert!(matches!(&work.track.lane, Lane::Conversation(id) if id.as_str() == "c1"));
        let json = work.to_json().expect("JSON");
        assert!(json.contains("\"kind\":\"job\""), "{json}");
        let back = Work::from_json(&json).expect("understood");
        assert!(matches!(&back.kind, Kind::Job(found) if **found == job()), "{back:?}");
        assert!(Work::from_json("{\"kind\":\"job\"}").is_err());
    }
}
