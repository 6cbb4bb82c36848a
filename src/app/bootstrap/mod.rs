//! `bootstrap`: exchanges the one-time token of a new machine for its environment, and writes that to the env file.
//!
//! The token works once and for a quarter of an hour. So the env file is written before the token is removed. A second run,
//! after a crash between the two, finds the service token in the env file and only removes the token.

mod env_file;
mod exchange;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use log::LevelFilter;

use self::env_file::{merge, parsed};
use self::exchange::{BootstrapLimits, Refusal, exchange};
use super::command_env::CommandEnv;
use super::exit::Exit;
use super::load::DEFAULT_ENV_FILE;
use super::{fail, print};
use crate::telemetry;
use mcr_clients::wire::{Roots, Stop};
use mcr_config::{BootstrapSettings, LogFormat, LogOutput, table};
use mcr_model::secret::Secret;

/// The largest token file and the largest environment on standard input.
const INPUT_BYTES_MAX: u64 = 256 * 1024;

/// The options of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// `--env-file`: the file to write.
    pub env_file: Option<PathBuf>,
    /// `--stdin`: take the environment from standard input instead of a control plane.
    pub stdin: bool,
    /// `--json`.
    pub json: bool,
}

/// Runs the command.
pub fn bootstrap(wanted: &Bootstrap) -> Exit {
    let path = wanted.env_file.clone().unwrap_or_else(|| DEFAULT_ENV_FILE.into());
    let env = CommandEnv::load(Some(&path).filter(|path| path.exists()).map(PathBuf::as_path));
    // Failures are part of the command's answer, so the log stays quiet.
    telemetry::start(LevelFilter::Off, LogFormat::Text, LogOutput::Stderr, env.redactor.clone());
    let done = if wanted.stdin { from_stdin(&path) } else { from_control_plane(&path, &env) };
    match done {
        Ok(line) if wanted.json => {
            print(&format!("{:#}\n", serde_json::json!({"success": true, "message": line})))
        }
        Ok(line) => print(&format!("{line}\n")),
        Err((exit, line)) => fail(wanted.json, exit, &[env.redactor.clean(&line)]),
    }
}

type BootstrapFailure = (Exit, String);

fn failed(line: String) -> BootstrapFailure {
    (Exit::Failed, line)
}

/// Lines of an env file, as a person or `provision` sends them.
fn from_stdin(path: &Path) -> Result<String, BootstrapFailure> {
    let mut text = String::new();
    let read = std::io::stdin().take(INPUT_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|why| failed(format!("Standard input cannot be read: {why}")))?;
    if text.len() as u64 > INPUT_BYTES_MAX {
        return Err(failed(format!(
            "Standard input has more than {INPUT_BYTES_MAX} bytes; send an env file"
        )));
    }
    let values = parsed(&text).map_err(|why| failed(format!("Standard input cannot be used: {why}")))?;
    write(path, &values)
}

fn from_control_plane(path: &Path, env: &CommandEnv) -> Result<String, BootstrapFailure> {
    let misconfigured = |line: &str| (Exit::Misconfigured, line.to_owned());
    let Some(BootstrapSettings { url, token_file }) = env.configuration.bootstrap.clone() else {
        let found = &env.configuration.report.diagnostics;
        let ours = found
            .iter()
            .find(|found| found.variable.as_ref().is_some_and(|name| name.starts_with("RUNTIME_BOOTSTRAP_")));
        return Err((Exit::Misconfigured, ours.map(|found| found.message.clone()).unwrap_or_default()));
    };
    let has_secrets = has_service_token(path);
    let shown = token_file.display();
    let token = match fs::File::open(&token_file).map(|file| file.take(INPUT_BYTES_MAX)) {
        Ok(mut file) => {
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(|why| failed(format!("{shown} cannot be read: {why}")))?;
            Secret::new(text.trim())
        }
        Err(_) if has_secrets => return Ok(format!("{} has a service token already", path.display())),
        Err(why) => {
            return Err(failed(format!(
                "The one-time token {shown} cannot be read: {why}; request the machine again"
            )));
        }
    };
    if token.is_empty() || !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(failed(format!("The one-time token {shown} is damaged; request the machine again")));
    }
    env.redactor.learn([&token]);
    let url = url.ok_or_else(|| {
        misconfigured("RUNTIME_BOOTSTRAP_URL is not set: set it to the address of the control plane")
    })?;
    if !(url.is_https() || url.is_loopback()) {
        return Err(misconfigured(
            "RUNTIME_BOOTSTRAP_URL is no https address: a secret would pass in clear text",
        ));
    }
    let ssl_cert_file = env.configuration.report.row(table::SSL_CERT_FILE.name);
    let ssl_cert_file = ssl_cert_file.and_then(|row| row.value.as_ref()).map(PathBuf::from);
    let roots =
        Roots::load(ssl_cert_file.as_deref()).map_err(|why| (Exit::Misconfigured, why.to_string()))?;
    let values = match exchange(&url, &token, &roots, BootstrapLimits::default(), &Stop::new()) {
        Ok(values) => values,
        // An earlier run has written the environment and was killed before it removed the token.
        Err(Refusal { is_refused: true, .. }) if has_secrets => Vec::new(),
        Err(refusal) => return Err(failed(refusal.sentence)),
    };
    let written = if values.is_empty() {
        format!("{} has a service token already", path.display())
    } else {
        write(path, &values)?
    };
    fs::remove_file(&token_file)
        .map_err(|why| failed(format!("{shown} cannot be removed: {why}; remove it")))?;
    Ok(written)
}

fn has_service_token(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    mcr_config::EnvFile::parse("", &text).get("SERVICE_TOKEN").is_some_and(|token| !token.is_empty())
}

fn write(path: &Path, values: &[(String, Secret)]) -> Result<String, BootstrapFailure> {
    merge(path, values).map_err(failed)?;
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    Ok(format!("{} has {}", path.display(), names.join(", ")))
}
