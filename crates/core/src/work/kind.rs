//! The kinds of work: one closed enum. The properties of each kind are in the kind's own file.

use std::borrow::Cow;

use serde::Deserialize;

use super::heartbeat::{self, Beat};
use super::pool_job::{self, PoolJob};
#[cfg(feature = "test-kind")]
use super::test_kind::{self, TestWork};
use super::{Work, notification};
use crate::unreadable::Unreadable;
use mcr_model::clock::Millis;
use mcr_model::{Notification, NotificationId};

/// The content of an item of work.
#[derive(Clone, Debug)]
pub enum Kind {
    /// The delivery of a notification to its agent.
    Notification(Box<Notification>),
    /// A heartbeat of an agent.
    Heartbeat(Box<Beat>),
    /// A claimed message of a worker pool.
    Job(Box<PoolJob>),
    /// Messages to post, for tests.
    #[cfg(feature = "test-kind")]
    Test(Box<TestWork>),
}

/// How work comes from its source. This decides what the end of the work guards against, and what becomes of work that
/// the ledger does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The backend lists the work until its end is marked there. The same id never starts a second time: if it is listed
    /// after its end, only the mark is missing. Work that was not started is listed again.
    Listed,
    /// The source offers the work and then relies on this runtime. The same id does not start again until the source has
    /// confirmed the end; until then only the end is reported once more. After that, an offer is new work.
    Offered,
}

/// The kind in a row of the ledger; none for a notification.
#[derive(Deserialize)]
struct Tagged<'a> {
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
}

impl Kind {
    /// The notification, if the work delivers one.
    pub fn notification(&self) -> Option<&Notification> {
        match self {
            Self::Notification(row) => Some(row),
            Self::Heartbeat(_) | Self::Job(_) => None,
            #[cfg(feature = "test-kind")]
            Self::Test(_) => None,
        }
    }

    pub(super) fn source(&self) -> Source {
        match self {
            Self::Notification(_) => Source::Listed,
            Self::Heartbeat(_) | Self::Job(_) => Source::Offered,
            #[cfg(feature = "test-kind")]
            Self::Test(_) => Source::Offered,
        }
    }

    /// The id under which the backend admits only one message, if the work has such an id.
    pub fn message_key(&self) -> Option<&NotificationId> {
        match self {
            Self::Notification(row) => Some(&row.id),
            Self::Heartbeat(_) | Self::Job(_) => None,
            #[cfg(feature = "test-kind")]
            Self::Test(_) => None,
        }
    }

    pub(super) fn asks_agent(&self) -> bool {
        match self {
            Self::Notification(_) | Self::Heartbeat(_) | Self::Job(_) => true,
            #[cfg(feature = "test-kind")]
            Self::Test(_) => false,
        }
    }

    pub(super) fn created_at(&self) -> Millis {
        match self {
            Self::Notification(row) => row.created_at,
            Self::Heartbeat(beat) => beat.created_at,
            Self::Job(job) => job.claimed_at,
            #[cfg(feature = "test-kind")]
            Self::Test(test) => test.created_at,
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Notification(row) => row.kind.to_string(),
            Self::Heartbeat(_) => heartbeat::NAME.to_owned(),
            Self::Job(_) => pool_job::NAME.to_owned(),
            #[cfg(feature = "test-kind")]
            Self::Test(_) => test_kind::NAME.to_owned(),
        }
    }

    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Notification(_) => "notification",
            Self::Heartbeat(_) => "heartbeat",
            Self::Job(_) => "job",
            #[cfg(feature = "test-kind")]
            Self::Test(_) => "test work",
        }
    }

    pub(super) fn title(&self) -> String {
        match self {
            Self::Notification(row) => notification::title(row),
            Self::Heartbeat(_) => heartbeat::NAME.to_owned(),
            Self::Job(_) => pool_job::NAME.to_owned(),
            #[cfg(feature = "test-kind")]
            Self::Test(_) => "test work".to_owned(),
        }
    }

    pub(super) fn to_json(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Notification(row) => serde_json::to_string(row),
            Self::Heartbeat(beat) => serde_json::to_string(beat),
            Self::Job(job) => serde_json::to_string(job),
            #[cfg(feature = "test-kind")]
            Self::Test(test) => serde_json::to_string(test),
        }
    }

    pub(super) fn from_json(text: &str) -> Result<Work, Unreadable> {
        let tagged: Tagged<'_> =
            serde_json::from_str(text).map_err(|why| Unreadable::of("its work", &why))?;
        match tagged.kind.as_deref() {
            None => notification::from_json(text),
            Some(heartbeat::NAME) => heartbeat::from_json(text),
            Some(pool_job::NAME) => pool_job::from_json(text),
            #[cfg(feature = "test-kind")]
            Some(test_kind::NAME) => test_kind::from_json(text),
            Some(kind) => Err(Unreadable::Newer(format!(
                "its work is of a kind that this program does not know (\"{kind}\")"
            ))),
        }
    }
}
