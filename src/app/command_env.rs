//! What every command that calls the backend needs: settings, redaction, trusted certificates, and a
//! connection.

use std::path::Path;
use std::sync::Arc;

use log::LevelFilter;

use super::load::{Surroundings, load, load_worker};
use mcr_clients::convex::{Backoff, ConvexEndpoint, ConvexLimits};
use mcr_clients::mission::Mission;
use mcr_clients::wire::{BadRoots, Roots, Stop};
use mcr_config::{Configuration, LogFormat, LogLevel, LogOutput, Report, Settings, table};
use mcr_model::AccountId;
use mcr_model::memory::ByteBudget;
use mcr_model::redact::Redactor;

/// The environment of a command, valid or not.
pub(super) struct CommandEnv {
    pub(super) configuration: Configuration,
    /// Knows every secret value that was found, usable or not.
    pub(super) redactor: Arc<Redactor>,
    /// The process-wide memory for foreign messages.
    pub(super) memory: ByteBudget,
}

impl CommandEnv {
    /// Reads the environment, the env file and the secret files.
    pub(super) fn load(env_file: Option<&Path>) -> Self {
        Self::of(load(env_file, &Surroundings::of_this_process()))
    }

    /// As [`CommandEnv::load`], for a worker of a pool, which has no account.
    pub(super) fn load_worker(env_file: Option<&Path>) -> Self {
        Self::of(load_worker(env_file, &Surroundings::of_this_process()))
    }

    fn of(configuration: Configuration) -> Self {
        let redactor = Arc::new(Redactor::new(&configuration.report.secrets));
        let memory = configuration.settings.as_ref().map(|settings| ByteBudget::new(settings.receive_bytes));
        Self { configuration, redactor, memory: memory.unwrap_or_default() }
    }

    /// The log's settings, even if the rest of the configuration is invalid.
    pub(super) fn log_style(&self) -> (LevelFilter, LogFormat, LogOutput) {
        if let Some(settings) = &self.configuration.settings {
            return (filter(settings.log_level), settings.log_format, settings.log_output);
        }
        let report = &self.configuration.report;
        (LevelFilter::Info, preferred_format(report), preferred_output(report))
    }

    /// Connects to the backend. An error if the trusted certificates cannot be used.
    pub(super) fn connect(
        &self,
        settings: &Settings,
        backoff: Backoff,
    ) -> Result<BackendConnection, BadRoots> {
        let roots = Roots::load(settings.ssl_cert_file.as_deref())?;
        let limits = ConvexLimits { backoff, ..ConvexLimits::default() };
        let base = settings.account.convex_url.clone();
        let endpoint = ConvexEndpoint::with_limits(base, &roots, self.redactor.clone(), limits)
            .with_memory(self.memory.backend.clone());
        Ok(BackendConnection { roots, endpoint })
    }
}

/// A connection to the backend.
pub(super) struct BackendConnection {
    pub(super) roots: Roots,
    pub(super) endpoint: ConvexEndpoint,
}

impl BackendConnection {
    /// The backend as this account sees it, for one thread. `stop` ends its calls.
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

fn preferred_format(report: &Report) -> LogFormat {
    match report.row(table::LOG_FORMAT.name) {
        Some(row) if row.value.as_deref() == Some("json") => LogFormat::Json,
        Some(_) | None => LogFormat::Text,
    }
}

fn preferred_output(report: &Report) -> LogOutput {
    match report.row(table::LOG_OUTPUT.name) {
        Some(row) if row.value.as_deref() == Some("stdout") => LogOutput::Stdout,
        Some(_) | None => LogOutput::Stderr,
    }
}
