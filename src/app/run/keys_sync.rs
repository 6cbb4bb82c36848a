//! The thread that keeps the gateway's env file up to date with the keys stored in Mission Control.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use log::{info, warn};

use super::backend_health::observed;
use super::background::spawn;
use super::state::State;
use super::threads::ThreadSetup;
use mcr_clients::convex::{CallClass, CallError, CallReason};
use mcr_clients::mission::{GetRuntimeSecrets, Mission};
use mcr_clients::wire::Stop;
use mcr_core::gateway_keys::file::{KeyFile, entries};
use mcr_core::gateway_keys::sync::{KeyStep, KeySync};
use mcr_core::repeated_call::{CallPace, RepeatedCall};
use mcr_model::clock::{Clock as _, Millis, SystemClock};
use mcr_model::redact::Redactor;
use mcr_model::secret::Secret;
use mcr_service::clock::SteadyClock;
use mcr_service::delivery::service::View;
use mcr_service::gateway_keys::KeyEnvFile;
use mcr_service::gateway_keys::health::{GatewayKeysHealth, KeysState};
use mcr_service::wakeup::Wakeup;

/// When a Mission Control without stored keys is asked again. A new version of it may have them.
const NOT_OFFERED_PAUSE: Duration = Duration::from_hours(24);

/// The state of the stored keys, for `/health`.
#[derive(Default)]
pub(super) struct KeysStatus {
    health: Mutex<GatewayKeysHealth>,
    /// Notified when the file has changed.
    pub(super) changed: Wakeup,
}

