//! Outgoing connections: [`convex`] asks the backend, [`mission`] has its functions as types, [`gateway`] speaks with the
//! agents, and [`wire`] is the transport below them all.

pub mod convex;
pub mod gateway;
pub mod mission;
pub mod wire;
