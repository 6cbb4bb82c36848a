//! Worker-pool D.1–D.4.

use std::borrow::Cow;

use mission_control_runtime::heartbeat::session::{
    AgentKey, Naming, WakeTarget, event_queue, main_key, whom_to_wake,
};
use mission_control_runtime::model::SessionScope;
use proptest::prelude::*;

#[test]
fn keys_of_agents_are_read() {
    let rows = [
        ("agent:research:telegram:dm:42", Some(("research", "telegram:dm:42"))),
        ("agent:main:main", Some(("main", "main"))),
        ("AGENT:Ops:Cron:Job:Run:X", Some(("ops", "cron:job:run:x"))),
        ("agent::ops:cron:j:run:1", Some(("ops", "cron:j:run:1"))),
        ("  agent:ops:x  ", Some(("ops", "x"))),
        ("agent:ops:Signal:Group:AbC", Some(("ops", "signal:group:AbC"))),
        ("agent:ops:matrix:channel:!AbC:Host", Some(("ops", "matrix:channel:!AbC:Host"))),
        ("agent:ops:matrix:DM:AbC", Some(("ops", "matrix:dm:abc"))),
        ("agent:ops", None),
        ("agent:ops:", None),
        ("main", None),
        ("global", None),
        ("", None),
        ("cron:job:run:1", None),
    ];
    for (key, expected) in rows {
        let parsed = AgentKey::parse(key);
        let found = parsed.as_ref().map(|key| (key.agent.as_str(), key.rest.as_str()));
        assert_eq!(found, expected, "{key}");
    }
}

#[test]
fn main_keys_are_built() {
    let long = "a".repeat(70);
    let sixty_four = format!("agent:{}:main", "a".repeat(64));
    let rows = [
        ("ops", None, "agent:ops:main"),
        ("Ops", Some(" Primary "), "agent:ops:primary"),
        ("ops", Some("  "), "agent:ops:main"),
        ("my agent", None, "agent:my-agent:main"),
        ("--my  agent!--", None, "agent:my-agent:main"),
        ("_x", None, "agent:_x:main"),
        ("!!", None, "agent:main:main"),
        ("", None, "agent:main:main"),
        (long.as_str(), None, sixty_four.as_str()),
    ];
    for (agent, main, expected) in rows {
        assert_eq!(main_key(agent, main), expected, "{agent:?} {main:?}");
    }
}

/// D.2.
#[test]
fn runs_of_schedules_are_known() {
    let rows = [
        ("agent:research:cron:nightly-backup:run:abc-123", true),
        ("agent:main:cron:backup:run:abc123:subagent:worker", true),
        ("agent:ops:cron:job-1:run:xyz:thread:reply", true),
        ("agent:ops:cron:j:run:1:heartbeat", true),
        ("agent:ops:cron:job-1", false),
        ("agent:ops:cron:job-1:run", false),
        ("agent:ops:cron:job-1:run:", false),
        ("agent:ops:cron:a:b:run:x", false),
        ("agent:ops:telegram:cron:j:run:1", false),
        ("cron:job:run:1", false),
    ];
    for (key, expected) in rows {
        assert_eq!(AgentKey::parse(key).is_some_and(|key| key.is_cron_run()), expected, "{key}");
    }
}

const RESEARCH: &str = "agent:research:cron:nightly-backup:run:abc-123";
const BACKUP: &str = "agent:main:cron:backup:run:abc123";
const OPS: &str = "agent:ops:cron:job-1:run:xyz";

fn naming<'a>(main: Option<&'a str>, scope: Option<&str>) -> Naming<'a> {
    Naming {
        main,
        scope: scope.map_or_else(SessionScope::default, |scope| SessionScope::parse(scope).unwrap()),
    }
}

