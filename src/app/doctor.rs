//! `doctor`: is the ground sound, and if not, what is to be done?

use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use log::LevelFilter;
use serde_json::{Value, json};

use super::exit::Exit;
use super::ground::{Ground, Way};
use super::print;
use crate::config::{LogFormat, Settings};
use crate::convex::Backoff;
use crate::gateway::client::Endpoint;
use crate::mission::GetOrchestrator;
use crate::redact::Redactor;
use crate::telemetry;
use crate::wire::Stop;

/// Somebody is waiting in front of the terminal.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long whoever has our port may think about its version, and how much it may say.
const MOMENT: Duration = Duration::from_secs(1);
const ANSWER_BYTES: u64 = 4096;

/// How a check went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Wrong,
    /// Something before it is wrong.
    Skipped,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Wrong => "WRONG",
            Self::Skipped => "skipped",
        }
    }
}

struct Check {
    name: &'static str,
    verdict: Verdict,
    /// What was found; what is wrong comes with what to do.
    sentences: Vec<String>,
}

/// Checks everything that can be checked, and prints it.
pub fn doctor(env_file: Option<&Path>, all: bool, as_json: bool) -> Exit {
    let ground = Ground::survey(env_file);
    // What the calls would log stands in the findings.
    telemetry::start(LevelFilter::Off, LogFormat::Text, ground.redactor.clone());
    let mut checks = examine(&ground);
    for sentence in checks.iter_mut().flat_map(|check| &mut check.sentences) {
        *sentence = ground.redactor.clean(sentence);
    }
    let variables = variables(&ground);
    let text = if as_json { as_data(&variables, &checks) } else { as_text(&variables, &checks, all) };
    let printed = print(&text);
    if checks.iter().any(|check| check.verdict == Verdict::Wrong) { Exit::Failed } else { printed }
}

fn examine(ground: &Ground) -> Vec<Check> {
    let report = &ground.configuration.report;
    let verdict = if report.mistakes.is_empty() { Verdict::Good } else { Verdict::Wrong };
    let mistakes = report.mistakes.iter().map(ToString::to_string);
    let warnings = report.warnings.iter().map(|warning| format!("warning: {warning}"));
    let mut checks =
        vec![Check { name: "configuration", verdict, sentences: mistakes.chain(warnings).collect() }];
    let skipped = |name, first: &str| Check {
        name,
        verdict: Verdict::Skipped,
        sentences: vec![format!("fix the {first} first")],
    };
    let Some(settings) = &ground.configuration.settings else {
        checks.extend(
            ["certificates", "backend", "gateway", "port"].map(|name| skipped(name, "configuration")),
        );
        return checks;
    };
    // Tried once: whoever asks wants to know how it is now.
    match ground.way(settings, Backoff::never()) {
        Ok(way) => {
            let sentences = vec![way.roots.describe()];
            checks.push(Check { name: "certificates", verdict: Verdict::Good, sentences });
            checks.push(ask_backend(settings, &way));
            checks.push(ask_gateway(settings, &way, &ground.redactor));
        }
        Err(bad) => {
            checks.push(Check {
                name: "certificates",
                verdict: Verdict::Wrong,
                sentences: vec![bad.to_string()],
            });
            checks.push(skipped("backend", "certificates"));
            checks.push(skipped("gateway", "certificates"));
        }
    }
    checks.push(try_port(settings));
    checks
}

