//! The command `fleet` against the program `local`.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Process, program};
use crate::support::program::{Program, text};

/// A running `local` with its data folder.
struct Server {
    home: TempDir,
    process: Process,
}

impl Server {
    fn start() -> Self {
        let home = TempDir::new().unwrap();
        let process = Process::start(program(home.path())).unwrap_or_else(|end| panic!("{end:?}"));
        Self { home, process }
    }

    /// Runs `fleet` with these words. Returns its exit code and its output.
    fn fleet(&self, words: &str) -> (Option<i32>, String) {
        let key = self.home.path().join("admin-key");
        let at = ["--url", &self.process.client.url, "--admin-key-file", key.to_str().unwrap()];
        let program =
            words.split_whitespace().fold(Program::new(["fleet"]), |program, word| program.and([word]));
        let output = program.and(at).output();
        (output.status.code(), text(&output))
    }

    /// A report of the first account's runtime.
    fn report(&self, status: &str, version: &str) {
        let config = json!({"dropletId": "", "ipAddress": "", "runtimeServiceVersion": version});
        self.process
            .client
            .service("updateRuntimeStatus", json!({"status": status, "config": config}))
            .unwrap();
    }

    fn list(&self) -> Value {
        let (code, said) = self.fleet("list --json");
        assert_eq!(code, Some(0), "{said}");
        serde_json::from_str(&said).unwrap()
    }
}

#[test]
fn the_fleet_is_listed_and_changed_from_a_shell() {
    let server = Server::start();
    assert_eq!(server.fleet("create acme").0, Some(0));
    assert!(server.fleet("create acme").1.contains("Account slug already exists"));
    let listed = server.list();
    let slugs: Vec<_> =
        listed["accounts"].as_array().unwrap().iter().map(|row| row["slug"].clone()).collect();
    assert_eq!(slugs, ["local", "acme"]);
    let (code, said) = server.fleet("list");
    assert!(code == Some(0) && said.contains("acme") && said.contains("offline"), "{said}");
    assert!(server.fleet("show acme").1.contains("status: offline"));
    let (code, said) = server.fleet("show nobody");
    assert!(code == Some(1) && said.contains("There is no account"), "{said}");

    // Nothing happens to runtimes before the switch is on.
    let (code, said) = server.fleet("restart acme");
    assert!(code == Some(1) && said.contains("fleet enable fleet_orchestration_enabled"), "{said}");
    assert_eq!(server.fleet("enable fleet_orchestration_enabled").0, Some(0));
    // No runtime has ever reported, so there is nothing to restart and nothing to upgrade.
    let (code, said) = server.fleet("restart acme");
    assert!(code == Some(1) && said.contains("No runtime of the account acme has ever reported"), "{said}");
    let (code, said) = server.fleet("upgrade all --to 9.9.9");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("  acme: to 9.9.9, skipped: the account has no runtime"), "{said}");
    assert_eq!(server.list()["rollout"]["state"], "done");
    server.report("online", "1.0.0");
    let (code, said) = server.fleet("restart all");
    assert_eq!((code, said.as_str()), (Some(0), "Requested a restart of local.\n"));
    assert!(server.list()["accounts"][0]["restartRequestedAt"].is_number());
    let (code, said) = server.fleet("upgrade all --to 9.9.9");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("  local: from 1.0.0 to 9.9.9, requested\n"), "{said}");
    assert!(said.contains("Last upgrade: running\n"), "{said}");

    // Without --public-url this server provides no machines.
    assert_eq!(server.fleet("enable runtime_provisioning_enabled").0, Some(0));
    let machine = "provision acme --provider digitalocean --region fra1 --size s --image i";
    let (code, said) = server.fleet(machine);
    assert!(code == Some(1) && said.contains("--public-url"), "{said}");
    assert_eq!(server.list()["providers"], json!(null));
}

/// A word that the server does not know is refused with those that it knows.
#[test]
fn a_mistyped_word_is_named() {
    let server = Server::start();
    let switches = server.list()["switches"].clone();
    for key in switches.as_object().unwrap().keys() {
        assert_eq!(server.fleet(&format!("enable {key}")).0, Some(0), "the command knows every switch");
    }
    for (words, sentence) in [
        ("enable banana", "there is no switch `banana`: expected fleet_orchestration_enabled or runtime_"),
        ("disable banana", "there is no switch `banana`"),
        ("token hetzner --token-file x", "there is no provider `hetzner`: expected digitalocean"),
        (
            "provision local --provider hetzner --region a --size b --image c",
            "there is no provider `hetzner`",
        ),
        ("upgrade all --to banana", "`banana` is no version: expected a release such as 1.4.0"),
        ("upgrade all --to 1.0.0 --openclaw latest", "`latest` is no version"),
    ] {
        let (code, said) = server.fleet(words);
        assert!(code == Some(2) && said.contains(sentence), "{words}: {code:?} {said}");
    }
}

#[test]
fn an_admin_key_goes_to_no_address_in_the_clear() {
    let home = TempDir::new().unwrap();
    let key = home.path().join("admin-key");
    std::fs::write(&key, "mc_admin_canary").unwrap();
    let args =
        ["fleet", "list", "--url", "http://203.0.113.9:3210", "--admin-key-file", key.to_str().unwrap()];
    let output = Program::new(args).output();
    let said = text(&output);
    assert!(output.status.code() == Some(1) && said.contains("use an https address"), "{said}");
    assert!(!said.contains("canary"));
}

#[test]
fn a_control_plane_without_its_proxy_does_not_start() {
    let public = ["--public-url", "https://control.example.com"];
    let rows: [(&[&str], &str); 3] = [
        (&["--hosts", "control.example.com"], "needs --trust-proxy"),
        (&["--trust-proxy", "127.0.0.1"], "add it to --hosts"),
        (&["--hosts", "control.example.com", "--trust-proxy", "everyone"], "expected IP addresses"),
    ];
    for (more, sentence) in rows {
        let local = Program::new(["local", "--listen", "127.0.0.1:0", "--data", ":memory:"]).and(public);
        let output = more.iter().fold(local, |program, word| program.and([*word])).output();
        let said = text(&output);
        assert!(output.status.code() == Some(2) && said.contains(sentence), "{more:?}: {said}");
    }
}
