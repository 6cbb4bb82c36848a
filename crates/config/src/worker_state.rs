//! The settings of a worker's state: snapshots, skills and the calls on schedule; and of the bridge.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::Reader;
use super::table::{
    OPENCLAW_AGENT_APP, OPENCLAW_AGENT_BRIDGE_BASE_URL, OPENCLAW_SERVICE_ID, OPENCLAW_SERVICE_KEY,
    OPENCLAW_SKILLS_DIR, OPENCLAW_STATE_DIR, POOL_CLEANUP, POOL_PUSH, POOL_RECONCILE, SKILLS_ALLOWLIST,
    SKILLS_BOOTSTRAP_MODE, SKILLS_BOOTSTRAP_REQUIRED, SKILLS_BOOTSTRAP_TIMEOUT_MS, SKILLS_POLICY,
    SKILLS_RELEASE_CHANNEL, SNAPSHOT_EXCLUDE, SNAPSHOT_INTERVAL_MS, SNAPSHOT_KEEP, SNAPSHOT_MAX_MB,
    SNAPSHOTS,
};
use mcr_model::BridgeSettings;

/// The snapshots of the agent's state.
#[derive(Clone, Debug)]
pub struct SnapshotSettings {
    /// Whether a worker makes and restores them by itself.
    pub is_on: bool,
    /// The state of the gateway.
    pub state_dir: PathBuf,
    /// The time between two; zero for the last one only.
    pub interval: Duration,
    /// How many archives of a conversation stay on this disk.
    pub keep: usize,
    /// The largest one.
    pub bytes_max: u64,
    /// What else stays out.
    pub exclude: String,
}

/// The skills that the queue publishes.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent settings")]
pub struct SkillsSettings {
    /// Whether they are installed.
    pub is_on: bool,
    /// Whether a worker without them does not start.
    pub required: bool,
    /// How long the list may take.
    pub timeout: Duration,
    /// Whether the channel is `canary` instead of `stable`.
    pub is_canary: bool,
    /// Their folder.
    pub dir: PathBuf,
    /// Whether other skills go into quarantine.
    pub enforces: bool,
    /// Other skills that stay nevertheless.
    pub allowed: Vec<String>,
}

/// The calls that a worker makes on schedule.
#[derive(Clone, Copy, Debug)]
pub struct PoolCallSettings {
    /// `startWorkers`.
    pub reconcile: bool,
    /// `dispatchDuePushJobs`.
    pub push: bool,
    /// `runFlyCleanup`.
    pub cleanup: bool,
}

/// `is_alone`: a scheduler has made this worker, and it serves one conversation.
pub(super) fn snapshots(reader: &mut Reader, is_alone: bool) -> SnapshotSettings {
    SnapshotSettings {
        is_on: reader.text(&SNAPSHOTS) == "auto" && is_alone,
        state_dir: PathBuf::from(reader.text(&OPENCLAW_STATE_DIR)),
        interval: reader.millis(&SNAPSHOT_INTERVAL_MS),
        keep: usize::try_from(reader.number(&SNAPSHOT_KEEP)).unwrap_or(usize::MAX),
        bytes_max: reader.number(&SNAPSHOT_MAX_MB).saturating_mul(1024 * 1024),
        exclude: reader.given_text(&SNAPSHOT_EXCLUDE).unwrap_or_default(),
    }
}

pub(super) fn skills(reader: &mut Reader, workspace: &Path) -> SkillsSettings {
    let below = workspace.join("skills");
    let dir = reader.given_text(&OPENCLAW_SKILLS_DIR).map(PathBuf::from);
    if dir.is_none() {
        reader.derive(&OPENCLAW_SKILLS_DIR, &below.to_string_lossy(), "OPENCLAW_WORKSPACE_DIR");
    }
    let allowed = reader.given_text(&SKILLS_ALLOWLIST).unwrap_or_default();
    let allowed = allowed.split(',').map(str::trim).filter(|name| !name.is_empty());
    SkillsSettings {
        is_on: reader.text(&SKILLS_BOOTSTRAP_MODE) == "db_manifest",
        required: reader.flag(&SKILLS_BOOTSTRAP_REQUIRED),
        timeout: reader.millis(&SKILLS_BOOTSTRAP_TIMEOUT_MS),
        is_canary: reader.text(&SKILLS_RELEASE_CHANNEL) == "canary",
        dir: dir.unwrap_or(below),
        enforces: reader.text(&SKILLS_POLICY) == "enforce",
        allowed: allowed.map(str::to_owned).collect(),
    }
}

pub(super) fn calls(reader: &mut Reader) -> PoolCallSettings {
    PoolCallSettings {
        reconcile: reader.flag(&POOL_RECONCILE),
        push: reader.flag(&POOL_PUSH),
        cleanup: reader.flag(&POOL_CLEANUP),
    }
}

/// The bridge, as the environment has it.
pub(super) fn bridge(reader: &mut Reader) -> BridgeSettings {
    let base = reader.url(&OPENCLAW_AGENT_BRIDGE_BASE_URL);
    BridgeSettings {
        base_url: base.map(|base| base.as_str().to_owned()),
        app_base_url_map_json: None,
        service_id: reader.given_text(&OPENCLAW_SERVICE_ID),
        app_key: reader.given_text(&OPENCLAW_AGENT_APP),
        service_key: reader.secret(&OPENCLAW_SERVICE_KEY),
    }
}
