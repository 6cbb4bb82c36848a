//! A delivery of any kind: its steps are walked as far as they come, and what stops them decides what follows.
//!
//! Each kind has a file with its `Steps`. They note in the job's [`Record`](mcr_core::delivery::Record) what they have
//! done before they go on, and begin behind the last note. So nothing that was done is done again: an answer that could
//! not be posted is posted later without asking the agent again, results of tools go back without running them again,
//! and what only lacks its mark is only marked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use log::{Level, info, log, warn};

use super::deps::DeliveryDeps;
use super::notification::NotificationSteps;
use super::recover_turn::abandon;
use mcr_core::delivery::cause::Cause;
use mcr_core::delivery::crash::HELD_MAX;
use mcr_core::delivery::journal::{Note, Step, Wait};
use mcr_core::delivery::retry::{self, Next};
use mcr_core::delivery::{End, Job, Notice, Outcome, Stage, Trouble};
use mcr_core::gateway::{self, GatewayError, Why};
use mcr_core::work::Kind;
use mcr_model::AgentId;
use mcr_model::clock::Millis;
use mcr_model::random;
use mcr_model::redact::Redactor;

/// The gateway lets nothing of an agent through for a minute or more after its key was refused.
const COOLING_PAUSE: Duration = Duration::from_mins(1);

/// How much of a reply that no thread has stands in the log.
const KEPT_CHARS: usize = 4_000;

/// The steps of one kind of work.
pub(super) trait Steps {
    /// Goes on behind the last note, as far as possible; how the delivery ended.
    fn walk(&mut self, job: &mut Job, deps: &DeliveryDeps<'_>) -> Result<End, Trouble>;

    /// The attempt is over and does not end the work in the usual way: takes back what the attempt alone has set.
    fn attempt_is_over(&mut self, deps: &DeliveryDeps<'_>);

    /// The line for people about this end, if there is to be one.
    fn notice(&self, job: &Job, end: &End, trouble: &Trouble, deps: &DeliveryDeps<'_>) -> Option<String>;
}

/// Delivers as far as possible.
pub fn deliver(job: &mut Job, deps: &DeliveryDeps<'_>) -> Outcome {
    let work = job.work.clone();
    match &work.kind {
        Kind::Notification(row) => attempt(job, &mut NotificationSteps::new(row, deps), deps),
        #[cfg(feature = "test-kind")]
        Kind::Test(test) => attempt(job, &mut super::test_kind::TestSteps(test), deps),
    }
}

/// Walks the steps, as far as they come today. A panic on the way is trouble of this delivery alone.
fn attempt(job: &mut Job, steps: &mut dyn Steps, deps: &DeliveryDeps<'_>) -> Outcome {
    let _hand = deps.journal.in_hand(&job.work.id, deps.clock.now());
    if job.record.since == Millis::default() {
        job.record.since = job.work.created_at();
    }
    loop {
        let before = job.record.stage.clone();
        let walked = catch_unwind(AssertUnwindSafe(|| walk(job, steps, deps)));
        let trouble = match walked.unwrap_or(Err(Trouble::Broken)) {
            Ok(end) => return closed(job, end, deps),
            Err(trouble) => trouble,
        };
        let trouble = ended_by_a_person(job, deps).unwrap_or_else(|| cooled(job, trouble, deps));
        if job.record.stage != before {
            // It has come further: the backend was there in between.
            job.record.failures.clear(Cause::BackendAway);
        }
        let (answered, quiet) = deps.answers.now();
        let trouble = retry::weighed(&mut job.record, trouble, answered, quiet);
        match retry::after(&mut job.record, &trouble, &deps.rules.budget, random::unit()) {
            Next::Again(pause) => {
                steps.attempt_is_over(deps);
                return rest(job, trouble, pause, deps);
            }
            Next::End(given_up) => {
                // Its outcome is known. What fails behind that changes it no more.
                if let Stage::Ended(end) = &job.record.stage {
                    let end = end.clone();
                    steps.attempt_is_over(deps);
                    warn!(
                        "{}: {}, but not settled at Mission Control: {trouble}",
                        name(job, deps),
                        end.name()
                    );
                    return closed(job, end, deps);
                }
                if matches!(trouble, Trouble::GivenUp | Trouble::Stopped | Trouble::Crashes(_)) {
                    abandon(job, &trouble, deps);
                }
                give_up(job, given_up, &trouble, steps, deps);
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
    steps.walk(job, deps)
}

/// What fails inside while the agent's key cools down is the key's fault.
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

/// From here on nothing but the end is left: a line for people, if there is to be one, and the mark.
fn give_up(job: &mut Job, end: End, trouble: &Trouble, steps: &dyn Steps, deps: &DeliveryDeps<'_>) {
    deps.let_go(job);
    let name = name(job, deps);
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
    job.record.stage = match steps.notice(job, &end, trouble, deps) {
        Some(line) => Stage::Notice(Notice::new(line, end)),
        None => Stage::Ended(end),
    };
}

fn closed(job: &mut Job, end: End, deps: &DeliveryDeps<'_>) -> Outcome {
    deps.inflight.is_over(&job.work.id);
    deps.let_go(job);
    let words = in_short(&end);
    // What was given up or stopped was said when that was decided.
    if !matches!(end, End::Dead(_) | End::Stopped) {
        info!("{}: {words}", name(job, deps));
    }
    if !job.is_only_marked() {
        let note = Note::of(&job.work, deps.clock.now()).record(&job.record).step(Step::Ended, &words);
        deps.write(&note.ends(&end), Wait::Not);
    }
    Outcome::Closed(end)
}

fn rest(job: &Job, trouble: Trouble, pause: Option<Duration>, deps: &DeliveryDeps<'_>) -> Outcome {
    // What concerns all rows is told once, where the gate is; who waits has said so once.
    let quiet = trouble.is_everybodys() || trouble.is_patience();
    let level = if quiet { Level::Debug } else { Level::Info };
    let words = trouble.to_string();
    log!(level, "{}: {}.{}", name(job, deps), words.trim_end_matches('.'), next_attempt(pause));
    if !job.is_only_marked() {
        let now = deps.clock.now();
        let note = Note::of(&job.work, now).record(&job.record).step(Step::Rests, &words);
        deps.write(&note.rests(pause.map(|pause| now + pause)), Wait::Not);
    }
    Outcome::Again { trouble, pause }
}

/// Whether a person does not want to wait for the agent any longer, or has stopped its work. An answer that is there is
/// posted all the same.
fn ended_by_a_person(job: &Job, deps: &DeliveryDeps<'_>) -> Option<Trouble> {
    if !job.needs_turn() {
        return None;
    }
    if deps.inflight.is_given_up(&job.work.id) {
        return Some(Trouble::GivenUp);
    }
    deps.inflight.is_stopped(&job.work).then_some(Trouble::Stopped)
}

/// Whether more is left to do than to tell people of an end, and to mark it.
fn is_unfinished(stage: &Stage) -> bool {
    !matches!(stage, Stage::Ended(_) | Stage::Notice(_))
}

/// How the log calls a delivery: what it is, for whom, and the row.
fn name(job: &Job, deps: &DeliveryDeps<'_>) -> String {
    let roster = deps.team.now();
    let agent = roster.agent(&AgentId::new(&job.work.track.agent)).map(|agent| agent.slug.as_str());
    format!("{} for {} ({})", job.work.name(), agent.unwrap_or(&job.work.track.agent), job.work.id)
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
