//! Connections that break, stall, trickle or never end, and what is then known about the turn. Connections
//! that are reused.

use std::thread;
use std::time::{Duration, Instant};

use mission_control_runtime::clock::Pulse;
use mission_control_runtime::gateway::client::GatewayLimits;
use mission_control_runtime::gateway::{Class, Gateway, Input, Turn, Why};
use mission_control_runtime::model::SessionKey;
use mission_control_runtime::wire::Stop;

use super::{
    EARLY, PATIENT, SESSION, STREAM_HEAD, ask, chunk, client, client_with, created, delta, endpoint_with,
    events, message, refused, replying, said, stream,
};
use crate::support::scripted_http::{Move, Refusing, ScriptedHttp, answer};

/// The beginning of a stream: the run is known.
fn begun() -> Vec<u8> {
    let events = events(&[created(), delta("h")]);
    let events = events.strip_suffix("data: [DONE]\n\n").unwrap();
    [STREAM_HEAD.as_bytes(), &chunk(events.as_bytes())].concat()
}

#[test]
fn a_refused_connection_is_not_a_lost_turn() {
    let refusing = Refusing::new();
    let (result, signs) = ask(&client(&format!("http://{}", refusing.address())));
    let error = result.unwrap_err();
    assert_eq!((error.class, error.why), (Class::Closed, Why::Unreachable), "{error:?}");
    assert!(error.sentence.contains(&refusing.address().to_string()), "{}", error.sentence);
    assert!(signs.is_empty());
}

