//! Counts the start of this process and decides, before anything else can fail, what an earlier process has left of a
//! restart or an upgrade.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{error, info, warn};

use super::super::request_status::RequestStatus;
use super::command;
use mcr_config::Settings;
use mcr_core::upgrade::{
    Moment, OperationKind, Step, UpgradeAction, UpgradeEffect, UpgradeEvent, UpgradeMachine, UpgradeMemory,
    UpgradeSetup,
};
use mcr_files::Folder;
use mcr_model::clock::{Clock as _, SystemClock};

/// The file in `STATE_DIR`.
const FILE: &str = "upgrade.json";

/// The stored memory of requests.
pub(super) struct Store {
    folder: Arc<Folder>,
    /// What the file has, if this process has read or written it.
    stored: UpgradeMemory,
}

impl Store {
    fn open(folder: &Arc<Folder>) -> io::Result<Self> {
        let stored = match folder.read(FILE)? {
            Some(bytes) => serde_json::from_slice(&bytes)?,
            None => UpgradeMemory::default(),
        };
        Ok(Self { folder: folder.clone(), stored })
    }

    /// Stores the memory. When this returns, it is on the disk.
    pub(super) fn store(&mut self, memory: &UpgradeMemory) -> io::Result<()> {
        if *memory != self.stored {
            let text = serde_json::to_vec(memory)?;
            self.folder.write(FILE, &text)?;
            self.stored = memory.clone();
        }
        Ok(())
    }
}

/// The machine of this process, after its first event.
pub(in crate::app::run) struct Boot {
    pub(super) machine: UpgradeMachine,
    pub(super) store: Store,
    /// What the start requires.
    pub(super) effects: Vec<UpgradeEffect>,
    began: Instant,
}

impl Boot {
    /// Counts this start. The error says why requests cannot be carried out.
    pub(in crate::app::run) fn count(
        settings: &Settings,
        folder: Option<&Arc<Folder>>,
    ) -> Result<Self, String> {
        let folder = folder.ok_or("STATE_DIR cannot be used, so no request could be remembered")?;
        let mut store = Store::open(folder).map_err(|why| {
            format!("{} cannot be read ({why}): move it away", folder.path().join(FILE).display())
        })?;
        let setup = UpgradeSetup {
            version: settings.runtime_version.clone(),
            has_command: settings.upgrades.command.is_some(),
            drain: settings.delivery.drain,
            confirm: settings.upgrades.confirm,
        };
        let mut machine = UpgradeMachine::new(setup, store.stored.clone());
        let began = Instant::now();
        let before = machine.memory().open().map(|open| open.step);
        let effects =
            machine.on(UpgradeEvent::Started, Moment { now: SystemClock.now(), up: Duration::ZERO });
        if let Err(why) = store.store(machine.memory()) {
            error!(reason:% = why; "This start of a new version is not counted: STATE_DIR cannot be written");
        }
        if let (Some(before), Some(operation)) = (before, &machine.memory().operation) {
            let kind = operation.kind.as_str();
            info!(kind, before = before.as_str(), step = operation.step.as_str(); "A request continues after the start");
        }
        Ok(Self { machine, store, effects, began })
    }

    /// Makes known what an earlier process has left, before the first status report. Returns nothing if no request can
    /// be carried out.
    pub(in crate::app::run) fn adopt(
        boot: Option<Result<Self, String>>,
        status: &RequestStatus,
    ) -> Option<Self> {
        match boot? {
            Ok(boot) => {
                status.set_memory(boot.machine.memory());
                Some(boot)
            }
            Err(why) => {
                warn!(reason = why.as_str(); "Requests for a restart or an upgrade are not read");
                status.show().off = Some(why);
                None
            }
        }
    }

    pub(super) fn moment(&self) -> Moment {
        Moment { now: SystemClock.now(), up: self.began.elapsed() }
    }

    /// Carries out a rollback before the process ends because it cannot start.
    pub(in crate::app::run) fn roll_back_before_exit(&mut self, settings: &Settings) {
        if !self.effects.contains(&UpgradeEffect::Run(UpgradeAction::RollBack)) {
            return;
        }
        let result = run(settings, &self.machine, UpgradeAction::RollBack);
        let at = self.moment();
        self.machine.on(UpgradeEvent::CommandEnded(result), at);
        if let Err(why) = self.store.store(self.machine.memory()) {
            warn!(reason:% = why; "The rollback is not recorded: STATE_DIR cannot be written");
        }
    }
}

/// Runs the command for the open request. The error is the reason why the version was not installed.
pub(super) fn run(
    settings: &Settings,
    machine: &UpgradeMachine,
    action: UpgradeAction,
) -> Result<(), String> {
    match arguments(settings, machine, action) {
        Some(words) => command::run(&words, settings.upgrades.command_timeout),
        None => Err("UPGRADE_COMMAND is not set".to_owned()),
    }
}

/// The command with its arguments: the action, the version, and the number of the request.
pub(super) fn arguments(
    settings: &Settings,
    machine: &UpgradeMachine,
    action: UpgradeAction,
) -> Option<Vec<String>> {
    let operation = machine.memory().open().filter(|open| open.kind == OperationKind::Upgrade)?;
    let version = if operation.step == Step::RollBack { &operation.from } else { &operation.to };
    let mut words = settings.upgrades.command.clone()?;
    words.extend([action.as_str().to_owned(), version.runtime.clone(), operation.id.0.to_string()]);
    Some(words)
}
