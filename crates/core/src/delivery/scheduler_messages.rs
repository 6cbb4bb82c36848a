//! The vocabulary of the scheduler: its events and effects, its settings, its initial state and its report.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::agent_limits::{AgentLimitsConfig, AgentLimitsState};
use super::backlog::Backlog;
use super::dead_letters::DeadLetter;
use super::delivery_stats::DeliveryStats;
use super::duplicate_runtime::{ForeignRuntime, Predecessor};
use super::ledger_row::UnreadableRow;
use super::limited::Limited;
use super::operator_requests::{Hold, OperatorReply, OperatorRequest, ReplyTo};
use super::poll_schedule::PollIntervals;
use super::stopped_rows::{StoppedRows, StoppedThread};
use super::{ClosedWork, Job, Outcome, Record};
use crate::guardrails::CountStart;
use crate::guardrails::agent_names::AgentNames;
use crate::guardrails::team::Threads;
use crate::wake_query::WakeSignal;
use crate::work::{Work, WorkId};
use mcr_model::clock::Millis;
use mcr_model::{Notification, TaskId};

/// An input of the scheduler.
#[derive(Debug)]
pub enum Event {
    /// A list succeeded.
    Listed {
        /// The number of the list.
        list: u64,
        /// The requested number of rows.
        limit: u32,
        /// The oldest unsettled rows, oldest first.
        rows: Vec<Notification>,
        /// How many further rows could not be read.
        malformed: usize,
        /// A random number from 0 to 1.
        dice: f64,
    },
    /// A list failed.
    ListFailed {
        /// Why, redacted.
        why: String,
        /// How long the backend refuses further lists.
        not_before: Option<Duration>,
        /// A random number from 0 to 1.
        dice: f64,
    },
    /// A source without lists offers this work. It may offer an id again until it has confirmed the end;
    /// `Source::Offered` has the rule.
    Offered(Arc<Work>),
    /// The lease of this job is lost: it ends as soon as possible, also while the gateway is away.
    Fenced(WorkId),
    /// The gateway has accepted the turn of this job; reported while a single job is on trial.
    TurnAccepted(u64),
    /// A worker is free again.
    Finished(Box<Job>, Outcome),
    /// A person's word has ended a stop of this thread; its turns are counted from there.
    ThreadResumed(TaskId, CountStart),
    /// New rows may exist.
    Nudged,
    /// This runtime has written something that may have made new rows.
    Written,
    /// How many calls of the backend this process has made.
    BackendCalls(u64),
    /// The value of the wake query has changed, or the subscription is lost.
    WakeQuery(WakeSignal),
    /// A probe of the gateway ended: `None`, or why the gateway is unavailable.
    Probed(Option<String>),
    /// The roster names these agents.
    AgentNames(AgentNames),
    /// From now on these agents' turns wait because a limit was reached. It replaces what an earlier event said.
    Limited(Limited),
    /// A person's request, and where its answer goes.
    Asked(OperatorRequest, ReplyTo),
    /// Start no more work.
    Stop,
}

/// An output of the scheduler.
#[derive(Debug)]
pub enum Effect {
    /// List the unsettled rows.
    List {
        /// The number of the list.
        list: u64,
        /// The maximum number of rows.
        limit: u32,
    },
    /// Give this job to a free worker.
    Start(Box<Job>),
    /// Probe the gateway.
    Probe,
    /// Record that this work is gone: its source no longer has it, and it was not started.
    Forget(Arc<Work>),
    /// A consequence of a person's request.
    Operator(OperatorEffect),
    /// Another runtime works on the account: stop and leave it alone. Returned once.
    Leave,
}

/// A consequence of a person's request.
#[derive(Debug)]
pub enum OperatorEffect {
    /// Record that this work is restarted, with the words of that step.
    Reopen(Box<(Arc<Work>, Record)>, &'static str),
    /// Record that this work is closed permanently, with the reason why it had been given up.
    Dropped(Box<(Arc<Work>, Record)>, String),
    /// Record that the row of this work, which is not understood, is closed permanently.
    DroppedUnreadable(WorkId),
    /// Stop waiting for the agent of this work.
    GiveUp(WorkId),
    /// Send the answer to the origin of the request.
    Tell(ReplyTo, OperatorReply),
}

/// The settings of the scheduler.
#[derive(Clone, Copy, Debug)]
pub struct SchedulerConfig {
    /// The number of workers.
    pub workers: usize,
    /// The minimum number of new rows that one list requests.
    pub list_limit: u32,
    /// When lists are due.
    pub intervals: PollIntervals,
    /// How many calls of the backend a month are intended. Above this rate, lists come at the interval only.
    pub calls_monthly: u64,
    /// How many waiting rows of an agent on a task one turn answers.
    pub fold_max: usize,
    /// The limits for what agents have caused.
    pub agent_limits: AgentLimitsConfig,
}

/// The state that an earlier process has left.
#[derive(Debug, Default)]
pub struct RecoveredState {
    /// What is known about that process.
    pub predecessor: Predecessor,
    /// Deliveries that have not ended, in their order, each with the end of its pause.
    pub open: Vec<(Arc<Work>, Record, Option<Millis>)>,
    /// Deliveries that have ended. What each of them guards against depends on its source
    /// ([`Source`](crate::work::Source)).
    pub closed: HashMap<WorkId, ClosedWork>,
    /// Rows of the ledger that are not understood.
    pub unreadable: Vec<UnreadableRow>,
    /// The dead letters, oldest first.
    pub dead: Vec<DeadLetter>,
    /// Rows that the loop brake has stopped and that wait for a person, oldest first.
    pub stopped: StoppedRows,
    /// The turns that agents have caused in each thread.
    pub threads: Threads,
    /// The agents whose turns do not start.
    pub hold: Hold,
    /// When requests that agents have caused were sent in the last minute.
    pub agent_turns: Vec<Millis>,
}

/// The state of the scheduler.
#[derive(Clone, Debug, Default)]
pub struct SchedulerState {
    /// Unsettled rows.
    pub known: usize,
    /// Rows with a worker.
    pub running: usize,
    /// Whether people and agents have been inactive for two minutes.
    pub is_idle: bool,
    /// When the oldest of them was created.
    pub oldest: Option<Millis>,
    /// Why nothing is sent to the gateway. `None` if turns are sent.
    pub breaker_open: Option<String>,
    /// How many deliveries were given up and wait for a person's decision.
    pub dead: usize,
    /// The threads that the loop brake has stopped, oldest first.
    pub stopped: Arc<[StoppedThread]>,
    /// The open rows of the ledger that are not understood, and what to do about them: sentences.
    pub unreadable: Arc<[String]>,
    /// The evidence of another runtime on the account, if there is any.
    pub foreign: Option<ForeignRuntime>,
    /// The limits for what agents have caused.
    pub agent_limits: AgentLimitsState,
    /// The unsettled rows, while Mission Control has more of them than a list shows.
    pub backlog: Option<Backlog>,
    /// How many lists were started.
    pub lists: u64,
    /// Whether lists are rarer because the backend calls exceed their monthly rate.
    pub lists_limited: bool,
    /// How many of the last lists failed in a row.
    pub list_failures: u32,
    /// The counts.
    pub stats: DeliveryStats,
}
