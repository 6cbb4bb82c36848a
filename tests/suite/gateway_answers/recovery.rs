//! What a session's history shows of a turn whose answer was lost: the tables of spec §11.3, §11.5 and §11.6,
//! and the recipe of §11.8, step by step. Bodies are those of the real gateway, shortened.

/// Calls of lost turns, and lost turns with results.
mod calls;
/// The items.
mod items;
/// Turns that the gateway resumes without their tools.
mod resumed;
/// The same cases over a socket, from the scripted gateway.
mod sockets;

use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::gateway::history::{
    Running, SessionEvidence, Status, Waiting, decide, reaches, read, read_listed, read_tool,
};
use mission_control_runtime::gateway::{Recovered, Reply, ToolCall, ToolOutput, TurnMark, Usage, Why};
use proptest::prelude::*;
use serde_json::{Value, json};

use items::{assistant, body, calls, empty, error, notice, older, ours, pending, result, said, system, user};

const MARKER: &str = "[n-101 try 2]";
const RUN: &str = "resp_820e";
const RESUMED: &str = "6f1c2a34-0000-4000-8000-000000000001";
const SENT: Millis = Millis(1_765_526_400_000);

/// The facts besides the history.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that may be known or not")]
struct Scene {
    /// The gateway reported that the run failed.
    failed: bool,
    status: Option<Status>,
    /// Whether another process answers than the one that took the turn; `None` if unknown.
    restarted: Option<bool>,
    ends_unheard: bool,
    /// The gateway reports that nothing runs in the session.
    idle: bool,
    /// The gateway's list shows that nothing has begun in the session since.
    untouched: bool,
    /// Seconds since the answer was lost.
    since: u64,
    /// Seconds since the first reading.
    looked: Option<u64>,
    outputs: bool,
    /// The release calls the model again while the client runs its calls.
    asks_again: bool,
    earlier: bool,
    /// The usage of that earlier try is counted.
    earlier_charged: bool,
    run: bool,
    /// The turn had tools.
    tools: bool,
}

/// A current release without its tools, at the first reading, shortly after the loss.
const FIRST: Scene = Scene {
    failed: false,
    status: None,
    restarted: Some(false),
    ends_unheard: true,
    idle: false,
    untouched: false,
    since: 3,
    looked: None,
    outputs: false,
    asks_again: false,
    earlier: false,
    earlier_charged: false,
    run: true,
    tools: false,
};
/// [`FIRST`] at the next reading.
const SECOND: Scene = Scene { since: 8, looked: Some(5), ..FIRST };
/// [`FIRST`] if the gateway reports that nothing runs in the session.
const IDLE: Scene = Scene { idle: true, ..FIRST };
const RESTARTED: Scene = Scene { restarted: Some(true), ..FIRST };
const FAILED: Scene = Scene { failed: true, since: 0, ..FIRST };

fn verdict(scene: Scene, items: &[Value]) -> Recovered {
    let page = read(&body(items)).expect("a history");
    let outputs = [
        ("cf723c1f3", "[n-101 try 2 result 1.1]\n{\"ok\":true}"),
        ("cf723c1f4", "[n-101 try 2 result 1.2]\n{}"),
    ];
    let outputs =
        outputs.map(|(id, output)| ToolOutput { call_id: id.to_owned(), output: output.to_owned() });
    let lost = SENT + Duration::from_mins(2);
    let now = lost + Duration::from_secs(scene.since);
    let mark = TurnMark {
        marker: MARKER,
        earlier: scene.earlier.then_some("[n-101 try 1]"),
        earlier_charged: scene.earlier_charged,
        outputs: if scene.outputs { &outputs } else { &[] },
        run: scene.run.then_some(RUN),
        failed: scene.failed,
        spoke: false,
        tools: scene.tools,
        age: now.since(SENT),
        lost,
        looked: scene.looked.map(|seconds| now - Duration::from_secs(seconds)),
    };
    let up = |restarted: bool| if restarted { Duration::from_mins(1) } else { Duration::from_hours(1) };
    decide(
        &mark,
        &SessionEvidence {
            items: &page.items,
            whole: true,
            status: scene.status,
            up: scene.restarted.map(up),
            untouched: scene.untouched,
            ends_unheard: scene.ends_unheard,
            idle: scene.idle,
            asks_again: scene.asks_again,
            now,
        },
    )
}

