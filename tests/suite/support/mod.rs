//! (see the index)

/// A server that cuts, stalls and answers as told.
pub(crate) mod scripted_http;
