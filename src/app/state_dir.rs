//! The operators' files in `STATE_DIR`, next to the ledger: the requests' token, the pauses, and the running
//! service's address.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use mcr_core::ops::Paused;
use mcr_files::{Access, Folder, FolderError};
use mcr_model::clock::Millis;
use mcr_model::random;
use mcr_model::secret::Secret;
use mcr_store::ledger;

/// The operators' token. If it is removed, the next start makes a new one.
const TOKEN: &str = "operator-token";
/// The paused agents.
const PAUSED: &str = "paused.json";
/// The address of the service that runs now, or ran last.
const RUNNING: &str = "running.json";

/// The shortest token that cannot be guessed.
const TOKEN_CHARS: usize = 16;

/// The beginnings of the names of all files that the service reads or writes here.
pub(super) const OUR_FILES: [&str; 8] =
    ["ledger.", TOKEN, "paused.", "running.", "sessions.", "turns.", "upgrade.", "wakes."];

/// The folder, as commands and the service use it.
#[derive(Clone, Debug)]
pub(super) struct StateDir {
    path: PathBuf,
    /// The service keeps it open. A command opens it each time.
    folder: Option<Arc<Folder>>,
}

/// Opens the folder for the service: owned by its user, with private files only. Creates it if it is missing.
pub(super) fn claim(path: &Path) -> Result<Arc<Folder>, FolderError> {
    let folder = Folder::make(path, Access::Owner)?;
    folder.check_all(&OUR_FILES)?;
    Ok(Arc::new(folder))
}

/// The address of a service.
#[derive(Serialize, Deserialize)]
struct Running {
    process: u32,
    address: String,
}

