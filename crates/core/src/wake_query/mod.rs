//! The wake query: a query of the backend whose value changes when an agent has a new notification.
//!
//! An operator who hosts the backend can add the query as one file (`openclaw/convex/wake.ts`). The runtime subscribes to
//! it over the backend's sync protocol, and lists notifications when the value changes. The value itself is not used. A
//! subscription shows state, not events, so a lost connection loses nothing: the first value of the next one causes a list.
//!
//! [`connection`] has one connection, [`pace`] the pauses between two connections, and [`condition_log`] decides what is
//! logged. `model::sync_protocol` has the messages. Nothing here has a socket.

pub mod condition_log;
pub mod connection;
pub mod pace;

use mcr_model::clock::Millis;

/// The path of the query, by convention.
pub const PATH: &str = "service/wake:changed";

/// What the subscription tells the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeSignal {
    /// The value is new, so a list is due. The subscription works from now on.
    Changed,
    /// The subscription has ended, so the lists are at intervals again.
    Lost,
}

/// The condition of the subscription, for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WakeQueryStatus {
    /// The condition.
    pub condition: WakeCondition,
    /// Since when.
    pub since: Option<Millis>,
    /// Why it does not work, redacted.
    pub reason: Option<String>,
}

/// Whether lists follow the wake query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WakeCondition {
    /// `WAKE_QUERY=off`.
    #[default]
    Off,
    /// The first connection has not ended or brought a value yet.
    Connecting,
    /// The subscription works.
    Subscribed,
    /// The backend does not have the query.
    Missing,
    /// The subscription does not work.
    Failing,
}

impl WakeCondition {
    /// The word for `/health`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Connecting => "connecting",
            Self::Subscribed => "subscribed",
            Self::Missing => "missing",
            Self::Failing => "failing",
        }
    }
}
