//! A delivery, step by step, and the threads in which deliveries happen.
//!
//! [`deliver`] walks one unit of work through the steps of its kind; `notification` has those of a notification, and
//! `turn_loop`, `calls`, `post` and `recover_turn` are steps that kinds share. [`deps`] is what a
//! worker needs for them. [`service`] starts the threads: the dispatcher, the [`worker`]s, the [`poller`] and the [`stall_monitor`].
//! [`inflight`] knows what is under way.

pub mod active_delivery;
mod calls;
pub mod deliver;
pub mod deps;
pub mod inflight;
mod notification;
pub mod poller;
mod post;
pub mod provider_cooldown;
mod reading;
mod recover_turn;
pub mod service;
pub mod stall_monitor;
mod task_stops;
#[cfg(feature = "test-kind")]
mod test_kind;
#[cfg(feature = "test-kind")]
pub mod test_source;
mod turn_loop;
pub mod worker;
