//! The agents, as a runtime sees them (backend-contract §2.4–2.6, §2.27, §2.32).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Refusal;
use crate::answer::ensure;
use crate::call::{Answer, Call, value};
use crate::function::{ACCOUNT, DataAccess, Function, Guard, Kind, TOKEN};
use crate::rows::{Account, Agent, OpenclawConfig, Skill, Task};
use crate::rules::activity::{self, Actor, Target};
use crate::rules::mentions::is_space;
use crate::rules::{flags, profiles, reach, sessions};
use crate::store::{Doc, Id, StoreError, Table, Tx};
use crate::validate::{Is, may, need};
use mcr_model::clock::Millis;

/// The statuses of an agent.
pub(crate) const STATUSES: &[&str] = &["online", "busy", "idle", "offline", "error"];

/// The functions of this file.
pub(crate) const FUNCTIONS: &[Function] = &[
    Function {
        path: "service/actions:listAgents",
        kind: Kind::Action,
        guard: Guard::ServiceToken,
        access: DataAccess::Writes,
        args: &[ACCOUNT, TOKEN],
        run: list_agents,
    },
    Function {
        path: "service/actions:listAgentsForRuntime",
        kind: Kind::Action,
        guard: Guard::ServiceToken,
        access: DataAccess::Reads,
        args: &[ACCOUNT, TOKEN],
        run: list_agents_for_runtime,
    },
    Function {
        path: "service/actions:getOrchestratorAgentId",
        kind: Kind::Action,
        guard: Guard::ServiceToken,
        access: DataAccess::Reads,
        args: &[ACCOUNT, TOKEN],
        run: get_orchestrator_agent_id,
    },
    Function {
        path: "service/actions:getAgentSkillsForTool",
        kind: Kind::Action,
        guard: Guard::ServiceToken,
        access: DataAccess::Reads,
        args: &[
            ACCOUNT,
            TOKEN,
            need("agentId", Is::Id(Table::Agents)),
            may("queryAgentId", Is::Id(Table::Agents)),
        ],
        run: get_agent_skills,
    },
    Function {
        path: "service/actions:updateAgentHeartbeat",
        kind: Kind::Action,
        guard: Guard::ServiceToken,
        access: DataAccess::Writes,
        args: &[
            ACCOUNT,
            TOKEN,
            need("agentId", Is::Id(Table::Agents)),
            need("status", Is::OneOf(STATUSES)),
            may("currentTaskId", Is::Id(Table::Tasks)),
        ],
        run: update_agent_heartbeat,
    },
];

/// §2.4: lists the agents, and opens a main session for each agent without one.
fn list_agents(call: &Call<'_>) -> Answer {
    let listed = reach::agents(call.tx, call.account_id())?.into_iter().map(|agent| {
        let key = sessions::ensure(call.tx, call.account_id(), &agent, None)?;
        let mut listed = value(&agent)?;
        listed["systemSessionKey"] = json!(key);
        listed["effectiveBehaviorFlags"] = flags::effective(&call.account.row, Some(&agent.row)).into();
        Ok(listed)
    });
    listed.collect()
}

/// The content of an agent's workspace.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile<'a> {
    #[serde(rename = "_id")]
    id: &'a Id<Agent>,
    name: &'a str,
    slug: &'a str,
    role: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    openclaw_config: Option<&'a OpenclawConfig>,
    effective_soul_content: String,
    effective_user_md: &'a str,
    effective_identity_content: String,
    resolved_skills: Vec<ResolvedSkill>,
}

/// A skill in the form that a workspace contains.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResolvedSkill {
    #[serde(rename = "_id")]
    id: Id<Skill>,
    name: String,
    slug: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_markdown: Option<String>,
}

/// §2.5.
fn list_agents_for_runtime(call: &Call<'_>) -> Answer {
    let user_md = non_blank(call.account.row.settings.user_md.as_ref()).unwrap_or(profiles::USER);
    let agents = reach::agents(call.tx, call.account_id())?;
    let profile = |agent: &Doc<Agent>| {
        let Agent { name, slug, role, openclaw_config, soul_content, identity_content, .. } = &agent.row;
        let soul = non_blank(soul_content.as_ref()).map(ToOwned::to_owned);
        let identity = non_blank(identity_content.as_ref()).map(ToOwned::to_owned);
        value(&Profile {
            id: &agent.id,
            name,
            slug,
            role,
            openclaw_config: openclaw_config.as_ref(),
            effective_soul_content: soul.unwrap_or_else(|| profiles::soul(name, role)),
            effective_user_md: user_md,
            effective_identity_content: identity.unwrap_or_else(|| profiles::identity(name, role)),
            resolved_skills: resolved_skills(call.tx, call.account_id(), openclaw_config.as_ref())?,
        })
    };
    agents.iter().map(profile).collect()
}

