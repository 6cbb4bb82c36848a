//! Session keys: both formats and the short one, cron runs, other agents, archived tasks, restarts, tokens (§2.4, W4, W17,
//! worker-pool D.1, D.2).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::model::{AccountId, AgentId, Roster, SessionKey, TaskId};
use mission_control_runtime::sessions::{IDLE_MAX, Sessions, TASKS_MAX};
use mission_control_runtime::work::Track;
use serde_json::json;

use super::{Plan, Stand};
use crate::support::program::private;

/// §2.4 and the table of session names: each key identifies its agent, shown by what it creates.
#[test]
fn every_key_format_identifies_its_agent() {
    let stand = Stand::new();
    let (key, task) = stand.ben_at("in_progress");
    let account = stand.team.board.account.clone();
    let rows: [(String, u16); 22] = [
        (key.clone(), 200),
        (format!("agent:ben:task:{task}:{account}:v1").to_lowercase(), 200),
        (stand.own("ben"), 200),
        (format!("agent:ben:system:{account}:v1").to_lowercase(), 200),
        (format!("agent:ben:{account}"), 200),
        ("agent:ben:cron:nightly:run:abc-123".to_owned(), 200),
        ("agent:ben:cron:nightly:run:abc:subagent:worker".to_owned(), 200),
        ("AGENT:Ben:Cron:Job:Run:X".to_owned(), 200),
        ("agent:ben:cron:nightly".to_owned(), 401),
        ("agent:ben:cron:a:b:run:x".to_owned(), 401),
        ("agent:nobody:cron:nightly:run:abc".to_owned(), 401),
        ("agent:ben:main".to_owned(), 401),
        ("agent:ben".to_owned(), 401),
        (format!("agent:nobody:{account}"), 401),
        (format!("system:agent:ben:{account}:v2"), 401),
        (format!("system:agent:unknown:{account}:v1"), 401),
        (format!("task:{task}:agent:ben:{account}:v2"), 401),
        (format!("task:{task}:agent:ada:{account}:v1"), 401),
        (key.to_uppercase(), 401),
        (format!("{key} "), 200),
        (format!("{key}, {key}"), 401),
        ("x".repeat(8_000), 401),
    ];
    for (shown, status) in rows {
        let body = json!({"title": "Whose?", "content": "…", "type": "note"});
        let answer = stand.post("document", &shown, &body);
        let short: String = shown.chars().take(60).collect();
        assert_eq!(answer.status, status, "{short}: {answer:?}");
        if status == 200 {
            let row = stand.team.board.row("documents", answer.body["documentId"].as_str().unwrap());
            assert_eq!(row["authorId"], json!(stand.team.ben), "{short}");
        } else {
            assert_eq!(answer.error(), "Unknown session key", "{short}");
        }
    }
}

/// W17: a session ends with its task, its agent, or a newer key. Another agent's key identifies that agent.
#[test]
fn session_keys_expire() {
    let stand = Stand::new();
    let (key, task) = stand.ben_at("in_progress");
    let (other, gone) = stand.ben_at("in_progress");
    stand.done("task-load", &key, &json!({"taskId": task}));
    stand.team.board.edit("tasks", &task, json!({"status": "archived"}));
    for _ in 0..2 {
        let refused = stand.post("task-load", &key, &json!({"taskId": task}));
        assert_eq!(refused.status, 401, "{refused:?}");
        assert!(refused.error().starts_with("Unknown session key"), "{refused:?}");
    }
    stand.done("task-load", &other, &json!({"taskId": gone}));
    // After the next generation starts, the previous key identifies no agent.
    let next = other.replace(":v1", ":v2");
    let track = Track::new(stand.team.ben.as_str(), Some(TaskId::new(gone.as_str())));
    stand.sessions.issue(&SessionKey::new(next.as_str()), "ben", &track, Millis(i64::MAX / 2));
    assert_eq!(stand.post("task-load", &other, &json!({"taskId": gone})).status, 401);
}

