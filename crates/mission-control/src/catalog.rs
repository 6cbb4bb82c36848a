//! All public functions, by name.

use super::function::Function;
use super::{human, pool, service};

/// The function with this name. `module.js:name` means the same as `module:name`.
pub(super) fn find(path: &str) -> Option<&'static Function> {
    let path = path.replacen(".js:", ":", 1);
    let mut functions =
        service::FUNCTIONS.iter().chain(human::FUNCTIONS).chain(pool::FUNCTIONS).copied().flatten();
    functions.find(|function| function.path == path)
}
