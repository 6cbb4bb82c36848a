//! Checks that a supervisor can start this program again after `UPGRADE_COMMAND`.

use std::path::PathBuf;

/// The files from which this program may be started.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnProgram {
    /// As it was started, which a link may lead to a new version, and where it lies.
    paths: Vec<PathBuf>,
}

impl OwnProgram {
    /// The files of this process. None if it was found by `PATH`, because another file may be found next time.
    pub(super) fn find() -> Self {
        let started_as =
            std::env::args_os().next().map(PathBuf::from).filter(|path| path.components().count() > 1);
        let Some(started_as) = started_as.and_then(|path| std::path::absolute(path).ok()) else {
            return Self::default();
        };
        Self { paths: [Some(started_as), std::env::current_exe().ok()].into_iter().flatten().collect() }
    }

    /// The error says that no file is left.
    pub(super) fn check(&self) -> Result<(), String> {
        let Some(path) = self.paths.first() else { return Ok(()) };
        if self.paths.iter().any(|path| path.is_file()) {
            return Ok(());
        }
        Err(format!(
            "UPGRADE_COMMAND has left no program at {}; install it again before the next restart",
            path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_enough() {
        let place = tempfile::tempdir().unwrap();
        let [link, version] = ["link", "version"].map(|name| place.path().join(name));
        let program = OwnProgram { paths: vec![link.clone(), version.clone()] };
        let why = program.check().unwrap_err();
        assert!(why.contains(link.to_str().unwrap()), "{why}");
        for file in [link, version] {
            std::fs::write(&file, "").unwrap();
            assert_eq!(program.check(), Ok(()));
            std::fs::remove_file(&file).unwrap();
        }
        assert_eq!(OwnProgram::default().check(), Ok(()), "unknown");
    }

    #[test]
    fn this_process_has_a_program() {
        assert_eq!(OwnProgram::find().check(), Ok(()));
    }
}
