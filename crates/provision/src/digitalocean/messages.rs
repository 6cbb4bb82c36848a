//! What the API sends and receives. Fields that are not read here are ignored; fields that are may be missing or null.

use std::net::IpAddr;

use mcr_model::clock::Millis;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Machine, MachineState, Naming};

/// Null means what a missing field means.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// A droplet.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct DropletRow {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    created_at: String,
    #[serde(default)]
    size_slug: String,
    #[serde(default, deserialize_with = "nullable")]
    region: SlugRow,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) tags: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    networks: NetworksRow,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct SlugRow {
    #[serde(default)]
    slug: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct NetworksRow {
    #[serde(default, deserialize_with = "nullable")]
    v4: Vec<NetworkRow>,
}

#[derive(Clone, Debug, Deserialize)]
struct NetworkRow {
    #[serde(default)]
    ip_address: String,
    #[serde(default, rename = "type")]
    kind: String,
}

impl DropletRow {
    /// Its public address, once it has one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        let mut public = self.networks.v4.iter().filter(|network| network.kind == "public");
        public.find_map(|network| network.ip_address.parse().ok())
    }

    pub(super) fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }

    pub(super) fn machine(self, naming: &Naming) -> Machine {
        Machine {
            address: self.address(),
            account: self.tags.iter().find_map(|tag| naming.account_of(tag)),
            id: self.id.to_string(),
            name: self.name,
            region: self.region.slug,
            size: Some(self.size_slug).filter(|slug| !slug.is_empty()),
            state: match self.status.as_str() {
                "off" | "archive" => MachineState::Stopped,
                _ => MachineState::Active,
            },
            created_at: Millis::from_rfc3339(&self.created_at),
            ..Machine::default()
        }
    }
}

/// The answer on one droplet, and on a creation.
#[derive(Debug, Deserialize)]
pub(super) struct DropletAnswer {
    pub(super) droplet: DropletRow,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) links: CreationLinks,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct CreationLinks {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) actions: Vec<ActionLink>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ActionLink {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) rel: String,
}

/// The answer on an action.
#[derive(Debug, Deserialize)]
pub(super) struct ActionAnswer {
    pub(super) action: ActionRow,
}

#[derive(Debug, Deserialize)]
pub(super) struct ActionRow {
    #[serde(default)]
    pub(super) status: String,
}

/// A firewall.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct FirewallRow {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) inbound_rules: Vec<RuleRow>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) outbound_rules: Vec<RuleRow>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) tags: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) droplet_ids: Vec<u64>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) pending_changes: Vec<PendingRow>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct PendingRow {
    pub(super) droplet_id: u64,
}

/// A rule. Only one of the two ends is given.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RuleRow {
    #[serde(default)]
    pub(super) protocol: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) ports: String,
    #[serde(default, deserialize_with = "nullable", alias = "destinations")]
    pub(super) sources: Value,
}

/// The account at DigitalOcean.
#[derive(Debug, Deserialize)]
pub(super) struct AccountAnswer {
    pub(super) account: AccountRow,
}

#[derive(Debug, Deserialize)]
pub(super) struct AccountRow {
    pub(super) droplet_limit: Option<u64>,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) status_message: String,
}

/// The number of all matches of a list.
#[derive(Debug, Deserialize)]
pub(super) struct CountAnswer {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) meta: CountRow,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct CountRow {
    pub(super) total: Option<u64>,
}

/// A region.
#[derive(Debug, Deserialize)]
pub(super) struct RegionRow {
    pub(super) slug: String,
    #[serde(default)]
    pub(super) available: Option<bool>,
    /// A token may not be allowed to see them.
    pub(super) sizes: Option<Vec<String>>,
}

/// A size of the price list.
#[derive(Debug, Deserialize)]
pub(super) struct SizeRow {
    pub(super) slug: String,
    pub(super) price_monthly: Option<f64>,
    #[serde(default)]
    pub(super) available: Option<bool>,
    pub(super) regions: Option<Vec<String>>,
}

/// An SSH key of the account.
#[derive(Debug, Deserialize)]
pub(super) struct KeyRow {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) fingerprint: String,
}

/// The answer on a tag.
#[derive(Debug, Deserialize)]
pub(super) struct TagAnswer {
    pub(super) tag: TagRow,
}

#[derive(Debug, Deserialize)]
pub(super) struct TagRow {
    pub(super) name: String,
}

/// The body of a creation.
#[derive(Serialize)]
pub(super) struct NewDroplet<'a> {
    pub(super) name: &'a str,
    pub(super) region: &'a str,
    pub(super) size: &'a str,
    pub(super) image: Value,
    pub(super) ssh_keys: Vec<Value>,
    pub(super) tags: Vec<&'a str>,
    pub(super) user_data: &'a str,
}

/// An id is sent as a number, a name as text.
pub(super) fn id_or_name(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_droplet_is_read_whatever_is_missing_or_new() {
        let naming = Naming::parse("mc").unwrap();
        let rows = [
            (r#"{"id":7}"#, MachineState::Active, None, None),
            (r#"{"id":7,"networks":{},"tags":null,"region":null}"#, MachineState::Active, None, None),
            (r#"{"id":7,"status":"off","networks":{"v4":[],"v6":[]}}"#, MachineState::Stopped, None, None),
            (r#"{"id":7,"status":"a new word"}"#, MachineState::Active, None, None),
            (
                r#"{"id":7,"status":"active","tags":["x","mc","mc:account:acc"],"networks":{"v4":[
                    {"ip_address":"10.0.0.2","netmask":"255.0.0.0","gateway":"nil","type":"private"},
                    {"ip_address":"203.0.113.9","netmask":"255.0.0.0","gateway":"203.0.113.1","type":"public"}]}}"#,
                MachineState::Active,
                Some("203.0.113.9"),
                Some("acc"),
            ),
        ];
        for (text, state, address, account) in rows {
            let machine = serde_json::from_str::<DropletRow>(text).unwrap().machine(&naming);
            assert_eq!((machine.id.as_str(), machine.state), ("7", state), "{text}");
            assert_eq!(machine.address.map(|address| address.to_string()).as_deref(), address, "{text}");
            assert_eq!(machine.account.as_deref(), account, "{text}");
        }
        assert!(serde_json::from_str::<DropletRow>(r#"{"name":"without an id"}"#).is_err());
    }
}
