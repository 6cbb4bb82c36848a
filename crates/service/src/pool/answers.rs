//! Carries out the steps of an [`Outbox`]: calls the queue and Telegram, and tells the outbox what came of it.
//!
//! Before each step with an effect, three things are certain: the outbox is on disk with the step in it, the lease is
//! held, and the program is not stopping. The lease is asked after the disk, right before the call.

use std::collections::BTreeMap;

use log::{info, warn};

use super::outgoing_file;
use mcr_clients::convex::{CallClass, CallError, CallReason, Ran};
use mcr_clients::pool::{
    AppendMessages, AttachMetadata, Complete, Fail, HeldLease, Hydrate, NewMessage, PoolClient,
};
use mcr_clients::telegram::{FileToSend, TelegramClient};
use mcr_core::delivery::journal::{JournalError, Wait};
use mcr_core::pool::lease::FenceReason;
use mcr_core::pool::outbox::{Outbox, OutboxEvent, OutboxStep};
use mcr_core::telegram::{BotToken, render};
use mcr_model::clock::{Clock, Millis};
use mcr_model::{ChatRole, ClaimedJob, HydrationBundle, WorkerId};

/// The name in the message's metadata of the time under which the answer is appended.
const ANSWER_AT: &str = "mcrAnswerAt";

/// The name in the message's metadata of the number of messages that were sent.
const SENT: &str = "mcrSent";

/// The answer that another worker has appended for this message, and how many of its messages are sent.
pub(crate) fn taken_over(bundle: &HydrationBundle) -> Option<(String, usize)> {
    let metadata = &bundle.payload.metadata;
    let at = Millis(metadata.get(ANSWER_AT)?.parse().ok()?);
    let history = bundle.conversation_state.context_history.iter();
    let mut answers = history.filter(|message| message.at == at && message.role == ChatRole::Assistant);
    let sent = metadata.get(SENT).and_then(|sent| sent.parse().ok()).unwrap_or(0);
    answers.next().map(|message| (message.content.clone(), sent))
}

/// What follows the answer of one claimed job.
#[derive(Clone, Copy)]
pub struct AnswerDelivery<'a> {
    /// The queue.
    pub pool: &'a PoolClient,
    /// Telegram.
    pub telegram: &'a TelegramClient,
    /// The token of the agent's bot; none if nothing is sent.
    pub bot: Option<&'a BotToken>,
    /// The job.
    pub job: &'a ClaimedJob,
    /// The worker that holds its lease.
    pub worker: &'a WorkerId,
    /// The workspace of the history.
    pub workspace: &'a str,
    /// The clock.
    pub clock: &'a dyn Clock,
}

/// How far the answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerState {
    /// The job is completed or reported as failed, or the queue no longer knows the lease.
    Over,
    /// The next step is due at this time.
    Waits(Millis),
    /// The lease is lost, and nothing more may be done.
    Fenced(FenceReason),
    /// The outbox cannot be stored, for this reason. Nothing was begun.
    NotKept(String),
}

