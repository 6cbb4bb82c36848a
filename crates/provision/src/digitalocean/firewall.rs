//! Tags and the firewall: they exist before the first machine does, and are checked on each new machine.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::messages::{FirewallRow, RuleRow, TagAnswer};
use super::{DigitalOcean, failure};
use crate::ProviderError;
use crate::transport::{Verb, segment};

/// All addresses.
const ANYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// What a rule allows, in a form that can be compared.
type Allowed = BTreeSet<(String, String, BTreeSet<String>)>;

impl DigitalOcean {
    /// Makes a tag. One that exists stays as it is.
    pub(super) fn make_tag(&self, tag: &str) -> Result<(), ProviderError> {
        let what = format!("Tag {tag} is not created");
        let body = json!({"name": tag}).to_string();
        match self.calls.repeat(&what, Verb::Post(body.as_bytes()), "/v2/tags") {
            Ok(_) => return Ok(()),
            Err(error) if error.status == Some(422) => {}
            Err(error) => return Err(error),
        }
        let path = format!("/v2/tags/{}", segment(tag));
        match self.calls.read::<TagAnswer>(&what, &path)? {
            Some(found) if found.tag.name == tag => Ok(()),
            Some(found) => {
                let shown = found.tag.name;
                Err(failure::refused(format!(
                    "{what}: it exists as {shown}; delete that tag, or set another PROVISION_TAG"
                )))
            }
            None => Err(failure::refused(format!(
                "{what}: DigitalOcean refuses its name; set another PROVISION_TAG"
            ))),
        }
    }

    /// Gives a droplet a tag.
    pub(super) fn tag_droplet(&self, id: u64, tag: &str) -> Result<(), ProviderError> {
        let what = format!("Machine {id} does not get its tag {tag}");
        let body =
            json!({"resources": [{"resource_id": id.to_string(), "resource_type": "droplet"}]}).to_string();
        let path = format!("/v2/tags/{}/resources", segment(tag));
        self.calls.repeat(&what, Verb::Post(body.as_bytes()), &path).map(drop)
    }

    /// Makes the firewall, or gives it back its rules.
    pub(super) fn make_firewall(&self) -> Result<(), ProviderError> {
        let name = self.naming.firewall();
        let what = format!("Firewall {name} is not created");
        let Some(found) = self.firewall(&what)? else {
            let body = self.firewall_body(&[]).to_string();
            return match self.calls.repeat(&what, Verb::Post(body.as_bytes()), "/v2/firewalls") {
                Ok(_) => Ok(()),
                // By an earlier request whose answer was lost, or by another process.
                Err(error) if error.status == Some(409) => match self.firewall(&what)? {
                    Some(_) => Ok(()),
                    None => Err(error),
                },
                Err(error) => Err(error),
            };
        };
        if self.is_as_wanted(&found) {
            return Ok(());
        }
        let what = format!("Firewall {name} does not get its rules back");
        let body = self.firewall_body(&found.droplet_ids).to_string();
        let path = format!("/v2/firewalls/{}", segment(&found.id));
        self.calls.repeat(&what, Verb::Put(body.as_bytes()), &path).map(drop)
    }

    fn firewall(&self, what: &str) -> Result<Option<FirewallRow>, ProviderError> {
        let rows: Vec<FirewallRow> = self.calls.rows(what, ("/v2/firewalls", ""), "firewalls")?;
        Ok(rows.into_iter().find(|row| row.name == self.naming.firewall()))
    }

    /// SSH comes in, everything goes out.
    fn firewall_body(&self, droplet_ids: &[u64]) -> Value {
        let everywhere = json!({"addresses": ANYWHERE});
        let out = |protocol: &str| json!({"protocol": protocol, "ports": "0", "destinations": everywhere});
        json!({
            "name": self.naming.firewall(),
            "inbound_rules": [{"protocol": "tcp", "ports": "22", "sources": everywhere}],
            "outbound_rules": [out("tcp"), out("udp"), out("icmp")],
            "tags": [self.naming.tag()],
            "droplet_ids": droplet_ids,
        })
    }

    fn is_as_wanted(&self, found: &FirewallRow) -> bool {
        let wanted = self.firewall_body(&[]);
        let rules = |field: &str| -> Vec<RuleRow> {
            // Our own rules can always be read.
            serde_json::from_value(wanted[field].clone()).unwrap_or_default()
        };
        found.tags.iter().any(|tag| tag == self.naming.tag())
            && allowed(&found.inbound_rules) == allowed(&rules("inbound_rules"))
            && allowed(&found.outbound_rules) == allowed(&rules("outbound_rules"))
    }

    /// Whether the firewall protects a droplet.
    pub(super) fn is_protected(&self, id: u64) -> Result<bool, ProviderError> {
        let what = format!("The firewall of machine {id} cannot be read");
        let path = format!("/v2/droplets/{id}/firewalls");
        let found: Vec<FirewallRow> = match self.calls.rows(&what, (&path, ""), "firewalls") {
            // The droplet does not show everywhere yet.
            Err(error) if error.is_gone() => return Ok(false),
            found => found?,
        };
        let ours = found.iter().find(|row| row.name == self.naming.firewall());
        Ok(ours.is_some_and(|row| row.pending_changes.iter().all(|change| change.droplet_id != id)))
    }
}

/// The same rules in one spelling: all ports are `0`.
fn allowed(rules: &[RuleRow]) -> Allowed {
    let of = |rule: &RuleRow| {
        let ports = if matches!(rule.ports.as_str(), "" | "all" | "0") || rule.protocol == "icmp" {
            "0"
        } else {
            &rule.ports
        };
        let listed = rule.sources.get("addresses").and_then(Value::as_array);
        let mut ends: BTreeSet<String> =
            listed.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        // Any other end, such as a tag, makes the rule another one.
        for (kind, value) in rule.sources.as_object().into_iter().flatten() {
            if kind != "addresses" && value.as_array().is_some_and(|values| !values.is_empty()) {
                ends.insert(format!("{kind} {value}"));
            }
        }
        (rule.protocol.clone(), ports.to_owned(), ends)
    };
    rules.iter().map(of).collect()
}
