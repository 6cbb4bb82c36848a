//! All public functions, by name.

use super::function::Function;
use super::{human, service};

/// The function of this name; `module.js:name` is the same as `module:name`.
pub(super) fn find(path: &str) -> Option<&'static Function> {
    let path = path.replacen(".js:", ":", 1);
    let mut rooms = service::FUNCTIONS.iter().chain(human::FUNCTIONS).copied().flatten();
    rooms.find(|function| function.path == path)
}
