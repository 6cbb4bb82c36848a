//! The options of `fleet`.

use super::features::Feature;
use super::options::{self as opt, CommandOption, Value};
use super::read;
use super::table::{CommandSpec, Operand, PLAIN, Subcommand};

const AT: &[&CommandOption] = &[&opt::BOARD_URL, &opt::ADMIN_KEY_FILE, &opt::JSON];
const UPGRADE: &[&CommandOption] =
    &[&opt::BOARD_URL, &opt::ADMIN_KEY_FILE, &opt::JSON, &opt::TO_VERSION, &opt::TO_OPENCLAW, &opt::MINUTES];
const PROVISION: &[&CommandOption] = &[
    &opt::BOARD_URL,
    &opt::ADMIN_KEY_FILE,
    &opt::JSON,
    &opt::MACHINE_PROVIDER,
    &opt::MACHINE_REGION,
    &opt::MACHINE_SIZE,
    &opt::MACHINE_IMAGE,
];
const TOKEN: &[&CommandOption] =
    &[&opt::BOARD_URL, &opt::ADMIN_KEY_FILE, &opt::JSON, &opt::MACHINE_TOKEN_FILE];

#[expect(clippy::unnecessary_wraps, reason = "it is a field of the table")]
const fn operand(name: &'static str, required: &'static str) -> Option<Operand> {
    Some(Operand { name, required: Some(required), value: Value::Text })
}

#[expect(clippy::unnecessary_wraps, reason = "it is a field of the table")]
const fn word(name: &'static str, required: &'static str, words: &'static [&'static str]) -> Option<Operand> {
    Some(Operand { name, required: Some(required), value: Value::OneOf(words) })
}

const fn one(
    name: &'static str,
    purpose: &'static str,
    operand: Option<Operand>,
    options: &'static [&'static CommandOption],
) -> Subcommand {
    Subcommand { name, purpose, operand, options }
}

const ACCOUNT: Option<Operand> = operand("ACCOUNT", "an account: its slug or its id");
const ACCOUNTS: Option<Operand> = operand("ACCOUNT", "an account (its slug or its id), or `all`");
const SWITCH: Option<Operand> = word("SWITCH", "a switch, such as fleet_orchestration_enabled", SWITCHES);

/// The switches of an embedded Mission Control.
pub(super) const SWITCHES: &[&str] = &["fleet_orchestration_enabled", "runtime_provisioning_enabled"];
/// The providers that an embedded Mission Control can call.
pub(super) const PROVIDERS: &[&str] = &["digitalocean"];

/// The row of the command.
pub(super) const SPEC: CommandSpec = CommandSpec {
    name: "fleet",
    purpose: "List the accounts of an embedded Mission Control and their runtimes, as `fleet list` does",
    subcommands: &[
        one("list", "List the accounts", None, AT),
        one("show", "Show one account", ACCOUNT, AT),
        one("create", "Create an account with this slug", operand("SLUG", "a slug"), AT),
        one("restart", "Restart a runtime, or all", ACCOUNTS, AT),
        one("upgrade", "Upgrade a runtime, or all in order until one fails", ACCOUNTS, UPGRADE),
        one("rollback", "Take the runtimes of the last upgrade back", None, AT),
        one("stop", "Stop the running upgrade", None, AT),
        one("provision", "Request a machine for an account", ACCOUNT, PROVISION),
        one("cancel", "End a request for a machine", ACCOUNT, AT),
        one("retry", "Try a failed request again", ACCOUNT, AT),
        one("destroy", "Destroy an account's machine", ACCOUNT, AT),
        one("rotate", "Issue a one-time token for new secrets of a machine", ACCOUNT, AT),
        one(
            "token",
            "Store the token of a provider",
            word("PROVIDER", "a provider, such as digitalocean", PROVIDERS),
            TOKEN,
        ),
        one("enable", "Turn a switch on", SWITCH, AT),
        one("disable", "Turn a switch off", SWITCH, AT),
    ],
    options: AT,
    example: "fleet upgrade all --to 1.4.0",
    needs: Some(Feature::MissionControl),
    read: read::fleet,
    ..PLAIN
};
