//! Tables of rules of the specification: data rows for a rule that a pure function decides, and the names of tests for the
//! others.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A rule, what is given, and what this runtime makes of it.
pub(crate) type RuleRow = (&'static str, Value, Value);

/// A rule, what this runtime does, and the name of the test that shows it.
pub(crate) type RuleTest = (&'static str, &'static str, &'static str);

/// Compares each row with what `decide` returns for the rule and the given value. All rows that differ are shown.
pub(crate) fn check_rows(rows: &[RuleRow], decide: impl Fn(&str, &Value) -> Value) {
    let found = rows.iter().map(|(rule, given, _)| decide(rule, given));
    let differs = |((rule, given, expected), found): (&RuleRow, Value)| {
        (found != *expected).then(|| format!("{rule} {given}\n  expected {expected}\n  found    {found}"))
    };
    let wrong: Vec<String> = rows.iter().zip(found).filter_map(differs).collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// Checks that each of the rules `<letter>-1` to `<letter>-<count>` has a row or an existing test, and that no other rule
/// with this letter is named.
pub(crate) fn check_covered(letter: char, count: usize, rows: &[RuleRow], tests: &[RuleTest]) {
    let mut text = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite"), &mut text);
    for (rule, _, test) in tests {
        assert!(text.contains(&format!("#[test]\nfn {test}()")), "{rule}: there is no test {test}");
    }
    let named = rows.iter().map(|(rule, ..)| *rule).chain(tests.iter().map(|(rule, ..)| *rule));
    let named: BTreeSet<&str> = named.filter(|rule| rule.starts_with(&format!("{letter}-"))).collect();
    let rules: Vec<String> = (1..=count).map(|number| format!("{letter}-{number}")).collect();
    let rules: BTreeSet<&str> = rules.iter().map(String::as_str).collect();
    assert_eq!(named, rules, "every rule, and nothing else, has a row or a test");
}

fn sources(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}
