//! How conversations are named at the gateway, as it was chosen at the first turn of this `STATE_DIR`.

use std::fs;
use std::path::Path;

use log::warn;

use super::book::{KEY, replace};
use crate::gateway::SessionNames;

const FILE: &str = "conversation-names";

/// What an earlier process has chosen; nothing as long as no turn was sent. To be asked before [`super::Sessions::open`].
pub fn chosen(directory: &Path) -> Option<SessionNames> {
    match fs::read_to_string(directory.join(FILE)) {
        Ok(text) if text.trim() == word(None) => None,
        Ok(text) if text.trim() == word(Some(SessionNames::Kept)) => Some(SessionNames::Kept),
        // A directory without the file is of an earlier version, which renamed, or it is new.
        Err(_) if !directory.join(KEY).exists() => {
            write(directory, None);
            None
        }
        Ok(_) | Err(_) => Some(SessionNames::Renamed),
    }
}

/// Remembers the choice.
pub fn keep(directory: &Path, names: SessionNames) {
    write(directory, Some(names));
}

fn word(names: Option<SessionNames>) -> &'static str {
    match names {
        None => "open",
        Some(SessionNames::Kept) => "kept",
        Some(SessionNames::Renamed) => "renamed",
    }
}

fn write(directory: &Path, names: Option<SessionNames>) {
    let path = directory.join(FILE);
    if let Err(why) = replace(&path, format!("{}\n", word(names)).as_bytes()) {
        warn!(
            "{} cannot be written ({why}): if the number of agents at the gateway changes, conversations may begin anew \
             after a restart",
            path.display()
        );
    }
}
