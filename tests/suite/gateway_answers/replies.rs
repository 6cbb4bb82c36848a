//! Replies, streamed and plain (spec §5, §6, §9).

use mission_control_runtime::gateway::{Class, Reply, Usage, Why};
use serde_json::{Value, json};

use super::{
    STREAM_HEAD, ask, call, chunk, client, created, delta, done, events, function_call, message, outcome,
    refused, replying, response, said, stream,
};
use crate::support::scripted_http::{Move, ScriptedHttp, answer, answer_with};

fn reply(text: Option<&str>, calls: &[(&str, &str)], cut: bool) -> Reply {
    Reply {
        id: Some("resp_1".to_owned()),
        text: text.map(str::to_owned),
        calls: calls.iter().map(|(id, arguments)| call(id, arguments)).collect(),
        cut,
        usage: Some(Usage { input_tokens: 7, output_tokens: 3, ..Usage::default() }),
    }
}

/// Checks the same output, streamed and plain.
fn check(name: &str, status: &str, output: &[Value], expected: &Reply) {
    let streamed = outcome(Move::Send(stream(&replying(status, output))));
    assert_eq!(streamed.as_ref().ok(), Some(expected), "{name}, streamed: {streamed:?}");
    let plain = outcome(Move::Send(answer(200, &response(status, &json!(output)).to_string())));
    assert_eq!(plain.as_ref().ok(), Some(expected), "{name}, plain: {plain:?}");
}

#[test]
fn only_messages_for_people_and_answerable_calls_count() {
    let commentary = json!({"type": "message", "role": "assistant", "phase": "commentary",
        "content": [{"type": "output_text", "text": "let me look"}]});
    let reasoning = json!({"type": "reasoning", "content": "hmm", "summary": [{"type": "x", "text": "hmm"}]});
    let unknown = json!({"type": "message_of_tomorrow", "content": "boo"});
    let user = json!({"type": "message", "role": "user", "content": "not the agent's"});
    let plain = json!({"type": "message", "content": "a plain text"});
    let parts = json!({"type": "message", "role": "assistant", "content": [
        {"type": "output_text", "text": "one, "}, {"type": "refusal", "refusal": "no"}, 5,
        {"type": "output_text", "text": "two"}]});
    let nameless = json!({"type": "function_call", "call_id": "c9", "arguments": "{}"});
    let idless = json!({"type": "function_call", "id": "call_9", "name": "task_status", "arguments": "{}"});
    let rows: Vec<(&str, Vec<Value>, Reply)> = vec![
        ("§5 text", vec![message("hi")], reply(Some("hi"), &[], false)),
        (
            "§5 several messages",
            vec![message("a"), message(" "), message("b")],
            reply(Some("a\n\nb"), &[], false),
        ),
        ("§5 nothing", vec![], reply(None, &[], false)),
        ("§5 an empty text", vec![message("")], reply(None, &[], false)),
        (
            "§5 the placeholder is left to others",
            vec![message("No response from OpenClaw.")],
            reply(Some("No response from OpenClaw."), &[], false),
        ),
        ("§6 commentary", vec![commentary.clone(), message("hi")], reply(Some("hi"), &[], false)),
        ("§3 reasoning", vec![reasoning, message("hi")], reply(Some("hi"), &[], false)),
        ("unknown items", vec![unknown, json!(7), json!(null), message("hi")], reply(Some("hi"), &[], false)),
        ("somebody else's message", vec![user, message("hi")], reply(Some("hi"), &[], false)),
        ("§9 no phase, no parts", vec![plain], reply(Some("a plain text"), &[], false)),
        ("parts", vec![parts], reply(Some("one, two"), &[], false)),
        (
            "§5 a call",
            vec![commentary, function_call("c1", &json!("{\"taskId\":\"t-1\"}"))],
            reply(None, &[("c1", "{\"taskId\":\"t-1\"}")], false),
        ),
        (
            "§5 calls, in order",
            vec![function_call("c2", &json!("{}")), message("hi"), function_call("c1", &json!("[1]"))],
            reply(Some("hi"), &[("c2", "{}"), ("c1", "[1]")], false),
        ),
        (
            "arguments as an object",
            vec![function_call("c1", &json!({"a": [1, "x"]}))],
            reply(None, &[("c1", "{\"a\":[1,\"x\"]}")], false),
        ),
        ("no arguments", vec![function_call("c1", &json!(null))], reply(None, &[("c1", "{}")], false)),
        (
            "broken arguments are the tool's to refuse",
            vec![function_call("c1", &json!("{\"a\":"))],
            reply(None, &[("c1", "{\"a\":")], false),
        ),
        (
            "§5 nothing runs twice under one id",
            vec![
                function_call("c1", &json!("1")),
                function_call("c1", &json!("2")),
                function_call("c2", &json!("3")),
            ],
            reply(None, &[("c1", "1"), ("c2", "3")], false),
        ),
        (
            "calls that nobody can answer",
            vec![nameless, idless, message("hi")],
            reply(Some("hi"), &[], false),
        ),
    ];
    for (name, output, expected) in rows {
        check(name, "completed", &output, &expected);
    }
}

