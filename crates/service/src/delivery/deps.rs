//! The dependencies of a delivery.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use log::Level;
use log::kv::Value;

use super::budget::BudgetKeeper;
use super::inflight::InFlight;
use super::log_item::LogItem;
use super::provider_cooldown::ProviderCooldown;
use crate::clock::Pulse;
use crate::heartbeat::beats::Beats;
use crate::metrics::Metrics;
use crate::pool::PoolPort;
use crate::roster::Team;
use crate::workspace::token::TokenFiles;
use mcr_clients::convex::{self, CallError, CallReason};
use mcr_clients::mission::Mission;
use mcr_core::delivery::acts::Act;
use mcr_core::delivery::failure::{BackendFailure, Trouble, Weight};
use mcr_core::delivery::journal::{Journal, JournalError, Note, Step, Wait};
use mcr_core::delivery::retry::Budget;
use mcr_core::delivery::{Job, Record};
use mcr_core::gateway::{Gateway, LifeSigns as _};
use mcr_core::guardrails::CountStart;
use mcr_core::tools::access::ToolAccess;
use mcr_model::clock::{Clock, Millis};
use mcr_model::{NoResponseNote, Notification, NotificationType, TaskId, TeamLimits, WakeRules};
use mcr_store::sessions::Sessions;

/// What the steps of a delivery need.
#[derive(Clone, Copy)]
pub struct DeliveryDeps<'a> {
    /// The backend.
    pub mission: &'a Mission,
    /// The gateway.
    pub gateway: &'a dyn Gateway,
    /// The current roster.
    pub team: &'a Team,
    /// Called after a write that may cause notifications.
    pub written: &'a dyn Fn(),
    /// Called when the gateway has accepted the turn of the job with this number.
    pub taken: &'a dyn Fn(u64),
    /// Called when a person's word has ended a stop of this thread; its turns are counted from there.
    pub resumed: &'a dyn Fn(&TaskId, CountStart),
    /// The answered turns of all workers.
    pub answers: &'a AnswerCounter,
    /// Agents whose provider key is refused.
    pub cooldown: &'a ProviderCooldown,
    /// The ids of rows that any delivery created recently.
    pub made: &'a RecentIds,
    /// The daily budgets.
    pub budget: &'a BudgetKeeper,
    /// The running turns and deliveries.
    pub inflight: &'a InFlight,
    /// The sessions in which agents may call over HTTP.
    pub sessions: &'a Sessions,
    /// The heartbeats of all agents.
    pub beats: &'a Beats,
    /// The ledger, which records every step.
    pub journal: &'a dyn Journal,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// The configured limits and options.
    pub rules: &'a Rules,
    /// The counters of tool calls.
    pub metrics: &'a Metrics,
    /// The queue of a worker pool; none where notifications are delivered.
    pub pool: Option<&'a PoolPort>,
}

impl DeliveryDeps<'_> {
    /// Writes a log line about an item, with the slug of its agent.
    pub(super) fn log<'i>(
        &self,
        level: Level,
        item: impl Into<LogItem<'i>>,
        sentence: &str,
        more: &[(&str, Value<'_>)],
    ) {
        if log::log_enabled!(level) {
            item.into().with_slug_of(&self.team.now()).log(level, sentence, more);
        }
    }

    /// Records the progress of the delivery. If the ledger cannot be written, the delivery continues without it: the
    /// ledger itself reports that.
    pub(super) fn note(&self, job: &Job, step: Step, words: &str, wait: Wait) {
        self.write(&Note::of(&job.work, self.clock.now()).record(&job.record).step(step, words), wait);
    }

    /// Writes a note. Notes about the agent's calls over HTTP may come at the same time; they are written one by one.
    pub(super) fn write(&self, note: &Note<'_>, wait: Wait) {
        if let Err(error) = self.try_write(note, wait) {
            self.log(Level::Debug, note.work, "Step not recorded", &[("error", Value::from_display(&error))]);
        }
    }

    fn try_write(&self, note: &Note<'_>, wait: Wait) -> Result<(), JournalError> {
        match self.inflight.held_of(note.work) {
            Some(held) => held.note(note, self.journal, wait),
            None => self.journal.note(note, wait),
        }
    }

    /// Records a step that a crash must not repeat, right before the step. If that fails, the step must not start.
    pub(super) fn must_note(&self, job: &Job, step: Step, words: &str) -> Result<(), Trouble> {
        let note = Note::of(&job.work, self.clock.now()).record(&job.record).step(step, words);
        self.try_write(&note, Wait::ForDisk).map_err(|error| Trouble::NotNoted(error.to_string()))
    }

    /// The time since then; zero if the clock was set back.
    pub(super) fn age(&self, since: Millis) -> Duration {
        self.clock.now().since(since)
    }

    /// Reads or changes the record with its tool log. While the agent works, only this function puts the tool log into
    /// the record of the job.
    pub(super) fn with_log<T>(&self, job: &mut Job, change: impl FnOnce(&mut Record) -> T) -> T {
        match self.inflight.held_of(&job.work) {
            Some(held) => held.with_log(&mut job.record, change),
            None => change(&mut job.record),
        }
    }

    /// Ends the agent's work: it has answered, or will not. The record has the tool log afterwards.
    pub(super) fn let_go(&self, job: &mut Job) {
        if let Some(effects) = self.inflight.let_go(&job.work) {
            job.record.effects = effects;
        }
    }

    /// Records the id of a created task, document or message, so that no other delivery adopts it as its own.
    pub(super) fn made(&self, job: &mut Job, id: String) {
        self.made.add(id.clone());
        self.with_log(job, |record| record.effects.made(id));
    }

    /// Records what was done to tasks.
    pub(super) fn acted(&self, job: &mut Job, acts: Vec<Act>) {
        let now = self.clock.now();
        self.with_log(job, |record| acts.into_iter().for_each(|act| record.effects.act(act.at(now))));
    }

    /// Whether a known step created the row with this id.
    pub(super) fn knows(&self, job: &Job, id: &str) -> bool {
        let is_own = match self.inflight.held_of(&job.work) {
            Some(held) => held.has_made(id),
            None => job.record.effects.has_made(id),
        };
        is_own || self.made.has(id)
    }
}

