//! Compares the status of a task with its facts.

use std::collections::BTreeMap;

use super::facts::TaskFacts;
use crate::delivery::acts::{Act, ActKind};
use mcr_model::clock::Millis;
use mcr_model::{TaskStatus, Word};

/// The status of a task, as last known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The status.
    pub status: Word<TaskStatus>,
    /// The agent that set it. None for a person, or if no record says who did.
    pub agent: Option<String>,
    /// When it was set or read.
    pub at: Millis,
}

/// A difference between the status and the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The agent called the task ready, and nothing has changed since the assignment.
    NoEffect(String),
    /// The agent approved its own work, although a quality agent must approve it.
    OwnReview(String),
    /// The task is called ready or done while these failures are open.
    OpenFailure(Vec<Failure>),
}

/// An open failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The delivery with this id was given up, and its agent has done nothing about the task since.
    GivenUp {
        /// The id of its work.
        id: String,
        /// The agent.
        agent: String,
    },
    /// A call of this tool failed and was not repeated with success.
    Call {
        /// The tool.
        tool: String,
        /// The agent.
        agent: String,
    },
}

/// The result of the comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The status, if it is known.
    pub claim: Option<Claim>,
    /// The differences.
    pub marks: Vec<Mark>,
    /// Why it is unknown whether there is an effect.
    pub unknown: Option<&'static str>,
    /// What stands since the assignment.
    pub effects: Vec<Act>,
    /// The failures that are open, whatever the status.
    pub failures: Vec<Failure>,
    /// The agents that approved the work or sent it back.
    pub reviewers: Vec<String>,
}

impl Mark {
    /// The name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoEffect(_) => "no-effect",
            Self::OwnReview(_) => "own-review",
            Self::OpenFailure(_) => "open-failure",
        }
    }
}

const TOO_OLD: &str = "the ledger has no facts from the time of the assignment";
const NO_START: &str = "no assignment is recorded, and the age of the task is not known";
const IN_DOUBT: &str = "a call has an unknown outcome";
const AT_WORK: &str = "the agent still works on the task";

/// Compares the status of a task with its facts.
pub fn judge(facts: &TaskFacts) -> Judgement {
    let claims: Vec<&Act> =
        facts.acts.iter().filter(|act| matches!(act.kind(), Some(ActKind::Status))).collect();
    let claim = status(&claims, facts.seen());
    let review = author(&claims);
    let start = review.and_then(|review| start(facts, review));
    let by_agent = claim.as_ref().and_then(|claim| claim.agent.clone());
    let is = |status: TaskStatus| claim.as_ref().is_some_and(|claim| claim.status == status);
    // The reviewer's message is no effect of the work.
    let author = review.and_then(|act| act.agent.as_deref());
    let reviewer = by_agent.as_deref().filter(|agent| is(TaskStatus::Done) && Some(*agent) != author);
    let mut verdict = Judgement {
        effects: effects(facts, start.unwrap_or_default().from, reviewer),
        failures: failures(facts),
        reviewers: reviewers(&claims),
        ..Judgement::default()
    };
    let Some(agent) = by_agent.filter(|_| is(TaskStatus::Review) || is(TaskStatus::Done)) else {
        return Judgement { claim, ..verdict };
    };
    if let Some(author) = author
        && verdict.effects.is_empty()
    {
        verdict.unknown = match start {
            None => Some(NO_START),
            Some(start) if start.known_from < facts.since => Some(TOO_OLD),
            Some(start) if is_in_doubt(facts, start.from) => Some(IN_DOUBT),
            Some(_) if facts.at_work.contains(author) => Some(AT_WORK),
            Some(_) => None,
        };
        if verdict.unknown.is_none() {
            verdict.marks.push(Mark::NoEffect(author.to_owned()));
        }
    }
    let needs_review = claims.last().is_some_and(|act| act.needs_review);
    if is(TaskStatus::Done) && needs_review && author == Some(&*agent) {
        verdict.marks.push(Mark::OwnReview(agent));
    }
    if !verdict.failures.is_empty() {
        verdict.marks.push(Mark::OpenFailure(verdict.failures.clone()));
    }
    Judgement { claim, ..verdict }
}

/// The present status: that of the last act, unless a later reading shows another one.
fn status(claims: &[&Act], seen: Option<&Act>) -> Option<Claim> {
    let of = |act: &Act, agent: Option<String>| {
        act.status.clone().map(|status| Claim { status, agent, at: act.at })
    };
    let set = claims.last().copied();
    let (Some(set), Some(seen)) = (set, seen) else {
        return set.and_then(|set| of(set, set.agent.clone())).or_else(|| of(seen?, None));
    };
    // The backend's times decide, where both are known: a reading may begin before a change and end after it.
    let is_later = match (set.updated, seen.updated) {
        (Some(set_at), Some(seen_at)) if set_at != seen_at => seen_at > set_at,
        _ => seen.at > set.at,
    };
    if is_later && seen.status != set.status { of(seen, None) } else { of(set, set.agent.clone()) }
}

