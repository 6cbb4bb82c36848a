//! The rules for the rows of an import: a row is valid if a function could have written it. Whatever the functions
//! accept (dangling ids, any priority), an import accepts too, so that every export can be imported.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::Refusal;
use super::call::Options;
use super::human::secrets;
use super::human::skills::{CATEGORY, CONFIG};
use super::pool;
use super::provisioning;
use super::rules::agent_config;
use super::rules::attachments;
use super::rules::fields::{self, DOCUMENT_TYPE};
use super::rules::post;
use super::rules::rollout;
use super::rules::slug;
use super::rules::status::STATUS;
use super::rules::system_config;
use super::service::agents::STATUSES;
use super::service::runtime::STATUS as RUNTIME_STATUS;
use super::store::{Table, table_of};
use super::validate::{Is, check};

const AUTHOR: Is = Is::OneOf(&["user", "agent"]);
const ROLE: Is = Is::OneOf(&["owner", "admin", "member"]);
const PLAN: Is = Is::OneOf(&["free", "pro", "enterprise"]);
/// The status of an account has no `upgrading`; the status of its runtime has.
const RUNTIME: Is = Is::OneOf(&["provisioning", "online", "degraded", "offline", "error", "upgrading"]);
const AGENT_CONFIG: Is = agent_config::CONFIG.is();
const SKILL_CATEGORY: Is = CATEGORY.is();
const SKILL_CONFIG: Is = CONFIG.is();
const KIND: Is = Is::OneOf(&["file", "folder"]);
const NOTIFICATION: Is = Is::OneOf(&[
    "mention",
    "assignment",
    "thread_update",
    "status_change",
    "response_request",
    "member_added",
    "member_removed",
    "role_changed",
]);
/// The latest valid creation time. New rows get times after the newest row, so a time in the far future would affect
/// them all.
const LATEST_CREATION: f64 = 4_102_444_800_000.0;
/// The characters of a value that an error repeats.
const SHOWN_CHARS: usize = 60;

/// A rule for one field. An absent field satisfies every rule.
pub(super) enum Rule {
    /// A value of a list or a form, as for arguments.
    Is(Is),
    /// A function's check of a text.
    Text(fn(&str, Options) -> Result<(), Refusal>),
    /// A function's check of any other value.
    Value(fn(&Value) -> Result<(), Refusal>),
    /// The id of a row of this table, or a list of such ids. The row need not exist.
    Id(Table),
    /// The id of a task of the same account.
    Task,
    /// No other row has the same values in these fields.
    Unique(&'static [&'static str], &'static str),
    /// The account has no other machine, unless this one is gone.
    OneMachine,
}

use Rule::{Id, Is as Word, OneMachine, Task, Text, Unique, Value as Any};

