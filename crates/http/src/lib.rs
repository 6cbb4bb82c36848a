//! HTTP as the runtime serves it: requests and replies ([`message`]), the [`server`], [`websocket`] connections, the frame
//! of a [`page`], and the host names that are served ([`hosts`]).
//! What its threads, and those of the layers above, do with a panic is in [`panics`].

pub mod hosts;
pub mod message;
pub mod page;
pub mod panics;
pub mod server;
pub mod websocket;
