//! HTTP for the rest of the program: plain requests and replies.
//!
//! Nothing here uses a socket. A handler is a function from [`Request`] to [`Reply`], so a test can call a route
//! directly. `Method` and `Header` are the types of `tiny_http`.

mod reply;
mod request;

pub use reply::{Body, Bytes, Duplex, ProtocolHandler, Reply, Sink, Streamer};
pub use request::Request;
pub(crate) use request::is_scheme;
pub use tiny_http::{Header, Method};
