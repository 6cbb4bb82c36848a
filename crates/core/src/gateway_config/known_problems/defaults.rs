//! What a release of the gateway does where its configuration is silent.

use crate::gateway::dialect::Release;

/// When a gateway wakes its agents by itself, without a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnHeartbeat {
    /// Always.
    On,
    /// Only with a single agent.
    OfSingleAgent,
}

/// How a client with the token reads the history of a session, without a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenHistory {
    /// Over HTTP or over the WebSocket.
    Open,
    /// Not at all: its tools must be allowed.
    Closed,
}

/// The defaults of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Defaults {
    /// Whether Tool Search is on.
    pub(super) tool_search: bool,
    pub(super) heartbeat: OwnHeartbeat,
    /// Whether sessions are reset at four o'clock.
    pub(super) daily_reset: bool,
    /// How many turns run at once, at least.
    pub(super) turns: u64,
    pub(super) history: OpenHistory,
}

/// The oldest release of the table.
const OLDEST: Defaults = Defaults {
    tool_search: false,
    heartbeat: OwnHeartbeat::On,
    daily_reset: true,
    turns: 4,
    history: OpenHistory::Closed,
};

const fn release(month: u8, number: u16) -> Release {
    Release { year: 2026, month, number }
}

/// The defaults of each release, and of those up to the next row. Releases between two rows that were run keep the
/// defaults of the earlier one, unless the later ones are stricter.
const TABLE: [(Release, Defaults); 6] = [
    (release(2, 0), OLDEST),
    (release(3, 24), Defaults { history: OpenHistory::Open, ..OLDEST }),
    // Over HTTP, the token lacks a permission.
    (release(3, 31), OLDEST),
    // The WebSocket grants it.
    (release(5, 7), Defaults { history: OpenHistory::Open, ..OLDEST }),
    (release(7, 2), Defaults { tool_search: true, history: OpenHistory::Open, ..OLDEST }),
    (
        release(9, 0),
        Defaults {
            tool_search: true,
            heartbeat: OwnHeartbeat::OfSingleAgent,
            daily_reset: false,
            turns: 8,
            history: OpenHistory::Open,
        },
    ),
];

impl Defaults {
    /// The defaults of this release. An unknown release counts as the newest.
    pub(super) fn of(release: Option<Release>) -> Self {
        let known = |release: Release| TABLE.iter().rev().find(|(since, _)| release >= *since);
        let row = release.map_or(TABLE.last(), known);
        row.map_or(OLDEST, |(_, defaults)| *defaults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec §12.3, and the documentation of 2026.7.1 and 2026.9.6.
    #[test]
    fn every_release_that_was_run_has_its_defaults() {
        let rows = [
            ("2026.2.19", false, true, 4, OpenHistory::Closed),
            ("2026.3.24", false, true, 4, OpenHistory::Open),
            ("2026.3.31", false, true, 4, OpenHistory::Closed),
            ("2026.4.15", false, true, 4, OpenHistory::Closed),
            ("2026.5.7", false, true, 4, OpenHistory::Open),
            ("2026.5.28", false, true, 4, OpenHistory::Open),
            ("2026.6.11", false, true, 4, OpenHistory::Open),
            ("2026.7.1", false, true, 4, OpenHistory::Open),
            ("2026.7.35", true, true, 4, OpenHistory::Open),
            ("2026.8.2", true, true, 4, OpenHistory::Open),
            ("2026.9.6", true, false, 8, OpenHistory::Open),
            ("2026.11.1", true, false, 8, OpenHistory::Open),
        ];
        for (release, tool_search, daily_reset, turns, history) in rows {
            let found = Defaults::of(Release::parse(release));
            let expected = (tool_search, daily_reset, turns, history);
            assert_eq!(
                (found.tool_search, found.daily_reset, found.turns, found.history),
                expected,
                "{release}"
            );
        }
        assert_eq!(Defaults::of(None), Defaults::of(Release::parse("2026.9.6")));
        assert_eq!(Defaults::of(Release::parse("2025.1.1")), OLDEST);
    }
}
