//! What an agent runs with: model, limits, skills, flags (backend-contract §3.2.1), and what the account gives new agents
//! of it (§3.6).

use serde_json::{Map, Value, json};

use super::flags;
use crate::answer::ensure;
use crate::call::{Call, value};
use crate::rows::{Account, OpenclawConfig, Skill};
use crate::store::{Id, StoreError, Table};
use crate::validate::{Arg, Is, may, need};
use crate::{Options, Refusal, number};
use mcr_model::limits;

/// The models that runtimes know (§3.0); the first is what an agent gets if nobody chooses.
const MODELS: [&str; 4] = ["minimax-m2.5", "claude-haiku-4.5", "kimi-k2.5", "gpt-5-nano"];
/// The longest prefix of a prompt.
const PREFIX_CHARS: usize = 4_000;
/// A list of names in a configuration: so many entries, of so many characters.
const NAMES: (usize, usize) = (20, 200);

const FLAGS: Is = Is::Object(&[
    need("canCreateTasks", Is::Bool),
    need("canModifyTaskStatus", Is::Bool),
    need("canCreateDocuments", Is::Bool),
    need("canMentionAgents", Is::Bool),
    need("canReviewTasks", Is::Bool),
    need("canMarkDone", Is::Bool),
    may("requiresApprovalForActions", Is::List(&Is::Text)),
]);

/// An agent's configuration as an argument: the keys that are given change, `null` takes one away.
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

/// What an account gives its new agents, as an argument.
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

/// The configuration of a new agent: ours, over it the account's, over it what is given.
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

/// What the account's defaults say, under the names that an agent's configuration has.
fn of_account(account: &Account, options: Options) -> Result<Map<String, Value>, Refusal> {
    let mut config = Map::new();
    for (name, value) in account.settings.agent_defaults.iter().filter_map(Value::as_object).flatten() {
        match name.as_str() {
            // The original copies it as it is, and its own schema refuses every new agent from then on (contract D33).
            "maxHistoryMessages" if options.original => {
                return Err(Refusal::thrown(
                    "Failed to insert or update a document in table \"agents\" because it does not match the schema: \
                     Object contains extra field `maxHistoryMessages` that is not in the validator.",
                ));
            }
            "maxHistoryMessages" => {
                config.insert("contextConfig".to_owned(), context(value.as_f64().unwrap_or(50.0)));
            }
            // An agent's limits must say how much a minute; the account's need not.
            "rateLimits" if value.get("requestsPerMinute").is_none() => {}
            _ => {
                config.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(config)
}

/// An agent's configuration with the keys that are given.
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

/// The account's defaults, once they are checked; they take the place of those before as a whole.
pub(crate) fn defaults(given: &Map<String, Value>) -> Result<Value, Refusal> {
    let defaults = finite("agentDefaults", given)?;
    check(&defaults)?;
    Ok(Value::Object(defaults))
}

/// Refuses an agent's configuration, or an account's defaults, that could not have been given.
pub(crate) fn check_stored(config: &Value) -> Result<(), Refusal> {
    config.as_object().map_or(Ok(()), check)
}

fn finite(what: &str, given: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let plain = given.iter().map(|(name, value)| Some((name.clone(), number::plain(value)?)));
    plain
        .collect::<Option<_>>()
        .ok_or_else(|| Refusal::thrown(format!("{what}: every number must be finite")))
}

/// The limits of those keys that are there; both kinds of configuration have them under the same names.
fn check(config: &Map<String, Value>) -> Result<(), Refusal> {
    let number = |name: &str| config.get(name).and_then(Value::as_f64);
    if let Some(model) = config.get("model").and_then(Value::as_str) {
        let known = MODELS.join(", ");
        ensure!(MODELS.contains(&model), "Invalid model: {model} (known are {known})");
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
    let (most, longest) = NAMES;
    ensure!(names.len() <= most, "{list} has too many entries (max {most})");
    let fits = names.iter().filter_map(Value::as_str).all(|name| limits::chars(name) <= longest);
    ensure!(fits, "{list} has an entry that is too long (max {longest} characters)");
    Ok(())
}

/// Skills must be the account's, and those that the agent did not have before must be switched on.
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
