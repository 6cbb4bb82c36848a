//! Tags, firewalls and the price list of the double.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cloud::{Book, FakeAnswer, answered, error, not_found};

/// Sizes with their monthly price and their regions.
pub(super) const SIZES: [(&str, f64, &[&str]); 3] = [
    ("s-1vcpu-2gb", 12.000_001, &["fra1", "nyc1"]),
    ("s-2vcpu-4gb", 24.0, &["fra1", "nyc1"]),
    ("c-60-intel", 999.99, &["nyc1"]),
];

pub(super) const IMAGES: [&str; 2] = ["debian-12-x64", "ubuntu-24-04-x64"];

pub(super) const KEY_ID: u64 = 42;

pub(super) const KEY_FINGERPRINT: &str = "3b:16:e4:bf:8b:00:8b:b8:59:8c:a9:d3:f0:19:fa:45";

impl Book {
    pub(super) fn create_tag(&mut self, body: &Value) -> FakeAnswer {
        let name = body["name"].as_str().unwrap_or_default().to_owned();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_');
        if name.is_empty() || name.len() > 255 || !name.chars().all(is_plain) {
            let words = json!({"error": "invalid tag", "messages": ["invalid"], "root_causes": []});
            return answered(400, &words);
        }
        // The capitals of the first creation are the only valid ones.
        if self.tags.iter().any(|tag| tag.eq_ignore_ascii_case(&name)) {
            return error(422, "tag already exists");
        }
        self.tags.insert(name.clone());
        answered(201, &json!({"tag": {"name": name, "resources": {"count": 0}}}))
    }

    pub(super) fn show_tag(&self, name: &str) -> FakeAnswer {
        match self.tags.iter().find(|tag| tag.eq_ignore_ascii_case(name)) {
            Some(tag) => answered(200, &json!({"tag": {"name": tag, "resources": {"count": 0}}})),
            None => not_found(),
        }
    }

    pub(super) fn tag_resources(&mut self, name: &str, body: &Value) -> FakeAnswer {
        if !self.tags.contains(name) {
            return not_found();
        }
        let now = self.now_ms;
        for resource in body["resources"].as_array().into_iter().flatten() {
            assert_eq!(resource["resource_type"], "droplet");
            let id: u64 = resource["resource_id"].as_str().unwrap().parse().unwrap();
            let Some(droplet) = self.droplets.get_mut(&id) else { return not_found() };
            let shown = droplet.tags.entry(name.to_owned()).or_insert(now);
            *shown = (*shown).min(now);
        }
        (204, Vec::new(), String::new())
    }

    pub(super) fn create_firewall(&mut self, body: &Value) -> FakeAnswer {
        if self.firewalls.values().any(|known| known["name"] == body["name"]) {
            return error(409, "duplicate name");
        }
        let id = format!("fw-{}", self.firewalls.len() + 1);
        if let Some(refused) = self.refused_firewall(body) {
            return refused;
        }
        let mut firewall = body.clone();
        firewall["id"] = Value::from(id.clone());
        self.firewalls.insert(id, firewall.clone());
        answered(202, &json!({"firewall": firewall}))
    }

