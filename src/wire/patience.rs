//! How long a connection may be silent while an answer is awaited.
//!
//! The limits of [`Phases`](super::Phases) are for a whole phase, and the library's own limit for one read is fixed
//! when the request begins. An answer that may take hours, but not be silent for minutes, needs a limit for each
//! silence; and once the answer is complete, little patience is left for the rest of it. So the limit stands here,
//! where it can be changed while the answer is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ureq::Timeout;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::roots::SharedConnector;

/// The longest silence on the connections of one agent. Clones are the same limit.
#[derive(Clone, Debug)]
pub struct Patience(Arc<AtomicU64>);

impl Patience {
    pub(super) fn new(most: Duration) -> Self {
        let patience = Self(Arc::new(AtomicU64::new(0)));
        patience.set(most);
        patience
    }

    /// From the next wait on.
    pub fn set(&self, most: Duration) {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        // One thread reads and writes it; nothing else hangs on it.
        self.0.store(millis.max(1), Ordering::Relaxed);
    }

    fn limit(&self, timeout: NextTimeout) -> NextTimeout {
        let most = Duration::from_millis(self.0.load(Ordering::Relaxed));
        if *timeout.after <= most {
            return timeout;
        }
        NextTimeout { after: most.into(), reason: Timeout::PerRead, ..timeout }
    }
}

/// Makes connections that heed a limit.
#[derive(Debug)]
pub(super) struct PatientConnector {
    pub(super) below: SharedConnector,
    pub(super) patience: Patience,
}

impl Connector for PatientConnector {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let below = self.below.connect(details, chained)?;
        let patience = self.patience.clone();
        Ok(below.map(|below| Box::new(PatientTransport { below, patience }) as Box<dyn Transport>))
    }
}

#[derive(Debug)]
struct PatientTransport {
    below: Box<dyn Transport>,
    patience: Patience,
}

impl Transport for PatientTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.below.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.below.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.below.await_input(self.patience.limit(timeout))
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
    use super::*;

    #[test]
    fn the_shorter_limit_counts() {
        let patience = Patience::new(Duration::from_secs(5));
        let next = |secs| NextTimeout { after: Duration::from_secs(secs).into(), ..NextTimeout::default() };
        assert_eq!(*patience.limit(next(3)).after, Duration::from_secs(3));
        assert_eq!(*patience.limit(next(30)).after, Duration::from_secs(5));
        assert_eq!(*patience.limit(NextTimeout::default()).after, Duration::from_secs(5));
        patience.set(Duration::ZERO);
        assert_eq!(
            *patience.limit(next(3)).after,
            Duration::from_millis(1),
            "none at all would stand for ever"
        );
    }
}
