//! The subcommands and options of `local`.

use std::path::PathBuf;

use super::{Given, Misuse, tame, unknown};
use crate::app::{self, Local};
use mcr_mission_control::Options;
use mcr_model::BaseUrl;

/// Parses the rest of a `local` command.
pub(super) fn read(given: &mut Given) -> Result<Local, Misuse> {
    let data = text(given, "--data", app::DATA);
    let Some(verb) = given.words.pop_front() else {
        let options = Options { original: given.flag("--original"), redact: given.flag("--redact") };
        let seed = given.value("--seed").map(|seed| seed.to_string_lossy().into_owned());
        let listen = text(given, "--listen", app::LISTEN);
        if !listen
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        {
            let listen = tame(&listen);
            return Err(Misuse(format!("--listen `{listen}`: expected HOST:PORT, such as {}", app::LISTEN)));
        }
        let notify = given.value("--notify").map(|url| {
            let url = url.to_string_lossy();
            let expected = "expected an address such as http://127.0.0.1:3001";
            BaseUrl::parse(&url).map_err(|_| Misuse(format!("--notify `{}`: {expected}", tame(&url))))
        });
        let hosts = given.value("--hosts").map(|hosts| hosts.to_string_lossy().into_owned());
        return Ok(Local::Serve { listen, hosts, data, seed, options, notify: notify.transpose()? });
    };
    if verb == "rotate-key" {
        return Ok(Local::RotateKey { data });
    }
    if !["export", "import"].contains(&verb.as_str()) {
        return Err(unknown("command `local` with", &verb, &["export", "import", "rotate-key"]));
    }
    let file = given.words.pop_front().map(PathBuf::from);
    let file = file.ok_or_else(|| Misuse(format!("`local {verb}` needs a file")))?;
    Ok(if verb == "export" { Local::Export { data, file } } else { Local::Import { data, file } })
}

fn text(given: &mut Given, option: &str, default: &str) -> String {
    given.value(option).map_or_else(|| default.to_owned(), |value| value.to_string_lossy().into_owned())
}
