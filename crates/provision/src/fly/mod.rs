//! Fly Machines, as provider and for the clean-up of a whole app.
//!
//! The API has no idempotency key. But the name of a machine is unique among those that exist, so a creation whose answer
//! was lost is repeated: the second one finds the machine of the first. Everything else may be repeated as it is.
//!
//! A stop is answered before the machine has stopped, a deletion before it is gone, and a volume stays bound to a deleted
//! machine for about a minute. So each step waits until it shows.

mod calls;
mod cleanup;
mod failure;
mod messages;
mod report;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use mcr_clients::wire::{Roots, Stop};
use mcr_model::BaseUrl;
use mcr_model::secret::Secret;

use self::calls::{Calls, read};
use self::messages::{MachineRow, NewMachineBody, VolumeRow};
use crate::transport::{Verb, segment};
use crate::{
    ErrorClass, Machine, MachineSize, MachineState, NewMachine, Provider, ProviderError, Quote, StartData,
};

pub use self::calls::FlyLimits;
pub use self::cleanup::{CleanupOptions, clean_up};
pub use self::messages::Volume;
pub use self::report::{CleanupReport, Kept};

/// The longest wait in one request that the API allows.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// The time on top of a wait within which its answer must come.
const WAIT_MARGIN: Duration = Duration::from_secs(10);

/// The name of an app: lower-case letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppName(String);

impl AppName {
    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = (1..=63).contains(&text.len()) && text.chars().all(is_plain);
        fits.then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The machines and volumes of an app.
pub struct Fly {
    calls: Calls,
    app: AppName,
}

impl Fly {
    /// A client for one app. `stop` ends its requests and its waits.
    pub fn new(
        base: BaseUrl,
        token: &Secret,
        app: AppName,
        roots: &Roots,
        limits: FlyLimits,
        stop: &Stop,
    ) -> Self {
        Self { calls: Calls::new(base, token, roots, limits, stop), app }
    }

    /// The app.
    pub fn app(&self) -> &AppName {
        &self.app
    }

    fn limits(&self) -> &FlyLimits {
        &self.calls.limits
    }

    /// A path below the app.
    fn path(&self, rest: &str) -> String {
        format!("/v1/apps/{}{rest}", self.app.as_str())
    }

    /// Checks that the app exists and that the token may see it.
    pub fn check_access(&self) -> Result<(), ProviderError> {
        self.calls.repeat(&format!("App {}", self.app.as_str()), Verb::Get, &self.path("")).map(drop)
    }

