//! The SQLite database with one row per delivery. Opening checks all of it; one transaction writes many rows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior, params};

use super::commit_marker::CommitMarker;
use super::error::LedgerError;
use super::image::{Found, Image, sum_of_id};
use super::kept_values::{self, KeptChanges};
use super::location::{LedgerLocation, readable_ids};
use super::long_texts;
use super::step_history::StepHistory;
use super::task_facts::{self, LooseAct};
use mcr_model::LedgerSync;

/// SQLite application id of a ledger (the letters `MCRL`).
const APPLICATION: i64 = 0x4D43_524C;
/// The layout version that this program knows.
const LAYOUT: i64 = 1;

/// The table of the rows. It has no index: all rows are read once at the start, and the entries in memory know their
/// numbers. Nothing can then contradict the rows.
const TABLE: &str = "CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, id_sum INTEGER NOT NULL, account TEXT NOT NULL,
    agent TEXT NOT NULL, task TEXT, row TEXT NOT NULL, record TEXT NOT NULL, first_seen INTEGER NOT NULL,
    not_before INTEGER, closed INTEGER, ended TEXT, story TEXT NOT NULL, written INTEGER NOT NULL,
    sum INTEGER NOT NULL) STRICT";

/// The originals of damaged rows that were overwritten, for people who investigate the damage. Created when needed. The
/// columns have no types, so that the table takes any value.
const ORIGINALS: &str = "CREATE TABLE IF NOT EXISTS originals (
    number, id, id_sum, account, agent, task, row, record, first_seen, not_before, closed, ended, story, written, sum)";

/// Maximum number of originals; the latest are kept.
const ORIGINALS_MAX: i64 = 1_000;

/// Pages after which SQLite moves the log into the file, and the size to which it then cuts the log.
const LOG_PAGES: i64 = 500;
const LOG_BYTES: i64 = 4 * 1024 * 1024;
/// Empty pages kept for later rows, and how many more are returned to the disk in one step.
const SPARE_PAGES: i64 = 256;
const PAGES_BACK: i64 = 64;

/// The open database.
#[derive(Debug)]
pub(super) struct LedgerDatabase {
    database: Connection,
    mark: CommitMarker,
    /// The number of the last commit.
    commits: i64,
    /// The id of the next long text.
    next_text: i64,
    /// Whether a commit that a note waits for is synced.
    full: bool,
    /// Whether SQLite is set to sync the next commit.
    syncs: bool,
    slow: Duration,
}

impl LedgerDatabase {
    /// Opens the database and reads all rows in the order of their numbers. A refused database is left unchanged.
    pub(super) fn open(
        place: &LedgerLocation,
        sync: LedgerSync,
        slow: Duration,
        visit: impl FnMut(Found),
    ) -> Result<Self, LedgerError> {
        let path = place.database()?;
        let full = sync == LedgerSync::Full;
        let promised = place.promised();
        let opened = Self::look_through(&path, promised, visit).map_err(|why| match why {
            LedgerError::Damaged { what, .. } => LedgerError::Damaged { what, known: readable_ids(&path) },
            other => other,
        });
        let (database, commits, next_text) = opened?;
        let mark = CommitMarker::of(place.mark()?, full);
        // All earlier commits are on the disk, because the commit of the layout was synced.
        mark.write(commits);
        Ok(Self { database, mark, commits, next_text, full, syncs: true, slow })
    }

