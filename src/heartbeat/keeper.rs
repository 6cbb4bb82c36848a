//! The wakes and events on the disk: one file, written as a whole before anybody is told that something was taken.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::warn;

use super::wake::Wakes;
use crate::clock::Millis;

/// Its name in `STATE_DIR`.
pub const FILE: &str = "wakes.json";

/// Larger than everything that may wait for some thousand agents.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What waits, and where it is written down.
pub struct Keeper {
    path: PathBuf,
    inside: Mutex<Inside>,
}

struct Inside {
    wakes: Wakes,
    /// Whether the last write failed; the log hears of it once.
    failed: bool,
}

impl Keeper {
    /// With what an earlier process has left in this directory. A file that cannot be understood is put aside.
    pub fn open(directory: &Path, now: Millis) -> Self {
        let path = directory.join(FILE);
        let wakes = match read(&path) {
            Ok(Some(text)) => Wakes::recall(&text, now).unwrap_or_else(|| {
                let aside = path.with_extension("damaged");
                warn!("{} cannot be understood and is put aside: waiting events are lost", path.display());
                // If that fails it is written over, which is all that could be done with it.
                let _ = fs::rename(&path, aside);
                Wakes::default()
            }),
            Ok(None) => Wakes::default(),
            Err(why) => {
                warn!("{} cannot be read ({why}): waiting events are lost", path.display());
                Wakes::default()
            }
        };
        Self { path, inside: Mutex::new(Inside { wakes, failed: false }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads something.
    pub fn look<T>(&self, look: impl FnOnce(&Wakes) -> T) -> T {
        look(&self.lock().wakes)
    }

    /// Changes something, and writes it down if it has changed. Where nothing can be written it still works, as long
    /// as the process lives.
    pub fn change<T>(&self, change: impl FnOnce(&mut Wakes) -> T) -> T {
        let mut inside = self.lock();
        let before = inside.wakes.clone();
        let result = change(&mut inside.wakes);
        if inside.wakes != before {
            let written = write(&self.path, inside.wakes.stored().as_bytes());
            if let (Err(why), false) = (&written, inside.failed) {
                warn!(
                    "{} cannot be written ({why}): waiting events are kept in memory only",
                    self.path.display()
                );
            }
            inside.failed = written.is_err();
        }
        result
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
