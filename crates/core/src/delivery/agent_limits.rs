//! Limits for what agents have caused: how many workers they may use, and how many requests the gateway gets in a minute.
//! A delivery has one turn for the loop brake, and each request of that turn counts here: rounds of tool results and retries too.
//!
//! * **Reserve.** A share of the workers is kept for rows of people. In turn, people leave one worker to rows of agents
//!   while such rows wait. With fewer than [`LEAST_WORKERS`] workers there is neither.
//! * **Ceiling.** A window of one minute slides over the requests. The first request is counted when its job starts, and is
//!   taken back if the job ends without it.
//!   Further ones are counted when the job ends: a delivery that has begun is finished. At a restart the window is
//!   filled from the ledger, so a process that crashes again and again does not exceed the ceiling.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::{Job, Record};
use crate::guardrails::origin::Origin;
use crate::work::Work;
use mcr_model::clock::Millis;

/// With fewer workers there is no reserve, for either side.
pub const LEAST_WORKERS: usize = 3;

/// The length of the window.
pub const WINDOW: Duration = Duration::from_mins(1);

/// The configured limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentLimitsConfig {
    /// The share of the workers that is kept for rows of people, in percent. 0 switches the reserve off.
    pub people_reserve_percent: usize,
    /// How many requests agents may cause in a minute (`AGENT_TURNS_PER_MINUTE`). 0 sets no limit.
    pub requests_per_minute: usize,
}

/// The state of the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentLimitsState {
    /// The configured limits.
    pub config: AgentLimitsConfig,
    /// How many workers are kept for rows of people.
    pub reserved_workers: usize,
    /// The requests that agents have caused since the start.
    pub requests: u64,
    /// When the ceiling lets the next request leave, while it holds rows back.
    pub ceiling_until: Option<Millis>,
    /// The rows that agents have caused and that only a limit keeps from starting.
    pub waiting: usize,
    /// How often a context was read only to learn who caused a row.
    pub looks: u64,
}

/// A running job.
#[derive(Clone, Copy, Debug)]
struct Started {
    /// How many requests its delivery had sent before.
    requests: u32,
    /// When its first request was counted, if it was.
    counted: Option<Millis>,
}

/// The limits, and what they count.
#[derive(Debug)]
pub(super) struct AgentLimits {
    config: AgentLimitsConfig,
    workers: usize,
    /// The counted requests of the last minute, oldest first. Empty without a ceiling.
    window: VecDeque<Millis>,
    /// The requests since the start.
    total: u64,
    running: HashMap<u64, Started>,
}

/// Whether an agent has caused this delivery. Work of other kinds has no author.
pub fn is_by_agent(work: &Work, record: &Record) -> bool {
    work.notification().is_some() && record.origin.is_none_or(|known| known.by != Origin::Person)
}

impl AgentLimits {
    /// The limits for this many workers. `requests` are those of an earlier process, in any order.
    pub(super) fn new(workers: usize, config: AgentLimitsConfig, requests: &[Millis], now: Millis) -> Self {
        let mut limits = Self { config, workers, window: VecDeque::new(), total: 0, running: HashMap::new() };
        if config.requests_per_minute > 0 {
            // The clock may have been set back since.
            let mut window: Vec<Millis> = requests.iter().map(|at| (*at).min(now)).collect();
            window.sort_unstable();
            limits.window = window.into();
            limits.expire(now);
        }
        limits
    }

    /// The number of workers that are kept for rows of people.
    pub(super) fn reserve(&self) -> usize {
        if self.workers < LEAST_WORKERS {
            return 0;
        }
        // Agents keep one worker even with a reserve of 100 percent.
        (self.workers * self.config.people_reserve_percent / 100).min(self.workers - 1)
    }

    fn expire(&mut self, now: Millis) {
        // Requests "in the future" would hold all others until the clock has caught up after it was set back.
        for at in self.window.iter_mut().rev().take_while(|at| **at > now) {
            *at = now;
        }
        while self.window.pop_front_if(|at| *at + WINDOW <= now).is_some() {}
    }

    fn of_agents(&self) -> usize {
        self.running.values().filter(|started| started.counted.is_some()).count()
    }

    /// How many deliveries of agents may start under the ceiling: each sends at least one request.
    fn under_ceiling(&mut self, now: Millis) -> usize {
        if self.config.requests_per_minute == 0 {
            return usize::MAX;
        }
        self.expire(now);
        self.config.requests_per_minute.saturating_sub(self.window.len())
    }

    /// How many deliveries that agents have caused may start now.
    pub(super) fn room_for_agents(&mut self, free_workers: usize, now: Millis) -> usize {
        let slots = (self.workers - self.reserve()).saturating_sub(self.of_agents());
        slots.min(free_workers).min(self.under_ceiling(now))
    }

    /// Whether a delivery that a person has caused may start. The last free worker is left to rows of agents if they wait and have none.
    pub(super) fn has_room_for_people(&self, free_workers: usize, agents_wait: bool) -> bool {
        let is_kept = self.workers >= LEAST_WORKERS && agents_wait && self.of_agents() == 0;
        free_workers > usize::from(is_kept)
    }

    /// A job starts.
    pub(super) fn begins(&mut self, job: &Job, for_agents: bool, now: Millis) {
        let counted = for_agents.then_some(now);
        if for_agents && self.config.requests_per_minute > 0 {
            self.window.push_back(now);
        }
        self.running.insert(job.number, Started { requests: job.record.requests, counted });
    }

    /// A job has ended: its requests are known now.
    pub(super) fn ends(&mut self, job: &Job, now: Millis) {
        let Some(Started { requests, counted }) = self.running.remove(&job.number) else { return };
        let by_agent = is_by_agent(&job.work, &job.record);
        let sent = if by_agent { job.record.requests.saturating_sub(requests) } else { 0 };
        self.total += u64::from(sent);
        if self.config.requests_per_minute == 0 {
            return;
        }
        let sent = usize::try_from(sent).unwrap_or(usize::MAX);
        match counted {
            Some(at) if sent == 0 => {
                if let Some(place) = self.window.iter().position(|sent| *sent == at) {
                    self.window.remove(place);
                }
            }
            Some(_) | None => {
                let more = sent.saturating_sub(usize::from(counted.is_some()));
                // More than the ceiling changes nothing.
                self.window.extend(std::iter::repeat_n(now, more.min(self.config.requests_per_minute)));
            }
        }
    }

    /// When the ceiling lets the next request leave, if it lets none leave now.
    pub(super) fn ceiling_until(&self, now: Millis) -> Option<Millis> {
        let most = self.config.requests_per_minute;
        let in_window = self.window.iter().filter(|at| **at + WINDOW > now).count();
        if most == 0 || in_window < most {
            return None;
        }
        self.window.get(self.window.len() - most).map(|at| *at + WINDOW)
    }

    /// Why rows of agents wait for the ceiling: a sentence.
    pub(super) fn explain(&self) -> String {
        let most = self.config.requests_per_minute;
        format!(
            "Agents have caused {most} requests to the gateway in the last minute, which is the limit (AGENT_TURNS_PER_MINUTE)."
        )
    }

    /// The state, without what the queue counts.
    pub(super) fn state(&self) -> AgentLimitsState {
        AgentLimitsState {
            config: self.config,
            reserved_workers: self.reserve(),
            requests: self.total,
            ..AgentLimitsState::default()
        }
    }
}

#[cfg(test)]
mod tests;
