//! Outgoing connections. [`convex`] calls the backend, and [`mission`] types its service functions.
//! [`gateway`] is the client of the agents' gateway. [`wire`] is the HTTP transport that they share.

pub mod convex;
pub mod gateway;
pub mod mission;
pub mod wire;
