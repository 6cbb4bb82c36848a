//! The client of the bridge: calls a function of the consumer's application (worker-pool B.13).

use std::io::Read as _;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::wire::{self, Fault, Phases, Roots, Stop};
use mcr_core::bridge::{BridgeResult, BridgeTarget, pause_after};

/// The largest answer.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// The status for a connection that broke, and for one that was too slow.
const BROKEN: u16 = 502;
const TOO_SLOW: u16 = 504;

/// Makes calls of the bridge. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BridgeClient {
    roots: Roots,
    phases: Phases,
    stop: Stop,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BridgeBody<'a> {
    function_key: &'a str,
    args: &'a RawValue,
}

impl BridgeClient {
    /// The client. `stop` ends its calls.
    pub fn new(roots: &Roots, stop: &Stop) -> Self {
        let phases = Phases {
            connect: Duration::from_secs(10),
            send: Duration::from_secs(30),
            answer: Duration::from_secs(30),
            body: Duration::from_secs(30),
            idle: Duration::ZERO,
            idle_connections: 0,
        };
        Self { roots: roots.clone(), phases, stop: stop.clone() }
    }

    /// Calls the function, with up to three attempts.
    pub fn call(
        &self,
        target: &BridgeTarget,
        function_key: &str,
        args: &RawValue,
        user_token: Option<&str>,
    ) -> BridgeResult {
        let body = match serde_json::to_vec(&BridgeBody { function_key, args }) {
            Ok(body) => body,
            Err(why) => {
                return BridgeResult::failed(function_key, 400, format!("args cannot be sent: {why}"));
            }
        };
        let mut attempt = 1;
        loop {
            let result = match self.attempt(target, function_key, &body, user_token) {
                Ok(result) => result,
                // Not repeated: the function may have run.
                Err(broken) => return broken,
            };
            match pause_after(attempt, result.status) {
                Some(pause) if !self.stop.wait(pause) => attempt += 1,
                _ => return result,
            }
        }
    }

    /// The error is the result of a call whose answer did not arrive.
    fn attempt(
        &self,
        target: &BridgeTarget,
        function_key: &str,
        body: &[u8],
        user_token: Option<&str>,
    ) -> Result<BridgeResult, BridgeResult> {
        let agent = wire::agent(&target.base, &self.roots, &self.phases);
        let _registration = self.stop.register(&agent);
        let mut request = agent
            .post(&target.url)
            .header("Content-Type", "application/json")
            .header("X-Agent-Service-Id", &target.service_id)
            .header("X-Agent-Service-Key", target.service_key.expose())
            .header("X-Agent-App", &target.app_key);
        if let Some(token) = user_token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let broken = |fault: &Fault| {
            let status = if *fault == Fault::TooSlow { TOO_SLOW } else { BROKEN };
            BridgeResult::failed(function_key, status, format!("The application did not answer: {fault}"))
        };
        let response = request.send(body).map_err(|error| broken(&Fault::of(&error)))?;
        let status = response.status().as_u16();
        let mut answer = Vec::new();
        let mut reader = response.into_body().into_reader().take(ANSWER_BYTES_MAX + 1);
        reader.read_to_end(&mut answer).map_err(|error| broken(&Fault::of_io(&error)))?;
        if answer.len() as u64 > ANSWER_BYTES_MAX {
            let why = format!("The application's answer has more than {ANSWER_BYTES_MAX} bytes");
            return Err(BridgeResult::failed(function_key, BROKEN, why));
        }
        Ok(BridgeResult::of_answer(function_key, status, &answer))
    }
}
