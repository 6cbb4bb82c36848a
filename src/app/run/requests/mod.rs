//! Reads what people request of the runtime in Mission Control, a restart or an upgrade, and carries it out
//! (backend-contract §2.2, §2.3, §7.3, §7.4). [`mcr_core::upgrade`] decides.
//!
//! Reading a restart request deletes it. If that answer is lost, the request is lost, too, and the log says so.

mod boot;
mod command;
mod own_program;

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use log::{info, warn};

pub(super) use boot::Boot;

use self::own_program::OwnProgram;
use super::shutdown::Cause;
use super::state::State;
use crate::app::service_client::ServiceEndpoint;
use mcr_clients::convex::{CallClass, CallError};
use mcr_clients::mission::{CheckRestart, GetPendingUpgrade, Mission, RecordUpgrade};
use mcr_clients::wire::Stop;
use mcr_config::Settings;
use mcr_core::delivery::operator_requests::OperatorRequest;
use mcr_core::repeated_call::{CallPace, RepeatedCall};
use mcr_core::upgrade::{
    Delivered, InstallerResult, OutcomeKind, ServiceSigns, Step, UpgradeAction, UpgradeEffect, UpgradeEvent,
};
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_service::clock::SteadyClock;
use mcr_service::delivery::service::View;

/// How often an open request is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The same while turns finish, and after a failed attempt to store the request.
const QUICK_LOOK: Duration = Duration::from_millis(200);

/// The time limit of the service's own answer.
const LIVEZ_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest result of an installer that is read.
const RESULT_BYTES_MAX: u64 = 4_096;

/// The error says why the command failed.
type CommandResult = Result<(), String>;

/// The thread that reads requests and carries them out.
pub(super) struct Requests {
    boot: Boot,
    settings: Settings,
    mission: Mission,
    state: Arc<State>,
    view: View,
    own: ServiceEndpoint,
    /// Ends the service.
    leave: Sender<Cause>,
    returned: Receiver<()>,
    program: OwnProgram,
    /// The results of the command, which runs in a thread of its own.
    results: (Sender<CommandResult>, Receiver<CommandResult>),
    /// The log has named an error of reading requests.
    has_warned: bool,
}

impl Requests {
    pub(super) fn new(
        boot: Boot,
        settings: &Settings,
        mission: Mission,
        state: Arc<State>,
        view: View,
        address: String,
        leave: Sender<Cause>,
    ) -> Self {
        let (own, returned) = (ServiceEndpoint::at(address), state.backend.on_return());
        let settings = settings.clone();
        Self {
            boot,
            settings,
            mission,
            state,
            view,
            own,
            leave,
            returned,
            program: OwnProgram::find(),
            results: bounded(1),
            has_warned: false,
        }
    }

    /// Reads requests at once, at every interval and after each return of Mission Control, until the switch is closed.
    pub(super) fn run(&mut self, stop: &Stop) {
        let clock = SteadyClock::new();
        let mut call = RepeatedCall::new(CallPace::of_requests(self.settings.report_interval));
        while !stop.is_closed() {
            if self.state.requests.take_cancelled() {
                self.take(UpgradeEvent::Cancelled);
            }
            if let Ok(result) = self.results.1.try_recv() {
                self.take(UpgradeEvent::CommandEnded(result));
            }
            let wanted = self.boot.machine.wants_answer();
            if let Some(step) = self.boot.machine.memory().open().map(|open| open.step) {
                self.look(step);
            }
            // A request that waits for turns may be withdrawn, and a result is reported at once.
            let wants =
                self.boot.machine.wants_answer() && (!wanted || self.boot.machine.memory().open().is_some());
            if self.returned.try_recv().is_ok() || wants {
                call.request();
            }
            if self.settings.upgrades.acts && call.due(self.is_idle(), clock.now()) <= clock.now() {
                call.begins(clock.now());
                match self.ask() {
                    Ok(()) => call.succeeds(),
                    Err(error) => call.fails(error.not_before, clock.now()),
                }
            }
            self.settle();
            self.show();
            let now = clock.now();
            let mut wait = call.due(self.is_idle(), now).since(now);
            if let Some(open) = self.boot.machine.memory().open() {
                let is_early = matches!(open.step, Step::Accept | Step::Drain);
                wait = wait.min(if is_early { QUICK_LOOK } else { LOOK });
            }
            if !self.boot.effects.is_empty() {
                wait = wait.min(QUICK_LOOK);
            }
            let wakes = crossbeam_channel::after(wait);
            crossbeam_channel::select! {
                recv(self.state.requests.wakeup().receiver()) -> _ => {}
                recv(self.returned) -> _ => call.request(),
                recv(wakes) -> _ => {}
            }
        }
        self.take(UpgradeEvent::Stopping);
        self.settle_memory();
    }

