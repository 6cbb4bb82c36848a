//! The thread that renews leases, against a backend that takes them away or falls silent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use mission_control_runtime::convex::ConvexEndpoint;
use mission_control_runtime::demo::pool::{Enqueue, PoolAgent, PoolBackend, PoolFault, PoolPolicy};
use mission_control_runtime::http::server::Server;
use mission_control_runtime::model::{BaseUrl, ClaimedJob, WorkerId};
use mission_control_runtime::pool::lease::{FenceReason, LeaseTimes};
use mission_control_runtime::pool::*;
use mission_control_runtime::redact::Redactor;
use mission_control_runtime::wire::{Roots, Stop};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_mins(2);

struct Bench {
    backend: PoolBackend,
    client: PoolClient,
    server: Option<Server>,
    worker: WorkerId,
    job: ClaimedJob,
    claimed: ClaimTime,
}

/// Frequent renewals. A lost answer fences nothing before `silence_max`.
fn times(silence_max: Duration) -> LeaseTimes {
    LeaseTimes { renewal: Duration::from_millis(50), silence_max }
}

impl Bench {
    /// A backend with a claimed job.
    fn new() -> Self {
        let backend = PoolBackend::new(PoolPolicy::default());
        backend.put_agent(PoolAgent {
            key: "a".to_owned(),
            enabled: true,
            telegram_token: None,
            bridge: None,
        });
        backend.enqueue(Enqueue::telegram("c1", "a", "7", "hi")).unwrap();
        let server = backend.serve("127.0.0.1:0").unwrap();
        let base = BaseUrl::parse(&format!("http://{}", server.local_addr())).unwrap();
        let endpoint = ConvexEndpoint::new(base, &Roots::load(None).unwrap(), Arc::new(Redactor::default()));
        let client = PoolClient::new(Arc::new(endpoint.client(&Stop::new())), "agentFactory", PATIENCE);
        let (worker, claimed) = (WorkerId::new("w1"), ClaimTime::now());
        let job = client.ask(&Claim { worker_id: &worker, conversation_id: None }).unwrap().expect("a job");
        Self { backend, client, server: Some(server), worker, job, claimed }
    }

    /// Starts the watch. The channel gets the reason of the fence.
    fn watch(&self, silence_max: Duration) -> (LeaseWatch, Receiver<FenceReason>) {
        let (tell, fenced) = bounded(1);
        let lease = HeldLease {
            worker_id: &self.worker,
            message_id: &self.job.message_id,
            lease_id: &self.job.lease_id,
        };
        let watch =
            LeaseWatch::start(self.client.clone(), lease, self.claimed, times(silence_max), move |reason| {
                // The test may have ended.
                let _ = tell.send(reason);
            });
        (watch.unwrap(), fenced)
    }

    fn renewals(&self) -> usize {
        self.backend.calls_of("workerHeartbeat").len()
    }

    fn wait_for_renewals(&self, count: usize) {
        let until = Instant::now() + PATIENCE;
        while self.renewals() < count {
            assert!(Instant::now() < until, "no renewal came");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_lease_that_is_taken_away_fences_the_job() {
    let bench = Bench::new();
    let (watch, fenced) = bench.watch(PATIENCE);
    bench.wait_for_renewals(2);
    assert_eq!(watch.fence(), None);
    assert!(bench.backend.lose_lease(bench.job.message_id.as_str()));
    assert_eq!(fenced.recv_timeout(PATIENCE), Ok(FenceReason::Lost));
    assert_eq!(watch.fence(), Some(FenceReason::Lost));
}

#[test]
fn a_silent_queue_fences_the_job() {
    let mut bench = Bench::new();
    let (watch, fenced) = bench.watch(Duration::from_secs(1));
    let server = bench.server.take().expect("a server");
    server.stop(PATIENCE);
    drop(server);
    assert_eq!(fenced.recv_timeout(PATIENCE), Ok(FenceReason::Unconfirmed));
    assert_eq!(watch.fence(), Some(FenceReason::Unconfirmed));
}

#[test]
fn single_lost_answers_fence_nothing() {
    let bench = Bench::new();
    for fault in [PoolFault::LoseAnswer, PoolFault::Cut] {
        bench.backend.plan("workerHeartbeat", fault);
    }
    let (watch, fenced) = bench.watch(PATIENCE);
    bench.wait_for_renewals(3);
    assert_eq!(watch.fence(), None);
    assert!(fenced.try_recv().is_err());
}

#[test]
fn a_watch_that_is_dropped_renews_no_more_and_fences_nothing() {
    let bench = Bench::new();
    let (watch, fenced) = bench.watch(PATIENCE);
    bench.wait_for_renewals(1);
    drop(watch);
    // The channel closes when the thread has ended.
    assert!(fenced.recv_timeout(PATIENCE).is_err_and(|why| !why.is_timeout()));
    let renewals = bench.renewals();
    bench.backend.lose_lease(bench.job.message_id.as_str());
    assert_eq!(bench.renewals(), renewals);
}
