//! HTTP as we serve it.

pub mod message;
pub mod server;
