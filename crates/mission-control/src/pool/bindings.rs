//! Which agent a user has, and which chat belongs to the user (worker-pool C.8).

use serde::Deserialize;
use serde_json::{Value, json};

use super::rows::{Binding, PairingCode, PoolAgent, Texts};
use super::{AGENT, METADATA, USER, agents, queue, reads};
use crate::answer::{Refusal, ensure};
use crate::call::{Answer, Call};
use crate::function::Function;
use crate::store::{
    BINDINGS_BY_CHAT, BINDINGS_BY_PERSON, BINDINGS_OF_AGENT, BINDINGS_OF_CHAT, BINDINGS_OF_PERSON,
    BINDINGS_OF_USER, Doc, PAIRINGS_BY_STATUS, StoreError, Tx,
};
use crate::validate::{Is, may};

pub(super) const ACTIVE: &str = "active";
pub(super) const REVOKED: &str = "revoked";
/// The source of a binding that a pairing made.
pub(super) const PAIRED: &str = "telegram_pairing";

pub(super) const FUNCTIONS: &[Function] = &[
    Function::pool_mutation(
        "agentFactory:bindUserAgent",
        &[
            USER,
            AGENT,
            may("botIdentity", Is::Text),
            may("source", Is::OneOf(&["manual", PAIRED, "api"])),
            may("telegramUserId", Is::Text),
            may("telegramChatId", Is::Text),
            METADATA,
        ],
        bind_user,
    ),
    Function::pool_mutation("agentFactory:revokeUserAgentBinding", &[USER], revoke_user),
    Function::pool_query("agentFactory:getUserAgentBinding", &[USER], get),
    Function::pool_query("agentFactory:myAgentKey", &[USER], my_agent),
    Function::pool_query(
        "agentFactory:resolveAgentForTelegram",
        &[may("botIdentity", Is::Text), may("telegramUserId", Is::Text), may("telegramChatId", Is::Text)],
        resolve_telegram,
    ),
    Function::pool_mutation(
        "agentFactory:softResetTelegramBindingsMissingBotIdentity",
        &[
            may("nowMs", Is::Number),
            may("revokeActiveBindings", Is::Bool),
            may("expirePendingPairings", Is::Bool),
        ],
        soft_reset,
    ),
];

/// A binding to make.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewBinding {
    pub(super) consumer_user_id: String,
    pub(super) agent_key: String,
    pub(super) bot_identity: Option<String>,
    pub(super) source: Option<String>,
    pub(super) telegram_user_id: Option<String>,
    pub(super) telegram_chat_id: Option<String>,
    pub(super) metadata: Option<Texts>,
}

fn bind_user(call: &Call<'_>) -> Answer {
    let new = checked(call.tx, call.args()?)?;
    Ok(view(&bind(call.tx, new)?.row))
}

/// Checks a new binding, and completes it. [`bind`] refuses nothing any more.
pub(super) fn checked(tx: &Tx<'_>, mut new: NewBinding) -> Result<NewBinding, Refusal> {
    let agent = agents::existing(tx, &new.agent_key)?;
    ensure!(!new.consumer_user_id.trim().is_empty(), "consumerUserId is blank: name the user");
    queue::check_metadata(new.metadata.as_ref())?;
    let of_telegram = new.telegram_user_id.is_some() || new.telegram_chat_id.is_some();
    new.bot_identity = new.bot_identity.or(agent.row.bot_identity);
    ensure!(
        !of_telegram || new.bot_identity.is_some(),
        "The agent {} has no bot, so ids of Telegram mean nothing: import the token of its bot first",
        new.agent_key
    );
    Ok(new)
}

