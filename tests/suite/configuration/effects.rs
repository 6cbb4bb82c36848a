//! Every variable has an effect, or the table says that it has none.

use std::fs;
use std::path::{Path, PathBuf};

use mission_control_runtime::config::{Effect, ReadBy, TABLE, documents};

use super::Start;

/// Every source file below a folder, with its path from there.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|part| part == word)
}

/// The sources that read the configuration, and those that use it.
fn both_sides() -> (Vec<String>, Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = root.join("crates/config");
    let all = sources(&root.join("src")).into_iter().chain(sources(&root.join("crates")));
    let (inside, outside): (Vec<_>, Vec<_>) = all.partition(|(path, _)| path.starts_with(&config));
    let readers = inside.into_iter().filter(|(path, _)| !path.ends_with("table.rs"));
    let texts = |files: Vec<(PathBuf, String)>| files.into_iter().map(|(_, text)| text).collect();
    (texts(readers.collect()), texts(outside))
}

#[test]
fn a_variable_is_read_exactly_if_it_has_an_effect() {
    let (readers, _) = both_sides();
    for variable in TABLE.iter().filter(|variable| variable.read_by != ReadBy::Gateway) {
        let read = readers.iter().any(|text| has_word(text, variable.name));
        match variable.effect {
            Effect::Full => assert!(read, "nothing reads {}", variable.name),
            // Its old default is still shown.
            Effect::NoMore(_) => {}
        }
    }
}

/// A setting that is read but never used has no effect either.
#[test]
fn every_setting_is_used_outside_the_configuration() {
    let (readers, users) = both_sides();
    let settings = readers.iter().find(|text| text.contains("pub struct Settings {")).unwrap();
    let fields = settings.lines().filter_map(|line| line.strip_prefix("    pub ")?.split_once(':'));
    let names: Vec<&str> = fields.map(|(name, _)| name).filter(|name| !name.contains(' ')).collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        let used = users.iter().any(|text| text.contains(&format!(".{name}")));
        assert!(used, "no source outside crates/config uses the setting {name}");
    }
}

/// The documents and the rows of `doctor` use the same column.
#[test]
fn missing_effects_are_reported_everywhere() {
    let (table, example) = (documents::configuration_table(), documents::env_example());
    let start = Start::good();
    for variable in TABLE {
        let Some(words) = variable.effect.missing() else { continue };
        let row = start.row(variable.name);
        assert!(row.contains(&words.replace('`', "")), "{row}");
        let sentence = words.replacen(&words[..1], &words[..1].to_uppercase(), 1);
        assert!(table.contains(&sentence), "{sentence}");
        let words = sentence.replace('`', "");
        let flat = example.replace("\n# ", " ");
        assert!(flat.contains(&words), "{words}");
    }
}

#[test]
fn values_with_an_effect_cause_no_warning() {
    let rows = [
        ("UPGRADE_MODE", "exit"),
        ("UPGRADE_MODE", "NONE"),
        ("OPENCLAW_PROFILE_SYNC", "yes"),
        ("OPENCLAW_WORKSPACE_ROOT", "/srv"),
        // The gateway container uses the key.
        ("AI_GATEWAY_API_KEY", "k3y-k3y-k3y"),
    ];
    for (name, value) in rows {
        let warnings = Start::good().set(name, value).warnings();
        assert!(warnings.is_empty(), "{name}={value}: {warnings:?}");
    }
    // A mistake needs no additional warning.
    let start = Start::good().set("UPGRADE_MODE", "exti");
    assert!(start.mistake().starts_with("UPGRADE_MODE") && start.go().report.warnings().next().is_none());
}
