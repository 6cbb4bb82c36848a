//! `doctor`: is the ground sound, and if not, how is it mended?

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use log::LevelFilter;
use serde_json::json;

use super::exit::Exit;
use super::ground::{Ground, Way};
use super::print;
use crate::config::{Configuration, LogFormat, Settings};
use crate::convex::Backoff;
use crate::mission::GetOrchestrator;
use crate::telemetry;
use crate::wire::Stop;

/// Somebody is waiting in front of the terminal.
const PATIENCE: Duration = Duration::from_secs(10);

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
    /// What was found; what is wrong comes with its mend.
    sentences: Vec<String>,
}

/// Checks everything that can be checked, and prints it.
pub fn doctor(env_file: Option<&Path>, as_json: bool) -> Exit {
    let ground = Ground::survey(env_file);
    // What the calls would log stands in the findings.
    telemetry::start(LevelFilter::Off, LogFormat::Text, ground.redactor.clone());
    let mut checks = examine(&ground);
    for sentence in checks.iter_mut().flat_map(|check| &mut check.sentences) {
        *sentence = ground.redactor.clean(sentence);
    }
    let text = if as_json {
        as_data(&ground.configuration, &checks)
    } else {
        as_text(&ground.configuration, &checks)
    };
    let printed = print(&text);
    if checks.iter().any(|check| check.verdict == Verdict::Wrong) { Exit::Failed } else { printed }
}

fn examine(ground: &Ground) -> Vec<Check> {
    let report = &ground.configuration.report;
    let sentences = report.mistakes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let verdict = if sentences.is_empty() { Verdict::Good } else { Verdict::Wrong };
    let mut checks = vec![Check { name: "configuration", verdict, sentences }];
    let Some(settings) = &ground.configuration.settings else {
        let skipped = |name| Check {
            name,
            verdict: Verdict::Skipped,
            sentences: vec!["first mend the configuration".to_owned()],
        };
        checks.extend([skipped("certificates"), skipped("backend")]);
        return checks;
    };
    // Tried once: whoever asks wants to know how it is now.
    match ground.way(settings, Backoff::never()) {
        Ok(way) => {
            let sentences = vec![way.roots.describe()];
            checks.push(Check { name: "certificates", verdict: Verdict::Good, sentences });
            checks.push(ask_backend(settings, &way));
        }
        Err(bad) => {
            checks.push(Check {
                name: "certificates",
                verdict: Verdict::Wrong,
                sentences: vec![bad.to_string()],
            });
            let sentences = vec!["first mend the certificates".to_owned()];
            checks.push(Check { name: "backend", verdict: Verdict::Skipped, sentences });
        }
    }
    checks
}

/// One call that only reads: it takes address, trust, token and account to be right.
fn ask_backend(settings: &Settings, way: &Way) -> Check {
    let name = "backend";
    let through = way.endpoint.proxy().map(|proxy| format!("through the proxy {proxy} of the environment"));
    let answer = way.mission(settings, &Stop::new()).ask_within(PATIENCE, &GetOrchestrator {});
    match answer {
        Ok(found) => {
            let lead = if found.orchestrator_agent_id.is_some() { "has" } else { "has no" };
            let known =
                format!("{} knows the account, which {lead} orchestrator", settings.account.convex_url);
            Check { name, verdict: Verdict::Good, sentences: [known].into_iter().chain(through).collect() }
        }
        Err(error) => {
            let sentences = [error.to_string()].into_iter().chain(through).collect();
            Check { name, verdict: Verdict::Wrong, sentences }
        }
    }
}

fn as_text(configuration: &Configuration, checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let _ = writeln!(text, "{:<15} {}", check.name, check.verdict.word());
        for sentence in &check.sentences {
            let _ = writeln!(text, "  {sentence}");
        }
    }
    for warning in &configuration.report.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text.push_str("\nvariable = value (where from)\n");
    for row in &configuration.report.rows {
        let _ = writeln!(text, "{row}");
    }
    text
}

fn as_data(configuration: &Configuration, checks: &[Check]) -> String {
    let found = json!({
        "ok": checks.iter().all(|check| check.verdict == Verdict::Good),
        "checks": checks.iter().map(|check| json!({
            "name": check.name,
            "verdict": check.verdict.word().to_lowercase(),
            "findings": check.sentences,
        })).collect::<Vec<_>>(),
        "warnings": configuration.report.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "variables": configuration.report.rows.iter().map(|row| json!({
            "name": row.name,
            "value": row.value,
            "from": row.origin.to_string(),
            "note": row.note,
        })).collect::<Vec<_>>(),
    });
    format!("{found:#}\n")
}
