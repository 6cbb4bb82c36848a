//! When the gateway that the runtime runs itself is started, restarted and stopped.
//!
//! Plain data: [`ChildSchedule`] takes events and the time, and returns the next action.
//!
//! ```text
//!            start               ready
//!  Waiting ─────────► Starting ─────────► Ready
//!     ▲                  │ too long        │ other keys and no turn, or a stop
//!     │ ends by itself   ▼                 ▼
//!     └────────────── Stopping ◄───────────┘      a restart follows at once; after a stop nothing follows
//! ```

mod words;

use std::time::Duration;

use mcr_model::clock::Millis;

pub use words::{ChildState, Ended};

/// When a killed process that still runs is killed again: in an uninterruptible call it survives a signal for a while.
pub const KILL_AGAIN: Duration = Duration::from_secs(1);

/// The time limits.
#[derive(Clone, Copy, Debug)]
pub struct ChildLimits {
    /// How long a start may take.
    pub start: Duration,
    /// How long a restart because of other keys waits for running turns. After that, the gateway itself finishes them.
    pub patience: Duration,
    /// How long the gateway may finish its turns before it is killed.
    pub drain: Duration,
    /// How long a gateway that is not ready yet, and so has no turns, may take to end.
    pub hurry: Duration,
    /// The pause before a restart after an unexpected end. It doubles with each further one. A gateway that was ready for
    /// as long as the last pause makes the next pause short again, so a gateway is rarely away longer than it was ready.
    pub pause: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

impl Default for ChildLimits {
    fn default() -> Self {
        Self {
            // On two cores and with all plugins a start takes 45 s.
            start: Duration::from_mins(3),
            patience: Duration::from_mins(5),
            // On SIGTERM the gateway finishes its running turns for up to 315 s.
            drain: Duration::from_secs(330),
            hurry: Duration::from_secs(10),
            pause: Duration::from_secs(1),
            pause_max: Duration::from_mins(1),
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChildEvent {
    /// The process is started.
    Runs,
    /// A process of an earlier runtime is taken over. It may have running turns before it is known to be ready.
    TakenOver,
    /// The process was not started, for this reason.
    NotStarted(String),
    /// The gateway accepts turns.
    Ready,
    /// The process has ended.
    Ended(Ended),
    /// A new process would have other keys, or another configuration, than the running one.
    OtherKeys,
    /// The runtime stops. The process must end within this time.
    Stop(Duration),
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildAction {
    /// Start a process.
    Start,
    /// Ask the process to finish its turns and end.
    Terminate,
    /// End the process at once.
    Kill,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Waiting {
        until: Millis,
    },
    /// `drain`: how long the process may finish turns if it is ended now.
    Starting {
        since: Millis,
        drain: Duration,
    },
    Ready {
        since: Millis,
    },
    /// `asked`: the process has SIGTERM. `failed`: its start took too long.
    Stopping {
        kill_at: Millis,
        asked: bool,
        failed: bool,
    },
    Done,
}

/// The state of the gateway's process.
#[derive(Clone, Debug)]
pub struct ChildSchedule {
    limits: ChildLimits,
    phase: Phase,
    /// Since when the process lacks the present keys.
    other_keys: Option<Millis>,
    stops: bool,
    /// The last pause after an unexpected end; zero if the next one is short.
    last_pause: Duration,
    starts: u64,
    reason: Option<String>,
    last_end: Option<String>,
}

impl ChildSchedule {
    /// No process runs yet, and one is due.
    pub fn new(limits: ChildLimits, now: Millis) -> Self {
        Self {
            limits,
            phase: Phase::Waiting { until: now },
            other_keys: None,
            stops: false,
            last_pause: Duration::ZERO,
            starts: 0,
            reason: None,
            last_end: None,
        }
    }

    /// Takes an event.
    pub fn on(&mut self, event: ChildEvent, now: Millis) {
        match event {
            ChildEvent::Runs => self.runs(self.limits.hurry, now),
            ChildEvent::TakenOver => self.runs(self.limits.drain, now),
            ChildEvent::NotStarted(why) => {
                self.reason = Some(why);
                self.wait(now);
            }
            ChildEvent::Ready => {
                if matches!(self.phase, Phase::Starting { .. }) {
                    self.reason = None;
                    self.phase = Phase::Ready { since: now };
                }
            }
            ChildEvent::Ended(end) => self.ended(end, now),
            ChildEvent::OtherKeys => {
                self.other_keys.get_or_insert(now);
            }
            ChildEvent::Stop(within) => {
                self.stops = true;
                self.phase = match self.phase {
                    Phase::Waiting { .. } | Phase::Done => Phase::Done,
                    Phase::Starting { .. } | Phase::Ready { .. } => {
                        Phase::Stopping { kill_at: now + within, asked: false, failed: false }
                    }
                    Phase::Stopping { kill_at, asked, failed } => {
                        Phase::Stopping { kill_at: kill_at.min(now + within), asked, failed }
                    }
                };
            }
        }
    }

    fn runs(&mut self, drain: Duration, now: Millis) {
        self.starts += 1;
        self.other_keys = None;
        self.phase = Phase::Starting { since: now, drain };
    }

    fn ended(&mut self, end: Ended, now: Millis) {
        let words = end.to_string();
        if self.stops {
            self.phase = Phase::Done;
        } else {
            match self.phase {
                // Other keys: the restart is planned.
                Phase::Stopping { failed: false, .. } => {
                    self.last_pause = Duration::ZERO;
                    self.phase = Phase::Waiting { until: now };
                }
                // A start that took too long keeps its own reason.
                Phase::Stopping { failed: true, .. } => self.wait(now),
                Phase::Ready { since } => {
                    if now.since(since) >= self.last_pause {
                        self.last_pause = Duration::ZERO;
                    }
                    self.reason = Some(format!("the gateway {words}"));
                    self.wait(now);
                }
                Phase::Starting { .. } | Phase::Waiting { .. } | Phase::Done => {
                    self.reason = Some(format!("the gateway {words}"));
                    self.wait(now);
                }
            }
        }
        self.last_end = Some(words);
    }

    fn wait(&mut self, now: Millis) {
        self.last_pause = self.last_pause.saturating_mul(2).clamp(self.limits.pause, self.limits.pause_max);
        self.phase = Phase::Waiting { until: now + self.last_pause };
    }

    /// The action that is due, if any. `turns` is the number of running turns.
    pub fn next(&mut self, turns: usize, now: Millis) -> Option<ChildAction> {
        match self.phase {
            Phase::Waiting { until } => (until <= now).then_some(ChildAction::Start),
            Phase::Starting { since, drain } if now.since(since) >= self.limits.start => {
                let seconds = self.limits.start.as_secs_f64();
                self.reason = Some(format!("the gateway was not ready within {seconds} s of its start"));
                Some(self.terminate(drain, true, now))
            }
            Phase::Starting { drain, .. } if self.other_keys.is_some() => {
                Some(self.terminate(drain, false, now))
            }
            Phase::Ready { .. } => {
                let since = self.other_keys?;
                let may = turns == 0 || now.since(since) >= self.limits.patience;
                may.then(|| self.terminate(self.limits.drain, false, now))
            }
            Phase::Stopping { kill_at, asked: false, failed } => {
                self.phase = Phase::Stopping { kill_at, asked: true, failed };
                Some(ChildAction::Terminate)
            }
            Phase::Stopping { kill_at, asked, failed } if kill_at <= now => {
                self.phase = Phase::Stopping { kill_at: now + KILL_AGAIN, asked, failed };
                Some(ChildAction::Kill)
            }
            Phase::Starting { .. } | Phase::Stopping { .. } | Phase::Done => None,
        }
    }

    fn terminate(&mut self, within: Duration, failed: bool, now: Millis) -> ChildAction {
        self.phase = Phase::Stopping { kill_at: now + within, asked: true, failed };
        ChildAction::Terminate
    }

    /// When the next action is due, if time alone makes one due.
    pub fn due(&self) -> Option<Millis> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Starting { since, .. } => Some(since + self.limits.start),
            Phase::Ready { .. } => Some(self.other_keys? + self.limits.patience),
            Phase::Stopping { kill_at, .. } => Some(kill_at),
            Phase::Done => None,
        }
    }

    /// The state in one word.
    pub fn state(&self) -> ChildState {
        match self.phase {
            Phase::Waiting { .. } => ChildState::Waiting,
            Phase::Starting { .. } => ChildState::Starting,
            Phase::Ready { .. } => ChildState::Ready,
            Phase::Stopping { .. } => ChildState::Stopping,
            Phase::Done => ChildState::Stopped,
        }
    }

    /// Whether the process has ended and no other one follows.
    pub fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// How often the process was started again.
    pub fn restarts(&self) -> u64 {
        self.starts.saturating_sub(1)
    }

    /// Why the gateway is not ready, if it was tried.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// How the last process ended.
    pub fn last_end(&self) -> Option<&str> {
        self.last_end.as_deref()
    }
}

#[cfg(test)]
mod tests;