    fn look_through(
        path: &Path,
        promised: i64,
        visit: impl FnMut(Found),
    ) -> Result<(Connection, i64, i64), LedgerError> {
        let mut database =
            Connection::open_with_flags(path, OpenFlags::default() | OpenFlags::SQLITE_OPEN_NOFOLLOW)?;
        // A refused database is evidence, so its log stays as it is.
        database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        // A person who reads the ledger may have a lock for a moment.
        database.busy_timeout(Duration::from_secs(1))?;
        let Examined { is_new, commits, counted } = examine(&database, promised, visit)?;
        // Must be set before the first page is written.
        database.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        database.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        database.pragma_update(None, "synchronous", "FULL")?;
        database.pragma_update(None, "cache_size", -1_000)?;
        database.pragma_update_and_check(None, "wal_autocheckpoint", LOG_PAGES, |_| Ok(()))?;
        database.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))?;
        // Also without a table to create: a file that cannot be written is noticed now.
        let began = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if is_new {
            began.execute_batch(TABLE)?;
            began.pragma_update(None, "application_id", APPLICATION)?;
        }
        began.pragma_update(None, "user_version", LAYOUT)?;
        task_facts::prepare(&began, commits, counted)?;
        let next_text = long_texts::prepare(&began)?;
        began.commit()?;
        database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        Ok((database, commits, next_text))
    }

    /// The values that an earlier process has kept.
    pub(super) fn kept(&self) -> Result<BTreeMap<String, String>, LedgerError> {
        kept_values::read(&self.database)
    }

    /// Writes the rows `images`, the acts `loose` and the values `kept`, and removes the rows `removed`, in one
    /// transaction. If a note has `waited` for it, the commit is synced (with `LEDGER_SYNC=full`) and then counted by the
    /// mark.
    pub(super) fn commit(
        &mut self,
        images: &mut [Image],
        removed: &[i64],
        loose: &[LooseAct],
        kept: &KeptChanges,
        waited: bool,
    ) -> Result<(), LedgerError> {
        let syncs = waited && self.full;
        if syncs != self.syncs {
            self.database.pragma_update(None, "synchronous", if syncs { "FULL" } else { "NORMAL" })?;
            self.syncs = syncs;
        }
        let number = self.commits + 1;
        let began = self.database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        task_facts::keep_loose(&began, loose)?;
        kept_values::keep(&began, kept)?;
        // A commit number that no row has would count as lost at the next start.
        if images.is_empty() {
            return Ok(began.commit()?);
        }
        {
            let mut put = began.prepare_cached(&format!(
                "INSERT OR REPLACE INTO deliveries ({}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                Image::COLUMNS
            ))?;
            for image in images.iter_mut() {
                if image.resumes {
                    if let Some(Found::Whole(earlier)) = stored(&began, image.number)? {
                        image.follow(&earlier);
                    }
                    image.resumes = false;
                }
                if image.replaces {
                    put_aside(&began, image.number)?;
                }
                let record = put_texts(&began, &mut self.next_text, image)?;
                image.history = StepHistory::counted(&image.history, number);
                put.execute(params![
                    image.number,
                    image.id,
                    sum_of_id(&image.id),
                    image.account,
                    image.agent,
                    image.task,
                    &*image.row,
                    &*record,
                    image.first_seen.0,
                    image.not_before.map(|at| at.0),
                    image.closed.map(|at| at.0),
                    image.end,
                    image.history,
                    number,
                    image.sum(number, &record),
                ])?;
            }
            task_facts::keep(&began, removed)?;
            let mut remove = began.prepare_cached("DELETE FROM deliveries WHERE number = ?")?;
            for number in removed {
                remove.execute([number])?;
            }
        }
        began.commit()?;
        self.commits = number;
        if waited {
            if !self.slow.is_zero() {
                std::thread::sleep(self.slow);
            }
            self.mark.write(number);
        }
        Ok(())
    }

    /// Records that this version has made the last commit, for older versions.
    pub(super) fn finish(&self) -> Result<(), LedgerError> {
        task_facts::count(&self.database, self.commits)
    }

    /// Returns some empty pages to the disk. The result says whether there are more.
    pub(super) fn tidy(&mut self) -> Result<bool, LedgerError> {
        let spare = |database: &Connection| {
            database.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0))
        };
        if spare(&self.database)? <= SPARE_PAGES {
            return Ok(false);
        }
        self.database.execute_batch(&format!("PRAGMA incremental_vacuum({PAGES_BACK})"))?;
        Ok(spare(&self.database)? > SPARE_PAGES)
    }
}

/// The stored row with this number, if there is one.
pub(super) fn stored(database: &Connection, number: i64) -> Result<Option<Found>, LedgerError> {
    let mut select =
        database.prepare_cached(&format!("SELECT {} FROM deliveries WHERE number = ?", Image::COLUMNS))?;
    let mut rows = select.query([number])?;
    rows.next()?.map(|row| Found::read(database, row).map(|(found, _)| found)).transpose()
}

/// Writes the long texts of a row, if they are stored apart. Returns the record to store in the row.
fn put_texts(began: &Connection, next_text: &mut i64, image: &mut Image) -> Result<Arc<str>, LedgerError> {
    let apart = if image.apart {
        long_texts::put(began, next_text, image.number, &image.record, &image.texts)?
    } else {
        None
    };
    let (record, texts) = match apart {
        Some((record, texts)) => (record.into(), texts),
        None => (image.record.clone(), Vec::new()),
    };
    long_texts::remove(began, &image.texts, &texts)?;
    image.texts = texts;
    Ok(record)
}

