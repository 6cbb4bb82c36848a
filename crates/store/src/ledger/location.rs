//! The location of the ledger: a folder that one process at a time has locked, with files that only their owner can
//! read. A damaged ledger is set aside in the same folder.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::active_file::LastProcess;
use super::commit_marker;
use super::error::LedgerError;
use super::image::{Found, Image};
use mcr_core::work::{Source, WorkId};
use mcr_files::Folder;
use mcr_model::clock::Millis;

const DATABASE: &str = "ledger.sqlite";
const MARK: &str = "ledger.mark";
const LOCK: &str = "ledger.lock";
const ACTIVE: &str = "ledger.hands";
/// Suffixes of the files that SQLite puts next to the database.
const LOG: &str = "-wal";
const INDEX: &str = "-shm";
const JOURNAL: &str = "-journal";
/// How often, and at which interval, a taken lock is tried again: a command that only checks the lock has it for a
/// moment.
const LOOKS: usize = 5;
const LOOK: Duration = Duration::from_millis(10);
/// Prefix and suffix of the name of a ledger that was set aside. Between them is the time.
const ASIDE: (&str, &str) = ("ledger.damaged-", ".sqlite");

/// The folder, while this process has its lock.
#[derive(Debug)]
pub(super) struct LedgerLocation {
    folder: Arc<Folder>,
    lock: File,
    /// Opened before SQLite opens the file and closed after it: closing it in between would release SQLite's locks.
    database: OnceLock<File>,
}

impl Drop for LedgerLocation {
    fn drop(&mut self) {
        self.release();
    }
}

/// Takes the lock of the folder.
pub(super) fn claim(folder: &Arc<Folder>) -> Result<LedgerLocation, LedgerError> {
    let mut lock = folder.open_for_writing(LOCK).map_err(failed(folder, LOCK, "opened"))?;
    match taken(&lock) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut by = String::new();
            // The process id is only for the error's sentence.
            let _ = lock.read_to_string(&mut by);
            return Err(LedgerError::Locked {
                directory: folder.path().to_owned(),
                by: by.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(why)) => return Err(failed(folder, LOCK, "locked")(why)),
    }
    let said = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
    // The lock is taken even if a full disk prevents this write.
    drop(said);
    Ok(LedgerLocation { folder: folder.clone(), lock, database: OnceLock::new() })
}

/// The error of an operation on a file of the folder.
fn failed(folder: &Folder, name: &str, what: &'static str) -> impl FnOnce(io::Error) -> LedgerError {
    let path = folder.path().join(name);
    move |why| LedgerError::File { path, what, why }
}

/// Takes the lock. A command that only looks up its owner has the lock for a moment.
fn taken(lock: &File) -> Result<(), TryLockError> {
    for _ in 0..LOOKS {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOOK),
            done => return done,
        }
    }
    lock.try_lock()
}

/// The id of the process that has locked the ledger in this folder, if the lock file has it.
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
    /// Creates the database file if needed, as a private file with its name synced to the disk. SQLite gives its other
    /// files the same mode.
    pub(super) fn database(&self) -> Result<PathBuf, LedgerError> {
        let made = self.folder.open_for_writing(DATABASE).and_then(|file| {
            self.folder.sync()?;
            Ok(file)
        });
        let file = made.map_err(failed(&self.folder, DATABASE, "opened"))?;
        // Set once, when the database is opened.
        let _ = self.database.set(file);
        let path = database_in(&self.folder).map_err(failed(&self.folder, DATABASE, "opened"))?;
        path.ok_or_else(|| failed(&self.folder, DATABASE, "opened")(io::ErrorKind::NotFound.into()))
    }

    /// How many commits the database must have.
    pub(super) fn promised(&self) -> i64 {
        promised_in(&self.folder)
    }

    /// The file of the commit marker.
    pub(super) fn mark(&self) -> Result<File, LedgerError> {
        self.folder.open_for_writing(MARK).map_err(failed(&self.folder, MARK, "opened"))
    }

    /// Why the path of the folder no longer leads to this ledger: the ledger was moved, deleted or replaced.
    pub(super) fn displaced(&self) -> Option<String> {
        let database = self.database.get().map(|file| (DATABASE, file));
        self.folder.displaced([(LOCK, &self.lock)].into_iter().chain(database))
    }

    /// The file of the deliveries that this process works on.
    pub(super) fn active_file(&self) -> Result<File, LedgerError> {
        self.folder.open_for_writing(ACTIVE).map_err(failed(&self.folder, ACTIVE, "opened"))
    }

    /// What that file says about the last process; nothing if it cannot be read.
    pub(super) fn last_process(&self) -> LastProcess {
        // Opening would create an absent file.
        let Some(content) = self.folder.read(ACTIVE).ok().flatten() else { return LastProcess::default() };
        self.active_file().map(|file| LastProcess::read(&content, &file)).unwrap_or_default()
    }

    /// When a ledger was last set aside in this folder.
    pub(super) fn last_set_aside(&self) -> Option<Millis> {
        last_set_aside(&self.folder)
    }

    /// Releases the lock, so that another process may take the folder.
    pub(super) fn release(&self) {
        // Closing the file is not enough: a child process that is just being started has the file open for a moment
        // too.
        let _ = self.lock.unlock();
    }
}

