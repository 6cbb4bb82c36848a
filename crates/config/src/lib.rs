//! Configuration that explains itself.
//!
//! The story: [`TABLE`] has one row per variable, and everything else is read off it. A start gathers what there
//! is ([`Sources`]: the environment, the env file, a way to read secret files) and hands it to [`resolve`], which
//! is pure. First each variable is looked up (environment before file, `NAME_FILE` for secrets) and every secret
//! value found is noted, so that no sentence can repeat one. Then each value is checked by its kind, then the
//! values are checked against each other. Nothing stops at the first fault: what comes out is either
//! [`Settings`], or every mistake as a sentence of its own, and in both cases a [`Report`] with the warnings and
//! the effective value of every variable. [`documents`] writes `.env.example` and the tables in `docs/` from the
//! same rows.

mod address;
mod credentials;
mod diagnostic;
pub mod documents;
mod doubts;
mod env_file;
mod lookup;
mod nearest;
mod network;
mod passwords;
mod reader;
mod report;
mod settings;
pub mod table;
mod value;
mod variable;

pub use diagnostic::{Both, Diagnostic, FileTrouble, Severity};
use diagnostic::{former_state, quoted};
pub use env_file::EnvFile;
pub use lookup::{FileSource, SecretFile, Sources};
pub use network::Network;
pub use report::{EffectiveRow, Origin, Report};
pub use settings::{
    Account, Agents, Delivery, Droplet, Gateway, HttpServer, LedgerSwitch, LogFormat, LogLevel, LogOutput,
    Settings,
};
pub use table::TABLE;
use value::{COMMENT, unusable_file};
pub use variable::{Before, Effect, Fallback, Kind, ReadBy, Section, Variable};

/// What a start found: settings, or the mistakes that stand in their way, and what to tell people about both.
#[derive(Debug)]
pub struct Configuration {
    /// The settings, if there is no mistake.
    pub settings: Option<Settings>,
    /// Mistakes, warnings, the effective value of every variable, and every secret to be kept out of sight.
    pub report: Report,
}

impl Configuration {
    /// Notes that the file which this variable names cannot be used, which shows at the edge only; with a mistake
    /// there are no settings.
    pub fn refuse_file(&mut self, variable: &'static Variable, trouble: FileTrouble) {
        let Some(row) = self.report.row(variable.name) else { return };
        let (origin, path) = (row.origin.clone(), row.shown().to_owned());
        let commented = match &origin {
            Origin::File { path, line } => {
                self.report.diagnostics.contains(&Diagnostic::hash_in_value(path, *line))
            }
            _ => false,
        };
        let problem = match trouble {
            FileTrouble::Missing if commented => COMMENT.to_owned(),
            trouble => unusable_file(trouble),
        };
        self.settings = None;
        self.report.refuse(variable, variable.name, &origin, &quoted(&path), &problem);
    }

    /// Refuses to start beside state in the former default folder, which shows at the edge only.
    pub fn refuse_former_state(&mut self, former: &str, now: &str, both: Both) {
        self.settings = None;
        let message = former_state(former, now, both);
        self.report.diagnostics.push(Diagnostic::error(Some(table::STATE_DIR.name), message));
    }
}

/// Makes settings of what was found, or says everything that is wrong with it.
pub fn resolve(sources: &Sources<'_>) -> Configuration {
    let mut reader = reader::Reader::new(lookup::look_up(sources));
    let settings = settings::assemble(&mut reader);
    let report = reader.finish();
    let settings = settings.filter(|_| report.errors().next().is_none());
    let settings = settings.map(|settings| settings.with_secrets(&report.secrets));
    Configuration { settings, report }
}
