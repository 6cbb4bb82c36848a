//! The facts and marks of tasks, for people and for programs.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::super::cost::cost_of;
use super::facts::{FactsByTask, TaskFacts};
use super::judge::{Failure, Judgement, Mark, judge};
use crate::delivery::acts::{Act, ActKind};
use crate::spans::{clock, counted};
use mcr_model::clock::Millis;
use mcr_model::{DonePolicy, TaskId};

/// A task with its status, its facts and their differences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskEvidence {
    /// The task.
    pub task: String,
    /// Its title, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its status as last known, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The agent that set the status. Absent for a person, or if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When the status was set or read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Millis>,
    /// The agents that approved the work or sent it back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviewers: Vec<String>,
    /// The differences between status and facts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<MarkInWords>,
    /// Why it is unknown whether there is an effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// What has changed since the assignment and still stands.
    pub effects: Vec<String>,
    /// The open failures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
    /// The number of deliveries.
    pub deliveries: u32,
    /// The cost of all turns.
    pub cost: String,
}

/// A mark and its explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkInWords {
    /// `no-effect`, `own-review` or `open-failure`.
    pub name: String,
    /// A sentence.
    pub words: String,
}

/// The tasks whose status and facts differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskReport {
    /// `DONE_POLICY`.
    pub policy: String,
    /// The report is about tasks with activity since then.
    pub since: Millis,
    /// The number of these tasks.
    pub tasks: usize,
    /// How many of them cannot be judged.
    pub unknown: usize,
    /// How many of them have marks.
    pub differing: usize,
    /// The first of these, the latest status first.
    pub marked: Vec<TaskEvidence>,
}

/// The most tasks that a report lists.
const LISTED_MAX: usize = 500;

/// The report on all tasks with activity since then. `name` returns the slug of an agent.
pub fn report(
    facts: &FactsByTask,
    since: Millis,
    policy: DonePolicy,
    name: &dyn Fn(&str) -> String,
) -> TaskReport {
    let active = facts.iter().filter(|(_, facts)| facts.last >= since);
    let all: Vec<TaskEvidence> = active.map(|(task, facts)| evidence(task, facts, policy, name)).collect();
    let (tasks, unknown) = (all.len(), all.iter().filter(|task| task.unknown.is_some()).count());
    let mut marked: Vec<TaskEvidence> = all.into_iter().filter(|task| !task.marks.is_empty()).collect();
    marked.sort_by_key(|task| Reverse(task.at));
    let differing = marked.len();
    marked.truncate(LISTED_MAX);
    TaskReport { policy: policy.name().to_owned(), since, tasks, unknown, differing, marked }
}

/// The evidence of a task. `name` returns the slug of an agent.
pub fn evidence(
    task: &TaskId,
    facts: &TaskFacts,
    policy: DonePolicy,
    name: &dyn Fn(&str) -> String,
) -> TaskEvidence {
    let verdict = judge(facts);
    let marks = match policy {
        DonePolicy::Off => Vec::new(),
        DonePolicy::Warn => verdict.marks.iter().map(|mark| in_words(mark, &verdict, name)).collect(),
    };
    let claim = verdict.claim.as_ref();
    TaskEvidence {
        task: task.to_string(),
        title: Some(facts.title.clone()).filter(|title| !title.is_empty()),
        status: claim.map(|claim| claim.status.to_string()),
        by: claim.and_then(|claim| claim.agent.as_deref()).map(name),
        at: claim.map(|claim| claim.at),
        reviewers: verdict.reviewers.iter().map(|agent| name(agent)).collect(),
        marks,
        unknown: verdict.unknown.map(str::to_owned),
        effects: verdict.effects.iter().filter_map(|act| effect(act, name)).collect(),
        failures: verdict.failures.iter().map(|failure| failed(failure, name)).collect(),
        deliveries: facts.deliveries,
        cost: cost_of(facts.turns, *facts.spent),
    }
}

fn in_words(mark: &Mark, verdict: &Judgement, name: &dyn Fn(&str) -> String) -> MarkInWords {
    let words = match mark {
        Mark::NoEffect(agent) => format!(
            "{} called the task ready, and nothing has changed since the assignment: no document with content, no linked pull \
             request, no new task, and no message with more than the status.",
            name(agent)
        ),
        Mark::OwnReview(agent) => {
            format!("{} approved its own work. A quality agent must approve it.", name(agent))
        }
        Mark::OpenFailure(failures) => {
            let failures: Vec<String> = failures.iter().map(|failure| failed(failure, name)).collect();
            let status = verdict.claim.as_ref().map_or(String::new(), |claim| claim.status.to_string());
            format!("The task is in {status}, and a failure is open: {}.", failures.join("; "))
        }
    };
    MarkInWords { name: mark.name().to_owned(), words }
}

