//! Lost turns at the scripted gateway, recovered over a socket by the client that lost them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mission_control_runtime::clock::Pulse;
use mission_control_runtime::clock::{Clock as _, SystemClock};
use mission_control_runtime::demo::gateway::{
    Directives, Fault, Options, Phase, Prompt, Release, ScriptedGateway, Thought,
};
use mission_control_runtime::gateway::history::{Running, Waiting};
use mission_control_runtime::gateway::{Class, Gateway, GatewayError, Input, Recovered, Turn, TurnMark, Why};
use mission_control_runtime::http::message::Reply as HttpReply;
use mission_control_runtime::model::SessionKey;

use super::super::line::{Line, line, options, served};
use super::super::{PATIENT, SESSION};
use super::short;
use crate::support::wait;

/// §11.1: a finished answer is in the history before it is sent.
#[test]
fn a_lost_answer_is_found() {
    let faults = [
        Fault::LoseAnswer,
        Fault::HalfAnswer,
        Fault::CutAfter(1),
        Fault::CutAfter(5),
        Fault::AppendOnly,
        Fault::Failed("api_error", "internal error"),
    ];
    for fault in faults {
        let line = line(options(), Directives);
        line.say("[n-0 try 1] SAY before", &[]).unwrap();
        let error = line.loses("[n-1 try 1] SAY yes", fault.clone());
        assert_eq!(short(&line.look(0, &error).unwrap()), "answer yes", "{fault:?}");
        assert_eq!(line.scripted.observations().marks("n-1").runs, 1, "{fault:?}");
        let error = line.loses("[n-2 try 1] CALL task_status {}", fault.clone());
        assert!(line.scripted.observations().marks("n-2").runs == 1 && error.class == Class::Lost);
    }
}

#[test]
fn lost_calls_are_found_with_ids_the_gateway_accepts() {
    let line = line(options(), Directives);
    let error = line
        .loses("[n-1 try 1] CALL task_status {\"taskId\":\"t-1\"} CALL task_status {}", Fault::LoseAnswer);
    let Recovered::Calls(reply) = line.look(0, &error).unwrap() else { panic!("no calls") };
    assert_eq!((reply.calls.len(), reply.calls[0].arguments.as_str()), (2, "{\"taskId\":\"t-1\"}"));
    assert!(reply.id.is_some_and(|id| id.starts_with("resp_")));
}

/// §11.5: the turn left no trace, which a second reading confirms. The WebSocket says that nothing runs, so it comes soon.
#[test]
fn a_turn_that_never_began_is_absent_at_the_second_reading() {
    for before in [false, true] {
        let line = line(options(), Directives);
        if before {
            line.say("[n-0 try 1] SAY before", &[]).unwrap();
        }
        let error = line.loses("[n-1 try 1] SAY yes", Fault::HangUp);
        assert_eq!(short(&line.look(0, &error).unwrap()), "WindingUp 2");
        assert_eq!(short(&line.look(3, &error).unwrap()), "SecondLook 2");
        assert_eq!(short(&line.look(6, &error).unwrap()), "absent");
    }
    let line = line(Options { sockets: false, ..options() }, Directives);
    let error = line.loses("[n-1 try 1] SAY yes", Fault::HangUp);
    assert_eq!(short(&line.look(3, &error).unwrap()), "SecondLook 5", "nobody can tell");
}

/// §11.7, §11.8: silence, a time limit, and everything else behind `internal error`.
#[test]
fn the_history_explains_an_internal_error() {
    let rows = [("EMPTY", "silent"), ("HANG", "failed Interrupted"), ("FAIL 401 bad key", "failed Internal")];
    for (words, expected) in rows {
        let line = line(Options { run_timeout: Duration::from_millis(50), ..options() }, Directives);
        let mut error = line.say(&format!("[n-0 try 1] {words}"), &[]).unwrap_err();
        if words.starts_with("FAIL") {
            assert_eq!(error.class, Class::Transient, "the provider's own words; and now it is left alone");
        }
        error = line.say(&format!("[n-1 try 1] {words}"), &[]).unwrap_err();
        assert_eq!((error.class, error.why), (Class::Lost, Why::Internal), "{words}");
        assert_eq!(short(&line.look(0, &error).unwrap()), expected, "{words}");
    }
}

