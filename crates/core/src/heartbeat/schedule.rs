//! When each agent's next beat is due.
//!
//! # The rules
//!
//! - An agent has at most one beat at a time, and at most one scheduled beat per interval, counted from the beginning of
//!   the last one. A wake begins a beat at once, and the interval then counts from that beat.
//! - A due time is never further away than one interval. So a clock that is set back delays no beat by more than that. A
//!   clock that is set forward causes one beat, not one for each interval that was skipped.
//! - At the start the first beats are spread over a part of the interval (H-2), so that many agents do not begin together.
//!   An agent whose last beat is known from an earlier process waits for the rest of its interval.
//! - A new interval counts from the beginning of the last beat (H-4 restarted the wait at each change, so an interval that
//!   changed often caused a beat each time).
//! - The end of a beat that is not the current one changes nothing. So a late or repeated end neither wedges nor doubles
//!   the schedule.
//!
//! Plain data. The caller passes the time of a clock that does not follow the system's clock, and the dice.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::work::WorkId;
use mcr_model::AgentId;
use mcr_model::clock::Millis;

/// The interval of an agent that has none (H-1).
pub const DEFAULT_INTERVAL: Duration = Duration::from_mins(5);

/// The shortest interval. The backend checks no interval, and zero would be a busy loop (contract D29).
pub const SHORTEST_INTERVAL: Duration = Duration::from_mins(1);

/// The longest interval: at least one beat a day.
pub const LONGEST_INTERVAL: Duration = Duration::from_hours(24);

/// The longest time over which the first beats are spread, and its share of the interval (H-2).
const SPREAD_MAX: Duration = Duration::from_mins(2);
const SPREAD_SHARE: f64 = 0.4;

/// The largest random delay of a first beat (H-2, H-4).
const JITTER: Duration = Duration::from_secs(2);

/// An agent's interval, from the backend's number of minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The interval that is used.
    pub span: Duration,
    /// Why it differs from the backend's number, if it does.
    pub corrected: Option<&'static str>,
}

impl Interval {
    /// Reads the backend's number of minutes. A missing number is the default.
    pub fn of(minutes: Option<f64>) -> Self {
        let Some(minutes) = minutes else { return Self { span: DEFAULT_INTERVAL, corrected: None } };
        let (least, most) = (SHORTEST_INTERVAL.as_secs_f64() / 60.0, LONGEST_INTERVAL.as_secs_f64() / 60.0);
        let (span, corrected) = match minutes {
            _ if minutes.is_nan() => (DEFAULT_INTERVAL, Some("it is not a number: 5 minutes are used")),
            _ if minutes < least => {
                (SHORTEST_INTERVAL, Some("it is shorter than 1 minute: 1 minute is used"))
            }
            _ if minutes > most => (LONGEST_INTERVAL, Some("it is longer than 24 hours: 24 hours are used")),
            _ => (Duration::from_secs_f64(minutes * 60.0), None),
        };
        Self { span, corrected }
    }
}

/// The schedule of all agents.
#[derive(Clone, Debug, Default)]
pub struct BeatSchedule {
    agents: BTreeMap<AgentId, Planned>,
    /// What is known from an earlier process of agents that the schedule does not have yet.
    recalled: BTreeMap<AgentId, Recalled>,
    /// Whether the agents of the start are scheduled.
    started: bool,
}

/// What an earlier process left of an agent's beats.
#[derive(Clone, Debug, Default)]
pub struct Recalled {
    /// When its last beat began.
    pub began: Option<Millis>,
    /// Its beat that has not ended.
    pub running: Option<WorkId>,
    /// Whether events wait for it, so that its first beat does not wait.
    pub is_woken: bool,
}

/// The plan of one agent.
#[derive(Clone, Debug)]
struct Planned {
    interval: Duration,
    due: Millis,
    /// When the last beat began.
    began: Option<Millis>,
    /// The beat that has not ended.
    running: Option<WorkId>,
    /// Whether the next beat begins because of a wake.
    woken: bool,
}

/// A beat that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueBeat {
    /// The agent.
    pub agent: AgentId,
    /// The id of the beat's work.
    pub id: WorkId,
    /// Whether a wake caused the beat.
    pub woken: bool,
}

impl BeatSchedule {
    /// Recalls what an earlier process left. Call this before the first [`BeatSchedule::follow`].
    pub fn recall(&mut self, agent: AgentId, left: Recalled) {
        self.recalled.insert(agent, left);
    }

