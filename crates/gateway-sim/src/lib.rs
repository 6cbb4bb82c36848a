//! A stand-in for the OpenClaw gateway, for the demo and for tests. It has no language model.
//!
//! [`gateway`] serves the same HTTP interface as the real gateway. A [`gateway::ScriptedModel`] decides what its agents say;
//! the demo uses [`team`], and kill tests use [`load`]. [`rehearsal`] lists the cases that every gateway must pass, and judges
//! them. For them [`mock_provider`] gives a real gateway a scripted model, and [`lossy_proxy`] loses answers.
//!
//! [`pool`] is a stand-in for the backend of a worker pool, and [`telegram`] one for Telegram's Bot API.

pub mod derived;
pub mod gateway;
pub mod load;
pub mod lossy_proxy;
pub mod mock_provider;
pub mod model_book;
pub mod pool;
pub mod rehearsal;
pub mod team;
pub mod telegram;
