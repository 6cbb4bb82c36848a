//! The settings of a pool's worker.

use std::path::PathBuf;
use std::time::Duration;

use super::address;
use super::reader::Reader;
use super::settings::{Account, Gateway};
use super::table::{
    AGENT_FACTORY_FUNCTION_NAMESPACE, CONVEX_HTTP_TIMEOUT_MS, CONVEX_URL, HEARTBEAT_INTERVAL_MS,
    OPENCLAW_AGENT_KEY, OPENCLAW_CONVERSATION_ID, OPENCLAW_TIMEOUT_MS, OPENCLAW_WORKSPACE_DIR,
    POLL_INTERVAL_MS, TELEGRAM_API_BASE_URL, TELEGRAM_PARSE_MODE, WORKER_AUTH_TOKEN, WORKER_ID,
    WORKER_IDLE_TIMEOUT_MS, WORKER_LANES, WORKER_SESSION_KEY_PREFIX, WORKSPACE_ID,
};
use super::worker_state::{self, PoolCallSettings, SkillsSettings, SnapshotSettings};
use mcr_model::secret::Secret;
use mcr_model::{BaseUrl, ConversationId, TelegramParseMode, WorkerId};

/// The settings of a pool's worker.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The id that the pool's scheduler has given; none on a droplet.
    pub worker_id: Option<WorkerId>,
    /// How many conversations are served at the same time.
    pub lanes: usize,
    /// The bearer token of every call of the queue.
    pub auth_token: Option<Secret>,
    /// The module that exports the functions of the queue.
    pub namespace: String,
    /// The workspace whose histories are used.
    pub workspace: String,
    /// The agent for which the worker was made.
    pub agent_key: String,
    /// The only conversation that the worker serves, if there is only one.
    pub conversation: Option<ConversationId>,
    /// The part of session keys that marks conversations of the pool.
    pub session_prefix: String,
    /// The pause after a claim that found nothing.
    pub poll: Duration,
    /// The longest time between two renewals of a lease.
    pub renewal: Duration,
    /// The time without a job after which a worker with a given id ends.
    pub idle: Duration,
    /// The time limit of a call of the queue.
    pub call_limit: Duration,
    /// The agent's workspace.
    pub workspace_dir: PathBuf,
    /// The address of Telegram's Bot API.
    pub telegram: BaseUrl,
    /// How Telegram reads an answer.
    pub parse_mode: TelegramParseMode,
    /// The snapshots of the agent's state.
    pub snapshots: SnapshotSettings,
    /// The skills that the queue publishes.
    pub skills: SkillsSettings,
    /// What is called on schedule.
    pub calls: PoolCallSettings,
}

/// The deployment of a worker. It has no account: the ledger's rows are kept under the name of its workspace.
pub(super) fn account(reader: &mut Reader) -> Option<Account> {
    let convex_url = reader.url_with(&CONVEX_URL, address::worker_convex_url)?;
    if let Some(given) = reader.found_text(&CONVEX_URL).filter(|given| given.contains(".convex.site")) {
        let words = format!(
            "CONVEX_URL is {given}, which serves web hooks; its functions are called at {convex_url}."
        );
        reader.warn(&CONVEX_URL, words);
    }
    if !convex_url.is_https() && !convex_url.is_loopback() {
        reader.warn_of_clear_text(&CONVEX_URL, &WORKER_AUTH_TOKEN);
    }
    let id = format!("worker-{}", reader.text(&WORKSPACE_ID));
    Some(Account { id, convex_url, service_token: Secret::new(String::new()) })
}

/// Reads the settings, if those of a worker are wanted, and the limit that a worker sets for the gateway.
pub(super) fn read(reader: &mut Reader, gateway: Gateway) -> (Option<WorkerSettings>, Gateway) {
    if !reader.is_worker {
        return (None, gateway);
    }
    let silence_max = match reader.given_number(&OPENCLAW_TIMEOUT_MS, 0) {
        Some(ms) => Duration::from_millis(ms),
        None => gateway.silence_max,
    };
    let worker_id = reader.given_text(&WORKER_ID).map(WorkerId::new);
    let conversation = reader.given_text(&OPENCLAW_CONVERSATION_ID).map(ConversationId::new);
    if conversation.is_some() && worker_id.is_none() {
        reader.warn(
            &OPENCLAW_CONVERSATION_ID,
            "OPENCLAW_CONVERSATION_ID has no effect without WORKER_ID: a worker that no scheduler knows serves every \
             conversation.",
        );
    }
    let telegram = telegram(reader);
    let lanes = usize::try_from(reader.number(&WORKER_LANES)).unwrap_or(1);
    let workspace_dir = PathBuf::from(reader.text(&OPENCLAW_WORKSPACE_DIR));
    let is_alone = worker_id.is_some() && lanes == 1;
    let settings = WorkerSettings {
        conversation: conversation.filter(|_| worker_id.is_some()),
        worker_id,
        lanes,
        auth_token: reader.secret(&WORKER_AUTH_TOKEN),
        namespace: reader.text(&AGENT_FACTORY_FUNCTION_NAMESPACE),
        workspace: reader.text(&WORKSPACE_ID),
        agent_key: reader.text(&OPENCLAW_AGENT_KEY),
        session_prefix: reader.text(&WORKER_SESSION_KEY_PREFIX),
        poll: reader.millis(&POLL_INTERVAL_MS),
        renewal: reader.millis(&HEARTBEAT_INTERVAL_MS),
        idle: reader.millis(&WORKER_IDLE_TIMEOUT_MS),
        call_limit: reader.millis(&CONVEX_HTTP_TIMEOUT_MS),
        snapshots: worker_state::snapshots(reader, is_alone),
        skills: worker_state::skills(reader, &workspace_dir),
        calls: worker_state::calls(reader),
        workspace_dir,
        parse_mode: match reader.text(&TELEGRAM_PARSE_MODE).as_str() {
            "html" => TelegramParseMode::Html,
            _ => TelegramParseMode::Plain,
        },
        // Without an address the start ends with the error that is reported.
        telegram: telegram.unwrap_or_else(|| BaseUrl::parse(PUBLIC_API).expect("a constant address")),
    };
    (Some(settings), Gateway { silence_max, ..gateway })
}

/// The address of the Bot API. The tokens of bots are part of each address that is called there, so an address of another
/// machine must have TLS, as in `local`.
fn telegram(reader: &mut Reader) -> Option<BaseUrl> {
    let base = reader.url(&TELEGRAM_API_BASE_URL)?;
    if base.is_https() || base.is_loopback() {
        return Some(base);
    }
    let problem =
        "the tokens of bots are sent there, so it must begin with https:// unless it is on this machine.";
    reader.refuse(&TELEGRAM_API_BASE_URL, problem);
    None
}

/// The public Bot API.
const PUBLIC_API: &str = "https://api.telegram.org";
