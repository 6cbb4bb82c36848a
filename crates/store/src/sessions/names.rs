//! How conversations are named at the gateway, as it was chosen at the first turn of this `STATE_DIR`.

use log::warn;

use super::file::KEY;
use mcr_core::gateway::SessionNames;
use mcr_files::Folder;

const FILE: &str = "conversation-names";

/// What an earlier process has chosen; nothing as long as no turn was sent. To be asked before [`super::Sessions::open`].
pub fn chosen(folder: &Folder) -> Option<SessionNames> {
    let text = folder.read(FILE).map(|text| text.map(|text| String::from_utf8_lossy(&text).into_owned()));
    match text {
        Ok(Some(text)) if text.trim() == word(None) => None,
        Ok(Some(text)) if text.trim() == word(Some(SessionNames::Kept)) => Some(SessionNames::Kept),
        // A folder without the file is of an earlier version, which renamed, or it is new.
        Ok(None) if matches!(folder.check(KEY), Ok(None)) => {
            write(folder, None);
            None
        }
        Ok(_) | Err(_) => Some(SessionNames::Renamed),
    }
}

/// Remembers the choice.
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
            "{} cannot be written ({why}): if the number of agents at the gateway changes, conversations may begin anew \
             after a restart",
            folder.path().join(FILE).display()
        );
    }
}
