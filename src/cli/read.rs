//! Builds a [`Command`] from checked arguments: one function per command.

#![expect(clippy::unnecessary_wraps, reason = "all functions in the command table have one signature")]

use std::ffi::OsString;
use std::path::PathBuf;

#[cfg(feature = "mission-control")]
use mcr_mission_control::Options;
#[cfg(feature = "mission-control")]
use mcr_model::BaseUrl;
#[cfg(feature = "mission-control")]
use mcr_model::redact::without_credentials;

use super::completions::Shell;
use super::options::{self as opt, CommandOption};
use super::{Command, Misuse, no_command, tame};
#[cfg(feature = "mission-control")]
use crate::app;
#[cfg(feature = "mission-control")]
use crate::app::Local;
use crate::app::{
    BudgetRequest, ConfigurationOptions, Dead, GatewayConfig, Pause, ServiceLocation, Skills,
    SnapshotCommand, SnapshotWanted,
};
use mcr_core::spans;
use mcr_model::spending::Limits;

/// The arguments and options of a command line. [`super::parse`] has checked them against the command table.
pub(super) struct Given {
    /// The name of the command.
    pub(super) command: String,
    pub(super) subcommand: Option<&'static str>,
    pub(super) operand: Option<String>,
    pub(super) values: Vec<(&'static str, OsString)>,
    pub(super) flags: Vec<&'static str>,
}

impl Given {
    /// The value of an option. The last one wins.
    pub(super) fn value(&self, option: &CommandOption) -> Option<OsString> {
        self.values.iter().rfind(|(name, _)| *name == option.name).map(|(_, value)| value.clone())
    }

    pub(super) fn text(&self, option: &CommandOption) -> Option<String> {
        self.value(option).map(|value| value.to_string_lossy().into_owned())
    }

    pub(super) fn flag(&self, option: &CommandOption) -> bool {
        self.flags.contains(&option.name)
    }

    /// Whether the option was given, with or without a value.
    #[cfg(feature = "demo")]
    pub(super) fn has(&self, option: &CommandOption) -> bool {
        self.flag(option) || self.value(option).is_some()
    }

    /// The value of an option that is a number in a range.
    #[cfg(any(feature = "demo", feature = "mission-control"))]
    pub(super) fn number(
        &self,
        option: &CommandOption,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<Option<u64>, Misuse> {
        let Some(value) = self.text(option) else { return Ok(None) };
        match value.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let (name, shown) = (option.name, tame(&value));
                let (least, most) = (range.start(), range.end());
                Err(Misuse(format!("--{name} `{shown}`: expected a number from {least} to {most}")))
            }
        }
    }

    /// The value of an option that is a port.
    #[cfg(feature = "demo")]
    pub(super) fn port(&self, option: &CommandOption) -> Result<Option<u16>, Misuse> {
        let port = self.number(option, 0..=u64::from(u16::MAX))?;
        Ok(port.and_then(|port| u16::try_from(port).ok()))
    }

    /// The argument. The table says that it is required, so it is there.
    fn operand(&mut self) -> String {
        self.operand.take().unwrap_or_default()
    }
}

pub(super) fn worker(given: &mut Given) -> Result<Command, Misuse> {
    Ok(Command::Worker { env_file: env_file(given), stop_on_eof: given.flag(&opt::STOP_ON_EOF) })
}

pub(super) fn run(given: &mut Given) -> Result<Command, Misuse> {
    Ok(Command::Run { env_file: env_file(given), stop_on_eof: given.flag(&opt::STOP_ON_EOF) })
}

pub(super) fn doctor(given: &mut Given) -> Result<Command, Misuse> {
    Ok(Command::Doctor {
        env_file: env_file(given),
        all: given.flag(&opt::ALL),
        json: given.flag(&opt::JSON),
        live: given.flag(&opt::LIVE),
        configuration: ConfigurationOptions {
            config: given.value(&opt::CONFIG).map(PathBuf::from),
            patch: given.value(&opt::PATCH).map(PathBuf::from),
        },
    })
}

pub(super) fn status(given: &mut Given) -> Result<Command, Misuse> {
    let (json, ready) = (given.flag(&opt::JSON), given.flag(&opt::READY));
    Ok(Command::Status { at: location(given), json, ready })
}

