//! The gateway as a process of the runtime: what it gets from this process.

use std::ffi::OsString;
use std::io;

use log::warn;

use super::shutdown::Shutdown;
use super::threads::ThreadSetup;
use mcr_clients::gateway::HttpGateway;
use mcr_config::{GatewayChildSettings, ReadBy, TABLE};
use mcr_core::gateway::Why;
use mcr_core::gateway_child::ChildLimits;
use mcr_model::secret::Secret;
use mcr_service::delivery::service::View;
use mcr_service::gateway_child::{ChildSetup, GatewayChild, end_leftover};
use mcr_service::gateway_keys::KeyEnvFile;

/// Variables of this process that are not for the gateway: those of systemd for this unit, and keys of Mission Control.
const OURS: [&str; 15] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "MAINPID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "CREDENTIALS_DIRECTORY",
    "RUNTIME_DIRECTORY",
    "STATE_DIRECTORY",
    "CACHE_DIRECTORY",
    "LOGS_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
    "SECRETS_MASTER_KEY_BASE64",
    "ADMIN_KEY",
];

/// The gateway must not install an update, or start a second process, behind the back of its supervisor.
const DEFAULTS: [(&str, &str); 2] = [("OPENCLAW_NO_AUTO_UPDATE", "1"), ("OPENCLAW_NO_RESPAWN", "1")];

/// Starts the supervisor, if the runtime runs the gateway. Otherwise, ends the gateway of an earlier runtime.
pub(super) fn start(setup: &ThreadSetup<'_>, view: View) -> io::Result<Option<GatewayChild>> {
    let settings = setup.settings;
    if let (None, Some(folder)) = (&settings.gateway_child, setup.folder) {
        end_leftover(folder, ChildLimits::default().drain, setup.state.panics.clone())?;
    }
    let (Some(child), Some(gateway), Some(status)) =
        (&settings.gateway_child, &setup.gateway, &setup.state.child)
    else {
        return Ok(None);
    };
    let prober = gateway.client(&setup.switches.chores);
    let base = gateway.base();
    let setup = ChildSetup {
        command: child.command.clone(),
        environment: environment(std::env::vars_os(), child, &settings.account.service_token),
        keys: KeyEnvFile::new(settings.gateway_keys.env_file.clone(), settings.agents.workspace_root.clone()),
        address: (base.host().to_owned(), base.port()),
        folder: setup.folder.cloned(),
        is_ready: Box::new(move || is_up(&prober)),
        turns: Box::new(move || view.turns().len()),
        limits: ChildLimits::default(),
        status: status.clone(),
        changed: setup.state.keys.changed.clone(),
        redactor: setup.redactor.clone(),
        panics: setup.state.panics.clone(),
    };
    GatewayChild::start(setup).map(Some)
}

/// Stops the gateway, if the runtime runs it.
pub(super) fn stop(child: Option<&GatewayChild>, shutdown: &Shutdown) {
    if child.is_some_and(|child| !child.stop(shutdown.child_limit())) {
        warn!("The gateway has not ended in time; the next runtime takes it over");
    }
}

/// Whether the gateway answers as one that takes turns. A wrong token is not a reason to end it.
fn is_up(gateway: &HttpGateway) -> bool {
    let probe = gateway.probe();
    probe.ready || matches!(probe.why, Some(Why::TokenRefused | Why::TooManyLogins | Why::EndpointOff))
}

/// The environment of this process, without the runtime's own variables, and the variables for the gateway.
fn environment(
    own: impl Iterator<Item = (OsString, OsString)>,
    child: &GatewayChildSettings,
    token: &Secret,
) -> Vec<(OsString, OsString)> {
    let defaults = DEFAULTS.map(|(name, value)| (name.into(), value.into()));
    let inherited = own.filter(|(name, value)| {
        let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
        !is_ours(&name) && !value.contains(token.expose())
    });
    let variables = child.variables.iter().map(|(name, value)| ((*name).into(), value.expose().into()));
    defaults.into_iter().chain(inherited).chain(variables).collect()
}

/// Whether only this process reads the variable. Common ones, such as `SSL_CERT_FILE`, are for every program.
fn is_ours(name: &str) -> bool {
    let bare = name.strip_suffix("_FILE").unwrap_or(name);
    let of_table = TABLE.iter().any(|variable| {
        let is_named = |name: &str| variable.spellings().any(|spelling| spelling == name);
        let hidden = variable.is_secret() && variable.read_by != ReadBy::Gateway;
        (is_named(name) && variable.read_by == ReadBy::Runtime && !variable.common)
            || (hidden && (is_named(name) || is_named(bare)))
    });
    of_table || OURS.contains(&name)
}

#[cfg(test)]
mod tests {
    use mcr_model::ChildCommand;

    use super::*;

    #[test]
    fn the_gateway_gets_its_own_variables_and_none_of_ours() {
        let token = ["mc_service", "acc", "5ecret"].join("_");
        let own = [
            ("PATH", "/bin"),
            ("HOME", "/root"),
            ("SSL_CERT_FILE", "/etc/ca.pem"),
            ("ANTHROPIC_API_KEY", "old"),
            ("MY_OWN", "kept"),
            ("OPENCLAW_NO_RESPAWN", "0"),
            ("SERVICE_TOKEN", token.as_str()),
            ("SERVICE_TOKEN_FILE", "/run/secrets/token"),
            ("COPY", &format!("token={token}")),
            ("ACCOUNT_ID", "acc"),
            ("CONVEX_URL", "http://localhost"),
            ("OPENCLAW_GATEWAY_TOKEN_FILE", "/run/secrets/gateway"),
            ("NOTIFY_SOCKET", "/run/systemd/notify"),
            ("STATE_DIRECTORY", "/var/lib/x"),
        ];
        let own = own.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let variables = vec![
            ("OPENCLAW_GATEWAY_TOKEN", Secret::new("of-the-gateway")),
            ("ANTHROPIC_API_KEY", Secret::new("of-the-file")),
        ];
        let command = ChildCommand::parse("openclaw gateway").unwrap();
        let child = GatewayChildSettings { command, variables };
        let given = environment(own.into_iter(), &child, &Secret::new(token));
        let value = |name: &str| {
            // The last one counts.
            let found = given.iter().rev().find(|(known, _)| known == name)?;
            found.1.to_str().map(str::to_owned)
        };
        let expected = [
            ("PATH", "/bin"),
            ("HOME", "/root"),
            ("SSL_CERT_FILE", "/etc/ca.pem"),
            ("MY_OWN", "kept"),
            ("OPENCLAW_NO_AUTO_UPDATE", "1"),
            ("OPENCLAW_NO_RESPAWN", "0"),
            ("OPENCLAW_GATEWAY_TOKEN", "of-the-gateway"),
            ("ANTHROPIC_API_KEY", "of-the-file"),
        ];
        for (name, text) in expected {
            assert_eq!(value(name).as_deref(), Some(text), "{name}");
        }
        let names: std::collections::BTreeSet<_> = given.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), expected.len(), "{names:?}");
    }
}