fn rules(table: Table) -> &'static [(&'static str, Rule)] {
    match table {
        Table::Accounts => &[
            ("slug", Unique(&["slug"], "Conflict: Account slug already exists")),
            ("plan", Word(PLAN)),
            ("runtimeStatus", Word(RUNTIME_STATUS)),
            ("settings", Any(settings)),
        ],
        Table::Memberships => &[
            ("role", Word(ROLE)),
            ("userId", Unique(&["accountId", "userId"], "the account has another row with this value")),
        ],
        Table::Agents => &[
            ("slug", Text(slug::check_form)),
            ("slug", Unique(&["accountId", "slug"], "Conflict: Agent slug already exists in this account")),
            ("name", Text(|name, _| fields::check_name(name))),
            ("status", Word(Is::OneOf(STATUSES))),
            ("identityContent", Text(|text, _| fields::check_profile("identityContent", text))),
            ("currentTaskId", Id(Table::Tasks)),
            ("openclawConfig", Word(AGENT_CONFIG)),
            ("openclawConfig", Any(agent_config::check_stored)),
        ],
        Table::Tasks => &[
            ("title", Text(|title, _| fields::check_lengths(Some(title), None))),
            ("description", Text(|text, _| fields::check_lengths(None, Some(text)))),
            ("status", Word(STATUS)),
            ("labels", Any(labels)),
            ("assignedAgentIds", Id(Table::Agents)),
        ],
        Table::Messages => &[
            ("taskId", Task),
            ("authorType", Word(AUTHOR)),
            ("content", Text(|content, _| post::check_content(content))),
            ("attachments", Any(attachments_are_valid)),
            ("sourceNotificationId", Id(Table::Notifications)),
            (
                "sourceNotificationId",
                Unique(&["sourceNotificationId"], "another message has answered this notification"),
            ),
        ],
        Table::Notifications => &[
            ("type", Word(NOTIFICATION)),
            ("recipientType", Word(AUTHOR)),
            ("taskId", Task),
            ("messageId", Id(Table::Messages)),
        ],
        Table::Documents => &[
            ("title", Text(|title, _| fields::check_document(Some(title), None))),
            ("content", Text(|content, _| fields::check_document(None, Some(content)))),
            ("type", Word(DOCUMENT_TYPE)),
            ("kind", Word(KIND)),
            ("authorType", Word(AUTHOR)),
            ("taskId", Id(Table::Tasks)),
            ("parentId", Id(Table::Documents)),
        ],
        Table::Skills => &[
            ("slug", Text(slug::check_form)),
            ("slug", Unique(&["accountId", "slug"], "Conflict: Skill slug already exists in this account")),
            ("name", Text(|name, _| fields::check_name(name))),
            ("category", Word(SKILL_CATEGORY)),
            ("contentMarkdown", Text(|text, _| fields::check_skill(text))),
            ("config", Word(SKILL_CONFIG)),
        ],
        Table::Subscriptions => &[
            ("taskId", Task),
            ("subscriberType", Word(AUTHOR)),
            (
                "subscriberId",
                Unique(
                    &["taskId", "subscriberType", "subscriberId"],
                    "the task has another row with this value",
                ),
            ),
        ],
        Table::Activities => &[
            ("actorType", Word(Is::OneOf(&["user", "agent", "system"]))),
            (
                "targetType",
                Word(Is::OneOf(&["task", "message", "document", "agent", "account", "membership"])),
            ),
        ],
        Table::Sessions => &[
            ("agentId", Id(Table::Agents)),
            ("sessionType", Word(Is::OneOf(&["task", "system"]))),
            ("taskId", Id(Table::Tasks)),
            ("sessionKey", Unique(&["sessionKey"], "another session has this key")),
        ],
        Table::Uploads => &[("taskId", Id(Table::Tasks)), ("storageId", Id(Table::Storage))],
        Table::Storage => &[],
        Table::Runtimes => {
            &[("accountId", Unique(&["accountId"], "the account has another row")), ("status", Word(RUNTIME))]
        }
        Table::ProviderKeys => &[
            ("provider", Text(|name, _| secrets::check_provider(name))),
            ("provider", Unique(&["accountId", "provider"], "the account has another row with this value")),
        ],
        Table::SystemConfig | Table::MachineTokens | Table::Provisions | Table::Rollouts => {
            fleet_rules(table)
        }
        _ => pool::import_rules(table),
    }
}

/// The rules of the tables that concern several accounts and their machines.
fn fleet_rules(table: Table) -> &'static [(&'static str, Rule)] {
    match table {
        Table::SystemConfig => &[
            ("key", Word(Is::OneOf(system_config::KEYS))),
            ("key", Unique(&["key"], "another row has this key")),
        ],
        Table::MachineTokens => &[
            ("provider", Word(provisioning::PROVIDER)),
            ("provider", Unique(&["provider"], "another row has this provider")),
        ],
        Table::Provisions => &[
            ("provider", Word(provisioning::PROVIDER)),
            ("state", Word(Is::OneOf(provisioning::STATES))),
            ("accountId", OneMachine),
        ],
        Table::Rollouts => &[("state", Word(Is::OneOf(rollout::STATES))), ("rollsBack", Id(Table::Rollouts))],
        _ => &[],
    }
}

fn settings(settings: &Value) -> Result<(), Refusal> {
    fields::check_profile("userMd", settings["userMd"].as_str().unwrap_or_default())?;
    let Some(defaults) = settings.get("agentDefaults") else { return Ok(()) };
    check(defaults, &agent_config::DEFAULTS.is(), ".agentDefaults").map_err(Refusal::Arguments)?;
    agent_config::check_stored(defaults)
}

fn labels(labels: &Value) -> Result<(), Refusal> {
    let texts = labels.as_array().into_iter().flatten().filter_map(Value::as_str);
    fields::check_labels(texts)
}

fn attachments_are_valid(list: &Value) -> Result<(), Refusal> {
    for one in list.as_array().into_iter().flatten() {
        let text = |name: &str| one[name].as_str().unwrap_or_default();
        attachments::check_stored(text("name"), text("type"), one["size"].as_f64().unwrap_or_default())?;
    }
    Ok(())
}

