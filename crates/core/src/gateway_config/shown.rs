//! The configuration as a running gateway shows it.

use serde_json::{Map, Value};

/// The gateway's answer to `config.get`, with a placeholder for each secret.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownConfiguration {
    /// The path of the gateway's file, on the gateway's machine.
    pub path: Option<String>,
    /// What the file contains, with the files that it includes.
    pub config: Value,
}

impl ShownConfiguration {
    /// Reads the answer. Defaults that the gateway adds are left out: what a silent configuration means is ours to say.
    pub fn read(answer: &str) -> Option<Self> {
        let mut answer: Map<String, Value> = serde_json::from_str(answer).ok()?;
        let path = answer.get("path").and_then(Value::as_str).map(str::to_owned);
        let mut parts = ["sourceConfig", "parsed"].into_iter().filter_map(|key| answer.remove(key));
        let config = parts.find(Value::is_object)?;
        Some(Self { path, config })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As 2026.5.7, 2026.7.1 and 2026.9.6 answer.
    #[test]
    fn the_configuration_is_read_without_the_gateways_defaults() {
        let answer = json!({
            "path": "/home/openclaw/.openclaw/openclaw.json", "exists": true, "raw": null, "valid": true,
            "parsed": {"$include": "tools.json"},
            "sourceConfig": {"tools": {"profile": "minimal"}},
            "runtimeConfig": {"tools": {"profile": "minimal"}, "agents": {"defaults": {"maxConcurrent": 4}}},
        });
        let shown = ShownConfiguration::read(&answer.to_string()).unwrap();
        assert_eq!(shown.path.as_deref(), Some("/home/openclaw/.openclaw/openclaw.json"));
        assert_eq!(shown.config, json!({"tools": {"profile": "minimal"}}));
        let older = json!({"parsed": {"agents": {}}}).to_string();
        assert_eq!(ShownConfiguration::read(&older).unwrap().config, json!({"agents": {}}));
        for nonsense in ["", "[]", "{}", "\"x\"", "{\"parsed\": [1]}", "{\"sourceConfig\": null}"] {
            assert_eq!(ShownConfiguration::read(nonsense), None, "{nonsense}");
        }
    }
}
