//! Reads the configuration and explains it.
//!
//! [`TABLE`] has one row per variable, and everything else derives from it. A start collects [`Sources`]: the
//! environment, the env file, and a function that reads secret files. [`resolve`] is pure and works in three steps:
//!
//! 1. It looks up each variable: the environment before the file, and `NAME_FILE` for secrets. It notes every secret
//!    value, so that no message repeats one.
//! 2. It checks each value by its kind.
//! 3. It checks the values against each other.
//!
//! No step stops at the first error. The result is [`Settings`], or one [`Diagnostic`] for each error. In both cases there
//! is a [`Report`] with the warnings and the effective value of every variable. [`documents`] generates `.env.example`
//! and the tables in `docs/` from the same rows.

mod address;
mod choices;
mod container;
mod credentials;
mod diagnostic;
pub mod documents;
mod doubts;
mod env_file;
mod fly;
mod gateway_child;
mod gateway_keys;
mod guardrails;
mod heartbeats;
mod local;
mod lookup;
mod nearest;
mod network;
mod passwords;
mod provision;
mod reader;
mod report;
mod settings;
pub mod table;
mod upgrades;
mod value;
mod variable;
mod worker;
mod worker_state;

pub use container::{container, prevents};
pub use diagnostic::{Both, Diagnostic, FileTrouble, Severity};
use diagnostic::{former_state, quoted};
pub use env_file::EnvFile;
pub use fly::FlyCleanupSettings;
pub use gateway_child::GatewayChildSettings;
pub use gateway_keys::GatewayKeys;
pub use heartbeats::Heartbeats;
pub use local::{EnvironmentLookup, digitalocean_api, provision_limits, telegram_api};
pub use lookup::{FileSource, SecretFile, Sources};
use mcr_model::BridgeSettings;
pub use nearest::meant_variable;
pub use nearest::typos;
pub use network::Network;
pub use provision::{BootstrapSettings, ProvisionSettings};
pub use report::{EffectiveRow, Origin, Report};
pub use settings::{
    Account, Agents, Delivery, Droplet, Gateway, HttpServer, LedgerSwitch, LogFormat, LogLevel, LogOutput,
    Settings,
};
pub use table::{TABLE, variables_of};
pub use upgrades::Upgrades;
use value::{COMMENT, unusable_file};
pub use variable::{Before, Effect, Fallback, Kind, ReadBy, Section, Variable};
pub use worker::WorkerSettings;
pub use worker_state::{PoolCallSettings, SkillsSettings, SnapshotSettings};

/// The result of a start: settings, unless there are errors, and the report.
#[derive(Debug)]
pub struct Configuration {
    /// The settings, if there is no error.
    pub settings: Option<Settings>,
    /// The settings of `fly-cleanup`, if there is no error in them.
    pub fly: Option<FlyCleanupSettings>,
    /// The bridge to a consumer's application, as the environment has it.
    pub bridge: BridgeSettings,
    /// The settings of `provision`, if there is no error in them.
    pub provision: Option<ProvisionSettings>,
    /// The settings of `bootstrap`, if there is no error in them.
    pub bootstrap: Option<BootstrapSettings>,
    /// Errors, warnings, the effective value of every variable, and every secret to redact.
    pub report: Report,
}

impl Configuration {
    /// Reports that the file which this variable names cannot be used. Only the caller can read files, so it finds out
    /// after [`resolve`]. An error removes the settings.
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

    /// Reports state in the former default directory. Only the caller can look for files.
    pub fn refuse_former_state(&mut self, former: &str, now: &str, both: Both) {
        self.settings = None;
        let message = former_state(former, now, both);
        self.report.diagnostics.push(Diagnostic::error(Some(table::STATE_DIR.name), message));
    }
}

/// Turns the sources into settings, or reports every error in them.
pub fn resolve(sources: &Sources<'_>) -> Configuration {
    resolved(reader::Reader::new(lookup::look_up(sources, false)))
}

/// Turns the sources into the settings of a pool's worker, which has no account.
pub fn resolve_worker(sources: &Sources<'_>) -> Configuration {
    resolved(reader::Reader::new(lookup::look_up(sources, true)))
}

fn resolved(mut reader: reader::Reader) -> Configuration {
    let settings = settings::assemble(&mut reader);
    let fly = fly::read(&mut reader);
    let bridge = worker_state::bridge(&mut reader);
    let provision = provision::read(&mut reader);
    let bootstrap = provision::read_bootstrap(&mut reader);
    let report = reader.finish();
    let settings = settings.filter(|_| report.errors().next().is_none());
    let settings = settings.map(|settings| settings.with_report(&report));
    Configuration { settings, fly, bridge, provision, bootstrap, report }
}
