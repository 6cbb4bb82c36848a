//! The roster: agents, their workspaces and skills, as the runtime generated them.

use serde_json::{Map, Value, json};

use super::form::Form;
use super::models::named;
use super::tree::Tree;
use super::{Remark, Sources};

/// The settings of an agent that the runtime decides. It decides by leaving one out, too.
const GENERATED: [&str; 2] = ["workspace", "model"];

/// Agents in order, by id.
type AgentEntries = Vec<(String, Map<String, Value>)>;

pub(super) fn apply(tree: &mut Tree, sources: &Sources<'_>, form: Form, remarks: &mut Vec<Remark>) {
    let environment = sources.environment;
    let existing = roster(tree.get(&["agents"]), remarks);
    let mut agents = existing;
    if let Some(generated) = sources.generated {
        take_defaults(tree, generated, remarks);
        take_skills(tree, generated, remarks);
    }
    let generated = sources.generated.and_then(|generated| generated.get("agents"));
    // Remarks on parts of the wrong type are made even if there is no roster.
    let generated_agents = roster(generated, remarks);
    if generated.is_some_and(has_roster) {
        agents = generated_agents.into_iter().map(|agent| over(&agents, agent)).collect();
    } else {
        for slug in &environment.agents {
            match agents.iter().any(|(known, _)| known == slug) {
                true => {}
                false if is_id(slug) => agents.push((slug.clone(), Map::new())),
                false => remarks.push(Remark::BadAgent(slug.clone())),
            }
        }
    }
    name_models(&mut agents, environment.vercel_key.is_some(), tree, remarks);
    write(tree, agents, form, remarks);
    // After the generated defaults, so that the environment wins.
    tree.set(&["agents", "defaults", "maxConcurrent"], environment.max_concurrent);
}

/// Adds agents to the roster, in the form that it has, else in that of the release. Without a roster, the gateway
/// has an agent of its own, which a roster would remove: the agents that it has now are added, too. Returns false,
/// and changes nothing, if an agent of the roster is not understood.
pub(super) fn add(tree: &mut Tree, missing: &[&str], present: &[String], form: Form) -> bool {
    let mut remarks = Vec::new();
    let mut agents = roster(tree.get(&["agents"]), &mut remarks);
    if !remarks.is_empty() {
        return false;
    }
    let form = form_of(tree.get(&["agents"]), form);
    let present = present.iter().map(String::as_str).filter(|_| agents.is_empty());
    let added: Vec<&str> = present.chain(missing.iter().copied()).collect();
    for id in added {
        if agents.iter().all(|(known, _)| known != id) {
            agents.push((id.to_owned(), Map::new()));
        }
    }
    write(tree, agents, form, &mut remarks);
    true
}

/// The form of this roster, else that of the release. Some releases accept both.
pub(super) fn form_of(agents: Option<&Value>, release: Form) -> Form {
    let has = |key| agents.is_some_and(|agents| agents.get(key).is_some());
    match release {
        _ if has("entries") => Form::Entries,
        Form::Entries if has("list") => Form::List { tool_search: true, absent_plugins: true },
        release => release,
    }
}

/// Changes the settings of each agent that the configuration names.
pub(super) fn change_each(tree: &mut Tree, change: impl Fn(&mut Map<String, Value>)) {
    if let Some(Value::Array(list)) = tree.get_mut(&["agents", "list"]) {
        list.iter_mut().filter_map(Value::as_object_mut).for_each(&change);
    }
    if let Some(Value::Object(entries)) = tree.get_mut(&["agents", "entries"]) {
        entries.values_mut().filter_map(Value::as_object_mut).for_each(&change);
    }
}

/// The ids of the agents that the configuration names. `None` if it has no roster.
pub(super) fn ids(config: &Value) -> Option<Vec<String>> {
    let agents = config.get("agents").filter(|agents| has_roster(agents))?;
    Some(roster(Some(agents), &mut Vec::new()).into_iter().map(|(id, _)| id).collect())
}

/// The settings of each agent that the configuration names.
pub(super) fn settings_of_each(config: &Value) -> Vec<(String, Map<String, Value>)> {
    roster(config.get("agents"), &mut Vec::new())
}

/// Whether there is a roster. One of the wrong type does not count: it would remove every agent.
fn has_roster(agents: &Value) -> bool {
    agents.get("list").is_some_and(Value::is_array) || agents.get("entries").is_some_and(Value::is_object)
}

/// The array at this path.
fn array<'a>(value: Option<&'a Value>, path: &'static str, remarks: &mut Vec<Remark>) -> &'a [Value] {
    match value {
        Some(Value::Array(items)) => items,
        None => &[],
        Some(_) => {
            remarks.push(Remark::WrongType { path, expected: "an array" });
            &[]
        }
    }
}

/// The fields of the object at this path.
fn fields<'a>(
    value: Option<&'a Value>,
    path: &'static str,
    remarks: &mut Vec<Remark>,
) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    if value.is_some_and(|value| !value.is_object()) {
        remarks.push(Remark::WrongType { path, expected: "an object" });
    }
    value.and_then(Value::as_object).into_iter().flatten()
}

