//! Certificates: valid ones work, invalid ones are reported, and so are mistakes in the file of trusted
//! authorities.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mission_control_runtime::convex::{
    Backoff, Call, CallClass, CallError, CallReason, Convex, ConvexEndpoint, ConvexLimits, FunctionKind, Ran,
};
use mission_control_runtime::model::BaseUrl;
use mission_control_runtime::redact::Redactor;
use mission_control_runtime::wire::{BadRootsReason, Phases, Roots, RootsSource, Stop};
use rcgen::{CertificateParams, date_time_ymd};
use serde_json::value::RawValue;
use tempfile::TempDir;

use crate::support::scripted_http::answer;
use crate::support::tls_server::{Authority, Identity, TlsServer, params, self_signed};

const GOOD: &str = r#"{"status":"success","value":1.0}"#;

fn server(identity: Identity) -> TlsServer {
    TlsServer::start(identity, answer(200, GOOD))
}

/// The authorities of a file with this text.
fn roots(pem: &str) -> Roots {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("roots.pem");
    std::fs::write(&file, pem).unwrap();
    Roots::load(Some(&file)).unwrap()
}

/// The deadline of all calls here, which none should need.
const PATIENT: Duration = Duration::from_mins(1);

/// Calls an unsafe action, which would be repeated at once if it were known to be unsent.
fn ask(url: &str, roots: &Roots) -> Result<Box<RawValue>, CallError> {
    ask_with(url, roots, PATIENT, PATIENT - Duration::from_secs(1))
}

/// Calls it once, with a short limit for the connection.
fn ask_once(url: &str, roots: &Roots) -> Result<Box<RawValue>, CallError> {
    ask_with(url, roots, Duration::from_secs(1), PATIENT)
}

fn ask_with(
    url: &str,
    roots: &Roots,
    connect: Duration,
    shortest_attempt: Duration,
) -> Result<Box<RawValue>, CallError> {
    let soon = Duration::from_millis(1);
    let (send, answer, body, idle) = (PATIENT, PATIENT, PATIENT, PATIENT);
    let limits = ConvexLimits {
        phases: Phases { connect, send, answer, body, idle, idle_connections: 1 },
        answer_bytes: 4096,
        backoff: Backoff { first: soon, most: soon, overload: soon, shortest_attempt },
    };
    let base = BaseUrl::parse(url).unwrap();
    let convex =
        ConvexEndpoint::with_limits(base, roots, Arc::new(Redactor::default()), limits).client(&Stop::new());
    let args = RawValue::from_string("{}".to_owned()).unwrap();
    convex.call(&Call {
        kind: FunctionKind::Action,
        path: "a:b",
        args: &args,
        deadline: PATIENT,
        may_repeat: false,
    })
}

#[test]
fn a_certificate_of_a_trusted_authority_is_accepted_by_name_and_by_address() {
    let authority = Authority::new("Ours");
    let roots = roots(&authority.pem);
    for host in ["localhost", "127.0.0.1"] {
        let server = server(authority.sign(&params(&[host])));
        let value = ask(&server.url("https", host), &roots).unwrap();
        assert_eq!(value.get(), "1.0");
    }
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server =
            TlsServer::with_versions(authority.sign(&params(&["localhost"])), answer(200, GOOD), &[version]);
        ask(&server.url("https", "localhost"), &roots).unwrap();
    }
}

#[test]
fn a_connection_over_tls_is_kept_and_trust_is_shared() {
    let authority = Authority::new("Ours");
    let server = server(authority.sign(&params(&["localhost"])));
    let base = BaseUrl::parse(&server.url("https", "localhost")).unwrap();
    let endpoint = ConvexEndpoint::new(base, &roots(&authority.pem), Arc::new(Redactor::default()));
    let args = RawValue::from_string("{}".to_owned()).unwrap();
    let call =
        Call { kind: FunctionKind::Action, path: "a:b", args: &args, deadline: PATIENT, may_repeat: false };
    for clients in 1..=2 {
        let convex = endpoint.client(&Stop::new());
        for _ in 0..3 {
            convex.call(&call).unwrap();
        }
        assert_eq!(server.connections(), clients);
    }
}

