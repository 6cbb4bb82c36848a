//! The dependencies of a delivery.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use log::debug;

use super::inflight::InFlight;
use super::provider_cooldown::ProviderCooldown;
use crate::clock::Pulse;
use crate::metrics::Metrics;
use crate::roster::Team;
use mcr_clients::convex::{self, CallError, CallReason};
use mcr_clients::mission::Mission;
use mcr_core::delivery::failure::{Setback, Trouble, Weight};
use mcr_core::delivery::journal::{Journal, JournalError, Note, Step, Wait};
use mcr_core::delivery::retry::Budget;
use mcr_core::delivery::{Job, Record};
use mcr_core::gateway::{Gateway, LifeSigns as _};
use mcr_model::clock::{Clock, Millis};
use mcr_model::{NoResponseNote, Notification, NotificationType, TaskId};
use mcr_store::sessions::Sessions;

/// What a worker delivers with.
#[derive(Clone, Copy)]
pub struct DeliveryDeps<'a> {
    /// The backend.
    pub mission: &'a Mission,
    /// The gateway.
    pub gateway: &'a dyn Gateway,
    /// Who there is.
    pub team: &'a Team,
    /// To be called when we have written something that makes notifications.
    pub stir: &'a dyn Fn(),
    /// To be called when the gateway has taken the turn of this job.
    pub taken: &'a dyn Fn(u64),
    /// The turns of all workers that were answered.
    pub answers: &'a AnswerCounter,
    /// Agents whose key is refused.
    pub cooldown: &'a ProviderCooldown,
    /// What was made lately, by whomever.
    pub made: &'a RecentIds,
    /// Which turns are under way.
    pub inflight: &'a InFlight,
    /// The sessions in which agents may call over HTTP.
    pub sessions: &'a Sessions,
    /// Where every step is noted.
    pub journal: &'a dyn Journal,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// How agents may act.
    pub rules: &'a Rules,
    /// Where calls of tools are counted.
    pub metrics: &'a Metrics,
}

impl DeliveryDeps<'_> {
    /// Notes how far the delivery is. A ledger that cannot be written says so of itself; the work goes on without it.
    pub(super) fn note(&self, job: &Job, step: Step, words: &str, wait: Wait) {
        self.write(&Note::of(&job.work, self.clock.now()).record(&job.record).step(step, words), wait);
    }

    /// The same of a whole note. What its agent calls over HTTP meanwhile is noted, too, one after another.
    pub(super) fn write(&self, note: &Note<'_>, wait: Wait) {
        if let Err(error) = self.try_write(note, wait) {
            debug!("{}: not noted: {error}", note.work.id);
        }
    }

    fn try_write(&self, note: &Note<'_>, wait: Wait) -> Result<(), JournalError> {
        match self.inflight.held_of(note.work) {
            Some(held) => held.note(note, self.journal, wait),
            None => self.journal.note(note, wait),
        }
    }

    /// Notes what a crash must not let happen twice, right before it is done. Where that cannot be noted it is not done.
    pub(super) fn must_note(&self, job: &Job, step: Step, words: &str) -> Result<(), Trouble> {
        let note = Note::of(&job.work, self.clock.now()).record(&job.record).step(step, words);
        self.try_write(&note, Wait::ForDisk).map_err(|error| Trouble::NotNoted(error.to_string()))
    }

    /// How long ago that was; a clock that was set back does not make it younger than now.
    pub(super) fn age(&self, since: Millis) -> Duration {
        self.clock.now().since(since)
    }

    /// Reads or changes what the agent has done with its tools. While the agent is at work, the record of the job has the
    /// tool log only in here.
    pub(super) fn with_log<T>(&self, job: &mut Job, change: impl FnOnce(&mut Record) -> T) -> T {
        match self.inflight.held_of(&job.work) {
            Some(held) => held.with_log(&mut job.record, change),
            None => change(&mut job.record),
        }
    }

    /// The agent has answered, or will not. What it has called until now is in the record then.
    pub(super) fn let_go(&self, job: &mut Job) {
        if let Some(effects) = self.inflight.let_go(&job.work) {
            job.record.effects = effects;
        }
    }

    /// A task, a document or a message was made: whoever looks for one of its own must not take it for that.
    pub(super) fn made(&self, job: &mut Job, id: String) {
        self.made.add(id.clone());
        self.with_log(job, |record| record.effects.made(id));
    }

    /// Whether it is known which step has made it.
    pub(super) fn knows(&self, job: &Job, id: &str) -> bool {
        let is_own = match self.inflight.held_of(&job.work) {
            Some(held) => held.has_made(id),
            None => job.record.effects.has_made(id),
        };
        is_own || self.made.has(id)
    }
}

