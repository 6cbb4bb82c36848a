//! The service functions: what a runtime may ask and do (backend-contract §2).

use super::functions::Function;

/// Every service function.
pub(super) const FUNCTIONS: &[&[Function]] = &[];