#[test]
fn a_bad_certificate_is_refused_with_its_reason() {
    let [ours, other, remade] = ["Ours", "Other", "Ours"].map(Authority::new);
    let named = |change: fn(&mut CertificateParams)| {
        let mut params = params(&["localhost"]);
        change(&mut params);
        params
    };
    let rows: Vec<(&str, Identity, &str, Roots, &str)> = vec![
        (
            "wrong name",
            ours.sign(&params(&["elsewhere.example"])),
            "localhost",
            roots(&ours.pem),
            "but for elsewhere.example)",
        ),
        ("no name", ours.sign(&params(&[])), "localhost", roots(&ours.pem), "not issued for this host"),
        (
            "wrong address",
            ours.sign(&params(&["localhost"])),
            "127.0.0.1",
            roots(&ours.pem),
            "not issued for this host",
        ),
        (
            "expired",
            ours.sign(&named(|p| p.not_after = date_time_ymd(2020, 1, 1))),
            "localhost",
            roots(&ours.pem),
            "has expired",
        ),
        (
            "too early",
            ours.sign(&named(|p| p.not_before = date_time_ymd(3000, 1, 1))),
            "localhost",
            roots(&ours.pem),
            "not valid yet",
        ),
        (
            "other authority",
            ours.sign(&params(&["localhost"])),
            "localhost",
            roots(&other.pem),
            "not trusted here",
        ),
        (
            "remade authority",
            ours.sign(&params(&["localhost"])),
            "localhost",
            roots(&remade.pem),
            "SSL_CERT_FILE out of date",
        ),
        (
            "system's authorities",
            ours.sign(&params(&["localhost"])),
            "localhost",
            Roots::load(None).unwrap(),
            "SSL_CERT_FILE",
        ),
        (
            "self-signed",
            self_signed(&params(&["localhost"])),
            "localhost",
            roots(&ours.pem),
            "not trusted here",
        ),
    ];
    for (name, identity, host, roots, words) in rows {
        let server = server(identity);
        let error = ask(&server.url("https", host), &roots).unwrap_err();
        assert_eq!(
            (error.why, error.class, error.ran),
            (CallReason::CertificateRefused, CallClass::Refused, Ran::No),
            "{name}"
        );
        assert!(error.sentence.contains(words), "{name}: {}", error.sentence);
        assert!(error.not_before >= Some(Duration::from_mins(1)), "{name}: {error:?}");
        assert_eq!(server.connections(), 1, "{name}: not retried");
    }
}

#[test]
fn a_self_signed_certificate_can_be_trusted_by_naming_it() {
    let identity = self_signed(&params(&["localhost"]));
    let roots = roots(&identity.pem);
    assert!(roots.describe().starts_with("1 authority from "), "{}", roots.describe());
    ask(&server(identity).url("https", "localhost"), &roots).unwrap();
}

#[test]
fn a_file_of_several_authorities_trusts_each() {
    let [one, other] = ["One", "Other"].map(Authority::new);
    // Comments, keys and blank lines between them are usual.
    let roots = roots(&format!("# private\n{}\n\n# other\n{}", one.pem, other.pem));
    assert_eq!(roots.count(), 2);
    assert!(roots.describe().starts_with("2 authorities from "), "{}", roots.describe());
    for authority in [one, other] {
        let server = server(authority.sign(&params(&["localhost"])));
        ask(&server.url("https", "localhost"), &roots).unwrap();
    }
}

#[test]
fn plain_http_to_a_tls_port_is_reported() {
    let authority = Authority::new("Ours");
    let server = server(authority.sign(&params(&["localhost"])));
    let error = ask(&server.url("http", "localhost"), &roots(&authority.pem)).unwrap_err();
    assert!(matches!(error.why, CallReason::NotConvex | CallReason::LostAnswer), "{error:?}");
    assert_eq!(error.class, CallClass::Ambiguous, "the server may have acted on it");
    assert!(error.sentence.contains("if this is an https port"), "{}", error.sentence);
}

