//! The settings of the keys that are stored in Mission Control.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::reader::Reader;
use super::table::{GATEWAY_ENV_FILE, SECRETS_SYNC_INTERVAL};

/// The shortest interval that is not 0.
const INTERVAL_MS_MIN: u64 = 1_000;

/// The time between two fetches while the account is idle, unless `SECRETS_SYNC_INTERVAL` is set: 8,640 calls a month
/// instead of 43,200.
const IDLE_INTERVAL: Duration = Duration::from_mins(5);

/// The name of the file in the folder of the service.
const FILE_NAME: &str = "gateway.env";

/// The keys for the gateway.
#[derive(Clone, Debug)]
pub struct GatewayKeys {
    /// The time between two fetches; `None`: there are none.
    pub fetch_interval: Option<Duration>,
    /// The time between two fetches while the account is idle.
    pub idle_fetch_interval: Duration,
    /// The env file for the gateway.
    pub env_file: PathBuf,
}

/// Reads the settings.
pub(super) fn read(reader: &mut Reader, state_dir: &Path, workspaces: &Path) -> GatewayKeys {
    let mut interval_ms = reader.number(&SECRETS_SYNC_INTERVAL);
    if (1..INTERVAL_MS_MIN).contains(&interval_ms) {
        interval_ms = reader.number_from(&SECRETS_SYNC_INTERVAL, INTERVAL_MS_MIN);
    }
    let interval = Duration::from_millis(interval_ms);
    // An interval that is set by hand always holds.
    let is_given = reader.is_given(&SECRETS_SYNC_INTERVAL);
    GatewayKeys {
        fetch_interval: (!interval.is_zero()).then_some(interval),
        idle_fetch_interval: if is_given { interval } else { IDLE_INTERVAL },
        env_file: env_file(reader, state_dir, workspaces),
    }
}

fn env_file(reader: &mut Reader, state_dir: &Path, workspaces: &Path) -> PathBuf {
    let Some(given) = reader.given_text(&GATEWAY_ENV_FILE).map(PathBuf::from) else {
        let (folder, from) = match &reader.runtime_directory {
            Some(folder) => (PathBuf::from(folder), "RUNTIME_DIRECTORY, which systemd sets"),
            None => (state_dir.to_owned(), "STATE_DIR"),
        };
        let path = folder.join(FILE_NAME);
        reader.derive(&GATEWAY_ENV_FILE, &path.display().to_string(), from);
        return path;
    };
    let is_plain = given.is_absolute() && !given.components().any(|part| part == Component::ParentDir);
    if !is_plain {
        reader.refuse(&GATEWAY_ENV_FILE, "expected an absolute path without `..`.");
    } else if given.starts_with(workspaces) {
        reader.refuse(
            &GATEWAY_ENV_FILE,
            "the file would be in the agents' folder OPENCLAW_WORKSPACE_ROOT, where agents could read the keys. Choose a \
             folder that only the service may write to.",
        );
    }
    given
}
