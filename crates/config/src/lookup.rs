//! Finds the text of each variable: first in the environment, then in the env file.
//!
//! A blank value counts as not set, so a blank in the environment does not hide the value of the file. The exceptions
//! are variables for which the table gives blank a meaning. In both places, `NAME_FILE` may name a file with the secret
//! `NAME`, if the runtime reads it. Every secret value that is found is noted for redaction, used or not.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::{Diagnostic, FileTrouble, quoted};
use super::env_file::{EnvFile, Written};
use super::nearest;
use super::passwords::passwords;
use super::report::{Origin, Report};
use super::table::{HOME, RUNTIME_DIRECTORY, STATE_DIRECTORY, TABLE, XDG_STATE_HOME};
use super::value::{COMMENT, unusable_file};
use super::variable::Variable;
use mcr_model::secret::Secret;

/// This program's directory inside a directory for the state of all programs.
const FOLDER: &str = "mission-control-runtime";

/// Why a value that is not UTF-8 cannot be used.
const NOT_TEXT: &str = "it is not UTF-8 text.";

/// A part of a file that is at least this long may be a secret; most words are shorter.
const WORD_CHARS_MAX: usize = 12;

/// The sources of the configuration. The caller reads them.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The variables of the environment whose value is UTF-8.
    pub environment: &'a BTreeMap<String, String>,
    /// The names of the others.
    pub garbled: &'a BTreeSet<String>,
    /// The env file.
    pub file: &'a FileSource,
    /// Reads the file that a `NAME_FILE` names.
    pub read_secret: &'a dyn Fn(&str) -> Result<SecretFile, FileTrouble>,
}

/// A file that holds a secret. It has no `Debug`.
#[derive(Clone, Default)]
pub struct SecretFile {
    /// Its content.
    pub text: String,
    /// Whether every user of the machine can read it.
    pub open_to_all: bool,
}

/// The env file.
#[derive(Clone, Default)]
pub enum FileSource {
    /// No file exists.
    #[default]
    None,
    /// The file was read.
    Text {
        /// Its path.
        path: String,
        /// Its content.
        text: String,
        /// Whether every user of the machine can read it.
        open_to_all: bool,
    },
    /// A file exists in the default place, and this user may not read it. That is not an error: systemd may have read
    /// it as root and set the environment from it.
    Withheld {
        /// Its path.
        path: String,
    },
    /// The file is required and cannot be used.
    Unusable {
        /// Its path.
        path: String,
        /// Why not.
        trouble: FileTrouble,
    },
}

/// The result for one variable.
#[derive(Clone)]
pub(super) enum Finding {
    /// It is not set.
    Absent,
    /// It is set to blank, which has a meaning.
    Blank(Origin),
    /// A value that cannot be used. The diagnostic is in the report.
    Broken(Origin),
    /// A usable text.
    Found(Found),
}

/// A text and its origin.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) text: String,
    pub(super) origin: Origin,
    pub(super) spelled: String,
    /// The part before something that looks like a comment.
    pub(super) before_comment: Option<String>,
}

/// The result for every variable.
pub(super) struct LookedUp {
    pub(super) findings: BTreeMap<&'static str, Finding>,
    pub(super) state_directory: Option<(String, &'static str)>,
    pub(super) runtime_directory: Option<String>,
    /// Whether the env file cannot be used. Then a message about a missing variable would only distract.
    pub(super) file_is_unusable: bool,
    pub(super) report: Report,
}

/// Looks up every variable of the table. For a worker of a pool, a value of its variables that cannot be used is an error.
pub(super) fn look_up(sources: &Sources<'_>, is_worker: bool) -> LookedUp {
    let mut report = Report { is_worker, ..Report::default() };
    let file = match sources.file {
        FileSource::None => EnvFile::default(),
        FileSource::Text { path, text, .. } => EnvFile::parse(path, text),
        FileSource::Withheld { path } => {
            let message = format!(
                "The env file {path} exists, but this user may not read it. Only the environment is used. If the file is \
                 required, pass it with --env-file."
            );
            report.diagnostics.push(Diagnostic::warning(None, message));
            EnvFile::default()
        }
        FileSource::Unusable { path, trouble } => {
            let message = format!("The env file {path} cannot be used: {trouble}.");
            report.diagnostics.push(Diagnostic::error(None, message));
            EnvFile::default()
        }
    };
    report.diagnostics.extend(file.diagnostics.iter().cloned());
    let mut search = Search { sources, file, report };
    search.note_secrets();
    search.warn_about_files();
    search.warn_about_names();
    search.warn_about_permissions();
    let findings = TABLE.iter().map(|variable| (variable.name, search.find(variable))).collect();
    let state_directory = state_directory(sources.environment);
    let runtime_directory = of_systemd(sources.environment, RUNTIME_DIRECTORY);
    let file_is_unusable = matches!(sources.file, FileSource::Unusable { .. });
    LookedUp { findings, state_directory, runtime_directory, file_is_unusable, report: search.report }
}

/// The state directory that the environment implies, and the variable that implies it. Relative paths are ignored, as
/// the specification of `XDG_STATE_HOME` requires.
fn state_directory(environment: &BTreeMap<String, String>) -> Option<(String, &'static str)> {
    let path = |name| absolute(environment, name);
    let of_systemd =
        of_systemd(environment, STATE_DIRECTORY).map(|first| (first, "STATE_DIRECTORY, which systemd sets"));
    let of_xdg = || path(XDG_STATE_HOME).map(|state| (format!("{state}/{FOLDER}"), XDG_STATE_HOME));
    let of_home = || path(HOME).map(|home| (format!("{home}/.local/state/{FOLDER}"), HOME));
    of_systemd.or_else(of_xdg).or_else(of_home)
}

/// The first directory of a list that systemd sets.
fn of_systemd(environment: &BTreeMap<String, String>, name: &str) -> Option<String> {
    absolute(environment, name)?.split(':').next().map(str::to_owned)
}

fn absolute<'a>(environment: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    let text = environment.get(name).map(|text| text.trim())?;
    text.starts_with('/').then(|| text.trim_end_matches('/'))
}

