//! The configuration of the gateway: what the environment, a template and a generated roster make of it.

/// Whole configurations, to be read.
mod golden;
/// What `doctor --patch` changes, to be read.
mod patches;
/// Which file of that name is whose.
mod places;
/// What holds for all environments and files.
mod properties;
/// The rows of the specification's table of variables.
mod variables;

use std::collections::{BTreeMap, BTreeSet};

use mission_control_runtime::config::{self, Diagnostic};
use mission_control_runtime::gateway::dialect::Release;
use mission_control_runtime::gateway_config::{Merged, Sources, merge};
use serde_json::{Value, json};

use crate::support::documents::project;

/// The template that the gateway's image contains.
const CONTAINER: &str = "openclaw/openclaw.template.json";

/// The template of a gateway on a host, part of the release archive.
const HOST: &str = "packaging/openclaw.template.json";

fn template(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(project(path)).unwrap()).unwrap()
}

/// A start of the gateway: its variables, its files and its release.
#[derive(Clone, Debug, Default)]
struct Start {
    /// Whether it begins with the template of a host instead of the container's.
    on_host: bool,
    environment: BTreeMap<String, String>,
    existing: Option<Value>,
    generated: Option<Value>,
    release: Option<Release>,
}

impl Start {
    fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn on_host(self) -> Self {
        Self { on_host: true, ..self }
    }

    fn existing(self, existing: Value) -> Self {
        Self { existing: Some(existing), ..self }
    }

    fn generated(self, generated: Value) -> Self {
        Self { generated: Some(generated), ..self }
    }

    fn release(self, release: &str) -> Self {
        Self { release: Some(Release::parse(release).unwrap()), ..self }
    }

    fn go(&self) -> (Merged, Vec<Diagnostic>) {
        let (environment, diagnostics) = config::container(&self.environment, &BTreeSet::new());
        let merged = merge(&Sources {
            environment: &environment,
            template: &template(if self.on_host { HOST } else { CONTAINER }),
            existing: self.existing.as_ref(),
            generated: self.generated.as_ref(),
            release: self.release,
        });
        (merged, diagnostics)
    }

    fn config(&self) -> Value {
        self.go().0.config
    }

    /// Everything that is said to the operator.
    fn sentences(&self) -> Vec<String> {
        let (merged, diagnostics) = self.go();
        let diagnostics = diagnostics.into_iter().map(|found| found.message);
        diagnostics.chain(merged.remarks.iter().map(ToString::to_string)).collect()
    }
}

/// Two agents, as the runtime generates them.
fn roster() -> Value {
    json!({
        "agents": {
            "defaults": {"skipBootstrap": true, "maxConcurrent": 9},
            "list": [
                {"id": "engineer", "workspace": "/clawd/agents/engineer", "identity": {"name": "Engineer"}, "model": "anthropic/claude-haiku-4.5"},
                {"id": "qa", "workspace": "/clawd/agents/qa", "identity": {"name": "QA"}},
            ],
        },
        "load": {"extraDirs": ["/clawd/agents/engineer/skills"]},
        "skills": {"entries": {"release-notes": {"enabled": true}}},
    })
}
