//! Rows that the loop brake has stopped: they start again once a person writes in their thread or retries one.
//!
//! The backend has them as delivered, so no list shows them again. Of the rows of one agent and one type in a thread,
//! the last one is kept. Its turn reads the whole thread, and so covers the messages of the earlier ones. A retry of a
//! covered row is one of the kept row.
//!
//! | event | consequence |
//! |---|---|
//! | the process ends before a stop is recorded | the row is listed again, and stopped again |
//! | it ends after the stop is recorded | the ledger has the row, and the next process keeps it |
//! | a person's word is seen, and the process ends before the rows start | the record of the delivery that saw the word has its time, so the next process starts the rows ([`StoppedRows::recovered`]) |
//! | a word is seen while a row is still being marked | the row starts as soon as it has ended ([`StoppedRows::insert`]) |
//! | a word is seen twice | a row is taken out once |
//! | the process ends after the kept row has started again | the rows that it covers do not start ([`StopHistory`]) |

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;

use super::policy::Skip;
use super::{End, Record};
use crate::guardrails::team::Threads;
use crate::guardrails::{CountStart, TeamLimit, TeamStop};
use crate::work::{Track, Work, WorkId};
use mcr_model::clock::Millis;
use mcr_model::{NotificationType, TaskId, Word};

/// The most threads whose stopped rows are kept. A newer stop displaces the oldest one.
pub const THREADS_MAX: usize = 500;

/// The most covered rows whose ids are remembered. The ledger keeps no more closed rows.
const COVERED_MAX: usize = 2_000;

/// A stopped row, with the record of its delivery.
pub type StoppedRow = (Arc<Work>, Record);

/// A thread that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoppedThread {
    /// The task.
    pub task: TaskId,
    /// Its title, if it is known.
    pub title: String,
    /// The limit that it has reached.
    pub limit: TeamLimit,
    /// The turns that agents had caused in it.
    pub turns: u32,
    /// The rows that start again, oldest first.
    pub rows: Vec<String>,
}

/// All stopped rows.
#[derive(Debug, Default)]
pub struct StoppedRows {
    /// The threads with stopped rows.
    threads: HashMap<TaskId, Vec<StoppedRow>>,
    /// These threads, oldest stop first.
    order: VecDeque<TaskId>,
    /// From where threads are counted now: rows of an earlier count are not stopped any more.
    starts: HashMap<TaskId, CountStart>,
    /// The threads of `starts`, oldest first.
    started: VecDeque<TaskId>,
    /// Rows that a later row covers, oldest first.
    covered: VecDeque<(WorkId, RowKey)>,
}

impl StoppedRows {
    /// Takes over the stopped rows of an earlier process, oldest first. Returns those whose threads have had a person's
    /// word since: they start now.
    pub fn recovered(rows: Vec<StoppedRow>, threads: &Threads) -> (Self, Vec<StoppedRow>) {
        let mut stopped = Self::default();
        for (work, record) in rows {
            // No word is known yet, so each row is kept.
            stopped.insert(work, record);
        }
        let tasks: Vec<TaskId> = stopped.order.iter().cloned().collect();
        let due = tasks.iter().flat_map(|task| stopped.take_due(task, threads.start_of(task))).collect();
        (stopped, due)
    }