/// The essential part of a verdict.
pub(super) fn short(verdict: &Recovered) -> String {
    let text = |reply: &Reply| reply.text.clone().unwrap_or_default();
    match verdict {
        Recovered::Answered(reply) => format!("answer {}", text(reply)),
        Recovered::Calls(reply) => {
            let ids: Vec<&str> = reply.calls.iter().map(|call| call.call_id.as_str()).collect();
            format!("calls {}", ids.join(" "))
        }
        Recovered::Elsewhere(reply) => format!("elsewhere {}", text(reply)),
        Recovered::ToolsMissing(reply) => format!("tools missing {}", text(reply)),
        Recovered::Silent => "silent".to_owned(),
        Recovered::Failed { why, .. } => format!("failed {why:?}"),
        Recovered::Cut => "cut".to_owned(),
        Recovered::Running(Running { again_in, why, .. }) => {
            format!("{why:?} {}", again_in.as_millis().div_ceil(1000))
        }
        Recovered::Absent { marker_seen: true } => "absent, seen".to_owned(),
        Recovered::Absent { marker_seen: false } => "absent".to_owned(),
        Recovered::Unknown => "unknown".to_owned(),
    }
}

#[track_caller]
fn check(rows: &[(&str, Scene, Vec<Value>, &str)]) {
    for (name, scene, items, expected) in rows {
        assert_eq!(short(&verdict(*scene, items)), *expected, "{name}");
    }
}

/// spec §11.3, "stored for".
#[test]
fn the_stored_items_show_how_a_turn_ended() {
    let killed = Scene { status: Some(Status::Killed), ..FIRST };
    check(&[
        ("answered", FIRST, vec![older(), said("resp_1", "no"), ours(), said(RUN, "yes")], "answer yes"),
        (
            "answered, at the model's limit",
            FIRST,
            vec![ours(), assistant(RUN, "length", &json!([{"type": "text", "text": "ye"}]))],
            "answer ye",
        ),
        ("said nothing, or NO_REPLY", FAILED, vec![ours(), empty(RUN), empty(RUN)], "silent"),
        ("said nothing, and its answer was lost", FIRST, vec![ours(), empty(RUN), empty(RUN)], "silent"),
        ("said nothing, asked once more", FIRST, vec![ours(), empty(RUN)], "SecondLook 5"),
        (
            "said nothing, asked once more, answered",
            FIRST,
            vec![ours(), empty(RUN), said(RUN, "yes")],
            "answer yes",
        ),
        (
            "said nothing once, and is done",
            Scene { status: Some(Status::Done), ..FIRST },
            vec![ours(), empty(RUN)],
            "silent",
        ),
        ("provider refused", FIRST, vec![ours(), error(RUN)], "failed ProviderRejected"),
        (
            "timed out inside",
            FAILED,
            vec![ours(), assistant(RUN, "aborted", &json!([]))],
            "failed Interrupted",
        ),
        ("client hung up: nothing", killed, vec![ours()], "absent, seen"),
        (
            "client hung up: a call without its result",
            killed,
            vec![ours(), calls(RUN, &["m1"])],
            "absent, seen",
        ),
        ("resumed", RESTARTED, vec![ours(), system(), said(RESUMED, "yes")], "elsewhere yes"),
        ("resuming given up", RESTARTED, vec![ours(), system(), notice()], "absent, seen"),
    ]);
}

