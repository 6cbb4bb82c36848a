//! The command `doctor`: checks everything that the service depends on, and says how to repair what is wrong.

mod agent_files;
mod budget;
mod configuration;
mod disk;
mod gateway;
mod service;
mod wake_query;

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use log::LevelFilter;
use serde_json::{Value, json};

use super::color::StateColumn;
use super::command_env::{BackendConnection, CommandEnv};
use super::exit::Exit;
use super::run::named_agents;
use super::service_client::{CommandContext, ServiceEndpoint, address};
use super::{print, print_states};
use crate::telemetry;
use mcr_clients::convex::{Backoff, CallReason};
use mcr_clients::mission::{GetDeliveryContext, GetOrchestrator, ListAgents, Mission};
use mcr_clients::wire::Stop;
use mcr_config::{LogFormat, LogOutput, Settings};
use mcr_core::ops::agent_problems;
use mcr_core::ops::reasons::REFUSES_ALL;
use mcr_core::spans::counted;
use mcr_model::{AgentId, NotificationId, Roster};
use mcr_service::http::health::PROBLEMS_SHOWN_MAX;

/// The options of the command.
#[derive(Clone, Debug, Default)]
pub struct Doctor {
    /// Whether to print every variable, not only those that are set.
    pub all: bool,
    /// Whether to print JSON.
    pub json: bool,
    /// Whether to run a real turn.
    pub live: bool,
    /// The gateway's configuration.
    pub configuration: ConfigurationOptions,
}

pub use configuration::ConfigurationOptions;

/// The timeout of each request. It is short because a person waits at the terminal.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the process on our port may take to answer the request for its version.
const MOMENT: Duration = Duration::from_secs(1);

/// The result of a check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CheckResult {
    Good,
    /// Nothing is wrong, but the finding explains much.
    Note,
    Wrong,
    /// Not checked, because an earlier check failed or there is nothing to check.
    Skipped,
}

impl CheckResult {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Wrong => "WRONG",
            Self::Skipped => "skipped",
        }
    }
}

struct Check {
    name: &'static str,
    verdict: CheckResult,
    /// The findings. A finding about an error says what to do.
    sentences: Vec<String>,
}

impl Check {
    fn new(name: &'static str, verdict: CheckResult, sentences: Vec<String>) -> Self {
        Self { name, verdict, sentences }
    }

    /// Adds a finding that does not change the result.
    fn say(&mut self, sentence: String) {
        self.sentences.push(sentence);
    }

    /// Adds a finding that explains much: first among the findings if nothing else is a note or an error, else last.
    fn note(&mut self, sentence: String) {
        if self.verdict == CheckResult::Good {
            self.verdict = CheckResult::Note;
            self.sentences.insert(0, sentence);
        } else {
            self.sentences.push(sentence);
        }
    }

    /// Adds an error: the first error goes before all other findings, later ones go last.
    fn wrong(&mut self, sentence: String) {
        if self.verdict == CheckResult::Wrong {
            self.sentences.push(sentence);
        } else {
            self.verdict = CheckResult::Wrong;
            self.sentences.insert(0, sentence);
        }
    }
}

/// Runs all checks and prints their results.
pub fn doctor(env_file: Option<&Path>, wanted: &Doctor) -> Exit {
    let (all, as_json) = (wanted.all, wanted.json);
    let env = CommandEnv::load(env_file);
    // The findings contain what the calls would log.
    telemetry::start(LevelFilter::Off, LogFormat::Text, LogOutput::Stderr, env.redactor.clone());
    let mut checks = examine(&env, wanted);
    for sentence in checks.iter_mut().flat_map(|check| &mut check.sentences) {
        *sentence = env.redactor.clean(sentence);
    }
    let variables = variables(&env);
    let printed = if as_json {
        print(&as_data(&variables, &checks))
    } else {
        print_states(&as_text(&variables, &checks, all), StateColumn(16))
    };
    if checks.iter().any(|check| check.verdict == CheckResult::Wrong) { Exit::Failed } else { printed }
}

