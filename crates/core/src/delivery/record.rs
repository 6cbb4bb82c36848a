//! What has been done for a row: the memory of a delivery.

mod form_1;
mod stage;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use crate::unknown_fields::{UnknownFields, WithUnknown};
pub use form_1::from_form_1;
pub(super) use form_1::has_fields_of_form_1;
pub use stage::{Notice, PendingAnswer, Stage, ToolRounds};

use super::End;
use super::cause::{Cause, Failures};
use super::stamp::Stamp;
use super::tool_log::ToolLog;
use crate::gateway::Usage;
use crate::work::Work;
use mcr_model::SessionKey;
use mcr_model::clock::Millis;

/// The form of records, as this program writes them. Form 1 is imported ([`from_form_1`]).
pub const FORM: u32 = 2;

/// What has been done for a row. Each step is noted here before the next one begins, and is not done again.
///
/// It is kept across restarts under the names that stand here; what is as in the beginning is left out. Fields of a newer
/// version are ignored and kept ([`UnknownFields`]); the calls of an agent and their results are the gateway's words, and
/// have none. A value that is not understood (a stage, an end) makes the whole record
/// unreadable, because it may be the very step that must not be repeated: then the ledger leaves the row untouched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, remote = "Self")]
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
    /// How much the crashes point to it as their cause, which lengthens its rest ([`crash`](super::crash)). It stays apart
    /// from the failures because it also goes down.
    #[serde(skip_serializing_if = "is_default")]
    pub suspected: u32,
    /// How many of the last crashes, in a row, are held against it ([`crash`](super::crash)). It stays apart from the
    /// failures because another crash sets it to zero.
    #[serde(skip_serializing_if = "is_default")]
    pub held: u32,
    /// How often each cause of a failed attempt was met.
    #[serde(skip_serializing_if = "is_default")]
    pub failures: Failures,
    /// How many turns of all deliveries had been answered when it last found the breaker open.
    #[serde(skip_serializing_if = "is_default")]
    pub answered_then: u64,
    /// The turn that was sent and is not settled; before anything else is sent, it is.
    #[serde(skip_serializing_if = "is_default")]
    pub sent: Option<Sent>,
    /// The last attempt that the agent has seen and that came to nothing: it may have done part of it.
    #[serde(skip_serializing_if = "is_default")]
    pub unheard: Option<u32>,
    /// The attempt that was stuck and was ended by us; a second one is the last.
    #[serde(skip_serializing_if = "is_default")]
    pub parted: Option<u32>,
    /// What the agent has heard: the message of the row and its time, as they were when the agent was told.
    #[serde(skip_serializing_if = "is_default")]
    pub heard: Option<Stamp>,
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
    /// The newest instant of the backend that was known before what may be in doubt now was begun. The first attempt sets
    /// it from the work ([`Work::created_at`]); a kind that reads the backend may know a newer one.
    #[serde(skip_serializing_if = "is_default")]
    pub since: Millis,
    /// What the agent has done with its tools.
    #[serde(skip_serializing_if = "is_default")]
    pub effects: ToolLog,
    /// What its turns have cost, as far as the gateway says.
    #[serde(skip_serializing_if = "is_default")]
    pub spent: WithUnknown<Usage>,
    /// The source was asked to mark the end and has not confirmed that, so it may show or offer the work again. After a
    /// restart every closed row that is listed counts as such ([`Source`](crate::work::Source)).
    #[serde(skip_serializing_if = "is_default")]
    pub unmarked: bool,
    /// The ledger has its end already, and only the mark is retried ([`Job::is_only_marked`](super::Job::is_only_marked)).
    #[serde(skip)]
    pub is_closed: bool,
    /// What the agent had answered, where it was given up before all of it was posted: it was paid for.
    #[serde(skip_serializing_if = "is_default")]
    pub unposted: Option<PendingAnswer>,
    /// How far it is.
    #[serde(skip_serializing_if = "is_default")]
    pub stage: Stage,
    /// What only a newer version knows.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The derived function: `remote` makes it one of the type and not of the trait.
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut record = Self::deserialize(deserializer)?;
        // Crashes had a field of their own before they were a cause like others.
        if let Some(crashes) = record.extra.take("crashes") {
            let crashes =
                u32::deserialize(crashes).map_err(|why| D::Error::custom(format!("`crashes`: {why}")))?;
            record.failures.add(Cause::Crash, crashes);
        }
        Ok(record)
    }
}

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
    /// Of what the ledger has as closed, and of which only the mark is missing.
    pub(super) fn closed(end: End) -> Self {
        Self { stage: Stage::Ended(end), is_closed: true, ..Self::default() }
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
            spent: self.spent.clone(),
            extra: self.extra.clone(),
            ..Self::default()
        }
    }

    /// For a new process: what was under way when the last one ended may still be on its way to the backend.
    pub fn recalled(&mut self, now: Millis) {
        self.effects.recalled(now);
        if let Some(sent) = self.sent.as_mut().filter(|sent| sent.lost.is_none()) {
            sent.interrupted = true;
        }
        if let Some(since) = self.stage.doubt_mut().and_then(Option::as_mut) {
            *since = now;
        }
    }

    /// For another beginning of what was given up, because a person wants it: with a fresh budget, and with everything
    /// that was done. An answer that is there is posted; what only lacked its mark is only marked; otherwise the agent is
    /// asked again.
    #[must_use]
    pub fn retried(&self) -> Self {
        let stage = match (&self.unposted, &self.stage) {
            (Some(left), _) => Stage::Answered(left.clone()),
            (None, Stage::Ended(end)) if !matches!(end, End::Dead(_) | End::Dropped(_)) => {
                Stage::Ended(end.clone())
            }
            (None, _) => Stage::Fresh,
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
            spent: self.spent.clone(),
            stage,
            extra: self.extra.clone(),
            ..Self::default()
        };
        record.effects.sent_again();
        record
    }

    /// Whether no attempt has done or met anything yet.
    pub fn is_untouched(&self) -> bool {
        *self == Self { since: self.since, ..Self::default() }
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
        let is_kept = self.answered || self.unposted.is_some() || !is_default(&self.extra);
        let was_told = self.asked() > 0 || self.sent.is_some() || !is_default(&self.effects);
        is_listed && !is_kept && !was_told && is_default(&self.stage)
    }

    /// Whether the next step of this work is a turn of the agent, or the search for one. All other steps are between us
    /// and the backend alone.
    pub fn needs_turn(&self, work: &Work) -> bool {
        work.asks_agent() && self.stage.lacks_result()
    }

    /// Whether its conversation is in the middle: a turn of it may run at the gateway, or the results of its calls are
    /// due. No other turn may begin in the session.
    pub(super) fn holds_session(&self, work: &Work) -> bool {
        self.needs_turn(work) && (self.sent.is_some() || matches!(self.stage, Stage::Working(_)))
    }

    /// How often it failed for reasons that need not concern any other row.
    pub fn own_failures(&self) -> u32 {
        self.failures.of_row()
    }

    /// How often the agent was asked, as far as the gateway took it.
    pub fn asked(&self) -> u32 {
        self.tries.saturating_sub(self.untold)
    }

    /// What is left of an answer is kept aside, and it is given up.
    pub fn put_aside(&mut self) {
        let Stage::Answered(answer) = &self.stage else { return };
        // The first message carries the row's id, and the backend admits one that does.
        self.answered |= answer.posted > 0;
        self.unposted = Some(answer.rest());
    }

    /// What was sent has come to nothing and will be sent again.
    pub fn send_again(&mut self) {
        self.sent = None;
        self.effects.sent_again();
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
    pub extra: UnknownFields,
}
