//! The steps of a notification, read from top to bottom: context, policy, turn, post, mark.

use log::Level;
use log::kv::Value;

use super::deliver::Steps;
use super::deps::{DeliveryDeps, backend_failure};
use super::post::post;
use super::reading::Reading;
use super::recover_turn::settle;
use super::turn_loop::{Spoken, talk_about};
use mcr_clients::convex;
use mcr_clients::mission::{GetDeliveryContext, MarkDelivered, MarkDeliveryEnded, MarkRead};
use mcr_core::delivery::acts::Act;
use mcr_core::delivery::journal::{Note, Step, Wait};
use mcr_core::delivery::policy::{self, OnSilence, Skip, Verdict};
use mcr_core::delivery::reply::{self, AgentReply, Silence};
use mcr_core::delivery::{
    End, Fold, Job, Notice, PendingAnswer, Record, Stage, Stamp, Trouble, thread_notices,
};
use mcr_core::guardrails::CountStart;
use mcr_core::guardrails::agent_names::KnownOrigin;
use mcr_model::clock::Millis;
use mcr_model::limits::MESSAGE_CHARS;
use mcr_model::visible;
use mcr_model::{DeliveryContext, Notification, NotificationType, TaskId, TaskStatus, WakeOn};

/// The delivery of a notification.
pub(super) struct NotificationSteps<'a> {
    row: &'a Notification,
    /// Whether the board shows "typing" because of this attempt, so that it must be cleared.
    typing: bool,
}

impl<'a> NotificationSteps<'a> {
    /// The steps of this notification.
    pub(super) fn new(row: &'a Notification, deps: &DeliveryDeps<'_>) -> Self {
        deps.made.begins(row);
        Self { row, typing: false }
    }
}

impl Steps for NotificationSteps<'_> {
    fn walk(&mut self, job: &mut Job, deps: &DeliveryDeps<'_>) -> Result<End, Trouble> {
        let row = self.row;
        if drop_late_notice(job, row, deps)? {
            // The row needs a turn. The dispatcher decides when it starts.
            return Err(Trouble::Moved);
        }
        if job.needs_turn() {
            let found = settle(job, deps)?;
            // A stop that arrives with a later list is not in the context.
            let lists = deps.inflight.lists();
            let now = deps.clock.now();
            let context = context(row, deps)?;
            job.record.title =
                context.task.as_ref().map_or(String::new(), |task| visible::title(&task.title));
            job.record.seen = context.task.as_ref().map(|task| Act::seen(task).at(now));
            see(job, &context, deps);
            if let Some(agent) = &context.agent {
                deps.team.expect(&agent.id);
            }
            // Before this step only another runtime can have marked it.
            if context.notification.delivered_at.is_some() && !job.record.reopened {
                return Ok(End::Gone);
            }
            if is_taken(row, &job.record, &context) {
                return Err(Trouble::StartedElsewhere);
            }
            // After a stop an answer that has arrived is posted, but no calls run.
            let answered = found.as_ref().is_some_and(|reply| reply.calls.is_empty());
            if !answered && is_stopped(job, &context) {
                return Err(Trouble::Stopped);
            }
            if !is_in_doubt(job) {
                job.record.since = newest(&context);
            }
            let is_new = is_fresh(job) && found.is_none();
            let origin = KnownOrigin::of(&context);
            job.record.origin = Some(origin);
            let verdict = match policy::judge(&context, wake_on(&context, deps)) {
                Verdict::Deliver if is_new => {
                    let (brake, limits) = (deps.inflight.brake(), deps.rules.team);
                    // The brake counts a turn that it admits, so it is not asked for a turn that does not start now.
                    if !job.permits(origin.by) && !brake.stops(&job.record, &context, limits) {
                        return Err(Trouble::AgentRowsWait);
                    }
                    brake.admit(&mut job.record, &context, limits)
                }
                verdict => verdict,
            };
            match verdict {
                Verdict::Skip(why) if is_final(why) || is_new => {
                    job.record.heard = Some(Stamp::of(&context.notification));
                    job.record.stage = skipped(job, why, deps);
                    deps.let_go(job);
                }
                // A started delivery is finished: its own tool calls may have changed the board.
                Verdict::Skip(_) | Verdict::Deliver => {
                    job.record.waits = thread_notices::awaited_by(&context);
                    self.typing = mark_read(row, deps);
                    let spoken = talk_about(job, &context, Reading::of(&context, lists), found, deps)?;
                    job.record.stage = meaning(job, row, &context, &spoken)?;
                    deps.let_go(job);
                    if job.record.effects.is_in_doubt() {
                        let sentence = "A call over HTTP has an unknown outcome; its agent did not repeat it";
                        deps.log(Level::Info, &*job, sentence, &[]);
                    }
                    // The answer was paid for, so it is recorded before any other step.
                    let silent = matches!(job.record.stage, Stage::Ended(End::Silent(_)));
                    let words = if silent { "the agent has nothing to say" } else { "" };
                    deps.note(job, Step::TextReady, words, Wait::ForDisk);
                }
            }
        }
        post(job, deps)?;
        let end = ended(job)?;
        job.record.unmarked = true;
        mark(row, &job.record, deps)?;
        job.record.unmarked = false;
        // The mark also clears "typing" on the board.
        self.typing = false;
        if !has_moved(row, &job.record, deps)? {
            return Ok(end);
        }
        // The notification needs another turn. The dispatcher decides when it starts. After a restart the tool log of the
        // ended delivery may still be held; the next delivery starts without it.
        deps.let_go(job);
        job.record = job.record.renewed();
        Err(Trouble::Moved)
    }

    fn attempt_is_over(&mut self, deps: &DeliveryDeps<'_>) {
        if !std::mem::take(&mut self.typing) {
            return;
        }
        if let Err(error) = deps.mission.ask(&MarkDeliveryEnded { notification_id: &self.row.id }) {
            let error = ("error", Value::from_display(&error));
            deps.log(Level::Debug, self.row, "The end of the attempt is not marked", &[error]);
        }
    }

    fn notice(&self, job: &Job, end: &End, trouble: &Trouble, deps: &DeliveryDeps<'_>) -> Option<String> {
        thread_notices::line(self.row, &job.record, end, trouble, deps.rules.notes)
    }
}

