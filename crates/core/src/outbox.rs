//! The outbox of a job: everything that follows the agent's answer, each step exactly once.
//!
//! # The problem
//!
//! The answer is paid for. It must be appended to the conversation, sent in several messages, and the job must be
//! completed. Each call can fail, or succeed while its answer is lost. The process can end between any two of them, and
//! the queue can give the same message to another attempt.
//!
//! # The rules
//!
//! * The outbox is kept in the ledger under the id of the queue's message, so a second attempt at the message continues
//!   here. It sends and appends nothing twice, and it never asks the model again.
//! * **Record first.** Before a step that must not happen twice, [`Outbox::begin`] notes it, and the note must be on disk.
//!   After the step, [`Outbox::on`] takes its result. A note at the queue tells other workers ([`QueueNotes`]).
//! * **Read, do not repeat.** A step that was begun and has no result is in doubt. An append is looked for in the
//!   history, under the time that the outbox chose for it. Meanwhile the answer is sent: the person does not wait.
//! * A bot cannot read its chat. A message in doubt is therefore not sent again: a gap of one message is rarer, and less
//!   harmful, than a repeated one, because Telegram mostly has what was sent completely. The outbox counts such messages.
//! * A history that takes no more messages does not keep the answer from the person.
//! * Without the lease nothing begins ([`lease`](crate::pool::lease)).
//!
//! [`Outbox::next`] names the next step.

mod queue_notes;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::telegram::{OutgoingFile, TelegramError, TelegramProblem};
use crate::unknown_fields::UnknownFields;
use mcr_model::TelegramParseMode;
use mcr_model::clock::Millis;

pub use queue_notes::{Learnt, Metadata, QueueNotes};

/// The first and the longest pause after a failed step.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// How long after its beginning an append may still arrive: the limit of a call, and of a transaction of the queue.
const GRACE: Duration = Duration::from_secs(45);

/// The pause between two looks for an append.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// After this many failures in a row without a proven effect, the attempt ends. The queue decides about another one.
const FAILURES_MAX: u32 = 8;

/// Where the answer is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// The chat.
    pub chat: String,
    /// Whether the messages have markup.
    pub is_html: bool,
}

impl Destination {
    /// A chat, with messages in this mode.
    pub fn new(chat: impl Into<String>, mode: TelegramParseMode) -> Self {
        Self { chat: chat.into(), is_html: mode == TelegramParseMode::Html }
    }

    /// The mode of the messages.
    pub fn mode(&self) -> TelegramParseMode {
        if self.is_html { TelegramParseMode::Html } else { TelegramParseMode::Plain }
    }
}

/// The state of the append.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Append {
    /// Not begun.
    #[default]
    Due,
    /// Begun with this time of its messages, and without a result.
    Begun(Millis),
    /// The history has the messages.
    Done,
    /// The queue does not take them, for this reason.
    Refused(String),
}

/// What is done for an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Outbox {
    /// The answer as it is appended.
    pub answer: String,
    /// The answer in messages.
    pub parts: Vec<String>,
    /// The files that follow the messages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<OutgoingFile>,
    /// Where the messages go; none if the answer is only appended.
    pub to: Option<Destination>,
    append: Append,
    sent: usize,
    /// Whether the next message was begun and has no result.
    #[serde(skip_serializing_if = "is_false")]
    is_sending: bool,
    /// The numbers of the messages that may not be in the chat, from 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uncertain: Vec<usize>,
    /// Who writes the notes at the queue about this outbox.
    #[serde(skip_serializing_if = "String::is_empty")]
    author: String,
    /// Until when another worker may still say what came of a message.
    #[serde(skip)]
    settled_at: Option<Millis>,
    /// Consecutive failures of the present step.
    #[serde(skip)]
    failures: u32,
    #[serde(skip)]
    not_before: Millis,
    /// Why the attempt ends without success.
    #[serde(skip)]
    failed: Option<String>,
    #[serde(skip)]
    is_over: bool,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboxStep {
    /// Append the message and the answer, with this time.
    Append(Millis),
    /// Look in the history for messages with this time.
    LookForAppend(Millis),
    /// Send the message with this number, from 0. The files have the numbers after the messages.
    Send(usize),
    /// Complete the job.
    Complete,
    /// Report the attempt as failed. The next attempt continues here.
    Fail(String),
    /// Wait until this time.
    Wait(Millis),
    /// Nothing more to do: the job is completed, or reported as failed, or its lease is lost.
    Over,
}

/// The result of a step.
#[derive(Clone, Debug)]
pub enum OutboxEvent {
    /// The history has the messages.
    Appended,
    /// The queue refuses the messages, for this reason.
    AppendRefused(String),
    /// A look in the history has found, or not found, the messages.
    LookedForAppend(bool),
    /// The message is in the chat.
    Sent,
    /// The message was not confirmed.
    NotSent(TelegramError),
    /// The job is completed, or its lease is lost: either ends the attempt.
    Completed,
    /// The failure is reported.
    Reported,
    /// The append certainly had no effect, for this reason.
    AppendFailed(String),
    /// The call has no usable answer, for this reason. An append stays in doubt; every other call may be repeated.
    CallFailed(String),
}

impl Outbox {
    /// The outbox of a fresh answer. Without parts nothing is sent.
    pub fn new(answer: String, parts: Vec<String>, to: Option<Destination>) -> Self {
        Self { answer, parts, to, ..Self::default() }
    }

