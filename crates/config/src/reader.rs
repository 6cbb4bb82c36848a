//! Reads one variable after the other and writes the report: a row for each variable, with errors and warnings.
//!
//! A value that cannot be used is reported and replaced by its default, so that reading continues and finds the next
//! error. Settings that contain such a replacement are never returned.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::address;
use super::diagnostic::{Diagnostic, quoted};
use super::lookup::{Finding, Found, LookedUp, masked};
use super::network::{self, Network};
use super::report::{EffectiveRow, Origin, Report};
use super::table::{ACCOUNT_ID, SERVICE_TOKEN, TABLE};
use super::value::{self, COMMENT, PLACEHOLDER, Problem};
use super::variable::{Fallback, Kind, Variable};
use mcr_model::secret::Secret;
use mcr_model::{BaseUrl, WakeRules};

/// Shorter secrets are not redacted inside other texts, because common words could match.
const SECRET_CHARS_MIN: usize = 8;

/// How many digits of a number that is too large are shown.
const GIVEN_CHARS_MAX: usize = 30;

/// The required variables that a worker of a pool does not need.
const ACCOUNT_OF_RUN: [&str; 2] = [ACCOUNT_ID.name, SERVICE_TOKEN.name];

/// Reads the variables of one start.
pub(super) struct Reader {
    findings: BTreeMap<&'static str, Finding>,
    state_directory: Option<(String, &'static str)>,
    pub(super) runtime_directory: Option<String>,
    file_is_unusable: bool,
    rows: BTreeMap<&'static str, EffectiveRow>,
    missing: Vec<&'static str>,
    refused: BTreeSet<&'static str>,
    /// Whether the settings of a pool's worker are read, which has no account.
    pub(super) is_worker: bool,
    report: Report,
}

impl Reader {
    pub(super) fn new(looked_up: LookedUp) -> Self {
        let LookedUp { findings, state_directory, runtime_directory, file_is_unusable, report } = looked_up;
        Self {
            findings,
            state_directory,
            runtime_directory,
            file_is_unusable,
            rows: BTreeMap::new(),
            missing: Vec::new(),
            refused: BTreeSet::new(),
            is_worker: report.is_worker,
            report,
        }
    }

    /// A text with a default, or one of the words of the table.
    pub(super) fn text(&mut self, variable: &'static Variable) -> String {
        self.given_text(variable).unwrap_or_default()
    }

    /// A text that may be missing.
    pub(super) fn given_text(&mut self, variable: &'static Variable) -> Option<String> {
        self.read(variable, value::text)
    }

    /// A boolean.
    pub(super) fn flag(&mut self, variable: &'static Variable) -> bool {
        self.read(variable, |_, text| value::boolean(text)).unwrap_or_default()
    }

    /// A key.
    pub(super) fn secret(&mut self, variable: &'static Variable) -> Option<Secret> {
        self.given_text(variable).map(Secret::new)
    }

