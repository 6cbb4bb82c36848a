//! `skills sync` (worker-pool B.10, F.34): the skills of a queue are installed as a whole, or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use mission_control_runtime::demo::pool::{PoolBackend, PoolPolicy, SkillFile, SkillRelease};
use mission_control_runtime::http::server::Server;
use serde_json::Value;

use crate::support::program::{Program, folder};

/// A queue, and a machine with a folder of skills.
struct Bench {
    backend: PoolBackend,
    server: Server,
    _kept: tempfile::TempDir,
    root: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let backend = PoolBackend::new(PoolPolicy::default());
        let server = backend.serve("127.0.0.1:0").unwrap();
        let (kept, path) = folder();
        let bench = Self { backend, server, _kept: kept, root: path("") };
        fs::create_dir_all(bench.skills("")).unwrap();
        bench
    }

    fn skills(&self, path: &str) -> PathBuf {
        self.root.join("workspace/skills").join(path)
    }

    fn publish(&self, slug: &str, version: &str, files: &[(&str, &str)]) {
        self.backend.withdraw(slug);
        let file = |(path, content): &(&str, &str)| SkillFile {
            path: (*path).to_owned(),
            content: (*content).to_owned(),
        };
        let script =
            SkillFile { path: "scripts/index.mjs".to_owned(), content: "export default {};\n".to_owned() };
        self.backend.publish(SkillRelease {
            channel: "stable".to_owned(),
            slug: slug.to_owned(),
            version: version.to_owned(),
            module_format: "esm".to_owned(),
            files: [script].into_iter().chain(files.iter().map(file)).collect(),
        });
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.skills(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn command(&self, more: &[(&str, &str)]) -> (Option<i32>, String) {
        let path = |name: &str| self.root.join(name).to_str().unwrap().to_owned();
        let program = Program::of(vec!["skills", "sync", "--json"])
            .with("CONVEX_URL", &format!("http://{}", self.server.local_addr()))
            .with("OPENCLAW_STATE_DIR", &path("state"))
            .with("OPENCLAW_WORKSPACE_DIR", &path("workspace"))
            .with("WORKER_ID", "afw-1");
        let program = more.iter().fold(program, |program, (name, value)| program.with(name, value));
        let output = program.output();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).unwrap();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    }

    fn sync(&self, more: &[(&str, &str)]) -> Value {
        let (code, out) = self.command(more);
        assert_eq!(code, Some(0), "{out}");
        serde_json::from_str(&out).unwrap()
    }

    fn state(&self) -> Value {
        serde_json::from_str(
            &fs::read_to_string(self.root.join("state/bootstrap/global-skills-state.json")).unwrap(),
        )
        .unwrap()
    }

    /// Every file and link below the workspace.
    fn all(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        collect(&self.root, &self.root.join("workspace"), &mut found);
        found
    }
}

fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.symlink_metadata().unwrap().is_dir() {
            collect(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read(&path).unwrap_or_default());
        }
    }
}

fn list<'a>(outcome: &'a Value, name: &str) -> Vec<&'a str> {
    outcome[name].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

