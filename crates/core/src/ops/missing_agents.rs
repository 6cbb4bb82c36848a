//! The agents of the account that the gateway does not have.

use std::collections::{BTreeSet, HashSet};

use serde::Serialize;

use crate::gateway::agents::ALWAYS_LISTED;
use crate::gateway::codec::agent_id;
use crate::gateway_config::Form;
use crate::workspace::FolderName;

/// The most agents that a sentence or `/health` names.
const NAMED_MAX: usize = 20;

/// The agents of the account that the gateway's list of its agents lacks. Their turns wait until the list has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingAgents {
    /// By slug.
    slugs: BTreeSet<String>,
    /// What to do about them: a clause.
    advice: String,
    /// The agents that the gateway lists, if it lists none of the account's.
    strangers: Option<String>,
}

/// The missing agents in `/health`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MissingAgentsReport {
    /// How many agents are missing.
    pub count: usize,
    /// The first ones, by slug.
    pub agents: Vec<String>,
    /// What to do about them; none without missing agents.
    pub advice: Option<String>,
}

impl MissingAgents {
    /// Compares the account's agents with the gateway's list. Without a list, no agent counts as missing.
    pub fn compare<'a>(team: impl Iterator<Item = &'a str>, listed: Option<&[String]>, form: Form) -> Self {
        let Some(listed) = listed else { return Self::default() };
        let known: HashSet<String> = listed.iter().map(|id| id.to_ascii_lowercase()).collect();
        let (mut slugs, mut present) = (BTreeSet::new(), 0);
        for slug in team {
            // An unusable slug is a problem of its own: no gateway can have an agent of this name.
            let Some(id) = agent_id(slug).ok().filter(|_| FolderName::of(slug).is_ok()) else { continue };
            if id == ALWAYS_LISTED || known.contains(&id) {
                present += 1;
            } else {
                slugs.insert(slug.to_owned());
            }
        }
        if slugs.is_empty() {
            return Self::default();
        }
        let advice = form.how_to_add(&slugs.iter().map(String::as_str).collect::<Vec<_>>());
        let strangers = (present == 0).then(|| named(listed.iter().map(String::as_str)));
        Self { slugs, advice, strangers }
    }

    /// Whether the gateway has all agents, as far as that is known.
    pub fn is_empty(&self) -> bool {
        self.slugs.is_empty()
    }

    /// The slugs of the missing agents.
    pub fn slugs(&self) -> impl Iterator<Item = &str> {
        self.slugs.iter().map(String::as_str)
    }

    /// Why the turns of this agent wait: a sentence. `None` if they do not.
    pub fn reason(&self, slug: &str) -> Option<String> {
        self.slugs
            .contains(slug)
            .then(|| format!("The gateway does not know the agent {slug}: {}.", self.what_to_do()))
    }

    /// What is wrong, with the remedy: a clause. `None` if the gateway has all agents.
    pub fn explain(&self) -> Option<String> {
        (!self.is_empty())
            .then(|| format!("the gateway does not know {}: {}", named(self.slugs()), self.what_to_do()))
    }

    /// A list without any agent of the account probably belongs to another gateway.
    fn what_to_do(&self) -> String {
        let advice = &self.advice;
        self.strangers.as_ref().map_or_else(
            || advice.clone(),
            |strangers| {
                format!(
                    "it lists none of the account's agents, but {strangers}; check that OPENCLAW_GATEWAY_URL names the right \
                     gateway, and if it does, {advice}"
                )
            },
        )
    }

    /// The report for `/health`.
    pub fn report(&self) -> MissingAgentsReport {
        MissingAgentsReport {
            count: self.slugs.len(),
            agents: self.slugs.iter().take(NAMED_MAX).cloned().collect(),
            advice: self.explain(),
        }
    }
}

fn named<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let shown = names.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::dialect::Release;

    fn compare(team: &[&str], listed: Option<&[&str]>, release: &str) -> MissingAgents {
        let listed = listed.map(|listed| listed.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        let form = Release::parse(release).map_or(Form::Entries, Form::of);
        MissingAgents::compare(team.iter().copied(), listed.as_deref(), form)
    }

    #[test]
    fn agents_are_compared_without_case_and_nothing_is_missing_without_a_list() {
        /// The team, the list and the missing agents.
        type Compared<'a> = (&'a [&'a str], Option<&'a [&'a str]>, &'a [&'a str]);
        let rows: [Compared<'_>; 8] = [
            (&["ada", "../etc"], Some(&["ada"]), &[]),
            (&["ada", "ben"], Some(&["ada", "ben", "main"]), &[]),
            (&["Ada", "ben"], Some(&["ada"]), &["ben"]),
            (&["ada"], Some(&["ADA"]), &[]),
            (&["ada", "ben"], None, &[]),
            (&[], Some(&["main"]), &[]),
            // Every list has it, so nothing is known of an agent with this name.
            (&["default"], Some(&["main"]), &[]),
            (&["ada", "ben"], Some(&["main"]), &["ada", "ben"]),
        ];
        for (team, listed, missing) in rows {
            let found = compare(team, listed, "2026.9.6");
            assert_eq!(found.slugs().collect::<Vec<_>>(), missing, "{team:?} {listed:?}");
            assert_eq!(found.is_empty(), missing.is_empty());
            assert_eq!(found.explain().is_none(), missing.is_empty());
            assert_eq!(found.report().count, missing.len());
        }
    }

    #[test]
    fn the_advice_has_the_spelling_of_the_release_and_names_a_wrong_gateway() {
        let entries = compare(&["ada", "ben"], Some(&["ada"]), "2026.9.6");
        let advice = "add it, under its slug, to agents.entries of the gateway's configuration";
        assert_eq!(entries.explain().unwrap(), format!("the gateway does not know ben: {advice}"));
        assert_eq!(
            entries.reason("ben").unwrap(),
            format!("The gateway does not know the agent ben: {advice}.")
        );
        assert_eq!(entries.reason("ada"), None);
        let list = compare(&["ada", "ben"], Some(&["ada"]), "2026.7.1");
        assert!(
            list.explain()
                .unwrap()
                .ends_with("add {\"id\": \"ben\"} to agents.list of the gateway's configuration")
        );
        let wrong = compare(&["ada", "ben"], Some(&["main", "other"]), "2026.9.6").explain().unwrap();
        let words = "the gateway does not know ada, ben: it lists none of the account's agents, but main, other; check that ";
        assert!(wrong.starts_with(words), "{wrong}");
        let names: Vec<String> = (0..10_000).map(|number| format!("agent-{number}")).collect();
        let many =
            compare(&names.iter().map(String::as_str).collect::<Vec<_>>(), Some(&["main"]), "2026.9.6");
        assert_eq!((many.report().count, many.report().agents.len()), (10_000, NAMED_MAX));
    }
}
