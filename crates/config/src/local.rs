//! The addresses that the command `local` reads. It has no account, so it needs no other setting of the table.

use super::address;
use super::table::{DIGITALOCEAN_API_BASE_URL, TELEGRAM_API_BASE_URL};
use super::variable::{Fallback, Variable};
use mcr_model::BaseUrl;

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

/// Tokens go to this address. So an address of another machine must have TLS.
fn address_of(variable: &'static Variable, environment: EnvironmentLookup<'_>) -> Result<BaseUrl, String> {
    let name = variable.name;
    let given = environment(name).filter(|text| !text.trim().is_empty());
    let Fallback::Value(default) = variable.fallback else { unreachable!("{name} has a default") };
    let text = given.as_deref().map_or(default, str::trim);
    // The value is not shown: it may have a password.
    let base = address::url(variable, text).map_err(|why| format!("{name} cannot be used: {why}"))?;
    if base.is_https() || base.is_loopback() {
        return Ok(base);
    }
    Err(format!("{name} cannot be used: tokens are sent there, so it must begin with https://."))
}

#[cfg(test)]
mod tests {
    use super::*;

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