/// Binds a user to an agent. Other bindings of the user, and those of others with the same person or chat, are revoked.
pub(super) fn bind(tx: &Tx<'_>, new: NewBinding) -> Result<Doc<Binding>, Refusal> {
    let active = Some(ACTIVE);
    let mut replaced: Vec<Doc<Binding>> =
        tx.find(BINDINGS_OF_USER, &[Some(&new.consumer_user_id), active]).rows()?;
    if let Some(bot) = new.bot_identity.as_deref() {
        for (index, id) in
            [(BINDINGS_OF_PERSON, &new.telegram_user_id), (BINDINGS_OF_CHAT, &new.telegram_chat_id)]
        {
            if let Some(id) = id {
                replaced.extend(tx.find::<Binding>(index, &[Some(bot), Some(id), active]).rows()?);
            }
        }
    }
    for mut binding in replaced {
        revoke(tx, &mut binding)?;
    }
    Ok(tx.insert(Binding {
        conversation_id: reads::conversation_id(&new.agent_key, &new.consumer_user_id),
        consumer_user_id: new.consumer_user_id,
        agent_key: new.agent_key,
        status: ACTIVE.to_owned(),
        source: new.source.unwrap_or_else(|| "api".to_owned()),
        bound_at: tx.now(),
        bot_identity: new.bot_identity,
        telegram_user_id: new.telegram_user_id,
        telegram_chat_id: new.telegram_chat_id,
        metadata: new.metadata,
        revoked_at: None,
    })?)
}

