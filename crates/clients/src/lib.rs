//! Outgoing connections. [`convex`] calls the backend, and [`mission`] types its service functions. [`pool`] types the
//! functions of a worker pool's queue. [`gateway`] is the client of the agents' gateway. [`wire`] is the HTTP transport that they share.

pub mod convex;
pub mod gateway;
pub mod mission;
pub mod pool;
pub mod wire;