    fn is_idle(&self) -> bool {
        // Mission Control withdraws a request that waits for turns. A result should not wait either.
        !self.boot.machine.wants_answer() && self.view.state().is_idle
    }

    /// Looks at the service, and at what the installer says.
    fn look(&mut self, step: Step) {
        if let Some(result) = self.settings.upgrades.result_file.as_deref().and_then(installer_result) {
            self.take(UpgradeEvent::Installer(&result));
        }
        let health = self.state.backend.health(None);
        let is_alive = step != Step::Confirm || self.is_alive();
        let condition = ServiceSigns {
            turns: self.view.state().running,
            is_alive,
            is_ready: self.state.is_ready(),
            backend_answers: health.reachable == Some(true),
            openclaw: self.state.openclaw_version(),
        };
        self.take(UpgradeEvent::Tick(&condition));
    }

    fn is_alive(&self) -> bool {
        let answers = self.own.ask("GET", "/livez", "", LIVEZ_TIMEOUT).is_ok_and(|(status, _)| status == 200);
        answers && self.view.ask(OperatorRequest::Ping).is_some()
    }

    /// Asks Mission Control. A restart request is read only if it can be carried out now.
    fn ask(&mut self) -> Result<(), CallError> {
        let pending = self.mission.ask(&GetPendingUpgrade {}).inspect_err(|error| self.note(Some(error)))?;
        self.boot.machine.know_openclaw(self.state.openclaw_version());
        self.take(UpgradeEvent::Pending(pending.as_ref()));
        self.settle();
        if self.boot.machine.can_accept() && self.boot.effects.is_empty() {
            let asked = self.mission.ask(&CheckRestart {});
            if let Err(error) = &asked
                && error.class == CallClass::Ambiguous
            {
                warn!(error:%; "The answer about restart requests is lost, and a request in it, because reading deletes it");
            }
            if asked.inspect_err(|error| self.note(Some(error)))?.restart_requested {
                self.take(UpgradeEvent::Restart);
            }
        }
        self.note(None);
        Ok(())
    }

    fn note(&mut self, error: Option<&CallError>) {
        let words = error.map(|error| self.state.excerpt(&error.to_string()));
        if let (Some(words), false) = (&words, self.has_warned) {
            warn!(error = words.as_str(); "Requests for a restart or an upgrade cannot be read");
        }
        self.has_warned = words.is_some();
        let mut shown = self.state.requests.show();
        if words.is_none() {
            shown.read_at = Some(SystemClock.now());
        }
        shown.last_error = words;
    }

    fn take(&mut self, event: UpgradeEvent<'_>) {
        let before =
            self.boot.machine.memory().operation.as_ref().map(|operation| (operation.id, operation.step));
        let at = self.boot.moment();
        let effects = self.boot.machine.on(event, at);
        self.boot.effects.extend(effects);
        let Some(operation) = &self.boot.machine.memory().operation else { return };
        if before == Some((operation.id, operation.step)) {
            return;
        }
        let (kind, step) = (operation.kind.as_str(), operation.step.as_str());
        let version = self.state.excerpt(&operation.to.runtime);
        match &operation.outcome {
            Some(outcome) => {
                let reason = outcome.reason.as_deref().map(|why| self.state.excerpt(why)).unwrap_or_default();
                let result = outcome.kind.as_str();
                if matches!(outcome.kind, OutcomeKind::Succeeded | OutcomeKind::Cancelled) {
                    info!(kind, version, result, reason; "A request has ended");
                } else {
                    warn!(kind, version, result, reason; "A request has ended");
                }
            }
            None => info!(kind, version, step; "A request goes on"),
        }
    }

