//! The answer on its way into the thread, message by message.

use log::info;

use super::deps::{DeliveryDeps, setback};
use crate::tools::run::GRACE;
use mcr_clients::convex;
use mcr_clients::mission::{LoadTask, PostMessage, UpdateTaskStatus};
use mcr_core::delivery::failure::Weight;
use mcr_core::delivery::journal::{Step, Wait};
use mcr_core::delivery::{End, Job, Stage, Trouble};
use mcr_core::work::Work;
use mcr_model::clock::Millis;
use mcr_model::{AgentId, MessageId, NotificationId, TaskId, TaskStatus, ThreadItem, limits};

/// Posts what is not posted yet, and moves the task on.
pub(super) fn post(job: &mut Job, deps: &DeliveryDeps<'_>) -> Result<(), Trouble> {
    let Some(task) = job.work.track.task().cloned() else { return Ok(()) };
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
        let letter = Letter {
            place: (part + 1, all),
            task,
            agent,
            content: &content,
            // The backend admits one message for each notification, so only the first can carry its id. It is the safe
            // one: repeated, it is still one. Any other may stand there already if its posting was not confirmed.
            key: job.work.kind.message_key().filter(|_| part == 0 && !job.record.answered).cloned(),
            is_note: false,
            since: job.record.since,
        };
        let stood = match doubt {
            Some(since) => letter.stands(job, since, deps)?,
            None => None,
        };
        let id = match stood {
            Some(id) => id,
            None => letter.put(job, deps)?,
        };
        deps.made(job, id.to_string());
        job.record.answered |= letter.key.is_some();
        if let Stage::Answered(answer) = &mut job.record.stage {
            (answer.posted, answer.doubt) = (part + 1, None);
        }
        deps.note(job, Step::Posted, &letter.in_words(&job.work), Wait::Not);
        (deps.stir)();
    }
    let Stage::Answered(answer) = &job.record.stage else { return Ok(()) };
    let (messages, advance) = (answer.parts.len(), answer.advance);
    if advance {
        take_up(agent, task, deps)?;
        deps.note(job, Step::Advanced, "to in_progress", Wait::Not);
    }
    job.record.answered = true;
    job.record.stage = Stage::Ended(End::Answered(messages));
    Ok(())
}

/// Tells people of an end. Nothing depends on it: what the backend refuses is left out.
fn post_notice(
    job: &mut Job,
    agent: &AgentId,
    task: &TaskId,
    deps: &DeliveryDeps<'_>,
) -> Result<(), Trouble> {
    let Stage::Notice(notice) = job.record.stage.clone() else { return Ok(()) };
    let letter = Letter {
        place: (1, 1),
        task,
        agent,
        content: &notice.line,
        key: None,
        is_note: true,
        // A note is about this work. An earlier process may have posted it without being able to record that.
        since: job.work.created_at(),
    };
    let stood = match notice.doubt {
        Some(since) => letter.stands(job, since, deps)?,
        None => letter.stands_already(job, deps)?,
    };
    let posted = match stood {
        Some(id) => Some(id),
        None => match letter.put(job, deps) {
            Ok(id) => Some(id),
            Err(trouble) if is_refused(&trouble) && job.record.stage.doubt().is_none() => {
                info!("{}: the note is not in the thread: {trouble}", job.work.id);
                None
            }
            Err(trouble) => return Err(trouble),
        },
    };
    job.record.stage = Stage::Ended(notice.end);
    if let Some(id) = posted {
        deps.made(job, id.to_string());
        deps.note(job, Step::Told, &letter.in_words(&job.work), Wait::Not);
        (deps.stir)();
    }
    Ok(())
}

/// Whether the backend has refused it, and would refuse it again.
fn is_refused(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Backend(setback) if setback.weight != Weight::Passing)
}

/// A message on its way.
struct Letter<'a> {
    /// Which message of how many.
    place: (usize, usize),
    task: &'a TaskId,
    agent: &'a AgentId,
    content: &'a str,
    /// Under which the backend takes it once.
    key: Option<NotificationId>,
    /// It is a line for people, and wakes no agent.
    is_note: bool,
    /// It is not older than this, by the backend's clock.
    since: Millis,
}

impl Letter<'_> {
    /// For the timeline.
    fn in_words(&self, work: &Work) -> String {
        let (part, all) = self.place;
        match (self.is_note, &self.key) {
            (true, _) => format!("a notice for people about {}", work.label()),
            (false, Some(_)) => format!("{part} of {all}"),
            (false, None) => format!("{part} of {all}, answer to {}", work.label()),
        }
    }

    /// Posts it. One that certainly did not arrive is not in doubt.
    fn put(&self, job: &mut Job, deps: &DeliveryDeps<'_>) -> Result<MessageId, Trouble> {
        if self.key.is_none() {
            in_doubt(&mut job.record.stage, Some(deps.clock.now()));
            let noted = deps.must_note(job, Step::Posting, &self.in_words(&job.work));
            // People wait for a note, and before it is posted again the thread is read. An answer waits for the disk.
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
            setback(error)
        })
    }

    /// Its id, if it stands in the thread although its posting was not confirmed.
    fn stands(&self, job: &Job, lost: Millis, deps: &DeliveryDeps<'_>) -> Result<Option<MessageId>, Trouble> {
        let (found, is_certain) = self.find(job, deps)?;
        let age = deps.age(lost);
        match found {
            Some(id) => Ok(Some(id)),
            None if !is_certain => Err(Trouble::Undecided),
            None if age < GRACE => Err(Trouble::OnItsWay(GRACE.saturating_sub(age))),
            None => Ok(None),
        }
    }

    /// Its id, if it stands in the thread although nothing is known of an earlier posting. A thread that cannot be read,
    /// or not far enough, is no reason to withhold it.
    fn stands_already(&self, job: &Job, deps: &DeliveryDeps<'_>) -> Result<Option<MessageId>, Trouble> {
        match self.find(job, deps) {
            Ok((found, _)) => Ok(found),
            Err(trouble) if is_refused(&trouble) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// A message of the same agent with the same words that no other step has posted; and whether all messages were read
    /// that are as new.
    fn find(&self, job: &Job, deps: &DeliveryDeps<'_>) -> Result<(Option<MessageId>, bool), Trouble> {
        let look =
            LoadTask { agent_id: self.agent, task_id: self.task, message_limit: Some(limits::LIST_ROWS) };
        let thread = deps.mission.ask(&look).map_err(setback)?.thread;
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

/// From assigned to in progress; if somebody was faster or it is not allowed, that is as good.
fn take_up(agent: &AgentId, task: &TaskId, deps: &DeliveryDeps<'_>) -> Result<(), Trouble> {
    let change = UpdateTaskStatus {
        task_id: task,
        agent_id: agent,
        status: TaskStatus::InProgress,
        blocked_reason: None,
        expected_status: Some(TaskStatus::Assigned),
    };
    match deps.mission.ask(&change) {
        Err(error) if error.class == convex::CallClass::Transient => Err(setback(error)),
        Err(error) => {
            info!("{task} does not move to in_progress: {error}");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}
