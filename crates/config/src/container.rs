//! Reads the variables of the gateway container, for the command that writes the gateway's configuration.
//!
//! The gateway reads its secrets from its environment. So this reads only the environment, and returns the name of the
//! variable that holds a secret, not the secret.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::{Diagnostic, Severity};
use super::lookup::{self, FileSource, Sources};
use super::reader::Reader;
use super::report::RUNTIME_STARTS;
use super::table::{
    AI_GATEWAY_API_KEY, ANTHROPIC_API_KEY, BRAVE_API_KEY, DISCORD_BOT_TOKEN, GH_TOKEN, OPENAI_API_KEY,
    OPENCLAW_AGENTS, OPENCLAW_BIND_HOST, OPENCLAW_BROWSER_EXECUTABLE_PATH, OPENCLAW_CONFIG_RELOAD,
    OPENCLAW_GATEWAY_TOKEN, OPENCLAW_MAX_CONCURRENT, OPENCLAW_SESSION_RETENTION_DAYS, SLACK_APP_TOKEN,
    SLACK_BOT_TOKEN, TABLE, TELEGRAM_BOT_TOKEN,
};
use super::variable::Variable;
use mcr_model::GatewayEnvironment;

/// Reads the variables of the gateway container from its environment. A value that only the gateway uses and that is not
/// valid is a warning and counts as not set. An error means that nothing should be written.
pub fn container(
    environment: &BTreeMap<String, String>,
    garbled: &BTreeSet<String>,
) -> (GatewayEnvironment, Vec<Diagnostic>) {
    let variables = || TABLE.iter().copied().filter(|variable| variable.read_by.is_gateway());
    let is_read = |name: &str| variables().any(|variable| variable.spellings().any(|known| known == name));
    let sources = Sources {
        environment: &environment
            .iter()
            .filter(|(name, _)| is_read(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        garbled: &garbled.iter().filter(|name| is_read(name)).cloned().collect(),
        file: &FileSource::None,
        read_secret: &|_| unreachable!("no variable that names a file is looked up"),
    };
    let mut reader = Reader::new(lookup::look_up(&sources, false));
    let container = read(&mut reader);
    let mut diagnostics = reader.diagnostics();
    for found in &mut diagnostics {
        if let Some(message) = found.message.strip_suffix(RUNTIME_STARTS) {
            found.message = format!("{message}The gateway starts as if it were not set.");
        }
    }
    for variable in variables().filter(|variable| variable.is_secret()) {
        diagnostics.extend(variable.spellings().filter_map(|name| doubt(name, variable, environment)));
    }
    (container, diagnostics)
}

fn read(reader: &mut Reader) -> GatewayEnvironment {
    GatewayEnvironment {
        gateway_token: reader.holder(&OPENCLAW_GATEWAY_TOKEN),
        agents: slugs(&reader.given_text(&OPENCLAW_AGENTS).unwrap_or_default()),
        bind_host: reader.given_text(&OPENCLAW_BIND_HOST),
        max_concurrent: reader.number(&OPENCLAW_MAX_CONCURRENT),
        vercel_key: reader.holder(&AI_GATEWAY_API_KEY),
        anthropic_key: reader.holder(&ANTHROPIC_API_KEY),
        openai_key: reader.holder(&OPENAI_API_KEY),
        brave_key: reader.holder(&BRAVE_API_KEY),
        github_token: reader.holder(&GH_TOKEN),
        telegram_token: reader.holder(&TELEGRAM_BOT_TOKEN),
        discord_token: reader.holder(&DISCORD_BOT_TOKEN),
        slack_bot_token: reader.holder(&SLACK_BOT_TOKEN),
        slack_app_token: reader.holder(&SLACK_APP_TOKEN),
        retention_days: reader.given_number(&OPENCLAW_SESSION_RETENTION_DAYS, 0),
        config_reload: reader.flag(&OPENCLAW_CONFIG_RELOAD),
        browser: reader.given_text(&OPENCLAW_BROWSER_EXECUTABLE_PATH),
    }
}

fn slugs(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|slug| !slug.is_empty()).map(str::to_lowercase).collect()
}

/// A warning about a secret that the gateway reads differently, or not at all.
fn doubt(
    name: &'static str,
    variable: &Variable,
    environment: &BTreeMap<String, String>,
) -> Option<Diagnostic> {
    let file = format!("{name}_FILE");
    if variable.takes_file() && environment.get(&file).is_some_and(|path| !path.is_empty()) {
        let message = format!(
            "{file} has no effect here: the gateway reads {name} from its environment only. Set {name} itself."
        );
        return Some(Diagnostic::warning(Some(&file), message));
    }
    let raw = environment.get(name)?;
    let parsed = lookup::from_environment(raw).value;
    let message = || {
        format!(
            "{name} (environment) has quotes or blanks around its value, and the gateway takes them for a part of it. \
             Remove them."
        )
    };
    (!parsed.is_empty() && parsed != *raw).then(|| Diagnostic::warning(Some(name), message()))
}

/// Whether one of these prevents that the configuration is written.
pub fn prevents(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|found| found.severity == Severity::Error)
}
