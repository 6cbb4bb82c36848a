//! The agents that a gateway lists.

/// The list of models names this agent on every gateway, whether it exists or not.
pub const ALWAYS_LISTED: &str = "default";

/// What precedes an agent in the list of models.
const PREFIX: &str = "openclaw/";

/// The agents in a list of models, which has one model for each agent. `None` without any: every gateway has one, so
/// such a list proves nothing.
pub fn listed<'a>(models: impl IntoIterator<Item = &'a str>) -> Option<Vec<String>> {
    let ids = models.into_iter().filter_map(|model| model.strip_prefix(PREFIX));
    let agents: Vec<String> = ids.filter(|id| *id != ALWAYS_LISTED).map(str::to_owned).collect();
    (!agents.is_empty()).then_some(agents)
}

/// Whether the list has this agent. A gateway's ids have no case.
pub fn is_named(listed: &[String], slug: &str) -> bool {
    slug.eq_ignore_ascii_case(ALWAYS_LISTED) || listed.iter().any(|id| id.eq_ignore_ascii_case(slug))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec §2: the list as 2026.3.31, 2026.5.7, 2026.7.1 and 2026.9.6 give it.
    #[test]
    fn a_list_of_models_names_the_agents() {
        let models = ["openclaw", "openclaw/default", "openclaw/engineer", "openclaw/qa"];
        let agents = listed(models).unwrap();
        assert_eq!(agents, ["engineer", "qa"]);
        assert!(is_named(&agents, "Engineer") && is_named(&agents, "default") && !is_named(&agents, "eng"));
        for nothing in [&models[..2], &["gpt-4", "engineer"], &[]] {
            assert_eq!(listed(nothing.iter().copied()), None, "{nothing:?}");
        }
    }
}
