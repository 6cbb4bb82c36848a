//! Checks of the gateway's configuration, and the change that repairs it.
//!
//! The configuration comes from the file that `--config` names, else from the gateway itself, else from the file of the
//! gateway's own variable `OPENCLAW_CONFIG_PATH`. `mcr_core::gateway_config::known_problems` judges it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Check, CheckResult};
use crate::app::gateway_config::read;
use crate::app::load::Surroundings;
use mcr_clients::gateway::{HttpGateway, Probe};
use mcr_config::Settings;
use mcr_core::gateway::Why;
use mcr_core::gateway::dialect::{HistoryWay, Release};
use mcr_core::gateway_config::known_problems::{
    Diagnosis, Facts, Problem, examine, patch, roster_form, workspaces,
};
use mcr_core::ops::MissingAgents;
use mcr_core::spans::dotted;
use mcr_core::workspace::Layout;
use mcr_model::Agent;

/// The gateway's own variable that names its file.
const CONFIG_PATH: &str = "OPENCLAW_CONFIG_PATH";

/// The commands of the engines that run sandboxes, and the sockets of running ones.
const ENGINES: [&str; 2] = ["docker", "podman"];
const ENGINE_SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/podman/podman.sock"];

/// The options that concern the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigurationOptions {
    /// The gateway's file.
    pub config: Option<PathBuf>,
    /// The file to write the change to.
    pub patch: Option<PathBuf>,
}

/// What was found out about the gateway.
pub(super) struct GatewayFindings {
    release: Option<Release>,
    endpoint: Option<bool>,
    history: Option<bool>,
    listed: Option<Vec<String>>,
    team: Option<Vec<String>>,
    config: Option<Value>,
    /// Where the configuration comes from, or why there is none.
    source: Result<String, String>,
    engine: Option<bool>,
    retired: Option<Vec<String>>,
    client_tools: bool,
    turns: u64,
}

impl GatewayFindings {
    /// Collects what can be known. `probe` is absent where no gateway is configured.
    pub(super) fn collect(
        settings: &Settings,
        asked: Option<(&HttpGateway, &Probe)>,
        team: Result<&[Agent], &str>,
        options: &ConfigurationOptions,
    ) -> Self {
        let probe = asked.map(|(_, probe)| probe);
        let dialect = asked.map(|(gateway, _)| gateway.dialect()).unwrap_or_default();
        let release = dialect.release;
        let ready = probe.is_some_and(|probe| probe.ready);
        let (config, source) = match find(asked.map(|(gateway, _)| gateway), options) {
            Ok((config, source)) => (Some(config), Ok(source)),
            Err(why) => (None, Err(why)),
        };
        let layout = release.map_or(Layout::Current, Layout::of);
        Self {
            release,
            endpoint: match probe.and_then(|probe| probe.why) {
                Some(Why::EndpointOff) => Some(false),
                None if ready => Some(true),
                _ => None,
            },
            history: dialect.history.map(|way| way != HistoryWay::Closed),
            listed: probe.and_then(|probe| probe.agents.listed()).map(<[String]>::to_vec),
            team: team.ok().map(|team| team.iter().map(|agent| agent.slug.clone()).collect()),
            engine: settings.gateway.url.as_ref().and_then(|url| engine(url.host())),
            retired: config.as_ref().and_then(|config| retired(config, layout)),
            config,
            source,
            client_tools: settings.gateway.client_tools,
            turns: u64::try_from(settings.delivery.concurrent_sessions_max).unwrap_or(u64::MAX),
        }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            release: self.release,
            config: self.config.as_ref(),
            endpoint: self.endpoint,
            history: self.history,
            listed: self.listed.as_deref(),
            team: self.team.as_deref(),
            client_tools: self.client_tools,
            turns: self.turns,
            engine: self.engine,
            retired: self.retired.as_deref(),
        }
    }

    /// The agents that the gateway lists.
    pub(super) fn listed(&self) -> Option<&[String]> {
        self.listed.as_deref()
    }

    /// The agents of this team that the list lacks.
    pub(super) fn missing(&self, team: &[Agent]) -> MissingAgents {
        let slugs = team.iter().map(|agent| agent.slug.as_str());
        MissingAgents::compare(slugs, self.listed(), roster_form(&self.facts()))
    }

    /// The check of the configuration.
    pub(super) fn check(&self) -> Check {
        let mut check = Check::new("gateway config", CheckResult::Good, Vec::new());
        let (mut fine, mut unseen) = (Vec::new(), Vec::new());
        // The check of the gateway reports what its probes have shown.
        let named_there = |problem| match problem {
            Problem::Agents => self.listed.is_some(),
            Problem::History => self.history.is_some(),
            _ => false,
        };
        for found in examine(&self.facts()) {
            match found.diagnosis {
                Diagnosis::Fine => fine.push(found.problem.subject()),
                Diagnosis::Unseen => unseen.push(found.problem.subject()),
                _ if named_there(found.problem) => {}
                Diagnosis::Note(why) => check.note(why),
                Diagnosis::Wrong(why) => check.wrong(why),
            }
        }
        match &self.source {
            Ok(source) => check.say(format!("checked {source}: {}", fine.join(", "))),
            Err(why) => check.say(why.clone()),
        }
        if !unseen.is_empty() {
            check.say(format!("cannot be seen from here: {}", unseen.join(", ")));
        }
        if check.verdict == CheckResult::Good && self.config.is_none() {
            check.verdict = CheckResult::Skipped;
        }
        check
    }

    /// Writes the change that repairs the configuration to a new file, and shows it.
    pub(super) fn write_patch(&self, path: &Path) -> Check {
        let mut check = Check::new("patch", CheckResult::Good, Vec::new());
        let found = match patch(&self.facts()) {
            Ok(found) => found,
            Err(why) => {
                check.wrong(format!("nothing is written: {why}"));
                return check;
            }
        };
        let subjects = |problems: &[Problem]| {
            let subjects: Vec<&str> = problems.iter().map(|problem| problem.subject()).collect();
            subjects.join(", ")
        };
        if found.change.is_empty() {
            check.say(
                "nothing is written: there is nothing that a change of the configuration repairs".to_owned(),
            );
        } else {
            let text = serde_json::to_string_pretty(&found.change);
            match text.map_err(|why| why.to_string()).and_then(|text| create(path, &format!("{text}\n"))) {
                Ok(()) => {
                    check.say(format!(
                        "{} has the change as a JSON merge patch; nothing else is changed. Apply it with `openclaw \
                         config patch --file {}`, or by hand in releases without that command, and restart the gateway",
                        path.display(),
                        path.display()
                    ));
                    check.sentences.extend(found.lines);
                }
                Err(why) => check.wrong(format!("{} is not written: {why}", path.display())),
            }
        }
        if !found.left.is_empty() {
            check.note(format!("no change repairs these, see above: {}", subjects(&found.left)));
        }
        check
    }
}

