//! The decisions after the process has ended: whether the new version runs, works, or is rolled back.

use std::time::Duration;

use super::machine::{Moment, ServiceSigns, UpgradeAction, UpgradeEffect, UpgradeMachine};
use super::memory::{OperationKind, OutcomeKind, RequestedOperation, Step};
use super::report::InstallerResult;

/// A version that is started more often without being confirmed is rolled back.
const BOOTS_MAX: u32 = 3;

/// What this process has seen of the version on trial.
#[derive(Clone, Debug, Default)]
pub(super) struct Trial {
    /// The gateway's version, if it is known.
    pub(super) openclaw: Option<String>,
    /// The time of the last tick.
    ticked: Option<Duration>,
    /// How long the process has been alive without a break.
    alive: Duration,
    /// How long it has not been alive.
    dead: Duration,
    /// How long it has not been ready although Mission Control answers.
    unready: Duration,
}

impl Trial {
    /// Adds the time since the last tick.
    fn observe(&mut self, condition: &ServiceSigns, at: Moment) {
        let passed = self.ticked.map_or(at.up, |before| at.up.saturating_sub(before));
        self.ticked = Some(at.up);
        if condition.is_alive {
            (self.alive, self.dead) = (self.alive + passed, Duration::ZERO);
        } else {
            (self.alive, self.dead) = (Duration::ZERO, self.dead + passed);
        }
        match (condition.is_ready, condition.backend_answers) {
            (true, _) => self.unready = Duration::ZERO,
            (false, true) => self.unready += passed,
            // Without Mission Control no version gets ready.
            (false, false) => {}
        }
    }
}

impl UpgradeMachine {
    /// Decides by the version that runs what the last process has led to.
    pub(super) fn starts(&mut self, at: Moment) -> Vec<UpgradeEffect> {
        let (own, has_command) = (self.setup.version.clone(), self.setup.has_command);
        let Some(operation) = self.memory.operation.as_mut().filter(|operation| operation.is_open()) else {
            // It was installed on the machine.
            self.memory.release(&own);
            return Vec::new();
        };
        if operation.kind == OperationKind::Restart {
            self.end(OutcomeKind::Succeeded, None, at);
            return Vec::new();
        }
        let (runs_new, runs_old) = (own == operation.to.runtime, own == operation.from.runtime);
        match operation.step {
            // Nothing was changed yet. The request goes on if Mission Control still shows it.
            Step::Accept | Step::Drain if runs_old => Vec::new(),
            Step::Accept | Step::Drain | Step::Run | Step::Arm | Step::Confirm if runs_new => {
                operation.boots += 1;
                let boots = operation.boots;
                if boots > BOOTS_MAX {
                    let words = format!("{own} was started {boots} times without being confirmed");
                    return self.roll_back(words, at);
                }
                self.step(Step::Confirm, at);
                Vec::new()
            }
            Step::Run | Step::Arm if runs_old && operation.boots == 0 => {
                // The command may still be at work.
                if !has_command {
                    let words = format!(
                        "{own} runs again: the supervisor starts the same version, and UPGRADE_COMMAND is not set"
                    );
                    self.end(OutcomeKind::Failed, Some(words), at);
                }
                Vec::new()
            }
            Step::RollBack if runs_new => Vec::new(),
            Step::Run | Step::Arm | Step::Confirm | Step::RollBack if runs_old => {
                let reason = self.reason_of_return();
                self.end(OutcomeKind::RolledBack, Some(reason), at);
                Vec::new()
            }
            Step::Accept
            | Step::Drain
            | Step::Run
            | Step::Arm
            | Step::Confirm
            | Step::RollBack
            | Step::Done => {
                let words = format!("{own} was installed instead of {}", operation.to.runtime);
                self.end(OutcomeKind::Failed, Some(words), at);
                Vec::new()
            }
        }
    }

    /// Why the version before runs again, as far as the memory says.
    fn reason_of_return(&self) -> String {
        let Some(operation) = &self.memory.operation else { return String::new() };
        let version = &operation.to.runtime;
        if let Some(why) = &operation.trouble {
            return why.clone();
        }
        match operation.boots {
            1 => format!("{version} was started once and not confirmed"),
            boots => format!("{version} was started {boots} times and not confirmed"),
        }
    }

