//! The other endpoints: health, the list of agents, and the web page (openclaw-gateway §2).

use serde_json::{Value, json};

use super::answer::{body, refusal};
use super::history::decoded;
use super::{Inner, Phase};
use mcr_http::message::{Method, Reply, Request};

/// The web page, served for every other path.
const PAGE: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"UTF-8\" /><title>OpenClaw Control</title></head>\
    <body></body></html>\n";

/// Handles the request.
pub(super) fn answer(inner: &Inner, request: &Request) -> Reply {
    let path = request.path();
    let path = path.as_ref();
    let asks = matches!(request.method(), Method::Get | Method::Head);
    let release = inner.options.release;
    if release.is_oldest() {
        return match path {
            "/__openclaw/control-ui-config.json" if asks => {
                body(200, &json!({"basePath": "", "assistantName": "Assistant"}))
            }
            _ if asks => Reply::html(PAGE),
            _ => not_found(),
        };
    }
    let up = inner.up_for().as_millis();
    let starting = inner.phase() == Phase::Starting;
    match path {
        "/startupz" if !release.has_startupz() && asks => Reply::html(PAGE),
        "/health" | "/healthz" | "/ready" | "/readyz" | "/startupz" if !asks => not_allowed("GET, HEAD"),
        "/health" | "/healthz" => body(200, &json!({"ok": true, "status": "live"})),
        "/ready" | "/readyz" => {
            let failing = match inner.phase() {
                Phase::Starting => vec!["startup-sidecars"],
                Phase::Draining => vec!["gateway-draining"],
                Phase::Running => Vec::new(),
            };
            let ready = failing.is_empty();
            let answer = json!({"ready": ready, "failing": failing, "uptimeMs": up});
            body(if ready { 200 } else { 503 }, &answer)
        }
        "/startupz" => {
            let word = if starting { "starting" } else { "started" };
            let answer =
                json!({"ok": !starting, "status": word, "version": release.version(), "uptimeMs": up});
            body(if starting { 503 } else { 200 }, &answer)
        }
        "/__openclaw/control-ui-config.json" if asks && !inner.is_authorized(request) => unauthorized(),
        "/__openclaw/control-ui-config.json" if asks => {
            let mut page = json!({"basePath": "", "assistantName": "Assistant"});
            if release.page_names_version() {
                page["serverVersion"] = json!(release.version());
            }
            body(200, &page)
        }
        _ if path == "/v1/models" || path.starts_with("/v1/models/") => models(inner, request, path),
        _ if asks && !is_without_page(path) => Reply::html(PAGE),
        _ => not_found(),
    }
}

/// Whether the page is not served here: below the API paths, and for file names.
fn is_without_page(path: &str) -> bool {
    let below =
        |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    ["/api", "/v1", "/plugins"].into_iter().any(below)
        || path.rsplit('/').next().is_some_and(|last| last.contains('.'))
}

fn models(inner: &Inner, request: &Request, path: &str) -> Reply {
    if !inner.options.endpoint {
        return not_found();
    }
    if *request.method() != Method::Get {
        return not_allowed("GET");
    }
    if !inner.is_authorized(request) {
        return unauthorized();
    }
    // A gateway that accepts any agent cannot list them, so it lists none.
    let accepts_any = inner.options.agents.iter().any(|id| id == super::ANY_AGENT);
    let listed = inner.options.agents.iter().filter(|_| !accepts_any);
    let agents = listed.map(|id| format!("openclaw/{id}"));
    let ids: Vec<String> =
        ["openclaw", "openclaw/default"].map(str::to_owned).into_iter().chain(agents).collect();
    let model = |id: &String| json!({"id": id, "object": "model", "created": 0, "owned_by": "openclaw", "permission": []});
    let Some(one) = path.strip_prefix("/v1/models/") else {
        let data: Vec<Value> = ids.iter().map(model).collect();
        return body(200, &json!({"object": "list", "data": data}));
    };
    let one = decoded(one);
    match ids.iter().find(|id| **id == one) {
        Some(id) => body(200, &model(id)),
        None => refusal(400, "invalid_request_error", "Invalid model id."),
    }
}

fn unauthorized() -> Reply {
    refusal(401, "unauthorized", "Unauthorized")
}

pub(super) fn not_found() -> Reply {
    Reply::text("Not Found").with_status(404)
}

pub(super) fn not_allowed(allowed: &str) -> Reply {
    Reply::text("Method Not Allowed").with_status(405).with_header("Allow", allowed)
}