    /// Stores the memory. Returns whether that succeeded.
    fn settle_memory(&mut self) -> bool {
        let stored = self.boot.store.store(self.boot.machine.memory());
        let words = stored.err().map(|why| why.to_string());
        let mut shown = self.state.requests.show();
        if let (Some(words), None) = (&words, &shown.not_stored) {
            warn!(reason = words.as_str(); "A request waits: STATE_DIR cannot be written");
        }
        shown.not_stored = words;
        let is_stored = shown.not_stored.is_none();
        drop(shown);
        self.state.requests.set_memory(self.boot.machine.memory());
        is_stored
    }

    /// Stores the memory, and then carries out the effects.
    fn settle(&mut self) {
        while self.settle_memory() && !self.boot.effects.is_empty() {
            let effect = self.boot.effects.remove(0);
            match effect {
                UpgradeEffect::Hold(drains) => {
                    if !self.state.operator.hold_for_restart(drains, &self.view) {
                        // The dispatcher does not answer. The next look tries again.
                        self.boot.effects.insert(0, UpgradeEffect::Hold(drains));
                        return;
                    }
                }
                UpgradeEffect::Run(action) => self.start_command(action),
                // The service ends once.
                UpgradeEffect::Leave => drop(self.leave.try_send(Cause::Requested)),
                UpgradeEffect::Report => self.report(),
            }
        }
    }

    fn start_command(&mut self, action: UpgradeAction) {
        let words = boot::arguments(&self.settings, &self.boot.machine, action);
        let (limit, results) = (self.settings.upgrades.command_timeout, self.results.0.clone());
        let (wakeup, program) = (self.state.requests.wakeup().clone(), self.program.clone());
        let run = move || {
            let result = match words {
                Some(words) => command::run(&words, limit).and_then(|()| program.check()),
                None => Err("UPGRADE_COMMAND is not set".to_owned()),
            };
            let _ = results.try_send(result);
            wakeup.notify();
        };
        if let Err(why) = std::thread::Builder::new().name("upgrade".to_owned()).spawn(run) {
            let _ = self.results.0.try_send(Err(format!("UPGRADE_COMMAND cannot be started: {why}")));
        }
    }

    fn report(&mut self) {
        let Some(operation) = &self.boot.machine.memory().operation else { return };
        let Some(outcome) = &operation.outcome else { return };
        let Some(status) = outcome.kind.status() else { return };
        let reason = outcome.reason.as_deref().map(|why| self.state.excerpt(why));
        let openclaw = self.state.openclaw_version().unwrap_or_else(|| "unknown".to_owned());
        let from_openclaw = Some(operation.from.openclaw.as_str()).filter(|version| !version.is_empty());
        let requested = Some(operation.to.openclaw.as_str()).filter(|version| !version.is_empty());
        let result = RecordUpgrade {
            status,
            from_openclaw_version: from_openclaw.unwrap_or(&openclaw),
            // Of a success, Mission Control stores these as the versions that run.
            to_openclaw_version: requested
                .filter(|_| outcome.kind != OutcomeKind::Succeeded)
                .unwrap_or(&openclaw),
            from_runtime_version: &operation.from.runtime,
            to_runtime_version: &operation.to.runtime,
            duration: u64::try_from(outcome.at.since(operation.accepted_at).as_millis()).ok(),
            error: reason.as_deref(),
        };
        let delivered = match self.mission.ask(&result) {
            Ok(_) => Delivered::Taken,
            Err(error) => {
                warn!(error = self.state.excerpt(&error.to_string()); "The result of the upgrade is not reported");
                match error.class {
                    CallClass::Refused | CallClass::Gone => Delivered::Refused,
                    CallClass::Ambiguous => Delivered::Unknown,
                    CallClass::Transient => Delivered::NotSent,
                }
            }
        };
        self.take(UpgradeEvent::Reported(delivered));
    }

    fn show(&self) {
        let turns = self.view.state().running;
        let mut shown = self.state.requests.show();
        if !self.settings.upgrades.acts {
            shown.off = Some("UPGRADE_MODE is none".to_owned());
        }
        shown.show(self.boot.machine.memory(), turns, &|text| self.state.excerpt(text));
    }
}

/// The installer's result, if its file can be read.
fn installer_result(path: &Path) -> Option<InstallerResult> {
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(RESULT_BYTES_MAX).read_to_string(&mut text).ok()?;
    InstallerResult::parse(&text)
}
