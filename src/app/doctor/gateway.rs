//! Checks of the gateway: whether it is reachable, accepts the credentials and has the agents. On request, also a real
//! turn.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::configuration::{ConfigurationOptions, GatewayFindings};
use super::{Check, CheckResult};
use crate::app::command_env::BackendConnection;
use mcr_clients::gateway::{GatewayEndpoint, HttpGateway, Probe};
use mcr_clients::wire::Stop;
use mcr_config::Settings;
use mcr_core::gateway::dialect::{Behaviour, Dialect, HistoryWay};
use mcr_core::gateway::{Gateway as _, Input, Tool, Turn};
use mcr_model::random;
use mcr_model::redact::Redactor;
use mcr_model::{Agent, BaseUrl, SessionKey, ToolEndpoints};
use mcr_service::clock::Pulse;

/// The longest silence of the turn. It is short because a person waits at the terminal.
const TURN: Duration = Duration::from_mins(3);
/// The most characters of the answer that are shown.
const ANSWER_CHARS: usize = 400;

fn client(
    settings: &Settings,
    way: &BackendConnection,
    redactor: &Arc<Redactor>,
    silence: Duration,
) -> Option<HttpGateway> {
    let base = settings.gateway.url.clone()?;
    let endpoint =
        GatewayEndpoint::new(base, settings.gateway.token.clone(), &way.roots, redactor.clone(), silence);
    Some(endpoint.client(&Stop::new()))
}

/// Checks whether the gateway is reachable, would accept turns, is new enough for tools, and has these agents; and its
/// configuration. The error says why the agents are unknown.
pub(super) fn ask(
    settings: &Settings,
    way: &BackendConnection,
    redactor: &Arc<Redactor>,
    team: Result<&[Agent], &str>,
    options: &ConfigurationOptions,
) -> Vec<Check> {
    let gateway = client(settings, way, redactor, settings.gateway.silence_max);
    let probe = gateway.as_ref().map(HttpGateway::probe);
    let asked = gateway.as_ref().zip(probe.as_ref());
    if let Some((gateway, _)) = asked.filter(|(_, probe)| probe.ready) {
        gateway.identify();
    }
    let findings = GatewayFindings::collect(settings, asked, team, options);
    let reached = if let (Some(base), Some(asked)) = (&settings.gateway.url, asked) {
        reached(settings, base, asked, team, &findings)
    } else {
        let words = "none is configured: nothing is sent to agents; set OPENCLAW_GATEWAY_URL".to_owned();
        Check::new("gateway", CheckResult::Skipped, vec![words])
    };
    let patched = options.patch.as_deref().map(|path| findings.write_patch(path));
    [reached, findings.check()].into_iter().chain(patched).collect()
}

/// The check of a configured gateway.
fn reached(
    settings: &Settings,
    base: &BaseUrl,
    (gateway, probe): (&HttpGateway, &Probe),
    team: Result<&[Agent], &str>,
    findings: &GatewayFindings,
) -> Check {
    let mut check = Check::new("gateway", CheckResult::Good, Vec::new());
    let (dialect, version) = (gateway.dialect(), gateway.version());
    let version = version.as_deref().unwrap_or("of an unknown release");
    if let Some(why) = probe.why {
        // If the gateway is unreachable, the detail begins with its address.
        let base = base.to_string();
        let says_where = probe.detail.as_ref().is_some_and(|detail| detail.starts_with(&base));
        let place = if says_where { String::new() } else { format!("{base}: ") };
        let detail = probe.detail.as_ref().map_or(String::new(), |detail| format!(" ({detail})"));
        let remedy = why.remedy().map_or(String::new(), |remedy| format!(" {remedy}"));
        check.wrong(format!("{place}{}{detail}.{remedy}", why.explain()));
        return check;
    }
    check.say(format!("{base} is ready ({version})"));
    say_behaviour(&mut check, dialect);
    if dialect.too_old_for_tools() {
        if settings.http.tool_endpoints == ToolEndpoints::Off {
            check.wrong(
                "this release never shows function tools to agents, and AGENT_API is off, so agents cannot change the \
                 board: set AGENT_API to auto, or upgrade the gateway to 2026.3.31 or newer"
                    .to_owned(),
            );
            return check;
        }
        check.note(format!(
            "{base} is {version}, which never shows function tools to agents: they use the HTTP endpoints instead (AGENT_API). \
             2026.3.31 is the oldest release with function tools, 2026.9 is recommended"
        ));
    }
    match (team, findings.listed()) {
        (Err(why), _) => {
            check.say(format!(
                "the agents were not checked, because Mission Control did not list them: {why}"
            ));
        }
        (Ok([]), _) => check.say("the account has no agents that it must know".to_owned()),
        (Ok(team), Some(_)) => match findings.missing(team).explain() {
            Some(why) => check.wrong(why),
            None => check.say(format!("it knows all {} agents of the account", team.len())),
        },
        (Ok(_), None) => check.say(
            "it does not list its agents, so an agent that it does not have is found out only by its turns"
                .to_owned(),
        ),
    }
    check
}

