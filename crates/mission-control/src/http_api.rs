//! The platform's HTTP API, the page, and the authentication of requests.
//!
//! There are four kinds of callers. Runtimes and agents send the service token among the arguments. The page sends a cookie
//! and a proof, which it got for the admin key. Programs of people send the admin key itself (`Authorization: Convex KEY`,
//! like deploy keys), workers of a pool their token (`Authorization: Bearer TOKEN`). A foreign page in a browser on this machine is refused: its `Origin` is foreign, and a host name that
//! was rebound to this machine is not an accepted `Host`.

mod attempts;
mod bootstrap;
mod exposure;
mod login;
#[cfg(test)]
mod tests;
mod uploads;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::engine::{Caller, Engine};
use super::function::Kind;
use super::logins::{Logins, Streams, random_hex};
use super::pool::{STORAGE_PATH, UPLOAD_PATH, WEBHOOK_PATH};
use super::sync::{self, SyncServer, SyncTimes};
use mcr_http::hosts::{Hosts, Meant};
use mcr_http::message::{Method, Reply, Request, Sink};
use mcr_http::page::page;
use mcr_http::server::ServerLimits;
use mcr_model::BaseUrl;
use mcr_model::json;
use mcr_model::redact::without_credentials;
use mcr_model::secret::Secret;
use mcr_model::secret::same;

use attempts::Attempts;
pub use exposure::Exposure;
use login::{cookie, shown};

/// The page, one file.
const PAGE: &str = include_str!("page.html");

/// The page of all accounts.
const FLEET: &str = include_str!("fleet.html");

/// The page of the worker pool.
const POOL: &str = include_str!("pool.html");

/// The sentence for a client that has tried too many wrong keys or tokens.
const TOO_MANY: &str = "Too many wrong keys came from this address; wait a minute";

/// The sentence for a bearer token that is not the one of the workers.
const WRONG_WORKER: &str = "The bearer token is not the worker token of this server. Set WORKER_AUTH_TOKEN to the content of the \
    file `worker-token` in the server's data folder";

/// The sentence for a bearer token where none is valid.
const NO_WORKERS: &str = "This server has no worker token. Send the admin key as `Authorization: Convex KEY`";

/// The sentence for another scheme of the header.
const OTHER_SCHEME: &str = "The Authorization header cannot be used. People send `Authorization: Convex KEY` with the admin key, \
    workers `Authorization: Bearer TOKEN` with the worker token";

/// The result of an admin key that a client sent.
enum KeyTrial {
    Right,
    Wrong,
    /// The key was not looked at.
    TooMany,
}

/// The interval at which an idle event stream sends a keep-alive and checks whether the client is connected.
const QUIET: Duration = Duration::from_secs(1);

/// The time after which a browser reconnects an event stream.
const RETRY_MS: u32 = 1_000;

/// The limit of request bodies, as on the platform.
pub const BODY_BYTES: usize = 16 * 1024 * 1024 + 2_000;

/// The paths that take such bodies.
pub const API_PATHS: [&str; 3] = ["/api/action", "/api/mutation", "/api/query"];

/// The limit of uploaded files.
const UPLOAD_BYTES: usize = 128 * 1024 * 1024;

/// The header with the secret that Telegram got with the webhook.
const TELEGRAM_SECRET: &str = "X-Telegram-Bot-Api-Secret-Token";

/// The limits of a server for this interface.
pub fn with_limits(limits: ServerLimits) -> ServerLimits {
    let calls = API_PATHS.iter().fold(limits, |limits, path| limits.with_body_limit(path, BODY_BYTES));
    calls.with_body_limit(UPLOAD_PATH, UPLOAD_BYTES)
}

/// The address of the runtime's page, once it is known.
#[derive(Clone, Default)]
pub struct RuntimePage(Arc<Mutex<Option<BaseUrl>>>);

impl RuntimePage {
    /// Sets the address. Pages that are opened from now on link to it.
    pub fn set(&self, address: BaseUrl) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// The address as the value of an HTML attribute. It is empty until the address is known.
    fn attribute(&self) -> String {
        let address = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = address.as_ref().map(BaseUrl::as_str).unwrap_or_default();
        text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
    }
}

