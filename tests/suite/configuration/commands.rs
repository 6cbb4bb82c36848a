//! The commands that the runtime runs, and the file that it writes for the gateway.

use std::path::Path;
use std::time::Duration;

use super::{Start, check_mistake};

/// No shell reads a command. Quotes keep blanks together, and control characters are mistakes.
#[test]
fn commands_are_words_without_a_shell() {
    let gateway =
        |line: &str| Start::good().set("OPENCLAW_COMMAND", line).settings().gateway_child.unwrap().command;
    let installer =
        |line: &str| Start::good().set("UPGRADE_COMMAND", line).settings().upgrades.command.unwrap();
    let command = gateway("'/opt/my claw/openclaw' gateway run --port 18789");
    assert_eq!(command.program, "/opt/my claw/openclaw");
    assert_eq!(command.arguments, ["gateway", "run", "--port", "18789"]);
    assert_eq!(gateway("openclaw gateway").program, "openclaw");
    assert_eq!(installer("/usr/lib/install \"a b\" c"), ["/usr/lib/install", "a b", "c"]);
    assert!(Start::good().settings().gateway_child.is_none());
    for name in ["OPENCLAW_COMMAND", "UPGRADE_COMMAND"] {
        check_mistake(name, "/bin/x 'y", "a quote is not closed");
        check_mistake(name, "/bin/x\n/bin/y", "control");
        check_mistake(name, "/bin/x \u{1b}[2J", "control");
        check_mistake(name, &format!("/{}", "x".repeat(4_000)), "4000");
    }
    for line in ["install.sh", "/bin/x; /bin/y", "/bin/x $HOME", "/bin/x | y"] {
        check_mistake("UPGRADE_COMMAND", line, "the absolute path of a program");
    }
}

/// The runtime runs a gateway on its own machine only.
#[test]
fn a_gateway_of_another_machine_is_not_run() {
    let start = |url: &str| {
        Start::good()
            .set("OPENCLAW_COMMAND", "openclaw gateway")
            .set("OPENCLAW_GATEWAY_URL", url)
            .set("OPENCLAW_GATEWAY_TOKEN", "a-token-of-the-gateway")
    };
    for url in ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"] {
        assert!(start(url).settings().gateway_child.is_some(), "{url}");
    }
    assert!(start("http://10.1.2.3:1").mistake().contains("on its own machine only"));
    assert!(start("").mistake().contains("there is no gateway"));
}

#[test]
fn the_env_file_of_the_gateway_is_outside_the_agents_folder() {
    let file = |start: Start| start.settings().gateway_keys.env_file;
    let start = || Start::good().set("STATE_DIR", "/var/lib/mc");
    assert_eq!(file(start()), Path::new("/var/lib/mc/gateway.env"));
    assert_eq!(
        file(start().set("RUNTIME_DIRECTORY", "/run/mc:/run/other")),
        Path::new("/run/mc/gateway.env")
    );
    assert_eq!(file(start().set("RUNTIME_DIRECTORY", "run/mc")), Path::new("/var/lib/mc/gateway.env"));
    assert_eq!(file(start().set("GATEWAY_ENV_FILE", "/srv/keys.env")), Path::new("/srv/keys.env"));
    for path in ["keys.env", "/srv/../etc/keys.env"] {
        check_mistake("GATEWAY_ENV_FILE", path, "an absolute path without `..`");
    }
    let inside = start()
        .set("OPENCLAW_WORKSPACE_ROOT", "/srv/agents")
        .set("GATEWAY_ENV_FILE", "/srv/agents/ben/keys.env");
    assert!(inside.mistake().contains("in the agents' folder"));
}

/// An interval that is set holds at all times, and 0 switches the fetches off.
#[test]
fn the_intervals_of_the_stored_keys() {
    let intervals = |value: Option<&str>| {
        let start = value.into_iter().fold(Start::good(), |start, ms| start.set("SECRETS_SYNC_INTERVAL", ms));
        let keys = start.settings().gateway_keys;
        (keys.fetch_interval.map(|span| span.as_secs()), keys.idle_fetch_interval)
    };
    assert_eq!(intervals(None), (Some(60), Duration::from_mins(5)));
    assert_eq!(intervals(Some("30000")), (Some(30), Duration::from_secs(30)));
    assert_eq!(intervals(Some("1")), (Some(1), Duration::from_secs(1)));
    assert_eq!(intervals(Some("0")).0, None);
}
