//! The decisions on a request until the process ends: accept, drain, run, arm, and what cancels a request.

use std::time::Duration;

use super::memory::{
    Installed, OperationKind, OutcomeKind, Report, RequestedOperation, Step, UpgradeMemory, UpgradeOutcome,
};
use super::report::{Delivered, InstallerResult};
use super::trial::Trial;
use super::version::is_version;
use crate::unknown_fields::UnknownFields;
use mcr_model::PendingUpgrade;
use mcr_model::clock::Millis;

/// What a runtime can do with requests.
#[derive(Clone, Debug)]
pub struct UpgradeSetup {
    /// The version that this process reports.
    pub version: String,
    /// Whether `UPGRADE_COMMAND` is set.
    pub has_command: bool,
    /// How long running turns may finish.
    pub drain: Duration,
    /// How long a new version must work, and how long it may fail to.
    pub confirm: Duration,
}

/// What the command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeAction {
    /// Installs the requested version.
    Upgrade,
    /// Installs the version before.
    RollBack,
}

impl UpgradeAction {
    /// The first argument of the command.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::RollBack => "rollback",
        }
    }
}

/// The service at one moment.
#[derive(Clone, Debug)]
pub struct ServiceSigns {
    /// The number of running turns.
    pub turns: usize,
    /// Whether `/livez` answers, and the dispatcher.
    pub is_alive: bool,
    /// Whether `/readyz` is 200.
    pub is_ready: bool,
    /// Whether Mission Control answers, as far as known.
    pub backend_answers: bool,
    /// The gateway's version, if it is known.
    pub openclaw: Option<String>,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum UpgradeEvent<'a> {
    /// The process has started. The first event of each process.
    Started,
    /// Mission Control has requested a restart, and has deleted the request.
    Restart,
    /// Mission Control's pending upgrade.
    Pending(Option<&'a PendingUpgrade>),
    /// An operator cancels the request.
    Cancelled,
    /// The service at this moment. Sent once a second while a request is open.
    Tick(&'a ServiceSigns),
    /// The command has ended. The error says why the version was not installed.
    CommandEnded(Result<(), String>),
    /// The installer, a separate program, has left a result.
    Installer(&'a InstallerResult),
    /// The outcome was sent to Mission Control.
    Reported(Delivered),
    /// The process ends in an orderly way.
    Stopping,
}

/// What to do, once the memory is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpgradeEffect {
    /// Whether new turns wait.
    Hold(bool),
    /// Run the command.
    Run(UpgradeAction),
    /// End the process, so that its supervisor starts the next one.
    Leave,
    /// Send the outcome to Mission Control.
    Report,
}

/// The moment of an event.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time of the machine.
    pub now: Millis,
    /// The time since this process started, which no change of the clock affects.
    pub up: Duration,
}

/// The decisions on restarts and upgrades.
#[derive(Clone, Debug)]
pub struct UpgradeMachine {
    pub(super) setup: UpgradeSetup,
    pub(super) memory: UpgradeMemory,
    pub(super) trial: Trial,
    /// Whether this process has seen that the open request still stands.
    stands: bool,
    /// When this process began to drain.
    drains_from: Option<Duration>,
    /// Whether this process has started the command, or ends.
    pub(super) acts: bool,
}

impl UpgradeMachine {
    /// Continues with what the last process has stored.
    pub fn new(setup: UpgradeSetup, memory: UpgradeMemory) -> Self {
        Self { setup, memory, trial: Trial::default(), stands: false, drains_from: None, acts: false }
    }

    /// What the next process must know.
    pub fn memory(&self) -> &UpgradeMemory {
        &self.memory
    }

    /// Whether the runtime can accept a request now. A restart request is deleted by reading it, so it is read only
    /// then.
    pub fn can_accept(&self) -> bool {
        self.memory.open().is_none()
    }

    /// Whether Mission Control should be asked soon: about a request that can still be withdrawn, or to report.
    pub fn wants_answer(&self) -> bool {
        self.memory.operation.as_ref().is_some_and(|operation| match operation.step {
            Step::Accept | Step::Drain => operation.kind == OperationKind::Upgrade,
            Step::Done => operation.report != Report::Settled,
            Step::Run | Step::Arm | Step::Confirm | Step::RollBack => false,
        })
    }

    /// Notes the gateway's version, if it is known.
    pub fn know_openclaw(&mut self, version: Option<String>) {
        self.trial.openclaw = version;
    }

