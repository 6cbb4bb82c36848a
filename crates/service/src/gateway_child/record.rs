//! The process of the gateway as noted in `STATE_DIR`, so that the next runtime finds it.

use std::io;

use serde::{Deserialize, Serialize};

use super::process::Identity;
use mcr_files::Folder;
use mcr_files::shared::FileStamp;
use mcr_model::clock::Millis;

const NAME: &str = "gateway-child.json";

/// A process and the keys in its environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChildRecord {
    pid: i32,
    started: u64,
    boot: String,
    /// When it was started.
    pub(super) since: Millis,
    /// The env file at that time: size, number and time of the last change.
    keys: Option<(u64, u64, i64)>,
    /// The digest of its configuration. An earlier version has not noted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    configuration: Option<String>,
}

impl ChildRecord {
    pub(super) fn new(
        identity: &Identity,
        since: Millis,
        keys: Option<FileStamp>,
        configuration: String,
    ) -> Self {
        let keys = keys.map(|stamp| (stamp.bytes, stamp.inode, stamp.changed_ns));
        let Identity { pid, started, boot } = identity.clone();
        Self { pid, started, boot, since, keys, configuration: Some(configuration) }
    }

    /// Whether the process was started with the configuration of this digest, as far as the record says.
    pub(super) fn is_of(&self, configuration: &str) -> bool {
        self.configuration.as_deref().is_none_or(|noted| noted == configuration)
    }

    pub(super) fn identity(&self) -> Identity {
        Identity { pid: self.pid, started: self.started, boot: self.boot.clone() }
    }

    pub(super) fn keys(&self) -> Option<FileStamp> {
        self.keys.map(|(bytes, inode, changed_ns)| FileStamp { bytes, inode, changed_ns })
    }

    /// The record of an earlier runtime. A record that cannot be parsed counts as absent.
    pub(super) fn read(folder: &Folder) -> Option<Self> {
        serde_json::from_slice(&folder.read(NAME).ok()??).ok()
    }

    pub(super) fn write(&self, folder: &Folder) -> io::Result<()> {
        folder.write(NAME, &serde_json::to_vec(self).map_err(io::Error::other)?)
    }

    pub(super) fn remove(folder: &Folder) {
        // A record of a process that has ended is harmless.
        let _ = folder.remove(NAME);
    }
}
