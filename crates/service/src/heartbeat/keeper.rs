//! The wakes and events on the disk: one file, written as a whole before anybody is told that something was taken.
//!
//! There are two locks. Who looks, or changes what is remembered, never waits for the disk. Who has changed something
//! waits until it is written: the first writes for all who wait behind it, so that a slow disk is written to as often as
//! it can be, and not once for each of them.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::{info, warn};

use mcr_core::heartbeat::wake::WakeQueues;
use mcr_files::Folder;
use mcr_model::AccountId;
use mcr_model::clock::Millis;

/// Its name in `STATE_DIR`.
pub const FILE: &str = "wakes.json";

/// The name of a file that could not be understood.
const DAMAGED: &str = "wakes.damaged";

/// Larger than everything that may wait for some thousand agents.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Writes the file.
type Write = Box<dyn Fn(&[u8]) -> io::Result<()> + Send>;

/// What waits, and where it is written down.
pub struct Keeper {
    inside: Mutex<KeeperState>,
    disk: Mutex<Disk>,
}

struct KeeperState {
    wakes: WakeQueues,
    /// Why it will not survive a restart, if so.
    off: Option<String>,
}

struct Disk {
    /// None where it is only remembered.
    write: Option<Write>,
    /// How many of the changes are written.
    written: u64,
}

impl Keeper {
    /// With what an earlier process has left of this account in this folder. A file that cannot be understood is put
    /// aside.
    pub fn open(folder: &Arc<Folder>, account: &AccountId, now: Millis) -> Self {
        let found = read(folder).map_err(|why| format!("cannot be read ({why})")).and_then(|text| {
            let understood = text.map(|text| WakeQueues::recall(&text, account, now).ok_or(()));
            understood.transpose().map_err(|()| "is damaged, or of another account".to_owned())
        });
        let wakes = found.unwrap_or_else(|why| {
            let shown = folder.path().display();
            warn!("{shown}/{FILE} {why}: the events in it wait no longer, and it is put aside as {shown}/{DAMAGED}");
            // If that fails it is written over, which is all that could be done with it.
            let _ = folder.rename(FILE, DAMAGED);
            None
        });
        let wakes = wakes.unwrap_or_else(|| WakeQueues::of(account));
        match wakes.figures().waiting {
            0 => {}
            waiting => info!("events that an earlier process has taken and no agent has seen: {waiting}"),
        }
        let folder = folder.clone();
        Self::with(wakes, Some(Box::new(move |bytes| folder.write(FILE, bytes))), None)
    }

    /// Only remembered, for this reason.
    pub fn in_memory(account: &AccountId, why: String) -> Self {
        Self::with(WakeQueues::of(account), None, Some(why))
    }

    /// Written by this function.
    pub fn written_by(account: &AccountId, write: impl Fn(&[u8]) -> io::Result<()> + Send + 'static) -> Self {
        Self::with(WakeQueues::of(account), Some(Box::new(write)), None)
    }

    fn with(wakes: WakeQueues, write: Option<Write>, off: Option<String>) -> Self {
        let inside = Mutex::new(KeeperState { wakes, off });
        Self { inside, disk: Mutex::new(Disk { write, written: 0 }) }
    }

    fn inside(&self) -> MutexGuard<'_, KeeperState> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads something.
    pub fn look<T>(&self, look: impl FnOnce(&WakeQueues) -> T) -> T {
        look(&self.inside().wakes)
    }

    /// Why what waits will not survive a restart, if so.
    pub fn off(&self) -> Option<String> {
        self.inside().off.clone()
    }

    /// Changes something, and comes back once it is written down, if it has changed; and whether it will survive a restart.
    /// Where nothing can be written it still works, as long as the process lives.
    pub fn change<T>(&self, change: impl FnOnce(&mut WakeQueues) -> T) -> (T, bool) {
        let mut inside = self.inside();
        let result = change(&mut inside.wakes);
        let changes = inside.wakes.changes();
        drop(inside);
        (result, self.writes(changes))
    }

    /// Waits until so many changes are written.
    fn writes(&self, changes: u64) -> bool {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        if disk.write.is_none() {
            return false;
        }
        if disk.written >= changes {
            return self.off().is_none();
        }
        let (text, changes) = {
            let inside = self.inside();
            (inside.wakes.stored(), inside.wakes.changes())
        };
        let failed = disk.write.as_ref().and_then(|write| write(text.as_bytes()).err());
        let off = failed.map(|why| format!("{FILE} in STATE_DIR cannot be written ({why})"));
        if off.is_none() {
            disk.written = changes;
        }
        let before = std::mem::replace(&mut self.inside().off, off.clone());
        match (&before, &off) {
            (None, Some(why)) => warn!("{why}: events that wait for agents are kept in memory only"),
            (Some(_), None) => info!("{FILE} in STATE_DIR is written again: what waits is kept"),
            _ => {}
        }
        off.is_none()
    }
}

fn read(folder: &Folder) -> io::Result<Option<String>> {
    match folder.check(FILE)? {
        Some(bytes) if bytes > BYTES_MAX => Err(io::ErrorKind::InvalidData.into()),
        Some(_) | None => Ok(folder.read(FILE)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
    }
}
