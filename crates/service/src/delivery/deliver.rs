//! One attempt at a delivery: runs the steps of its kind and decides what follows.
//!
//! # The problem
//!
//! A delivery talks to two systems, the backend and the gateway. Each call can fail, can be answered late, or can
//! succeed while its answer is lost. The process can end between any two calls. Still each side effect must happen
//! once: an agent's turn costs money, a tool changes the board, and an answer in the thread wakes other agents.
//!
//! # The steps
//!
//! Each kind of work has a file with its `Steps`, which reads from top to bottom. For a notification (`notification`):
//!
//! 1. Settle a turn whose answer was lost (`recover_turn`).
//! 2. Fetch the context now, let the policy decide whether the agent gets a turn, and mark the notification as read.
//! 3. Send the turn, run the tool calls of the reply, and send their results, until the agent answers (`turn_loop`,
//!    `calls`).
//! 4. Post the answer, message by message, and move the task (`post`).
//! 5. Mark the notification as delivered. Read it once more: a later message needs another delivery.
//!
//! # The rules
//!
//! * **Record first.** A step writes to the job's [`Record`](mcr_core::delivery::Record) what it is about to do, and
//!   then what it did. The next attempt, also of another process, continues after the last entry. An answer that could
//!   not be posted is posted later, without another turn. Results of tools go back without running the tools again. A
//!   delivery that only lacks its mark is only marked.
//! * **No record, no effect.** If the ledger cannot be written, no step starts that a crash could repeat.
//! * **Read, do not repeat.** After a lost answer the next attempt looks for the effect, and repeats the call only if the
//!   effect is certainly absent.
//! * **One cause, one limit.** Each failure has a cause, and [`retry`] decides by the cause: another attempt after a
//!   pause, or the end. An outage of the gateway or the backend counts against no delivery.
//! * **One end.** Every delivery ends in exactly one [`End`]. After a failure a notice may be posted in the thread. If
//!   posting it fails, the end stays the same.
//! * **People come first.** If a person stops the task, or gives up this delivery, no further turn or call starts. An
//!   answer that has arrived is still posted.
//!
//! A panic in a step is a failure of this delivery alone: the worker catches the panic and continues.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use log::Level;
use log::kv::Value;

use super::budget;
use super::deps::DeliveryDeps;
use super::heartbeat::BeatSteps;
use super::job::JobSteps;
use super::log_item::{LogItem, millis};
use super::notification::NotificationSteps;
use super::recover_turn::abandon;
use mcr_core::delivery::cause::Cause;
use mcr_core::delivery::crash::HELD_MAX;
use mcr_core::delivery::journal::{Note, Step, Wait};
use mcr_core::delivery::retry::{self, Next};
use mcr_core::delivery::{End, Job, Notice, Outcome, Stage, Trouble};
use mcr_core::gateway::{self, GatewayError, Why};
use mcr_core::work::Kind;
use mcr_model::clock::Millis;
use mcr_model::random;
use mcr_model::redact::Redactor;

/// The pause of an agent whose provider key was refused: the gateway fails its turns for a minute or more.
const COOLING_PAUSE: Duration = Duration::from_mins(1);

/// How much of a reply goes to the log if no thread has it.
const KEPT_CHARS: usize = 4_000;

