//! The road of a delivery, read from top to bottom.
//!
//! Every step notes in the job's [`Record`](super::Record) what it has done before the next one begins; whoever comes
//! with a record that is not empty goes on behind the last note. So nothing that was done is done again: an answer that
//! could not be posted is posted later without asking the agent again, results of tools go back without running them
//! again, and what only lacks its mark is only marked.

use log::{debug, info, warn};

use super::policy::{self, OnSilence, Verdict};
use super::reply::{self, Said, Silence};
use super::retry::{self, Next, Setback, Weight};
use super::talk::{Spoken, talk};
use super::{End, Job, Outcome, Stage, Trouble};
use crate::chance;
use crate::convex::{self, CallError, Why};
use crate::gateway::Gateway;
use crate::mission::{
    GetDeliveryContext, LoadTask, MarkDelivered, MarkDeliveryEnded, MarkRead, Mission, PostMessage,
    UpdateTaskStatus,
};
use crate::model::limits::MESSAGE_CHARS;
use crate::model::{AgentId, DeliveryContext, NotificationType, TaskId, TaskStatus};
use crate::roster::Team;

/// How many messages of a thread are read to find one of ours in it.
const LOOK_BACK: u32 = 50;

/// What a worker delivers with.
#[derive(Clone, Copy)]
pub struct Desk<'a> {
    /// The backend.
    pub mission: &'a Mission,
    /// The gateway.
    pub gateway: &'a dyn Gateway,
    /// Who there is.
    pub team: &'a Team,
    /// To be called when we have written something that makes notifications.
    pub stir: &'a dyn Fn(),
    /// How agents may act.
    pub rules: &'a Rules,
}

/// How agents may act.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether they are offered tools; otherwise they are told of the HTTP endpoints.
    pub client_tools: bool,
    /// Where these are.
    pub base_url: String,
    /// How many times results of tools go back in one delivery.
    pub rounds_max: u32,
    /// How many calls one delivery may make.
    pub calls_max: u32,
}

/// Walks down the road, as far as it goes today.
pub fn deliver(job: &mut Job, desk: &Desk<'_>) -> Outcome {
    let mut typing = false;
    let trouble = match walk(job, desk, &mut typing) {
        Ok(end) => return Outcome::Closed(end),
        Err(trouble) => trouble,
    };
    let id = &job.row.id;
    match retry::after(&mut job.record, &trouble, chance::unit()) {
        Next::Again(pause) => {
            info!("{id}: {trouble}{}", in_words(pause));
            if typing {
                stop_typing(job, desk);
            }
            Outcome::Again { trouble, pause }
        }
        Next::End(end) => {
            warn!("{id}: {}: {trouble}", end.name());
            job.record.stage = Stage::Ended(end);
            // This is the end of the road for the row; only the mark can still be missing.
            match walk(job, desk, &mut typing) {
                Ok(end) => Outcome::Closed(end),
                Err(trouble) => {
                    let Next::Again(pause) = retry::after(&mut job.record, &trouble, chance::unit()) else {
                        return Outcome::Closed(End::Dead(trouble.to_string()));
                    };
                    Outcome::Again { trouble, pause }
                }
            }
        }
    }
}

fn walk(job: &mut Job, desk: &Desk<'_>, typing: &mut bool) -> Result<End, Trouble> {
    if matches!(job.record.stage, Stage::Fresh | Stage::Working(_)) {
        let context = context(job, desk)?;
        let fresh = matches!(job.record.stage, Stage::Fresh);
        match policy::judge(&context) {
            // Work that has begun is brought to its end: its own tools may be what changed the board.
            Verdict::Skip(why) if fresh => job.record.stage = Stage::Ended(End::Skipped(why)),
            Verdict::Skip(_) | Verdict::Deliver => {
                *typing = mark_read(job, desk);
                let spoken = talk(job, &context, desk)?;
                job.record.stage = meaning(job, &context, &spoken)?;
            }
        }
    }
    post(job, desk)?;
    settle(job, desk)
}

/// Read now and not earlier: what was true when the row was listed may be true no more (W-36).
fn context(job: &Job, desk: &Desk<'_>) -> Result<DeliveryContext, Trouble> {
    let asked = GetDeliveryContext { notification_id: &job.row.id };
    let context = desk.mission.ask(&asked).map_err(setback)?.ok_or(Trouble::NoContext)?;
    let notification = &context.notification;
    let ours = notification.account_id.as_ref().is_none_or(|account| account == desk.mission.account());
    if notification.id == job.row.id && ours { Ok(context) } else { Err(Trouble::Foreign) }
}

/// The board shows "typing" from now on. That it cannot is no reason not to answer.
fn mark_read(job: &Job, desk: &Desk<'_>) -> bool {
    let marked = desk.mission.ask(&MarkRead { notification_id: &job.row.id });
    marked.inspect_err(|error| debug!("{}: not marked as read: {error}", job.row.id)).is_ok()
}

fn stop_typing(job: &Job, desk: &Desk<'_>) {
    if let Err(error) = desk.mission.ask(&MarkDeliveryEnded { notification_id: &job.row.id }) {
        debug!("{}: the end of the attempt is not marked: {error}", job.row.id);
    }
}

