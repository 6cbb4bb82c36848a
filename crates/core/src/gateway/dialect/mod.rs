//! What a gateway understands, and how the runtime learns it.
//!
//! Releases differ in what a turn depends on ([`Behaviour`]). What can be probed is probed: the shape of tools by a refusal,
//! which runs nothing, and the way to the history by reading it. The rest follows from the version, if the gateway reports a
//! believable one. Both hold until the gateway was away or reports another version.

mod behaviour;
mod release;

use std::time::Duration;

pub use behaviour::{AgentsKey, Behaviour, ErrorForm, HistoryWay, ToolShape};
pub use release::Release;

/// What is known of a gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// The release, if reported.
    pub release: Option<Release>,
    /// The shape of tools that it accepts.
    pub tools: ToolShape,
    /// Whether the gateway was probed: a release that is unknown then reports no version.
    pub probed: bool,
    /// The way to the history, if it was probed.
    pub history: Option<HistoryWay>,
    /// Whether one process of the gateway has reported several versions, so that none is believed.
    pub unsteady: bool,
}

impl Dialect {
    /// What the gateway does, as far as the release says. The strictest behaviour if the release is unknown, or not believed.
    pub fn behaviour(self) -> Behaviour {
        match self.release {
            Some(release) if !self.unsteady => Behaviour::of(release),
            _ => Behaviour::strictest(),
        }
    }

    /// What is uncertain about the release, as a sentence without a full stop.
    pub fn doubt(self) -> Option<&'static str> {
        match self.release {
            _ if !self.probed => None,
            _ if self.unsteady => Some(
                "one process of the gateway reports several versions, so the strictest behaviour is assumed: check the proxy in front of it",
            ),
            None => Some("the gateway reports no version, so the strictest behaviour is assumed"),
            Some(release) if behaviour::is_newer_than_proven(release) => {
                Some("this release is newer than all that were tested, so the strictest behaviour is assumed")
            }
            Some(_) if self.differs() => Some(
                "the gateway does not behave like the version that it reports: check the proxy in front of it",
            ),
            Some(_) => None,
        }
    }

    /// Whether a probe contradicts the version: its tools have another shape, or its history is closed.
    fn differs(self) -> bool {
        let promised = self.behaviour();
        let closed = matches!(self.history, Some(way) if way != HistoryWay::Http);
        promised.tools != self.tools || (promised.history == HistoryWay::Http && closed)
    }

    /// Whether its agents cannot call our tools. A gateway that wants nested tools is older than the oldest
    /// usable one.
    pub fn too_old_for_tools(self) -> bool {
        self.tools == ToolShape::Nested || self.release.is_some_and(Release::too_old_for_tools)
    }

    /// Whether the gateway is known to end a run whose client hangs up. Older releases continue the run, and its
    /// answer is sent to no client.
    pub fn ends_unheard(self) -> bool {
        self.behaviour().hang_up_ends_run
    }

    /// Whether the release is known, and was tested.
    fn is_proven(self) -> bool {
        self.release.is_some_and(|release| !self.unsteady && !behaviour::is_newer_than_proven(release))
    }

    /// Whether the release is known to call the model again while the client runs its calls (spec §12.3).
    pub fn asks_again(self) -> bool {
        self.is_proven() && self.behaviour().asks_again
    }

    /// Whether the gateway may do so.
    pub fn may_ask_again(self) -> bool {
        (self.probed || self.release.is_some()) && self.behaviour().asks_again
    }

    /// Whether calls of a reply may be missing from it (spec §12.3).
    pub fn may_lose_calls(self) -> bool {
        (self.probed || self.release.is_some()) && !self.behaviour().several_calls
    }

    /// Whether a text may be an error of the gateway (spec §12.3).
    pub fn errors_may_be_texts(self) -> bool {
        (self.probed || self.release.is_some()) && self.behaviour().errors != ErrorForm::Failures
    }

    /// Whether a text may be a provider's status and message, also in the history (spec §9).
    pub fn errors_may_be_statuses(self) -> bool {
        self.release.map_or(self.probed, |_| self.behaviour().errors == ErrorForm::Statuses)
    }
}

