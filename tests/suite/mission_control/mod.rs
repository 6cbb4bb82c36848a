//! The embedded Mission Control behaves as the hosted one: the tables of backend-contract.md as rows.

use crate::support::{board, copies, seeds, team};

mod commands;
mod http_api;
mod process;

/// The account, its token, its skills, its documents.
mod account;
/// Agents hired, changed, dismissed.
mod agents;
/// What comes with a notification, and the session keys.
mod context;
/// The data directory and copies of the data.
mod data;
/// Disks that are full, closed, or hold something else.
mod disk;
/// What agents write down.
mod documents;
/// Tasks found again.
mod finding;
/// What an import refuses.
mod import_rules;
/// SIGKILL in a write storm.
mod kill;
/// Who is named in a message.
mod mentions;
/// What waits for agents, and who may ask.
mod notifications;
/// What follows from a message.
mod posting;
/// Requests of all sizes and shapes.
mod requests;
/// The agents, as a runtime sees them.
mod roster;
/// The runtime's reports, silences, restarts and upgrades.
mod runtime;
/// What a newcomer finds.
mod seed;
/// Tasks created, handed out, put away.
mod tasks;
/// Tasks' fields changed.
mod updates;
/// Providers' keys.
mod vault;
/// The page's windows, searches and changes, on a small and on a heavy board.
mod windows;
/// Who may move a task where.
mod workflow;