/// The two places, in the order of the lookup.
#[derive(Clone, Copy)]
enum Place {
    Environment,
    File,
}

pub(super) struct Search<'a> {
    pub(super) sources: &'a Sources<'a>,
    pub(super) file: EnvFile,
    pub(super) report: Report,
}

impl Search<'_> {
    fn find(&mut self, variable: &'static Variable) -> Finding {
        match self.find_in(Place::Environment, variable) {
            Finding::Absent => self.find_in(Place::File, variable),
            found @ (Finding::Blank(_) | Finding::Broken(_) | Finding::Found(_)) => found,
        }
    }

    /// The first spelling that is set in this place.
    fn find_in(&mut self, place: Place, variable: &'static Variable) -> Finding {
        let mut first = Finding::Absent;
        for spelled in variable.spellings() {
            match (&first, self.find_spelled(place, variable, spelled)) {
                (Finding::Absent, found) => first = found,
                (Finding::Found(used), Finding::Found(ignored)) if used.text != ignored.text => {
                    let (used, ignored) = (&used.spelled, ignored.spelled);
                    let message =
                        format!("{used} and {ignored} are both set, to different values; {used} is used.");
                    self.report.diagnostics.push(Diagnostic::warning(Some(&ignored), message));
                }
                (Finding::Blank(_) | Finding::Broken(_) | Finding::Found(_), _) => {}
            }
        }
        first
    }

    fn find_spelled(&mut self, place: Place, variable: &'static Variable, spelled: &str) -> Finding {
        let direct = match self.text(place, spelled) {
            None => Finding::Absent,
            Some((Err(()), origin)) => {
                return self.refuse(variable, spelled, origin, &masked(), NOT_TEXT);
            }
            Some((Ok(written), origin)) if written.value.is_empty() => match variable.blank {
                Some(_) => Finding::Blank(origin),
                None => Finding::Absent,
            },
            Some((Ok(Written { value: text, before_comment }), origin)) => {
                Finding::Found(Found { text, origin, spelled: spelled.to_owned(), before_comment })
            }
        };
        if !variable.takes_file() {
            return direct;
        }
        match (direct, self.find_named_file(place, variable, &format!("{spelled}_FILE"))) {
            (Finding::Found(direct), Finding::Found(in_file)) if direct.text != in_file.text => {
                let problem =
                    format!("{} is set too, to a different value; remove one of the two.", in_file.spelled);
                self.refuse(variable, spelled, direct.origin, &masked(), &problem)
            }
            (Finding::Absent | Finding::Blank(_), in_file) => in_file,
            (direct @ (Finding::Found(_) | Finding::Broken(_)), _) => direct,
        }
    }

    /// The content of the file that `NAME_FILE` names.
    fn find_named_file(&mut self, place: Place, variable: &'static Variable, name: &str) -> Finding {
        let (Written { value: path, before_comment }, origin) = match self.text(place, name) {
            None => return Finding::Absent,
            Some((Ok(path), _)) if path.value.is_empty() => return Finding::Absent,
            Some((Ok(path), origin)) => (path, origin),
            Some((Err(()), origin)) => {
                return self.refuse(variable, name, origin, &masked(), NOT_TEXT);
            }
        };
        // A text that is not a path may be the secret itself, set by accident. It is not shown.
        if !looks_like_a_path(&path) || path.contains(char::is_control) {
            self.note(&path);
            let problem = "expected a file path that begins with /, ./ or ../ (the value itself belongs in the variable \
                           without _FILE).";
            return self.refuse(variable, name, origin, &masked(), problem);
        }
        match (self.sources.read_secret)(&path) {
            Ok(content) => self.take_secret(variable, name, path, origin, &content),
            Err(trouble) => {
                let problem = match trouble {
                    FileTrouble::Missing if before_comment.is_some() => COMMENT.to_owned(),
                    trouble => unusable_file(trouble),
                };
                self.refuse(variable, name, origin, &quoted(&path), &problem)
            }
        }
    }

    /// The secret in a file. The file must contain nothing else.
    fn take_secret(
        &mut self,
        variable: &'static Variable,
        name: &str,
        path: String,
        origin: Origin,
        content: &SecretFile,
    ) -> Finding {
        // Some editors write a byte order mark first.
        let text = content.text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            let problem = unusable_file(FileTrouble::Empty);
            return self.refuse(variable, name, origin, &quoted(&path), &problem);
        }
        self.note(text);
        if content.open_to_all {
            let message = format!(
                "{name}={path}: the file contains a secret, and every user of this machine can read it. Run chmod 600 \
                 on it."
            );
            self.report.diagnostics.push(Diagnostic::warning(Some(name), message));
        }
        let origin = Origin::NameFile { name: name.to_owned(), path };
        let lines = text.contains(['\n', '\r']);
        if lines || text.contains(char::is_whitespace) {
            // The secret is a part of the text. Plain words and known names are not secret.
            let parts = text.split(|c: char| c.is_whitespace() || c == '=');
            let secret = |part: &&str| {
                (part.len() >= WORD_CHARS_MAX || part.contains(|c: char| c.is_ascii_digit()))
                    && !nearest::is_known(part)
            };
            text.lines().map(str::trim).chain(parts.filter(secret)).for_each(|part| self.note(part));
            let what = if lines { "more than one line" } else { "blanks" };
            let problem = format!("the file contains {what}; it must contain the secret and nothing else.");
            return self.refuse(variable, name, origin, &masked(), &problem);
        }
        Finding::Found(Found {
            text: text.to_owned(),
            origin,
            spelled: name.to_owned(),
            before_comment: None,
        })
    }

    /// The text of a name in this place.
    fn text(&self, place: Place, name: &str) -> Option<(Result<Written, ()>, Origin)> {
        match place {
            Place::Environment if self.sources.garbled.contains(name) => Some((Err(()), Origin::Environment)),
            Place::Environment => {
                let text = self.sources.environment.get(name)?;
                Some((Ok(from_environment(text)), Origin::Environment))
            }
            Place::File => {
                let entry = self.file.entries.get(name)?;
                let origin = Origin::File { path: self.file.path.clone(), line: entry.line };
                Some((Ok(entry.written.clone()), origin))
            }
        }
    }

    /// Reports a value that cannot be used.
    fn refuse(
        &mut self,
        variable: &Variable,
        name: &str,
        origin: Origin,
        shown: &str,
        problem: &str,
    ) -> Finding {
        self.report.refuse(variable, name, &origin, shown, problem);
        Finding::Broken(origin)
    }

    pub(super) fn note(&mut self, secret: &str) {
        let secret = Secret::new(secret);
        if !secret.is_empty() && !self.report.secrets.contains(&secret) {
            self.report.secrets.push(secret);
        }
    }

    /// Notes all secrets: values of secret variables and of similar names, service tokens in any variable, and
    /// passwords in URLs. This happens before any message is written.
    fn note_secrets(&mut self) {
        let mut secrets: Vec<String> = Vec::new();
        for (name, text) in self.sources.environment {
            if is_secret(name, text, nearest::in_environment) {
                let Written { value, before_comment } = from_environment(text);
                secrets.push(value);
                secrets.extend(before_comment);
            }
        }
        let entries = self.file.entries.iter().map(|(name, entry)| (name, &entry.written.value));
        let discarded = self.file.discarded.iter().map(|(name, text)| (name, text));
        for (name, text) in entries.chain(discarded) {
            if is_secret(name, text, nearest::in_file) {
                secrets.push(unquoted(text).to_owned());
            }
        }
        let entries = self.file.entries.iter().map(|(name, entry)| (name, &entry.written.value));
        secrets.extend(passwords(entries));
        secrets.extend(passwords(self.sources.environment));
        for secret in &secrets {
            self.note(secret);
        }
    }
}

/// Whether the value of this name is a secret. An unknown name counts as the known name nearest to it.
pub(super) fn is_secret(name: &str, text: &str, nearest: fn(&str) -> Option<nearest::Known>) -> bool {
    if nearest::names_a_file(name) {
        return false;
    }
    match TABLE.iter().find(|variable| variable.spellings().any(|spelling| spelling == name)) {
        Some(variable) => variable.is_secret() || text.contains("mc_service_"),
        None => nearest(name).is_some_and(|known| known.variable.is_secret()),
    }
}

/// The placeholder for a value that is not shown.
pub(super) fn masked() -> String {
    "***".to_owned()
}

/// Whether a text is meant as a path: secrets rarely begin like one.
pub(super) fn looks_like_a_path(text: &str) -> bool {
    ["/", "./", "../"].iter().any(|start| text.starts_with(start))
}

/// Parses a value of the environment like a value of the file, because Docker passes lines of env files unchanged. A
/// quote that is not closed is part of the value.
pub(super) fn from_environment(text: &str) -> Written {
    Written::read(text).unwrap_or_else(|_| Written { value: unquoted(text).to_owned(), before_comment: None })
}

/// The text without surrounding blanks and without one pair of quotes.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
    inner.unwrap_or(text).trim()
}