/// Copies a row unchanged to `originals`, before it is overwritten.
fn put_aside(database: &Connection, number: i64) -> Result<(), LedgerError> {
    let columns = Image::COLUMNS;
    database.execute_batch(ORIGINALS)?;
    database.execute(
        &format!("INSERT INTO originals ({columns}) SELECT {columns} FROM deliveries WHERE number = ?"),
        [number],
    )?;
    let oldest = "DELETE FROM originals WHERE rowid <= (SELECT max(rowid) FROM originals) - ?";
    database.execute(oldest, [ORIGINALS_MAX])?;
    Ok(())
}

/// What is known about a database that has been checked.
#[derive(Default)]
struct Examined {
    /// Whether it is still empty.
    is_new: bool,
    /// The number of the last commit.
    commits: i64,
    /// Whether this version has made that commit.
    counted: bool,
}

/// Checks the database and reads all rows.
fn examine(database: &Connection, promised: i64, visit: impl FnMut(Found)) -> Result<Examined, LedgerError> {
    if refuse_others(database)? {
        return refuse_emptied(promised).map(|()| Examined { is_new: true, ..Examined::default() });
    }
    refuse_damaged(database)?;
    let examined = read_all(database, visit)?;
    let commits = examined.commits;
    if commits < promised {
        return Err(LedgerError::damaged(format!(
            "its end is missing: {promised} commits are expected, and the last one present is {commits}"
        )));
    }
    Ok(examined)
}

/// Refuses an empty database if the mark counts commits.
fn refuse_emptied(promised: i64) -> Result<(), LedgerError> {
    if promised == 0 {
        return Ok(());
    }
    Err(LedgerError::damaged(format!("it is empty, and {promised} commits are expected")))
}

/// Whether the database is still empty. Refuses the database of another program and a newer or unknown layout.
fn refuse_others(database: &Connection) -> Result<bool, LedgerError> {
    let number = |name| database.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (version, application) = (number("user_version")?, number("application_id")?);
    let tables: i64 = database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        Ok(true)
    } else if application != APPLICATION {
        Err(LedgerError::damaged("it is another program's database"))
    } else if version > LAYOUT {
        Err(LedgerError::Newer { found: version, known: LAYOUT })
    } else if version < LAYOUT {
        Err(LedgerError::damaged(format!("layout {version}")))
    } else {
        let select = "SELECT sql FROM sqlite_schema WHERE name = 'deliveries'";
        let table: Option<String> = database.query_row(select, [], |row| row.get(0)).optional()?;
        if table.as_deref() == Some(TABLE) {
            Ok(false)
        } else {
            Err(LedgerError::damaged("its table has an unexpected form"))
        }
    }
}

/// Refuses a database with damaged pages.
fn refuse_damaged(database: &Connection) -> Result<(), LedgerError> {
    let verdict: String = database.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    // The last line names the damage.
    Err(LedgerError::damaged(verdict.lines().last().unwrap_or_default()))
}

/// Reads all rows in the order of their numbers.
fn read_all(database: &Connection, mut visit: impl FnMut(Found)) -> Result<Examined, LedgerError> {
    let mut select =
        database.prepare(&format!("SELECT {} FROM deliveries ORDER BY number", Image::COLUMNS))?;
    let mut rows = select.query([])?;
    let mut examined = Examined::default();
    let mut ids = std::collections::HashSet::new();
    while let Some(row) = rows.next()? {
        let (one, written) = Found::read(database, row)?;
        if !ids.insert(one.id().to_owned()) {
            return Err(LedgerError::damaged(format!("{} has two rows", one.id())));
        }
        if written >= examined.commits {
            let counted = one.is_counted(written) && (examined.counted || written > examined.commits);
            examined = Examined { commits: written, counted, ..examined };
        }
        visit(one);
    }
    Ok(examined)
}

/// Checks and reads the database without changing it, even while another process writes it. `then` reads more of the same
/// moment. Read the mark first: it may count fewer commits than the database has, never more.
pub(super) fn read_only(
    path: Option<&Path>,
    promised: i64,
    visit: impl FnMut(Found),
    then: impl FnOnce(&Connection) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let Some(path) = path else { return refuse_emptied(promised) };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut database = Connection::open_with_flags(path, flags)?;
    database.busy_timeout(Duration::from_secs(1))?;
    let moment = database.transaction()?;
    examine(&moment, promised, visit)?;
    then(&moment)
}
