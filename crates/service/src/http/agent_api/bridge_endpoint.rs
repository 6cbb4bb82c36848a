//! Calls a function of the consumer's application for a skill (worker-pool B.13).

use super::answers::Refusal;
use super::{AgentApi, NAME, only};
use mcr_clients::bridge::BridgeClient;
use mcr_core::bridge::{BridgeAsk, BridgeResult, function_key, target};
use mcr_core::tools::table::CallSpec;
use mcr_http::message::{Reply, Request};
use mcr_model::BridgeSettings;

/// The endpoint, for log lines and errors.
pub const BRIDGE_CALL: CallSpec = CallSpec { name: "bridge", writes: true, check: "", fields: &[] };

/// The bridge of a process.
#[derive(Clone, Debug)]
pub struct Bridge {
    /// Makes the calls.
    pub client: BridgeClient,
    /// The settings of the environment.
    pub environment: BridgeSettings,
}

impl Bridge {
    /// Makes the call that this body asks for. `hydrated` has the settings of the current message, which precede those of
    /// the environment.
    pub fn call(&self, hydrated: Option<&BridgeSettings>, body: &str) -> BridgeResult {
        let ask: BridgeAsk<'_> = match serde_json::from_str(body) {
            Ok(ask) => ask,
            Err(why) => return BridgeResult::failed("", 400, format!("The body is not understood: {why}")),
        };
        let key = match function_key(&ask.function_key) {
            Ok(key) => key,
            Err(why) => return BridgeResult::failed("", 400, why),
        };
        let failed = |why: &str| BridgeResult::failed(key, 400, why);
        let args = ask.args.map_or("{}", serde_json::value::RawValue::get);
        if !args.starts_with('{') {
            return failed("args must be an object");
        }
        let is_token = |token: &str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        if ask.user_token.as_deref().is_some_and(|token| !is_token(token)) {
            return failed("userToken cannot be sent in a header");
        }
        let args = match serde_json::value::RawValue::from_string(args.to_owned()) {
            Ok(args) => args,
            Err(why) => return failed(&format!("args are not understood: {why}")),
        };
        match target(hydrated, &self.environment) {
            Ok(target) => self.client.call(&target, key, &args, ask.user_token.as_deref()),
            Err(why) => failed(&why),
        }
    }
}

impl AgentApi {
    /// Makes the call. The status of the response is that of the result; a failure that came with a success is a 502.
    pub(super) fn call_bridge(&self, body: &str, request: &Request) -> Result<Reply, Refusal> {
        if only(request, NAME)?.is_some() {
            let words = "The bridge takes no Idempotency-Key: pass a key in args, if the function knows one";
            return Err(Refusal::new(400, words));
        }
        let mut result = self.setup.bridge.call(None, body);
        result.error = result.error.map(|error| self.setup.redactor.clean(&error));
        let status = match result.status {
            status @ 400..=599 => status,
            _ if result.success => 200,
            _ => 502,
        };
        Ok(Reply::json_of(&result).with_status(status).no_store())
    }
}
