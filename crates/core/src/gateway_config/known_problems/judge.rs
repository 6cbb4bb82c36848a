//! Judges each known problem by what is known of a gateway.

use serde_json::{Map, Value};

use super::defaults::{OpenHistory, OwnHeartbeat};
use super::{Diagnosis, Sight};
use crate::gateway::agents::is_named;
use crate::gateway_config::{Form, agents};

/// The tools of the gateway that show the history of a session.
pub(super) const HISTORY_TOOLS: [&str; 2] = ["sessions_list", "sessions_history"];

pub(super) fn endpoint(sight: &Sight<'_>) -> Diagnosis {
    let path = ["gateway", "http", "endpoints", "responses", "enabled"];
    let configured = sight.facts.config.map(|_| sight.get(&path) == Some(&Value::Bool(true)));
    match sight.facts.endpoint.or(configured) {
        Some(true) => Diagnosis::Fine,
        // The configuration switches it on, so `hot_reload` names the reason.
        Some(false) if configured == Some(true) => Diagnosis::Fine,
        Some(false) => Diagnosis::Wrong(
            "the endpoint for turns is off: set gateway.http.endpoints.responses.enabled to true".to_owned(),
        ),
        None => Diagnosis::Unseen,
    }
}

/// The agents of the account that the gateway has neither running nor configured.
pub(super) fn missing<'a>(sight: &Sight<'a>) -> Vec<&'a str> {
    let configured = sight.facts.config.map(|config| agents::ids(config).unwrap_or_default());
    let is_known = |slug: &str| {
        let listed = sight.facts.listed.is_some_and(|listed| is_named(listed, slug));
        let configured = configured.as_ref().is_some_and(|configured| is_named(configured, slug));
        listed || configured
    };
    sight.facts.team.into_iter().flatten().map(String::as_str).filter(|slug| !is_known(slug)).collect()
}

pub(super) fn agents(sight: &Sight<'_>) -> Diagnosis {
    if sight.facts.team.is_none() || (sight.facts.listed.is_none() && sight.facts.config.is_none()) {
        return Diagnosis::Unseen;
    }
    let missing = missing(sight);
    if missing.is_empty() {
        return Diagnosis::Fine;
    }
    Diagnosis::Wrong(format!(
        "the gateway does not know {}: {}",
        missing.join(", "),
        sight.roster_form().how_to_add(&missing)
    ))
}

pub(super) fn history(sight: &Sight<'_>) -> Diagnosis {
    let allows = |key: &str| {
        let allowed = sight.get(&["tools", key]).and_then(Value::as_array);
        allowed.is_some_and(|allowed| HISTORY_TOOLS.iter().all(|tool| allowed.iter().any(|one| one == tool)))
    };
    let configured = allows("alsoAllow") || allows("allow");
    match (sight.facts.history, sight.facts.config, sight.defaults.history) {
        (Some(true), _, _) => Diagnosis::Fine,
        (None, Some(_), OpenHistory::Closed) if configured => Diagnosis::Fine,
        (Some(false), Some(_), _) if configured => Diagnosis::Wrong(
            "the history of sessions is closed, although the configuration opens it: restart the gateway".to_owned(),
        ),
        (Some(false), _, _) | (None, Some(_), OpenHistory::Closed) => Diagnosis::Wrong(
            "the history of sessions is closed, so a lost answer cannot be found again: set tools.alsoAllow to \
             [\"sessions_list\", \"sessions_history\"], and restart the gateway"
                .to_owned(),
        ),
        (None, None, _) | (None, Some(_), OpenHistory::Open) => Diagnosis::Unseen,
    }
}

pub(super) fn hot_reload(sight: &Sight<'_>) -> Diagnosis {
    let Some(config) = sight.facts.config else { return Diagnosis::Unseen };
    let mut stale = Vec::new();
    if let (Some(configured), Some(listed)) = (agents::ids(config), sight.facts.listed) {
        let not_listed = configured.into_iter().filter(|id| !is_named(listed, id));
        stale.extend(not_listed.map(|id| format!("the agent {id}")));
    }
    let path = ["gateway", "http", "endpoints", "responses", "enabled"];
    if sight.facts.endpoint == Some(false) && sight.get(&path) == Some(&Value::Bool(true)) {
        stale.push("the endpoint for turns".to_owned());
    }
    if !stale.is_empty() {
        return Diagnosis::Wrong(format!(
            "the configuration has {}, but the running gateway does not: the change has not taken effect; restart the \
             gateway",
            stale.join(", ")
        ));
    }
    if sight.get(&["gateway", "reload", "mode"]).and_then(Value::as_str) == Some("off") {
        return Diagnosis::Note(
            "gateway.reload.mode is off, so changes of the configuration take effect only when the gateway restarts"
                .to_owned(),
        );
    }
    if sight.facts.listed.is_some() { Diagnosis::Fine } else { Diagnosis::Unseen }
}

pub(super) fn sandbox(sight: &Sight<'_>) -> Diagnosis {
    let Some(config) = sight.facts.config else { return Diagnosis::Unseen };
    let is_on = |sandbox: Option<&Value>| {
        let mode = sandbox.and_then(|sandbox| sandbox.get("mode")).and_then(Value::as_str);
        mode.is_some_and(|mode| mode != "off")
    };
    let each = agents::settings_of_each(config);
    let some_agent = each.iter().any(|(_, settings)| is_on(settings.get("sandbox")));
    if !is_on(sight.get(&["agents", "defaults", "sandbox"])) && !some_agent {
        return Diagnosis::Fine;
    }
    match sight.facts.engine {
        Some(true) => Diagnosis::Fine,
        Some(false) => Diagnosis::Wrong(
            "agents run in a sandbox, but this machine has neither docker nor podman, so their turns fail with an \
             internal error: install the engine, or set agents.defaults.sandbox.mode to off"
                .to_owned(),
        ),
        None => Diagnosis::Unseen,
    }
}