pub(super) fn why(given: &mut Given) -> Result<Command, Misuse> {
    let id = given.operand();
    Ok(Command::Why { at: location(given), id, json: given.flag(&opt::JSON) })
}

pub(super) fn evidence(given: &mut Given) -> Result<Command, Misuse> {
    let since = given.text(&opt::SINCE).unwrap_or_else(|| "7d".to_owned());
    let since = spans::parse(&since).ok_or_else(|| {
        Misuse(format!("--since needs a time such as 30m, 12h or 7d, not “{}”", tame(&since)))
    })?;
    Ok(Command::Evidence { at: location(given), since, json: given.flag(&opt::JSON) })
}

pub(super) fn dead(given: &mut Given) -> Result<Command, Misuse> {
    let id = given.operand();
    let what = match given.subcommand {
        Some("show") => Dead::Show(id),
        Some("retry") => Dead::Retry(id),
        Some("drop") => Dead::Drop(id),
        _ => Dead::List,
    };
    Ok(Command::Dead { at: location(given), what, json: given.flag(&opt::JSON) })
}

pub(super) fn pause(given: &mut Given) -> Result<Command, Misuse> {
    turns(given, true)
}

pub(super) fn resume(given: &mut Given) -> Result<Command, Misuse> {
    turns(given, false)
}

fn turns(given: &Given, pause: bool) -> Result<Command, Misuse> {
    Ok(Command::Pause {
        at: location(given),
        wanted: Pause { pause, agent: given.text(&opt::AGENT) },
        json: given.flag(&opt::JSON),
    })
}

pub(super) fn budget(given: &mut Given) -> Result<Command, Misuse> {
    let (amount, agent) = (given.operand(), given.text(&opt::AGENT));
    let what = match given.subcommand {
        Some("raise") => {
            Limits::parse(&amount).map_err(|why| Misuse(format!("`budget raise`: {why}")))?;
            BudgetRequest::Raise(amount, agent)
        }
        Some("reset") => BudgetRequest::Reset(agent),
        _ => BudgetRequest::Show(agent),
    };
    Ok(Command::Budget { at: location(given), what, json: given.flag(&opt::JSON) })
}

pub(super) fn gateway_config(given: &mut Given) -> Result<Command, Misuse> {
    let path = |option: &CommandOption| given.value(option).map(PathBuf::from);
    let required = |option: &CommandOption| {
        path(option).ok_or_else(|| Misuse(format!("`gateway-config` needs --{} FILE", option.name)))
    };
    Ok(Command::GatewayConfig(GatewayConfig {
        template: required(&opt::TEMPLATE)?,
        out: required(&opt::OUT)?,
        existing: path(&opt::EXISTING),
        generated: path(&opt::GENERATED),
        release: given.text(&opt::RELEASE),
        check: given.flag(&opt::CHECK),
    }))
}

#[cfg(feature = "demo")]
pub(super) use super::demo::{pool as demo_pool, read as demo};
#[cfg(feature = "demo")]
pub(super) use super::rehearse::read as rehearse;

#[cfg(feature = "mission-control")]
pub(super) fn local(given: &mut Given) -> Result<Command, Misuse> {
    let data = given.text(&opt::DATA).unwrap_or_else(|| app::DATA.to_owned());
    let file = PathBuf::from(given.operand());
    Ok(Command::Local(match given.subcommand {
        Some("export") => Local::Export { data, file },
        Some("import") => Local::Import { data, file },
        Some("rotate-key") => Local::RotateKey { data },
        Some("status") => Local::Status { listen: listen(given)? },
        _ => serve(given, data)?,
    }))
}

#[cfg(feature = "mission-control")]
fn board_url(given: &Given, option: &CommandOption) -> Result<Option<BaseUrl>, Misuse> {
    let parse = |url: String| {
        BaseUrl::parse(&url).map_err(|why| {
            let (name, why) = (option.name, why.explain());
            let shown = tame(&without_credentials(&url));
            Misuse(format!("--{name} `{shown}`: {why}; expected an address such as http://127.0.0.1:3001"))
        })
    };
    given.text(option).map(parse).transpose()
}