/// What was learnt about one gateway.
#[derive(Debug, Default)]
pub struct Memory {
    version: Option<Box<str>>,
    /// The uptime of the process when it was last reported.
    up: Option<Duration>,
    /// Whether version and history were asked for since the last contact began.
    identified: bool,
    /// Whether a session was asked for the version since.
    session_asked: bool,
    dialect: Dialect,
}

impl Memory {
    /// The dialect, as far as it is known.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The version in the gateway's own words.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Whether version and history must be asked for: at the start, and after each loss of contact.
    pub fn is_identified(&self) -> bool {
        self.identified
    }

    /// Takes a reported version, and the uptime of the process that reports it. Another version than before discards
    /// everything learnt. A process cannot change its version, so one that does is not believed.
    pub fn heard_version(&mut self, version: &str, up: Option<Duration>) {
        let before = self.up;
        self.heard_uptime(up);
        if self.version.as_deref() == Some(version) {
            return;
        }
        let same_process = before.zip(up).is_some_and(|(before, now)| now >= before);
        let unsteady = self.version.is_some() && same_process;
        let release = Release::parse(version);
        let nested = release.is_some_and(Release::too_old_for_tools);
        let tools = if nested { ToolShape::Nested } else { ToolShape::Flat };
        self.dialect = Dialect { release, tools, probed: self.dialect.probed, history: None, unsteady };
        self.version = Some(version.into());
        self.identified = false;
    }

    /// Takes the uptime of the gateway's process. A shorter one than before is another process.
    pub fn heard_uptime(&mut self, up: Option<Duration>) {
        if self.up.zip(up).is_some_and(|(before, now)| now < before) {
            self.lost_contact();
        }
        self.up = up.or(self.up);
    }

    /// The gateway was away: it may come back as another process, and as another release.
    pub fn lost_contact(&mut self) {
        self.up = None;
        self.identified = false;
        self.session_asked = false;
    }

    /// Whether a session may be asked for the version: once per contact.
    pub fn may_ask_session(&mut self) -> bool {
        !std::mem::replace(&mut self.session_asked, true)
    }

    /// Takes the end of a probe that found a gateway.
    pub fn was_probed(&mut self) {
        self.dialect.probed = true;
    }

    /// Takes the open way to the history.
    pub fn found_history(&mut self, way: HistoryWay) {
        self.dialect.history = Some(way);
        self.identified = true;
    }

