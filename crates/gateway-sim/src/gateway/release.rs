//! The emulated releases, and in what they differ (openclaw-gateway §12).

/// A release. They are in the order of their age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// The release that the reference product pinned.
    V2026_2_19,
    /// Nested tools that the model sees, one call per reply, and the history over HTTP.
    V2026_3_24,
    /// Flat tools, and no history over HTTP.
    V2026_3_31,
    /// A client that hangs up ends its run.
    V2026_4_15,
    /// All calls of a reply, and the history over the WebSocket.
    V2026_5_7,
    /// The history over HTTP.
    V2026_5_28,
    /// Error messages as answers.
    V2026_6_11,
    /// Like 2026.6.11.
    V2026_7_1,
    /// Like 2026.7.1, and only the tool `session_status` shows the version.
    V2026_7_35,
    /// Failures as failures, and the version at `/startupz`.
    V2026_8_2,
    /// The newest release.
    V2026_9_6,
}

/// How a failed run is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorForm {
    /// The provider's error is the text of the answer.
    ProviderText,
    /// The answer is the placeholder of an agent that wrote nothing, and a refused run also has the status `failed`.
    Placeholder,
    /// A refused run fails without its reason. A provider that is silent, or whose context is exceeded, gets the placeholder.
    FailureOrPlaceholder,
    /// A refused run fails. A provider that is silent, or whose context is exceeded, gets a message as the answer.
    FailureOrMessage,
    /// A failure, always.
    Failure,
}

impl Release {
    /// Every release.
    pub const ALL: [Self; 11] = [
        Self::V2026_2_19,
        Self::V2026_3_24,
        Self::V2026_3_31,
        Self::V2026_4_15,
        Self::V2026_5_7,
        Self::V2026_5_28,
        Self::V2026_6_11,
        Self::V2026_7_1,
        Self::V2026_7_35,
        Self::V2026_8_2,
        Self::V2026_9_6,
    ];

    /// Its version.
    pub fn version(self) -> &'static str {
        match self {
            Self::V2026_2_19 => "2026.2.19",
            Self::V2026_3_24 => "2026.3.24",
            Self::V2026_3_31 => "2026.3.31",
            Self::V2026_4_15 => "2026.4.15",
            Self::V2026_5_7 => "2026.5.7",
            Self::V2026_5_28 => "2026.5.28",
            Self::V2026_6_11 => "2026.6.11",
            Self::V2026_7_1 => "2026.7.1",
            Self::V2026_7_35 => "2026.7.35",
            Self::V2026_8_2 => "2026.8.2",
            Self::V2026_9_6 => "2026.9.6",
        }
    }

    pub(super) fn error_form(self) -> ErrorForm {
        match self {
            Self::V2026_2_19 => ErrorForm::ProviderText,
            Self::V2026_3_24 | Self::V2026_3_31 | Self::V2026_4_15 => ErrorForm::Placeholder,
            Self::V2026_5_7 | Self::V2026_5_28 => ErrorForm::FailureOrPlaceholder,
            Self::V2026_6_11 | Self::V2026_7_1 | Self::V2026_7_35 => ErrorForm::FailureOrMessage,
            Self::V2026_8_2 | Self::V2026_9_6 => ErrorForm::Failure,
        }
    }

    /// Whether it is the reference product's release: nested tools that the model never sees, and web pages in place of most
    /// endpoints.
    pub(super) fn is_oldest(self) -> bool {
        self == Self::V2026_2_19
    }

    /// Whether a tool is nested: `{"type":"function","function":{…}}`.
    pub(super) fn nests_tools(self) -> bool {
        self < Self::V2026_3_31
    }

    /// Whether all calls of a reply reach the client, not only the last one.
    pub fn hands_out_all_calls(self) -> bool {
        self >= Self::V2026_5_7
    }

    /// Whether the model is called again while the client runs its calls, with a placeholder for each result.
    pub fn asks_again(self) -> bool {
        self < Self::V2026_5_28
    }

    /// Whether the gateway's token may read the history over HTTP.
    pub(super) fn shows_history(self) -> bool {
        self == Self::V2026_3_24 || self >= Self::V2026_5_28
    }

    /// Whether the gateway's token alone has permissions on the WebSocket.
    pub(super) fn token_has_scopes(self) -> bool {
        self >= Self::V2026_5_7
    }

    /// Whether items of the history name their run.
    pub(super) fn names_runs(self) -> bool {
        self >= Self::V2026_8_2
    }

    /// Whether `/startupz` exists.
    pub(super) fn has_startupz(self) -> bool {
        self >= Self::V2026_8_2
    }

    /// Whether the configuration of the web page names the version.
    pub(super) fn page_names_version(self) -> bool {
        !matches!(self, Self::V2026_2_19 | Self::V2026_3_31 | Self::V2026_7_35 | Self::V2026_8_2)
    }

    /// Whether a client that hangs up ends its run.
    pub(super) fn ends_abandoned_runs(self) -> bool {
        self >= Self::V2026_4_15
    }

    /// Whether interrupted runs are resumed after a restart.
    pub(super) fn resumes(self) -> bool {
        self >= Self::V2026_5_7
    }

    /// Whether a silent agent is asked once more, and a silence then fails.
    pub(super) fn fails_on_silence(self) -> bool {
        self >= Self::V2026_9_6
    }

    /// Whether a result in the history has the id of its call.
    pub(super) fn marks_results(self) -> bool {
        self >= Self::V2026_9_6
    }

    /// Whether an unknown agent is refused.
    pub(super) fn refuses_unknown_agents(self) -> bool {
        self >= Self::V2026_6_11
    }

    /// Whether the session list has the state of each session's last run.
    pub(super) fn lists_status(self) -> bool {
        self >= Self::V2026_5_7
    }
}
