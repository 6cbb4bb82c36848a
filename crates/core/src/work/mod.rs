//! Work: the units that the dispatcher schedules, of any kind.
//!
//! The dispatcher, the queue, the ledger, the in-flight table and `why` use only the id, the [`Track`] and the [`Rank`]
//! of an item. The content of an item is its [`Kind`]. Each kind has one file here, and one with its steps in the
//! service.

mod heartbeat;
mod kind;
mod notification;
mod pool_job;
#[cfg(feature = "test-kind")]
mod test_kind;
mod track;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use heartbeat::Beat;
pub use kind::{Kind, Source};
pub use pool_job::PoolJob;
#[cfg(feature = "test-kind")]
pub use test_kind::TestWork;
pub use track::{Lane, Track};

use crate::unknown_fields::UnknownFields;
use crate::unreadable::Unreadable;
use mcr_model::clock::Millis;
use mcr_model::{Notification, NotificationId};

/// The id of a unit of work: unique among all kinds. The work of a notification has the notification's id, so that
/// people find it under the id that Mission Control shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkId(String);

impl WorkId {
    /// An id with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&NotificationId> for WorkId {
    fn from(id: &NotificationId) -> Self {
        Self::new(id.as_str())
    }
}

/// How urgent work is. Among the work that may begin, a better rank comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A person or an agent waits for an answer.
    Question,
    /// A task was assigned.
    Assignment,
    /// A task or a thread changed.
    Update,
}

impl Rank {
    /// How many ranks there are.
    pub const COUNT: usize = 3;
}

/// A unit of work.
#[derive(Clone, Debug)]
pub struct Work {
    /// The id.
    pub id: WorkId,
    /// The track that it belongs to.
    pub track: Track,
    /// How urgent it is.
    pub rank: Rank,
    /// What is to be done.
    pub kind: Kind,
    /// The fields of its JSON that only a newer version knows.
    pub extra: UnknownFields,
}

impl Work {
    /// The notification, if the work delivers one.
    pub fn notification(&self) -> Option<&Notification> {
        self.kind.notification()
    }

    /// Takes over a later offer of a notification, and returns whether the offer differs. Its time of creation moves when a
    /// later message is folded into it; that message may have another author. Its marks show a worker that another
    /// runtime was faster.
    pub(crate) fn offered_again(self: &mut Arc<Self>, later: &Self) -> bool {
        let state = |row: &Notification| (row.created_at, row.read_at, row.delivery_ended_at);
        let (Some(known), Some(row)) = (self.notification(), later.notification()) else { return false };
        if state(known) == state(row) {
            return false;
        }
        *self = Arc::new(Self { extra: self.extra.clone(), ..row.clone().into() });
        true
    }

    /// Whether the work is a heartbeat.
    pub fn is_heartbeat(&self) -> bool {
        matches!(self.kind, Kind::Heartbeat(_))
    }

    /// Whether the work is a job of a worker pool.
    pub fn is_job(&self) -> bool {
        matches!(self.kind, Kind::Job(_))
    }

    /// How the work comes from its source.
    pub fn source(&self) -> Source {
        self.kind.source()
    }

    /// Whether the work needs turns of an agent. Work without turns needs no gateway at any stage.
    pub fn asks_agent(&self) -> bool {
        self.kind.asks_agent()
    }

    /// When the work was created, by the backend's clock: none of its effects is older.
    pub fn created_at(&self) -> Millis {
        self.kind.created_at()
    }

    /// The kind in one word, for logs and overviews.
    pub fn name(&self) -> String {
        self.kind.name()
    }

    /// The kind and the id, for the middle of a sentence.
    pub fn label(&self) -> String {
        format!("{} {}", self.kind.noun(), self.id)
    }

    /// The kind, for the beginning of a sentence.
    pub fn title(&self) -> String {
        self.kind.title()
    }

    /// The form in the ledger: JSON that names the kind. A notification names none, as in the first form of the ledger.
    /// Fields that only a newer version knows come after the others.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(self.extra.append_to(self.kind.to_json()?))
    }

    /// Reads the form of [`Work::to_json`].
    pub fn from_json(text: &str) -> Result<Self, Unreadable> {
        let mut work = Kind::from_json(text)?;
        let known = work.kind.to_json().map_err(|why| Unreadable::of("its work", &why))?;
        work.extra = UnknownFields::of(text).without(&UnknownFields::of(&known));
        Ok(work)
    }
}
