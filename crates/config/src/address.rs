//! Reads and checks addresses: of the HTTP server, of the backend and the gateway, and the one that agents get.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::network::Network;
use super::reader::Reader;
use super::settings::{Gateway, HttpServer};
use super::table::{
    AGENT_API, AGENT_API_ALLOW, AGENT_API_TOKENS, BOARD_URL, HEALTH_HOST, HEALTH_PORT,
    OPENCLAW_CLIENT_TOOLS_ENABLED, OPENCLAW_GATEWAY_TOKEN, OPENCLAW_GATEWAY_URL, OPENCLAW_REQUEST_TIMEOUT_MS,
    OPENCLAW_SESSION_MAIN_KEY, OPENCLAW_SESSION_SCOPE, OPERATOR_API_ALLOW, QUIET_GATEWAY_MS,
    TASK_STATUS_BASE_URL,
};
use super::value::{Problem, expected};
use super::variable::{ALLOWED_HOST, Kind, Variable};
use mcr_model::{BadUrl, BaseUrl, SessionScope, ToolEndpoints};

/// The token that the TypeScript runtime sent to a gateway on this machine if none was set.
const TYPESCRIPT_GATEWAY_TOKEN: &str = "local";

/// Why tokens are required if other machines can call.
const THIS_MACHINE_ONLY: &str =
    "without tokens only this machine may call /agent/*, because session keys can be guessed.";

/// Parses a URL.
pub(super) fn url(variable: &Variable, text: &str) -> Result<BaseUrl, Problem> {
    let Kind::Url { example } = variable.kind else { unreachable!("{} is no address", variable.name) };
    BaseUrl::parse(text).map_err(|reason| {
        let foreign_scheme = match reason {
            BadUrl::Scheme => true,
            // For a URL parser, `file:/etc/passwd` and `gateway:18789` have a scheme, too.
            BadUrl::NoScheme => text.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme)),
            BadUrl::Host | BadUrl::Port | BadUrl::User | BadUrl::Tail | BadUrl::Character => false,
        };
        let reason = match reason {
            BadUrl::Scheme => "it begins with another scheme",
            reason => reason.explain(),
        };
        if foreign_scheme {
            format!("{reason}. Only http and https are allowed. An example: {example}.")
        } else {
            format!("{reason}. Expected a valid URL like {example}.")
        }
    })
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        && !matches!(text.to_ascii_lowercase().as_str(), "http" | "https")
}

/// Parses the URL of the backend. A `.convex.site` URL is refused, because it serves web hooks.
pub(super) fn convex_url(variable: &Variable, text: &str) -> Result<BaseUrl, Problem> {
    let url = url(variable, text)?;
    match url.host().strip_suffix(".convex.site") {
        Some(name) => Err(format!(
            "the .convex.site address serves a deployment's web hooks, not its functions; use \
             https://{name}.convex.cloud."
        )),
        None => Ok(url),
    }
}

/// Parses the URL of a pool's deployment. The address of its web hooks is replaced by that of its functions.
pub(super) fn worker_convex_url(variable: &Variable, text: &str) -> Result<BaseUrl, Problem> {
    let found = url(variable, text)?;
    match found.host().strip_suffix(".convex.site") {
        Some(name) => url(variable, &format!("https://{name}.convex.cloud")),
        None => Ok(found),
    }
}

/// Parses the URL of Mission Control's pages. The URLs of a Convex deployment are refused, because they serve no pages.
fn board_url(variable: &Variable, text: &str) -> Result<BaseUrl, Problem> {
    let url = url(variable, text)?;
    if [".convex.cloud", ".convex.site"].iter().any(|suffix| url.host().ends_with(suffix)) {
        return Err("this is the address of the backend, which has no pages. Use the address in your browser when you \
                    look at Mission Control."
            .to_owned());
    }
    Ok(url)
}

/// Parses the host to listen on. Brackets of an IPv6 address are removed.
pub(super) fn host(text: &str) -> Result<String, Problem> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let bad = || expected(ALLOWED_HOST);
    // Resolvers disagree about digits and dots that are no address, such as `127.0.0` and `300.1.1.1`.
    let digits = bare.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if digits && bare.parse::<Ipv4Addr>().is_err() {
        return Err(bad());
    }
    // The host becomes part of a URL for agents, so it must be valid there.
    let url = BaseUrl::parse(&format!("http://{}:1", bracketed(bare))).map_err(|_| bad())?;
    if url.host().eq_ignore_ascii_case(bare) { Ok(bare.to_owned()) } else { Err(bad()) }
}

