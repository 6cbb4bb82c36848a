//! `provision`: one machine for an account at a provider, without a control plane. The machine boots without secrets; this
//! program then brings them with the system's `ssh`.

mod host_key;
mod plan;
mod ssh;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use log::LevelFilter;

use self::ssh::SshReport;
use super::command_env::CommandEnv;
use super::exit::Exit;
use super::{complain, fail, print};
use crate::telemetry;
use mcr_clients::wire::{Roots, Stop};
use mcr_config::{EnvFile, LogFormat, LogOutput, ProvisionSettings, meant_variable, table};
use mcr_model::secret::Secret;
use mcr_provision::cloud_init::{MachineContents, user_data};
use mcr_provision::digitalocean::{DigitalOcean, DigitalOceanLimits};
use mcr_provision::request::{
    EntryBook as _, EntryState, FolderBook, MachineEntry, OnTimeout, Provisioner, StepFailure, WantedMachine,
    audit,
};
use mcr_provision::{Machine, Naming, Provider as _, SystemPace};

/// The largest env file that is copied.
const ENV_BYTES_MAX: u64 = 256 * 1024;

/// The options of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provision {
    /// `--env-file`.
    pub env_file: Option<PathBuf>,
    /// What to do.
    pub what: ProvisionTask,
    /// `--json`.
    pub json: bool,
}

/// What the command does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProvisionTask {
    /// Brings the machine of an account online.
    Create {
        /// `--account`.
        account: String,
        /// `--dry-run`.
        dry_run: bool,
        /// `--runtime-env`: the variables to copy.
        runtime_env: Option<PathBuf>,
        /// `--host-key`.
        host_key: Option<String>,
    },
    /// Shows what is known of the machines, of all accounts or of one.
    Status(Option<String>),
    /// Destroys the machine of an account.
    Destroy(String),
    /// Destroys one machine, which must bear the tag.
    DestroyMachine(String),
    /// Compares what is known with what the provider has.
    Audit,
}

/// A variable that a task needs, and what it must be set to.
type Needed = (&'static str, &'static str);

const TOKEN: Needed = (
    "DIGITALOCEAN_TOKEN",
    "a token with the scopes in docs/provisioning-digitalocean.md, or DIGITALOCEAN_TOKEN_FILE to a file with it",
);
const RELEASE_URL: Needed = ("PROVISION_RELEASE_URL", "the https address of the release's archive");
const RELEASE_SHA256: Needed = ("PROVISION_RELEASE_SHA256", "the checksum from the release page");

fn not_set((name, what): &Needed) -> String {
    format!("{name} is not set. Set it to {what}.")
}

/// Why the command fails, in lines.
type ProvisionFailure = (Exit, Vec<String>);

fn misconfigured(line: impl Into<String>) -> ProvisionFailure {
    (Exit::Misconfigured, vec![line.into()])
}

fn failed(line: impl Into<String>) -> ProvisionFailure {
    (Exit::Failed, vec![line.into()])
}

/// Runs the command.
pub fn provision(wanted: &Provision) -> Exit {
    let env = CommandEnv::load(wanted.env_file.as_deref());
    // Failures are part of the command's answer, so the log stays quiet.
    telemetry::start(LevelFilter::Off, LogFormat::Text, LogOutput::Stderr, env.redactor.clone());
    match run(wanted, &env) {
        Ok(shown) => print(&shown),
        Err((exit, lines)) => {
            let lines: Vec<String> = lines.iter().map(|line| env.redactor.clean(line)).collect();
            fail(wanted.json, exit, &lines)
        }
    }
}