/// B.10, in the order of a pool's life: install, nothing to do, repair, replace, remove.
#[test]
fn skills_follow_the_manifest() {
    let bench = Bench::new();
    bench.publish("weather", "1.0.0", &[("SKILL.md", "# weather\n"), ("docs/a.md", "a")]);
    bench.publish("notes", "1.0.0", &[("SKILL.md", "# notes\n")]);
    bench.write("own/SKILL.md", "written by the agent");
    let outcome = bench.sync(&[]);
    assert_eq!(
        (list(&outcome, "installed"), list(&outcome, "unchanged")),
        (vec!["notes", "weather"], vec![])
    );
    assert_eq!(fs::read_to_string(bench.skills("weather/docs/a.md")).unwrap(), "a");
    let marker = fs::read_to_string(bench.skills("weather/.af-global-skill.json")).unwrap();
    assert!(marker.contains("\"managedBy\": \"agent-factory\""), "{marker}");

    let lock: Value =
        serde_json::from_str(&fs::read_to_string(bench.skills(".skills.lock.json")).unwrap()).unwrap();
    assert_eq!((&lock["skillsCount"], &lock["workerId"]), (&2.into(), &"afw-1".into()));
    assert_eq!(lock["manifestVersion"], outcome["manifestVersion"]);
    let state = bench.state();
    for (field, expected) in [("source", "db_manifest"), ("status", "ready"), ("releaseChannel", "stable")] {
        assert_eq!(state[field], expected, "{state}");
    }
    assert!(state["appliedAt"].is_number() && state["lockfile"].is_string() && state["lastError"].is_null());

    // The time of the manifest is in the lock file.
    let files = || {
        let mut all = bench.all();
        all.remove("workspace/skills/.skills.lock.json").unwrap();
        all
    };
    let before = files();
    assert_eq!(list(&bench.sync(&[]), "unchanged"), ["notes", "weather"]);
    assert_eq!(files(), before);

    bench.write("weather/SKILL.md", "changed by the agent");
    bench.write("notes/more.md", "added by the agent");
    assert_eq!(list(&bench.sync(&[]), "installed"), ["notes", "weather"]);
    assert_eq!(files(), before);

    bench.publish("weather", "2.0.0", &[("SKILL.md", "# weather 2\n")]);
    bench.backend.withdraw("notes");
    let outcome = bench.sync(&[]);
    assert_eq!((list(&outcome, "installed"), list(&outcome, "removed")), (vec!["weather"], vec!["notes"]));
    assert!(!bench.skills("weather/docs").exists() && !bench.skills("notes").exists());
    assert_eq!(fs::read_to_string(bench.skills("own/SKILL.md")).unwrap(), "written by the agent");
    assert!(!bench.root.join("workspace/skills.sync").exists(), "no remains");
}

/// E.5.10 and F.34: one bad skill changes nothing, and the reason names it.
#[test]
fn one_bad_skill_changes_nothing() {
    let bench = Bench::new();
    bench.publish("weather", "1.0.0", &[("SKILL.md", "# weather\n")]);
    bench.write("own/SKILL.md", "written by the agent");
    let good = bench.sync(&[])["manifestVersion"].clone();
    let before = bench.all();
    bench.publish("weather", "2.0.0", &[("SKILL.md", "# weather 2\n")]);
    let large = "x".repeat(1_000_000);
    let rows: [(&[(&str, &str)], &str); 5] = [
        (&[("SKILL.md", "#"), ("../../evil.md", "x")], "the part `..`"),
        (&[("SKILL.md", "#"), ("a/..", "x")], "the part `..`"),
        (&[("SKILL.md", "#"), ("data.txt", &large)], "more than 200000"),
        (&[], "`SKILL.md` is missing"),
        (&[("SKILL.md", "#"), ("skill.md", "#")], "two files have the path"),
    ];
    for (files, words) in rows {
        bench.publish("bad", "1.0.0", files);
        for policy in ["managed", "enforce"] {
            let (code, out) = bench.command(&[("SKILLS_POLICY", policy)]);
            assert_eq!(code, Some(1), "{out}");
            assert!(out.contains(words) && out.contains("Skill `bad`"), "{words}: {out}");
            assert_eq!(bench.all(), before, "{words}");
        }
    }
    let state = bench.state();
    assert_eq!((&state["status"], &state["lastKnownGood"]["manifestVersion"]), (&"failed".into(), &good));
    assert!(state["lastError"].as_str().unwrap().contains("Skill `bad`") && state["failedAt"].is_number());
    bench.backend.withdraw("bad");
    assert_eq!(list(&bench.sync(&[]), "installed"), ["weather"]);
}

