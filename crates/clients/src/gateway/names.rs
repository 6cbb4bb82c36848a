//! How sessions are named at this gateway. The choice is made before the first turn and never changes.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use mcr_core::gateway::codec::{SessionNames, TurnFailure};

/// The choice of names, made or still open.
pub struct SessionNaming {
    made: OnceLock<SessionNames>,
    /// Held during the request to the gateway, so that only one thread sends it.
    asking: Mutex<()>,
    /// Receives the choice once it is made, to store it.
    keep: Box<dyn Fn(SessionNames) + Send + Sync>,
}

impl SessionNaming {
    /// A choice that was made earlier.
    pub fn made(names: SessionNames) -> Self {
        Self { made: names.into(), ..Self::open(|_| {}) }
    }

    /// An open choice. It is made before the first turn, by the number of agents that the gateway has then.
    /// `keep` stores it.
    pub fn open(keep: impl Fn(SessionNames) + Send + Sync + 'static) -> Self {
        Self { made: OnceLock::new(), asking: Mutex::default(), keep: Box::new(keep) }
    }

    /// Returns the choice, and makes it now if it is open. `is_single` asks the gateway whether it has only
    /// one agent.
    pub(super) fn get(
        &self,
        is_single: impl FnOnce() -> Result<bool, TurnFailure>,
    ) -> Result<SessionNames, TurnFailure> {
        if let Some(names) = self.made.get() {
            return Ok(*names);
        }
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = self.made.get() {
            return Ok(*names);
        }
        let names = if is_single()? { SessionNames::Kept } else { SessionNames::Renamed };
        (self.keep)(names);
        Ok(*self.made.get_or_init(|| names))
    }
}

impl Default for SessionNaming {
    fn default() -> Self {
        Self::made(SessionNames::default())
    }
}

impl fmt::Debug for SessionNaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Choice").field(&self.made.get()).finish()
    }
}