/// Counts the answered turns, and the time since the last one.
#[derive(Debug, Default)]
pub struct AnswerCounter {
    count: AtomicU64,
    last: Pulse,
}

impl AnswerCounter {
    /// Counts an answer now.
    pub fn one_more(&self) {
        self.last.beat();
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> (u64, Duration) {
        (self.count.load(Ordering::Relaxed), self.last.quiet())
    }
}

/// The ids of rows that deliveries of this account created recently, and the requests for a response that were started.
///
/// Two deliveries may create equal rows at the same time. A lost answer must not be settled with a row of the other.
#[derive(Debug, Default)]
pub struct RecentIds {
    ids: Mutex<VecDeque<String>>,
    requests: Mutex<VecDeque<Notification>>,
}

impl RecentIds {
    /// More rows than can be created while a call is in doubt.
    const MOST: usize = 4_096;
    /// Fewer, because each request takes turns of two agents, and each entry is a whole notification.
    const REQUESTS_MOST: usize = 1_024;

    /// Adds an id. If there is no room, the oldest is removed.
    pub fn add(&self, id: String) {
        push(&mut self.ids.lock().unwrap_or_else(PoisonError::into_inner), id, Self::MOST);
    }

    /// Whether a row with this id was created.
    pub fn has(&self, id: &str) -> bool {
        // A linear search suffices: only calls in doubt need it.
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|made| made == id)
    }

    /// The delivery of this notification starts. A request is kept, since the backend does not list delivered ones.
    pub fn begins(&self, row: &Notification) {
        if row.kind != NotificationType::ResponseRequest {
            return;
        }
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        // A delivery starts again after each pause.
        if requests.iter().all(|known| known.id != row.id) {
            push(&mut requests, row.clone(), Self::REQUESTS_MOST);
        }
    }

    /// The started requests about a task.
    pub fn requests(&self, task: &TaskId) -> Vec<Notification> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().filter(|row| row.task_id.as_ref() == Some(task)).cloned().collect()
    }
}

fn push<T>(all: &mut VecDeque<T>, one: T, most: usize) {
    if all.len() == most {
        all.pop_front();
    }
    all.push_back(one);
}

/// The configured limits and options of deliveries.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How agents reach the tools.
    pub access: ToolAccess,
    /// The base URL of the HTTP endpoints.
    pub base_url: String,
    /// Whether a call over HTTP needs the token of its session.
    pub session_tokens: bool,
    /// The files that may have the agents' tokens; `None` if workspaces are not written.
    pub token_files: Option<TokenFiles>,
    /// How many times results of tools go back in one delivery.
    pub rounds_max: u32,
    /// How many calls one delivery may make.
    pub calls_max: u32,
    /// How long a turn may show no sign of life.
    pub silence_max: Duration,
    /// The limits of retries.
    pub budget: Budget,
    /// For which deliveries the thread gets a line if the agent did not answer.
    pub notes: NoResponseNote,
    /// Which notifications wake each agent.
    pub wake_on: WakeRules,
    /// How far agents may go in a thread without a person.
    pub team: TeamLimits,
}

/// What a failed call means for the delivery. A refusal with a hidden reason may have any cause, even a temporary
/// one. A cause that a person must correct first (a token, a version) is no failure of this delivery alone.
#[expect(clippy::needless_pass_by_value, reason = "the signature fits map_err")]
pub(super) fn backend_failure(error: CallError) -> Trouble {
    let weight = match (error.class, error.why) {
        (convex::CallClass::Transient, _) => Weight::Passing,
        (convex::CallClass::Gone, _)
        | (
            convex::CallClass::Refused,
            CallReason::Forbidden | CallReason::NotFound | CallReason::Invalid | CallReason::TooLarge,
        ) => Weight::Final,
        (convex::CallClass::Refused | convex::CallClass::Ambiguous, _) => Weight::Doubtful,
    };
    Trouble::Backend(BackendFailure { weight, not_before: error.not_before, sentence: error.to_string() })
}
