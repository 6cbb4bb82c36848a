//! A person creates, changes and removes agents (backend-contract §3.2, §8).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::tasks::clear;
use crate::call::{Answer, Call, Given, value};
use crate::function::{ACCOUNT, Function, done};
use crate::rows::{Agent, Notification, Subscription, Task};
use crate::rules::activity::{self, Actor, Target};
use crate::rules::assignees::own_agent;
use crate::rules::slug::SlugIndex;
use crate::rules::{agent_config, fields, profiles, reach, sessions, slug};
use crate::store::{AGENT_BY_SLUG, Doc, FOLLOWED_BY, Id, NOTIFICATIONS_OF, StoreError, TASKS, Table};
use crate::validate::{Arg, Is, may, need};
use crate::{Refusal, number};

const AGENT: Arg = need("agentId", Is::Id(Table::Agents));
/// The default interval of an agent's heartbeats, in minutes.
const HEARTBEAT_INTERVAL: f64 = 15.0;
/// How to look up slugs of agents.
const SLUG: SlugIndex = SlugIndex { kind: "Agent", index: AGENT_BY_SLUG };

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::query("agents:list", &[ACCOUNT], list),
    Function::query("agents:get", &[ACCOUNT, AGENT], get),
    Function::mutation(
        "agents:create",
        &[
            ACCOUNT,
            need("name", Is::Text),
            need("slug", Is::Text),
            need("role", Is::Text),
            may("description", Is::Text),
            may("heartbeatInterval", Is::Number),
            may("icon", Is::Text),
            may("soulContent", Is::Text),
            may("identityContent", Is::Text),
            agent_config::CONFIG,
        ],
        create,
    ),
    Function::mutation(
        "agents:update",
        &[
            ACCOUNT,
            AGENT,
            may("name", Is::Text),
            may("slug", Is::Text),
            may("role", Is::Text),
            may("description", Is::OrNull(&Is::Text)),
            may("heartbeatInterval", Is::Number),
            may("icon", Is::OrNull(&Is::Text)),
            may("soulContent", Is::OrNull(&Is::Text)),
            may("identityContent", Is::OrNull(&Is::Text)),
            agent_config::CONFIG,
        ],
        update,
    ),
    Function::mutation("agents:remove", &[ACCOUNT, AGENT], remove),
];

/// The arguments of a call about one agent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneAgent {
    agent_id: Id<Agent>,
}

/// All agents, in the order of their creation.
pub(super) fn list(call: &Call<'_>) -> Answer {
    value(&reach::agents(call.tx, call.account_id())?)
}

