//! Work: what the dispatcher schedules, whatever its kind.
//!
//! The dispatcher, the queue, the ledger, the in-flight table and `why` know work by its id, its [`Track`] and its
//! [`Rank`]. What a kind of work is made of is its [`Kind`]; each kind has a file of its own here and one with its steps
//! in the service.

mod kind;
mod notification;
#[cfg(feature = "test-kind")]
mod test_kind;
mod track;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use kind::{Kind, Source};
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
    /// Takes the text as it is.
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
    /// Somebody waits for an answer.
    Asked,
    /// Somebody assigned a task.
    Given,
    /// Something changed.
    Told,
}

impl Rank {
    /// How many ranks there are.
    pub const COUNT: usize = 3;
}

/// A unit of work.
#[derive(Clone, Debug)]
pub struct Work {
    /// Which.
    pub id: WorkId,
    /// The strict order that it belongs to.
    pub track: Track,
    /// How urgent it is.
    pub rank: Rank,
    /// What is to be done.
    pub kind: Kind,
    /// The fields of its JSON that only a newer version knows.
    pub extra: UnknownFields,
}

impl Work {
    /// The notification that it delivers, if it delivers one.
    pub fn notification(&self) -> Option<&Notification> {
        self.kind.notification()
    }

    /// Takes over what a later offer shows of a notification: its creation, which moves when a later message is folded
    /// into it, and the marks by which a worker sees that another runtime was faster. A worker reads the rest.
    pub(crate) fn offered_again(self: &mut Arc<Self>, later: &Self) {
        let marks = |row: &Notification| (row.created_at, row.read_at, row.delivery_ended_at);
        let (Some(known), Some(row)) = (self.notification(), later.notification()) else { return };
        if marks(known) == marks(row) {
            return;
        }
        let (created_at, read_at, delivery_ended_at) = marks(row);
        let known = Notification { created_at, read_at, delivery_ended_at, ..known.clone() };
        *self = Arc::new(Self { extra: self.extra.clone(), ..known.into() });
    }

    /// How it comes from its source.
    pub fn source(&self) -> Source {
        self.kind.source()
    }

    /// Whether an agent is asked in turns of the gateway. Work without turns needs no gateway at any stage.
    pub fn asks_agent(&self) -> bool {
        self.kind.asks_agent()
    }

    /// When it was created, by the backend's clock: none of its effects is older.
    pub fn created_at(&self) -> Millis {
        self.kind.created_at()
    }

    /// What it is, in one word: for logs and overviews.
    pub fn name(&self) -> String {
        self.kind.name()
    }

    /// What it is and which, inside of a sentence.
    pub fn label(&self) -> String {
        format!("{} {}", self.kind.noun(), self.id)
    }

    /// What it is, in words that begin a sentence.
    pub fn title(&self) -> String {
        self.kind.title()
    }

    /// As the ledger keeps it: JSON that names the kind. A notification names none, as in the first form of the ledger.
    /// Fields that only a newer version knows stand behind the others.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(self.extra.append_to(self.kind.to_json()?))
    }

    /// Reads what [`Work::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self, Unreadable> {
        let mut work = Kind::from_json(text)?;
        let known = work.kind.to_json().map_err(|why| Unreadable::of("its work", &why))?;
        work.extra = UnknownFields::of(text).without(&UnknownFields::of(&known));
        Ok(work)
    }
}
