//! Which `openclaw.json` is whose: the gateway's own file, and the one that the runtime generates next to the workspaces.

use std::fs;
use std::path::{Path, PathBuf};

use mission_control_runtime::clock::Millis;
use mission_control_runtime::workspace::Workspaces;

fn text_of(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The value of the first `NAME=value` or `NAME value` in this text.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    let (_, rest) = text.split_once(name).unwrap_or_else(|| panic!("{name} is missing"));
    rest[1..].split(['\n', ' ']).next().unwrap()
}

/// The file that the runtime generates for workspaces in this folder.
fn generated_for(root: &str) -> PathBuf {
    Path::new(root).parent().unwrap().join("openclaw.json")
}

/// The runtime has no variable for this file: it follows from `OPENCLAW_WORKSPACE_ROOT`.
#[test]
fn the_runtime_generates_the_file_next_to_the_folder_of_the_workspaces() {
    let place = tempfile::tempdir().unwrap();
    for name in ["agents", "agents/"] {
        let root = place.path().join(name);
        let health = Workspaces::new(root.clone()).sync(&[], &|_| None, None, Millis(1));
        assert_eq!(Path::new(&health.configuration.path), generated_for(root.to_str().unwrap()), "{name}");
    }
}

/// The unit of the gateway merges that file into the gateway's own, which `OPENCLAW_CONFIG_PATH` names.
#[test]
fn the_unit_of_the_gateway_reads_the_generated_file_and_writes_the_gateways_own() {
    let unit = text_of("packaging/systemd/openclaw-gateway.service");
    let own = value(&unit, "OPENCLAW_CONFIG_PATH");
    let root = value(&unit, "OPENCLAW_WORKSPACE_ROOT");
    assert_eq!((value(&unit, "    --existing"), value(&unit, "    --out")), (own, own));
    assert_eq!(Path::new(value(&unit, "    --generated")), generated_for(root));
    assert_ne!(Path::new(own), generated_for(root), "the runtime never writes the gateway's own file");
    assert_eq!(Path::new(own), Path::new(value(&unit, "OPENCLAW_STATE_DIR")).join("openclaw.json"));
}

#[test]
fn the_container_of_the_gateway_does_the_same() {
    let script = text_of("openclaw/start.sh");
    for line in [
        "config=${OPENCLAW_CONFIG_PATH:-$state/openclaw.json}",
        "generated=$(dirname \"$workspaces\")/openclaw.json",
        "--existing \"$config\" --generated \"$generated\" --out \"$config\"",
    ] {
        assert!(script.contains(line), "{line}");
    }
    let default = value(&script, "workspaces=${OPENCLAW_WORKSPACE_ROOT:");
    let image = text_of("openclaw/Dockerfile");
    assert_ne!(
        Path::new(value(&image, "OPENCLAW_CONFIG_PATH")),
        generated_for(default.trim_matches(['-', '}']))
    );
}
