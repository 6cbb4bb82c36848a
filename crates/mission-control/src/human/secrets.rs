//! Providers' keys: people add and remove them, and only runtimes can read them.

use serde::Deserialize;
use serde_json::{Value, json};

use super::accounts;
use crate::Refusal;
use crate::answer::ensure;
use crate::call::{Answer, Call};
use crate::function::{ACCOUNT, Function, TOKEN, done};
use crate::keys::{self, SealedRow as _};
use crate::rows::ProviderKey;
use crate::rules::activity::Actor;
use crate::rules::reach;
use crate::validate::{Arg, Is, need};
use mcr_model::limits;
use mcr_model::secret::Secret;

const PROVIDER: Arg = need("provider", Is::Text);
/// The maximum length of a key.
const KEY_CHARS: usize = 8_192;
/// The last four characters are shown only for keys of at least this length. They would reveal too much of a shorter
/// key.
const LAST4_FROM: usize = 12;

/// Providers that have their own names, with the variables that agents' tools read.
const NAMED: [(&str, &str); 3] = [
    ("anthropic", "ANTHROPIC_API_KEY"),
    ("openai", "OPENAI_API_KEY"),
    ("vercel-ai-gateway", "AI_GATEWAY_API_KEY"),
];

/// Variables that the runtime reads for itself. A provider's key under such a name would change the runtime's
/// configuration.
const RESERVED: [&str; 5] =
    ["SERVICE_TOKEN", "ADMIN_KEY", "OPENCLAW_GATEWAY_TOKEN", "CONVEX_DEPLOY_KEY", "CONVEX_ADMIN_KEY"];

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::mutation("secrets:upsertProviderKey", &[ACCOUNT, PROVIDER, need("key", Is::Text)], upsert),
    Function::mutation("secrets:removeProviderKey", &[ACCOUNT, PROVIDER], remove),
    Function::query("secrets:listProviderKeys", &[ACCOUNT], list),
    Function::service_write("service/actions:getRuntimeSecrets", &[ACCOUNT, TOKEN], runtime_secrets),
];

/// A provider with its canonical name and its variable.
struct Provider {
    name: String,
    env_name: String,
}

impl Provider {
    /// Parses a provider's name or its variable. Both mean the same provider.
    fn parse(text: &str) -> Result<Self, Refusal> {
        if let Some((name, variable)) =
            NAMED.iter().find(|(name, variable)| [name, variable].contains(&&text))
        {
            return Ok(Self { name: (*name).to_owned(), env_name: (*variable).to_owned() });
        }
        let letters = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let well_formed = (3..=64).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.chars().all(letters)
            && (text.ends_with("_KEY") || text.ends_with("_TOKEN"));
        // The error does not repeat the text, because it may be a key in the wrong field.
        ensure!(
            well_formed,
            "Invalid provider: use anthropic, openai, vercel-ai-gateway, or a variable's name such as BRAVE_API_KEY \
             (capitals, digits and _, ending in _KEY or _TOKEN)"
        );
        ensure!(!RESERVED.contains(&text), "Invalid provider: {text} is reserved for the runtime");
        Ok(Self { name: text.to_owned(), env_name: text.to_owned() })
    }
}

/// Refuses a text that is not a provider.
pub(crate) fn check_provider(text: &str) -> Result<(), Refusal> {
    Provider::parse(text).map(drop)
}

/// Validates a key, without contacting the provider.
pub(super) fn key(text: &str) -> Result<Secret, Refusal> {
    let key = text.trim();
    ensure!(!key.is_empty(), "Invalid key: must not be blank");
    ensure!(limits::chars(key) <= KEY_CHARS, "Invalid key: too long (max {KEY_CHARS} characters)");
    let printable = key.chars().all(|c| c.is_ascii_graphic());
    ensure!(
        printable,
        "Invalid key: only printable characters without blanks are allowed; paste only the key"
    );
    Ok(Secret::new(key))
}

pub(super) fn last4(key: &Secret) -> String {
    let text = key.expose();
    let shown = if text.len() < LAST4_FROM { "" } else { &text[text.len() - 4..] };
    shown.to_owned()
}

#[derive(Deserialize)]
struct Upsert {
    provider: String,
    key: String,
}

/// Stores a provider's key. It replaces the previous one.
fn upsert(call: &Call<'_>) -> Answer {
    let args: Upsert = call.args()?;
    let provider = Provider::parse(&args.provider)?;
    let key = key(&args.key)?;
    let vault = call.vault()?;
    let stored = keys::find(call.tx, call.account_id(), &provider.name)?;
    let mut row = ProviderKey {
        account_id: call.account_id().clone(),
        provider: provider.name,
        last4: last4(&key),
        updated_at: call.now(),
        ..ProviderKey::default()
    };
    row.seal(vault, &key)?;
    record(call, &row.provider, if stored.is_some() { "replaced" } else { "added" })?;
    match stored {
        Some(mut stored) => {
            stored.row = row;
            call.tx.put(&stored)?;
        }
        None => {
            call.tx.insert(row)?;
        }
    }
    done()
}

fn record(call: &Call<'_>, provider: &str, action: &str) -> Result<(), Refusal> {
    let person = reach::person(call)?;
    let meta = json!({"provider": provider, "action": action});
    Ok(accounts::record(call, "secret_updated", &Actor::person(&person), meta)?)
}

#[derive(Deserialize)]
struct Remove {
    provider: String,
}

/// Removes a provider's key. A missing key is not an error.
fn remove(call: &Call<'_>) -> Answer {
    let args: Remove = call.args()?;
    let provider = Provider::parse(&args.provider)?;
    if let Some(stored) = keys::find(call.tx, call.account_id(), &provider.name)? {
        call.tx.delete(&stored.id)?;
        record(call, &provider.name, "removed")?;
    }
    done()
}

/// The stored keys: enough of each to recognise it, too little to use it. `fetchedAt` is the first fetch by a runtime.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let keys = keys::all(call.tx, call.account_id())?;
    let seen = keys.iter().map(|key| {
        let ProviderKey { provider, key_id, updated_at, last4, fetched_at, .. } = &key.row;
        json!({
            "provider": provider,
            "keyId": key_id,
            "updatedAt": updated_at,
            "last4": last4,
            "fetchedAt": fetched_at,
        })
    });
    Ok(seen.collect())
}

/// The keys in plain text, for the account's runtime. No other function returns them. `version` differs after every
/// change, so that a runtime can compare versions instead of keys. The first fetch of a key is noted for the page.
fn runtime_secrets(call: &Call<'_>) -> Answer {
    let stored = keys::all(call.tx, call.account_id())?;
    let open = |key: &ProviderKey| -> Answer {
        let value = key.open(call.vault()?)?;
        let Provider { name, env_name } = Provider::parse(&key.provider)?;
        Ok(
            json!({"provider": name, "envName": env_name, "value": value.expose(), "updatedAt": key.updated_at}),
        )
    };
    let opened: Value = stored.iter().map(|key| open(&key.row)).collect::<Answer>()?;
    for mut key in stored.iter().filter(|key| key.row.fetched_at.is_none()).cloned() {
        key.row.fetched_at = Some(call.now());
        call.tx.put(&key)?;
    }
    Ok(json!({"version": keys::version(&stored), "keys": opened}))
}
