//! The worker ids of a droplet that rest: they own a conversation that has no due message.
//!
//! The queue gives a conversation to no other id for seven minutes after the last activity of its own. So a lane that
//! serves another conversation meanwhile must look with the resting id. The looks become rarer with the time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lane::OWNED_FOR;
use mcr_model::clock::Millis;
use mcr_model::{ConversationId, WorkerId};

/// The longest pause between two looks.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// A worker id with its conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnedConversation {
    /// The id.
    pub worker: WorkerId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The agent of the conversation.
    pub agent: String,
    /// When the id last claimed or ended a job.
    pub active: Millis,
}

/// The resting ids of all lanes.
#[derive(Clone, Debug, Default)]
pub struct RestingIds {
    ids: Vec<(OwnedConversation, Millis)>,
    poll: Duration,
}

impl RestingIds {
    /// No ids. `poll` is the shortest pause between two looks with one id.
    pub fn new(poll: Duration) -> Self {
        Self { ids: Vec::new(), poll }
    }

    /// This id rests from now on.
    pub fn rest(&mut self, owned: OwnedConversation, now: Millis) {
        let pause = (now.since(owned.active) / 10).clamp(self.poll, LOOK_MAX.max(self.poll));
        self.ids.retain(|(known, _)| known.worker != owned.worker);
        self.ids.push((owned, now + pause));
    }

    /// Takes the id whose look is due longest.
    pub fn take_due(&mut self, now: Millis) -> Option<OwnedConversation> {
        let due = self.ids.iter().enumerate().filter(|(_, (_, due))| *due <= now);
        let at = due.min_by_key(|(_, (_, due))| *due).map(|(at, _)| at)?;
        Some(self.ids.swap_remove(at).0)
    }

    /// Takes the ids that own their conversations no longer, because another id may claim them.
    pub fn take_expired(&mut self, now: Millis) -> Vec<OwnedConversation> {
        let is_over = |owned: &OwnedConversation| now.since(owned.active) >= OWNED_FOR;
        let (over, kept) = std::mem::take(&mut self.ids).into_iter().partition(|(owned, _)| is_over(owned));
        self.ids = kept;
        over.into_iter().map(|(owned, _): (OwnedConversation, Millis)| owned).collect()
    }

    /// All ids.
    pub fn all(&self) -> impl Iterator<Item = &OwnedConversation> {
        self.ids.iter().map(|(owned, _)| owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(worker: &str, active: i64) -> OwnedConversation {
        OwnedConversation {
            worker: WorkerId::new(worker),
            conversation: ConversationId::new(format!("c-{worker}")),
            agent: "a".to_owned(),
            active: Millis(active * 1_000),
        }
    }

    fn at(seconds: i64) -> Millis {
        Millis(seconds * 1_000)
    }

    #[test]
    fn looks_become_rarer_and_the_longest_due_id_comes_first() {
        let mut resting = RestingIds::new(Duration::from_secs(2));
        resting.rest(owned("w1", 0), at(0));
        resting.rest(owned("w2", 0), at(1));
        assert_eq!(resting.take_due(at(1)), None);
        assert_eq!(resting.take_due(at(3)).map(|id| id.worker), Some(WorkerId::new("w1")));
        resting.rest(owned("w1", 0), at(60));
        assert_eq!(resting.take_due(at(63)).map(|id| id.worker), Some(WorkerId::new("w2")));
        assert_eq!(resting.take_due(at(65)), None, "after a minute each look waits six seconds");
        assert_eq!(resting.take_due(at(66)).map(|id| id.worker), Some(WorkerId::new("w1")));
    }

    #[test]
    fn an_id_is_given_up_when_others_may_claim_its_conversation() {
        let mut resting = RestingIds::new(Duration::from_secs(2));
        resting.rest(owned("w1", 0), at(0));
        resting.rest(owned("w2", 100), at(100));
        assert!(resting.take_expired(at(419)).is_empty());
        let over: Vec<_> = resting.take_expired(at(420)).into_iter().map(|id| id.worker).collect();
        assert_eq!(over, [WorkerId::new("w1")]);
        assert_eq!(resting.all().count(), 1);
    }
}
