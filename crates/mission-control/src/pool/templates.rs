//! Message templates: texts that an application sends again and again (worker-pool C.11).

use serde::Deserialize;
use serde_json::{Value, json};

use super::reads::{self, UserAgentArgs};
use super::rows::{MessageTemplate, Texts};
use super::{AGENT, LIMIT, METADATA, USER, clamped};
use crate::answer::{Refusal, ensure};
use crate::call::{Answer, Call, value};
use crate::function::Function;
use crate::number;
use crate::store::{Doc, Id, MESSAGE_TEMPLATE, Row, StoreError, Tx};
use crate::validate::{Arg, Is, may, need};

const TITLE: Arg = need("title", Is::Text);
const TEXT: Arg = need("text", Is::Text);
const TAGS: Is = Is::List(&Is::Text);
const ENABLED: Arg = may("enabled", Is::Bool);
const ACTOR: Arg = need("actorUserId", Is::Text);
const TEMPLATE: Arg = need("templateId", Is::Text);

/// The longest title, the longest text, and the most tags.
const TITLE_BYTES: usize = 1_000;
const TEXT_BYTES: usize = 64 * 1024;
const TAGS_MAX: usize = 100;
/// The longest key that a title gives.
const KEY_CHARS: usize = 80;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::pool_mutation(
        "agentFactory:createMessageTemplate",
        &[TITLE, TEXT, need("tags", TAGS), ENABLED, ACTOR],
        create,
    ),
    Function::pool_mutation(
        "agentFactory:updateMessageTemplate",
        &[TEMPLATE, may("title", Is::Text), may("text", Is::Text), may("tags", TAGS), ENABLED, ACTOR],
        update,
    ),
    Function::pool_mutation("agentFactory:deleteMessageTemplate", &[TEMPLATE], delete),
    Function::pool_query(
        "agentFactory:listMessageTemplatesByCompany",
        &[may("includeDisabled", Is::Bool), LIMIT],
        list,
    ),
    Function::pool_mutation(
        "agentFactory:sendMessageTemplateToUserAgent",
        &[USER, AGENT, TEMPLATE, METADATA],
        send,
    ),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageTemplateArgs {
    #[serde(default)]
    template_id: String,
    title: Option<String>,
    text: Option<String>,
    tags: Option<Vec<String>>,
    enabled: Option<bool>,
    #[serde(default)]
    actor_user_id: String,
}

/// The title without surrounding blanks, or a refusal.
pub(super) fn title(text: &str) -> Result<String, Refusal> {
    bounded(text, "title", TITLE_BYTES)
}

/// The text without surrounding blanks, or a refusal.
pub(super) fn text(text: &str) -> Result<String, Refusal> {
    bounded(text, "text", TEXT_BYTES)
}

fn bounded(text: &str, what: &str, max: usize) -> Result<String, Refusal> {
    let text = text.trim();
    ensure!(!text.is_empty(), "The {what} is blank: write a {what}");
    ensure!(text.len() <= max, "The {what} has {} bytes, more than {max}: shorten it", text.len());
    Ok(text.to_owned())
}

/// The row with this id, or a refusal.
pub(super) fn existing<R: Row>(tx: &Tx<'_>, id: &str, what: &str) -> Result<Doc<R>, Refusal> {
    let found = Id::parse(id).map(|id| tx.get(&id)).transpose()?.flatten();
    found.ok_or_else(|| Refusal::thrown(format!("The {what} {id} does not exist")))
}

fn tags(given: &[String]) -> Result<Vec<String>, Refusal> {
    let mut tags: Vec<String> = given.iter().map(|tag| tag.trim().to_lowercase()).collect();
    tags.retain(|tag| !tag.is_empty());
    tags.sort();
    tags.dedup();
    let fits = tags.len() <= TAGS_MAX && tags.iter().all(|tag| tag.len() <= TITLE_BYTES);
    ensure!(fits, "There are more than {TAGS_MAX} tags, or a tag has more than {TITLE_BYTES} bytes");
    Ok(tags)
}