    /// Takes the shape of tools that the gateway has accepted. Returns whether the shape is new. A shape that contradicts the
    /// version means another gateway, so the version is asked for again.
    pub fn accepted(&mut self, tools: ToolShape) -> bool {
        let is_new = self.dialect.tools != tools;
        if is_new && self.dialect.release.is_some_and(|release| Behaviour::of(release).tools != tools) {
            self.version = None;
            (self.dialect.release, self.dialect.history) = (None, None);
            self.lost_contact();
        }
        self.dialect.tools = tools;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_UPTIME: Option<Duration> = None;

    /// spec §9, §11.9.
    #[test]
    fn the_tool_shape_follows_the_release() {
        let rows = [
            ("2026.2.19", ToolShape::Nested, true, false),
            ("2026.3.13", ToolShape::Nested, true, false),
            ("2026.3.24", ToolShape::Nested, true, false),
            ("2026.3.31", ToolShape::Flat, false, false),
            ("2026.4.14", ToolShape::Flat, false, true),
            ("2026.7.1", ToolShape::Flat, false, true),
            ("2026.9.6", ToolShape::Flat, false, true),
            ("dev", ToolShape::Flat, false, false),
        ];
        for (version, tools, too_old, ends_unheard) in rows {
            let mut memory = Memory::default();
            memory.heard_version(version, NO_UPTIME);
            let dialect = memory.dialect();
            assert_eq!((dialect.tools, dialect.too_old_for_tools()), (tools, too_old), "{version}");
            assert_eq!(dialect.ends_unheard(), ends_unheard, "§11.9 {version}");
        }
    }

    #[test]
    fn a_learnt_shape_holds_until_another_version_is_reported() {
        let mut memory = Memory::default();
        assert!(!memory.accepted(ToolShape::Flat));
        assert!(memory.accepted(ToolShape::Nested));
        assert!(memory.dialect().too_old_for_tools());
        memory.heard_version("dev", NO_UPTIME);
        assert_eq!(memory.dialect().tools, ToolShape::Flat, "now it has a version");
        assert!(memory.accepted(ToolShape::Nested));
        memory.heard_version("dev", NO_UPTIME);
        assert_eq!(memory.dialect().tools, ToolShape::Nested, "the same one");
        memory.heard_version("2026.9.6", NO_UPTIME);
        assert_eq!(memory.dialect().tools, ToolShape::Flat);
        assert!(!memory.dialect().errors_may_be_texts());
        assert!(!memory.accepted(ToolShape::Flat) && memory.dialect().release.is_some());
        assert!(memory.accepted(ToolShape::Nested));
        assert_eq!(memory.dialect().release, None, "it cannot be the version that it was");
    }

    #[test]
    fn a_process_that_changes_its_version_is_not_believed() {
        let seconds = |number| Some(Duration::from_secs(number));
        let mut memory = Memory::default();
        memory.was_probed();
        memory.heard_version("2026.8.2", seconds(100));
        memory.found_history(HistoryWay::Http);
        assert_eq!((memory.dialect().doubt(), memory.is_identified()), (None, true));
        // An update is another process.
        memory.heard_version("2026.9.6", seconds(1));
        assert_eq!((memory.dialect().doubt(), memory.is_identified()), (None, false));
        memory.heard_version("2026.7.1", seconds(2));
        assert!(memory.dialect().doubt().is_some_and(|doubt| doubt.contains("several versions")));
        assert_eq!(memory.dialect().behaviour(), Behaviour::strictest());
        // The next process is believed.
        memory.heard_version("2026.9.6", seconds(1));
        assert_eq!(memory.dialect().doubt(), None);
        // Another process may have run for longer than the last one until contact was lost.
        memory.lost_contact();
        memory.heard_version("2026.8.2", seconds(20));
        assert_eq!(memory.dialect().doubt(), None);
    }

    #[test]
    fn a_doubtful_release_is_named() {
        let doubt = |version: Option<&str>, history| {
            let mut memory = Memory::default();
            memory.was_probed();
            if let Some(version) = version {
                memory.heard_version(version, NO_UPTIME);
            }
            memory.found_history(history);
            memory.dialect().doubt().unwrap_or_default()
        };
        assert_eq!(doubt(Some("2026.9.6"), HistoryWay::Http), "");
        assert_eq!(doubt(Some("2026.3.31"), HistoryWay::Closed), "");
        assert!(doubt(None, HistoryWay::Http).contains("no version"));
        assert!(doubt(Some("2026.12.1"), HistoryWay::Http).contains("newer than all"));
        // A false version is contradicted by what the gateway does.
        assert!(doubt(Some("2026.9.6"), HistoryWay::Closed).contains("does not behave"));
        assert_eq!(Dialect::default().doubt(), None, "nothing is known before a probe");
    }

    #[test]
    fn another_process_is_identified_again() {
        let mut memory = Memory::default();
        memory.heard_uptime(Some(Duration::from_secs(9)));
        memory.found_history(HistoryWay::Tool);
        memory.heard_uptime(Some(Duration::from_secs(10)));
        assert!(memory.is_identified());
        memory.heard_uptime(Some(Duration::from_secs(1)));
        assert!(!memory.is_identified());
        memory.found_history(HistoryWay::Http);
        memory.lost_contact();
        assert!(!memory.is_identified());
    }
}
