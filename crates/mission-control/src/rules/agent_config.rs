//! An agent's configuration: model, limits, skills and flags (backend-contract §3.2.1), and an account's defaults for
//! new agents (§3.6).

use serde_json::{Map, Value, json};

use super::flags;
use crate::answer::ensure;
use crate::call::{Call, value};
use crate::rows::{Account, OpenclawConfig, Skill};
use crate::store::{Id, StoreError, Table};
use crate::validate::{Arg, Is, may, need};
use crate::{Options, Refusal, number};
use mcr_model::limits;

/// The models that runtimes know (§3.0). The first one is the default.
const MODELS: [&str; 4] = ["minimax-m2.5", "claude-haiku-4.5", "kimi-k2.5", "gpt-5-nano"];
/// The maximum length of a prompt prefix.
const PREFIX_CHARS: usize = 4_000;
/// The limits of a list of names in a configuration: the number of entries, and the characters of each.
const NAME_LIMITS: (usize, usize) = (20, 200);

const FLAGS: Is = Is::Object(&[
    need("canCreateTasks", Is::Bool),
    need("canModifyTaskStatus", Is::Bool),
    need("canCreateDocuments", Is::Bool),
    need("canMentionAgents", Is::Bool),
    need("canReviewTasks", Is::Bool),
    need("canMarkDone", Is::Bool),
    may("requiresApprovalForActions", Is::List(&Is::Text)),
]);

/// The argument for an agent's configuration. Present keys change; `null` removes a key.
pub(crate) const CONFIG: Arg = may(
    "openclawConfig",
    Is::Object(&[
        may("model", Is::Text),
        may("temperature", Is::Number),
        may("maxTokens", Is::OrNull(&Is::Number)),
        may("systemPromptPrefix", Is::OrNull(&Is::Text)),
        may("skillIds", Is::List(&Is::Id(Table::Skills))),
        may(
            "contextConfig",
            Is::OrNull(&Is::Object(&[
                need("maxHistoryMessages", Is::Number),
                need("includeTaskContext", Is::Bool),
                need("includeTeamContext", Is::Bool),
                may("customContextSources", Is::List(&Is::Text)),
            ])),
        ),
        may(
            "rateLimits",
            Is::OrNull(&Is::Object(&[
                need("requestsPerMinute", Is::Number),
                may("tokensPerDay", Is::Number),
            ])),
        ),
        may("behaviorFlags", Is::OrNull(&FLAGS)),
    ]),
);

/// The argument for an account's defaults for new agents.
pub(crate) const DEFAULTS: Arg = may(
    "agentDefaults",
    Is::Object(&[
        may("model", Is::Text),
        may("temperature", Is::Number),
        may("maxTokens", Is::Number),
        may("maxHistoryMessages", Is::Number),
        may("behaviorFlags", FLAGS),
        may(
            "rateLimits",
            Is::Object(&[may("requestsPerMinute", Is::Number), may("tokensPerDay", Is::Number)]),
        ),
    ]),
);

/// The configuration of a new agent. The arguments override the account's defaults, which override ours.
pub(crate) fn of_new_agent(call: &Call<'_>, given: &Map<String, Value>) -> Result<OpenclawConfig, Refusal> {
    let mut config = Map::new();
    config.insert("model".to_owned(), json!(MODELS[0]));
    config.insert("temperature".to_owned(), json!(0.7));
    config.insert("maxTokens".to_owned(), json!(4096.0));
    config.insert("skillIds".to_owned(), json!([]));
    config.insert("contextConfig".to_owned(), context(50.0));
    config.insert("behaviorFlags".to_owned(), flags::effective(&call.account.row, None).into());
    config.extend(of_account(&call.account.row, call.options)?);
    merge(call, config, given)
}

fn context(messages: f64) -> Value {
    json!({"maxHistoryMessages": messages, "includeTaskContext": true, "includeTeamContext": true})
}

