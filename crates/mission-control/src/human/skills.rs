//! The skills of an account (backend-contract §3.7, §7.5).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::accounts;
use crate::answer::ensure;
use crate::call::{Answer, Call, Given, value};
use crate::function::{ACCOUNT, Function, done};
use crate::rows::Skill;
use crate::rules::activity::Actor;
use crate::rules::slug::SlugIndex;
use crate::rules::{fields, reach, slug};
use crate::store::{Doc, Id, SKILL_BY_SLUG, SKILLS, Table};
use crate::validate::{Arg, Is, may, need};
use crate::{Refusal, number};

const SKILL: Arg = need("skillId", Is::Id(Table::Skills));
/// The category of a skill.
pub(crate) const CATEGORY: Arg = may("category", Is::OneOf(&["mcp_server", "tool", "integration", "custom"]));
/// How to look up slugs of skills.
const SLUG: SlugIndex = SlugIndex { kind: "Skill", index: SKILL_BY_SLUG };

/// The connection settings of a skill. They name secrets (`credentialRef`) and never contain them.
pub(crate) const CONFIG: Arg = may(
    "config",
    Is::Object(&[
        may("serverUrl", Is::Text),
        may("authType", Is::OneOf(&["none", "api_key", "oauth"])),
        may("credentialRef", Is::Text),
        may("toolParams", Is::Any),
        may("rateLimit", Is::Number),
        may("requiresApproval", Is::Bool),
    ]),
);

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::query("skills:list", &[ACCOUNT], list),
    Function::query("skills:get", &[ACCOUNT, SKILL], get),
    Function::mutation(
        "skills:create",
        &[
            ACCOUNT,
            need("name", Is::Text),
            need("slug", Is::Text),
            CATEGORY,
            may("description", Is::Text),
            may("icon", Is::Text),
            may("contentMarkdown", Is::Text),
            CONFIG,
            may("isEnabled", Is::Bool),
        ],
        create,
    ),
    Function::mutation(
        "skills:update",
        &[
            ACCOUNT,
            SKILL,
            may("name", Is::Text),
            may("slug", Is::Text),
            CATEGORY,
            may("description", Is::OrNull(&Is::Text)),
            may("icon", Is::OrNull(&Is::Text)),
            may("contentMarkdown", Is::OrNull(&Is::Text)),
            CONFIG,
            may("isEnabled", Is::Bool),
        ],
        update,
    ),
    Function::mutation("skills:remove", &[ACCOUNT, SKILL], remove),
];

/// All skills, enabled or not, in the order of their creation.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let skills: Vec<Doc<Skill>> = call.tx.find(SKILLS, &[Some(call.account_id().as_str())]).rows()?;
    value(&skills)
}

fn skill(call: &Call<'_>, id: &Id<Skill>) -> Result<Doc<Skill>, Refusal> {
    let Some(skill) = call.tx.get(id)? else {
        return Err(Refusal::thrown("Not found: Skill does not exist"));
    };
    ensure!(skill.row.account_id == *call.account_id(), "Forbidden: Skill belongs to different account");
    Ok(skill)
}

fn check(name: Option<&str>, content: Option<&str>) -> Result<(), Refusal> {
    name.map_or(Ok(()), fields::check_name)?;
    fields::check_skill(content.unwrap_or_default())
}

fn config(given: Map<String, Value>) -> Result<Value, Refusal> {
    let plain = number::plain(&Value::Object(given));
    plain.ok_or_else(|| Refusal::thrown("config: every number must be finite"))
}

fn record(call: &Call<'_>, skill: &Skill, action: &str) -> Result<(), Refusal> {
    let person = reach::person(call)?;
    let meta = json!({"action": action, "skill": skill.slug});
    Ok(accounts::record(call, "account_updated", &Actor::person(&person), meta)?)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewSkill {
    name: String,
    slug: String,
    category: Option<String>,
    description: Option<String>,
    icon: Option<String>,
    content_markdown: Option<String>,
    #[serde(default)]
    config: Map<String, Value>,
    is_enabled: Option<bool>,
}

/// Creates a skill and returns its id. It is enabled by default.
fn create(call: &Call<'_>) -> Answer {
    let args: NewSkill = call.args()?;
    check(Some(&args.name), args.content_markdown.as_deref())?;
    slug::check::<Skill>(call, &SLUG, &args.slug, None)?;
    let skill = call.tx.insert(Skill {
        account_id: call.account_id().clone(),
        name: args.name,
        slug: args.slug,
        category: args.category.unwrap_or_else(|| "custom".to_owned()),
        description: args.description,
        icon: args.icon,
        content_markdown: args.content_markdown,
        config: config(args.config)?,
        is_enabled: args.is_enabled.unwrap_or(true),
        created_at: call.now(),
        updated_at: call.now(),
    })?;
    record(call, &skill.row, "skill_created")?;
    Ok(json!(skill.id))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SkillChanges {
    skill_id: Id<Skill>,
    name: Option<String>,
    slug: Option<String>,
    category: Option<String>,
    #[serde(default)]
    description: Given<String>,
    #[serde(default)]
    icon: Given<String>,
    #[serde(default)]
    content_markdown: Given<String>,
    config: Option<Map<String, Value>>,
    is_enabled: Option<bool>,
}

/// Replaces each given field; `null` removes one.
fn update(call: &Call<'_>) -> Answer {
    let args: SkillChanges = call.args()?;
    let mut skill = skill(call, &args.skill_id)?;
    check(args.name.as_deref(), args.content_markdown.value().map(String::as_str))?;
    let Doc { id, row, .. } = &mut skill;
    if let Some(slug) = args.slug {
        slug::check(call, &SLUG, &slug, Some(id))?;
        row.slug = slug;
    }
    if let Some(given) = args.config {
        row.config = config(given)?;
    }
    row.name = args.name.unwrap_or_else(|| std::mem::take(&mut row.name));
    row.category = args.category.unwrap_or_else(|| std::mem::take(&mut row.category));
    args.description.change(&mut row.description);
    args.icon.change(&mut row.icon);
    args.content_markdown.change(&mut row.content_markdown);
    row.is_enabled = args.is_enabled.unwrap_or(row.is_enabled);
    row.updated_at = call.now();
    call.tx.put(&skill)?;
    record(call, &skill.row, "skill_updated")?;
    done()
}

/// The arguments of a call about one skill.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneSkill {
    skill_id: Id<Skill>,
}

/// The complete skill; `null` if it does not exist.
fn get(call: &Call<'_>) -> Answer {
    let args: OneSkill = call.args()?;
    let found: Option<Doc<Skill>> = call.tx.get(&args.skill_id)?;
    value(&found.filter(|found| found.row.account_id == *call.account_id()))
}

/// Deletes the skill, and removes it from all agents.
fn remove(call: &Call<'_>) -> Answer {
    let args: OneSkill = call.args()?;
    let skill = skill(call, &args.skill_id)?;
    for mut agent in reach::agents(call.tx, call.account_id())? {
        let Some(config) = &mut agent.row.openclaw_config else { continue };
        if config.skill_ids.contains(&skill.id) {
            config.skill_ids.retain(|id| *id != skill.id);
            call.tx.put(&agent)?;
        }
    }
    call.tx.delete(&skill.id)?;
    record(call, &skill.row, "skill_removed")?;
    done()
}
