//! Carries each request on: one call to the provider for each step that is due.
//!
//! The intention is written before the call, and its result after it. A crash in between repeats the call at the next start.
//! That is harmless: a creation finds the machine of the first call by its name, and a machine that is gone is destroyed.

use std::sync::Arc;

use log::{info, warn};
use mcr_model::redact::Redactor;
use mcr_model::secret::Secret;

use super::machines::{FaultKind, FoundMachine, MachineFault, Machines, WantedMachine};
use super::{BOOTING, CREATING, DESTROYING, OnTimeout, ProvisionSettings, REPORTING, REQUESTED, state};
use crate::answer::Refusal;
use crate::engine::Engine;
use crate::keys::SealedRow as _;
use crate::rows::{MachineToken, Provision};
use crate::rules::{reach, system_config};
use crate::store::{Doc, Id, MACHINE_TOKEN, PROVISIONS_BY_STATE, StoreError, Tx};

/// Opens the client of a provider with its token. The error is a sentence.
pub type OpenMachines = Box<dyn Fn(&str, &Secret) -> Result<Box<dyn Machines>, String> + Send + Sync>;

/// The states with a next step.
const MOVING: [&str; 5] = [REQUESTED, CREATING, BOOTING, REPORTING, DESTROYING];

/// The pause before the first repetition of a failed call. It doubles up to the longest one.
const PAUSE_MS: f64 = 5_000.0;
const PAUSE_MAX_MS: f64 = 120_000.0;

/// A creation that has failed so often ends in `error`.
const CREATE_FAILURES: f64 = 10.0;

/// The interval at which a machine that boots is looked at.
const LOOK_MS: f64 = 15_000.0;

/// How long a new machine may be missing in the provider's lists.
const SHOW_MS: f64 = 120_000.0;

/// Makes the calls to the providers. One worker serves one backend.
pub struct ProvisionWorker {
    engine: Arc<Engine>,
    open: OpenMachines,
    settings: ProvisionSettings,
}

/// A step that is due: the row as the intention was written.
struct Intention {
    machine: Doc<Provision>,
    wanted: WantedMachine,
    provider_token: Secret,
}

/// The result of a call.
enum Called {
    Created(Result<FoundMachine, MachineFault>),
    LookedAt(Result<Option<FoundMachine>, MachineFault>),
    Destroyed(Result<(), MachineFault>),
}

impl Called {
    /// Without the secrets of the call, which a provider may repeat in its error.
    fn redacted(self, secrets: &Redactor) -> Self {
        let clean = |fault: MachineFault| MachineFault { sentence: secrets.clean(&fault.sentence), ..fault };
        match self {
            Self::Created(result) => Self::Created(result.map_err(clean)),
            Self::LookedAt(result) => Self::LookedAt(result.map_err(clean)),
            Self::Destroyed(result) => Self::Destroyed(result.map_err(clean)),
        }
    }
}

impl ProvisionWorker {
    /// A worker for this backend. `open` connects it with the providers.
    pub fn new(engine: Arc<Engine>, open: OpenMachines, settings: ProvisionSettings) -> Self {
        Self { engine, open, settings }
    }

    /// Makes each step that is due, the longest waiting first. Returns how many milliseconds the next one may wait.
    /// `None`: until a row changes.
    pub fn pass(&self) -> Result<Option<f64>, StoreError> {
        for id in self.due()? {
            self.step(&id)?;
        }
        self.engine.store.read(|tx| {
            let next = moving(tx)?.into_iter().map(|machine| (machine.row.next_at - tx.now()).max(0.0));
            Ok(next.min_by(f64::total_cmp))
        })
    }

    fn due(&self) -> Result<Vec<Id<Provision>>, StoreError> {
        self.engine.store.read(|tx| {
            let mut due = moving(tx)?;
            due.retain(|machine| machine.row.next_at <= tx.now());
            due.sort_by(|one, other| one.row.next_at.total_cmp(&other.row.next_at));
            Ok(due.into_iter().map(|machine| machine.id).collect())
        })
    }