/// How many turns were answered, and how long ago the last one.
#[derive(Debug, Default)]
pub struct AnswerCounter {
    count: AtomicU64,
    last: Pulse,
}

impl AnswerCounter {
    /// One more, now.
    pub fn one_more(&self) {
        self.last.beat();
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> (u64, Duration) {
        (self.count.load(Ordering::Relaxed), self.last.quiet())
    }
}

/// What the deliveries of this account have made lately, and which requests for a response they have taken up. Two
/// deliveries may make equal rows at the same moment, and a lost answer must not be settled by a row of the other.
#[derive(Debug, Default)]
pub struct RecentIds {
    ids: Mutex<VecDeque<String>>,
    requests: Mutex<VecDeque<Notification>>,
}

impl RecentIds {
    /// More than can be made in the time in which anything is in doubt.
    const MOST: usize = 4_096;
    /// Fewer, because each of them takes turns of two agents; and each is a whole row.
    const REQUESTS_MOST: usize = 1_024;

    /// One more; the oldest makes room.
    pub fn add(&self, id: String) {
        push(&mut self.ids.lock().unwrap_or_else(PoisonError::into_inner), id, Self::MOST);
    }

    /// Whether it was.
    pub fn has(&self, id: &str) -> bool {
        // Only calls in doubt ask.
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|made| made == id)
    }

    /// The delivery of this row begins. A request is kept: once it is delivered the backend no longer lists it.
    pub fn begins(&self, row: &Notification) {
        if row.kind != NotificationType::ResponseRequest {
            return;
        }
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        // A delivery begins again after each rest.
        if requests.iter().all(|known| known.id != row.id) {
            push(&mut requests, row.clone(), Self::REQUESTS_MOST);
        }
    }

    /// The requests about a task whose delivery has begun.
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

/// How agents may act.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether they are offered tools; otherwise they are told of the HTTP endpoints.
    pub client_tools: bool,
    /// Where these are.
    pub base_url: String,
    /// Whether each session has a secret of its own that its agent must show there.
    pub session_tokens: bool,
    /// How many times results of tools go back in one delivery.
    pub rounds_max: u32,
    /// How many calls one delivery may make.
    pub calls_max: u32,
    /// How long a turn may show no sign of life.
    pub silence_max: Duration,
    /// When a row is given up.
    pub budget: Budget,
    /// Who is told in the thread that an agent did not answer.
    pub notes: NoResponseNote,
}

/// What a failed call means for the row. A refusal whose reason is hidden may stand for anything, also for something
/// that passes; and what a person has to mend first (a token, a version) is no fault of the row.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn setback(error: CallError) -> Trouble {
    let weight = match (error.class, error.why) {
        (convex::CallClass::Transient, _) => Weight::Passing,
        (convex::CallClass::Gone, _)
        | (
            convex::CallClass::Refused,
            CallReason::Forbidden | CallReason::NotFound | CallReason::Invalid | CallReason::TooLarge,
        ) => Weight::Final,
        (convex::CallClass::Refused | convex::CallClass::Ambiguous, _) => Weight::Doubtful,
    };
    Trouble::Backend(Setback { weight, not_before: error.not_before, sentence: error.to_string() })
}