/// Whether the context shows that a person stopped the started work.
fn is_stopped(job: &Job, context: &DeliveryContext) -> bool {
    let heard = job.record.heard.as_ref().filter(|_| job.record.has_begun());
    heard.is_some_and(|heard| policy::is_stopped(context, heard, job.record.began_paused))
}

/// Shows the context to the loop brake. If a person's word has ended a stop of the thread, the stopped rows start again.
/// The new start of the count is on the disk before that, so a crash does not lose them.
fn see(job: &mut Job, context: &DeliveryContext, deps: &DeliveryDeps<'_>) {
    let Some(task) = job.work.track.task().cloned() else { return };
    let Some(start) = deps.inflight.brake().see(&mut job.record, context) else { return };
    resume(job, &task, start, deps);
}

fn resume(job: &Job, task: &TaskId, start: CountStart, deps: &DeliveryDeps<'_>) {
    deps.write(&Note::of(&job.work, deps.clock.now()).record(&job.record), Wait::ForDisk);
    deps.log(Level::Info, job, "A person has written, so the stopped agents continue", &[]);
    (deps.resumed)(task, start);
}

/// Drops the notice of a stop that a person's word has ended since the last attempt, so that the row starts again. Returns
/// whether it did. The person's own row may wait behind this one, so the thread is read here.
fn drop_late_notice(job: &mut Job, row: &Notification, deps: &DeliveryDeps<'_>) -> Result<bool, Trouble> {
    let (Some(stopped), Some(task)) = (job.record.stop_of_notice(), job.work.track.task().cloned()) else {
        return Ok(false);
    };
    let context = match context(row, deps) {
        // The task may be gone. Then the backend refuses the notice, and the row ends.
        Err(Trouble::NoContext) => return Ok(false),
        context => context?,
    };
    let mut record = job.record.resumed();
    let resumed = deps.inflight.brake().see(&mut record, &context);
    if deps.inflight.brake().start_of(&task) <= stopped {
        return Ok(false);
    }
    job.record = record;
    if let Some(start) = resumed {
        resume(job, &task, start, deps);
    }
    Ok(true)
}

/// The stage of a row that is skipped. The first row that the loop brake stops in a thread posts a notice there.
fn skipped(job: &Job, why: Skip, deps: &DeliveryDeps<'_>) -> Stage {
    let end = End::Skipped(why);
    let stop = job.record.team.as_ref().and_then(|team| team.stop).filter(|_| why == Skip::TeamLimit);
    let Some(stop) = stop.filter(|stop| stop.is_first) else { return Stage::Ended(end) };
    let fields = [("limit", Value::from(stop.limit.variable())), ("turns", Value::from(stop.turns))];
    deps.log(Level::Warn, job, "Agents in a thread are stopped until a person writes", &fields);
    Stage::Notice(Notice::new(thread_notices::of_stop(stop, deps.rules.team), end))
}

/// Which notifications wake this agent.
fn wake_on(context: &DeliveryContext, deps: &DeliveryDeps<'_>) -> WakeOn {
    context.agent.as_ref().map_or(WakeOn::All, |agent| deps.rules.wake_on.of(&agent.slug))
}

fn is_in_doubt(job: &Job) -> bool {
    matches!(&job.record.stage, Stage::Working(work) if work.doubt.is_some())
}

/// The newest known time of the backend's clock: effects from now on are not older.
fn newest(context: &DeliveryContext) -> Millis {
    let row = Some(context.notification.created_at);
    let said = context.thread.iter().map(|item| item.created_at).max();
    let task = context.task.as_ref().map(|task| task.updated_at);
    [row, said, task].into_iter().flatten().max().unwrap_or_default()
}

/// Whether another runtime started the notification since it was listed. The backend has no lock. So two runtimes both
/// start only the few notifications that they read at the same moment.
fn is_taken(row: &Notification, record: &Record, context: &DeliveryContext) -> bool {
    let read_at = context.notification.read_at;
    record.is_untouched() && read_at.is_some() && read_at != row.read_at
}