/// The configuration, with where it comes from. Else why it is unknown.
fn find(gateway: Option<&HttpGateway>, options: &ConfigurationOptions) -> Result<(Value, String), String> {
    let from_file = |path: &Path| match read(path) {
        Ok(Some(config)) => Ok((config, format!("in {}", path.display()))),
        Ok(None) => Err(format!("{} does not exist, or is empty.", path.display())),
        Err(why) => Err(why),
    };
    if let Some(path) = &options.config {
        return from_file(path);
    }
    let shown = gateway.map(HttpGateway::configuration);
    if let Some(Ok(shown)) = shown {
        let file = shown.path.map_or(String::new(), |path| format!(" ({path})"));
        return Ok((shown.config, format!("as the gateway shows it{file}")));
    }
    let (environment, _) = Surroundings::of_this_process().texts();
    let by_variable = environment.get(CONFIG_PATH).filter(|path| !path.is_empty());
    let refused = match (shown, by_variable) {
        (_, Some(path)) => match from_file(Path::new(path)) {
            Ok(found) => return Ok(found),
            Err(why) => format!("{CONFIG_PATH}: {why}"),
        },
        (Some(Err(why)), None) => format!("the gateway does not show its configuration: {why}"),
        (_, None) => "the gateway cannot be asked for its configuration".to_owned(),
    };
    Err(format!("{} Name its file with --config FILE", dotted(&refused)))
}

/// The retired files in the workspaces that the configuration names. `None` if a workspace cannot be seen from here.
fn retired(config: &Value, layout: Layout) -> Option<Vec<String>> {
    let names = layout.retired();
    if names.is_empty() {
        return Some(Vec::new());
    }
    let folders = workspaces(config);
    let mut found = Vec::new();
    for folder in &folders {
        let folder = Path::new(folder);
        // Agents without a folder of their own have one below the common one.
        let below = std::fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
        let all = [folder.to_owned()].into_iter().chain(below);
        let files = all.flat_map(|folder| names.iter().map(move |name| folder.join(name)));
        found.extend(files.filter(|file| file.is_file()).map(|file| file.display().to_string()));
    }
    found.sort();
    found.dedup();
    (!folders.is_empty()).then_some(found)
}

/// Whether this machine has the engine of sandboxes. `None` if that cannot be seen, or if the gateway runs elsewhere.
fn engine(host: &str) -> Option<bool> {
    let is_here = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if !is_here {
        return None;
    }
    if ENGINE_SOCKETS.iter().any(|socket| Path::new(socket).exists()) {
        return Some(true);
    }
    let (environment, _) = Surroundings::of_this_process().texts();
    let folders = environment.get("PATH").map_or("", String::as_str);
    let has_command = std::env::split_paths(folders)
        .any(|folder| ENGINES.iter().any(|engine| folder.join(engine).is_file()));
    if has_command { None } else { Some(false) }
}

/// Writes a file that does not exist yet. Only its owner may read it.
fn create(path: &Path, text: &str) -> Result<(), String> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(|why| match why.kind() {
        ErrorKind::AlreadyExists => "the file exists, and is not overwritten; name another one".to_owned(),
        _ => why.to_string(),
    })?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|why| {
        // An incomplete file must not pass for a change.
        match std::fs::remove_file(path) {
            Ok(()) => why.to_string(),
            Err(left) => format!("{why}; the incomplete file cannot be removed: {left}"),
        }
    })
}
