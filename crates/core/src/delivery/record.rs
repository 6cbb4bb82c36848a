//! What has been done for a row: the memory of a delivery.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::End;
use super::effects::Effects;
use crate::gateway::{ToolCall, ToolOutput, Usage};
use mcr_model::clock::Millis;
use mcr_model::{MessageId, SessionKey};

/// What has been done for a row. Each step is noted here before the next one begins, and is not done again.
///
/// It is kept across restarts under the names that stand here; what is as in the beginning is left out. Fields of a newer
/// version are ignored and kept ([`NewerFields`]). A value that is not understood (a stage, an end) makes the whole record
/// unreadable, because it may be the very step that must not be repeated: then the ledger leaves the row untouched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Record {
    /// How often the agent was told of it from the beginning; the number stands in the marker.
    #[serde(skip_serializing_if = "is_default")]
    pub tries: u32,
    /// How often it turned out that the gateway had not taken it: then the agent heard nothing.
    #[serde(skip_serializing_if = "is_default")]
    pub untold: u32,
    /// How many requests the gateway may have taken: each try begins with one, and results of tools go back with more.
    #[serde(skip_serializing_if = "is_default")]
    pub requests: u32,
    /// How often the runtime crashed with it in hand.
    #[serde(skip_serializing_if = "is_default")]
    pub crashes: u32,
    /// How much the crashes point to it as their cause, which lengthens its rest ([`crash`](super::crash)).
    #[serde(skip_serializing_if = "is_default")]
    pub suspected: u32,
    /// How many of the last crashes, in a row, are held against it ([`crash`](super::crash)).
    #[serde(skip_serializing_if = "is_default")]
    pub held: u32,
    /// Attempts that failed by the row's own fault, of all causes together.
    #[serde(skip_serializing_if = "is_default")]
    pub failures: u32,
    /// How often the backend refused without a reason that would settle it.
    #[serde(skip_serializing_if = "is_default")]
    pub doubts: u32,
    /// Attempts in a row that found the backend out of reach and made no progress; they only lengthen the pauses.
    #[serde(skip_serializing_if = "is_default")]
    pub outages: u32,
    /// How often it found the gate to the gateway closed.
    #[serde(skip_serializing_if = "is_default")]
    pub turned_away: u32,
    /// How many turns, of whomever, had been answered when it last did.
    #[serde(skip_serializing_if = "is_default")]
    pub answered_then: u64,
    /// Turns in which the model's provider or the gateway's configuration was in the way, of all causes together.
    #[serde(skip_serializing_if = "is_default")]
    pub provider: u32,
    /// How often each cause in `failures` and `provider` was met, by its name. Each has a limit of its own. An older
    /// version kept the sums only: what it counted is charged to no cause, because it cannot be told which.
    #[serde(skip_serializing_if = "is_default")]
    pub causes: BTreeMap<String, u32>,
    /// How often the answer to the turn of now was lost and nowhere to be found: so often it was sent again.
    #[serde(skip_serializing_if = "is_default")]
    pub lost: u32,
    /// The turn that was sent and is not settled; before anything else is sent, it is.
    #[serde(skip_serializing_if = "is_default")]
    pub sent: Option<Sent>,
    /// The last attempt that the agent has seen and that came to nothing: it may have done part of it.
    #[serde(skip_serializing_if = "is_default")]
    pub unheard: Option<u32>,
    /// The attempt that was stuck and was ended by us; a second one is the last.
    #[serde(skip_serializing_if = "is_default")]
    pub parted: Option<u32>,
    /// Turns that brought neither words nor calls, where some were due.
    #[serde(skip_serializing_if = "is_default")]
    pub silences: u32,
    /// How often the backend knew nothing of it.
    #[serde(skip_serializing_if = "is_default")]
    pub unknown: u32,
    /// In which session, and which agent of the gateway, was told of it: the results of its calls go there.
    #[serde(skip_serializing_if = "is_default")]
    pub whom: Option<(SessionKey, String)>,
    /// What the agent has heard: the message of the row and its time, as they were when the agent was told.
    #[serde(skip_serializing_if = "is_default")]
    pub heard: Option<(Option<MessageId>, Millis)>,
    /// Whether the task was paused by a person when the agent was told: it was asked all the same.
    #[serde(skip_serializing_if = "is_default")]
    pub began_paused: bool,
    /// Whether an answer stands in the thread that carries the row's id: the backend admits one, so no further one can.
    #[serde(skip_serializing_if = "is_default")]
    pub answered: bool,
    /// It was marked as settled, and then a later message had come into it.
    #[serde(skip_serializing_if = "is_default")]
    pub reopened: bool,
    /// How long it was let rest for failures of its own, in milliseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub rested: u64,
    /// Who waits for the answer.
    #[serde(skip_serializing_if = "is_default")]
    pub waits: Waits,
    /// The newest instant of the backend that was known before what may be in doubt now was begun.
    #[serde(skip_serializing_if = "is_default")]
    pub since: Millis,
    /// What the agent has done with its tools.
    #[serde(skip_serializing_if = "is_default")]
    pub effects: Effects,
    /// What its turns have cost, as far as the gateway says.
    #[serde(skip_serializing_if = "is_default")]
    pub spent: Usage,
    /// The backend was asked to mark it as delivered and has not confirmed that, so it may list the row again. After a
    /// restart every closed row that is listed counts as such.
    #[serde(skip)]
    pub unmarked: bool,
    /// What the agent had answered, where it was given up before all of it was posted: it was paid for.
    #[serde(skip_serializing_if = "is_default")]
    pub unposted: Option<Unposted>,
    /// How far it is.
    #[serde(skip_serializing_if = "is_default")]
    pub stage: Stage,
    /// What only a newer version knows.
    #[serde(flatten)]
    pub newer: NewerFields,
}

