//! Snapshots of an agent's state (worker-pool B.9) against a queue with its own book: two machines, damaged archives, lost
//! answers, a full disk.

/// The commands, from the outside, and a worker that starts.
mod command;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::clock::SystemClock;
use mission_control_runtime::convex::ConvexEndpoint;
use mission_control_runtime::demo::pool::{PoolBackend, PoolFault, PoolPolicy};
use mission_control_runtime::http::server::Server;
use mission_control_runtime::model::{BaseUrl, ConversationId, WorkerId};
use mission_control_runtime::pool::{FileStorage, PoolClient, PrepareSnapshot, SnapshotReason};
use mission_control_runtime::redact::Redactor;
use mission_control_runtime::snapshots::{
    ArchiveFolder, RestoreMoment, Restored, SnapshotError, SnapshotExcludes, SnapshotFolders, SnapshotKey,
    SnapshotLimits, Snapshots,
};
use mission_control_runtime::wire::{Roots, Stop};
use serde_json::Value;

use crate::support::program::folder;

/// A queue behind a socket.
struct Queue {
    backend: PoolBackend,
    server: Server,
}

impl Queue {
    fn new() -> Self {
        let backend = PoolBackend::new(PoolPolicy::default());
        let server = backend.serve("127.0.0.1:0").unwrap();
        Self { backend, server }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.local_addr())
    }

    /// A machine with blank folders.
    fn machine(&self) -> Machine {
        let (kept, path) = folder();
        let base = BaseUrl::parse(&self.url()).unwrap();
        let (roots, stop) = (Roots::load(None).unwrap(), Stop::new());
        let endpoint = ConvexEndpoint::new(base, &roots, Arc::new(Redactor::default()));
        let pool = PoolClient::new(Arc::new(endpoint.client(&stop)), "agentFactory", Duration::from_secs(20));
        let snapshots = Snapshots {
            pool,
            storage: FileStorage::new(&roots, &stop),
            archives: ArchiveFolder::new(path("archives"), 3),
            folders: SnapshotFolders {
                state: Some(path("data/.clawdbot")),
                workspace: path("data/workspace"),
            },
            excludes: SnapshotExcludes::default(),
            limits: SnapshotLimits { bytes: 64 * 1024 * 1024, members: 10_000 },
            clock: Arc::new(SystemClock),
        };
        let machine = Machine { _kept: kept, root: path(""), snapshots };
        machine.write(".clawdbot/openclaw.json", "the token of this machine");
        machine
    }

    /// The stored file of the newest snapshot.
    fn newest_file(&self) -> String {
        self.backend.snapshots().last().unwrap().file.clone().unwrap()
    }
}

/// The folders of a machine.
struct Machine {
    _kept: tempfile::TempDir,
    root: PathBuf,
    snapshots: Snapshots,
}

