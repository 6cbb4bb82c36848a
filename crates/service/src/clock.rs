//! Clocks of the running process that no change of the system's clock affects.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mcr_core::gateway::LifeSigns;
use mcr_model::clock::{Clock, Millis, SystemClock};

/// A monotonic clock for pauses and deadlines: it never goes back, even if the system's clock is set.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    start: Millis,
    began: Instant,
}

impl SteadyClock {
    /// The clock starts at the system's current time.
    pub fn new() -> Self {
        Self { start: SystemClock.now(), began: Instant::now() }
    }
}

impl Default for SteadyClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Millis {
        self.start + self.began.elapsed()
    }
}

/// When a turn last showed a sign of life. Clones share the same value.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// A pulse with a sign of life now.
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(Self::now())))
    }

    /// Milliseconds since the first call in this process.
    fn now() -> u64 {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

impl LifeSigns for Pulse {
    fn beat(&self) {
        // Relaxed suffices: no other memory depends on this value. `fetch_max` keeps the mark of the end.
        self.0.fetch_max(Self::now(), Ordering::Relaxed);
    }

    fn quiet(&self) -> Duration {
        Duration::from_millis(Self::now().saturating_sub(self.0.load(Ordering::Relaxed)))
    }

    fn end(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) == u64::MAX
    }

    fn share(&self) -> Arc<dyn LifeSigns> {
        Arc::new(self.clone())
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self::new()
    }
}
