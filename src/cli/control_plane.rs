//! Reads the options of `fleet`, and those of `local` that make it a control plane.

use std::net::IpAddr;
use std::path::PathBuf;

use mcr_core::upgrade::is_release;
use mcr_mission_control::PoolTimes;
use mcr_model::BaseUrl;

use super::fleet::{PROVIDERS, SWITCHES};
use super::options::{self as opt, CommandOption};
use super::read::Given;
use super::{Command, Misuse, tame};
use crate::app::{self, ControlPlaneOptions, Fleet, FleetRequest, MachineRelease};

/// The shortest lease, in seconds. A worker renews a lease four times in its length, and a renewal may take a second.
const LEASE_MIN: u32 = 10;

/// The shortest silence, in seconds: twice the longest time between two heartbeats of a worker.
const STALE_MIN: u32 = 60;

/// The longest lease and silence, in seconds: a day.
const POOL_TIME_MAX: u32 = 86_400;

/// The parts of a list that is separated by commas.
fn list(given: &Given, option: &CommandOption) -> Vec<String> {
    let text = given.text(option).unwrap_or_default();
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect()
}

/// The options of `local`.
pub(super) fn read(given: &Given, public_url: Option<BaseUrl>) -> Result<ControlPlaneOptions, Misuse> {
    let proxies = list(given, &opt::TRUST_PROXY).into_iter().map(|address| {
        address.parse::<IpAddr>().map_err(|_| {
            let shown = tame(&address);
            Misuse(format!("--trust-proxy `{shown}`: expected IP addresses such as 127.0.0.1"))
        })
    });
    let release = given.text(&opt::MACHINE_RELEASE).map(|text| {
        let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let parts = text
            .split_once("#sha256=")
            .filter(|(url, sha256)| url.starts_with("https://") && is_digest(sha256));
        parts
            .map(|(url, sha256)| MachineRelease { url: url.to_owned(), sha256: sha256.to_owned() })
            .ok_or_else(|| {
                let shown = tame(&text);
                Misuse(format!("--release `{shown}`: expected https://…#sha256= and 64 hexadecimal digits"))
            })
    });
    Ok(ControlPlaneOptions {
        public_url,
        proxies: proxies.collect::<Result<_, _>>()?,
        release: release.transpose()?,
        ssh_keys: list(given, &opt::SSH_KEYS),
        destroys_silent: given.flag(&opt::DESTROY_SILENT),
        pool_times: pool_times(given)?,
    })
}

/// The times of the pool's queue. Those without an option are the original's.
fn pool_times(given: &Given) -> Result<PoolTimes, Misuse> {
    let originals = PoolTimes::default();
    let millis = |option: &CommandOption, least: u32, original: u32| {
        let seconds = given.number(option, u64::from(least)..=u64::from(POOL_TIME_MAX))?;
        let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
        Ok::<_, Misuse>(seconds.map_or(original, |seconds| seconds * 1_000))
    };
    Ok(PoolTimes {
        lease: millis(&opt::POOL_LEASE, LEASE_MIN, originals.lease)?,
        stale: millis(&opt::POOL_STALE, STALE_MIN, originals.stale)?,
        ..originals
    })
}

/// Builds `fleet`.
pub(super) fn fleet(given: &mut Given, url: Option<BaseUrl>) -> Result<Command, Misuse> {
    let operand = given.operand.take().unwrap_or_default();
    let needed = |option: &CommandOption| {
        let subcommand = given.subcommand.unwrap_or_default();
        let value = given.text(option);
        value.ok_or_else(|| Misuse(format!("`fleet {subcommand}` needs --{}", option.name)))
    };
    let what = match given.subcommand {
        Some("show") => FleetRequest::Show(operand),
        Some("create") => FleetRequest::Create(operand),
        Some("restart") => FleetRequest::Restart(operand),
        Some("upgrade") => FleetRequest::Upgrade {
            account: operand,
            to: version(needed(&opt::TO_VERSION)?)?,
            openclaw: given.text(&opt::TO_OPENCLAW).map(version).transpose()?,
            minutes: given.text(&opt::MINUTES).map(|text| minutes(&text)).transpose()?,
        },
        Some("rollback") => FleetRequest::RollBack,
        Some("stop") => FleetRequest::Stop,
        Some("provision") => FleetRequest::Provision {
            account: operand,
            machine: [
                one_of("provider", needed(&opt::MACHINE_PROVIDER)?, PROVIDERS)?,
                needed(&opt::MACHINE_REGION)?,
                needed(&opt::MACHINE_SIZE)?,
                needed(&opt::MACHINE_IMAGE)?,
            ],
        },
        Some("cancel") => FleetRequest::Press("provisioning:cancel", operand),
        Some("retry") => FleetRequest::Press("provisioning:retry", operand),
        Some("destroy") => FleetRequest::Press("provisioning:destroy", operand),
        Some("rotate") => FleetRequest::Press("provisioning:rotateToken", operand),
        Some("token") => FleetRequest::Token {
            provider: one_of("provider", operand, PROVIDERS)?,
            file: PathBuf::from(needed(&opt::MACHINE_TOKEN_FILE)?),
        },
        Some(turn @ ("enable" | "disable")) => {
            FleetRequest::Switch { key: one_of("switch", operand, SWITCHES)?, on: turn == "enable" }
        }
        _ => FleetRequest::List,
    };
    let url = match url {
        Some(url) => url,
        None => BaseUrl::parse(&format!("http://{}", app::LISTEN))
            .map_err(|why| Misuse(why.explain().to_owned()))?,
    };
    let key_file = given.value(&opt::ADMIN_KEY_FILE).map(PathBuf::from);
    let admin_key_file = key_file.unwrap_or_else(|| PathBuf::from(app::DATA).join("admin-key"));
    Ok(Command::Fleet(Fleet { url, admin_key_file, what, json: given.flag(&opt::JSON) }))
}

/// One of these words.
fn one_of(what: &str, given: String, words: &[&str]) -> Result<String, Misuse> {
    if words.contains(&given.as_str()) {
        return Ok(given);
    }
    Err(Misuse(format!("there is no {what} `{}`: expected {}", tame(&given), words.join(" or "))))
}

/// A version of a runtime or of a gateway.
fn version(text: String) -> Result<String, Misuse> {
    if is_release(&text) {
        return Ok(text);
    }
    Err(Misuse(format!("`{}` is no version: expected a release such as 1.4.0", tame(&text))))
}

fn minutes(text: &str) -> Result<u32, Misuse> {
    let minutes = text.parse().ok().filter(|minutes| (1..=240).contains(minutes));
    minutes.ok_or_else(|| Misuse(format!("--minutes `{}`: expected a number from 1 to 240", tame(text))))
}
