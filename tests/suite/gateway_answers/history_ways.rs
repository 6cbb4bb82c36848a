//! The way to the history and the version of each release (spec §12.3), and gateways that lie about them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use mission_control_runtime::demo::gateway::{Directives, Fault, Options, Release, ScriptedGateway};
use mission_control_runtime::gateway::dialect::{Behaviour, Dialect, HistoryWay};
use mission_control_runtime::gateway::{Gateway as _, Recovered, ShownAttempts, TurnMark};
use mission_control_runtime::http::message::Reply as HttpReply;
use mission_control_runtime::model::SessionKey;
use mission_control_runtime::work::WorkId;
use serde_json::json;

use super::SESSION;
use super::line::{Line, line, options, served};
use super::recovery::short;

const TOOLS: [&str; 2] = ["sessions_history", "sessions_list"];

fn of(release: Release, tools: &[&str], sockets: bool) -> Options {
    let tools_allowed = tools.iter().map(|tool| (*tool).to_owned()).collect();
    Options { release, tools_allowed, sockets, ..options() }
}

/// What the client knows of the gateway after it has asked.
fn identified(line: &Line) -> Dialect {
    assert!(line.client.probe().ready);
    line.client.identify();
    line.client.probe().dialect
}

/// Reads a lost answer, as late as a verdict needs.
fn lost_answer(line: &Line) -> String {
    line.scripted.faults().next(Fault::LoseAnswer);
    let error = line.say("[n-1 try 1] SAY yes", &[]).unwrap_err();
    short(&line.look(10, &error).unwrap())
}

#[test]
fn the_open_way_is_found_and_a_lost_answer_is_read_by_it() {
    use HistoryWay::{Closed, Http, Socket, Tool};
    let rows = [
        (Release::V2026_2_19, &[][..], true, Closed),
        (Release::V2026_2_19, &TOOLS, true, Tool),
        (Release::V2026_3_24, &[], true, Http),
        (Release::V2026_3_31, &[], true, Closed),
        (Release::V2026_3_31, &TOOLS, true, Tool),
        (Release::V2026_4_15, &[], true, Closed),
        (Release::V2026_4_15, &TOOLS, true, Tool),
        (Release::V2026_5_7, &[], true, Socket),
        (Release::V2026_5_7, &[], false, Closed),
        (Release::V2026_5_7, &TOOLS, true, Tool),
        (Release::V2026_5_28, &[], true, Http),
        (Release::V2026_6_11, &[], false, Http),
        (Release::V2026_7_1, &TOOLS, true, Http),
        (Release::V2026_7_35, &[], true, Http),
        (Release::V2026_8_2, &[], true, Http),
        (Release::V2026_9_6, &[], false, Http),
    ];
    for (release, tools, sockets, way) in rows {
        let line = line(of(release, tools, sockets), Directives);
        assert_eq!(identified(&line).history, Some(way), "{release:?} {tools:?}");
        let found = lost_answer(&line);
        let expected = if way == Closed { "unknown" } else { "answer yes" };
        assert_eq!(found, expected, "{release:?} {tools:?} {sockets}");
    }
}

/// A session that was reset, or restored to an earlier state, has neither a message of ours nor results of its calls.
#[test]
fn every_open_history_shows_whether_the_session_has_a_question() {
    let session = SessionKey::new(SESSION);
    for (release, tools, sockets, way) in [
        (Release::V2026_2_19, &TOOLS[..], true, HistoryWay::Tool),
        (Release::V2026_3_31, &[], true, HistoryWay::Closed),
        (Release::V2026_3_31, &TOOLS, true, HistoryWay::Tool),
        (Release::V2026_5_7, &[], true, HistoryWay::Socket),
        (Release::V2026_7_1, &[], true, HistoryWay::Http),
        (Release::V2026_9_6, &[], true, HistoryWay::Http),
    ] {
        let line = line(of(release, tools, sockets), Directives);
        let has = |marker: &str| line.client.has_question(&session, "engineer", marker).unwrap();
        let known = |expected: bool| (way != HistoryWay::Closed).then_some(expected);
        assert_eq!(has("[n-1 try 1]"), known(false), "{release:?}: there is no session");
        line.say("[n-1 try 1] SAY hello", &[]).unwrap();
        line.say("[n-2 try 1 result 1.1] SAY more", &[]).unwrap();
        for (marker, expected) in
            [("[n-1 try 1]", true), ("[n-2 try 1]", true), ("[n-1 try 2]", false), ("[n-3 try 1]", false)]
        {
            assert_eq!(has(marker), known(expected), "{release:?} {marker}");
        }
    }
}

