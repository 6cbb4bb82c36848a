//! §11.4 to §11.6: the status of a run, and a gateway that crashes and restarts.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use mission_control_runtime::demo::gateway::{Marks, Prompt, Release, Thought};
use serde_json::{Value, json};

use super::super::*;

/// Its agents work for as long as the text says `long`, but only the first time.
fn slow(prompt: &Prompt) -> Thought {
    let resumed = prompt.text.contains("[System]");
    let text = format!(
        "{} tools, {} instructions: {}",
        prompt.tools.len(),
        prompt.instructions.len(),
        prompt.as_read()
    );
    let thought = Thought::say(text);
    if prompt.text.contains("long") && !resumed { thought.after(GUARD) } else { thought }
}

fn allowing(release: Release) -> Options {
    let tools_allowed = ["sessions_list", "sessions_history"].map(str::to_owned).to_vec();
    Options { release, tools_allowed, resume_after: Duration::from_millis(100), ..options() }
}

fn invoke(target: &Target, tool: &str, args: &Value) -> Answer {
    let body = json!({"tool": tool, "args": args, "sessionKey": "agent:engineer:x"}).to_string();
    target.send("/tools/invoke", &[target.bearer()], &body).unwrap()
}

fn status(target: &Target, session: &str) -> Value {
    let answer = invoke(target, "sessions_list", &json!({})).json();
    let rows = answer["result"]["details"]["sessions"].as_array().unwrap().clone();
    rows.into_iter().find(|row| row["key"] == session).map_or(Value::Null, |row| row["status"].clone())
}

/// The gateway crashes, and another one replaces it on another port.
fn restart(target: &Target) -> Target {
    let ours = target.ours.as_ref().unwrap();
    let gateway = ours.gateway.restarted();
    ours.server.stop(Duration::ZERO);
    let doors = gateway.clone();
    let limits = ServerLimits::default().with_body_limit(PATH, BODY_BYTES);
    let server =
        Server::bind_refusing("127.0.0.1:0", limits, ScriptedGateway::refuse, move |r| doors.answer(&r))
            .unwrap();
    let url = format!("http://{}", server.local_addr());
    Target { url, token: TOKEN.to_owned(), client: client(), ours: Some(Ours { gateway, server }) }
}

