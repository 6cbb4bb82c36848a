//! The rules of the contract, each implemented once: the effects of a message, an assignment or a status, for agents
//! and for people.

pub(super) mod activity;
pub(super) mod agent_config;
pub(super) mod assignees;
pub(super) mod attachments;
pub(super) mod collation;
pub(super) mod fields;
pub(super) mod flags;
pub(super) mod follow;
pub(super) mod limit;
pub(super) mod mentions;
pub(super) mod notify;
pub(super) mod offline;
pub(super) mod overview;
pub(super) mod post;
pub(super) mod profiles;
pub(super) mod reach;
pub(super) mod rollout;
pub(super) mod sessions;
pub(super) mod slug;
pub(super) mod status;
pub(super) mod system_config;
pub(super) mod thread;
pub(super) mod upgrade;
