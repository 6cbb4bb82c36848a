//! The steps from a new agent to a chat with it, and what is missing (worker-pool C.9; F.40).

use serde_json::{Value, json};

use super::reads::UserAgentArgs;
use super::rows::PoolAgent;
use super::{AGENT, USER, actions, agents, bindings, overview, pairing, secrets, settings};
use crate::answer::Refusal;
use crate::call::{Answer, Call};
use crate::function::Function;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::pool_query("agentFactory:getUserAgentOnboardingState", &[USER, AGENT], state),
    Function::pool_query("agentFactory:getProviderOperationalReadiness", &[], provider),
    Function::pool_query("agentFactory:getTelegramAgentReadiness", &[USER, AGENT], telegram),
    Function::pool_query("agentFactory:getAgentOperationalReadiness", &[USER, AGENT], operational),
];

/// What an agent has of what it needs for Telegram.
struct TelegramParts {
    /// The name of the secret with the token.
    token_ref: Option<String>,
    has_identity: bool,
    /// Telegram has confirmed the webhook. No binding is needed for that.
    is_webhook_verified: bool,
    missing: Vec<String>,
}

fn parts(call: &Call<'_>, agent: &PoolAgent) -> Result<TelegramParts, Refusal> {
    let refs = secrets::bot_token_refs(agent);
    let mut token_ref = None;
    for name in &refs {
        if token_ref.is_none() && secrets::active(call.tx, name)?.is_some() {
            token_ref = Some(name.clone());
        }
    }
    let bot =
        agent.bot_identity.as_deref().map(|identity| actions::bot(call.tx, identity)).transpose()?.flatten();
    Ok(TelegramParts {
        missing: if token_ref.is_some() { Vec::new() } else { refs },
        token_ref,
        has_identity: agent.bot_identity.is_some(),
        is_webhook_verified: bot.is_some_and(|bot| bot.row.verified_at.is_some()),
    })
}

fn state(call: &Call<'_>) -> Answer {
    let args: UserAgentArgs = call.args()?;
    let agent = agents::existing(call.tx, &args.agent_key)?.row;
    let parts = parts(call, &agent)?;
    let bound = bindings::active(call.tx, &args.consumer_user_id)?;
    let is_bound = bound.is_some_and(|bound| bound.row.agent_key == args.agent_key);
    let code = pairing::newest(call.tx, &args.consumer_user_id, &args.agent_key)?;
    let pairing_status = code.as_ref().map(|code| pairing::status(&code.row, call.now()));
    let pending = code.as_ref().filter(|_| pairing_status == Some(pairing::PENDING));
    let next = match &parts {
        TelegramParts { token_ref: None, .. } => "import_token",
        TelegramParts { is_webhook_verified: false, .. } => "configure_webhook",
        _ if is_bound => "ready",
        _ if pending.is_some() => "complete_pairing",
        _ => "create_pairing",
    };
    let link = pending.map(|code| pairing::link(call, &code.row)).transpose()?.flatten();
    Ok(json!({
        "agentKey": args.agent_key,
        "nextAction": next,
        "pairingCode": pending.map(|code| &code.row.code),
        "pairingDeepLink": link,
        "pairingStatus": pairing_status,
        "telegramUsername": overview::username(call, &args.agent_key)?,
        "tokenImported": parts.token_ref.is_some(),
        "tokenSecretRef": parts.token_ref,
        "webhookReady": parts.is_webhook_verified,
    }))
}

/// The issues of the deployment. A provider of machines is no issue, because this backend needs none.
fn issues_of_deployment(call: &Call<'_>) -> Result<(bool, Vec<&'static str>), Refusal> {
    let has_messages = settings::read(call.tx)? != super::rows::PoolSettingsRow::default();
    Ok((has_messages, if has_messages { Vec::new() } else { vec!["missing_message_runtime_config"] }))
}

fn provider(call: &Call<'_>) -> Answer {
    let (has_messages, issues) = issues_of_deployment(call)?;
    Ok(json!({
        "issues": issues,
        "providerRuntimeConfigPresent": false,
        "workerRuntimeConfigPresent": has_messages,
    }))
}

fn readiness(call: &Call<'_>, mut issues: Vec<&str>) -> Answer {
    let args: UserAgentArgs = call.args()?;
    let agent = agents::existing(call.tx, &args.agent_key)?.row;
    let parts = parts(call, &agent)?;
    let (has_messages, _) = issues_of_deployment(call)?;
    let checks = [
        (parts.token_ref.is_some(), "missing_telegram_token"),
        (parts.has_identity, "missing_bot_identity"),
        (parts.is_webhook_verified, "webhook_not_verified"),
    ];
    issues.extend(checks.iter().filter(|(is_there, _)| !is_there).map(|(_, issue)| *issue));
    Ok(json!({
        "hasTelegramToken": parts.token_ref.is_some(),
        "issues": issues,
        "missingSecrets": parts.missing.into_iter().map(Value::from).collect::<Value>(),
        "providerRuntimeConfigPresent": false,
        "webhookReady": parts.is_webhook_verified,
        "workerRuntimeConfigPresent": has_messages,
    }))
}

fn telegram(call: &Call<'_>) -> Answer {
    readiness(call, Vec::new())
}

fn operational(call: &Call<'_>) -> Answer {
    let (_, issues) = issues_of_deployment(call)?;
    readiness(call, issues)
}
