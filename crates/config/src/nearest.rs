//! Which known name somebody may have meant.
//!
//! In the env file every unknown name is suspicious. The environment is full of other programs' names, so there a
//! name must be very much like one of ours: one slip, two in a long name, none in the first letter; and names that
//! other programs use too (`GH_TOKEN`, `OPENAI_API_KEY`) have honest neighbours and never count as missed.

use super::table::{NEIGHBOURS, STATE_DIRECTORY, TABLE};
use super::variable::Variable;

/// A known name.
pub(super) struct Known {
    pub(super) name: String,
    pub(super) variable: &'static Variable,
}

/// Names so like ours that they need a word, but which other programs use.
const ORDINARY: &[&str] =
    &["ACCOUNT_SID", "LOGLEVEL", "LOG_LEVELS", "LOGFORMAT", "STATE_DIRS", STATE_DIRECTORY];

/// From this length on a name may have two slips in it.
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

/// The known name behind a `NAME_FILE` that is not read.
pub(super) fn with_file_in_vain(name: &str) -> Option<Known> {
    let meant = name.strip_suffix("_FILE").filter(|_| !is_known(name))?;
    known().find(|known| known.name == meant)
}

/// Whether it belongs to somebody who may share our env file.
pub(super) fn is_neighbour(name: &str) -> bool {
    NEIGHBOURS.contains(&name)
}

/// Whether it is, or was meant to be, the name of a file that holds a secret.
pub(super) fn names_a_file(name: &str) -> bool {
    name.to_ascii_uppercase().ends_with("_FILE")
}

/// The name that was probably meant by an unknown one in the environment.
pub(super) fn in_environment(name: &str) -> Option<Known> {
    let upper = name.to_ascii_uppercase();
    // A name with anything else in it is nobody's slip, and would not be fit to print.
    let printable = upper.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if !printable || ORDINARY.contains(&upper.as_str()) {
        return None;
    }
    let slips_max = |known: &Known| if known.name.len() >= LONG_NAME { 2 } else { 1 };
    known()
        .filter(|known| !known.variable.common && known.name.as_bytes().first() == upper.as_bytes().first())
        .filter_map(|known| distance(&upper, &known.name, slips_max(&known)).map(|slips| (slips, known)))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, known)| known)
}

/// The name that was probably meant by an unknown one in the env file.
pub(super) fn in_file(name: &str) -> Option<Known> {
    let upper = name.to_ascii_uppercase();
    let slips_max = |known: &Known| known.name.len() / 4;
    known()
        .filter_map(|known| distance(&upper, &known.name, slips_max(&known)).map(|slips| (slips, known)))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, known)| known)
}

/// How many slips of the fingers lie between two names (a letter too many, missing, wrong, or two swapped), or
/// nothing if there are more than `slips_max`.
fn distance(a: &str, b: &str, slips_max: usize) -> Option<usize> {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    // Spares the work for names that cannot be near, among them absurdly long ones.
    if a.len().abs_diff(b.len()) > slips_max {
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
    Some(above[b.len()]).filter(|slips| *slips <= slips_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
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
        for (a, b, slips) in rows {
            assert_eq!(distance(a, b, 2), slips, "{a} {b}");
        }
    }
}
