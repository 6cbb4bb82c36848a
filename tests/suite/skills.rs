//! The commands `skills verify` and `skills pack`, from the outside. The checksums are those of worker-pool B.10.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::program::{Program, folder};

const BUNDLE: &str = "ece125e2201bb837dd312e65a6b9a0b6adb5b6e63fce075f0739fc86b2127e68";
const MANIFEST: &str = "54ade31617ccf67f776bc6177c01fa5fae3e2aca5ce5b5248e58da8627cc45e8";
const MARKER: &str = ".af-global-skill.json";

fn run(args: &[&str]) -> (Option<i32>, String) {
    let output = Program::of([&["skills"], args].concat()).output();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).unwrap();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, content) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

const DEMO: [(&str, &str); 2] = [("SKILL.md", "# demo\n"), ("scripts/index.mjs", "export default {};\n")];

fn marker() -> String {
    format!(
        "{{\n  \"slug\": \"demo\",\n  \"version\": \"1.0.0\",\n  \"sha256\": \"{BUNDLE}\",\n  \"managedBy\": \
         \"agent-factory\",\n  \"entryPoint\": \"default\",\n  \"moduleFormat\": \"esm\"\n}}\n"
    )
}

/// The component's own tool prints files without their checksums, which its deploy function demands (F.35).
#[test]
fn a_folder_is_packed_with_its_checksums() {
    let (_kept, path) = folder();
    write(&path("demo"), &DEMO);
    let (code, out) = run(&["pack", path("demo").to_str().unwrap(), "--as", "Demo@1.0.0"]);
    let bundle: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, Some(0));
    let file =
        |path: &str, content: &str, sum: &str| json!({"path": path, "content": content, "sha256": sum});
    let expected = json!({
        "slug": "demo",
        "version": "1.0.0",
        "moduleFormat": "esm",
        "entryPoint": "default",
        "files": [
            file(DEMO[1].0, DEMO[1].1, "450f0af4f4c1ecc4c7180f2e364c8a59bfed69dd350fb6b47bce8641c2a37786"),
            file(DEMO[0].0, DEMO[0].1, "bc70e26f40b8816eb177813dda1f5f529a27a4641d45aa19cae2348a8c6a5fe9"),
        ],
    });
    assert_eq!(bundle, expected);

    // What was packed is checked, as it is published.
    let verify = |bundle: &Value| {
        fs::write(path("bundle.json"), bundle.to_string()).unwrap();
        run(&["verify", path("bundle.json").to_str().unwrap()])
    };
    let (code, out) = verify(&bundle);
    assert_eq!(
        (code, out),
        (Some(0), format!("The bundle demo@1.0.0 is good: 2 files, checksum {BUNDLE}.\n"))
    );
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut bundle = bundle.clone();
        change(&mut bundle);
        let (code, out) = verify(&bundle);
        assert_eq!(code, Some(1), "{out}");
        out
    };
    let out = changed(&|bundle| bundle["files"][1]["content"] = "# other\n".into());
    assert!(out.contains("must not be published") && out.contains("The checksum of `SKILL.md` is"), "{out}");
    let out = changed(&|bundle| bundle["moduleFormat"] = "cjs".into());
    assert!(out.contains("of the format esm, not cjs"), "{out}");
    let out = changed(&|bundle| bundle["files"] = json!([bundle["files"][0]]));
    assert!(out.contains("`SKILL.md` is missing"), "{out}");
    let out = changed(&|bundle| drop(bundle["files"][0].as_object_mut().unwrap().remove("sha256")));
    assert!(out.contains("not ``; pack it again"), "{out}");
    // `globalSkillsDeploy` refuses a field that it does not know.
    for field in ["sha256", "skillDirName"] {
        let out = changed(&|bundle| bundle[field] = BUNDLE.into());
        assert!(out.contains("refuses the field; pack it again") && out.contains(field), "{out}");
    }
    let out = changed(&|bundle| bundle["entryPoint"] = "run".into());
    assert!(out.contains("Its entry point is `run`, not `default`; pack it again"), "{out}");
}

