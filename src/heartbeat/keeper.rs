//! The wakes and events on the disk: one file, written as a whole before anybody is told that something was taken.
//!
//! There are two locks. Who looks, or changes what is remembered, never waits for the disk. Who has changed something
//! waits until it is written: the first writes for all who wait behind it, so that a slow disk is written to as often as
//! it can be, and not once for each of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::{info, warn};

use super::wake::Wakes;
use crate::clock::Millis;
use crate::model::AccountId;

/// Its name in `STATE_DIR`.
pub const FILE: &str = "wakes.json";

/// Larger than everything that may wait for some thousand agents.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What waits, and where it is written down.
pub struct Keeper {
    inside: Mutex<Inside>,
    disk: Mutex<Disk>,
}

struct Inside {
    wakes: Wakes,
    /// Why it will not survive a restart, if so.
    off: Option<String>,
}

struct Disk {
    /// None where it is only remembered.
    path: Option<PathBuf>,
    /// How many of the changes are written.
    written: u64,
}

impl Keeper {
    /// With what an earlier process has left of this account in this directory. A file that cannot be understood is put
    /// aside.
    pub fn open(directory: &Path, account: &AccountId, now: Millis) -> Self {
        let path = directory.join(FILE);
        let found = read(&path).map_err(|why| format!("cannot be read ({why})")).and_then(|text| {
            let understood = text.map(|text| Wakes::recall(&text, account, now).ok_or(()));
            understood.transpose().map_err(|()| "is damaged, or of another account".to_owned())
        });
        let wakes = found.unwrap_or_else(|why| {
            let aside = path.with_extension("damaged");
            warn!(
                "{} {why}: the events in it wait no longer, and it is put aside as {}",
                path.display(),
                aside.display()
            );
            // If that fails it is written over, which is all that could be done with it.
            let _ = fs::rename(&path, aside);
            None
        });
        let wakes = wakes.unwrap_or_else(|| Wakes::of(account));
        match wakes.figures().waiting {
            0 => {}
            waiting => info!("events that an earlier process has taken and no agent has seen: {waiting}"),
        }
        Self::with(wakes, Some(path), None)
    }

    /// Only remembered, for this reason.
    pub fn in_memory(account: &AccountId, why: String) -> Self {
        Self::with(Wakes::of(account), None, Some(why))
    }

    fn with(wakes: Wakes, path: Option<PathBuf>, off: Option<String>) -> Self {
        let inside = Mutex::new(Inside { wakes, off });
        Self { inside, disk: Mutex::new(Disk { path, written: 0 }) }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads something.
    pub fn look<T>(&self, look: impl FnOnce(&Wakes) -> T) -> T {
        look(&self.inside().wakes)
    }

    /// Why what waits will not survive a restart, if so.
    pub fn off(&self) -> Option<String> {
        self.inside().off.clone()
    }

    /// Changes something, and comes back once it is written down, if it has changed; and whether it will survive a restart.
    /// Where nothing can be written it still works, as long as the process lives.
    pub fn change<T>(&self, change: impl FnOnce(&mut Wakes) -> T) -> (T, bool) {
        let mut inside = self.inside();
        let result = change(&mut inside.wakes);
        let changes = inside.wakes.changes();
        drop(inside);
        (result, self.writes(changes))
    }

    /// Waits until so many changes are written.
    fn writes(&self, changes: u64) -> bool {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = disk.path.clone() else { return false };
        if disk.written >= changes {
            return self.off().is_none();
        }
        let (text, changes) = {
            let inside = self.inside();
            (inside.wakes.stored(), inside.wakes.changes())
        };
        let failed = write(&path, text.as_bytes()).err();
        let off = failed.map(|why| format!("{} cannot be written ({why})", path.display()));
        if off.is_none() {
            disk.written = changes;
        }
        let before = std::mem::replace(&mut self.inside().off, off.clone());
        match (&before, &off) {
            (None, Some(why)) => warn!("{why}: events that wait for agents are kept in memory only"),
            (Some(_), None) => info!("{} is written again: what waits is kept", path.display()),
            _ => {}
        }
        off.is_none()
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::metadata(path) {
        Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(why) => Err(why),
        Ok(facts) if !facts.is_file() || facts.len() > BYTES_MAX => Err(io::ErrorKind::InvalidData.into()),
        Ok(_) => fs::read(path).map(|bytes| Some(String::from_utf8_lossy(&bytes).into_owned())),
    }
}

/// Writes the file as a whole, or not at all; only its owner can read it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().mode(0o600).write(true).create(true).truncate(true).open(&beside)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // The new name is only then on the disk.
    File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
}
