//! The commands `provision` and `bootstrap`, from the outside: against the double over HTTP, with programs in place of OpenSSH.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mission_control_runtime::http::message::{Reply, Request};
use mission_control_runtime::http::server::{Server, ServerLimits};
use serde_json::Value;
use tempfile::TempDir;

use super::api_lists::KEY_ID;
use super::cloud::{Cloud, Manners, TOKEN};
use crate::support::program::Program;

/// Secrets of the runtime, which no output may show.
const SERVICE: &str = "s3rvice-t0ken-c4n4ry";
const GATEWAY: &str = "g4teway-t0ken-c4n4ry";

const FINGERPRINT: &str = "SHA256:uNiVztksCsDhcc0u9e8BrBJeyTTAcpC5v6UUVMjTSdk";

/// The double on a port, a folder for the state, and programs that stand in for OpenSSH.
struct Setup {
    cloud: Cloud,
    server: Server,
    place: TempDir,
}

impl Setup {
    fn new(ssh_exit: u8) -> Self {
        let cloud = Cloud::new(1, Manners::quick());
        let server = cloud.serve();
        let place = tempfile::tempdir().unwrap();
        let setup = Self { cloud, server, place };
        setup.script("ssh-keyscan", "echo \"$5 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\"");
        setup.script("ssh-keygen", &format!("cat >/dev/null; echo '256 {FINGERPRINT} 127.0.0.1 (ED25519)'"));
        let log = setup.path("ssh.log");
        let sent = setup.path("sent");
        setup.script(
            "ssh",
            &format!(
                "echo \"$*\" >>{}; case \"$*\" in *bootstrap*) cat >{} ;; *) cat >/dev/null ;; esac; exit {ssh_exit}",
                log.display(),
                sent.display()
            ),
        );
        let env = format!(
            "SERVICE_TOKEN={SERVICE}\nCONVEX_URL=https://otter-1.convex.cloud\nOPENCLAW_GATEWAY_TOKEN={GATEWAY}\nLOG_LEVEL=debug\n"
        );
        fs::write(setup.path("runtime.env"), env).unwrap();
        setup
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn script(&self, name: &str, body: &str) {
        fs::write(self.path(name), format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn program(&self, args: &[&str]) -> Program {
        let args: Vec<&str> = ["provision"].into_iter().chain(args.iter().copied()).collect();
        Program::of(args)
            .with("PATH", &format!("{}:/usr/bin:/bin", self.place.path().display()))
            .with("DIGITALOCEAN_TOKEN", TOKEN)
            .with("DIGITALOCEAN_API_BASE_URL", &format!("http://{}", self.server.local_addr()))
            .with("PROVISION_SSH_KEYS", &KEY_ID.to_string())
            .with("PROVISION_RELEASE_URL", "https://example.com/mcr.tar.gz")
            .with("PROVISION_RELEASE_SHA256", &"ab".repeat(32))
            .with("PROVISION_STATE_DIR", self.path("state").to_str().unwrap())
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        run(self.program(args))
    }

    /// Provisions with variables and the expected host key.
    fn create(&self, more: &[&str]) -> Program {
        let env = self.path("runtime.env").to_str().unwrap().to_owned();
        let args = ["--account", "acc0unt", "--runtime-env", &env];
        self.program(&args.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
    }
}

/// The exit code, and all output, which shows no secret.
fn run(program: Program) -> (Option<i32>, String) {
    let output = program.output();
    let shown = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    for secret in [TOKEN, SERVICE, GATEWAY] {
        assert!(!shown.contains(secret), "{shown}");
    }
    (output.status.code(), shown)
}

#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let setup = Setup::new(0);
    let (code, shown) = setup.run(&["--account", "acc0unt", "--dry-run"]);
    assert_eq!(code, Some(0), "{shown}");
    for part in [
        "POST /v2/firewalls: mission-control, SSH in",
        "mission-control-acc0unt-1 in fra1, s-1vcpu-2gb, debian-12-x64",
        "Price: 12.00 USD a month.",
        "within 900 s the machine is kept",
        "ACCOUNT_ID=acc0unt",
        "Nothing was changed.",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let (code, shown) =
        setup.run(&["--provider", "digitalocean", "--account", "acc0unt", "--dry-run", "--json"]);
    let plan: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((code, &plan["monthlyUsd"], &plan["machinesLeft"]), (Some(0), &"12.00".into(), &10.into()));
    assert!(plan["userData"].as_str().unwrap().starts_with("#cloud-config"));
    assert!(setup.cloud.book().changes().is_empty());
    assert_eq!(setup.run(&["status"]).1, "No machine is known here.\n");
}

#[test]
fn a_machine_comes_online_with_its_secrets_and_goes() {
    let setup = Setup::new(0);
    let (code, shown) = run(setup.create(&["--host-key", FINGERPRINT]));
    assert_eq!(code, Some(0), "{shown}");
    assert!(
        shown.contains("Account acc0unt is online on machine mission-control-acc0unt-1 at 127.0.0.1."),
        "{shown}"
    );
    let sent = fs::read_to_string(setup.path("sent")).unwrap();
    assert!(sent.contains(SERVICE) && sent.contains("ACCOUNT_ID=acc0unt"), "{sent}");
    assert!(!sent.contains(GATEWAY), "the machine has a gateway token of its own: {sent}");
    let log = fs::read_to_string(setup.path("ssh.log")).unwrap();
    assert!(
        log.contains("StrictHostKeyChecking=yes")
            && log.contains("state/known-hosts-mission-control-acc0unt-1")
    );
    assert!(log.contains("status --ready") && !log.contains(SERVICE), "{log}");
    {
        let book = setup.cloud.book();
        for secret in [TOKEN, SERVICE, GATEWAY] {
            assert!(!book.bodies.contains(secret), "a secret is in a request's body");
        }
        let user_data = book.droplets[&500].body["user_data"].as_str().unwrap();
        assert!(user_data.contains("RELEASE_URL='https://example.com/mcr.tar.gz'"));
    }
    let (_, shown) = setup.run(&["status", "--json"]);
    let status: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&status["machines"][0]["state"], &status["machines"][0]["machine"]),
        (&"online".into(), &"500".into())
    );
    assert_eq!(setup.run(&["audit"]).1, "Entries and machines match.\n");
    // Again: nothing more is bought.
    assert_eq!(run(setup.create(&[])).0, Some(0));
    assert_eq!(setup.cloud.counts(), (1, 1));
    let (code, shown) = setup.run(&["destroy", "--account", "acc0unt"]);
    assert_eq!((code, shown.as_str()), (Some(0), "Destroyed: machine 500.\n"));
    assert_eq!(setup.cloud.counts(), (1, 0));
    assert!(setup.run(&["status", "--account", "acc0unt"]).1.contains("acc0unt: gone"));
}

/// Without a person, an unknown host key is not trusted, and no secret is sent.
#[test]
fn a_host_key_is_confirmed_first() {
    let setup = Setup::new(0);
    for (args, part) in [
        (&[][..], "then run the command again with --host-key SHA256:"),
        (&["--host-key", "SHA256:another"], "instead of SHA256:another"),
    ] {
        let (code, shown) = run(setup.create(args));
        assert_eq!(code, Some(1), "{shown}");
        assert!(shown.contains(part) && shown.contains("What is left: machine 500"), "{shown}");
        assert!(!setup.path("ssh.log").exists());
    }
    assert_eq!(run(setup.create(&["--host-key", FINGERPRINT])).0, Some(0));
    assert_eq!(setup.cloud.counts(), (1, 1));
}

#[test]
fn a_machine_that_does_not_report_is_kept_or_destroyed() {
    for (destroy, left) in [("false", 1), ("true", 0)] {
        let setup = Setup::new(255);
        let program = setup.create(&["--host-key", FINGERPRINT]).with("PROVISION_TIMEOUT_S", "1");
        let (code, shown) = run(program.with("PROVISION_DESTROY_ON_TIMEOUT", destroy));
        assert_eq!(code, Some(1), "{shown}");
        assert!(shown.contains("Step boot") && shown.contains("has not reported within 1 s"), "{shown}");
        assert_eq!(setup.cloud.counts(), (1, left), "{shown}");
        assert_eq!(shown.contains("What is left: machine 500"), left == 1, "{shown}");
    }
}

/// What the machine itself refuses is said at once.
#[test]
fn a_set_up_that_fails_says_why() {
    let setup = Setup::new(21);
    let (code, shown) = run(setup.create(&["--host-key", FINGERPRINT]));
    assert_eq!(code, Some(1));
    assert!(shown.contains("cannot be set up (21)"), "{shown}");
}

#[test]
fn an_audit_names_the_remedy_and_the_remedy_works() {
    let setup = Setup::new(0);
    assert_eq!(run(setup.create(&["--host-key", FINGERPRINT])).0, Some(0));
    fs::remove_dir_all(setup.path("state")).unwrap();
    let (code, shown) = setup.run(&["audit"]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(
        shown.contains("machine 500 (mission-control-acc0unt-1) of account acc0unt has no entry here"),
        "{shown}"
    );
    assert!(shown.contains("mission-control-runtime provision destroy --machine 500"), "{shown}");
    assert_eq!(setup.run(&["destroy", "--machine", "500"]).0, Some(0));
    assert_eq!(setup.cloud.counts(), (1, 0));
}

#[test]
fn each_mistake_is_a_sentence_and_costs_nothing() {
    let setup = Setup::new(0);
    let of = |args: &[&str]| setup.program(args);
    let create = || of(&["--account", "acc0unt"]);
    fs::write(setup.path("empty.env"), "LOG_LEVEL=debug\n").unwrap();
    fs::write(setup.path("other.env"), format!("SERVICE_TOKEN={SERVICE}\nCONVEX_URL=x\nACCOUNT_ID=other\n"))
        .unwrap();
    let with_env =
        |name: &str| of(&["--account", "acc0unt", "--runtime-env", setup.path(name).to_str().unwrap()]);
    let rows: [(Program, i32, &str); 15] = [
        (of(&[]), 2, "needs --account ID"),
        (of(&["destroy"]), 2, "needs --account ID"),
        (of(&["destroy", "--account", "a", "--machine", "1"]), 2, "exclude each other"),
        (of(&["--account", "a", "--provider", "hetzner"]), 2, "expected digitalocean"),
        (create().without("DIGITALOCEAN_TOKEN"), 3, "DIGITALOCEAN_TOKEN is not set"),
        (create().with("DIGITALOCEAN_TOKEN", "wrong"), 1, "does not accept the token"),
        (create().without("PROVISION_RELEASE_URL"), 3, "PROVISION_RELEASE_URL is not set"),
        (create().with("PROVISION_RELEASE_SHA256", "abc"), 3, "64 hexadecimal digits"),
        (
            create().with("PROVISION_REGION", "mars"),
            1,
            "Step check: Machine mission-control-acc0unt-1 cannot be created",
        ),
        (create().with("PROVISION_SIZE", "c-60-intel"), 1, "does not offer the size c-60-intel"),
        (create().with("PROVISION_TAG", "A B"), 3, "PROVISION_TAG"),
        (create().with("PROVISION_TIMEOUT_S", "soon"), 3, "PROVISION_TIMEOUT_S"),
        (with_env("empty.env"), 3, "has no SERVICE_TOKEN"),
        (with_env("other.env"), 3, "is for another account than acc0unt"),
        (with_env("missing.env"), 1, "cannot be read"),
    ];
    for (program, code, part) in rows {
        let (seen, shown) = run(program);
        assert_eq!(seen, Some(code), "{part}: {shown}");
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(setup.cloud.book().changes().is_empty(), "{:?}", setup.cloud.book().changes());
}

#[test]
fn all_mistakes_are_named_at_once_and_only_as_they_concern_the_command() {
    let setup = Setup::new(0);
    fs::write(setup.path("empty.env"), "LOG_LEVEL=debug\nACCOUNT_ID=other\n").unwrap();
    let path = setup.path("empty.env").to_str().unwrap().to_owned();
    let args = ["--account", "acc0unt", "--runtime-env", &path];
    let bare = || setup.program(&args).without("DIGITALOCEAN_TOKEN").without("PROVISION_RELEASE_URL");
    for (program, more) in [
        (bare().with("PROVISION_TIMEOUT_S", "soon"), "PROVISION_TIMEOUT_S"),
        (bare().with("PROVISION_TAG", "mission-control-of-a-company-with-a-very-long-name"), "PROVISION_TAG"),
    ] {
        let (code, shown) = run(program);
        assert_eq!(code, Some(3), "{shown}");
        for part in [
            more,
            "DIGITALOCEAN_TOKEN is not set",
            "PROVISION_RELEASE_URL is not set",
            "has no SERVICE_TOKEN",
            "has no CONVEX_URL",
            "is for another account than acc0unt",
        ] {
            assert_eq!(shown.matches(part).count(), 1, "{part}: {shown}");
        }
        assert!(!shown.contains("starts anyway"), "{shown}");
    }
    // The other tasks need less.
    let (code, shown) = run(setup.program(&["status"]).without("DIGITALOCEAN_TOKEN"));
    assert_eq!(code, Some(0), "{shown}");
    assert!(setup.cloud.book().changes().is_empty());
}

#[test]
fn an_unreadable_token_file_is_a_mistake_of_the_configuration() {
    let setup = Setup::new(0);
    for path in [setup.path("missing"), setup.place.path().to_owned()] {
        let program = setup.create(&[]).without("DIGITALOCEAN_TOKEN");
        let (code, shown) = run(program.with("DIGITALOCEAN_TOKEN_FILE", path.to_str().unwrap()));
        assert_eq!(code, Some(3), "{shown}");
        assert!(
            shown.contains("DIGITALOCEAN_TOKEN_FILE") && shown.contains(path.to_str().unwrap()),
            "{shown}"
        );
        assert!(!shown.contains("starts anyway"), "{shown}");
    }
    assert!(setup.cloud.book().changes().is_empty());
}

/// A control plane that gives these answers, one after the other, and then the last again.
fn control_plane(answers: &'static [(u16, &'static str)]) -> (Server, String) {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let answer = move |request: Request| {
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!((request.target(), &body["token"]), ("/provision/bootstrap", &"0ne-t1me-c4n4ry".into()));
        let number = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (status, body) = answers[number.min(answers.len() - 1)];
        Reply::json(body).with_status(status)
    };
    let server = Server::bind("127.0.0.1:0", ServerLimits::default(), answer).unwrap();
    let url = format!("http://{}", server.local_addr());
    (server, url)
}

const ENVIRONMENT: &str =
    r#"{"environment":{"SERVICE_TOKEN":"s3rvice-t0ken-c4n4ry","ACCOUNT_ID":"acc0unt","NOTE":"a # b"}}"#;

fn bootstrap(place: &Path, url: &str) -> (Option<i32>, String) {
    let env_file = place.join("runtime.env");
    let program = Program::of(vec!["bootstrap", "--env-file", env_file.to_str().unwrap()]);
    let (code, shown) = run(program
        .with("RUNTIME_BOOTSTRAP_URL", url)
        .with("RUNTIME_BOOTSTRAP_TOKEN_FILE", place.join("token").to_str().unwrap()));
    assert!(!shown.contains("0ne-t1me-c4n4ry"), "{shown}");
    (code, shown)
}

/// A machine as cloud-init leaves it.
fn new_machine() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("token"), "0ne-t1me-c4n4ry\n").unwrap();
    fs::write(
        place.path().join("runtime.env"),
        "# ours\nACCOUNT_ID=\nSERVICE_TOKEN=\nSTATE_DIR=/var/lib/x\n",
    )
    .unwrap();
    place
}