#[test]
fn a_truncated_text_is_marked_and_loses_the_notice() {
    const NOTICE: &str = "⚠️ Reply truncated at the model's output token limit. The text above is partial — ask to continue it.";
    let behind = format!("{NOTICE}\nis what it said");
    let rows = [
        (format!("one\ntwo\n\n{NOTICE}"), Some("one\ntwo")),
        (format!("one\n{NOTICE}\n"), Some("one")),
        (NOTICE.to_owned(), None),
        ("one\ntwo".to_owned(), Some("one\ntwo")),
        (behind.clone(), Some(behind.as_str())),
    ];
    for (text, expected) in rows {
        check("§5 truncated", "incomplete", &[message(&text)], &reply(expected, &[], true));
        check("§5 not truncated", "completed", &[message(&text)], &reply(Some(&text), &[], false));
    }
}

#[test]
fn signs_of_life_are_reported_as_they_arrive() {
    let server = ScriptedHttp::start([Move::Send(said("hi"))]);
    let (reply, signs) = ask(&client(&server.url()));
    assert!(reply.is_ok());
    assert_eq!(signs, ["resp_1", "alive", "alive", "alive", "alive"]);
}

#[test]
fn the_last_event_overrides_the_stream() {
    let streamed = [created(), done(&message("streamed")), done(&function_call("c1", &json!("1")))];
    let with = |last: Value| {
        let mut list = streamed.to_vec();
        list.push(last);
        list.push(delta("too late"));
        list.push(json!({"type": "response.failed", "response": {"error": {"message": "too late"}}}));
        outcome(Move::Send(stream(&list)))
    };
    let other = response("completed", &json!([message("final")]));
    let read = with(json!({"type": "response.completed", "response": other})).unwrap();
    assert_eq!(read, reply(Some("final"), &[], false));
    let empty = response("completed", &json!([]));
    assert_eq!(
        with(json!({"type": "response.completed", "response": empty})).unwrap(),
        reply(None, &[], false)
    );
    // A last event without output stands for the streamed items.
    let read = with(json!({"type": "response.completed", "response": {"status": "completed"}})).unwrap();
    assert_eq!(read, Reply { usage: None, ..reply(Some("streamed"), &[("c1", "1")], false) });
}

#[test]
fn events_without_a_name_or_a_blank_line_are_understood() {
    let list = replying("completed", &[message("hi\r\nthere")]);
    let named = events(&list);
    let rest = |line: &&str| !line.starts_with("event:");
    let nameless = named.split('\n').filter(rest).collect::<Vec<_>>().join("\n");
    let as_message = nameless.replace("data: {", "event: message\ndata: {");
    let cut = named.split("\n\ndata: [DONE]").next().unwrap().to_owned();
    for text in [named.replace('\n', "\r\n"), named.replace('\n', "\r"), nameless, as_message, cut, named] {
        let body = answer_with(200, "Content-Type: text/event-stream\r\n", text.as_bytes());
        assert_eq!(outcome(Move::Send(body)).unwrap(), reply(Some("hi\r\nthere"), &[], false), "{text:?}");
    }
}

/// A stream in chunks of one, two and three bytes, with line ends of both kinds.
#[test]
fn chunks_may_end_anywhere() {
    let text = events(&replying("completed", &[message("ü — hi"), function_call("c1", &json!("{}"))]));
    for (size, text) in [(1, text.clone()), (2, text.replace('\n', "\r\n")), (3, text)] {
        let mut bytes = STREAM_HEAD.as_bytes().to_vec();
        bytes.extend(text.as_bytes().chunks(size).flat_map(chunk));
        bytes.extend(b"0\r\n\r\n");
        assert_eq!(outcome(Move::Send(bytes)).unwrap(), reply(Some("ü — hi"), &[("c1", "{}")], false));
    }
}

