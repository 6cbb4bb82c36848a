//! Access to the operator API: its paths, and which requests are allowed.
//!
//! A request needs the operator token and must come from this machine or from an allowed address. A request from a
//! web page must come from our own page.

use std::time::Duration;

use mcr_config::Network;
use mcr_http::message::{Method, Reply, Request};
use mcr_model::secret::Secret;

/// A request of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Explains the state of a notification, a task or an agent.
    Why(String),
    /// Lists the tasks with activity in this time whose status and facts differ.
    Evidence(Duration),
    /// Lists the unsettled, the dead and the recently ended deliveries.
    Deliveries,
    /// Reads everything the page shows: the state, the running work, the agents and the last hour.
    Overview,
    /// Lists the files that the runtime wrote to the workspace of an agent.
    Workspace(String),
    /// Retries a dead letter.
    Retry(String),
    /// Closes a dead letter permanently.
    Drop(String),
    /// Gives up waiting for a stuck turn.
    GiveUp(String),
    /// Pauses new turns: of all agents, or of this one.
    Pause(Option<String>),
    /// Ends a pause.
    Resume(Option<String>),
    /// Cancels a restart or an upgrade that waits for running turns.
    CancelRequest,
    /// Shows the daily budgets.
    Budget,
    /// Raises today's limit of the account, or of an agent.
    BudgetRaise(Raise),
    /// Starts today's counts of the account, or of an agent, from zero.
    BudgetReset(Option<String>),
}

/// A limit to raise.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raise {
    /// Tokens, or dollars with the ending `usd`.
    pub amount: String,
    /// The agent's slug; none for the account.
    #[serde(default)]
    pub agent: Option<String>,
}

/// The request and the method of an operator path; none for other paths.
pub(super) fn find(path: &str) -> Option<(Wanted, &'static str)> {
    let mut parts = path.strip_prefix('/')?.split('/');
    let found = match (parts.next()?, parts.next().filter(|id| !id.is_empty()), parts.next()) {
        ("why", Some(id), None) => (Wanted::Why(id.to_owned()), "GET, HEAD"),
        ("evidence", Some(seconds), None) => (Wanted::Evidence(seconds_of(seconds)?), "GET, HEAD"),
        ("deliveries", None, None) => (Wanted::Deliveries, "GET, HEAD"),
        ("overview", None, None) => (Wanted::Overview, "GET, HEAD"),
        ("workspaces", Some(slug), None) => (Wanted::Workspace(slug.to_owned()), "GET, HEAD"),
        ("dead", Some(id), Some("retry")) => (Wanted::Retry(id.to_owned()), "POST"),
        ("dead", Some(id), Some("drop")) => (Wanted::Drop(id.to_owned()), "POST"),
        ("turns", Some(id), Some("give-up")) => (Wanted::GiveUp(id.to_owned()), "POST"),
        ("pause", None, None) => (Wanted::Pause(None), "POST"),
        ("resume", None, None) => (Wanted::Resume(None), "POST"),
        ("requests", Some("cancel"), None) => (Wanted::CancelRequest, "POST"),
        ("budget", None, None) => (Wanted::Budget, "GET, HEAD"),
        ("budget", Some("raise"), None) => (Wanted::BudgetRaise(Raise::default()), "POST"),
        ("budget", Some("reset"), None) => (Wanted::BudgetReset(None), "POST"),
        _ => return None,
    };
    (parts.next().is_none() && !path.ends_with('/')).then_some(found)
}

/// A number of seconds in a path.
fn seconds_of(text: &str) -> Option<Duration> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).map(Duration::from_secs)
}

