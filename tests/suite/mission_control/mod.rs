//! The embedded Mission Control behaves as the hosted one: the tables of backend-contract.md as rows.

mod board;
mod seeds;

/// What comes with a notification, and the session keys.
mod context;
/// Who is named in a message.
mod mentions;
/// What waits for agents, and who may ask.
mod notifications;
/// What follows from a message.
mod posting;
/// The team, as a runtime sees it.
mod roster;
