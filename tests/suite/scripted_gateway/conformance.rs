//! The behaviour of real gateways, row by row. Every test runs against the scripted and against a real one.

/// The refused bodies and the error messages.
mod bodies;
/// Events: their order and contents.
mod events;
/// Failures of a turn.
mod failures;
/// The history of a session.
mod history;
/// Paths, methods, tokens, probes.
mod http;
/// The session of a turn, and the model's input.
mod sessions;
/// The WebSocket.
mod socket;
/// Tools, calls and their results.
mod tools;
