//! Documents of the project and their generated parts. `UPDATE_DOCS=1` writes the generated parts (`make docs`).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A path of the project.
pub(crate) fn project(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Compares a document with what `make` gives for it, or writes it.
pub(crate) fn check_fresh(name: &str, make: impl Fn(&str) -> String) {
    // Two tests may write different parts of one document.
    static WRITING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let path = project(name);
    let found = fs::read_to_string(&path).unwrap_or_default();
    let fresh = make(&found);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, fresh).unwrap();
    } else {
        assert!(found == fresh, "{name} is not up to date with the code: run `make docs`");
    }
}

/// The document with the text between two marks replaced.
pub(crate) fn with_block(document: &str, mark: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- {mark}:begin -->"), format!("<!-- {mark}:end -->"));
    let missing = || panic!("the document has no {begin} … {end}");
    let (before, rest) = document.split_once(&begin).unwrap_or_else(missing);
    let (_, after) = rest.split_once(&end).unwrap_or_else(missing);
    format!("{before}{begin}\n{text}{end}{after}")
}