fn run(wanted: &Provision, env: &CommandEnv) -> Result<String, ProvisionFailure> {
    let settings = check(&wanted.what, env)?;
    let naming = naming(&settings)?;
    let book = open(&settings)?;
    let clean = |shown: &str| env.redactor.clean(shown);
    let connect = || provider(&settings, &naming, env, progress(wanted, env));
    let pace = SystemPace::new(&Stop::new(), |_| {});
    match &wanted.what {
        ProvisionTask::Create { account, dry_run, runtime_env, host_key } => {
            let machine = machine(&settings, account)?;
            let variables = runtime_env.as_deref().map(|path| variables(path, account, env)).transpose()?;
            let shows = progress(wanted, env);
            let provider = connect()?;
            let provisioner = Provisioner { provider: &provider, book: &book, naming: &naming, pace: &pace };
            let entry = provisioner.next_entry(&machine).map_err(|error| failed(error.to_string()))?;
            let quote = match entry.state {
                EntryState::Requested => Some(
                    provider
                        .check(&plan::new_machine(&entry, &machine))
                        .map_err(|error| failed(format!("Step check: {error}. Nothing was created.")))?,
                ),
                _ => None,
            };
            let planned =
                plan::Plan { entry: &entry, quote, machine: &machine, naming: &naming, settings: &settings };
            if *dry_run {
                // It holds no secret, and its shell lines look like some.
                return Ok(planned.shown(wanted.json));
            }
            if !wanted.json {
                complain(clean(&planned.steps()).trim_end());
            }
            let report = SshReport {
                folder: book.folder(),
                stop: &Stop::new(),
                timeout: settings.timeout,
                host_key: host_key.clone(),
                variables,
                redactor: env.redactor.clone(),
                last_reason: RefCell::default(),
                progress: &shows,
            };
            let on_timeout = if settings.destroy_on_timeout { OnTimeout::Destroy } else { OnTimeout::Keep };
            let online = provisioner.provision(&machine, &report, on_timeout).map_err(of_step)?;
            Ok(clean(&plan::online(&online, wanted.json)))
        }
        ProvisionTask::Status(account) => {
            let entries = book.entries().map_err(|error| failed(error.to_string()))?;
            let of = |entry: &&MachineEntry| account.as_ref().is_none_or(|account| entry.account == *account);
            let entries: Vec<&MachineEntry> = entries.iter().filter(of).collect();
            Ok(clean(&plan::status(&entries, wanted.json)))
        }
        ProvisionTask::Destroy(account) => {
            let provider = connect()?;
            let provisioner = Provisioner { provider: &provider, book: &book, naming: &naming, pace: &pace };
            let gone = provisioner.destroy(account).map_err(of_step)?;
            Ok(clean(&plan::destroyed(&gone, wanted.json)))
        }
        ProvisionTask::DestroyMachine(id) => {
            let machine = Machine { id: id.clone(), ..Machine::default() };
            connect()?.destroy(&machine).map_err(|error| failed(format!("{error}.")))?;
            Ok(clean(&plan::destroyed(std::slice::from_ref(id), wanted.json)))
        }
        ProvisionTask::Audit => {
            let machines = connect()?.list().map_err(|error| failed(format!("{error}.")))?;
            let entries = book.entries().map_err(|error| failed(error.to_string()))?;
            Ok(clean(&plan::audited(&audit(&entries, &machines), wanted.json)))
        }
    }
}

/// The settings, or every mistake that the task would meet one after the other.
fn check(task: &ProvisionTask, env: &CommandEnv) -> Result<ProvisionSettings, ProvisionFailure> {
    let report = &env.configuration.report;
    let settings = env.configuration.provision.as_ref();
    let mut lines =
        if settings.is_none() { report.mistakes_of(&["PROVISION_", "DIGITALOCEAN_"]) } else { Vec::new() };
    let needed: &[Needed] = match task {
        ProvisionTask::Create { .. } => &[TOKEN, RELEASE_URL, RELEASE_SHA256],
        ProvisionTask::Status(_) => &[],
        ProvisionTask::Destroy(_) | ProvisionTask::DestroyMachine(_) | ProvisionTask::Audit => &[TOKEN],
    };
    lines.extend(needed.iter().filter(|(name, _)| report.is_missing(name)).map(not_set));
    let mut exit = if lines.is_empty() { Exit::Failed } else { Exit::Misconfigured };
    let mut note = |failure: Option<ProvisionFailure>| {
        if let Some((why, found)) = failure {
            if why == Exit::Misconfigured {
                exit = why;
            }
            lines.extend(found.into_iter().filter(|line| !lines.contains(line)).collect::<Vec<_>>());
        }
    };
    note(settings.and_then(|settings| naming(settings).err()));
    if let ProvisionTask::Create { account, runtime_env, .. } = task {
        note(settings.and_then(|settings| machine(settings, account).err()));
        note(runtime_env.as_deref().and_then(|path| variables(path, account, env).err()));
    }
    match settings {
        Some(settings) if lines.is_empty() => Ok(settings.clone()),
        _ => Err((exit, lines)),
    }
}

fn naming(settings: &ProvisionSettings) -> Result<Naming, ProvisionFailure> {
    Naming::parse(&settings.tag).ok_or_else(|| {
        misconfigured("PROVISION_TAG cannot be used: expected at most 40 lower-case letters, digits and hyphens, with a letter first.")
    })
}

fn of_step(failure: StepFailure) -> ProvisionFailure {
    let mut lines = vec![format!("{failure}.")];
    match failure.left {
        Some(left) => lines.push(format!("What is left: {left}.")),
        None => lines.push("Nothing is left that costs money.".to_owned()),
    }
    (Exit::Failed, lines)
}

fn open(settings: &ProvisionSettings) -> Result<FolderBook, ProvisionFailure> {
    FolderBook::open(&settings.state_dir).map_err(|error| failed(error.to_string()))
}