#[test]
fn an_unreadable_answer_counts_as_lost() {
    let completed = |response: &Value| {
        Move::Send(stream(&[created(), json!({"type": "response.completed", "response": response})]))
    };
    let half = r#"{"id":"resp_1","object":"response","status":"completed","output":[{"type":"mess"#;
    let nameless = json!({"type": "function_call", "call_id": "c9"});
    let shapeless = json!({"type": "message", "role": "assistant", "content": 5});
    let broken =
        [STREAM_HEAD.as_bytes(), &chunk(b"event: response.completed\ndata: {\"response\n\n"), b"0\r\n\r\n"]
            .concat();
    let rows = [
        ("broken JSON", Move::Send(answer(200, half))),
        ("no JSON", Move::Send(answer(200, ""))),
        ("other JSON", Move::Send(answer(200, r#"{"ok":true}"#))),
        ("still in progress", Move::Send(answer(200, &response("in_progress", &Value::Null).to_string()))),
        ("no list", Move::Send(answer(200, &response("completed", &json!("hi")).to_string()))),
        ("no list, streamed", completed(&response("completed", &json!({})))),
        ("broken event", Move::Send(broken)),
        ("only calls that nobody can answer", completed(&response("completed", &json!([nameless])))),
        ("only a message of another shape", completed(&response("completed", &json!([shapeless])))),
        (
            "a message of another shape beside a text",
            completed(&response("completed", &json!([message("hi"), shapeless]))),
        ),
    ];
    for (name, bad) in rows {
        refused(name, bad, Class::Lost, Why::NotUnderstood);
    }
}

/// JavaScript splits an emoji in two: the half is U+FFFD. Escapes inside arguments are left to the tool.
#[test]
fn half_an_emoji_becomes_a_replacement_character() {
    let halves = |text: &str| text.replace("HALF", r"\ud83d").replace("LOW", r"\ude00");
    let output = json!([message("a HALFLOW b HALF LOW c HALF"), function_call("c1", &json!({"a": "HALF"}))]);
    let expected =
        reply(Some("a \u{1f600} b \u{fffd} \u{fffd} c \u{fffd}"), &[("c1", r#"{"a":"\ufffd"}"#)], false);
    let list: Vec<Value> = replying("completed", output.as_array().unwrap());
    let body = answer_with(200, "Content-Type: text/event-stream\r\n", halves(&events(&list)).as_bytes());
    assert_eq!(outcome(Move::Send(body)).unwrap(), expected, "streamed");
    let body = halves(&response("completed", &output).to_string());
    assert_eq!(outcome(Move::Send(answer(200, &body))).unwrap(), expected, "plain");
    let nested = json!([function_call("c1", &json!(r#"{"a":"\ud83d \\ud83d"}"#))]);
    let read = outcome(Move::Send(answer(200, &response("completed", &nested).to_string()))).unwrap();
    assert_eq!(read.calls[0].arguments, r#"{"a":"\ud83d \\ud83d"}"#, "a text in the text is not touched");
}

#[test]
fn an_answer_over_the_limit_counts_as_lost() {
    let many: Vec<Value> = (0..257).map(|n| function_call(&format!("c{n}"), &json!("{}"))).collect();
    let rows = [
        ("257 calls", stream(&replying("completed", &many))),
        ("a text of 5 MiB", said(&"x".repeat(5 * 1024 * 1024))),
        ("an event of 17 MiB", stream(&[created(), done(&message(&"x".repeat(17 * 1024 * 1024)))])),
        ("announced", answer_with(200, "Content-Type: application/json\r\n", &vec![b' '; 33 * 1024 * 1024])),
    ];
    for (name, bytes) in rows {
        refused(name, Move::Send(bytes), Class::Lost, Why::AnswerTooLarge);
    }
    assert_eq!(outcome(Move::Send(stream(&replying("completed", &many[..256])))).unwrap().calls.len(), 256);
}

/// §9, §12.3: a known message is an error on every release. A status is one only on the oldest, which is found by a probe.
#[test]
fn a_known_message_is_an_error() {
    let old = |text: &str| {
        let item = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]});
        Move::Send(answer(200, &response("completed", &json!([item])).to_string()))
    };
    refused(
        "§9 timeout",
        old("Request timed out before a response was generated. Please try again."),
        Class::Transient,
        Why::ProviderTrouble,
    );
    assert_eq!(outcome(old("4 pages")).unwrap().text.as_deref(), Some("4 pages"));
    assert_eq!(outcome(old("400 bad")).unwrap().text.as_deref(), Some("400 bad"));
    assert_eq!(outcome(Move::Send(said("400 bad"))).unwrap().text.as_deref(), Some("400 bad"));
}
