//! The input is what a client sends over one connection. It is parsed as the server does, with small or with default limits.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::LazyLock;

use mission_control_runtime::http::agent_api::network_guard::NetworkGuard;
use mission_control_runtime::http::hosts::Hosts;
use mission_control_runtime::http::message::{Method, Request};
use mission_control_runtime::http::routes::{AgentEndpoint, Route, route};
use mission_control_runtime::http::server::{DryRun, Ending, ServerLimits, dry_run};

use super::pieces::{cut, dice_of};
use crate::dice::Dice;

/// Two sets of limits. The limit of a head is never below the size of one read.
static LIMITS: LazyLock<[ServerLimits; 2]> = LazyLock::new(|| {
    let small =
        ServerLimits { head_bytes: 2048, target_bytes: 64, body_bytes: 48, ..ServerLimits::default() };
    [small.with_body_limit("/agent/document", 300), ServerLimits::default()]
});

/// Limits with room for larger heads than those sent.
static ROOMY: LazyLock<ServerLimits> =
    LazyLock::new(|| ServerLimits { head_bytes: 64 * 1024, ..ServerLimits::default() });

static NEAR: LazyLock<NetworkGuard> = LazyLock::new(|| NetworkGuard::new(&[], Hosts::new(["runtime"])));

/// A request that is known not to be in the input.
const SENTINEL: &str = "GET /--sentinel-- HTTP/1.1\r\nhost: sentinel\r\n\r\n";

/// The maximum number of header lines of one request.
const MOST_HEADERS: usize = 64;

/// Peer addresses: this machine in three forms, and another machine.
const PEERS: [(&str, bool); 4] =
    [("127.0.0.1:9", true), ("[::1]:9", true), ("[::ffff:127.0.0.1]:9", true), ("203.0.113.7:9", false)];

/// Checks that the bytes are parsed as specified.
pub(crate) fn check(bytes: &[u8]) {
    let mut dice = dice_of(bytes);
    let limits = &LIMITS[dice.index(2)];
    let whole = dry_run([bytes], limits);

    let pieces = cut(bytes, &mut dice);
    let again = dry_run(pieces.iter().copied(), limits);
    assert_eq!(
        plain_requests(&again.requests),
        plain_requests(&whole.requests),
        "fragmentation does not matter"
    );
    assert_eq!(again.end, whole.end, "fragmentation does not matter");

    let prefix = dry_run([&bytes[..dice.index(bytes.len() + 1)]], limits);
    let count = prefix.requests.len();
    assert!(count <= whole.requests.len(), "further bytes do not retract a request");
    assert_eq!(
        plain_requests(&prefix.requests),
        plain_requests(&whole.requests[..count]),
        "further bytes do not change a request"
    );

    if let Ending::Refused(status, sentence) = whole.end {
        assert!([400, 413, 414, 417, 431, 501, 505].contains(&status), "{status}");
        assert!(!sentence.is_empty() && sentence.len() <= 80 && sentence.is_ascii());
    }
    for request in &whole.requests {
        well_formed(request, limits);
        routed(request, &mut dice);
    }
    alone_and_together(&whole);
}

/// A request as plain values: method, target, header lines, body.
type PlainRequest<'a> = (String, &'a str, Vec<(&'a str, &'a str)>, &'a [u8]);

fn plain_requests(requests: &[Request]) -> Vec<PlainRequest<'_>> {
    requests.iter().map(|request| plain_request(request, &[])).collect()
}

/// The plain values of one request, without the header lines of these names.
fn plain_request<'a>(request: &'a Request, without: &[&str]) -> PlainRequest<'a> {
    let lines = request.headers().iter().map(|line| (line.field.as_str().as_str(), line.value.as_str()));
    let lines = lines.filter(|(name, _)| !without.contains(name)).collect();
    (request.method().to_string(), request.target(), lines, request.body())
}