fn examine(env: &CommandEnv, wanted: &Doctor) -> Vec<Check> {
    let report = &env.configuration.report;
    let mut sentences: Vec<String> = report.errors().map(ToString::to_string).collect();
    let verdict = if sentences.is_empty() { CheckResult::Good } else { CheckResult::Wrong };
    sentences.extend(report.warnings().map(|warning| format!("warning: {warning}")));
    let mut checks = vec![Check { name: "configuration", verdict, sentences }];
    let skipped = |name, first: &str| Check {
        name,
        verdict: CheckResult::Skipped,
        sentences: vec![format!("fix the {first} first")],
    };
    let Some(settings) = &env.configuration.settings else {
        checks.extend(
            ["certificates", "backend", "gateway", "gateway config", "port", "disk", "clock", "service"]
                .map(|name| skipped(name, "configuration")),
        );
        return checks;
    };
    let footing = CommandContext::of(env, None);
    let mut later = vec![disk::disk(settings, footing.as_ref().and_then(CommandContext::displaced))];
    // No retries: the command reports the state at this moment.
    match env.connect(settings, Backoff::never()) {
        Ok(way) => {
            let sentences = vec![way.roots.describe()];
            checks.push(Check { name: "certificates", verdict: CheckResult::Good, sentences });
            let mission = way.mission(settings, &Stop::new());
            let (backend, orchestrator) = ask_backend(settings, &way, &mission);
            let is_there = backend.verdict == CheckResult::Good;
            checks.push(backend);
            if is_there {
                checks.extend(wake_query::check(settings, &way));
            }
            let team: Result<Roster, String> = if is_there {
                let rows = mission.ask_within(PATIENCE, &ListAgents {}).map_err(|why| why.to_string());
                let before = Roster::default();
                rows.map(|rows| {
                    Roster::new(rows.agents, orchestrator).with_unreadable(rows.unreadable, &before)
                })
            } else {
                Err("fix the backend first".to_owned())
            };
            checks.extend(team.as_ref().ok().and_then(agents));
            if let Ok(team) = &team {
                unknown_agents(&named_agents(settings), team).for_each(|finding| checks[0].note(finding));
            }
            let team = team.as_ref().map(Roster::agents).map_err(String::as_str);
            checks.extend(gateway::ask(settings, &way, &env.redactor, team, &wanted.configuration));
            if wanted.live {
                checks.push(gateway::live(settings, &way, &env.redactor, team));
            }
            later.push(disk::clocks(settings, &way));
        }
        Err(bad) => {
            checks.push(Check {
                name: "certificates",
                verdict: CheckResult::Wrong,
                sentences: vec![bad.to_string()],
            });
            checks.push(skipped("backend", "certificates"));
            checks.push(skipped("gateway", "certificates"));
            checks.push(skipped("gateway config", "certificates"));
        }
    }
    checks.push(try_port(settings));
    checks.extend(agent_files::check(settings));
    checks.extend(budget::check(settings, footing.as_ref()));
    checks.append(&mut later);
    checks.extend(footing.as_ref().map(service::ask));
    checks
}

/// The agents that a variable names by their slugs, and that the account does not have.
fn unknown_agents<'a>(
    named: &'a [(&'static str, Vec<String>)],
    team: &'a Roster,
) -> impl Iterator<Item = String> + 'a {
    let named = named.iter().flat_map(|(variable, slugs)| slugs.iter().map(move |slug| (variable, slug)));
    let unknown = named.filter(|(_, slug)| team.by_slug(slug).is_none());
    unknown.map(|(variable, slug)| {
        format!(
            "{variable} names {slug}, which is no agent of the account: correct the slug, or create the agent"
        )
    })
}

/// Checks whether the service could listen on its port, or already does.
fn try_port(settings: &Settings) -> Check {
    let (host, port) = (settings.http.host.as_str(), settings.http.port);
    let (verdict, sentence) = match TcpListener::bind((host, port)) {
        Ok(_) => (CheckResult::Good, format!("{host} port {port} is free")),
        Err(why) if why.kind() == ErrorKind::AddrInUse && is_ours(settings.http.connect_host(), port) => {
            (CheckResult::Good, format!("{host} port {port}: the running service has it"))
        }
        Err(why) => {
            (CheckResult::Wrong, format!("{host} port {port}: {why}; see HEALTH_HOST and HEALTH_PORT"))
        }
    };
    Check { name: "port", verdict, sentences: vec![sentence] }
}

/// Whether the process on this port answers as a runtime does, within [`MOMENT`].
fn is_ours(host: &str, port: u16) -> bool {
    let asked = ServiceEndpoint::at(address(host, port)).ask("GET", "/version", "", MOMENT);
    asked.is_ok_and(|(_, answer)| answer["runtimeServiceVersion"].is_string())
}

