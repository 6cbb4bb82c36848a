//! `worker` killed, stopped and fenced in the middle of a job.

use mission_control_runtime::demo::pool::{PoolFault, PoolPolicy};
use serde_json::Value;

use super::bench::PoolBench;
use crate::support::wait::until;

fn bench() -> PoolBench {
    PoolBench::new(PoolPolicy::default())
}

fn until_running(bench: &PoolBench) {
    until("the turn", || bench.runs() == 1);
}

/// Worker-pool E.5, check 6: the answer of the turn is found in the session, and the lease goes on.
#[test]
fn a_killed_worker_continues_under_its_lease_without_asking_again() {
    let bench = bench();
    let state = tempfile::tempdir().unwrap();
    let job = bench.ask("c1", "SLOW 500 hello");
    let worker = bench.worker(state.path()).start();
    until_running(&bench);
    worker.kill();
    let _worker = bench.worker(state.path()).start();
    bench.until_done(&job);
    assert_eq!(bench.sent_and_appended("c1", "re: hello"), (1, 1));
    let row = bench.backend.message(&job).unwrap();
    assert_eq!((row.claims, row.attempts), (1, 0));
    let marks = bench.gateway().observations().marks(&format!("n-job-{job}"));
    assert!(marks.runs <= 1 + u64::from(marks.answers != marks.runs), "{marks:?}");
}

/// Worker-pool E.5, check 6: the process dies after the send and before the completion, and its lease ends.
#[test]
fn a_second_claim_after_the_send_only_completes() {
    let bench = bench();
    let state = tempfile::tempdir().unwrap();
    for _ in 0..200 {
        bench.backend.plan("workerComplete", PoolFault::Cut);
    }
    let job = bench.ask("c1", "hello");
    let mut worker = bench.worker(state.path()).start();
    worker.wait_for_log("Listening");
    until("the message", || bench.api.texts("c1").len() == 1);
    worker.kill();
    assert!(bench.backend.lose_lease(&job));
    assert!(bench.backend.calls_of("workerComplete").is_empty(), "the queue has not seen a completion");
    bench.backend.unplan("workerComplete");
    let _worker = bench.worker(state.path()).start();
    until("the end of the job", || bench.status(&job) == "done");
    assert_eq!(bench.sent_and_appended("c1", "re: hello"), (1, 1));
    assert_eq!((bench.runs(), bench.backend.message(&job).unwrap().claims), (1, 2));
}

/// Worker-pool E.5, check 2, and F 8: a lost lease ends the turn, and the next claim of the message answers it.
#[test]
fn a_lost_lease_ends_the_turn_and_nothing_is_sent_under_it() {
    let bench = bench();
    let state = tempfile::tempdir().unwrap();
    let job = bench.ask("c1", "SLOW 20000 hello");
    let worker = bench.worker(state.path()).with("HEARTBEAT_INTERVAL_MS", "500");
    let mut worker = worker.with("POLL_INTERVAL_MS", "60000").start();
    until_running(&bench);
    assert!(bench.backend.lose_lease(&job));
    worker.wait_for_log("Job fenced");
    until("the end of the turn", || bench.gateway().observations().in_flight() == 0);
    let calls = bench.backend.calls();
    let of = |function: &str| calls.iter().filter(|call| call.function == function).count();
    assert_eq!((of("workerComplete"), of("workerFail"), of("workerAppendConversationMessages")), (0, 0, 0));
    assert_eq!(bench.api.attempts(), 0);
    let refused = calls.iter().filter(|call| call.function == "workerHeartbeat");
    assert!(refused.clone().any(|call| call.result == Ok(Value::Bool(false))), "{:?}", refused.count());
}

/// Worker-pool E.5, check 8.
#[test]
fn a_stopped_worker_ends_its_job_first() {
    let bench = bench();
    let state = tempfile::tempdir().unwrap();
    let job = bench.ask("c1", "SLOW 800 hello");
    let worker = bench.worker(state.path()).start();
    until_running(&bench);
    worker.signal("TERM");
    let (code, log) = worker.end();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(bench.status(&job), "done");
    assert_eq!(bench.sent_and_appended("c1", "re: hello"), (1, 1));
}

/// Worker-pool E.5, check 8: the machine of a pool ends for good, so the job goes back to the queue.
#[test]
fn a_job_that_outlives_the_drain_of_a_pool_worker_is_reported_as_failed() {
    let bench = bench();
    bench.backend.register_worker("afw-1");
    let state = tempfile::tempdir().unwrap();
    let job = bench.ask("c1", "SLOW 20000 hello");
    let worker =
        bench.worker(state.path()).with("WORKER_ID", "afw-1").with("DRAIN_TIMEOUT_MS", "300").start();
    until_running(&bench);
    worker.signal("TERM");
    let (_, log) = worker.end();
    let row = bench.backend.message(&job).unwrap();
    assert!(row.last_error.as_deref().is_some_and(|why| why.starts_with("worker_stopped")), "{row:?} {log}");
    assert_eq!((bench.api.attempts(), row.attempts), (0, 1));
}

/// The gateway crashes during the turn: the job waits, and its answer is sent once.
#[test]
fn a_gateway_that_crashes_in_a_turn_delays_the_answer() {
    let bench = bench();
    let state = tempfile::tempdir().unwrap();
    let job = bench.ask("c1", "SLOW 300 hello");
    let _worker = bench.worker(state.path()).start();
    until_running(&bench);
    bench.restart_gateway();
    bench.until_done(&job);
    assert_eq!(bench.sent_and_appended("c1", "re: hello"), (1, 1));
    assert_eq!(bench.backend.message(&job).unwrap().attempts, 0);
}