    /// How many messages and files have been sent, with those in doubt.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// The outbox in another attempt at the same message, or in another process.
    #[must_use]
    pub fn reclaimed(&self) -> Self {
        let outbox = self.clone();
        Self {
            failures: 0,
            not_before: Millis::default(),
            failed: None,
            is_over: false,
            settled_at: None,
            ..outbox
        }
    }

    /// Whether every message was sent, as far as known, and the append is settled.
    pub fn is_delivered(&self) -> bool {
        matches!(self.append, Append::Done | Append::Refused(_)) && self.unsent().is_none()
    }

    /// Why the attempt ends without success, once that is certain.
    pub fn failure(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Why the history does not have the answer, if the queue refused it.
    pub fn append_refusal(&self) -> Option<&str> {
        match &self.append {
            Append::Refused(why) => Some(why),
            Append::Due | Append::Begun(_) | Append::Done => None,
        }
    }

    /// The number of the first message that was not begun.
    fn unsent(&self) -> Option<usize> {
        (self.to.is_some() && self.sent < self.parts.len() + self.files.len()).then_some(self.sent)
    }

    /// The next step. A message that was begun by an earlier attempt is left in doubt.
    pub fn next(&mut self, now: Millis) -> OutboxStep {
        if self.is_over {
            return OutboxStep::Over;
        }
        if now < self.not_before {
            return OutboxStep::Wait(self.not_before);
        }
        if let Some(why) = &self.failed {
            return OutboxStep::Fail(why.clone());
        }
        if self.append == Append::Due {
            return OutboxStep::Append(now);
        }
        if self.is_sending {
            self.leave_in_doubt();
        }
        match (self.unsent(), &self.append) {
            (Some(part), _) => OutboxStep::Send(part),
            (None, Append::Begun(at)) => OutboxStep::LookForAppend(*at),
            (None, Append::Due | Append::Done | Append::Refused(_)) => OutboxStep::Complete,
        }
    }

    /// Notes that the step begins. If this returns true, the outbox must be on disk before the step is carried out.
    pub fn begin(&mut self, step: &OutboxStep) -> bool {
        match step {
            OutboxStep::Append(at) => self.append = Append::Begun(*at),
            OutboxStep::Send(_) => self.is_sending = true,
            OutboxStep::LookForAppend(_)
            | OutboxStep::Complete
            | OutboxStep::Fail(_)
            | OutboxStep::Wait(_)
            | OutboxStep::Over => return false,
        }
        true
    }

    /// Undoes [`Outbox::begin`] for a step that was not carried out, because the note could not be written or the lease
    /// is lost.
    pub fn not_begun(&mut self, step: &OutboxStep) {
        match step {
            OutboxStep::Append(_) => self.append = Append::Due,
            OutboxStep::Send(_) => self.is_sending = false,
            OutboxStep::LookForAppend(_)
            | OutboxStep::Complete
            | OutboxStep::Fail(_)
            | OutboxStep::Wait(_)
            | OutboxStep::Over => {}
        }
    }

    /// Takes the result of the step.
    pub fn on(&mut self, event: OutboxEvent, now: Millis) {
        match event {
            OutboxEvent::Appended | OutboxEvent::LookedForAppend(true) => {
                self.append = Append::Done;
                self.succeeded();
            }
            OutboxEvent::LookedForAppend(false) => self.not_found(now),
            OutboxEvent::AppendRefused(why) => {
                self.append = Append::Refused(why);
                self.succeeded();
            }
            OutboxEvent::Sent => {
                self.is_sending = false;
                self.sent += 1;
                self.succeeded();
            }
            OutboxEvent::NotSent(error) => self.not_sent(&error, now),
            OutboxEvent::Completed | OutboxEvent::Reported => self.is_over = true,
            OutboxEvent::AppendFailed(why) => {
                self.append = Append::Due;
                self.pause(why, now);
            }
            OutboxEvent::CallFailed(why) => self.pause(why, now),
        }
    }

    /// The history does not have the messages. An append on its way may still arrive, so a second one waits.
    fn not_found(&mut self, now: Millis) {
        let Append::Begun(at) = self.append else { return };
        let settled = at + GRACE;
        if now >= settled {
            self.append = Append::Due;
        } else {
            self.not_before = settled.min(now + LOOK_AGAIN);
        }
    }

    fn not_sent(&mut self, error: &TelegramError, now: Millis) {
        if error.is_in_doubt {
            self.leave_in_doubt();
            return;
        }
        self.is_sending = false;
        let Some(to) = &mut self.to else { return };
        match &error.why {
            TelegramProblem::Markup if to.is_html => to.is_html = false,
            TelegramProblem::Moved(chat) if *chat != to.chat => to.chat.clone_from(chat),
            // A limit is no failure: the message is sent when the time has passed.
            TelegramProblem::Wait(time) => self.not_before = now + *time,
            why if why.passes() => self.pause(error.to_string(), now),
            _ => self.failed = Some(error.to_string()),
        }
    }

    /// The next message may be in the chat, and is not sent again.
    fn leave_in_doubt(&mut self) {
        self.uncertain.push(self.sent);
        self.is_sending = false;
        self.sent += 1;
        self.succeeded();
    }

    fn succeeded(&mut self) {
        (self.failures, self.not_before) = (0, Millis::default());
    }

    fn pause(&mut self, why: String, now: Millis) {
        self.failures += 1;
        if self.failures == FAILURES_MAX {
            self.failed.get_or_insert(why);
            return;
        }
        let doublings = (self.failures - 1).min(FAILURES_MAX);
        self.not_before = now + PAUSE.saturating_mul(1 << doublings).min(PAUSE_MAX);
    }
}