/// Checks the backend with one call that only reads. The call succeeds only if address, trust, token and account are
/// right. Returns the orchestrator too.
fn ask_backend(settings: &Settings, way: &BackendConnection, mission: &Mission) -> (Check, Option<AgentId>) {
    let name = "backend";
    let through = way.endpoint.proxy().map(|proxy| format!("through the proxy {proxy} of the environment"));
    let answer = mission.ask_within(PATIENCE, &GetOrchestrator {});
    match answer {
        Ok(found) => {
            let lead = if found.orchestrator_agent_id.is_some() { "an" } else { "no" };
            let known =
                format!("{} knows the account; it has {lead} orchestrator", settings.account.convex_url);
            let sentences = [known].into_iter().chain(through).chain(hides_reasons(mission)).collect();
            (Check::new(name, CheckResult::Good, sentences), found.orchestrator_agent_id)
        }
        Err(error) => {
            let hidden = (error.why == CallReason::Unknown).then(|| REFUSES_ALL.to_owned());
            let sentences = hidden.into_iter().chain([error.to_string()]).chain(through).collect();
            (Check::new(name, CheckResult::Wrong, sentences), None)
        }
    }
}

/// The agents that Mission Control describes in an unusable way, if there are any.
fn agents(roster: &Roster) -> Option<Check> {
    let problems = agent_problems(roster);
    let more = problems.len().saturating_sub(PROBLEMS_SHOWN_MAX);
    let shown = problems.iter().take(PROBLEMS_SHOWN_MAX);
    let mut sentences: Vec<String> =
        shown.map(|found| format!("{}: {}", found.agent, found.problem)).collect();
    if more > 0 {
        sentences.push(format!("and {} more", counted(more as u64, "problem")));
    }
    (!sentences.is_empty()).then(|| Check::new("agents", CheckResult::Note, sentences))
}

/// A sentence if the backend hides the reasons of errors. Found out with a call that always fails and changes nothing.
fn hides_reasons(mission: &Mission) -> Option<String> {
    let nothing = NotificationId::new("doctor");
    let asked = mission.ask_within(PATIENCE, &GetDeliveryContext { notification_id: &nothing });
    asked.is_err_and(|error| error.why == CallReason::Unknown).then(|| {
        "it hides the reasons of errors, as production deployments do: whatever it refuses is tried again for a while"
            .to_owned()
    })
}

/// A variable as it is shown. The texts are redacted, in case a secret was put into the wrong variable.
struct Shown {
    line: String,
    is_given: bool,
    data: Value,
}

fn variables(env: &CommandEnv) -> Vec<Shown> {
    let clean = |text: &str| env.redactor.clean(text);
    let rows = env.configuration.report.rows.iter();
    let shown = rows.map(|row| Shown {
        line: clean(&row.to_string()),
        is_given: row.origin.is_given(),
        data: json!({
            "name": row.name,
            "value": row.value.as_deref().map(clean),
            "from": clean(&row.origin.to_string()),
            "note": row.note.as_deref().map(clean),
        }),
    });
    shown.collect()
}

fn as_text(variables: &[Shown], checks: &[Check], all: bool) -> String {
    let mut text = String::new();
    // Errors come first, then notes, because readers read only the first three lines.
    let of = |wanted: fn(CheckResult) -> bool| checks.iter().filter(move |check| wanted(check.verdict));
    for check in of(|verdict| verdict == CheckResult::Wrong).chain(of(|verdict| verdict == CheckResult::Note))
    {
        let mut sentences = check.sentences.iter();
        let first = sentences.next().map_or("", String::as_str);
        let _ = writeln!(text, "{:<15} {}: {first}", check.name, check.verdict.word());
        for sentence in sentences {
            let _ = writeln!(text, "  {sentence}");
        }
    }
    for check in of(|verdict| matches!(verdict, CheckResult::Good | CheckResult::Skipped)) {
        let _ = writeln!(text, "{:<15} {}", check.name, check.verdict.word());
        for sentence in &check.sentences {
            let _ = writeln!(text, "  {sentence}");
        }
    }
    text.push_str("\nvariable = value (where from)\n");
    for shown in variables.iter().filter(|shown| all || shown.is_given) {
        let _ = writeln!(text, "{}", shown.line);
    }
    if !all {
        text.push_str("(--all lists the others, too)\n");
    }
    let wrong = checks.iter().filter(|check| check.verdict == CheckResult::Wrong).map(|check| check.name);
    match wrong.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => text.push_str("\nready to run\n"),
        names => text.push_str(&["\nnot ready to run: ", &names, "\n"].concat()),
    }
    text
}

fn as_data(variables: &[Shown], checks: &[Check]) -> String {
    let found = json!({
        "ok": checks.iter().all(|check| check.verdict != CheckResult::Wrong),
        "checks": checks.iter().map(|check| json!({
            "name": check.name,
            "verdict": check.verdict.word().to_lowercase(),
            "findings": check.sentences,
        })).collect::<Vec<_>>(),
        "variables": variables.iter().map(|shown| &shown.data).collect::<Vec<_>>(),
    });
    format!("{found:#}\n")
}
