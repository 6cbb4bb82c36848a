//! Writes the briefing: everything an agent learns about a delivery, and how it should answer.
//!
//! A briefing has two texts. The **instructions** (`instructions`, `rules`) describe the agent's identity,
//! rights and form of answer; all of it is our text. The **input** (`input`) carries the notification and its
//! surroundings; most of it has other authors. The gateway forgets the instructions after each turn and keeps
//! the input in the session.
//!
//! ## Foreign text stays data
//!
//! Every foreign text is enclosed in lines of structure, `<<mark …>>`. Their mark (the scene's `fence`) is
//! random for each request ([`fence`]). Lines of structure contain only our own words, numbers and dates. A
//! text that contains the mark loses it. So no title, message or document can imitate its own end, or an
//! instruction. The few foreign words in the instructions (the title, names) are short, on one line, and in
//! quotation marks.
//!
//! ## What is cut
//!
//! A briefing never exceeds the scene's budget, which is at least [`LEAST_BUDGET`]. Parts get space in the
//! order of their importance, each up to a limit. Later parts may find less space, or none:
//!
//! | order | part | at most |
//! |---|---|---|
//! | 1 | instructions, headings, title, status and ids | bounded by their nature |
//! | 2 | the message to answer; if it is cut, its middle is removed, never the list of its files | all the space there is |
//! | 3 | the notification's own text | 15,000 |
//! | – | the other notifications that the reply answers: each whole, or not at all | all the space there is |
//! | 4 | the task's description | 4,000 |
//! | 5 | the five newest messages of the thread | 1,500 each |
//! | 6 | the other agents on the task, the person and the agents to ask | 25 agents |
//! | 7 | the repository document | 4,000 |
//! | 8 | the account's briefing | 4,000 |
//! | 9 | the board at a glance | 4,000 |
//! | 10 | older messages of the thread, newest first | 1,500 each, 25 with those of 5 |
//!
//! Every cut is marked by a line of structure. The end of the input names the parts that were left out
//! entirely. Characters are UTF-16 units.

mod budget;
pub mod fence;
mod files;
mod folded;
mod input;
mod instructions;
mod people;
mod rules;
mod status;
mod thread;
mod tool_access;

pub use instructions::over_http;

use crate::tools::ToolName;
use mcr_model::clock::Millis;
use mcr_model::{DeliveryContext, Notification, NotificationType, limits};

/// The least budget: the fixed parts and a useful piece of the message. A smaller budget counts as this.
pub const LEAST_BUDGET: usize = 16_000;

/// The facts of a briefing.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The notification and its surroundings, read immediately before.
    pub context: &'a DeliveryContext,
    /// What the agent can do on the board, one line for each tool or endpoint.
    pub labels: &'a [&'a str],
    /// The names of the function tools that the agent can call; empty if it calls over HTTP.
    pub tools: &'a [ToolName],
    /// Whether the agent is the orchestrator ([`super::policy::leads`]).
    pub leads: bool,
    /// Whether it may set this task to done, now ([`may_mark_done`](crate::tools::guard::may_mark_done)).
    pub may_close: bool,
    /// How it calls over HTTP. Without it the briefing mentions no HTTP.
    pub http: Option<HttpWay<'a>>,
    /// The first words of the input. They identify it in the session's history.
    pub marker: &'a str,
    /// The random mark of this request's lines of structure: about eight letters and digits, fresh each time.
    pub fence: &'a str,
    /// The current time.
    pub now: Millis,
    /// The longest briefing, both texts together.
    pub budget_chars: usize,
    /// Whether the agent may have seen this request before.
    pub repeat: bool,
    /// The other notifications that the reply answers, oldest first.
    pub folded: &'a [FoldedText],
    /// How many other notifications the reply answers. Later requests of the turn do not have their texts.
    pub folded_count: usize,
}

/// What a briefing adds where the gateway may leave out calls of a reply with several.
pub const ONE_CALL_AT_A_TIME: &str = "\n\n# Tool calls\nMake one call at a time, and wait for its result before the next one. \
     This gateway may lose further calls of the same reply.";

/// What a briefing adds after the gateway has resumed a turn without its tools.
pub const TOOLS_WERE_MISSING: &str = "\n\n# Interrupted turn\nThe gateway was restarted during this turn and let you continue without \
     the tools and instructions of this request. The answer that you gave then was not delivered. Both are available again. Check \
     the conversation for what is already done, and do not repeat it. Do what is missing, then give your complete answer.";

/// A notification that the reply to another one answers as well.
#[derive(Clone, Debug)]
pub struct FoldedText {
    /// The notification.
    pub notification: Notification,
    /// Its message. `None` if it has none or it was deleted.
    pub message: Option<mcr_model::Message>,
    /// The name of the author of the message, if the thread has it.
    pub author_name: Option<String>,
}

/// What an agent calls over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpUse {
    /// The tools, because it has no function tools.
    Tools,
    /// The tools, in addition to its function tools: for its scripts.
    ToolsForScripts,
    /// Only the endpoints of events.
    Events,
}

/// How an agent reaches the runtime over HTTP.
#[derive(Clone, Copy)]
pub struct HttpWay<'a> {
    /// What it calls.
    pub purpose: HttpUse,
    /// The runtime's address, without a final slash.
    pub base_url: &'a str,
    /// The agent's key: a caller with this key acts as the agent.
    pub session_key: &'a str,
    /// The token that must accompany the key, if one is required.
    pub token: Option<&'a str>,
    /// The file in the agent's workspace that has the token. Then the briefing names the file instead.
    pub token_file: Option<&'a str>,
}

/// The texts for the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Briefing {
    /// Who the agent is and how it answers; for this turn only.
    pub instructions: String,
    /// What has happened; stays in the session.
    pub input: String,
    /// The places of those folded notifications whose texts did not fit.
    pub left_out: Vec<usize>,
}

/// Writes the briefing of a delivery.
pub fn brief(scene: &Scene<'_>) -> Briefing {
    let instructions = instructions::write(scene);
    let room = scene.budget_chars.max(LEAST_BUDGET).saturating_sub(limits::chars(&instructions));
    let (input, left_out) = input::write(scene, room);
    // Fewer notifications make the instructions no longer.
    let folded_count = scene.folded_count.saturating_sub(left_out.len());
    let instructions = instructions::write(&Scene { folded_count, ..*scene });
    Briefing { instructions, input, left_out }
}

impl Scene<'_> {
    fn kind(&self) -> Option<NotificationType> {
        self.context.notification.kind.known()
    }

    fn is_assignment(&self) -> bool {
        self.kind() == Some(NotificationType::Assignment)
    }

    /// What the agent calls over HTTP. An agent with function tools does not call them over HTTP instead.
    fn over_http(&self) -> Option<HttpWay<'_>> {
        self.http.filter(|http| http.purpose != HttpUse::Tools || self.tools.is_empty())
    }

    /// How the agent calls tools over HTTP, if it has no function tools.
    fn tools_over_http(&self) -> Option<HttpWay<'_>> {
        self.over_http().filter(|http| http.purpose == HttpUse::Tools)
    }

    fn is_chat(&self) -> bool {
        self.context.task.as_ref().is_some_and(mcr_model::Task::is_orchestrator_chat)
    }
}
