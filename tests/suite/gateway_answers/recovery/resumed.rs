//! Turns that the gateway resumes without their tools (openclaw-gateway §11.5, §11.8).

use mission_control_runtime::gateway::Recovered;
use mission_control_runtime::gateway::history::Status;

use serde_json::Value;

use super::items::{calls, empty, error, ours, pending, result, said, system, user};
use super::{FAILED, FIRST, RESTARTED, RESUMED, RUN, Scene, check, verdict};

/// spec §11.5: a resumed run has no tools of ours. Its answer to a turn that had some is no answer, once nothing runs any more.
#[test]
fn a_turn_that_was_resumed_without_its_tools_is_asked_again() {
    let with = |scene: Scene| Scene { tools: true, ..scene };
    let status = |status| with(Scene { status: Some(status), ..RESTARTED });
    let retried = with(Scene { earlier: true, ..FIRST });
    let resumed = || vec![ours(), system(), said(RESUMED, "yes")];
    let try_1 = || vec![user("[n-101 try 1] Notification"), system(), said(RESUMED, "yes")];
    check(&[
        ("the turn had none", RESTARTED, resumed(), "elsewhere yes"),
        ("answered", with(RESTARTED), resumed(), "tools missing yes"),
        ("not yet", with(RESTARTED), vec![ours(), system()], "Resuming 2"),
        ("its last item is there, and it has not ended", status(Status::Running), resumed(), "Resuming 2"),
        ("it has ended", status(Status::Done), resumed(), "tools missing yes"),
        (
            "it used the gateway's tools first",
            with(RESTARTED),
            vec![
                ours(),
                system(),
                calls(RESUMED, &["b1"]),
                result(RESUMED, "b1", "out"),
                said(RESUMED, "yes"),
            ],
            "tools missing yes",
        ),
        (
            "our own answer was there before",
            with(RESTARTED),
            vec![ours(), said(RUN, "own"), system(), said(RESUMED, "yes")],
            "answer own",
        ),
        (
            "calls for us, by a release that keeps the tools",
            with(RESTARTED),
            vec![ours(), system(), calls(RESUMED, &["m1"]), pending(RESUMED, "m1")],
            "elsewhere ",
        ),
        (
            "silence",
            with(RESTARTED),
            vec![ours(), system(), empty(RESUMED), empty(RESUMED)],
            "tools missing ",
        ),
        (
            "silence without tools",
            RESTARTED,
            vec![ours(), system(), empty(RESUMED), empty(RESUMED)],
            "silent",
        ),
        ("an error", with(RESTARTED), vec![ours(), system(), error(RESUMED)], "failed ProviderRejected"),
        // A second request of the turn was lost without a restart. It may still arrive, and would be a second run.
        ("a repeat may arrive", Scene { since: 1, ..retried }, try_1(), "WindingUp 1"),
        ("a repeat may be on its way", retried, try_1(), "SecondLook 5"),
        (
            "a repeat never arrived",
            Scene { looked: Some(5), since: 8, ..retried },
            try_1(),
            "tools missing yes",
        ),
        (
            "a repeat met the resumed run",
            with(Scene { earlier: true, ..FAILED }),
            try_1(),
            "tools missing yes",
        ),
        (
            "results that were sent twice",
            with(Scene { outputs: true, looked: Some(5), since: 8, ..FIRST }),
            vec![
                user("Tool:cf723c1f3: {}"),
                system(),
                said(RESUMED, "x"),
                user("Tool:cf723c1f3: {}"),
                said(RUN, "a"),
            ],
            "answer a",
        ),
    ]);
    let Recovered::ToolsMissing(reply) = verdict(with(RESTARTED), &resumed()) else { panic!("asked again") };
    assert_eq!(reply.usage.map(|usage| usage.output_tokens), Some(7), "what it used is charged");
}

/// The next request never arrived, so the answer of the resumed run is found a second time. Its usage counts once.
#[test]
fn what_a_resumed_run_has_used_is_counted_once() {
    for (tools, earlier_charged, counted) in
        [(true, false, Some(7)), (true, true, None), (false, false, Some(7)), (false, true, None)]
    {
        let scene = Scene { tools, earlier: true, earlier_charged, ..RESTARTED };
        let used = |inputs: [Value; 2]| match verdict(scene, &[&inputs[..], &[said(RESUMED, "yes")]].concat())
        {
            Recovered::ToolsMissing(reply) | Recovered::Elsewhere(reply) => {
                reply.usage.map(|usage| usage.output_tokens)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(
            used([user("[n-101 try 1] Notification"), system()]),
            counted,
            "{tools} {earlier_charged}"
        );
        assert_eq!(used([ours(), system()]), Some(7), "a run of the turn itself: {tools} {earlier_charged}");
    }
}
