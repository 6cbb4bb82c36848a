//! Calls of lost turns, and lost turns that carried results: spec §11.8 step 2, and §12.3.

use mission_control_runtime::gateway::TurnMark;
use mission_control_runtime::gateway::history::{Status, read, turn_progress};
use serde_json::{Value, json};

use super::items::{
    assistant, body, calls, empty, error, older, ours, pending, result, said, system, unnamed, user,
};
use super::{FIRST, MARKER, RESTARTED, RESUMED, RUN, SECOND, Scene, check};

/// spec §12.3: up to 2026.8 the history has a single result without the id of its call.
#[test]
fn the_answer_behind_a_bare_result_is_found_by_its_marker() {
    let first = Scene { outputs: true, run: false, ..FIRST };
    let second = Scene { outputs: true, run: false, ..SECOND };
    check(&[
        (
            "1 of a bare result, by its marker (§12.3)",
            first,
            vec![ours(), user("[n-101 try 2 result 1.1]\n{\"ok\":true}"), unnamed(said("", "a"))],
            "answer a",
        ),
        (
            "1 not of an earlier round's result",
            second,
            vec![ours(), user("[n-101 try 2 result 2.1]\n{}"), unnamed(said("", "a"))],
            "absent",
        ),
        (
            "1 not of the result as an agent quotes it",
            second,
            vec![user("[n-100 try 1] read this: [n-101 try 2 result 1.1]\n{}"), unnamed(said("", "a"))],
            "absent",
        ),
        (
            "1 of several marked results",
            first,
            vec![
                ours(),
                user(
                    "[Chat messages since your last reply - for context]\nTool:m1: [n-101 try 2 result 1.1]\n{}\n\n[Current message - respond to this]\nTool:m2: [n-101 try 2 result 1.2]\n{}",
                ),
                unnamed(said("", "a")),
            ],
            "answer a",
        ),
    ]);
}

/// spec §12.3: up to 2026.5.7 the model is called again while the client runs its calls. The calls are the reply, once the run
/// has ended, and a repeated call is one call.
#[test]
fn calls_are_the_reply_where_the_model_is_called_again() {
    let loops = Scene { asks_again: true, run: false, ends_unheard: false, restarted: None, ..SECOND };
    let other = |id: &str| {
        let call = json!({"type": "toolCall", "id": id, "name": "task_load", "arguments": {}});
        assistant(RUN, "toolUse", &json!([call]))
    };
    let once = vec![ours(), calls(RUN, &["m1"]), pending(RUN, "m1")];
    let then = |more: Vec<Value>| [once.clone(), more].concat();
    check(&[
        ("a text follows", loops, then(vec![said(RUN, "I wait.")]), "calls m1"),
        ("nothing follows", loops, then(vec![empty(RUN)]), "calls m1"),
        ("a failure follows", loops, then(vec![error(RUN)]), "calls m1"),
        (
            "the same call follows",
            loops,
            then(vec![calls(RUN, &["m2"]), pending(RUN, "m2"), said(RUN, "I wait.")]),
            "calls m1",
        ),
        (
            "another call follows",
            loops,
            then(vec![other("m2"), pending(RUN, "m2"), said(RUN, "I wait.")]),
            "calls m1 m2",
        ),
        ("the run goes on", loops, once.clone(), "GoesOn 5"),
        ("the run was ended", Scene { ends_unheard: true, ..loops }, once.clone(), "calls m1"),
        ("the run has ended", Scene { status: Some(Status::Done), ..loops }, once.clone(), "calls m1"),
        ("a restart has ended the run", Scene { restarted: Some(true), ..loops }, once.clone(), "calls m1"),
        (
            "a restart cut off a second call",
            Scene { restarted: Some(true), ..loops },
            then(vec![other("m2")]),
            "absent, seen",
        ),
        (
            "other releases wait for the results",
            Scene { asks_again: false, ..loops },
            once.clone(),
            "calls m1",
        ),
    ]);
}

/// The calls of a run that the model was promised the results of. The input may be out of sight.
#[test]
fn promised_results_are_counted() {
    let run = |count: usize| {
        let ids: Vec<String> = (0..count).map(|id| format!("m{id}")).collect();
        ids.iter().flat_map(|id| [calls(RUN, &[id]), pending(RUN, id)]).collect::<Vec<_>>()
    };
    let mark = TurnMark { marker: MARKER, ..TurnMark::default() };
    let rows = [
        (vec![ours()], 0),
        ([vec![ours()], run(3)].concat(), 3),
        ([vec![older()], run(3), vec![ours()], run(2)].concat(), 2),
        ([vec![older()], run(3)].concat(), 0),
        (run(40), 40),
        (vec![ours(), calls(RUN, &["b1"]), result(RUN, "b1", "out")], 0),
    ];
    for (items, expected) in rows {
        let page = read(&body(&items)).unwrap();
        let found = turn_progress(&mark, &page.items, true);
        assert_eq!(found.promised, expected, "{items:?}");
        assert!(!found.over, "the run goes on");
    }
}

/// spec §11.8, step 2: calls that are adopted, and calls that are not.
#[test]
fn step_2_adopts_calls() {
    let large = json!([{"type": "toolCall", "id": "m1", "name": "document_upsert", "arguments": {"content": "x\n...(truncated)..."}}]);
    check(&[
        (
            "2 our calls",
            FIRST,
            vec![ours(), calls(RUN, &["m1", "m2"]), pending(RUN, "m1"), pending(RUN, "m2")],
            "calls m1 m2",
        ),
        (
            "2 not the gateway's own",
            SECOND,
            vec![ours(), calls(RUN, &["b1"]), result(RUN, "b1", "out")],
            "absent, seen",
        ),
        (
            "2 ours among the gateway's own",
            FIRST,
            vec![ours(), calls(RUN, &["b1", "m1"]), result(RUN, "b1", "out"), pending(RUN, "m1")],
            "calls m1",
        ),
        (
            "2 the last ones",
            FIRST,
            vec![
                ours(),
                calls(RUN, &["b1"]),
                result(RUN, "b1", "o"),
                calls(RUN, &["m1"]),
                pending(RUN, "m1"),
            ],
            "calls m1",
        ),
        (
            "2 not before all of them are written",
            FIRST,
            vec![ours(), calls(RUN, &["m1", "m2"]), pending(RUN, "m1")],
            "SecondLook 5",
        ),
        (
            "2 not while it is resumed: results would be refused",
            RESTARTED,
            vec![ours(), calls(RUN, &["m1"]), pending(RUN, "m1"), system()],
            "Resuming 2",
        ),
        (
            "2 once that is over",
            RESTARTED,
            vec![ours(), calls(RUN, &["m1"]), pending(RUN, "m1"), system(), said(RESUMED, "x")],
            "calls m1",
        ),
        (
            "2 with arguments that are cut",
            FIRST,
            vec![ours(), assistant(RUN, "toolUse", &large), pending(RUN, "m1")],
            "cut",
        ),
    ]);
}
