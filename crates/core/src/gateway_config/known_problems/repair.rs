//! How the configuration is changed so that a known problem is gone.

use serde_json::{Value, json};

use super::Sight;
use super::judge::{HISTORY_TOOLS, is_daily, missing};
use crate::gateway_config::agents;
use crate::gateway_config::settings;
use crate::gateway_config::tree::Tree;

pub(super) fn endpoint(tree: &mut Tree, _: &Sight<'_>) -> bool {
    settings::endpoint_on(tree);
    true
}

pub(super) fn agents(tree: &mut Tree, sight: &Sight<'_>) -> bool {
    agents::add(tree, &missing(sight), sight.facts.listed.unwrap_or_default(), sight.form)
}

pub(super) fn history(tree: &mut Tree, _: &Sight<'_>) -> bool {
    // The gateway refuses a file with both lists.
    let key = if tree.get(&["tools", "allow"]).is_some() { "allow" } else { "alsoAllow" };
    let mut allowed = match tree.get(&["tools", key]) {
        None => Vec::new(),
        Some(Value::Array(allowed)) => allowed.clone(),
        Some(_) => return false,
    };
    allowed.extend(
        HISTORY_TOOLS
            .iter()
            .map(|tool| json!(tool))
            .filter(|tool| !allowed.contains(tool))
            .collect::<Vec<_>>(),
    );
    tree.set(&["tools", key], allowed);
    true
}

pub(super) fn tool_search(tree: &mut Tree, sight: &Sight<'_>) -> bool {
    settings::tool_search_off(tree, sight.form);
    true
}

pub(super) fn own_heartbeat(tree: &mut Tree, _: &Sight<'_>) -> bool {
    settings::own_heartbeat_off(tree);
    agents::change_each(tree, |settings| {
        if let Some(Value::Object(heartbeat)) = settings.get_mut("heartbeat") {
            heartbeat.insert("every".to_owned(), json!("0m"));
        }
    });
    true
}

pub(super) fn daily_reset(tree: &mut Tree, sight: &Sight<'_>) -> bool {
    tree.set(&["session", "reset"], settings::reset_never(sight.form));
    for kind in ["direct", "dm"] {
        let path = ["session", "resetByType", kind];
        if tree.get(&path).is_some_and(|reset| is_daily(reset, sight)) {
            tree.remove(&path);
        }
    }
    true
}

pub(super) fn concurrency(tree: &mut Tree, sight: &Sight<'_>) -> bool {
    tree.set(&["agents", "defaults", "maxConcurrent"], sight.facts.turns);
    true
}
