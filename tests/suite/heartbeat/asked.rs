//! What the endpoints are told, and what is kept of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::heartbeat::ask::{Ask, Wrong, answer};
use mission_control_runtime::heartbeat::keeper::{FILE, Keeper};
use mission_control_runtime::heartbeat::session::{Naming, Scope};
use mission_control_runtime::heartbeat::wake::{Caller, Errand, Wakes};
use serde_json::json;

const NOW: Millis = Millis(1_000_000);

/// A body, and the status and words of its refusal, or nothing.
#[test]
fn each_field_is_read_or_named() {
    let long = json!({"text": "x".repeat(4097)}).to_string();
    let rows: [(&str, Option<(u16, &str)>); 22] = [
        ("", Some((400, "Invalid JSON body"))),
        ("{", Some((400, "Invalid JSON body"))),
        ("null", Some((400, "Missing required fields: text"))),
        ("[]", Some((400, "Missing required fields: text"))),
        ("5", Some((400, "Missing required fields: text"))),
        ("{}", Some((400, "Missing required fields: text"))),
        (r#"{"text":null}"#, Some((400, "Missing required fields: text"))),
        (r#"{"text":"  "}"#, Some((400, "Missing required fields: text"))),
        (r#"{"text":5}"#, Some((400, "text must be a string"))),
        (&long, Some((422, "text must be at most 4096 bytes"))),
        (r#"{"text":"x","reason":{}}"#, Some((400, "reason must be a string"))),
        (r#"{"text":"x","sessionKey":1}"#, Some((400, "sessionKey must be a string"))),
        (r#"{"text":"x","sessionKey":" "}"#, Some((400, "sessionKey must not be empty"))),
        (r#"{"text":"x","mainKey":[]}"#, Some((400, "mainKey must be a string"))),
        (r#"{"text":"x","scope":true}"#, Some((400, "scope must be a string"))),
        (r#"{"text":"x","scope":"all"}"#, Some((422, "Invalid scope: must be per-sender or global"))),
        (
            r#"{"text":"x","sessionKey":"agent:ada:main"}"#,
            Some((403, "Forbidden: only the orchestrator may wake other agents")),
        ),
        (r#"{"text":"x"}"#, None),
        (r#"{"text":"x","reason":null,"sessionKey":null,"mainKey":null,"scope":null}"#, None),
        (r#"{"text":"x","scope":"Global","more":1}"#, None),
        (r#"{"text":"x","sessionKey":"agent:ben:main"}"#, None),
        (r#"{"text":"x","mainKey":""}"#, None),
    ];
    for (body, expected) in rows {
        let ben = Caller { slug: "ben", leads: false };
        let taken = Ask::read(body.as_bytes()).and_then(|ask| {
            ask.take(Errand::Wake, (&mut Wakes::default(), Naming::default()), ben, &|_| true, NOW)
        });
        let refused = taken.err().map(|Wrong { status, error }| (status, error));
        assert_eq!(refused, expected.map(|(status, words)| (status, words.to_owned())), "{body}");
    }
    let lead = Caller { slug: "lead", leads: true };
    let ask = Ask::read(br#"{"text":"x","sessionKey":"agent:nobody:main"}"#).unwrap();
    let refused = ask.take(Errand::Wake, (&mut Wakes::default(), Naming::default()), lead, &|_| false, NOW);
    assert_eq!(refused.unwrap_err().status, 404);
}

/// What the body says of names counts before what the configuration says.
#[test]
fn the_queue_follows_the_names() {
    let run = "agent:ben:cron:j:run:1";
    let rows = [
        (json!({"text": "x", "sessionKey": run}), "agent:ben:home"),
        (json!({"text": "x", "sessionKey": run, "mainKey": "primary"}), "agent:ben:primary"),
        (json!({"text": "x", "sessionKey": run, "scope": "global"}), "global"),
        (json!({"text": "x"}), "agent:ben:home"),
    ];
    for (body, queue) in rows {
        let mut wakes = Wakes::default();
        let usual = Naming { main: Some("home"), scope: Scope::PerSender };
        let ben = Caller { slug: "ben", leads: false };
        let ask = Ask::read(body.to_string().as_bytes()).unwrap();
        let taken = ask.take(Errand::Wake, (&mut wakes, usual), ben, &|_| true, NOW).unwrap();
        assert_eq!(wakes.waiting("ben").0[0].queue.expose(), queue, "{body}");
        let told = json!({
            "success": true, "agent": "ben", "wake": "now", "wakesAt": null, "waiting": 1, "dropped": false,
        });
        assert_eq!(answer(&taken), told);
    }
}

#[test]
fn what_was_taken_is_on_the_disk_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let ben = Caller { slug: "ben", leads: false };
    let take = |keeper: &Keeper| {
        let ask = Ask::read(br#"{"text":"hello"}"#).unwrap();
        keeper
            .change(|wakes| ask.take(Errand::Wake, (wakes, Naming::default()), ben, &|_| true, NOW))
            .unwrap()
    };
    let waiting = |keeper: &Keeper| keeper.look(|wakes| wakes.waiting("ben").0.len());
    let keeper = Keeper::open(folder.path(), NOW);
    assert_eq!(take(&keeper).waiting, 1);
    let path = folder.path().join(FILE);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let next = Keeper::open(folder.path(), NOW);
    assert_eq!((waiting(&next), take(&next).waiting), (1, 2));
    next.change(|wakes| wakes.shown("ben", u64::MAX));
    assert_eq!(waiting(&Keeper::open(folder.path(), NOW)), 0, "what was shown is gone");

    for broken in [&b"{"[..], b"\xff\xfe", b"", b"{\"version\":9}"] {
        fs::write(&path, broken).unwrap();
        let fresh = Keeper::open(folder.path(), NOW);
        assert_eq!(waiting(&fresh), 0);
        assert_eq!(take(&fresh).waiting, 1, "it goes on");
        assert!(folder.path().join("wakes.damaged").exists(), "and nothing is thrown away");
    }
    let nowhere = Keeper::open(&path, NOW);
    assert_eq!((take(&nowhere).waiting, take(&nowhere).waiting), (1, 2), "in memory, if not on the disk");
}