impl Machine {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join("data").join(path)
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    /// The agent has worked.
    fn works(&self, memory: &str) {
        self.write(".clawdbot/agents/main/sessions/sessions.json", r#"{"main":{"id":1}}"#);
        self.write("workspace/MEMORY.md", memory);
    }

    fn create(&self, conversation: &str) -> Result<String, SnapshotError> {
        let made = self.snapshots.create(&worker(), &key(conversation), SnapshotReason::Manual)?;
        Ok(made.note.sha256)
    }

    fn restore(&self, conversation: &str, moment: RestoreMoment) -> Result<Restored, SnapshotError> {
        self.snapshots.restore(&key(conversation), moment)
    }

    /// No remains of a restore next to the folders.
    fn is_tidy(&self) -> bool {
        let mut names: Vec<_> =
            fs::read_dir(self.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names == [".clawdbot", "workspace"] || names == [".clawdbot"]
    }
}

fn worker() -> WorkerId {
    WorkerId::new("afw-1")
}

fn key(conversation: &str) -> SnapshotKey {
    SnapshotKey {
        workspace_id: "default".to_owned(),
        agent_key: "a".to_owned(),
        conversation_id: ConversationId::new(conversation),
    }
}

fn sha256(content: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, content);
    digest.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn from_snapshot(restored: Result<Restored, SnapshotError>) -> (Option<String>, Vec<String>) {
    match restored.unwrap() {
        Restored::From { snapshot_id, refused, .. } => (snapshot_id.map(|id| id.to_string()), refused),
        other => panic!("{other:?}"),
    }
}

/// E.5.9 and F.16, F.20: the state comes back on another machine, also when the conversation is learned from a claim, and no
/// secret travels.
#[test]
fn the_state_comes_back_on_another_machine_without_secrets() {
    for moment in [RestoreMoment::Start, RestoreMoment::Claim] {
        let (queue, other) = (Queue::new(), "workspace/notes/day.md");
        let one = queue.machine();
        one.works("remember me");
        one.write(other, "a note");
        let sum = one.create("c1").unwrap();
        let row = queue.backend.snapshots().pop().unwrap();
        let stored = queue.backend.stored(&queue.newest_file()).unwrap();
        assert_eq!((row.sha256.as_deref(), &sum), (Some(sha256(&stored).as_str()), &sha256(&stored)));
        assert_eq!(row.size_bytes, Some(i64::try_from(stored.len()).unwrap()));

        let two = queue.machine();
        two.write(".clawdbot/openclaw.json", "the token of the second machine");
        if moment == RestoreMoment::Claim {
            two.write("workspace/AGENTS.md", "a file that the gateway writes at its start");
        }
        let (id, refused) = from_snapshot(two.restore("c1", moment));
        assert_eq!((id, refused.len()), (Some(row.id), 0));
        assert_eq!(two.read("workspace/MEMORY.md").as_deref(), Some("remember me"));
        assert_eq!(two.read(other).as_deref(), Some("a note"));
        assert_eq!(two.read(".clawdbot/openclaw.json").as_deref(), Some("the token of the second machine"));
        assert_eq!(two.read("workspace/AGENTS.md"), None, "the whole state is that of the snapshot");
        assert!(two.is_tidy());
        assert_eq!(two.restore("c1", moment).unwrap(), Restored::AlreadyThere);
        two.works("remember more");
        two.create("c1").unwrap();
        assert_eq!(queue.backend.snapshots().len(), 2);
    }
}

/// The private files of one conversation are not shown to the next: neither to one with a snapshot, nor to a new one, nor
/// after a restore that failed at first.
#[test]
fn private_files_do_not_reach_another_conversation() {
    let private = ["workspace/.env", "workspace/tls/server.key", "workspace/.ssh/id_ed25519"];
    let fill = |machine: &Machine| {
        assert_eq!(machine.restore("c1", RestoreMoment::Claim).unwrap(), Restored::Fresh);
        machine.works("of the first");
        for path in private {
            machine.write(path, "secret of the first");
        }
    };
    let check = |machine: &Machine| {
        for path in private {
            assert_eq!(machine.read(path), None, "{path}");
        }
        assert_eq!(machine.read(".clawdbot/openclaw.json").as_deref(), Some("the token of this machine"));
    };
    let queue = Queue::new();
    let machine = queue.machine();
    fill(&machine);
    assert_eq!(machine.restore("c2", RestoreMoment::Claim).unwrap(), Restored::Fresh);
    check(&machine);

    machine.works("of the second");
    machine.create("c2").unwrap();
    let newest = queue.newest_file();
    let good = queue.backend.stored(&newest).unwrap();
    let machine = queue.machine();
    fill(&machine);
    queue.backend.replace_file(&newest, good[..50].to_vec());
    machine.restore("c2", RestoreMoment::Claim).unwrap_err();
    assert!(machine.read(private[0]).is_some(), "a failed restore changes nothing");
    queue.backend.replace_file(&newest, good);
    from_snapshot(machine.restore("c2", RestoreMoment::Claim));
    check(&machine);
    assert_eq!(machine.read("workspace/MEMORY.md").as_deref(), Some("of the second"));
}

/// F.17: a restore that fails changes nothing, and no snapshot of the blank state replaces the good one.
#[test]
fn a_wrong_checksum_refuses_the_restore_and_every_snapshot_after_it() {
    let queue = Queue::new();
    let one = queue.machine();
    one.works("remember me");
    one.create("c1").unwrap();
    let newest = queue.newest_file();
    let good = queue.backend.stored(&newest).unwrap();

    let two = queue.machine();
    two.write("workspace/.gitkeep", "");
    let mut bad = good.clone();
    bad[100] ^= 1;
    queue.backend.replace_file(&newest, bad);
    let error = two.restore("c1", RestoreMoment::Start).unwrap_err().to_string();
    assert!(error.contains("its checksum is") && error.contains("left as it is"), "{error}");
    queue.backend.replace_file(&newest, good[..50].to_vec());
    let error = two.restore("c1", RestoreMoment::Claim).unwrap_err().to_string();
    assert!(error.contains("50 bytes"), "{error}");
    assert!(two.is_tidy() && two.read("workspace/.gitkeep").is_some());

    two.works("begun from nothing");
    let error = two.create("c1").unwrap_err().to_string();
    assert!(error.contains("the last restore failed") && error.contains("Restore first"), "{error}");
    assert_eq!(
        queue.backend.calls_of("workerPrepareSnapshotUpload").len(),
        1,
        "the queue hears nothing of it"
    );

    queue.backend.replace_file(&newest, good);
    from_snapshot(two.restore("c1", RestoreMoment::Claim));
    assert_eq!(two.read("workspace/MEMORY.md").as_deref(), Some("remember me"));
    two.create("c1").unwrap();
}

/// F.18: the queue offers the newest only, so older good archives come from this disk.
#[test]
fn an_older_good_archive_of_this_disk_is_used() {
    let queue = Queue::new();
    let one = queue.machine();
    one.works("first");
    one.create("c1").unwrap();
    let two = queue.machine();
    from_snapshot(two.restore("c1", RestoreMoment::Start));
    one.works("second");
    one.create("c1").unwrap();
    queue.backend.replace_file(&queue.newest_file(), b"no archive".to_vec());

    // The second machine gets another conversation, and then the first one back.
    assert_eq!(two.restore("c2", RestoreMoment::Claim).unwrap(), Restored::Fresh);
    assert_eq!(two.read("workspace/MEMORY.md"), None, "the state of another conversation is not seen");
    let (_, refused) = from_snapshot(two.restore("c1", RestoreMoment::Claim));
    assert_eq!(two.read("workspace/MEMORY.md").as_deref(), Some("first"));
    assert!(refused.len() == 1 && refused[0].contains("10 bytes"), "{refused:?}");

    // An unfinished newest one hides all others at the queue.
    let reason = SnapshotReason::Manual;
    let conversation_id = &key("c1").conversation_id;
    let unfinished = PrepareSnapshot {
        worker_id: &worker(),
        workspace_id: "default",
        agent_key: "a",
        conversation_id,
        reason,
    };
    one.snapshots.pool.ask(&unfinished).unwrap();
    let list = one.snapshots.list(&key("c1")).unwrap();
    assert!(list.newest.is_none() && list.archives.len() == 2);
    assert_eq!(one.restore("c2", RestoreMoment::Claim).unwrap(), Restored::Fresh);
    from_snapshot(one.restore("c1", RestoreMoment::Claim));
    assert_eq!(one.read("workspace/MEMORY.md").as_deref(), Some("second"));
}

#[test]
fn only_the_state_of_the_conversation_becomes_its_snapshot() {
    let queue = Queue::new();
    let machine = queue.machine();
    let error = machine.create("c1").unwrap_err().to_string();
    assert!(error.contains("the folders are blank"), "{error}");
    assert_eq!(machine.restore("c1", RestoreMoment::Start).unwrap(), Restored::Fresh);
    machine.works("of the first");
    let error = machine.create("c2").unwrap_err().to_string();
    assert!(error.contains("hold the state of c1"), "{error}");
    assert!(queue.backend.snapshots().is_empty());
    machine.create("c1").unwrap();
    // State that nobody has noted is taken over at the start (B.9), also if its note is lost.
    let found = queue.machine();
    found.works("from before");
    assert_eq!(found.restore("c1", RestoreMoment::Start).unwrap(), Restored::AlreadyThere);
    assert_eq!(found.read("workspace/MEMORY.md").as_deref(), Some("from before"));
}

/// Each call of the queue is lost in both ways. Whatever happens, the archive stays here and the next attempt succeeds.
#[test]
fn lost_answers_leave_a_good_archive_and_a_reported_failure() {
    let rows = [
        ("workerPrepareSnapshotUpload", PoolFault::Cut, false),
        ("workerPrepareSnapshotUpload", PoolFault::LoseAnswer, false),
        ("workerFinalizeSnapshotUpload", PoolFault::Cut, true),
        ("workerFinalizeSnapshotUpload", PoolFault::LoseAnswer, true),
    ];
    for (function, fault, succeeds) in rows {
        let queue = Queue::new();
        let machine = queue.machine();
        machine.works("remember me");
        queue.backend.plan(function, fault);
        let made = machine.create("c1");
        assert_eq!(made.is_ok(), succeeds, "{function} {fault:?}: {made:?}");
        assert_eq!(machine.snapshots.list(&key("c1")).unwrap().archives.len(), 1);
        machine.create("c1").unwrap();
        let other = queue.machine();
        from_snapshot(other.restore("c1", RestoreMoment::Start));
        assert_eq!(other.read("workspace/MEMORY.md").as_deref(), Some("remember me"));
    }
}

#[test]
fn only_the_newest_archives_stay_on_this_disk() {
    let queue = Queue::new();
    let machine = queue.machine();
    let mut sums = Vec::new();
    for number in 0..5 {
        machine.works(&format!("memory {number}"));
        sums.insert(0, machine.create("c1").unwrap());
    }
    let archives = machine.snapshots.list(&key("c1")).unwrap().archives;
    let kept: Vec<&String> = archives.iter().map(|note| &note.sha256).collect();
    assert_eq!(kept, sums.iter().take(3).collect::<Vec<_>>());
    let mut files = 0;
    for folder in fs::read_dir(machine.root.join("archives")).unwrap().map(|entry| entry.unwrap().path()) {
        files += if folder.is_dir() { count(&folder) } else { 0 };
    }
    assert_eq!(files, 6, "three archives and their notes");
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// The rows of the queue for a failed upload, with the reason.
#[test]
fn a_failed_upload_is_reported_with_its_reason() {
    let queue = Queue::new();
    let mut machine = queue.machine();
    machine.works("remember me");
    // A worker that the queue does not know any more cannot finalize; here its connection ends at the upload.
    machine.snapshots.storage = {
        let stop = Stop::new();
        let storage = FileStorage::new(&Roots::load(None).unwrap(), &stop);
        stop.close();
        storage
    };
    let error = machine.create("c1").unwrap_err().to_string();
    assert!(error.contains("was not transferred"), "{error}");
    let failed = queue.backend.calls_of("workerFailSnapshotUpload");
    assert_eq!(failed.len(), 1);
    assert!(failed[0].args["error"].as_str().unwrap().contains("was not transferred"), "{failed:?}");
    assert_eq!(failed[0].result, Ok(Value::Bool(true)));
}
