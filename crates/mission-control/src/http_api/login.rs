//! The login of the page: a cookie and a proof in place of the admin key.

use serde_json::{Value, json};

use super::{HttpApi, KeyTrial, TOO_MANY, attempts};
use mcr_http::message::{Reply, Request};

/// The name of the cookie that replaces the admin key in a browser, without the port: browsers send a cookie to all ports.
const COOKIE: &str = "mission-control-";

/// The header with the proof of the page. Other servers on this host may get the cookie, but not the proof.
const PROOF: &str = "X-Mission-Control";

impl HttpApi {
    pub(super) fn log_in(&self, request: &Request) -> Reply {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        match self.try_key(request, body["key"].as_str().unwrap_or_default()) {
            KeyTrial::Right => {}
            KeyTrial::Wrong => {
                return Reply::error(
                    401,
                    "This is not the admin key; it was printed when the server started",
                )
                .no_store();
            }
            KeyTrial::TooMany => {
                return Reply::error(429, TOO_MANY)
                    .with_header("Retry-After", attempts::RETRY_AFTER)
                    .no_store();
            }
        }
        let login = self.logins.add();
        let secure = if self.exposure.is_https(request) { "; Secure" } else { "" };
        let cookie =
            format!("{}={}; HttpOnly; SameSite=Strict; Path=/{secure}", cookie_name(request), login.cookie);
        Reply::json_of(&json!({"proof": login.proof})).with_header("Set-Cookie", &cookie).no_store()
    }

    pub(super) fn log_out(&self, request: &Request) -> Reply {
        if let Some((cookie, proof)) = shown(request) {
            self.logins.remove(cookie, proof);
        }
        let name = cookie_name(request);
        let cookie = format!("{name}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
        Reply::empty(204).with_header("Set-Cookie", &cookie).no_store()
    }
}

/// The name of the cookie, with the port in the browser's address. A tunnel may make it differ from the server's port.
fn cookie_name(request: &Request) -> String {
    let host = request.header("Host").unwrap_or_default();
    let port = host.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    format!("{COOKIE}{}", port.unwrap_or(80))
}

pub(super) fn cookie(request: &Request) -> Option<&str> {
    let ours = cookie_name(request);
    let pairs = request.headers_named("Cookie").flat_map(|header| header.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == ours)
        .map(|(_, value)| value)
}

/// The parts of a login that a client gets.
pub(super) fn shown(request: &Request) -> Option<(&str, &str)> {
    Some((cookie(request)?, request.header(PROOF)?))
}
