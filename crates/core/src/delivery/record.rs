//! The record of a delivery: what has been done for an item of work.

mod beat;
mod form_1;
mod job;
mod stage;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use crate::unknown_fields::{UnknownFields, WithUnknown};
pub use beat::BeatRecord;
pub use form_1::from_form_1;
pub(super) use form_1::has_fields_of_form_1;
pub use job::JobRecord;
pub use stage::{Notice, PendingAnswer, Stage, ToolRounds};

use super::End;
use super::acts::Act;
use super::cause::{Cause, Failures};
use super::policy::Skip;
use super::stamp::Stamp;
use super::tool_log::ToolLog;
use crate::gateway::Usage;
use crate::guardrails::agent_names::KnownOrigin;
use crate::guardrails::origin::Origin;
use crate::guardrails::{CountStart, TeamTurn};
use crate::work::{Work, WorkId};
use mcr_model::SessionKey;
use mcr_model::clock::Millis;

/// The form of records that this program writes. Form 1 is converted ([`from_form_1`]).
pub const FORM: u32 = 2;

/// What has been done for an item of work. Each step is recorded here before the next one starts, and is not repeated.
///
/// The ledger keeps the record under these field names; fields with their default value are left out. Fields of a newer
/// version are ignored and kept ([`UnknownFields`]). An agent's calls and their results come from the gateway unchanged,
/// so they have none. A value that is not understood (a stage, an end) makes the whole record unreadable: it may be the
/// very step that must not be repeated. Then the ledger leaves the row untouched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, remote = "Self")]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Record {
    /// How often the agent got the question from the start; the number is part of the marker.
    #[serde(skip_serializing_if = "is_default")]
    pub tries: u32,
    /// How often the gateway had not accepted the question, so the agent did not get it.
    #[serde(rename = "untold", skip_serializing_if = "is_default")]
    pub not_accepted: u32,
    /// How many requests the gateway may have accepted: one for each question, and one for each round of tool results.
    #[serde(skip_serializing_if = "is_default")]
    pub requests: u32,
    /// How much the crashes point to this delivery as their cause, which lengthens its pause ([`crash`](super::crash)). It stays apart
    /// from the failures because it also goes down.
    #[serde(skip_serializing_if = "is_default")]
    pub suspected: u32,
    /// How many consecutive last crashes are held against this delivery ([`crash`](super::crash)). It stays apart from the
    /// failures because another crash sets it to zero.
    #[serde(skip_serializing_if = "is_default")]
    pub held: u32,
    /// How often each cause of a failed attempt occurred.
    #[serde(skip_serializing_if = "is_default")]
    pub failures: Failures,
    /// How many turns of all deliveries had been answered when this one last found the breaker open.
    #[serde(skip_serializing_if = "is_default")]
    pub answered_then: u64,
    /// The unsettled turn. It is settled before another one is sent.
    #[serde(skip_serializing_if = "is_default")]
    pub sent: Option<Sent>,
    /// The last question that the agent got without an answer of it: the agent may have done part of the work.
    #[serde(rename = "unheard", skip_serializing_if = "is_default")]
    pub unanswered_question: Option<u32>,
    /// The last answer came from a run that the gateway had resumed without the turn's tools. The next request says so.
    #[serde(skip_serializing_if = "is_default")]
    pub tools_missing: bool,
    /// The attempt whose answer without the turn's tools is counted in `spent`. It is found again if the next request is lost.
    #[serde(skip_serializing_if = "is_default")]
    pub charged: Option<u32>,
    /// The question whose stuck turn the runtime aborted; a second stuck turn ends the delivery.
    #[serde(skip_serializing_if = "is_default")]
    pub parted: Option<u32>,
    /// The message that the agent's question is about, and its time.
    #[serde(skip_serializing_if = "is_default")]
    pub heard: Option<Stamp>,
    /// Whether a person had paused the task when the agent got the question.
    #[serde(skip_serializing_if = "is_default")]
    pub began_paused: bool,
    /// Whether the notification did not address the agent that got the question ([`quiet_mode`](super::quiet_mode)).
    #[serde(skip_serializing_if = "is_default")]
    pub unaddressed: bool,
    /// What the loop brake keeps about the delivery ([`team`](crate::guardrails::team)). `None` if it has not seen it.
    #[serde(skip_serializing_if = "is_default")]
    pub team: Option<TeamTurn>,
    /// Who caused the notification, once its context has shown that.
    #[serde(skip_serializing_if = "is_default")]
    pub origin: Option<KnownOrigin>,
    /// The notification whose turn has the text of this one and answers it ([`fold`](super::fold)).
    #[serde(skip_serializing_if = "is_default")]
    pub folded_into: Option<WorkId>,
    /// Whether the thread has an answer with the notification's id. The backend admits only one.
    #[serde(skip_serializing_if = "is_default")]
    pub answered: bool,
    /// Whether the notification was marked as settled, and then a later message was folded into it.
    #[serde(skip_serializing_if = "is_default")]
    pub reopened: bool,
    /// The sum of the pauses for this delivery's own failures, in milliseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub rested: u64,
    /// The title of the task, shortened and without deceptive characters ([`mcr_model::visible::title`]). People see it
    /// next to the task's id. Empty if it is not known.
    #[serde(skip_serializing_if = "is_default")]
    pub title: String,
    /// The task as last read. A record without it was written before acts were recorded, or has no task.
    #[serde(skip_serializing_if = "is_default")]
    pub seen: Option<Act>,
    /// Whether an agent or a person waits for the answer.
    #[serde(skip_serializing_if = "is_default")]
    pub waits: AwaitedBy,
    /// The newest time of the backend's clock that was known before a step that may be in doubt. The first attempt sets it
    /// from the work ([`Work::created_at`]); a kind that reads the backend may know a newer one.
    #[serde(skip_serializing_if = "is_default")]
    pub since: Millis,
    /// The agent's tool calls.
    #[serde(skip_serializing_if = "is_default")]
    pub effects: ToolLog,
    /// What only the record of a heartbeat has.
    #[serde(skip_serializing_if = "is_default")]
    pub beat: Option<Box<BeatRecord>>,
    /// What only the record of a job of a worker pool has.
    #[serde(skip_serializing_if = "is_default")]
    pub job: Option<Box<JobRecord>>,
    /// The cost of the turns, as far as the gateway reports it.
    #[serde(skip_serializing_if = "is_default")]
    pub spent: WithUnknown<Usage>,
    /// Whether the source has not confirmed the mark of the end, so it may show or offer the work again. After a restart
    /// every closed row that is listed counts as unmarked ([`Source`](crate::work::Source)).
    #[serde(skip_serializing_if = "is_default")]
    pub unmarked: bool,
    /// The ledger has its end already, and only the mark is retried ([`Job::is_only_marked`](super::Job::is_only_marked)).
    #[serde(skip)]
    pub is_closed: bool,
    /// The rest of an answer that was paid for, if the delivery was given up before all of it was posted.
    #[serde(skip_serializing_if = "is_default")]
    pub unposted: Option<PendingAnswer>,
    /// The progress of the delivery.
    #[serde(skip_serializing_if = "is_default")]
    pub stage: Stage,
    /// Fields of a newer version.
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