/// E.5.11: an unmanaged folder of a managed name, and what else the manifest does not name.
#[test]
fn the_policy_decides_about_unlisted_folders() {
    let bench = Bench::new();
    bench.publish("weather", "1.0.0", &[("SKILL.md", "# weather\n")]);
    bench.write("weather/SKILL.md", "planted");
    bench.write("image/SKILL.md", "of the image");
    bench.write("own/SKILL.md", "written by the agent");
    bench.write("loose.md", "a file");
    symlink("/etc", bench.skills("link")).unwrap();
    let outcome = bench.sync(&[]);
    assert_eq!((list(&outcome, "blocked"), list(&outcome, "installed")), (vec!["weather"], vec![]));
    assert_eq!(fs::read_to_string(bench.skills("weather/SKILL.md")).unwrap(), "planted");

    let enforce = [("SKILLS_POLICY", "enforce"), ("SKILLS_ALLOWLIST", "image, other")];
    let outcome = bench.sync(&enforce);
    assert_eq!(list(&outcome, "quarantined"), ["link", "loose.md", "own", "weather"]);
    assert_eq!(list(&outcome, "installed"), ["weather"]);
    assert_eq!(fs::read_to_string(bench.skills("weather/SKILL.md")).unwrap(), "# weather\n");
    let mut left: Vec<_> = fs::read_dir(bench.skills("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".skills.lock.json", "image", "weather"]);
    let aside: Vec<_> = fs::read_dir(bench.root.join("workspace/skills.quarantine")).unwrap().collect();
    assert_eq!(aside.len(), 4);
    assert!(Path::new("/etc").exists());
    let again = bench.sync(&enforce);
    assert!(list(&again, "quarantined").is_empty() && list(&again, "installed").is_empty());
}

/// A crash between two renames is completed; new folders without a plan are remains.
#[test]
fn an_interrupted_change_is_completed() {
    for is_planned in [true, false] {
        let bench = Bench::new();
        bench.publish("weather", "1.0.0", &[("SKILL.md", "# weather\n")]);
        bench.sync(&[]);
        let work = bench.root.join("workspace/skills.sync");
        // The old one is moved away already, the new one is not in place yet.
        for folder in ["new/fresh", "old"] {
            fs::create_dir_all(work.join(folder)).unwrap();
        }
        fs::write(work.join("new/fresh/SKILL.md"), "new").unwrap();
        if is_planned {
            let plan = r#"{"install":["fresh"],"remove":["weather"],"quarantine":[]}"#;
            fs::write(work.join("plan.json"), plan).unwrap();
        }
        // The queue does not answer, so only what was begun is done.
        let (code, out) = bench.command(&[("AGENT_FACTORY_FUNCTION_NAMESPACE", "nowhere")]);
        assert!(code == Some(1) && out.contains("nowhere:workerGlobalSkillsManifest"), "{out}");
        assert_eq!(bench.skills("fresh/SKILL.md").exists(), is_planned);
        assert_eq!(bench.skills("weather").exists(), !is_planned);
        assert!(!work.exists());
    }
}

#[test]
fn switched_off_or_led_elsewhere_it_changes_nothing() {
    let bench = Bench::new();
    bench.publish("weather", "1.0.0", &[("SKILL.md", "# weather\n")]);
    assert_eq!(bench.sync(&[("SKILLS_BOOTSTRAP_MODE", "off")])["status"], "skipped");
    assert_eq!((&bench.state()["status"], &bench.state()["reason"]), (&"skipped".into(), &"mode_off".into()));
    assert!(bench.backend.calls().is_empty());
    assert_eq!(list(&bench.sync(&[("SKILLS_RELEASE_CHANNEL", "canary")]), "installed"), [""; 0]);

    let elsewhere = bench.root.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let link = bench.root.join("link");
    symlink(&elsewhere, &link).unwrap();
    let (code, out) = bench.command(&[("OPENCLAW_SKILLS_DIR", link.to_str().unwrap())]);
    assert!(code == Some(1) && out.contains("is a link or a file"), "{out}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}
