//! The backend against the rows of worker-pool B.

mod queue;
mod surface;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};

use super::{Enqueue, FunctionKind, PoolAgent, PoolBackend, PoolPolicy, names};
use mcr_model::clock::{Clock, Millis};

const START: i64 = 1_700_000_000_000;

/// A clock that a test sets.
#[derive(Default)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

struct Bench {
    clock: Arc<SetClock>,
    pool: PoolBackend,
}

impl Bench {
    /// A backend with the agents `a` and `b`.
    fn new() -> Self {
        let clock = Arc::new(SetClock(AtomicI64::new(START)));
        let pool = PoolBackend::with_clock(PoolPolicy::default(), clock.clone());
        for key in ["a", "b"] {
            let telegram_token = (key == "a").then(|| "1:token".to_owned());
            pool.put_agent(PoolAgent { key: key.to_owned(), enabled: true, telegram_token, bridge: None });
        }
        Self { clock, pool }
    }

    fn pass(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }

    fn enqueue(&self, conversation: &str, agent: &str) -> String {
        self.pool.enqueue(Enqueue::telegram(conversation, agent, "7", "hi")).expect("enqueued")
    }

    fn try_call(&self, name: &str, args: &Value) -> Result<Value, String> {
        let (_, kind) = names().find(|(known, _)| *known == name).expect("a function");
        let args = args.as_object().expect("an object");
        self.pool.call(kind, &format!("agentFactory:{name}"), args)
    }

    fn call(&self, name: &str, args: &Value) -> Value {
        self.try_call(name, args).expect("a value")
    }

    fn claim(&self, worker: &str) -> Value {
        self.call("workerClaim", &json!({"workerId": worker}))
    }

    /// Claims, and returns the arguments that name the lease.
    fn lease(&self, worker: &str) -> Value {
        let job = self.claim(worker);
        json!({"workerId": worker, "messageId": job["messageId"], "leaseId": job["leaseId"]})
    }

    fn should_stop(&self, worker: &str) -> bool {
        self.call("workerControlState", &json!({"workerId": worker}))["shouldStop"] == true
    }
}

fn with(mut args: Value, name: &str, value: Value) -> Value {
    args[name] = value;
    args
}

#[test]
fn a_query_is_no_mutation_and_another_module_has_no_functions() {
    let bench = Bench::new();
    let args = json!({"workerId": "w"});
    let args = args.as_object().expect("an object");
    let why = bench.pool.call(FunctionKind::Mutation, "agentFactory:workerControlState", args);
    assert!(why.is_err_and(|why| why.contains("defined as Query")));
    let why = bench.pool.call(FunctionKind::Query, "example:workerControlState", args);
    assert!(why.is_err_and(|why| why.contains("Could not find public function")));
}
