//! The vocabulary of the scheduler: its events and effects, its settings, its initial state and its report.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::PollIntervals;
use crate::delivery::dead_letters::DeadLetter;
use crate::delivery::delivery_stats::DeliveryStats;
use crate::delivery::duplicate_runtime::ForeignRuntime;
use crate::delivery::ledger_row::UnreadableRow;
use crate::delivery::operator_requests::{Hold, OperatorReply, OperatorRequest, ReplyTo};
use crate::delivery::{End, Job, Outcome, Record};
use crate::work::{Work, WorkId};
use mcr_model::Notification;
use mcr_model::clock::Millis;

/// What the scheduler hears of.
#[derive(Debug)]
pub enum Event {
    /// A list came back.
    Listed {
        /// Its number.
        list: u64,
        /// How many rows it asked for.
        limit: u32,
        /// The oldest rows that are not settled, oldest first.
        rows: Vec<Notification>,
        /// How many more there were that made no sense.
        spoilt: usize,
        /// From 0 to 1.
        dice: f64,
    },
    /// A list failed.
    ListFailed {
        /// Why, redacted.
        why: String,
        /// How long the backend wants to be left alone.
        not_before: Option<Duration>,
        /// From 0 to 1.
        dice: f64,
    },
    /// A source without lists has this work. It offers each id once: what has ended in this process is not guarded for
    /// longer than until the next list.
    Offered(Arc<Work>),
    /// The gateway has taken the turn of this job; told while one goes first.
    TurnAccepted(u64),
    /// A worker is free again.
    Finished(Box<Job>, Outcome),
    /// There may be new rows.
    Nudged,
    /// The gateway was asked whether it is there: nothing, or why not.
    Probed(Option<String>),
    /// A person asks, or wants something done.
    Asked(OperatorRequest, ReplyTo),
    /// Begin nothing any more.
    Stop,
}

/// What should happen.
#[derive(Debug)]
pub enum Effect {
    /// List the rows that are not settled.
    List {
        /// Under this number.
        list: u64,
        /// This many.
        limit: u32,
    },
    /// Hand this to a worker; one is free.
    Start(Box<Job>),
    /// Ask the gateway whether it is there.
    Probe,
    /// Note that this work is gone: its source no longer has it, and it was not begun.
    Forget(Arc<Work>),
    /// What a person wants.
    Operator(OperatorEffect),
    /// Another runtime lives on the account: stop and leave it alone. Said once.
    Leave,
}

/// What follows from what a person wants.
#[derive(Debug)]
pub enum OperatorEffect {
    /// Note that this work begins again.
    Reopen(Box<(Arc<Work>, Record)>),
    /// Note that this work is closed for good; why it had been given up.
    Dropped(Box<(Arc<Work>, Record)>, String),
    /// Note that the row of this work, which is not understood, is closed for good.
    DroppedUnreadable(WorkId),
    /// Nobody waits for the agent of this work any longer.
    GiveUp(WorkId),
    /// Tell whoever asked.
    Tell(ReplyTo, OperatorReply),
}

/// What it is set to.
#[derive(Clone, Copy, Debug)]
pub struct SchedulerConfig {
    /// How many workers there are.
    pub workers: usize,
    /// How many new rows one list asks for, at least.
    pub list_limit: u32,
    /// When lists are due.
    pub rhythm: PollIntervals,
}

/// What an earlier process has left.
#[derive(Debug, Default)]
pub struct RecoveredState {
    /// Deliveries that are not over, in their order, and until when they rest.
    pub open: Vec<(Arc<Work>, Record, Option<Millis>)>,
    /// Deliveries that are over here. One that is listed all the same only lacks its mark.
    pub closed: HashMap<WorkId, End>,
    /// Rows of the ledger that are not understood.
    pub unreadable: Vec<UnreadableRow>,
    /// The dead letters, oldest first.
    pub dead: Vec<DeadLetter>,
    /// Whose turns do not begin.
    pub hold: Hold,
}

/// How things stand.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Rows that are not settled.
    pub known: usize,
    /// Those with a worker.
    pub running: usize,
    /// When the oldest of the known was created.
    pub oldest: Option<Millis>,
    /// Why nothing is sent to the gateway, if so.
    pub breaker_open: Option<String>,
    /// How many were given up and wait for a person's decision.
    pub dead: usize,
    /// The open rows of the ledger that are not understood, and what to do about them: sentences.
    pub unreadable: Arc<[String]>,
    /// What tells of another runtime on the account, if anything does.
    pub foreign: Option<ForeignRuntime>,
    /// How many lists were begun.
    pub lists: u64,
    /// How many of the last have failed, one after another.
    pub list_failures: u32,
    /// The counts.
    pub stats: DeliveryStats,
}
