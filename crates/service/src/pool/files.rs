//! Fetches the files of a message into the agent's workspace (worker-pool B.8).
//!
//! A file that cannot be had is left out: the agent reads why, and the message is answered all the same.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use log::{info, warn};

use super::port::PoolPort;
use mcr_clients::pool::AttachMetadata;
use mcr_core::telegram::{BotToken, file_names};
use mcr_model::{AttachmentState, HydrationBundle, JobAttachment};

/// The folder in the workspace.
const FOLDER: &str = ".telegram-attachments";

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
    let folder = pool.rules.workspace_dir.join(&relative);
    let (mut paths, mut metadata) = (Vec::new(), BTreeMap::new());
    for (at, (file, name)) in attachments.iter().zip(file_names(attachments)).enumerate() {
        let path = fetch(file, &folder, &name, bot, pool).map(|()| format!("{relative}/{name}"));
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
    folder: &Path,
    name: &str,
    bot: Option<&BotToken>,
    pool: &PoolPort,
) -> Result<(), String> {
    if file.status == AttachmentState::Expired {
        return Err("it was stored for too long".to_owned());
    }
    let path = folder.join(name);
    if path.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return Ok(());
    }
    let content = match (&file.download_url, bot) {
        (Some(url), _) => pool.files.fetch(url, pool.telegram.file_bytes_max())?,
        (None, Some(bot)) => {
            pool.telegram.fetch_file(bot, &file.telegram_file_id).map_err(|error| error.to_string())?
        }
        (None, None) => return Err("the queue has no address for it".to_owned()),
    };
    store(folder, &path, &content).map_err(|why| format!("it cannot be written to {}: {why}", path.display()))
}

/// Writes a whole file or none: an agent must not read half of it.
fn store(folder: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    // The workspace belongs to the agent: what it put in the way of the file is replaced, not followed.
    let part = folder.join(".part");
    match fs::remove_file(&part) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&part)?;
    io::Write::write_all(&mut file, content)?;
    drop(file);
    fs::rename(&part, path)
}
