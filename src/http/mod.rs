//! HTTP as we serve it: plain values for the house, sockets and limits behind one door.
//!
//! [`message`] is what everybody sees: a [`message::Request`] goes in, a [`message::Reply`] comes out, and
//! neither knows of sockets. [`server`] is the only file tree that does.

pub mod message;
pub mod server;
