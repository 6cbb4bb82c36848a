//! The options of `demo`.

use super::{Given, Misuse, tame};
use crate::app::{self, Chaos, Demo, Fault, Play, RealGateway};
use mcr_model::BaseUrl;

/// The default of `--turns`.
const TURNS: u64 = 60;

/// Parses the rest of a `demo` command.
pub(super) fn read(given: &mut Given) -> Result<Demo, Misuse> {
    if given.flag("--chaos") {
        return chaos(given).map(Demo::Chaos);
    }
    Ok(Demo::Play(Play {
        port: port(given, "--port")?.unwrap_or(app::PORT),
        runtime_port: port(given, "--runtime-port")?,
        gateway: gateway(given)?,
    }))
}

fn chaos(given: &mut Given) -> Result<Chaos, Misuse> {
    Ok(Chaos {
        seconds: number(given, "--seconds", 1..=86_400)?.unwrap_or(app::SECONDS),
        seed: number(given, "--seed", 0..=u64::MAX)?,
        fault: fault(given)?,
        json: given.flag("--json"),
    })
}

fn fault(given: &mut Given) -> Result<Option<Fault>, Misuse> {
    let Some(name) = given.value("--fault") else { return Ok(None) };
    let name = name.to_string_lossy();
    let known = Fault::ALL.into_iter().find(|(known, _)| *known == name);
    let names = Fault::ALL.map(|(known, _)| known).join(", ");
    match known {
        Some((_, fault)) => Ok(Some(fault)),
        None => Err(Misuse(format!("--fault `{}`: expected one of {names}", tame(&name)))),
    }
}

fn gateway(given: &mut Given) -> Result<Option<RealGateway>, Misuse> {
    let Some(url) = given.value("--gateway") else { return Ok(None) };
    let url = url.to_string_lossy();
    let parsed = BaseUrl::parse(&url).map_err(|_| {
        Misuse(format!("--gateway `{}`: expected an address such as http://127.0.0.1:18789", tame(&url)))
    });
    let turns = number(given, "--turns", 1..=1_000_000)?.unwrap_or(TURNS);
    let token_file = given.value("--gateway-token-file").map(Into::into);
    Ok(Some(RealGateway { url: parsed?, token_file, turns }))
}

fn port(given: &mut Given, option: &str) -> Result<Option<u16>, Misuse> {
    let port = number(given, option, 0..=u64::from(u16::MAX))?;
    Ok(port.and_then(|port| u16::try_from(port).ok()))
}

/// The value of an option that is a number in a range.
fn number(
    given: &mut Given,
    option: &str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, Misuse> {
    let Some(value) = given.value(option) else { return Ok(None) };
    let value = value.to_string_lossy();
    match value.parse() {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => {
            let (least, most) = (range.start(), range.end());
            Err(Misuse(format!("{option} `{}`: expected a number from {least} to {most}", tame(&value))))
        }
    }
}
