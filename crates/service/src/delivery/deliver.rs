//! The road of a delivery, read from top to bottom.
//!
//! Every step notes in the job's [`Record`] what it has done before the next one begins; whoever comes
//! with a record that is not empty goes on behind the last note. So nothing that was done is done again: an answer that
//! could not be posted is posted later without asking the agent again, results of tools go back without running them
//! again, and what only lacks its mark is only marked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use log::{Level, debug, info, log, warn};

use super::desk::{Desk, setback};
use super::held::{Reading, tell_of_doubts};
use super::post::post;
use super::settle::{abandon, settle};
use super::talk::{Spoken, talk};
use mcr_clients::convex;
use mcr_clients::mission::{GetDeliveryContext, MarkDelivered, MarkDeliveryEnded, MarkRead};
use mcr_core::delivery::crash::HELD_MAX;
use mcr_core::delivery::journal::{Note, Step, Wait};
use mcr_core::delivery::policy::{self, OnSilence, Skip, Verdict};
use mcr_core::delivery::reply::{self, Said, Silence};
use mcr_core::delivery::retry::{self, Next};
use mcr_core::delivery::{End, Job, Notice, Outcome, PendingAnswer, Record, Stage, Trouble, cause, tell};
use mcr_core::gateway::{self, GatewayError, Why};
use mcr_model::chance;
use mcr_model::clock::Millis;
use mcr_model::limits::MESSAGE_CHARS;
use mcr_model::redact::Redactor;
use mcr_model::{AgentId, DeliveryContext, NotificationType, TaskStatus};

/// The gateway lets nothing of an agent through for a minute or more after its key was refused.
const COOLING_PAUSE: Duration = Duration::from_mins(1);

/// How much of a reply that no thread has stands in the log.
const KEPT_CHARS: usize = 4_000;

/// Walks down the road, as far as it goes today. A panic on the way is this row's trouble and nobody else's.
pub fn deliver(job: &mut Job, desk: &Desk<'_>) -> Outcome {
    let _hand = desk.journal.in_hand(&job.row.id, desk.clock.now());
    let mut typing = false;
    desk.made.begins(&job.row);
    loop {
        let before = job.record.stage.clone();
        let walked = catch_unwind(AssertUnwindSafe(|| walk(job, desk, &mut typing)));
        let trouble = match walked.unwrap_or(Err(Trouble::Broken)) {
            Ok(end) => return closed(job, end, desk),
            Err(trouble) => trouble,
        };
        let trouble = ended_by_a_person(job, desk).unwrap_or_else(|| cooled(job, trouble, desk));
        if job.record.stage != before {
            // It has come further: the backend was there in between.
            job.record.failures.clear(cause::BACKEND_AWAY);
        }
        let (answered, quiet) = desk.answers.now();
        let trouble = retry::weighed(&mut job.record, trouble, answered, quiet);
        match retry::after(&mut job.record, &trouble, &desk.rules.budget, chance::unit()) {
            Next::Again(pause) => {
                if typing {
                    stop_typing(job, desk);
                }
                return rest(job, trouble, pause, desk);
            }
            Next::End(given_up) => {
                // Its outcome is known. What fails behind that changes it no more.
                if let Stage::Ended(end) = &job.record.stage {
                    let end = end.clone();
                    if typing {
                        stop_typing(job, desk);
                    }
                    warn!(
                        "{}: {}, but not settled at Mission Control: {trouble}",
                        name(job, desk),
                        end.name()
                    );
                    return closed(job, end, desk);
                }
                if matches!(trouble, Trouble::GivenUp | Trouble::Stopped | Trouble::Crashes(_)) {
                    abandon(job, &trouble, desk);
                }
                give_up(job, given_up, &trouble, desk);
            }
        }
    }
}

/// What fails inside while the agent's key cools down is the key's fault.
fn cooled(job: &Job, trouble: Trouble, desk: &Desk<'_>) -> Trouble {
    let (agent, now) = (&job.row.recipient_id, desk.clock.now());
    match trouble {
        Trouble::Gateway(error) if error.why == Why::ProviderRefused => {
            desk.cooling.begins(agent, now);
            Trouble::Gateway(error)
        }
        Trouble::Gateway(error) if error.why == Why::Internal && desk.cooling.holds(agent, now) => {
            let refused = GatewayError::new(gateway::Class::Transient, Why::ProviderRefused, None);
            Trouble::Gateway(GatewayError { not_before: Some(COOLING_PAUSE), ..refused })
        }
        other => other,
    }
}

