//! The embedded Mission Control behaves as the hosted one: the tables of backend-contract.md as rows.

mod board;
mod seeds;
mod team;

/// What comes with a notification, and the session keys.
mod context;
/// What agents write down.
mod documents;
/// Tasks found again.
mod finding;
/// Who is named in a message.
mod mentions;
/// What waits for agents, and who may ask.
mod notifications;
/// What follows from a message.
mod posting;
/// The agents, as a runtime sees them.
mod roster;
/// The runtime's reports, silences, restarts and upgrades.
mod runtime;
/// Tasks created, handed out, put away.
mod tasks;
/// Tasks' fields changed.
mod updates;
/// Who may move a task where.
mod workflow;
