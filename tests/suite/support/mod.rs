//! (see the index)

/// The log lines of a test's own thread.
pub(crate) mod log_capture;
/// The program as a process.
pub(crate) mod program;
/// A server that cuts, stalls and answers as told.
pub(crate) mod scripted_http;
/// An https server and its certificate.
pub(crate) mod tls_server;
