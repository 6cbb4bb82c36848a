//! The addresses and limits that the command `local` reads. It has no account, so it needs no other setting of the table.

use super::address;
use super::table::{
    DIGITALOCEAN_API_BASE_URL, PROVISION_DESTROY_ON_TIMEOUT, PROVISION_TIMEOUT_S, TELEGRAM_API_BASE_URL,
};
use super::value;
use super::variable::{Fallback, Kind, Variable};
use mcr_model::BaseUrl;
use std::time::Duration;

/// The value of an environment variable, if it is set.
pub type EnvironmentLookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The address of Telegram's Bot API. The error is a sentence.
pub fn telegram_api(environment: EnvironmentLookup<'_>) -> Result<BaseUrl, String> {
    address_of(&TELEGRAM_API_BASE_URL, environment)
}

/// The address of DigitalOcean's API. The error is a sentence.
pub fn digitalocean_api(environment: EnvironmentLookup<'_>) -> Result<BaseUrl, String> {
    address_of(&DIGITALOCEAN_API_BASE_URL, environment)
}

/// How long a machine may take to report, and whether one that does not is destroyed. The error is a sentence.
pub fn provision_limits(environment: EnvironmentLookup<'_>) -> Result<(Duration, bool), String> {
    let Kind::Integer { min, max, .. } = PROVISION_TIMEOUT_S.kind else { unreachable!("it is a number") };
    let parse = |text: &str| value::whole(text, min, max);
    let seconds = value_of(&PROVISION_TIMEOUT_S, environment, parse)?;
    if seconds.clamped {
        let name = PROVISION_TIMEOUT_S.name;
        return Err(format!(
            "{name} cannot be used: expected a whole number from {min} to {max}, digits only."
        ));
    }
    let destroys = value_of(&PROVISION_DESTROY_ON_TIMEOUT, environment, value::boolean)?;
    Ok((Duration::from_secs(seconds.used), destroys))
}

/// The value of a variable with a default.
fn value_of<T>(
    variable: &'static Variable,
    environment: EnvironmentLookup<'_>,
    parse: impl Fn(&str) -> Result<T, value::Problem>,
) -> Result<T, String> {
    let name = variable.name;
    let given = environment(name).filter(|text| !text.trim().is_empty());
    let Fallback::Value(default) = variable.fallback else { unreachable!("{name} has a default") };
    let text = given.as_deref().map_or(default, str::trim);
    parse(text).map_err(|why| format!("{name} cannot be used: {why}"))
}

/// Tokens go to this address. So an address of another machine must have TLS.
fn address_of(variable: &'static Variable, environment: EnvironmentLookup<'_>) -> Result<BaseUrl, String> {
    let name = variable.name;
    // The value is not shown: it may have a password.
    let base = value_of(variable, environment, |text| address::url(variable, text))?;
    if base.is_https() || base.is_loopback() {
        return Ok(base);
    }
    Err(format!("{name} cannot be used: tokens are sent there, so it must begin with https://."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_gets_the_time_of_the_environment() {
        let rows = [
            ("", "", Ok((900, false))),
            ("60", "true", Ok((60, true))),
            ("7200", "no", Ok((7_200, false))),
            ("soon", "", Err("PROVISION_TIMEOUT_S cannot be used: ")),
            ("0", "", Err("PROVISION_TIMEOUT_S cannot be used: expected a whole number from 1 to 7200")),
            ("7201", "", Err("PROVISION_TIMEOUT_S cannot be used: ")),
            ("60", "perhaps", Err("PROVISION_DESTROY_ON_TIMEOUT cannot be used: ")),
        ];
        for (seconds, destroys, expected) in rows {
            let found = provision_limits(&|name| {
                Some(if name == "PROVISION_TIMEOUT_S" { seconds } else { destroys }.to_owned())
            });
            match expected {
                Ok((seconds, destroys)) => assert_eq!(found, Ok((Duration::from_secs(seconds), destroys))),
                Err(words) => assert!(found.unwrap_err().starts_with(words), "{words}"),
            }
        }
    }

    #[test]
    fn an_address_is_the_given_one_or_the_public_one() {
        let rows = [
            (None, Ok("https://api.telegram.org"), Ok("https://api.digitalocean.com")),
            (Some(" "), Ok("https://api.telegram.org"), Ok("https://api.digitalocean.com")),
            (Some("http://127.0.0.1:8081 "), Ok("http://127.0.0.1:8081"), Ok("http://127.0.0.1:8081")),
            (
                Some("https://bots.example.com/"),
                Ok("https://bots.example.com"),
                Ok("https://bots.example.com"),
            ),
            (
                Some("http://bots.example.com"),
                Err("must begin with https://"),
                Err("must begin with https://"),
            ),
            (Some("bots"), Err("Expected a valid URL"), Err("Expected a valid URL")),
        ];
        for (given, telegram, digitalocean) in rows {
            let read = |name: &str, wanted: &str| given.filter(|_| name == wanted).map(str::to_owned);
            let both = [
                (telegram_api(&|name| read(name, "TELEGRAM_API_BASE_URL")), telegram),
                (digitalocean_api(&|name| read(name, "DIGITALOCEAN_API_BASE_URL")), digitalocean),
            ];
            for (read, expected) in both {
                match expected {
                    Ok(url) => assert_eq!(read.unwrap().as_str().trim_end_matches('/'), url),
                    Err(part) => assert!(read.as_ref().unwrap_err().contains(part), "{given:?}: {read:?}"),
                }
            }
        }
    }
}