#[test]
fn what_cannot_be_packed_is_named() {
    let (_kept, path) = folder();
    write(&path("demo"), &DEMO);
    fs::write(path("demo").join("image.png"), [0xff, 0xd8]).unwrap();
    symlink("/etc/passwd", path("demo").join("link")).unwrap();
    let (code, out) = run(&["pack", path("demo").to_str().unwrap(), "--as", "demo@1.0.0"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("`image.png` is not UTF-8 text") && out.contains("`link` is a link"), "{out}");
    // A hundred megabytes, of which only the beginning is read.
    fs::remove_file(path("demo").join("image.png")).unwrap();
    fs::remove_file(path("demo").join("link")).unwrap();
    fs::File::create(path("demo").join("large.txt")).unwrap().set_len(100_000_000).unwrap();
    let (code, out) = run(&["pack", path("demo").to_str().unwrap(), "--as", "demo@1.0.0"]);
    assert!(code == Some(1) && out.contains("`large.txt` has more than 200001 bytes"), "{out}");
    let (code, out) = run(&["pack", "/nowhere", "--as", "demo@1.0.0"]);
    assert!(code == Some(1) && out.contains("/nowhere cannot be read"), "{out}");
    for (args, words) in [
        (&["pack", "x"][..], "needs --as NAME@VERSION"),
        (&["pack", "x", "--as", "demo"], "expected NAME@VERSION"),
        (&["pack"], "a folder"),
        (&[], "needs `verify`, `pack` or `sync`"),
    ] {
        let (code, out) = run(args);
        assert!(code == Some(2) && out.contains(words), "{args:?}: {out}");
    }
}

#[test]
fn the_skills_of_a_folder_are_compared_with_their_markers() {
    let (_kept, path) = folder();
    let all = path("skills");
    write(&all.join("demo"), &DEMO);
    write(&all.join("demo"), &[(MARKER, &marker())]);
    write(&all, &[(".skills.lock.json", "{}"), ("mine/SKILL.md", "# mine\n")]);
    let (code, out) = run(&["verify", all.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (Some(0), "intact     demo (demo@1.0.0)\nunmanaged  mine\n"));
    write(&all.join("demo"), &[("SKILL.md", "# other\n")]);
    symlink(all.join("mine"), all.join("linked")).unwrap();
    write(&all, &[("forged\nintact     demo/SKILL.md", "# x\n")]);
    write(&all.join("hidden"), &DEMO);
    symlink("/etc/hostname", all.join("hidden").join(MARKER)).unwrap();
    let (code, out) = run(&["verify", all.to_str().unwrap(), "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["success"]), (Some(1), &json!(false)));
    let states: Vec<&str> =
        report["skills"].as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["changed", "unmanaged", "changed", "changed", "unmanaged"], "{report}");
    assert!(out.contains("the checksum of its files is") && out.contains("it is a link"), "{report}");
    let (_, shown) = run(&["verify", all.to_str().unwrap()]);
    assert!(
        !shown.lines().any(|line| line.starts_with("intact")),
        "a name with a line end forges no row: {shown}"
    );
}

#[test]
fn a_manifest_is_good_or_refused_as_a_whole() {
    let (_kept, path) = folder();
    let file = |path: &str, content: &str| json!({"path": path, "content": content});
    let skill = |files: Value| {
        json!({"slug": "demo", "version": "1.0.0", "moduleFormat": "esm", "entryPoint": "default", "sha256": BUNDLE,
            "skillDirName": "demo", "files": files})
    };
    let files = json!([file(DEMO[1].0, DEMO[1].1), file(DEMO[0].0, DEMO[0].1), file(MARKER, &marker())]);
    let manifest = |skills: Value| {
        json!({"layoutVersion": "openclaw-workspace-skill-v1", "manifestVersion": MANIFEST, "generatedAt": 1.0,
            "releaseChannel": "stable", "workspaceId": "default", "skills": skills})
    };
    let verify = |manifest: &Value| {
        fs::write(path("manifest.json"), manifest.to_string()).unwrap();
        run(&["verify", path("manifest.json").to_str().unwrap()])
    };
    let (code, out) = verify(&manifest(json!([skill(files.clone())])));
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("1 skills") && out.contains(MANIFEST), "{out}");
    let mut bad = files.clone();
    bad[1]["path"] = "scripts/..".into();
    let (code, out) = verify(&manifest(json!([skill(files), skill(bad)])));
    assert_eq!(code, Some(1));
    assert!(out.contains("not even in part") && out.contains("the part `..`"), "{out}");
    let (code, out) = verify(&json!({"skills": 1}));
    assert!(code == Some(1) && out.contains("is neither a manifest of skills nor a bundle"), "{out}");
}