/// Headers, status and sentence.
type Row<'a> = (&'a [(&'a str, &'a str)], u16, &'a str);

/// W4: with tokens, nothing is revealed before the token is right. A token belongs to one session.
#[test]
fn a_token_grants_only_its_own_session() {
    let stand = Stand::with(Plan { tokens: true, ..Plan::default() });
    let (key, task) = stand.ben_at("in_progress");
    let track = Track::new(stand.team.ben.as_str(), Some(TaskId::new(task.as_str())));
    let token = |key: &str, slug: &str, track: &Track| {
        let session = stand.sessions.issue(&SessionKey::new(key), slug, track, Millis(0));
        session.token.expose().to_owned()
    };
    let ours = token(&key, "ben", &track);
    let lead = Track::new(stand.team.lead.as_str(), None);
    let leads = token(&stand.own("lead"), "lead", &lead);
    assert!(ours.len() == "mc_session_".len() + 32 && ours != leads, "128 bits");
    let session = "x-openclaw-session-key";
    let how = "Send the session key and the token that your current instructions state. If they state none, use your \
               function tools";
    let unknown = &format!("Unknown session key, or its token is wrong. {how}");
    let missing = &format!("Missing x-runtime-token header. {how}");
    let rows: [Row<'_>; 8] = [
        (&[], 401, "Missing x-openclaw-session-key header"),
        (&[(session, &key)], 401, missing),
        (&[(session, "nobody")], 401, missing),
        (&[(session, &key), ("x-runtime-token", &leads)], 401, unknown),
        (&[(session, &key), ("x-runtime-token", &ours[..42])], 401, unknown),
        (&[(session, "nobody"), ("x-runtime-token", &ours)], 401, unknown),
        (&[(session, &stand.own("lead")), ("x-runtime-token", &ours)], 401, unknown),
        (&[(session, &key), ("x-runtime-token", &ours)], 200, ""),
    ];
    for (headers, status, words) in rows {
        let body = json!({"taskId": task}).to_string();
        let answer = stand.send("task-load", headers, &body);
        assert_eq!((answer.status, answer.error()), (status, words), "{headers:?}");
    }
}

fn roster(stand: &Stand) -> Arc<Roster> {
    let agents = stand.team.board.service("listAgents", json!({})).unwrap();
    Arc::new(Roster::new(serde_json::from_value(agents).unwrap(), None))
}

/// W-33: sessions survive a restart as digests that others cannot read. Damaged ones are skipped.
#[test]
fn sessions_survive_a_restart() {
    let stand = Stand::new();
    let folder = tempfile::tempdir().unwrap();
    let account = AccountId::new(&stand.team.board.account);
    let now = Millis(1_765_526_400_000);
    let open = |at: Millis| Sessions::open(&private(folder.path()), account.clone(), at);
    let key = format!("task:t1:agent:ben:{account}:v1");
    let track = Track::new(stand.team.ben.as_str(), Some(TaskId::new("t1")));
    let (first, token) = {
        let sessions = open(now);
        sessions.follow(&roster(&stand), now);
        let session = sessions.issue(&SessionKey::new(key.as_str()), "ben", &track, now);
        (sessions.find(&key, &Roster::default(), now), session.token)
    };
    assert_eq!(first.as_ref().map(|session| session.agent.clone()), Some(AgentId::new(&stand.team.ben)));

    let sessions = open(now);
    assert_eq!(sessions.find(&key, &Roster::default(), now), first);
    assert!(sessions.off().is_none() && first.unwrap().has_token(token.expose()), "and its token with it");
    let gateways = format!("agent:ben:task:t1:{account}:v1").to_lowercase();
    assert!(sessions.find(&gateways, &Roster::default(), now).is_some());
    assert!(sessions.find(&stand.own("lead"), &Roster::default(), now).is_some());
    let later = now + IDLE_MAX;
    assert!(sessions.find(&key, &Roster::default(), later).is_none(), "nothing was delivered for a week");
    drop(sessions);

    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", entry.path());
        let text = String::from_utf8(fs::read(entry.path()).unwrap()).unwrap();
        assert!(!text.contains("agent:ben") && !text.contains(token.expose()), "{text}");
    }
    // A crash in the middle of a line, and a flipped byte.
    let lines = folder.path().join("sessions.lines");
    let text = fs::read_to_string(&lines).unwrap();
    fs::write(&lines, format!("{{\"account\":\n\u{0}{text}{}", &text[..text.len() / 2])).unwrap();
    let sessions = open(now);
    assert!(sessions.find(&key, &Roster::default(), now).is_some(), "{text}");
    drop(sessions);
    // Sessions of another account or with another secret identify no agent.
    let other = Sessions::open(&private(folder.path()), AccountId::new("other"), now);
    assert_eq!(other.count(), 0);
    drop(other);
    fs::write(folder.path().join("sessions.key"), "nonsense").unwrap();
    assert_eq!(open(now).count(), 0);
    // If the file cannot be written, sessions stay in memory only, and a warning says so.
    fs::remove_file(&lines).unwrap();
    fs::create_dir(&lines).unwrap();
    let nowhere = Sessions::open(&private(folder.path()), account, now);
    nowhere.issue(&SessionKey::new(key.as_str()), "ben", &track, now);
    assert!(nowhere.off().is_some() && nowhere.find(&key, &Roster::default(), now).is_some());
}

