//! The service functions: what a runtime may ask and do (backend-contract §2).

mod find;
mod task_status;
mod tasks;

use super::functions::Function;

/// Every service function.
pub(super) const FUNCTIONS: &[&[Function]] = &[find::FUNCTIONS, task_status::FUNCTIONS, tasks::FUNCTIONS];
