//! The file with an agent's token for the agent API. With such a file, briefings do not state the token.

use std::path::PathBuf;

use mcr_core::workspace::{FolderName, TOKEN_FILE};
use mcr_files::shared::SharedFolder;
use mcr_model::secret::Secret;

/// A longer file has another content.
const BYTES_MAX: u64 = 1024;

/// The token files of all agents.
#[derive(Clone, Debug)]
pub struct TokenFiles {
    root: PathBuf,
}

impl TokenFiles {
    /// The files in the workspaces of this folder.
    pub fn new(root: PathBuf) -> Self {
        Self { root: std::path::absolute(&root).unwrap_or(root) }
    }

    /// The path of the agent's file, if it has this token. It may be missing, for example before the first sync.
    pub fn path_of(&self, slug: &str, token: &Secret) -> Option<String> {
        let name = FolderName::of(slug).ok()?;
        let folder = SharedFolder::open(&self.root).ok()?.folder(name.as_str()).ok()??;
        let found = folder.read(TOKEN_FILE, BYTES_MAX).ok()??;
        let found = std::str::from_utf8(&found).ok()?;
        token
            .is(found.trim())
            .then(|| self.root.join(name.as_str()).join(TOKEN_FILE).to_string_lossy().into_owned())
    }
}
