//! Where the ledger lies: a folder that one process at a time has, files that only their owner can read, and what
//! becomes of a damaged one.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::commit_marker;
use super::entry::{Found, Image};
use super::error::LedgerError;
use mcr_core::work::{Source, WorkId};
use mcr_files::Folder;
use mcr_model::clock::Millis;

const DATABASE: &str = "ledger.sqlite";
const MARK: &str = "ledger.mark";
const LOCK: &str = "ledger.lock";
const HANDS: &str = "ledger.hands";
/// What belongs to a database besides its own file.
const LOG: &str = "-wal";
const INDEX: &str = "-shm";
const JOURNAL: &str = "-journal";
/// How often, and at what distance, it is looked whether somebody who has the lock only looks.
const LOOKS: usize = 5;
const LOOK: Duration = Duration::from_millis(10);
/// The beginning and the end of the names of those that were set aside; between them the time.
const ASIDE: (&str, &str) = ("ledger.damaged-", ".sqlite");

/// The folder, while its lock is ours.
#[derive(Debug)]
pub(super) struct LedgerLocation {
    folder: Arc<Folder>,
    lock: File,
    /// Opened before SQLite opens the file and closed after: closing it in between would release SQLite's locks.
    database: OnceLock<File>,
}

impl Drop for LedgerLocation {
    fn drop(&mut self) {
        self.release();
    }
}

/// Takes the folder.
pub(super) fn claim(folder: &Arc<Folder>) -> Result<LedgerLocation, LedgerError> {
    let mut lock = folder.open_for_writing(LOCK).map_err(failed(folder, LOCK, "opened"))?;
    match taken(&lock) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut by = String::new();
            // Who it is, is only for the sentence.
            let _ = lock.read_to_string(&mut by);
            return Err(LedgerError::Locked {
                directory: folder.path().to_owned(),
                by: by.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(why)) => return Err(failed(folder, LOCK, "locked")(why)),
    }
    let said = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
    // A full disk keeps the lock all the same.
    drop(said);
    Ok(LedgerLocation { folder: folder.clone(), lock, database: OnceLock::new() })
}