#[test]
fn a_one_time_token_becomes_an_environment_once() {
    let place = new_machine();
    let (_server, url) = control_plane(&[(503, "{}"), (200, ENVIRONMENT)]);
    let (code, shown) = bootstrap(place.path(), &url);
    assert_eq!(code, Some(0), "{shown}");
    let awaited = "gives no environment yet (HTTP 503). It is asked again in 1 s, for up to 15 minutes.";
    assert!(shown.contains(awaited), "{shown}");
    let path = place.path().join("runtime.env");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(
        text,
        "# ours\nSTATE_DIR=/var/lib/x\nACCOUNT_ID=acc0unt\nNOTE=\"a # b\"\nSERVICE_TOKEN=s3rvice-t0ken-c4n4ry\n"
    );
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!place.path().join("token").exists() && !place.path().join("runtime.env.new").exists());
    let (code, shown) = bootstrap(place.path(), &url);
    assert_eq!(code, Some(0));
    assert!(shown.contains("has a service token already"), "{shown}");
}

/// Killed between the environment and the removal of the token: the control plane refuses, and the machine has all it needs.
#[test]
fn a_second_run_after_a_crash_only_removes_the_token() {
    let place = new_machine();
    fs::write(place.path().join("runtime.env"), "SERVICE_TOKEN=s3rvice-t0ken-c4n4ry\n").unwrap();
    let (_server, url) = control_plane(&[(410, "{}")]);
    let (code, shown) = bootstrap(place.path(), &url);
    assert_eq!(code, Some(0), "{shown}");
    assert!(!place.path().join("token").exists());
    let text = fs::read_to_string(place.path().join("runtime.env")).unwrap();
    assert_eq!(text, "SERVICE_TOKEN=s3rvice-t0ken-c4n4ry\n");
}