/// The host as a part of a URL: IPv6 in brackets.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Whether this host means every interface.
pub(super) fn is_everywhere(host: &str) -> bool {
    host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_unspecified())
        || host.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_unspecified())
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether the gateway is local, so that it needs no token: on this machine, or the container next to this one in the
/// compose file.
fn is_local_gateway(url: &BaseUrl) -> bool {
    url.is_loopback() || matches!(url.host(), "0.0.0.0" | "openclaw-gateway")
}

/// The runtime's HTTP server, and its URL for agents.
pub(super) fn http_server(reader: &mut Reader) -> HttpServer {
    let host = reader.text(&HEALTH_HOST);
    let port = reader.port(&HEALTH_PORT);
    let base_url = reader.url(&TASK_STATUS_BASE_URL);
    let agents_from = reader.networks(&AGENT_API_ALLOW);
    let operators_from = reader.networks(&OPERATOR_API_ALLOW);
    let tool_endpoints = tool_endpoints(reader);
    let session_tokens = reader.flag(&AGENT_API_TOKENS);
    let board = reader.url_with(&BOARD_URL, board_url);
    let server = HttpServer {
        host,
        port,
        agents_from,
        operators_from,
        tool_endpoints,
        session_tokens,
        board,
        base_url,
    };
    refuse_open_api(reader, &server);
    let lists = [(&AGENT_API_ALLOW, &server.agents_from), (&OPERATOR_API_ALLOW, &server.operators_from)];
    for (variable, networks) in lists {
        if !is_this_machine(&server.host) && networks.iter().any(Network::is_everything) {
            let name = variable.name;
            let message = format!(
                "{name} admits every address, so only the token protects it. Name the networks of the callers."
            );
            reader.warn(variable, message);
        }
    }
    if let Some(url) = &server.base_url {
        if !is_this_machine(url.host()) && is_this_machine(&server.host) {
            let (base_host, health_host) = (reader.without_secrets(url.host()), &server.host);
            reader.warn(
                &TASK_STATUS_BASE_URL,
                format!(
                    "TASK_STATUS_BASE_URL names the host {base_host}, but HEALTH_HOST is {health_host}: /agent/* may \
                     be unreachable for others. Set HEALTH_HOST to 0.0.0.0, or TASK_STATUS_BASE_URL to this machine."
                ),
            );
        }
        return server;
    }
    let derived = match server.port {
        0 => format!("http://{}:(the free port chosen at start)", bracketed(server.connect_host())),
        port => server.base_url(port).to_string(),
    };
    reader.derive(&TASK_STATUS_BASE_URL, &derived, "HEALTH_HOST and HEALTH_PORT");
    if is_everywhere(&server.host) && !reader.was_refused(&TASK_STATUS_BASE_URL) {
        reader.warn(
            &TASK_STATUS_BASE_URL,
            format!(
                "HEALTH_HOST is {}, but TASK_STATUS_BASE_URL is not set: agents in other containers get a loopback \
                 address that they cannot use. Set TASK_STATUS_BASE_URL to an address that they can reach.",
                server.host
            ),
        );
    }
    server
}

fn tool_endpoints(reader: &mut Reader) -> ToolEndpoints {
    let word = reader.text(&AGENT_API);
    let all = [ToolEndpoints::Auto, ToolEndpoints::On, ToolEndpoints::Off];
    all.into_iter().find(|choice| choice.name() == word).unwrap_or_default()
}

/// Without tokens a session key is enough, and a key can be guessed. Then only this machine may call.
fn refuse_open_api(reader: &mut Reader, server: &HttpServer) {
    if server.session_tokens || reader.was_refused(&AGENT_API_TOKENS) {
        return;
    }
    if !is_this_machine(&server.host) && !reader.was_refused(&HEALTH_HOST) {
        let problem = format!(
            "{THIS_MACHINE_ONLY} HEALTH_HOST is {}: other machines can reach it. Set AGENT_API_TOKENS to true, or HEALTH_HOST to \
             127.0.0.1.",
            server.host
        );
        reader.refuse(&AGENT_API_TOKENS, &problem);
    } else if !server.agents_from.iter().all(Network::is_this_machine) {
        let problem = format!(
            "{THIS_MACHINE_ONLY} AGENT_API_ALLOW names other networks. Set AGENT_API_TOKENS to true, or remove AGENT_API_ALLOW."
        );
        reader.refuse(&AGENT_API_TOKENS, &problem);
    }
}