/// Shows what the runtime assumes of the release, and the way to the history.
fn say_behaviour(check: &mut Check, dialect: Dialect) {
    if let Some(doubt) = dialect.doubt() {
        check.note(doubt.to_owned());
    }
    let Behaviour {
        tools,
        several_calls,
        hang_up_ends_run,
        resumes,
        agents,
        errors,
        daily_reset,
        own_heartbeat,
        ..
    } = dialect.behaviour();
    let yes = |is_so| if is_so { "yes" } else { "no" };
    check.say(format!(
        "behaviour: {} tools, several calls in a reply: {}, a hang-up ends the run: {}, interrupted runs are resumed: {}, \
         agents in {}, failures as {}, daily reset by default: {}, own heartbeat by default: {}",
        tools.name(),
        yes(several_calls),
        yes(hang_up_ends_run),
        yes(resumes),
        agents.name(),
        errors.name(),
        yes(daily_reset),
        yes(own_heartbeat),
    ));
    match dialect.history {
        Some(HistoryWay::Closed) => check.note(format!(
            "it shows no session, so a lost answer cannot be found and ends as dead: {}",
            HistoryWay::REMEDY
        )),
        Some(way) => check.say(format!("a lost answer is read {}", way.name())),
        None => check.note("it could not be asked whether it shows its sessions".to_owned()),
    }
}

/// Runs one real turn of one agent, in a new session.
pub(super) fn live(
    settings: &Settings,
    way: &BackendConnection,
    redactor: &Arc<Redactor>,
    team: Result<&[Agent], &str>,
) -> Check {
    let Some(gateway) = client(settings, way, redactor, TURN) else {
        return Check::new("live turn", CheckResult::Skipped, vec!["no gateway is configured".to_owned()]);
    };
    let agent = match team {
        Ok([agent, ..]) => agent,
        Ok([]) => {
            let words = "the account has no agents".to_owned();
            return Check::new("live turn", CheckResult::Skipped, vec![words]);
        }
        Err(why) => {
            let words = format!("Mission Control did not list the agents: {why}");
            return Check::new("live turn", CheckResult::Skipped, vec![words]);
        }
    };
    let tool = Tool {
        name: "doctor_probe",
        description: "Tells the operator that your tools work. Call it once.".to_owned(),
        parameters: json!({"type": "object", "properties": {}, "additionalProperties": false}),
    };
    let session = SessionKey::new(format!("doctor:{}", random::hex::<8>()));
    let pulse = Pulse::new();
    let turn = Turn {
        session: &session,
        agent: &agent.slug,
        instructions: "This is a test by the operator of this machine. It belongs to no task.",
        input: Input::Message(
            "A test: if you are offered the tool doctor_probe, call it; otherwise say in one short sentence that you are there.",
        ),
        tools: &[&tool],
        pulse: &pulse,
    };
    match gateway.turn(&turn, &mut |_| {}) {
        Err(error) => Check::new("live turn", CheckResult::Wrong, vec![format!("{}: {error}", agent.slug)]),
        Ok(reply) => {
            let mut check = Check::new("live turn", CheckResult::Good, Vec::new());
            let text = reply.text.unwrap_or_default();
            let text = redactor.excerpt(&text.split_whitespace().collect::<Vec<_>>().join(" "), ANSWER_CHARS);
            let said = if text.is_empty() { "nothing".to_owned() } else { format!("“{text}”") };
            check.say(format!("{} answered: {said}", agent.slug));
            match reply.calls.first() {
                Some(call) if call.name == tool.name => {
                    check.say("it has called the tool that it was offered".to_owned());
                }
                _ => check.say(
                    "it has not called the tool that it was offered; if agents do not use their tools, set \
                     tools.toolSearch to false at the gateway"
                        .to_owned(),
                ),
            }
            if let Some(usage) = reply.usage {
                check.say(format!("it cost {usage}"));
            }
            check
        }
    }
}
