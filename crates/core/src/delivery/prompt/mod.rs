//! The briefing: all that an agent learns about a delivery, and how it is to answer.
//!
//! A briefing has two texts. The **instructions** (`instructions`, `rules`) say who the agent is, what it may do and how
//! it answers; they are our words. The **input** (`input`) carries the notification and what belongs to it; most of it
//! was written by others. The gateway forgets the instructions with each turn and keeps the input in the session.
//!
//! ## What others wrote stays data
//!
//! Everything somebody else wrote stands between lines of structure, `<<mark …>>`, whose mark (the scene's `fence`) is
//! random for each request ([`fence`]). Lines of structure hold only our own words, numbers and dates; a text in which
//! the mark occurs loses it. So no title, message or document can look like the end of itself, or like an instruction.
//! The few foreign words that the instructions need (the title, names) are put on one line, in quotation marks, short.
//!
//! ## What is cut
//!
//! A briefing is never longer than the scene's budget, at least [`LEAST_BUDGET`]. Parts get room in the order of their
//! importance, each at most so much; whoever comes late finds less, or nothing:
//!
//! | order | part | at most |
//! |---|---|---|
//! | 1 | instructions, headings, title, status and ids | bounded by their nature |
//! | 2 | the message to answer; if it must be cut, its middle goes, never the list of its files | all the room there is |
//! | 3 | the notification's own text | 15,000 |
//! | 4 | the task's description | 4,000 |
//! | 5 | the five newest messages of the thread | 1,500 each |
//! | 6 | who else is on the task, whom to turn to, whom to ask | 25 agents |
//! | 7 | the repository document | 4,000 |
//! | 8 | the account's briefing | 4,000 |
//! | 9 | the board at a glance | 4,000 |
//! | 10 | older messages of the thread, newest first | 1,500 each, 25 with those of 5 |
//!
//! Every cut says so, in a line of structure; what was left out altogether is named at the end of the input.
//! Characters are UTF-16 units.

mod budget;
pub mod fence;
mod files;
mod input;
mod instructions;
mod people;
mod rules;
mod status;
mod thread;
mod tool_access;

use crate::tools::ToolName;
use mcr_model::clock::Millis;
use mcr_model::{DeliveryContext, NotificationType, limits};

/// What the fixed parts of a briefing and a useful piece of its message need; a smaller budget counts as this.
pub const LEAST_BUDGET: usize = 16_000;

/// What a briefing is made of.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The notification and all that belongs to it, read just now.
    pub context: &'a DeliveryContext,
    /// What the agent can do on the board, one line for each tool or endpoint.
    pub labels: &'a [&'a str],
    /// The names of the tools offered; none where the agent calls over HTTP.
    pub tools: &'a [ToolName],
    /// Whether the agent is the orchestrator ([`super::policy::leads`]).
    pub leads: bool,
    /// Whether it may set this task to done, now ([`may_mark_done`](crate::tools::guard::may_mark_done)).
    pub may_close: bool,
    /// How it calls over HTTP; none where tools are offered. Nothing of it is shown otherwise.
    pub http: Option<HttpWay<'a>>,
    /// The first words of the input, by which it is found again in the session's history.
    pub marker: &'a str,
    /// The random mark of this request's lines of structure: some eight letters and digits, fresh each time.
    pub fence: &'a str,
    /// What time it is.
    pub now: Millis,
    /// How long the briefing may be, both texts together.
    pub budget_chars: usize,
    /// Whether the agent may have seen this request before.
    pub repeat: bool,
}

/// How an agent without tools reaches Mission Control.
#[derive(Clone, Copy)]
pub struct HttpWay<'a> {
    /// The runtime's address, without a slash at its end.
    pub base_url: &'a str,
    /// The agent's key: who holds it speaks for the agent.
    pub session_key: &'a str,
    /// What it must show beside the key, where that is asked for.
    pub token: Option<&'a str>,
}

/// What is sent to the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Briefing {
    /// Who the agent is and how it answers; for this turn only.
    pub instructions: String,
    /// What has happened; stays in the session.
    pub input: String,
}

/// Writes the briefing of a delivery.
pub fn brief(scene: &Scene<'_>) -> Briefing {
    let instructions = instructions::write(scene);
    let room = scene.budget_chars.max(LEAST_BUDGET).saturating_sub(limits::chars(&instructions));
    let input = input::write(scene, room);
    Briefing { instructions, input }
}

impl Scene<'_> {
    fn kind(&self) -> Option<NotificationType> {
        self.context.notification.kind.known()
    }

    fn is_assignment(&self) -> bool {
        self.kind() == Some(NotificationType::Assignment)
    }

    fn is_chat(&self) -> bool {
        self.context.task.as_ref().is_some_and(mcr_model::Task::is_orchestrator_chat)
    }
}