/// An attempt may be older than the first page, behind messages of other works.
#[test]
fn the_last_attempt_of_a_work_is_found_behind_other_works() {
    let session = SessionKey::new(SESSION);
    for (release, sockets, way) in [
        (Release::V2026_5_7, true, HistoryWay::Socket),
        (Release::V2026_9_6, false, HistoryWay::Http),
        (Release::V2026_3_31, false, HistoryWay::Closed),
    ] {
        let line = line(of(release, &[], sockets), Directives);
        let last = |work: &str| line.client.last_attempt(&session, "engineer", &WorkId::new(work)).unwrap();
        let known = |expected| if way == HistoryWay::Closed { ShownAttempts::NotShown } else { expected };
        assert_eq!(last("1"), known(ShownAttempts::Nothing), "{release:?}: there is no session");
        for text in ["[n-1 try 1] SAY first", "[n-1 try 2] SAY second"] {
            line.say(text, &[]).unwrap();
        }
        for number in 0..30 {
            line.say(&format!("[n-other{number} try 1] SAY yes"), &[]).unwrap();
        }
        assert_eq!(last("1"), known(ShownAttempts::Last(2)), "{release:?}");
        assert_eq!(last("2"), known(ShownAttempts::Nothing), "{release:?}");
        line.scripted.faults().hide_history();
        if way == HistoryWay::Http {
            assert_eq!(last("1"), ShownAttempts::Unreadable, "{release:?}");
        }
    }
}

/// Two releases name their version only for a session that exists.
#[test]
fn the_version_of_every_release_is_found_after_one_turn() {
    for release in Release::ALL {
        let line = line(of(release, &[], true), Directives);
        let before = identified(&line).release.map(|release| release.to_string());
        line.say("[n-0 try 1] SAY hello", &[]).unwrap();
        let probe = line.client.probe();
        assert_eq!(probe.version.as_deref(), Some(release.version()), "{release:?}");
        let late = matches!(release, Release::V2026_2_19 | Release::V2026_3_31);
        assert_eq!(before.is_none(), late, "{release:?}: {before:?}");
        assert_eq!(probe.dialect.doubt(), None, "{release:?}: {:?}", probe.dialect);
        assert_eq!(probe.dialect.behaviour(), Behaviour::of(probe.dialect.release.unwrap()));
    }
}

#[test]
fn a_closed_history_that_is_opened_later_is_used() {
    let first = line(of(Release::V2026_3_31, &[], true), Directives);
    assert_eq!(identified(&first).history, Some(HistoryWay::Closed));
    assert_eq!(lost_answer(&first), "unknown");
    let open = |options: &mut Options| options.tools_allowed = TOOLS.map(str::to_owned).to_vec();
    let second = served(first.scripted.restarted_as(open), |_| None);
    // Without a new probe.
    let mark = TurnMark { marker: "[n-1 try 1]", ..TurnMark::default() };
    let found = second.client.recover(&SessionKey::new(SESSION), "engineer", &mark).unwrap();
    assert_eq!(short(&found), "answer yes");
}

/// A gateway that claims to be 2026.9.6 and behaves like another release.
#[test]
fn a_false_version_is_named_and_nothing_is_lost() {
    let scripted = ScriptedGateway::new(of(Release::V2026_3_31, &TOOLS, true), Arc::new(Directives));
    let line = served(scripted, |path| {
        let claim = json!({"ok": true, "status": "started", "version": "2026.9.6", "uptimeMs": 5});
        (path == "/startupz").then(|| HttpReply::json_of(&claim))
    });
    let dialect = identified(&line);
    assert!(dialect.doubt().is_some_and(|doubt| doubt.contains("does not behave")), "{dialect:?}");
    assert_eq!(dialect.history, Some(HistoryWay::Tool), "what is probed counts");
    assert_eq!(lost_answer(&line), "answer yes");
    assert!(line.say("[n-2 try 1] FAIL 500 oops", &[]).is_err());
}

