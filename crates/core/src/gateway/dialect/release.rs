//! The version of a release.

use std::fmt;

use super::{Behaviour, ToolShape};

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
        Behaviour::of(self).tools == ToolShape::Nested
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.year, self.month, self.number)
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
}
