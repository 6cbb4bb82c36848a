//! The facts of a task: the acts of all its deliveries, in a compact form that outlives their records.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::delivery::acts::{Act, ActKind};
use crate::delivery::{End, Record, WithUnknown};
use crate::gateway::Usage;
use crate::unknown_fields::UnknownFields;
use crate::work::Work;
use mcr_model::clock::Millis;
use mcr_model::{NotificationType, TaskId};

/// The most acts that the facts of one task keep.
const ACTS_MAX: usize = 64;

/// How many assignments of one agent are kept: the present one, and the one that an earlier claim refers to.
const ASSIGNMENTS_MAX: usize = 2;

/// The facts of each task.
pub type FactsByTask = BTreeMap<TaskId, TaskFacts>;

/// What is known about a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskFacts {
    /// The title, shortened. Empty if it is not known.
    pub title: String,
    /// From here on, every act is known.
    pub since: Millis,
    /// When the last of the deliveries ended or was noted.
    pub last: Millis,
    /// The number of deliveries.
    pub deliveries: u32,
    /// The number of turns.
    pub turns: u32,
    /// What the turns have cost.
    pub spent: WithUnknown<Usage>,
    /// The acts, each with its agent.
    pub acts: Vec<Act>,
    /// The agents that work on the task now.
    #[serde(skip)]
    pub at_work: BTreeSet<String>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

/// A delivery, as far as evidence needs it.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The work.
    pub work: &'a Work,
    /// What was done for it.
    pub record: &'a Record,
    /// When it was first noted.
    pub first_seen: Millis,
    /// When it ended, and its end if this version knows it.
    pub closed: Option<(Millis, Option<&'a End>)>,
}

/// Adds a delivery to the facts of its task, and of the other tasks that it changed. `start` is when the ledger began to
/// record acts: facts of a new task are complete from there on.
pub fn add(facts: &mut FactsByTask, delivery: Delivery<'_>, start: Millis) {
    let Delivery { work, record, first_seen, closed } = delivery;
    let (agent, own) = (&work.track.agent, work.track.task());
    let last = closed.map_or(first_seen, |(at, _)| at);
    let acts = record.effects.acts();
    if let Some(task) = own {
        let of = of(facts, task, start);
        of.count(record, last);
        if closed.is_none() && record.has_begun() {
            of.at_work.insert(agent.clone());
        }
        // An older version kept no acts.
        let is_old = record.asked() > 0 && record.seen.is_none();
        let unknown = if is_old { Some(last) } else { acts.left_out() };
        of.since = of.since.max(unknown.map_or(of.since, |at| Millis(at.0.saturating_add(1))));
        let row = work.notification();
        if row.is_some_and(|row| row.kind == NotificationType::Assignment) {
            // No act for the assignment is older than the notification; its agent knows it from here on.
            let from = first_seen.min(work.created_at());
            of.push(Act { heard: Some(first_seen), ..Act::new(ActKind::Assigned).at(from) }, agent);
        }
        if let Some(seen) = &record.seen {
            of.push(seen.clone(), agent);
        }
        if let Some((at, Some(End::Dead(_)))) = closed {
            let id = Some(work.id.to_string());
            of.push(Act { id, ..Act::new(ActKind::GivenUp).at(at) }, agent);
        }
    }
    for act in acts.iter() {
        let named = act.task.as_ref();
        // What an agent produces for another task is also a result of the conversation in which it does so.
        let both = matches!(
            act.kind(),
            Some(ActKind::Document | ActKind::Subtask | ActKind::Archived | ActKind::Failed)
        );
        let conversation = own.filter(|own| both || named.is_none_or(|named| named == *own));
        let other = named.filter(|named| Some(*named) != own);
        for task in conversation.into_iter().chain(other) {
            let of = of(facts, task, start);
            of.last = of.last.max(last);
            of.push(act.clone(), agent);
        }
    }
}

/// Adds an act that belongs to no delivery.
pub fn add_loose(facts: &mut FactsByTask, agent: &str, task: &TaskId, act: &Act, start: Millis) {
    let of = of(facts, task, start);
    of.last = of.last.max(act.at);
    of.push(act.clone(), agent);
}

fn of<'a>(facts: &'a mut FactsByTask, task: &TaskId, start: Millis) -> &'a mut TaskFacts {
    facts.entry(task.clone()).or_insert_with(|| TaskFacts { since: start, ..TaskFacts::default() })
}

impl TaskFacts {
    fn count(&mut self, record: &Record, last: Millis) {
        self.deliveries += 1;
        self.turns += record.asked();
        self.spent.known += *record.spent;
        self.last = self.last.max(last);
        if !record.title.is_empty() {
            self.title.clone_from(&record.title);
        }
    }

    /// Adds an act. Acts that a later one makes irrelevant are removed.
    fn push(&mut self, act: Act, agent: &str) {
        let act = Act { agent: Some(act.agent.unwrap_or_else(|| agent.to_owned())), ..act };
        let same = |other: &Act| other.what == act.what && other.agent == act.agent;
        match act.kind() {
            Some(ActKind::Seen) => {
                let known =
                    self.seen().is_some_and(|known| (known.updated, known.at) > (act.updated, act.at));
                if known {
                    return;
                }
                self.acts.retain(|other| other.kind() != Some(ActKind::Seen));
            }
            // The last message, and the last one that says something.
            Some(ActKind::Message) => {
                let new = act.says_more_than_status();
                self.acts.retain(|other| {
                    !(same(other) && other.at <= act.at && (new || !other.says_more_than_status()))
                });
            }
            Some(ActKind::Assigned) => {
                let of_agent: Vec<usize> =
                    self.acts.iter().enumerate().filter(|(_, other)| same(other)).map(|(at, _)| at).collect();
                if let (Some(oldest), true) = (of_agent.first(), of_agent.len() >= ASSIGNMENTS_MAX) {
                    self.acts.remove(*oldest);
                }
            }
            Some(_) | None => {}
        }
        let at = self.acts.partition_point(|other| other.at <= act.at);
        self.acts.insert(at, act);
        if self.acts.len() > ACTS_MAX {
            let oldest = self.acts.remove(0);
            self.since = self.since.max(Millis(oldest.at.0.saturating_add(1)));
        }
    }

    /// The acts of a kind, oldest first.
    pub(super) fn of_kind(&self, kind: ActKind) -> impl DoubleEndedIterator<Item = &Act> {
        self.acts.iter().filter(move |act| act.kind() == Some(kind))
    }

    /// The newest reading of the task.
    pub(super) fn seen(&self) -> Option<&Act> {
        self.of_kind(ActKind::Seen).next_back()
    }
}
