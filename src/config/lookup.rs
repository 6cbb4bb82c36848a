//! Finds each variable's text: the environment first, then the env file.
//!
//! Blank counts as not given, so a blank in the environment does not hide the file's value; only where the table
//! gives blank a meaning of its own does it count. In each of the two places `NAME_FILE` may stand for a secret
//! `NAME`. All secret values that are found on the way are noted, whether they count or not.

use std::collections::{BTreeMap, BTreeSet};

use super::env_file::EnvFile;
use super::mistake::{FileTrouble, Mistake, Problem, quoted};
use super::nearest;
use super::report::{Origin, Report};
use super::table::{STATE_DIRECTORY, TABLE};
use super::variable::{ReadBy, Variable};
use super::warning::Warning;
use crate::secret::Secret;

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
    pub read_secret: &'a dyn Fn(&str) -> Result<String, FileTrouble>,
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
}

/// What was found for every variable.
pub(super) struct LookedUp {
    pub(super) findings: BTreeMap<&'static str, Finding>,
    pub(super) state_directory: Option<String>,
    pub(super) report: Report,
}

/// Looks every variable of the table up.
pub(super) fn look_up(sources: &Sources<'_>) -> LookedUp {
    let mut report = Report::default();
    let file = match sources.file {
        FileSource::None => EnvFile::default(),
        FileSource::Text { path, text, .. } => EnvFile::parse(path, text),
        FileSource::Withheld { path } => {
            report.warnings.push(Warning::Withheld { path: path.clone() });
            EnvFile::default()
        }
        FileSource::Unusable { path, trouble } => {
            report.mistakes.push(Mistake::EnvFile { path: path.clone(), trouble: *trouble });
            EnvFile::default()
        }
    };
    report.mistakes.extend(file.mistakes.iter().cloned());
    report.warnings.extend(file.warnings.iter().cloned());
    let mut search = Search { sources, file, report };
    search.note_secrets();
    search.warn_about_names();
    search.warn_about_permissions();
    let findings = TABLE.iter().map(|variable| (variable.name, search.find(variable))).collect();
    let state_directory = sources.environment.get(STATE_DIRECTORY).filter(|text| !text.trim().is_empty());
    LookedUp { findings, state_directory: state_directory.cloned(), report: search.report }
}

/// The two places, in the order in which they are asked.
#[derive(Clone, Copy)]
enum Place {
    Environment,
    File,
}

