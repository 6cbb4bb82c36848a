//! What real gateways do, row by row. Every test here runs against ours and against a real one.

/// What bodies are refused, in which words.
mod bodies;
/// Events: their order and what is in them.
mod events;
/// What goes wrong in a turn.
mod failures;
/// What a session remembers.
mod history;
/// The door: paths, methods, tokens, probes.
mod http;
/// Which session a turn belongs to, and what it is shown.
mod sessions;
/// The WebSocket.
mod socket;
/// Tools, calls and their results.
mod tools;