/// Whether this folder has a ledger, or the mark of a lost one.
pub fn is_in(folder: &Folder) -> bool {
    [DATABASE, MARK].iter().any(|name| !matches!(folder.check(name), Ok(None)))
}

/// How many commits the ledger of this folder must have; 0 if the mark cannot be read.
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

/// The database file in a folder, if there is one. Checks that it and the files next to it are private to their owner.
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
    /// Its current path.
    pub file: PathBuf,
    /// Its deliveries that were under way, or whose state is unknown, as far as the file can be read.
    pub known: Vec<WorkId>,
}

/// Renames a damaged ledger with the current time, so that a new ledger can start. The records in it are given up: a
/// delivery that was under way would start again from the beginning. The caller must therefore handle work that is
/// older than this ([`Opened::set_aside`](super::Opened::set_aside)).
pub fn set_aside(folder: &Arc<Folder>, now: Millis) -> Result<SetAside, LedgerError> {
    let _place = claim(folder)?;
    let from = database_in(folder).map_err(failed(folder, DATABASE, "opened"))?;
    let known = from.as_deref().map(readable_ids).unwrap_or_default();
    let to = format!("{}{}{}", ASIDE.0, now.0, ASIDE.1);
    // The mark goes last: while a mark exists without its ledger, no new ledger starts here.
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
    // Created if missing, so that the time is known even if there was no database left.
    let made = folder.open_for_writing(&to).and_then(|_| folder.sync());
    made.map_err(failed(folder, &to, "opened"))?;
    Ok(SetAside { file: folder.path().join(to), known })
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Returns `why`, or [`LedgerError::Stuck`] if the folder has a ledger nevertheless. Listed deliveries that only wait
/// do not count, because Mission Control lists them again.
pub(super) fn stuck(folder: &Folder, why: LedgerError) -> LedgerError {
    let known = match database_in(folder) {
        Ok(None) => return why,
        Ok(Some(path)) if fs::metadata(&path).is_ok_and(|there| there.len() == 0) => return why,
        Ok(Some(path)) => {
            let (known, whole) = look_at(&path, is_listed_again);
            whole.then_some(known)
        }
        // The content of a file that cannot be read is unknown.
        Err(_) => None,
    };
    LedgerError::Stuck { why: Box::new(why), known }
}

/// Whether a service without a ledger may use this folder: not while the folder has deliveries under way.
pub fn may_be_off(folder: &Folder) -> Result<(), LedgerError> {
    let found = stuck(folder, LedgerError::Off);
    if found.is_of_the_place() { Ok(()) } else { Err(found) }
}

fn is_listed_again(image: &Image) -> bool {
    image.read().is_ok_and(|row| row.record.only_waits() && row.work.source() == Source::Listed)
}

/// The ids of all readable rows that are not certainly closed.
pub(super) fn readable_ids(path: &Path) -> Vec<WorkId> {
    look_at(path, |_| false).0
}

/// Like [`readable_ids`], without the rows to leave out. Also returns whether every row could be read.
fn look_at(path: &Path, leave_out: impl Fn(&Image) -> bool) -> (Vec<WorkId>, bool) {
    let mut known = Vec::new();
    let mut unreadable = 0;
    let log = fs::metadata(beside(path, LOG)).map_or(0, |log| log.len());
    // Without a log SQLite can open the file as immutable and creates no other file, which may be impossible here.
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
            match Found::read(&database, row) {
                Ok((Found::Whole(image), _)) if image.closed.is_some() || leave_out(&image) => {}
                Ok((found, _)) => known.push(WorkId::new(found.id())),
                Err(_) => unreadable += 1,
            }
        }
        Ok(())
    });
    (known, looked.is_ok() && unreadable == 0)
}