fn revoke(tx: &Tx<'_>, binding: &mut Doc<Binding>) -> Result<(), StoreError> {
    REVOKED.clone_into(&mut binding.row.status);
    binding.row.revoked_at = Some(tx.now());
    tx.put(binding)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BoundUserArgs {
    consumer_user_id: String,
}

fn revoke_user(call: &Call<'_>) -> Answer {
    let args: BoundUserArgs = call.args()?;
    let bindings: Vec<Doc<Binding>> =
        call.tx.find(BINDINGS_OF_USER, &[Some(&args.consumer_user_id), Some(ACTIVE)]).rows()?;
    let count = bindings.len();
    for mut binding in bindings {
        revoke(call.tx, &mut binding)?;
    }
    Ok(json!({"revoked": count}))
}

/// The active binding of a user.
pub(super) fn active(tx: &Tx<'_>, user: &str) -> Result<Option<Doc<Binding>>, StoreError> {
    tx.find(BINDINGS_OF_USER, &[Some(user), Some(ACTIVE)]).newest_first().first()
}

/// The active binding of a user to this agent, or a refusal.
pub(super) fn active_to(tx: &Tx<'_>, user: &str, agent_key: &str) -> Result<Doc<Binding>, Refusal> {
    let found = active(tx, user)?.filter(|found| found.row.agent_key == agent_key);
    found.ok_or_else(|| {
        Refusal::thrown(format!(
            "{agent_key} is not the active agent of the user {user}: bind the user first"
        ))
    })
}

/// Refuses a user who wants to change the agent of another user.
pub(super) fn refuse_agent_of_another(tx: &Tx<'_>, agent_key: &str, user: &str) -> Result<(), Refusal> {
    agents::existing(tx, agent_key)?;
    let bindings: Vec<Doc<Binding>> = tx.find(BINDINGS_OF_AGENT, &[Some(agent_key), Some(ACTIVE)]).rows()?;
    let is_own = bindings.is_empty() || bindings.iter().any(|binding| binding.row.consumer_user_id == user);
    ensure!(is_own, "The agent {agent_key} belongs to another user");
    Ok(())
}

/// A binding as the functions show it.
pub(super) fn view(row: &Binding) -> Value {
    json!({
        "agentKey": row.agent_key,
        "botIdentity": row.bot_identity,
        "boundAt": row.bound_at,
        "consumerUserId": row.consumer_user_id,
        "conversationId": row.conversation_id,
        "metadata": row.metadata,
        "revokedAt": row.revoked_at,
        "source": row.source,
        "status": row.status,
        "telegramChatId": row.telegram_chat_id,
        "telegramUserId": row.telegram_user_id,
    })
}

fn get(call: &Call<'_>) -> Answer {
    let args: BoundUserArgs = call.args()?;
    Ok(active(call.tx, &args.consumer_user_id)?.map_or(Value::Null, |found| view(&found.row)))
}

fn my_agent(call: &Call<'_>) -> Answer {
    let args: BoundUserArgs = call.args()?;
    let agent_key = active(call.tx, &args.consumer_user_id)?.map(|found| found.row.agent_key);
    Ok(json!({"consumerUserId": args.consumer_user_id, "agentKey": agent_key}))
}

/// The active binding of a person or a chat. With a bot, only its own bindings count (F.33).
pub(super) fn resolve(
    tx: &Tx<'_>,
    bot: Option<&str>,
    person: Option<&str>,
    chat: Option<&str>,
) -> Result<Option<Doc<Binding>>, StoreError> {
    let active = Some(ACTIVE);
    let found = |with_bot, without, id: Option<&str>| match (bot, id) {
        (_, None) => Ok(None),
        (Some(bot), id) => tx.find::<Binding>(with_bot, &[Some(bot), id, active]).first(),
        (None, id) => tx.find::<Binding>(without, &[id, active]).first(),
    };
    match found(BINDINGS_OF_PERSON, BINDINGS_BY_PERSON, person)? {
        Some(binding) => Ok(Some(binding)),
        None => found(BINDINGS_OF_CHAT, BINDINGS_BY_CHAT, chat),
    }
}

fn resolve_telegram(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ResolveArgs {
        bot_identity: Option<String>,
        telegram_user_id: Option<String>,
        telegram_chat_id: Option<String>,
    }
    let args: ResolveArgs = call.args()?;
    let found = resolve(
        call.tx,
        args.bot_identity.as_deref(),
        args.telegram_user_id.as_deref(),
        args.telegram_chat_id.as_deref(),
    )?;
    let row = found.map(|found| found.row);
    Ok(json!({
        "agentKey": row.as_ref().map(|row| &row.agent_key),
        "consumerUserId": row.as_ref().map(|row| &row.consumer_user_id),
        "conversationId": row.as_ref().map(|row| &row.conversation_id),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResetArgs {
    revoke_active_bindings: Option<bool>,
    expire_pending_pairings: Option<bool>,
}

/// Marks paired bindings without a bot, and revokes them (C.8, migration).
fn soft_reset(call: &Call<'_>) -> Answer {
    let args: ResetArgs = call.args()?;
    let (tx, now) = (call.tx, call.now());
    let (mut revoked, mut annotated, mut legacy) = (0, 0, 0);
    for mut binding in tx.all::<Binding>()? {
        if binding.row.source != PAIRED || binding.row.bot_identity.is_some() {
            continue;
        }
        legacy += 1;
        let metadata = binding.row.metadata.get_or_insert_default();
        metadata.insert("softResetReason".to_owned(), "missing_bot_identity".to_owned());
        metadata.insert("softResetAt".to_owned(), now.to_string());
        metadata.insert("softResetMode".to_owned(), "telegram_bot_identity_v1".to_owned());
        if binding.row.status == ACTIVE && args.revoke_active_bindings.unwrap_or(true) {
            revoke(tx, &mut binding)?;
            revoked += 1;
        } else {
            tx.put(&binding)?;
            annotated += 1;
        }
    }
    let (mut expired, mut pending) = (0, 0);
    for mut code in tx.find::<PairingCode>(PAIRINGS_BY_STATUS, &[Some("pending")]).rows()? {
        if code.row.bot_identity.is_some() {
            continue;
        }
        pending += 1;
        if args.expire_pending_pairings.unwrap_or(true) {
            "expired".clone_into(&mut code.row.status);
            tx.put(&code)?;
            expired += 1;
        }
    }
    let profiles = tx.all::<PoolAgent>()?.iter().filter(|agent| agent.row.bot_identity.is_none()).count();
    Ok(json!({
        "revokedBindings": revoked,
        "annotatedBindings": annotated,
        "expiredPairings": expired,
        "pendingPairingsMissingBotIdentity": pending,
        "legacyBindingsMissingBotIdentity": legacy,
        "profilesMissingBotIdentity": profiles,
    }))
}
