//! Outgoing connections. [`convex`] calls the backend, and [`mission`] types its service functions. [`pool`] types the
//! functions of a worker pool's queue. [`telegram`] is the client of Telegram's Bot API. [`gateway`] is the client of the agents' gateway. [`bridge`] calls the
//! consumer's application. [`wire`] is the HTTP transport that they share.

pub mod bridge;
pub mod convex;
pub mod gateway;
pub mod mission;
pub mod pool;
pub mod telegram;
pub mod wire;