/// What the agent's answer asks for.
fn meaning(job: &Job, context: &DeliveryContext, spoken: &Spoken) -> Result<Stage, Trouble> {
    let silence = match reply::read(spoken.text.as_deref()) {
        Said::Text(text) if job.row.task_id.is_none() => return Ok(Stage::Ended(End::Kept(text))),
        Said::Text(text) => {
            let parts = reply::split(&text, MESSAGE_CHARS);
            return Ok(Stage::Answered { parts, posted: 0, advance: takes_up_work(context) });
        }
        Said::Silence(silence) => silence,
    };
    let author = context.message.as_ref().map(|message| &message.author_type);
    let due = policy::on_silence(&context.notification.kind, author) == OnSilence::AskAgain;
    // Whoever used tools has done something; and the token of silence is an answer, too.
    if due && !spoken.used_tools && silence != Silence::HeartbeatOk {
        return Err(Trouble::Silence(silence));
    }
    Ok(Stage::Ended(End::Silent(silence)))
}

/// An answer to an assignment says that the work begins (D-18).
fn takes_up_work(context: &DeliveryContext) -> bool {
    context.notification.kind == NotificationType::Assignment
        && context.effective_behavior_flags.can_modify_task_status
        && context.task.as_ref().is_some_and(|task| task.status == TaskStatus::Assigned)
}

/// Posts what is not posted yet, and moves the task on.
fn post(job: &mut Job, desk: &Desk<'_>) -> Result<(), Trouble> {
    let agent = AgentId::new(&job.row.recipient_id);
    let (Stage::Answered { parts, posted, advance }, Some(task)) =
        (&mut job.record.stage, job.row.task_id.as_ref())
    else {
        return Ok(());
    };
    while let Some(content) = parts.get(*posted) {
        // The backend admits one message for each notification, so only the first can carry its id.
        let source = (*posted == 0).then_some(&job.row.id);
        let message = PostMessage {
            task_id: task,
            agent_id: &agent,
            content,
            suppress_agent_notifications: None,
            attachments: &[],
            source_notification_id: source,
        };
        if let Err(error) = desk.mission.ask(&message) {
            let stands = error.class == convex::Class::Ambiguous && stands(&agent, task, content, desk);
            if !stands {
                return Err(setback(error));
            }
        }
        *posted += 1;
        (desk.stir)();
    }
    if std::mem::take(advance) {
        take_up(&agent, task, desk);
    }
    let messages = parts.len();
    job.record.stage = Stage::Ended(End::Answered(messages));
    Ok(())
}

/// Whether a message whose posting was not confirmed is in the thread all the same.
fn stands(agent: &AgentId, task: &TaskId, content: &str, desk: &Desk<'_>) -> bool {
    let look = LoadTask { agent_id: agent, task_id: task, message_limit: Some(LOOK_BACK) };
    let Ok(loaded) = desk.mission.ask(&look) else { return false };
    let ours = |item: &crate::model::ThreadItem| item.author_id == agent.as_str() && item.content == content;
    loaded.thread.iter().any(ours)
}

/// From assigned to in progress; if somebody was faster or it is not allowed, that is as good.
fn take_up(agent: &AgentId, task: &TaskId, desk: &Desk<'_>) {
    let change = UpdateTaskStatus {
        task_id: task,
        agent_id: agent,
        status: TaskStatus::InProgress,
        blocked_reason: None,
        expected_status: Some(TaskStatus::Assigned),
    };
    if let Err(error) = desk.mission.ask(&change) {
        info!("{task} does not move to in_progress: {error}");
    }
}

/// Tells the backend that the row is settled.
fn settle(job: &Job, desk: &Desk<'_>) -> Result<End, Trouble> {
    let Stage::Ended(end) = &job.record.stage else { return Err(Trouble::Broken) };
    if end.is_marked() {
        let mark = MarkDelivered { notification_id: &job.row.id };
        desk.mission.ask(&mark).map_err(setback)?;
    }
    debug!("{}: {}", job.row.id, end.name());
    Ok(end.clone())
}

/// What a failed call means for the row. A refusal whose reason is hidden may stand for anything, also for something
/// that passes; and what a person has to mend first (a token, a version) is no fault of the row.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn setback(error: CallError) -> Trouble {
    let weight = match (error.class, error.why) {
        (convex::Class::Transient, _) => Weight::Passing,
        (convex::Class::Gone, _) => Weight::Final,
        (convex::Class::Refused, Why::Forbidden | Why::NotFound | Why::Invalid | Why::TooLarge) => {
            Weight::Final
        }
        (convex::Class::Refused | convex::Class::Ambiguous, _) => Weight::Doubtful,
    };
    Trouble::Backend(Setback { weight, not_before: error.not_before, sentence: error.to_string() })
}

fn in_words(pause: Option<std::time::Duration>) -> String {
    pause.map_or(String::new(), |pause| format!("; again in {:.1} s", pause.as_secs_f64()))
}
