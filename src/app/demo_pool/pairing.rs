//! The agent of the demo, its bot and the person, joined with the functions that an application calls.

use std::sync::Arc;

use serde_json::{Value, json};

use super::chat::{PERSON, deliver};
use mcr_gateway_sim::telegram::ScriptedTelegram;
use mcr_mission_control::{Caller, Engine, Kind};

/// The agent and the user.
pub(super) const AGENT: &str = "support";
pub(super) const USER: &str = "robin";

/// The address of the webhook. The fake Telegram demands https, and the chat delivers its updates itself.
const SITE: &str = "https://demo.invalid";

/// Calls a function of the queue as the operator.
pub(super) fn call(engine: &Engine, kind: Kind, name: &str, args: &Value) -> Result<Value, String> {
    let path = format!("agentFactory:{name}");
    let (_, mut answer) = engine.call(kind, &path, args, Caller::Person, "demo-pool");
    match answer["status"].as_str() {
        Some("success") => Ok(answer["value"].take()),
        _ => {
            Err(format!("{name}: {}", answer["errorMessage"].as_str().unwrap_or("the queue gave no reason")))
        }
    }
}

/// Creates the agent with its bot, and shows the person's code to the bot.
pub(super) fn pair(engine: &Arc<Engine>, telegram: &ScriptedTelegram, bot: &str) -> Result<(), String> {
    let agent = json!({"agentKey": AGENT, "version": "1", "secretsRef": [], "enabled": true});
    call(engine, Kind::Mutation, "configureAgent", &agent)?;
    let token = json!({"consumerUserId": USER, "agentKey": AGENT, "plaintextValue": bot});
    call(engine, Kind::Action, "importTelegramTokenForAgent", &token)?;
    let webhook = json!({"convexSiteUrl": SITE, "agentKey": AGENT});
    call(engine, Kind::Action, "configureTelegramWebhook", &webhook)?;
    let user = json!({"consumerUserId": USER, "agentKey": AGENT});
    let made = call(engine, Kind::Mutation, "createUserAgentPairing", &user)?;
    let code = made["pairing"]["code"].as_str().unwrap_or_default();
    let (status, answer) = deliver(engine, telegram, bot, 1, &format!("/start {code}"))?;
    if status == 200 && answer["pairing"]["status"] == "used" {
        return Ok(());
    }
    Err(format!("{PERSON} could not be paired with the bot: {answer}"))
}
