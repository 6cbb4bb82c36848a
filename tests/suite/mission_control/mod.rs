//! The embedded Mission Control behaves like the hosted one: the tables of backend-contract.md as rows.

use crate::support::{board, copies, seeds, team};

mod commands;
mod http_api;
mod process;

/// The account, its token, its skills, its documents.
mod account;
/// Creating, changing and removing agents.
mod agents;
/// The context of a notification, and the session keys.
mod context;
/// The data directory, and exports of the data.
mod data;
/// Disks that are full, read-only or contain foreign data.
mod disk;
/// Documents of agents.
mod documents;
mod env_out;
/// Lists, searches and histories of tasks.
mod finding;
/// The command `fleet`.
mod fleet;
/// The rules of an import.
mod hosts;
mod import_rules;
/// SIGKILL during many concurrent writes.
mod kill;
/// Mentions in messages.
mod mentions;
/// Undelivered notifications, response requests, service tokens.
mod notifications;
/// The queue of a worker pool.
mod pool;
/// The effects of a message.
mod posting;
/// Requests of all sizes and shapes.
mod requests;
/// The agents, as a runtime sees them.
mod roster;
/// The runtime's reports, silence, restarts and upgrades.
mod runtime;
/// The demo.
mod seed;
/// Creating, assigning, archiving and removing tasks.
mod tasks;
/// Changes of a task's fields.
mod updates;
/// Providers' keys.
mod vault;
/// The page's windows, searches and changes, on a small and on a heavy board.
mod windows;
/// The task workflow.
mod workflow;