    /// The name of the variable that holds a key.
    pub(super) fn holder(&mut self, variable: &'static Variable) -> Option<&'static str> {
        self.given_text(variable)?;
        let Finding::Found(Found { spelled, .. }) = &self.findings[variable.name] else { return None };
        variable.spellings().find(|known| known == spelled)
    }

    /// A URL.
    pub(super) fn url(&mut self, variable: &'static Variable) -> Option<BaseUrl> {
        self.url_with(variable, address::url)
    }

    /// A URL with a further check.
    pub(super) fn url_with(
        &mut self,
        variable: &'static Variable,
        check: fn(&Variable, &str) -> Result<BaseUrl, Problem>,
    ) -> Option<BaseUrl> {
        self.read(variable, check)
    }

    /// A list of networks.
    pub(super) fn networks(&mut self, variable: &'static Variable) -> Vec<Network> {
        self.read(variable, |_, text| network::networks(text)).unwrap_or_default()
    }

    /// Rules on what wakes each agent.
    pub(super) fn wake_rules(&mut self, variable: &'static Variable) -> WakeRules {
        self.read(variable, |_, text| value::wake_rules(text)).unwrap_or_default()
    }

    /// A value with a parser of its own, if it is set.
    pub(super) fn parsed<T>(
        &mut self,
        variable: &'static Variable,
        parse: fn(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        self.read(variable, |_, text| parse(text))
    }

    /// A port.
    pub(super) fn port(&mut self, variable: &'static Variable) -> u16 {
        self.read(variable, |_, text| value::port(text)).unwrap_or_default()
    }

    /// A number of milliseconds.
    pub(super) fn millis(&mut self, variable: &'static Variable) -> Duration {
        Duration::from_millis(self.number(variable))
    }

    /// A whole number within the range of the table.
    pub(super) fn number(&mut self, variable: &'static Variable) -> u64 {
        self.number_from(variable, 0)
    }

    /// A whole number within the range of the table that must not be less than `least`.
    pub(super) fn number_from(&mut self, variable: &'static Variable, least: u64) -> u64 {
        self.given_number(variable, least).unwrap_or_default()
    }

    /// A whole number that may be missing.
    pub(super) fn given_number(&mut self, variable: &'static Variable, least: u64) -> Option<u64> {
        let Kind::Integer { min, max, why } = variable.kind else {
            unreachable!("{} is no number", variable.name)
        };
        let min = min.max(least).min(max);
        let number = self.read(variable, |_, text| value::whole(text, min, max))?;
        if number.clamped
            && let Finding::Found(Found { text, origin, spelled: name, .. }) =
                self.findings[variable.name].clone()
        {
            let given: String = text.chars().take(GIVEN_CHARS_MAX).collect();
            self.note(variable, format!("{given} was given; allowed is {min} to {max}"));
            let used = number.used;
            let message = format!(
                "{name} ({origin}) is {given}; {used} is used (allowed: {min} to {max}, because {why})."
            );
            self.warn(variable, message);
        }
        if let Some(row) = self.rows.get_mut(variable.name)
            && !self.refused.contains(variable.name)
        {
            row.value = Some(number.used.to_string());
        }
        Some(number.used)
    }

    /// Finds, checks and records one variable.
    fn read<T>(
        &mut self,
        variable: &'static Variable,
        check: impl Fn(&Variable, &str) -> Result<T, Problem>,
    ) -> Option<T> {
        match self.findings[variable.name].clone() {
            Finding::Found(Found { text, origin, spelled, before_comment }) => match check(variable, &text) {
                Ok(value) => {
                    let shown = if variable.is_secret() {
                        masked()
                    } else {
                        self.without_secrets(&value::text(variable, &text).unwrap_or(text))
                    };
                    self.set_row(variable, Some(shown), origin);
                    if spelled != variable.name && variable.aliases.contains(&spelled.as_str()) {
                        self.note(variable, format!("given as {spelled}"));
                    }
                    Some(value)
                }
                Err(problem) => {
                    let comment = before_comment
                        .is_some_and(|before| before.is_empty() || check(variable, &before).is_ok());
                    let problem = match problem.as_str() {
                        _ if comment => COMMENT,
                        _ if text.contains('…') => PLACEHOLDER,
                        problem => problem,
                    };
                    self.refuse(variable, problem);
                    fall_back(variable, check)
                }
            },
            Finding::Broken(origin) => {
                self.set_row(variable, Some(masked()), origin);
                self.note(variable, "cannot be used".to_owned());
                self.refused.insert(variable.name);
                fall_back(variable, check)
            }
            Finding::Blank(origin) => {
                self.set_row(variable, Some(String::new()), origin);
                if let Some(meaning) = variable.blank {
                    self.note(variable, meaning.to_owned());
                }
                None
            }
            Finding::Absent => {
                match variable.fallback {
                    Fallback::Required if self.is_worker && ACCOUNT_OF_RUN.contains(&variable.name) => {
                        self.set_row(variable, None, Origin::Unset);
                    }
                    Fallback::Required => {
                        self.set_row(variable, None, Origin::Unset);
                        self.note(variable, "required".to_owned());
                        self.missing.push(variable.name);
                        self.refused.insert(variable.name);
                    }
                    Fallback::Value(text) => {
                        self.set_row(variable, Some(text.to_owned()), Origin::Default);
                    }
                    Fallback::Derived(words) | Fallback::Unset(words) => {
                        self.set_row(variable, None, Origin::Unset);
                        if words != "not set" {
                            self.note(variable, words.replace('`', ""));
                        }
                    }
                }
                fall_back(variable, check)
            }
        }
    }

    /// Reports that the value of this variable cannot be used.
    pub(super) fn refuse(&mut self, variable: &'static Variable, problem: &str) {
        let (name, origin, shown) = match &self.findings[variable.name] {
            Finding::Found(Found { spelled, origin, .. }) if variable.is_secret() => {
                (spelled.clone(), origin.clone(), masked())
            }
            Finding::Found(Found { text, origin, spelled, .. }) => {
                (spelled.clone(), origin.clone(), quoted(&self.without_secrets(text)))
            }
            Finding::Blank(origin) | Finding::Broken(origin) => {
                (variable.name.to_owned(), origin.clone(), masked())
            }
            Finding::Absent => (variable.name.to_owned(), Origin::Unset, masked()),
        };
        self.refused.insert(variable.name);
        let (value, note) = match origin {
            Origin::Unset => (None, "required"),
            _ => (Some(shown.clone()), "cannot be used"),
        };
        self.set_row(variable, value, origin.clone());
        self.note(variable, note.to_owned());
        self.report.refuse(variable, &name, &origin, &shown, problem);
    }

    /// Whether an error about this variable is reported already, so that no further message is needed.
    pub(super) fn was_refused(&self, variable: &Variable) -> bool {
        self.refused.contains(variable.name)
    }

    /// Whether the variable is set to blank, and blank has a meaning.
    pub(super) fn is_blank(&self, variable: &Variable) -> bool {
        matches!(self.findings[variable.name], Finding::Blank(_))
    }

    /// Warns about a secret that is too short for redaction. `what` describes the secret.
    pub(super) fn warn_if_short(&mut self, variable: &Variable, what: &str, secret: &str) {
        let chars = secret.chars().count();
        if chars < SECRET_CHARS_MIN {
            let characters = if chars == 1 { "character" } else { "characters" };
            let message = format!(
                "{what} has {chars} {characters}: too short to be hidden reliably in logs; use a longer one."
            );
            self.warn(variable, message);
        }
    }

    /// Whether the variable is set.
    pub(super) fn is_given(&self, variable: &Variable) -> bool {
        self.rows.get(variable.name).is_some_and(|row| row.origin.is_given())
    }

    pub(super) fn warn(&mut self, variable: &Variable, message: impl Into<String>) {
        self.report.diagnostics.push(Diagnostic::warning(Some(variable.name), message));
    }

    /// Warns about a URL without encryption to which a token is sent.
    pub(super) fn warn_of_clear_text(&mut self, address: &Variable, token: &Variable) {
        let (name, token) = (address.name, token.name);
        let message =
            format!("{name} is an http address of another machine: {token} travels unencrypted. Use https.");
        self.warn(address, message);
    }

    /// Records a derived value, unless the variable is set.
    pub(super) fn derive(&mut self, variable: &'static Variable, value: &str, from: &'static str) {
        if matches!(self.findings[variable.name], Finding::Absent) {
            self.rows.remove(variable.name);
            self.set_row(variable, Some(self.without_secrets(value)), Origin::Derived(from));
        }
    }

    /// The state directory that the environment implies, and the variable that implies it.
    pub(super) fn state_directory(&self) -> Option<(String, &'static str)> {
        self.state_directory.clone()
    }

    /// The text that is set, of whatever kind.
    pub(super) fn found_text(&self, variable: &Variable) -> Option<&str> {
        let Finding::Found(found) = &self.findings[variable.name] else { return None };
        Some(&found.text)
    }

    /// Reports a missing value. If the env file cannot be used, only that is reported.
    pub(super) fn lacks(&mut self, variable: &Variable, message: &str) {
        if !self.file_is_unusable {
            self.report.diagnostics.push(Diagnostic::error(Some(variable.name), message));
        }
    }

    fn set_row(&mut self, variable: &'static Variable, value: Option<String>, origin: Origin) {
        let note = variable.effect.missing().map(|why| why.replace('`', ""));
        self.rows.insert(variable.name, EffectiveRow { name: variable.name, value, origin, note });
    }

    fn note(&mut self, variable: &Variable, words: String) {
        if let Some(row) = self.rows.get_mut(variable.name) {
            row.note = Some(match row.note.take() {
                Some(note) => format!("{words}; {note}"),
                None => words,
            });
        }
    }

    /// The text without any known secret, and without a password in a URL.
    pub(super) fn without_secrets(&self, text: &str) -> String {
        /// A shorter secret could match common words.
        const CHARS_MIN: usize = 4;
        let secrets = self.report.secrets.iter().map(Secret::expose);
        let mut shown = text.to_owned();
        for secret in secrets {
            if shown == secret {
                return masked();
            }
            if secret.len() >= CHARS_MIN {
                shown = shown.replace(secret, "***");
            }
        }
        match (shown.find("://"), shown.rfind('@')) {
            (Some(scheme), Some(at)) if scheme < at => format!("{}://***{}", &shown[..scheme], &shown[at..]),
            (Some(_) | None, Some(_) | None) => shown,
        }
    }

    /// What was found so far, if the other variables do not matter.
    pub(super) fn diagnostics(self) -> Vec<Diagnostic> {
        self.report.diagnostics
    }

    /// Reads the remaining variables, so that every row of the table is checked and shown, and returns the report.
    pub(super) fn finish(mut self) -> Report {
        for variable in TABLE.iter().copied() {
            if !self.rows.contains_key(variable.name) {
                self.check(variable);
            }
        }
        // If the env file cannot be used, missing variables are a consequence.
        if !self.missing.is_empty() && !self.file_is_unusable {
            let message = format!(
                "Missing required environment variables: {}. Set {} in the environment or in the env file \
                 (--env-file FILE); blank counts as not set.",
                self.missing.join(", "),
                if self.missing.len() == 1 { "it" } else { "them" },
            );
            let variable = if let [one] = self.missing[..] { Some(one) } else { None };
            let absence = Diagnostic { is_absence: true, ..Diagnostic::error(variable, message) };
            self.report.diagnostics.insert(0, absence);
        }
        self.report.rows = TABLE.iter().filter_map(|variable| self.rows.remove(variable.name)).collect();
        self.report
    }

    fn check(&mut self, variable: &'static Variable) {
        match variable.kind {
            Kind::Integer { .. } => drop(self.given_number(variable, 0)),
            Kind::Text { .. }
            | Kind::Identifier
            | Kind::Secret { .. }
            | Kind::Path
            | Kind::Host
            | Kind::Url { .. }
            | Kind::Port
            | Kind::Boolean
            | Kind::Choice { .. } => drop(self.read(variable, value::text)),
        }
    }
}

/// The default of the table, if it has one.
fn fall_back<T>(variable: &Variable, check: impl Fn(&Variable, &str) -> Result<T, Problem>) -> Option<T> {
    match variable.fallback {
        Fallback::Value(text) => check(variable, text).ok(),
        Fallback::Required | Fallback::Derived(_) | Fallback::Unset(_) => None,
    }
}
