//! How the folders of a crate use each other: in one direction.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{code, leaves, path_length};
use super::{LAYERS, sources};

type Arrows = BTreeSet<(String, String)>;

/// `crates/core/src/delivery/prompt/mod.rs` → `["delivery", "prompt"]`; the root of a crate is empty.
fn module(file: &str) -> Vec<String> {
    let (_, path) = file.split_once("src/").unwrap();
    let mut parts: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// The paths that a source names after `crate::` or `super::`, from the root of its crate, without its tests.
fn imports(here: &[String], source: &str) -> Vec<Vec<String>> {
    let code = code(source);
    let in_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::").chain(code.match_indices("super::")) {
        // The middle of a longer path.
        if code[..at].ends_with(in_path) {
            continue;
        }
        let rest = &code[at..];
        for (path, _) in leaves(&rest[..path_length(rest)]) {
            let up = path.iter().take_while(|part| *part == "super").count();
            let base = if up == 0 { &[] } else { &here[..here.len().saturating_sub(up)] };
            let down = path.into_iter().filter(|part| !["crate", "super", "self"].contains(&part.as_str()));
            found.push(base.iter().cloned().chain(down).collect());
        }
    }
    found
}

/// Which folders use which others of the same parent, by the parent: `"delivery"` → `("prompt", "reply")`. The parent of
/// the uppermost folders is empty.
fn between_folders(sources: &[(String, String)]) -> BTreeMap<String, Arrows> {
    // A build script belongs to no folder.
    let sources: Vec<_> = sources.iter().filter(|(file, _)| file.contains("src/")).collect();
    let is_test = |file: &str| file.ends_with("/tests.rs") || file.ends_with("_tests.rs");
    let mut folders = BTreeSet::new();
    for (file, _) in &sources {
        let (_, path) = file.split_once("src/").unwrap();
        let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        folders.extend((1..parts.len()).map(|depth| parts[..depth].to_vec()));
    }
    let mut found: BTreeMap<String, Arrows> = BTreeMap::new();
    for (file, source) in sources.iter().filter(|(file, _)| !is_test(file)) {
        let here = module(file);
        for path in imports(&here, source) {
            let shared = here.iter().zip(&path).take_while(|(a, b)| a == b).count();
            let (from, to) = (here.get(..=shared), path.get(..=shared));
            if let (Some(from), Some(to)) = (from, to)
                && folders.contains(from)
                && folders.contains(to)
            {
                let arrow = (from[shared].clone(), to[shared].clone());
                found.entry(here[..shared].join("/")).or_default().insert(arrow);
            }
        }
    }
    found
}

/// A folder from which these arrows lead back to itself.
fn circle(arrows: &Arrows) -> Option<String> {
    let reaches = |from: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(here) = next.pop() {
            for (_, to) in arrows.iter().filter(|(a, _)| *a == here) {
                if seen.insert(to.clone()) {
                    next.push(to.clone());
                }
            }
        }
        seen
    };
    arrows.iter().map(|(from, _)| from).find(|from| reaches(from).contains(*from)).cloned()
}

fn pairs(list: &[(&str, &str)]) -> Arrows {
    list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn arrows_that_lead_back_are_found() {
    assert_eq!(circle(&pairs(&[("a", "b"), ("b", "c")])), None);
    assert!(circle(&pairs(&[("a", "b"), ("b", "c"), ("c", "b")])).is_some());
}

#[test]
fn imports_are_read_in_every_form() {
    let paths = |source: &str| -> Vec<String> {
        imports(&["a".to_owned(), "b".to_owned()], source).iter().map(|path| path.join("::")).collect()
    };
    assert_eq!(paths("use super::super::c::D;"), ["c::D"]);
    assert_eq!(paths("use super::{c::D, E};"), ["a::c::D", "a::E"]);
    assert_eq!(paths("crate::c::d()"), ["c::d"]);
    assert_eq!(paths("use crate::{c::{d::E, F}, g::H as I};"), ["c::d::E", "c::F", "g::H"]);
    let behind_a_test = "#[cfg(test)]\nuse crate::x::Y;\n\nuse crate::c::D;\n#[cfg(test)]\nmod tests {\n    use crate::x::Y;\n}\n\nfn f() {\n    crate::e::f();\n}\n";
    assert_eq!(paths(behind_a_test), ["c::D", "e::f"]);
    assert_eq!(paths("// crate::x::Y\nconst A: &str = \"crate::x::Y\";"), [""; 0]);
}

#[test]
fn folders_of_every_depth_are_compared() {
    let source = |file: &str, text: &str| (format!("crates/x/src/{file}"), text.to_owned());
    let sources = [
        source("a/one/mod.rs", "use crate::a::two::T; use crate::b::B;"),
        source("a/two/deep.rs", "use super::super::one::O;"),
        source("a/two/tests.rs", "use crate::b::B;"),
        source("b/mod.rs", "use crate::lib_item;"),
    ];
    let found = between_folders(&sources);
    assert_eq!(found[""], pairs(&[("a", "b")]));
    assert_eq!(found["a"], pairs(&[("one", "two"), ("two", "one")]));
    assert!(circle(&found["a"]).is_some());
}

#[test]
fn the_folders_of_a_crate_form_no_circle() {
    let crates = LAYERS.iter().map(|(name, _)| format!("crates/{name}")).chain(["src".to_owned()]);
    for name in crates {
        for (parent, arrows) in between_folders(&sources(&name)) {
            assert_eq!(circle(&arrows), None, "{name}, {parent}: {arrows:?}");
        }
    }
}
