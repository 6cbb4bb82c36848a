//! Wakes and events on the disk: one file, written as a whole before a caller learns that its event was taken.
//!
//! There are two locks. The first guards the queues in memory; it is never held during a write. A caller that changed
//! the queues then waits at the second lock until its change is written. The first waiter writes the changes of all
//! the others. So a slow disk gets one write after another, not one write per caller.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::{info, warn};

use mcr_core::heartbeat::wake::WakeQueues;
use mcr_files::Folder;
use mcr_model::AccountId;
use mcr_model::clock::Millis;

/// The file's name in `STATE_DIR`.
pub const FILE: &str = "wakes.json";

/// The new name of a file that cannot be understood.
const DAMAGED: &str = "wakes.damaged";

/// The largest file that is read. The queues of some thousand agents at their limits are smaller.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Writes the file.
type Write = Box<dyn Fn(&[u8]) -> io::Result<()> + Send>;

/// The queues of waiting events and the file that keeps them.
pub struct Keeper {
    inside: Mutex<KeeperState>,
    disk: Mutex<Disk>,
}

struct KeeperState {
    wakes: WakeQueues,
    /// Why the queues will not survive a restart, if so.
    off: Option<String>,
}

struct Disk {
    /// None if the queues are kept in memory only.
    write: Option<Write>,
    /// How many of the changes are written.
    written: u64,
}

impl Keeper {
    /// Opens the file that an earlier process left for this account in this folder. A file that cannot be understood
    /// is renamed, so that a person can look at it.
    pub fn open(folder: &Arc<Folder>, account: &AccountId, now: Millis) -> Self {
        let found = read(folder).map_err(|why| format!("cannot be read ({why})")).and_then(|text| {
            let understood = text.map(|text| WakeQueues::recall(&text, account, now).ok_or(()));
            understood.transpose().map_err(|()| "is damaged, or of another account".to_owned())
        });
        let wakes = found.unwrap_or_else(|why| {
            warn!(
                file:% = folder.path().join(FILE).display(), reason = why.as_str(), renamed_to = DAMAGED;
                "The file of waiting events is unusable, so its events are lost to their agents"
            );
            // If the rename fails, the next write replaces the file: nothing else can be done with it.
            let _ = folder.rename(FILE, DAMAGED);
            None
        });
        let wakes = wakes.unwrap_or_else(|| WakeQueues::of(account));
        match wakes.figures().waiting {
            0 => {}
            waiting => info!(events = waiting; "Events of an earlier process wait for their agents"),
        }
        let folder = folder.clone();
        Self::with(wakes, Some(Box::new(move |bytes| folder.write(FILE, bytes))), None)
    }

    /// Queues in memory only, for this reason.
    pub fn in_memory(account: &AccountId, why: String) -> Self {
        Self::with(WakeQueues::of(account), None, Some(why))
    }

    /// Queues that this function writes.
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

    /// Reads the queues.
    pub fn read<T>(&self, read: impl FnOnce(&WakeQueues) -> T) -> T {
        read(&self.inside().wakes)
    }

    /// Why waiting events will not survive a restart, if so.
    pub fn off(&self) -> Option<String> {
        self.inside().off.clone()
    }

    /// Changes the queues and returns once the change is written, with whether it will survive a restart. If the file
    /// cannot be written, the queues still work until the process ends.
    pub fn change<T>(&self, change: impl FnOnce(&mut WakeQueues) -> T) -> (T, bool) {
        let mut inside = self.inside();
        let result = change(&mut inside.wakes);
        let changes = inside.wakes.changes();
        drop(inside);
        (result, self.wait_until_written(changes))
    }

    /// Waits until this many changes are written; returns whether they are.
    fn wait_until_written(&self, changes: u64) -> bool {
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
            (None, Some(why)) => warn!(reason = why.as_str(); "Waiting events are kept in memory only"),
            (Some(_), None) => info!("Waiting events are kept in STATE_DIR again"),
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
