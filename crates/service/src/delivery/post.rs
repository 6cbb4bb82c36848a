//! Posts the answer to the thread, message by message.

use log::Level;
use log::kv::Value;

use super::deps::{DeliveryDeps, backend_failure};
use crate::tools::run::GRACE;
use mcr_clients::convex;
use mcr_clients::mission::{LoadTask, PostMessage, UpdateTaskStatus};
use mcr_core::delivery::acts::Act;
use mcr_core::delivery::failure::Weight;
use mcr_core::delivery::journal::{Step, Wait};
use mcr_core::delivery::{End, Job, Stage, Trouble};
use mcr_core::work::Work;
use mcr_model::clock::Millis;
use mcr_model::{AgentId, MessageId, NotificationId, TaskId, TaskStatus, ThreadItem, limits};

/// Posts the messages that are not in the thread yet, and moves the task on.
pub(super) fn post(job: &mut Job, deps: &DeliveryDeps<'_>) -> Result<(), Trouble> {
    let target = job.record.beat.as_ref().and_then(|of_beat| of_beat.target.as_ref());
    let Some(task) = job.work.track.task().or(target).cloned() else { return Ok(()) };
    let agent = AgentId::new(&job.work.track.agent);
    match &job.record.stage {
        Stage::Answered(_) => post_answer(job, &agent, &task, deps),
        Stage::Notice(_) => post_notice(job, &agent, &task, deps),
        Stage::Fresh | Stage::Working(_) | Stage::Ended(_) => Ok(()),
    }
}

fn post_answer(
    job: &mut Job,
    agent: &AgentId,
    task: &TaskId,
    deps: &DeliveryDeps<'_>,
) -> Result<(), Trouble> {
    while let Stage::Answered(answer) = &job.record.stage
        && let Some(content) = answer.parts.get(answer.posted).cloned()
    {
        let (part, all, doubt) = (answer.posted, answer.parts.len(), answer.doubt);
        let message = OutgoingMessage {
            place: (part + 1, all),
            task,
            agent,
            content: &content,
            // The backend admits one message per notification, so only the first message can carry its id. A repeated
            // first message is therefore harmless. Any other may be in the thread already if its post was not
            // confirmed.
            key: job.work.kind.message_key().filter(|_| part == 0 && !job.record.answered).cloned(),
            is_note: false,
            since: job.record.since,
        };
        let found = match doubt {
            Some(since) => message.find_lost(job, since, deps)?,
            None => None,
        };
        let id = match found {
            Some(id) => id,
            None => message.put(job, deps)?,
        };
        deps.made(job, id.to_string());
        job.record.answered |= message.key.is_some();
        if let Stage::Answered(answer) = &mut job.record.stage {
            (answer.posted, answer.doubt) = (part + 1, None);
        }
        deps.note(job, Step::Posted, &message.in_words(&job.work), Wait::Not);
        (deps.written)();
    }
    let Stage::Answered(answer) = &job.record.stage else { return Ok(()) };
    let (messages, advance, said) = (answer.parts.len(), answer.advance, Act::message(&answer.text()));
    if advance {
        take_up(job, agent, task, deps)?;
        deps.note(job, Step::Advanced, "to in_progress", Wait::Not);
    }
    deps.acted(job, vec![said]);
    job.record.answered = true;
    job.record.stage = Stage::Ended(End::Answered(messages));
    Ok(())
}

/// Posts a line for people about an end. Nothing depends on it, so a line that the backend refuses is left out.
fn post_notice(
    job: &mut Job,
    agent: &AgentId,
    task: &TaskId,
    deps: &DeliveryDeps<'_>,
) -> Result<(), Trouble> {
    let Stage::Notice(notice) = job.record.stage.clone() else { return Ok(()) };
    let message = OutgoingMessage {
        place: (1, 1),
        task,
        agent,
        content: &notice.line,
        key: None,
        is_note: true,
        // A note is about this work. An earlier process may have posted it without being able to record that.
        since: job.work.created_at(),
    };
    let found = match notice.doubt {
        Some(since) => message.find_lost(job, since, deps)?,
        None => message.find_unrecorded(job, deps)?,
    };
    let posted = match found {
        Some(id) => Some(id),
        None => match message.put(job, deps) {
            Ok(id) => Some(id),
            Err(trouble) if is_refused(&trouble) && job.record.stage.doubt().is_none() => {
                deps.log(
                    Level::Info,
                    &*job,
                    "Notice not posted",
                    &[("reason", Value::from_display(&trouble))],
                );
                None
            }
            Err(trouble) => return Err(trouble),
        },
    };
    job.record.stage = Stage::Ended(notice.end);
    if let Some(id) = posted {
        deps.made(job, id.to_string());
        deps.note(job, Step::NoticePosted, &message.in_words(&job.work), Wait::Not);
        (deps.written)();
    }
    Ok(())
}

/// Whether the backend refused the call and would refuse it again.
fn is_refused(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Backend(backend_failure) if backend_failure.weight != Weight::Passing)
}

