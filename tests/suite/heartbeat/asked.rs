//! The bodies of the event endpoints, and the file of waiting events.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::{fs, io};

use mission_control_runtime::clock::Millis;
use mission_control_runtime::heartbeat::keeper::{FILE, Keeper};
use mission_control_runtime::heartbeat::session::Naming;
use mission_control_runtime::heartbeat::wake::{Queued, WakeCaller, WakeKind, WakeQueues, When};
use mission_control_runtime::heartbeat::wake_body::{WakeBody, answer};
use mission_control_runtime::model::{AccountId, SessionScope};
use mission_control_runtime::tools::{ToolError, ToolErrorKind};
use serde_json::json;

use crate::support::log_capture;
use crate::support::program::private;

const NOW: Millis = Millis(1_000_000);
const BEN: WakeCaller<'_> = WakeCaller { slug: "ben", session: "agent:ben:cron:j:run:7", leads: false };

fn account() -> AccountId {
    AccountId::new("acc")
}

fn take(wakes: &mut WakeQueues, ask: &WakeBody, usual: Naming<'_>) -> Result<Queued, ToolError> {
    Ok(wakes.take(&ask.request(None, usual), BEN, &|_| true, NOW)?)
}

/// An error: the kind, the field, some words of the message.
type Wrong<'a> = Option<(ToolErrorKind, &'a str, &'a str)>;

