//! A type name has one meaning in a crate.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{code, leaves};
use super::{LAYERS, sources};

/// The types that code defines in its modules. Associated types of traits, and of their implementations, are no
/// definitions of a name.
fn defined(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for keyword in ["struct ", "enum ", "union ", "trait ", "type "] {
        for (at, _) in code.match_indices(keyword) {
            let line = &code[code[..at].rfind('\n').map_or(0, |end| end + 1)..at];
            let indented = line.starts_with(char::is_whitespace);
            let before = line.trim();
            let visible = before.is_empty() || before.starts_with("pub") && !before.contains(['=', ';']);
            if !visible || (indented && keyword == "type ") {
                continue;
            }
            let rest = &code[at + keyword.len()..];
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if name.starts_with(char::is_uppercase) {
                found.push(name);
            }
        }
    }
    found
}

/// The types that code imports from other crates of ours, by the names that they have here.
fn imported(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use mcr_") {
        let tree = code[at + "use ".len()..].split(';').next().unwrap();
        let names = leaves(tree).into_iter().map(|(_, name)| name);
        found.extend(names.filter(|name| name.starts_with(char::is_uppercase)));
    }
    found
}

/// The names with two meanings in a crate, each with the files that define or import it.
fn ambiguous(sources: &[(String, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let mut definitions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut imports: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, source) in sources {
        if file.ends_with("tests.rs") {
            continue;
        }
        let code = code(source);
        for name in defined(&code) {
            definitions.entry(name).or_default().push(format!("{file} (definition)"));
        }
        for name in imported(&code) {
            imports.entry(name).or_default().push(format!("{file} (import)"));
        }
    }
    let mut found = BTreeMap::new();
    for (name, mut places) in definitions {
        let imported = imports.remove(&name).unwrap_or_default();
        if places.len() > 1 || !imported.is_empty() {
            places.extend(imported);
            found.insert(name, places.into_iter().collect());
        }
    }
    found
}

#[test]
fn names_with_two_meanings_are_found() {
    let source = |file: &str, text: &str| (file.to_owned(), text.to_owned());
    let names = |sources: &[(String, String)]| ambiguous(sources).into_keys().collect::<Vec<_>>();
    let twice =
        [source("a.rs", "pub(super) struct A;\nenum B {}"), source("b.rs", "mod c {\n    trait A {}\n}")];
    assert_eq!(names(&twice), ["A"]);
    let imported = [source(
        "a.rs",
        "use mcr_core::{b::{self, C}, D as E};\nuse std::F;\nstruct C; struct D; type F = C;\nstruct E;",
    )];
    assert_eq!(names(&imported), ["C", "E"]);
    let clear = [
        source(
            "a.rs",
            "struct A;\n#[cfg(test)]\nmod tests {\n    struct A;\n}\nimpl T for A {\n    type B = u8;\n}\n",
        ),
        source("tests.rs", "struct A;"),
        source("b.rs", "type B = u8; // struct A\n"),
    ];
    assert_eq!(names(&clear), [""; 0]);
}

#[test]
fn a_type_name_has_one_meaning_in_a_crate() {
    let crates = LAYERS.iter().map(|(name, _)| format!("crates/{name}/src")).chain(["src".to_owned()]);
    let mut found = Vec::new();
    for folder in crates {
        for (name, places) in ambiguous(&sources(&folder)) {
            let places: Vec<String> = places.into_iter().collect();
            found.push(format!("{name}: {}", places.join(", ")));
        }
    }
    assert!(found.is_empty(), "{} names with two meanings:\n{}", found.len(), found.join("\n"));
}
