//! Templates of scheduled messages, for each company (worker-pool C.10).

use serde::Deserialize;
use serde_json::{Value, json};

use super::push_schedule::{MANUAL, PERIODICITY, parse};
use super::rows::{PushSchedule, PushTemplate};
use super::templates::{existing, remove, text, title};
use crate::answer::{Refusal, ensure};
use crate::call::{Answer, Call, value};
use crate::function::Function;
use crate::store::{Doc, PUSH_TEMPLATE, PUSH_TEMPLATES};
use crate::validate::{Arg, Is, may, need};

const TEMPLATE: Arg = need("templateId", Is::Text);
const COMPANY: Arg = need("companyId", Is::Text);
const ENABLED: Arg = may("enabled", Is::Bool);
const ACTOR: Arg = need("actorUserId", Is::Text);
const TIMES: Is = Is::List(&Is::Any);
/// The most suggested times.
const TIMES_MAX: usize = 100;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::pool_mutation(
        "agentFactory:createPushTemplate",
        &[
            COMPANY,
            need("templateKey", Is::Text),
            need("title", Is::Text),
            need("text", Is::Text),
            need("periodicity", PERIODICITY),
            need("suggestedTimes", TIMES),
            ENABLED,
            ACTOR,
        ],
        create,
    ),
    Function::pool_mutation(
        "agentFactory:updatePushTemplate",
        &[
            TEMPLATE,
            may("title", Is::Text),
            may("text", Is::Text),
            may("periodicity", PERIODICITY),
            may("suggestedTimes", TIMES),
            ENABLED,
            ACTOR,
        ],
        update,
    ),
    Function::pool_mutation("agentFactory:deletePushTemplate", &[TEMPLATE], delete),
    Function::pool_query(
        "agentFactory:listPushTemplatesByCompany",
        &[COMPANY, may("includeDisabled", Is::Bool)],
        list,
    ),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PushTemplateArgs {
    #[serde(default)]
    template_id: String,
    #[serde(default)]
    company_id: String,
    #[serde(default)]
    template_key: String,
    title: Option<String>,
    text: Option<String>,
    periodicity: Option<String>,
    suggested_times: Option<Vec<Value>>,
    enabled: Option<bool>,
    #[serde(default)]
    actor_user_id: String,
    #[serde(default)]
    include_disabled: bool,
}

/// The suggested times of a template. They match its periodicity, and a manual one has none.
fn times(given: &[Value], periodicity: &str) -> Result<Vec<PushSchedule>, Refusal> {
    ensure!(
        periodicity != MANUAL || given.is_empty(),
        "A manual template has no suggested times: leave them out"
    );
    ensure!(given.len() <= TIMES_MAX, "There are more than {TIMES_MAX} suggested times");
    given.iter().map(|time| parse(time, periodicity)).collect()
}

fn create(call: &Call<'_>) -> Answer {
    let args: PushTemplateArgs = call.args()?;
    let key = args.template_key.trim().to_owned();
    ensure!(!key.is_empty() && key.len() <= 200, "The key of a template has 1 to 200 bytes");
    ensure!(!args.company_id.trim().is_empty(), "companyId is blank: name the company");
    let taken = call.tx.find::<PushTemplate>(PUSH_TEMPLATE, &[Some(&args.company_id), Some(&key)]).first()?;
    ensure!(taken.is_none(), "The company {} has a template {key} already", args.company_id);
    let periodicity = args.periodicity.unwrap_or_default();
    let row = PushTemplate {
        suggested_times: times(&args.suggested_times.unwrap_or_default(), &periodicity)?,
        company_id: args.company_id,
        template_key: key,
        title: title(&args.title.unwrap_or_default())?,
        text: text(&args.text.unwrap_or_default())?,
        periodicity,
        enabled: args.enabled.unwrap_or(true),
        created_by: args.actor_user_id.clone(),
        updated_by: args.actor_user_id,
        created_at: call.now(),
        updated_at: call.now(),
    };
    Ok(json!(call.tx.insert(row)?.id.as_str()))
}

fn update(call: &Call<'_>) -> Answer {
    let args: PushTemplateArgs = call.args()?;
    let mut found: Doc<PushTemplate> = existing(call.tx, &args.template_id, "push template")?;
    let row = &mut found.row;
    if let Some(given) = args.title {
        row.title = title(&given)?;
    }
    if let Some(given) = args.text {
        row.text = text(&given)?;
    }
    if args.periodicity.is_some() || args.suggested_times.is_some() {
        let periodicity = args.periodicity.unwrap_or_else(|| row.periodicity.clone());
        let given = match args.suggested_times {
            Some(given) => given,
            None => row.suggested_times.iter().map(value).collect::<Result<_, _>>()?,
        };
        row.suggested_times = times(&given, &periodicity)?;
        row.periodicity = periodicity;
    }
    row.enabled = args.enabled.unwrap_or(row.enabled);
    (row.updated_by, row.updated_at) = (args.actor_user_id, call.now());
    call.tx.put(&found)?;
    Ok(json!(found.id.as_str()))
}

fn delete(call: &Call<'_>) -> Answer {
    let args: PushTemplateArgs = call.args()?;
    remove::<PushTemplate>(call, &args.template_id)
}

fn list(call: &Call<'_>) -> Answer {
    let args: PushTemplateArgs = call.args()?;
    let found: Vec<Doc<PushTemplate>> = call.tx.find(PUSH_TEMPLATES, &[Some(&args.company_id)]).rows()?;
    let shown = found.iter().filter(|found| args.include_disabled || found.row.enabled);
    shown.map(value).collect::<Result<Value, _>>()
}
