//! Merges the environment, a template and the generated roster into the configuration of the OpenClaw gateway.
//!
//! The gateway has one file, `openclaw.json`, and three authors write it: the operator, the environment of the
//! container, and the runtime with its generated configuration (agents, workspaces, skills). [`merge`] is the
//! only place where they meet. The base is the existing file, or the template on the first start. Then, in this
//! order:
//!
//! 1. `settings` adds defaults, and forces what deliveries depend on: `/v1/responses` is on, Tool Search and
//!    the gateway's own heartbeat are off.
//! 2. `listening` decides address and authentication. Without authentication, the gateway listens on loopback.
//! 3. `models` and `channels` enable what the environment has a key for.
//! 4. `agents` takes the roster of the generated configuration.
//!
//! Everything else in the file is the operator's, and survives. The result depends on the arguments only, and
//! merging it again changes nothing, so a supervisor can run this on every start.
//!
//! No secret is copied. [`GatewayEnvironment`] knows which variable holds a secret, but not its value, and the file
//! refers to the variable (`secret`). A reference to a variable that is no longer set is removed again.
//!
//! The gateway refuses a file with an unknown key, so [`Form`] has what a release wants.

mod agents;
mod channels;
mod form;
pub mod known_problems;
mod listening;
mod models;
mod remark;
mod secret;
mod settings;
mod shown;
mod tree;

use serde_json::Value;

use mcr_model::GatewayEnvironment;

use crate::gateway::dialect::Release;

pub use form::Form;
pub use models::{MODELS, MissionControlModel};
pub use remark::Remark;
pub use shown::ShownConfiguration;

use tree::Tree;

/// What [`merge`] reads.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The environment.
    pub environment: &'a GatewayEnvironment,
    /// The base on the first start.
    pub template: &'a Value,
    /// The gateway's file, if it exists.
    pub existing: Option<&'a Value>,
    /// The configuration that the runtime generated, if it exists.
    pub generated: Option<&'a Value>,
    /// The gateway's release; `None` for the current one.
    pub release: Option<Release>,
}

/// The result of [`merge`].
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// The gateway's new configuration.
    pub config: Value,
    /// What the operator should know.
    pub remarks: Vec<Remark>,
}

/// Merges the sources into the gateway's configuration.
pub fn merge(sources: &Sources<'_>) -> Merged {
    let form = sources.release.map_or(Form::Entries, Form::of);
    let mut tree = Tree::new(sources.existing.unwrap_or(sources.template).clone());
    let mut remarks = Vec::new();
    settings::apply(&mut tree, sources.environment, form, &mut remarks);
    listening::apply(&mut tree, sources.environment, form, &mut remarks);
    models::apply(&mut tree, sources.environment, form, &mut remarks);
    channels::apply(&mut tree, sources.environment, form, &mut remarks);
    agents::apply(&mut tree, sources, form, &mut remarks);
    let (config, replaced) = tree.finish();
    remarks.extend(replaced.into_iter().map(Remark::Replaced));
    Merged { config, remarks }
}
