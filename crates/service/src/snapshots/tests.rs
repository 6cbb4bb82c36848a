//! Archives and swaps without a queue. The rest is in `tests/suite/snapshots`.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use mcr_core::snapshot::SnapshotExcludes;
use mcr_core::snapshot::tar::{BLOCK, END, TarMember, padding};

use super::staging::{KeptFiles, Staging};
use super::*;

const LIMITS: SnapshotLimits = SnapshotLimits { bytes: 8 * 1024 * 1024, members: 100 };

/// Folders with some state, in a folder of their own.
struct Place {
    folder: tempfile::TempDir,
    folders: SnapshotFolders,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let folders = SnapshotFolders {
            state: Some(folder.path().join("state")),
            workspace: folder.path().join("files"),
        };
        Self { folder, folders }
    }

    fn with_state() -> Self {
        let place = Self::new();
        place.write("state/agents/main/sessions/sessions.json", r#"{"main":{}}"#);
        place.write("state/openclaw.json", "the token of this machine");
        place.write("files/MEMORY.md", "remember");
        place.write("files/memory/2026-01-01.md", &"long ".repeat(500_000));
        place.write(&format!("files/{}.md", "ä".repeat(90)), "a long name");
        place.write("files/skills/demo/.af-global-skill.json", "{}");
        fs::create_dir(place.path("files/empty")).unwrap();
        fs::set_permissions(place.path("files/MEMORY.md"), fs::Permissions::from_mode(0o444)).unwrap();
        place
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn packed(&self) -> (Vec<u8>, Packed) {
        pack(&self.folders, &SnapshotExcludes::default(), LIMITS, Vec::new()).unwrap()
    }

    fn unpack(&self, archive: &[u8], limits: SnapshotLimits) -> Result<Unpacked, SnapshotError> {
        let excludes = SnapshotExcludes::default();
        let staging = Staging::begin(&self.folders)?;
        let unpacked = unpack(archive, &|root| staging.place(root), &excludes, limits)?;
        staging.keep_own(&excludes, KeptFiles::OfMachineAndConversation)?;
        staging.commit()?;
        Ok(unpacked)
    }

    /// Every path with its permissions and its content.
    fn all(&self) -> Vec<(String, u32, Vec<u8>)> {
        let mut found = Vec::new();
        collect(self.folder.path(), self.folder.path(), &mut found);
        found.sort();
        found
    }
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<(String, u32, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let facts = path.symlink_metadata().unwrap();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let content = if facts.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        found.push((name, facts.permissions().mode() & 0o777, content));
        if facts.is_dir() {
            collect(root, &path, found);
        }
    }
}

/// An archive with these members.
fn archive(members: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, kind, content) in members {
        let member = TarMember {
            path: (*path).to_owned(),
            is_folder: false,
            mode: 0o644,
            bytes: content.len() as u64,
            modified_s: 0,
        };
        let mut header = member.header();
        let at = header.len() - BLOCK;
        header[at + 156] = *kind;
        header[at + 148..at + 156].copy_from_slice(b"        ");
        let sum: u32 = header[at..].iter().map(|byte| u32::from(*byte)).sum();
        header[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend(header);
        tar.extend_from_slice(content);
        tar.resize(tar.len() + padding(content.len() as u64), 0);
    }
    tar.extend(END);
    zipped(&tar)
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// E.5.9: the same files and modes; the same state gives the same archive. Secrets and the queue's skills stay out.
#[test]
fn an_archive_brings_back_files_and_modes_and_no_secret() {
    let from = Place::with_state();
    symlink("/etc/passwd", from.path("files/link")).unwrap();
    let (bytes, packed) = from.packed();
    assert_eq!(bytes, from.packed().0);
    assert_eq!((packed.files, packed.excluded, packed.left_out, packed.unreadable), (4, 2, 1, 0));

    let to = Place::new();
    to.write("state/openclaw.json", "the token of the other machine");
    to.write("files/seed.md", "made by the gateway");
    to.write("files/skills/new/.af-global-skill.json", "{}");
    let unpacked = to.unpack(&bytes, LIMITS).unwrap();
    assert_eq!((unpacked.files, unpacked.content_bytes), (4, packed.content_bytes));
    let mut expected: Vec<_> = from.all();
    expected.retain(|(path, ..)| !["files/link", "state/openclaw.json"].contains(&path.as_str()));
    expected.retain(|(path, ..)| !path.starts_with("files/skills/demo"));
    let mut found = to.all();
    let kept = found.iter().find(|(path, ..)| path == "state/openclaw.json").unwrap();
    assert_eq!(kept.2, b"the token of the other machine");
    assert!(found.iter().any(|(path, ..)| path == "files/skills/new/.af-global-skill.json"));
    found.retain(|(path, ..)| path != "state/openclaw.json" && !path.starts_with("files/skills/new"));
    let shown = |all: &[(String, u32, Vec<u8>)]| {
        all.iter().map(|(path, mode, _)| format!("{path} {mode:o}")).collect::<Vec<_>>()
    };
    assert_eq!(shown(&found), shown(&expected));
    assert!(found == expected, "contents differ");
}

/// Files that archives leave out are secret: another conversation must not see them.
#[test]
fn another_conversation_gets_only_the_files_of_the_machine() {
    let key = |conversation: &str| SnapshotKey {
        workspace_id: "default".to_owned(),
        agent_key: "a".to_owned(),
        conversation_id: ConversationId::new(conversation),
    };
    let failed = |still_there| Lineage {
        failure: Some("it is damaged".to_owned()),
        still_there,
        ..Lineage::of(&key("c2"))
    };
    let own = Lineage::of(&key("c2"));
    let rows = [
        ("a blank machine", None, true),
        ("its own state", Some(own), true),
        ("another's state", Some(Lineage::of(&key("c1"))), false),
        ("another's state after a failed restore", Some(failed(Some(key("c1")))), false),
        ("nobody's state after a failed restore", Some(failed(None)), true),
    ];
    let excludes = SnapshotExcludes::parse("workspace/videos").unwrap();
    let of_machine = ["state/openclaw.json", "state/identity/device.key"];
    let private = [
        // A marker that anything may have written, and what lies next to it.
        "files/notes/.af-global-skill.json",
        "files/notes/of-the-first.md",
        "state/agents/main/.env",
        "files/.env.production",
        "files/.ssh/id_ed25519",
        "files/tls/server.key",
        "files/videos/one.mp4",
    ];
    for (case, lineage, keeps_private) in rows {
        let place = Place::new();
        for path in of_machine.iter().chain(&private) {
            place.write(path, "of the first");
        }
        let kept = KeptFiles::of(lineage.as_ref().and_then(Lineage::holder), &key("c2"));
        let staging = Staging::begin(&place.folders).unwrap();
        staging.keep_own(&excludes, kept).unwrap();
        staging.commit().unwrap();
        for path in of_machine {
            assert!(place.path(path).exists(), "{case}: {path}");
        }
        for path in private {
            assert_eq!(place.path(path).exists(), keeps_private, "{case}: {path}");
        }
    }
}

/// F.19: a file that grows, shrinks or vanishes does not end the snapshot, and the archive is well-formed.
#[test]
fn files_that_change_meanwhile_are_tolerated() {
    /// Changes the files while the archive is written.
    struct Meddler<'a>(&'a Place, Vec<u8>);
    impl Write for Meddler<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // By then, the large file is being read.
            if self.1.len() > 100_000 && self.0.path("files/z.md").exists() {
                let large = fs::OpenOptions::new().write(true).open(self.0.path("files/a-large.bin"));
                large.unwrap().set_len(10)?;
                fs::remove_file(self.0.path("files/z.md"))?;
            }
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let from = Place::with_state();
    // Random bytes, so that the compressor passes some on before the end.
    let mut seed = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    })
    .take(3 * 1024 * 1024)
    .collect();
    fs::write(from.path("files/a-large.bin"), &noise).unwrap();
    from.write("files/z.md", "soon gone");
    let out = Meddler(&from, Vec::new());
    let (Meddler(_, bytes), packed) = pack(&from.folders, &SnapshotExcludes::default(), LIMITS, out).unwrap();
    assert_eq!((packed.changed, packed.unreadable), (1, 0));
    let to = Place::new();
    to.unpack(&bytes, LIMITS).unwrap();
    assert_eq!(fs::read(to.path("files/a-large.bin")).unwrap().len(), noise.len());
    assert!(to.path("files/MEMORY.md").exists() && !to.path("files/z.md").exists());
}

