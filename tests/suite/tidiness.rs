//! The house keeps its floors (the table in `src/lib.rs`), its documents and its secrets.

use std::fs;
use std::path::{Path, PathBuf};

use mission_control_runtime::redact::credentials_in;

/// Which floor a room stands on. The longest matching path counts.
const FLOORS: [(&str, u8); 60] = [
    ("model", 0),
    ("base64", 0),
    ("chance", 0),
    ("clock", 0),
    ("files", 0),
    ("panics", 0),
    ("secret", 0),
    ("redact", 0),
    ("visible", 0),
    ("memory", 0),
    ("json", 0),
    ("config", 1),
    ("delivery", 1),
    ("gateway", 1),
    ("heartbeat", 1),
    ("metrics", 1),
    ("tools", 1),
    ("http::agent_api::answers", 1),
    ("http::agent_api::buckets", 1),
    ("http::agent_api::near", 1),
    ("http::agent_api::repeats", 1),
    ("ops", 1),
    ("http::health", 1),
    ("http::hosts", 1),
    ("http::operator", 1),
    ("http::page", 1),
    ("http::message", 1),
    ("http::metrics", 1),
    ("http::routes", 1),
    ("http::websocket", 1),
    ("wire", 2),
    ("convex", 2),
    ("local", 2),
    ("demo", 2),
    ("ledger", 2),
    ("gateway::client", 2),
    ("heartbeat::keeper", 2),
    ("mission", 2),
    ("http::server", 2),
    ("sessions", 2),
    ("telemetry", 2),
    ("delivery::calls", 3),
    ("delivery::deliver", 3),
    ("delivery::desk", 3),
    ("delivery::halt", 3),
    ("delivery::held", 3),
    ("delivery::inflight", 3),
    ("delivery::worker", 3),
    ("delivery::post", 3),
    ("delivery::scout", 3),
    ("delivery::service", 3),
    ("delivery::settle", 3),
    ("delivery::talk", 3),
    ("delivery::watch", 3),
    ("http::agent_api", 3),
    ("roster", 3),
    ("tools::run", 3),
    ("app", 4),
    ("cli", 4),
    ("main", 4),
];

/// Edges that may know each other; all others meet only on the floors above.
const BETWEEN_EDGES: [(&str, &str); 3] =
    [("mission", "convex"), ("convex", "wire"), ("gateway::client", "wire")];

/// What decisions and words must not touch: the world outside.
const IMPURE: [&str; 12] = [
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "std::net::Tcp",
    "std::net::Udp",
    "Instant::now",
    "SystemTime::now",
    "log::",
    "ureq",
    "crossbeam",
    "getrandom",
];

/// The places that read the clock and roll dice, so that nobody else has to.
const MAY_TOUCH_THE_WORLD: [&str; 4] = ["clock", "chance", "files", "files::error"];

/// Long files have two subjects. The table of variables is one subject.
const FILE_LINES: usize = 420;
const MAY_BE_LONG: [&str; 1] = ["src/config/table.rs"];
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

/// `src/http/server/framing.rs` → `http::server::framing`.
fn room(file: &str) -> String {
    let path = file.strip_prefix("src/").unwrap().strip_suffix(".rs").unwrap();
    path.strip_suffix("/mod").unwrap_or(path).replace('/', "::")
}

fn on_floor(room: &str) -> Option<(&'static str, u8)> {
    let fits =
        |name: &str| room == name || room.strip_prefix(name).is_some_and(|rest| rest.starts_with("::"));
    FLOORS.into_iter().filter(|(name, _)| fits(name)).max_by_key(|(name, _)| name.len())
}

/// The paths behind every `crate::` of a source, up to its tests; a list in braces counts once for each item.
fn imports(source: &str) -> Vec<String> {
    let code: String = source
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
        let path = rest[..end].trim_end_matches("::").to_owned();
        if rest[end..].starts_with('{') {
            let list = &rest[end + 1..end + rest[end..].find('}').unwrap()];
            let prefix = if path.is_empty() { String::new() } else { format!("{path}::") };
            found.extend(list.split(',').map(|item| format!("{prefix}{}", item.trim())));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn imports_point_downwards_only() {
    let mut wrong = Vec::new();
    for (file, source) in sources("src") {
        let here = room(&file);
        let Some((from, floor)) = on_floor(&here) else {
            assert!(["lib", "http"].contains(&here.as_str()), "{file} stands on no floor: add it to FLOORS");
            continue;
        };
        for path in imports(&source) {
            let Some((to, below)) = on_floor(&path) else { continue };
            let friends = floor != 2 || BETWEEN_EDGES.contains(&(from, to));
            let allowed = from == to || below < floor || (below == floor && friends && floor != 1);
            // Decisions may use each other; edges only the friends named above; nobody imports the wiring.
            let allowed = allowed || (floor == 1 && below == 1);
            if !allowed {
                wrong.push(format!("{file} (floor {floor}) uses crate::{path} (floor {below})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn words_and_decisions_touch_nothing_outside() {
    for (file, source) in sources("src") {
        let here = room(&file);
        if on_floor(&here).is_none_or(|(_, floor)| floor > 1) || MAY_TOUCH_THE_WORLD.contains(&here.as_str())
        {
            continue;
        }
        let code = source.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
        for (number, line) in code.enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for word in IMPURE {
                assert!(!line.contains(word), "{file}:{}: {word} has no place on this floor", number + 1);
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_is_short_enough_to_be_read() {
    let places = [("src", FILE_LINES), ("tests", TEST_FILE_LINES), ("benches", TEST_FILE_LINES)];
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
fn every_dependency_has_its_reason_in_the_readme() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, reasons) = readme.split_once("## Dependencies").unwrap();
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]") {
            let Some((name, _)) = line.split_once(" = ") else { continue };
            assert!(reasons.contains(&format!("`{name}`")), "the README does not say why {name} is needed");
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