    /// Keeps a row that has ended because of a stop. Returns the row if a person's word has ended the stop meanwhile.
    pub fn insert(&mut self, work: Arc<Work>, record: Record) -> Option<StoppedRow> {
        let task = work.track.task()?.clone();
        let start = record.team.as_ref()?.start;
        if self.starts.get(&task).is_some_and(|now| start < *now) {
            return Some((work, record));
        }
        let key = RowKey::of(&work);
        let rows = self.threads.entry(task.clone()).or_default();
        let covered = rows.extract_if(.., |(other, _)| RowKey::of(other) == key);
        self.covered.extend(covered.map(|(other, _)| (other.id.clone(), key.clone())));
        rows.push((work, record));
        let too_many = self.covered.len().saturating_sub(COVERED_MAX);
        self.covered.drain(..too_many);
        self.order.retain(|other| *other != task);
        self.order.push_back(task);
        if self.order.len() > THREADS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.threads.remove(&oldest);
        }
        None
    }

    /// Takes out the rows of a thread that were stopped before this start of its count.
    pub fn resume(&mut self, task: &TaskId, start: CountStart) -> Vec<StoppedRow> {
        if let Some(known) = self.starts.get_mut(task) {
            *known = start.max(*known);
        } else {
            self.starts.insert(task.clone(), start);
            self.started.push_back(task.clone());
        }
        if self.started.len() > THREADS_MAX
            && let Some(oldest) = self.started.pop_front()
        {
            self.starts.remove(&oldest);
        }
        self.take_due(task, start)
    }

    fn take_due(&mut self, task: &TaskId, start: CountStart) -> Vec<StoppedRow> {
        let Some(rows) = self.threads.get_mut(task) else { return Vec::new() };
        let is_due = |row: &mut StoppedRow| row.1.team.as_ref().is_none_or(|team| team.start < start);
        let due = rows.extract_if(.., is_due).collect();
        self.forget_empty(task);
        due
    }

    /// The row that is kept instead of this one; `None` if no row covers it.
    pub fn cover_of(&self, id: &WorkId) -> Option<&WorkId> {
        let (_, key) = self.covered.iter().rfind(|(covered, _)| covered == id)?;
        let mut rows = self.threads.values().flatten();
        rows.find(|(work, _)| RowKey::of(work) == *key).map(|(work, _)| &work.id)
    }

    /// Takes out one row, because a person retries it. The others of its thread follow when its delivery begins.
    pub fn retry(&mut self, id: &WorkId) -> Option<StoppedRow> {
        let (task, row) = self.threads.iter_mut().find_map(|(task, rows)| {
            let at = rows.iter().position(|(work, _)| work.id == *id)?;
            Some((task.clone(), rows.remove(at)))
        })?;
        self.forget_empty(&task);
        Some(row)
    }

    /// The threads that wait for a person, oldest stop first.
    pub fn threads(&self) -> Vec<StoppedThread> {
        let describe = |task: &TaskId| {
            let rows = self.threads.get(task)?;
            let (_, record) = rows.last()?;
            let TeamStop { limit, turns, .. } = record.team.as_ref()?.stop?;
            Some(StoppedThread {
                task: task.clone(),
                title: record.title.clone(),
                limit,
                turns,
                rows: rows.iter().map(|(work, _)| work.id.to_string()).collect(),
            })
        };
        self.order.iter().filter_map(describe).collect()
    }

    fn forget_empty(&mut self, task: &TaskId) {
        if self.threads.get(task).is_some_and(Vec::is_empty) {
            self.threads.remove(task);
            self.order.retain(|other| other != task);
        }
    }
}

/// The rows of the ledger, as far as they show which stopped rows still wait. A stopped row does not wait if another row
/// of its key has started in a later count: that turn reads the whole thread. The ledger keeps the stopped row as it
/// ended.
#[derive(Debug, Default)]
pub struct StopHistory {
    /// Each with its end.
    stopped: Vec<(Millis, StoppedRow)>,
    /// The latest count in which a row of each key has started.
    started: HashMap<RowKey, CountStart>,
}

impl StopHistory {
    /// Takes a row. `closed` has its end, if it has ended.
    pub fn take(&mut self, work: &Work, record: &Record, closed: Option<(Millis, &End)>) {
        let Some(team) = &record.team else { return };
        if let Some((at, End::Skipped(Skip::TeamLimit))) = closed {
            self.stopped.push((at, (Arc::new(work.clone()), record.clone())));
        } else if team.stop.is_none() {
            let start = team.latest_start(closed.is_none());
            let latest = self.started.entry(RowKey::of(work)).or_insert(start);
            *latest = start.max(*latest);
        }
    }

    /// The stopped rows that wait, oldest first.
    pub fn waiting(mut self) -> Vec<StoppedRow> {
        self.stopped.sort_by_key(|(at, _)| *at);
        let is_covered = |(work, record): &StoppedRow| {
            let later = self.started.get(&RowKey::of(work));
            record.team.as_ref().zip(later).is_some_and(|(team, later)| team.start < *later)
        };
        self.stopped.into_iter().map(|(_, row)| row).filter(|row| !is_covered(row)).collect()
    }
}

/// Of the stopped rows with the same key, one is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RowKey {
    /// The agent and the task.
    track: Track,
    kind: Option<Word<NotificationType>>,
}

impl RowKey {
    fn of(work: &Work) -> Self {
        Self { track: work.track.clone(), kind: work.notification().map(|row| row.kind.clone()) }
    }
}
