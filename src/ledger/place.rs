//! Where the ledger lies: a directory that one process at a time has, files that only their owner can read, and what
//! becomes of a damaged one.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::entry::{Found, Image};
use super::error::LedgerError;
use crate::clock::Millis;
use crate::model::NotificationId;

const DATABASE: &str = "ledger.sqlite";
const MARK: &str = "ledger.mark";
const LOCK: &str = "ledger.lock";
const HANDS: &str = "ledger.hands";
/// What belongs to a database besides its own file.
const LOG: &str = "-wal";
const INDEX: &str = "-shm";
/// How often, and at what distance, it is looked whether somebody who has the lock only looks.
const LOOKS: usize = 5;
const LOOK: Duration = Duration::from_millis(10);
/// The beginning and the end of the names of those that were set aside; between them the time.
const ASIDE: (&str, &str) = ("ledger.damaged-", ".sqlite");

/// The directory, while it is ours.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    lock: File,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Closing is not enough: a process that is being started elsewhere has the file open for a moment, too.
        let _ = self.lock.unlock();
    }
}

/// Makes the directory where there is none, for its owner alone.
pub fn make(directory: &Path) -> Result<(), LedgerError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|why| LedgerError::File { path: directory.to_owned(), what: "made", why })
}

/// Makes the directory where there is none, and takes it.
pub(super) fn claim(directory: &Path) -> Result<Place, LedgerError> {
    let failed = |path: &Path, what| {
        let path = path.to_owned();
        move |why| LedgerError::File { path, what, why }
    };
    make(directory)?;
    let path = directory.join(LOCK);
    let mut lock = open_ours(&path).map_err(failed(&path, "opened"))?;
    match taken(&lock) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut by = String::new();
            // Who it is, is only for the sentence.
            let _ = lock.read_to_string(&mut by);
            return Err(LedgerError::Locked { directory: directory.to_owned(), by: by.trim().parse().ok() });
        }
        Err(TryLockError::Error(why)) => return Err(failed(&path, "locked")(why)),
    }
    let said = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
    // A full disk keeps the lock all the same.
    drop(said);
    Ok(Place { directory: directory.to_owned(), lock })
}

/// Takes the lock. A command that only looks whose it is has it for an instant.
fn taken(lock: &File) -> Result<(), TryLockError> {
    for _ in 0..LOOKS {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOOK),
            done => return done,
        }
    }
    lock.try_lock()
}

/// The process that has the ledger in this directory, if one has it and says so.
pub fn owner(directory: &Path) -> Option<u32> {
    let mut lock = File::open(directory.join(LOCK)).ok()?;
    if lock.try_lock_shared().is_ok() {
        return None;
    }
    let mut by = String::new();
    lock.read_to_string(&mut by).ok()?;
    by.trim().parse().ok()
}

/// Opens a file for reading and writing, made where there is none; its owner's alone, whatever the directory allows.
pub(super) fn open_ours(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let mut permissions = file.metadata()?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(0o600);
        file.set_permissions(permissions)?;
    }
    Ok(file)
}

impl Place {
    /// The database file: ours, there, and its name on the disk. What SQLite puts beside it gets the same mode.
    pub(super) fn database(&self) -> Result<PathBuf, LedgerError> {
        let path = self.directory.join(DATABASE);
        let made = open_ours(&path).and_then(|_| File::open(&self.directory)?.sync_all());
        made.map_err(|why| LedgerError::File { path: path.clone(), what: "opened", why })?;
        Ok(path)
    }

    /// The file of the mark.
    pub(super) fn mark(&self) -> PathBuf {
        self.directory.join(MARK)
    }

    /// The file of what a process has in hand.
    pub(super) fn hands(&self) -> PathBuf {
        self.directory.join(HANDS)
    }

    /// When a ledger was last set aside here.
    pub(super) fn last_set_aside(&self) -> Option<Millis> {
        last_set_aside(&self.directory)
    }
}

/// Whether there is a ledger in this directory.
pub fn is_in(directory: &Path) -> bool {
    database_in(directory).exists()
}