    /// A process that ends in an orderly way is not a failed start.
    pub(super) fn stops(&mut self) {
        if let Some(operation) = &mut self.memory.operation
            && operation.step == Step::Confirm
        {
            operation.boots = operation.boots.saturating_sub(1);
        }
    }

    /// Judges the version on trial.
    pub(super) fn confirm(&mut self, condition: &ServiceSigns, at: Moment) -> Vec<UpgradeEffect> {
        self.trial.observe(condition, at);
        let confirm = self.setup.confirm;
        let Some(operation) = &self.memory.operation else { return Vec::new() };
        let version = &operation.to.runtime;
        if self.trial.dead >= confirm {
            let words = format!("{version} has not answered for {} s", self.trial.dead.as_secs());
            return self.roll_back(words, at);
        }
        if operation.was_ready && self.trial.unready >= confirm {
            let words = format!(
                "{version} has not been ready for {} s, and {} was",
                self.trial.unready.as_secs(),
                operation.from.runtime
            );
            return self.roll_back(words, at);
        }
        let is_good = condition.is_ready || (!operation.was_ready && condition.backend_answers);
        if !is_good || self.trial.alive < confirm {
            return Vec::new();
        }
        let openclaw = condition.openclaw.as_deref().unwrap_or("unknown");
        if operation.wants_openclaw() && openclaw != operation.to.openclaw {
            let words = format!(
                "the runtime is {version}, but OpenClaw is {openclaw} instead of {}: upgrade the gateway itself",
                operation.to.openclaw
            );
            self.end(OutcomeKind::Failed, Some(words), at);
        } else {
            self.end(OutcomeKind::Succeeded, None, at);
        }
        Vec::new()
    }

    /// Returns to the version before, if there is a command for it.
    fn roll_back(&mut self, words: String, at: Moment) -> Vec<UpgradeEffect> {
        if !self.setup.has_command {
            let words = format!("{words}; without UPGRADE_COMMAND it cannot be rolled back");
            self.end(OutcomeKind::Failed, Some(words), at);
            return Vec::new();
        }
        if let Some(operation) = &mut self.memory.operation {
            operation.trouble = Some(words);
        }
        self.acts = true;
        self.step(Step::RollBack, at);
        vec![UpgradeEffect::Run(UpgradeAction::RollBack)]
    }

    /// Waits for a version that the command or the installer still has to start.
    pub(super) fn await_other_version(&mut self, at: Moment) -> Vec<UpgradeEffect> {
        if self.acts || at.up < self.setup.confirm {
            return Vec::new();
        }
        let seconds = at.up.as_secs();
        let Some(operation) = &self.memory.operation else { return Vec::new() };
        let (own, version) = (&self.setup.version, &operation.to.runtime);
        let words = if operation.step == Step::RollBack {
            format!("{own} runs {seconds} s after the command to roll it back")
        } else {
            format!("{own} still runs {seconds} s after the command to install {version}")
        };
        self.end(OutcomeKind::Failed, Some(words), at);
        Vec::new()
    }

    /// The installer's result, which also covers a version that cannot even start.
    pub(super) fn installer(&mut self, result: &InstallerResult, at: Moment) -> Vec<UpgradeEffect> {
        let own = &self.setup.version;
        let is_ours = |operation: &&RequestedOperation| {
            let began = !matches!(operation.step, Step::Accept | Step::Drain);
            operation.kind == OperationKind::Upgrade && operation.id == result.id && began
        };
        // A command that still runs has the result as well, and its own words.
        let Some(operation) = self.memory.open().filter(is_ours).filter(|_| !self.acts) else {
            return Vec::new();
        };
        let runs_new = *own == operation.to.runtime;
        match result.kind {
            OutcomeKind::Failed | OutcomeKind::RolledBack if !runs_new => {
                self.end(result.kind, Some(result.reason.clone()), at);
            }
            // The version on trial is judged by its own signs.
            OutcomeKind::Succeeded
            | OutcomeKind::Failed
            | OutcomeKind::RolledBack
            | OutcomeKind::Cancelled => {}
        }
        Vec::new()
    }
}
