//! What a gateway understands, and how the runtime learns it.
//!
//! Releases differ in one respect that a turn depends on: tools are flat since 2026.3.31 and nested before
//! (spec §1.2, §9). Each side refuses the other shape without running anything. A release reports its version
//! only since 2026.9 (spec §11.9). The shape follows the version where there is one. Otherwise flat is tried
//! first, and nested once if the refusal names the shape. The result holds until the gateway reports another
//! version.

use std::fmt;

/// How a tool is written in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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

/// The version of a release: year, month, and day or count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// Such as 2026.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// The third number.
    pub number: u16,
}

/// The first release with flat tools, and the oldest that can work with our tools.
const FLAT: Release = Release { year: 2026, month: 3, number: 31 };

/// The first release that is known to end a run whose client hangs up (spec §11.9).
const ENDS_ABANDONED_RUNS: Release = Release { year: 2026, month: 4, number: 14 };

/// The first release that reports every failed run as a failure (spec §12.3).
const FAILS_AS_FAILURE: Release = Release { year: 2026, month: 8, number: 0 };

impl Release {
    /// Reads `2026.9.6`, also after a `v` and with any suffix after `-` or `+`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('v').unwrap_or(text);
        let core = text.split(['-', '+']).next()?;
        let mut numbers = core.split('.');
        let mut next = || numbers.next().filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let (year, month, number) = (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
        let valid = year >= 2000 && (1..=12).contains(&month) && numbers.next().is_none();
        valid.then_some(Self { year, month, number })
    }

    /// Whether its agents cannot call our tools: it never offers them to the model, or not reliably.
    pub fn too_old_for_tools(self) -> bool {
        self < FLAT
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.year, self.month, self.number)
    }
}

/// What a gateway understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// The release, if reported.
    pub release: Option<Release>,
    /// The shape of tools that it accepts.
    pub tools: ToolShape,
    /// Whether the gateway was probed: a release that is unknown then reports no version.
    pub probed: bool,
}

impl Dialect {
    /// Whether its agents cannot call our tools. A gateway that wants nested tools is older than the oldest
    /// usable one.
    pub fn too_old_for_tools(self) -> bool {
        self.tools == ToolShape::Nested || self.release.is_some_and(Release::too_old_for_tools)
    }

    /// Whether the gateway is known to end a run whose client hangs up. Older releases continue the run, and its
    /// answer is sent to no client.
    pub fn ends_unheard(self) -> bool {
        self.release.is_some_and(|release| release >= ENDS_ABANDONED_RUNS)
    }

    /// Whether a text may be an error of the gateway (spec §12.3).
    pub fn errors_may_be_texts(self) -> bool {
        self.release.map_or(self.probed, |release| release < FAILS_AS_FAILURE)
    }

    /// Whether a text may be a provider's status and message, also in the history (spec §9).
    pub fn errors_may_be_statuses(self) -> bool {
        self.release.map_or(self.probed, |release| release < FLAT)
    }
}

/// What was learnt about one gateway.
#[derive(Debug, Default)]
pub struct Memory {
    version: Option<Box<str>>,
    dialect: Dialect,
}

impl Memory {
    /// The dialect, as far as it is known.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Takes a reported version. Another version than before discards everything learnt.
    pub fn heard_version(&mut self, version: &str) {
        if self.version.as_deref() == Some(version) {
            return;
        }
        let release = Release::parse(version);
        let nested = release.is_some_and(Release::too_old_for_tools);
        let tools = if nested { ToolShape::Nested } else { ToolShape::Flat };
        let probed = self.dialect.probed;
        *self = Self { version: Some(version.into()), dialect: Dialect { release, tools, probed } };
    }

    /// Takes the end of a probe that found a gateway.
    pub fn was_probed(&mut self) {
        self.dialect.probed = true;
    }

    /// Takes the shape of tools that the gateway has accepted. Returns whether the shape is new.
    pub fn accepted(&mut self, tools: ToolShape) -> bool {
        std::mem::replace(&mut self.dialect.tools, tools) != tools
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_parsed_and_compared() {
        let of = |year, month, number| Some(Release { year, month, number });
        let rows = [
            ("2026.9.6", of(2026, 9, 6)),
            (" v2026.10.12-beta.2\n", of(2026, 10, 12)),
            ("2026.2.19+abc", of(2026, 2, 19)),
            ("dev", None),
            ("", None),
            ("2026.9", None),
            ("2026.13.1", None),
            ("2026.9.6.1", None),
            ("2026.+9.6", None),
            ("3.2.1", None),
            ("99999999.1.1", None),
        ];
        for (text, release) in rows {
            assert_eq!(Release::parse(text), release, "{text:?}");
        }
        assert_eq!(Release { year: 2026, month: 9, number: 6 }.to_string(), "2026.9.6");
    }

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
            memory.heard_version(version);
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
        memory.heard_version("dev");
        assert_eq!(memory.dialect().tools, ToolShape::Flat, "now it has a version");
        assert!(memory.accepted(ToolShape::Nested));
        memory.heard_version("dev");
        assert_eq!(memory.dialect().tools, ToolShape::Nested, "the same one");
        memory.heard_version("2026.9.6");
        assert_eq!(memory.dialect().tools, ToolShape::Flat);
        assert!(!memory.dialect().errors_may_be_texts());
    }
}