/// The response to a request that is not allowed; none if it is. `networks` are those of `OPERATOR_API_ALLOW`.
/// Without a token every request is refused.
pub fn refuse(request: &Request, token: Option<&Secret>, networks: &[Network]) -> Option<Reply> {
    let peer = request.peer().ip();
    if !peer.is_loopback() && !networks.iter().any(|network| network.contains(peer)) {
        return Some(Reply::error(
            403,
            &format!(
                "Forbidden: the operator API takes requests from this machine only, and OPERATOR_API_ALLOW does not name \
                 {peer}. Use an SSH tunnel, or add that network"
            ),
        ));
    }
    if !is_from_our_page(request) {
        return Some(Reply::error(
            403,
            "Forbidden: the request comes from a page of another origin. Open the runtime's own page",
        ));
    }
    let Some(token) = token else {
        return Some(Reply::error(
            503,
            "There is no operator token, because STATE_DIR cannot be written. Make it writable and restart the service",
        ));
    };
    let mut shown = request.headers_named("Authorization");
    let first = shown.next().and_then(|header| header.strip_prefix("Bearer "));
    if first.is_some_and(|text| token.is(text.trim())) && shown.next().is_none() {
        return None;
    }
    let words = "The operator token is missing or wrong. Send `Authorization: Bearer TOKEN`, with the content of STATE_DIR/operator-token";
    Some(Reply::error(401, words).with_header("WWW-Authenticate", "Bearer"))
}

/// Whether the `Origin` that a browser sends, if any, has the host of the request.
fn is_from_our_page(request: &Request) -> bool {
    let origins: Vec<&str> = request.headers_named("Origin").collect();
    let hosts: Vec<&str> = request.headers_named("Host").collect();
    match (&origins[..], &hosts[..]) {
        ([], _) => true,
        ([origin], [host]) => origin.split_once("://").is_some_and(|(scheme, name)| {
            ["http", "https"].contains(&scheme) && name.eq_ignore_ascii_case(host)
        }),
        _ => false,
    }
}

/// The agent that a body names; none if the body is empty. The error is a sentence for the operator.
fn agent_in(body: &[u8]) -> Result<Option<String>, &'static str> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
        #[serde(default)]
        agent: Option<String>,
    }
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    let named: Named = serde_json::from_slice(body)
        .map_err(|_| "The body must be empty, or an object with the field `agent`: a slug or an id")?;
    match named.agent {
        Some(agent) if agent.trim().is_empty() => {
            Err("`agent` is blank. Name an agent by slug or id, or leave the field out")
        }
        agent => Ok(agent),
    }
}

