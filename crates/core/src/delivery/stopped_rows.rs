//! Rows that the loop brake has stopped: they start again once a person writes in their thread or retries one.
//!
//! The backend has them as delivered, so no list shows them again. Of the rows of one agent and one type in a thread,
//! the last one is kept. Its turn reads the whole thread, and so the messages of the earlier ones.
//!
//! | event | consequence |
//! |---|---|
//! | the process ends before a stop is recorded | the row is listed again, and stopped again |
//! | it ends after the stop is recorded | the ledger has the row, and the next process keeps it |
//! | a person's word is seen, and the process ends before the rows start | the record of the delivery that saw the word has its time, so the next process starts the rows ([`StoppedRows::recovered`]) |
//! | a word is seen while a row is still being marked | the row starts as soon as it has ended ([`StoppedRows::insert`]) |
//! | a word is seen twice | a row is taken out once |

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;

use super::Record;
use crate::guardrails::team::Threads;
use crate::guardrails::{CountStart, TeamLimit, TeamStop};
use crate::work::{Work, WorkId};
use mcr_model::{NotificationType, TaskId, Word};

/// The most threads whose stopped rows are kept. A newer stop displaces the oldest one.
pub const THREADS_MAX: usize = 500;

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
    threads: HashMap<TaskId, KeptRows>,
    /// The threads, oldest stop first.
    order: VecDeque<TaskId>,
}

#[derive(Debug, Default)]
struct KeptRows {
    /// From where the thread is counted now: rows of an earlier count are not stopped any more.
    start: CountStart,
    rows: Vec<StoppedRow>,
}

impl StoppedRows {
    /// Takes over the stopped rows of an earlier process, oldest first. Returns those whose threads have had a person's
    /// word since: they start now.
    pub fn recovered(rows: Vec<StoppedRow>, threads: &Threads) -> (Self, Vec<StoppedRow>) {
        let mut stopped = Self::default();
        let mut due = Vec::new();
        for (work, record) in rows {
            let Some(task) = work.track.task() else { continue };
            due.extend(stopped.resume(task, threads.start_of(task)));
            due.extend(stopped.insert(work, record));
        }
        (stopped, due)
    }

    /// Keeps a row that has ended because of a stop. Returns the row if a person's word has ended the stop meanwhile.
    pub fn insert(&mut self, work: Arc<Work>, record: Record) -> Option<StoppedRow> {
        let task = work.track.task()?.clone();
        let start = record.team.as_ref()?.start;
        let thread = self.kept(&task);
        if start < thread.start {
            return Some((work, record));
        }
        thread.rows.retain(|(other, _)| key_of(other) != key_of(&work));
        thread.rows.push((work, record));
        None
    }

    /// Takes out the rows of a thread that were stopped before this start of its count.
    pub fn resume(&mut self, task: &TaskId, start: CountStart) -> Vec<StoppedRow> {
        let thread = self.kept(task);
        thread.start = thread.start.max(start);
        let is_due = |row: &mut StoppedRow| row.1.team.as_ref().is_none_or(|team| team.start < start);
        thread.rows.extract_if(.., is_due).collect()
    }

    /// Takes out one row, because a person retries it. The others of its thread follow when its delivery begins.
    pub fn retry(&mut self, id: &WorkId) -> Option<StoppedRow> {
        self.threads.values_mut().find_map(|thread| {
            let at = thread.rows.iter().position(|(work, _)| work.id == *id)?;
            Some(thread.rows.remove(at))
        })
    }

    /// The threads that wait for a person, oldest stop first.
    pub fn threads(&self) -> Vec<StoppedThread> {
        let describe = |task: &TaskId| {
            let rows = &self.threads.get(task)?.rows;
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

    fn kept(&mut self, task: &TaskId) -> &mut KeptRows {
        if !self.threads.contains_key(task) {
            if self.order.len() == THREADS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.threads.remove(&oldest);
            }
            self.order.push_back(task.clone());
        }
        self.threads.entry(task.clone()).or_default()
    }
}

/// Of the rows with the same key, one is kept.
fn key_of(work: &Work) -> (&str, Option<&Word<NotificationType>>) {
    (&work.track.agent, work.notification().map(|row| &row.kind))
}