/// Says what the command waits for. A program that reads JSON gets nothing.
fn progress(wanted: &Provision, env: &CommandEnv) -> impl Fn(&str) + Send + Sync + use<> {
    let (is_silent, redactor) = (wanted.json, env.redactor.clone());
    move |sentence| {
        if !is_silent {
            complain(&redactor.clean(sentence));
        }
    }
}

fn provider(
    settings: &ProvisionSettings,
    naming: &Naming,
    env: &CommandEnv,
    progress: impl Fn(&str) + Send + Sync + 'static,
) -> Result<DigitalOcean, ProvisionFailure> {
    let token = settings.token.as_ref().ok_or_else(|| misconfigured(not_set(&TOKEN)))?;
    let ssl_cert_file = env.configuration.report.row(table::SSL_CERT_FILE.name);
    let ssl_cert_file = ssl_cert_file.and_then(|row| row.value.as_ref()).map(PathBuf::from);
    let roots = Roots::load(ssl_cert_file.as_deref()).map_err(|why| misconfigured(why.to_string()))?;
    let named = (naming.clone(), settings.ssh_keys.clone());
    let limits = DigitalOceanLimits::default();
    Ok(DigitalOcean::new(
        settings.base.clone(),
        token,
        named,
        &roots,
        limits,
        SystemPace::new(&Stop::new(), progress),
    ))
}

/// The machine that the settings describe.
fn machine(settings: &ProvisionSettings, account: &str) -> Result<WantedMachine, ProvisionFailure> {
    let needed =
        |value: &Option<String>, needed: &Needed| value.clone().ok_or_else(|| misconfigured(not_set(needed)));
    let contents = MachineContents {
        release_url: needed(&settings.release_url, &RELEASE_URL)?,
        release_sha256: needed(&settings.release_sha256, &RELEASE_SHA256)?,
        openclaw_version: settings.openclaw_version.clone(),
        node_version: settings.node_version.clone(),
        agents: settings.agents.clone(),
        account: account.to_owned(),
        convex_url: None,
        bootstrap: None,
    };
    let user_data = user_data(&contents).map_err(|why| misconfigured(format!("{why}.")))?;
    Ok(WantedMachine {
        account: account.to_owned(),
        region: settings.region.clone(),
        size: settings.size.clone(),
        image: settings.image.clone(),
        user_data,
    })
}

/// The variables for the machine's env file. What the machine makes or knows itself stays as it is there.
fn variables(path: &Path, account: &str, env: &CommandEnv) -> Result<Secret, ProvisionFailure> {
    let shown = path.display();
    let size =
        std::fs::metadata(path).map_err(|why| failed(format!("{shown} cannot be read: {why}.")))?.len();
    if size > ENV_BYTES_MAX {
        return Err(failed(format!("{shown} has more than {ENV_BYTES_MAX} bytes; it is no env file.")));
    }
    let text =
        std::fs::read_to_string(path).map_err(|why| failed(format!("{shown} cannot be read: {why}.")))?;
    let file = EnvFile::parse(&shown.to_string(), &text);
    if let Some(found) = file.first_error() {
        return Err(misconfigured(found));
    }
    let mut lines = Vec::new();
    for needed in ["SERVICE_TOKEN", "CONVEX_URL"] {
        if file.get(needed).is_none_or(str::is_empty) {
            lines.push(format!("{shown} has no {needed}; the machine could not report without it."));
        }
    }
    // The machine would refuse these lines when it already costs money.
    let misspelt = file.values().filter_map(|(name, _)| Some((name, meant_variable(name)?)));
    lines.extend(
        misspelt
            .map(|(name, meant)| format!("{shown}: {name} is not a known variable; did you mean {meant}?")),
    );
    if file.get("ACCOUNT_ID").is_some_and(|own| own != account) {
        lines.push(format!("{shown} is for another account than {account}."));
    }
    if !lines.is_empty() {
        return Err((Exit::Misconfigured, lines));
    }
    let is_secret =
        |name: &str| ["TOKEN", "KEY", "PASSWORD", "SECRET"].iter().any(|word| name.contains(word));
    let secrets = file.values().filter(|(name, value)| is_secret(name) && !value.is_empty());
    let secrets: Vec<Secret> = secrets.map(|(_, value)| Secret::new(value)).collect();
    env.redactor.learn(&secrets);
    let is_the_machines_own = |line: &str| {
        let name =
            line.trim_start().trim_start_matches("export ").split('=').next().unwrap_or_default().trim();
        ["OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_URL", "STATE_DIR"].contains(&name)
    };
    let kept: Vec<&str> = text.lines().filter(|line| !is_the_machines_own(line)).collect();
    Ok(Secret::new(kept.join("\n") + &format!("\nACCOUNT_ID={account}\n")))
}
