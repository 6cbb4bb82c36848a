//! The creation of a droplet: at most one for an account, whatever answer is lost.

use super::calls::parsed;
use super::checks::check_request;
use super::messages::{ActionAnswer, DropletAnswer, DropletRow, NewDroplet, id_or_name};
use super::{DigitalOcean, failure};
use crate::transport::{Verb, segment};
use crate::{ErrorClass, Machine, NewMachine, ProviderError};

/// Whose word tells that a droplet is ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// The answer to our own creation. Then missing tags are given again.
    ByAnswer,
    /// Its name and its tags.
    ByTags,
}

impl DigitalOcean {
    /// The tag of the account that a machine is for.
    pub(super) fn account_tag(&self, wanted: &NewMachine) -> Result<String, ProviderError> {
        let tag = wanted.account.as_deref().and_then(|account| self.naming.account_tag(account));
        tag.ok_or_else(|| {
            failure::refused(format!(
                "Machine {} cannot be created: it needs an account id of 1 to 64 bytes",
                wanted.name
            ))
        })
    }

    pub(super) fn create_droplet(&self, wanted: &NewMachine) -> Result<Machine, ProviderError> {
        let what = format!("Machine {} is not created", wanted.name);
        // Until the lists are read, the machine of an earlier request may exist.
        let unseen = |error| if wanted.asked_before { as_unknown(error) } else { error };
        let (size, user_data) = check_request(&what, wanted).map_err(unseen)?;
        let account_tag = self.account_tag(wanted).map_err(unseen)?;
        let body = NewDroplet {
            name: &wanted.name,
            region: &wanted.region,
            size,
            image: id_or_name(&wanted.image),
            ssh_keys: self.ssh_keys.iter().map(|key| id_or_name(key)).collect(),
            tags: vec![self.naming.tag(), &account_tag],
            user_data: user_data.expose(),
        };
        let body =
            serde_json::to_vec(&body).map_err(|why| unseen(failure::refused(format!("{what}: {why}"))))?;
        let (mut may_exist, mut attempt) = (wanted.asked_before, 0);
        let mut last = None;
        loop {
            let found = if may_exist { self.settled(wanted) } else { self.existing(wanted) };
            match found {
                Ok(Some(row)) => return self.ready(wanted, row.id, Known::ByTags),
                Ok(None) => {}
                // Until the lists are read, the machine of an earlier request may exist.
                Err(error) if may_exist => return Err(as_unknown(error)),
                Err(error) if error.class == ErrorClass::Ambiguous => {
                    return Err(ProviderError { class: ErrorClass::Transient, ..error });
                }
                Err(error) => return Err(error),
            }
            may_exist = false;
            if let Some(error) = last.take_if(|_| attempt >= self.calls.limits.attempts) {
                // The lists have just shown that nothing exists.
                return Err(ProviderError { class: ErrorClass::Transient, ..error });
            }
            attempt += 1;
            match self.calls.once(&what, Verb::Post(&body), "/v2/droplets") {
                Ok(answer) => match parsed::<DropletAnswer>(&what, &answer) {
                    Ok(created) => return self.follow(wanted, &created),
                    Err(error) => (may_exist, last) = (true, Some(error)),
                },
                Err((error, pause)) if error.class == ErrorClass::Transient && error.status != Some(422) => {
                    self.calls.pause(error.clone(), pause, attempt)?;
                    last = Some(error);
                }
                Err((error, pause)) if error.class == ErrorClass::Ambiguous => {
                    self.calls.pause(error.clone(), pause, attempt)?;
                    (may_exist, last) = (true, Some(error));
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// The droplet of an earlier request for this machine. An error if the account has another one.
    pub(super) fn existing(&self, wanted: &NewMachine) -> Result<Option<DropletRow>, ProviderError> {
        let what = format!("Machine {} cannot be looked for", wanted.name);
        let account_tag = self.account_tag(wanted)?;
        let by_tag = self.droplets(&what, &format!("?tag_name={}", segment(&account_tag)))?;
        let by_name = self.droplets(&what, &format!("?name={}", segment(&wanted.name)))?;
        if let Some(other) = by_tag.iter().find(|row| row.name != wanted.name) {
            let (name, id) = (&other.name, other.id);
            return Err(failure::refused(format!(
                "{what}: the account has the machine {name} ({id}) already; destroy that one first"
            )));
        }
        let mut rows: Vec<DropletRow> =
            by_tag.into_iter().chain(by_name.into_iter().filter(|row| row.name == wanted.name)).collect();
        rows.sort_by_key(|row| row.id);
        rows.dedup_by_key(|row| row.id);
        if let [first, second, ..] = rows.as_slice() {
            let (first, second) = (first.id, second.id);
            return Err(failure::refused(format!(
                "{what}: two droplets have its name, {first} and {second}; destroy one of them first"
            )));
        }
        let Some(row) = rows.pop() else { return Ok(None) };
        // It may be ours with late tags, or somebody else's.
        let until = self.calls.within(self.calls.limits.tagging);
        let mut row = row;
        while !(row.has_tag(self.naming.tag()) && row.has_tag(&account_tag)) {
            if !self.calls.look_again(until) {
                let (id, tag) = (row.id, self.naming.tag());
                return Err(failure::refused(format!(
                    "{what}: droplet {id} has its name, but not the tags {tag} and {account_tag}; rename that droplet, or delete it"
                )));
            }
            match self.droplet(row.id)? {
                Some(now) => row = now,
                None => return Ok(None),
            }
        }
        Ok(Some(row))
    }

    /// Like [`existing`](Self::existing), and `None` only when a droplet that was asked for must have shown.
    pub(super) fn settled(&self, wanted: &NewMachine) -> Result<Option<DropletRow>, ProviderError> {
        let (name, seconds) = (&wanted.name, self.calls.limits.settling.as_secs());
        self.calls.pace.progress(&format!(
            "Machine {name} may exist already, because an answer was lost. It is looked for, for up to {seconds} s."
        ));
        let until = self.calls.within(self.calls.limits.settling);
        loop {
            if let Some(row) = self.existing(wanted)? {
                return Ok(Some(row));
            }
            if self.calls.pace.elapsed() >= until.moment() {
                return Ok(None);
            }
            if self.calls.pace.wait(self.calls.limits.look) {
                return Err(failure::unknown(format!(
                    "Machine {name} may exist: the search for it was stopped"
                )));
            }
        }
    }

    /// Follows an accepted creation until the droplet is ready.
    fn follow(&self, wanted: &NewMachine, created: &DropletAnswer) -> Result<Machine, ProviderError> {
        let id = created.droplet.id;
        let create = created.links.actions.iter().find(|action| matches!(action.rel.as_str(), "create" | ""));
        let Some(action) = create else { return self.ready(wanted, id, Known::ByAnswer) };
        let what = format!("The creation of machine {} ({id}) cannot be followed", wanted.name);
        let path = format!("/v2/droplets/{id}/actions/{}", action.id);
        let seconds = self.calls.limits.creating.as_secs();
        self.calls.pace.progress(&format!(
            "DigitalOcean creates machine {} ({id}). This may take up to {seconds} s.",
            wanted.name
        ));
        let until = self.calls.within(self.calls.limits.creating);
        loop {
            let read: Option<ActionAnswer> = self.calls.read(&what, &path).map_err(as_unknown)?;
            match read.map(|answer| answer.action.status) {
                Some(status) if status == "completed" => return self.ready(wanted, id, Known::ByAnswer),
                Some(status) if status == "errored" => {
                    // What is left of it would cost money and hold the account's place.
                    self.delete(id).map_err(as_unknown)?;
                    return Err(ProviderError::new(
                        ErrorClass::Transient,
                        format!(
                            "Machine {} is not created: DigitalOcean accepted it ({id}), but failed, and names no reason. What was left of it is deleted; try again",
                            wanted.name
                        ),
                    ));
                }
                // The droplet decides whether it is not visible yet, or has disappeared.
                None => return self.ready(wanted, id, Known::ByAnswer),
                Some(_) if self.calls.look_again(until) => {}
                Some(_) => {
                    return Err(failure::unknown(format!(
                        "Machine {} ({id}) is still being created after {seconds} s",
                        wanted.name
                    )));
                }
            }
        }
    }

    /// Waits until a droplet runs, bears its tags and is behind the firewall.
    fn ready(&self, wanted: &NewMachine, id: u64, known: Known) -> Result<Machine, ProviderError> {
        let row = self.running(wanted, id, known).map_err(as_unknown_unless_gone)?;
        let row = match self.tagged(wanted, row).map_err(as_unknown)? {
            Ok(row) => row,
            Err(_) if known == Known::ByAnswer => {
                for tag in [self.naming.tag(), &self.account_tag(wanted)?] {
                    self.tag_droplet(id, tag).map_err(as_unknown)?;
                }
                let again = self.running(wanted, id, known).map_err(as_unknown_unless_gone)?;
                self.tagged(wanted, again).map_err(as_unknown)?.map_err(|_| {
                    failure::unknown(format!(
                        "Machine {} ({id}) runs, but does not get its tags",
                        wanted.name
                    ))
                })?
            }
            Err(_) => {
                return Err(failure::unknown(format!("Machine {} ({id}) has lost its tags", wanted.name)));
            }
        };
        let until = self.calls.within(self.calls.limits.tagging);
        while !self.is_protected(id).map_err(as_unknown)? {
            if !self.calls.look_again(until) {
                return Err(failure::unknown(format!(
                    "Machine {} ({id}) runs, but the firewall {} does not protect it; look at it in DigitalOcean's control panel",
                    wanted.name,
                    self.naming.firewall()
                )));
            }
        }
        Ok(row.machine(&self.naming))
    }

    /// Waits until a droplet runs and has an address. One that never begins to run is deleted: its creation has failed, and it
    /// would cost money and hold the account's place.
    fn running(&self, wanted: &NewMachine, id: u64, known: Known) -> Result<DropletRow, ProviderError> {
        let name = &wanted.name;
        let (until, seen_until) =
            (self.calls.within(self.calls.limits.creating), self.calls.within(self.calls.limits.settling));
        let mut was_seen = false;
        loop {
            match self.droplet(id)? {
                Some(row) if row.status != "new" && row.address().is_some() => return Ok(row),
                Some(_) if self.calls.look_again(until) => was_seen = true,
                Some(row) => {
                    let seconds = self.calls.limits.creating.as_secs();
                    let sentence = format!("Machine {name} ({id}) does not run after {seconds} s");
                    let is_ours = known == Known::ByAnswer || row.has_tag(self.naming.tag());
                    if row.status != "new" || !is_ours {
                        return Err(failure::unknown(sentence));
                    }
                    self.delete(id)?;
                    let sentence = format!("{sentence}, so it is deleted; try again");
                    return Err(ProviderError::new(ErrorClass::Gone, sentence));
                }
                None if !was_seen && self.calls.look_again(seen_until) => {}
                None => {
                    return Err(ProviderError::new(
                        ErrorClass::Gone,
                        format!(
                            "Machine {name} is not created: DigitalOcean accepted it ({id}), but it has disappeared; try again"
                        ),
                    ));
                }
            }
        }
    }

    /// Waits for the tags of a droplet. The inner error is the droplet without them.
    fn tagged(
        &self,
        wanted: &NewMachine,
        mut row: DropletRow,
    ) -> Result<Result<DropletRow, DropletRow>, ProviderError> {
        let account_tag = self.account_tag(wanted)?;
        let until = self.calls.within(self.calls.limits.tagging);
        loop {
            if row.has_tag(self.naming.tag()) && row.has_tag(&account_tag) {
                return Ok(Ok(row));
            }
            if !self.calls.look_again(until) {
                return Ok(Err(row));
            }
            let id = row.id;
            let gone = || failure::unknown(format!("Machine {} ({id}) has disappeared", wanted.name));
            row = self.droplet(id)?.ok_or_else(gone)?;
        }
    }
}

/// An error after a creation was accepted: the machine may exist.
fn as_unknown(error: ProviderError) -> ProviderError {
    ProviderError { class: ErrorClass::Ambiguous, ..error }
}

/// A machine that has disappeared may be asked for again.
fn as_unknown_unless_gone(error: ProviderError) -> ProviderError {
    let class = if error.is_gone() { ErrorClass::Transient } else { ErrorClass::Ambiguous };
    ProviderError { class, ..error }
}
