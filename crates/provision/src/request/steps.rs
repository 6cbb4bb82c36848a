//! The steps of a request, read straight down.

use std::fmt;
use std::net::IpAddr;

use mcr_model::secret::Secret;

use super::{BookError, EntryBook, EntryState, MachineEntry, Step};
use crate::{ErrorClass, Machine, MachineSize, Naming, NewMachine, Pace, Provider, ProviderError, StartData};

/// A machine that an account is to have.
#[derive(Clone, Debug)]
pub struct WantedMachine {
    /// The account.
    pub account: String,
    /// Where it runs.
    pub region: String,
    /// Its size in the provider's price list.
    pub size: String,
    /// Its image.
    pub image: String,
    /// What it does at its first start.
    pub user_data: Secret,
}

/// Waits for the first report of a new machine, and helps it there.
pub trait FirstReport {
    /// Returns once the machine has reported.
    fn wait_for(&self, entry: &MachineEntry, address: IpAddr) -> Result<(), NotReported>;
}

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReported {
    /// Why, and what to do.
    pub sentence: String,
    /// Whether the time for it is over. Otherwise the next run goes on waiting.
    pub is_final: bool,
}

/// What happens to a machine that does not report in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTimeout {
    /// It is kept, to be looked at. It costs money.
    Keep,
    /// It is destroyed.
    Destroy,
}

/// A step that failed, and what exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepFailure {
    /// The step.
    pub step: Step,
    /// What failed, why, and what to do.
    pub sentence: String,
    /// What may cost money now.
    pub left: Option<String>,
}

impl fmt::Display for StepFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Step {}: {}", self.step.as_str(), self.sentence)
    }
}

/// Carries requests out.
pub struct Provisioner<'a> {
    /// The provider.
    pub provider: &'a dyn Provider,
    /// The entries.
    pub book: &'a dyn EntryBook,
    /// The names of machines.
    pub naming: &'a Naming,
    /// The time.
    pub pace: &'a dyn Pace,
}