/// The gateway: its URL, its token and its time limit.
pub(super) fn gateway(reader: &mut Reader, http: &HttpServer) -> Gateway {
    let url = reader.url(&OPENCLAW_GATEWAY_URL);
    if reader.is_blank(&OPENCLAW_GATEWAY_URL) {
        reader.warn(
            &OPENCLAW_GATEWAY_URL,
            "OPENCLAW_GATEWAY_URL is set but blank: there is no gateway and nothing is sent to agents. Remove the \
             variable to use http://127.0.0.1:18789.",
        );
    }
    let token = reader.secret(&OPENCLAW_GATEWAY_TOKEN);
    if let Some(token) = &token {
        if token.expose() == TYPESCRIPT_GATEWAY_TOKEN {
            // The message does not repeat the value, because every secret is redacted.
            reader.warn(
                &OPENCLAW_GATEWAY_TOKEN,
                "OPENCLAW_GATEWAY_TOKEN has the default value of the TypeScript runtime, which is sent as a real token. \
                 Remove it if the gateway has none.",
            );
        } else {
            reader.warn_if_short(&OPENCLAW_GATEWAY_TOKEN, OPENCLAW_GATEWAY_TOKEN.name, token.expose());
        }
    }
    let silence_max = reader.millis(&OPENCLAW_REQUEST_TIMEOUT_MS);
    let client_tools = reader.flag(&OPENCLAW_CLIENT_TOOLS_ENABLED);
    let closed = http.tool_endpoints == ToolEndpoints::Off;
    if closed && !client_tools {
        reader.warn(
            &AGENT_API,
            "AGENT_API is off and OPENCLAW_CLIENT_TOOLS_ENABLED is false: agents cannot change the board. Set AGENT_API \
             to auto, or OPENCLAW_CLIENT_TOOLS_ENABLED to true.",
        );
    }
    let elsewhere = http.base_url.as_ref().filter(|url| !is_this_machine(url.host()));
    if let Some(url) = elsewhere.filter(|_| !client_tools && !closed && http.agents_from.is_empty()) {
        let base_host = reader.without_secrets(url.host());
        reader.warn(
            &AGENT_API_ALLOW,
            format!(
                "TASK_STATUS_BASE_URL names the host {base_host}, client tools are off, and AGENT_API_ALLOW is not set: \
                 agents that call from another machine or container are refused. Set AGENT_API_ALLOW to their network."
            ),
        );
    }
    if let Some(url) = &url
        && !is_local_gateway(url)
    {
        if token.is_none() && !reader.was_refused(&OPENCLAW_GATEWAY_TOKEN) {
            let host = reader.without_secrets(url.host());
            let problem = format!(
                "OPENCLAW_GATEWAY_TOKEN is required for non-local OPENCLAW_GATEWAY_URL. That address names another host \
                 ({host}): give its token as OPENCLAW_GATEWAY_TOKEN or OPENCLAW_GATEWAY_TOKEN_FILE; blank counts as \
                 not set."
            );
            reader.refuse(&OPENCLAW_GATEWAY_TOKEN, &problem);
        }
        if token.is_some() && !url.is_https() {
            reader.warn_of_clear_text(&OPENCLAW_GATEWAY_URL, &OPENCLAW_GATEWAY_TOKEN);
        }
    }
    let silence_max_ms = u64::try_from(silence_max.as_millis()).unwrap_or(u64::MAX);
    if silence_max_ms < QUIET_GATEWAY_MS {
        reader.warn(
            &OPENCLAW_REQUEST_TIMEOUT_MS,
            format!(
                "OPENCLAW_REQUEST_TIMEOUT_MS is {silence_max_ms}, below {QUIET_GATEWAY_MS}: the gateway's own retries \
                 are silent for three minutes, so healthy turns may count as stuck. Use a longer time."
            ),
        );
    }
    let main_session = reader.text(&OPENCLAW_SESSION_MAIN_KEY);
    let session_scope = SessionScope::parse(&reader.text(&OPENCLAW_SESSION_SCOPE)).unwrap_or_default();
    Gateway { url, token, silence_max, client_tools, main_session, session_scope }
}
