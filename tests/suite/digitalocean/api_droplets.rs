//! Droplets of the double: a creation is accepted before anything shows, names are not unique, tags come late, and a deleted
//! droplet stays visible.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::api_lists::{IMAGES, KEY_ID, SIZES};
use super::cloud::{Book, FakeAnswer, FakeDroplet, answered, error, not_found};

impl Book {
    /// Time has passed: what is gone is gone.
    pub(super) fn pass(&mut self) {
        let now = self.now_ms;
        self.droplets.retain(|_, droplet| droplet.gone_ms.is_none_or(|at| at > now));
    }

    pub(super) fn create(&mut self, body: &Value) -> FakeAnswer {
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let (name, size, region) = (text("name"), text("size"), text("region"));
        let Some((_, _, regions)) = SIZES.iter().find(|(slug, ..)| *slug == size) else {
            return error(422, "You specified an invalid size for Droplet creation.");
        };
        if !regions.contains(&region.as_str()) {
            return error(422, "Size is not available in this region.");
        }
        if !IMAGES.contains(&text("image").as_str()) {
            return error(422, "You specified an invalid image for Droplet creation.");
        }
        if body["ssh_keys"] != json!([KEY_ID]) {
            return error(422, "ssh_keys are invalid key identifiers for Droplet creation.");
        }
        if text("user_data").len() > 65_536 {
            return error(422, "user_data is too long (maximum is 64 KiB)");
        }
        if u64::try_from(self.droplets.len()).unwrap() >= self.manners.droplet_limit {
            return error(422, "creating this/these droplet(s) will exceed your droplet limit");
        }
        let id = self.next_id;
        self.next_id += 1;
        self.created += 1;
        let (now, manners) = (self.now_ms, &mut self.manners);
        let names: Vec<String> = body["tags"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|tag| Some(tag.as_str()?.to_owned()))
            .collect();
        let shown_ms = manners.tags_ms.map_or(i64::MAX, |after| now + after);
        let vanishes = std::mem::take(&mut manners.next_vanishes);
        let droplet = FakeDroplet {
            name,
            body: body.clone(),
            created_ms: now,
            runs_ms: now + manners.boots_ms,
            listed_ms: now + manners.lists_ms,
            tags: names.iter().map(|tag| (tag.clone(), shown_ms)).collect(),
            off_ms: None,
            gone_ms: vanishes.then_some(now + 2_000),
            errs: std::mem::take(&mut manners.next_errs),
            busy_ms: now + manners.boots_ms,
        };
        let shown = droplet.row(id, now);
        self.droplets.insert(id, droplet);
        self.tags.extend(names.iter().cloned());
        for tag in names.iter().filter(|tag| tag.contains(':')) {
            let at_once = self.droplets.values().filter(|droplet| droplet.tags.contains_key(tag)).count();
            self.most_at_once = self.most_at_once.max(at_once);
        }
        let links = json!({"actions": [{"id": id + 10_000, "rel": "create", "href": "https://x"}]});
        answered(202, &json!({"droplet": shown, "links": links}))
    }

    pub(super) fn list_droplets(&self, query: &BTreeMap<String, String>) -> FakeAnswer {
        let now = self.now_ms;
        let rows: Vec<Value> = self
            .droplets
            .iter()
            .filter(|(_, droplet)| droplet.listed_ms <= now)
            .filter(|(_, droplet)| {
                query.get("name").is_none_or(|name| droplet.name.eq_ignore_ascii_case(name))
                    && query.get("tag_name").is_none_or(|tag| droplet.bears(tag, now))
            })
            .map(|(id, droplet)| droplet.row(*id, now))
            .collect();
        Self::page("droplets", &rows, query)
    }

    pub(super) fn show_droplet(&self, id: &str) -> FakeAnswer {
        match id.parse().ok().and_then(|id: u64| Some((id, self.droplets.get(&id)?))) {
            Some((id, droplet)) => answered(200, &json!({"droplet": droplet.row(id, self.now_ms)})),
            None => not_found(),
        }
    }

    pub(super) fn delete_droplet(&mut self, id: &str) -> FakeAnswer {
        let (now, ends) = (self.now_ms, self.manners.ends_ms);
        match id.parse().ok().and_then(|id: u64| self.droplets.get_mut(&id)) {
            None => not_found(),
            // Deleted before, and still visible.
            Some(droplet) if droplet.gone_ms.is_some() => not_found(),
            Some(droplet) if droplet.busy_ms > now => error(422, "Droplet already has a pending event."),
            Some(droplet) => {
                droplet.gone_ms = Some(now + ends);
                (204, Vec::new(), String::new())
            }
        }
    }

    pub(super) fn order(&mut self, id: &str, body: &Value) -> FakeAnswer {
        let (now, stops) = (self.now_ms, self.manners.stops_ms);
        let Some((id, droplet)) = id.parse().ok().and_then(|id: u64| Some((id, self.droplets.get_mut(&id)?)))
        else {
            return not_found();
        };
        if droplet.busy_ms > now {
            return error(422, "Droplet already has a pending event.");
        }
        match body["type"].as_str() {
            Some("shutdown") => droplet.off_ms = stops.map(|after| now + after).or(droplet.off_ms),
            Some("power_off") => droplet.off_ms = Some(now + 5_000),
            _ => return error(422, "Action is not available."),
        }
        droplet.busy_ms = now + 3_000;
        // A shutdown completes although the droplet is still active.
        answered(201, &json!({"action": {"id": id + 20_000, "status": "completed", "type": body["type"]}}))
    }

    pub(super) fn show_action(&self, id: &str, action: &str) -> FakeAnswer {
        let found = id.parse().ok().and_then(|id: u64| Some((id, self.droplets.get(&id)?)));
        let Some((id, droplet)) = found.filter(|(id, _)| action == (id + 10_000).to_string()) else {
            return not_found();
        };
        let status = match (droplet.runs_ms <= self.now_ms, droplet.errs) {
            (false, _) => "in-progress",
            (true, true) => "errored",
            (true, false) => "completed",
        };
        answered(
            200,
            &json!({"action": {"id": id + 10_000, "status": status, "type": "create", "resource_id": id}}),
        )
    }
}

impl FakeDroplet {
    pub(super) fn bears(&self, tag: &str, now: i64) -> bool {
        self.tags.get(tag).is_some_and(|at| *at <= now)
    }

    fn row(&self, id: u64, now: i64) -> Value {
        let runs = self.runs_ms <= now && !self.errs;
        let status = match self.off_ms {
            Some(at) if at <= now => "off",
            _ if runs => "active",
            _ => "new",
        };
        let networks = if runs {
            json!({"v4": [
                {"ip_address": "10.0.0.2", "netmask": "255.255.240.0", "gateway": "nil", "type": "private"},
                {"ip_address": "127.0.0.1", "netmask": "255.255.240.0", "gateway": "203.0.113.1", "type": "public"},
            ], "v6": []})
        } else {
            json!({})
        };
        let tags: Vec<&String> = self.tags.iter().filter(|(_, at)| **at <= now).map(|(tag, _)| tag).collect();
        json!({
            "id": id,
            "name": self.name,
            "status": status,
            "locked": self.busy_ms > now,
            "created_at": "2026-12-01T00:00:00Z",
            "size_slug": self.body["size"],
            "region": {"slug": self.body["region"]},
            "tags": tags,
            "networks": networks,
            "kernel": null,
        })
    }
}
