//! Limits how long a connection may be silent while an answer is awaited.
//!
//! The limits of [`Phases`](super::Phases) are for a whole phase. The library fixes its limit for one read
//! when the request starts. An answer that may take hours, but not be silent for minutes, needs a limit for
//! each silence. Once the answer is complete, only a short limit is left for the rest of the stream. So the
//! limit is kept here, where it can change while the answer is read.
//!
//! The sender may also be alive while its connection is silent. Where other threads can observe it, the
//! silence is that of its [`LifeSigns`], which those threads keep beating.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::Timeout;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::network::NetworkConnector;
use mcr_core::gateway::LifeSigns;

/// How soon a waiting connection notices a beat from another thread, or that the wait is ended.
const NOTICE: Duration = Duration::from_millis(250);

/// The longest silence on the connections of one agent. Clones share the limit.
#[derive(Clone, Debug)]
pub struct IdleTimeout(Arc<Limit>);

#[derive(Debug)]
struct Limit {
    /// Milliseconds.
    most: AtomicU64,
    /// Measures the silence, if it is not that of the connection alone.
    pulse: Mutex<Option<Arc<dyn LifeSigns>>>,
}

impl IdleTimeout {
    pub(super) fn new(most: Duration) -> Self {
        let idle_timeout = Self(Arc::new(Limit { most: AtomicU64::new(0), pulse: Mutex::default() }));
        idle_timeout.set(most);
        idle_timeout
    }

    /// Sets the limit from the next wait on, for every connection.
    pub fn set(&self, most: Duration) {
        self.set_limit(None, most);
    }

    /// Sets the limit from the next wait on, counted from the last beat of `pulse`. Input makes it beat.
    pub fn set_by(&self, pulse: &dyn LifeSigns, most: Duration) {
        self.set_limit(Some(pulse.share()), most);
    }

    fn set_limit(&self, pulse: Option<Arc<dyn LifeSigns>>, most: Duration) {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        // One thread reads and writes it, and no other state depends on it.
        self.0.most.store(millis.max(1), Ordering::Relaxed);
        *self.0.pulse.lock().unwrap_or_else(PoisonError::into_inner) = pulse;
    }

    fn most(&self) -> Duration {
        Duration::from_millis(self.0.most.load(Ordering::Relaxed))
    }

    fn pulse(&self) -> Option<Arc<dyn LifeSigns>> {
        self.0.pulse.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for input until the limit is reached.
    fn wait(
        &self,
        timeout: NextTimeout,
        wait: &mut dyn FnMut(NextTimeout) -> Result<bool, ureq::Error>,
    ) -> Result<bool, ureq::Error> {
        let Some(pulse) = self.pulse() else { return wait(shorter(timeout, self.most())) };
        loop {
            let left = self.most().saturating_sub(pulse.quiet());
            if left.is_zero() || pulse.is_over() {
                return Err(ureq::Error::Timeout(Timeout::PerRead));
            }
            match wait(shorter(timeout, left.min(NOTICE))) {
                // The limit of the whole phase must not be extended.
                Err(ureq::Error::Timeout(_)) if *timeout.after > left.min(NOTICE) => {}
                waited => {
                    pulse.beat();
                    return waited;
                }
            }
        }
    }
}

fn shorter(timeout: NextTimeout, most: Duration) -> NextTimeout {
    if *timeout.after <= most {
        return timeout;
    }
    NextTimeout { after: most.into(), reason: Timeout::PerRead, ..timeout }
}

/// Makes connections that keep an idle timeout.
#[derive(Debug)]
pub(super) struct PatientConnector {
    pub(super) below: NetworkConnector,
    pub(super) idle_timeout: IdleTimeout,
}

impl Connector for PatientConnector {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let below = self.below.connect(details, chained)?;
        let idle_timeout = self.idle_timeout.clone();
        Ok(below.map(|below| Box::new(PatientTransport { below, idle_timeout }) as Box<dyn Transport>))
    }
}

#[derive(Debug)]
struct PatientTransport {
    below: Box<dyn Transport>,
    idle_timeout: IdleTimeout,
}

impl Transport for PatientTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.below.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.below.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let below = &mut self.below;
        self.idle_timeout.wait(timeout, &mut |timeout| below.await_input(timeout))
    }

    fn is_open(&mut self) -> bool {
        self.below.is_open()
    }

    fn is_tls(&self) -> bool {
        self.below.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// The last sign of life. `None` once it has ended.
    #[derive(Clone, Debug)]
    struct Seen(Arc<Mutex<Option<Instant>>>);

    impl LifeSigns for Seen {
        fn beat(&self) {
            let mut seen = self.0.lock().unwrap();
            *seen = seen.map(|_| Instant::now());
        }

        fn quiet(&self) -> Duration {
            self.0.lock().unwrap().map_or(Duration::ZERO, |seen| seen.elapsed())
        }

        fn end(&self) {
            *self.0.lock().unwrap() = None;
        }

        fn is_over(&self) -> bool {
            self.0.lock().unwrap().is_none()
        }

        fn share(&self) -> Arc<dyn LifeSigns> {
            Arc::new(self.clone())
        }
    }

    fn next(secs: u64) -> NextTimeout {
        NextTimeout { after: Duration::from_secs(secs).into(), ..NextTimeout::default() }
    }

    #[test]
    fn the_shorter_limit_counts() {
        let five = Duration::from_secs(5);
        assert_eq!(*shorter(next(3), five).after, Duration::from_secs(3));
        assert_eq!(*shorter(next(30), five).after, five);
        assert_eq!(*shorter(NextTimeout::default(), five).after, five);
        let idle_timeout = IdleTimeout::new(Duration::ZERO);
        assert_eq!(idle_timeout.most(), Duration::from_millis(1), "zero would mean no limit");
    }

    /// No input arrives, but another thread sees signs of life: the wait continues until they stop.
    #[test]
    fn a_beating_pulse_extends_the_wait() {
        let idle_timeout = IdleTimeout::new(Duration::from_secs(1));
        let pulse = Seen(Arc::new(Mutex::new(Some(Instant::now()))));
        idle_timeout.set_by(&pulse, Duration::from_millis(40));
        let mut waits = 0;
        let waited = idle_timeout.wait(NextTimeout::default(), &mut |timeout| {
            waits += 1;
            assert!(*timeout.after <= Duration::from_millis(40));
            std::thread::sleep(*timeout.after / 2);
            if waits < 10 {
                pulse.beat();
            }
            Err(ureq::Error::Timeout(timeout.reason))
        });
        assert!(matches!(waited, Err(ureq::Error::Timeout(Timeout::PerRead))) && waits >= 10, "{waits}");
        pulse.beat();
        assert!(matches!(idle_timeout.wait(NextTimeout::default(), &mut |_| Ok(true)), Ok(true)));
        pulse.end();
        let over = idle_timeout.wait(NextTimeout::default(), &mut |_| Ok(true));
        assert!(matches!(over, Err(ureq::Error::Timeout(_))), "an ended pulse is not awaited");
    }
}