/// spec §11.5, "at the kill", with the history after the restart.
#[test]
fn after_a_kill_the_history_shows_what_remains_of_a_turn() {
    let results = Scene { outputs: true, ..RESTARTED };
    check(&[
        ("POST up to 100 ms old, new session", RESTARTED, vec![], "absent"),
        ("POST up to 100 ms old", RESTARTED, vec![older(), said("resp_1", "no")], "absent"),
        (
            "function outputs up to 100 ms old",
            results,
            vec![ours(), calls("resp_0", &["m1"]), pending("resp_0", "m1")],
            "absent",
        ),
        ("second POST waiting behind a run", RESTARTED, vec![older()], "absent"),
        ("thinking or streaming", RESTARTED, vec![ours()], "absent, seen"),
        (
            "thinking or streaming, still to be resumed",
            Scene { status: Some(Status::Running), ..RESTARTED },
            vec![ours()],
            "absent, seen",
        ),
        ("thinking, being resumed", RESTARTED, vec![ours(), system()], "Resuming 2"),
        (
            "built-in tool running",
            RESTARTED,
            vec![ours(), calls(RUN, &["b1", "b2"]), result(RUN, "b1", "out")],
            "absent, seen",
        ),
        (
            "built-in tool running, resumed",
            RESTARTED,
            vec![ours(), calls(RUN, &["b1"]), system(), said(RESUMED, "yes")],
            "elsewhere yes",
        ),
        ("model done, answer not stored", RESTARTED, vec![ours()], "absent, seen"),
        (
            "answer stored, run not closed: a second answer",
            RESTARTED,
            vec![ours(), said(RUN, "ours"), system(), said(RESUMED, "theirs")],
            "answer ours",
        ),
        (
            "answer stored, run not closed: being resumed",
            RESTARTED,
            vec![ours(), said(RUN, "ours"), system()],
            "answer ours",
        ),
        ("answer stored, run closed, not sent", RESTARTED, vec![ours(), said(RUN, "ours")], "answer ours"),
        (
            "client tool call pending",
            RESTARTED,
            vec![ours(), calls(RUN, &["m1"]), pending(RUN, "m1")],
            "calls m1",
        ),
        (
            "the resumed turn said nothing",
            RESTARTED,
            vec![ours(), system(), empty(RESUMED), empty(RESUMED)],
            "silent",
        ),
        (
            "the resumed turn failed",
            RESTARTED,
            vec![ours(), system(), error(RESUMED)],
            "failed ProviderRejected",
        ),
        (
            "resumed twice: the second counts",
            RESTARTED,
            vec![ours(), system(), ours(), system()],
            "Resuming 2",
        ),
        (
            "results, resumed",
            results,
            vec![
                ours(),
                calls("resp_0", &["m1"]),
                user("Tool:cf723c1f3: {\"ok\":true}"),
                system(),
                said(RESUMED, "yes"),
            ],
            "elsewhere yes",
        ),
        (
            "old release: after a restart read once and decide",
            Scene { ends_unheard: false, ..RESTARTED },
            vec![ours()],
            "absent, seen",
        ),
    ]);
}

/// spec §11.6.
#[test]
fn after_hanging_up_a_turn_is_ended_or_goes_on() {
    let killed = Scene { status: Some(Status::Killed), ..FIRST };
    let old = Scene { ends_unheard: false, restarted: None, run: false, ..SECOND };
    check(&[
        ("30 ms after sending: no trace", FIRST, vec![older(), said("resp_1", "x")], "SecondLook 5"),
        ("30 ms after sending: still no trace", SECOND, vec![older(), said("resp_1", "x")], "absent"),
        ("thinking", killed, vec![ours()], "absent, seen"),
        ("thinking, and its status is not told", FIRST, vec![ours()], "SecondLook 5"),
        ("thinking, and its status is not told, again", SECOND, vec![ours()], "absent, seen"),
        ("thinking, and nothing runs any more", IDLE, vec![ours()], "absent, seen"),
        ("nothing runs, but our message is not there", IDLE, vec![older()], "SecondLook 2"),
        ("nothing runs, a second later", Scene { looked: Some(1), ..IDLE }, vec![older()], "SecondLook 1"),
        ("nothing runs, again", Scene { looked: Some(2), ..IDLE }, vec![older()], "absent"),
        ("nothing runs, at once", Scene { since: 1, ..IDLE }, vec![ours()], "WindingUp 1"),
        ("old: nothing runs", Scene { idle: true, looked: None, ..old }, vec![ours()], "GoesOn 5"),
        ("built-in tool running", killed, vec![ours(), calls(RUN, &["b1"])], "absent, seen"),
        ("at once: it may not have noticed", Scene { since: 0, ..FIRST }, vec![ours()], "WindingUp 2"),
        ("old: nothing is stopped", old, vec![ours()], "GoesOn 5"),
        ("old: its answer comes", old, vec![ours(), said("", "yes")], "answer yes"),
        ("old: a first turn leaves nothing until it has done something (§11.4)", old, vec![], "GoesOn 5"),
        ("old: it never arrived", Scene { untouched: true, looked: None, ..old }, vec![], "SecondLook 5"),
        ("old: it may be on its way", Scene { untouched: true, since: 1, ..old }, vec![], "WindingUp 1"),
        ("old: it never arrived, again", Scene { untouched: true, ..old }, vec![], "absent"),
        ("old: a later turn shows at once (§11.4)", old, vec![older(), said("", "x")], "absent"),
    ]);
}