/// The HTTP interface of one embedded Mission Control.
pub struct HttpApi {
    engine: Arc<Engine>,
    admin_key: Arc<Secret>,
    /// The token of the pool's workers. Without one, only people can call their functions.
    worker_token: Option<Secret>,
    /// The host names under which clients reach this server.
    hosts: Hosts,
    runtime_page: RuntimePage,
    logins: Arc<Logins>,
    streams: Arc<Streams>,
    sync: SyncServer,
    exposure: Exposure,
    attempts: Arc<Attempts>,
}

/// A refusal of the platform itself, before any function.
fn platform_error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json_of(&json!({"code": code, "message": without_credentials(message)}))
        .with_status(status)
        .no_store()
}

impl HttpApi {
    /// The interface of this backend, with this admin key for people.
    pub fn new(engine: Arc<Engine>, admin_key: Secret, hosts: Hosts) -> Self {
        Self {
            engine,
            admin_key: Arc::new(admin_key),
            worker_token: None,
            hosts,
            runtime_page: RuntimePage::default(),
            logins: Arc::default(),
            streams: Arc::default(),
            sync: SyncServer::new(SyncTimes::default()),
            exposure: Exposure::default(),
            attempts: Arc::default(),
        }
    }

    /// Behind these proxies, for machines on the internet.
    #[must_use]
    pub fn with_exposure(mut self, exposure: Exposure) -> Self {
        self.exposure = exposure;
        self
    }

    /// With the token of the pool's workers.
    #[must_use]
    pub fn with_worker_token(mut self, token: Secret) -> Self {
        self.worker_token = Some(token);
        self
    }

    /// With other time limits for subscribers.
    #[must_use]
    pub fn with_sync_times(mut self, times: SyncTimes) -> Self {
        self.sync = SyncServer::new(times);
        self
    }

    /// The address that the page links to.
    pub fn runtime_page(&self) -> RuntimePage {
        self.runtime_page.clone()
    }

    /// Answers a request.
    pub fn answer(&self, request: &Request) -> Reply {
        if let Some(refusal) = self.foreign(request) {
            return refusal;
        }
        let path = request.path();
        match (request.method(), path.as_ref()) {
            (Method::Post, "/api/action") => self.call(Kind::Action, request),
            (Method::Post, "/api/mutation") => self.call(Kind::Mutation, request),
            (Method::Post, "/api/query") => self.call(Kind::Query, request),
            (Method::Post, bootstrap::PATH) => self.bootstrap(request),
            (Method::Post, "/login") => self.log_in(request),
            (Method::Post, UPLOAD_PATH) => self.upload(request),
            (Method::Post, WEBHOOK_PATH) => self.telegram_update(request),
            (Method::Post, "/logout") => self.log_out(request),
            (Method::Get, "/changes") => self.changes(request),
            (Method::Get | Method::Head, "/") => self.page(),
            (Method::Get | Method::Head, "/fleet") => page(FLEET, &random_hex()),
            (Method::Get | Method::Head, "/pool") => page(POOL, &random_hex()),
            (Method::Get | Method::Head, "/version") => Reply::text(env!("CARGO_PKG_VERSION")).no_store(),
            (
                _,
                "/api/action"
                | "/api/mutation"
                | "/api/query"
                | "/login"
                | "/logout"
                | bootstrap::PATH
                | UPLOAD_PATH
                | WEBHOOK_PATH,
            ) => not_allowed("POST"),
            (_, "/changes" | "/" | "/fleet" | "/pool" | "/version") => not_allowed("GET"),
            (Method::Get, path) if path.starts_with(STORAGE_PATH) => self.stored_file(path),
            (Method::Get, path) if sync::is_path(path) => self.subscribe(request),
            (_, path) if sync::is_path(path) => not_allowed("GET"),
            // The answer of the platform for an unknown route.
            _ => Reply::empty(404).no_store(),
        }
    }