/// Reads the agents in either form. An agent without a usable id is left out.
fn roster(agents: Option<&Value>, remarks: &mut Vec<Remark>) -> AgentEntries {
    let list = array(agents.and_then(|agents| agents.get("list")), "agents.list", remarks);
    let entries = fields(agents.and_then(|agents| agents.get("entries")), "agents.entries", remarks);
    let mut found = AgentEntries::new();
    let mut take = |id: &str, settings: &Value| {
        let is_new = found.iter().all(|(known, _)| known != id);
        match settings.as_object() {
            Some(settings) if is_id(id) && is_new => found.push((id.to_owned(), settings.clone())),
            _ => remarks.push(Remark::BadAgent(id.to_owned())),
        }
    };
    for agent in list {
        take(agent.get("id").and_then(Value::as_str).unwrap_or_default(), agent);
    }
    for (id, settings) in entries {
        take(id, settings);
    }
    for (_, settings) in &mut found {
        settings.remove("id");
    }
    found
}

/// Ids are names of folders, too.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// A generated agent over the existing one of that id: what the operator added to it stays.
fn over(
    existing: &AgentEntries,
    (id, generated): (String, Map<String, Value>),
) -> (String, Map<String, Value>) {
    let mut settings = existing
        .iter()
        .find(|(known, _)| *known == id)
        .map_or_else(Map::new, |(_, settings)| settings.clone());
    settings.retain(|key, _| !GENERATED.contains(&key.as_str()));
    for (key, value) in generated {
        match (settings.get_mut(&key).and_then(Value::as_object_mut), value) {
            // The runtime knows the name of an agent, the operator may add an emoji.
            (Some(old), Value::Object(new)) => old.extend(new),
            (_, value) => drop(settings.insert(key, value)),
        }
    }
    (id, settings)
}

/// Names each model as this gateway knows it, and checks that it has a provider.
fn name_models(agents: &mut AgentEntries, through_vercel: bool, tree: &Tree, remarks: &mut Vec<Remark>) {
    for (id, settings) in agents {
        let model = match settings.get_mut("model") {
            Some(Value::Object(model)) => model.get_mut("primary"),
            model => model,
        };
        let Some(Value::String(model)) = model else { continue };
        *model = named(model, through_vercel);
        let provider = model.split_once('/').map(|(provider, _)| provider);
        let known = provider.is_some_and(|provider| tree.get(&["models", "providers", provider]).is_some());
        if !known {
            remarks.push(Remark::UnknownProvider { agent: id.clone(), model: model.clone() });
        }
    }
}

fn take_defaults(tree: &mut Tree, generated: &Value, remarks: &mut Vec<Remark>) {
    let defaults = generated.get("agents").and_then(|agents| agents.get("defaults"));
    for (key, value) in fields(defaults, "agents.defaults", remarks) {
        tree.set(&["agents", "defaults", key], value.clone());
    }
}

fn take_skills(tree: &mut Tree, generated: &Value, remarks: &mut Vec<Remark>) {
    let skills = |key| generated.get("skills").and_then(|skills: &Value| skills.get(key));
    let allowed = skills("allowBundled");
    if let Some(Value::Array(allowed)) = allowed {
        tree.set(&["skills", "allowBundled"], allowed.clone());
    } else {
        array(allowed, "skills.allowBundled", remarks);
    }
    for (id, settings) in fields(skills("entries"), "skills.entries", remarks) {
        tree.set(&["skills", "entries", id], settings.clone());
    }
}

fn write(tree: &mut Tree, agents: AgentEntries, form: Form, remarks: &mut Vec<Remark>) {
    tree.remove(&["agents", "list"]);
    tree.remove(&["agents", "entries"]);
    match form {
        Form::Entries => {
            if agents.len() > 1 {
                remark_on_channels(tree, remarks);
            }
            if agents.is_empty() {
                tree.remove(&["agents", "ownership"]);
            } else {
                // No agent is the default one. Without this word, some releases want a list.
                tree.set(&["agents", "ownership"], "explicit");
            }
            for (id, mut settings) in agents {
                settings.remove("default");
                tree.set(&["agents", "entries", &id], settings);
            }
        }
        Form::List { .. } => {
            tree.remove(&["agents", "ownership"]);
            let has_default =
                agents.iter().any(|(_, settings)| settings.get("default") == Some(&json!(true)));
            let list = agents.into_iter().enumerate().map(|(place, (id, mut settings))| {
                settings.insert("id".to_owned(), json!(id));
                if place == 0 && !has_default {
                    settings.insert("default".to_owned(), json!(true));
                }
                Value::Object(settings)
            });
            let list: Vec<Value> = list.collect();
            if !list.is_empty() {
                tree.set(&["agents", "list"], list);
            }
        }
    }
}

/// With several agents, the gateway leaves a channel's messages alone until a binding names the agent.
fn remark_on_channels(tree: &Tree, remarks: &mut Vec<Remark>) {
    let channels = tree.get(&["channels"]).and_then(Value::as_object);
    let bound = |channel: &str| {
        let bindings = tree.get(&["bindings"]).and_then(Value::as_array);
        bindings.into_iter().flatten().any(|binding| binding["match"]["channel"] == channel)
    };
    for (channel, settings) in channels.into_iter().flatten() {
        if settings.get("enabled") == Some(&json!(true)) && !bound(channel) {
            remarks.push(Remark::UnboundChannel(channel.clone()));
        }
    }
}