/// What became of a file of the folder.
fn failed(folder: &Folder, name: &str, what: &'static str) -> impl FnOnce(io::Error) -> LedgerError {
    let path = folder.path().join(name);
    move |why| LedgerError::File { path, what, why }
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

/// The process that has the ledger in this folder, if one has it and says so.
pub fn owner(folder: &Folder) -> Option<u32> {
    let mut lock = folder.open_for_reading(LOCK).ok()??;
    if lock.try_lock_shared().is_ok() {
        return None;
    }
    let mut by = String::new();
    lock.read_to_string(&mut by).ok()?;
    by.trim().parse().ok()
}

impl LedgerLocation {
    /// The database file: there, a private file, and its name on the disk. What SQLite puts beside it gets the same mode.
    pub(super) fn database(&self) -> Result<PathBuf, LedgerError> {
        let made = self.folder.open_for_writing(DATABASE).and_then(|file| {
            self.folder.sync()?;
            Ok(file)
        });
        let file = made.map_err(failed(&self.folder, DATABASE, "opened"))?;
        // It is set once, by the one who opens the book.
        let _ = self.database.set(file);
        let path = database_in(&self.folder).map_err(failed(&self.folder, DATABASE, "opened"))?;
        path.ok_or_else(|| failed(&self.folder, DATABASE, "opened")(io::ErrorKind::NotFound.into()))
    }

    /// How many commits must be there.
    pub(super) fn promised(&self) -> i64 {
        promised_in(&self.folder)
    }

    /// The file of the mark.
    pub(super) fn mark(&self) -> Result<File, LedgerError> {
        self.folder.open_for_writing(MARK).map_err(failed(&self.folder, MARK, "opened"))
    }

    /// Why the path of the folder no longer leads to this ledger, if so: it was moved, deleted or replaced.
    pub(super) fn displaced(&self) -> Option<String> {
        let database = self.database.get().map(|file| (DATABASE, file));
        self.folder.displaced([(LOCK, &self.lock)].into_iter().chain(database))
    }

    /// The file of what a process has in hand.
    pub(super) fn hands(&self) -> Result<File, LedgerError> {
        self.folder.open_for_writing(HANDS).map_err(failed(&self.folder, HANDS, "opened"))
    }

    /// The text of that file. One that cannot be read says nothing.
    pub(super) fn hands_text(&self) -> Vec<u8> {
        self.folder.read(HANDS).ok().flatten().unwrap_or_default()
    }

    /// When a ledger was last set aside here.
    pub(super) fn last_set_aside(&self) -> Option<Millis> {
        last_set_aside(&self.folder)
    }

    /// Another process may take the folder.
    pub(super) fn release(&self) {
        // Closing is not enough: a process that is being started elsewhere has the file open for a moment, too.
        let _ = self.lock.unlock();
    }
}

/// Whether there is a ledger in this folder, or the mark of one that is lost.
pub fn is_in(folder: &Folder) -> bool {
    [DATABASE, MARK].iter().any(|name| !matches!(folder.check(name), Ok(None)))
}

/// How many commits must be in the ledger of this folder. A mark that cannot be read says nothing.
pub(super) fn promised_in(folder: &Folder) -> i64 {
    commit_marker::read(&folder.read(MARK).ok().flatten().unwrap_or_default())
}

/// When a ledger was last set aside in this folder.
pub fn last_set_aside(folder: &Folder) -> Option<Millis> {
    let names = folder.names().ok()?;
    names
        .iter()
        .filter_map(|name| name.strip_prefix(ASIDE.0)?.strip_suffix(ASIDE.1)?.parse().ok())
        .max()
        .map(Millis)
}

/// The database file in a folder, if there is one: it and the files beside it are private files of the owner.
pub(super) fn database_in(folder: &Folder) -> io::Result<Option<PathBuf>> {
    for end in [LOG, INDEX, JOURNAL] {
        let name = format!("{DATABASE}{end}");
        folder.check(&name).map_err(|why| io::Error::other(format!("{name}: {why}")))?;
    }
    let there = folder.check(DATABASE)?;
    Ok(there.map(|_| folder.real_path()).transpose()?.map(|real| real.join(DATABASE)))
}

/// A ledger that was set aside.
#[derive(Clone, Debug)]
pub struct SetAside {
    /// Where it lies now.
    pub file: PathBuf,
    /// The deliveries in it that were under way, or of which that is not known; as far as it can be read.
    pub known: Vec<WorkId>,
}

/// Puts a damaged ledger aside, under the time, so that a new one can begin. This gives up what it knew: a delivery
/// that was under way in it would begin anew, so whoever calls this sees to those that are older
/// ([`Opened::set_aside`](super::Opened::set_aside)).
pub fn set_aside(folder: &Arc<Folder>, now: Millis) -> Result<SetAside, LedgerError> {
    let _place = claim(folder)?;
    let from = database_in(folder).map_err(failed(folder, DATABASE, "opened"))?;
    let known = from.as_deref().map(legible).unwrap_or_default();
    let to = format!("{}{}{}", ASIDE.0, now.0, ASIDE.1);
    // The mark last: as long as it stands without a ledger, none begins here.
    for end in [LOG, ""] {
        let from = format!("{DATABASE}{end}");
        match folder.rename(&from, &format!("{to}{end}")) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => {
                return Err(failed(folder, &from, "moved")(why));
            }
            _ => {}
        }
    }
    for gone in [&format!("{DATABASE}{INDEX}"), MARK] {
        folder.remove(gone).map_err(failed(folder, gone, "removed"))?;
    }
    // So that the time is known even if the ledger was gone altogether.
    let made = folder.open_for_writing(&to).and_then(|_| folder.sync());
    made.map_err(failed(folder, &to, "opened"))?;
    Ok(SetAside { file: folder.path().join(to), known })
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// The same trouble; and if there is a ledger in spite of it, that it is stuck. Listed deliveries that only wait do not
/// count: Mission Control lists them again.
pub(super) fn stuck(folder: &Folder, why: LedgerError) -> LedgerError {
    let known = match database_in(folder) {
        Ok(None) => return why,
        Ok(Some(path)) if fs::metadata(&path).is_ok_and(|there| there.len() == 0) => return why,
        Ok(Some(path)) => {
            let (known, whole) = look_at(&path, is_listed_again);
            whole.then_some(known)
        }
        // What is in a file that cannot be read is not known.
        Err(_) => None,
    };
    LedgerError::Stuck { why: Box::new(why), known }
}

fn is_listed_again(image: &Image) -> bool {
    image.read().is_ok_and(|row| row.record.only_waits() && row.work.source() == Source::Listed)
}

/// The ids of all rows that can be read and are not over for certain.
pub(super) fn legible(path: &Path) -> Vec<WorkId> {
    look_at(path, |_| false).0
}

/// The same without those to be left out, and whether everything could be read.
fn look_at(path: &Path, leave_out: impl Fn(&Image) -> bool) -> (Vec<WorkId>, bool) {
    let mut known = Vec::new();
    let mut illegible = 0;
    let log = fs::metadata(beside(path, LOG)).map_or(0, |log| log.len());
    // Without a log nothing has to be put beside it, which may be impossible here.
    let escaped = path.display().to_string().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let address = format!("file:{escaped}?immutable=1");
    let name = if log == 0 { PathBuf::from(address) } else { path.to_owned() };
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let looked = Connection::open_with_flags(name, flags).and_then(|database| {
        let tables = "SELECT count(*) FROM sqlite_schema";
        if database.query_row(tables, [], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(());
        }
        let mut select = database.prepare(&format!("SELECT {} FROM deliveries", Image::COLUMNS))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            match Found::read(row) {
                Ok((Found::Whole(image), _)) if image.closed.is_some() || leave_out(&image) => {}
                Ok((found, _)) => known.push(WorkId::new(found.id())),
                Err(_) => illegible += 1,
            }
        }
        Ok(())
    });
    (known, looked.is_ok() && illegible == 0)
}
