//! Every decision of the runtime, as pure functions and structs: time and chance are arguments, and nothing here reads a
//! clock, opens a file or a socket, or starts a thread (`clippy.toml` forbids it).
//!
//! [`work`] is the unit that is scheduled, [`delivery`] schedules it and decides what becomes of it, [`tools`] knows what agents may call,
//! [`gateway`] reads and writes what the gateway speaks, [`heartbeat`] says when whom to wake, and [`ops`] tells why.

pub mod delivery;
pub mod gateway;
pub mod heartbeat;
pub mod ops;
pub mod spans;
pub mod tools;
pub mod unknown_fields;
pub mod unreadable;
pub mod work;