/// From here on nothing but the end is left: a line for people, if there is to be one, and the mark.
fn give_up(job: &mut Job, end: End, trouble: &Trouble, desk: &Desk<'_>) {
    desk.let_go(job);
    let name = name(job, desk);
    // What a person wanted is no warning.
    let level = if matches!(end, End::Stopped) { Level::Info } else { Level::Warn };
    log!(level, "{name}: {}: {trouble}", end.name());
    job.record.put_aside();
    if let Some(left) = &job.record.unposted {
        warn!(
            "{name}: what the agent had answered: {}",
            Redactor::default().excerpt(&left.text(), KEPT_CHARS)
        );
    }
    if let Stage::Notice(notice) = &job.record.stage {
        // The line could not be posted; that is no reason for another one.
        job.record.stage = Stage::Ended(notice.end.clone());
        return;
    }
    job.record.stage = match tell::line(&job.row, &job.record, &end, trouble, desk.rules.notes) {
        Some(line) => Stage::Notice(Notice::new(line, end)),
        None => Stage::Ended(end),
    };
}

fn closed(job: &mut Job, end: End, desk: &Desk<'_>) -> Outcome {
    desk.inflight.is_over(&job.row.id);
    desk.let_go(job);
    let words = in_short(&end);
    // What was given up or stopped was said when that was decided.
    if !matches!(end, End::Dead(_) | End::Stopped) {
        info!("{}: {words}", name(job, desk));
    }
    let note = Note::of(&job.row, desk.clock.now()).record(&job.record).step(Step::Ended, &words);
    desk.write(&note.ends(&end), Wait::Not);
    Outcome::Closed(end)
}

fn rest(job: &Job, trouble: Trouble, pause: Option<Duration>, desk: &Desk<'_>) -> Outcome {
    // What concerns all rows is told once, where the gate is; who waits has said so once.
    let quiet = trouble.is_everybodys() || trouble.is_patience();
    let level = if quiet { Level::Debug } else { Level::Info };
    let words = trouble.to_string();
    log!(level, "{}: {}.{}", name(job, desk), words.trim_end_matches('.'), next_attempt(pause));
    let now = desk.clock.now();
    let note = Note::of(&job.row, now).record(&job.record).step(Step::Rests, &words);
    desk.write(&note.rests(pause.map(|pause| now + pause)), Wait::Not);
    Outcome::Again { trouble, pause }
}

fn walk(job: &mut Job, desk: &Desk<'_>, typing: &mut bool) -> Result<End, Trouble> {
    if let Some(trouble) = ended_by_a_person(job, desk) {
        return Err(trouble);
    }
    if job.record.held >= HELD_MAX && is_unfinished(&job.record.stage) {
        return Err(Trouble::Crashes(job.record.held));
    }
    if job.record.needs_turn() {
        let found = settle(job, desk)?;
        // A stop that comes with a later list is not in the context.
        let lists = desk.inflight.lists();
        let context = context(job, desk)?;
        // This far nobody but another runtime can have marked it.
        if context.notification.delivered_at.is_some() && !job.record.reopened {
            return Ok(End::Gone);
        }
        if is_taken(job, &context) {
            return Err(Trouble::Taken);
        }
        // An answer that has come is posted; calls are not made.
        let answered = found.as_ref().is_some_and(|reply| reply.calls.is_empty());
        if !answered && is_stopped(job, &context) {
            return Err(Trouble::Stopped);
        }
        if !is_in_doubt(job) {
            job.record.since = newest(&context);
        }
        match policy::judge(&context) {
            Verdict::Skip(why) if is_final(why) || (is_fresh(job) && found.is_none()) => {
                let heard = &context.notification;
                job.record.heard = Some((heard.message_id.clone(), heard.created_at));
                job.record.stage = Stage::Ended(End::Skipped(why));
                desk.let_go(job);
            }
            // Work that has begun is brought to its end: its own tools may be what changed the board.
            Verdict::Skip(_) | Verdict::Deliver => {
                job.record.waits = tell::who_waits(&context);
                *typing = mark_read(job, desk);
                let spoken = talk(job, (&context, Reading::of(&context, lists)), found, desk)?;
                job.record.stage = meaning(job, &context, &spoken)?;
                desk.let_go(job);
                tell_of_doubts(&job.row, &job.record.effects);
                // What was paid for is kept before anything else is done with it.
                let silent = matches!(job.record.stage, Stage::Ended(End::Silent(_)));
                let words = if silent { "the agent has nothing to say" } else { "" };
                desk.note(job, Step::TextReady, words, Wait::ForDisk);
            }
        }
    }
    post(job, desk)?;
    let end = ended(job)?;
    job.record.unmarked = true;
    mark(job, desk)?;
    job.record.unmarked = false;
    // With the mark the board shows no "typing" any more.
    *typing = false;
    if !has_moved(job, desk)? {
        return Ok(end);
    }
    // It needs a turn again, and whether one may begin is not decided here.
    job.record = job.record.renewed();
    Err(Trouble::Moved)
}