#[cfg(feature = "mission-control")]
fn serve(given: &Given, data: String) -> Result<Local, Misuse> {
    let options = Options { original: given.flag(&opt::ORIGINAL), redact: given.flag(&opt::REDACT) };
    let listen = listen(given)?;
    let address = |option: &'static CommandOption| board_url(given, option);
    let (hosts, env_out) = (given.text(&opt::HOSTS), given.value(&opt::ENV_OUT).map(Into::into));
    Ok(Local::Serve {
        listen,
        hosts,
        data,
        seed: given.text(&opt::SEED),
        options,
        notify: address(&opt::NOTIFY)?,
        runtime_page: address(&opt::RUNTIME_PAGE)?,
        env_out,
        control_plane: Box::new(super::control_plane::read(given, board_url(given, &opt::PUBLIC_URL)?)?),
    })
}

#[cfg(feature = "mission-control")]
pub(super) fn fleet(given: &mut Given) -> Result<Command, Misuse> {
    let url = board_url(given, &opt::BOARD_URL)?;
    super::control_plane::fleet(given, url)
}

#[cfg(feature = "mission-control")]
fn listen(given: &Given) -> Result<String, Misuse> {
    let listen = given.text(&opt::LISTEN).unwrap_or_else(|| app::LISTEN.to_owned());
    if !listen.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) {
        let listen = tame(&listen);
        return Err(Misuse(format!("--listen `{listen}`: expected HOST:PORT, such as {}", app::LISTEN)));
    }
    Ok(listen)
}

pub(super) fn completions(given: &mut Given) -> Result<Command, Misuse> {
    let name = given.operand();
    let shell = Shell::named(&name);
    shell.map(Command::Completions).ok_or_else(|| super::unknown("shell", &name, Shell::NAMES))
}

pub(super) fn version(given: &mut Given) -> Result<Command, Misuse> {
    Ok(Command::Version { json: given.flag(&opt::JSON) })
}

pub(super) fn help(given: &mut Given) -> Result<Command, Misuse> {
    match given.operand.take() {
        Some(word) if !super::is_command(&word) => Err(no_command(&word)),
        of => Ok(Command::Help { of }),
    }
}

/// A command that this build lacks. [`super::parse`] refuses it first.
pub(super) fn absent(given: &mut Given) -> Result<Command, Misuse> {
    Err(no_command(&given.command))
}
pub(super) fn skills(given: &mut Given) -> Result<Command, Misuse> {
    let json = given.flag(&opt::JSON);
    let path: PathBuf = given.operand().into();
    let wanted = match given.subcommand {
        Some("verify") => Skills::Verify(path),
        Some("pack") => {
            let Some(name) = given.text(&opt::SKILL_NAME) else {
                return Err(Misuse("`skills pack` needs --as NAME@VERSION".to_owned()));
            };
            let Some((slug, version)) = name.split_once('@') else {
                let shown = tame(&name);
                return Err(Misuse(format!("--as `{shown}`: expected NAME@VERSION, such as weather@1.2.0")));
            };
            Skills::Pack { folder: path, name: (slug.to_owned(), version.to_owned()) }
        }
        Some("sync") => Skills::Sync(env_file(given)),
        _ => return Err(Misuse("`skills` needs `verify`, `pack` or `sync`".to_owned())),
    };
    Ok(Command::Skills { wanted, json })
}

pub(super) fn snapshot(given: &mut Given) -> Result<Command, Misuse> {
    let wanted = match given.subcommand {
        Some("create") => SnapshotWanted::Create,
        Some("restore") => SnapshotWanted::Restore,
        Some("list") => SnapshotWanted::List,
        _ => return Err(Misuse("`snapshot` needs `create`, `restore` or `list`".to_owned())),
    };
    let (conversation, json) = (given.text(&opt::CONVERSATION), given.flag(&opt::JSON));
    Ok(Command::Snapshot(SnapshotCommand { wanted, env_file: env_file(given), conversation, json }))
}

#[cfg(not(feature = "mission-control"))]
pub(super) use {absent as fleet, absent as local};
#[cfg(not(feature = "demo"))]
pub(super) use {absent as demo, absent as demo_pool, absent as rehearse};

fn location(given: &Given) -> ServiceLocation {
    ServiceLocation { env_file: env_file(given), state_dir: given.value(&opt::STATE_DIR).map(Into::into) }
}

pub(super) fn env_file(given: &Given) -> Option<PathBuf> {
    given.value(&opt::ENV_FILE).map(Into::into)
}
