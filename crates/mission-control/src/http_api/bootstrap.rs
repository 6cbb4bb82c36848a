//! `POST /provision/bootstrap`: a new machine exchanges its one-time token for its environment.

use std::net::IpAddr;

use log::error;
use serde_json::Value;

use crate::engine::Engine;
use crate::provisioning::BootstrapRefusal;
use mcr_http::message::{Reply, Request};

/// The path.
pub(super) const PATH: &str = "/provision/bootstrap";

/// The pause before a machine whose address is not known yet asks again, in seconds.
const RETRY_AFTER: &str = "5";

/// Answers a machine at this address.
pub(super) fn answer(engine: &Engine, client: IpAddr, request: &Request) -> Reply {
    let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let exchanged = match &engine.provisioning {
        None => Err(BootstrapRefusal::Refused),
        Some(settings) => engine.bootstrap(body["token"].as_str().unwrap_or_default(), client, settings),
    };
    let reply = match exchanged {
        Ok(environment) => Reply::json_of(&environment),
        // One sentence for all reasons, so that a guess learns nothing.
        Err(BootstrapRefusal::Refused) => Reply::error(403, "This token is not valid here and now"),
        Err(BootstrapRefusal::NotYet) => {
            Reply::error(503, "The provider has not named this machine's address yet; ask again")
                .with_header("Retry-After", RETRY_AFTER)
        }
        Err(BootstrapRefusal::Fault(why)) => {
            error!(reason:% = why; "A machine could not get its environment");
            Reply::error(500, "The exchange failed and the token was not used; ask again")
                .with_header("Retry-After", RETRY_AFTER)
        }
    };
    reply.no_store()
}
