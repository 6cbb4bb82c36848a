//! The options of `demo`.

use super::options::{self as opt, CommandOption};
use super::{Command, Given, Misuse, tame};
use crate::app::{self, Chaos, Demo, DemoPool, Fault, Play, RealGateway};
use mcr_model::BaseUrl;

/// The default of `--turns`.
const TURNS: u64 = 60;

/// The options without a meaning for `--chaos`, and those that need it.
const PLAY_ONLY: [&CommandOption; 5] =
    [&opt::PORT, &opt::RUNTIME_PORT, &opt::GATEWAY, &opt::GATEWAY_TOKEN_FILE, &opt::TURNS];
const CHAOS_ONLY: [&CommandOption; 4] = [&opt::SECONDS, &opt::CHAOS_SEED, &opt::FAULT, &opt::JSON];

/// Builds the command.
pub(super) fn read(given: &mut Given) -> Result<Command, Misuse> {
    let find = |options: &[&'static CommandOption]| options.iter().find(|option| given.has(option)).copied();
    let demo = if given.flag(&opt::CHAOS) {
        if let Some(option) = find(&PLAY_ONLY) {
            return Err(Misuse(format!("--{} and --chaos exclude each other", option.name)));
        }
        Demo::Chaos(chaos(given)?)
    } else {
        if let Some(option) = find(&CHAOS_ONLY) {
            return Err(Misuse(format!("--{} needs --chaos", option.name)));
        }
        let board = given.port(&opt::PORT)?.unwrap_or(app::PORT);
        let runtime_port = given.port(&opt::RUNTIME_PORT)?;
        if board != 0 && runtime_port == Some(board) {
            return Err(Misuse("--port and --runtime-port need different ports".to_owned()));
        }
        Demo::Play(Play { port: board, runtime_port, gateway: gateway(given)? })
    };
    Ok(Command::Demo(demo))
}

/// Builds `demo-pool`.
pub(super) fn pool(given: &mut Given) -> Result<Command, Misuse> {
    let port = given.port(&opt::PORT)?.unwrap_or(app::PORT);
    Ok(Command::DemoPool(DemoPool { port, only_stand_ins: given.flag(&opt::STAND_INS) }))
}

fn chaos(given: &Given) -> Result<Chaos, Misuse> {
    Ok(Chaos {
        seconds: given.number(&opt::SECONDS, 1..=86_400)?.unwrap_or(app::SECONDS),
        seed: given.number(&opt::CHAOS_SEED, 0..=u64::MAX)?,
        fault: given.text(&opt::FAULT).map(|name| fault(&name)).transpose()?,
        json: given.flag(&opt::JSON),
    })
}

fn fault(name: &str) -> Result<Fault, Misuse> {
    let known = Fault::ALL.into_iter().find(|(known, _)| *known == name);
    known.map(|(_, fault)| fault).ok_or_else(|| {
        let names = Fault::ALL.map(|(known, _)| known).join(", ");
        Misuse(format!("--fault `{}`: expected one of {names}", tame(name)))
    })
}

fn gateway(given: &Given) -> Result<Option<RealGateway>, Misuse> {
    let Some(url) = given.text(&opt::GATEWAY) else {
        let of_gateway = [&opt::TURNS, &opt::GATEWAY_TOKEN_FILE].into_iter();
        return match of_gateway.into_iter().find(|option| given.has(option)) {
            Some(option) => Err(Misuse(format!("--{} needs --gateway", option.name))),
            None => Ok(None),
        };
    };
    let url = gateway_address(&url)?;
    let turns = given.number(&opt::TURNS, 1..=1_000_000)?.unwrap_or(TURNS);
    let token_file = given.value(&opt::GATEWAY_TOKEN_FILE).map(Into::into);
    Ok(Some(RealGateway { url, token_file, turns }))
}

/// The address of `--gateway`.
pub(super) fn gateway_address(url: &str) -> Result<BaseUrl, Misuse> {
    BaseUrl::parse(url).map_err(|_| {
        Misuse(format!("--gateway `{}`: expected an address such as http://127.0.0.1:18789", tame(url)))
    })
}
