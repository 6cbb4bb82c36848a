//! The settings of a gateway that the runtime runs itself.

use super::reader::Reader;
use super::settings::Gateway;
use super::table::{OPENCLAW_COMMAND, OPENCLAW_GATEWAY_URL, TABLE};
use super::value;
use super::variable::{ReadBy, Variable};
use mcr_model::ChildCommand;
use mcr_model::secret::Secret;

/// A gateway that the runtime runs itself.
#[derive(Clone, Debug)]
pub struct GatewayChildSettings {
    /// The command, which no shell reads.
    pub command: ChildCommand,
    /// The variables for the gateway that the runtime's configuration has, from the environment or from the env file.
    pub variables: Vec<(&'static str, Secret)>,
}

/// Reads the settings. `None` if another program runs the gateway.
pub(super) fn read(reader: &mut Reader, gateway: &Gateway) -> Option<GatewayChildSettings> {
    let command = reader.parsed(&OPENCLAW_COMMAND, value::command)?;
    match &gateway.url {
        _ if reader.was_refused(&OPENCLAW_GATEWAY_URL) => {}
        Some(url) if url.is_loopback() => {}
        Some(_) => reader.refuse(
            &OPENCLAW_COMMAND,
            "the runtime runs a gateway on its own machine only, and OPENCLAW_GATEWAY_URL names another one. Remove one \
             of the two.",
        ),
        None => reader.refuse(&OPENCLAW_COMMAND, "OPENCLAW_GATEWAY_URL is blank, so there is no gateway."),
    }
    let read_there = TABLE.iter().filter(|variable| variable.read_by != ReadBy::Runtime);
    let value =
        |variable: &&'static Variable| Some((variable.name, Secret::new(reader.found_text(variable)?)));
    Some(GatewayChildSettings { command, variables: read_there.filter_map(value).collect() })
}
