//! Opens what is kept in `STATE_DIR`, and says why that cannot be.

use std::sync::Arc;

use log::{error, warn};

use crate::app::exit::Exit;
use crate::app::place;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{LedgerSwitch, Settings};
use crate::files::Folder;
use crate::ledger::{Ledger, LedgerError};
use crate::model::AccountId;
use crate::sessions::Sessions;

/// What to do where the ledger cannot be written.
const WITHOUT_A_LEDGER: &str =
    "; to run all the same, and lose what is under way with a crash, set LEDGER=off";

/// `STATE_DIR`, open; nothing where a service without a ledger cannot use it.
pub(super) fn open_folder(settings: &Settings) -> Result<Option<Arc<Folder>>, LedgerError> {
    match place::claim(&settings.state_dir) {
        Ok(folder) => {
            if let Some(mode) = folder.narrowed() {
                let shown = folder.path().display();
                warn!(
                    "STATE_DIR {shown} was open to other users (mode {mode:o}): their permissions are withdrawn"
                );
            }
            Ok(Some(folder))
        }
        Err(why) if settings.ledger == LedgerSwitch::Off && !why.is_unsafe() => {
            warn!("nothing is kept across restarts: STATE_DIR {why}");
            Ok(None)
        }
        Err(why) => Err(why.into()),
    }
}

/// A second runtime on one ledger is one too many for good.
pub(super) fn not_opened(why: &LedgerError) -> Exit {
    let without = if why.is_of_the_place() { WITHOUT_A_LEDGER } else { "" };
    error!("not started: {why}{without}");
    if matches!(why, LedgerError::Locked { .. }) { Exit::Foreign } else { Exit::Failed }
}

/// The sessions that an earlier process has issued, where the ledger is; without a place to write they are only
/// remembered.
pub(super) fn open_sessions(settings: &Settings, folder: Option<&Arc<Folder>>, ledger: &Ledger) -> Sessions {
    let account = AccountId::new(&settings.account.id);
    let Some(folder) = folder.filter(|_| ledger.state().off.is_none()) else {
        return Sessions::in_memory(account);
    };
    let sessions = Sessions::open(folder, account, SystemClock.now());
    if let Some(why) = sessions.off() {
        warn!("agents are unknown after a restart until something is delivered to them: {why}");
    }
    sessions
}
