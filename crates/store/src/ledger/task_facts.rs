//! The facts of tasks whose deliveries are no longer kept.
//!
//! A closed delivery leaves the ledger after a while. The commit that removes its row adds the row's acts to the facts of
//! its tasks, so every act is in exactly one place: in its row, or in the facts.
//! An act that belongs to no delivery is added at once. Two tables have them:
//!
//! * `tasks` has the facts of each task as JSON. The tasks without activity for the longest time leave it first.
//! * `evidence` has the start, from which on every act of a task without facts is known, and the number of the last commit
//!   before the last start or after the last stop. An older version writes neither table. If the number is not that of the
//!   last commit, the rows of that commit say whether this version has written them ([`is_counted`]).
//!   Otherwise an older one has written the ledger in between, and the start moves to the present.
//!
//! [`is_counted`]: super::step_history::StepHistory::is_counted

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::database::{self, stored};
use super::error::LedgerError;
use super::image::{Found, Image};
use super::location::{database_in, promised_in};
use mcr_core::delivery::acts::Act;
use mcr_core::delivery::ledger_row::LedgerRow;
use mcr_core::ops::evidence::{Delivery, FactsByTask, TaskFacts, add, add_loose};
use mcr_files::Folder;
use mcr_model::clock::{Clock as _, Millis, SystemClock};
use mcr_model::{AccountId, TaskId};

/// Maximum number of tasks whose facts are kept.
pub const TASKS_MAX: i64 = 10_000;

/// How many tasks are removed at once, beyond the limit.
const TASKS_SPARE: i64 = 100;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS evidence (start INTEGER NOT NULL, commits INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS tasks (
        account TEXT NOT NULL, task TEXT NOT NULL, last INTEGER NOT NULL, facts TEXT NOT NULL,
        PRIMARY KEY (account, task)) STRICT, WITHOUT ROWID";

/// Creates the tables where they are missing. `commits` is the number of the last commit of the ledger, which is `counted`
/// if this version has made it.
pub(super) fn prepare(began: &Transaction<'_>, commits: i64, counted: bool) -> Result<(), LedgerError> {
    began.execute_batch(TABLES)?;
    let select = "SELECT commits FROM evidence";
    let known: Option<i64> = began.query_row(select, [], |row| row.get(0)).optional()?;
    if known.is_some() && counted {
        return count(began, commits);
    }
    if known != Some(commits) {
        began.execute("DELETE FROM evidence", [])?;
        let now = SystemClock.now().0;
        began.execute("INSERT INTO evidence (start, commits) VALUES (?, ?)", [now, commits])?;
    }
    Ok(())
}

/// Records the number of the last commit of this version.
pub(super) fn count(database: &Connection, commits: i64) -> Result<(), LedgerError> {
    database.execute("UPDATE evidence SET commits = ?", [commits])?;
    Ok(())
}

/// Adds the acts of these rows to the facts of their tasks, before the rows are removed.
pub(super) fn keep(began: &Transaction<'_>, removed: &[i64]) -> Result<(), LedgerError> {
    if removed.is_empty() {
        return Ok(());
    }
    let start = start(began)?;
    for number in removed {
        let Some(Found::Whole(image)) = stored(began, *number)? else { continue };
        let Ok(row) = image.read() else { continue };
        let mut facts = FactsByTask::new();
        for task in tasks_of(&row) {
            if let Some(known) = facts_of(began, &image.account, task, start)? {
                facts.insert(task.clone(), known);
            }
        }
        add(&mut facts, delivery(&image, &row), start);
        put(began, &image.account, facts)?;
    }
    limit(began)
}

/// An act that belongs to no delivery: an agent has called a tool over HTTP outside of its turns.
pub(super) struct LooseAct {
    account: String,
    agent: String,
    act: Act,
}

impl LooseAct {
    pub(super) fn new(account: &str, agent: &str, act: &Act) -> Self {
        Self { account: account.to_owned(), agent: agent.to_owned(), act: act.clone() }
    }
}

/// Adds acts that belong to no delivery to the facts of their tasks.
pub(super) fn keep_loose(began: &Transaction<'_>, loose: &[LooseAct]) -> Result<(), LedgerError> {
    if loose.is_empty() {
        return Ok(());
    }
    let start = start(began)?;
    for LooseAct { account, agent, act } in loose {
        let Some(task) = &act.task else { continue };
        let known = facts_of(began, account, task, start)?.map(|known| (task.clone(), known));
        let mut facts: FactsByTask = known.into_iter().collect();
        add_loose(&mut facts, agent, task, act, start);
        put(began, account, facts)?;
    }
    limit(began)
}

fn put(began: &Transaction<'_>, account: &str, facts: FactsByTask) -> Result<(), LedgerError> {
    let put = "INSERT OR REPLACE INTO tasks (account, task, last, facts) VALUES (?, ?, ?, ?)";
    let mut put = began.prepare_cached(put)?;
    for (task, facts) in facts {
        let text = serde_json::to_string(&facts).expect("texts and numbers are always JSON");
        put.execute(params![account, task.as_str(), facts.last.0, text])?;
    }
    Ok(())
}

/// Removes the tasks without activity for the longest time. Their facts are unknown from then on.
fn limit(began: &Transaction<'_>) -> Result<(), LedgerError> {
    let count: i64 = began.prepare_cached("SELECT count(*) FROM tasks")?.query_row([], |row| row.get(0))?;
    if count <= TASKS_MAX + TASKS_SPARE {
        return Ok(());
    }
    let last = "SELECT last FROM tasks ORDER BY last LIMIT 1 OFFSET ?";
    let last: i64 = began.query_row(last, [count - TASKS_MAX - 1], |row| row.get(0))?;
    began.execute("DELETE FROM tasks WHERE last <= ?", [last])?;
    began.execute("UPDATE evidence SET start = max(start, ? + 1)", [last])?;
    Ok(())
}

/// The tasks that a delivery is about or has changed.
fn tasks_of(row: &LedgerRow) -> BTreeSet<&TaskId> {
    let named = row.record.effects.acts().iter().filter_map(|act| act.task.as_ref());
    row.work.track.task().into_iter().chain(named).collect()
}

fn delivery<'a>(image: &Image, row: &'a LedgerRow) -> Delivery<'a> {
    let closed = image.closed.map(|at| (at, row.end.as_ref()));
    Delivery { work: &row.work, record: &row.record, first_seen: image.first_seen, closed }
}

