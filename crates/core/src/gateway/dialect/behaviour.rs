//! What each release does, in one table (spec §12.2, §12.3).
//!
//! A release that is not in the table behaves like the last one before it. One that is newer than all gets the strictest row:
//! whatever would do harm is assumed.

use serde::Serialize;

use super::Release;

/// How a tool is written in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolShape {
    /// `{"type":"function","name":…}`, since 2026.3.31.
    #[default]
    Flat,
    /// `{"type":"function","function":{"name":…}}`, up to 2026.3.24.
    Nested,
}

impl ToolShape {
    /// The name in `/health` and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Nested => "nested",
        }
    }

    /// The opposite shape.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Flat => Self::Nested,
            Self::Nested => Self::Flat,
        }
    }
}

/// How a failed run is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorForm {
    /// The provider's status and message are the answer.
    Statuses,
    /// The answer is the placeholder of a silent agent.
    Placeholders,
    /// A message of the gateway is the answer.
    Messages,
    /// A failure.
    Failures,
}

impl ErrorForm {
    /// The form in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Statuses => "texts with a status",
            Self::Placeholders => "silent replies",
            Self::Messages => "texts",
            Self::Failures => "failures",
        }
    }
}

/// How the agents stand in the gateway's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum AgentsKey {
    /// `agents.list`.
    #[serde(rename = "agents.list")]
    List,
    /// `agents.entries`.
    #[serde(rename = "agents.entries")]
    Entries,
}

impl AgentsKey {
    /// The key.
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "agents.list",
            Self::Entries => "agents.entries",
        }
    }
}

/// A way to read a session's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HistoryWay {
    /// `GET /sessions/{key}/history`.
    Http,
    /// The tool `sessions_history` at `/tools/invoke`.
    Tool,
    /// `chat.history` over the WebSocket.
    Socket,
    /// None: a lost answer cannot be found.
    Closed,
}

impl HistoryWay {
    /// The configuration that opens a way.
    pub const REMEDY: &str = "add \"sessions_list\" and \"sessions_history\" to tools.alsoAllow in the gateway's configuration, and restart it";

    /// The way in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "over HTTP",
            Self::Tool => "by the tool sessions_history",
            Self::Socket => "over the WebSocket",
            Self::Closed => "closed",
        }
    }
}

/// What a release does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a release")]
pub struct Behaviour {
    /// The shape of tools.
    pub tools: ToolShape,
    /// Whether all calls of one reply reach the client.
    pub several_calls: bool,
    /// Whether the model is called again while the client runs its calls, without their results.
    pub asks_again: bool,
    /// The way to the history that its default configuration opens.
    pub history: HistoryWay,
    /// Whether a client with the token alone may follow a session's events over the WebSocket.
    pub session_events: bool,
    /// Whether a client that hangs up ends its run.
    pub hang_up_ends_run: bool,
    /// Whether it resumes interrupted runs after a restart.
    pub resumes: bool,
    /// The key of the agents.
    pub agents: AgentsKey,
    /// How a failed run is reported.
    pub errors: ErrorForm,
    /// Whether sessions are reset every day by default.
    pub daily_reset: bool,
    /// Whether its own heartbeat calls the model by default.
    pub own_heartbeat: bool,
}

const fn release(year: u16, month: u8, number: u16) -> Release {
    Release { year, month, number }
}

const OLDEST: Behaviour = Behaviour {
    tools: ToolShape::Nested,
    several_calls: false,
    asks_again: true,
    history: HistoryWay::Closed,
    session_events: false,
    hang_up_ends_run: false,
    resumes: false,
    agents: AgentsKey::List,
    errors: ErrorForm::Statuses,
    daily_reset: true,
    own_heartbeat: true,
};

const V3_24: Behaviour = Behaviour { history: HistoryWay::Http, errors: ErrorForm::Placeholders, ..OLDEST };
const V3_31: Behaviour = Behaviour { tools: ToolShape::Flat, history: HistoryWay::Closed, ..V3_24 };
const V4_15: Behaviour = Behaviour { hang_up_ends_run: true, ..V3_31 };
const V5_7: Behaviour = Behaviour {
    several_calls: true,
    history: HistoryWay::Socket,
    session_events: true,
    resumes: true,
    ..V4_15
};
const V5_28: Behaviour = Behaviour { asks_again: false, history: HistoryWay::Http, ..V5_7 };
const V6_11: Behaviour = Behaviour { errors: ErrorForm::Messages, ..V5_28 };
const V8_2: Behaviour =
    Behaviour { errors: ErrorForm::Failures, daily_reset: false, own_heartbeat: false, ..V6_11 };