    fn step(&self, id: &Id<Provision>) -> Result<(), StoreError> {
        let intention = match self.engine.store.write(|tx| self.intend(tx, id)) {
            Ok(None) => return Ok(()),
            Ok(Some(intention)) => intention,
            Err(Refusal::Store(why)) => return Err(why),
            // The master key does not open a token, or it is missing.
            Err(why) => return self.give_up(id, &why.to_string()),
        };
        let machines = match (self.open)(&intention.machine.row.provider, &intention.provider_token) {
            Ok(machines) => machines,
            Err(why) => return self.give_up(id, &why),
        };
        let called = match intention.machine.row.state.as_str() {
            CREATING => Called::Created(machines.create(&intention.wanted)),
            BOOTING => Called::LookedAt(machines.find(&intention.wanted)),
            _ => Called::Destroyed(machines.destroy(&intention.wanted)),
        };
        let bootstrap_token = intention.wanted.bootstrap.as_ref().map(|(_, token)| token);
        let secrets = Redactor::new([Some(&intention.provider_token), bootstrap_token].into_iter().flatten());
        let called = called.redacted(&secrets);
        self.engine.store.write(|tx| {
            // A person may have changed the row during the call. A later attempt of the request is another machine.
            let Some(mut machine) = tx.get(id)? else { return Ok(()) };
            if machine.row.attempt.total_cmp(&intention.machine.row.attempt).is_ne() {
                return Ok(());
            }
            self.settle(tx, &mut machine, &intention.machine.row.state, called)
        })
    }