/// A parsed request satisfies the rules of HTTP and the limits.
fn well_formed(request: &Request, limits: &ServerLimits) {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let method = request.method().to_string();
    assert!(!method.is_empty() && method.bytes().all(token), "{method:?}");
    let target = request.target();
    assert!(target.len() <= limits.target_bytes && target.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(request.headers().len() <= MOST_HEADERS);
    for (name, value) in plain_request(request, &[]).2 {
        assert!(!name.is_empty() && name.bytes().all(|byte| token(byte) && !byte.is_ascii_uppercase()));
        assert!(value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)), "{value:?}");
    }
    let lengths: Vec<&str> = request.headers_named("content-length").collect();
    let codings: Vec<&str> = request.headers_named("transfer-encoding").collect();
    let body = request.body().len();
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => assert_eq!(body, 0),
        ([length], []) => assert_eq!(length.parse(), Ok(body)),
        ([], [coding]) => assert!(coding.eq_ignore_ascii_case("chunked")),
        _ => panic!("a body with two ends"),
    }
    let larger = limits.larger_bodies.iter().find(|(path, _)| *path == request.path());
    assert!(body <= larger.map_or(limits.body_bytes, |(_, bytes)| *bytes), "{body} bytes");

    let path = request.path();
    assert!(path.starts_with('/') || path == "*", "{path:?}");
    assert!(!path.contains(['?', '#']), "{path:?}");
    let dots = |part: &str| ["", ".", ".."].contains(&part.to_ascii_lowercase().replace("%2e", ".").as_str());
    let steps = path.split('/').filter(|part| !part.is_empty() && dots(part)).count();
    assert_eq!(steps, 0, "{path:?} leads somewhere else");
    assert!(request.query().is_none_or(|query| target.contains(query)));
}

/// Routes a request from several addresses.
fn routed(request: &Request, dice: &mut Dice) {
    let (peer, is_near) = PEERS[dice.index(PEERS.len())];
    let peer: SocketAddr = peer.parse().expect("the table has addresses");
    let request = request.clone().with_peer(peer);
    let path = request.path();
    let reads = matches!(request.method(), Method::Get | Method::Head);
    let posts = *request.method() == Method::Post;
    match route(&request) {
        Route::Page | Route::Health | Route::Version | Route::Metrics { .. } | Route::Live | Route::Ready => {
            assert!(reads);
        }
        Route::Operator(_) => assert!(reads || posts),
        Route::Nudge => assert!(posts && is_near && path == "/nudge" && request.body().is_empty()),
        Route::Agent(door) => {
            let name = match door {
                AgentEndpoint::Tool(row) => row.endpoint,
                AgentEndpoint::Tell(_) | AgentEndpoint::Bridge => door.call().name,
            };
            assert!(posts && path.strip_prefix("/agent/") == Some(name));
        }
        Route::Refused(reply) => assert!([400, 403, 404, 405].contains(&reply.status())),
    }
    if !is_near {
        assert!(NEAR.refuses(&request).is_some(), "a remote address is not local");
    }
}

/// Each request, serialized in one plain form, parses to the same request, alone and together with the others. No byte of
/// one request thus belongs to another.
fn alone_and_together(whole: &DryRun) {
    const OF_THE_FORM: [&str; 5] = ["connection", "content-length", "expect", "host", "transfer-encoding"];
    if whole.requests.iter().any(|request| request.headers().len() > MOST_HEADERS - 2) {
        return;
    }
    let mut together = Vec::new();
    for request in &whole.requests {
        together.extend_from_slice(&plain(request, &OF_THE_FORM));
    }
    together.extend_from_slice(SENTINEL.as_bytes());
    let read = dry_run([together.as_slice()], &ROOMY);
    assert_eq!(read.end, Ending::Disconnected);
    assert_eq!(read.requests.len(), whole.requests.len() + 1);
    for (read, meant) in read.requests.iter().zip(&whole.requests) {
        assert_eq!(plain_request(read, &OF_THE_FORM), plain_request(meant, &OF_THE_FORM));
    }
    assert_eq!(read.requests.last().map(Request::target), Some("/--sentinel--"));
}

fn plain(request: &Request, without: &[&str]) -> Vec<u8> {
    let (method, target, lines, body) = plain_request(request, without);
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    let host = request.header("host").unwrap_or("h");
    for (name, value) in lines.into_iter().chain([("host", host)]) {
        // Writing to a string cannot fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let _ = write!(head, "content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}