    /// A machine by its id; `None` if it is gone.
    pub fn machine(&self, id: &str) -> Result<Option<Machine>, ProviderError> {
        let what = format!("Machine {id} cannot be read");
        match self.calls.repeat(&what, Verb::Get, &self.path(&format!("/machines/{}", segment(id)))) {
            Ok(answer) => {
                let machine: Machine = read::<MachineRow>(&what, &answer)?.into();
                Ok(Some(machine).filter(|machine| machine.state != MachineState::Gone))
            }
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has the proxy send no more requests to a machine.
    pub fn cordon(&self, id: &str) -> Result<(), ProviderError> {
        let path = self.path(&format!("/machines/{}/cordon", segment(id)));
        self.calls.repeat(&format!("Machine {id} is not cordoned"), Verb::Post(b"{}"), &path).map(drop)
    }

    /// Deletes a machine. Only a stopped one is deleted without force.
    pub(crate) fn delete(&self, id: &str, force: bool) -> Result<(), ProviderError> {
        let query = if force { "?force=true" } else { "" };
        let path = self.path(&format!("/machines/{}{query}", segment(id)));
        match self.calls.repeat(&format!("Machine {id} is not deleted"), Verb::Delete, &path) {
            Err(error) if !error.is_gone() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Waits until a machine has stopped. Returns whether it has, or is gone.
    fn wait_until_stopped(&self, machine: &Machine) -> Result<bool, ProviderError> {
        let what = format!("Machine {} cannot be waited for", machine.id);
        let until = Instant::now() + self.limits().stopping;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.calls.stop.is_closed() {
                return Ok(false);
            }
            let wait = left.clamp(Duration::from_secs(1), WAIT_MAX).as_secs();
            let mut query = format!("?state=stopped&timeout={wait}");
            if let Some(version) = &machine.version {
                // Writing to a `String` cannot fail.
                let _ = write!(query, "&instance_id={}", segment(version));
            }
            let path = self.path(&format!("/machines/{}/wait{query}", segment(&machine.id)));
            let limit = Duration::from_secs(wait) + WAIT_MARGIN;
            match self.calls.once(&what, Verb::Get, &path, limit) {
                Ok(_) => return Ok(true),
                Err((error, _)) if error.is_gone() => return Ok(true),
                // It has not stopped yet, or Fly has a problem: look again.
                Err((error, pause))
                    if matches!(error.class, ErrorClass::Ambiguous | ErrorClass::Transient) =>
                {
                    if self.machine(&machine.id)?.is_none_or(|now| now.state == MachineState::Stopped) {
                        return Ok(true);
                    }
                    self.calls.stop.wait(pause.unwrap_or_else(|| self.limits().look));
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Waits until a deleted machine is gone. Returns whether it is.
    fn wait_until_gone(&self, id: &str) -> Result<bool, ProviderError> {
        let until = Instant::now() + self.limits().ending;
        loop {
            if self.machine(id)?.is_none() {
                return Ok(true);
            }
            if Instant::now() >= until || self.calls.stop.wait(self.limits().look) {
                return Ok(false);
            }
        }
    }

    /// All volumes that are not deleted.
    pub fn volumes(&self) -> Result<Vec<Volume>, ProviderError> {
        let what = "The volumes cannot be listed";
        let answer = self.calls.repeat(what, Verb::Get, &self.path("/volumes"))?;
        let volumes = read::<Vec<VolumeRow>>(what, &answer)?.into_iter().map(Volume::from);
        let volumes: Vec<Volume> = volumes.filter(|volume| !volume.is_deleted).collect();
        if volumes.iter().any(|volume| volume.id.is_empty()) {
            return Err(failure::not_understood(what, "a volume has no id"));
        }
        Ok(volumes)
    }

    /// Deletes a volume. One that is gone is deleted. A volume stays bound to its deleted machine for a while.
    pub fn delete_volume(&self, id: &str) -> Result<(), ProviderError> {
        let what = format!("Volume {id} is not deleted");
        let path = self.path(&format!("/volumes/{}", segment(id)));
        let until = Instant::now() + self.limits().volumes;
        loop {
            match self.calls.repeat(&what, Verb::Delete, &path) {
                Ok(_) => return Ok(()),
                Err(error) if error.is_gone() => return Ok(()),
                Err(error) if matches!(error.status, Some(409 | 412)) && Instant::now() < until => {
                    if self.calls.stop.wait(self.limits().look) {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The body of a creation. Fly has no list of sizes, and a container has no user data.
fn creation<'a>(what: &str, wanted: &'a NewMachine) -> Result<NewMachineBody<'a>, ProviderError> {
    let refused = |why: &str| ProviderError::new(ErrorClass::Refused, format!("{what}: {why}"));
    let MachineSize::Resources { cpus, memory_mb } = wanted.size else {
        return Err(refused("a machine at Fly needs processors and memory instead of a listed size"));
    };
    let StartData::Environment(environment) = &wanted.start else {
        return Err(refused("a machine at Fly takes an environment instead of user data"));
    };
    Ok(NewMachineBody::new((&wanted.name, &wanted.region, &wanted.image), (cpus, memory_mb), environment))
}

impl Provider for Fly {
    fn check(&self, wanted: &NewMachine) -> Result<Quote, ProviderError> {
        creation(&format!("Machine {} cannot be created", wanted.name), wanted)?;
        self.check_access()?;
        Ok(Quote::default())
    }

    /// Nothing: the app exists, and its machines have no public address.
    fn prepare(&self, _wanted: &NewMachine) -> Result<(), ProviderError> {
        Ok(())
    }

    fn create(&self, wanted: &NewMachine) -> Result<Machine, ProviderError> {
        let what = format!("Machine {} is not created", wanted.name);
        let body = serde_json::to_vec(&creation(&what, wanted)?)
            .map_err(|why| ProviderError::new(ErrorClass::Refused, format!("{what}: {why}")))?;
        match self.calls.repeat(&what, Verb::Post(&body), &self.path("/machines")) {
            Ok(answer) => Ok(read::<MachineRow>(&what, &answer)?.into()),
            // The name is taken: by an earlier attempt, whose answer was lost.
            Err(error) if error.status == Some(409) => self.find(&wanted.name)?.ok_or(error),
            // The machine may exist although the last answer was an error.
            Err(error) if error.class == ErrorClass::Ambiguous => self.find(&wanted.name)?.ok_or(error),
            Err(error) => Err(error),
        }
    }

    fn find(&self, name: &str) -> Result<Option<Machine>, ProviderError> {
        Ok(self.list()?.into_iter().find(|machine| machine.name == name))
    }

    /// The list is complete at once.
    fn settle(&self, wanted: &NewMachine) -> Result<Option<Machine>, ProviderError> {
        self.find(&wanted.name)
    }

    fn list(&self) -> Result<Vec<Machine>, ProviderError> {
        let what = "The machines cannot be listed";
        let answer = self.calls.repeat(what, Verb::Get, &self.path("/machines"))?;
        let machines = read::<Vec<MachineRow>>(what, &answer)?.into_iter().map(Machine::from);
        let machines: Vec<Machine> = machines.filter(|machine| machine.state != MachineState::Gone).collect();
        if machines.iter().any(|machine| machine.id.is_empty()) {
            return Err(failure::not_understood(what, "a machine has no id"));
        }
        Ok(machines)
    }

    fn stop(&self, machine: &Machine) -> Result<(), ProviderError> {
        if matches!(machine.state, MachineState::Stopped | MachineState::Gone) {
            return Ok(());
        }
        let what = format!("Machine {} is not stopped", machine.id);
        let path = self.path(&format!("/machines/{}/stop", segment(&machine.id)));
        match self.calls.repeat(&what, Verb::Post(b"{}"), &path) {
            Err(error) if error.is_gone() => return Ok(()),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        if self.wait_until_stopped(machine)? {
            return Ok(());
        }
        let seconds = self.limits().stopping.as_secs();
        let sentence = format!("{what}: it has not stopped within {seconds} s");
        Err(ProviderError { class: ErrorClass::Ambiguous, status: None, sentence })
    }

    fn destroy(&self, machine: &Machine) -> Result<(), ProviderError> {
        match self.delete(&machine.id, false) {
            // It does not count as stopped: force is the last resort.
            Err(error) if matches!(error.status, Some(409 | 412)) => self.delete(&machine.id, true)?,
            done => done?,
        }
        if self.wait_until_gone(&machine.id)? {
            return Ok(());
        }
        let seconds = self.limits().ending.as_secs();
        let sentence = format!("Machine {} is deleted, but still listed after {seconds} s", machine.id);
        Err(ProviderError { class: ErrorClass::Ambiguous, status: None, sentence })
    }
}
