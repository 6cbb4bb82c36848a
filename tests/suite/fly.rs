//! Fly Machines: the client and the clean-up against a stateful double of the Machines API, written from what is known of
//! it. The double keeps its own book, which is the oracle.

/// The clean-up of an app, with a fault at each request.
mod cleanup;
/// The client: each operation, lost answers, refusals.
mod client;
/// The command `fly-cleanup`.
mod command;
/// The double of the Machines API.
mod machines_api;