/// Fields that a newer version has written: without meaning here, and kept when the record is written again, so that
/// the newer version finds them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NewerFields(Map<String, Value>);

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waits {
    /// Nobody, as far as known.
    #[default]
    Nobody,
    /// Another agent.
    Agent,
    /// A person.
    Person,
}

impl Record {
    /// Of what is over, and of which only the mark is missing.
    pub(super) fn ended(end: End) -> Self {
        Self { stage: Stage::Ended(end), ..Self::default() }
    }

    /// For another delivery of the same row, whose first answer stands.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self {
            answered: self.answered,
            tries: self.tries,
            untold: self.untold,
            requests: self.requests,
            effects: self.effects.only_made(),
            reopened: true,
            spent: self.spent,
            newer: self.newer.clone(),
            ..Self::default()
        }
    }

    /// For a new process: what was under way when the last one ended may still be on its way to the backend.
    pub fn recalled(&mut self, now: Millis) {
        self.effects.recalled(now);
        if let Some(sent) = self.sent.as_mut().filter(|sent| sent.lost.is_none()) {
            sent.interrupted = true;
        }
        match &mut self.stage {
            Stage::Working(Work { doubt: Some(since), .. }) | Stage::Answered { doubt: Some(since), .. } => {
                *since = now;
            }
            Stage::Fresh | Stage::Working(_) | Stage::Answered { .. } | Stage::Ended(_) => {}
        }
    }

    /// For another beginning of what was given up, because a person wants it: with a fresh budget, and with everything
    /// that was done. An answer that is there is posted; what only lacked its mark is only marked; otherwise the agent is
    /// asked again.
    #[must_use]
    pub fn retried(&self) -> Self {
        let stage = match (&self.unposted, &self.stage) {
            (Some(left), _) => left.clone().into_stage(),
            (None, Stage::Ended(end)) if !matches!(end, End::Dead(_) | End::Dropped(_)) => {
                Stage::Ended(end.clone())
            }
            (None, Stage::Ended(_) | Stage::Fresh | Stage::Working(_) | Stage::Answered { .. }) => {
                Stage::Fresh
            }
        };
        // What the agent is asked anew it has not heard yet; a stop before that does not count.
        let heard = self.heard.clone().filter(|_| !matches!(stage, Stage::Fresh));
        let mut record = Self {
            tries: self.tries,
            untold: self.untold,
            requests: self.requests,
            unheard: self.sent.as_ref().map(|sent| sent.attempt).or(self.unheard),
            heard,
            answered: self.answered,
            // The backend has it as settled, which must not stop it.
            reopened: true,
            waits: self.waits,
            since: self.since,
            effects: self.effects.clone(),
            spent: self.spent,
            stage,
            newer: self.newer.clone(),
            ..Self::default()
        };
        record.effects.sent_again();
        record
    }

    /// Whether the agent was told of it, and may be at work on it.
    pub fn has_begun(&self) -> bool {
        let told = matches!(self.stage, Stage::Working(_)) || self.sent.is_some() || self.tries > self.untold;
        told && self.heard.is_some()
    }

    /// Whether nothing was done for it yet that could be done twice: a process without this record may begin it.
    pub fn only_waits(&self) -> bool {
        // What the backend has as settled it does not list again.
        let is_listed = !self.reopened;
        let is_kept = self.answered || self.unposted.is_some() || !is_default(&self.newer);
        let was_told = self.asked() > 0 || self.sent.is_some() || !is_default(&self.effects);
        is_listed && !is_kept && !was_told && is_default(&self.stage)
    }

    /// Whether its next step is a turn of the agent, or the search for one. All other steps are between us and the
    /// backend alone.
    pub fn needs_turn(&self) -> bool {
        matches!(self.stage, Stage::Fresh | Stage::Working(_))
    }

    /// Whether its conversation is in the middle: a turn of it may run at the gateway, or the results of its calls are
    /// due. No other turn may begin in the session.
    pub(super) fn holds_session(&self) -> bool {
        self.needs_turn() && (self.sent.is_some() || matches!(self.stage, Stage::Working(_)))
    }

    /// How often it failed for reasons that need not concern any other row.
    pub(super) fn own_failures(&self) -> u32 {
        [self.doubts, self.silences, self.unknown, self.lost]
            .into_iter()
            .fold(self.failures, u32::saturating_add)
    }

    /// How often the agent was asked, as far as the gateway took it.
    pub fn asked(&self) -> u32 {
        self.tries.saturating_sub(self.untold)
    }

    /// What is left of an answer is kept aside, and it is given up.
    pub fn put_aside(&mut self) {
        let Stage::Answered { parts, posted, doubt, advance, note_on: None } = &self.stage else { return };
        let left = Unposted { parts: parts[*posted..].to_vec(), doubt: *doubt, advance: *advance };
        // The first message carries the row's id, and the backend admits one that does.
        self.answered |= *posted > 0;
        self.unposted = Some(left);
    }

    /// What was sent has come to nothing and will be sent again.
    pub fn send_again(&mut self) {
        self.sent = None;
        self.effects.sent_again();
    }
}

