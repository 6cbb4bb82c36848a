//! Warnings about doubtful input: unknown names, `NAME_FILE` where no file is read, secrets that every user can read.

use super::diagnostic::Diagnostic;
use super::lookup::{FileSource, Search, from_environment, is_secret, looks_like_a_path};
use super::nearest;
use super::report::Origin;

impl Search<'_> {
    /// Warns about `NAME_FILE` for variables that are not read from files.
    pub(super) fn warn_about_files(&mut self) {
        let environment = self
            .sources
            .environment
            .iter()
            .map(|(name, path)| (name.clone(), from_environment(path).value, Origin::Environment));
        let file = self.file.entries.iter().map(|(name, entry)| {
            let origin = Origin::File { path: self.file.path.clone(), line: entry.line };
            (name.clone(), entry.written.value.clone(), origin)
        });
        for (name, path, origin) in environment.chain(file).collect::<Vec<_>>() {
            let Some(known) = nearest::with_unread_file(&name).filter(|_| !path.is_empty()) else {
                continue;
            };
            if known.variable.is_secret() && !looks_like_a_path(&path) {
                self.note(&path);
            }
            let instead = &known.name;
            let why = if known.variable.is_secret() {
                format!("only the gateway container uses {instead}, and it does not read files")
            } else {
                "only secrets can be given as a file".to_owned()
            };
            let message = format!("{name} ({origin}) has no effect: {why}. Set {instead} itself.");
            self.report.diagnostics.push(Diagnostic::warning(Some(&name), message));
        }
    }

    pub(super) fn warn_about_names(&mut self) {
        for name in self.sources.environment.keys().filter(|name| is_unknown(name)) {
            if let Some(known) = nearest::in_environment(name) {
                let nearest = known.name;
                let message =
                    format!("{name} (environment) is not a known variable; did you mean {nearest}?");
                self.report.diagnostics.push(Diagnostic::warning(Some(name), message));
            }
        }
        let unknown = |name: &str| is_unknown(name) && !nearest::is_neighbour(name);
        let path = &self.file.path;
        for (name, entry) in self.file.entries.iter().filter(|(name, _)| unknown(name)) {
            let nearest = nearest::in_file(name).map(|known| known.name);
            let shown = (nearest.is_some() || looks_like_a_name(name)).then_some(name.as_str());
            let what = match shown {
                Some(name) => format!("{name} (line {})", entry.line),
                None => format!("what line {} sets", entry.line),
            };
            let hint = nearest.map_or_else(|| ".".to_owned(), |nearest| format!("; did you mean {nearest}?"));
            let message = format!("The env file {path}: {what} is not a known variable{hint}");
            self.report.diagnostics.push(Diagnostic::warning(shown, message));
        }
    }

    pub(super) fn warn_about_permissions(&mut self) {
        let FileSource::Text { path, open_to_all: true, .. } = self.sources.file else { return };
        let entries = &self.file.entries;
        let secret = entries
            .iter()
            .map(|(name, entry)| (name, &entry.written.value))
            .any(|(name, value)| !value.is_empty() && is_secret(name, value, nearest::in_file));
        if secret {
            let message = format!(
                "The env file {path} contains secrets, and every user of this machine can read it. Run chmod 600 on it."
            );
            self.report.diagnostics.push(Diagnostic::warning(None, message));
        }
    }
}

/// Whether this name is unknown.
fn is_unknown(name: &str) -> bool {
    !nearest::is_known(name) && nearest::with_unread_file(name).is_none()
}

/// Whether an unknown name may be shown: a line of base64 that ends in `=` looks like a name, too.
fn looks_like_a_name(name: &str) -> bool {
    /// Longer than every known name.
    const CHARS_MAX: usize = 40;
    name.len() <= CHARS_MAX && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}
