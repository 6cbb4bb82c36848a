//! The secrets of the pool, sealed with the master key (worker-pool C.6; F.30).
//!
//! An import adds a version and switches the previous one off. Only the hydration bundle and calls of Telegram open a
//! secret.

use serde::Deserialize;
use serde_json::{Value, json};

use super::rows::{BridgeConfig, PoolAgent, PoolSecret, Texts};
use super::{METADATA, agents, queue};
use crate::answer::{Refusal, ensure};
use crate::call::{Answer, Call};
use crate::function::Function;
use crate::keys::KeyError;
use crate::store::{Doc, POOL_SECRET, StoreError, Tx};
use crate::validate::{Is, may, need};
use crate::vault::{SealContext, Sealed, Vault};
use mcr_model::secret::Secret;

/// The context of sealing. No account has this id.
const PLACE: &str = "agentFactory";
/// The longest secret, and the longest name.
const SECRET_BYTES: usize = 64 * 1024;
const REF_CHARS: usize = 200;

/// The name of the secret with a bot's token, and its beginning for one agent.
pub(super) const BOT_TOKEN: &str = "telegram.botToken";
/// The secrets that every deployment has.
pub(super) const CONVEX_URL: &str = "convex.url";
pub(super) const FLY_TOKEN: &str = "fly.apiToken";
const SERVICE_KEY: &str = "agent-bridge.serviceKey";
const BASE_URL: &str = "agent-bridge.baseUrl";
const BASE_URL_MAP: &str = "agent-bridge.baseUrlMapJson";
const SERVICE_ID: &str = "agent-bridge.serviceId";
const APP_KEY: &str = "agent-bridge.appKey";
pub(super) const BRIDGE: [&str; 5] = [SERVICE_KEY, BASE_URL, BASE_URL_MAP, SERVICE_ID, APP_KEY];

pub(super) const FUNCTIONS: &[Function] = &[
    Function::pool_mutation(
        "agentFactory:importSecret",
        &[need("secretRef", Is::Text), need("plaintextValue", Is::Text), METADATA],
        import,
    ),
    Function::pool_query("agentFactory:secretStatus", &[need("secretRefs", Is::List(&Is::Text))], status),
    Function::pool_query("agentFactory:getRequiredSecretRefs", &[may("agentKey", Is::Text)], required),
];

impl PoolSecret {
    fn place(&self) -> SealContext<'_> {
        SealContext { account: PLACE, provider: &self.secret_ref }
    }

    fn sealed(&self) -> Sealed {
        let Self { key_id, nonce, ciphertext, .. } = self;
        Sealed { key_id: key_id.clone(), nonce: nonce.clone(), ciphertext: ciphertext.clone() }
    }

    fn put_in(&mut self, sealed: Sealed) {
        (self.key_id, self.nonce, self.ciphertext) = (sealed.key_id, sealed.nonce, sealed.ciphertext);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SecretArgs {
    secret_ref: String,
    plaintext_value: String,
    metadata: Option<Texts>,
}

fn import(call: &Call<'_>) -> Answer {
    let args: SecretArgs = call.args()?;
    let added = add(call, &args.secret_ref, &Secret::new(args.plaintext_value), args.metadata)?;
    Ok(
        json!({"secretId": added.id.as_str(), "secretRef": added.row.secret_ref, "version": added.row.version}),
    )
}

/// Adds the next version of a secret, and switches the previous one off.
pub(super) fn add(
    call: &Call<'_>,
    secret_ref: &str,
    value: &Secret,
    metadata: Option<Texts>,
) -> Result<Doc<PoolSecret>, Refusal> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    let fits = !secret_ref.is_empty() && secret_ref.len() <= REF_CHARS && secret_ref.chars().all(is_name);
    ensure!(fits, "A secret's name has 1 to {REF_CHARS} letters, digits and . _ - :");
    let bytes = value.expose().len();
    ensure!(!value.expose().trim().is_empty(), "The value of {secret_ref} is blank: paste the secret");
    ensure!(bytes <= SECRET_BYTES, "The value of {secret_ref} has {bytes} bytes, more than {SECRET_BYTES}");
    queue::check_metadata(metadata.as_ref())?;
    let mut row = PoolSecret {
        secret_ref: secret_ref.to_owned(),
        version: 1.0,
        active: true,
        created_at: call.now(),
        metadata,
        ..PoolSecret::default()
    };
    for mut old in call.tx.find::<PoolSecret>(POOL_SECRET, &[Some(secret_ref)]).rows()? {
        row.version = row.version.max(old.row.version + 1.0);
        if old.row.active {
            row.rotated_from = Some(old.id.to_string());
            old.row.active = false;
            call.tx.put(&old)?;
        }
    }
    let sealed = call.vault()?.seal(row.place(), value)?;
    row.put_in(sealed);
    Ok(call.tx.insert(row)?)
}

