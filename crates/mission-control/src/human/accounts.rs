//! The account: its settings, its people and its token (backend-contract §8, §2.33, §2.34).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::answer::ensure;
use crate::call::{Answer, Call, Given, value};
use crate::data::OWNER;
use crate::function::{ACCOUNT, Function, TOKEN, done};
use crate::provisioning;
use crate::rows::{Account, Agent, Preferences, Task};
use crate::rules::activity::{self, Actor, Target};
use crate::rules::assignees::check_agents;
use crate::rules::{agent_config, fields, reach, slug};
use crate::store::{Doc, Id, StoreError, Table};
use crate::validate::{Is, may, need};
use crate::{account_setup, auth};
use mcr_model::limits;

const PREFERENCES: Is = Is::Object(&[
    need("taskUpdates", Is::Bool),
    need("agentActivity", Is::Bool),
    need("emailDigest", Is::Bool),
    need("memberUpdates", Is::Bool),
]);

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::query_of_all("accounts:list", list),
    Function::mutation_of_all("accounts:create", &[need("name", Is::Text), need("slug", Is::Text)], create),
    Function::mutation("accounts:remove", &[ACCOUNT, need("slug", Is::Text)], remove),
    Function::query("accounts:get", &[ACCOUNT], get),
    Function::query("memberships:list", &[ACCOUNT], members),
    Function::mutation(
        "accounts:updateSettings",
        &[
            ACCOUNT,
            may("theme", Is::Text),
            may("notificationPreferences", PREFERENCES),
            may("userMd", Is::Text),
            agent_config::DEFAULTS,
            may("orchestratorAgentId", Is::OrNull(&Is::Id(Table::Agents))),
            may("orchestratorChatTaskId", Is::OrNull(&Is::Id(Table::Tasks))),
        ],
        update_settings,
    ),
    Function::token_grant("service/actions:provisionServiceToken", &[ACCOUNT], provision_token),
    Function::token_grant("service/actions:syncServiceToken", &[ACCOUNT, TOKEN], sync_token),
];

/// An account as people see it: whether it has a token, but no part of the token.
fn account_view(account: &Doc<Account>) -> Answer {
    let mut account_view = value(account)?;
    if let Some(fields) = account_view.as_object_mut() {
        let hash = fields.remove("serviceTokenHash");
        fields.insert("hasServiceToken".to_owned(), json!(hash.is_some()));
    }
    Ok(account_view)
}

/// All accounts, in the order of their creation.
fn list(call: &Call<'_>) -> Answer {
    call.tx.all::<Account>()?.iter().map(account_view).collect()
}

#[derive(Deserialize)]
struct CreateArgs {
    name: String,
    slug: String,
}

/// Creates an account with its owner. Its service token is made by `service/actions:provisionServiceToken`, or by its machine.
fn create(call: &Call<'_>) -> Answer {
    let CreateArgs { name, slug } = call.args()?;
    fields::check_name(&name)?;
    slug::check_form(&slug, call.options)?;
    let made = account_setup::create_account(call.tx, &name, &slug, OWNER)?;
    Ok(json!({"accountId": made.account.id}))
}

/// Removes an account with all that people and agents wrote. Its machine is destroyed. The slug guards against a wrong id.
fn remove(call: &Call<'_>) -> Answer {
    let person = reach::person(call)?;
    ensure!(person.role == "owner", "Forbidden: Owner role required");
    let slug = call.args.get("slug").and_then(Value::as_str).unwrap_or_default();
    ensure!(slug == call.account.row.slug, "Invalid slug: it is not the slug of this account");
    let first = call.tx.all::<Account>()?.into_iter().next();
    ensure!(
        first.is_none_or(|first| first.id != *call.account_id()),
        "Forbidden: The first account of this server cannot be removed"
    );
    if let Some(mut machine) = provisioning::live(call.tx, call.account_id())? {
        provisioning::start_destroying(call.tx, &mut machine, false)?;
    }
    call.tx.delete_rows_of(call.account_id())?;
    done()
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    account_view(&call.account)
}

pub(super) fn members(call: &Call<'_>) -> Answer {
    value(&reach::members(call.tx, call.account_id())?)
}

/// The settings that people can change. Absent ones stay unchanged.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SettingsArgs {
    theme: Option<String>,
    notification_preferences: Option<Preferences>,
    user_md: Option<String>,
    agent_defaults: Option<Map<String, Value>>,
    #[serde(default)]
    orchestrator_agent_id: Given<Id<Agent>>,
    #[serde(default)]
    orchestrator_chat_task_id: Given<Id<Task>>,
}

/// Replaces each given setting. `null` unsets the orchestrator or its chat.
fn update_settings(call: &Call<'_>) -> Answer {
    let args: SettingsArgs = call.args()?;
    let person = reach::person(call)?;
    fields::check_profile("userMd", args.user_md.as_deref().unwrap_or_default())?;
    let mut account = call.account.clone();
    let settings = &mut account.row.settings;
    if let Some(id) = args.orchestrator_agent_id.value() {
        check_agents(call, std::slice::from_ref(id), " does not belong to account")?;
    }
    args.orchestrator_chat_task_id.value().map(|id| reach::task(call, id)).transpose()?;
    args.orchestrator_agent_id.change(&mut settings.orchestrator_agent_id);
    args.orchestrator_chat_task_id.change(&mut settings.orchestrator_chat_task_id);
    if let Some(defaults) = args.agent_defaults {
        settings.agent_defaults = Some(agent_config::defaults(&defaults)?);
    }
    settings.theme = args.theme.or_else(|| settings.theme.take());
    settings.user_md = args.user_md.or_else(|| settings.user_md.take());
    let preferences = args.notification_preferences;
    settings.notification_preferences = preferences.or_else(|| settings.notification_preferences.take());
    call.tx.put(&account)?;

    let names: Vec<&String> = call.args.keys().filter(|name| *name != "accountId").collect();
    record(call, "account_updated", &Actor::person(&person), json!({"changedFields": names}))?;
    done()
}

/// Records a change of the account in the activity log.
pub(super) fn record(call: &Call<'_>, kind: &str, actor: &Actor, meta: Value) -> Result<(), StoreError> {
    let Doc { id, row, .. } = &call.account;
    let target = Target { kind: "account", id: id.as_str(), name: Some(&row.name) };
    activity::record(call.tx, id, kind, actor, &target, Some(meta))
}

/// §2.33: issues a new token, which only this response contains. The previous token becomes invalid.
fn provision_token(call: &Call<'_>) -> Answer {
    let mut account = call.account.clone();
    Ok(json!({"token": account_setup::new_token(call.tx, &mut account)?}))
}

/// §2.34: sets a token that another system has created.
fn sync_token(call: &Call<'_>) -> Answer {
    let token = call.args.get("serviceToken").and_then(Value::as_str).unwrap_or_default().trim();
    // A longer token could be stored, but the guard would refuse it in every call.
    ensure!(limits::chars(token) <= limits::SERVICE_TOKEN_CHARS, "Invalid service token");
    ensure!(token.starts_with(auth::PREFIX), "Invalid service token format");
    let parts: Vec<&str> = token.split('_').collect();
    // An empty last part would be an empty secret.
    ensure!(parts.len() >= 4 && parts[3..] != [""], "Invalid service token structure");
    ensure!(parts[2] == call.account_id().as_str(), "Forbidden: Service token does not match account");
    let mut account = call.account.clone();
    account.row.service_token_hash = Some(auth::hash(&parts[3..].join("_")));
    call.tx.put(&account)?;
    done()
}