    /// Adapts the schedule to the agents of the roster and their intervals. `dice` returns random numbers from 0 to 1.
    pub fn follow(&mut self, agents: &[(AgentId, Duration)], now: Millis, dice: &mut dyn FnMut() -> f64) {
        let named: HashSet<&AgentId> = agents.iter().map(|(agent, _)| agent).collect();
        self.agents.retain(|known, _| named.contains(known));
        let is_start = !self.started && !agents.is_empty();
        self.started |= is_start;
        for (place, (agent, interval)) in agents.iter().enumerate() {
            if let Some(planned) = self.agents.get_mut(agent) {
                planned.change_interval(*interval, now, dice);
                continue;
            }
            let first = if is_start && agents.len() > 1 {
                let window = interval.mul_f64(SPREAD_SHARE).min(SPREAD_MAX);
                #[expect(clippy::cast_precision_loss, reason = "a place among some thousand agents")]
                let share = place as f64 / agents.len() as f64;
                window.mul_f64(share) + jitter(dice)
            } else if is_start {
                Duration::ZERO
            } else {
                jitter(dice)
            };
            let left = self.recalled.remove(agent).unwrap_or_default();
            let rest = left.began.map_or(Duration::ZERO, |began| (began + *interval).since(now));
            let wait = if left.is_woken { first } else { first.max(rest) };
            let due = now + wait.min(*interval);
            let (began, running, woken) = (left.began, left.running, left.is_woken);
            self.agents.insert(agent.clone(), Planned { interval: *interval, due, began, running, woken });
        }
    }

    /// Begins a beat as soon as possible. Returns whether the agent is known.
    pub fn wake(&mut self, agent: &AgentId, now: Millis) -> bool {
        let Some(planned) = self.agents.get_mut(agent) else { return false };
        planned.woken = true;
        planned.due = planned.due.min(now);
        true
    }

    /// The beats that begin now. `name` makes the id of each.
    pub fn due(&mut self, now: Millis, name: &mut dyn FnMut(&AgentId) -> WorkId) -> Vec<DueBeat> {
        let mut due = Vec::new();
        for (agent, planned) in &mut self.agents {
            planned.due = planned.due.min(now + planned.interval);
            if planned.running.is_some() || planned.due > now {
                continue;
            }
            let id = name(agent);
            planned.running = Some(id.clone());
            planned.begins(now);
            due.push(DueBeat { agent: agent.clone(), id, woken: std::mem::take(&mut planned.woken) });
        }
        due
    }

    /// A worker starts an attempt at a beat. A beat may have waited long for it, so the interval counts from here.
    pub fn attempted(&mut self, agent: &AgentId, id: &WorkId, now: Millis) {
        if let Some(planned) = self.agents.get_mut(agent).filter(|planned| planned.is_running(id)) {
            planned.begins(now);
        }
    }

    /// A beat has ended. `events_wait` tells whether events wait that it has not shown: only then a wake during the beat
    /// begins another one.
    pub fn ended(&mut self, agent: &AgentId, id: &WorkId, events_wait: bool, now: Millis) {
        let Some(planned) = self.agents.get_mut(agent).filter(|planned| planned.is_running(id)) else {
            return;
        };
        planned.running = None;
        planned.woken &= events_wait;
        let scheduled = planned.began.map_or(now, |began| began + planned.interval);
        planned.due = if planned.woken { now } else { scheduled.clamp(now, now + planned.interval) };
    }

    /// When the next beat is due.
    pub fn wake_at(&self, now: Millis) -> Option<Millis> {
        let waiting = self.agents.values().filter(|planned| planned.running.is_none());
        waiting.map(|planned| planned.due.min(now + planned.interval)).min()
    }

    /// When the agent's next beat is due; none while a beat runs, or if the agent is not scheduled.
    pub fn next_of(&self, agent: &AgentId) -> Option<Millis> {
        self.agents.get(agent).filter(|planned| planned.running.is_none()).map(|planned| planned.due)
    }

    /// How many agents are scheduled.
    pub fn len(&self) -> usize {
        self.agents.len()
    }

    /// Whether no agent is scheduled.
    pub fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }
}

impl Planned {
    fn is_running(&self, id: &WorkId) -> bool {
        self.running.as_ref() == Some(id)
    }

    fn begins(&mut self, now: Millis) {
        (self.began, self.due) = (Some(now), now + self.interval);
    }

    fn change_interval(&mut self, interval: Duration, now: Millis, dice: &mut dyn FnMut() -> f64) {
        if std::mem::replace(&mut self.interval, interval) == interval {
            return;
        }
        let scheduled = self.began.map_or(self.due, |began| began + interval);
        let soonest = now + jitter(dice);
        self.due = scheduled.clamp(soonest.min(now + interval), now + interval);
        if self.woken {
            self.due = now;
        }
    }
}

fn jitter(dice: &mut dyn FnMut() -> f64) -> Duration {
    JITTER.mul_f64(dice().clamp(0.0, 1.0))
}