fn failed(failure: &Failure, name: &dyn Fn(&str) -> String) -> String {
    match failure {
        Failure::GivenUp { id, agent } => format!("the delivery {id} to {} was given up", name(agent)),
        Failure::Call { tool, agent } => {
            format!("{tool} of {} failed and was not repeated with success", name(agent))
        }
    }
}

fn effect(act: &Act, name: &dyn Fn(&str) -> String) -> Option<String> {
    let id = act.id.as_deref().unwrap_or_default();
    let what = match act.kind()? {
        ActKind::Document => format!("document {id}"),
        ActKind::PullRequest => format!("pull request #{}", act.number?),
        ActKind::Subtask => format!("new task {id}"),
        ActKind::Description => "new description".to_owned(),
        ActKind::Message => "a message".to_owned(),
        ActKind::Assigned
        | ActKind::Seen
        | ActKind::Status
        | ActKind::Archived
        | ActKind::Failed
        | ActKind::GivenUp => return None,
    };
    let agent = act.agent.as_deref().map_or(String::new(), |agent| format!(" by {}", name(agent)));
    Some(format!("{what}{agent}, {}", clock(act.at)))
}

impl TaskEvidence {
    /// Applies `clean` to every text, for display.
    pub fn clean(&mut self, clean: &dyn Fn(&str) -> String) {
        let lists = [&mut self.reviewers, &mut self.effects, &mut self.failures];
        let marks = self.marks.iter_mut().map(|mark| &mut mark.words);
        let single = [&mut self.title, &mut self.status, &mut self.by].into_iter().flatten();
        let texts = lists.into_iter().flatten().chain(marks).chain(single).chain([&mut self.task]);
        texts.for_each(|text| *text = clean(text));
    }

    /// The status and who set it: `review, set by engineer, 2026-11-21T12:44:05Z`.
    fn status_line(&self) -> String {
        let Some(status) = &self.status else { return "not known".to_owned() };
        let by = self
            .by
            .as_ref()
            .map_or_else(|| ", not set by an agent".to_owned(), |agent| format!(", set by {agent}"));
        let at = self.at.map_or(String::new(), |at| format!(", {}", clock(at)));
        format!("{status}{by}{at}")
    }

    /// The lines about the task in an explanation.
    pub fn lines(&self) -> Vec<String> {
        let listed = |list: &[String]| if list.is_empty() { "none".to_owned() } else { list.join("; ") };
        let mut lines = vec![format!("status    {}", self.status_line())];
        let effects = match (&self.unknown, self.effects.is_empty()) {
            (Some(why), true) => format!("unknown: {why}"),
            _ => listed(&self.effects),
        };
        lines.push(format!("effects   {effects}"));
        if !self.reviewers.is_empty() {
            lines.push(format!("reviewed  by {}", self.reviewers.join(", ")));
        }
        if !self.failures.is_empty() {
            lines.push(format!("failures  {}", self.failures.join("; ")));
        }
        lines.extend(self.marks.iter().map(|mark| format!("mark      {}: {}", mark.name, mark.words)));
        lines
    }
}

/// The number of deliveries and their cost.
fn cost_line(task: &TaskEvidence) -> String {
    let noun = if task.deliveries == 1 { "delivery" } else { "deliveries" };
    format!("{} {noun}, {}", task.deliveries, task.cost)
}

impl TaskReport {
    /// The report with every text cleaned.
    #[must_use]
    pub fn cleaned(mut self, clean: &dyn Fn(&str) -> String) -> Self {
        self.marked.iter_mut().for_each(|task| task.clean(clean));
        self
    }

    /// The report for people.
    pub fn text(&self) -> String {
        let since = clock(self.since);
        let mut lines = Vec::new();
        if self.policy == DonePolicy::Off.name() {
            lines.push("DONE_POLICY is off: no task is marked.".to_owned());
        }
        let unknown = match self.unknown {
            0 => String::new(),
            count => format!(" {count} cannot be judged; `why TASK` says why."),
        };
        let (differing, tasks) = (self.differing, counted(self.tasks as u64, "task"));
        lines.push(format!(
            "{differing} of {tasks} since {since} have a status that the facts do not support.{unknown}"
        ));
        for task in &self.marked {
            let title = task.title.as_ref().map_or(String::new(), |title| format!("  “{title}”"));
            lines.extend([String::new(), format!("{}{title}", task.task)]);
            lines.extend(task.lines().iter().map(|line| format!("  {line}")));
            lines.push(format!("  cost      {}", cost_line(task)));
        }
        if self.differing > self.marked.len() {
            lines.extend([String::new(), format!("… and {} more.", self.differing - self.marked.len())]);
        }
        lines.push(String::new());
        lines.join("\n")
    }
}
