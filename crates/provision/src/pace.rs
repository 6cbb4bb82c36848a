//! Time for clients that wait for machines. Tests replace it.

use std::time::{Duration, Instant};

use mcr_clients::wire::Stop;
use mcr_model::clock::{Clock as _, Millis, SystemClock};

/// The time of a client, and its way to let time pass.
pub trait Pace: Send + Sync {
    /// The time of day.
    fn now(&self) -> Millis;

    /// The time since some moment before. It never goes back.
    fn elapsed(&self) -> Duration;

    /// Waits for this long, or until the client has to stop. Returns whether it has to.
    fn wait(&self, span: Duration) -> bool;

    /// Says to a person what a wait is for, and how long it may take.
    fn progress(&self, sentence: &str);
}

/// What a client does with the sentences about its waits.
type Progress = Box<dyn Fn(&str) + Send + Sync>;

/// The time of this machine.
pub struct SystemPace {
    begun: Instant,
    stop: Stop,
    progress: Progress,
}

impl SystemPace {
    /// `stop` ends all waits. `progress` gets a sentence about each longer one.
    pub fn new(stop: &Stop, progress: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { begun: Instant::now(), stop: stop.clone(), progress: Box::new(progress) }
    }
}

impl Pace for SystemPace {
    fn now(&self) -> Millis {
        SystemClock.now()
    }

    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    fn wait(&self, span: Duration) -> bool {
        self.stop.wait(span)
    }

    fn progress(&self, sentence: &str) {
        (self.progress)(sentence);
    }
}