fn roles_and_words(target: &Target, session: &str) -> Vec<(String, String)> {
    let history = target.history(session, "").json();
    let items = history["items"].as_array().cloned().unwrap_or_default();
    let text = |item: &Value| {
        item["content"]
            .as_str()
            .or_else(|| item["content"][0]["text"].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    items.iter().map(|item| (item["role"].as_str().unwrap().to_owned(), text(item))).collect()
}

/// §11.4.
#[test]
fn the_new_release_reports_the_status_of_a_run() {
    let target = Target::ours(allowing(Release::V2026_9_6), Directives);
    for (text, word) in [("SAY hi", "done"), ("EMPTY", "done"), ("FAIL 400 bad", "failed")] {
        let session = fresh("stands");
        target.turn(&session, text, json!({}));
        assert_eq!(status(&target, &session), word, "{text}");
    }
    let session = fresh("stands");
    let headers = [target.bearer(), ("x-openclaw-session-key", session.clone())];
    let response =
        target.start(PATH, &headers, &engineers("DELAY 60000 SAY x", json!({"stream": true})).to_string());
    until("the run", || status(&target, &session) == "running");
    drop(response);
    until("its end (§11.6)", || status(&target, &session) == "killed");

    let session = fresh("tool");
    target.turn(&session, format!("SAY ok\n{}", "x".repeat(5_000)), json!({}));
    let shown = invoke(
        &target,
        "sessions_history",
        &json!({"sessionKey": session, "limit": 9, "includeTools": true}),
    );
    let messages = shown.json()["result"]["details"]["messages"].clone();
    assert_eq!((messages.as_array().unwrap().len(), &messages[0]["contentTruncated"]), (2, &json!(true)));
    assert!(messages[1]["__openclaw"]["runId"].is_string());

    let old = Target::ours(allowing(Release::V2026_2_19), Directives);
    old.turn("agent:qa:x", "SAY hi", json!({}));
    assert_eq!(status(&old, "agent:qa:x"), Value::Null);
    let shown = invoke(&old, "sessions_history", &json!({"sessionKey": "agent:qa:x"})).json();
    let messages = &shown["result"]["details"]["messages"];
    assert_eq!((&messages[1]["stopReason"], &messages[1]["__openclaw"]), (&json!("stop"), &Value::Null));
}

/// §11.5: runs are resumed one after another, without tools and instructions, and without a response.
#[test]
fn resumes_interrupted_runs() {
    let target = Target::ours(allowing(Release::V2026_9_6), slow);
    let (idle, first, second) = (fresh("idle"), fresh("a"), fresh("b"));
    target.turn(&idle, "hello", json!({}));
    let more = json!({"stream": true, "instructions": "Be short.", "tools": [tool("a")]});
    thread::scope(|scope| {
        for (session, text) in [(&first, "[n-1 try 1] long"), (&second, "[n-2 try 1] long")] {
            let (target, more) = (&target, more.clone());
            scope.spawn(move || {
                let answer = target.turn(session, text, more);
                assert!(!answer.body.contains("response.completed") && !answer.whole, "{}", answer.body);
            });
        }
        until("both", || {
            target.gateway().observations().marks("n-1").runs
                + target.gateway().observations().marks("n-2").runs
                == 2
        });
        let next = restart(&target);
        assert_eq!(roles_and_words(&next, &first).len(), 1, "nothing of what was said");
        assert_eq!(status(&next, &first), "running", "until it is resumed");
        until("the second", || status(&next, &second) == "done");
        for (session, text) in [(&first, "[n-1 try 1] long"), (&second, "[n-2 try 1] long")] {
            let items = roles_and_words(&next, session);
            assert_eq!(items.len(), 3, "{items:?}");
            assert_eq!(items[0], ("user".to_owned(), text.to_owned()));
            assert!(
                items[1].1.starts_with("[System] Your previous turn was interrupted by a gateway restart")
            );
            assert!(
                items[2].1.starts_with(&format!("0 tools, 0 instructions: {text}\n\n[System]")),
                "{items:?}"
            );
            let raw = next.history(session, "").json()["items"].clone();
            let key = raw[1]["idempotencyKey"].as_str().unwrap().to_owned();
            assert_eq!(
                Some(key.as_str()),
                raw[2]["__openclaw"]["runId"].as_str().map(|run| format!("{run}:user")).as_deref()
            );
        }
        assert_eq!(roles_and_words(&next, &idle).len(), 2);
        assert_eq!(
            next.gateway().observations().marks("n-1"),
            Marks { posts: 1, runs: 2, answers: 1, resumptions: 1 }
        );
        assert!(next.get("/startupz", &[]).json()["uptimeMs"].as_u64().unwrap() < 60_000);
    });
}

/// §11.5: a model call that ends after the crash is paid again, and only the answer in the history counts.
#[test]
fn an_answer_after_the_crash_does_not_count() {
    let (begun, begins) = channel();
    let (ends, end) = channel::<()>();
    let (begun, end) = (Mutex::new(begun), Mutex::new(end));
    let target = Target::ours(allowing(Release::V2026_9_6), move |prompt: &Prompt| {
        if !prompt.text.contains("[System]") {
            begun.lock().unwrap().send(()).unwrap();
            end.lock().unwrap().recv().unwrap();
        }
        Thought::say("done")
    });
    let session = fresh("late");
    thread::scope(|scope| {
        scope.spawn(|| {
            let answer = target.turn(&session, "[n-1 try 1] work", json!({"stream": true}));
            assert!(!answer.body.contains("response.completed"), "{}", answer.body);
        });
        begins.recv().unwrap();
        let gateway = target.gateway().restarted();
        ends.send(()).unwrap();
        until("the resumed turn", || gateway.observations().marks("n-1").runs == 2);
        until("its answer", || gateway.observations().marks("n-1").answers > 0);
    });
    assert_eq!(
        target.gateway().observations().marks("n-1"),
        Marks { posts: 1, runs: 2, answers: 1, resumptions: 1 }
    );
}

/// §11.5: the result of sending the same input again.
#[test]
fn an_early_request_replaces_the_recovery_and_a_late_one_fails() {
    let held = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&held);
    let target = Target::ours(allowing(Release::V2026_9_6), move |prompt: &Prompt| {
        let resumed = prompt.text.contains("[System]");
        seen.fetch_add(usize::from(resumed), Ordering::SeqCst);
        if resumed { Thought::say("resumed").after(Duration::from_millis(400)) } else { slow(prompt) }
    });
    let (early, late) = (fresh("z-early"), fresh("late"));
    thread::scope(|scope| {
        for session in [&early, &late] {
            let target = &target;
            scope.spawn(move || target.events_or_less(session, "[n-1 try 1] long"));
        }
        until("both", || target.gateway().observations().marks("n-1").runs == 2);
        let next = restart(&target);
        let answer = next.turn(&early, "[n-1 try 2] now", json!({"tools": [tool("a")]})).text();
        assert!(
            answer.starts_with("1 tools") && answer.contains("[n-1 try 1] long\n\n[n-1 try 2] now"),
            "{answer}"
        );
        assert_eq!(roles_and_words(&next, &early).len(), 2, "the old text leaves the history");
        until("the recovery", || held.load(Ordering::SeqCst) == 1);
        assert_eq!(next.turn(&late, "[n-1 try 2] now", json!({})).failure(), internal_error(500));
        assert_eq!(roles_and_words(&next, &late).len(), 2, "nothing runs, nothing is stored");
        until("its end", || status(&next, &late) == "done");
        let after = next.turn(&late, "[n-1 try 2] now", json!({})).text();
        assert!(after.contains("now"), "a second turn");
        assert_eq!(held.load(Ordering::SeqCst), 1, "the early one was not resumed");
    });
}

/// §11.5, §11.6: interrupted tool work stays, and only what the agent had not received yet is missing.
#[test]
fn an_interrupted_gateway_tool_leaves_its_call_without_a_result() {
    let target =
        Target::ours(allowing(Release::V2026_9_6), |prompt: &Prompt| match prompt.outputs().next() {
            Some((_, "out")) => Thought::work("exec", GUARD, "never"),
            Some((_, output)) => Thought::say(output),
            None if prompt.text.contains("work") && !prompt.text.contains("[System]") => {
                Thought::work("exec", Duration::ZERO, "out")
            }
            None => Thought::say(prompt.as_read()),
        });
    let roles = |target: &Target, session: &str| {
        let items = roles_and_words(target, session).into_iter();
        items.map(|(role, _)| role).collect::<Vec<_>>().join(" ")
    };
    let cut_off = "user assistant toolResult assistant";
    let session = fresh("hung-up");
    let headers = [target.bearer(), ("x-openclaw-session-key", session.clone())];
    let response = target.start(PATH, &headers, &engineers("work", json!({"stream": true})).to_string());
    until("the second call", || roles(&target, &session) == cut_off);
    drop(response);
    until("the end", || status(&target, &session) == "killed");
    assert_eq!(target.turn(&session, "now", json!({})).text(), "now", "nothing was taken back");
    assert_eq!(roles(&target, &session), format!("{cut_off} user assistant"));

    let session = fresh("killed");
    thread::scope(|scope| {
        scope.spawn(|| target.events_or_less(&session, "work"));
        until("the second call", || roles(&target, &session) == cut_off);
        let next = restart(&target);
        until("the recovery", || status(&next, &session) == "done");
        assert_eq!(roles(&next, &session), format!("{cut_off} user assistant"));
    });
}

/// §11.5: the old release never resumes a run.
#[test]
fn the_old_release_resumes_nothing() {
    let target = Target::ours(allowing(Release::V2026_2_19), slow);
    thread::scope(|scope| {
        scope.spawn(|| target.events_or_less("agent:qa:x", "[n-1 try 1] long"));
        until("it", || target.gateway().observations().marks("n-1").runs == 1);
        let next = restart(&target);
        // Proves over time that the turn does not run again.
        thread::sleep(Duration::from_millis(400));
        assert_eq!(next.gateway().observations().marks("n-1").runs, 1);
    });
}

impl Target {
    /// A turn that may return nothing.
    fn events_or_less(&self, session: &str, text: &str) {
        let _ = self.try_turn(session, text, json!({"stream": true}));
    }
}
