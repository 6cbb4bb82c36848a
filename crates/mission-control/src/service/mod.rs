//! The service functions, which a runtime calls (backend-contract §2).

pub(super) mod agents;
pub(super) mod context;
mod documents;
mod find;
mod messages;
mod notifications;
pub(super) mod runtime;
mod task_status;
mod tasks;
mod wake;

use super::function::Function;

/// All service functions.
pub(super) const FUNCTIONS: &[&[Function]] = &[
    agents::FUNCTIONS,
    context::FUNCTIONS,
    documents::FUNCTIONS,
    find::FUNCTIONS,
    messages::FUNCTIONS,
    notifications::FUNCTIONS,
    runtime::FUNCTIONS,
    task_status::FUNCTIONS,
    tasks::FUNCTIONS,
    wake::FUNCTIONS,
];