#[test]
fn a_full_disk_ends_the_archive_with_a_clear_reason() {
    struct FullDisk(usize);
    impl Write for FullDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let from = Place::with_state();
    let error = pack(&from.folders, &SnapshotExcludes::default(), LIMITS, FullDisk(100)).err().unwrap();
    assert!(error.is_full_disk() && error.to_string().contains("the disk is full"), "{error}");
    let small = SnapshotLimits { bytes: 1024 * 1024, ..LIMITS };
    let error = pack(&from.folders, &SnapshotExcludes::default(), small, Vec::new()).err().unwrap();
    assert!(error.to_string().contains("more than 1 MB") && error.to_string().contains("SNAPSHOT_EXCLUDE"));
}

/// Whatever is wrong with an archive, the present state stays as it is and nothing is left next to it.
#[test]
fn a_bad_archive_changes_nothing() {
    let good: (&str, u8, &[u8]) = ("workspace/good.md", b'0', b"good");
    let (large, whole) = (vec![0; 9 * 1024 * 1024], archive(&[good]));
    let many: Vec<String> = (0..101).map(|number| format!("workspace/{number}")).collect();
    let many: Vec<(&str, u8, &[u8])> = many.iter().map(|path| (path.as_str(), b'0', &b""[..])).collect();
    let mut no_end = zipped(&[]);
    no_end.truncate(10);
    let mut damaged = whole.clone();
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    let rows: [(&str, Vec<u8>); 15] = [
        ("has the part `..`", archive(&[good, ("workspace/../../evil", b'0', b"x")])),
        ("is absolute", archive(&[good, ("/etc/cron.d/evil", b'0', b"x")])),
        ("is not in", archive(&[good, ("home/evil", b'0', b"x")])),
        ("is a link", archive(&[good, ("workspace/link", b'2', b"")])),
        ("is a link", archive(&[good, ("workspace/hard", b'1', b"")])),
        ("neither a file nor a folder", archive(&[good, ("workspace/device", b'3', b"")])),
        ("neither a file nor a folder", archive(&[good, ("workspace/pipe", b'6', b"")])),
        ("twice", archive(&[good, good])),
        ("a file and a folder", archive(&[good, ("workspace/good.md/x", b'0', b"x")])),
        ("more than 8388608 bytes", archive(&[good, ("workspace/large", b'0', &large)])),
        ("more than 100 files", archive(&many)),
        ("ends too early", whole[..whole.len() / 2].to_vec()),
        ("ends too early", no_end),
        ("is damaged", damaged),
        ("is damaged", b"<html>not found</html>".to_vec()),
    ];
    for (words, bytes) in rows {
        let to = Place::with_state();
        let before = to.all();
        let error = to.unpack(&bytes, LIMITS).unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert!(to.all() == before, "{words}: something was changed");
    }
    let to = Place::with_state();
    to.unpack(&whole, LIMITS).unwrap();
    assert_eq!(fs::read(to.path("files/good.md")).unwrap(), b"good");
    assert!(!to.path("files/MEMORY.md").exists(), "the former state is replaced as a whole");
}

