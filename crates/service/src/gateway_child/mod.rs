//! Runs the gateway as a process of the runtime, where no unit and no container runs it.
//!
//! The decisions are in [`mcr_core::gateway_child`]. The process is the leader of a group of its own, so a signal reaches
//! everything that it has started. Its identity is noted in `STATE_DIR`: the next runtime takes over a gateway that a killed
//! one has left, with its running turns. A process with another start time is a foreign one and is left alone.

mod configuration;
pub mod health;
mod leftover;
mod process;
mod record;
mod supervisor;
mod version;

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::gateway_keys::KeyEnvFile;
use crate::wakeup::Wakeup;
use health::ChildStatus;
use mcr_core::gateway_child::ChildLimits;
use mcr_files::Folder;
use mcr_http::panics::Panics;
use mcr_model::ChildCommand;
use mcr_model::redact::Redactor;
use supervisor::Supervisor;

pub use leftover::end_leftover;

/// After the time limit of a stop: how long a killed process may take to end.
const KILL_LIMIT: Duration = Duration::from_millis(500);

/// The name of the supervisor's thread.
const THREAD: &str = "gateway-child";

/// What the supervisor needs.
pub struct ChildSetup {
    /// The command of the gateway.
    pub command: ChildCommand,
    /// Its environment, without the stored keys.
    pub environment: Vec<(OsString, OsString)>,
    /// The env file with the stored keys.
    pub keys: KeyEnvFile,
    /// The address of the gateway.
    pub address: (String, u16),
    /// Where the process is noted; `None` without a state directory.
    pub folder: Option<Arc<Folder>>,
    /// Whether the gateway accepts turns.
    pub is_ready: Box<dyn Fn() -> bool + Send>,
    /// The number of running turns.
    pub turns: Box<dyn Fn() -> usize + Send>,
    /// The time limits.
    pub limits: ChildLimits,
    /// Where the state is shown.
    pub status: Arc<ChildStatus>,
    /// Wakes the supervisor when the env file has changed.
    pub changed: Wakeup,
    /// Hides secrets in reasons. It learns the keys of the env file.
    pub redactor: Arc<Redactor>,
    /// Where a panic of the supervisor is noted.
    pub panics: Panics,
}

/// The running supervisor.
pub struct GatewayChild {
    stop: Sender<Duration>,
    ended: Receiver<()>,
}

impl GatewayChild {
    /// Starts the supervisor, which starts the gateway.
    pub fn start(setup: ChildSetup) -> io::Result<Self> {
        let (stop, stops) = bounded(1);
        let (living, ended) = bounded::<()>(0);
        let mut supervisor = Supervisor::new(setup);
        thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
            let _living = living;
            supervisor.run_guarded(&stops);
        })?;
        Ok(Self { stop, ended })
    }

    /// Ends the gateway, which may finish its turns within the time limit. Returns whether it has ended.
    pub fn stop(&self, within: Duration) -> bool {
        // The supervisor accepts one stop; it has ended if it accepts none.
        let _ = self.stop.try_send(within);
        let disconnected = self.ended.recv_timeout(within + KILL_LIMIT);
        disconnected == Err(RecvTimeoutError::Disconnected)
    }
}