/// The steps of one kind of work.
pub(super) trait Steps {
    /// Continues after the last entry of the record until the delivery ends or a step fails.
    fn walk(&mut self, job: &mut Job, deps: &DeliveryDeps<'_>) -> Result<End, Trouble>;

    /// Undoes what only this attempt has set, if the attempt does not end with the mark.
    fn attempt_is_over(&mut self, deps: &DeliveryDeps<'_>);

    /// The line for people about this end, if the thread gets one.
    fn notice(&self, job: &Job, end: &End, trouble: &Trouble, deps: &DeliveryDeps<'_>) -> Option<String>;
}

/// One attempt at a delivery.
pub fn deliver(job: &mut Job, deps: &DeliveryDeps<'_>) -> Outcome {
    let work = job.work.clone();
    match &work.kind {
        Kind::Notification(row) => attempt(job, &mut NotificationSteps::new(row, deps), deps),
        Kind::Heartbeat(beat) => attempt(job, &mut BeatSteps(beat), deps),
        Kind::Job(claimed) => attempt(job, &mut JobSteps(claimed), deps),
        #[cfg(feature = "test-kind")]
        Kind::Test(test) => attempt(job, &mut super::test_kind::TestSteps(test), deps),
    }
}

/// The attempt of a log line.
#[derive(Clone, Copy)]
struct Attempt {
    /// One more than the failed attempts before it.
    number: u32,
    began: Instant,
}

impl Attempt {
    fn log(
        self,
        level: Level,
        job: &Job,
        deps: &DeliveryDeps<'_>,
        sentence: &str,
        outcome: &str,
        more: &[(&str, Value<'_>)],
    ) {
        let mut fields =
            vec![("duration_ms", millis(self.began.elapsed())), ("outcome", Value::from(outcome))];
        fields.extend_from_slice(more);
        deps.log(level, LogItem::from(&*job.work).in_attempt(self.number), sentence, &fields);
    }
}

/// Runs the steps until the delivery ends or a step fails. A panic is a failure of this delivery alone.
fn attempt(job: &mut Job, steps: &mut dyn Steps, deps: &DeliveryDeps<'_>) -> Outcome {
    let this = Attempt { number: job.record.failures.attempts().saturating_add(1), began: Instant::now() };
    let _active = deps.journal.mark_active(&job.work.id, deps.clock.now());
    if job.record.since == Millis::default() {
        job.record.since = job.work.created_at();
    }
    loop {
        let before = job.record.stage.clone();
        let walked = catch_unwind(AssertUnwindSafe(|| walk(job, steps, deps)));
        let trouble = match walked.unwrap_or(Err(Trouble::Broken)) {
            Ok(end) => return closed(job, end, this, deps),
            Err(trouble) => trouble,
        };
        let trouble = ended_by_a_person(job, deps).unwrap_or_else(|| cooled(job, trouble, deps));
        if job.record.stage != before {
            // The delivery made progress, so the backend was reachable in between.
            job.record.failures.clear(Cause::BackendAway);
        }
        let (answered, quiet) = deps.answers.now();
        let trouble = retry::weighed(&mut job.record, trouble, answered, quiet);
        match retry::after(&mut job.record, &trouble, &deps.rules.budget, random::unit()) {
            Next::Again(pause) => {
                steps.attempt_is_over(deps);
                return rest(job, trouble, pause, this, deps);
            }
            Next::End(given_up) => {
                let given_up = job.given_up(given_up);
                // The outcome is known. A failure after that does not change it.
                if let Stage::Ended(end) = &job.record.stage {
                    let end = end.clone();
                    steps.attempt_is_over(deps);
                    let reason = ("reason", Value::from_display(&trouble));
                    this.log(
                        Level::Warn,
                        job,
                        deps,
                        "Delivery ended, but is not marked",
                        end.name(),
                        &[reason],
                    );
                    return closed(job, end, this, deps);
                }
                if trouble.abandons_turn() {
                    abandon(job, &trouble, deps);
                }
                give_up(job, given_up, &trouble, this, steps, deps);
            }
        }
    }
}

fn walk(job: &mut Job, steps: &mut dyn Steps, deps: &DeliveryDeps<'_>) -> Result<End, Trouble> {
    if let Some(trouble) = ended_by_a_person(job, deps) {
        return Err(trouble);
    }
    if job.record.held >= HELD_MAX && is_unfinished(&job.record.stage) {
        return Err(Trouble::Crashes(job.record.held));
    }
    budget::turn::may_start(job, deps)?;
    steps.walk(job, deps)
}

/// An internal failure of the gateway while the agent's provider key is refused has that refusal as its cause.
fn cooled(job: &Job, trouble: Trouble, deps: &DeliveryDeps<'_>) -> Trouble {
    let (agent, now) = (&job.work.track.agent, deps.clock.now());
    match trouble {
        Trouble::Gateway(error) if error.why == Why::ProviderRefused => {
            deps.cooldown.begins(agent, now);
            Trouble::Gateway(error)
        }
        Trouble::Gateway(error) if error.why == Why::Internal && deps.cooldown.holds(agent, now) => {
            let refused = GatewayError::new(gateway::Class::Transient, Why::ProviderRefused, None);
            Trouble::Gateway(GatewayError { not_before: Some(COOLING_PAUSE), ..refused })
        }
        other => other,
    }
}

/// Ends the delivery without a result. Only a line for people, if any, and the mark are left.
fn give_up(
    job: &mut Job,
    end: End,
    trouble: &Trouble,
    this: Attempt,
    steps: &dyn Steps,
    deps: &DeliveryDeps<'_>,
) {
    deps.let_go(job);
    // A person's decision is no warning.
    let (level, sentence) = match end {
        End::Stopped => (Level::Info, "Delivery stopped by a person"),
        _ => (Level::Warn, "Delivery given up"),
    };
    this.log(level, job, deps, sentence, end.name(), &[("reason", Value::from_display(trouble))]);
    job.record.put_aside();
    if let Some(left) = &job.record.unposted {
        let text = Redactor::default().excerpt(&left.text(), KEPT_CHARS);
        deps.log(Level::Warn, &*job, &format!("Answer that was not posted: {text}"), &[]);
    }
    if let Stage::Notice(notice) = &job.record.stage {
        // The line could not be posted, and a second one could not be posted either.
        job.record.stage = Stage::Ended(notice.end.clone());
        return;
    }
    job.record.stage = match steps.notice(job, &end, trouble, deps) {
        Some(line) => Stage::Notice(Notice::new(line, end)),
        None => Stage::Ended(end),
    };
}

fn closed(job: &mut Job, end: End, this: Attempt, deps: &DeliveryDeps<'_>) -> Outcome {
    deps.inflight.is_over(&job.work.id);
    budget::turn::closed(&job.work, deps);
    deps.let_go(job);
    let words = in_short(&end);
    // The decision to give up or to stop is in the log already.
    if !matches!(end, End::Dead(_) | End::Missed(_) | End::Stopped) {
        let sentence = match &end {
            // No thread has the text, so the log keeps it.
            End::Kept(text) => {
                format!("Reply without a thread: {}", Redactor::default().excerpt(text, KEPT_CHARS))
            }
            _ => "Delivery ended".to_owned(),
        };
        // Most heartbeats are saved.
        let is_saved = matches!(end, End::Skipped(why) if why.is_saved_beat());
        let level = if is_saved { Level::Debug } else { Level::Info };
        this.log(level, job, deps, &sentence, end.name(), field_of(&end).as_slice());
    }
    if !job.is_only_marked() && job.is_recorded() {
        let note = Note::of(&job.work, deps.clock.now()).record(&job.record).step(Step::Ended, &words);
        deps.write(&note.ends(&end), Wait::Not);
    }
    Outcome::Closed(end)
}

fn rest(
    job: &Job,
    trouble: Trouble,
    pause: Option<Duration>,
    this: Attempt,
    deps: &DeliveryDeps<'_>,
) -> Outcome {
    // The breaker logs once what affects all deliveries. A delivery that waits has logged that once.
    let quiet = trouble.is_everybodys() || trouble.is_patience();
    let level = if quiet { Level::Debug } else { Level::Info };
    let words = trouble.to_string();
    let mut fields = vec![("reason", Value::from(words.as_str()))];
    fields.extend(pause.map(|pause| ("pause_ms", millis(pause))));
    let sentence = match pause {
        // The breaker decides, and logs, when turns start again.
        None => "Attempt ended; the next waits for the breaker",
        Some(_) => "Attempt ended; the next follows after a pause",
    };
    this.log(level, job, deps, sentence, "again", &fields);
    // Nothing has been done for a row that only waits for a budget.
    let has_news = !matches!(trouble, Trouble::OverBudget(_)) || !job.record.is_untouched();
    if has_news && !job.is_only_marked() && job.is_recorded() {
        let now = deps.clock.now();
        let note = Note::of(&job.work, now).record(&job.record).step(Step::Rests, &words);
        deps.write(&note.rests(pause.map(|pause| now + pause)), Wait::Not);
    }
    Outcome::Again { trouble, pause }
}

/// The decision of a person to give up waiting or to stop the work. An answer that has arrived is still posted.
fn ended_by_a_person(job: &Job, deps: &DeliveryDeps<'_>) -> Option<Trouble> {
    if !job.needs_turn() {
        return None;
    }
    if deps.inflight.is_given_up(&job.work.id) {
        return Some(Trouble::GivenUp);
    }
    deps.inflight.is_stopped(&job.work).then_some(Trouble::Stopped)
}

/// Whether more is left than a line for people and the mark.
fn is_unfinished(stage: &Stage) -> bool {
    !matches!(stage, Stage::Ended(_) | Stage::Notice(_))
}

/// The field of a log line that explains an end.
fn field_of(end: &End) -> Option<(&'static str, Value<'_>)> {
    match end {
        End::Answered(messages) => Some(("messages", Value::from(*messages))),
        End::Silent(silence) | End::Unanswered(silence) => Some(("reason", Value::from(silence.explain()))),
        End::Skipped(why) => Some(("reason", Value::from(why.explain()))),
        End::Folded(cover) => Some(("into", Value::from(cover.as_str()))),
        End::Dead(why) | End::Dropped(why) | End::Missed(why) => Some(("reason", Value::from(why.as_str()))),
        End::Kept(_) | End::Gone | End::Stopped => None,
    }
}

/// An end in words, for the delivery's history.
fn in_short(end: &End) -> String {
    let name = end.name();
    match end {
        End::Answered(1) | End::Gone => name.to_owned(),
        End::Stopped => format!("{name}: {}", Trouble::Stopped),
        End::Answered(messages) => format!("{name} in {messages} messages"),
        // No thread has the text.
        End::Kept(text) => format!("{name}: {}", Redactor::default().excerpt(text, KEPT_CHARS)),
        End::Silent(silence) | End::Unanswered(silence) => format!("{name}: {}", silence.explain()),
        End::Skipped(why) => format!("{name}: {}", why.explain()),
        End::Folded(cover) => format!("{name} into {cover}"),
        End::Dead(why) | End::Dropped(why) | End::Missed(why) => format!("{name}: {why}"),
    }
}
