//! The service functions: what a runtime may ask and do (backend-contract §2).

mod documents;
mod find;
pub(super) mod runtime;
mod task_status;
mod tasks;

use super::functions::Function;

/// Every service function.
pub(super) const FUNCTIONS: &[&[Function]] =
    &[documents::FUNCTIONS, find::FUNCTIONS, runtime::FUNCTIONS, task_status::FUNCTIONS, tasks::FUNCTIONS];
