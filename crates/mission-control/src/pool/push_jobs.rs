//! Scheduled messages to users (worker-pool C.10).

use serde::Deserialize;
use serde_json::{Value, json};

use super::push_schedule::{PERIODICITY, next_run, parse, zone};
use super::rows::{PushJob, PushTemplate};
use super::templates::{existing, remove, text, title};
use super::times::{millis, time};
use super::{AGENT, USER, bindings, push_runs};
use crate::answer::{Refusal, ensure};
use crate::call::{Answer, Call, value};
use crate::function::Function;
use crate::store::{Doc, PUSH_JOBS_OF_USER};
use crate::validate::{Arg, Is, may, need};

const COMPANY: Arg = need("companyId", Is::Text);
const JOB: Arg = need("jobId", Is::Text);
const TEMPLATE: Arg = need("templateId", Is::Text);
const TITLE: Arg = need("title", Is::Text);
const TEXT: Arg = need("text", Is::Text);
const ZONE: Arg = need("timezone", Is::Text);
const PERIOD: Arg = need("periodicity", PERIODICITY);
const SCHEDULE: Arg = need("schedule", Is::Any);
const NEW_SCHEDULE: Arg = may("schedule", Is::Any);
const ENABLED: Arg = may("enabled", Is::Bool);
const NEW_TITLE: Arg = may("title", Is::Text);
const NEW_TEXT: Arg = may("text", Is::Text);
const NEW_PERIOD: Arg = may("periodicity", PERIODICITY);
const NEW_ZONE: Arg = may("timezone", Is::Text);
const DISABLED: Arg = may("includeDisabled", Is::Bool);

/// Whether there is a next run. A text, because indexes compare texts.
pub(super) const YES: &str = "yes";
pub(super) const NO: &str = "no";
/// The most scheduled messages of a user.
const JOBS_MAX: usize = 200;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::pool_mutation(
        "agentFactory:createPushJobFromTemplate",
        &[COMPANY, USER, TEMPLATE, ZONE, NEW_SCHEDULE, ENABLED],
        from_template,
    ),
    Function::pool_mutation(
        "agentFactory:createPushJobFromTemplateForAgent",
        &[COMPANY, USER, AGENT, TEMPLATE, ZONE, NEW_SCHEDULE, ENABLED],
        from_template,
    ),
    Function::pool_mutation(
        "agentFactory:createPushJobCustom",
        &[COMPANY, USER, TITLE, TEXT, PERIOD, ZONE, SCHEDULE, ENABLED],
        custom,
    ),
    Function::pool_mutation(
        "agentFactory:createPushJobCustomForAgent",
        &[COMPANY, USER, AGENT, TITLE, TEXT, PERIOD, ZONE, SCHEDULE, ENABLED],
        custom,
    ),
    Function::pool_mutation(
        "agentFactory:updatePushJob",
        &[JOB, NEW_TITLE, NEW_TEXT, NEW_PERIOD, NEW_ZONE, NEW_SCHEDULE, ENABLED],
        update,
    ),
    Function::pool_mutation(
        "agentFactory:updatePushJobForAgent",
        &[USER, AGENT, JOB, NEW_TITLE, NEW_TEXT, NEW_PERIOD, NEW_ZONE, NEW_SCHEDULE, ENABLED],
        update,
    ),
    Function::pool_mutation("agentFactory:deletePushJob", &[JOB], delete),
    Function::pool_mutation("agentFactory:setPushJobEnabled", &[JOB, need("enabled", Is::Bool)], update),
    Function::pool_query("agentFactory:listPushJobsForUser", &[USER, DISABLED], list),
    Function::pool_query("agentFactory:listPushJobsForAgent", &[USER, AGENT, DISABLED], list),
    Function::pool_mutation("agentFactory:triggerPushJobNow", &[JOB], trigger),
    Function::pool_mutation("agentFactory:triggerPushJobNowForAgent", &[USER, AGENT, JOB], trigger),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobArgs {
    #[serde(default)]
    company_id: String,
    #[serde(default)]
    consumer_user_id: String,
    agent_key: Option<String>,
    #[serde(default)]
    job_id: String,
    #[serde(default)]
    template_id: String,
    title: Option<String>,
    text: Option<String>,
    periodicity: Option<String>,
    timezone: Option<String>,
    schedule: Option<Value>,
    enabled: Option<bool>,
    #[serde(default)]
    include_disabled: bool,
}

/// Sets the next run from now.
pub(super) fn plan(row: &mut PushJob, now: f64) -> Result<(), Refusal> {
    let next = if row.enabled { next_run(&row.schedule, zone(&row.timezone)?, millis(now))? } else { None };
    row.next_run_at = next.map(time);
    let is_scheduled = if next.is_some() { YES } else { NO };
    is_scheduled.clone_into(&mut row.is_scheduled);
    Ok(())
}

/// Ends the runs of a job.
pub(super) fn unschedule(row: &mut PushJob) {
    row.next_run_at = None;
    NO.clone_into(&mut row.is_scheduled);
}

fn add(call: &Call<'_>, mut row: PushJob) -> Answer {
    let user = &row.consumer_user_id;
    ensure!(!user.trim().is_empty(), "consumerUserId is blank: name the user");
    if let Some(key) = &row.agent_key {
        bindings::active_to(call.tx, user, key)?;
    }
    let count = call.tx.find::<PushJob>(PUSH_JOBS_OF_USER, &[Some(user)]).count()?;
    ensure!(count < JOBS_MAX, "The user {user} has {count} scheduled messages: remove one first");
    plan(&mut row, call.now())?;
    Ok(json!(call.tx.insert(row)?.id.as_str()))
}

