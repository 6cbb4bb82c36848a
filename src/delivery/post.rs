//! The answer on its way into the thread, message by message.

use log::info;

use super::deliver::setback;
use super::desk::Desk;
use super::journal::{Step, Wait};
use super::{End, Job, Stage, Trouble};
use crate::convex;
use crate::mission::{LoadTask, PostMessage, UpdateTaskStatus};
use crate::model::{AgentId, NotificationId, TaskId, TaskStatus, ThreadItem};

/// How many messages of a thread are read to find ours in it.
const LOOK_BACK: u32 = 100;

/// Posts what is not posted yet, and moves the task on.
pub(super) fn post(job: &mut Job, desk: &Desk<'_>) -> Result<(), Trouble> {
    let Some(task) = job.row.task_id.clone() else { return Ok(()) };
    let agent = AgentId::new(&job.row.recipient_id);
    while let Stage::Answered { parts, posted, unsettled, .. } = &mut job.record.stage
        && *posted < parts.len()
    {
        let (part, all) = (*posted, parts.len());
        // The backend admits one message for each notification, so only the first can carry its id. It is the safe one:
        // repeated, it is still one. Any other may stand there already if its posting was not confirmed.
        let has_key = part == 0 && !job.record.answered;
        if !(*unsettled && stands(&agent, &task, &parts[..=part], desk)?) {
            if !has_key {
                *unsettled = true;
                desk.note(job, Step::Posted, &format!("{part} of {all}"), Wait::ForDisk);
            }
            put(job, part, has_key, (&task, &agent), desk)?;
        }
        if let Stage::Answered { posted, unsettled, .. } = &mut job.record.stage {
            (*posted, *unsettled) = (part + 1, false);
        }
        desk.note(job, Step::Posted, &format!("{} of {all}", part + 1), Wait::Not);
        (desk.stir)();
    }
    let Stage::Answered { parts, advance, .. } = &mut job.record.stage else { return Ok(()) };
    let messages = parts.len();
    if *advance {
        take_up(&agent, &task, desk)?;
    }
    job.record.answered = true;
    job.record.stage = Stage::Ended(End::Answered(messages));
    Ok(())
}

/// Posts one part. One that certainly did not arrive is not in doubt.
fn put(
    job: &mut Job,
    part: usize,
    has_key: bool,
    (task, agent): (&TaskId, &AgentId),
    desk: &Desk<'_>,
) -> Result<(), Trouble> {
    let Stage::Answered { parts, unsettled, .. } = &mut job.record.stage else { return Ok(()) };
    let source = has_key.then_some(&job.row.id);
    desk.mission.ask(&message(task, agent, &parts[part], source)).map(drop).map_err(|error| {
        *unsettled = !has_key && error.ran != convex::Ran::No;
        setback(error)
    })
}

fn message<'a>(
    task: &'a TaskId,
    agent: &'a AgentId,
    content: &'a str,
    source: Option<&'a NotificationId>,
) -> PostMessage<'a> {
    PostMessage {
        task_id: task,
        agent_id: agent,
        content,
        suppress_agent_notifications: None,
        attachments: &[],
        source_notification_id: source,
    }
}

/// Whether the last of these parts, whose posting was not confirmed, is in the thread all the same: then it stands there
/// as often as among the parts.
fn stands(agent: &AgentId, task: &TaskId, parts: &[String], desk: &Desk<'_>) -> Result<bool, Trouble> {
    let Some(last) = parts.last() else { return Ok(false) };
    let look = LoadTask { agent_id: agent, task_id: task, message_limit: Some(LOOK_BACK) };
    let loaded = desk.mission.ask(&look).map_err(setback)?;
    let ours = |item: &&ThreadItem| item.author_id == agent.as_str() && item.content == *last;
    let there = loaded.thread.iter().filter(ours).count();
    Ok(there >= parts.iter().filter(|part| *part == last).count())
}

/// From assigned to in progress; if somebody was faster or it is not allowed, that is as good.
fn take_up(agent: &AgentId, task: &TaskId, desk: &Desk<'_>) -> Result<(), Trouble> {
    let change = UpdateTaskStatus {
        task_id: task,
        agent_id: agent,
        status: TaskStatus::InProgress,
        blocked_reason: None,
        expected_status: Some(TaskStatus::Assigned),
    };
    match desk.mission.ask(&change) {
        Err(error) if error.class == convex::Class::Transient => Err(setback(error)),
        Err(error) => {
            info!("{task} does not move to in_progress: {error}");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}