/// spec §11.8, step 1: answers that are adopted, and answers that are not.
#[test]
fn step_1_adopts_answers() {
    let results = Scene { outputs: true, ..SECOND };
    let long = |text: &str| {
        let mut item = said(RUN, text);
        item["__openclaw"]["truncated"] = json!(true);
        item
    };
    check(&[
        ("1 cut", FIRST, vec![ours(), long("x")], "cut"),
        ("1 cut, in its words", FIRST, vec![ours(), said(RUN, "xxx\n...(truncated)...")], "cut"),
        (
            "1 the first answer, not the last item",
            FIRST,
            vec![ours(), said(RUN, "a"), said(RUN, "b")],
            "answer a",
        ),
        (
            "1 an answer behind an error (the gateway tries again inside)",
            FIRST,
            vec![ours(), error(RUN), said(RUN, "a")],
            "answer a",
        ),
        ("1 of our run only", FIRST, vec![ours(), said("resp_other", "b")], "SecondLook 5"),
        (
            "1 without a known run",
            Scene { run: false, ..FIRST },
            vec![ours(), said("resp_other", "b")],
            "answer b",
        ),
        ("1 by its run, where the text is taken back", FIRST, vec![said(RUN, "a")], "answer a"),
        (
            "1 not what was said to somebody else's words",
            FIRST,
            vec![ours(), user("hello"), said(RUN, "a")],
            "SecondLook 5",
        ),
        ("1 append-only: it failed and has answered", FAILED, vec![ours(), said(RUN, "a")], "answer a"),
        ("1 of results", results, vec![user("Tool:cf723c1f3: {\"ok\":true}"), said(RUN, "a")], "answer a"),
        (
            "1 of several results (§3)",
            results,
            vec![
                user(
                    "[Chat messages since your last reply - for context]\nTool:cf723c1f3: {}\n\n[Current message - respond to this]\nTool:cf723c1f4: {}",
                ),
                said(RUN, "a"),
            ],
            "answer a",
        ),
        ("1 never an answer without text", SECOND, vec![ours(), said(RUN, "  ")], "absent, seen"),
    ]);
}

/// spec §11.8, from step 3 on: turns that the gateway resumes, that continue, and that are sent again.
#[test]
fn steps_3_to_7_wait_adopt_or_send_again() {
    let with = |status| Scene { status: Some(status), ..SECOND };
    let unknown = Scene { restarted: None, ends_unheard: false, ..SECOND };
    let try_1 = || user("[n-101 try 1] Notification");
    let retried = Scene { earlier: true, ..FAILED };
    check(&[
        ("3", RESTARTED, vec![ours(), system(), said(RESUMED, "yes")], "elsewhere yes"),
        ("3 after another restart", FIRST, vec![ours(), system(), said(RESUMED, "yes")], "elsewhere yes"),
        ("3 of its uuid only", RESTARTED, vec![ours(), system(), said("resp_other", "x")], "Resuming 2"),
        ("4", RESTARTED, vec![ours(), system()], "Resuming 2"),
        (
            "4 status leaves running",
            Scene { restarted: Some(true), ..with(Status::Killed) },
            vec![ours(), system()],
            "absent, seen",
        ),
        ("4 a POST met it: response.failed at once", FAILED, vec![older(), system()], "Resuming 2"),
        ("4 our second POST met the first one's", retried, vec![try_1(), system()], "Resuming 2"),
        (
            "4 our second POST met the first one's, answered",
            retried,
            vec![try_1(), system(), said(RESUMED, "yes")],
            "elsewhere yes",
        ),
        ("5 goes on", with(Status::Running), vec![ours()], "GoesOn 5"),
        ("5 nothing is there yet and something runs", with(Status::Running), vec![], "GoesOn 5"),
        ("5 killed", with(Status::Killed), vec![ours()], "absent, seen"),
        ("5 failed", with(Status::Failed), vec![ours()], "failed Interrupted"),
        ("5 timeout", with(Status::Timeout), vec![ours()], "failed Interrupted"),
        ("5 done, only empty items", with(Status::Done), vec![ours(), empty(RUN)], "silent"),
        ("6 restarted: at once", Scene { since: 0, ..RESTARTED }, vec![ours()], "absent, seen"),
        ("7 restarted", Scene { since: 0, ..RESTARTED }, vec![older()], "absent"),
        ("7 not restarted: a second reading", FIRST, vec![], "SecondLook 5"),
        ("7 not restarted, 5 s later", SECOND, vec![], "absent"),
        ("7 too early", Scene { looked: Some(2), ..SECOND }, vec![], "SecondLook 3"),
        ("7 an earlier try is there", Scene { earlier: true, ..SECOND }, vec![try_1()], "absent, seen"),
        (
            "7 a marker only begins with ours",
            SECOND,
            vec![user("[n-101 try 21] x"), said("r", "x")],
            "absent",
        ),
        ("500 `internal error`: back off", FAILED, vec![ours()], "failed Internal"),
        ("500 `internal error`, a cooling provider: no trace", FAILED, vec![older()], "failed Internal"),
        ("§11.9 nothing is known: the run goes on", unknown, vec![ours()], "GoesOn 5"),
    ]);
}