impl AnswerDelivery<'_> {
    /// Takes steps until one is not due yet. `fence` says whether the lease is lost, at the moment of the question. `keep`
    /// stores the outbox.
    pub fn advance(
        &self,
        outbox: &mut Outbox,
        fence: &mut dyn FnMut() -> Option<FenceReason>,
        keep: &mut dyn FnMut(&Outbox, Wait) -> Result<(), JournalError>,
    ) -> AnswerState {
        loop {
            let step = outbox.next(self.clock.now());
            match step {
                OutboxStep::Over => return AnswerState::Over,
                OutboxStep::Wait(until) => return AnswerState::Waits(until),
                OutboxStep::Append(_)
                | OutboxStep::LookForAppend(_)
                | OutboxStep::Send(_)
                | OutboxStep::Complete
                | OutboxStep::Fail(_) => {}
            }
            if outbox.begin(&step)
                && let Err(JournalError(why)) = keep(outbox, Wait::ForDisk)
            {
                outbox.not_begun(&step);
                return AnswerState::NotKept(why);
            }
            if let Some(reason) = fence() {
                outbox.not_begun(&step);
                let (job, reason_text) = (self.job.message_id.as_str(), reason.explain());
                warn!(job, reason = reason_text; "Answer of a job fenced");
                return AnswerState::Fenced(reason);
            }
            let before = outbox.uncertain.len();
            if let OutboxStep::Append(at) = &step {
                self.mark(ANSWER_AT, at.0.to_string());
            }
            let event = self.carry_out(&step, outbox);
            outbox.on(event, self.clock.now());
            if let OutboxStep::Send(_) = &step {
                self.mark(SENT, outbox.sent().to_string());
            }
            if outbox.uncertain.len() > before {
                let job = self.job.message_id.as_str();
                warn!(job; "It is unknown whether a message is in the chat, so it is not sent again");
            }
            // A note that is lost leaves the step in doubt, which the next attempt settles.
            if let Err(error) = keep(outbox, Wait::Not) {
                info!(error:%; "Step of an answer not recorded");
            }
        }
    }

    fn carry_out(&self, step: &OutboxStep, outbox: &Outbox) -> OutboxEvent {
        match step {
            OutboxStep::Append(at) => self.append(outbox, *at),
            OutboxStep::LookForAppend(at) => self.look_for_append(outbox, *at),
            OutboxStep::Send(part) => self.send(outbox, *part),
            OutboxStep::Complete => match self.pool.ask(&Complete { lease: self.lease() }) {
                // Without the lease the job is another worker's, or a lost call has completed it.
                Ok(true | false) => OutboxEvent::Completed,
                Err(error) => OutboxEvent::CallFailed(error.to_string()),
            },
            OutboxStep::Fail(why) => match self.pool.ask(&Fail { lease: self.lease(), error_message: why }) {
                Ok(_) => OutboxEvent::Reported,
                Err(error) => OutboxEvent::CallFailed(error.to_string()),
            },
            OutboxStep::Wait(_) | OutboxStep::Over => {
                OutboxEvent::CallFailed("nothing is to be done".to_owned())
            }
        }
    }

    /// Notes the progress at the queue, for a worker without this outbox. Without the note such a worker starts anew.
    fn mark(&self, name: &str, value: String) {
        let metadata = BTreeMap::from([(name.to_owned(), value)]);
        let attach = AttachMetadata { message_id: &self.job.message_id, metadata: &metadata };
        if let Err(error) = self.pool.ask(&attach) {
            info!(job = self.job.message_id.as_str(), error:%; "Progress of an answer not noted at the queue");
        }
    }

    fn lease(&self) -> HeldLease<'_> {
        HeldLease { worker_id: self.worker, message_id: &self.job.message_id, lease_id: &self.job.lease_id }
    }

    /// Appends the message and the answer. Both have the time that the outbox chose.
    fn append(&self, outbox: &Outbox, at: Millis) -> OutboxEvent {
        let messages = [
            NewMessage { role: ChatRole::User, content: &self.job.payload.message_text, at },
            NewMessage { role: ChatRole::Assistant, content: &outbox.answer, at },
        ];
        let append = AppendMessages {
            conversation_id: &self.job.conversation_id,
            workspace_id: Some(self.workspace),
            messages: &messages,
        };
        match self.pool.ask(&append) {
            Ok(appended) if appended.updated => OutboxEvent::Appended,
            Ok(_) => OutboxEvent::AppendRefused("the conversation does not exist".to_owned()),
            Err(error) if is_refused(&error) => {
                let job = self.job.message_id.as_str();
                warn!(job, error:%; "The history of a conversation does not take the answer");
                OutboxEvent::AppendRefused(error.to_string())
            }
            Err(error) if error.ran == Ran::No => OutboxEvent::AppendFailed(error.to_string()),
            Err(error) => OutboxEvent::CallFailed(error.to_string()),
        }
    }

    fn look_for_append(&self, outbox: &Outbox, at: Millis) -> OutboxEvent {
        let hydrate = Hydrate { message_id: &self.job.message_id, workspace_id: self.workspace };
        match self.pool.ask(&hydrate) {
            Ok(Some(bundle)) => {
                let history = &bundle.conversation_state.context_history;
                OutboxEvent::LookedForAppend(history.iter().any(|message| {
                    message.at == at
                        && message.role == ChatRole::Assistant
                        && message.content == outbox.answer
                }))
            }
            Ok(None) => OutboxEvent::CallFailed("the job is no longer in work".to_owned()),
            Err(error) => OutboxEvent::CallFailed(error.to_string()),
        }
    }

    fn send(&self, outbox: &Outbox, part: usize) -> OutboxEvent {
        let (Some(to), Some(bot)) = (&outbox.to, self.bot) else {
            return OutboxEvent::CallFailed("the agent has no bot token any more".to_owned());
        };
        let sent = match (outbox.parts.get(part), outbox.files.get(part.saturating_sub(outbox.parts.len()))) {
            (Some(text), _) => self.telegram.send_text(bot, &to.chat, &render(text, to.mode())),
            (None, Some(file)) => match outgoing_file::read(file, self.telegram.file_bytes_max()) {
                Ok((name, content)) => {
                    let file = FileToSend { kind: file.kind, name: &name, content: &content, caption: None };
                    self.telegram.send_file(bot, &to.chat, &file)
                }
                Err(reason) => {
                    let (job, file) = (self.job.message_id.as_str(), file.path.as_str());
                    warn!(job, file, reason = reason.as_str(); "A file of an answer is left out");
                    return OutboxEvent::Sent;
                }
            },
            (None, None) => return OutboxEvent::Sent,
        };
        match sent {
            Ok(_) => OutboxEvent::Sent,
            Err(error) => {
                info!(job = self.job.message_id.as_str(), part, error:%; "Message to Telegram not confirmed");
                OutboxEvent::NotSent(error)
            }
        }
    }
}

/// Whether the queue itself refuses these messages, and would refuse them again. A deployment may hide its reason; the
/// person then gets the answer all the same.
fn is_refused(error: &CallError) -> bool {
    let is_own = matches!(
        error.why,
        CallReason::FunctionFailed
            | CallReason::Unknown
            | CallReason::Invalid
            | CallReason::TooLarge
            | CallReason::NotFound
            | CallReason::Forbidden
    );
    is_own && matches!(error.class, CallClass::Refused | CallClass::Gone)
}
