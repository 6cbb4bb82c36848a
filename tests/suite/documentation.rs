//! The documents and the help: links lead somewhere, paths exist, the README is short, the table of error messages is fresh.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mission_control_runtime::mission::catalog;

use crate::support::documents::project;

mod error_messages;
mod gateways;
pub(crate) mod rust_text;

const README_LINES: usize = 150;
const PICTURE_BYTES: u64 = 150_000;

/// All documents for people, by their path from the root.
fn documents() -> Vec<String> {
    let pages = fs::read_dir(project("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let pages = pages.map(|path| format!("docs/{}", path.file_name().unwrap().to_str().unwrap()));
    ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md"]
        .map(str::to_owned)
        .into_iter()
        .chain(pages)
        .collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(project(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// The targets of all links and pictures of a page.
fn targets(page: &str) -> impl Iterator<Item = &str> {
    page.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

/// The anchors of a page, as GitHub forms them: lower case, blanks as hyphens, no punctuation.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchor = |line: &str| line.trim_start_matches('#').trim().to_lowercase();
    headings.map(|line| anchor(line).chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

#[test]
fn every_link_of_the_documents_leads_to_a_file_and_a_heading() {
    for name in documents() {
        let page = read(&name);
        for target in targets(&page).filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(&name).parent().unwrap();
            let linked = if file.is_empty() { PathBuf::from(&name) } else { folder.join(file) };
            assert!(project(linked.to_str().unwrap()).exists(), "{name}: {target} leads nowhere");
            let known = || anchors(&read(linked.to_str().unwrap()));
            assert!(anchor.is_empty() || known().contains(anchor), "{name}: {target} names no heading");
        }
    }
}

#[test]
fn every_path_that_the_documents_name_exists() {
    let folders = ["crates/", "src/", "tests/", "docs/", "fuzz/", "openclaw/", "benches/"];
    for name in documents() {
        for (number, line) in read(&name).lines().enumerate() {
            for path in line.split('`').skip(1).step_by(2) {
                let is_path =
                    folders.iter().any(|folder| path.starts_with(folder)) && !path.contains(['<', ' ']);
                assert!(
                    !is_path || project(path).exists(),
                    "{name}, line {}: there is no {path}",
                    number + 1
                );
            }
        }
    }
}

/// The names of all functions of the suite and of the crates' own tests.
fn test_functions() -> BTreeSet<String> {
    let mut folders = vec![project("tests/suite"), project("crates"), project("src")];
    let mut names = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let after_test = text.split("#[test]").skip(1).filter_map(|rest| rest.split_once("fn "));
                let heads = after_test.filter_map(|(_, rest)| rest.split_once('('));
                names.extend(heads.map(|(name, _)| name.to_owned()));
            }
        }
    }
    names
}

#[test]
fn every_test_that_proves_a_promise_exists() {
    let known = test_functions();
    let page = read("SECURITY.md");
    let is_name = |word: &str| {
        word.matches('_').count() >= 2
            && word.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '0'..='9'))
    };
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|word| is_name(word)).collect();
    assert!(named.len() > 10, "SECURITY.md names its tests");
    for name in named {
        assert!(known.contains(name), "SECURITY.md: there is no test {name}");
    }
}

#[test]
fn the_readme_is_one_page_with_small_pictures() {
    let readme = read("README.md");
    let lines = readme.lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines, {README_LINES} are enough");
    let pictures: Vec<&str> = targets(&readme).filter(|target| target.starts_with("docs/img/")).collect();
    assert!(pictures.len() >= 2, "a picture of the board and one of the runtime's page");
    for picture in pictures {
        let bytes = fs::metadata(project(picture)).unwrap().len();
        assert!(bytes <= PICTURE_BYTES, "{picture} has {bytes} bytes, {PICTURE_BYTES} are enough");
    }
}

/// Help is an answer, and misuse is an error. Neither needs root.
#[test]
fn the_installer_prints_its_help() {
    let installer = |args: &[&str]| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/install.sh");
        let output = Command::new("sh").arg(script).args(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (_, _, usage) = installer(&[]);
    for command in ["install", "upgrade", "rollback", "uninstall", "help"] {
        assert!(usage.contains(&format!("\n  install.sh {command} ")), "{usage}");
    }
    for args in [&["--help"][..], &["-h"], &["help"], &["upgrade", "--help"]] {
        assert_eq!(installer(args), (Some(0), usage.clone(), String::new()), "{args:?}");
    }
    for args in [&[][..], &["upgrade"], &["install", "-x"], &["other"], &["rollback", "x"]] {
        assert_eq!(installer(args), (Some(2), String::new(), usage.clone()), "{args:?}");
    }
}

#[test]
fn every_manifest_names_the_licence() {
    assert!(read("LICENSE").starts_with("MIT License"));
    let crates = fs::read_dir(project("crates")).unwrap().map(|entry| entry.unwrap().path());
    let manifests = crates.map(|path| path.join("Cargo.toml")).filter(|path| path.exists());
    for path in manifests.chain(["Cargo.toml", "fuzz/Cargo.toml"].map(project)) {
        let manifest = fs::read_to_string(&path).unwrap();
        let named = ["license.workspace = true", "license = \"MIT\""];
        assert!(named.iter().any(|line| manifest.lines().any(|found| found == *line)), "{}", path.display());
    }
}

/// The table of calls names exactly the functions of the client.
#[test]
fn every_function_of_mission_control_is_in_the_table_of_calls() {
    let page = read("docs/delivery-rate-limiting.md");
    let section = page.split("## ").find(|part| part.starts_with("What the runtime asks")).unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix('|')?.split('|').nth(1));
    let named: BTreeSet<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let known: BTreeSet<&str> = catalog::ALL
        .iter()
        .chain(catalog::OPTIONAL)
        .filter_map(|function| Some(function.path.split_once(':')?.1))
        .collect();
    assert_eq!(named, known);
}
