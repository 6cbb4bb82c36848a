//! The running service: the threads that deliver, the tools they run for agents, the HTTP APIs and the metrics.
//!
//! A new reader starts with [`delivery`], then reads [`delivery::deliver`].

pub mod clock;
pub mod delivery;
pub mod gateway_child;
pub mod gateway_keys;
pub mod heartbeat;
pub mod http;
pub mod metrics;
pub mod pool;
pub mod roster;
pub mod scheduled_calls;
pub mod skills;
pub mod snapshots;
pub mod systemd;
pub mod tools;
pub mod wakeup;
pub mod workspace;