/// The request with the values of its body, or the response to an invalid body.
pub fn with_body(wanted: Wanted, request: &Request) -> Result<Wanted, Reply> {
    let body = request.body();
    let acts = *request.method() == Method::Post;
    match wanted {
        Wanted::Pause(_) => agent_in(body).map(Wanted::Pause).map_err(|why| Reply::error(400, why)),
        Wanted::Resume(_) => agent_in(body).map(Wanted::Resume).map_err(|why| Reply::error(400, why)),
        Wanted::BudgetReset(_) => {
            agent_in(body).map(Wanted::BudgetReset).map_err(|why| Reply::error(400, why))
        }
        Wanted::BudgetRaise(_) => serde_json::from_slice(body).map(Wanted::BudgetRaise).map_err(|_| {
            let words = "The body must be an object with `amount`, such as \"200000\" or \"5usd\", and for one agent `agent`";
            Reply::error(400, words)
        }),
        _ if acts && !body.trim_ascii().is_empty() && body.trim_ascii() != b"{}" => {
            Err(Reply::error(400, "Requests to this path must have no body. Send the request without one"))
        }
        wanted => Ok(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcr_http::message::Header;

    #[test]
    fn only_exact_paths_are_operator_paths() {
        let id = |id: &str| id.to_owned();
        let rows = [
            ("/why/k1", Some(Wanted::Why(id("k1")))),
            ("/why", None),
            ("/why/", None),
            ("/why/k1/", None),
            ("/why/k1/x", None),
            ("/deliveries", Some(Wanted::Deliveries)),
            ("/deliveries/", None),
            ("/evidence/61", Some(Wanted::Evidence(Duration::from_secs(61)))),
            ("/evidence/+60", None),
            ("/evidence/7d", None),
            ("/evidence", None),
            ("/evidence/60/", None),
            ("/overview", Some(Wanted::Overview)),
            ("/overview/", None),
            ("/overview/k1", None),
            ("/deliveries/k1", None),
            ("/dead/k1/retry", Some(Wanted::Retry(id("k1")))),
            ("/dead/k1/drop", Some(Wanted::Drop(id("k1")))),
            ("/dead/k1/retry/x", None),
            ("/dead/k1/retry/", None),
            ("/dead//retry", None),
            ("/dead/k1", None),
            ("/turns/k1/give-up", Some(Wanted::GiveUp(id("k1")))),
            ("/pause", Some(Wanted::Pause(None))),
            ("/pause/", None),
            ("/resume", Some(Wanted::Resume(None))),
            ("/budget", Some(Wanted::Budget)),
            ("/budget/", None),
            ("/budget/raise", Some(Wanted::BudgetRaise(Raise::default()))),
            ("/budget/reset", Some(Wanted::BudgetReset(None))),
            ("/budget/lower", None),
            ("//", None),
            ("", None),
        ];
        for (path, wanted) in rows {
            assert_eq!(find(path).map(|(wanted, _)| wanted), wanted, "{path}");
        }
    }

    #[test]
    fn only_the_token_from_an_allowed_address_and_our_page_is_accepted() {
        let token = Secret::new("the-operators-token");
        let right = "Authorization: Bearer the-operators-token";
        let rows: [(&str, &[&str], u16); 14] = [
            ("127.0.0.1:1", &[right], 200),
            ("[::1]:1", &[right], 200),
            ("10.0.0.7:1", &[right], 200),
            ("10.0.0.8:1", &[right], 403),
            ("127.0.0.1:1", &[], 401),
            ("127.0.0.1:1", &["Authorization: Bearer the-operators-tokem"], 401),
            ("127.0.0.1:1", &["Authorization: Bearer"], 401),
            ("127.0.0.1:1", &["Authorization: Convex the-operators-token"], 401),
            ("127.0.0.1:1", &[right, right], 401),
            ("127.0.0.1:1", &[right, "Host: a:1", "Origin: http://a:1"], 200),
            ("127.0.0.1:1", &[right, "Host: a:1", "Origin: http://a:2"], 403),
            ("127.0.0.1:1", &[right, "Host: a:1", "Origin: null"], 403),
            ("127.0.0.1:1", &[right, "Host: a:1", "Origin: http://a:1", "Origin: http://a:1"], 403),
            ("10.0.0.8:1", &[right, "X-Forwarded-For: 127.0.0.1"], 403),
        ];
        for (peer, headers, status) in rows {
            let headers = headers.iter().map(|line| line.parse::<Header>().unwrap());
            let request =
                Request::new(Method::Get, "/why/k1").with_headers(headers).with_peer(peer.parse().unwrap());
            let networks = ["10.0.0.7".parse().unwrap()];
            let refused = refuse(&request, Some(&token), &networks).map_or(200, |reply| reply.status());
            assert_eq!(refused, status, "{peer} {:?}", request.headers());
            let without = refuse(&request, None, &networks).map_or(200, |reply| reply.status());
            assert_eq!(without, if status == 403 { 403 } else { 503 });
        }
    }

    #[test]
    fn a_body_names_one_agent_or_is_empty() {
        type Named = Result<Option<&'static str>, ()>;
        let rows: [(&[u8], Named); 9] = [
            (b"", Ok(None)),
            (b" \n", Ok(None)),
            (b"{}", Ok(None)),
            (b"{\"agent\":null}", Ok(None)),
            (b"{\"agent\":\"ben\"}", Ok(Some("ben"))),
            (b"{\"agent\":\" \"}", Err(())),
            (b"{\"agent\":7}", Err(())),
            (b"{\"slug\":\"ben\"}", Err(())),
            (b"null", Err(())),
        ];
        for (body, agent) in rows {
            assert_eq!(
                agent_in(body).map_err(|_| ()),
                agent.map(|agent| agent.map(str::to_owned)),
                "{body:?}"
            );
        }
    }
}
