//! Finds each variable's text: the environment first, then the env file.
//!
//! Blank counts as not given, so a blank in the environment does not hide the file's value; only where the table
//! gives blank a meaning of its own does it count. In each of the two places `NAME_FILE` may stand for a secret
//! `NAME` that the runtime reads. All secret values that are found on the way are noted, whether they count or not.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::{Diagnostic, FileTrouble, quoted};
use super::env_file::{EnvFile, Written};
use super::nearest;
use super::passwords::passwords;
use super::report::{Origin, Report};
use super::table::{HOME, STATE_DIRECTORY, TABLE, XDG_STATE_HOME};
use super::value::{COMMENT, unusable_file};
use super::variable::Variable;
use mcr_model::secret::Secret;

/// The folder of this program among the state of others.
const FOLDER: &str = "mission-control-runtime";

/// Why a value that is not UTF-8 cannot be used.
const NOT_TEXT: &str = "it is not UTF-8 text.";

/// Longer than most words.
const WORD_CHARS_MAX: usize = 12;

/// Where configuration comes from. Reading it is the caller's part.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The environment, as far as it is UTF-8.
    pub environment: &'a BTreeMap<String, String>,
    /// The names in the environment whose value is not UTF-8.
    pub garbled: &'a BTreeSet<String>,
    /// The env file.
    pub file: &'a FileSource,
    /// Reads the file that a `NAME_FILE` names.
    pub read_secret: &'a dyn Fn(&str) -> Result<SecretFile, FileTrouble>,
}

/// A file that holds a secret. It has no `Debug`.
#[derive(Clone, Default)]
pub struct SecretFile {
    /// What stands in it.
    pub text: String,
    /// Whether everybody on the machine can read it.
    pub open_to_all: bool,
}

/// The env file, as it was found.
#[derive(Clone, Default)]
pub enum FileSource {
    /// There is none.
    #[default]
    None,
    /// There is one.
    Text {
        /// Its path.
        path: String,
        /// What stands in it.
        text: String,
        /// Whether everybody on the machine can read it.
        open_to_all: bool,
    },
    /// Nobody named it, but it stands in the usual place, and this user may not read it. That is not fatal: systemd
    /// may have read it as root and put it into the environment.
    Withheld {
        /// Its path.
        path: String,
    },
    /// There should be one.
    Unusable {
        /// Its path.
        path: String,
        /// What is wrong with it.
        trouble: FileTrouble,
    },
}

/// What was found for one variable.
#[derive(Clone)]
pub(super) enum Finding {
    /// Nothing.
    Absent,
    /// It is set, but blank, and that means something.
    Blank(Origin),
    /// Something that cannot be used; the mistake has been noted.
    Broken(Origin),
    /// A text.
    Found(Found),
}

/// A text and where it came from.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) text: String,
    pub(super) origin: Origin,
    pub(super) spelled: String,
    /// What stands before something that looks like a comment.
    pub(super) before_comment: Option<String>,
}

