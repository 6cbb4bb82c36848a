//! How conversations are named at the gateway: chosen at the first turn of this `STATE_DIR`, and kept in a file.

use log::warn;

use super::file::KEY;
use mcr_core::gateway::SessionNames;
use mcr_files::Folder;

const FILE: &str = "conversation-names";

/// The choice of an earlier process, or `None` if no turn was sent yet. Call it before [`super::Sessions::open`], which
/// creates the key file that marks an older folder.
pub fn chosen(folder: &Folder) -> Option<SessionNames> {
    let text = folder.read(FILE).map(|text| text.map(|text| String::from_utf8_lossy(&text).into_owned()));
    match text {
        Ok(Some(text)) if text.trim() == word(None) => None,
        Ok(Some(text)) if text.trim() == word(Some(SessionNames::Kept)) => Some(SessionNames::Kept),
        // A folder without this file is new, or (with a session key) from an earlier version, which renamed
        // conversations.
        Ok(None) if matches!(folder.check(KEY), Ok(None)) => {
            write(folder, None);
            None
        }
        Ok(_) | Err(_) => Some(SessionNames::Renamed),
    }
}

/// Stores the choice for later processes.
pub fn keep(folder: &Folder, names: SessionNames) {
    write(folder, Some(names));
}

fn word(names: Option<SessionNames>) -> &'static str {
    match names {
        None => "open",
        Some(SessionNames::Kept) => "kept",
        Some(SessionNames::Renamed) => "renamed",
    }
}

fn write(folder: &Folder, names: Option<SessionNames>) {
    if let Err(why) = folder.write(FILE, format!("{}\n", word(names)).as_bytes()) {
        warn!(
            file:% = folder.path().join(FILE).display(), reason:% = why;
            "The names of sessions cannot be written: if the gateway's number of agents changes, conversations may start \
             anew after a restart"
        );
    }
}
