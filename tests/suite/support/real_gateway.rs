//! A real gateway whose process a test controls. `tests/conformance/run.sh` makes it and names its folder.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use mission_control_runtime::demo::gateway::Release;
use serde_json::{Value, json};

/// The folder of the gateway, by `tests/conformance/gateway.sh`.
const FOLDER: &str = "CONFORMANCE_GATEWAY_FOLDER";

/// The gateway of this conformance run.
pub(crate) struct RealGateway {
    folder: PathBuf,
}

impl RealGateway {
    /// The gateway in the folder that the environment names.
    pub(crate) fn of_environment() -> Self {
        let folder =
            env::var(FOLDER).unwrap_or_else(|_| panic!("{FOLDER} is set by tests/conformance/run.sh"));
        Self { folder: folder.into() }
    }

    pub(crate) fn url(&self) -> String {
        self.value("url")
    }

    pub(crate) fn token(&self) -> String {
        self.value("token")
    }

    pub(crate) fn release(&self) -> String {
        self.value("release")
    }

    /// Whether its agents get the tools of a client at all.
    pub(crate) fn has_tools(&self) -> bool {
        self.release() != "2026.2.19"
    }

    /// Sends SIGKILL to its processes.
    pub(crate) fn kill(&self) {
        self.run(&["kill"]);
    }

    /// Stops it in order.
    pub(crate) fn stop(&self) {
        self.run(&["stop"]);
    }

    /// Starts it and waits until it takes turns.
    pub(crate) fn start(&self) {
        self.run(&["start"]);
    }

    /// Makes the next start one of another release, with the same state.
    pub(crate) fn use_release(&self, release: &str) {
        self.run(&["use", release]);
    }

    /// The requests that its model has received and that contain these words, in order.
    pub(crate) fn model_calls(&self, words: &str) -> Vec<Value> {
        let requests = fs::read_to_string(self.folder.join("requests")).unwrap_or_default();
        let found = requests.lines().filter(|line| line.contains(words));
        // The last line may be incomplete.
        found.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Reports a case of this gateway for `docs/gateways.md`.
    pub(crate) fn report(&self, case: &str, title: &str, sentence: &str) {
        let line =
            json!({"case": case, "title": title, "result": "ok", "possible": "ok", "sentence": sentence});
        let mut cases =
            fs::OpenOptions::new().create(true).append(true).open(self.folder.join("cases")).unwrap();
        writeln!(cases, "{line}").unwrap();
    }

    fn value(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap().trim().to_owned()
    }

    fn run(&self, words: &[&str]) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/gateway.sh");
        let (command, rest) = words.split_first().unwrap();
        let output = Command::new(script).arg(command).arg(&self.folder).args(rest).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{words:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The gateway that the tests of one release share, if it is of this release: address and token.
pub(crate) fn shared_gateway(release: Release) -> Option<(String, String)> {
    let is_it = env::var("CONFORMANCE_GATEWAY_RELEASE").is_ok_and(|given| given == release.version());
    let (url, token) =
        (env::var("CONFORMANCE_GATEWAY_URL").ok()?, env::var("CONFORMANCE_GATEWAY_TOKEN").ok()?);
    is_it.then_some((url, token))
}