/// Whether a person does not want to wait for the agent any longer, or has stopped its work. An answer that is there is
/// posted all the same.
fn ended_by_a_person(job: &Job, desk: &Desk<'_>) -> Option<Trouble> {
    if !job.record.needs_turn() {
        return None;
    }
    if desk.inflight.is_given_up(&job.row.id) {
        return Some(Trouble::GivenUp);
    }
    desk.inflight.is_stopped(&job.row).then_some(Trouble::Stopped)
}

/// Whether a person has stopped the work that was begun, as the board shows it.
fn is_stopped(job: &Job, context: &DeliveryContext) -> bool {
    let heard = job.record.heard.as_ref().filter(|_| job.record.has_begun());
    heard.is_some_and(|heard| policy::is_stopped(context, heard, job.record.began_paused))
}

/// Whether more is left to do than to tell people of an end, and to mark it.
fn is_unfinished(stage: &Stage) -> bool {
    !matches!(stage, Stage::Ended(_) | Stage::Notice(_))
}

fn is_in_doubt(job: &Job) -> bool {
    matches!(&job.record.stage, Stage::Working(work) if work.doubt.is_some())
}

/// The newest instant of the backend that is known: what is done from now on is not older.
fn newest(context: &DeliveryContext) -> Millis {
    let row = Some(context.notification.created_at);
    let said = context.thread.iter().map(|item| item.created_at).max();
    let task = context.task.as_ref().map(|task| task.updated_at);
    [row, said, task].into_iter().flatten().max().unwrap_or_default()
}

/// Whether another runtime has begun it since it was listed. There is no lock; but of two only those few rows are begun
/// twice that both read in the same moment.
fn is_taken(job: &Job, context: &DeliveryContext) -> bool {
    let read_at = context.notification.read_at;
    job.record == Record::default() && read_at.is_some() && read_at != job.row.read_at
}

fn is_fresh(job: &Job) -> bool {
    matches!(job.record.stage, Stage::Fresh)
}

/// Whether nobody is there any more to bring work to its end.
fn is_final(why: Skip) -> bool {
    matches!(why, Skip::NoAgent | Skip::NoTask | Skip::NoSession)
}

fn ended(job: &Job) -> Result<End, Trouble> {
    match &job.record.stage {
        Stage::Ended(end) => Ok(end.clone()),
        Stage::Fresh | Stage::Working(_) | Stage::Answered(_) | Stage::Notice(_) => Err(Trouble::Broken),
    }
}

/// Whether a later message was folded into the row while the agent was at work on the one before (W-1). The mark cannot
/// tell: it has no condition. So the row is read once more behind it; only thread updates are folded.
fn has_moved(job: &Job, desk: &Desk<'_>) -> Result<bool, Trouble> {
    let Some(heard) = job.record.heard.as_ref().filter(|_| job.row.kind == NotificationType::ThreadUpdate)
    else {
        return Ok(false);
    };
    let asked = GetDeliveryContext { notification_id: &job.row.id };
    // `/stop` starts nobody, so it needs no delivery of its own.
    let now = desk.mission.ask(&asked).map_err(setback)?.filter(|now| !policy::is_stop_command(now));
    let moved = now.map(|now| now.notification).is_some_and(|now| (now.message_id, now.created_at) != *heard);
    if moved {
        info!("{}: a later message has come into it", job.row.id);
    }
    Ok(moved)
}