/// The account's defaults, under the key names of an agent's configuration.
fn of_account(account: &Account, options: Options) -> Result<Map<String, Value>, Refusal> {
    let mut config = Map::new();
    for (name, value) in account.settings.agent_defaults.iter().filter_map(Value::as_object).flatten() {
        match name.as_str() {
            // The original copies the key unchanged. From then on its own schema refuses every new agent (contract
            // D33).
            "maxHistoryMessages" if options.original => {
                return Err(Refusal::thrown(
                    "Failed to insert or update a document in table \"agents\" because it does not match the schema: \
                     Object contains extra field `maxHistoryMessages` that is not in the validator.",
                ));
            }
            "maxHistoryMessages" => {
                config.insert("contextConfig".to_owned(), context(value.as_f64().unwrap_or(50.0)));
            }
            // An agent's rate limits require `requestsPerMinute`; the account's do not.
            "rateLimits" if value.get("requestsPerMinute").is_none() => {}
            _ => {
                config.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(config)
}

/// An agent's configuration with the given keys changed.
pub(crate) fn changed(
    call: &Call<'_>,
    before: Option<&OpenclawConfig>,
    given: &Map<String, Value>,
) -> Result<OpenclawConfig, Refusal> {
    match before.map(value).transpose()? {
        Some(Value::Object(config)) => merge(call, config, given),
        _ => of_new_agent(call, given),
    }
}

fn merge(
    call: &Call<'_>,
    mut config: Map<String, Value>,
    given: &Map<String, Value>,
) -> Result<OpenclawConfig, Refusal> {
    let given = finite("openclawConfig", given)?;
    check(&given)?;
    check_skills(call, config.get("skillIds"), given.get("skillIds"))?;
    for (name, value) in given {
        if value.is_null() {
            config.remove(&name);
        } else {
            config.insert(name, value);
        }
    }
    let read = serde_json::from_value(Value::Object(config));
    read.map_err(|why| StoreError::Fault(format!("an agent's configuration: {why}")).into())
}

/// Validates the account's new defaults. They replace the previous ones completely.
pub(crate) fn defaults(given: &Map<String, Value>) -> Result<Value, Refusal> {
    let defaults = finite("agentDefaults", given)?;
    check(&defaults)?;
    Ok(Value::Object(defaults))
}

/// Refuses a stored configuration, or stored defaults, that no call would have accepted.
pub(crate) fn check_stored(config: &Value) -> Result<(), Refusal> {
    config.as_object().map_or(Ok(()), check)
}

fn finite(what: &str, given: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let plain = given.iter().map(|(name, value)| Some((name.clone(), number::plain(value)?)));
    plain
        .collect::<Option<_>>()
        .ok_or_else(|| Refusal::thrown(format!("{what}: every number must be finite")))
}

/// Checks the limits of the keys that are present. Both kinds of configuration use the same key names.
fn check(config: &Map<String, Value>) -> Result<(), Refusal> {
    let number = |name: &str| config.get(name).and_then(Value::as_f64);
    if let Some(model) = config.get("model").and_then(Value::as_str) {
        let known = MODELS.join(", ");
        ensure!(MODELS.contains(&model), "Invalid model: {model} (known models: {known})");
    }
    let fits = number("temperature").is_none_or(|degrees| (0.0..=2.0).contains(&degrees));
    ensure!(fits, "temperature must be between 0 and 2");
    let fits = |tokens: f64| tokens.fract() == 0.0 && (1.0..=128_000.0).contains(&tokens);
    ensure!(number("maxTokens").is_none_or(fits), "maxTokens must be a whole number between 1 and 128000");
    let prefix = config.get("systemPromptPrefix").and_then(Value::as_str).unwrap_or_default();
    ensure!(limits::chars(prefix) <= PREFIX_CHARS, "systemPromptPrefix too long (max 4000 characters)");
    check_names(config, "contextConfig", "customContextSources")?;
    check_names(config, "behaviorFlags", "requiresApprovalForActions")
}

fn check_names(config: &Map<String, Value>, part: &str, list: &str) -> Result<(), Refusal> {
    let names = config.get(part).and_then(|part| part.get(list)).and_then(Value::as_array);
    let Some(names) = names else { return Ok(()) };
    let (most, longest) = NAME_LIMITS;
    ensure!(names.len() <= most, "{list} has too many entries (max {most})");
    let fits = names.iter().filter_map(Value::as_str).all(|name| limits::chars(name) <= longest);
    ensure!(fits, "{list} has an entry that is too long (max {longest} characters)");
    Ok(())
}

/// Refuses skills of other accounts, and skills that are newly added but disabled.
fn check_skills(call: &Call<'_>, before: Option<&Value>, given: Option<&Value>) -> Result<(), Refusal> {
    let list = |ids: Option<&Value>| ids.and_then(Value::as_array).cloned().unwrap_or_default();
    let before = list(before);
    for id in list(given) {
        let name = id.as_str().unwrap_or_default();
        let skill = call.tx.get(&Id::<Skill>::new(name))?;
        let skill = skill.filter(|skill| skill.row.account_id == *call.account_id());
        let Some(skill) = skill else {
            return Err(Refusal::thrown(format!("Invalid skill: {name} does not belong to account")));
        };
        let usable = skill.row.is_enabled || before.contains(&id);
        ensure!(usable, "Invalid skill: {name} is not enabled");
    }
    Ok(())
}
