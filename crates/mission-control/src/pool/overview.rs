//! The agents of a user, with their states (worker-pool C.9).

use serde::Deserialize;
use serde_json::{Value, json};

use super::pairing;
use super::reads::{UserAgentArgs, conversation_id};
use super::rows::Binding;
use super::{AGENT, USER, agents, bindings, secrets};
use crate::answer::Refusal;
use crate::call::{Answer, Call};
use crate::function::Function;
use crate::store::{BINDINGS_OF_USER, Doc};
use crate::validate::{Is, may};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::pool_query("agentFactory:listUserAgents", &[USER, may("includeDisabled", Is::Bool)], list),
    Function::pool_query("agentFactory:getUserAgent", &[USER, AGENT], get),
    Function::pool_query("agentFactory:getActiveUserAgent", &[USER], active),
    Function::pool_query("agentFactory:getUserAgentsOverview", &[USER], overview),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OverviewArgs {
    consumer_user_id: String,
    #[serde(default)]
    include_disabled: bool,
}

/// An agent of a user, as the functions show it.
struct UserAgent {
    agent_key: String,
    status: &'static str,
    view: Value,
}

/// The name of an agent's bot, which the token's import stored.
pub(super) fn username(call: &Call<'_>, agent_key: &str) -> Result<Option<String>, Refusal> {
    let Some(agent) = agents::find(call.tx, agent_key)? else { return Ok(None) };
    for name in secrets::bot_token_refs(&agent.row) {
        if let Some(secret) = secrets::active(call.tx, &name)? {
            return Ok(secret.row.metadata.and_then(|metadata| metadata.get("telegramUsername").cloned()));
        }
    }
    Ok(None)
}

/// The bindings of a user, newest first.
fn bindings_of(call: &Call<'_>, user: &str) -> Result<Vec<Doc<Binding>>, Refusal> {
    let mut found: Vec<Doc<Binding>> = Vec::new();
    for status in [bindings::ACTIVE, bindings::REVOKED] {
        let line = call.tx.find(BINDINGS_OF_USER, &[Some(user), Some(status)]);
        found.extend(line.newest_first().limit(100).rows()?);
    }
    found.sort_by(|one, other| other.created.total_cmp(&one.created));
    Ok(found)
}

/// The agents of a user: those of the user's bindings and pairing codes.
fn agents_of(call: &Call<'_>, user: &str) -> Result<Vec<UserAgent>, Refusal> {
    let bindings = bindings_of(call, user)?;
    let codes = pairing::of_user(call.tx, user)?;
    let mut keys: Vec<&String> = Vec::new();
    let named = bindings.iter().map(|found| &found.row.agent_key);
    for key in named.chain(codes.iter().map(|found| &found.row.agent_key)) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let is_free = !bindings.iter().any(|binding| binding.row.status == bindings::ACTIVE);
    let mut found = Vec::new();
    for key in keys {
        let agent = agents::find(call.tx, key)?;
        let is_enabled = agent.as_ref().is_some_and(|agent| agent.row.enabled);
        // A user has at most one active binding, and it is newer than the revoked ones with the same agent.
        let binding = bindings.iter().find(|binding| binding.row.agent_key == *key);
        let code = codes.iter().find(|code| code.row.agent_key == *key);
        let binding_status = binding.map(|binding| binding.row.status.as_str());
        let pairing_status = code.map(|code| pairing::status(&code.row, call.now()));
        let is_bound = binding_status == Some(bindings::ACTIVE);
        let status = match (is_bound, is_enabled) {
            (true, true) => "active",
            (true, false) => "failed",
            (false, _) if pairing_status == Some(pairing::PENDING) => "pairing",
            (false, _) if binding_status.is_some() || agent.as_ref().is_some_and(|_| !is_enabled) => {
                "disabled"
            }
            (false, _) => "draft",
        };
        let is_active = is_bound && is_enabled;
        let view = json!({
            "consumerUserId": user,
            "agentKey": key,
            "displayName": agent.as_ref().and_then(|agent| agent.row.display_name.as_ref()),
            "telegramUsername": username(call, key)?,
            "version": agent.as_ref().map(|agent| &agent.row.version),
            "status": status,
            "bindingStatus": binding_status,
            "pairingStatus": pairing_status,
            "conversationId": binding.map(|_| conversation_id(key, user)),
            "canCreateNewAgent": is_free,
            "canDisable": is_bound,
            "canChat": is_active,
            "canManagePushJobs": is_active,
        });
        found.push(UserAgent { agent_key: key.clone(), status, view });
    }
    Ok(found)
}

fn list(call: &Call<'_>) -> Answer {
    let args: OverviewArgs = call.args()?;
    let found = agents_of(call, &args.consumer_user_id)?.into_iter();
    let shown = found.filter(|agent| args.include_disabled || agent.status != "disabled");
    Ok(shown.map(|agent| agent.view).collect())
}

fn get(call: &Call<'_>) -> Answer {
    let args: UserAgentArgs = call.args()?;
    let found = agents_of(call, &args.consumer_user_id)?;
    let found = found.into_iter().find(|agent| agent.agent_key == args.agent_key);
    Ok(found.map_or(Value::Null, |agent| agent.view))
}

fn is_bound(agent: &UserAgent) -> bool {
    agent.view["bindingStatus"] == bindings::ACTIVE
}

fn active(call: &Call<'_>) -> Answer {
    let args: OverviewArgs = call.args()?;
    let found = agents_of(call, &args.consumer_user_id)?.into_iter().find(is_bound);
    Ok(found.map_or(Value::Null, |agent| agent.view))
}

fn overview(call: &Call<'_>) -> Answer {
    let args: OverviewArgs = call.args()?;
    let found = agents_of(call, &args.consumer_user_id)?;
    let active = found.iter().find(|agent| is_bound(agent)).map(|agent| agent.agent_key.clone());
    Ok(json!({
        "activeAgentKey": active,
        "canCreateNewAgent": active.is_none(),
        "agents": found.into_iter().map(|agent| agent.view).collect::<Value>(),
    }))
}