    /// Takes an event. The memory must be stored before the effects are carried out.
    pub fn on(&mut self, event: UpgradeEvent<'_>, at: Moment) -> Vec<UpgradeEffect> {
        match event {
            UpgradeEvent::Started => self.starts(at),
            UpgradeEvent::Restart => self.accept_restart(at),
            UpgradeEvent::Pending(pending) => self.pending(pending, at),
            UpgradeEvent::Cancelled => {
                let is_restart = self.memory.open().is_some_and(|open| open.kind == OperationKind::Restart);
                let kind = if is_restart { OutcomeKind::Cancelled } else { OutcomeKind::Failed };
                self.cancel(kind, "an operator cancelled it", at)
            }
            UpgradeEvent::Tick(condition) => self.tick(condition, at),
            UpgradeEvent::CommandEnded(result) => self.command_ended(result, at),
            UpgradeEvent::Installer(result) => self.installer(result, at),
            UpgradeEvent::Reported(delivered) => {
                self.reported(delivered);
                Vec::new()
            }
            UpgradeEvent::Stopping => {
                self.stops();
                Vec::new()
            }
        }
    }

    fn accept_restart(&mut self, at: Moment) -> Vec<UpgradeEffect> {
        if !self.can_accept() {
            return Vec::new();
        }
        let own = Installed { runtime: self.setup.version.clone(), openclaw: String::new() };
        self.open(OperationKind::Restart, at.now, own, at);
        Vec::new()
    }

    fn open(&mut self, kind: OperationKind, id: Millis, to: Installed, at: Moment) {
        self.stands = true;
        self.acts = false;
        self.drains_from = None;
        self.memory.operation = Some(RequestedOperation {
            id,
            kind,
            step: Step::Accept,
            since: at.now,
            accepted_at: at.now,
            from: Installed { runtime: self.setup.version.clone(), openclaw: String::new() },
            to,
            was_ready: false,
            boots: 0,
            trouble: None,
            outcome: None,
            report: Report::Due,
            extra: UnknownFields::default(),
        });
    }

    /// Mission Control's answer: it withdraws a request, requests one, or shows whether a report arrived.
    fn pending(&mut self, pending: Option<&PendingUpgrade>, at: Moment) -> Vec<UpgradeEffect> {
        let mut effects = Vec::new();
        if let Some(operation) = self.memory.open() {
            let is_early = matches!(operation.step, Step::Accept | Step::Drain);
            if operation.kind == OperationKind::Restart || !is_early {
                return effects;
            }
            if pending.is_some_and(|pending| pending.initiated_at == operation.id) {
                self.stands = true;
                return effects;
            }
            effects = self.cancel(OutcomeKind::Cancelled, "it was withdrawn in Mission Control", at);
        } else if let Some(report) = self.report_after(pending, at.now) {
            return report;
        }
        if let Some(pending) = pending {
            self.accept_upgrade(pending, at);
        }
        effects
    }

    fn accept_upgrade(&mut self, pending: &PendingUpgrade, at: Moment) {
        let is_known = self.memory.operation.as_ref().is_some_and(|operation| {
            operation.kind == OperationKind::Upgrade && operation.id == pending.initiated_at
        });
        let openclaw = match pending.target_openclaw_version.trim() {
            // Mission Control names the version that it knows where a person names none.
            "unknown" => "",
            version => version,
        };
        let runtime = pending.target_runtime_version.clone();
        let wants_openclaw = !openclaw.is_empty() && self.trial.openclaw.as_deref() != Some(openclaw);
        if is_known || (runtime == self.setup.version && !wants_openclaw) {
            return;
        }
        let to = Installed { runtime, openclaw: openclaw.to_owned() };
        let bad = [&to.runtime, &to.openclaw].into_iter().find(|text| !text.is_empty() && !is_version(text));
        let refused = if to.runtime.is_empty() || bad.is_some() {
            Some("a version has 1 to 64 letters, digits and `.+-`".to_owned())
        } else {
            self.memory.quarantined(&to.runtime).map(|bad| {
                format!(
                    "{} was rolled back here before ({}): install it on this machine",
                    bad.version, bad.reason
                )
            })
        };
        self.open(OperationKind::Upgrade, pending.initiated_at, to, at);
        if let Some(operation) = &mut self.memory.operation {
            operation.from.openclaw = self.trial.openclaw.clone().unwrap_or_default();
        }
        if let Some(reason) = refused {
            self.end(OutcomeKind::Failed, Some(reason), at);
        }
    }