#[test]
fn a_version_that_changes_within_a_process_is_named_and_the_strictest_behaviour_is_assumed() {
    let scripted = ScriptedGateway::new(of(Release::V2026_9_6, &[], true), Arc::new(Directives));
    let (second, started) = (AtomicBool::new(false), Instant::now());
    let line = served(scripted, move |path| {
        // One clock for both paths. A shorter uptime than before would be another process.
        let uptime = started.elapsed().as_millis();
        match path {
            "/startupz" => {
                let version =
                    if second.fetch_xor(true, Ordering::Relaxed) { "2026.9.6" } else { "2026.5.28" };
                let claim = json!({"ok": true, "status": "started", "version": version, "uptimeMs": uptime});
                Some(HttpReply::json_of(&claim))
            }
            "/readyz" => Some(HttpReply::json_of(&json!({"ready": true, "failing": [], "uptimeMs": uptime}))),
            _ => None,
        }
    });
    let dialect = identified(&line);
    assert!(dialect.doubt().is_some_and(|doubt| doubt.contains("several versions")), "{dialect:?}");
    assert_eq!(dialect.behaviour(), Behaviour::strictest());
    assert_eq!(lost_answer(&line), "answer yes");
}

/// A proxy that rewrites the path makes the gateway show another session, or find none.
#[test]
fn a_history_of_another_session_is_none_of_ours() {
    let other = "agent:engineer:task:other:acc:v1";
    let item = json!({"role": "user", "content": "[n-1 try 1] SAY no"});
    let answer =
        json!({"role": "assistant", "stopReason": "stop", "content": [{"type": "text", "text": "no"}]});
    let shown = json!({"sessionKey": other, "items": [item, answer], "hasMore": false});
    let error = json!({"type": "not_found", "message": format!("Session not found: {other}")});
    let bodies = [
        (200, shown, "another session"),
        (404, json!({"ok": false, "error": error}), "no session"),
        (404, json!({"error": "no route"}), "another server"),
    ];
    for (status, body, name) in bodies {
        for sockets in [true, false] {
            let scripted = ScriptedGateway::new(of(Release::V2026_9_6, &[], sockets), Arc::new(Directives));
            let body = body.clone();
            let line = served(scripted, move |path| {
                path.starts_with("/sessions/").then(|| HttpReply::json_of(&body).with_status(status))
            });
            let expected = if sockets { HistoryWay::Socket } else { HistoryWay::Closed };
            assert_eq!(identified(&line).history, Some(expected), "{name}");
            let expected = if sockets { "answer yes" } else { "unknown" };
            assert_eq!(lost_answer(&line), expected, "{name}");
        }
    }
}

#[test]
fn a_huge_history_is_read_again_later_and_nothing_is_sent_twice() {
    let scripted = ScriptedGateway::new(of(Release::V2026_9_6, &[], true), Arc::new(Directives));
    let huge = AtomicBool::new(true);
    let line = served(scripted, move |path| {
        let is_huge = path.starts_with("/sessions/") && huge.load(Ordering::Relaxed);
        is_huge.then(|| HttpReply::whole("application/json", vec![b' '; 100 * 1024 * 1024]))
    });
    let found = lost_answer(&line);
    assert!(found.starts_with("Unreadable"), "{found}");
    assert_eq!(line.scripted.observations().marks("n-1").runs, 1);
}

/// A gateway of 2026.5.7 shows its history over a WebSocket, which may break in every way.
#[test]
fn a_nonsensical_handshake_closes_the_way_and_is_no_answer() {
    let scripted = ScriptedGateway::new(of(Release::V2026_5_7, &[], true), Arc::new(Directives));
    let line = served(scripted, |path| (path == "/").then(|| HttpReply::text("Hello.").with_status(200)));
    assert_eq!(identified(&line).history, Some(HistoryWay::Closed));
    let error = line.loses("[n-1 try 1] SAY yes", Fault::LoseAnswer);
    assert_eq!(line.look(10, &error).unwrap(), Recovered::Unknown);
}
