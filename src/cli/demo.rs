//! The options of `demo`.

use super::options::{self as opt, CommandOption};
use super::{Command, Given, Misuse, tame};
use crate::app::{self, Demo, RealGateway};
use mcr_model::BaseUrl;

/// The default of `--turns`.
const TURNS: u64 = 60;

/// Builds the command.
pub(super) fn read(given: &mut Given) -> Result<Command, Misuse> {
    Ok(Command::Demo(Demo {
        port: port(given, &opt::PORT)?.unwrap_or(app::PORT),
        runtime_port: port(given, &opt::RUNTIME_PORT)?,
        gateway: gateway(given)?,
    }))
}

fn gateway(given: &Given) -> Result<Option<RealGateway>, Misuse> {
    let Some(url) = given.text(&opt::GATEWAY) else {
        let of_gateway = [&opt::TURNS, &opt::GATEWAY_TOKEN_FILE].into_iter();
        return match of_gateway.into_iter().find(|option| given.value(option).is_some()) {
            Some(option) => Err(Misuse(format!("--{} needs --gateway", option.name))),
            None => Ok(None),
        };
    };
    let parsed = BaseUrl::parse(&url).map_err(|_| {
        Misuse(format!("--gateway `{}`: expected an address such as http://127.0.0.1:18789", tame(&url)))
    });
    let turns = number(given, &opt::TURNS, 1..=1_000_000)?.unwrap_or(TURNS);
    let token_file = given.value(&opt::GATEWAY_TOKEN_FILE).map(Into::into);
    Ok(Some(RealGateway { url: parsed?, token_file, turns }))
}

fn port(given: &Given, option: &CommandOption) -> Result<Option<u16>, Misuse> {
    let port = number(given, option, 0..=u64::from(u16::MAX))?;
    Ok(port.and_then(|port| u16::try_from(port).ok()))
}

/// The value of an option that is a number in a range.
fn number(
    given: &Given,
    option: &CommandOption,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, Misuse> {
    let Some(value) = given.text(option) else { return Ok(None) };
    match value.parse() {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => {
            let (least, most) = (range.start(), range.end());
            Err(Misuse(format!(
                "--{} `{}`: expected a number from {least} to {most}",
                option.name,
                tame(&value)
            )))
        }
    }
}
