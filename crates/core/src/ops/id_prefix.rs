//! Ids that are typed in part: the beginning is enough if it fits one id only.

use std::collections::BTreeSet;

/// The shortest beginning that is accepted.
pub const PREFIX_CHARS_MIN: usize = 4;

/// How many candidates are listed.
const CANDIDATES_MAX: usize = 10;

/// What a typed text stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdMatch {
    /// This id.
    One(String),
    /// Several ids begin with the text.
    Several(Vec<String>),
    /// Ids begin with the text, but it is too short to be accepted.
    TooShort,
    /// No id begins with the text.
    Nothing,
}

/// Finds the id that is meant: the text itself, else the only id that begins with it. Case does not matter.
pub fn resolve<'a>(typed: &str, ids: impl Iterator<Item = &'a str>) -> IdMatch {
    let mut found = BTreeSet::new();
    for id in ids {
        if id.eq_ignore_ascii_case(typed) {
            return IdMatch::One(id.to_owned());
        }
        if id.get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed)) {
            found.insert(id);
        }
    }
    match found.first() {
        None => IdMatch::Nothing,
        Some(_) if typed.len() < PREFIX_CHARS_MIN => IdMatch::TooShort,
        Some(only) if found.len() == 1 => IdMatch::One((*only).to_owned()),
        Some(_) => IdMatch::Several(found.into_iter().map(str::to_owned).collect()),
    }
}

impl IdMatch {
    /// Why no id was chosen, and the candidates. `None` if one was chosen, or no id begins with the text.
    pub fn refusal(&self, typed: &str) -> Option<Vec<String>> {
        match self {
            Self::One(_) | Self::Nothing => None,
            Self::TooShort => Some(vec![format!(
                "“{typed}” is too short: give at least the first {PREFIX_CHARS_MIN} characters of an id."
            )]),
            Self::Several(ids) => {
                let mut lines = vec![format!(
                    "“{typed}” is ambiguous: {} ids begin with it. Give more characters.",
                    ids.len()
                )];
                lines.extend(ids.iter().take(CANDIDATES_MAX).cloned());
                if ids.len() > CANDIDATES_MAX {
                    lines.push(format!("… and {} more", ids.len() - CANDIDATES_MAX));
                }
                Some(lines)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_stands_for_the_only_id_that_has_it() {
        let ids = ["k57aaa1", "k57aab2", "m9", "engineer", "k57a"];
        let one = |id: &str| IdMatch::One(id.to_owned());
        let rows = [
            ("k57aaa1", one("k57aaa1")),
            ("k57aaa", one("k57aaa1")),
            ("K57AAB", one("k57aab2")),
            ("k57a", one("k57a")),
            ("m9", one("m9")),
            ("m", IdMatch::TooShort),
            ("k57", IdMatch::TooShort),
            ("engi", one("engineer")),
            ("k57aa", IdMatch::Several(vec!["k57aaa1".to_owned(), "k57aab2".to_owned()])),
            ("k57aaa12", IdMatch::Nothing),
            ("x", IdMatch::Nothing),
            ("é", IdMatch::Nothing),
        ];
        for (typed, expected) in rows {
            assert_eq!(resolve(typed, ids.into_iter()), expected, "{typed}");
        }
        assert_eq!(resolve("ab", ["é", "aé"].into_iter()), IdMatch::Nothing);
    }

    #[test]
    fn at_most_ten_candidates_are_listed() {
        let ids: Vec<String> = (10..25).map(|number| format!("note-{number}")).collect();
        let found = resolve("note", ids.iter().map(String::as_str));
        let lines = found.refusal("note").unwrap();
        assert!(lines[0].contains("15 ids begin with it"), "{lines:?}");
        assert_eq!((lines.len(), lines[11].as_str()), (12, "… and 5 more"));
        assert_eq!(IdMatch::Nothing.refusal("note"), None);
    }
}