/// An agent's own session and its heartbeat are two sessions, also after a restart. A file of an older version names no
/// lane.
#[test]
fn each_lane_of_an_agent_has_a_session_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let now = Millis(1_765_526_400_000);
    let open = || Sessions::open(&private(folder.path()), AccountId::new("acc"), now);
    let lanes = [
        ("task:t1:agent:ben:acc:v1", Track::new("b", Some(TaskId::new("t1")))),
        ("system:agent:ben:acc:v1", Track::new("b", None)),
        ("system:agent:ben:acc:heartbeat:v1", Track::heartbeat("b")),
    ];
    let sessions = open();
    for (key, track) in &lanes {
        assert_eq!(sessions.issue(&SessionKey::new(*key), "ben", track, now).track(), *track);
    }
    let found = |sessions: &Sessions, key: &str| {
        sessions.find(key, &Roster::default(), now).map(|session| session.track())
    };
    for (key, track) in &lanes {
        assert_eq!(found(&sessions, key).as_ref(), Some(track), "{key}");
    }
    drop(sessions);
    let sessions = open();
    for (key, track) in &lanes {
        assert_eq!(found(&sessions, key).as_ref(), Some(track), "{key} after a restart");
    }
    drop(sessions);
    let file = folder.path().join("sessions.lines");
    let text = fs::read_to_string(&file).unwrap();
    let older: String =
        text.lines().filter(|line| !line.contains("lane")).map(|line| line.to_owned() + "\n").collect();
    fs::write(&file, older + &text.replace("\"heartbeat\"", "\"of a newer version\"")).unwrap();
    let sessions = open();
    assert_eq!(sessions.count(), 2);
    for (key, track) in &lanes[..2] {
        assert_eq!(found(&sessions, key).as_ref(), Some(track), "{key} of an older version");
    }
}

#[test]
fn bounds_the_number_of_remembered_sessions() {
    let sessions = Sessions::in_memory(AccountId::new("acc"));
    let now = Millis(0);
    for number in 0..TASKS_MAX + 100 {
        let key = SessionKey::new(format!("task:t{number}:agent:ben:acc:v1"));
        let track = Track::new("b", Some(TaskId::new(format!("t{number}"))));
        sessions.issue(&key, "ben", &track, now + Duration::from_millis(number as u64));
    }
    assert_eq!(sessions.count(), TASKS_MAX);
    let find =
        |number: usize| sessions.find(&format!("task:t{number}:agent:ben:acc:v1"), &Roster::default(), now);
    assert!(find(0).is_none() && find(TASKS_MAX).is_some());
}
