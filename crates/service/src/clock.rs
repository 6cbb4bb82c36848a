//! Clocks of the running process, which no wall clock changes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mcr_core::gateway::LifeSigns;
use mcr_model::clock::{Clock, Millis, SystemClock};

/// A clock that only goes forward, whatever happens to the machine's own: for pauses and deadlines.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    start: Millis,
    began: Instant,
}

impl SteadyClock {
    /// It starts at what the machine's clock says now.
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

/// When something last showed a sign of life. Clones are the same.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// It lives.
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(Self::now())))
    }

    /// Milliseconds since the first of them began.
    fn now() -> u64 {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

impl LifeSigns for Pulse {
    fn beat(&self) {
        // It stands alone: nothing else is read after it. What is over stays so.
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
