//! The command `gateway-config`: what it writes, and what it leaves alone.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::documents::project;
use crate::support::program::{Program, text};

/// A folder with the gateway's files.
struct Gateway(TempDir);

impl Gateway {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn config(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path("openclaw.json")).unwrap()).unwrap()
    }

    /// Runs the command with a token that must never be shown.
    fn run<const N: usize>(&self, more: [&str; N]) -> Output {
        let template = project("openclaw/openclaw.template.json");
        let (out, generated) = (self.path("openclaw.json"), self.path("generated.json"));
        let shown = |path: &Path| path.to_str().unwrap().to_owned();
        let args =
            ["--template", &shown(&template), "--out", &shown(&out), "--generated", &shown(&generated)];
        let output = Program::new(["gateway-config"])
            .and(args)
            .and(more)
            .with("OPENCLAW_GATEWAY_TOKEN", "t0ken-c4n4ry")
            .with("OPENAI_API_KEY", "k3y-c4n4ry")
            .output();
        assert!(!text(&output).contains("c4n4ry"), "{}", text(&output));
        output
    }
}

#[test]
fn the_file_is_private_and_is_rewritten_only_when_it_changes() {
    let gateway = Gateway::new();
    let first = gateway.run([]);
    assert_eq!(
        (first.status.code(), text(&first).contains("is written.")),
        (Some(0), true),
        "{}",
        text(&first)
    );
    let path = gateway.path("openclaw.json");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&path).unwrap().contains("c4n4ry"));
    let inode = fs::metadata(&path).unwrap().ino();
    let second = gateway.run([]);
    assert!(text(&second).contains("is up to date."), "{}", text(&second));
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    assert_eq!(fs::read_dir(gateway.0.path()).unwrap().count(), 1, "no draft is left");

    gateway.put("generated.json", r#"{"agents": {"list": [{"id": "qa"}]}}"#);
    let checked = gateway.run(["--check"]);
    assert!(text(&checked).contains("would change."), "{}", text(&checked));
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode, "--check writes nothing");
    gateway.run([]);
    assert!(gateway.config()["agents"]["entries"]["qa"].is_object());
    gateway.run(["--release", "OpenClaw 2026.7.1 (2d2ddc4)"]);
    assert_eq!(gateway.config()["agents"]["list"][0]["id"], "qa");
}

#[test]
fn a_file_that_others_can_read_becomes_private_even_if_it_is_up_to_date() {
    let gateway = Gateway::new();
    gateway.run([]);
    let path = gateway.path("openclaw.json");
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
    for (before, after) in [(0o644, 0o640), (0o666, 0o640), (0o604, 0o600), (0o640, 0o640), (0o600, 0o600)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
        let checked = gateway.run(["--check"]);
        assert_eq!(mode(), before, "--check changes nothing");
        assert_eq!(text(&checked).contains("other users may read or change it"), before != after);
        let output = gateway.run([]);
        assert_eq!((output.status.code(), mode()), (Some(0), after), "{}", text(&output));
        assert!(text(&output).contains("is up to date."), "{}", text(&output));
        assert_eq!(text(&output).contains("which is now withdrawn"), before != after);
    }
}

#[test]
fn bad_files_change_nothing_and_are_named() {
    let gateway = Gateway::new();
    let rows = [
        (
            "{ // JSON5\n}",
            "is not JSON: key must be a string at line 1 column 3. Comments and trailing commas",
        ),
        ("[]", "contains no JSON object."),
        ("{", "is not JSON: EOF"),
    ];
    for (content, words) in rows {
        gateway.put("openclaw.json", content);
        let output = gateway.run([]);
        assert_eq!(output.status.code(), Some(3), "{content}");
        let said = text(&output);
        assert!(
            said.contains(words) && said.contains("stays as it is. Repair the file, or move it away"),
            "{said}"
        );
        assert_eq!(fs::read_to_string(gateway.path("openclaw.json")).unwrap(), content);
    }

    // The generated file is only one of the sources: the gateway starts without it.
    gateway.put("openclaw.json", "");
    gateway.put("generated.json", "{ half");
    let output = gateway.run([]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output).contains("The agents stay as they are."), "{}", text(&output));
    assert_eq!(gateway.config()["gateway"]["mode"], "local", "an empty file is no file");
}

#[test]
fn what_cannot_be_used_is_a_sentence_with_an_exit_code() {
    let gateway = Gateway::new();
    fs::create_dir(gateway.path("folder")).unwrap();
    gateway.put("readable.json", "{}");
    let shown = |name: &str| gateway.path(name).to_str().unwrap().to_owned();
    let readable = shown("readable.json");
    let rows: [(&[&str], i32, &str); 7] = [
        (&["--out", &shown("folder"), "--template", &readable], 3, "it is a directory, not a file"),
        (
            &["--out", &shown("folder"), "--existing", &readable, "--template", &readable],
            1,
            "folder cannot be written",
        ),
        (
            &["--out", &shown("missing/openclaw.json"), "--template", &readable],
            1,
            &format!("its folder does not exist. Run `mkdir -p -m 700 {}`.", shown("missing")),
        ),
        (
            &["--out", &shown("new.json"), "--template", &shown("none.json")],
            3,
            "The template is required on the first start",
        ),
        (
            &["--out", &shown("new.json"), "--template", &readable, "--release", "latest"],
            3,
            "names no release",
        ),
        (&["--out", &shown("new.json")], 2, "`gateway-config` needs --template FILE"),
        (&["--template", &readable], 2, "`gateway-config` needs --out FILE"),
    ];
    for (args, code, words) in rows {
        let output =
            args.iter().fold(Program::new(["gateway-config"]), |program, arg| program.and([arg])).output();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output));
        assert!(text(&output).contains(words), "{args:?}: {}", text(&output));
    }
    // A folder that others may write to is no place for the file.
    fs::set_permissions(gateway.0.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let output = gateway.run([]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(!gateway.path("openclaw.json").exists());
}

/// A browser in the container runs without its sandbox, so no machine gets one because it is installed.
#[test]
fn only_a_variable_gives_agents_a_browser() {
    let gateway = Gateway::new();
    gateway.put("browser", "");
    let (out, browser) = (gateway.path("openclaw.json"), gateway.path("browser"));
    let template = project("packaging/openclaw.template.json");
    let run = |program: Program| {
        let output = program.output();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        gateway.config()
    };
    let program = || {
        Program::new([
            "gateway-config",
            "--template",
            template.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ])
    };
    assert_eq!(run(program()).get("browser"), None);
    let config = run(program().with("OPENCLAW_BROWSER_EXECUTABLE_PATH", browser.to_str().unwrap()));
    assert_eq!(config["browser"]["executablePath"], browser.to_str().unwrap());
}

#[test]
fn an_unusable_token_leaves_the_file_as_it_is() {
    let gateway = Gateway::new();
    gateway.put("openclaw.json", "{}");
    let out = gateway.path("openclaw.json");
    let output = Program::new(["gateway-config", "--template", "none", "--out", out.to_str().unwrap()])
        .with("OPENCLAW_GATEWAY_TOKEN", "two words")
        .output();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("OPENCLAW_GATEWAY_TOKEN") && !text(&output).contains("two words"));
    assert_eq!(fs::read_to_string(out).unwrap(), "{}");
}
