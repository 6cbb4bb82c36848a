//! Opens the state in `STATE_DIR` at the start. If the disk or its permissions prevent that, the service answers as
//! `starting` with the reason, and tries again until it succeeds or a signal stops it. A folder that is unsafe, and a
//! ledger that cannot be trusted, end the process: only a person can decide what is right then.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use log::{error, info, warn};

use super::listening::Listening;
use super::open_state::{OpenState, in_words, not_opened, open_folder, open_ledger};
use super::requests::Boot;
use super::state::State;
use super::supervisor;
use crate::app::exit::Exit;
use crate::app::service_client;
use mcr_config::Settings;
use mcr_files::Folder;
use mcr_model::memory::ByteBudget;
use mcr_model::redact::Redactor;
use mcr_service::systemd::Notifier;
use mcr_store::ledger::LedgerError;

/// The first pause before the state is opened again. It doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long requests may take that are under way when the service stops before it has started.
const REQUEST_LIMIT: Duration = Duration::from_secs(1);

/// The opened state, its folder, and the server if it listens already.
pub(super) struct Opened {
    pub(super) state: OpenState,
    pub(super) folder: Option<Arc<Folder>>,
    pub(super) listening: Option<Listening>,
    /// What an earlier process has left of a restart or an upgrade. The error says why no request can be carried out.
    pub(super) boot: Option<Result<Boot, String>>,
}

/// Opens the state, and counts the start of this process once its folder can be used. A start next to another runtime
/// does not count.
fn open(settings: &Settings, boot: &mut Option<Result<Boot, String>>) -> Result<Opened, LedgerError> {
    let folder = open_folder(settings)?;
    let state = open_ledger(settings, folder.as_ref());
    if !matches!(state, Err(LedgerError::Locked { .. })) {
        boot.get_or_insert_with(|| Boot::count(settings, folder.as_ref()));
    }
    Ok(Opened { state: state?, folder, listening: None, boot: None })
}

/// Opens the state. Waits for that if need be. The error is the exit code of the process.
pub(super) fn open_or_wait<'s>(
    settings: &Settings,
    memory: &ByteBudget,
    redactor: &Arc<Redactor>,
    systemd: impl Fn() -> &'s Notifier,
    signals: &Receiver<()>,
) -> Result<Opened, Exit> {
    let mut boot = None;
    match (open_with_patience(settings, memory, redactor, systemd, signals, &mut boot), boot) {
        (Ok(opened), boot) => Ok(Opened { boot, ..opened }),
        (Err(exit), Some(Ok(mut boot))) => {
            boot.roll_back_before_exit(settings);
            Err(exit)
        }
        (Err(exit), _) => Err(exit),
    }
}

fn open_with_patience<'s>(
    settings: &Settings,
    memory: &ByteBudget,
    redactor: &Arc<Redactor>,
    systemd: impl Fn() -> &'s Notifier,
    signals: &Receiver<()>,
    boot: &mut Option<Result<Boot, String>>,
) -> Result<Opened, Exit> {
    // Before the port: of two services with the same configuration, the second must report the conflict, not
    // a taken port.
    let why = match open(settings, boot) {
        Ok(opened) => return Ok(opened),
        Err(why) if why.may_pass() => why,
        Err(why) => return Err(not_opened(&why)),
    };
    let state = Arc::new(State::new(settings, None, redactor));
    let mut words = in_words(&why);
    state.set_unopened(&words);
    let listening = Listening::start(settings, memory, state.clone())?;
    warn!(reason = words.as_str(); "Not started yet: STATE_DIR cannot be used, and is tried again");
    // Disconnects at the end of this function.
    let (_waits, ended) = bounded::<()>(0);
    let address = service_client::address(settings.http.connect_host(), listening.server.local_addr().port());
    if let Err(why) = supervisor::start(systemd(), address, &state, || true, ended) {
        error!(reason:% = why; "Systemd is not notified: a thread cannot be started");
    }
    let mut pause = FIRST_PAUSE;
    loop {
        match signals.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                info!("Stopped before the start");
                listening.server.stop(REQUEST_LIMIT);
                return Err(Exit::Done);
            }
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
        match open(settings, boot) {
            Ok(opened) => {
                info!("STATE_DIR can be used; the start continues");
                return Ok(Opened { listening: Some(listening), ..opened });
            }
            Err(why) if why.may_pass() => {
                let now = in_words(&why);
                if now != words {
                    warn!(reason = now.as_str(); "STATE_DIR still cannot be used");
                    state.set_unopened(&now);
                    words = now;
                }
            }
            Err(why) => {
                listening.server.stop(REQUEST_LIMIT);
                return Err(not_opened(&why));
            }
        }
    }
}