impl KeysStatus {
    /// The present state.
    pub(super) fn now(&self) -> GatewayKeysHealth {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut GatewayKeysHealth)) {
        change(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Starts the thread, unless the sync is switched off.
pub(super) fn start(setup: &ThreadSetup<'_>, view: View, living: Sender<()>) -> io::Result<()> {
    let settings = setup.settings;
    let Some(interval) = settings.gateway_keys.fetch_interval else { return Ok(()) };
    let stop = setup.switches.chores.clone();
    let file = settings.gateway_keys.env_file.clone();
    let mut sync = KeysThread {
        mission: observed(&setup.connections.once, settings, &stop, &setup.state.backend),
        account: settings.account.id.clone(),
        state: setup.state.clone(),
        view,
        redactor: setup.redactor.clone(),
        file: KeyEnvFile::new(file, settings.agents.workspace_root.clone()),
        pace: CallPace::of_keys(interval, settings.gateway_keys.idle_fetch_interval),
        returned: setup.state.backend.on_return(),
        sync: KeySync::default(),
        refused: Vec::new(),
    };
    let switch = stop.clone();
    spawn("keys", setup.state.panics.clone(), stop, move || {
        let _living = &living;
        sync.run(&switch);
    })
}

struct KeysThread {
    mission: Mission,
    account: String,
    state: Arc<State>,
    view: View,
    redactor: Arc<Redactor>,
    file: KeyEnvFile,
    pace: CallPace,
    /// Has a message after an absence of Mission Control.
    returned: Receiver<()>,
    sync: KeySync,
    /// The refused keys that were last logged.
    refused: Vec<(String, String)>,
}

/// Why a sync failed.
enum SyncError {
    Call(CallError),
    File(String),
}

impl From<CallError> for SyncError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<String> for SyncError {
    fn from(why: String) -> Self {
        Self::File(why)
    }
}

impl SyncError {
    /// Whether Mission Control has no such function.
    fn is_not_offered(&self) -> bool {
        match self {
            Self::Call(error) => matches!(error.why, CallReason::NoSuchFunction | CallReason::WrongKind),
            Self::File(_) => false,
        }
    }
}

impl KeysThread {
    /// Syncs at once and at every interval, until the switch is closed. A Mission Control without stored keys is asked
    /// again after a day, and when it was away: it may have been upgraded.
    fn run(&mut self, stop: &Stop) {
        let clock = SteadyClock::new();
        let mut call = RepeatedCall::new(self.pace);
        self.start();
        while !stop.is_closed() {
            if self.returned.try_recv().is_ok() {
                call = RepeatedCall::new(self.pace);
            }
            let is_idle = self.view.state().is_idle;
            if call.due(is_idle, clock.now()) <= clock.now() {
                call.begins(clock.now());
                let synced = self.sync();
                if stop.is_closed() {
                    return;
                }
                match synced {
                    Ok(KeyStep::Confirm) => {
                        call.succeeds();
                        call.request();
                    }
                    Ok(_) => call.succeeds(),
                    Err(error) => {
                        let pause = error.is_not_offered().then_some(NOT_OFFERED_PAUSE);
                        let not_before = match &error {
                            SyncError::Call(error) => pause.max(error.not_before),
                            SyncError::File(_) => None,
                        };
                        call.fails(not_before, clock.now());
                        self.note_failure(&error, call.failures());
                    }
                }
            }
            let now = clock.now();
            // Looks again after an interval, because an account does not stay idle, nor Mission Control away.
            stop.wait(call.due(is_idle, now).since(now).min(self.pace.interval));
        }
    }

    /// Reads the file of an earlier process, so that its keys are hidden before the first answer.
    fn start(&self) {
        let present = self.file.read().ok().flatten();
        let keys = present.as_ref().map(|text| entries(text.expose())).unwrap_or_default();
        let values: Vec<Secret> = keys.iter().map(|(_, value)| Secret::new(*value)).collect();
        self.redactor.learn(&values);
        self.state.keys.change(|health| {
            health.state = KeysState::Starting;
            health.file = self.state.excerpt(&self.file.path().display().to_string());
            health.names = keys.iter().map(|(name, _)| self.state.excerpt(name)).collect();
            health.written_at = self.file.written_at().map(Millis::from);
        });
    }

    fn sync(&mut self) -> Result<KeyStep, SyncError> {
        let answer = self.mission.ask(&GetRuntimeSecrets {})?;
        // Before anything else: refused values are hidden as well.
        self.redactor.learn(answer.keys.iter().map(|key| &key.value));
        let wanted = KeyFile::of(&self.account, &answer.keys);
        let refused: Vec<(String, String)> = wanted
            .refused
            .iter()
            .map(|(name, why)| (self.state.excerpt(name), why.explain().to_owned()))
            .collect();
        self.log_refused(&refused);
        let present = self.file.read()?;
        let step = self.sync.decide(present.as_ref().map(Secret::expose), &wanted);
        match step {
            KeyStep::Write => {
                self.file.write(&wanted.text)?;
                self.state.keys.changed.notify();
                let file = self.file.path().display().to_string();
                info!(keys = wanted.names.len(), file; "The gateway's env file has the stored keys");
            }
            KeyStep::NotOurs => {
                let why = format!(
                    "{} was not written for this account: set GATEWAY_ENV_FILE to another path, or move the file away",
                    self.file.path().display()
                );
                return Err(why.into());
            }
            KeyStep::Keep | KeyStep::Confirm => {}
        }
        let names: Option<BTreeSet<String>> = (step != KeyStep::Confirm)
            .then(|| wanted.names.iter().map(|name| self.state.excerpt(name)).collect());
        let written_at = self.file.written_at().map(Millis::from);
        self.state.keys.change(|health| {
            health.state = if names.is_none() { KeysState::Confirming } else { KeysState::InSync };
            health.names = names.unwrap_or_else(|| std::mem::take(&mut health.names));
            health.written_at = written_at;
            health.refused = refused;
            health.last_sync_at = Some(SystemClock.now());
            health.last_error = None;
            health.needs_attention = false;
        });
        Ok(step)
    }

    /// Logs new refused keys.
    fn log_refused(&mut self, refused: &[(String, String)]) {
        for (key, reason) in refused.iter().filter(|found| !self.refused.contains(found)) {
            warn!(key = key.as_str(), reason = reason.as_str(); "A stored key is not passed to the gateway");
        }
        self.refused = refused.to_vec();
    }

    /// Notes a failure for `/health`. Of consecutive failures, only the first is logged.
    fn note_failure(&self, error: &SyncError, failures: u32) {
        if error.is_not_offered() {
            if failures == 1 {
                info!(
                    "Mission Control stores no keys for the gateway, so the keys of its environment are used"
                );
            }
            self.state.keys.change(|health| {
                health.state = KeysState::NotOffered;
                health.last_error = None;
                health.needs_attention = false;
            });
            return;
        }
        let (why, needs_attention) = match error {
            SyncError::Call(error) => (error.to_string(), error.class == CallClass::Refused),
            SyncError::File(why) => (why.clone(), true),
        };
        let why = self.state.excerpt(&why);
        if failures == 1 {
            warn!(error = why.as_str(); "The stored keys cannot be passed to the gateway");
        }
        self.state.keys.change(|health| {
            health.state = KeysState::Failing;
            health.last_error = Some(why);
            health.needs_attention = needs_attention;
        });
    }
}
