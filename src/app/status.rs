//! `status`: shows people the state of the running service.

use serde_json::{Value, json};

use super::color::StateColumn;
use super::exit::Exit;
use super::service_client::{CommandContext, ServiceEndpoint, ServiceLocation, is_health};
use super::{fail, print, print_states};
use mcr_core::ops::HealthReason;
use mcr_core::ops::reasons::explain;
use mcr_core::spans::{ago, counted, span};
use mcr_model::clock::{Clock as _, Millis, SystemClock};
use std::time::Duration;

/// Prints the state. Succeeds if the service answers; with `ready`, only if it also delivers.
pub fn status(at: &ServiceLocation, as_json: bool, ready: bool) -> Exit {
    let failed = |lines: &[String]| fail(as_json, Exit::Failed, lines);
    let context = match CommandContext::find(at, as_json) {
        Ok(context) => context,
        Err(exit) => return exit,
    };
    let (own, elsewhere) = context.service().map_or_else(|why| (None, Some(why)), |own| (own, None));
    let Some(service) = own.or_else(|| context.listener()) else {
        if let Some(why) = elsewhere {
            return failed(&[why]);
        }
        return failed(&[
            format!("No service runs on STATE_DIR {}.", context.place.path().display()),
            "Start it with `run`, or name the folder of the service with --state-dir. `doctor` lists what prevents a start."
                .to_owned(),
        ]);
    };
    let health = match service.get("/health") {
        Ok((200, health)) if is_health(&health) => context.cleaned(&health),
        Ok(_) => {
            return failed(&[format!(
                "The server at {} is another program, not this service. Check HEALTH_HOST and HEALTH_PORT.",
                service.address
            )]);
        }
        Err(why) => {
            let why = context.clean(&why);
            let start = || "Start it with `run`. If it does not start, `doctor` shows the reason.".to_owned();
            return failed(&[
                format!("No service answers at {} ({why}).", service.address),
                elsewhere.unwrap_or_else(start),
            ]);
        }
    };
    let is_ready = matches!(service.get("/readyz"), Ok((200, _)));
    let quiet_mode = service.token.as_ref().and_then(|_| context.quiet_mode(&service));
    let printed = if as_json {
        print(&format!(
            "{:#}\n",
            json!({"address": service.address, "ready": is_ready, "health": health, "quietMode": quiet_mode})
        ))
    } else {
        let shown = [
            text(&health, &service.address, is_ready),
            quiet_mode.map(|words| line("quiet mode", &words)).unwrap_or_default(),
            line("page", &context.page(&service, elsewhere)),
        ];
        print_states(&shown.concat(), StateColumn(12))
    };
    if ready && !is_ready { Exit::Failed } else { printed }
}

