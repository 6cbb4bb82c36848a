//! How the conversations are named at this gateway: chosen before the first turn, and then for good.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use mcr_core::gateway::codec::{SessionNames, TurnFailure};

/// The choice, made or open.
pub struct SessionNaming {
    made: OnceLock<SessionNames>,
    /// Held while the gateway is asked.
    asking: Mutex<()>,
    /// Hears of the choice once it is made.
    keep: Box<dyn Fn(SessionNames) + Send + Sync>,
}

impl SessionNaming {
    /// It was made earlier.
    pub fn made(names: SessionNames) -> Self {
        Self { made: names.into(), ..Self::open(|_| {}) }
    }

    /// It is made before the first turn, by the agents that the gateway has then; `keep` is to remember it.
    pub fn open(keep: impl Fn(SessionNames) + Send + Sync + 'static) -> Self {
        Self { made: OnceLock::new(), asking: Mutex::default(), keep: Box::new(keep) }
    }

    /// The choice, which is made now if it is open. `is_single` asks the gateway whether it has one agent only.
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