    fn page(&self) -> Reply {
        page(&PAGE.replace("{{RUNTIME_PAGE}}", &self.runtime_page.attribute()), &random_hex())
    }

    /// Refuses a request with a foreign `Host` or `Origin`.
    fn foreign(&self, request: &Request) -> Option<Reply> {
        if let Some(why) = self.exposure.refusal(request) {
            return Some(platform_error(403, "NotThroughProxy", why));
        }
        if self.hosts.meant(request) == Meant::Elsewhere {
            return Some(platform_error(403, "ForeignHost", "The Host header names another server"));
        }
        let host = request.header("Host").unwrap_or_default().to_ascii_lowercase();
        let origin = request.header("Origin")?.to_ascii_lowercase();
        let same_site =
            origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) == Some(&host);
        (!same_site)
            .then(|| platform_error(403, "ForeignOrigin", "Requests from pages of other origins are refused"))
    }

    fn call(&self, kind: Kind, request: &Request) -> Reply {
        let (body, caller) = match self.read_call(request) {
            Ok(read) => read,
            Err(refusal) => return refusal,
        };
        let Some(path) = body.get("path").and_then(Value::as_str) else {
            return platform_error(400, "BadJsonBody", "The field `path` is missing or not a string");
        };
        let args = match body.get("args") {
            Some(Value::Array(positional)) if positional.len() == 1 => &positional[0],
            Some(args) => args,
            None => return platform_error(400, "BadJsonBody", "The field `args` is missing"),
        };
        let id =
            request.header("Convex-Request-Id").map_or_else(random_hex, |id| id.chars().take(64).collect());
        let (status, answer) =
            self.engine.call_at(&self.exposure.origin(request), kind, path, args, caller, &id);
        // As on the platform, this is checked only after the function has run.
        match body.get("format").map(|format| format.as_str().unwrap_or_default()) {
            None | Some("json" | "convex_clean_json" | "convex_encoded_json" | "convex_json") => {}
            Some(other) => {
                let message = format!("The format {} is not supported", other.escape_debug());
                return platform_error(400, "BadFormat", &message);
            }
        }
        Reply::json_of(&answer).with_status(status).no_store()
    }

    /// The body as JSON, and the caller.
    fn read_call(&self, request: &Request) -> Result<(Value, Caller), Reply> {
        let kind = request.header("Content-Type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json")) {
            return Err(platform_error(400, "BadJsonBody", "Content-Type must be application/json"));
        }
        if let Some(refusal) = invalid_client(request) {
            return Err(refusal);
        }
        let caller = self.caller(request)?;
        let body = serde_json::from_slice::<Value>(&json::bytes(request.body()));
        let body = body.map_err(|why| {
            platform_error(400, "BadJsonBody", &format!("The body is not valid JSON: {why}"))
        })?;
        Ok((body, caller))
    }

    /// A person, if the request has the admin key, or the cookie with the proof.
    fn caller(&self, request: &Request) -> Result<Caller, Reply> {
        match request.header("Authorization") {
            Some(header) if self.is_worker(header) => Ok(Caller::Worker),
            Some(header) => match header.strip_prefix("Convex ") {
                Some(key) => match self.try_key(request, key) {
                    KeyTrial::Right => Ok(Caller::Person),
                    KeyTrial::Wrong => {
                        Err(platform_error(403, "BadDeployKey", "This is not the admin key of this server"))
                    }
                    KeyTrial::TooMany => Err(platform_error(429, "TooManyAttempts", TOO_MANY)
                        .with_header("Retry-After", attempts::RETRY_AFTER)),
                },
                None => Err(platform_error(401, "InvalidAuthHeader", self.no_caller(header))),
            },
            None => Ok(match shown(request) {
                Some((cookie, proof)) if self.logins.proves(cookie, proof) => Caller::Person,
                _ => Caller::Stranger,
            }),
        }
    }

    /// Why a header that is no admin key is refused, and what to do.
    fn no_caller(&self, header: &str) -> &'static str {
        match (header.starts_with("Bearer "), &self.worker_token) {
            (true, Some(_)) => WRONG_WORKER,
            (true, None) => NO_WORKERS,
            (false, _) => OTHER_SCHEME,
        }
    }

    fn try_key(&self, request: &Request, key: &str) -> KeyTrial {
        try_key(&self.admin_key, &self.attempts, self.exposure.client(request), key)
    }

    fn bootstrap(&self, request: &Request) -> Reply {
        let client = self.exposure.client(request);
        if self.attempts.is_blocked(client) {
            return Reply::error(429, TOO_MANY).with_header("Retry-After", attempts::RETRY_AFTER).no_store();
        }
        let reply = bootstrap::answer(&self.engine, client, request);
        if reply.status() == 403 {
            self.attempts.failed(client);
        }
        reply
    }

    fn is_worker(&self, header: &str) -> bool {
        let shown = header.strip_prefix("Bearer ");
        shown.zip(self.worker_token.as_ref()).is_some_and(|(shown, token)| is_key(token, shown))
    }

    /// Receives an update of Telegram.
    fn telegram_update(&self, request: &Request) -> Reply {
        let secret = request.header(TELEGRAM_SECRET).unwrap_or_default();
        let (status, body) = self.engine.receive_update(secret, &json::bytes(request.body()));
        Reply::json_of(&body).with_status(status).no_store()
    }

    /// Opens a subscriber's WebSocket.
    fn subscribe(&self, request: &Request) -> Reply {
        if let Some(refusal) = invalid_client(request) {
            return refusal;
        }
        let (admin_key, attempts) = (self.admin_key.clone(), self.attempts.clone());
        let client = self.exposure.client(request);
        let is_admin =
            move |key: &str| matches!(try_key(&admin_key, &attempts, client, key), KeyTrial::Right);
        self.sync.answer(&self.engine, is_admin, request)
    }

    /// An event stream with the number of each change, for the page. The first event is sent immediately. The stream ends
    /// with its login.
    fn changes(&self, request: &Request) -> Reply {
        let Some(login) = cookie(request).filter(|shown| self.logins.has(shown)).map(str::to_owned) else {
            return Reply::error(401, "Log in first").no_store();
        };
        let Some(place) = self.streams.enter() else {
            return Reply::error(503, "Too many streams: close other pages of this server")
                .with_header("Retry-After", "1")
                .no_store();
        };
        let (engine, logins) = (self.engine.clone(), self.logins.clone());
        Reply::events(move |sink: &mut dyn Sink| {
            let mut seen = engine.changes();
            sink.send(format!("retry: {RETRY_MS}\ndata: {seen}\n\n").as_bytes())?;
            while sink.is_open() {
                let last = engine.wait_for_change(seen, QUIET);
                if !place.is_kept() || !logins.has(&login) {
                    break;
                }
                let line = if last == seen { ":\n\n".to_owned() } else { format!("data: {last}\n\n") };
                seen = last;
                sink.send(line.as_bytes())?;
            }
            Ok(())
        })
    }
}

/// Compares a key, unless its sender has tried too many wrong ones. Then even the right one is not looked at.
fn try_key(expected: &Secret, attempts: &Attempts, client: IpAddr, key: &str) -> KeyTrial {
    if attempts.is_blocked(client) {
        return KeyTrial::TooMany;
    }
    if is_key(expected, key) {
        return KeyTrial::Right;
    }
    attempts.failed(client);
    KeyTrial::Wrong
}

fn is_key(expected: &Secret, key: &str) -> bool {
    same(key.trim().as_bytes(), expected.expose().as_bytes())
}

/// The refusal of a malformed name of a client.
fn invalid_client(request: &Request) -> Option<Reply> {
    let is_invalid = request.header("Convex-Client").is_some_and(|client| !client.contains('-'));
    let message = "The header Convex-Client must be NAME-VERSION";
    is_invalid.then(|| platform_error(400, "InvalidClientVersion", message))
}

fn not_allowed(allowed: &str) -> Reply {
    Reply::error(405, "Method Not Allowed").with_header("Allow", allowed).no_store()
}