fn is_fresh(job: &Job) -> bool {
    matches!(job.record.stage, Stage::Fresh)
}

/// Whether started work cannot be finished, because its agent, its task or its session is gone.
fn is_final(why: Skip) -> bool {
    matches!(why, Skip::NoAgent | Skip::NoTask | Skip::NoSession)
}

fn ended(job: &Job) -> Result<End, Trouble> {
    match &job.record.stage {
        Stage::Ended(end) => Ok(end.clone()),
        Stage::Fresh | Stage::Working(_) | Stage::Answered(_) | Stage::Notice(_) => Err(Trouble::Broken),
    }
}

/// Whether a later message was folded into the notification during the delivery (W-1). The mark has no condition, so it
/// cannot detect that. The notification is read again after the mark; only thread updates are folded.
fn has_moved(row: &Notification, record: &Record, deps: &DeliveryDeps<'_>) -> Result<bool, Trouble> {
    let Some(heard) = record.heard.as_ref().filter(|_| row.kind == NotificationType::ThreadUpdate) else {
        return Ok(false);
    };
    let asked = GetDeliveryContext { notification_id: &row.id };
    // A `/stop` starts no agent, so it needs no delivery.
    let now = deps.mission.ask(&asked).map_err(backend_failure)?.filter(|now| !policy::is_stop_command(now));
    let moved = now.is_some_and(|now| Stamp::of(&now.notification) != *heard);
    if moved {
        deps.log(Level::Info, row, "A later message arrived during the delivery", &[]);
    }
    Ok(moved)
}

/// The context, read now: the state at the time of the list may have changed (W-36).
fn context(row: &Notification, deps: &DeliveryDeps<'_>) -> Result<DeliveryContext, Trouble> {
    let asked = GetDeliveryContext { notification_id: &row.id };
    let context = deps.mission.ask(&asked).map_err(|error| match error.class {
        convex::CallClass::Gone => Trouble::NoContext,
        convex::CallClass::Transient | convex::CallClass::Refused | convex::CallClass::Ambiguous => {
            backend_failure(error)
        }
    });
    let context = context?.ok_or(Trouble::NoContext)?;
    let notification = &context.notification;
    let ours = notification.account_id.as_ref().is_none_or(|account| account == deps.mission.account());
    if notification.id == row.id && ours { Ok(context) } else { Err(Trouble::Foreign) }
}

/// Marks the notification as read; returns whether the board shows "typing" from now on. A failure does not end the
/// attempt.
fn mark_read(row: &Notification, deps: &DeliveryDeps<'_>) -> bool {
    let marked = deps.mission.ask(&MarkRead { notification_id: &row.id });
    let marked = marked.inspect_err(|error| {
        deps.log(Level::Debug, row, "Not marked as read", &[("error", Value::from_display(error))]);
    });
    // If only the answer was lost, the mark may be set.
    marked.map_or_else(|error| error.ran != convex::Ran::No, |_| true)
}

/// The stage that follows from the agent's answer.
fn meaning(
    job: &Job,
    row: &Notification,
    context: &DeliveryContext,
    spoken: &Spoken,
) -> Result<Stage, Trouble> {
    let mut folds = job.folds.iter().filter(|fold| fold.kept);
    let silence = match reply::read(spoken.text.as_deref()) {
        AgentReply::Text(text) if row.task_id.is_none() => return Ok(Stage::Ended(End::Kept(text))),
        AgentReply::Text(text) => {
            let parts = reply::split(&text, MESSAGE_CHARS);
            let advance = takes_up_work(context, folds.any(Fold::is_assignment));
            return Ok(Stage::Answered(PendingAnswer::new(parts, advance)));
        }
        AgentReply::Silence(silence) => silence,
    };
    let author = context.message.as_ref().map(|message| &message.author_type);
    let due = policy::on_silence(&context.notification.kind, author) == OnSilence::AskAgain
        || folds.any(Fold::is_answer_due);
    // An agent that acted with its tools has answered by its acts. The silence token is an answer too.
    if due && !spoken.acted && silence != Silence::HeartbeatOk {
        return Err(Trouble::Silence(silence));
    }
    Ok(Stage::Ended(End::Silent(silence)))
}

/// Whether the answer starts the work on an assigned task (D-18). An assignment may be folded into the row.
fn takes_up_work(context: &DeliveryContext, has_assignment: bool) -> bool {
    (has_assignment || context.notification.kind == NotificationType::Assignment)
        && context.effective_behavior_flags.can_modify_task_status
        && context.task.as_ref().is_some_and(|task| task.status == TaskStatus::Assigned)
}

/// Marks the notification as delivered.
fn mark(row: &Notification, record: &Record, deps: &DeliveryDeps<'_>) -> Result<(), Trouble> {
    match &record.stage {
        Stage::Ended(end) if end.is_marked() => {
            let mark = MarkDelivered { notification_id: &row.id };
            deps.mission.ask(&mark).map(drop).map_err(backend_failure)
        }
        Stage::Ended(_) | Stage::Fresh | Stage::Working(_) | Stage::Answered(_) | Stage::Notice(_) => Ok(()),
    }
}
