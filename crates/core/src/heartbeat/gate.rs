//! Decides whether a beat is sent to the model.
//!
//! # The problem
//!
//! A turn of an idle agent costs as much as one with work, and almost all beats of an agent find nothing new. A beat that
//! is left out must not hide work, though.
//!
//! # The rules
//!
//! A beat is saved if its inputs are those of the agent's last quiet answer. The inputs are the agent's profile, its
//! checklist, and its tasks with their threads. A beat with waiting events is never saved. Time is an input too:
//!
//! - a task that becomes stale, and a due date that passes, change the inputs;
//! - so does the date (local midnight);
//! - a checklist that names clock times, weekdays or `always` is never saved;
//! - after [`BeatRules::quiet_max`] a beat is sent in any case. So it is if the system's clock was set back behind the
//!   last quiet answer.
//!
//! An answer is quiet if the agent has said so with the control word, and has done nothing. After any other answer the next
//! beat is sent. The digest is that of the inputs as they were read before the turn, so a change during the turn also
//! changes the digest of the next beat.
//!
//! A wake is sent at any hour. All other beats are sent only in the active hours.

use std::time::Duration;

use serde_json::{Value, json};

use super::board::TrackedTask;
use super::checklist;
use super::follow_up;
use crate::digest::half_digest;
use mcr_model::clock::Millis;
use mcr_model::{ActiveHours, Agent, BeatMode, LocalTime};

/// The configured rules.
#[derive(Clone, Copy, Debug)]
pub struct BeatRules {
    /// Whether beats are saved at all.
    pub mode: BeatMode,
    /// The longest time between two beats that are sent.
    pub quiet_max: Duration,
    /// When scheduled beats are sent. None: at any hour.
    pub active_hours: Option<ActiveHours>,
}

/// What a beat is about, read just before.
#[derive(Clone, Copy)]
pub struct BeatInputs<'a> {
    /// The agent.
    pub agent: &'a Agent,
    /// Whether it is the orchestrator.
    pub leads: bool,
    /// Its checklist.
    pub checklist: &'a str,
    /// Its tasks, in their order.
    pub tasks: &'a [TrackedTask],
    /// How many events wait for it.
    pub events: usize,
    /// Whether a wake caused the beat.
    pub woken: bool,
    /// The current time, by the system's clock.
    pub now: Millis,
    /// The same in the operator's time zone.
    pub local: LocalTime,
}

/// The last quiet answer of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietAnswer {
    /// The digest of the inputs before that answer.
    pub digest: String,
    /// When the beat was answered, by the system's clock.
    pub at: Millis,
}

/// What happens to a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The beat is sent to the model.
    Send(SendReason),
    /// The beat is saved.
    Save(SaveReason),
}

/// Why a beat is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SendReason {
    /// All beats are sent (`HEARTBEAT_MODE=always`).
    Always,
    /// A wake caused the beat.
    Woken,
    /// Events wait for the agent.
    Events,
    /// The checklist names clock times, weekdays or `always`.
    TimedChecklist,
    /// The agent has given no quiet answer since its last work.
    NotQuiet,
    /// The inputs have changed since the last quiet answer.
    Changed,
    /// The last quiet answer is too old.
    QuietMax,
}

/// Why a beat is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SaveReason {
    /// The inputs are those of the last quiet answer.
    Unchanged,
    /// It is outside the active hours.
    Inactive,
}

impl SendReason {
    /// The name in logs and metrics; it never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Woken => "woken",
            Self::Events => "events",
            Self::TimedChecklist => "timed-checklist",
            Self::NotQuiet => "not-quiet",
            Self::Changed => "changed",
            Self::QuietMax => "quiet-max",
        }
    }
}

/// Whether the beat is sent. `digest` is that of its inputs.
pub fn judge(inputs: &BeatInputs<'_>, digest: &str, last: Option<&QuietAnswer>, rules: &BeatRules) -> Gate {
    if inputs.woken {
        return Gate::Send(SendReason::Woken);
    }
    if rules.active_hours.is_some_and(|hours| !hours.contain(inputs.local.minute)) {
        return Gate::Save(SaveReason::Inactive);
    }
    let reason = match last {
        _ if rules.mode == BeatMode::Always => SendReason::Always,
        _ if inputs.events > 0 => SendReason::Events,
        _ if checklist::names_time(inputs.checklist) => SendReason::TimedChecklist,
        None => SendReason::NotQuiet,
        Some(last) if last.digest != digest => SendReason::Changed,
        Some(last) if inputs.now < last.at || inputs.now.since(last.at) >= rules.quiet_max => {
            SendReason::QuietMax
        }
        Some(_) => return Gate::Save(SaveReason::Unchanged),
    };
    Gate::Send(reason)
}

/// The digest of a beat's inputs. All tracked tasks count, including those that the prompt does not name.
pub fn digest(inputs: &BeatInputs<'_>) -> String {
    // Events are no part of it: a beat with events is sent, and the next one has none of them.
    let BeatInputs { agent, leads, checklist, tasks, local, now, .. } = inputs;
    let model = agent
        .openclaw_config
        .as_ref()
        .map(|config| json!([config.model, config.temperature, config.max_tokens, config.skill_ids]));
    let session = agent.system_session_key.as_ref().map(|key| half_digest(key.expose()));
    let profile = json!([
        agent.name,
        agent.slug,
        agent.role,
        agent.profile_digest,
        agent.effective_behavior_flags,
        model,
        session,
        leads
    ]);
    let tasks: Vec<Value> = tasks.iter().map(|tracked| digest_of(tracked, *now)).collect();
    half_digest(&json!([profile, checklist, local.day.0, tasks]).to_string())
}

/// The part of a task in the digest.
fn digest_of(tracked: &TrackedTask, now: Millis) -> Value {
    let TrackedTask { task, thread } = tracked;
    let newest = thread.as_ref().and_then(|thread| thread.last()).map(|item| item.message_id.as_str());
    let is_overdue = task.due_date.is_some_and(|due| due <= now);
    let is_stale = follow_up::is_stale(task, thread.as_deref(), now);
    // The whole task: its fields are its content, and `updatedAt` and `lastMessageAt` change with its thread.
    json!([task, newest, is_overdue, is_stale])
}