/// What was found for every variable.
pub(super) struct LookedUp {
    pub(super) findings: BTreeMap<&'static str, Finding>,
    pub(super) state_directory: Option<(String, &'static str)>,
    /// Whether the env file cannot be used. Then nothing that is missing is worth a message.
    pub(super) file_is_unusable: bool,
    pub(super) report: Report,
}

/// Looks every variable of the table up.
pub(super) fn look_up(sources: &Sources<'_>) -> LookedUp {
    let mut report = Report::default();
    let file = match sources.file {
        FileSource::None => EnvFile::default(),
        FileSource::Text { path, text, .. } => EnvFile::parse(path, text),
        FileSource::Withheld { path } => {
            let message = format!(
                "The env file {path} exists, but this user may not read it; only the environment counts. Name it with \
                 --env-file if it must be read."
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
    let file_is_unusable = matches!(sources.file, FileSource::Unusable { .. });
    LookedUp { findings, state_directory, file_is_unusable, report: search.report }
}

/// Where state belongs by the environment, and what says so. Paths that are not absolute do not count, as the
/// specification of `XDG_STATE_HOME` demands.
fn state_directory(environment: &BTreeMap<String, String>) -> Option<(String, &'static str)> {
    let path = |name| {
        let text = environment.get(name).map(|text| text.trim())?;
        text.starts_with('/').then(|| text.trim_end_matches('/'))
    };
    let of_systemd = path(STATE_DIRECTORY).and_then(|list| list.split(':').next());
    let of_systemd = of_systemd.map(|first| (first.to_owned(), "STATE_DIRECTORY, which systemd sets"));
    let of_xdg = || path(XDG_STATE_HOME).map(|state| (format!("{state}/{FOLDER}"), XDG_STATE_HOME));
    let of_home = || path(HOME).map(|home| (format!("{home}/.local/state/{FOLDER}"), HOME));
    of_systemd.or_else(of_xdg).or_else(of_home)
}

/// The two places, in the order in which they are asked.
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

    /// The first spelling that is given in this place.
    fn find_in(&mut self, place: Place, variable: &'static Variable) -> Finding {
        let mut first = Finding::Absent;
        for spelled in variable.spellings() {
            match (&first, self.find_spelled(place, variable, spelled)) {
                (Finding::Absent, found) => first = found,
                (Finding::Found(used), Finding::Found(ignored)) if used.text != ignored.text => {
                    let (used, ignored) = (&used.spelled, ignored.spelled);
                    let message =
                        format!("{used} and {ignored} are both set, with different values; {used} counts.");
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
                    format!("{} is given too, with another value; drop one of the two.", in_file.spelled);
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
        // What is no path may well be the secret itself, set by mistake: it is not shown.
        if !looks_like_a_path(&path) || path.contains(char::is_control) {
            self.note(&path);
            let problem = "expected the path of a file, beginning with /, ./ or ../ (the value itself belongs in the \
                           variable without _FILE).";
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

    /// The secret in a file, which must be all there is in it.
    fn take_secret(
        &mut self,
        variable: &'static Variable,
        name: &str,
        path: String,
        origin: Origin,
        content: &SecretFile,
    ) -> Finding {
        // Some editors put a byte order mark in front.
        let text = content.text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            let problem = unusable_file(FileTrouble::Empty);
            return self.refuse(variable, name, origin, &quoted(&path), &problem);
        }
        self.note(text);
        if content.open_to_all {
            let message = format!(
                "{name}={path}: the file holds a secret and everybody on this machine can read it; chmod 600 prevents \
                 that."
            );
            self.report.diagnostics.push(Diagnostic::warning(Some(name), message));
        }
        let origin = Origin::NameFile { name: name.to_owned(), path };
        let lines = text.contains(['\n', '\r']);
        if lines || text.contains(char::is_whitespace) {
            // The secret is some part of it; plain words and our own names are not.
            let parts = text.split(|c: char| c.is_whitespace() || c == '=');
            let secret = |part: &&str| {
                (part.len() >= WORD_CHARS_MAX || part.contains(|c: char| c.is_ascii_digit()))
                    && !nearest::is_known(part)
            };
            text.lines().map(str::trim).chain(parts.filter(secret)).for_each(|part| self.note(part));
            let what = if lines { "more than one line" } else { "blanks in it" };
            let problem = format!("the file has {what}; it must hold the secret and nothing else.");
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

    /// Notes what is secret: the values of secret variables and of names that look like theirs, service tokens wherever
    /// they stand, and passwords in addresses. Before any sentence is made.
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

/// Whether what is given under this name is a secret; an unknown name counts as the one that was meant.
pub(super) fn is_secret(name: &str, text: &str, nearest: fn(&str) -> Option<nearest::Known>) -> bool {
    if nearest::names_a_file(name) {
        return false;
    }
    match TABLE.iter().find(|variable| variable.spellings().any(|spelling| spelling == name)) {
        Some(variable) => variable.is_secret() || text.contains("mc_service_"),
        None => nearest(name).is_some_and(|known| known.variable.is_secret()),
    }
}

/// What stands for a value that is not shown.
pub(super) fn masked() -> String {
    "***".to_owned()
}

/// Whether this was meant for a path: a secret hardly ever begins like one.
pub(super) fn looks_like_a_path(text: &str) -> bool {
    ["/", "./", "../"].iter().any(|start| text.starts_with(start))
}

/// A value of the environment: read like one of the file, because Docker passes the lines of its env files on as
/// they are, but a quote that is not closed is a part of it.
pub(super) fn from_environment(text: &str) -> Written {
    Written::read(text).unwrap_or_else(|_| Written { value: unquoted(text).to_owned(), before_comment: None })
}

/// The text without blanks around it and one layer of matching quotes.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
    inner.unwrap_or(text).trim()
}