/// §11.5: the gateway is killed in the middle of a turn.
#[test]
fn after_a_restart_the_gateways_recovery_is_awaited_or_preceded() {
    for early in [true, false] {
        let first = line(
            Options { resume_after: Duration::from_millis(if early { 60_000 } else { 0 }), ..options() },
            |prompt: &Prompt| {
                if prompt.text.contains("[System]") {
                    Thought::say("resumed").after(Duration::from_millis(600))
                } else {
                    Thought::say("late").after(PATIENT)
                }
            },
        );
        let (second, error) = std::thread::scope(|scope| {
            let turn = scope.spawn(|| first.say("[n-1 try 1] work", &[]).unwrap_err());
            wait::until("the turn", || first.scripted.observations().marks("n-1").runs == 1);
            // The gateway's uptime has whole seconds: the next process must be clearly younger than the turn.
            std::thread::sleep(Duration::from_millis(1_200));
            let second = served(first.scripted.restarted(), |_| None);
            first.server.stop(Duration::ZERO);
            (second, turn.join().unwrap())
        });
        assert_eq!(error.class, Class::Lost);
        if early {
            let mark = TurnMark {
                marker: "[n-1 try 1]",
                earlier: None,
                earlier_charged: false,
                outputs: &[],
                run: error.run.as_deref(),
                failed: false,
                spoke: false,
                tools: false,
                age: Duration::from_secs(10),
                lost: SystemClock.now(),
                looked: None,
            };
            let found = second.client.recover(&SessionKey::new(SESSION), "engineer", &mark).unwrap();
            assert_eq!(short(&found), "absent, seen");
            continue;
        }
        let until = Instant::now() + PATIENT;
        loop {
            let found = second.look(3, &error).unwrap();
            if short(&found) == "elsewhere resumed" {
                break;
            }
            assert!(
                matches!(
                    found,
                    Recovered::Running(Running { why: Waiting::Resuming | Waiting::SecondLook, .. })
                ),
                "{found:?}"
            );
            assert!(Instant::now() < until);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// §11.2: the oldest release shows a restart over its WebSocket only. It resumes nothing, so the turn is absent at once.
#[test]
fn a_restart_of_the_oldest_release_ends_its_turns() {
    for (sockets, expected) in [(true, "absent, seen"), (false, "GoesOn 5")] {
        let old = Options {
            release: Release::V2026_2_19,
            tools_allowed: vec!["sessions_history".to_owned()],
            sockets,
            ..options()
        };
        let first = line(old, |prompt: &Prompt| {
            let late = if prompt.text.contains("n-1") { PATIENT } else { Duration::ZERO };
            Thought::say("done").after(late)
        });
        // The history of this release hides the first turn of a session while it runs.
        first.say("[n-0 try 1] work", &[]).unwrap();
        let (second, error) = std::thread::scope(|scope| {
            let turn = scope.spawn(|| first.say("[n-1 try 1] work", &[]).unwrap_err());
            wait::until("the turn", || first.scripted.observations().marks("n-1").runs == 1);
            let second = served(first.scripted.restarted(), |_| None);
            first.server.stop(Duration::ZERO);
            (second, turn.join().unwrap())
        });
        assert_eq!(error.class, Class::Lost);
        // Long after the start of the second process.
        let mark = TurnMark {
            marker: "[n-1 try 1]",
            age: Duration::from_mins(10),
            lost: SystemClock.now() - Duration::from_secs(500),
            looked: Some(SystemClock.now() - Duration::from_secs(400)),
            ..TurnMark::default()
        };
        let found = second.client.recover(&SessionKey::new(SESSION), "engineer", &mark).unwrap();
        assert_eq!(short(&found), expected, "sockets: {sockets}");
    }
}

/// §11.4: the state of the run is used if it may be read.
#[test]
fn the_state_of_the_run_is_read_where_permitted() {
    for (allowed, expected) in [(true, "GoesOn 5"), (false, "SecondLook 5")] {
        let tools_allowed = if allowed { vec!["sessions_list".to_owned()] } else { Vec::new() };
        let line = line(Options { tools_allowed, ..options() }, Directives);
        std::thread::scope(|scope| {
            let turn = scope.spawn(|| line.say("[n-1 try 1] DELAY 800 SAY done", &[]));
            wait::until("the turn", || line.scripted.observations().runs() > 0);
            let nothing = GatewayError::new(Class::Lost, Why::LostAnswer, None);
            assert_eq!(short(&line.look(3, &nothing).unwrap()), expected);
            turn.join().unwrap().unwrap();
            assert_eq!(short(&line.look(3, &nothing).unwrap()), "answer done");
        });
    }
}

/// §11.4, §11.9: the old release has a page in place of the history.
#[test]
fn the_old_release_shows_its_sessions_as_a_tool_or_not_at_all() {
    for allowed in [true, false] {
        let tools_allowed = if allowed { vec!["sessions_history".to_owned()] } else { Vec::new() };
        let line = line(Options { release: Release::V2026_2_19, tools_allowed, ..options() }, Directives);
        assert!(line.client.probe().ready);
        line.scripted.faults().next(Fault::LoseAnswer);
        let error = line.say("[n-1 try 1] SAY yes", &[]).unwrap_err();
        let expected = if allowed { "answer yes" } else { "unknown" };
        assert_eq!(short(&line.look(3, &error).unwrap()), expected);
        if allowed {
            line.scripted.faults().next(Fault::LoseAnswer);
            let error = line.say("[n-1 try 1] FAIL 400 bad", &[]).unwrap_err();
            assert_eq!(
                short(&line.look(3, &error).unwrap()),
                "failed ProviderRejected",
                "§9: an error as a text"
            );
        }
    }
}

/// Pages are read back to the turn, whatever its length.
#[test]
fn a_long_turn_is_found_at_its_beginning() {
    let line = line(options(), |prompt: &Prompt| Thought::say(prompt.text.clone()));
    let error = line.loses("[n-1 try 1] hello", Fault::LoseAnswer);
    for number in 0..130 {
        line.say(&format!("hello {number}"), &[]).unwrap();
    }
    assert_eq!(short(&line.look(3, &error).unwrap()), "answer [n-1 try 1] hello");
}

/// Unreachable, starting, stopping, temporarily unreadable, never readable.
#[test]
fn unreadable_gateways_are_distinguished() {
    let line = line(options(), Directives);
    let error = line.loses("[n-1 try 1] SAY yes", Fault::LoseAnswer);
    line.scripted.set_phase(Phase::Starting);
    assert_eq!(short(&line.look(0, &error).unwrap()), "Starting 1");
    line.scripted.set_phase(Phase::Draining);
    let away =
        |found: Result<Recovered, GatewayError>| found.map_err(|error| (error.class, error.why)).unwrap_err();
    assert_eq!(away(line.look(0, &error)), (Class::Closed, Why::Draining));
    line.scripted.set_phase(Phase::Running);
    line.server.stop(Duration::ZERO);
    assert_eq!(away(line.look(0, &error)), (Class::Closed, Why::Unreachable));

    // Its WebSocket would show the history, too.
    let scripted = || ScriptedGateway::new(Options { sockets: false, ..options() }, Arc::new(Directives));
    let history = |path: &str| path.ends_with("/history");
    let refusing = move |status: u16| {
        served(scripted(), move |path| {
            history(path).then(|| HttpReply::whole("application/json", "{\"ok\":false}").with_status(status))
        })
    };
    let nothing = GatewayError::new(Class::Lost, Why::LostAnswer, None);
    assert_eq!(short(&refusing(500).look(3, &nothing).unwrap()), "Unreadable 2");
    assert_eq!(short(&refusing(403).look(3, &nothing).unwrap()), "unknown");
    assert_eq!(away(refusing(401).look(3, &nothing)), (Class::Closed, Why::TokenRefused));
    assert_eq!(away(refusing(502).look(3, &nothing)), (Class::Closed, Why::Unreachable));

    // A single 500 is ignored.
    let count = std::sync::atomic::AtomicUsize::new(0);
    let line = served(scripted(), move |path| {
        let first = history(path) && count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        first.then(|| HttpReply::text("Internal Server Error").with_status(500))
    });
    let error = line.loses("[n-1 try 1] SAY yes", Fault::LoseAnswer);
    assert_eq!(short(&line.look(0, &error).unwrap()), "answer yes");
}

fn chars(recovered: &Recovered) -> (usize, bool) {
    match recovered {
        Recovered::Answered(reply) | Recovered::Elsewhere(reply) => {
            let text = reply.text.as_deref().unwrap();
            (text.len(), text.contains("truncated"))
        }
        other => panic!("{other:?}"),
    }
}

/// §11.1, 6: a cut item of the history is read whole over the WebSocket.
#[test]
fn a_long_lost_answer_is_read_whole() {
    for length in [8_000, 8_001, 20_000, 300_000] {
        let line = line(options(), Directives);
        let error = line.loses(&format!("[n-1 try 1] LONG {length}"), Fault::LoseAnswer);
        let found = line.look(0, &error).unwrap();
        assert_eq!(chars(&found), (length, false));
        assert_eq!(line.scripted.observations().marks("n-1").runs, 1);
    }
}

/// §11.5: the answer of a resumed turn too, which is sent to no client.
#[test]
fn a_long_answer_of_a_resumed_turn_is_read_whole() {
    let first = line(Options { resume_after: Duration::ZERO, ..options() }, |prompt: &Prompt| {
        if prompt.text.contains("[System]") {
            Thought::say("y".repeat(20_000))
        } else {
            Thought::say("late").after(PATIENT)
        }
    });
    let (second, error) = std::thread::scope(|scope| {
        let turn = scope.spawn(|| first.say("[n-1 try 1] work", &[]).unwrap_err());
        wait::until("the turn", || first.scripted.observations().runs() > 0);
        let second = served(first.scripted.restarted(), |_| None);
        first.server.stop(Duration::ZERO);
        (second, turn.join().unwrap())
    });
    let until = Instant::now() + PATIENT;
    loop {
        match second.look(3, &error).unwrap() {
            found @ Recovered::Elsewhere(_) => {
                assert_eq!(chars(&found), (20_000, false));
                return;
            }
            other => assert!(Instant::now() < until, "{other:?}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The item stays cut without a WebSocket, without permission, without an id, or beyond the size limit.
#[test]
fn an_answer_that_cannot_be_read_whole_stays_cut() {
    let lost = |line: &Line, length: usize| {
        let error = line.loses(&format!("[n-1 try 1] LONG {length}"), Fault::LoseAnswer);
        short(&line.look(3, &error).unwrap())
    };
    assert_eq!(lost(&line(Options { sockets: false, ..options() }, Directives), 20_000), "cut");
    assert_eq!(lost(&line(options(), Directives), 2_000_001), "cut");
    let old = Options {
        release: Release::V2026_2_19,
        tools_allowed: vec!["sessions_history".to_owned()],
        ..options()
    };
    let line = line(old, Directives);
    line.scripted.faults().next(Fault::LoseAnswer);
    let error = line.say("[n-1 try 1] LONG 20000", &[]).unwrap_err();
    assert_eq!(short(&line.look(3, &error).unwrap()), "cut");
    // A proxy that passes only some paths.
    let front = |path: &str| (path == "/").then(|| HttpReply::error(403, "Forbidden"));
    let line = served(ScriptedGateway::new(options(), Arc::new(Directives)), front);
    assert_eq!(lost(&line, 20_000), "cut");
}

/// After a passing failure the whole item is requested again.
#[test]
fn a_whole_answer_is_requested_again_after_a_passing_failure() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let front = move |path: &str| {
        let first = path == "/" && count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        first.then(|| HttpReply::text("Internal Server Error").with_status(500))
    };
    let line = served(ScriptedGateway::new(options(), Arc::new(Directives)), front);
    let error = line.loses("[n-1 try 1] LONG 20000", Fault::LoseAnswer);
    assert_eq!(short(&line.look(0, &error).unwrap()), "Fetching 5");
    assert_eq!(chars(&line.look(5, &error).unwrap()), (20_000, false));
}

/// §11.4: a run is aborted under its id, or under the id of the run that is active. An ended run needs no
/// abort.
#[test]
fn a_run_is_aborted() {
    let session = SessionKey::new(SESSION);
    for named in [true, false] {
        let tools_allowed = vec!["sessions_list".to_owned()];
        let line = line(Options { tools_allowed, ..options() }, |prompt: &Prompt| {
            // The next turn is shown the aborted input once more.
            let again = prompt.abandoned.as_deref() == Some("[n-1 try 1] work");
            if again { Thought::say("now") } else { Thought::say("late").after(PATIENT * 3) }
        });
        let end = |run: Option<&str>| line.client.abort(&session, "engineer", run);
        assert!(!end(None).unwrap(), "there is nothing yet");
        std::thread::scope(|scope| {
            let turn = scope.spawn(|| line.say("[n-1 try 1] work", &[]));
            wait::until("the turn", || line.scripted.observations().runs() > 0);
            let run = line.scripted.observations().requests()[0].run.clone();
            let run = if named { run.as_str() } else { "resp_of_an_earlier_life" };
            assert!(line.another().abort(&session, "engineer", Some(run)).unwrap());
            let error = turn.join().unwrap().unwrap_err();
            assert_eq!((error.class, error.why), (Class::Lost, Why::Internal));
            // The state of the killed run decides, not the reason of the failure.
            let nothing = GatewayError::new(Class::Lost, Why::LostAnswer, None);
            assert_eq!(short(&line.look(6, &nothing).unwrap()), "absent, seen");
        });
        assert!(!end(None).unwrap(), "the run has ended");
        assert_eq!(line.say("[n-1 try 2] work", &[]).unwrap().text.as_deref(), Some("now"));
    }
}

/// A failed abort is an error with a reason.
#[test]
fn a_failed_abort_is_an_error() {
    let session = SessionKey::new(SESSION);
    let end =
        |line: &Line| line.client.abort(&session, "engineer", None).map_err(|error| (error.class, error.why));
    let refused = Err((Class::Refused, Why::NotOverSocket));
    assert_eq!(end(&line(Options { sockets: false, ..options() }, Directives)), refused);
    assert_eq!(end(&line(Options { release: Release::V2026_2_19, ..options() }, Directives)), refused);
    assert_eq!(end(&line(Options { token: Some("another".to_owned()), ..options() }, Directives)), refused);
    let line = line(options(), Directives);
    line.scripted.set_phase(Phase::Draining);
    assert_eq!(end(&line), Err((Class::Closed, Why::Draining)));
    line.server.stop(Duration::ZERO);
    assert_eq!(end(&line), Err((Class::Closed, Why::Unreachable)));
}

/// §11.9, §12.3: a release that reports no version, and accepts a token alone over the WebSocket, ends
/// abandoned runs. A turn that it does not show was never received. An active one is awaited.
#[test]
fn the_socket_shows_whether_a_turn_was_received() {
    let scripted = ScriptedGateway::new(options(), Arc::new(Directives));
    let without_version = |path: &str| (path == "/startupz").then(|| HttpReply::html("<html></html>"));
    let line = served(scripted, without_version);
    let nothing = GatewayError::new(Class::Lost, Why::LostAnswer, None);
    assert_eq!(short(&line.look(3, &nothing).unwrap()), "SecondLook 2");
    assert_eq!(short(&line.look(6, &nothing).unwrap()), "absent");
    let mute = Options { sockets: false, ..options() };
    let line = served(ScriptedGateway::new(mute, Arc::new(Directives)), without_version);
    assert_eq!(short(&line.look(6, &nothing).unwrap()), "GoesOn 5", "nobody can tell");
}

/// §8: a queued turn leaves no trace yet, and has not ended.
#[test]
fn a_queued_turn_is_awaited() {
    let tools_allowed = vec!["sessions_list".to_owned()];
    let line = line(Options { max_concurrent: 1, tools_allowed, ..options() }, Directives);
    std::thread::scope(|scope| {
        let client = line.another();
        let before = SessionKey::new("task:T2:agent:engineer:Acc0unt:v1");
        let first = scope.spawn(move || {
            let input = Input::Message("[n-0 try 1] DELAY 1500 SAY first");
            let turn = Turn {
                session: &before,
                agent: "engineer",
                instructions: "",
                input,
                tools: &[],
                pulse: &Pulse::new(),
            };
            client.turn(&turn, &mut |_| ())
        });
        wait::until("the first turn", || line.scripted.observations().runs() > 0);
        let second = scope.spawn(|| line.say("[n-1 try 1] SAY second", &[]));
        wait::until("the second turn", || line.scripted.observations().in_flight() == 2);
        let nothing = GatewayError::new(Class::Lost, Why::LostAnswer, None);
        assert_eq!(short(&line.look(6, &nothing).unwrap()), "GoesOn 5");
        assert!(first.join().unwrap().is_ok() && second.join().unwrap().is_ok());
    });
}