/// A key that no other template has: the title as a slug, with a number if needed.
fn key(tx: &Tx<'_>, title: &str, own: Option<&Id<MessageTemplate>>) -> Result<String, StoreError> {
    let mut slug = String::new();
    for c in title.to_lowercase().chars() {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    let slug: String = slug.trim_end_matches('-').chars().take(KEY_CHARS).collect();
    let slug = if slug.is_empty() { "template".to_owned() } else { slug };
    let mut number = 1_u32;
    loop {
        let key = if number == 1 { slug.clone() } else { format!("{slug}-{number}") };
        let owner = tx.find::<MessageTemplate>(MESSAGE_TEMPLATE, &[Some(&key)]).first()?;
        if owner.is_none_or(|owner| Some(&owner.id) == own) {
            return Ok(key);
        }
        number += 1;
    }
}

fn create(call: &Call<'_>) -> Answer {
    let args: MessageTemplateArgs = call.args()?;
    let title = title(&args.title.unwrap_or_default())?;
    let row = MessageTemplate {
        template_key: key(call.tx, &title, None)?,
        title,
        text: text(&args.text.unwrap_or_default())?,
        tags: tags(&args.tags.unwrap_or_default())?,
        enabled: args.enabled.unwrap_or(true),
        usage_count: 0.0,
        created_by: args.actor_user_id.clone(),
        updated_by: args.actor_user_id,
        created_at: call.now(),
        updated_at: call.now(),
    };
    Ok(json!(call.tx.insert(row)?.id.as_str()))
}

fn update(call: &Call<'_>) -> Answer {
    let args: MessageTemplateArgs = call.args()?;
    let mut found: Doc<MessageTemplate> = existing(call.tx, &args.template_id, "message template")?;
    let row = &mut found.row;
    if let Some(given) = args.title {
        let given = title(&given)?;
        if given != row.title {
            row.template_key = key(call.tx, &given, Some(&found.id))?;
            row.title = given;
        }
    }
    if let Some(given) = args.text {
        row.text = text(&given)?;
    }
    if let Some(given) = args.tags {
        row.tags = tags(&given)?;
    }
    row.enabled = args.enabled.unwrap_or(row.enabled);
    (row.updated_by, row.updated_at) = (args.actor_user_id, call.now());
    call.tx.put(&found)?;
    Ok(json!(found.id.as_str()))
}

fn delete(call: &Call<'_>) -> Answer {
    let args: MessageTemplateArgs = call.args()?;
    remove::<MessageTemplate>(call, &args.template_id)
}

/// Removes a row. The answer says whether it was there.
pub(super) fn remove<R: Row>(call: &Call<'_>, id: &str) -> Answer {
    let found = Id::<R>::parse(id).map(|id| call.tx.get(&id)).transpose()?.flatten();
    if let Some(found) = &found {
        call.tx.delete(&found.id)?;
    }
    Ok(json!(found.is_some()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TemplateListArgs {
    #[serde(default)]
    include_disabled: bool,
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

/// The templates, most used first.
fn list(call: &Call<'_>) -> Answer {
    let args: TemplateListArgs = call.args()?;
    let mut found = call.tx.all::<MessageTemplate>()?;
    found.retain(|found| args.include_disabled || found.row.enabled);
    found.sort_by(|one, other| {
        let by_usage = other.row.usage_count.total_cmp(&one.row.usage_count);
        by_usage.then(other.row.updated_at.total_cmp(&one.row.updated_at))
    });
    found.truncate(clamped(args.limit, 100, 200));
    found.iter().map(value).collect::<Result<Value, _>>()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TemplateSendArgs {
    template_id: String,
    metadata: Option<Texts>,
}

fn send(call: &Call<'_>) -> Answer {
    let (args, user): (TemplateSendArgs, UserAgentArgs) = (call.args()?, call.args()?);
    let mut found: Doc<MessageTemplate> = existing(call.tx, &args.template_id, "message template")?;
    ensure!(
        found.row.enabled,
        "The message template {} is disabled: enable it first",
        found.row.template_key
    );
    let mut metadata = reads::with_source(args.metadata, "message_template");
    metadata.insert("templateId".to_owned(), found.id.to_string());
    metadata.insert("templateKey".to_owned(), found.row.template_key.clone());
    let message = reads::send_to(call, &user, &found.row.text, metadata)?;
    found.row.usage_count += 1.0;
    call.tx.put(&found)?;
    Ok(json!({"messageId": message, "usageCount": found.row.usage_count}))
}