/// The trimmed text, or `None` if it is blank.
fn non_blank(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim_matches(is_space)).filter(|text| !text.is_empty())
}

/// The agent's skills in its order. Missing, disabled and foreign skills are omitted.
fn resolved_skills(
    tx: &Tx<'_>,
    account: &Id<Account>,
    config: Option<&OpenclawConfig>,
) -> Result<Vec<ResolvedSkill>, StoreError> {
    let mut resolved = Vec::new();
    for id in config.iter().flat_map(|config| &config.skill_ids) {
        let skill = tx.get(id)?.filter(|skill| skill.row.account_id == *account && skill.row.is_enabled);
        let Some(Doc { id, row: Skill { name, slug, description, content_markdown, .. }, .. }) = skill else {
            continue;
        };
        resolved.push(ResolvedSkill { id, name, slug, description, content_markdown });
    }
    Ok(resolved)
}

/// §2.6: returns the setting, even if the agent no longer exists.
#[expect(clippy::unnecessary_wraps, reason = "this is what a function of the catalogue looks like")]
fn get_orchestrator_agent_id(call: &Call<'_>) -> Answer {
    Ok(json!({"orchestratorAgentId": call.account.row.settings.orchestrator_agent_id}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Skills {
    agent_id: Id<Agent>,
    query_agent_id: Option<Id<Agent>>,
}

/// §2.27.
fn get_agent_skills(call: &Call<'_>) -> Answer {
    let args: Skills = call.args()?;
    let Some(requester) = call.tx.get(&args.agent_id)? else {
        return Err(Refusal::thrown("Not found: Requesting agent does not exist"));
    };
    let account = call.account_id();
    ensure!(requester.row.account_id == *account, "Forbidden: Agent belongs to different account");
    let agents = match args.query_agent_id {
        None => reach::agents(call.tx, account)?,
        Some(id) => {
            let Some(target) = call.tx.get(&id)? else {
                return Err(Refusal::thrown("Not found: Target agent does not exist"));
            };
            let is_own = target.row.account_id == *account;
            ensure!(is_own, "Forbidden: Target agent belongs to different account");
            vec![target]
        }
    };
    Ok(agents.iter().map(skills_of).collect())
}

/// `agentId` contains the slug, as in the original (contract D18).
fn skills_of(agent: &Doc<Agent>) -> Value {
    let none = Vec::new();
    let skill_ids = agent.row.openclaw_config.as_ref().map_or(&none, |config| &config.skill_ids);
    let slug = Some(agent.row.slug.as_str()).filter(|slug| !slug.is_empty());
    let seen = agent.row.last_heartbeat.unwrap_or(agent.created);
    json!({
        "agentId": slug.unwrap_or(agent.id.as_str()),
        "skillIds": skill_ids,
        "skillCount": skill_ids.len(),
        "lastUpdated": iso_date(seen),
    })
}

/// A point in time in the format of JavaScript's `toISOString`.
fn iso_date(instant: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "dates are far below 2^53 ms; the fraction is not non_blank"
    )]
    let ms = instant as i64;
    Millis(ms).to_string()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Heartbeat {
    agent_id: Id<Agent>,
    status: String,
    current_task_id: Option<Id<Task>>,
}

/// §2.32: sets the current task as given. An absent task clears it.
fn update_agent_heartbeat(call: &Call<'_>) -> Answer {
    let args: Heartbeat = call.args()?;
    let mut agent = reach::agent(call, &args.agent_id)?;
    let before = std::mem::replace(&mut agent.row.status, args.status);
    agent.row.current_task_id = args.current_task_id;
    agent.row.last_heartbeat = Some(call.now());
    call.tx.put(&agent)?;
    if before != agent.row.status {
        let target = Target { kind: "agent", id: agent.id.as_str(), name: Some(&agent.row.name) };
        let meta = json!({"oldStatus": before, "newStatus": agent.row.status, "heartbeat": true});
        let actor = Actor::agent(&agent);
        activity::record(call.tx, call.account_id(), "agent_status_changed", &actor, &target, Some(meta))?;
    }
    Ok(json!({"success": true, "timestamp": call.now()}))
}