/// A message to post.
struct OutgoingMessage<'a> {
    /// The number of the message, and of how many.
    place: (usize, usize),
    task: &'a TaskId,
    agent: &'a AgentId,
    content: &'a str,
    /// The idempotency key under which the backend accepts it once.
    key: Option<NotificationId>,
    /// Whether it is a line for people, which wakes no agent.
    is_note: bool,
    /// The message is not older than this, by the backend's clock.
    since: Millis,
}

impl OutgoingMessage<'_> {
    /// A description for the delivery's history.
    fn in_words(&self, work: &Work) -> String {
        let (part, all) = self.place;
        match (self.is_note, &self.key) {
            (true, _) => format!("a notice for people about {}", work.label()),
            (false, Some(_)) => format!("{part} of {all}"),
            (false, None) => format!("{part} of {all}, answer to {}", work.label()),
        }
    }

    /// Posts the message. If it certainly did not arrive, it is not in doubt.
    fn put(&self, job: &mut Job, deps: &DeliveryDeps<'_>) -> Result<MessageId, Trouble> {
        if self.key.is_none() {
            in_doubt(&mut job.record.stage, Some(deps.clock.now()));
            let noted = deps.must_note(job, Step::Posting, &self.in_words(&job.work));
            // A line for people is posted even without a record, because the thread is read before a repeated post. An
            // answer needs the record.
            if let (Err(trouble), false) = (noted, self.is_note) {
                in_doubt(&mut job.record.stage, None);
                return Err(trouble);
            }
        }
        let message = PostMessage {
            task_id: self.task,
            agent_id: self.agent,
            content: self.content,
            suppress_agent_notifications: self.is_note.then_some(true),
            attachments: &[],
            source_notification_id: self.key.as_ref(),
        };
        deps.mission.ask(&message).map(|posted| posted.message_id).map_err(|error| {
            let lost = self.key.is_none() && error.ran != convex::Ran::No;
            in_doubt(&mut job.record.stage, lost.then(|| deps.clock.now()));
            backend_failure(error)
        })
    }

    /// The id of the message, if it is in the thread although the answer to its post was lost.
    fn find_lost(
        &self,
        job: &Job,
        lost: Millis,
        deps: &DeliveryDeps<'_>,
    ) -> Result<Option<MessageId>, Trouble> {
        let (found, is_certain) = self.find(job, deps)?;
        let age = deps.age(lost);
        match found {
            Some(id) => Ok(Some(id)),
            None if !is_certain => Err(Trouble::Undecided),
            None if age < GRACE => Err(Trouble::OnItsWay(GRACE.saturating_sub(age))),
            None => Ok(None),
        }
    }

    /// The id of the message, if it is in the thread although no post was recorded. If the thread cannot be read, or
    /// not far enough, the message is posted.
    fn find_unrecorded(&self, job: &Job, deps: &DeliveryDeps<'_>) -> Result<Option<MessageId>, Trouble> {
        match self.find(job, deps) {
            Ok((found, _)) => Ok(found),
            Err(trouble) if is_refused(&trouble) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// A message of the same agent with the same text that no other step posted. The flag says whether every message
    /// since then was read.
    fn find(&self, job: &Job, deps: &DeliveryDeps<'_>) -> Result<(Option<MessageId>, bool), Trouble> {
        let look =
            LoadTask { agent_id: self.agent, task_id: self.task, message_limit: Some(limits::LIST_ROWS) };
        let thread = deps.mission.ask(&look).map_err(backend_failure)?.thread;
        let ours = |item: &&ThreadItem| {
            item.author_id == self.agent.as_str()
                && item.content == self.content
                && item.created_at >= self.since
                && !deps.knows(job, item.message_id.as_str())
        };
        let found = thread.iter().find(ours).map(|item| item.message_id.clone());
        let whole = thread.len() < limits::LIST_ROWS as usize;
        let reaches = thread.first().is_some_and(|oldest| oldest.created_at < self.since);
        Ok((found, whole || reaches))
    }
}

fn in_doubt(stage: &mut Stage, since: Option<Millis>) {
    if let Some(doubt) = stage.doubt_mut() {
        *doubt = since;
    }
}

/// Moves the task from `assigned` to `in_progress`. If its status has changed, or the change is not allowed, the
/// delivery continues.
fn take_up(job: &Job, agent: &AgentId, task: &TaskId, deps: &DeliveryDeps<'_>) -> Result<(), Trouble> {
    let change = UpdateTaskStatus {
        task_id: task,
        agent_id: agent,
        status: TaskStatus::InProgress,
        blocked_reason: None,
        expected_status: Some(TaskStatus::Assigned),
    };
    match deps.mission.ask(&change) {
        Err(error) if error.class == convex::CallClass::Transient => Err(backend_failure(error)),
        Err(error) => {
            deps.log(
                Level::Info,
                job,
                "Task not moved to in_progress",
                &[("error", Value::from_display(&error))],
            );
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}