impl CommandContext {
    /// A foreign text, cleaned for display. Our own words stay as they are: words about tokens look like
    /// secrets.
    fn cleaned(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.clean(text).into(),
            Value::Array(values) => values.iter().map(|value| self.cleaned(value)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (self.clean(name), self.cleaned(value))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// What quiet mode has saved or would have saved, from the operator API.
    fn quiet_mode(&self, service: &ServiceEndpoint) -> Option<String> {
        let (_, overview) = service.get("/overview").ok().filter(|(status, _)| *status == 200)?;
        overview["quietMode"].as_str().map(|words| self.clean(words))
    }

    /// The link to the live page, with the token that people need, or why there is none.
    fn page(&self, service: &ServiceEndpoint, elsewhere: Option<String>) -> String {
        match (&service.token, elsewhere) {
            (Some(token), _) => format!("http://{}/#token={}", service.address, token.expose()),
            (None, Some(why)) => format!("no link: {why}"),
            (None, None) => {
                format!("no link: no operator token can be read in STATE_DIR {}", self.place.path().display())
            }
        }
    }
}

/// How many threads the loop brake has stopped, if it has stopped any.
fn stopped_threads(guardrails: &Value) -> Option<String> {
    let count = guardrails["stoppedThreads"].as_u64().filter(|count| *count > 0)?;
    let wait = if count == 1 { "waits" } else { "wait" };
    Some(format!("{} {wait} for a person's message; the page lists them", counted(count, "thread")))
}

/// A restart or an upgrade that is being carried out, or why the last one failed.
fn request(operation: &Value) -> Option<String> {
    let (kind, step) = (operation["kind"].as_str()?, operation["step"].as_str()?);
    let version = operation["to"]["runtime"].as_str().unwrap_or_default();
    let what = if kind == "upgrade" { format!("upgrade to {version}") } else { kind.to_owned() };
    if step != "done" {
        return Some(format!("{what}: {step}"));
    }
    let outcome = &operation["outcome"];
    let result = outcome["kind"].as_str().filter(|result| ["failed", "rolled_back"].contains(result))?;
    let reason = outcome["reason"].as_str().unwrap_or_default();
    Some(format!("{what}: {}: {reason}", result.replace('_', " ")))
}

fn text(health: &Value, address: &str, is_ready: bool) -> String {
    let (now, delivery, gateway) = (SystemClock.now(), &health["delivery"], &health["gateway"]);
    let up = Duration::from_secs_f64(health["uptime"].as_f64().unwrap_or_default().max(0.0));
    let ready = if is_ready { "ready" } else { "not ready" };
    let status = health["status"].as_str().unwrap_or_default();
    let mut text = line("status", &format!("{status}, {ready}, up for {}, at {address}", span(up)));
    for line_of in reasons(health) {
        text += &line("", &line_of);
    }
    let paused: mcr_core::ops::Paused = serde_json::from_value(health["paused"].clone()).unwrap_or_default();
    if !paused.is_empty() {
        text += &line("paused", &paused.in_words());
    }
    if let Some(words) = request(&health["requests"]["operation"]) {
        text += &line("request", &words);
    }
    if let Some(words) = stopped_threads(&delivery["guardrails"]) {
        text += &line("loop brake", &words);
    }
    for scope in health["budget"]["scopes"].as_array().into_iter().flatten() {
        let (agent, words) = (scope["agent"].as_str(), scope["words"].as_str().unwrap_or_default());
        text += &line("budgets", &format!("{}: {words}", agent.unwrap_or("account")));
    }
    for warning in health["budget"]["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        text += &line("budgets", warning);
    }
    let version = health["versions"]["openclaw"].as_str().filter(|version| *version != "unknown");
    let version = version.unwrap_or("version unknown");
    let way =
        gateway["closed"].as_str().map_or_else(|| format!("open, {version}"), |why| format!("closed: {why}"));
    text += &line("gateway", &way);
    // A turn that met the closed breaker reports the same error.
    if let Some(error) = gateway["lastSendError"].as_str().filter(|error| gateway["closed"] != *error) {
        text += &line("", &format!("its last turn: {error}"));
    }
    let backend = &health["backend"];
    let answers = if backend["accepted"] == true {
        "answers and knows the account"
    } else {
        "refuses the token, or does not answer"
    };
    text += &line("backend", backend["lastError"].as_str().unwrap_or(answers));
    let count = |name: &str| delivery[name].as_u64().unwrap_or_default();
    let ended = delivery["ended"].as_object().into_iter().flatten();
    let ended: Vec<String> = ended.map(|(name, count)| format!("{count} {name}")).collect();
    let ended = if ended.is_empty() { "none ended".to_owned() } else { ended.join(", ") };
    text += &line(
        "deliveries",
        &format!("{} not settled, {} at work; since start: {ended}", count("waiting"), count("inFlight")),
    );
    for turn in delivery["turns"].as_array().into_iter().flatten() {
        let (row, agent) = (&turn["notificationId"], turn["agent"].as_str().unwrap_or("an agent"));
        let quiet = Duration::from_secs_f64(turn["quietSeconds"].as_f64().unwrap_or_default().max(0.0));
        let state = turn["state"].as_str().unwrap_or_default();
        let row = row.as_str().unwrap_or_default();
        text += &line("", &format!("{agent} {state} on {row}, last sign of life {} ago", span(quiet)));
    }
    if count("dead") > 0 {
        text += &line("dead", &format!("{} given up: `dead list`", count("dead")));
    }
    if let (Some(error), Some(at)) = (delivery["lastErrorMessage"].as_str(), delivery["lastErrorAt"].as_i64())
    {
        text += &line("last error", &format!("{}: {error}", ago(Millis(at), now)));
    }
    text += &line("heartbeats", &heartbeats(&health["heartbeat"]));
    if health["workspaces"]["enabled"] == true {
        text += &line("workspaces", &workspaces(&health["workspaces"], now));
    }
    let (displaced, off) = (health["ledger"]["displaced"].as_str(), health["ledger"]["off"].as_str());
    let ledger = displaced.map(|why| format!("not in its place: {why}"));
    let ledger =
        ledger.or_else(|| off.map(|why| format!("off: {why}"))).unwrap_or_else(|| "written".to_owned());
    text += &line("ledger", &ledger);
    text
}

/// The heartbeats since the start in one line.
fn heartbeats(state: &Value) -> String {
    if state["running"] != true {
        return "off".to_owned();
    }
    let beats = &state["beats"];
    let count = |name: &str| beats[name].as_u64().unwrap_or_default();
    let agents = state["scheduledAgents"].as_u64().unwrap_or_default();
    let mut parts = vec![format!(
        "{} sent, {} did work, {} saved; {} scheduled",
        count("prompted"),
        count("didWork"),
        count("saved"),
        counted(agents, "agent")
    )];
    if let Some(saved) = beats["tokensSaved"].as_u64().filter(|saved| *saved > 0) {
        parts.push(format!("{} tokens used, about {saved} saved", count("tokens")));
    }
    let agents = state["agents"].as_array().into_iter().flatten();
    let failing = agents.filter_map(|agent| Some((agent["agent"].as_str()?, agent["lastError"].as_str()?)));
    parts.extend(failing.take(3).map(|(agent, why)| format!("that of {agent} failed: {why}")));
    parts.join("; ")
}

/// The state of the agents' workspaces in one line.
fn workspaces(state: &Value, now: Millis) -> String {
    let Some(at) = state["lastSyncAt"].as_i64() else {
        return "not compared with Mission Control yet".to_owned();
    };
    let agents = || state["agents"].as_array().into_iter().flatten();
    let error = agents().find_map(|agent| agent["error"].as_str());
    if let Some(error) = state["error"].as_str().or(error).or_else(|| state["kept"].as_str()) {
        return error.to_owned();
    }
    let remarks =
        agents().filter(|agent| agent["warnings"].as_array().is_some_and(|list| !list.is_empty())).count()
            + state["rejected"].as_array().map_or(0, Vec::len);
    let remarks =
        if remarks == 0 { String::new() } else { format!(", {remarks} with remarks in `status --json`") };
    let changed = agents().filter_map(|agent| agent["changedAt"].as_i64()).max();
    let changed = changed.map_or_else(String::new, |at| format!(", last change {}", ago(Millis(at), now)));
    format!("{} as in Mission Control {}{changed}{remarks}", state["count"], ago(Millis(at), now))
}

/// The reasons for not being healthy. An open breaker follows from the gateway's failure, so that line only
/// names it.
fn reasons(health: &Value) -> Vec<String> {
    let breaker = HealthReason::BreakerOpen.as_str();
    let reasons = health["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let reasons: Vec<&str> = reasons.collect();
    let of_gateway = |reason: &str| {
        let open = [HealthReason::GatewayTooOld, HealthReason::GatewayHistoryClosed];
        reason.starts_with("gateway_") && !open.iter().any(|known| known.as_str() == reason)
    };
    let cause = reasons.iter().position(|reason| of_gateway(reason)).filter(|_| reasons.contains(&breaker));
    let line = |(at, reason): (usize, &&str)| match cause {
        Some(cause) if cause == at => Some(format!("{reason}, {breaker}: {}", explain(reason))),
        Some(_) if *reason == breaker => None,
        _ => Some(format!("{reason}: {}", explain(reason))),
    };
    reasons.iter().enumerate().filter_map(line).collect()
}

/// A name and a text, in aligned columns.
fn line(name: &str, words: &str) -> String {
    format!("{name:<11} {words}\n")
}
