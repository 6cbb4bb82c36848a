//! What the delivery of a job needs besides the parts of every delivery.

use std::path::PathBuf;
use std::sync::Arc;

use super::claimed_jobs::ClaimedJobs;
use super::hooks::SharedHooks;
use mcr_clients::pool::{FileClient, PoolClient};
use mcr_clients::telegram::{TelegramClient, TelegramEndpoint};
use mcr_clients::wire::Stop;
use mcr_model::TelegramParseMode;

/// The settings of all jobs.
#[derive(Clone, Debug)]
pub struct PoolRules {
    /// The workspace whose histories are used.
    pub workspace: String,
    /// The part of session keys that marks conversations of the pool.
    pub session_prefix: String,
    /// How Telegram reads answers.
    pub parse_mode: TelegramParseMode,
    /// The agent's workspace on this disk, for the files of messages.
    pub workspace_dir: PathBuf,
}

/// One worker thread's way to the queue and to Telegram.
pub struct PoolPort {
    /// The queue.
    pub client: PoolClient,
    /// Telegram.
    pub telegram: TelegramClient,
    /// Makes further clients of Telegram.
    pub telegram_endpoint: TelegramEndpoint,
    /// Fetches stored files.
    pub files: FileClient,
    /// Ends the calls of further clients.
    pub stop: Stop,
    /// The claimed jobs.
    pub claimed_jobs: ClaimedJobs,
    /// The settings.
    pub rules: Arc<PoolRules>,
    /// What other parts do before the first turn of a conversation.
    pub hooks: SharedHooks,
}
