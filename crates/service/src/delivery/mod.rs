//! The steps of a delivery, and the threads that run deliveries.
//!
//! [`deliver`] runs one item of work through the steps of its kind and explains the rules. `notification` has the steps
//! of a notification, `heartbeat` those of a heartbeat, `job` those of a claimed job of a worker pool; `turn_loop`, `calls`, `post` and `recover_turn` are steps that all kinds share. [`deps`] is what a
//! worker needs for them. [`service`] starts the threads: the dispatcher, the [`worker`]s, the [`poller`] and the
//! [`stall_monitor`]. [`inflight`] is the table of running turns and deliveries. `log_item` writes the log lines.

pub mod active_delivery;
mod asked;
mod board;
pub mod brake;
pub mod budget;
pub mod call_limit;
mod calls;
pub mod deliver;
pub mod deps;
mod fold;
mod heartbeat;
pub mod inflight;
mod job;
pub(crate) mod log_item;
mod notification;
pub mod poller;
mod post;
pub mod provider_cooldown;
mod reading;
mod recover_turn;
pub mod service;
pub mod stall_monitor;
mod state_changes;
mod task_stops;
#[cfg(feature = "test-kind")]
mod test_kind;
#[cfg(feature = "test-kind")]
pub mod test_source;
mod turn_loop;
mod view;
pub mod worker;
