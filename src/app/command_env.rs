//! What every command that speaks to the backend stands on: settings, redaction, trust, and the way there.

use std::path::Path;
use std::sync::Arc;

use log::LevelFilter;

use super::load::{Surroundings, load};
use mcr_clients::convex::{Backoff, ConvexEndpoint, ConvexLimits};
use mcr_clients::mission::Mission;
use mcr_clients::wire::{BadRoots, Roots, Stop};
use mcr_config::{Configuration, LogFormat, LogLevel, LogOutput, Report, Settings, table};
use mcr_model::AccountId;
use mcr_model::memory::ByteBudget;
use mcr_model::redact::Redactor;

/// What the surroundings of the process say, sound or not.
pub(super) struct CommandEnv {
    pub(super) configuration: Configuration,
    /// It knows every secret value that was found, usable or not.
    pub(super) redactor: Arc<Redactor>,
    /// The memory for foreign messages, of the whole process.
    pub(super) memory: ByteBudget,
}

impl CommandEnv {
    /// Reads environment, env file and secret files.
    pub(super) fn survey(env_file: Option<&Path>) -> Self {
        let configuration = load(env_file, &Surroundings::of_this_process());
        let redactor = Arc::new(Redactor::new(&configuration.report.secrets));
        let memory = configuration.settings.as_ref().map(|settings| ByteBudget::new(settings.receive_bytes));
        Self { configuration, redactor, memory: memory.unwrap_or_default() }
    }

    /// How the log is to look, even if the rest makes no sense.
    pub(super) fn log_style(&self) -> (LevelFilter, LogFormat, LogOutput) {
        if let Some(settings) = &self.configuration.settings {
            return (filter(settings.log_level), settings.log_format, settings.log_output);
        }
        let report = &self.configuration.report;
        (LevelFilter::Info, wished_format(report), wished_output(report))
    }

    /// The way to the backend; `Err` if the certificates to trust cannot be used.
    pub(super) fn way(&self, settings: &Settings, backoff: Backoff) -> Result<BackendConnection, BadRoots> {
        let roots = Roots::load(settings.ssl_cert_file.as_deref())?;
        let limits = ConvexLimits { backoff, ..ConvexLimits::default() };
        let base = settings.account.convex_url.clone();
        let endpoint = ConvexEndpoint::with_limits(base, &roots, self.redactor.clone(), limits)
            .with_memory(self.memory.backend.clone());
        Ok(BackendConnection { roots, endpoint })
    }
}

/// The way to the backend.
pub(super) struct BackendConnection {
    pub(super) roots: Roots,
    pub(super) endpoint: ConvexEndpoint,
}

impl BackendConnection {
    /// The backend as this account sees it, for one thread; `stop` ends its calls.
    pub(super) fn mission(&self, settings: &Settings, stop: &Stop) -> Mission {
        let account = AccountId::new(&settings.account.id);
        Mission::new(Arc::new(self.endpoint.client(stop)), account, settings.account.service_token.clone())
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Trace => LevelFilter::Trace,
    }
}

fn wished_format(report: &Report) -> LogFormat {
    match report.row(table::LOG_FORMAT.name) {
        Some(row) if row.value.as_deref() == Some("json") => LogFormat::Json,
        Some(_) | None => LogFormat::Text,
    }
}

fn wished_output(report: &Report) -> LogOutput {
    match report.row(table::LOG_OUTPUT.name) {
        Some(row) if row.value.as_deref() == Some("stdout") => LogOutput::Stdout,
        Some(_) | None => LogOutput::Stderr,
    }
}
