//! How the releases of the gateway write the same thing.

use crate::gateway::dialect::Release;

/// The form of a configuration that a release accepts. It refuses unknown keys, so the forms cannot be mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Since 2026.9: agents by id under `agents.entries`, secrets as references.
    Entries,
    /// Before: agents in `agents.list`, the first of them the default.
    List {
        /// Whether the release has Tool Search. Older ones refuse the key.
        tool_search: bool,
        /// Whether a plugin that is not installed may be named. Older releases refuse the name.
        absent_plugins: bool,
    },
}

/// The first release that was run with agents by id.
const ENTRIES: Release = Release { year: 2026, month: 9, number: 0 };

/// The first release that was run with Tool Search.
const TOOL_SEARCH: Release = Release { year: 2026, month: 5, number: 28 };

/// The first release that was run with the name of a plugin that is not installed.
const ABSENT_PLUGINS: Release = Release { year: 2026, month: 7, number: 1 };

/// The most rows that a piece of advice spells out.
const ROWS_SHOWN: usize = 3;

impl Form {
    /// The form that this release accepts.
    pub fn of(release: Release) -> Self {
        if release >= ENTRIES {
            return Self::Entries;
        }
        Self::List { tool_search: release >= TOOL_SEARCH, absent_plugins: release >= ABSENT_PLUGINS }
    }

    /// How to add these agents to a configuration of this form: a clause.
    pub fn how_to_add(self, slugs: &[&str]) -> String {
        match (self, slugs) {
            (Self::Entries, [_]) => {
                "add it, under its slug, to agents.entries of the gateway's configuration".to_owned()
            }
            (Self::Entries, _) => {
                "add them, under their slugs, to agents.entries of the gateway's configuration".to_owned()
            }
            (Self::List { .. }, slugs) => {
                let row = |slug: &&str| format!("{{\"id\": \"{slug}\"}}");
                let (rows, shown) = (slugs.len(), slugs.iter().take(ROWS_SHOWN).map(row));
                let shown = shown.collect::<Vec<_>>().join(", ");
                let more = if rows > ROWS_SHOWN { ", …" } else { "" };
                format!("add {shown}{more} to agents.list of the gateway's configuration")
            }
        }
    }
}
