//! What the compiler cannot see: which layers the manifests list, how folders use each other, how long files are, and
//! that no secret is committed.

mod imports;
mod log_lines;
mod names;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use mission_control_runtime::redact::credentials_in;

/// What each layer may use, as the table in `src/lib.rs` has it; the manifests list it, so that the compiler keeps it.
const LAYERS: [(&str, &[&str]); 11] = [
    ("model", &[]),
    ("files", &[]),
    ("config", &["model"]),
    ("core", &["model"]),
    ("http", &["model"]),
    ("clients", &["model", "files", "core", "http"]),
    ("store", &["model", "files", "core"]),
    ("provision", &["model", "files", "clients"]),
    ("mission-control", &["model", "files", "core", "http"]),
    ("gateway-sim", &["model", "core", "http"]),
    ("service", &["model", "files", "config", "core", "http", "clients", "store"]),
];

/// Long files have two subjects. The table of variables is one subject.
const FILE_LINES: usize = 420;
const MAY_BE_LONG: [&str; 1] = ["crates/config/src/table.rs"];
const TEST_FILE_LINES: usize = 600;
const MAIN_LINES: usize = 40;

/// Names that say nothing about what is inside.
const NO_NAMES: [&str; 6] = ["utils", "util", "common", "helpers", "manager", "misc"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder of the project, by its path from the root.
fn files(folder: &str) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let ours = !["target", "dist", ".git"].contains(&name.as_str());
            if path.is_dir() && ours {
                folders.push(path);
            } else if path.is_file() {
                found.push((name, path));
            }
        }
    }
    found.sort();
    found
}

fn sources(folder: &str) -> Vec<(String, String)> {
    let rust =
        files(folder).into_iter().filter(|(name, _)| Path::new(name).extension().is_some_and(|e| e == "rs"));
    rust.map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect()
}

/// The layers that a manifest lists for the crate itself, and not only for its tests.
fn listed(manifest: &str) -> Vec<&str> {
    let (_, rest) = manifest.split_once("[dependencies]").unwrap();
    let section = rest.split("\n[").next().unwrap();
    section.lines().filter_map(|line| line.strip_prefix("mcr-")?.split(['.', ' ']).next()).collect()
}

#[test]
fn the_manifests_list_the_layers_below_only() {
    let crates = fs::read_dir(root().join("crates")).unwrap();
    let mut names: Vec<_> = crates.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let mut known: Vec<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(names, known);
    for (name, may_use) in LAYERS {
        let manifest = fs::read_to_string(root().join(format!("crates/{name}/Cargo.toml"))).unwrap();
        for layer in listed(&manifest) {
            assert!(may_use.contains(&layer), "crates/{name} must not use {layer}");
        }
    }
}

/// No layer lists a stand-in, so they are in the droplet build only if the root package requires them.
#[test]
fn the_droplet_build_contains_no_stand_in() {
    let stand_ins = ["mission-control", "gateway-sim", "provision"];
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, package) = manifest.split_once("\n[dependencies]\n").unwrap();
    let required = package.split("\n[").next().unwrap();
    for name in stand_ins {
        assert!(LAYERS.iter().all(|(_, may_use)| !may_use.contains(&name)), "a layer may use {name}");
        let line =
            required.lines().find(|line| line.starts_with(&format!("mcr-{name} "))).unwrap_or_default();
        assert!(line.contains("optional = true"), "{name} must be optional: `{line}`");
    }
}

#[test]
fn every_file_says_what_it_is_and_is_short_enough_to_be_read() {
    let places = [
        ("src", FILE_LINES),
        ("crates", FILE_LINES),
        ("tests", TEST_FILE_LINES),
        ("benches", TEST_FILE_LINES),
    ];
    for (folder, limit) in places {
        for (file, source) in sources(folder) {
            assert!(source.starts_with("//! "), "{file} must begin with what it is");
            let lines = source.lines().count();
            let limit = if file == "src/main.rs" { MAIN_LINES } else { limit };
            assert!(
                lines <= limit || MAY_BE_LONG.contains(&file.as_str()),
                "{file} has {lines} lines, {limit} are enough"
            );
            for part in file.trim_end_matches(".rs").split('/') {
                assert!(!NO_NAMES.contains(&part), "{file}: the name says nothing");
            }
        }
    }
}

#[test]
fn every_dependency_has_its_reason_in_the_documents() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let reasons = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section == "[workspace.dependencies]" {
            let Some((name, _)) = line.split_once(" = ") else { continue };
            if name.starts_with("mcr-") {
                continue;
            }
            assert!(
                reasons.contains(&format!("`{name}`")),
                "docs/dependencies.md does not say why {name} is needed"
            );
        }
    }
}

/// Whether a find is somebody's real credential and not the description of one: long, and of mixed characters.
fn looks_real(before: &str, credential: &str) -> bool {
    // The account's id in a service token is public.
    let account_first = before.to_ascii_lowercase().ends_with("mc_service_");
    let secret =
        credential.split_once('_').filter(|_| account_first).map_or(credential, |(_, secret)| secret);
    let longest = secret.split(|c: char| !c.is_ascii_alphanumeric()).map(str::len).max().unwrap_or(0);
    longest >= 16
        && secret.bytes().any(|b| b.is_ascii_digit())
        && secret.bytes().any(|b| b.is_ascii_alphabetic())
}

fn credentials_committed(text: &str) -> Vec<usize> {
    let finds = credentials_in(text).into_iter();
    let real = finds.filter(|found| looks_real(&text[..found.from], &text[found.from..found.to]));
    real.map(|found| text[..found.from].matches('\n').count() + 1).collect()
}

#[test]
fn no_secret_is_committed() {
    let planted =
        ["service token: mc_", "service_k17abc_5f0c99aa77bb55cc11dd\nkey sk", "-proj-a1b2c3d4e5f6g7h8i9"]
            .concat();
    assert_eq!(credentials_committed(&planted), [1, 2], "the check must be able to fail");

    for (file, path) in files(".") {
        // As in `.gitignore`: people keep their own tokens in `*.env`, `local` in `.mission-control`.
        let local = file.starts_with(".mission-control")
            || Path::new(&file).extension().is_some_and(|end| end == "env");
        let Ok(text) = fs::read_to_string(path) else { continue };
        let lines = if local { Vec::new() } else { credentials_committed(&text) };
        assert!(lines.is_empty(), "{file}: lines {lines:?} hold a credential");
    }
}

/// Clippy reads the configuration nearest to a crate and does not merge it with the root's.
#[test]
fn the_clippy_settings_of_a_crate_repeat_the_roots() {
    let settings = |file: &str| fs::read_to_string(root().join(file)).ok();
    let common = settings("clippy.toml").unwrap();
    let mut with_own = 0;
    for (name, _) in LAYERS {
        let Some(own) = settings(&format!("crates/{name}/clippy.toml")) else { continue };
        with_own += 1;
        for line in common.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            assert!(own.lines().any(|other| other == line), "crates/{name}/clippy.toml lacks `{line}`");
        }
    }
    assert_eq!(with_own, 2, "core and model have settings of their own");
}