/// When a ledger was last set aside in this directory.
pub fn last_set_aside(directory: &Path) -> Option<Millis> {
    let entries = fs::read_dir(directory).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.strip_prefix(ASIDE.0)?.strip_suffix(ASIDE.1)?.parse().ok()).max().map(Millis)
}

/// The database file in a directory.
pub(super) fn database_in(directory: &Path) -> PathBuf {
    directory.join(DATABASE)
}

/// A ledger that was set aside.
#[derive(Clone, Debug)]
pub struct SetAside {
    /// Where it lies now.
    pub file: PathBuf,
    /// The deliveries in it that were under way, or of which that is not known; as far as it can be read.
    pub known: Vec<NotificationId>,
}

/// Puts a damaged ledger aside, under the time, so that a new one can begin. This gives up what it knew: a delivery
/// that was under way in it would begin anew, so whoever calls this sees to those that are older
/// ([`Opened::set_aside`](super::Opened::set_aside)).
pub fn set_aside(directory: &Path, now: Millis) -> Result<SetAside, LedgerError> {
    let place = claim(directory)?;
    let from = directory.join(DATABASE);
    let known = legible(&from);
    let to = directory.join(format!("{}{}{}", ASIDE.0, now.0, ASIDE.1));
    // The mark last: as long as it stands without a ledger, none begins here.
    move_if_there(&beside(&from, LOG), &beside(&to, LOG))?;
    move_if_there(&from, &to)?;
    for gone in [beside(&from, INDEX), place.mark()] {
        match fs::remove_file(&gone) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => {
                return Err(LedgerError::File { path: gone, what: "removed", why });
            }
            _ => {}
        }
    }
    // So that the time is known even if the ledger was gone altogether.
    open_ours(&to).and_then(|_| File::open(directory)?.sync_all()).map_err(|why| LedgerError::File {
        path: to.clone(),
        what: "opened",
        why,
    })?;
    Ok(SetAside { file: to, known })
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn move_if_there(from: &Path, to: &Path) -> Result<(), LedgerError> {
    match fs::rename(from, to) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => {
            Err(LedgerError::File { path: from.to_owned(), what: "moved", why })
        }
        _ => Ok(()),
    }
}

/// The same trouble; and if there is a ledger in spite of it, that it is stuck.
pub(super) fn stuck(directory: &Path, why: LedgerError) -> LedgerError {
    let path = directory.join(DATABASE);
    match fs::metadata(&path) {
        Ok(there) if there.len() > 0 => {
            let (known, whole) = look_at(&path);
            LedgerError::Stuck { why: why.to_string(), known: whole.then_some(known) }
        }
        // Nobody can say what is behind a door that we may not open.
        Err(hidden) if hidden.kind() == io::ErrorKind::PermissionDenied => {
            LedgerError::Stuck { why: why.to_string(), known: None }
        }
        _ => why,
    }
}

/// The ids of all rows that can be read and are not over for certain.
pub(super) fn legible(path: &Path) -> Vec<NotificationId> {
    look_at(path).0
}

/// The same, and whether everything could be read.
fn look_at(path: &Path) -> (Vec<NotificationId>, bool) {
    let mut known = Vec::new();
    let mut illegible = 0;
    let log = fs::metadata(beside(path, LOG)).map_or(0, |log| log.len());
    // Without a log nothing has to be put beside it, which may be impossible here.
    let escaped = path.display().to_string().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let address = format!("file:{escaped}?immutable=1");
    let name = if log == 0 { PathBuf::from(address) } else { path.to_owned() };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let looked = Connection::open_with_flags(name, flags).and_then(|database| {
        let tables = "SELECT count(*) FROM sqlite_schema";
        if database.query_row(tables, [], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(());
        }
        let mut select = database.prepare(&format!("SELECT {} FROM deliveries", Image::COLUMNS))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            match Found::read(row) {
                Ok((Found::Whole(image), _)) if image.closed.is_some() => {}
                Ok((Found::Whole(Image { id, .. }) | Found::Damaged { id, .. }, _)) => {
                    known.push(NotificationId::new(id));
                }
                Err(_) => illegible += 1,
            }
        }
        Ok(())
    });
    (known, looked.is_ok() && illegible == 0)
}
