//! DigitalOcean: one droplet for an account.
//!
//! The API has no idempotency key, and names are not unique: a creation that is repeated makes a twin. Lists lag behind, and so
//! do tags. So a creation is sent only when neither the name nor the tag of the account shows a droplet. After a lost answer
//! the lists are read again until the droplet must have shown.
//!
//! A droplet without our tag is never changed or deleted.

mod calls;
mod checks;
mod creation;
mod failure;
mod firewall;
mod messages;

use std::sync::Arc;

use mcr_clients::wire::Roots;
use mcr_model::BaseUrl;
use mcr_model::secret::Secret;

use self::calls::ApiCalls;
use self::messages::{DropletAnswer, DropletRow};
use crate::transport::{HttpTransport, Transport, Verb, segment};
use crate::{Machine, Naming, NewMachine, Pace, Provider, ProviderError, Quote, SystemPace};

pub use self::calls::DigitalOceanLimits;
pub use self::checks::USER_DATA_BYTES_MAX;

/// The droplets that bear our tag.
pub struct DigitalOcean {
    calls: ApiCalls,
    naming: Naming,
    ssh_keys: Vec<String>,
}

impl DigitalOcean {
    /// A client. `ssh_keys` are ids or fingerprints of keys of the account; they may log in. `stop` ends its waits.
    pub fn new(
        base: BaseUrl,
        token: &Secret,
        (naming, ssh_keys): (Naming, Vec<String>),
        roots: &Roots,
        limits: DigitalOceanLimits,
        pace: SystemPace,
    ) -> Self {
        let authorization = Secret::new(format!("Bearer {}", token.expose().trim()));
        let transport = Box::new(HttpTransport::new(base, authorization, roots, limits.request));
        Self::with_parts(transport, Arc::new(pace), (naming, ssh_keys), limits)
    }

    /// A client with another transport and another time, for tests.
    pub fn with_parts(
        transport: Box<dyn Transport>,
        pace: Arc<dyn Pace>,
        (naming, ssh_keys): (Naming, Vec<String>),
        limits: DigitalOceanLimits,
    ) -> Self {
        Self { calls: ApiCalls { transport, pace, limits }, naming, ssh_keys }
    }

    /// How machines are named.
    pub fn naming(&self) -> &Naming {
        &self.naming
    }

    /// A droplet by its id; `None` if it is gone.
    fn droplet(&self, id: u64) -> Result<Option<DropletRow>, ProviderError> {
        let what = format!("Machine {id} cannot be read");
        let answer: Option<DropletAnswer> = self.calls.read(&what, &format!("/v2/droplets/{id}"))?;
        Ok(answer.map(|answer| answer.droplet))
    }

    /// The droplets that a filter covers, each once.
    fn droplets(&self, what: &str, query: &str) -> Result<Vec<DropletRow>, ProviderError> {
        let mut rows: Vec<DropletRow> = match self.calls.rows(what, ("/v2/droplets", query), "droplets") {
            // A tag that does not exist yet has no droplets.
            Err(error) if error.is_gone() => Vec::new(),
            rows => rows?,
        };
        // A page that moves while the next one is read shows a row twice.
        rows.sort_by_key(|row| row.id);
        rows.dedup_by_key(|row| row.id);
        Ok(rows)
    }

    /// A droplet of ours by its id, as the caller has it. `None` if it is gone. Its tag may lag behind.
    fn ours(&self, what: &str, machine: &Machine) -> Result<Option<DropletRow>, ProviderError> {
        let id: u64 = machine
            .id
            .parse()
            .map_err(|_| failure::refused(format!("{what}: {} is no id of a droplet", machine.id)))?;
        let until = self.calls.within(self.calls.limits.tagging);
        loop {
            match self.droplet(id)? {
                None => return Ok(None),
                Some(row) if row.has_tag(self.naming.tag()) => return Ok(Some(row)),
                Some(_) => {}
            }
            if !self.calls.look_again(until) {
                let tag = self.naming.tag();
                return Err(failure::refused(format!(
                    "{what}: it does not bear the tag {tag}, so it is left alone; delete it in DigitalOcean's control panel if it is yours"
                )));
            }
        }
    }

