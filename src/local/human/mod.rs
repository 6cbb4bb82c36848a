//! What people do on the board (backend-contract §8): mutations and queries behind the admin key. The embedded backend
//! has one person, the owner of the account.

mod board;
mod messages;
mod runtimes;
mod tasks;

use super::functions::Function;

/// Every function for people.
pub(super) const FUNCTIONS: &[&[Function]] =
    &[board::FUNCTIONS, messages::FUNCTIONS, runtimes::FUNCTIONS, tasks::FUNCTIONS];
