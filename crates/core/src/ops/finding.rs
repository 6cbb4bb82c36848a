//! The answer to "why?", for people and for programs.

use serde::{Deserialize, Serialize};

use super::evidence::TaskEvidence;
use crate::delivery::journal::RecordedStep;
use crate::spans::clock;
use mcr_model::clock::Millis;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The id that was asked about.
    pub id: String,
    /// `answered`, `dead` and the other outcomes, or `working`, `waiting`, `resting`, `held`, `closing`;
    /// `idle` for an agent without deliveries.
    pub state: String,
    /// What happened.
    pub what: String,
    /// Why.
    pub why: String,
    /// What happens next and when.
    pub next: String,
    /// The instant of the next step, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Millis>,
    /// The title of the task, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The cost so far.
    pub cost: String,
    /// The agent's answer, if no thread shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unposted: Option<String>,
    /// The timeline of one delivery.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<RecordedStep>,
    /// How many steps in the middle are left out.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub left_out: u64,
    /// What is known about the task, beside its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<TaskEvidence>,
    /// The deliveries of a task or of an agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<Brief>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_nothing(count: &u64) -> bool {
    *count == 0
}

/// One delivery in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Brief {
    /// The notification.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// The agent.
    pub agent: String,
    /// The task.
    pub task: Option<String>,
    /// The title of the task, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// As in [`Finding::state`].
    pub state: String,
    /// When it ended, or was created.
    pub at: Millis,
    /// What happened, and why.
    pub words: String,
    /// Why, without what happened: enough for a list that shows the state and the time.
    pub why: String,
    /// What happens next.
    pub next: String,
    /// The cost so far.
    pub cost: String,
    /// How many attempts failed, for any cause.
    pub failed: u32,
    /// Whether the agent's answer is in no thread.
    pub unposted: bool,
}

impl Finding {
    /// The answer for an agent without deliveries. `blocks` are sentences about what holds its deliveries up.
    #[must_use]
    pub fn idle(agent: &str, blocks: &[String]) -> Self {
        let what = format!("{agent} is an agent of this account, and has no deliveries.");
        let (what, why) = match blocks {
            [] => (what, "Nothing blocks it.".to_owned()),
            // A block stands first.
            blocks => (blocks.join(" "), what),
        };
        Self {
            id: agent.to_owned(),
            state: "idle".to_owned(),
            what,
            why,
            next: "Its first delivery begins once Mission Control lists a notification for it.".to_owned(),
            next_at: None,
            title: None,
            cost: "nothing".to_owned(),
            unposted: None,
            steps: Vec::new(),
            left_out: 0,
            evidence: None,
            deliveries: Vec::new(),
        }
    }

    /// Applies `clean` to every text, for display.
    #[must_use]
    pub fn cleaned(mut self, clean: &dyn Fn(&str) -> String) -> Self {
        for text in [&mut self.id, &mut self.what, &mut self.why, &mut self.next]
            .into_iter()
            .chain(&mut self.title)
            .chain(&mut self.unposted)
        {
            *text = clean(text);
        }
        self.steps.iter_mut().for_each(|step| step.words = clean(&step.words));
        self.evidence.iter_mut().for_each(|evidence| evidence.clean(clean));
        self.deliveries.iter_mut().for_each(|brief| brief.clean(clean));
        self
    }

    /// For people: the three sentences, then everything else. The printer redacts the text.
    pub fn text(&self) -> String {
        let mut lines = vec![self.what.clone(), self.why.clone(), self.next.clone(), String::new()];
        lines.push(format!("id    {}", self.id));
        lines.extend(self.title.iter().map(|title| format!("task  “{title}”")));
        lines.push(format!("cost  {}", self.cost));
        if let Some(evidence) = &self.evidence {
            lines.push(String::new());
            lines.extend(evidence.lines());
        }
        if !self.steps.is_empty() {
            lines.push(String::new());
        }
        for (number, step) in self.steps.iter().enumerate() {
            if number == FIRST_STEPS && self.left_out > 0 {
                lines.push(format!("      … {} steps …", self.left_out));
            }
            lines.push(format!("{}  {:<13} {}", clock(step.at), step.step, step.words).trim_end().to_owned());
        }
        if !self.deliveries.is_empty() {
            lines.push(String::new());
        }
        lines.extend(self.deliveries.iter().map(Brief::line));
        if let Some(text) = &self.unposted {
            lines.extend([
                String::new(),
                "The agent's answer, not posted in any thread:".to_owned(),
                text.clone(),
            ]);
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

/// How many steps are shown before the gap.
const FIRST_STEPS: usize = 8;

impl Brief {
    /// Applies `clean` to every text, for display.
    pub fn clean(&mut self, clean: &dyn Fn(&str) -> String) {
        for text in [&mut self.agent, &mut self.words, &mut self.next].into_iter().chain(&mut self.title) {
            *text = clean(text);
        }
    }

    /// The line, for people.
    pub fn line(&self) -> String {
        let Self { id, state, agent, kind, title, words, .. } = self;
        let about = title.as_ref().map_or(String::new(), |title| format!(" about “{title}”"));
        format!("{}  {state:<10} {id}  {kind} for {agent}{about}: {words}", clock(self.at))
    }
}
