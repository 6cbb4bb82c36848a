//! Pairing codes: a user shows a code to the bot, and the chat becomes the user's (worker-pool C.8; F.36).

use serde::Deserialize;
use serde_json::{Value, json};

use super::bindings::{self, NewBinding, PAIRED};
use super::rows::PairingCode;
use super::{AGENT, USER, agents, overview};
use crate::answer::{Refusal, ensure};
use crate::call::{Answer, Call};
use crate::function::Function;
use crate::number;
use crate::store::{Doc, PAIRING_CODE, PAIRINGS_BY_STATUS, PAIRINGS_OF_USER, StoreError, Tx};
use crate::validate::{Arg, Is, may, need};
use crate::vault;

pub(super) const PENDING: &str = "pending";
const USED: &str = "used";
const EXPIRED: &str = "expired";

/// How long a code is valid: at least, at most, and by default.
const TTL_MIN: f64 = 60_000.0;
const TTL_MAX: f64 = 24.0 * 3_600_000.0;
const TTL: f64 = 15.0 * 60_000.0;
/// The characters of a code: 32 of them, so that each is equally likely. Letters that look like digits are left out.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE_CHARS: usize = 10;
/// The attempts at a code that does not exist yet.
const ATTEMPTS: usize = 5;
/// The codes that one reconcile expires.
const EXPIRED_MAX: usize = 500;

const TTL_ARG: Arg = may("ttlMs", Is::Number);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::pool_mutation("agentFactory:createPairingCode", &[USER, AGENT, TTL_ARG], create),
    Function::pool_mutation("agentFactory:createUserAgentPairing", &[USER, AGENT, TTL_ARG], create_with_link),
    Function::pool_mutation(
        "agentFactory:consumePairingCode",
        &[
            need("code", Is::Text),
            may("botIdentity", Is::Text),
            need("telegramUserId", Is::Text),
            need("telegramChatId", Is::Text),
        ],
        consume_code,
    ),
    Function::pool_query("agentFactory:getPairingCodeStatus", &[need("code", Is::Text)], code_status),
    Function::pool_query("agentFactory:getUserAgentPairingStatus", &[USER, AGENT], user_status),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PairingArgs {
    consumer_user_id: String,
    agent_key: String,
    #[serde(default, deserialize_with = "number::finite")]
    ttl_ms: Option<f64>,
}

fn create(call: &Call<'_>) -> Answer {
    Ok(view(&add(call)?, call.now()))
}

fn create_with_link(call: &Call<'_>) -> Answer {
    let code = add(call)?;
    let link = link(call, &code.row)?;
    Ok(json!({"pairing": view(&code, call.now()), "deepLink": link}))
}

/// The address that sends the code to the bot. None if the name of the bot is unknown (F.40).
pub(super) fn link(call: &Call<'_>, code: &PairingCode) -> Result<Option<String>, Refusal> {
    let username = overview::username(call, &code.agent_key)?;
    Ok(username.map(|name| format!("https://t.me/{name}?start={}", code.code)))
}

fn add(call: &Call<'_>) -> Result<Doc<PairingCode>, Refusal> {
    let args: PairingArgs = call.args()?;
    let (tx, now) = (call.tx, call.now());
    let agent = agents::enabled(tx, &args.agent_key)?;
    ensure!(!args.consumer_user_id.trim().is_empty(), "consumerUserId is blank: name the user");
    let Some(bot_identity) = agent.row.bot_identity else {
        return Err(Refusal::thrown(format!(
            "The agent {} has no bot: import the token of its bot first",
            args.agent_key
        )));
    };
    let pending = tx.find::<PairingCode>(PAIRINGS_OF_USER, &[Some(&args.consumer_user_id), Some(PENDING)]);
    for mut old in pending.rows()? {
        if old.row.expires_at <= now || old.row.agent_key == args.agent_key {
            EXPIRED.clone_into(&mut old.row.status);
            tx.put(&old)?;
        }
    }
    for _ in 0..ATTEMPTS {
        let random: [u8; CODE_CHARS] = vault::random()?;
        let code: String = random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
        if find(tx, &code)?.is_none() {
            return Ok(tx.insert(PairingCode {
                code,
                consumer_user_id: args.consumer_user_id,
                agent_key: args.agent_key,
                status: PENDING.to_owned(),
                created_at: now,
                expires_at: now + args.ttl_ms.unwrap_or(TTL).clamp(TTL_MIN, TTL_MAX),
                bot_identity: Some(bot_identity),
                ..PairingCode::default()
            })?);
        }
    }
    Err(Refusal::thrown("No unused pairing code was found: try again"))
}

fn find(tx: &Tx<'_>, code: &str) -> Result<Option<Doc<PairingCode>>, StoreError> {
    tx.find(PAIRING_CODE, &[Some(code)]).first()
}

