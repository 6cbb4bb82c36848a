//! The files of one workspace, as the runtime last wrote them.

use std::io;
use std::path::{Path, PathBuf};

use mcr_core::workspace::{FolderName, Manifest};
use mcr_files::shared::SharedFolder;
use mcr_model::clock::Millis;
use serde::Serialize;

use super::transaction;

/// The folder of all workspaces, to be read.
#[derive(Clone, Debug)]
pub struct WrittenFiles {
    root: PathBuf,
}

/// A file that the runtime wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrittenFile {
    /// Its path in the workspace.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub at: Millis,
    /// Whether the text in Mission Control is longer than the gateway reads.
    pub cut: bool,
}

impl WrittenFiles {
    /// The files in the workspaces of this folder.
    pub fn new(root: &Path) -> Self {
        Self { root: std::path::absolute(root).unwrap_or_else(|_| root.to_owned()) }
    }

    /// The files of the agent with this slug, by their paths. `None` if the runtime wrote none.
    pub fn of(&self, slug: &str) -> io::Result<Option<Vec<WrittenFile>>> {
        let Ok(name) = FolderName::of(slug) else { return Ok(None) };
        let root = match SharedFolder::open(&self.root) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let Some(workspace) = root.folder(name.as_str())? else { return Ok(None) };
        let Some(Manifest { files, .. }) = transaction::manifest_of(&workspace)? else { return Ok(None) };
        let files = files.into_iter().map(|(path, file)| WrittenFile {
            path: path.to_string(),
            bytes: file.bytes,
            at: file.at,
            cut: file.cut,
        });
        Ok(Some(files.collect()))
    }
}
