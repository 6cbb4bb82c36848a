//! The loop brake: counts the turns that agents cause in a thread since a person last wrote there.
//!
//! # The problem
//!
//! Agents wake each other: by mentions, answers, requests, assignments and changes of status. Two agents that mention
//! each other never stop by themselves, and each of their turns costs money. Yet agents that make progress should
//! not be interrupted.
//!
//! # The policy
//!
//! * **A person's word starts the count again.** The count of a thread starts at the last message of a person there, except
//!   `/stop`. A person's retry of a row starts it again too ([`CountStart`]).
//! * **Only turns that agents cause are counted and stopped** ([`origin`](super::origin)). A turn that a person causes
//!   always starts. Another attempt at the same turn is not counted again.
//! * **Two limits.** `TEAM_TURNS_MAX` limits the turns. `TEAM_DEPTH_MAX` limits the hand-offs in a row: a turn is one
//!   deeper than the delivery that caused it.
//! * **Progress earns turns.** Progress is a status that the task did not have since the start of the count, a pull request
//!   that was not linked before, or a document with new content ([`Fact`]). It adds `TEAM_TURNS_PER_PROGRESS` turns and
//!   starts the depth again. What was seen before is no progress, so a task that moves to and fro earns nothing. Contents of
//!   documents are remembered across counts: a person's word does not make an unchanged document new.
//! * **The hard limit holds in any case.** Agents cause at most `TEAM_TURNS_HARD_MAX` turns between two messages of people.
//! * **The records keep the count.** Each delivery keeps its own facts and the counts by then ([`TeamTurn`]), so a restart
//!   continues the count ([`Threads::recall`]). A document is in the record of the next delivery of its thread. Facts of deliveries that the ledger no longer keeps are lost. The counts
//!   survive as long as one delivery of the thread does.

use std::collections::HashMap;

use super::origin::{Origin, origin};
use super::team_thread::ThreadCount;
use super::team_turn::{CountStart, Fact, TeamTurn};
use mcr_model::{DeliveryContext, Notification, TaskId, TeamLimits};

/// The most threads that are remembered. The thread that was used longest ago is forgotten first, a stopped one last.
pub const THREADS_MAX: usize = 2_000;

/// The counts of all threads.
#[derive(Clone, Debug, Default)]
pub struct Threads {
    threads: HashMap<TaskId, ThreadCount>,
    /// The number of uses.
    uses: u64,
}

impl Threads {
    /// Sees a context that was read just now. `previous` has the facts in the record of its delivery. A person's retry in
    /// them starts the count again, so the caller clears it. Returns the start of the count if a person's word has ended a
    /// stop of this thread.
    pub fn see(&mut self, context: &DeliveryContext, previous: Option<&TeamTurn>) -> Option<CountStart> {
        let task = context.task.as_ref()?;
        let thread = self.thread(&task.id);
        let before = (thread.start(), thread.is_stopped());
        thread.hear(context);
        if let Some(retried) = previous.filter(|turn| turn.is_retried) {
            thread.restart(thread.start().max(retried.start).after_retry());
        }
        thread.see_task(task);
        let start = thread.start();
        (before.1 && start > before.0).then_some(start)
    }

    /// An agent has written this content to a document, in a delivery about the task.
    pub fn wrote(&mut self, task: &TaskId, content: &str) {
        if let Some(fact) = Fact::document(content) {
            self.thread(task).see(fact);
        }
    }

    /// Decides whether the delivery of this context starts a turn, which counts from now on. `previous` has the facts in
    /// its record. Returns the facts to record, with the stop if the turn does not start; `None` without a thread.
    pub fn admit(
        &mut self,
        context: &DeliveryContext,
        previous: Option<&TeamTurn>,
        limits: TeamLimits,
    ) -> Option<TeamTurn> {
        let task = context.task.as_ref()?;
        let thread = self.thread(&task.id);
        let start = thread.start();
        let previous = previous.filter(|turn| turn.start == start).cloned();
        let previous = previous.unwrap_or_else(|| TeamTurn::at(start));
        Some(match origin(context) {
            Origin::Person => thread.admit_person(context, previous),
            Origin::Agent => thread.admit_agent(context, previous, limits),
        })
    }

    /// Whether [`Threads::admit`] would stop the delivery of this context. Counts nothing.
    pub fn stops(&self, context: &DeliveryContext, previous: Option<&TeamTurn>, limits: TeamLimits) -> bool {
        let thread = context.task.as_ref().and_then(|task| self.threads.get(&task.id));
        let previous = |thread: &ThreadCount| previous.filter(|turn| turn.start == thread.start());
        origin(context) == Origin::Agent
            && thread.is_some_and(|thread| thread.stops(context, previous(thread), limits))
    }

    /// Takes over a delivery of the ledger, in the order of their first notes.
    pub fn recall(&mut self, row: &Notification, turn: &TeamTurn) {
        let Some(task) = &row.task_id else { return };
        let thread = self.thread(task);
        if turn.start > thread.start() {
            thread.restart(turn.start);
        }
        if turn.start == thread.start() {
            thread.recall(row, turn);
        }
    }

    /// The number of threads that are remembered.
    pub fn len(&self) -> usize {
        self.threads.len()
    }

    /// Whether no thread is remembered.
    pub fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// From where the turns of this thread are counted.
    pub fn start_of(&self, task: &TaskId) -> CountStart {
        self.threads.get(task).map(ThreadCount::start).unwrap_or_default()
    }

    fn thread(&mut self, task: &TaskId) -> &mut ThreadCount {
        self.uses += 1;
        if self.threads.len() >= THREADS_MAX && !self.threads.contains_key(task) {
            let oldest = self.threads.iter().min_by_key(|(_, thread)| (thread.is_stopped(), thread.used));
            if let Some(oldest) = oldest.map(|(task, _)| task.clone()) {
                self.threads.remove(&oldest);
            }
        }
        let thread = self.threads.entry(task.clone()).or_default();
        thread.used = self.uses;
        thread
    }
}
