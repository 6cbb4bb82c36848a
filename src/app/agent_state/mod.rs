//! The state of a worker's agent: the commands `snapshot` and `skills sync`, and what a worker does by itself.

mod hooks;
mod skills_sync;
mod snapshot;

use std::sync::Arc;

use log::LevelFilter;

use super::command_env::CommandEnv;
use super::exit::Exit;
use super::fail;
use crate::telemetry;
use mcr_clients::convex::{Backoff, ConvexEndpoint, ConvexLimits};
use mcr_clients::pool::{FileStorage, PoolClient, ReleaseChannel};
use mcr_clients::wire::{Roots, Stop};
use mcr_config::{LogFormat, LogOutput, Settings, WorkerSettings};
use mcr_core::pool::scheduled::ScheduledCall;
use mcr_core::snapshot::SnapshotExcludes;
use mcr_http::panics::Panics;
use mcr_model::clock::SystemClock;
use mcr_model::{ConversationId, WorkerId, random};
use mcr_service::scheduled_calls::{ScheduledCalls, ScheduledCallsStatus};
use mcr_service::skills::{SkillsPolicy, SkillsRules, SkillsSync};
use mcr_service::snapshots::{ArchiveFolder, SnapshotFolders, SnapshotKey, SnapshotLimits, Snapshots};

pub(super) use hooks::StateHooks;
pub(super) use skills_sync::sync_skills;
pub use snapshot::{SnapshotCommand, SnapshotWanted, snapshot};

/// The most files and folders of a snapshot.
const MEMBERS_MAX: u64 = 1_000_000;

/// The folder of the archives in `STATE_DIR`.
const ARCHIVES: &str = "snapshots";

/// The clients and the settings.
pub(super) struct AgentState<'a> {
    settings: &'a Settings,
    own: &'a WorkerSettings,
    pool: PoolClient,
    storage: FileStorage,
    excludes: SnapshotExcludes,
}

impl<'a> AgentState<'a> {
    /// Connects to the queue. `stop` ends all calls. The error is a sentence.
    pub(super) fn new(
        env: &CommandEnv,
        settings: &'a Settings,
        own: &'a WorkerSettings,
        roots: &Roots,
        stop: &Stop,
    ) -> Result<Self, String> {
        let limits = ConvexLimits { backoff: Backoff::default(), ..ConvexLimits::default() };
        let base = settings.account.convex_url.clone();
        let mut queue = ConvexEndpoint::with_limits(base, roots, env.redactor.clone(), limits)
            .with_memory(env.memory.backend.clone());
        if let Some(token) = &own.auth_token {
            queue = queue.with_bearer(token).ok_or("WORKER_AUTH_TOKEN cannot be sent in a header.")?;
        }
        let excludes = SnapshotExcludes::parse(&own.snapshots.exclude)
            .map_err(|why| format!("SNAPSHOT_EXCLUDE {why}."))?;
        Ok(Self {
            settings,
            own,
            pool: PoolClient::new(Arc::new(queue.client(stop)), &own.namespace, own.call_limit),
            storage: FileStorage::new(roots, stop),
            excludes,
        })
    }

    /// The snapshots of the agent's folders.
    fn snapshots(&self) -> Snapshots {
        let own = &self.own.snapshots;
        Snapshots {
            pool: self.pool.clone(),
            storage: self.storage.clone(),
            archives: ArchiveFolder::new(self.settings.state_dir.join(ARCHIVES), own.keep),
            folders: SnapshotFolders {
                state: Some(own.state_dir.clone()),
                workspace: self.own.workspace_dir.clone(),
            },
            excludes: self.excludes.clone(),
            limits: SnapshotLimits { bytes: own.bytes_max, members: MEMBERS_MAX },
            clock: Arc::new(SystemClock),
        }
    }

    /// The calls that this process makes on schedule.
    pub(super) fn scheduled_calls(
        &self,
        status: &ScheduledCallsStatus,
        stop: &Stop,
        panics: &Panics,
    ) -> ScheduledCalls {
        let own = self.own.calls;
        let enabled = |call: &ScheduledCall| match call {
            ScheduledCall::Reconcile => own.reconcile,
            ScheduledCall::Push => own.push,
            ScheduledCall::Cleanup => own.cleanup,
        };
        ScheduledCalls {
            pool: self.pool.clone(),
            calls: ScheduledCall::ALL.into_iter().filter(enabled).collect(),
            clock: Arc::new(SystemClock),
            stop: stop.clone(),
            status: status.clone(),
            panics: panics.clone(),
        }
    }

    /// The key of a conversation's snapshots.
    fn key(&self, conversation: &ConversationId, agent: Option<&str>) -> SnapshotKey {
        SnapshotKey {
            workspace_id: self.own.workspace.clone(),
            agent_key: agent.unwrap_or(&self.own.agent_key).to_owned(),
            conversation_id: conversation.clone(),
        }
    }

    /// The skills of the queue.
    fn skills(&self) -> SkillsSync {
        let own = &self.own.skills;
        let policy =
            if own.enforces { SkillsPolicy::Enforce(own.allowed.clone()) } else { SkillsPolicy::Managed };
        SkillsSync {
            pool: self.pool.clone(),
            rules: SkillsRules {
                is_on: own.is_on,
                policy,
                required: own.required,
                timeout: own.timeout,
                channel: if own.is_canary { ReleaseChannel::Canary } else { ReleaseChannel::Stable },
            },
            folder: own.dir.clone(),
            state: self.own.snapshots.state_dir.clone(),
            workspace_id: self.own.workspace.clone(),
            worker_id: self.worker_id(),
            clock: Arc::new(SystemClock),
        }
    }

    /// The given id, or one of its own for a command.
    fn worker_id(&self) -> WorkerId {
        let own = || WorkerId::new(format!("command-{}", random::hex::<8>()));
        self.own.worker_id.clone().unwrap_or_else(own)
    }
}

/// Runs a command with the clients, and reports its failure. `missing` are mistakes of the command line, which are reported
/// together with those of the configuration.
fn with_state(
    env: &CommandEnv,
    as_json: bool,
    missing: Vec<String>,
    run: impl FnOnce(&AgentState<'_>) -> Result<Exit, String>,
) -> Exit {
    // Failures are part of the command's answer, so the log stays quiet.
    telemetry::start(LevelFilter::Off, LogFormat::Text, LogOutput::Stderr, env.redactor.clone());
    let configuration = &env.configuration;
    let settings = configuration.settings.as_ref();
    let usable = settings.and_then(|settings| Some((settings, settings.worker.as_ref()?)));
    let (settings, own) = match usable {
        Some(usable) if missing.is_empty() => usable,
        _ => {
            let errors = configuration.report.errors().map(|error| error.message.clone());
            let exit = if usable.is_some() { Exit::Failed } else { Exit::Misconfigured };
            return fail(as_json, exit, &errors.chain(missing).collect::<Vec<_>>());
        }
    };
    let connected = Roots::load(settings.ssl_cert_file.as_deref())
        .map_err(|why| why.to_string())
        .and_then(|roots| AgentState::new(env, settings, own, &roots, &Stop::new()));
    let (exit, error) = match connected {
        Err(error) => (Exit::Misconfigured, error),
        Ok(state) => match run(&state) {
            Ok(exit) => return exit,
            Err(error) => (Exit::Failed, error),
        },
    };
    fail(as_json, exit, &[env.redactor.clean(&error)])
}