    fn refused_firewall(&self, body: &Value) -> Option<FakeAnswer> {
        let name = body["name"].as_str().unwrap_or_default();
        let tags = body["tags"].as_array().cloned().unwrap_or_default();
        if name.contains('_') || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Some(error(422, "invalid name"));
        }
        let knows = |tag: &Value| tag.as_str().is_some_and(|tag| self.tags.contains(tag));
        if !tags.iter().all(knows) {
            return Some(error(422, "unknown tag"));
        }
        let icmp = body["outbound_rules"].as_array().into_iter().flatten();
        icmp.clone()
            .any(|rule| rule["protocol"] == "icmp" && rule["ports"] != "0")
            .then(|| error(422, "invalid ports"))
    }

    pub(super) fn list_firewalls(&self, query: &BTreeMap<String, String>) -> FakeAnswer {
        let rows: Vec<Value> = self.firewalls.values().map(|row| Self::firewall_row(row, None)).collect();
        Self::page("firewalls", &rows, query)
    }

    /// The API spells all ports in its own way, and shows what it has not applied yet.
    fn firewall_row(firewall: &Value, droplet: Option<(u64, bool)>) -> Value {
        let mut row = firewall.clone();
        for rule in row["outbound_rules"].as_array_mut().into_iter().flatten() {
            if rule["protocol"] != "icmp" {
                rule["ports"] = Value::from("all");
            }
        }
        let pending: Vec<Value> = droplet
            .filter(|(_, is_applied)| !is_applied)
            .map(|(id, _)| json!({"droplet_id": id, "removing": false, "status": "waiting"}))
            .into_iter()
            .collect();
        row["status"] = Value::from(if pending.is_empty() { "succeeded" } else { "waiting" });
        row["pending_changes"] = Value::from(pending);
        row
    }

    pub(super) fn replace_firewall(&mut self, id: &str, body: &Value) -> FakeAnswer {
        if let Some(refused) = self.refused_firewall(body) {
            return refused;
        }
        match self.firewalls.get_mut(id) {
            Some(firewall) => {
                *firewall = body.clone();
                firewall["id"] = Value::from(id);
                answered(200, &json!({"firewall": firewall}))
            }
            None => not_found(),
        }
    }

    pub(super) fn firewalls_of(&self, id: &str, query: &BTreeMap<String, String>) -> FakeAnswer {
        let Some((id, droplet)) = id.parse().ok().and_then(|id: u64| Some((id, self.droplets.get(&id)?)))
        else {
            return not_found();
        };
        let (now, lag) = (self.now_ms, self.manners.firewall_ms);
        let covers = |firewall: &&Value| {
            let mut tags = firewall["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
            tags.any(|tag| droplet.bears(tag, now))
        };
        let since = |firewall: &Value| {
            let tags = firewall["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
            tags.filter_map(|tag| droplet.tags.get(tag)).min().copied().unwrap_or(now)
        };
        let row = |firewall| Self::firewall_row(firewall, Some((id, since(firewall) + lag <= now)));
        let rows: Vec<Value> = self.firewalls.values().filter(covers).map(row).collect();
        Self::page("firewalls", &rows, query)
    }

    /// What can be read before anything is bought.
    pub(super) fn facts(&self, parts: &[&str], query: &BTreeMap<String, String>) -> FakeAnswer {
        match parts {
            ["account"] => {
                let limit = self.manners.droplet_limit;
                answered(
                    200,
                    &json!({"account": {"droplet_limit": limit, "status": "active", "status_message": ""}}),
                )
            }
            ["account", "keys"] => {
                let key = json!({"id": KEY_ID, "fingerprint": KEY_FINGERPRINT, "name": "ops"});
                Self::page("ssh_keys", &[key], query)
            }
            ["regions"] => {
                let of = |region: &str| {
                    let offered = SIZES.iter().filter(|(.., regions)| regions.contains(&region));
                    offered.map(|(slug, ..)| *slug).collect::<Vec<_>>()
                };
                let row = |slug: &str, available: bool| json!({"slug": slug, "available": available, "sizes": of(slug)});
                Self::page("regions", &[row("fra1", true), row("nyc1", true), row("tor1", false)], query)
            }
            ["sizes"] => {
                // More than one page of sizes that nobody wants.
                let fillers =
                    (0..230).map(|number| json!({"slug": format!("filler-{number}"), "regions": []}));
                let sizes = SIZES.iter().map(|(slug, price, regions)| {
                    json!({"slug": slug, "price_monthly": price, "available": true, "regions": regions})
                });
                Self::page("sizes", &fillers.chain(sizes).collect::<Vec<_>>(), query)
            }
            ["images", image] if IMAGES.contains(image) => {
                answered(200, &json!({"image": {"slug": image, "status": "available"}}))
            }
            _ => not_found(),
        }
    }
}
