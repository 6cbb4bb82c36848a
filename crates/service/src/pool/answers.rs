//! Carries out the steps of an [`Outbox`]: calls the queue and Telegram, and tells the outbox what came of it.
//!
//! Before each step with an effect, three things happen in this order: the queue gets a note of the step, the queue confirms
//! the lease, and the outbox goes to the disk with the step in it. The next holder of the lease therefore sees the note of
//! each step that this worker may still carry out.

use log::{info, warn};

use super::lease_watch::LeaseCheck;
use super::outgoing_file;
use mcr_clients::convex::{CallClass, CallError, CallReason, Ran};
use mcr_clients::pool::{
    AppendMessages, AttachMetadata, Complete, Fail, HeldLease, Hydrate, NewMessage, PoolClient,
};
use mcr_clients::telegram::{FileToSend, TelegramClient};
use mcr_core::delivery::journal::{JournalError, Wait};
use mcr_core::pool::lease::FenceReason;
use mcr_core::pool::outbox::{Metadata, Outbox, OutboxEvent, OutboxStep};
use mcr_core::telegram::{BotToken, render};
use mcr_model::clock::{Clock, Millis};
use mcr_model::{ChatRole, ClaimedJob, JobId, WorkerId};

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

/// Asks the queue whether the lease is held.
type Confirm<'a> = dyn FnMut() -> LeaseCheck + 'a;

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

/// Why a step did not begin.
enum NotBegun {
    /// The attempt ends here.
    Ends(AnswerState),
    /// The step is due later.
    Later(OutboxEvent),
}

/// Says that a message is in doubt, if the outbox has more of them than before.
pub(crate) fn warn_of_doubt(job: &JobId, outbox: &Outbox, known: usize) {
    if outbox.uncertain.len() > known {
        let job = job.as_str();
        warn!(job; "It is unknown whether a message is in the chat, so it is not sent again");
    }
}

impl AnswerDelivery<'_> {
    /// Takes steps until one is not due yet. `confirm` asks whether the lease is held. `keep` stores the outbox.
    pub fn advance(
        &self,
        outbox: &mut Outbox,
        confirm: &mut Confirm<'_>,
        keep: &mut Keep<'_>,
    ) -> AnswerState {
        loop {
            let known = outbox.uncertain.len();
            let step = outbox.next(self.clock.now());
            warn_of_doubt(&self.job.message_id, outbox, known);
            let known = outbox.uncertain.len();
            let done = match &step {
                OutboxStep::Over => return AnswerState::Over,
                OutboxStep::Wait(until) => return AnswerState::Waits(*until),
                OutboxStep::Send(part) => self.send(outbox, *part, confirm, keep),
                OutboxStep::Append(_) => {
                    self.begin(outbox, &step, confirm, keep).map(|()| self.carry_out(&step, outbox))
                }
                OutboxStep::LookForAppend(_) | OutboxStep::Complete | OutboxStep::Fail(_) => {
                    Ok(self.carry_out(&step, outbox))
                }
            };
            match done {
                Ok(event) | Err(NotBegun::Later(event)) => outbox.on(event, self.clock.now()),
                Err(NotBegun::Ends(state)) => {
                    // Nothing was carried out, so the next holder of the lease need not wait.
                    if let OutboxStep::Append(_) = step {
                        self.try_note(&outbox.note_of_no_append());
                    }
                    self.settled(&step, outbox);
                    return state;
                }
            }
            warn_of_doubt(&self.job.message_id, outbox, known);
            // A note that is lost leaves the step in doubt, which the next attempt settles.
            if let Err(error) = keep(outbox, Wait::Not) {
                info!(error:%; "Step of an answer not recorded");
            }
            self.settled(&step, outbox);
        }
    }

    /// Notes at the queue that no message is on its way any more.
    fn settled(&self, step: &OutboxStep, outbox: &Outbox) {
        if let OutboxStep::Send(_) = step {
            self.try_note(&outbox.note_of_settled());
        }
    }

    /// Notes what another worker would otherwise wait for.
    fn try_note(&self, metadata: &Metadata) {
        if let Err(error) = self.note(metadata) {
            info!(job = self.job.message_id.as_str(), error:%; "The end of a step is not noted at the queue");
        }
    }

    /// Notes the step at the queue, confirms the lease, and records that the step begins.
    fn begin(
        &self,
        outbox: &mut Outbox,
        step: &OutboxStep,
        confirm: &mut Confirm<'_>,
        keep: &mut Keep<'_>,
    ) -> Result<(), NotBegun> {
        let later = |why: String| Err(NotBegun::Later(OutboxEvent::CallFailed(why)));
        if let Some(note) = outbox.note_of(step)
            && let Err(error) = self.note(&note)
        {
            return later(error.to_string());
        }
        match confirm() {
            LeaseCheck::Held => {}
            LeaseCheck::Fenced(reason) => return Err(NotBegun::Ends(self.fenced(reason))),
            LeaseCheck::Silent => return later("the queue does not confirm the lease".to_owned()),
        }
        if outbox.begin(step)
            && let Err(JournalError(why)) = keep(outbox, Wait::ForDisk)
        {
            outbox.not_begun(step);
            return Err(NotBegun::Ends(AnswerState::NotKept(why)));
        }
        Ok(())
    }

    fn fenced(&self, reason: FenceReason) -> AnswerState {
        let (job, reason_text) = (self.job.message_id.as_str(), reason.explain());
        warn!(job, reason = reason_text; "Answer of a job fenced");
        AnswerState::Fenced(reason)
    }

    fn carry_out(&self, step: &OutboxStep, outbox: &Outbox) -> OutboxEvent {
        match step {
            OutboxStep::Append(at) => self.append(outbox, *at),
            OutboxStep::LookForAppend(at) => self.look_for_append(*at),
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

    /// Adds a note to the message's metadata.
    fn note(&self, metadata: &Metadata) -> Result<(), CallError> {
        self.pool.ask(&AttachMetadata { message_id: &self.job.message_id, metadata }).map(|_| ())
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

    fn look_for_append(&self, at: Millis) -> OutboxEvent {
        let hydrate = Hydrate { message_id: &self.job.message_id, workspace_id: self.workspace };
        match self.pool.ask(&hydrate) {
            Ok(Some(bundle)) => {
                let history = &bundle.conversation_state.context_history;
                // The time is enough: another worker may have had another answer.
                let mut answers = history.iter().filter(|row| row.role == ChatRole::Assistant);
                OutboxEvent::LookedForAppend(answers.any(|row| row.at == at))
            }
            Ok(None) => OutboxEvent::CallFailed("the job is no longer in work".to_owned()),
            Err(error) => OutboxEvent::CallFailed(error.to_string()),
        }
    }

    /// Sends a message or a file. The step begins when the connection is open, right before the request.
    fn send(
        &self,
        outbox: &mut Outbox,
        part: usize,
        confirm: &mut Confirm<'_>,
        keep: &mut Keep<'_>,
    ) -> Result<OutboxEvent, NotBegun> {
        let (Some(to), Some(bot)) = (outbox.to.clone(), self.bot) else {
            return Ok(OutboxEvent::CallFailed("the agent has no bot token any more".to_owned()));
        };
        let text = outbox.parts.get(part).map(|text| render(text, to.mode()));
        let file = outbox.files.get(part.saturating_sub(outbox.parts.len())).cloned();
        let mut blocked = None;
        let mut ready = || match self.begin(outbox, &OutboxStep::Send(part), confirm, keep) {
            Ok(()) => true,
            Err(why) => {
                blocked = Some(why);
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
            (Some(why), _) => Err(why),
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