/// A body and its error.
#[test]
fn each_field_is_read_or_named_in_the_error() {
    let text = |bytes: usize| json!({"text": "x".repeat(bytes)}).to_string();
    let wide = json!({"text": "é".repeat(2048)}).to_string();
    let too_wide = json!({"text": format!("{}x", "é".repeat(2048))}).to_string();
    let key = |name: &str, bytes: usize| json!({"text": "x", name: "k".repeat(bytes)}).to_string();
    let (malformed, invalid) = (ToolErrorKind::Malformed, ToolErrorKind::Invalid);
    let rows: Vec<(String, Wrong<'_>)> = vec![
        ("{}".into(), Some((malformed, "text", "text is required"))),
        (r#"{"text":null}"#.into(), Some((malformed, "text", "text is required"))),
        (r#"{"text":""}"#.into(), Some((malformed, "text", "text is required"))),
        (r#"{"text":" \n "}"#.into(), Some((malformed, "text", "text is required"))),
        (r#"{"text":5}"#.into(), Some((malformed, "text", "text must be a string, not a number"))),
        (text(4096), None),
        (text(4097), Some((invalid, "text", "at most 4096 bytes"))),
        (wide, None),
        (too_wide, Some((invalid, "text", "at most 4096 bytes"))),
        (r#"{"text":"x","reason":{}}"#.into(), Some((malformed, "reason", "must be a string"))),
        (r#"{"text":"x","sessionKey":1}"#.into(), Some((malformed, "sessionKey", "must be a string"))),
        (r#"{"text":"x","sessionKey":" "}"#.into(), Some((malformed, "sessionKey", "must not be empty"))),
        (key("sessionKey", 1024), None),
        (key("sessionKey", 1025), Some((invalid, "sessionKey", "at most 1024 bytes"))),
        (key("mainKey", 1025), Some((invalid, "mainKey", "at most 1024 bytes"))),
        (r#"{"text":"x","mainKey":[]}"#.into(), Some((malformed, "mainKey", "must be a string"))),
        (r#"{"text":"x","scope":true}"#.into(), Some((malformed, "scope", "must be a string"))),
        (r#"{"text":"x","scope":"all"}"#.into(), Some((invalid, "scope", "must be per-sender or global"))),
        (r#"{"text":"x","sesionKey":"k"}"#.into(), Some((malformed, "", "Unknown field: sesionKey"))),
        (
            r#"{"text":"x","sessionKey":"agent:ada:main"}"#.into(),
            Some((ToolErrorKind::Forbidden, "sessionKey", "only the orchestrator")),
        ),
        (r#"{"text":"x"}"#.into(), None),
        (r#"{"text":"x","reason":null,"sessionKey":null,"mainKey":null,"scope":null}"#.into(), None),
        (r#"{"text":"x","reason":" ","mainKey":"","scope":""}"#.into(), None),
        (r#"{"text":"x","sessionKey":"agent:BEN:main","scope":"global"}"#.into(), None),
    ];
    for (body, expected) in rows {
        let taken = WakeBody::read(WakeKind::Wake, &body)
            .and_then(|ask| take(&mut WakeQueues::of(&account()), &ask, Naming::default()));
        let short: String = body.chars().take(80).collect();
        match (taken, expected) {
            (Ok(_), None) => {}
            (Err(error), Some((kind, field, words))) => {
                assert_eq!((error.kind, error.field.unwrap_or_default()), (kind, field), "{short}: {error}");
                assert!(error.message.contains(words), "{short}: {error}");
            }
            (taken, expected) => panic!("{short}: {taken:?}, not {expected:?}"),
        }
    }
    let lead = WakeCaller { slug: "lead", session: "system:agent:lead:acc:v1", leads: true };
    let ask = WakeBody::read(WakeKind::Wake, r#"{"text":"x","sessionKey":"agent:nobody:main"}"#).unwrap();
    let mut wakes = WakeQueues::of(&account());
    let refused = wakes.take(&ask.request(None, Naming::default()), lead, &|_| false, NOW);
    assert_eq!(refused.map_err(|why| ToolError::from(why).kind), Err(ToolErrorKind::NotFound));
}

/// Names in the body precede names of the configuration. Without a session in the body, the caller's session counts.
#[test]
fn the_queue_follows_the_names() {
    let run = "agent:ben:cron:j:run:1";
    let rows = [
        (json!({"text": "x", "sessionKey": run}), "agent:ben:home"),
        (json!({"text": "x", "sessionKey": run, "mainKey": "primary"}), "agent:ben:primary"),
        (json!({"text": "x", "sessionKey": run, "scope": "global"}), "global"),
        (json!({"text": "x"}), "agent:ben:home"),
        (json!({"text": "x", "scope": "global"}), "global"),
        (json!({"text": "x", "sessionKey": "agent:ben:cron:j"}), "agent:ben:cron:j"),
        (json!({"text": "x", "sessionKey": " Main "}), " Main "),
    ];
    for (body, queue) in rows {
        let mut wakes = WakeQueues::of(&account());
        let usual = Naming { main: Some("home"), scope: SessionScope::PerSender };
        let ask = WakeBody::read(WakeKind::Wake, &body.to_string()).unwrap();
        let taken = take(&mut wakes, &ask, usual).unwrap();
        assert_eq!(wakes.waiting("ben").0[0].queue.expose(), queue, "{body}");
        let expected = json!({
            "success": true, "agent": "ben", "wake": "now", "wakesAt": null, "waiting": 1, "dropped": false,
            "kept": true,
        });
        assert_eq!(answer(&taken, true), expected);
    }
    let later = Queued { agent: "ben".to_owned(), when: When::At(NOW), waiting: 1, dropped: true };
    let answer = answer(&later, false);
    assert_eq!(
        (&answer["wake"], &answer["wakesAt"], &answer["kept"]),
        (&json!("later"), &json!(NOW.0), &json!(false))
    );
}

/// Adds an event; returns how many wait, and whether they survive the process.
fn hears(keeper: &Keeper) -> (usize, bool) {
    let ask = WakeBody::read(WakeKind::Wake, r#"{"text":"hello"}"#).unwrap();
    let (taken, kept) = keeper.change(|wakes| take(wakes, &ask, Naming::default()));
    (taken.unwrap().waiting, kept)
}

fn waiting(keeper: &Keeper) -> usize {
    keeper.read(|wakes| wakes.waiting("ben").0.len())
}

#[test]
fn an_accepted_event_is_on_the_disk_for_its_account_only() {
    log_capture::begin();
    let folder = tempfile::tempdir().unwrap();
    let open = || Keeper::open(&private(folder.path()), &account(), NOW);
    let keeper = open();
    assert_eq!(hears(&keeper), (1, true));
    let path = folder.path().join(FILE);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let next = open();
    assert_eq!((waiting(&next), hears(&next)), (1, (2, true)));
    next.change(|wakes| wakes.shown("ben", u64::MAX));
    assert_eq!(waiting(&open()), 0, "what was shown is gone");
    assert_eq!((hears(&next), hears(&open()), next.off()), ((1, true), (2, true), None));

    let said = |words: &str| log_capture::lines().iter().filter(|line| line.contains(words)).count();
    assert_eq!(said("WARN"), 0);
    let good = fs::read(&path).unwrap();
    for (number, broken) in
        [&b"{"[..], b"\xff\xfe", b"", b"{\"version\":9}", &good[1..]].into_iter().enumerate()
    {
        fs::write(&path, broken).unwrap();
        let fresh = open();
        assert_eq!((waiting(&fresh), said("is damaged")), (0, number + 1));
        assert_eq!(fs::read(folder.path().join("wakes.damaged")).unwrap(), broken, "nothing is thrown away");
        assert_eq!(hears(&fresh), (1, true), "it goes on");
    }
    // The agents of another account do not get the event.
    assert_eq!(waiting(&Keeper::open(&private(folder.path()), &AccountId::new("other"), NOW)), 0);
    fs::remove_file(folder.path().join("wakes.damaged")).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!((waiting(&open()), said("cannot be read")), (0, 1));
}

#[test]
fn without_a_writable_disk_events_stay_in_memory_with_one_warning() {
    log_capture::begin();
    let full = Arc::new(AtomicBool::new(true));
    let written = Arc::clone(&full);
    let said = |words: &str| log_capture::lines().iter().filter(|line| line.contains(words)).count();
    let nowhere = Keeper::written_by(&account(), move |_| {
        if written.load(Ordering::SeqCst) { Err(io::Error::other("no room")) } else { Ok(()) }
    });
    assert_eq!((hears(&nowhere), hears(&nowhere)), ((1, false), (2, false)));
    let off = nowhere.off().unwrap();
    assert_eq!(off, "wakes.json in STATE_DIR cannot be written (no room)");
    assert_eq!(said("kept in memory only"), 1, "once");
    // The disk has room again.
    full.store(false, Ordering::SeqCst);
    nowhere.change(|_| ());
    assert_eq!(
        (nowhere.off(), said("kept in STATE_DIR again")),
        (None, 1),
        "it is tried again before the next event"
    );
    let memory = Keeper::in_memory(&account(), "no place".to_owned());
    assert_eq!((hears(&memory), memory.off().as_deref()), ((1, false), Some("no place")));
}

/// While the disk hangs, readers are answered, and all waiting changes are written together.
#[test]
fn a_hanging_disk_delays_no_reader() {
    let (goes_on, hangs) = channel::<()>();
    let (hangs, writes) = (Mutex::new(hangs), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&writes);
    let keeper = Keeper::written_by(&account(), move |_| {
        // The first write hangs until the test says so; later ones find the channel closed.
        let _ = hangs.lock().unwrap().recv();
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let (says, hears_of) = channel();
    thread::scope(|threads| {
        for _ in 0..8 {
            let (says, keeper) = (says.clone(), &keeper);
            threads.spawn(move || says.send(hears(keeper).1).unwrap());
        }
        while waiting(&keeper) < 8 {
            thread::yield_now();
        }
        assert!(hears_of.try_recv().is_err(), "no caller gets its answer before the write");
        drop(goes_on);
        assert!((0..8).all(|_| hears_of.recv().unwrap()));
    });
    assert!(
        writes.load(Ordering::SeqCst) <= 2,
        "one write for the first, and one for all who waited behind it"
    );
}