/// D.3: key, main key, scope, the queue.
#[test]
fn events_go_where_the_beat_looks() {
    let primary = Some("primary");
    let (global, per_sender) = (Some("global"), Some("per-sender"));
    let rows = [
        (RESEARCH, None, None, "agent:research:main"),
        (RESEARCH, primary, None, "agent:research:primary"),
        (RESEARCH, None, global, "global"),
        ("agent:research:telegram:dm:42", None, None, "agent:research:telegram:dm:42"),
        ("agent:main:cron:backup:run:abc", None, None, "agent:main:main"),
        (BACKUP, None, None, "agent:main:main"),
        (BACKUP, primary, None, "agent:main:primary"),
        (BACKUP, primary, per_sender, "agent:main:primary"),
        (BACKUP, None, per_sender, "agent:main:main"),
        ("agent:main:cron:backup:run:abc", primary, global, "global"),
        ("agent:main:cron:backup:run:abc:subagent:worker", primary, global, "global"),
        ("agent:main:cron:backup:run:abc123:subagent:worker", None, None, "agent:main:main"),
        (OPS, None, None, "agent:ops:main"),
        (OPS, primary, None, "agent:ops:primary"),
        (OPS, None, global, "global"),
        ("agent:ops:cron:job-1:run:xyz:thread:reply", None, None, "agent:ops:main"),
        ("AGENT:Ops:Cron:Job:Run:X", Some(" Primary "), None, "agent:ops:primary"),
        ("agent:my agent:cron:j:run:1", None, None, "agent:my-agent:main"),
    ];
    for (key, main, scope, expected) in rows {
        assert_eq!(event_queue(key, naming(main, scope)), expected, "{key} {main:?} {scope:?}");
    }
    for key in [
        "agent:ops:cron:job-1",
        "agent:main:cron:backup",
        "agent:main:main",
        "agent:main:discord:direct:user1",
        "main",
        "global",
        "  Odd Spelling ",
        "",
    ] {
        for main in [None, primary] {
            for scope in [None, per_sender, global] {
                assert!(matches!(event_queue(key, naming(main, scope)), Cow::Borrowed(same) if same == key));
            }
        }
    }
}

/// D.4: key, main key, scope, whom.
#[test]
fn a_wake_goes_to_the_run_that_drains_the_queue() {
    fn session(key: &str) -> WakeTarget<'_> {
        WakeTarget::Session(Cow::Borrowed(key))
    }
    let agent = |name: &str| WakeTarget::Agent(name.to_owned());
    let dm = "agent:research:telegram:dm:42";
    let rows = [
        (RESEARCH, None, None, session("agent:research:main")),
        (RESEARCH, Some("primary"), None, session("agent:research:primary")),
        (RESEARCH, None, Some("global"), agent("research")),
        (dm, None, None, session(dm)),
        ("agent:main:cron:backup:run:abc", None, None, session("agent:main:main")),
        (
            "agent:main:cron:backup:run:abc",
            Some("primary"),
            Some("per-sender"),
            session("agent:main:primary"),
        ),
        (OPS, None, Some("global"), agent("ops")),
        ("agent:main:cron:backup", None, None, session("agent:main:cron:backup")),
        ("agent:main:main", None, None, session("agent:main:main")),
        ("main", None, None, WakeTarget::Anybody),
        ("global", None, None, WakeTarget::Anybody),
    ];
    for (key, main, scope, expected) in rows {
        assert_eq!(whom_to_wake(key, naming(main, scope)), expected, "{key} {main:?} {scope:?}");
    }
}

proptest! {
    /// The invariant of D.4: the wake of a run drains the queue that its events go to.
    #[test]
    fn a_wake_drains_the_queue_of_the_event(
        agent in "[a-z0-9 _-]{1,20}", job in "[a-z0-9-]{1,9}", tail in "(:[a-z]{1,5}){0,3}",
        main in proptest::option::of("[A-Za-z ]{0,9}"), global in any::<bool>(),
    ) {
        let key = format!("agent:{agent}:cron:{job}:run:r{tail}");
        let scope = if global { SessionScope::Global } else { SessionScope::PerSender };
        let naming = Naming { main: main.as_deref(), scope };
        let queue = event_queue(&key, naming).into_owned();
        match whom_to_wake(&key, naming) {
            WakeTarget::Session(session) => prop_assert_eq!(session, queue),
            WakeTarget::Agent(_) => prop_assert_eq!(queue, "global"),
            WakeTarget::Anybody => prop_assert!(AgentKey::parse(&key).is_none()),
        }
    }

    #[test]
    fn no_text_is_too_odd_to_be_read(key in "\\PC{0,60}", main in "\\PC{0,10}") {
        let naming = Naming { main: Some(&main), scope: SessionScope::PerSender };
        let _ = (event_queue(&key, naming), whom_to_wake(&key, naming), main_key(&key, Some(&main)));
    }
}
