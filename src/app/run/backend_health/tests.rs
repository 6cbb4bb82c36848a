//! The health of the backend after answers and failures of every kind.

use super::*;
use mcr_clients::convex::FunctionKind;

const OURS: &str = "service/actions:listAgents";
const AN_AGENTS: &str = "service/actions:getTaskForAgentTool";

fn backend() -> Backend {
    backend_at(TestClock::default())
}

fn backend_at(clock: TestClock) -> Backend {
    let functions = catalog::ALL.iter().map(|function| function.path);
    Backend::new(Arc::new(Metrics::new(functions)), Arc::default(), Box::new(clock))
}

/// The second and the answer of each call.
type Timed = &'static [(i64, Result<(), CallReason>)];

/// A clock that only moves when set.
#[derive(Clone, Default)]
struct TestClock(Arc<AtomicI64>);

impl Clock for TestClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

/// Only the backend's own statement about the token counts, not a hidden reason, a proxy or an outage.
#[test]
fn a_token_is_hopeless_after_ten_minutes_of_readable_refusals_alone() {
    let rows: &[(Timed, bool)] = &[
        (&[(0, Err(CallReason::TokenRefused)), (600, Err(CallReason::TokenRefused))], true),
        (&[(0, Err(CallReason::TokenRefused)), (599, Err(CallReason::TokenRefused))], false),
        (&[(0, Err(CallReason::Unknown)), (900, Err(CallReason::Unknown))], false),
        (&[(0, Err(CallReason::Unauthorised)), (900, Err(CallReason::Unauthorised))], false),
        (&[(0, Ok(())), (1, Err(CallReason::TokenRefused)), (900, Err(CallReason::TokenRefused))], false),
        (
            &[
                (0, Err(CallReason::TokenRefused)),
                (10, Err(CallReason::Unreachable)),
                (605, Err(CallReason::TokenRefused)),
            ],
            false,
        ),
        (
            &[
                (0, Err(CallReason::TokenRefused)),
                (599, Err(CallReason::Stopped)),
                (600, Err(CallReason::TokenRefused)),
            ],
            true,
        ),
    ];
    for (row, (calls, hopeless)) in rows.iter().enumerate() {
        let clock = TestClock::default();
        let backend = backend_at(clock.clone());
        for (second, answer) in *calls {
            clock.0.store(second * 1_000, Ordering::SeqCst);
            note_call(&backend, OURS, *answer);
        }
        assert_eq!(backend.hopeless().is_some(), *hopeless, "row {row}");
    }
}

fn note_call(backend: &Backend, path: &str, answer: Result<(), CallReason>) {
    let args = RawValue::from_string("{}".to_owned()).unwrap();
    let call =
        Call { kind: FunctionKind::Action, path, args: &args, deadline: Duration::ZERO, may_repeat: true };
    let answer = answer.map(|()| args.clone()).map_err(|why| {
        let class = if why == CallReason::Unreachable { CallClass::Transient } else { CallClass::Refused };
        CallError::new(class, why, "", why.explain())
    });
    backend.note(&call, answer.as_deref(), Duration::from_millis(1));
}

type Calls = Vec<(&'static str, Result<(), CallReason>)>;

/// Sequences of calls, and the health they lead to: reachable, accepted, whether the token is refused.
#[test]
fn calls_determine_the_health_of_the_backend() {
    let ok = |path| (path, Ok(()));
    let no = |path, why| (path, Err(why));
    let rows: Vec<(Calls, Option<bool>, Option<bool>, bool)> = vec![
        (vec![], None, None, false),
        (vec![ok(OURS)], Some(true), Some(true), false),
        (vec![no(OURS, CallReason::Unreachable)], Some(false), None, false),
        (vec![no(OURS, CallReason::TokenRefused)], Some(true), Some(false), true),
        (vec![no(OURS, CallReason::Unknown)], Some(true), Some(false), false),
        (vec![no(OURS, CallReason::Stopped)], None, None, false),
        // After a success, one failure says little.
        (vec![ok(OURS), no(OURS, CallReason::Unreachable)], Some(true), Some(true), false),
        (
            vec![ok(OURS), no(OURS, CallReason::Unknown), no(OURS, CallReason::Unknown)],
            Some(true),
            Some(true),
            false,
        ),
        ([vec![ok(OURS)], vec![no(OURS, CallReason::Unknown); 3]].concat(), Some(true), Some(false), false),
        ([vec![ok(OURS)], vec![no(OURS, CallReason::TimedOut); 3]].concat(), Some(false), None, false),
        // A withdrawn token is reported at once.
        (vec![ok(OURS), no(OURS, CallReason::TokenRefused)], Some(true), Some(false), true),
        // Failed calls of agents do not count.
        (
            [vec![ok(OURS)], vec![no(AN_AGENTS, CallReason::NotFound); 9]].concat(),
            Some(true),
            Some(true),
            false,
        ),
        // Any success ends it.
        (
            [vec![ok(OURS)], vec![no(OURS, CallReason::Unknown); 5], vec![ok(AN_AGENTS)]].concat(),
            Some(true),
            Some(true),
            false,
        ),
        (
            [vec![no(OURS, CallReason::Unreachable); 5], vec![ok(OURS)]].concat(),
            Some(true),
            Some(true),
            false,
        ),
    ];
    for (number, (calls, reachable, accepted, token)) in rows.into_iter().enumerate() {
        let backend = backend();
        let many = calls.len();
        for (path, answer) in calls {
            note_call(&backend, path, answer);
        }
        let health = backend.health(None);
        assert_eq!((health.reachable, health.accepted), (reachable, accepted), "row {number}");
        assert_eq!(health.token_refused, token, "row {number}");
        let counted: u64 = backend.metrics.backend.counts().map(|(.., count)| count).sum();
        assert_eq!(counted, many as u64, "row {number}");
    }
}

#[test]
fn each_waiting_thread_learns_once_that_the_backend_is_back() {
    let backend = backend();
    let threads = [backend.on_return(), backend.on_return()];
    note_call(&backend, OURS, Ok(()));
    assert!(threads.iter().all(Receiver::is_empty), "the first success is no return");
    for _ in 0..2 {
        note_call(&backend, OURS, Err(CallReason::Unreachable));
        note_call(&backend, OURS, Ok(()));
    }
    note_call(&backend, OURS, Ok(()));
    for thread in &threads {
        assert_eq!((thread.try_recv().is_ok(), thread.try_recv().is_ok()), (true, false));
    }
    note_call(&backend, OURS, Err(CallReason::NotFound));
    note_call(&backend, OURS, Ok(()));
    assert!(threads.iter().all(Receiver::is_empty), "it was not away");
}