/// An adopted reply equals the reply of the undisturbed turn.
#[test]
fn an_adopted_reply_is_complete() {
    let items = [ours(), calls(RUN, &["b1"]), result(RUN, "b1", "out"), said(RUN, "yes")];
    let usage = Some(Usage { input_tokens: 222, output_tokens: 14, nano_dollars: 250_000 });
    let expected =
        Reply { id: Some(RUN.to_owned()), text: Some("yes".to_owned()), usage, ..Reply::default() };
    assert_eq!(verdict(FIRST, &items), Recovered::Answered(expected));

    let mut words = said(RUN, "One moment.");
    words.as_object_mut().unwrap().remove("stopReason");
    let call = ToolCall {
        call_id: "m1".to_owned(),
        name: "task_status".to_owned(),
        arguments: "{\"taskId\":\"t-1\"}".to_owned(),
    };
    let Recovered::Calls(reply) = verdict(FIRST, &[ours(), words, calls(RUN, &["m1"]), pending(RUN, "m1")])
    else {
        panic!("no calls");
    };
    assert_eq!((reply.text.as_deref(), reply.calls), (Some("One moment."), vec![call]));
    let length = assistant(RUN, "length", &json!([{"type": "text", "text": "ye"}]));
    let cut = verdict(FIRST, &[ours(), length]);
    assert!(matches!(cut, Recovered::Answered(Reply { cut: true, .. })), "{cut:?}");
}

/// A page is enough if it contains the turn, or any item that is certainly older.
#[test]
fn pages_are_read_back_to_the_turn() {
    let mark = |outputs| TurnMark {
        marker: MARKER,
        earlier: None,
        earlier_charged: false,
        outputs,
        run: None,
        failed: false,
        spoke: false,
        tools: false,
        age: Duration::ZERO,
        lost: SENT,
        looked: None,
    };
    let results = [ToolOutput { call_id: "c1".to_owned(), output: String::new() }];
    let rows: [(Value, &[ToolOutput], bool); 10] = [
        (ours(), &[], true),
        (older(), &[], true),
        (user("hello"), &[], false),
        (user("[System] restarted"), &[], false),
        (user("[n-1 try x] hello"), &[], false),
        (said(RUN, MARKER), &[], false),
        (user("Tool:c1: {}"), &results, true),
        (user("Tool:c12: {}"), &results, false),
        (user("[n-99 try 1 result 3.2]\n{}"), &results, true),
        (user("Tool:c12: [n-99 try 1 result 3.2]\n{}"), &[], true),
    ];
    for (item, outputs, expected) in rows {
        let page = read(&body(std::slice::from_ref(&item))).unwrap();
        assert_eq!(reaches(&mark(outputs), &page.items), expected, "{item}");
    }
    let more = json!({"items": [], "hasMore": true, "nextCursor": "51"}).to_string();
    assert_eq!(read(more.as_bytes()).unwrap().older.as_deref(), Some("51"));
}