impl StateDir {
    /// The folder at this path.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), folder: None }
    }

    /// The folder of the running service.
    pub(super) fn of(folder: Arc<Folder>) -> Self {
        Self { path: folder.path().to_owned(), folder: Some(folder) }
    }

    /// The path of the folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn open(
        &self,
        open: fn(&Path, Access) -> Result<Folder, FolderError>,
    ) -> Result<Arc<Folder>, FolderError> {
        match &self.folder {
            Some(folder) => Ok(folder.clone()),
            None => open(&self.path, Access::OwnerOrRoot).map(Arc::new),
        }
    }

    /// The folder, if it exists and may be used.
    pub(super) fn folder(&self) -> Result<Arc<Folder>, FolderError> {
        self.open(Folder::open)
    }

    /// Why nothing can be kept here, if so. A missing folder is no problem: the first start creates it.
    pub(super) fn trouble(&self) -> Option<String> {
        self.folder().err().filter(|why| !why.is_missing()).map(|why| format!("STATE_DIR {why}"))
    }

    /// That only another user may open it, if so: the end of a sentence.
    pub(super) fn closed(&self) -> Option<String> {
        self.folder().err().filter(FolderError::is_closed).and_then(|_| self.existing().err())
    }

    /// The folder, if it exists and may be used. The error is the end of a sentence.
    pub(super) fn existing(&self) -> Result<Arc<Folder>, String> {
        let shown = self.path.display();
        self.folder().map_err(|why| match why {
            why if why.is_closed() => {
                format!("this user may not read STATE_DIR {shown}: run the command as its owner or as root")
            }
            why if why.is_missing() => format!(
                "STATE_DIR {shown} does not exist. Start the service, or set STATE_DIR or --state-dir to the folder of the service"
            ),
            why => format!("STATE_DIR {why}"),
        })
    }

    /// The folder, if it has a ledger or one that was set aside. The error is the end of a sentence.
    pub(super) fn with_ledger(&self) -> Result<Arc<Folder>, String> {
        let (folder, shown) = (self.existing()?, self.path.display());
        if ledger::is_in(&folder) || ledger::last_set_aside(&folder).is_some() {
            return Ok(folder);
        }
        Err(format!(
            "STATE_DIR {shown} contains no ledger. Start the service, or set STATE_DIR or --state-dir to the folder of the service"
        ))
    }

    /// The folder, if it is a state folder or can become one: it contains nothing of another program. The error is the
    /// end of a sentence.
    pub(super) fn own_or_unused(&self) -> Result<Arc<Folder>, String> {
        let is_unused = || {
            let entries = std::fs::read_dir(&self.path);
            entries.is_ok_and(|entries| entries.flatten().all(|entry| entry.file_name() == PAUSED))
        };
        self.with_ledger().or_else(|why| if is_unused() { self.existing() } else { Err(why) })
    }

    /// When a ledger was last set aside here.
    pub(super) fn last_set_aside(&self) -> Option<Millis> {
        ledger::last_set_aside(&*self.folder().ok()?)
    }

    /// The process that holds the ledger, if one does and says so.
    pub(super) fn owner(&self) -> Option<u32> {
        ledger::owner(&*self.folder().ok()?)
    }

    /// Reads a file. `None` if it does not exist.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let folder = match self.folder() {
            Err(why) if why.is_missing() => return Ok(None),
            opened => opened.map_err(|why| format!("STATE_DIR {why}"))?,
        };
        folder.read(name).map_err(|why| self.failed(name, "read", &why))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let folder = self.open(Folder::make).map_err(|why| format!("STATE_DIR {why}"))?;
        folder.write(name, format!("{text}\n").as_bytes()).map_err(|why| self.failed(name, "written", &why))
    }

    fn failed(&self, name: &str, what: &str, why: &io::Error) -> String {
        format!(
            "{} could not be {what} ({why}). Check its permissions and the disk",
            self.path.join(name).display()
        )
    }

    /// The operators' token, if it exists and can be read.
    pub(super) fn token(&self) -> Result<Option<Secret>, String> {
        let Some(content) = self.read(TOKEN)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&content);
        let token = text.trim();
        if token.len() >= TOKEN_CHARS && token.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(Some(Secret::new(token)));
        }
        Err(format!(
            "{} contains no valid operator token. Remove the file: the next start of the service makes a new one",
            self.path.join(TOKEN).display()
        ))
    }

    /// The operators' token, created if it does not exist.
    pub(super) fn token_or_new(&self) -> Result<Secret, String> {
        if let Some(token) = self.token()? {
            return Ok(token);
        }
        let digits = random::hex::<32>();
        if digits.bytes().all(|digit| digit == b'0') {
            return Err("the operating system provides no random numbers, so no operator token can be made"
                .to_owned());
        }
        let token = Secret::new(format!("mc_operator_{digits}"));
        self.write(TOKEN, token.expose())?;
        Ok(token)
    }

    /// The paused agents.
    pub(super) fn paused(&self) -> Paused {
        let Ok(folder) = self.folder() else { return Paused::default() };
        match folder.read(PAUSED) {
            Ok(Some(content)) => Paused::read(&String::from_utf8_lossy(&content)),
            Ok(None) => Paused::default(),
            // A pause that cannot be read may be one of all agents.
            Err(_) => Paused::read(""),
        }
    }

    /// Stores the pauses, which also apply after a restart. Works even before the first start.
    pub(super) fn pause(&self, paused: &Paused) -> Result<(), String> {
        self.write(PAUSED, &paused.to_text())
    }

    /// Stores the address of this process.
    pub(super) fn listens(&self, address: String) -> Result<(), String> {
        let running = Running { process: std::process::id(), address };
        let text = serde_json::to_string(&running).map_err(io::Error::from).map_err(|why| why.to_string())?;
        self.write(RUNNING, &text)
    }

    /// The address of the service that holds this folder, if one does. Our token may be sent only there: any
    /// program may listen where a service listened before.
    pub(super) fn running(&self) -> Option<String> {
        let owner = self.owner()?;
        let content = self.read(RUNNING).ok()??;
        let running: Running = serde_json::from_slice(&content).ok()?;
        (running.process == owner).then_some(running.address)
    }
}
