//! Fetches the files of a message into the agent's workspace (worker-pool B.8).
//!
//! A file that cannot be had is left out: the agent reads why, and the message is answered all the same.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use log::{info, warn};

use super::port::PoolPort;
use mcr_clients::pool::AttachMetadata;
use mcr_core::telegram::{BotToken, file_names};
use mcr_files::shared::{FileKind, SharedFolder};
use mcr_model::{AttachmentState, HydrationBundle, JobAttachment};

/// The folder in the workspace.
const FOLDER: &str = ".telegram-attachments";

/// The name of a file that is not complete.
const PART: &str = ".part";

/// The paths of the files of a message in the workspace, in their order; none for a file that is not there. A file that an
/// earlier attempt has fetched is not fetched again.
pub(crate) fn fetch_files(
    bundle: &HydrationBundle,
    bot: Option<&BotToken>,
    pool: &PoolPort,
) -> Vec<Option<String>> {
    let attachments = &bundle.payload.attachments;
    if attachments.is_empty() {
        return Vec::new();
    }
    // The id is opaque, so it becomes a safe name as well.
    let id: String = bundle.message_id.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
    let relative = format!("{FOLDER}/{id}");
    let folder = open_folder(&pool.rules.workspace_dir, &id)
        .map_err(|why| format!("{relative} in the workspace cannot be opened: {why}"));
    let (mut paths, mut metadata) = (Vec::new(), BTreeMap::new());
    for (at, (file, name)) in attachments.iter().zip(file_names(attachments)).enumerate() {
        let fetched =
            folder.as_ref().map_err(Clone::clone).and_then(|folder| fetch(file, folder, &name, bot, pool));
        let path = fetched.map(|()| format!("{relative}/{name}"));
        if let Err(reason) = &path {
            let (job, number) = (bundle.message_id.as_str(), at + 1);
            warn!(job, number, reason = reason.as_str(); "A file of a message is left out");
        }
        let path = path.ok();
        if let Some(path) = &path {
            metadata.insert(format!("convexAttachmentStorageId{}", at + 1), file.storage_id.to_string());
            metadata.insert(format!("convexAttachmentPath{}", at + 1), path.clone());
        }
        paths.push(path);
    }
    if !metadata.is_empty() {
        let attach = AttachMetadata { message_id: &bundle.message_id, metadata: &metadata };
        if let Err(error) = pool.client.ask(&attach) {
            info!(job = bundle.message_id.as_str(), error:%; "The paths of files are not noted at the queue");
        }
    }
    paths
}

fn fetch(
    file: &JobAttachment,
    folder: &SharedFolder,
    name: &str,
    bot: Option<&BotToken>,
    pool: &PoolPort,
) -> Result<(), String> {
    if file.status == AttachmentState::Expired {
        return Err("it was stored for too long".to_owned());
    }
    let there = folder.entry(name).map_err(|why| format!("it cannot be looked for: {why}"))?;
    if matches!(there, Some(FileKind::File(_))) {
        return Ok(());
    }
    let content = match (&file.download_url, bot) {
        (Some(url), _) => pool.files.fetch(url, pool.telegram.file_bytes_max())?,
        (None, Some(bot)) => {
            pool.telegram.fetch_file(bot, &file.telegram_file_id).map_err(|error| error.to_string())?
        }
        (None, None) => return Err("the queue has no address for it".to_owned()),
    };
    let path = folder.path().join(name);
    store(folder, name, &content).map_err(|why| format!("it cannot be written to {}: {why}", path.display()))
}

/// The folder for the files of one message. The workspace belongs to the agent, so no link in it is followed.
fn open_folder(workspace: &Path, id: &str) -> io::Result<SharedFolder> {
    let workspace = SharedFolder::make(workspace)?;
    let sharing = workspace.sharing()?;
    workspace.make_folder(FOLDER, sharing)?.make_folder(id, sharing)
}

/// Writes a whole file or none: an agent must not read half of it.
fn store(folder: &SharedFolder, name: &str, content: &[u8]) -> io::Result<()> {
    // What the agent put in the way of the file is replaced, not followed.
    folder.remove(PART)?;
    folder.create(PART, content, folder.sharing()?)?;
    folder.rename(PART, folder, name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_written_into_the_folder_of_its_message() {
        let workspace = tempfile::tempdir().unwrap();
        let elsewhere = workspace.path().join("elsewhere");
        fs::write(&elsewhere, "of the agent").unwrap();
        let folder = open_folder(workspace.path(), "m1").unwrap();
        let path = |name: &str| workspace.path().join(FOLDER).join("m1").join(name);
        symlink(&elsewhere, path(PART)).unwrap();
        symlink(&elsewhere, path("report.txt")).unwrap();
        store(&folder, "report.txt", b"a report").unwrap();
        assert_eq!(fs::read(path("report.txt")).unwrap(), b"a report");
        assert!(path("report.txt").symlink_metadata().unwrap().is_file());
        assert!(path(PART).symlink_metadata().is_err());
        assert_eq!(fs::read(&elsewhere).unwrap(), b"of the agent");
    }

    /// A link in the place of a folder would lead the files of a person anywhere.
    #[test]
    fn links_of_the_agent_are_not_followed() {
        for link in [FOLDER.to_owned(), format!("{FOLDER}/m1")] {
            let (workspace, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let link = workspace.path().join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(elsewhere.path(), &link).unwrap();
            let error = open_folder(workspace.path(), "m1").unwrap_err();
            assert!(error.to_string().contains("remove it"), "{error}");
            assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        }
        // A folder that is swapped after it was opened: the file goes into the opened one.
        let (workspace, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = open_folder(workspace.path(), "m1").unwrap();
        let path = workspace.path().join(FOLDER);
        fs::rename(&path, workspace.path().join("moved")).unwrap();
        fs::create_dir(elsewhere.path().join("m1")).unwrap();
        symlink(elsewhere.path(), &path).unwrap();
        store(&folder, "report.txt", b"a report").unwrap();
        assert_eq!(fs::read_dir(elsewhere.path().join("m1")).unwrap().count(), 0);
        assert!(workspace.path().join("moved/m1/report.txt").exists());
    }
}
