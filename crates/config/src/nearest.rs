//! Finds the known name that a misspelt name probably means.
//!
//! In the env file, every unknown name is suspicious. The environment contains many names of other programs, so a
//! name there must be very similar: one typo, two in a long name, none in the first letter. Names that other programs use
//! too (`GH_TOKEN`, `OPENAI_API_KEY`) have legitimate similar names and are never suggested there.

use super::table::{NEIGHBOURS, STATE_DIRECTORY, TABLE};
use super::variable::Variable;

/// A known name.
pub(super) struct Known {
    pub(super) name: String,
    pub(super) variable: &'static Variable,
}

/// Names of other programs that are similar to ours and must not cause a warning.
const ORDINARY: &[&str] =
    &["ACCOUNT_SID", "LOGLEVEL", "LOG_LEVELS", "LOGFORMAT", "STATE_DIRS", STATE_DIRECTORY];

/// A name of at least this length may contain two typos.
const LONG_NAME: usize = 12;

/// Every name that is read: each spelling, and `NAME_FILE` for secrets that this runtime reads.
fn known() -> impl Iterator<Item = Known> {
    TABLE.iter().flat_map(|variable| {
        variable.spellings().flat_map(|name| {
            let file = variable.takes_file().then(|| Known { name: format!("{name}_FILE"), variable });
            std::iter::once(Known { name: name.to_owned(), variable }).chain(file)
        })
    })
}

/// Whether this name is read.
pub(super) fn is_known(name: &str) -> bool {
    known().any(|known| known.name == name)
}

/// The known `NAME` of a `NAME_FILE` that is not read.
pub(super) fn with_unread_file(name: &str) -> Option<Known> {
    let meant = name.strip_suffix("_FILE").filter(|_| !is_known(name))?;
    known().find(|known| known.name == meant)
}

/// Whether the name belongs to another program that may share our env file.
pub(super) fn is_neighbour(name: &str) -> bool {
    NEIGHBOURS.contains(&name)
}

/// Whether the name is, or is meant to be, a variable that names a file with a secret.
pub(super) fn names_a_file(name: &str) -> bool {
    name.to_ascii_uppercase().ends_with("_FILE")
}

/// The known name that an unknown name in the environment probably means.
pub(super) fn in_environment(name: &str) -> Option<Known> {
    let upper = name.to_ascii_uppercase();
    // A name with other characters is not a typo, and may not be printable.
    let printable = upper.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if !printable || ORDINARY.contains(&upper.as_str()) {
        return None;
    }
    let typos_max = |known: &Known| if known.name.len() >= LONG_NAME { 2 } else { 1 };
    known()
        .filter(|known| !known.variable.common && known.name.as_bytes().first() == upper.as_bytes().first())
        .filter_map(|known| typos(&upper, &known.name, typos_max(&known)).map(|count| (count, known)))
        .min_by_key(|(count, _)| *count)
        .map(|(_, known)| known)
}

/// The known name that a name in a foreign env file means almost certainly, if the name itself is unknown. Such a file may
/// contain variables of other programs.
pub fn meant_variable(name: &str) -> Option<String> {
    if is_known(name) || is_neighbour(name) || with_unread_file(name).is_some() {
        return None;
    }
    in_environment(name).map(|known| known.name)
}

/// The known name that an unknown name in the env file probably means.
pub(super) fn in_file(name: &str) -> Option<Known> {
    let upper = name.to_ascii_uppercase();
    let typos_max = |known: &Known| known.name.len() / 4;
    known()
        .filter_map(|known| typos(&upper, &known.name, typos_max(&known)).map(|count| (count, known)))
        .min_by_key(|(count, _)| *count)
        .map(|(_, known)| known)
}

/// The number of typos between two names (a letter added, missing, wrong, or two swapped); `None` if there are more than
/// `typos_max`.
pub fn typos(a: &str, b: &str, typos_max: usize) -> Option<usize> {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    // Skips names that cannot be similar, among them very long ones.
    if a.len().abs_diff(b.len()) > typos_max {
        return None;
    }
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1; b.len() + 1];
        for j in 0..b.len() {
            let wrong = usize::from(a[i] != b[j]);
            let mut least = (above[j] + wrong).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row[j + 1] = least;
        }
        before = std::mem::replace(&mut above, row);
    }
    Some(above[b.len()]).filter(|typos| *typos <= typos_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_typos_between_two_names() {
        let rows = [
            ("ABC", "ABC", Some(0)),
            ("ABC", "ACB", Some(1)),
            ("ABC", "AB", Some(1)),
            ("AB", "ABC", Some(1)),
            ("ABC", "AXC", Some(1)),
            ("ABCD", "BADC", Some(2)),
            ("ABC", "XYZ", None),
            ("", "ABC", None),
        ];
        for (a, b, expected) in rows {
            assert_eq!(typos(a, b, 2), expected, "{a} {b}");
        }
    }
}
