//! Selects the agents that can have a workspace.

use std::collections::BTreeMap;
use std::fmt;

use super::{FolderName, UnusableName};
use mcr_model::AgentProfile;

/// The longest name that a reason shows.
const SHOWN_CHARS: usize = 40;

/// An agent without a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its slug, shortened.
    pub slug: String,
    /// Why it has no workspace.
    pub why: RejectedBecause,
}

/// Why an agent has no workspace. The text is a sentence without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RejectedBecause {
    /// Its slug is not usable as the name of a folder.
    Slug(UnusableName),
    /// An earlier agent has the same slug.
    Duplicate(String),
    /// Its row in Mission Control's answer cannot be read.
    Unreadable(String),
}

impl fmt::Display for RejectedBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slug(why) => write!(f, "the slug {why}; correct it in Mission Control"),
            Self::Duplicate(first) => {
                write!(
                    f,
                    "the agent `{first}` has the same slug, in any case of letters; rename one of the two"
                )
            }
            Self::Unreadable(why) => {
                write!(f, "Mission Control's answer about the agent cannot be read: {why}")
            }
        }
    }
}

/// The agents by their folder names, in Mission Control's order, and the agents without a workspace.
#[derive(Debug, Default)]
pub struct Selected<'a> {
    /// The agents with a workspace.
    pub agents: Vec<(FolderName, &'a AgentProfile)>,
    /// The others.
    pub rejected: Vec<Rejected>,
}

/// Selects the agents whose slugs are usable. Of two agents with one slug, the first has the workspace.
pub fn select<'a>(rows: impl IntoIterator<Item = Result<&'a AgentProfile, &'a str>>) -> Selected<'a> {
    let mut selected = Selected::default();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (number, row) in (1..).zip(rows) {
        let profile = match row {
            Ok(profile) => profile,
            Err(why) => {
                let why = RejectedBecause::Unreadable(why.to_owned());
                selected.rejected.push(Rejected { slug: format!("row {number}"), why });
                continue;
            }
        };
        let mut reject = |why| {
            let slug = profile.slug.chars().take(SHOWN_CHARS).collect();
            selected.rejected.push(Rejected { slug, why });
        };
        let name = match FolderName::of(&profile.slug) {
            Ok(name) => name,
            Err(why) => {
                reject(RejectedBecause::Slug(why));
                continue;
            }
        };
        if let Some(first) = seen.get(&name.folded()) {
            reject(RejectedBecause::Duplicate(first.clone()));
            continue;
        }
        seen.insert(name.folded(), name.to_string());
        selected.agents.push((name, profile));
    }
    selected
}
