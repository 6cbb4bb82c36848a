//! What an agent may do: three layers of flags, of which the innermost overrides the others (backend-contract §3.3).

use serde_json::{Map, Value, json};

use crate::rows::{Account, Agent};

/// The effective flags: the agent's own override the account's, which override the shared defaults. Unknown keys of a
/// layer are kept, as in the original.
pub(crate) fn effective(account: &Account, agent: Option<&Agent>) -> Map<String, Value> {
    let defaults = json!({
        "canCreateTasks": false, "canModifyTaskStatus": true, "canCreateDocuments": true,
        "canMentionAgents": true, "canReviewTasks": false, "canMarkDone": false,
    });
    let of_account =
        account.settings.agent_defaults.as_ref().and_then(|defaults| defaults.get("behaviorFlags"));
    let of_agent = agent.and_then(|agent| agent.openclaw_config.as_ref()?.behavior_flags.as_ref());
    let layers = [Some(&defaults), of_account, of_agent];
    let fields = layers.into_iter().flatten().filter_map(Value::as_object).flatten();
    fields.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether an agent may do what the flag names.
pub(crate) fn allows(account: &Account, agent: &Agent, flag: &str) -> bool {
    effective(account, Some(agent)).get(flag) == Some(&Value::Bool(true))
}