    /// Ends a request that has not changed anything yet.
    fn cancel(&mut self, kind: OutcomeKind, reason: &str, at: Moment) -> Vec<UpgradeEffect> {
        let is_early = |operation: &RequestedOperation| matches!(operation.step, Step::Accept | Step::Drain);
        if self.acts || !self.memory.open().is_some_and(is_early) {
            return Vec::new();
        }
        self.end(kind, Some(reason.to_owned()), at);
        vec![UpgradeEffect::Hold(false)]
    }

    fn tick(&mut self, condition: &ServiceSigns, at: Moment) -> Vec<UpgradeEffect> {
        self.trial.openclaw.clone_from(&condition.openclaw);
        let Some(operation) = &self.memory.operation else { return Vec::new() };
        match operation.step {
            Step::Accept => {
                self.step(Step::Drain, at);
                self.drains_from = Some(at.up);
                if let Some(operation) = &mut self.memory.operation {
                    operation.was_ready = condition.is_ready;
                }
                vec![UpgradeEffect::Hold(true)]
            }
            Step::Drain => self.drain(condition, at),
            Step::Run | Step::Arm | Step::RollBack => self.await_other_version(at),
            Step::Confirm => self.confirm(condition, at),
            Step::Done => Vec::new(),
        }
    }

    fn drain(&mut self, condition: &ServiceSigns, at: Moment) -> Vec<UpgradeEffect> {
        let Some(from) = self.drains_from else {
            // The last process ended here.
            self.drains_from = Some(at.up);
            return vec![UpgradeEffect::Hold(true)];
        };
        let is_over = condition.turns == 0 || at.up.saturating_sub(from) >= self.setup.drain;
        if !is_over || !self.stands {
            return Vec::new();
        }
        self.acts = true;
        let is_upgrade = self.memory.open().is_some_and(|open| open.kind == OperationKind::Upgrade);
        if is_upgrade && self.setup.has_command {
            self.step(Step::Run, at);
            return vec![UpgradeEffect::Run(UpgradeAction::Upgrade)];
        }
        self.step(Step::Arm, at);
        vec![UpgradeEffect::Leave]
    }

    fn command_ended(&mut self, result: Result<(), String>, at: Moment) -> Vec<UpgradeEffect> {
        let Some(operation) = self.memory.open() else { return Vec::new() };
        match (operation.step, result) {
            (Step::Run, Ok(())) => {
                self.step(Step::Arm, at);
                vec![UpgradeEffect::Leave]
            }
            (Step::RollBack, Ok(())) => vec![UpgradeEffect::Leave],
            (Step::Run, Err(reason)) => {
                self.acts = false;
                self.end(OutcomeKind::Failed, Some(reason), at);
                vec![UpgradeEffect::Hold(false)]
            }
            (Step::RollBack, Err(reason)) => {
                self.acts = false;
                let trouble = operation.trouble.as_deref().unwrap_or("the new version does not work");
                let words = format!("{trouble}, and cannot be rolled back: {reason}");
                self.end(OutcomeKind::Failed, Some(words), at);
                Vec::new()
            }
            (Step::Accept | Step::Drain | Step::Arm | Step::Confirm | Step::Done, _) => Vec::new(),
        }
    }

    pub(super) fn step(&mut self, step: Step, at: Moment) {
        if let Some(operation) = &mut self.memory.operation {
            operation.step = step;
            operation.since = at.now;
        }
    }

    /// Gives the request its outcome.
    pub(super) fn end(&mut self, kind: OutcomeKind, reason: Option<String>, at: Moment) {
        self.step(Step::Done, at);
        let Some(operation) = &mut self.memory.operation else { return };
        let is_reported = operation.kind == OperationKind::Upgrade && kind.status().is_some();
        operation.report = if is_reported { Report::Due } else { Report::Settled };
        let version = operation.to.runtime.clone();
        let is_other = version != operation.from.runtime;
        operation.outcome = Some(UpgradeOutcome { kind, reason: reason.clone(), at: at.now });
        match kind {
            OutcomeKind::Succeeded => self.memory.release(&version),
            OutcomeKind::RolledBack if is_other => {
                self.memory.quarantine(&version, &reason.unwrap_or_default(), at.now);
            }
            OutcomeKind::RolledBack | OutcomeKind::Failed | OutcomeKind::Cancelled => {}
        }
    }
}