fn get(call: &Call<'_>) -> Answer {
    let args: OneAgent = call.args()?;
    value(&own_agent(call, &args.agent_id)?)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewAgent {
    name: String,
    slug: String,
    role: String,
    description: Option<String>,
    #[serde(default, deserialize_with = "number::finite")]
    heartbeat_interval: Option<f64>,
    icon: Option<String>,
    soul_content: Option<String>,
    identity_content: Option<String>,
    #[serde(default)]
    openclaw_config: Map<String, Value>,
}

/// Creates an agent and returns its id. The agent is offline until a runtime reports it.
fn create(call: &Call<'_>) -> Answer {
    let args: NewAgent = call.args()?;
    let person = reach::person(call)?;
    check_texts(Some(&args.name), args.identity_content.as_deref())?;
    slug::check::<Agent>(call, &SLUG, &args.slug, None)?;
    let soul = args.soul_content.filter(|soul| !soul.trim().is_empty());
    let agent = call.tx.insert(Agent {
        account_id: call.account_id().clone(),
        soul_content: Some(soul.unwrap_or_else(|| profiles::soul(&args.name, &args.role))),
        openclaw_config: Some(agent_config::of_new_agent(call, &args.openclaw_config)?),
        name: args.name,
        slug: args.slug,
        role: args.role,
        status: "offline".to_owned(),
        description: args.description,
        heartbeat_interval: args.heartbeat_interval.unwrap_or(HEARTBEAT_INTERVAL),
        icon: args.icon,
        identity_content: args.identity_content,
        created_at: call.now(),
        ..Agent::default()
    })?;
    record(call, &Actor::person(&person), &agent, json!({"action": "created", "status": "offline"}))?;
    Ok(json!(agent.id))
}

fn check_texts(name: Option<&str>, identity: Option<&str>) -> Result<(), Refusal> {
    name.map_or(Ok(()), fields::check_name)?;
    fields::check_profile("identityContent", identity.unwrap_or_default())
}

fn record(call: &Call<'_>, actor: &Actor, agent: &Doc<Agent>, meta: Value) -> Result<(), StoreError> {
    let target = Target { kind: "agent", id: agent.id.as_str(), name: Some(&agent.row.name) };
    activity::record(call.tx, call.account_id(), "agent_status_changed", actor, &target, Some(meta))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AgentChanges {
    agent_id: Id<Agent>,
    name: Option<String>,
    slug: Option<String>,
    role: Option<String>,
    #[serde(default)]
    description: Given<String>,
    #[serde(default, deserialize_with = "number::finite")]
    heartbeat_interval: Option<f64>,
    #[serde(default)]
    icon: Given<String>,
    #[serde(default)]
    soul_content: Given<String>,
    #[serde(default)]
    identity_content: Given<String>,
    openclaw_config: Option<Map<String, Value>>,
}

/// Changes the given fields; `null` removes one. The original never changes a slug. Here a change of the slug closes
/// the agent's sessions, because their keys contain the old slug (§6), which another agent may get later.
fn update(call: &Call<'_>) -> Answer {
    let args: AgentChanges = call.args()?;
    let person = reach::person(call)?;
    let mut agent = reach::agent(call, &args.agent_id)?;
    check_texts(args.name.as_deref(), args.identity_content.value().map(String::as_str))?;
    let Doc { id, row, .. } = &mut agent;
    let mut slug_changed = false;
    if let Some(slug) = args.slug {
        slug::check(call, &SLUG, &slug, Some(id))?;
        slug_changed = slug != row.slug;
        row.slug = slug;
    }
    if let Some(config) = &args.openclaw_config {
        row.openclaw_config = Some(agent_config::changed(call, row.openclaw_config.as_ref(), config)?);
    }
    row.name = args.name.unwrap_or_else(|| std::mem::take(&mut row.name));
    row.role = args.role.unwrap_or_else(|| std::mem::take(&mut row.role));
    row.heartbeat_interval = args.heartbeat_interval.unwrap_or(row.heartbeat_interval);
    args.description.change(&mut row.description);
    args.icon.change(&mut row.icon);
    args.soul_content.change(&mut row.soul_content);
    args.identity_content.change(&mut row.identity_content);
    call.tx.put(&agent)?;
    if slug_changed {
        sessions::close_of_agent(call.tx, &agent, "slug_changed")?;
    }

    let names: Vec<&String> =
        call.args.keys().filter(|name| !["accountId", "agentId"].contains(&name.as_str())).collect();
    record(call, &Actor::person(&person), &agent, json!({"action": "updated", "changedFields": names}))?;
    done()
}

/// Removes an agent from the account and from all lists of assignees. Tasks keep their status, and messages stay
/// without an author's name. Its sessions are closed, unlike in the original (contract D32).
fn remove(call: &Call<'_>) -> Answer {
    let args: OneAgent = call.args()?;
    let person = reach::person(call)?;
    let agent = reach::agent(call, &args.agent_id)?;
    let (tx, account, id) = (call.tx, call.account_id(), &agent.id);
    if call.account.row.settings.orchestrator_agent_id.as_ref() == Some(id) {
        let mut account = call.account.clone();
        account.row.settings.orchestrator_agent_id = None;
        tx.put(&account)?;
    }
    for mut task in tx.find::<Task>(TASKS, &[Some(account.as_str())]).rows()? {
        if task.row.assigned_agent_ids.contains(id) {
            task.row.assigned_agent_ids.retain(|assigned| assigned != id);
            tx.put(&task)?;
        }
    }
    let (account_key, agent_key) = (Some(account.as_str()), Some(id.as_str()));
    clear::<Notification>(call, NOTIFICATIONS_OF, &[account_key, agent_key])?;
    clear::<Subscription>(call, FOLLOWED_BY, &[account_key, Some("agent"), agent_key])?;
    if !call.options.original {
        // The rows stay, so that their keys are never issued again.
        sessions::close_of_agent(tx, &agent, "agent_removed")?;
    }
    tx.delete(id)?;
    record(call, &Actor::person(&person), &agent, json!({"action": "removed"}))?;
    done()
}