struct Search<'a> {
    sources: &'a Sources<'a>,
    file: EnvFile,
    report: Report,
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
                    self.report
                        .warnings
                        .push(Warning::AliasDiffers { used: used.spelled.clone(), ignored: ignored.spelled });
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
                self.refuse(variable, Mistake::value(spelled, origin.clone(), masked(), Problem::NotText));
                return Finding::Broken(origin);
            }
            Some((Ok(text), origin)) if text.is_empty() => match variable.blank {
                Some(_) => Finding::Blank(origin),
                None => Finding::Absent,
            },
            Some((Ok(text), origin)) => Finding::Found(Found { text, origin, spelled: spelled.to_owned() }),
        };
        if !variable.is_secret() {
            return direct;
        }
        match (direct, self.find_named_file(place, variable, &format!("{spelled}_FILE"))) {
            (Finding::Found(direct), Finding::Found(in_file)) if direct.text != in_file.text => {
                let problem = Problem::GivenTwice { file_name: in_file.spelled };
                self.refuse(variable, Mistake::value(spelled, direct.origin.clone(), masked(), problem));
                Finding::Broken(direct.origin)
            }
            (Finding::Absent | Finding::Blank(_), in_file) => in_file,
            (direct @ (Finding::Found(_) | Finding::Broken(_)), _) => direct,
        }
    }

    /// The content of the file that `NAME_FILE` names.
    fn find_named_file(&mut self, place: Place, variable: &'static Variable, name: &str) -> Finding {
        let (path, origin) = match self.text(place, name) {
            None => return Finding::Absent,
            Some((Ok(path), _)) if path.is_empty() => return Finding::Absent,
            Some((Ok(path), origin)) => (path, origin),
            Some((Err(()), origin)) => {
                self.refuse(variable, Mistake::value(name, origin.clone(), masked(), Problem::NotText));
                return Finding::Broken(origin);
            }
        };
        // What is no path may well be the secret itself, set by mistake: it is not shown.
        let looks_like_a_path = ["/", "./", "../"].iter().any(|start| path.starts_with(start));
        if !looks_like_a_path || path.contains(char::is_control) {
            self.note(&path);
            self.refuse(variable, Mistake::value(name, origin.clone(), masked(), Problem::NotAPath));
            return Finding::Broken(origin);
        }
        let content = (self.sources.read_secret)(&path).and_then(|text| {
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            if text.trim().is_empty() { Err(FileTrouble::Empty) } else { Ok(text) }
        });
        match content {
            Ok(text) => {
                self.note(&text);
                let origin = Origin::NameFile { name: name.to_owned(), path };
                Finding::Found(Found { text, origin, spelled: name.to_owned() })
            }
            Err(trouble) => {
                let problem = Problem::File(trouble);
                self.refuse(variable, Mistake::value(name, origin.clone(), quoted(&path), problem));
                Finding::Broken(origin)
            }
        }
    }

    /// The text of a name in this place, without blanks and one layer of quotes around it.
    fn text(&self, place: Place, name: &str) -> Option<(Result<String, ()>, Origin)> {
        match place {
            Place::Environment if self.sources.garbled.contains(name) => Some((Err(()), Origin::Environment)),
            Place::Environment => {
                let text = self.sources.environment.get(name)?;
                Some((Ok(unquoted(text).to_owned()), Origin::Environment))
            }
            Place::File => {
                let entry = self.file.entries.get(name)?;
                let origin = Origin::File { path: self.file.path.clone(), line: entry.line };
                Some((Ok(entry.value.clone()), origin))
            }
        }
    }

    fn refuse(&mut self, variable: &Variable, mistake: Mistake) {
        self.report.refuse(variable, mistake);
    }

    fn note(&mut self, secret: &str) {
        let secret = Secret::new(secret);
        if !secret.is_empty() && !self.report.secrets.contains(&secret) {
            self.report.secrets.push(secret);
        }
    }

    /// Notes what is secret: the values of secret variables and of names that look like theirs, and service tokens
    /// wherever they stand. Before any sentence is made.
    fn note_secrets(&mut self) {
        let mut secrets: Vec<String> = Vec::new();
        for (name, text) in self.sources.environment {
            if is_secret(name, text, nearest::in_environment) {
                secrets.push(unquoted(text).to_owned());
            }
        }
        let entries = self.file.entries.iter().map(|(name, entry)| (name, &entry.value));
        let discarded = self.file.discarded.iter().map(|(name, text)| (name, text));
        for (name, text) in entries.chain(discarded) {
            if is_secret(name, text, nearest::in_file) {
                secrets.push(unquoted(text).to_owned());
            }
        }
        for secret in &secrets {
            self.note(secret);
        }
    }

    fn warn_about_names(&mut self) {
        for name in self.sources.environment.keys().filter(|name| !nearest::is_known(name)) {
            if let Some(known) = nearest::in_environment(name) {
                let warning = Warning::NearMiss { name: name.clone(), nearest: known.name };
                self.report.warnings.push(warning);
            }
        }
        let unknown = |name: &&String| !nearest::is_known(name) && !nearest::is_neighbour(name);
        let mut warnings = Vec::new();
        for name in self.file.entries.keys().filter(unknown) {
            let nearest = nearest::in_file(name).map(|known| known.name);
            let shown = nearest.is_some() || looks_like_a_name(name);
            warnings.push(Warning::UnknownInFile {
                path: self.file.path.clone(),
                line: self.file.entries[name].line,
                name: shown.then(|| name.clone()),
                nearest,
            });
        }
        self.report.warnings.extend(warnings);
    }

    fn warn_about_permissions(&mut self) {
        let FileSource::Text { path, open_to_all: true, .. } = self.sources.file else { return };
        let entries = &self.file.entries;
        let secret = entries
            .iter()
            .any(|(name, entry)| !entry.value.is_empty() && is_secret(name, &entry.value, nearest::in_file));
        if secret {
            self.report.warnings.push(Warning::OpenToAll { path: path.clone() });
        }
    }
}

impl Report {
    /// Notes a mistake; in a variable that only the gateway container reads it is but a warning.
    pub(super) fn refuse(&mut self, variable: &Variable, mistake: Mistake) {
        match variable.read_by {
            ReadBy::Runtime | ReadBy::Both => self.mistakes.push(mistake),
            ReadBy::Gateway => self.warnings.push(Warning::ForGateway(mistake)),
        }
    }
}

/// Whether what is given under this name is a secret; an unknown name counts as the one that was meant.
fn is_secret(name: &str, text: &str, nearest: fn(&str) -> Option<nearest::Known>) -> bool {
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

/// Whether an unknown name can be shown: a line of base64 that ends in `=` could pass for a name too.
fn looks_like_a_name(name: &str) -> bool {
    /// Longer than any name of ours.
    const CHARS_MAX: usize = 40;
    name.len() <= CHARS_MAX && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// The text without blanks around it and one layer of matching quotes.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
    inner.unwrap_or(text).trim()
}