/// Read now and not earlier: what was true when the row was listed may be true no more (W-36).
fn context(job: &Job, desk: &Desk<'_>) -> Result<DeliveryContext, Trouble> {
    let asked = GetDeliveryContext { notification_id: &job.row.id };
    let context = desk.mission.ask(&asked).map_err(|error| match error.class {
        convex::Class::Gone => Trouble::NoContext,
        convex::Class::Transient | convex::Class::Refused | convex::Class::Ambiguous => setback(error),
    });
    let context = context?.ok_or(Trouble::NoContext)?;
    let notification = &context.notification;
    let ours = notification.account_id.as_ref().is_none_or(|account| account == desk.mission.account());
    if notification.id == job.row.id && ours { Ok(context) } else { Err(Trouble::Foreign) }
}

/// Whether the board shows "typing" from now on. That it cannot is no reason not to answer.
fn mark_read(job: &Job, desk: &Desk<'_>) -> bool {
    let marked = desk.mission.ask(&MarkRead { notification_id: &job.row.id });
    let marked = marked.inspect_err(|error| debug!("{}: not marked as read: {error}", job.row.id));
    // If only the answer was lost it does.
    marked.map_or_else(|error| error.ran != convex::Ran::No, |_| true)
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
            let advance = takes_up_work(context);
            return Ok(Stage::Answered(PendingAnswer::new(parts, advance)));
        }
        Said::Silence(silence) => silence,
    };
    let author = context.message.as_ref().map(|message| &message.author_type);
    let due = policy::on_silence(&context.notification.kind, author) == OnSilence::AskAgain;
    // Whoever has done something with tools has answered in deeds; and the token of silence is an answer, too.
    if due && !spoken.acted && silence != Silence::HeartbeatOk {
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

/// Tells the backend that the row is settled.
fn mark(job: &Job, desk: &Desk<'_>) -> Result<(), Trouble> {
    match &job.record.stage {
        Stage::Ended(end) if end.is_marked() => {
            let mark = MarkDelivered { notification_id: &job.row.id };
            desk.mission.ask(&mark).map(drop).map_err(setback)
        }
        Stage::Ended(_) | Stage::Fresh | Stage::Working(_) | Stage::Answered(_) | Stage::Notice(_) => Ok(()),
    }
}

/// How the log calls a delivery: what it is, for whom, and the row.
fn name(job: &Job, desk: &Desk<'_>) -> String {
    let roster = desk.team.now();
    let agent = roster.agent(&AgentId::new(&job.row.recipient_id)).map(|agent| agent.slug.as_str());
    format!("{} for {} ({})", job.row.kind, agent.unwrap_or(&job.row.recipient_id), job.row.id)
}

/// How the log tells an end.
fn in_short(end: &End) -> String {
    let name = end.name();
    match end {
        End::Answered(1) | End::Gone => name.to_owned(),
        End::Stopped => format!("{name}: {}", Trouble::Stopped),
        End::Answered(messages) => format!("{name} in {messages} messages"),
        // There is no thread to find it in.
        End::Kept(text) => format!("{name}: {}", Redactor::default().excerpt(text, KEPT_CHARS)),
        End::Silent(silence) | End::Unanswered(silence) => format!("{name}: {}", silence.explain()),
        End::Skipped(why) => format!("{name}: {}", why.explain()),
        End::Dead(why) | End::Dropped(why) => format!("{name}: {why}"),
    }
}

fn next_attempt(pause: Option<Duration>) -> String {
    match pause {
        // It depends on the gateway, of which the breaker tells.
        None => String::new(),
        Some(Duration::ZERO) => " Next attempt now.".to_owned(),
        Some(pause) => format!(" Next attempt in {:.1} s.", pause.as_secs_f64()),
    }
}
