//! The env file that `local --env-out` writes for a runtime: account, address and service token.
//!
//! Only its owner can read it, and it is replaced at once. So a runtime never reads half of it.

use std::path::{Path, PathBuf};

use log::{info, warn};

use super::embedded::Board;
use mcr_files::{Access, Folder};
use mcr_model::secret::Secret;

/// The file, and the token that it contains.
pub(super) struct RuntimeEnv {
    path: PathBuf,
    account: String,
    url: String,
    written: Option<Secret>,
    /// Whether the log says that the token is not known.
    has_warned: bool,
}

impl RuntimeEnv {
    /// For this account at this address. Nothing is written yet.
    pub(super) fn new(path: &Path, account: &str, url: &str) -> Self {
        Self {
            path: path.to_owned(),
            account: account.to_owned(),
            url: url.to_owned(),
            written: None,
            has_warned: false,
        }
    }

    /// Writes the file if the token of this server is another one than the file contains. The error is a sentence.
    pub(super) fn follow(&mut self, board: &Board) -> Result<(), String> {
        let token = board.current_token().map_err(|why| why.to_string())?;
        match &token {
            Some(token) if self.update(token)? => {
                info!(path:% = self.path.display(); "Runtime variables written");
            }
            None if !self.has_warned => {
                self.has_warned = true;
                warn!(path:% = self.path.display(); "Runtime variables not written: the service token is unknown; make a new one on the page");
            }
            Some(_) | None => {}
        }
        Ok(())
    }

    /// Writes the file if the token is another one than it contains. The error is a sentence.
    pub(super) fn update(&mut self, token: &Secret) -> Result<bool, String> {
        if self.written.as_ref().is_some_and(|written| written.is(token.expose())) {
            return Ok(false);
        }
        let failed = |why: &dyn std::fmt::Display| {
            format!("--env-out {} cannot be written: {why}", self.path.display())
        };
        let Some(name) = self.path.file_name().and_then(|name| name.to_str()) else {
            return Err(failed(&"it names no file"));
        };
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        // Not `Owner`: that withdraws the access of others to the folder, which may be a home.
        let folder = Folder::open(parent.unwrap_or_else(|| Path::new(".")), Access::OwnerOrRoot)
            .map_err(|why| failed(&why))?;
        let text = format!(
            "ACCOUNT_ID={}\nCONVEX_URL={}\nSERVICE_TOKEN={}\n",
            self.account,
            self.url,
            token.expose()
        );
        folder.write(name, text.as_bytes()).map_err(|why| failed(&why))?;
        self.written = Some(token.clone());
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_private_and_follows_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runtime.env");
        let mut env = RuntimeEnv::new(&path, "a1", "http://127.0.0.1:3210");
        let (first, next) = (Secret::new("mc_service_a1_first"), Secret::new("mc_service_a1_next"));
        assert_eq!(env.update(&first), Ok(true));
        let lines = "ACCOUNT_ID=a1\nCONVEX_URL=http://127.0.0.1:3210\nSERVICE_TOKEN=mc_service_a1_first\n";
        assert_eq!(std::fs::read_to_string(&path).unwrap(), lines);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(env.update(&first), Ok(false));
        assert_eq!(env.update(&next), Ok(true));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), lines.replace("first", "next"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_and_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/runtime.env");
        let mut env = RuntimeEnv::new(&path, "a1", "http://127.0.0.1:3210");
        let token = Secret::new("mc_service_a1_secret");
        let why = env.update(&token).unwrap_err();
        assert!(why.starts_with(&format!("--env-out {} cannot be written: ", path.display())), "{why}");
        assert!(!why.contains("secret"), "{why}");
        std::fs::create_dir(folder.path().join("missing")).unwrap();
        assert_eq!(env.update(&token), Ok(true));
    }
}