/// What is left of an answer that was given up before all of it was posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unposted {
    /// The messages that are missing.
    pub parts: Vec<String>,
    /// Since when it is not known whether the first of them is there after all, if it is not.
    pub doubt: Option<Millis>,
    /// Whether the task moves on once they are there.
    pub advance: bool,
}

impl Unposted {
    fn into_stage(self) -> Stage {
        let Self { parts, doubt, advance } = self;
        Stage::Answered { parts, posted: 0, doubt, advance, note_on: None }
    }

    /// All of it.
    pub fn text(&self) -> String {
        self.parts.join("\n\n")
    }
}

/// A turn under way. It is noted before the turn is sent, and taken back when the turn is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that is known of it or not")]
pub struct Sent {
    /// In this session.
    pub session: SessionKey,
    /// To this agent: the gateway's id.
    pub agent: String,
    /// The number in its marker.
    pub attempt: u32,
    /// The id of its run, once the gateway has named it.
    pub run: Option<String>,
    /// When.
    pub at: Millis,
    /// When its answer was found to be lost.
    pub lost: Option<Millis>,
    /// It was lost because it showed no sign of life for too long.
    #[serde(default)]
    pub silent: bool,
    /// The gateway itself said that the run failed, and not why.
    pub failed: bool,
    /// And the model had written something by then.
    pub spoke: bool,
    /// When its session was read for the first time since.
    pub looked: Option<Millis>,
    /// The last item of the session at the last reading, and when it was new.
    pub grown: Option<(u64, Millis)>,
    /// This process ended before the answer came: nothing was lost on the way.
    #[serde(default, skip_serializing_if = "is_default")]
    pub interrupted: bool,
    /// What only a newer version knows.
    #[serde(flatten)]
    pub newer: NewerFields,
}

/// How far a delivery is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nothing has been said to the agent that it has answered.
    #[default]
    Fresh,
    /// The agent has called tools; these are the results that it has not got yet.
    Working(Work),
    /// The agent has answered; this much is posted.
    Answered {
        /// The answer, in messages.
        parts: Vec<String>,
        /// How many of them are in the thread.
        posted: usize,
        /// Since when it is not known whether the next of them is there, too, if it is not.
        doubt: Option<Millis>,
        /// Whether the task moves on once they are.
        advance: bool,
        /// It is no answer but a line for people about this end, without the row's id.
        #[serde(default)]
        note_on: Option<End>,
    },
    /// All is done; the backend does not know it yet.
    Ended(End),
}

/// The middle of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// The calls that are still to be made, in order.
    pub pending: VecDeque<ToolCall>,
    /// Since when it is not known whether the first of them was carried out, if it is not.
    pub doubt: Option<Millis>,
    /// The results that go back once all calls are made.
    pub outputs: Vec<ToolOutput>,
    /// How many times results went back, with these.
    pub rounds: u32,
    /// How many calls were made.
    pub calls: u32,
    /// Whether any of them did what it was asked for.
    pub acted: bool,
    /// What it said beside its calls, in case it says nothing afterwards.
    pub said: Option<String>,
    /// What only a newer version knows.
    #[serde(flatten)]
    pub newer: NewerFields,
}
