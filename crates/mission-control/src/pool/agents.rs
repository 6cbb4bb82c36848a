//! The profiles of the pool's agents (worker-pool C.6).

use serde::Deserialize;
use serde_json::json;

use super::AGENT;
use super::rows::{BridgeConfig, PoolAgent};
use super::secrets::{BOT_TOKEN, BRIDGE, CONVEX_URL, FLY_TOKEN};
use crate::answer::{Refusal, ensure};
use crate::call::{Answer, Call};
use crate::function::Function;
use crate::store::{Doc, POOL_AGENT, POOL_AGENT_OF_BOT, StoreError, Tx};
use crate::validate::{Is, may, need};

const BRIDGE_CONFIG: Is = Is::Object(&[
    need("enabled", Is::Bool),
    may("baseUrl", Is::Text),
    may("serviceId", Is::Text),
    may("appKey", Is::Text),
    may("serviceKeySecretRef", Is::Text),
    may("appBaseUrlMapJsonSecretRef", Is::Text),
]);
/// The longest key of an agent.
const KEY_CHARS: usize = 100;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::pool_mutation(
        "agentFactory:configureAgent",
        &[
            AGENT,
            need("version", Is::Text),
            need("secretsRef", Is::List(&Is::Text)),
            may("botIdentity", Is::Text),
            may("bridgeConfig", BRIDGE_CONFIG),
            may("companyId", Is::Text),
            may("displayName", Is::Text),
            need("enabled", Is::Bool),
        ],
        configure,
    ),
    Function::pool_mutation("agentFactory:seedDefaultAgent", &[], seed_default),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigureArgs {
    agent_key: String,
    version: String,
    secrets_ref: Vec<String>,
    bot_identity: Option<String>,
    bridge_config: Option<BridgeConfig>,
    company_id: Option<String>,
    display_name: Option<String>,
    enabled: bool,
}

fn configure(call: &Call<'_>) -> Answer {
    put(call, call.args()?)
}

fn seed_default(call: &Call<'_>) -> Answer {
    let args = ConfigureArgs {
        agent_key: "default".to_owned(),
        version: "1.0.0".to_owned(),
        secrets_ref: vec![BOT_TOKEN.to_owned()],
        bot_identity: None,
        bridge_config: None,
        company_id: None,
        display_name: None,
        enabled: true,
    };
    put(call, args)
}

/// Adds or changes a profile. The bot of a profile stays, unless another one is given.
fn put(call: &Call<'_>, args: ConfigureArgs) -> Answer {
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let fits = (1..=KEY_CHARS).contains(&args.agent_key.len()) && args.agent_key.chars().all(is_key);
    ensure!(fits, "An agent's key has 1 to {KEY_CHARS} letters, digits and . _ -");
    let mut secrets_ref = args.secrets_ref;
    let bridge: &[&str] = if args.bridge_config.is_some() { &BRIDGE } else { &[] };
    for name in [CONVEX_URL, FLY_TOKEN].iter().chain(bridge) {
        if !secrets_ref.iter().any(|known| known == name) {
            secrets_ref.push((*name).to_owned());
        }
    }
    let stored = find(call.tx, &args.agent_key)?;
    let bot_identity =
        args.bot_identity.or_else(|| stored.as_ref().and_then(|stored| stored.row.bot_identity.clone()));
    if let Some(identity) = &bot_identity {
        refuse_bot_of_another(call.tx, identity, &args.agent_key)?;
    }
    let row = PoolAgent {
        agent_key: args.agent_key,
        version: args.version,
        secrets_ref,
        enabled: args.enabled,
        updated_at: call.now(),
        bot_identity,
        bridge_config: args.bridge_config,
        company_id: args.company_id,
        display_name: args.display_name,
    };
    let id = match stored {
        Some(mut stored) => {
            stored.row = row;
            call.tx.put(&stored)?;
            stored.id
        }
        None => call.tx.insert(row)?.id,
    };
    Ok(json!(id.as_str()))
}

/// The profile with this key.
pub(super) fn find(tx: &Tx<'_>, key: &str) -> Result<Option<Doc<PoolAgent>>, StoreError> {
    tx.find(POOL_AGENT, &[Some(key)]).first()
}

/// The profile with this key, or a refusal.
pub(super) fn existing(tx: &Tx<'_>, key: &str) -> Result<Doc<PoolAgent>, Refusal> {
    find(tx, key)?
        .ok_or_else(|| Refusal::thrown(format!("The agent {key} does not exist: configure it first")))
}

/// The enabled profile with this key, or a refusal.
pub(super) fn enabled(tx: &Tx<'_>, key: &str) -> Result<Doc<PoolAgent>, Refusal> {
    let agent = existing(tx, key)?;
    ensure!(agent.row.enabled, "The agent {key} is disabled: enable it first");
    Ok(agent)
}

/// A bot belongs to one agent.
pub(super) fn refuse_bot_of_another(tx: &Tx<'_>, identity: &str, key: &str) -> Result<(), Refusal> {
    let owner = tx.find::<PoolAgent>(POOL_AGENT_OF_BOT, &[Some(identity)]).first()?;
    match owner.filter(|owner| owner.row.agent_key != key) {
        Some(owner) => Err(Refusal::thrown(format!(
            "The bot {identity} belongs to the agent {}: one bot serves one agent",
            owner.row.agent_key
        ))),
        None => Ok(()),
    }
}
