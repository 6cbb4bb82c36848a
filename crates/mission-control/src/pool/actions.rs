//! Functions that call Telegram (worker-pool C.7, C.8). They run outside of a transaction, so that a slow answer delays no
//! other call; what they learn is written in one transaction afterwards.

use std::sync::PoisonError;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::rows::{Bot, Texts};
use super::secrets::{self, BOT_TOKEN};
use super::telegram_api::{BotAccount, TelegramApi};
use super::{AGENT, METADATA, USER, WEBHOOK_PATH, agents, bindings};
use crate::answer::{Refusal, ensure};
use crate::auth;
use crate::call::{Answer, Call};
use crate::engine::{Caller, Engine, nobody};
use crate::function::Kind;
use crate::store::{Doc, POOL_BOT, StoreError, Tx};
use crate::validate::{Arg, Is, may, need, validate};
use crate::vault::{self, hex};
use mcr_model::secret::Secret;

/// The prefix of webhook secrets.
pub(super) const SECRET_PREFIX: &str = "af_v1_";
/// The most secrets of a bot that are valid without a confirmation. Beyond it, the oldest one is dropped.
const UNCONFIRMED_MAX: usize = 50;
const NO_FLY: &str =
    "The embedded Mission Control manages no machines: use the command `mission-control-runtime fly-cleanup`";

/// A function that runs outside of a transaction.
pub(crate) struct PoolAction {
    path: &'static str,
    args: &'static [Arg],
    run: fn(&Engine, &Map<String, Value>) -> Answer,
}

const ACTIONS: &[PoolAction] = &[
    PoolAction {
        path: "agentFactory:configureTelegramWebhook",
        args: &[need("convexSiteUrl", Is::Text), may("secretRef", Is::Text), may("agentKey", Is::Text)],
        run: configure_webhook,
    },
    PoolAction { path: "agentFactory:getWebhookReadiness", args: &[AGENT], run: webhook_readiness },
    PoolAction {
        path: "agentFactory:importTelegramTokenForAgent",
        args: &[USER, AGENT, need("plaintextValue", Is::Text), METADATA],
        run: import_token,
    },
    PoolAction {
        path: "agentFactory:reconcileTelegramBotIdentityForAgent",
        args: &[AGENT, may("secretRef", Is::Text)],
        run: reconcile_identity,
    },
    PoolAction {
        path: "agentFactory:deleteFlyVolume",
        args: &[need("appName", Is::Text), need("volumeId", Is::Text), may("flyApiToken", Is::Text)],
        run: |_, _| Err(Refusal::thrown(NO_FLY)),
    },
    PoolAction {
        path: "agentFactory:runFlyCleanup",
        args: &[
            may("flyApiToken", Is::Text),
            may("machineConcurrency", Is::Number),
            may("volumeConcurrency", Is::Number),
        ],
        run: |_, _| Err(Refusal::thrown(NO_FLY)),
    },
];

/// The action with this name.
pub(crate) fn find(path: &str) -> Option<&'static PoolAction> {
    let path = path.replacen(".js:", ":", 1);
    ACTIONS.iter().find(|action| action.path == path)
}

/// The names of all actions.
#[cfg(test)]
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|action| action.path)
}

impl PoolAction {
    /// Runs the action for a person.
    pub(crate) fn run(&self, engine: &Engine, kind: Kind, args: &Value, caller: Caller) -> Answer {
        if kind != Kind::Action {
            let (requested, defined) = (kind.word(), Kind::Action.word());
            return Err(Refusal::WrongKind { path: self.path.to_owned(), requested, defined });
        }
        validate(args, self.args).map_err(Refusal::Arguments)?;
        ensure!(caller == Caller::Person, "{}", Kind::Action.stranger());
        let none = Map::new();
        (self.run)(engine, args.as_object().unwrap_or(&none))
    }
}

