//! Heartbeats as work.

use serde::{Deserialize, Serialize};

use super::{Kind, Rank, Track, Work, WorkId};
use crate::unknown_fields::UnknownFields;
use crate::unreadable::Unreadable;
use mcr_model::AgentId;
use mcr_model::clock::Millis;

/// The name of the kind in the ledger.
pub(super) const NAME: &str = "heartbeat";

/// One beat of one agent. Everything else is read when a worker starts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "heartbeat", rename_all = "camelCase")]
pub struct Beat {
    /// The id of the work, unique for each beat.
    pub id: WorkId,
    /// The agent.
    pub agent: AgentId,
    /// When the beat became due.
    pub created_at: Millis,
    /// Whether a wake caused it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub woken: bool,
}

/// A beat is in the track of the agent's notifications without a task: both are turns in the agent's own session, and a
/// session has one turn at a time (W-19).
impl From<Beat> for Work {
    fn from(beat: Beat) -> Self {
        Self {
            id: beat.id.clone(),
            track: Track::new(beat.agent.as_str(), None),
            rank: Rank::Update,
            kind: Kind::Heartbeat(Box::new(beat)),
            extra: UnknownFields::default(),
        }
    }
}

pub(super) fn from_json(text: &str) -> Result<Work, Unreadable> {
    let found: Beat = serde_json::from_str(text).map_err(|why| Unreadable::of("its heartbeat", &why))?;
    Ok(found.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_comes_back_from_its_json_as_it_was() {
        for woken in [false, true] {
            let (id, agent) = (WorkId::new("beat-a1-1"), AgentId::new("a1"));
            let before = Beat { id, agent, created_at: Millis(7), woken };
            let work = Work::from(before.clone());
            assert_eq!(work.track, Track::new("a1", None), "the track of the agent's own session");
            let json = work.to_json().expect("JSON");
            assert!(json.contains("\"kind\":\"heartbeat\""), "{json}");
            let back = Work::from_json(&json).expect("understood");
            assert!(matches!(&back.kind, Kind::Heartbeat(found) if **found == before), "{back:?}");
        }
        assert!(Work::from_json("{\"kind\":\"heartbeat\"}").is_err());
    }
}
