//! The order of a shutdown, from the first signal to the exit: nothing begins any more; turns that run come to their end,
//! or are cut off when their time is over; what was cut off says so, which ends "typing"; the account goes offline; the
//! last requests are answered.
//!
//! Every rung has its limit, and beside the ladder stands somebody who ends the process when all of it takes too long,
//! whatever it is that hangs.

use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError, after, bounded, select};
use log::error;

use crate::app::exit::Exit;

/// From the end of the drain to the exit: somewhat less than the ten seconds that are promised.
const AFTER_THE_DRAIN: Duration = Duration::from_millis(9_500);

/// From the second signal to the exit: somewhat less than the second that is promised.
const IN_A_HURRY: Duration = Duration::from_millis(900);

/// How long the backend may take to hear that we stop, and the same in a hurry.
const LAST_WORD: [Duration; 2] = [Duration::from_secs(2), Duration::from_millis(300)];

/// How long requests that have arrived may take after that.
const LAST_ANSWERS: [Duration; 2] = [Duration::from_secs(2), Duration::from_millis(50)];

/// The longest that the other threads may take to end; they were told before the drain.
const FAREWELL: [Duration; 2] = [Duration::from_secs(1), Duration::from_millis(50)];

/// Why the service ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// We were told to.
    Told,
    /// Another runtime lives on the account.
    Foreign,
    /// The dispatcher has ended by itself.
    Lost,
    /// The backend has never accepted our token.
    TokenRefused,
}

impl Cause {
    /// How the process ends.
    pub(super) fn exit(self) -> Exit {
        match self {
            Self::Told => Exit::Done,
            Self::Foreign => Exit::Foreign,
            Self::Lost => Exit::Failed,
            Self::TokenRefused => Exit::Misconfigured,
        }
    }
}

/// The limits of the rungs.
pub(super) struct Shutdown {
    /// Ends when somebody is in a hurry.
    pub(super) hurry: Receiver<()>,
}

impl Shutdown {
    /// From now on the process ends: with this exit code at the latest some seconds behind the drain, and within a second
    /// after another signal.
    pub(super) fn begin(signals: Receiver<()>, drain: Duration, exit: Exit) -> Self {
        let (calm, hurry) = bounded::<()>(0);
        let beside = move || {
            select! {
                recv(signals) -> _ => {
                    drop(calm);
                    thread::sleep(IN_A_HURRY);
                }
                recv(after(drain + AFTER_THE_DRAIN)) -> _ => {}
            }
            error!("not everything ended in time: leaving all the same");
            std::process::exit(exit.code().into());
        };
        // Without a thread to be had everybody is in a hurry: `calm` is gone.
        let _ = thread::Builder::new().name("last-rung".to_owned()).spawn(beside);
        Self { hurry }
    }

    fn now(&self, limits: [Duration; 2]) -> Duration {
        limits[usize::from(self.hurry.try_recv() == Err(TryRecvError::Disconnected))]
    }

    /// How long the backend may take to hear that we stop.
    pub(super) fn last_word(&self) -> Duration {
        self.now(LAST_WORD)
    }

    /// How long requests that have arrived may take.
    pub(super) fn last_answers(&self) -> Duration {
        self.now(LAST_ANSWERS)
    }

    /// How long threads that were told long ago may take to end.
    pub(super) fn farewell(&self) -> Duration {
        self.now(FAREWELL)
    }
}