/// §11.8: reset before the headers, and in mid-stream.
#[test]
fn a_turn_that_was_sent_whole_is_lost_with_its_connection() {
    let no_length = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let only_done = [STREAM_HEAD.as_bytes(), &chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n"].concat();
    let rows = [
        ("before the answer", Move::SendAndCut(Vec::new()), false),
        ("in the status line", Move::SendAndCut(b"HTTP/1.1 2".to_vec()), false),
        ("in the headers", Move::SendAndCut(STREAM_HEAD.as_bytes()[..40].to_vec()), false),
        ("before the first event", Move::SendAndCut(STREAM_HEAD.into()), false),
        ("in the stream", Move::SendAndCut(begun()), true),
        ("in a chunk", Move::SendAndCut([begun(), b"ff\r\nevent: resp".to_vec()].concat()), true),
        ("without a last chunk", Move::SendAndCut([begun(), chunk(b"event: response.comp")].concat()), true),
        ("without a last event", Move::Send([begun(), b"0\r\n\r\n".to_vec()].concat()), true),
        ("without a length", Move::SendAndCut(no_length.into()), false),
        ("with nothing but the end", Move::Send(only_done), false),
        (
            "in a plain body",
            Move::SendAndCut(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{\"id\":"
                    .to_vec(),
            ),
            false,
        ),
        (
            "in a refusal",
            Move::SendAndCut(b"HTTP/1.1 400 X\r\nContent-Length: 90\r\n\r\n{\"error\":".to_vec()),
            false,
        ),
    ];
    for (name, bad, run) in rows {
        let error = refused(name, bad, Class::Lost, Why::LostAnswer);
        assert_eq!(error.run.as_deref(), run.then_some("resp_1"), "{name}");
    }
    // Data that arrives together with the damage may be lost with it.
    let garbled = Move::SendSlowly(vec![begun(), b"xyz\r\nabc\r\n".to_vec()], Duration::from_millis(100));
    let error = refused("broken chunks", garbled, Class::Lost, Why::NotUnderstood);
    assert_eq!(error.run.as_deref(), Some("resp_1"));
    refused("no HTTP", Move::Send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec()), Class::Closed, Why::NotAGateway);
}

#[test]
fn a_turn_sent_in_part_cannot_have_run() {
    let server = ScriptedHttp::start([Move::CutInBody(1000)]);
    let session = SessionKey::new(SESSION);
    let large = "x".repeat(14 * 1024 * 1024);
    let turn = Turn {
        session: &session,
        agent: "engineer",
        instructions: "",
        input: Input::Message(&large),
        tools: &[],
        pulse: &Pulse::new(),
    };
    let error = client(&server.url()).turn(&turn, &mut |_| {}).unwrap_err();
    assert_eq!((error.class, error.why), (Class::Closed, Why::Unreachable), "{error:?}");
    assert_eq!(server.seen().len(), 0);
}

/// A complete reply counts, whatever happens to the connection afterwards.
#[test]
fn a_complete_reply_survives_a_broken_connection() {
    let text = events(&replying("completed", &[message("hi")]));
    let whole = [STREAM_HEAD.as_bytes(), &chunk(text.as_bytes())].concat();
    let garbage = vec![whole.clone(), b"zzz\r\n".to_vec()];
    let rows = [
        ("cut", Move::SendAndCut(whole.clone())),
        ("silent", Move::SendAndStall(whole.clone())),
        ("broken", Move::SendSlowly(garbage, Duration::from_millis(100))),
        ("endless", Move::SendForever(whole, chunk(b": and on it goes\n\n"))),
    ];
    for (name, bad) in rows {
        let server = ScriptedHttp::start([bad]);
        let begun = Instant::now();
        let reply = ask(&client(&server.url())).0.expect(name);
        assert_eq!(reply.text.as_deref(), Some("hi"), "{name}");
        assert!(begun.elapsed() < EARLY, "{name}: {:?}", begun.elapsed());
    }
}

#[test]
fn silence_ends_a_turn_and_a_slow_stream_does_not() {
    let limits = |silence| GatewayLimits { silence, ..GatewayLimits::new(PATIENT) };
    // Longer than a busy server needs for its first bytes.
    let short = limits(Duration::from_secs(4));
    // Ten times the pause between two pieces, so that a busy machine does not look like silence.
    let patient = limits(Duration::from_secs(4));
    let answer = said("hi");
    let pieces: Vec<Vec<u8>> = answer.chunks(answer.len().div_ceil(24)).map(<[u8]>::to_vec).collect();
    let rows = [
        ("at once", Move::StallAtOnce, false),
        ("before the answer", Move::SendAndStall(Vec::new()), false),
        ("in the headers", Move::SendAndStall(STREAM_HEAD.as_bytes()[..40].to_vec()), false),
        ("before the first event", Move::SendAndStall(STREAM_HEAD.into()), false),
        ("in the stream", Move::SendAndStall(begun()), true),
    ];
    thread::scope(|scope| {
        for (name, bad, run) in &rows {
            scope.spawn(move || {
                let server = ScriptedHttp::start([bad.clone()]);
                let begun = Instant::now();
                let error = ask(&client_with(&server.url(), short)).0.expect_err(name);
                assert_eq!((error.class, error.why), (Class::Lost, Why::Silent), "{name}: {error:?}");
                assert_eq!(error.run.is_some(), *run, "{name}");
                assert!(begun.elapsed() < EARLY, "{name}: {:?}", begun.elapsed());
            });
        }
        scope.spawn(move || {
            let server = ScriptedHttp::start([Move::SendSlowly(pieces, Duration::from_millis(400))]);
            let begun = Instant::now();
            let reply = ask(&client_with(&server.url(), patient)).0.unwrap();
            assert_eq!(reply.text.as_deref(), Some("hi"));
            assert!(begun.elapsed() > 2 * patient.silence, "longer than any silence allowed");
        });
    });
}

#[test]
fn endless_answers_are_ended() {
    let few = GatewayLimits { answer_bytes: 1024 * 1024, ..GatewayLimits::new(PATIENT) };
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>";
    let json = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"id\":\"";
    let refusal = "HTTP/1.1 500 OK\r\nContent-Type: application/json\r\n\r\n{\"error\":\"";
    let comments = chunk(&b": still here\n\n".repeat(1000));
    let rows = [
        ("comments", Move::SendForever(begun(), comments.clone()), Class::Lost, Why::AnswerTooLarge),
        ("one line", Move::SendForever(begun(), chunk(&[b'x'; 4096])), Class::Lost, Why::AnswerTooLarge),
        (
            "deltas",
            Move::SendForever(begun(), chunk(&b"data: {}\n\n".repeat(1000))),
            Class::Lost,
            Why::AnswerTooLarge,
        ),
        ("a body", Move::SendForever(json.into(), vec![b'x'; 4096]), Class::Lost, Why::AnswerTooLarge),
        ("a page", Move::SendForever(page.into(), vec![b'x'; 4096]), Class::Closed, Why::NotAGateway),
        ("a refusal", Move::SendForever(refusal.into(), vec![b'x'; 4096]), Class::Transient, Why::Internal),
    ];
    for (name, bad, class, why) in rows {
        let server = ScriptedHttp::start([bad]);
        let error = ask(&client_with(&server.url(), few)).0.expect_err(name);
        assert_eq!((error.class, error.why), (class, why), "{name}: {error:?}");
        assert!(error.sentence.chars().count() < 600, "{name}: {}", error.sentence);
    }
    // The product's own limits, once.
    let error = refused("comments", Move::SendForever(begun(), comments), Class::Lost, Why::AnswerTooLarge);
    assert_eq!(error.run.as_deref(), Some("resp_1"));
}

#[test]
fn one_connection_carries_many_turns() {
    let split = [STREAM_HEAD.as_bytes(), &chunk(events(&replying("completed", &[message("hi")])).as_bytes())]
        .concat();
    let late_end = Move::SendSlowly(vec![split, b"0\r\n\r\n".to_vec()], Duration::from_millis(20));
    let failed =
        answer(500, r#"{"object":"response","status":"failed","error":{"code":"api_error","message":"x"}}"#);
    let moves = [
        Move::Send(said("hi")),
        late_end,
        Move::Send(failed),
        Move::Send(stream(&[created()])),
        Move::Send(said("hi")),
    ];
    let server = ScriptedHttp::start(moves);
    let gateway = client(&server.url());
    let results: Vec<bool> = (0..20).map(|_| ask(&gateway).0.is_ok()).collect();
    assert_eq!(results.iter().filter(|ok| !**ok).count(), 2, "{results:?}");
    assert_eq!((server.seen().len(), server.connections()), (20, 1));
    server.close_connections();
    ask(&gateway).0.unwrap();
    assert_eq!(server.connections(), 2, "a closed connection is noticed before it is used");
}

#[test]
fn stopping_ends_a_turn_at_once() {
    for bad in [Move::SendAndStall(Vec::new()), Move::SendAndStall(begun())] {
        let server = ScriptedHttp::start([bad]);
        let stop = Stop::new();
        let gateway = endpoint_with(&server.url(), GatewayLimits::new(PATIENT)).client(&stop);
        let begun = thread::scope(|scope| {
            let turn = scope.spawn(|| ask(&gateway).0.unwrap_err());
            server.wait_for_one();
            let begun = Instant::now();
            stop.close();
            let error = turn.join().unwrap();
            assert_eq!((error.class, error.why), (Class::Lost, Why::Stopped), "{error:?}");
            begun
        });
        assert!(begun.elapsed() < EARLY, "{:?}", begun.elapsed());
        let error = ask(&gateway).0.unwrap_err();
        assert_eq!((error.class, error.why), (Class::Closed, Why::Stopped), "and none begins");
        assert_eq!(server.seen().len(), 1);
    }
}
