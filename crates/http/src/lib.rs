//! HTTP as the runtime serves it: requests and replies ([`message`]), the [`server`], [`websocket`] framing, the HTML
//! [`page`]s and the accepted host names ([`hosts`]).
//!
//! [`panics`] catches and records panics for the threads of this crate and of the layers above.

pub mod hosts;
pub mod message;
pub mod page;
pub mod panics;
pub mod server;
pub mod websocket;
