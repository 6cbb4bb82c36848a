//! The settings of the deployment (worker-pool C.9).

use serde::Deserialize;
use serde_json::{Value, json};

use super::rows::PoolSettingsRow;
use crate::answer::{Refusal, ensure};
use crate::call::{Answer, Call, value};
use crate::function::Function;
use crate::number;
use crate::store::{StoreError, Tx};
use crate::validate::{Is, may, need};

/// The longest system prompt.
const PROMPT_BYTES: usize = 64 * 1024;

/// A provider of machines.
pub(super) const PROVIDER: Is = Is::Object(&[
    need("kind", Is::OneOf(&["fly", "runpod", "ecs"])),
    need("appName", Is::Text),
    need("organizationSlug", Is::Text),
    need("image", Is::Text),
    need("region", Is::Text),
    need("volumeName", Is::Text),
    need("volumePath", Is::Text),
    need("volumeSizeGb", Is::Number),
]);
/// A scaling policy.
pub(super) const SCALING: Is = Is::Object(&[
    need("maxWorkers", Is::Number),
    need("queuePerWorkerTarget", Is::Number),
    need("spawnStep", Is::Number),
    need("idleTimeoutMs", Is::Number),
    need("reconcileIntervalMs", Is::Number),
]);
const MESSAGES: Is =
    Is::Object(&[may("systemPrompt", Is::Text), may("telegramAttachmentRetentionMs", Is::Number)]);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::pool_query("agentFactory:getMessageRuntimeConfig", &[], messages),
    Function::pool_mutation(
        "agentFactory:setMessageRuntimeConfig",
        &[need("messageConfig", MESSAGES)],
        set_messages,
    ),
    Function::pool_query("agentFactory:getProviderRuntimeConfig", &[], provider),
    Function::pool_mutation(
        "agentFactory:setProviderRuntimeConfig",
        &[need("providerConfig", PROVIDER)],
        set_provider,
    ),
];

/// The settings of messages.
pub(super) fn read(tx: &Tx<'_>) -> Result<PoolSettingsRow, StoreError> {
    Ok(tx.oldest::<PoolSettingsRow>(1)?.pop().map(|found| found.row).unwrap_or_default())
}

fn messages(call: &Call<'_>) -> Answer {
    match call.tx.oldest::<PoolSettingsRow>(1)?.pop() {
        Some(found) => value(&found.row),
        None => Ok(Value::Null),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageConfigArgs {
    message_config: MessageConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageConfig {
    system_prompt: Option<String>,
    #[serde(default, deserialize_with = "number::finite")]
    telegram_attachment_retention_ms: Option<f64>,
}

/// Blank and non-positive values are left out. If nothing is left, the row is removed.
fn set_messages(call: &Call<'_>) -> Answer {
    let MessageConfigArgs { message_config: given } = call.args()?;
    let prompt = given.system_prompt.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let bytes = prompt.as_ref().map_or(0, String::len);
    ensure!(
        bytes <= PROMPT_BYTES,
        "The system prompt has {bytes} bytes, more than {PROMPT_BYTES}: shorten it"
    );
    let row = PoolSettingsRow {
        system_prompt: prompt,
        telegram_attachment_retention_ms: given.telegram_attachment_retention_ms.filter(|ms| *ms > 0.0),
    };
    let stored = call.tx.oldest::<PoolSettingsRow>(1)?.pop();
    match (stored, row == PoolSettingsRow::default()) {
        (Some(stored), true) => call.tx.delete(&stored.id)?,
        (Some(mut stored), false) => {
            stored.row = row;
            call.tx.put(&stored)?;
        }
        (None, true) => {}
        (None, false) => drop(call.tx.insert(row)?),
    }
    Ok(Value::Null)
}

/// This backend has no provider of machines.
#[expect(clippy::unnecessary_wraps, reason = "the type of every function")]
fn provider(_: &Call<'_>) -> Answer {
    Ok(json!(null))
}

/// A stored provider would have no effect, so it is refused.
fn set_provider(_: &Call<'_>) -> Answer {
    Err(Refusal::thrown(
        "The embedded Mission Control starts no machines, so a provider has no effect: start workers with \
         `mission-control-runtime worker`",
    ))
}