/// Answers each connection with these bytes after its first bytes, and closes it.
fn raw_server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().filter_map(Result::ok) {
            let _ = stream.read(&mut [0; 16 * 1024]);
            let _ = stream.write_all(answer);
        }
    });
    url
}

#[test]
fn tls_to_a_plain_http_port_is_reported() {
    let authority = Authority::new("Ours");
    let roots = roots(&authority.pem);
    let error =
        ask(&raw_server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), &roots).unwrap_err();
    assert_eq!(
        (error.why, error.class, error.ran),
        (CallReason::NoTls, CallClass::Refused, Ran::No),
        "{error:?}"
    );
    assert!(error.sentence.contains("needs http:// in front"), "{}", error.sentence);
    // Closed in the middle of the handshake: the request was never sent.
    let error = ask_once(&raw_server(b""), &roots).unwrap_err();
    assert_eq!(
        (error.why, error.class, error.ran),
        (CallReason::LostAnswer, CallClass::Transient, Ran::No),
        "{error:?}"
    );
    // Silent: the handshake is part of connecting.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = ask_once(&format!("https://{}", listener.local_addr().unwrap()), &roots).unwrap_err();
    assert_eq!(
        (error.why, error.class, error.ran),
        (CallReason::Unreachable, CallClass::Transient, Ran::No),
        "{error:?}"
    );
}

#[test]
fn a_mistake_in_the_file_of_authorities_is_reported_as_a_sentence() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let good = Authority::new("Ours").pem;
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let broken = good.replacen("MII", "AAA", 1);
    let large = at("large", b"");
    std::fs::File::options().write(true).open(&large).unwrap().set_len(17 * 1024 * 1024).unwrap();
    let rows = [
        (folder.path().join("nowhere"), BadRootsReason::Missing, "does not exist"),
        (folder.path().to_owned(), BadRootsReason::Directory, "is a directory"),
        ("/dev/null".into(), BadRootsReason::Unreadable(std::io::ErrorKind::InvalidInput), "cannot be read"),
        (large, BadRootsReason::TooLarge, "larger than 16 MiB"),
        (at("empty", b""), BadRootsReason::Empty, "holds no certificate"),
        (at("text", b"trust everybody\n"), BadRootsReason::Empty, "holds no certificate"),
        (at("binary", &[0x30, 0x82, 0xff, 0xfe, 0x00]), BadRootsReason::Empty, "holds no certificate"),
        (at("key", key.as_bytes()), BadRootsReason::Empty, "holds no certificate"),
        (
            at("cut", &good.as_bytes()[..good.len() - 30]),
            BadRootsReason::Malformed(1),
            "no. 1 in it is malformed",
        ),
        (at("broken", broken.as_bytes()), BadRootsReason::Malformed(1), "no. 1 in it is malformed"),
        (
            at("second", format!("{good}{broken}").as_bytes()),
            BadRootsReason::Malformed(2),
            "no. 2 in it is malformed",
        ),
    ];
    for (path, reason, words) in rows {
        let error = Roots::load(Some(&path)).unwrap_err();
        assert_eq!((&error.path, error.reason), (&path, reason), "{path:?}");
        let sentence = error.to_string();
        assert!(sentence.starts_with("SSL_CERT_FILE: ") && sentence.contains(words), "{sentence}");
        assert!(sentence.contains(&path.display().to_string()), "{sentence}");
    }
}

#[test]
fn without_a_file_some_authorities_are_always_trusted() {
    let roots = Roots::load(None).unwrap();
    match roots.source() {
        RootsSource::System(path) => assert!(Path::new(path).is_file() && roots.count() > 0),
        RootsSource::Bundled => assert!(roots.count() > 100),
        RootsSource::Named(path) => panic!("no test named {}", path.display()),
    }
}