    /// Makes the part of the step that needs no call, and writes the call that follows.
    fn intend(&self, tx: &Tx<'_>, id: &Id<Provision>) -> Result<Option<Intention>, Refusal> {
        let Some(mut machine) = tx.get(id)? else { return Ok(None) };
        if !MOVING.contains(&machine.row.state.as_str()) || machine.row.next_at > tx.now() {
            return Ok(None);
        }
        let account_exists = tx.get(&machine.row.account_id)?.is_some();
        if !account_exists && machine.row.state != DESTROYING {
            state::start_destroying(tx, &mut machine, false)?;
        }
        if machine.row.deadline.is_some_and(|deadline| tx.now() >= deadline) {
            self.time_out(tx, &mut machine)?;
            return Ok(None);
        }
        match machine.row.state.as_str() {
            REQUESTED => {
                state::issue_token(tx, &mut machine, Some(self.vault()?))?;
                state::enter(tx, &mut machine, CREATING)?;
            }
            // The machine reports by itself, and only the deadline is awaited.
            REPORTING => {
                machine.row.next_at = machine.row.deadline.unwrap_or_else(|| tx.now() + PAUSE_MAX_MS);
                tx.put(&machine)?;
                return Ok(None);
            }
            DESTROYING if state::never_created(&machine.row) => {
                state::end(tx, &mut machine, self.engine.options)?;
                return Ok(None);
            }
            _ => {}
        }
        let provider_token = self.provider_token(tx, &machine.row.provider)?;
        let row = &mut machine.row;
        let asked_before = row.create_called_at.is_some();
        let is_creation = row.state == CREATING;
        if is_creation {
            row.create_called_at = Some(tx.now());
        }
        let (mut agents, mut bootstrap) = (Vec::new(), None);
        if is_creation {
            agents = reach::agents(tx, &row.account_id)?.into_iter().map(|agent| agent.row.slug).collect();
            let token = state::sealed_token(row, self.vault()?)?;
            bootstrap = Some((self.settings.public_url.as_str().to_owned(), token));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
        let attempt = row.attempt as u32;
        let wanted = WantedMachine {
            account: row.account_id.to_string(),
            attempt,
            region: row.region.clone(),
            size: row.size.clone(),
            image: row.image.clone(),
            agents,
            bootstrap,
            asked_before,
        };
        // If the process ends during the call, the step is due again at once. That is why `next_at` stays.
        tx.put(&machine)?;
        Ok(Some(Intention { machine, wanted, provider_token }))
    }

    fn vault(&self) -> Result<&crate::vault::Vault, Refusal> {
        self.engine.vault.as_ref().ok_or_else(|| crate::vault::VaultError::Missing.into())
    }

    fn provider_token(&self, tx: &Tx<'_>, provider: &str) -> Result<Secret, Refusal> {
        let stored = tx.find::<MachineToken>(MACHINE_TOKEN, &[Some(provider)]).first()?;
        let Some(stored) = stored else {
            return Err(Refusal::thrown(format!(
                "there is no token for {provider}: store one with `fleet token {provider}`, then retry"
            )));
        };
        Ok(stored.row.open(self.vault()?)?)
    }

    /// Writes the result of a call.
    fn settle(
        &self,
        tx: &Tx<'_>,
        machine: &mut Doc<Provision>,
        state_of_call: &str,
        called: Called,
    ) -> Result<(), StoreError> {
        let options = self.engine.options;
        let is_current = machine.row.state == state_of_call;
        match called {
            Called::Created(Ok(found)) => {
                state::found(tx, machine, &found, self.settings.timeout_ms, options)
            }
            // The request was cancelled during the call.
            Called::Created(Err(_)) | Called::LookedAt(_) if !is_current => Ok(()),
            Called::Created(Err(fault)) => {
                let is_last = machine.row.failures + 1.0 >= CREATE_FAILURES;
                if fault.kind == FaultKind::Refused || is_last {
                    return state::fail(tx, machine, &fault.sentence, options);
                }
                put_off(tx, machine, &fault)
            }
            Called::LookedAt(Ok(Some(found))) if !found.is_ending => {
                machine.row.next_at = tx.now() + LOOK_MS;
                machine.row.failures = 0.0;
                state::found(tx, machine, &found, self.settings.timeout_ms, options)
            }
            Called::LookedAt(Ok(found)) => {
                if found.is_none() && tx.now() - machine.row.state_since < SHOW_MS {
                    machine.row.next_at = tx.now() + LOOK_MS;
                    return tx.put(machine);
                }
                state::fail(tx, machine, "the machine does not exist any more at the provider", options)
            }
            Called::Destroyed(Ok(())) => {
                info!(provision = machine.id.as_str(); "Machine destroyed");
                state::end(tx, machine, options)
            }
            // A machine costs money until it is gone, so a destruction is repeated until a person must act.
            Called::Destroyed(Err(fault)) if fault.kind == FaultKind::Refused => {
                state::fail(tx, machine, &fault.sentence, options)
            }
            Called::LookedAt(Err(fault)) | Called::Destroyed(Err(fault)) => put_off(tx, machine, &fault),
        }
    }

    fn time_out(&self, tx: &Tx<'_>, machine: &mut Doc<Provision>) -> Result<(), StoreError> {
        let reason = if machine.row.state == BOOTING {
            "the machine did not fetch its configuration in time: look at its console and at the firewall of this server"
        } else {
            "the runtime did not report in time: look at `journalctl -u mission-control-runtime` on the machine"
        };
        state::fail(tx, machine, reason, self.engine.options)?;
        if self.settings.on_timeout == OnTimeout::Destroy {
            state::start_destroying(tx, machine, false)?;
        }
        Ok(())
    }

    /// The step cannot be made, and a repetition would not help.
    fn give_up(&self, id: &Id<Provision>, why: &str) -> Result<(), StoreError> {
        warn!(provision = id.as_str(), reason:% = why; "A machine needs attention");
        self.engine.store.write(|tx| {
            let Some(mut machine) = tx.get(id)? else { return Ok(()) };
            if !MOVING.contains(&machine.row.state.as_str()) {
                return Ok(());
            }
            state::fail(tx, &mut machine, why, self.engine.options)
        })
    }
}

/// The machines whose requests go on. None, if provisioning is switched off.
fn moving(tx: &Tx<'_>) -> Result<Vec<Doc<Provision>>, StoreError> {
    if !system_config::is_on(tx, system_config::PROVISIONING)? {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for state in MOVING {
        found.extend(tx.find::<Provision>(PROVISIONS_BY_STATE, &[Some(state)]).rows()?);
    }
    Ok(found)
}

/// The call is repeated after a pause.
fn put_off(tx: &Tx<'_>, machine: &mut Doc<Provision>, fault: &MachineFault) -> Result<(), StoreError> {
    let row = &mut machine.row;
    let pause = (PAUSE_MS * row.failures.min(10.0).exp2()).min(PAUSE_MAX_MS);
    row.failures += 1.0;
    row.next_at = tx.now() + pause;
    row.reason = Some(state::shown(&fault.sentence));
    tx.put(machine)
}
