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
use super::{complain, fail, print};
use crate::telemetry;
use mcr_clients::wire::{Roots, Stop};
use mcr_config::{EnvFile, LogFormat, LogOutput, meant_variable, table};
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
    let progress = |sentence: &str| {
        if !wanted.json {
            complain(&env.redactor.clean(sentence));
        }
    };
    let done = if wanted.stdin { from_stdin(&path) } else { from_control_plane(&path, &env, &progress) };
    match done {
        Ok(line) if wanted.json => {
            print(&format!("{:#}\n", serde_json::json!({"success": true, "message": line})))
        }
        Ok(line) => print(&format!("{line}\n")),
        Err((exit, lines)) => {
            let lines: Vec<String> = lines.iter().map(|line| env.redactor.clean(line)).collect();
            fail(wanted.json, exit, &lines)
        }
    }
}

/// Why there is no environment, in lines.
type BootstrapFailure = (Exit, Vec<String>);

fn failed(line: String) -> BootstrapFailure {
    (Exit::Failed, vec![line])
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
    let lines = mistakes(path, &values);
    if lines.is_empty() { write(path, &values) } else { Err((Exit::Misconfigured, lines)) }
}

/// Names that are probably misspelt, and required variables that neither the values nor the file has. Nothing was written.
fn mistakes(path: &Path, values: &[(String, Secret)]) -> Vec<String> {
    let misspelt = values.iter().filter_map(|(name, _)| {
        let meant = meant_variable(name)?;
        Some(format!("Standard input: {name} is not a known variable; did you mean {meant}?"))
    });
    let mut lines: Vec<String> = misspelt.collect();
    let text = fs::read_to_string(path).unwrap_or_default();
    let file = EnvFile::parse("", &text);
    // A worker of a pool has no account.
    let mut names = values.iter().map(|(name, _)| name.as_str()).chain(file.values().map(|(name, _)| name));
    let is_worker = names.any(|name| name.starts_with("WORKER_") || name == "AGENT_FACTORY_WORKER_ID");
    let required: &[&str] =
        if is_worker { &["CONVEX_URL"] } else { &["ACCOUNT_ID", "CONVEX_URL", "SERVICE_TOKEN"] };
    for name in required {
        let given = values.iter().find(|(given, _)| given == name).map(|(_, value)| value.expose());
        let named_file = format!("{name}_FILE");
        let has_file =
            values.iter().any(|(given, _)| *given == named_file) || file.get(&named_file).is_some();
        if given.or_else(|| file.get(name)).is_none_or(str::is_empty) && !has_file {
            let shown = path.display();
            lines.push(format!("{name} is set neither on standard input nor in {shown}; add it"));
        }
    }
    lines
}

fn from_control_plane(
    path: &Path,
    env: &CommandEnv,
    progress: &dyn Fn(&str),
) -> Result<String, BootstrapFailure> {
    let report = &env.configuration.report;
    let mut lines = report.mistakes_of(&["RUNTIME_BOOTSTRAP_"]);
    let url = match env.configuration.bootstrap.as_ref().map(|settings| settings.url.clone()) {
        Some(Some(url)) if url.is_https() || url.is_loopback() => Some(url),
        Some(Some(_)) => {
            lines.push(
                "RUNTIME_BOOTSTRAP_URL is no https address: a secret would pass in clear text".to_owned(),
            );
            None
        }
        Some(None) => {
            lines.push(
                "RUNTIME_BOOTSTRAP_URL is not set: set it to the address of the control plane".to_owned(),
            );
            None
        }
        None => None,
    };
    let has_secrets = has_service_token(path);
    let file = env.configuration.bootstrap.as_ref().map(|settings| settings.token_file.clone());
    // The token is of no more use, whether it is gone or another user's.
    if has_secrets && file.as_ref().is_some_and(|file| fs::File::open(file).is_err()) {
        return Ok(format!("{} has a service token already", path.display()));
    }
    let token = file.as_deref().map(one_time_token).transpose();
    let (file, url, token) = match (file, url, token) {
        (Some(file), Some(url), Ok(Some(token))) if lines.is_empty() => (file, url, token),
        (_, _, token) => {
            lines.extend(token.err());
            return Err((Exit::Misconfigured, lines));
        }
    };
    env.redactor.learn([&token]);
    let ssl_cert_file = report.row(table::SSL_CERT_FILE.name);
    let ssl_cert_file = ssl_cert_file.and_then(|row| row.value.as_ref()).map(PathBuf::from);
    let roots =
        Roots::load(ssl_cert_file.as_deref()).map_err(|why| (Exit::Misconfigured, vec![why.to_string()]))?;
    let values = match exchange((&url, &token), &roots, BootstrapLimits::default(), &Stop::new(), progress) {
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
    fs::remove_file(&file)
        .map_err(|why| failed(format!("{} cannot be removed: {why}; remove it", file.display())))?;
    Ok(written)
}

/// The one-time token in a file. The error is a sentence.
fn one_time_token(file: &Path) -> Result<Secret, String> {
    let shown = file.display();
    let unreadable = |why: std::io::Error| {
        format!("The one-time token {shown} cannot be read: {why}; request the machine again")
    };
    let mut text = String::new();
    let file = fs::File::open(file).map_err(unreadable)?;
    file.take(INPUT_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    let token = Secret::new(text.trim());
    if token.is_empty() || !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("The one-time token {shown} is damaged; request the machine again"));
    }
    Ok(token)
}

fn has_service_token(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    EnvFile::parse("", &text).get("SERVICE_TOKEN").is_some_and(|token| !token.is_empty())
}

fn write(path: &Path, values: &[(String, Secret)]) -> Result<String, BootstrapFailure> {
    merge(path, values).map_err(failed)?;
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    Ok(format!("{} has {}", path.display(), names.join(", ")))
}
