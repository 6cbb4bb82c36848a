//! A kind of work for tests: messages that an agent posts to a task, without a turn.

use serde::{Deserialize, Serialize};

use super::{Kind, Rank, Track, Work, WorkId};
use crate::unknown_fields::UnknownFields;
use crate::unreadable::Unreadable;
use mcr_model::TaskId;
use mcr_model::clock::Millis;

/// The name of the kind in the ledger.
pub(super) const NAME: &str = "test";

/// Messages to post, in order, each exactly once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "test", rename_all = "camelCase")]
pub struct TestWork {
    /// The id of the work.
    pub id: WorkId,
    /// The agent that posts.
    pub agent: String,
    /// The task in whose thread.
    pub task: TaskId,
    /// The messages.
    pub messages: Vec<String>,
    /// When the source made it, by the backend's clock.
    pub created_at: Millis,
}

impl From<TestWork> for Work {
    fn from(test: TestWork) -> Self {
        Self {
            id: test.id.clone(),
            track: Track::new(&test.agent, Some(test.task.clone())),
            rank: Rank::Update,
            kind: Kind::Test(Box::new(test)),
            extra: UnknownFields::default(),
        }
    }
}

pub(super) fn from_json(text: &str) -> Result<Work, Unreadable> {
    let found: TestWork = serde_json::from_str(text).map_err(|why| Unreadable::of("its test work", &why))?;
    Ok(found.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_work_comes_back_from_its_json_as_it_was() {
        let before = TestWork {
            id: WorkId::new("w1"),
            agent: "a1".to_owned(),
            task: TaskId::new("t1"),
            messages: vec!["one".to_owned(), "two".to_owned()],
            created_at: Millis(7),
        };
        let json = Work::from(before.clone()).to_json().expect("JSON");
        assert!(json.contains("\"kind\":\"test\""), "{json}");
        let back = Work::from_json(&json).expect("understood");
        assert!(matches!(&back.kind, Kind::Test(found) if **found == before), "{back:?}");
        assert!(Work::from_json("{\"kind\":\"test\"}").is_err());
    }
}