impl Provisioner<'_> {
    /// The entry of an account.
    pub fn entry(&self, account: &str) -> Result<Option<MachineEntry>, BookError> {
        Ok(self.book.entries()?.into_iter().find(|entry| entry.account == account))
    }

    /// The entry with which [`provision`](Self::provision) would go on. Nothing is changed.
    pub fn next_entry(&self, wanted: &WantedMachine) -> Result<MachineEntry, BookError> {
        let known = self.entry(&wanted.account)?;
        let attempt = match &known {
            Some(entry) if !entry.is_over() => return Ok(entry.clone()),
            Some(entry) if entry.state == EntryState::Gone => entry.attempt.saturating_add(1),
            Some(entry) => entry.attempt,
            None => 1,
        };
        let now = self.pace.now();
        Ok(MachineEntry {
            account: wanted.account.clone(),
            attempt,
            name: self.naming.machine(&wanted.account, attempt),
            region: wanted.region.clone(),
            size: wanted.size.clone(),
            image: wanted.image.clone(),
            state: EntryState::Requested,
            may_exist: false,
            machine: None,
            address: None,
            step: None,
            reason: None,
            begun_at_ms: now.0,
            updated_at_ms: now.0,
        })
    }

    /// Brings an account's machine online, from wherever an earlier run has stopped.
    pub fn provision(
        &self,
        wanted: &WantedMachine,
        report: &dyn FirstReport,
        on_timeout: OnTimeout,
    ) -> Result<MachineEntry, StepFailure> {
        let unwritten = |error: BookError| failure(Step::Check, error.to_string(), None);
        let mut entry = self.next_entry(wanted).map_err(unwritten)?;
        match entry.state {
            EntryState::Online => return Ok(entry),
            EntryState::Destroying => {
                let account = &wanted.account;
                let sentence = format!(
                    "The machine of account {account} is being destroyed; finish that first with `provision destroy --account {account}`"
                );
                return Err(failure(Step::Check, sentence, left(&entry)));
            }
            EntryState::Requested => {
                self.book.save(&entry).map_err(unwritten)?;
                let new = new_machine(&entry, wanted);
                self.provider.check(&new).map_err(|error| self.failed(&mut entry, Step::Check, &error))?;
                self.provider
                    .prepare(&new)
                    .map_err(|error| self.failed(&mut entry, Step::Prepare, &error))?;
            }
            EntryState::Creating | EntryState::Booting | EntryState::Failed | EntryState::Gone => {}
        }
        if entry.machine.is_none() {
            self.create(&mut entry, wanted)?;
        }
        self.boot(&mut entry, report, on_timeout)?;
        Ok(entry)
    }

    /// Creates the machine, or finds the one that an earlier run has asked for.
    fn create(&self, entry: &mut MachineEntry, wanted: &WantedMachine) -> Result<(), StepFailure> {
        let new = new_machine(entry, wanted);
        entry.may_exist = true;
        self.move_to(entry, Step::Create, EntryState::Creating)?;
        match self.provider.create(&new) {
            Ok(machine) => {
                entry.machine = Some(machine.id);
                entry.address = machine.address.map(|address| address.to_string());
                self.move_to(entry, Step::Create, EntryState::Booting)
            }
            Err(error) => {
                entry.may_exist = error.class == ErrorClass::Ambiguous;
                Err(self.failed(entry, Step::Create, &error))
            }
        }
    }

    /// Waits for the first report.
    fn boot(
        &self,
        entry: &mut MachineEntry,
        report: &dyn FirstReport,
        on_timeout: OnTimeout,
    ) -> Result<(), StepFailure> {
        if entry.state != EntryState::Booting {
            self.move_to(entry, Step::Boot, EntryState::Booting)?;
        }
        let address = entry.address.as_deref().and_then(|address| address.parse().ok());
        let reported = match address {
            Some(address) => report.wait_for(entry, address),
            None => {
                Err(NotReported { sentence: "the machine has no public address".to_owned(), is_final: true })
            }
        };
        let not_reported = match reported {
            Ok(()) => return self.move_to(entry, Step::Boot, EntryState::Online),
            Err(not_reported) => not_reported,
        };
        if !not_reported.is_final {
            return Err(failure(Step::Boot, not_reported.sentence, left(entry)));
        }
        let now = self.pace.now();
        entry.fail(Step::Boot, &not_reported.sentence, now);
        self.book.save(entry).map_err(|error| failure(Step::Boot, error.to_string(), left(entry)))?;
        if on_timeout == OnTimeout::Keep {
            return Err(failure(Step::Boot, not_reported.sentence, left(entry)));
        }
        self.end(entry)?;
        let sentence = format!("{}; the machine is destroyed", not_reported.sentence);
        Err(failure(Step::Boot, sentence, None))
    }

    /// Destroys everything that an account has at the provider. Returns the ids of the machines.
    pub fn destroy(&self, account: &str) -> Result<Vec<String>, StepFailure> {
        let unwritten = |error: BookError| failure(Step::Destroy, error.to_string(), None);
        if let Some(mut entry) = self.entry(account).map_err(unwritten)?
            && !entry.is_over()
        {
            return self.end(&mut entry);
        }
        // A machine without an entry.
        self.destroy_listed(account).map_err(|error| {
            let left = Some(format!("machines of account {account} may still cost money"));
            failure(Step::Destroy, error.sentence, left)
        })
    }

    /// Destroys the machine of an entry, and any other of its account.
    fn end(&self, entry: &mut MachineEntry) -> Result<Vec<String>, StepFailure> {
        self.move_to(entry, Step::Destroy, EntryState::Destroying)?;
        let gone = self.destroy_known(entry).map_err(|error| {
            failure(Step::Destroy, format!("{}; run the command again", error.sentence), left(entry))
        })?;
        (entry.machine, entry.address, entry.may_exist) = (None, None, false);
        self.move_to(entry, Step::Destroy, EntryState::Gone)?;
        Ok(gone)
    }

    fn destroy_known(&self, entry: &MachineEntry) -> Result<Vec<String>, ProviderError> {
        let mut gone = Vec::new();
        if let Some(id) = &entry.machine {
            self.provider.destroy(&Machine { id: id.clone(), ..Machine::default() })?;
            gone.push(id.clone());
        }
        for id in self.destroy_listed(&entry.account)? {
            if !gone.contains(&id) {
                gone.push(id);
            }
        }
        if gone.is_empty() && entry.may_exist {
            // It may have been asked for a moment ago, and not show yet.
            if let Some(machine) = self.provider.settle(&sought(entry))? {
                self.provider.destroy(&machine)?;
                gone.push(machine.id);
            }
        }
        Ok(gone)
    }

    fn destroy_listed(&self, account: &str) -> Result<Vec<String>, ProviderError> {
        let mut gone = Vec::new();
        for machine in self.provider.list()? {
            if machine.account.as_deref() == Some(account) {
                self.provider.destroy(&machine)?;
                gone.push(machine.id);
            }
        }
        Ok(gone)
    }

    fn move_to(&self, entry: &mut MachineEntry, step: Step, state: EntryState) -> Result<(), StepFailure> {
        entry.move_to(state, self.pace.now());
        self.book.save(entry).map_err(|error| failure(step, error.to_string(), left(entry)))
    }

    /// Writes a failure down. If that fails as well, the earlier entry stays, which is not wrong but says less.
    fn failed(&self, entry: &mut MachineEntry, step: Step, error: &ProviderError) -> StepFailure {
        entry.fail(step, &error.sentence, self.pace.now());
        let sentence = match self.book.save(entry) {
            Ok(()) => error.sentence.clone(),
            Err(unwritten) => format!("{}. {unwritten}", error.sentence),
        };
        failure(step, sentence, left(entry))
    }
}

fn failure(step: Step, sentence: String, left: Option<String>) -> StepFailure {
    StepFailure { step, sentence, left }
}

/// What an entry says that may cost money.
fn left(entry: &MachineEntry) -> Option<String> {
    let account = &entry.account;
    let mend = format!("`provision destroy --account {account}` ends that");
    match &entry.machine {
        Some(id) => Some(format!("machine {id} ({}) exists and costs money; {mend}", entry.name)),
        None if entry.may_exist => Some(format!(
            "machine {} may exist and cost money; `provision` looks for it and goes on, {mend}",
            entry.name
        )),
        None => None,
    }
}

/// The request for the machine of an entry. What an earlier run asked for stays as it is.
fn new_machine(entry: &MachineEntry, wanted: &WantedMachine) -> NewMachine {
    NewMachine { start: StartData::UserData(wanted.user_data.clone()), ..sought(entry) }
}

/// A machine to look for.
fn sought(entry: &MachineEntry) -> NewMachine {
    NewMachine {
        name: entry.name.clone(),
        account: Some(entry.account.clone()),
        region: entry.region.clone(),
        image: entry.image.clone(),
        size: MachineSize::Listed(entry.size.clone()),
        start: StartData::UserData(Secret::new("")),
        asked_before: entry.may_exist,
    }
}
