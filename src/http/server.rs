//! The bounded HTTP server.