/// Why a row is refused: the field, and the reason.
pub(super) type RefusedField = (&'static str, String);

/// The state of a check of all rows of an export.
pub(super) struct ImportCheck<'a> {
    options: Options,
    accounts: HashSet<&'a str>,
    /// The account of each task.
    tasks: HashMap<&'a str, &'a str>,
    /// The values that must be unique.
    seen: HashSet<(&'static str, &'static [&'static str], Vec<String>)>,
}

impl<'a> ImportCheck<'a> {
    /// A check of these tables.
    pub(super) fn of(tables: &'a Map<String, Value>, options: Options) -> Self {
        let rows = |table: Table| tables.get(table.name()).and_then(Value::as_array).into_iter().flatten();
        let text = |row: &'a Value, name: &str| row[name].as_str().unwrap_or_default();
        Self {
            options,
            accounts: rows(Table::Accounts).map(|row| text(row, "_id")).collect(),
            tasks: rows(Table::Tasks).map(|row| (text(row, "_id"), text(row, "accountId"))).collect(),
            seen: HashSet::new(),
        }
    }

    /// Refuses a row that no function could have written. The types of its fields are already checked.
    pub(super) fn check(&mut self, table: Table, row: &Value) -> Result<(), RefusedField> {
        let id = row["_id"].as_str().unwrap_or_default();
        if table_of(id) != Some(table) {
            return Err(("_id", format!("{} is not an id of {}", shown(&row["_id"]), table.name())));
        }
        let created = row["_creationTime"].as_f64().unwrap_or_default();
        if created > LATEST_CREATION {
            return Err(("_creationTime", "it is after the year 2100".to_owned()));
        }
        let account = row["accountId"].as_str();
        // A machine outlives its account until it is destroyed.
        let needs_account = table != Table::Provisions;
        if needs_account && account.is_some_and(|account| !self.accounts.contains(account)) {
            return Err(("accountId", "no account has this id".to_owned()));
        }
        let given = rules(table).iter().filter_map(|(name, rule)| Some((*name, rule, row.get(*name)?)));
        for (name, rule, value) in given.filter(|(_, _, value)| !value.is_null()) {
            self.check_field(table, rule, row, value).map_err(|why| (name, why))?;
        }
        Ok(())
    }

    fn check_field(&mut self, table: Table, rule: &Rule, row: &Value, value: &Value) -> Result<(), String> {
        match rule {
            Word(Is::OneOf(words)) => {
                let known = value.as_str().is_some_and(|word| words.contains(&word));
                known
                    .then_some(())
                    .ok_or_else(|| format!("{} is not one of {}", shown(value), words.join(", ")))
            }
            Word(is) => check(&without_nulls(value), is, "").map_err(|why| first_line(&why)),
            Text(check) => {
                check(value.as_str().unwrap_or_default(), self.options).map_err(|why| message(&why))
            }
            Any(check) => check(value).map_err(|why| message(&why)),
            Id(of) => {
                let is_id = |id: &&Value| id.as_str().and_then(table_of) == Some(*of);
                let ids = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
                let wrong = ids.iter().find(|id| !is_id(id));
                wrong.map_or(Ok(()), |id| Err(format!("{} is not an id of {}", shown(id), of.name())))
            }
            Task => match value.as_str().and_then(|id| self.tasks.get(id)) {
                None => Err("no task has this id".to_owned()),
                Some(account) if row["accountId"] == **account => Ok(()),
                Some(_) => Err("the task belongs to another account".to_owned()),
            },
            Unique(names, why) => {
                let values = names.iter().map(|name| row[*name].to_string()).collect();
                let is_first = self.seen.insert((table.name(), names, values));
                is_first.then_some(()).ok_or_else(|| (*why).to_owned())
            }
            OneMachine if row["state"] == provisioning::GONE => Ok(()),
            OneMachine => {
                let is_first = self.seen.insert((table.name(), &["accountId"], vec![value.to_string()]));
                is_first.then_some(()).ok_or_else(|| "the account has another machine".to_owned())
            }
        }
    }
}

fn message(why: &Refusal) -> String {
    first_line(&why.to_string())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// The value for an error, cut to a readable length.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}\u{2026}", &text[..end]),
        None => text,
    }
}

/// The object without `null` fields, because an absent field may be written as `null`.
fn without_nulls(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    value
}
