//! Ids, each of its own type, so that a task's id cannot be handed over where an agent's is expected.
//!
//! They are opaque: the backend gives them out, and no rule of ours looks inside.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the backend's text as it is.
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
    /// An account: what one runtime serves.
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
    /// A registered upload.
    UploadId
    /// A person, by the id of the login service; no table of the backend.
    UserId
}
