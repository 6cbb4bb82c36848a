//! The backend of a worker pool: the queue system of an agent-factory deployment (worker-pool B and C).
//!
//! [`FUNCTIONS`] lists the functions; all are in the namespace `agentFactory`. Functions of workers need the worker token,
//! all others the admin key. `queue`, `claims`, `leases` and `lifecycle` are the queue: a conversation has one row that
//! says which of its messages comes next, so a claim needs a bounded number of index probes, however long the queue is.
//! `actions` are functions that call Telegram, outside of a transaction. `ingress` receives the updates of Telegram.
//!
//! Corrected weaknesses of the original are marked with their number in worker-pool F.

mod actions;
mod agents;
mod bindings;
mod broadcast;
mod claims;
mod conversations;
mod files;
mod imports;
mod ingress;
mod leases;
mod lifecycle;
mod onboarding;
mod operations;
mod overview;
mod pairing;
mod push_jobs;
mod push_runs;
mod push_schedule;
mod push_templates;
mod queue;
mod reads;
mod rows;
mod secrets;
mod settings;
mod skills;
mod snapshots;
mod telegram_api;
mod templates;
#[cfg(test)]
mod tests;
mod times;

use log::error;

use super::answer::Refusal;
use super::call::Call;
use super::engine::Engine;
use super::function::Function;
use super::rules::limit::whole;
use super::store::{StoreError, Table};
use super::validate::{Arg, Is, may, need};

pub use telegram_api::{BotAccount, TelegramApi, WebhookState};
pub use times::PoolTimes;

pub(super) use actions::find as find_action;
#[cfg(test)]
use actions::paths as action_paths;
pub(super) use files::{Files, STORAGE_PATH, UPLOAD_PATH, UploadError};
pub(super) use imports::rules as import_rules;
pub(super) use secrets::{check as check_secrets, rotate as rotate_secrets, sealed_with};

/// All functions that run in one transaction.
pub(super) const FUNCTIONS: &[&[Function]] = &[
    agents::FUNCTIONS,
    bindings::FUNCTIONS,
    broadcast::FUNCTIONS,
    claims::FUNCTIONS,
    conversations::FUNCTIONS,
    files::FUNCTIONS,
    leases::FUNCTIONS,
    lifecycle::FUNCTIONS,
    onboarding::FUNCTIONS,
    operations::FUNCTIONS,
    overview::FUNCTIONS,
    pairing::FUNCTIONS,
    push_jobs::FUNCTIONS,
    push_runs::FUNCTIONS,
    push_templates::FUNCTIONS,
    queue::FUNCTIONS,
    reads::FUNCTIONS,
    secrets::FUNCTIONS,
    settings::FUNCTIONS,
    skills::FUNCTIONS,
    snapshots::FUNCTIONS,
    templates::FUNCTIONS,
];

/// The route that receives the updates of Telegram (worker-pool C.7).
pub const WEBHOOK_PATH: &str = "/agent-factory/telegram/webhook";

const USER: Arg = need("consumerUserId", Is::Text);
const AGENT: Arg = need("agentKey", Is::Text);
const CONVERSATION: Arg = need("conversationId", Is::Text);
const WORKER: Arg = need("workerId", Is::Text);
const MESSAGE: Arg = need("messageId", Is::Text);
const LIMIT: Arg = may("limit", Is::Number);
const METADATA: Arg = may("metadata", Is::Texts);

/// The JSON of a pool's row after reading it as the type of its table.
pub(super) fn normalized(table: Table, row: &str) -> serde_json::Result<String> {
    rows::normalized(table, row)
}

impl Engine {
    /// The periodic work of the pool: leases, workers, files, and scheduled messages. Each part has its own transaction, so
    /// that a refused one holds none of the others back.
    pub(super) fn sweep_pool(&self) -> Result<(), StoreError> {
        self.sweep_part("leases and workers", |call| lifecycle::reconcile(call.tx, &call.times).map(drop))?;
        self.sweep_part("scheduled messages", |call| push_runs::sweep(call.tx, &call.times))?;
        // A short transaction for each batch: calls need not wait until a long backlog has gone.
        while self.sweep_part("rows whose time is over", |call| lifecycle::expire(call.tx))? == Some(true) {}
        self.sweep_files()
    }

    /// Runs a part of the periodic work. A refusal is reported, and the result is `None`.
    fn sweep_part<T>(
        &self,
        part: &str,
        work: impl FnOnce(&Call<'_>) -> Result<T, Refusal>,
    ) -> Result<Option<T>, StoreError> {
        match self.pool_write(work) {
            Ok(done) => Ok(Some(done)),
            Err(Refusal::Store(why)) => Err(why),
            Err(why) => {
                error!(part, reason:% = why; "A part of the worker pool's periodic work was refused");
                Ok(None)
            }
        }
    }
}

/// A limit within its bounds, or its default.
fn clamped(limit: Option<f64>, default: usize, max: usize) -> usize {
    limit.filter(|limit| !limit.is_nan()).map_or(default, |limit| whole(limit).clamp(1, max))
}
