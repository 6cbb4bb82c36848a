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
    answers.next().map(|message| (message.content.clone(), sent_before(bundle)))
}

/// How many messages of an answer another worker has sent for this message.
pub(crate) fn sent_before(bundle: &HydrationBundle) -> usize {
    bundle.payload.metadata.get(SENT).and_then(|sent| sent.parse().ok()).unwrap_or(0)
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

/// Says why the job is fenced now, if it is.
type Fence<'a> = dyn FnMut() -> Option<FenceReason> + 'a;

/// Stores the outbox.
type Keep<'a> = dyn FnMut(&Outbox, Wait) -> Result<(), JournalError> + 'a;

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
    pub fn advance(&self, outbox: &mut Outbox, fence: &mut Fence<'_>, keep: &mut Keep<'_>) -> AnswerState {
        loop {
            let known = outbox.uncertain.len();
            let step = outbox.next(self.clock.now());
            self.warn_of_doubt(outbox, known);
            match step {
                OutboxStep::Over => return AnswerState::Over,
                OutboxStep::Wait(until) => return AnswerState::Waits(until),
                OutboxStep::Append(_)
                | OutboxStep::LookForAppend(_)
                | OutboxStep::Send(_)
                | OutboxStep::Complete
                | OutboxStep::Fail(_) => {}
            }
            // Asked before the disk as well: between the disk and the call, a crash leaves the step in doubt.
            if let Some(reason) = fence() {
                return self.fenced(reason);
            }
            let known = outbox.uncertain.len();
            let done = match &step {
                OutboxStep::Send(part) => self.send(outbox, *part, fence, keep),
                step => {
                    if let OutboxStep::Append(at) = step {
                        self.mark(ANSWER_AT, at.0.to_string());
                    }
                    self.begin(outbox, step, fence, keep).map(|()| self.carry_out(step, outbox))
                }
            };
            match done {
                Ok(event) => outbox.on(event, self.clock.now()),
                Err(state) => return state,
            }
            if let OutboxStep::Send(_) = &step {
                self.mark(SENT, outbox.sent().to_string());
            }
            self.warn_of_doubt(outbox, known);
            // A note that is lost leaves the step in doubt, which the next attempt settles.
            if let Err(error) = keep(outbox, Wait::Not) {
                info!(error:%; "Step of an answer not recorded");
            }
        }
    }

    /// Records that the step begins, if the lease is held.
    fn begin(
        &self,
        outbox: &mut Outbox,
        step: &OutboxStep,
        fence: &mut Fence<'_>,
        keep: &mut Keep<'_>,
    ) -> Result<(), AnswerState> {
        if let Some(reason) = fence() {
            return Err(self.fenced(reason));
        }
        if outbox.begin(step)
            && let Err(JournalError(why)) = keep(outbox, Wait::ForDisk)
        {
            outbox.not_begun(step);
            return Err(AnswerState::NotKept(why));
        }
        Ok(())
    }

    fn fenced(&self, reason: FenceReason) -> AnswerState {
        let (job, reason_text) = (self.job.message_id.as_str(), reason.explain());
        warn!(job, reason = reason_text; "Answer of a job fenced");
        AnswerState::Fenced(reason)
    }

    fn warn_of_doubt(&self, outbox: &Outbox, known: usize) {
        if outbox.uncertain.len() > known {
            let job = self.job.message_id.as_str();
            warn!(job; "It is unknown whether a message is in the chat, so it is not sent again");
        }
    }

    fn carry_out(&self, step: &OutboxStep, outbox: &Outbox) -> OutboxEvent {
        match step {
            OutboxStep::Append(at) => self.append(outbox, *at),
            OutboxStep::LookForAppend(at) => self.look_for_append(outbox, *at),
            OutboxStep::Complete => match self.pool.ask(&Complete { lease: self.lease() }) {
                // Without the lease the job is another worker's, or a lost call has completed it.
                Ok(true | false) => OutboxEvent::Completed,
                Err(error) => OutboxEvent::CallFailed(error.to_string()),
            },
            OutboxStep::Fail(why) => match self.pool.ask(&Fail { lease: self.lease(), error_message: why }) {
                Ok(_) => OutboxEvent::Reported,
                Err(error) => OutboxEvent::CallFailed(error.to_string()),
            },
            OutboxStep::Send(_) | OutboxStep::Wait(_) | OutboxStep::Over => {
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

    /// Sends a message or a file. The step is recorded when the connection is open, right before the request.
    fn send(
        &self,
        outbox: &mut Outbox,
        part: usize,
        fence: &mut Fence<'_>,
        keep: &mut Keep<'_>,
    ) -> Result<OutboxEvent, AnswerState> {
        let (Some(to), Some(bot)) = (outbox.to.clone(), self.bot) else {
            return Ok(OutboxEvent::CallFailed("the agent has no bot token any more".to_owned()));
        };
        let text = outbox.parts.get(part).map(|text| render(text, to.mode()));
        let file = outbox.files.get(part.saturating_sub(outbox.parts.len())).cloned();
        let mut blocked = None;
        let mut ready = || match self.begin(outbox, &OutboxStep::Send(part), fence, keep) {
            Ok(()) => true,
            Err(state) => {
                blocked = Some(state);
                false
            }
        };
        let sent = match (text, file) {
            (Some(text), _) => self.telegram.send_text_when(bot, &to.chat, &text, &mut ready),
            (None, Some(file)) => match outgoing_file::read(&file, self.telegram.file_bytes_max()) {
                Ok((name, content)) => {
                    let file = FileToSend { kind: file.kind, name: &name, content: &content, caption: None };
                    self.telegram.send_file_when(bot, &to.chat, &file, &mut ready)
                }
                Err(reason) => {
                    let (job, file) = (self.job.message_id.as_str(), file.path.as_str());
                    warn!(job, file, reason = reason.as_str(); "A file of an answer is left out");
                    return Ok(OutboxEvent::Sent);
                }
            },
            (None, None) => return Ok(OutboxEvent::Sent),
        };
        match (blocked, sent) {
            (Some(state), _) => Err(state),
            (None, Ok(_)) => Ok(OutboxEvent::Sent),
            (None, Err(error)) => {
                info!(job = self.job.message_id.as_str(), part, error:%; "Message to Telegram not confirmed");
                Ok(OutboxEvent::NotSent(error))
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
