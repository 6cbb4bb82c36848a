//! What the command shows: the plan with its requests, its price and the machine's first start, and results.

use std::fmt::Write as _;

use serde_json::{Value, json};

use mcr_config::ProvisionSettings;
use mcr_model::secret::Secret;
use mcr_provision::request::{AuditFinding, EntryState, MachineEntry, WantedMachine};
use mcr_provision::{MachineSize, Naming, NewMachine, Quote, StartData};

/// What the command would do.
pub(super) struct Plan<'a> {
    pub(super) entry: &'a MachineEntry,
    /// `None` if the machine was asked for already.
    pub(super) quote: Option<Quote>,
    pub(super) machine: &'a WantedMachine,
    pub(super) naming: &'a Naming,
    pub(super) settings: &'a ProvisionSettings,
}

/// The request for the machine of an entry.
pub(super) fn new_machine(entry: &MachineEntry, machine: &WantedMachine) -> NewMachine {
    NewMachine {
        name: entry.name.clone(),
        account: Some(entry.account.clone()),
        region: entry.region.clone(),
        image: entry.image.clone(),
        size: MachineSize::Listed(entry.size.clone()),
        start: StartData::UserData(Secret::new(machine.user_data.expose())),
        asked_before: entry.may_exist,
    }
}

impl Plan<'_> {
    /// The requests that change something, in order.
    fn requests(&self) -> Vec<String> {
        let (tag, entry) = (self.naming.tag(), self.entry);
        let account_tag = self.naming.account_tag(&entry.account).unwrap_or_default();
        let create = format!(
            "POST /v2/droplets: {} in {}, {}, {}, tags {tag} and {account_tag}",
            entry.name, entry.region, entry.size, entry.image
        );
        let report = match &entry.address {
            Some(address) => format!("ssh root@{address}: variables, start, first report"),
            None => "ssh root@ADDRESS: variables, start, first report".to_owned(),
        };
        match entry.state {
            EntryState::Requested => vec![
                format!("POST /v2/tags: {tag}"),
                format!("POST /v2/tags: {account_tag}"),
                format!("POST /v2/firewalls: {}, SSH in, everything out", self.naming.firewall()),
                create,
                report,
            ],
            EntryState::Creating | EntryState::Failed | EntryState::Booting if entry.machine.is_none() => {
                vec![format!("{create} (unless it exists already)"), report]
            }
            EntryState::Creating | EntryState::Booting | EntryState::Failed => vec![report],
            EntryState::Online | EntryState::Destroying | EntryState::Gone => Vec::new(),
        }
    }

    fn price(&self) -> Option<&str> {
        self.quote.as_ref()?.monthly_usd.as_deref()
    }

    /// The plan without the machine's first start.
    pub(super) fn steps(&self) -> String {
        let entry = self.entry;
        let mut text =
            format!("Account {}: {}, machine {}.\n", entry.account, entry.state.as_str(), entry.name);
        for request in self.requests() {
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "  {request}");
        }
        if let Some(price) = self.price() {
            let _ = writeln!(text, "Price: {price} USD a month.");
        } else if entry.state == EntryState::Requested {
            text.push_str("Price: the provider does not say.\n");
        }
        let fate = if self.settings.destroy_on_timeout { "destroyed" } else { "kept" };
        let _ = writeln!(
            text,
            "Without a report within {} s the machine is {fate}.",
            self.settings.timeout.as_secs()
        );
        text
    }

    /// The whole plan. The user data holds no secret.
    pub(super) fn shown(&self, as_json: bool) -> String {
        let user_data = self.machine.user_data.expose();
        if as_json {
            let plan = json!({
                "success": true,
                "dryRun": true,
                "machine": self.entry,
                "requests": self.requests(),
                "monthlyUsd": self.price(),
                "machinesLeft": self.quote.as_ref().and_then(|quote| quote.machines_left),
                "timeoutSeconds": self.settings.timeout.as_secs(),
                "destroyOnTimeout": self.settings.destroy_on_timeout,
                "userData": user_data,
            });
            return format!("{plan:#}\n");
        }
        format!("{}Nothing was changed. User data:\n\n{user_data}", self.steps())
    }
}

/// What is known of the machines.
pub(super) fn status(entries: &[&MachineEntry], as_json: bool) -> String {
    if as_json {
        return format!("{:#}\n", json!({"success": true, "machines": entries}));
    }
    let mut text = String::new();
    for entry in entries {
        let none = "-".to_owned();
        let (id, address) =
            (entry.machine.as_ref().unwrap_or(&none), entry.address.as_ref().unwrap_or(&none));
        let (account, state, name) = (&entry.account, entry.state.as_str(), &entry.name);
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{account}: {state}, {name}, machine {id}, address {address}");
        if let (Some(step), Some(reason)) = (entry.step, &entry.reason) {
            let _ = writeln!(text, "  step {}: {reason}", step.as_str());
        }
    }
    if text.is_empty() { "No machine is known here.\n".to_owned() } else { text }
}

pub(super) fn online(entry: &MachineEntry, as_json: bool) -> String {
    let address = entry.address.as_deref().unwrap_or_default();
    let line = format!("Account {} is online on machine {} at {address}.", entry.account, entry.name);
    result(&line, &json!({"machine": entry}), as_json)
}

pub(super) fn destroyed(ids: &[String], as_json: bool) -> String {
    let line = match ids {
        [] => "Nothing was to be destroyed.".to_owned(),
        ids => format!("Destroyed: machine {}.", ids.join(", machine ")),
    };
    result(&line, &json!({"destroyed": ids}), as_json)
}

pub(super) fn audited(findings: &[AuditFinding], as_json: bool) -> String {
    let mut line = if findings.is_empty() { "Entries and machines match.".to_owned() } else { String::new() };
    for finding in findings {
        let separator = if line.is_empty() { "" } else { "\n" };
        // Writing to a `String` cannot fail.
        let _ =
            write!(line, "{separator}{}\n  mission-control-runtime {}", finding.sentence, finding.command);
    }
    result(&line, &json!({"findings": findings}), as_json)
}

/// One object, or a line.
fn result(line: &str, value: &Value, as_json: bool) -> String {
    if !as_json {
        return format!("{line}\n");
    }
    let mut shown = json!({"success": true});
    for (name, field) in value.as_object().into_iter().flatten() {
        shown[name] = field.clone();
    }
    format!("{shown:#}\n")
}