/// spec §11.4.
#[test]
fn the_gateways_tools_show_the_same_history() {
    let items = json!([ours(), {"role": "assistant", "content": [{"type": "text", "text": "yes"}], "stopReason": "stop"}]);
    let answer =
        |details: Value| json!({"ok": true, "result": {"content": [], "details": details}}).to_string();
    let page = read_tool(answer(json!({"sessionKey": "x", "messages": items})).as_bytes()).unwrap();
    assert_eq!((page.items.len(), page.items[1].text.as_str()), (2, "yes"));
    assert_eq!(
        read_tool(answer(json!({"status": "error"})).as_bytes()).map(|page| page.items.len()),
        Some(0)
    );
    assert_eq!(read_tool(answer(json!({"status": "forbidden"})).as_bytes()), None);
    assert_eq!(read_tool(b"{\"ok\":false}"), None);
    let rows = json!([{"key": "agent:qa:y", "status": "running"}, {"key": "agent:qa:X", "status": "killed"}, {"key": "agent:qa:z"}]);
    let listed = answer(json!({"count": 3, "sessions": rows}));
    let found = ["agent:qa:x", "agent:qa:y", "agent:qa:z", "agent:qa:none"]
        .map(|key| read_listed(listed.as_bytes(), key, 200).unwrap().status);
    assert_eq!(found, [Some(Status::Killed), Some(Status::Running), None, None]);
}

/// spec §11.4: `updatedAt` changes at the beginning and at the end of a turn. A session is certainly
/// unchanged since the turn was sent if it is not listed, or changed long before. A list that was cut must be
/// in order.
#[test]
fn a_list_of_sessions_shows_whether_one_has_changed() {
    let (long_ago, lately) = (SENT.0 - 61_000, SENT.0 - 59_000);
    let untouched = |rows: Value, limit: usize| {
        let body = json!({"ok": true, "result": {"content": [], "details": {"sessions": rows}}}).to_string();
        read_listed(body.as_bytes(), "agent:qa:x", limit).map(|listed| listed.untouched_since(SENT))
    };
    let row = |key: &str, at: Value| json!({"key": key, "updatedAt": at});
    let rows = [
        (json!([]), 2, Some(true)),
        (json!([row("agent:qa:y", json!(SENT.0 + 9))]), 2, Some(true)),
        (json!([row("agent:qa:X", json!(long_ago))]), 2, Some(true)),
        (json!([row("agent:qa:X", json!(lately))]), 2, Some(false)),
        (json!([row("agent:qa:X", Value::Null)]), 2, Some(false)),
        (json!([row("a", json!(SENT.0)), row("b", json!(long_ago))]), 2, Some(true)),
        (json!([row("a", json!(SENT.0)), row("b", json!(lately))]), 2, Some(false)),
        (json!([row("a", json!(long_ago)), row("b", json!(lately))]), 2, Some(false)),
        (json!([row("a", Value::Null), row("b", json!(long_ago))]), 2, Some(true)),
        (json!([row("a", json!(SENT.0)), row("b", Value::Null)]), 2, Some(false)),
        (Value::Null, 2, None),
    ];
    for (rows, limit, expected) in rows {
        assert_eq!(untouched(rows.clone(), limit), expected, "{rows}");
    }
}

#[test]
fn every_wait_has_a_sentence_and_a_failure_says_whether_the_agent_was_asked() {
    for why in
        [Waiting::Starting, Waiting::Unreadable, Waiting::WindingUp, Waiting::GoesOn, Waiting::Resuming]
    {
        assert!(why.explain().len() > 10);
    }
    for (items, marker_seen) in [(vec![ours()], true), (vec![older()], false)] {
        assert_eq!(verdict(FAILED, &items), Recovered::Failed { why: Why::Internal, marker_seen });
    }
}

proptest! {
    /// Items of any shape are read, and none of them leads to the adoption of an answer that is not there.
    #[test]
    fn any_items_are_parsed(kinds in prop::collection::vec(0_usize..10, 0..12), second in any::<bool>()) {
        let odd = [json!(null), json!(7), json!({"role": "user", "content": 7}), json!({"role": "assistant", "content": {"a": 1}, "stopReason": 3})];
        let items: Vec<Value> = kinds.iter().map(|kind| match kind {
            0 => ours(), 1 => older(), 2 => system(), 3 => error(RUN), 4 => empty(RUN), 5 => notice(),
            kind => odd[kind - 6].clone(),
        }).collect();
        let text = json!({"items": items, "hasMore": false}).to_string();
        prop_assert_eq!(read(text.as_bytes()).map(|page| page.items.len()), Some(items.len()));
        let numbered: Vec<Value> = items.into_iter().filter(Value::is_object).collect();
        let found = verdict(if second { SECOND } else { RESTARTED }, &numbered);
        prop_assert!(!matches!(found, Recovered::Answered(_) | Recovered::Calls(_) | Recovered::Elsewhere(_)), "{:?}", found);
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (read(&bytes), read_tool(&bytes), read_listed(&bytes, "x", 200));
    }
}