/// The status of a code. A code past its time is expired, whether or not a row says so already.
pub(super) fn status(row: &PairingCode, now: f64) -> &str {
    if row.status == PENDING && row.expires_at <= now { EXPIRED } else { &row.status }
}

/// A code as the functions show it.
fn view(code: &Doc<PairingCode>, now: f64) -> Value {
    let row = &code.row;
    json!({
        "code": row.code,
        "consumerUserId": row.consumer_user_id,
        "agentKey": row.agent_key,
        "botIdentity": row.bot_identity,
        "status": status(row, now),
        "createdAt": row.created_at,
        "expiresAt": row.expires_at,
        "usedAt": row.used_at,
        "telegramUserId": row.telegram_user_id,
        "telegramChatId": row.telegram_chat_id,
    })
}

/// A code that a chat shows.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownCode {
    pub(super) code: String,
    pub(super) bot_identity: Option<String>,
    pub(super) telegram_user_id: String,
    pub(super) telegram_chat_id: String,
}

fn consume_code(call: &Call<'_>) -> Answer {
    Ok(view(&consume(call.tx, call.args()?)?, call.now()))
}

/// Binds the chat to the user of the code, and uses the code up. Everything is checked before anything is written, so a
/// caller may go on after a refusal.
pub(super) fn consume(tx: &Tx<'_>, shown: ShownCode) -> Result<Doc<PairingCode>, Refusal> {
    let now = tx.now();
    let Some(mut code) = find(tx, &shown.code.to_ascii_uppercase())? else {
        return Err(Refusal::thrown("The pairing code is unknown: ask for a new one"));
    };
    match status(&code.row, now) {
        PENDING => {}
        USED => return Err(Refusal::thrown("The pairing code was used already: ask for a new one")),
        _ => return Err(Refusal::thrown("The pairing code has expired: ask for a new one")),
    }
    let is_of_bot = shown.bot_identity.is_some() && shown.bot_identity == code.row.bot_identity;
    ensure!(is_of_bot, "The pairing code belongs to another bot: send it to the bot of your agent");
    let binding = bindings::checked(
        tx,
        NewBinding {
            consumer_user_id: code.row.consumer_user_id.clone(),
            agent_key: code.row.agent_key.clone(),
            bot_identity: shown.bot_identity,
            source: Some(PAIRED.to_owned()),
            telegram_user_id: Some(shown.telegram_user_id.clone()),
            telegram_chat_id: Some(shown.telegram_chat_id.clone()),
            metadata: None,
        },
    )?;
    bindings::bind(tx, binding)?;
    USED.clone_into(&mut code.row.status);
    code.row.used_at = Some(now);
    code.row.telegram_user_id = Some(shown.telegram_user_id);
    code.row.telegram_chat_id = Some(shown.telegram_chat_id);
    tx.put(&code)?;
    Ok(code)
}

fn code_status(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    struct CodeArgs {
        code: String,
    }
    let args: CodeArgs = call.args()?;
    let found = find(call.tx, &args.code)?;
    Ok(found.map_or(Value::Null, |found| view(&found, call.now())))
}

fn user_status(call: &Call<'_>) -> Answer {
    let args: PairingArgs = call.args()?;
    let found = newest(call.tx, &args.consumer_user_id, &args.agent_key)?;
    Ok(found.map_or(Value::Null, |found| view(&found, call.now())))
}

/// The codes of a user.
pub(super) fn of_user(tx: &Tx<'_>, user: &str) -> Result<Vec<Doc<PairingCode>>, StoreError> {
    let mut found: Vec<Doc<PairingCode>> = Vec::new();
    for status in [PENDING, USED, EXPIRED] {
        found
            .extend(tx.find(PAIRINGS_OF_USER, &[Some(user), Some(status)]).newest_first().limit(100).rows()?);
    }
    found.sort_by(|one, other| other.created.total_cmp(&one.created));
    Ok(found)
}

/// The newest code of a user for an agent.
pub(super) fn newest(
    tx: &Tx<'_>,
    user: &str,
    agent_key: &str,
) -> Result<Option<Doc<PairingCode>>, StoreError> {
    Ok(of_user(tx, user)?.into_iter().find(|code| code.row.agent_key == agent_key))
}

/// Marks codes whose time is over.
pub(super) fn expire(tx: &Tx<'_>) -> Result<bool, Refusal> {
    let due = tx.find::<PairingCode>(PAIRINGS_BY_STATUS, &[Some(PENDING)]).up_to(tx.now());
    let due = due.limit(EXPIRED_MAX).rows()?;
    let is_more = due.len() == EXPIRED_MAX;
    for mut code in due {
        EXPIRED.clone_into(&mut code.row.status);
        tx.put(&code)?;
    }
    Ok(is_more)
}