fn parsed<T: DeserializeOwned>(args: &Map<String, Value>) -> Result<T, Refusal> {
    let read = serde_json::from_value(Value::Object(args.clone()));
    read.map_err(|why| StoreError::Fault(format!("arguments cannot be read: {why}")).into())
}

impl Engine {
    /// Runs a part of an action as one transaction that may write.
    pub(super) fn pool_write<T>(
        &self,
        work: impl FnOnce(&Call<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.store.write(|tx| self.in_call(tx, work))
    }

    /// Runs a part of an action as one transaction that only reads.
    pub(super) fn pool_read<T>(
        &self,
        work: impl FnOnce(&Call<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.store.read(|tx| self.in_call(tx, work))
    }

    fn in_call<T>(
        &self,
        tx: &Tx<'_>,
        work: impl FnOnce(&Call<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let args = Map::new();
        let (options, vault) = (self.options, self.vault.as_ref());
        let (provisioning, times) = (self.provisioning.as_ref(), self.times);
        work(&Call { tx, args: &args, account: nobody(), options, vault, provisioning, times, origin: "" })
    }

    fn telegram(&self) -> Result<&dyn TelegramApi, Refusal> {
        self.telegram.as_deref().ok_or_else(|| {
            Refusal::thrown(
                "This server has no client of Telegram: start it with `mission-control-runtime local`",
            )
        })
    }
}

/// Turns a failed call of Telegram into a refusal.
fn refused(why: impl std::fmt::Display) -> Refusal {
    Refusal::Thrown(format!("Telegram refused the call: {why}"))
}

/// A bot.
pub(super) fn bot(tx: &Tx<'_>, identity: &str) -> Result<Option<Doc<Bot>>, StoreError> {
    tx.find(POOL_BOT, &[Some(identity)]).first()
}

/// The address of the deployment's HTTP routes: https, without trailing slashes, `.site` in place of `.cloud`.
fn site_url(text: &str) -> Result<String, Refusal> {
    let url = text.trim().trim_end_matches('/');
    let rest = url.strip_prefix("https://").filter(|rest| !rest.is_empty());
    ensure!(
        rest.is_some(),
        "convexSiteUrl must start with https://, because Telegram calls no other addresses"
    );
    Ok(url.strip_suffix(".cloud").map_or_else(|| url.to_owned(), |start| format!("{start}.site")))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WebhookArgs {
    convex_site_url: String,
    secret_ref: Option<String>,
    agent_key: Option<String>,
}

/// Makes a new random secret for the bot and tells Telegram. A failed call may have reached Telegram, so until a call has
/// succeeded, every secret since the last success is valid, and that one, too.
fn configure_webhook(engine: &Engine, args: &Map<String, Value>) -> Answer {
    let args: WebhookArgs = parsed(args)?;
    let url = format!("{}{WEBHOOK_PATH}", site_url(&args.convex_site_url)?);
    let telegram = engine.telegram()?;
    let token = engine.pool_read(|call| {
        let of_agent = match &args.agent_key {
            Some(key) => secrets::bot_token_refs(&agents::existing(call.tx, key)?.row),
            None => Vec::new(),
        };
        let default = format!("{BOT_TOKEN}.default");
        let refs =
            args.secret_ref.clone().map_or_else(|| [of_agent, vec![default]].concat(), |name| vec![name]);
        opened(call, &refs)
    })?;
    let identity = telegram.account(&token).map_err(refused)?.id;
    // Telegram keeps the secret of the call that it took last, and the order of two calls at once is unknown.
    let one_at_a_time = engine.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
    let random: [u8; 32] = vault::random()?;
    let secret = Secret::new(format!("{SECRET_PREFIX}{identity}_{}", hex(&random)));
    let hash = auth::hash(secret.expose());
    engine.pool_write(|call| {
        if let Some(key) = &args.agent_key {
            agents::refuse_bot_of_another(call.tx, &identity, key)?;
            let mut agent = agents::existing(call.tx, key)?;
            agent.row.bot_identity = Some(identity.clone());
            call.tx.put(&agent)?;
        }
        let configured_at = call.now();
        match bot(call.tx, &identity)? {
            Some(mut bot) => {
                let unconfirmed = bot.row.unconfirmed_hashes.get_or_insert_default();
                unconfirmed.push(hash.clone());
                unconfirmed.drain(..unconfirmed.len().saturating_sub(UNCONFIRMED_MAX));
                (bot.row.webhook_url, bot.row.configured_at) = (url.clone(), configured_at);
                bot.row.verified_at = None;
                call.tx.put(&bot)?;
            }
            None => drop(call.tx.insert(Bot {
                bot_identity: identity.clone(),
                secret_hash: hash.clone(),
                webhook_url: url.clone(),
                configured_at,
                ..Bot::default()
            })?),
        }
        Ok(())
    })?;
    telegram.set_webhook(&token, &url, &secret).map_err(refused)?;
    engine.pool_write(|call| {
        if let Some(mut bot) = bot(call.tx, &identity)? {
            confirm(&mut bot.row, &hash);
            call.tx.put(&bot)?;
        }
        Ok(())
    })?;
    drop(one_at_a_time);
    let state = telegram.webhook(&token).map_err(refused)?;
    let is_ready = state.url.as_deref() == Some(url.as_str());
    engine.pool_write(|call| {
        if let Some(mut bot) = bot(call.tx, &identity)?.filter(|bot| bot.row.secret_hash == hash) {
            bot.row.verified_at = is_ready.then(|| call.now());
            call.tx.put(&bot)?;
        }
        Ok(())
    })?;
    Ok(json!({
        "ok": true,
        "webhookUrl": url,
        "currentUrl": state.url,
        "botIdentity": identity,
        "secretTokenConfigured": true,
        "isReady": is_ready,
        "pendingUpdateCount": state.pending,
        "lastErrorMessage": state.last_error,
        "lastErrorDate": state.last_error_at,
        "description": if is_ready { "Webhook was set" } else { "Telegram reports another webhook" },
    }))
}

/// Telegram has accepted the secret with this hash, so it does not have the ones before it any more.
fn confirm(bot: &mut Bot, hash: &str) {
    let unconfirmed = bot.unconfirmed_hashes.get_or_insert_default();
    let former = std::mem::replace(&mut bot.secret_hash, hash.to_owned());
    match unconfirmed.iter().position(|known| known == hash) {
        Some(at) => drop(unconfirmed.drain(..=at)),
        // A later configuration was faster, and which of the two Telegram has is unknown.
        None if former != hash => unconfirmed.push(former),
        None => {}
    }
    if unconfirmed.is_empty() {
        bot.unconfirmed_hashes = None;
    }
}

fn opened(call: &Call<'_>, refs: &[String]) -> Result<Secret, Refusal> {
    let found = secrets::open_first(call, refs.iter().cloned())?;
    found.map(|(_, token)| token).ok_or_else(|| {
        Refusal::thrown(format!(
            "No token is stored under {}: import the token of the bot first",
            refs.join(" or ")
        ))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AgentArgs {
    agent_key: String,
    secret_ref: Option<String>,
}

fn webhook_readiness(engine: &Engine, args: &Map<String, Value>) -> Answer {
    let args: AgentArgs = parsed(args)?;
    let telegram = engine.telegram()?;
    let found = engine.pool_read(|call| {
        let agent = agents::existing(call.tx, &args.agent_key)?.row;
        Ok(secrets::bot_token(call, &agent)?.map(|(name, token)| (name, token, agent.bot_identity)))
    })?;
    let Some((secret_ref, token, identity)) = found else {
        return Ok(json!({
            "agentKey": args.agent_key, "currentUrl": null, "lastErrorDate": null, "lastErrorMessage": null,
            "pendingUpdateCount": 0, "secretRef": null, "webhookReady": false,
        }));
    };
    let state = telegram.webhook(&token).map_err(refused)?;
    let is_ready = state.url.as_ref().is_some_and(|url| url.ends_with(WEBHOOK_PATH));
    engine.pool_write(|call| {
        let bot = identity.as_deref().map(|identity| bot(call.tx, identity)).transpose()?.flatten();
        if let Some(mut bot) = bot {
            let is_ours = state.url.as_ref() == Some(&bot.row.webhook_url);
            bot.row.verified_at = is_ours.then(|| call.now());
            call.tx.put(&bot)?;
        }
        Ok(())
    })?;
    Ok(json!({
        "agentKey": args.agent_key,
        "currentUrl": state.url,
        "lastErrorDate": state.last_error_at,
        "lastErrorMessage": state.last_error,
        "pendingUpdateCount": state.pending,
        "secretRef": secret_ref,
        "webhookReady": is_ready,
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenImportArgs {
    consumer_user_id: String,
    agent_key: String,
    plaintext_value: String,
    metadata: Option<Texts>,
}

fn import_token(engine: &Engine, args: &Map<String, Value>) -> Answer {
    let args: TokenImportArgs = parsed(args)?;
    let token = Secret::new(args.plaintext_value.trim());
    let (id, rest) = token.expose().split_once(':').unwrap_or_default();
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let is_token = !id.is_empty()
        && id.chars().all(|c| c.is_ascii_digit())
        && rest.len() >= 20
        && rest.chars().all(letters);
    ensure!(is_token, "This is no token of a bot: paste what BotFather sent, such as 123456:ABC…");
    engine.pool_read(|call| {
        bindings::refuse_agent_of_another(call.tx, &args.agent_key, &args.consumer_user_id)
    })?;
    let BotAccount { id, username } = engine.telegram()?.account(&token).map_err(refused)?;
    engine.pool_write(|call| {
        bindings::refuse_agent_of_another(call.tx, &args.agent_key, &args.consumer_user_id)?;
        agents::refuse_bot_of_another(call.tx, &id, &args.agent_key)?;
        let mut agent = agents::existing(call.tx, &args.agent_key)?;
        let secret_ref = format!("{BOT_TOKEN}.{}", args.agent_key);
        // The first listed secret wins, so the imported one comes first.
        agent.row.secrets_ref.retain(|name| *name != secret_ref);
        agent.row.secrets_ref.insert(0, secret_ref.clone());
        agent.row.bot_identity = Some(id.clone());
        agent.row.updated_at = call.now();
        call.tx.put(&agent)?;
        let mut metadata = args.metadata.clone().unwrap_or_default();
        metadata.insert("telegramBotId".to_owned(), id.clone());
        metadata.extend(username.clone().map(|name| ("telegramUsername".to_owned(), name)));
        let added = secrets::add(call, &secret_ref, &token, Some(metadata))?;
        Ok(json!({"secretId": added.id.as_str(), "secretRef": secret_ref, "version": added.row.version}))
    })
}

fn reconcile_identity(engine: &Engine, args: &Map<String, Value>) -> Answer {
    let args: AgentArgs = parsed(args)?;
    let (name, token) = engine.pool_read(|call| {
        let agent = agents::existing(call.tx, &args.agent_key)?.row;
        let refs = args.secret_ref.clone().map_or_else(|| secrets::bot_token_refs(&agent), |name| vec![name]);
        let found = secrets::open_first(call, refs)?;
        found.ok_or_else(|| {
            Refusal::thrown(format!("The agent {} has no token of a bot: import one", args.agent_key))
        })
    })?;
    let identity = engine.telegram()?.account(&token).map_err(refused)?.id;
    engine.pool_write(|call| {
        agents::refuse_bot_of_another(call.tx, &identity, &args.agent_key)?;
        let mut agent = agents::existing(call.tx, &args.agent_key)?;
        let is_new = agent.row.bot_identity.as_ref() != Some(&identity);
        agent.row.bot_identity = Some(identity.clone());
        call.tx.put(&agent)?;
        Ok(json!({"agentKey": args.agent_key, "botIdentity": identity, "secretRef": name, "updated": is_new}))
    })
}
