//! The commands on machines: their rows of the command table, and how they are read.

#[cfg(feature = "provision")]
use std::path::PathBuf;

use super::features::Feature;
use super::options as opt;
use super::read::{Given, env_file};
use super::table::{CommandSpec, PLAIN, Subcommand};
#[cfg(feature = "provision")]
use super::tame;
use super::{Command, Misuse};
use crate::app::Bootstrap;
#[cfg(feature = "provision")]
use crate::app::{FlyCleanup, Provision, ProvisionTask};

/// The clean-up of a Fly app.
pub(super) const FLY_CLEANUP: CommandSpec = CommandSpec {
    name: "fly-cleanup",
    purpose: "Delete the machines and volumes of an app at Fly; without --yes, only show them",
    details: "The token is FLY_API_TOKEN. FLY_CLEANUP_NAME_PREFIX and FLY_CLEANUP_MIN_AGE_S keep what they do not cover. Each \
              machine is cordoned and stopped before it is deleted. The exit code is 1 if something is left.",
    options: &[&opt::ENV_FILE, &opt::APP, &opt::DRY_RUN, &opt::YES, &opt::JSON],
    example: "fly-cleanup --app agents-eu --dry-run",
    needs: Some(Feature::Provision),
    read: fly_cleanup,
    ..PLAIN
};

/// One machine for an account.
pub(super) const PROVISION: CommandSpec = CommandSpec {
    name: "provision",
    purpose: "Bring the machine of an account online at a provider, or go on where an earlier run has stopped",
    details: "The token is DIGITALOCEAN_TOKEN; the variables PROVISION_… describe the machine. It starts without secrets, \
              which --runtime-env brings. The machine costs money until `provision destroy`.",
    subcommands: &[
        Subcommand {
            name: "status",
            purpose: "Show what is known of the machines",
            operand: None,
            options: &[&opt::ENV_FILE, &opt::ACCOUNT, &opt::JSON],
        },
        Subcommand {
            name: "destroy",
            purpose: "Destroy the machine of an account, or one machine",
            operand: None,
            options: &[&opt::ENV_FILE, &opt::PROVIDER, &opt::ACCOUNT, &opt::MACHINE, &opt::JSON],
        },
        Subcommand {
            name: "audit",
            purpose: "List machines that are not known here, and known ones that do not exist; each with the remedy",
            operand: None,
            options: &[&opt::ENV_FILE, &opt::PROVIDER, &opt::JSON],
        },
    ],
    options: &[
        &opt::ENV_FILE,
        &opt::PROVIDER,
        &opt::ACCOUNT,
        &opt::RUNTIME_ENV,
        &opt::HOST_KEY,
        &opt::PLAN,
        &opt::JSON,
    ],
    example: "provision --provider digitalocean --account ACCOUNT --dry-run",
    needs: Some(Feature::Provision),
    read: provision,
    ..PLAIN
};

/// The first start of a machine.
pub(super) const BOOTSTRAP: CommandSpec = CommandSpec {
    name: "bootstrap",
    purpose: "Write the env file of a new machine, from a control plane or from standard input",
    details: "cloud-init runs it once: it exchanges the one-time token in RUNTIME_BOOTSTRAP_TOKEN_FILE for the variables.",
    options: &[&opt::ENV_FILE, &opt::STDIN, &opt::JSON],
    example: "bootstrap --env-file /etc/mission-control-runtime.env",
    read: bootstrap,
    ..PLAIN
};

#[cfg(feature = "provision")]
fn fly_cleanup(given: &mut Given) -> Result<Command, Misuse> {
    let Some(app) = given.text(&opt::APP) else {
        return Err(Misuse(
            "`fly-cleanup` needs --app NAME: the app at Fly whose machines are deleted".to_owned(),
        ));
    };
    let Some(app) = mcr_provision::fly::AppName::parse(&app) else {
        let shown = tame(&app);
        return Err(Misuse(format!("--app `{shown}`: expected lower-case letters, digits and hyphens")));
    };
    let (dry_run, yes) = (given.flag(&opt::DRY_RUN), given.flag(&opt::YES));
    if dry_run && yes {
        return Err(Misuse("--dry-run and --yes exclude each other".to_owned()));
    }
    Ok(Command::FlyCleanup(FlyCleanup { env_file: env_file(given), app, yes, json: given.flag(&opt::JSON) }))
}

#[cfg(feature = "provision")]
fn provision(given: &mut Given) -> Result<Command, Misuse> {
    if let Some(other) = given.text(&opt::PROVIDER).filter(|name| name != "digitalocean") {
        return Err(Misuse(format!("--provider `{}`: expected digitalocean", tame(&other))));
    }
    let account = given.text(&opt::ACCOUNT);
    let needed = |what: &str| {
        account.clone().ok_or_else(|| {
            Misuse(format!("`{what}` needs --account ID: the account that the machine serves"))
        })
    };
    let what = match (given.subcommand, given.text(&opt::MACHINE)) {
        (Some("status"), _) => ProvisionTask::Status(account),
        (Some("audit"), _) => ProvisionTask::Audit,
        (Some("destroy"), Some(id)) if account.is_none() => ProvisionTask::DestroyMachine(id),
        (Some("destroy"), Some(_)) => {
            return Err(Misuse("--account and --machine exclude each other".to_owned()));
        }
        (Some("destroy"), None) => ProvisionTask::Destroy(needed("provision destroy")?),
        _ => ProvisionTask::Create {
            account: needed("provision")?,
            dry_run: given.flag(&opt::PLAN),
            runtime_env: given.value(&opt::RUNTIME_ENV).map(PathBuf::from),
            host_key: given.text(&opt::HOST_KEY),
        },
    };
    Ok(Command::Provision(Provision { env_file: env_file(given), what, json: given.flag(&opt::JSON) }))
}

#[expect(clippy::unnecessary_wraps, reason = "all functions in the command table have one signature")]
fn bootstrap(given: &mut Given) -> Result<Command, Misuse> {
    let (stdin, json) = (given.flag(&opt::STDIN), given.flag(&opt::JSON));
    Ok(Command::Bootstrap(Bootstrap { env_file: env_file(given), stdin, json }))
}

#[cfg(not(feature = "provision"))]
use super::read::{absent as fly_cleanup, absent as provision};