    /// Deletes a droplet that is known to be ours, and waits until it is gone.
    fn delete(&self, id: u64) -> Result<(), ProviderError> {
        let what = format!("Machine {id} is not deleted");
        let until = self.calls.within(self.calls.limits.ending);
        loop {
            match self.calls.repeat(&what, Verb::Delete, &format!("/v2/droplets/{id}")) {
                Ok(_) => break,
                Err(error) if error.is_gone() => break,
                // Another action runs on it: look again.
                Err(error) if error.status == Some(422) => {
                    if !self.calls.look_again(until) {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let until = self.calls.within(self.calls.limits.ending);
        loop {
            if self.droplet(id)?.is_none() {
                return Ok(());
            }
            if !self.calls.look_again(until) {
                let seconds = self.calls.limits.ending.as_secs();
                return Err(failure::unknown(format!(
                    "Machine {id} is deleted, but still shown after {seconds} s; look at it again later"
                )));
            }
        }
    }

    /// Orders something and waits until the droplet is off. Returns whether it is off or gone.
    fn turn_off(&self, what: &str, id: u64, kind: &str) -> Result<bool, ProviderError> {
        let until = self.calls.within(self.calls.limits.stopping);
        let mut is_ordered = false;
        loop {
            if !is_ordered {
                let body = serde_json::json!({"type": kind}).to_string();
                let path = format!("/v2/droplets/{id}/actions");
                match self.calls.repeat(what, Verb::Post(body.as_bytes()), &path) {
                    Ok(_) => is_ordered = true,
                    Err(error) if error.is_gone() => return Ok(true),
                    // Another action runs on it.
                    Err(error) if error.status == Some(422) => {}
                    Err(error) => return Err(error),
                }
            }
            // A shutdown promises only that it was asked: what counts is the droplet.
            if self.droplet(id)?.is_none_or(|row| row.status == "off") {
                return Ok(true);
            }
            if !self.calls.look_again(until) {
                return Ok(false);
            }
        }
    }
}

impl Provider for DigitalOcean {
    fn check(&self, wanted: &NewMachine) -> Result<Quote, ProviderError> {
        self.check_account(wanted)
    }

    fn prepare(&self, wanted: &NewMachine) -> Result<(), ProviderError> {
        let account_tag = self.account_tag(wanted)?;
        self.make_tag(self.naming.tag())?;
        self.make_tag(&account_tag)?;
        self.make_firewall()
    }

    fn create(&self, wanted: &NewMachine) -> Result<Machine, ProviderError> {
        self.create_droplet(wanted)
    }

    fn find(&self, name: &str) -> Result<Option<Machine>, ProviderError> {
        let what = format!("Machine {name} cannot be looked for");
        let rows = self.droplets(&what, &format!("?name={}", segment(name)))?;
        let mut ours = rows.into_iter().filter(|row| row.name == name && row.has_tag(self.naming.tag()));
        Ok(ours.next().map(|row| row.machine(&self.naming)))
    }

    fn settle(&self, wanted: &NewMachine) -> Result<Option<Machine>, ProviderError> {
        Ok(self.settled(wanted)?.map(|row| row.machine(&self.naming)))
    }

    fn list(&self) -> Result<Vec<Machine>, ProviderError> {
        let rows = self.droplets(
            "The machines cannot be listed",
            &format!("?tag_name={}", segment(self.naming.tag())),
        )?;
        let ours = rows.into_iter().filter(|row| row.has_tag(self.naming.tag()));
        Ok(ours.map(|row| row.machine(&self.naming)).collect())
    }

    fn stop(&self, machine: &Machine) -> Result<(), ProviderError> {
        let what = format!("Machine {} is not stopped", machine.id);
        let Some(row) = self.ours(&what, machine)? else { return Ok(()) };
        if row.status == "off" {
            return Ok(());
        }
        if self.turn_off(&what, row.id, "shutdown")? || self.turn_off(&what, row.id, "power_off")? {
            return Ok(());
        }
        let seconds = self.calls.limits.stopping.as_secs();
        Err(failure::unknown(format!("{what}: it is not off {seconds} s after a power-off")))
    }

    fn destroy(&self, machine: &Machine) -> Result<(), ProviderError> {
        let what = format!("Machine {} is not deleted", machine.id);
        match self.ours(&what, machine)? {
            Some(row) => self.delete(row.id),
            None => Ok(()),
        }
    }
}
