//! What the rest of the house sees of HTTP: plain requests and replies.
//!
//! Nothing here touches a socket. A handler is a function from [`Request`] to [`Reply`], so a route can be tested
//! by calling it. The words for method and header are `tiny_http`'s own.

mod reply;
mod request;

pub use reply::{Body, Bytes, Duplex, Reply, Sink, Streamer, Talker};
pub use request::Request;
pub(crate) use request::is_scheme;
pub use tiny_http::{Header, Method};