/// Whether the gateway is there, would let our turns in, and is new enough for tools.
fn ask_gateway(settings: &Settings, way: &Way, redactor: &Arc<Redactor>) -> Check {
    let (verdict, sentences) = match &settings.gateway.url {
        None => (Verdict::Skipped, vec!["none is configured: nothing is sent to agents".to_owned()]),
        Some(base) => {
            let (token, silence_max) = (settings.gateway.token.clone(), settings.gateway.silence_max);
            let endpoint = Endpoint::new(base.clone(), token, &way.roots, redactor.clone(), silence_max);
            let probe = endpoint.client(&Stop::new()).probe();
            let version = probe.version.as_deref().unwrap_or("of an unknown release");
            match probe.why {
                None if probe.dialect.too_old_for_tools() => (
                    Verdict::Wrong,
                    vec![format!(
                        "{base} is {version}, which never shows tools to agents: 2026.3.31 is the oldest that can work"
                    )],
                ),
                None => (Verdict::Good, vec![format!("{base} is ready ({version})")]),
                Some(why) => {
                    let detail = probe.detail.map_or(String::new(), |detail| format!(" ({detail})"));
                    let remedy = why.remedy().map_or(String::new(), |remedy| format!(" {remedy}"));
                    (Verdict::Wrong, vec![format!("{base}: {}{detail}.{remedy}", why.explain())])
                }
            }
        }
    };
    Check { name: "gateway", verdict, sentences }
}

/// Whether the service could listen, or listens already.
fn try_port(settings: &Settings) -> Check {
    let (host, port) = (settings.http.host.as_str(), settings.http.port);
    let (verdict, sentence) = match TcpListener::bind((host, port)) {
        Ok(_) => (Verdict::Good, format!("{host} port {port} is free")),
        Err(why) if why.kind() == ErrorKind::AddrInUse && is_ours(settings.http.connect_host(), port) => {
            (Verdict::Good, format!("{host} port {port}: the running service has it"))
        }
        Err(why) => (Verdict::Wrong, format!("{host} port {port}: {why}; see HEALTH_HOST and HEALTH_PORT")),
    };
    Check { name: "port", verdict, sentences: vec![sentence] }
}

/// Whether what listens there answers as a runtime does. Whoever takes longer than a moment does not.
fn is_ours(host: &str, port: u16) -> bool {
    let ask = || {
        let address = (host, port).to_socket_addrs()?.next().ok_or(ErrorKind::NotFound)?;
        let mut stream = TcpStream::connect_timeout(&address, MOMENT)?;
        stream.set_read_timeout(Some(MOMENT))?;
        stream.write_all(b"GET /version HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(ANSWER_BYTES).read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    ask().is_ok_and(|answer| answer.contains("\"runtimeServiceVersion\""))
}

/// One call that only reads: it takes address, trust, token and account to be right.
fn ask_backend(settings: &Settings, way: &Way) -> Check {
    let name = "backend";
    let through = way.endpoint.proxy().map(|proxy| format!("through the proxy {proxy} of the environment"));
    let answer = way.mission(settings, &Stop::new()).ask_within(PATIENCE, &GetOrchestrator {});
    match answer {
        Ok(found) => {
            let lead = if found.orchestrator_agent_id.is_some() { "an" } else { "no" };
            let known =
                format!("{} knows the account; it has {lead} orchestrator", settings.account.convex_url);
            Check { name, verdict: Verdict::Good, sentences: [known].into_iter().chain(through).collect() }
        }
        Err(error) => {
            let sentences = [error.to_string()].into_iter().chain(through).collect();
            Check { name, verdict: Verdict::Wrong, sentences }
        }
    }
}

/// A variable as it is shown: a secret that was put into the wrong one is not repeated here either.
struct Shown {
    line: String,
    is_given: bool,
    data: Value,
}

fn variables(ground: &Ground) -> Vec<Shown> {
    let clean = |text: &str| ground.redactor.clean(text);
    let rows = ground.configuration.report.rows.iter();
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
    for check in checks {
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
    let wrong = checks.iter().filter(|check| check.verdict == Verdict::Wrong).map(|check| check.name);
    match wrong.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => text.push_str("\nready to run\n"),
        names => text.push_str(&["\nnot ready to run: ", &names, "\n"].concat()),
    }
    text
}

fn as_data(variables: &[Shown], checks: &[Check]) -> String {
    let found = json!({
        "ok": checks.iter().all(|check| check.verdict != Verdict::Wrong),
        "checks": checks.iter().map(|check| json!({
            "name": check.name,
            "verdict": check.verdict.word().to_lowercase(),
            "findings": check.sentences,
        })).collect::<Vec<_>>(),
        "variables": variables.iter().map(|shown| &shown.data).collect::<Vec<_>>(),
    });
    format!("{found:#}\n")
}