/// The last act by which an agent called the task ready for a review, if no other status followed but `done`.
fn author<'a>(claims: &[&'a Act]) -> Option<&'a Act> {
    let is = |act: &Act, status: TaskStatus| act.status.as_ref().is_some_and(|is| *is == status);
    let last = claims.iter().rev().find(|act| !is(act, TaskStatus::Done))?;
    is(last, TaskStatus::Review).then_some(*last)
}

/// The time from which on acts count, and the time from which on all acts must be known.
#[derive(Clone, Copy, Debug, Default)]
struct Start {
    from: Millis,
    known_from: Millis,
}

/// When the work on the task began: with the assignment of its agent, or with the task.
fn start(facts: &TaskFacts, review: &Act) -> Option<Start> {
    let mut assigned = facts.of_kind(ActKind::Assigned);
    let assigned = assigned.rfind(|act| act.agent == review.agent && act.at <= review.at);
    let assigned = assigned.map(|act| Start { from: act.at, known_from: act.heard.unwrap_or(act.at) });
    assigned.or_else(|| facts.seen()?.created.map(|at| Start { from: at, known_from: at }))
}

/// What has changed since the start and still stands. Messages of the reviewer do not count.
fn effects(facts: &TaskFacts, start: Millis, reviewer: Option<&str>) -> Vec<Act> {
    let linked: Vec<u64> =
        facts.of_kind(ActKind::PullRequest).chain(facts.seen()).filter_map(|act| act.number).collect();
    let archived = |id: &Option<String>| facts.of_kind(ActKind::Archived).any(|act| act.id == *id);
    let (before, since): (Vec<&Act>, Vec<&Act>) = facts.acts.iter().partition(|act| act.at < start);
    let mut texts: BTreeMap<(Option<ActKind>, &Option<String>), &Act> = BTreeMap::new();
    let mut standing = Vec::new();
    for act in since {
        match act.kind() {
            // Only the last text counts.
            Some(ActKind::Document | ActKind::Description) => {
                texts.insert((act.kind(), &act.id), act);
            }
            Some(ActKind::PullRequest) => {
                texts.insert((act.kind(), &None), act);
            }
            Some(ActKind::Subtask) if !archived(&act.id) => standing.push(act.clone()),
            Some(ActKind::Message) => {
                let names_other =
                    !act.names.is_empty() && !act.names.iter().any(|named| linked.contains(named));
                let says = act.says_more_than_status() && !names_other;
                if says && (reviewer.is_none() || act.agent.as_deref() != reviewer) {
                    standing.push(act.clone());
                }
            }
            _ => {}
        }
    }
    let last_before = |of: &Act| {
        let same = |act: &&&Act| {
            act.what == of.what && (act.kind() == Some(ActKind::PullRequest) || act.id == of.id)
        };
        before.iter().rev().find(same).copied()
    };
    standing.extend(
        texts
            .into_values()
            .filter(|act| {
                let is_blank = act.text.as_deref() == Some("");
                let is_old =
                    last_before(act).is_some_and(|old| old.text == act.text && old.number == act.number);
                !is_blank && !is_old
            })
            .cloned(),
    );
    standing.sort_by_key(|act| act.at);
    standing
}

/// Whether a call since the start may have had an effect.
fn is_in_doubt(facts: &TaskFacts, start: Millis) -> bool {
    facts.of_kind(ActKind::Failed).any(|act| act.is_unknown && act.at >= start)
}

fn failures(facts: &TaskFacts) -> Vec<Failure> {
    let agent = |act: &Act| act.agent.clone().unwrap_or_default();
    let mut open = Vec::new();
    for (place, act) in facts.acts.iter().enumerate() {
        // Acts of the same moment are in the order in which they were recorded.
        let later = |repeats: &dyn Fn(&Act) -> bool| facts.acts[place + 1..].iter().any(repeats);
        match act.kind() {
            Some(ActKind::GivenUp) => {
                let acted = |other: &Act| {
                    let passive = [ActKind::Assigned, ActKind::Seen, ActKind::Failed, ActKind::GivenUp];
                    other.agent == act.agent && other.kind().is_some_and(|kind| !passive.contains(&kind))
                };
                if !later(&acted) {
                    open.push(Failure::GivenUp { id: act.id.clone().unwrap_or_default(), agent: agent(act) });
                }
            }
            Some(ActKind::Failed) if !act.is_unknown => {
                let tool = act.tool.clone().unwrap_or_default();
                let succeeds = tool.parse().ok().and_then(ActKind::of_tool);
                let repeats = |other: &Act| {
                    let fits = act.any_repetition || other.subject == act.subject;
                    fits && succeeds.is_some() && other.kind() == succeeds
                };
                if !later(&repeats) {
                    open.push(Failure::Call { tool, agent: agent(act) });
                }
            }
            Some(_) | None => {}
        }
    }
    open
}

/// The agents that changed the status of work that another agent had called ready.
fn reviewers(claims: &[&Act]) -> Vec<String> {
    let mut found = Vec::new();
    for pair in claims.windows(2) {
        let was_ready = pair[0].status.as_ref().is_some_and(|status| *status == TaskStatus::Review);
        if let Some(agent) = &pair[1].agent
            && was_ready
            && pair[0].agent != pair[1].agent
            && !found.contains(agent)
        {
            found.push(agent.clone());
        }
    }
    found
}
