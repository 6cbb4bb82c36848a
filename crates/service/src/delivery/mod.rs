//! A delivery, step by step, and the threads in which deliveries happen.
//!
//! [`deliver`] walks one unit of work through the steps of its kind; `notification` has those of a notification, and
//! `talk`, `calls`, `post` and `settle` are steps that kinds share. [`desk`] is what a
//! worker needs for them. [`service`] starts the threads: the dispatcher, the [`worker`]s, the [`scout`] and the [`watch`].
//! [`inflight`] knows what is under way.

mod calls;
pub mod cooling;
pub mod deliver;
pub mod desk;
mod halt;
pub mod held;
pub mod inflight;
mod notification;
mod post;
pub mod scout;
pub mod service;
mod settle;
mod talk;
#[cfg(feature = "test-kind")]
mod test_kind;
#[cfg(feature = "test-kind")]
pub mod test_source;
pub mod watch;
pub mod worker;
