//! The service functions: what a runtime may ask and do (backend-contract §2).

mod agents;
mod context;
mod messages;
mod notifications;

use super::functions::Function;

/// Every service function.
pub(super) const FUNCTIONS: &[&[Function]] =
    &[agents::FUNCTIONS, context::FUNCTIONS, messages::FUNCTIONS, notifications::FUNCTIONS];