#[test]
fn what_is_no_environment_changes_nothing() {
    let rows: [(&'static [(u16, &'static str)], &str); 7] = [
        (&[(401, "{}")], "does not accept the one-time token (HTTP 401)"),
        (&[(410, "{}")], "request the machine again"),
        (&[(302, "{}")], "check RUNTIME_BOOTSTRAP_URL"),
        (&[(200, "<html>")], "something else than an environment"),
        (&[(200, r#"{"environment":{}}"#)], "an empty environment"),
        (&[(200, r#"{"environment":{"A B":"x"}}"#)], "a name is no name of a variable"),
        (&[(200, "{\"environment\":{\"SERVICE_TOKEN\":\"s3rvice-t0ken-c4n4ry\\nX=1\"}}")], "is not one line"),
    ];
    for (answers, part) in rows {
        let place = new_machine();
        let before = fs::read_to_string(place.path().join("runtime.env")).unwrap();
        let (_server, url) = control_plane(answers);
        let (code, shown) = bootstrap(place.path(), &url);
        assert_eq!(code, Some(1), "{part}: {shown}");
        assert!(shown.contains(part), "{part}: {shown}");
        assert_eq!(fs::read_to_string(place.path().join("runtime.env")).unwrap(), before);
        assert!(place.path().join("token").exists());
    }
    let place = new_machine();
    for (url, code, part) in [
        ("http://board.example.com", 3, "is no https address"),
        ("board.example.com", 3, "RUNTIME_BOOTSTRAP_URL"),
    ] {
        let (seen, shown) = bootstrap(place.path(), url);
        assert_eq!(seen, Some(code), "{shown}");
        assert!(shown.contains(part), "{shown}");
    }
    fs::remove_file(place.path().join("token")).unwrap();
    let (code, shown) = bootstrap(place.path(), "https://board.example.com");
    assert_eq!(code, Some(3));
    assert!(shown.contains("cannot be read"), "{shown}");
    let (code, shown) = bootstrap(place.path(), "http://board.example.com");
    assert_eq!(code, Some(3));
    assert!(shown.contains("is no https address") && shown.contains("cannot be read"), "{shown}");
}

#[test]
fn standard_input_is_checked_before_anything_is_written() {
    let place = new_machine();
    let path = place.path().join("runtime.env");
    let with = |input: &str| {
        let program = Program::of(vec!["bootstrap", "--stdin", "--env-file", path.to_str().unwrap()]);
        let output = program.output_of(input);
        let shown = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(!shown.contains(SERVICE), "{shown}");
        (output.status.code(), shown)
    };
    let before = fs::read_to_string(&path).unwrap();
    let all =
        format!("ACCOUNT_ID=acc0unt\nCONVEX_URL=https://otter-1.convex.cloud\nSERVICE_TOKEN={SERVICE}\n");
    let rows: [(&str, i32, &[&str]); 4] = [
        ("", 1, &["it sets no variable"]),
        ("a b=c\n", 1, &["cannot be used"]),
        (
            "SERVICE_TOKN=x\nCONVEX_URL=https://otter-1.convex.cloud\n",
            3,
            &[
                "SERVICE_TOKN is not a known variable; did you mean SERVICE_TOKEN?",
                "ACCOUNT_ID is set neither",
                "SERVICE_TOKEN is set neither",
            ],
        ),
        ("WORKER_TOKEN=x\n", 3, &["CONVEX_URL is set neither"]),
    ];
    for (input, code, parts) in rows {
        let (seen, shown) = with(input);
        assert_eq!(seen, Some(code), "{input}: {shown}");
        for part in parts {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }
    // A name of another program is not ours to judge.
    let (code, shown) = with(&format!("{all}HTTPS_PROXY=http://proxy:3128\n"));
    assert_eq!(code, Some(0), "{shown}");
    // What the file has already need not come again.
    assert_eq!(with("LOG_LEVEL=debug\n").0, Some(0));
    assert!(fs::read_to_string(&path).unwrap().contains("LOG_LEVEL=debug"));
    // Names that the gateway or a library reads.
    let (code, shown) = with("OPENCLAW_GATEWAY_PORT=18790\nSSL_CERT_DIR=/etc/ssl/certs\n");
    assert_eq!(code, Some(0), "{shown}");
    // A worker of a pool has no account, also if only the file shows that it is one.
    fs::write(&path, "CONVEX_URL=https://otter-1.convex.cloud\nWORKER_ID=w1\n").unwrap();
    let (code, shown) = with("OPENCLAW_GATEWAY_TOKEN=new\n");
    assert_eq!(code, Some(0), "{shown}");
    fs::write(&path, "CONVEX_URL=https://otter-1.convex.cloud\nAGENT_FACTORY_WORKER_ID=w1\n").unwrap();
    let (code, shown) = with("OPENCLAW_GATEWAY_TOKEN=new\n");
    assert_eq!(code, Some(0), "{shown}");
}