/// When the facts start.
fn start(database: &Connection) -> Result<Millis, LedgerError> {
    let start = database.query_row("SELECT start FROM evidence", [], |row| row.get(0)).optional()?;
    Ok(start.map_or_else(|| SystemClock.now(), Millis))
}

fn facts_of(
    database: &Connection,
    account: &str,
    task: &TaskId,
    start: Millis,
) -> Result<Option<TaskFacts>, LedgerError> {
    let mut select = database.prepare_cached("SELECT facts FROM tasks WHERE account = ? AND task = ?")?;
    let text = select.query_row([account, task.as_str()], |row| row.get::<_, String>(0)).optional()?;
    Ok(text.map(|text| read_facts(&text, start)))
}

/// Facts that cannot be read are unknown until now. No act before the start is certain.
fn read_facts(text: &str, start: Millis) -> TaskFacts {
    let facts = serde_json::from_str(text);
    let facts = facts.unwrap_or_else(|_| TaskFacts { since: SystemClock.now(), ..TaskFacts::default() });
    TaskFacts { since: facts.since.max(start), ..facts }
}

/// The facts of all tasks of an account, or of one. They are read at one moment, even while a service writes the ledger.
/// Without a ledger there are none.
pub fn task_facts(
    folder: &Folder,
    account: &AccountId,
    only: Option<&TaskId>,
) -> Result<FactsByTask, LedgerError> {
    let promised = promised_in(folder);
    let found = database_in(folder).map_err(|why| LedgerError::File {
        path: folder.path().to_owned(),
        what: "read",
        why,
    })?;
    let mut rows = Vec::new();
    let mut facts = FactsByTask::new();
    let mut first = Millis::default();
    let take = |found| match found {
        Found::Whole(image) if image.account == account.as_str() => rows.push(image),
        Found::Whole(_) | Found::Damaged { .. } => {}
    };
    database::read_only(found.as_deref(), promised, take, |database| {
        let has = "SELECT count(*) FROM sqlite_schema WHERE name IN ('evidence', 'tasks')";
        let tables: i64 = database.query_row(has, [], |row| row.get(0))?;
        if tables < 2 {
            // An older version has written the ledger.
            first = SystemClock.now();
            return Ok(());
        }
        first = start(database)?;
        if let Some(task) = only {
            facts.extend(
                facts_of(database, account.as_str(), task, first)?.map(|known| (task.clone(), known)),
            );
            return Ok(());
        }
        let mut select = database.prepare("SELECT task, facts FROM tasks WHERE account = ?")?;
        let mut found = select.query([account.as_str()])?;
        while let Some(row) = found.next()? {
            facts.insert(TaskId::new(row.get::<_, String>(0)?), read_facts(&row.get::<_, String>(1)?, first));
        }
        Ok(())
    })?;
    for image in &rows {
        if let Ok(row) = image.read()
            && only.is_none_or(|only| tasks_of(&row).contains(only))
        {
            add(&mut facts, delivery(image, &row), first);
        }
    }
    facts.retain(|task, _| only.is_none_or(|only| only == task));
    Ok(facts)
}
