//! Writes the gateway's generated configuration, next to the folder of the workspaces.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use mcr_core::workspace::{ConfiguredAgent, gateway_file};
use mcr_files::shared::SharedFolder;
use mcr_model::clock::Millis;
use serde_json::Value;

use super::health::ConfigurationHealth;
use super::transaction::{BeforeWrite, replace};

/// The file, which `gateway-config --generated` reads.
const FILE: &str = "openclaw.json";

/// A larger file is something else.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Keys of a generated configuration. `load` is of the TypeScript runtime.
const KEYS: [&str; 3] = ["agents", "load", "skills"];

/// The generated configuration on the disk.
pub(super) struct Configuration<'a> {
    folder: SharedFolder,
    found: Option<Value>,
    before: &'a BeforeWrite,
}

impl<'a> Configuration<'a> {
    /// Opens the file in this folder. A file that no runtime generated is an error: it may be the gateway's own.
    pub(super) fn open(folder: &Path, before: &'a BeforeWrite) -> io::Result<Self> {
        let folder = SharedFolder::open(folder)?;
        let found = match folder.read(FILE, BYTES_MAX)? {
            None => None,
            Some(bytes) if bytes.trim_ascii().is_empty() => None,
            Some(bytes) => Some(serde_json::from_slice::<Value>(&bytes).ok().filter(is_generated).ok_or_else(|| {
                io::Error::other(format!(
                    "{FILE} is not a generated configuration and stays as it is: set OPENCLAW_WORKSPACE_ROOT to a folder \
                     whose parent has no {FILE} of its own"
                ))
            })?),
        };
        Ok(Self { folder, found, before })
    }

    /// The configuration that an earlier sync wrote.
    pub(super) fn found(&self) -> Option<&Value> {
        self.found.as_ref()
    }

    /// Writes these agents if that changes the meaning of the file. Agents of the file that are `unconfirmed` as gone
    /// stay.
    pub(super) fn write(
        &mut self,
        agents: &[ConfiguredAgent],
        unconfirmed: &BTreeSet<String>,
    ) -> io::Result<ConfigurationHealth> {
        let mut wanted = gateway_file(agents);
        let former = self.found.as_ref().and_then(list).into_iter().flatten();
        let kept = former.filter(|agent| id(agent).is_some_and(|id| unconfirmed.contains(id)));
        let kept: Vec<Value> = kept.cloned().collect();
        let mut count = 0;
        if let Some(list) = wanted["agents"]["list"].as_array_mut() {
            list.extend(kept);
            count = list.len();
        }
        if self.found.as_ref() != Some(&wanted) {
            let text = serde_json::to_string_pretty(&wanted)?;
            replace(&self.folder, FILE, format!("{text}\n").as_bytes(), self.folder.sharing()?, self.before)?;
            self.found = Some(wanted);
        }
        Ok(ConfigurationHealth {
            path: self.folder.path().join(FILE).display().to_string(),
            agents: count,
            changed_at: self.folder.modified(FILE)?.map(Millis::from),
        })
    }
}

/// The ids of a configuration's agents.
pub(super) fn ids(file: &Value) -> impl Iterator<Item = String> {
    list(file).into_iter().flatten().filter_map(id).map(str::to_owned)
}

fn list(file: &Value) -> Option<&Vec<Value>> {
    file.get("agents")?.get("list")?.as_array()
}

fn id(agent: &Value) -> Option<&str> {
    agent.get("id")?.as_str()
}

fn is_generated(file: &Value) -> bool {
    let is_known =
        |file: &serde_json::Map<String, Value>| file.keys().all(|key| KEYS.contains(&key.as_str()));
    file.as_object().is_some_and(is_known) && list(file).is_some()
}
