//! The order of a shutdown, from the first signal to the exit:
//!
//! 1. No new work starts.
//! 2. Running turns finish, or are cut off at the end of their time. A cut turn is reported to the backend,
//!    which ends "typing".
//! 3. The account goes offline.
//! 4. The last requests are answered.
//!
//! Every step has a time limit. A separate thread ends the process if all steps together take too long,
//! whichever of them hangs.

use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError, after, bounded, select};
use log::error;

use crate::app::exit::Exit;

/// From the end of the drain to the exit: slightly less than the promised ten seconds.
pub(super) const EXIT_LIMIT: Duration = Duration::from_millis(9_500);

/// From the second signal to the exit: slightly less than the promised second.
const HURRIED_EXIT_LIMIT: Duration = Duration::from_millis(900);

/// The time limit for reporting the stop to the backend: normally, and after a second signal.
const OFFLINE_LIMITS: [Duration; 2] = [Duration::from_secs(2), Duration::from_millis(300)];

/// The time limit for the gateway that the runtime runs itself. Its turns of ours have ended.
const CHILD_LIMITS: [Duration; 2] = [Duration::from_secs(3), Duration::from_millis(100)];

/// After that: the time limit for answering requests that have already arrived.
const REQUEST_LIMITS: [Duration; 2] = [Duration::from_secs(2), Duration::from_millis(50)];

/// The time limit for the other threads, which were stopped before the drain.
const THREAD_LIMITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_millis(50)];

/// Why the service stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A signal requested it.
    Signal,
    /// A person requested a restart or an upgrade in Mission Control. Turns have had time to finish.
    Requested,
    /// Another runtime works on the account.
    Foreign,
    /// The dispatcher has ended unexpectedly.
    Lost,
    /// The backend has never accepted our token.
    TokenRefused,
}

/// The drain of a requested restart, which waits for turns before it stops.
const SECOND_DRAIN: Duration = Duration::from_secs(5);

impl Cause {
    /// How long running turns may finish.
    pub(super) fn drain(self, configured: Duration) -> Duration {
        match self {
            Self::Requested => configured.min(SECOND_DRAIN),
            Self::Signal | Self::Foreign | Self::Lost | Self::TokenRefused => configured,
        }
    }

    /// Whether the same account goes on with the next process.
    pub(super) fn is_orderly(self) -> bool {
        match self {
            Self::Signal | Self::Requested => true,
            Self::Foreign | Self::Lost | Self::TokenRefused => false,
        }
    }

    /// The exit code of the process.
    pub(super) fn exit(self) -> Exit {
        match self {
            Self::Signal | Self::Requested => Exit::Done,
            Self::Foreign => Exit::Foreign,
            Self::Lost => Exit::Failed,
            Self::TokenRefused => Exit::Misconfigured,
        }
    }
}

/// The time limits of the steps.
pub(super) struct Shutdown {
    /// Disconnects when a second signal arrives.
    pub(super) hurry: Receiver<()>,
}

impl Shutdown {
    /// Starts the thread that ends the process: some seconds after the drain, or within a second after
    /// another signal.
    pub(super) fn begin(signals: Receiver<()>, drain: Duration, exit: Exit) -> Self {
        let (calm, hurry) = bounded::<()>(0);
        let watchdog = move || {
            select! {
                recv(signals) -> _ => {
                    drop(calm);
                    thread::sleep(HURRIED_EXIT_LIMIT);
                }
                recv(after(drain + EXIT_LIMIT)) -> _ => {}
            }
            error!("The shutdown exceeded its time limit: the process exits although a step still hangs");
            std::process::exit(exit.code().into());
        };
        // If the thread cannot be started, `calm` is dropped and the short limits apply.
        let _ = thread::Builder::new().name("exit-watchdog".to_owned()).spawn(watchdog);
        Self { hurry }
    }

    fn now(&self, limits: [Duration; 2]) -> Duration {
        limits[usize::from(self.hurry.try_recv() == Err(TryRecvError::Disconnected))]
    }

    /// The time limit for reporting the stop to the backend.
    pub(super) fn offline_limit(&self) -> Duration {
        self.now(OFFLINE_LIMITS)
    }

    /// The time limit for the end of the gateway that the runtime runs itself.
    pub(super) fn child_limit(&self) -> Duration {
        self.now(CHILD_LIMITS)
    }

    /// The time limit for requests that have arrived.
    pub(super) fn request_limit(&self) -> Duration {
        self.now(REQUEST_LIMITS)
    }

    /// The time limit for threads that were stopped long ago.
    pub(super) fn thread_limit(&self) -> Duration {
        self.now(THREAD_LIMITS)
    }
}
