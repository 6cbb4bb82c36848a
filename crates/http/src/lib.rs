//! HTTP as the runtime serves it: requests and replies ([`message`]), the [`server`], [`websocket`] connections, the frame
//! of a [`page`], and the host names that are served ([`hosts`]).

pub mod hosts;
pub mod message;
pub mod page;
pub mod server;
pub mod websocket;
