//! Ids, each with its own type, so that the id of a task cannot be passed as the id of an agent.
//!
//! They are opaque: the backend assigns them, and no rule of the runtime parses them.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the backend's text unchanged.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The backend's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// An account. One runtime serves one account.
    AccountId
    /// An agent of the account.
    AgentId
    /// A task.
    TaskId
    /// A message in a task's thread.
    MessageId
    /// A notification.
    NotificationId
    /// A document.
    DocumentId
    /// A skill.
    SkillId
    /// A stored file.
    StorageId
    /// A person, by the id of the login service. The backend has no table for it.
    UserId
    /// A message in the queue of a worker pool.
    JobId
    /// A conversation of a worker pool.
    ConversationId
    /// The lease of a claimed message.
    LeaseId
    /// A worker of a pool.
    WorkerId
    /// A snapshot of a worker's data.
    SnapshotId
}