pub(super) fn tool_search(sight: &Sight<'_>) -> Diagnosis {
    let knows = !matches!(sight.form, Form::List { tool_search: false, .. });
    if !knows || !sight.facts.client_tools {
        return Diagnosis::Fine;
    }
    if sight.facts.config.is_none() {
        return Diagnosis::Unseen;
    }
    match sight.get(&["tools", "toolSearch"]) {
        Some(Value::Bool(false)) => Diagnosis::Fine,
        None if !sight.defaults.tool_search => Diagnosis::Fine,
        found => Diagnosis::Note(format!(
            "Tool Search is on{}, so agents see a search tool instead of the tools of Mission Control: set \
             tools.toolSearch to false",
            if found.is_none() { " by default" } else { "" }
        )),
    }
}

/// Whether a schedule such as `30m` wakes agents. Without a schedule, the gateway has its own.
fn wakes(heartbeat: &Map<String, Value>) -> bool {
    let every = heartbeat.get("every").and_then(Value::as_str);
    every.is_none_or(|every| every.bytes().any(|b| matches!(b, b'1'..=b'9')))
}

pub(super) fn own_heartbeat(sight: &Sight<'_>) -> Diagnosis {
    let Some(config) = sight.facts.config else { return Diagnosis::Unseen };
    let common = sight.get(&["agents", "defaults", "heartbeat"]).and_then(Value::as_object);
    let each = agents::settings_of_each(config);
    let is_off_for_all = common.is_some_and(|common| !wakes(common));
    let own: Vec<&str> = each
        .iter()
        .filter_map(|(id, settings)| Some((id, settings.get("heartbeat")?.as_object()?)))
        .filter(|(_, own)| if own.contains_key("every") { wakes(own) } else { !is_off_for_all })
        .map(|(id, _)| id.as_str())
        .collect();
    let by_default = match sight.defaults.heartbeat {
        OwnHeartbeat::On => true,
        OwnHeartbeat::OfSingleAgent => each.len() < 2,
    };
    let who = match (own.is_empty(), common) {
        (false, _) => own.join(", "),
        (true, Some(common)) if wakes(common) => "its agents".to_owned(),
        (true, None) if by_default => "its agents".to_owned(),
        (true, _) => return Diagnosis::Fine,
    };
    Diagnosis::Note(format!(
        "the gateway wakes {who} on a schedule of its own, besides the runtime's, and each of these turns costs money: set \
         agents.defaults.heartbeat.every to \"0m\", and that of single agents, too"
    ))
}

/// Whether sessions with this setting are reset every day.
pub(super) fn is_daily(reset: &Value, sight: &Sight<'_>) -> bool {
    reset.get("mode").and_then(Value::as_str).map_or(sight.defaults.daily_reset, |mode| mode == "daily")
}

pub(super) fn daily_reset(sight: &Sight<'_>) -> Diagnosis {
    if sight.facts.config.is_none() {
        return Diagnosis::Unseen;
    }
    let common = match (sight.get(&["session", "reset"]), sight.get(&["session", "idleMinutes"])) {
        (Some(reset), _) => is_daily(reset, sight),
        // The former setting keeps sessions until they are idle.
        (None, Some(_)) => false,
        (None, None) => sight.defaults.daily_reset,
    };
    // The sessions of the runtime are of this kind; its former name is `dm`.
    let own = ["direct", "dm"].iter().find_map(|kind| sight.get(&["session", "resetByType", kind]));
    if own.map_or(common, |own| is_daily(own, sight)) {
        return Diagnosis::Note(format!(
            "the gateway resets sessions every day at 04:00, so agents forget their tasks overnight: set session.reset \
             to {}",
            crate::gateway_config::settings::reset_never(sight.form)
        ));
    }
    Diagnosis::Fine
}

/// The folders of the workspaces that the configuration names.
pub fn workspaces(config: &Value) -> Vec<&str> {
    let agents = config.get("agents");
    let part = |key: &str| agents.and_then(|agents| agents.get(key));
    let entries = part("entries").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let list = part("list").and_then(Value::as_array).into_iter().flatten();
    part("defaults")
        .into_iter()
        .chain(entries)
        .chain(list)
        .filter_map(|settings| settings.get("workspace")?.as_str())
        .collect()
}

pub(super) fn retired_files(sight: &Sight<'_>) -> Diagnosis {
    match sight.facts.retired {
        None => Diagnosis::Unseen,
        Some([]) => Diagnosis::Fine,
        Some(files) => Diagnosis::Note(format!(
            "this release does not read {}: run `openclaw doctor --fix`, which moves what they contain",
            files.join(", ")
        )),
    }
}

pub(super) fn concurrency(sight: &Sight<'_>) -> Diagnosis {
    if sight.facts.config.is_none() {
        return Diagnosis::Unseen;
    }
    let (wanted, path) = (sight.facts.turns, ["agents", "defaults", "maxConcurrent"]);
    let configured = sight.get(&path).and_then(Value::as_u64);
    let most = configured.unwrap_or(sight.defaults.turns);
    if most >= wanted {
        return Diagnosis::Fine;
    }
    let most = if configured.is_some() { most.to_string() } else { format!("{most} by default") };
    Diagnosis::Note(format!(
        "the gateway runs {most} turns at once, and DELIVERY_MAX_CONCURRENT_SESSIONS is {wanted}: set \
         agents.defaults.maxConcurrent to {wanted}"
    ))
}
