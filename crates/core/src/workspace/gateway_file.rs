//! The generated configuration of the gateway (runtime-behaviour §7.4). `gateway-config --generated` merges it.

use serde_json::{Map, Value, json};

use crate::gateway_config::MissionControlModel;

/// An agent of the generated configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredAgent {
    /// Its slug as the name of its folder, which is also its id.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// The path of its workspace, as the gateway sees it.
    pub workspace: String,
    /// The model that Mission Control stores for it.
    pub model: Option<String>,
    /// The names of its skills.
    pub skill_keys: Vec<String>,
}

/// The generated configuration.
pub fn gateway_file(agents: &[ConfiguredAgent]) -> Value {
    let list: Vec<Value> = agents.iter().map(entry).collect();
    let mut file = json!({"agents": {"defaults": {"skipBootstrap": true}, "list": list}});
    let keys = agents.iter().flat_map(|agent| &agent.skill_keys);
    let entries: Map<String, Value> = keys.map(|key| (key.clone(), json!({"enabled": true}))).collect();
    if !entries.is_empty() {
        file["skills"] = json!({"entries": entries});
    }
    file
}

fn entry(agent: &ConfiguredAgent) -> Value {
    let mut entry =
        json!({"id": agent.id, "workspace": agent.workspace, "identity": {"name": agent.name.trim()}});
    // A model that Mission Control does not offer has no known name at the gateway.
    if let Some(model) = agent.model.as_deref().and_then(MissionControlModel::find) {
        entry["model"] = json!(model.written(false));
    }
    entry
}

/// Whether a generated configuration names this agent with a workspace of this folder name. Then a runtime wrote the
/// profile in that workspace.
pub fn names_workspace(file: &Value, id: &str) -> bool {
    let agents = file.get("agents").and_then(|agents| agents.get("list")?.as_array());
    agents.into_iter().flatten().any(|agent| {
        let text = |key| agent.get(key).and_then(Value::as_str).unwrap_or_default();
        text("id").trim() == id && text("workspace").rsplit('/').next() == Some(id)
    })
}