/// The active version of a secret.
pub(super) fn active(tx: &Tx<'_>, secret_ref: &str) -> Result<Option<Doc<PoolSecret>>, StoreError> {
    let newest = tx.find::<PoolSecret>(POOL_SECRET, &[Some(secret_ref)]).newest_first().first()?;
    Ok(newest.filter(|newest| newest.row.active))
}

/// The value of the first of these secrets that is active, with its name.
pub(super) fn open_first(
    call: &Call<'_>,
    refs: impl IntoIterator<Item = String>,
) -> Result<Option<(String, Secret)>, Refusal> {
    for secret_ref in refs {
        if let Some(found) = active(call.tx, &secret_ref)? {
            let value = call.vault()?.open(found.row.place(), &found.row.sealed())?;
            return Ok(Some((secret_ref, value)));
        }
    }
    Ok(None)
}

/// The names under which the token of an agent's bot may be stored: those that the profile lists.
pub(super) fn bot_token_refs(agent: &PoolAgent) -> Vec<String> {
    agent.secrets_ref.iter().filter(|name| name.starts_with(BOT_TOKEN)).cloned().collect()
}

/// The token of an agent's bot, with the name of its secret.
pub(super) fn bot_token(call: &Call<'_>, agent: &PoolAgent) -> Result<Option<(String, Secret)>, Refusal> {
    open_first(call, bot_token_refs(agent))
}

/// The settings of an agent's bridge, or null.
pub(super) fn bridge(call: &Call<'_>, agent: &PoolAgent) -> Answer {
    let Some(config) = agent.bridge_config.as_ref().filter(|config| config.enabled) else {
        return Ok(Value::Null);
    };
    let BridgeConfig { base_url, service_id, app_key, service_key_secret_ref, .. } = config;
    let map_ref = &config.app_base_url_map_json_secret_ref;
    let stored = |explicit: Option<&String>, name: &str| {
        let refs =
            explicit.cloned().into_iter().chain([format!("{name}.{}", agent.agent_key), name.to_owned()]);
        open_first(call, refs)
    };
    let text = |literal: &Option<String>, name: &str| -> Answer {
        Ok(match literal {
            Some(literal) => json!(literal),
            None => json!(stored(None, name)?.map(|(_, value)| value.expose().to_owned())),
        })
    };
    let key = stored(service_key_secret_ref.as_ref(), SERVICE_KEY)?;
    let map = stored(map_ref.as_ref(), BASE_URL_MAP)?;
    Ok(json!({
        "baseUrl": text(base_url, BASE_URL)?,
        "appBaseUrlMapJson": map.map(|(_, value)| value.expose().to_owned()),
        "serviceId": text(service_id, SERVICE_ID)?,
        "appKey": text(app_key, APP_KEY)?,
        "serviceKey": key.as_ref().map(|(_, value)| value.expose().to_owned()),
        "serviceKeySecretRef": key.map(|(name, _)| name),
        "botIdentity": agent.bot_identity,
    }))
}

fn status(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct SecretRefsArgs {
        secret_refs: Vec<String>,
    }
    let args: SecretRefsArgs = call.args()?;
    let line = |secret_ref: &String| -> Answer {
        let version = active(call.tx, secret_ref)?.map(|found| found.row.version);
        Ok(json!({"secretRef": secret_ref, "hasActive": version.is_some(), "version": version}))
    };
    args.secret_refs.iter().map(line).collect()
}

fn required(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct RequiredRefsArgs {
        agent_key: Option<String>,
    }
    let args: RequiredRefsArgs = call.args()?;
    let agent = args.agent_key.as_deref().map(|key| agents::find(call.tx, key)).transpose()?.flatten();
    let refs = match (&args.agent_key, agent) {
        (_, Some(agent)) => agent.row.secrets_ref,
        (Some(key), None) => vec![format!("{BOT_TOKEN}.{key}")],
        (None, None) => vec![BOT_TOKEN.to_owned()],
    };
    Ok(json!({"agentKey": args.agent_key, "secretRefs": refs}))
}

/// Fails if another master key sealed one of the secrets.
pub(crate) fn check(tx: &Tx<'_>, vault: &Vault) -> Result<(), KeyError> {
    for key_id in sealed_with(tx)? {
        vault.check(&key_id)?;
    }
    Ok(())
}

/// The ids of the master keys that sealed the secrets.
pub(crate) fn sealed_with(tx: &Tx<'_>) -> Result<Vec<String>, StoreError> {
    Ok(tx.all::<PoolSecret>()?.into_iter().map(|secret| secret.row.key_id).collect())
}

/// Seals all secrets with the next master key. Returns their number.
pub(crate) fn rotate(tx: &Tx<'_>, vault: &Vault, next: &Vault) -> Result<usize, KeyError> {
    let secrets = tx.all::<PoolSecret>()?;
    for secret in &secrets {
        let mut secret = secret.clone();
        let sealed = vault.rotate(next, secret.row.place(), &secret.row.sealed())?;
        secret.row.put_in(sealed);
        tx.put(&secret)?;
    }
    Ok(secrets.len())
}