/// Worker-pool E.5, check 6, on another machine: it has no record, and reads the notes at the queue.
#[test]
fn another_machine_does_not_send_what_was_sent() {
    let bench = bench();
    for _ in 0..200 {
        bench.backend.plan("workerComplete", PoolFault::Cut);
    }
    let job = bench.ask("c1", "hello");
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let worker = bench.worker(first.path()).start();
    let noted = |job: &str| {
        let metadata = bench.backend.message(job).unwrap().payload["metadata"].clone();
        metadata.as_object().is_some_and(|notes| {
            notes.iter().any(|(name, note)| name.starts_with("mcrSent-") && note == "1/1")
        })
    };
    until("the note of the send", || noted(&job));
    worker.kill();
    bench.backend.unplan("workerComplete");
    assert!(bench.backend.lose_lease(&job));
    let _worker = bench.worker(second.path()).start();
    bench.until_done(&job);
    assert_eq!(bench.sent_and_appended("c1", "re: hello"), (1, 1));
    assert_eq!((bench.runs(), bench.backend.message(&job).unwrap().claims), (1, 2));
}

/// Another worker on the same gateway finds the turn in the session, and asks again only if the turn has no answer.
#[test]
fn another_worker_on_the_gateway_looks_for_the_turn_first() {
    let bench = bench();
    for _ in 0..200 {
        bench.backend.plan("workerAttachMessageMetadata", PoolFault::Cut);
    }
    let job = bench.ask("c1", "hello");
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let worker = bench.worker(first.path()).start();
    let answers = || bench.gateway().observations().marks(&format!("n-job-{job}")).answers;
    until("the answer in the session", || answers() == 1);
    worker.kill();
    bench.backend.unplan("workerAttachMessageMetadata");
    assert!(bench.backend.lose_lease(&job));
    let mut worker = bench.worker(second.path()).start();
    worker.wait_for_log("The session has this question already");
    bench.until_done(&job);
    assert_eq!(bench.sent_and_appended("c1", "re: hello"), (1, 1));
    assert_eq!(bench.runs(), 1);
}

/// While the session cannot be read, another worker's turn may be in it: no model is asked. It is found as soon as it is shown.
#[test]
fn another_worker_waits_until_the_session_can_be_read() {
    let bench = bench();
    for _ in 0..200 {
        bench.backend.plan("workerAttachMessageMetadata", PoolFault::Cut);
    }
    let job = bench.ask("c1", "hello");
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let worker = bench.worker(first.path()).start();
    let answers = || bench.gateway().observations().marks(&format!("n-job-{job}")).answers;
    until("the answer in the session", || answers() == 1);
    worker.kill();
    bench.backend.unplan("workerAttachMessageMetadata");
    bench.gateway().faults().hide_history();
    assert!(bench.backend.lose_lease(&job));
    let mut worker = bench.worker(second.path()).start();
    worker.wait_for_log("No turn is sent before the session can be searched");
    assert_eq!((bench.runs(), bench.status(&job).as_str()), (1, "processing"));
    bench.gateway().faults().clear();
    worker.wait_for_log("The session has this question already");
    bench.until_done(&job);
    assert_eq!(bench.sent_and_appended("c1", "re: hello"), (1, 1));
    assert_eq!(bench.runs(), 1);
}

/// The gateway crashes in the turn of another worker and resumes it. An agent of a pool has no tools that the resumed turn could
/// lack, so its answer is taken, and no model is asked again.
#[test]
fn another_worker_takes_the_answer_of_a_resumed_turn() {
    let bench = bench();
    let job = bench.ask("c1", "HANG hello");
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let worker = bench.worker(first.path()).start();
    until_running(&bench);
    // The gateway dies first: it would end the turn of a client that hangs up.
    bench.crash_gateway();
    worker.kill();
    bench.start_gateway();
    until("the resumed turn", || bench.runs() == 2);
    assert!(bench.backend.lose_lease(&job));
    let mut worker = bench.worker(second.path()).start();
    worker.wait_for_log("The session has this question already");
    bench.until_done(&job);
    assert_eq!(bench.sent_and_appended("c1", "re: hello"), (1, 1));
    assert_eq!(bench.runs(), 2);
}

/// The last attempt of another worker counts: its first one has failed, and its second one was answered and paid for.
#[test]
fn another_worker_on_the_gateway_adopts_a_later_attempt() {
    let bench = bench();
    for _ in 0..200 {
        bench.backend.plan("workerAttachMessageMetadata", PoolFault::Cut);
    }
    let job = bench.ask("c1", "SECOND hello");
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let worker = bench.worker(first.path()).start();
    let answers = || bench.gateway().observations().marks(&format!("n-job-{job}")).answers;
    until("the answer in the session", || answers() == 1);
    let runs = bench.runs();
    worker.kill();
    bench.backend.unplan("workerAttachMessageMetadata");
    assert!(bench.backend.lose_lease(&job));
    let mut worker = bench.worker(second.path()).start();
    worker.wait_for_log("The session has this question already");
    bench.until_done(&job);
    assert_eq!(bench.sent_and_appended("c1", "re: hello"), (1, 1));
    assert_eq!((runs, bench.runs()), (2, 2));
}

/// `run` on a machine that the scheduler of a pool has made is the worker.
#[test]
fn run_with_a_worker_id_and_without_a_service_token_is_the_worker() {
    let bench = bench();
    bench.backend.register_worker("afw-1");
    let state = tempfile::tempdir().unwrap();
    let job = bench.ask("c1", "hello");
    let program = bench.program("run", state.path()).with("WORKER_ID", "afw-1");
    let _worker = program.start();
    bench.until_done(&job);
    let claims = bench.backend.calls_of("workerClaim");
    assert!(claims.iter().all(|call| call.args["workerId"] == "afw-1"), "{claims:?}");
}
