//! Where the entries are kept.

use std::fmt;
use std::fs::File;
use std::path::Path;

use mcr_files::{Access, Folder};
use serde::{Deserialize, Serialize};

use super::MachineEntry;

/// The file with the entries.
const FILE: &str = "machines.json";

/// The file whose lock keeps two processes apart.
const LOCK: &str = "lock";

/// The form of the file. A newer one is not read: entries must not get lost.
const FORM: u32 = 1;

/// Keeps the entries, one for each account.
pub trait EntryBook {
    /// All entries.
    fn entries(&self) -> Result<Vec<MachineEntry>, BookError>;

    /// Adds or replaces the entry of an account. When this returns, it survives a crash.
    fn save(&self, entry: &MachineEntry) -> Result<(), BookError>;
}

/// Why the entries cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookError(pub String);

impl fmt::Display for BookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    form: u32,
    machines: Vec<MachineEntry>,
}

/// The entries in a private folder. One process has it at a time.
pub struct FolderBook {
    folder: Folder,
    /// Held until the end.
    _lock: File,
}

impl FolderBook {
    /// Opens the folder, and creates it if it is missing.
    pub fn open(path: &Path) -> Result<Self, BookError> {
        let folder = Folder::make(path, Access::Owner).map_err(|error| BookError(error.to_string()))?;
        let shown = path.display();
        let lock = folder
            .open_for_writing(LOCK)
            .map_err(|why| BookError(format!("{shown}/{LOCK} cannot be opened: {why}")))?;
        lock.try_lock().map_err(|why| {
            BookError(format!("Another process provisions with {shown}: wait until it has ended ({why})"))
        })?;
        Ok(Self { folder, _lock: lock })
    }

    /// The folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    fn failed(&self, what: &str, why: &dyn fmt::Display) -> BookError {
        BookError(format!("{}/{FILE} cannot be {what}: {why}", self.folder.path().display()))
    }
}

impl EntryBook for FolderBook {
    fn entries(&self) -> Result<Vec<MachineEntry>, BookError> {
        let bytes = self.folder.read(FILE).map_err(|why| self.failed("read", &why))?;
        let Some(bytes) = bytes else { return Ok(Vec::new()) };
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|why| self.failed("understood", &why))?;
        if stored.form != FORM {
            let why =
                format!("it has the form {}, this program reads {FORM}; use a newer program", stored.form);
            return Err(self.failed("used", &why));
        }
        Ok(stored.machines)
    }

    fn save(&self, entry: &MachineEntry) -> Result<(), BookError> {
        let mut machines = self.entries()?;
        match machines.iter_mut().find(|known| known.account == entry.account) {
            Some(known) => *known = entry.clone(),
            None => machines.push(entry.clone()),
        }
        let stored = Stored { form: FORM, machines };
        let text = serde_json::to_vec_pretty(&stored).map_err(|why| self.failed("written", &why))?;
        self.folder.write(FILE, &text).map_err(|why| self.failed("written", &why))
    }
}
