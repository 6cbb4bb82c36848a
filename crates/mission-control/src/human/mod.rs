//! What people can do (backend-contract §8): mutations and queries that require the admin key. The embedded backend
//! has one person, the owner of the account.

mod accounts;
mod agents;
mod board;
mod changes;
mod columns;
mod documents;
mod fleet;
mod messages;
mod opened;
mod provisioning;
mod runtimes;
pub(super) mod secrets;
pub(super) mod skills;
mod snapshot;
mod system_config;
mod tasks;

use super::function::Function;

/// All functions for people.
pub(super) const FUNCTIONS: &[&[Function]] = &[
    accounts::FUNCTIONS,
    agents::FUNCTIONS,
    board::FUNCTIONS,
    documents::FUNCTIONS,
    fleet::FUNCTIONS,
    messages::FUNCTIONS,
    provisioning::FUNCTIONS,
    runtimes::FUNCTIONS,
    secrets::FUNCTIONS,
    skills::FUNCTIONS,
    snapshot::FUNCTIONS,
    system_config::FUNCTIONS,
    tasks::FUNCTIONS,
];
