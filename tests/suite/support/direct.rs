//! The backend without a way in between: calls go straight into the engine, are counted, and fail on request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use mission_control_runtime::convex::{Call, CallClass, CallError, CallReason, Convex, Ran};
use mission_control_runtime::local::{Caller, Engine, Kind};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// What happens to a call.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It does not arrive.
    Before(CallClass, CallReason),
    /// It is done, and its answer is lost.
    After(CallClass, CallReason),
    /// Nothing goes wrong with this one.
    Pass,
    /// The whole thing breaks down.
    Panic,
    /// Something else is answered.
    Instead(Value),
}

/// The engine as a waist.
#[derive(Clone)]
pub(crate) struct Direct(Arc<Inside>);

struct Inside {
    engine: Arc<Engine>,
    calls: Mutex<Vec<(String, Value)>>,
    faults: Mutex<Vec<(String, VecDeque<Fault>)>>,
}

impl Direct {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self(Arc::new(Inside { engine, calls: Mutex::default(), faults: Mutex::default() }))
    }

    /// The next calls of this function fail like this, one after another.
    pub(crate) fn fail(&self, function: &str, faults: impl IntoIterator<Item = Fault>) {
        self.0.faults.lock().unwrap().push((function.to_owned(), faults.into_iter().collect()));
    }

    /// The names of the calls so far, without `service/actions:`; they are forgotten.
    pub(crate) fn take_names(&self) -> Vec<String> {
        self.0.calls.lock().unwrap().drain(..).map(|(name, _)| name).collect()
    }

    /// The arguments of all calls of this function so far.
    pub(crate) fn args_of(&self, function: &str) -> Vec<Value> {
        let calls = self.0.calls.lock().unwrap();
        calls.iter().filter(|(name, _)| name == function).map(|(_, args)| args.clone()).collect()
    }

    fn fault(&self, function: &str) -> Option<Fault> {
        let mut faults = self.0.faults.lock().unwrap();
        let (_, due) = faults.iter_mut().find(|(name, due)| name == function && !due.is_empty())?;
        due.pop_front()
    }
}

impl Convex for Direct {
    fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError> {
        let function = call.path.rsplit(':').next().unwrap().to_owned();
        let args: Value = serde_json::from_str(call.args.get()).unwrap();
        self.0.calls.lock().unwrap().push((function.clone(), args.clone()));
        let run =
            || self.0.engine.call(Kind::Action, call.path, &args, Caller::Stranger, "0123456789abcdef").1;
        let answer = match self.fault(&function) {
            Some(Fault::Before(class, why)) => return Err(error(call, class, why)),
            Some(Fault::After(class, why)) => {
                run();
                return Err(error(call, class, why));
            }
            Some(Fault::Instead(value)) => json!({"status": "success", "value": value}),
            Some(Fault::Panic) => panic!("as ordered"),
            Some(Fault::Pass) | None => run(),
        };
        if answer["status"] == "success" {
            return Ok(serde_json::value::to_raw_value(&answer["value"]).unwrap());
        }
        let words = answer["errorMessage"].as_str().unwrap_or_default();
        let mut error = CallError::new(CallClass::Refused, CallReason::FunctionFailed, "", words);
        error.why = if words.lines().nth(1).is_none() {
            // A deployment that hides its reasons; an action may have done a part.
            error.ran = Ran::Maybe;
            CallReason::Unknown
        } else if words.contains("Forbidden") {
            CallReason::Forbidden
        } else if words.contains("Not found") {
            CallReason::NotFound
        } else {
            CallReason::Invalid
        };
        error.literal = words.lines().nth(1).map(|line| line.trim_start_matches("Uncaught Error: ").into());
        Err(error)
    }
}

fn error(call: &Call<'_>, class: CallClass, why: CallReason) -> CallError {
    CallError::new(class, why, "", &format!("{}: {}.", call.path, why.explain()))
}