/// A swap that was interrupted anywhere is completed, and one that had not begun leaves the present state.
#[test]
fn an_interrupted_swap_is_completed_or_forgotten() {
    // What a crash has done: the marker, and the renames in their order.
    let renames = [
        ("state", "state.restore-old"),
        ("state.restore-new", "state"),
        ("files", "files.restore-old"),
        ("files.restore-new", "files"),
    ];
    for done in 0..=renames.len() {
        for is_marked in [false, true] {
            if !is_marked && done > 0 {
                continue;
            }
            let place = Place::new();
            for (folder, text) in [("state", "old"), ("files", "old")] {
                place.write(&format!("{folder}/text"), text);
                place.write(&format!("{folder}.restore-new/text"), "new");
            }
            if is_marked {
                place.write("files.restore-marker", "");
            }
            for (from, to) in &renames[..done] {
                fs::rename(place.path(from), place.path(to)).unwrap();
            }
            assert_eq!(recover(&place.folders).unwrap(), is_marked);
            let text = if is_marked { "new" } else { "old" };
            for folder in ["state", "files"] {
                let found = fs::read_to_string(place.path(&format!("{folder}/text"))).unwrap();
                assert_eq!(found, text, "{done} {is_marked}");
            }
            let mut left: Vec<_> =
                fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            left.sort();
            assert_eq!(left, ["files", "state"], "{done} {is_marked}");
            assert!(!recover(&place.folders).unwrap(), "nothing is left to do");
        }
    }
}