fn from_template(call: &Call<'_>) -> Answer {
    let args: JobArgs = call.args()?;
    let template: Doc<PushTemplate> = existing(call.tx, &args.template_id, "push template")?;
    let PushTemplate { company_id, title, text, periodicity, suggested_times, enabled, .. } = template.row;
    ensure!(
        company_id == args.company_id,
        "The push template {} belongs to another company",
        args.template_id
    );
    ensure!(enabled, "The push template {} is disabled: enable it first", args.template_id);
    let schedule = match (&args.schedule, suggested_times.into_iter().next()) {
        (Some(given), _) => parse(given, &periodicity)?,
        (None, Some(suggested)) => suggested,
        (None, None) => parse(&json!({"kind": "manual"}), &periodicity)?,
    };
    add(
        call,
        PushJob {
            company_id,
            consumer_user_id: args.consumer_user_id,
            title,
            text,
            periodicity,
            timezone: args.timezone.unwrap_or_default(),
            schedule,
            enabled: args.enabled.unwrap_or(true),
            created_at: call.now(),
            updated_at: call.now(),
            agent_key: args.agent_key,
            source_template_id: Some(args.template_id),
            ..PushJob::default()
        },
    )
}

fn custom(call: &Call<'_>) -> Answer {
    let args: JobArgs = call.args()?;
    let periodicity = args.periodicity.unwrap_or_default();
    add(
        call,
        PushJob {
            company_id: args.company_id,
            consumer_user_id: args.consumer_user_id,
            title: title(&args.title.unwrap_or_default())?,
            text: text(&args.text.unwrap_or_default())?,
            schedule: parse(&args.schedule.unwrap_or_default(), &periodicity)?,
            periodicity,
            timezone: args.timezone.unwrap_or_default(),
            enabled: args.enabled.unwrap_or(true),
            created_at: call.now(),
            updated_at: call.now(),
            agent_key: args.agent_key,
            ..PushJob::default()
        },
    )
}

/// The job of a call. A call for a user's agent reaches only that user's jobs.
fn job(call: &Call<'_>, args: &JobArgs) -> Result<Doc<PushJob>, Refusal> {
    let found: Doc<PushJob> = existing(call.tx, &args.job_id, "scheduled message")?;
    if let Some(key) = &args.agent_key {
        bindings::active_to(call.tx, &args.consumer_user_id, key)?;
        let is_own = found.row.consumer_user_id == args.consumer_user_id
            && found.row.agent_key.as_ref().is_none_or(|own| own == key);
        ensure!(is_own, "The scheduled message {} belongs to another user or agent", args.job_id);
    }
    Ok(found)
}

fn update(call: &Call<'_>) -> Answer {
    let args: JobArgs = call.args()?;
    let mut found = job(call, &args)?;
    let row = &mut found.row;
    if let Some(given) = &args.title {
        row.title = title(given)?;
    }
    if let Some(given) = &args.text {
        row.text = text(given)?;
    }
    if let Some(given) = args.timezone {
        row.timezone = given;
    }
    if args.periodicity.is_some() || args.schedule.is_some() {
        let periodicity = args.periodicity.unwrap_or_else(|| row.periodicity.clone());
        let schedule = args.schedule.map_or_else(|| value(&row.schedule), Ok)?;
        row.schedule = parse(&schedule, &periodicity)?;
        row.periodicity = periodicity;
    }
    row.enabled = args.enabled.unwrap_or(row.enabled);
    row.updated_at = call.now();
    zone(&row.timezone)?;
    plan(row, call.now())?;
    call.tx.put(&found)?;
    Ok(json!(true))
}

fn delete(call: &Call<'_>) -> Answer {
    let args: JobArgs = call.args()?;
    remove::<PushJob>(call, &args.job_id)
}

fn list(call: &Call<'_>) -> Answer {
    let args: JobArgs = call.args()?;
    let found: Vec<Doc<PushJob>> = call.tx.find(PUSH_JOBS_OF_USER, &[Some(&args.consumer_user_id)]).rows()?;
    let is_of_agent = |job: &&Doc<PushJob>| {
        let own = job.row.agent_key.as_ref();
        own.is_none_or(|own| args.agent_key.as_ref().is_none_or(|key| key == own))
    };
    let shown = found.iter().filter(|job| args.include_disabled || job.row.enabled).filter(is_of_agent);
    let view = |Doc { id, row, .. }: &Doc<PushJob>| {
        json!({
            "_id": id.as_str(),
            "agentKey": row.agent_key,
            "companyId": row.company_id,
            "consumerUserId": row.consumer_user_id,
            "createdAt": row.created_at,
            "enabled": row.enabled,
            "lastRunAt": row.last_run_at,
            "lastRunKey": row.last_run_key,
            "nextRunAt": row.next_run_at,
            "periodicity": row.periodicity,
            "schedule": row.schedule,
            "sourceTemplateId": row.source_template_id,
            "text": row.text,
            "timezone": row.timezone,
            "title": row.title,
            "updatedAt": row.updated_at,
        })
    };
    Ok(shown.map(view).collect())
}

fn trigger(call: &Call<'_>) -> Answer {
    let args: JobArgs = call.args()?;
    let found = job(call, &args)?;
    push_runs::run_now(call, found)
}