/// Whether an agent or a person waits for the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AwaitedBy {
    /// Neither, as far as known.
    #[default]
    #[serde(rename = "nobody")]
    Neither,
    /// Another agent.
    Agent,
    /// A person.
    Person,
}

impl Record {
    /// The record of a delivery that is closed in the ledger and only lacks its mark.
    pub(super) fn closed(end: End) -> Self {
        Self { stage: Stage::Ended(end), is_closed: true, ..Self::default() }
    }

    /// The record for another delivery of the same notification; the first answer stays in the thread.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self {
            answered: self.answered,
            tries: self.tries,
            not_accepted: self.not_accepted,
            requests: self.requests,
            effects: self.effects.only_made(),
            beat: self.beat.clone(),
            reopened: true,
            spent: self.spent.clone(),
            unaddressed: self.unaddressed,
            team: self.team.as_ref().map(TeamTurn::renewed),
            title: self.title.clone(),
            seen: self.seen.clone(),
            extra: self.extra.clone(),
            ..Self::default()
        }
    }

    /// Adapts the record to a new process: calls of the last process may still arrive at the backend.
    pub fn recalled(&mut self, now: Millis) {
        self.effects.recalled(now);
        if let Some(sent) = self.sent.as_mut().filter(|sent| sent.lost.is_none()) {
            sent.interrupted = true;
            // The connection ended with the process that had it.
            sent.lost = Some(now);
        }
        if let Some(since) = self.stage.doubt_mut().and_then(Option::as_mut) {
            *since = now;
        }
    }

    /// The record for a dead letter or a stopped row that a person retries: a fresh budget, and everything that was done.
    /// An existing answer is posted. A delivery that only lacked its mark is only marked. Otherwise the agent gets the
    /// question again.
    #[must_use]
    pub fn retried(&self) -> Self {
        let team = self.team.as_ref().map(TeamTurn::retried);
        Self { team, ..self.started_again() }
    }

    /// The record for a stopped row that starts again because a person has written in its thread.
    #[must_use]
    pub fn resumed(&self) -> Self {
        let team = self.team.as_ref().map(TeamTurn::resumed);
        Self { team, ..self.started_again() }
    }

    fn started_again(&self) -> Self {
        let stage = match (&self.unposted, &self.stage) {
            (Some(left), _) => Stage::Answered(left.clone()),
            (None, Stage::Ended(End::Dead(_) | End::Dropped(_) | End::Skipped(Skip::TeamLimit))) => {
                Stage::Fresh
            }
            (None, Stage::Ended(end)) => Stage::Ended(end.clone()),
            (None, _) => Stage::Fresh,
        };
        // For a new question, an earlier stop does not count.
        let heard = self.heard.clone().filter(|_| !matches!(stage, Stage::Fresh));
        let mut record = Self {
            tries: self.tries,
            not_accepted: self.not_accepted,
            requests: self.requests,
            unanswered_question: self.sent.as_ref().map(|sent| sent.attempt).or(self.unanswered_question),
            tools_missing: self.tools_missing,
            charged: self.charged,
            heard,
            answered: self.answered,
            // The backend has the notification as settled, which must not end the new delivery.
            reopened: true,
            waits: self.waits,
            // What was sent for a job is never sent again.
            job: self.job.clone(),
            origin: self.origin,
            since: self.since,
            effects: self.effects.clone(),
            beat: self.beat.clone(),
            spent: self.spent.clone(),
            seen: self.seen.clone(),
            stage,
            extra: self.extra.clone(),
            ..Self::default()
        };
        record.effects.sent_again();
        record
    }

    /// The start of the count in which the loop brake stopped the row, if a notice about that is due.
    pub fn stop_of_notice(&self) -> Option<CountStart> {
        let Stage::Notice(notice) = &self.stage else { return None };
        let team = self.team.as_ref().filter(|_| notice.end == End::Skipped(Skip::TeamLimit));
        team.map(|team| team.start)
    }

    /// Whether no attempt has changed the record yet.
    pub fn is_untouched(&self) -> bool {
        let (title, team, seen) = (self.title.clone(), self.team.clone(), self.seen.clone());
        *self == Self { since: self.since, title, team, seen, origin: self.origin, ..Self::default() }
    }

    /// Who caused the work in its present state, if its context has shown that.
    pub fn origin_of(&self, work: &Work) -> Option<Origin> {
        self.origin.filter(|known| known.at >= work.created_at()).map(|known| known.by)
    }

    /// Whether the agent got the question and may be working on it.
    pub fn has_begun(&self) -> bool {
        let was_asked =
            matches!(self.stage, Stage::Working(_)) || self.sent.is_some() || self.tries > self.not_accepted;
        was_asked && self.heard.is_some()
    }

    /// Whether no step that could be repeated was done: a process without this record may start the delivery.
    pub fn only_waits(&self) -> bool {
        // The backend does not list a settled notification again.
        let is_listed = !self.reopened;
        let is_kept = self.answered || self.unposted.is_some() || !is_default(&self.extra);
        let was_asked = self.asked() > 0 || self.sent.is_some() || !is_default(&self.effects);
        is_listed && !is_kept && !was_asked && is_default(&self.stage)
    }

    /// Whether the next step is a turn of the agent, or the settlement of one. All other steps involve only the backend.
    pub fn needs_turn(&self, work: &Work) -> bool {
        work.asks_agent() && self.stage.lacks_result()
    }

    /// Whether the session is occupied: a turn may run at the gateway, or results of calls are due. No other turn may
    /// start in the session.
    pub(super) fn holds_session(&self, work: &Work) -> bool {
        self.needs_turn(work) && (self.sent.is_some() || matches!(self.stage, Stage::Working(_)))
    }

    /// How often the delivery failed for reasons that may affect it alone.
    pub fn own_failures(&self) -> u32 {
        self.failures.of_row()
    }

    /// How often the agent got the question.
    pub fn asked(&self) -> u32 {
        self.tries.saturating_sub(self.not_accepted)
    }

    /// Keeps the unposted rest of an answer, because the delivery is given up.
    pub fn put_aside(&mut self) {
        let Stage::Answered(answer) = &self.stage else { return };
        // The first message carries the notification's id, and the backend admits only one with it.
        self.answered |= answer.posted > 0;
        self.unposted = Some(answer.rest());
    }

    /// Removes a turn that had no result, so that it is sent again.
    pub fn send_again(&mut self) {
        self.sent = None;
        self.effects.sent_again();
    }
}

/// An unsettled turn. It is recorded before the turn is sent, and removed when the turn is settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Sent {
    /// The session.
    pub session: SessionKey,
    /// The gateway's id of the agent.
    pub agent: String,
    /// The number in its marker.
    pub attempt: u32,
    /// The id of its run, once the gateway has named it.
    pub run: Option<String>,
    /// When the turn was sent.
    pub at: Millis,
    /// When its answer was found to be lost.
    pub lost: Option<Millis>,
    /// Whether it was lost because it showed no sign of life for too long.
    #[serde(default)]
    pub silent: bool,
    /// Whether the gateway reported that the run failed, without a reason.
    pub failed: bool,
    /// Whether the model had written something before that failure.
    pub spoke: bool,
    /// When its session was first read after that.
    pub looked: Option<Millis>,
    /// The last item of the session at the last reading, and when that item first appeared.
    pub grown: Option<(u64, Millis)>,
    /// Whether the agent could not act on the board in this turn. A record of an older version does not say: then it could.
    #[serde(default, skip_serializing_if = "is_default")]
    pub without_tools: bool,
    /// Whether the process ended before the answer arrived: then no connection lost it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub interrupted: bool,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: UnknownFields,
}
