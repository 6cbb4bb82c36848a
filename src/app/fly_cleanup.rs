//! `fly-cleanup`: deletes the machines and volumes of an app at Fly, or shows what would be deleted.

use std::path::PathBuf;

use log::LevelFilter;

use super::command_env::CommandEnv;
use super::exit::Exit;
use super::{fail, print};
use crate::telemetry;
use mcr_clients::wire::{Roots, Stop};
use mcr_config::{FlyCleanupSettings, LogFormat, LogOutput, table};
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_provision::fly::{AppName, CleanupOptions, Fly, FlyLimits, clean_up};

/// The options of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlyCleanup {
    /// `--env-file`.
    pub env_file: Option<PathBuf>,
    /// `--app`.
    pub app: AppName,
    /// `--yes`.
    pub yes: bool,
    /// `--json`.
    pub json: bool,
}

/// Runs the command.
pub fn fly_cleanup(wanted: &FlyCleanup) -> Exit {
    let env = CommandEnv::load(wanted.env_file.as_deref());
    // Failures are part of the command's answer, so the log stays quiet.
    telemetry::start(LevelFilter::Off, LogFormat::Text, LogOutput::Stderr, env.redactor.clone());
    match clean(wanted, &env) {
        Ok(exit) => exit,
        Err((exit, lines)) => {
            let lines: Vec<String> = lines.iter().map(|line| env.redactor.clean(line)).collect();
            fail(wanted.json, exit, &lines)
        }
    }
}

fn clean(wanted: &FlyCleanup, env: &CommandEnv) -> Result<Exit, (Exit, Vec<String>)> {
    let misconfigured = |lines| (Exit::Misconfigured, lines);
    let FlyCleanupSettings { base, token, name_prefix, age_min } =
        env.configuration.fly.clone().ok_or_else(|| misconfigured(mistakes(env)))?;
    let token = token.filter(|token| !token.is_empty()).ok_or_else(|| {
        misconfigured(vec![
            "FLY_API_TOKEN is not set. Set it to a token for the app, or FLY_API_TOKEN_FILE to a file with it."
                .to_owned(),
        ])
    })?;
    let ssl_cert_file = env.configuration.report.row(table::SSL_CERT_FILE.name);
    let ssl_cert_file = ssl_cert_file.and_then(|row| row.value.as_ref()).map(PathBuf::from);
    let roots = Roots::load(ssl_cert_file.as_deref()).map_err(|why| misconfigured(vec![why.to_string()]))?;
    let fly = Fly::new(base, &token, wanted.app.clone(), &roots, FlyLimits::default(), &Stop::new());
    let options = CleanupOptions { dry_run: !wanted.yes, name_prefix, age_min, ..CleanupOptions::default() };
    let report = clean_up(&fly, &options, SystemClock.now())
        .map_err(|error| (Exit::Failed, vec![format!("{error}."), "Nothing was deleted.".to_owned()]))?;
    let shown = if wanted.json {
        // A report of texts and numbers can always be written.
        serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
    } else {
        report.text()
    };
    let printed = print(&env.redactor.clean(&shown));
    Ok(if report.is_complete() { printed } else { Exit::Failed })
}

/// The mistakes in the variables of this command.
fn mistakes(env: &CommandEnv) -> Vec<String> {
    env.configuration.report.mistakes_of(&["FLY_"])
}