const V9_6: Behaviour = Behaviour { agents: AgentsKey::Entries, ..V8_2 };

/// For a release that is unknown: what would do harm is assumed.
const STRICTEST: Behaviour = Behaviour {
    several_calls: false,
    asks_again: true,
    hang_up_ends_run: false,
    errors: ErrorForm::Messages,
    daily_reset: true,
    own_heartbeat: true,
    ..V9_6
};

/// The releases that were run, oldest first.
const TABLE: [(Release, Behaviour); 11] = [
    (release(2026, 2, 19), OLDEST),
    (release(2026, 3, 24), V3_24),
    (release(2026, 3, 31), V3_31),
    (release(2026, 4, 14), V4_15),
    (release(2026, 5, 7), V5_7),
    (release(2026, 5, 28), V5_28),
    (release(2026, 6, 11), V6_11),
    (release(2026, 7, 1), V6_11),
    (release(2026, 7, 35), V6_11),
    (release(2026, 8, 2), V8_2),
    (release(2026, 9, 6), V9_6),
];

impl Behaviour {
    /// The behaviour of a release.
    pub fn of(release: Release) -> Self {
        if is_newer_than_proven(release) {
            return STRICTEST;
        }
        TABLE.iter().rev().find(|(from, _)| *from <= release).map_or(OLDEST, |(_, behaviour)| *behaviour)
    }

    /// The behaviour to assume of an unknown release.
    pub fn strictest() -> Self {
        STRICTEST
    }
}

/// Whether a release is newer than every one in the table.
pub(super) fn is_newer_than_proven(release: Release) -> bool {
    TABLE.iter().all(|(proven, _)| *proven < release)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of spec §12.2 and §12.3.
    #[test]
    fn each_release_has_its_row() {
        use ErrorForm::{Failures, Messages, Placeholders, Statuses};
        use HistoryWay::{Closed, Http, Socket};
        let rows = [
            ("2026.2.19", false, Closed, false, false, Statuses),
            ("2026.3.13", false, Closed, false, false, Statuses),
            ("2026.3.24", false, Http, false, false, Placeholders),
            ("2026.3.31", false, Closed, false, false, Placeholders),
            ("2026.4.15", false, Closed, true, false, Placeholders),
            ("2026.5.7", true, Socket, true, true, Placeholders),
            ("2026.5.28", true, Http, true, true, Placeholders),
            ("2026.6.11", true, Http, true, true, Messages),
            ("2026.7.1", true, Http, true, true, Messages),
            ("2026.7.35", true, Http, true, true, Messages),
            ("2026.8.2", true, Http, true, true, Failures),
            ("2026.9.6", true, Http, true, true, Failures),
            ("2026.1.1", false, Closed, false, false, Statuses),
            // Newer than all that were run.
            ("2026.9.7", false, Http, false, true, Messages),
            ("2027.1.1", false, Http, false, true, Messages),
        ];
        for (version, several, history, hang_up, resumes, errors) in rows {
            let row = Behaviour::of(Release::parse(version).unwrap());
            // The token alone has permissions on the WebSocket since 2026.5.7 (§12.3).
            assert_eq!(row.session_events, resumes, "{version}");
            assert_eq!(
                (row.several_calls, row.history, row.hang_up_ends_run, row.resumes, row.errors),
                (several, history, hang_up, resumes, errors),
                "{version}"
            );
        }
    }

    #[test]
    fn the_table_is_in_order_and_the_strictest_row_promises_nothing() {
        assert!(TABLE.is_sorted_by(|(one, _), (next, _)| one < next));
        let strict = Behaviour::strictest();
        for (release, row) in TABLE {
            assert!(!strict.several_calls || row.several_calls, "{release}");
            assert!(!strict.hang_up_ends_run || row.hang_up_ends_run, "{release}");
            assert!(strict.resumes || !row.resumes, "{release}");
        }
        assert_ne!(strict.errors, ErrorForm::Failures);
    }
}
