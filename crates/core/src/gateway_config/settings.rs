//! Settings that do not depend on a key: what deliveries need, and defaults.

use serde_json::{Value, json};

use super::Remark;
use super::form::Form;
use super::secret::{self, GITHUB_TOKEN};
use super::tree::Tree;
use mcr_model::GatewayEnvironment;

/// The port that health checks and the runtime's default URL expect.
const PORT: u16 = 18789;

/// The debugging port of the browser that the gateway starts.
const BROWSER_PORT: u16 = 18800;

pub(super) fn apply(
    tree: &mut Tree,
    environment: &GatewayEnvironment,
    form: Form,
    remarks: &mut Vec<Remark>,
) {
    deliveries(tree, form);
    sessions(tree, environment, form, remarks);
    tools(tree, environment, form);
    if let Some(executable) = &environment.browser {
        browser(tree, executable, form);
    }
    tree.set_default(&["commands", "native"], "auto");
    tree.set_default(&["commands", "nativeSkills"], "auto");
    if environment.config_reload {
        tree.set(&["gateway", "reload", "mode"], "hybrid");
    }
}

/// Forced, because no delivery works without them, or because the runtime does it already.
fn deliveries(tree: &mut Tree, form: Form) {
    tree.set(&["gateway", "port"], PORT);
    tree.set(&["gateway", "mode"], "local");
    endpoint_on(tree);
    tool_search_off(tree, form);
    own_heartbeat_off(tree);
    tree.set(&["agents", "defaults", "contextPruning", "mode"], "cache-ttl");
    tree.set(&["agents", "defaults", "contextPruning", "ttl"], "5m");
    match form {
        Form::Entries => drop(tree.remove(&["gateway", "controlUi", "allowInsecureAuth"])),
        Form::List { .. } => tree.set(&["gateway", "controlUi", "allowInsecureAuth"], true),
    }
    // Early generated files had it, and no release knows it.
    tree.remove(&["load"]);
}

/// Switches the endpoint for turns on.
pub(super) fn endpoint_on(tree: &mut Tree) {
    tree.set(&["gateway", "http", "endpoints", "responses", "enabled"], true);
}

/// With Tool Search, the model would see a search tool instead of the tools of Mission Control.
pub(super) fn tool_search_off(tree: &mut Tree, form: Form) {
    match form {
        Form::Entries | Form::List { tool_search: true, .. } => tree.set(&["tools", "toolSearch"], false),
        Form::List { tool_search: false, .. } => drop(tree.remove(&["tools", "toolSearch"])),
    }
}

/// The runtime wakes agents. A second schedule would pay for turns that no one reads.
pub(super) fn own_heartbeat_off(tree: &mut Tree) {
    tree.set(&["agents", "defaults", "heartbeat", "every"], "0m");
}

/// The reset of sessions with which agents keep their tasks: in practice never.
pub(super) fn reset_never(form: Form) -> Value {
    match form {
        Form::Entries => json!({"mode": "none"}),
        // These releases always reset; the interval is a year.
        Form::List { .. } => json!({"mode": "idle", "idleMinutes": 525_600}),
    }
}

fn sessions(tree: &mut Tree, environment: &GatewayEnvironment, form: Form, remarks: &mut Vec<Remark>) {
    if let Some(days) = environment.retention_days {
        if days == 0 {
            remarks.push(Remark::RetentionOfNoDays);
        }
        tree.set(&["session", "maintenance", "mode"], "enforce");
        tree.set(&["session", "maintenance", "pruneAfter"], format!("{}d", days.max(1)));
    }
    if let Form::List { .. } = form {
        // Sessions end at four o'clock by default there, and agents forget their tasks overnight.
        tree.set_default(&["session", "reset"], reset_never(form));
    }
}

fn tools(tree: &mut Tree, environment: &GatewayEnvironment, form: Form) {
    let provider = ["tools", "web", "search", "provider"];
    match (environment.brave_key, form) {
        (Some(_), Form::List { .. }) => tree.set(&provider, "brave"),
        // The current gateway finds Brave by its key. It refuses the name while the plugin is missing.
        (None, _) | (Some(_), Form::Entries) if tree.text(&provider) == Some("brave") => {
            tree.remove(&provider);
        }
        _ => {}
    }
    if environment.brave_key.is_some() {
        tree.set_default(&["tools", "web", "search", "maxResults"], 5);
        tree.set_default(&["tools", "web", "search", "timeoutSeconds"], 30);
    }
    for name in GITHUB_TOKEN {
        let path = ["agents", "defaults", "sandbox", "docker", "env", name];
        match environment.github_token {
            Some(variable) => tree.set(&path, secret::substitution(variable)),
            None if tree.get(&path).is_some_and(|value| secret::refers_to(value, &GITHUB_TOKEN)) => {
                tree.remove(&path);
            }
            None => {}
        }
    }
}

/// The gateway starts the browser when an agent first needs it.
fn browser(tree: &mut Tree, executable: &str, form: Form) {
    tree.set(&["browser", "executablePath"], executable);
    for flag in ["enabled", "headless", "noSandbox"] {
        tree.set(&["browser", flag], true);
    }
    // With `true`, the gateway would wait for a browser that no other program starts.
    tree.set(&["browser", "attachOnly"], false);
    tree.set(&["browser", "defaultProfile"], "openclaw");
    let mut profiles = vec!["openclaw"];
    // The name in files from before the gateway was renamed.
    profiles.extend(tree.get(&["browser", "profiles", "clawd"]).map(|_| "clawd"));
    for profile in profiles {
        tree.set(&["browser", "profiles", profile, "cdpPort"], BROWSER_PORT);
        match form {
            Form::Entries => drop(tree.remove(&["browser", "profiles", profile, "color"])),
            Form::List { .. } => tree.set(&["browser", "profiles", profile, "color"], "#FF4500"),
        }
    }
}
