//! The HTTP API (convex-http-api A.2, A.3; backend-contract §1.4): refusals before any function runs, the forms of
//! errors, and the authentication of people.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mission_control_runtime::local::Options;
use serde_json::{Value, json};
use ureq::http::Response;

use super::board::{ADMIN_KEY, Board, agent};

/// Posts a body with headers. Returns the response.
fn post(board: &Board, path: &str, headers: &[(&str, &str)], body: &str) -> Response<String> {
    let mut request = agent().post(format!("{}{path}", board.url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send(body).unwrap();
    let (parts, mut body) = answer.into_parts();
    Response::from_parts(parts, body.read_to_string().unwrap())
}

/// No answer takes this long, even on a loaded machine.
const PATIENCE: Duration = Duration::from_mins(1);
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn list_agents(board: &Board) -> Value {
    json!({"path": "service/actions:listAgents", "args": {"accountId": board.account, "serviceToken": board.token}})
}

/// Path, headers and body; status and text of the response.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);

#[test]
fn invalid_requests_are_refused_in_the_platforms_words() {
    let board = Board::new();
    let good = list_agents(&board).to_string();
    let cut = &good[..good.len() - 1];
    let no_args = json!({"path": "service/actions:listAgents"}).to_string();
    let typo =
        json!({"path": "service/actions:listAgents", "format": "jsno", "args": list_agents(&board)["args"]})
            .to_string();
    let rows: [Row<'_>; 16] = [
        ("/api/action", &[JSON], &good, 200, "success"),
        ("/api/action", &[("Content-Type", "application/json; charset=utf-8")], &good, 200, "success"),
        ("/api/action", &[("Content-Type", "application/vnd.x+json")], &good, 200, "success"),
        ("/api/action", &[JSON, ("Convex-Client", "npm-1.31.7")], &good, 200, "success"),
        ("/api/action", &[JSON, ("Convex-Client", "nonsense")], &good, 400, "InvalidClientVersion"),
        ("/api/action", &[("Content-Type", "text/plain")], &good, 400, "BadJsonBody"),
        ("/api/action", &[], &good, 400, "BadJsonBody"),
        ("/api/action", &[JSON], cut, 400, "BadJsonBody"),
        ("/api/action", &[JSON], "", 400, "BadJsonBody"),
        ("/api/action", &[JSON], "null", 400, "BadJsonBody"),
        ("/api/action", &[JSON], &no_args, 400, "BadJsonBody"),
        ("/api/action", &[JSON], &typo, 400, "BadFormat"),
        ("/api/action", &[JSON, ("Authorization", "Bearer x")], &good, 401, "InvalidAuthHeader"),
        ("/api/action", &[JSON, ("Authorization", "Convex wrong")], &good, 403, "BadDeployKey"),
        ("/api/nothing", &[JSON], &good, 404, ""),
        ("/login", &[JSON], r#"{"key":"wrong"}"#, 401, "admin key"),
    ];
    for (path, headers, body, status, words) in rows {
        let answer = post(&board, path, headers, body);
        assert_eq!(answer.status(), status, "{path} {headers:?} {body}: {}", answer.body());
        assert!(answer.body().contains(words), "{path} {headers:?}: {}", answer.body());
        assert!(!answer.body().contains(&board.token) && !answer.body().contains(ADMIN_KEY));
    }
}

#[test]
fn positional_arguments_and_js_paths_are_accepted() {
    let board = Board::new();
    let args = &list_agents(&board)["args"];
    for (path, args) in
        [("service/actions.js:listAgents", json!([args])), ("service/actions:listAgents", args.clone())]
    {
        let body =
            json!({"path": path, "format": "convex_encoded_json", "args": args, "unknown": 1}).to_string();
        let answer: Value = serde_json::from_str(post(&board, "/api/action", &[JSON], &body).body()).unwrap();
        assert_eq!(answer, json!({"status": "success", "value": []}));
    }
}

/// §1.4: each form, plain and redacted.
#[test]
fn errors_have_the_platforms_forms() {
    let literal = "Uncaught Error: Not found: Agent does not exist\n    at handler";
    let missing = format!("js{}", "0".repeat(30));
    let other = format!("kx{}", "0".repeat(30));
    let rows = [
        ("action", "getTaskForAgentTool", json!({"agentId": missing, "taskId": other}), literal),
        (
            "action",
            "getTaskForAgentTool",
            json!({"agentId": other, "taskId": other}),
            "ArgumentValidationError: Found ID",
        ),
        (
            "action",
            "getTaskForAgentTool",
            json!({"agentId": "abc", "taskId": other}),
            "ArgumentValidationError: Value does not match validator.\nPath: .agentId\nValue: \"abc\"\nValidator: v.id(\"agents\")",
        ),
        (
            "action",
            "getTaskForAgentTool",
            json!({"agentId": missing}),
            "ArgumentValidationError: Object is missing the required field `taskId`",
        ),
        (
            "action",
            "listAgents",
            json!({"extra": 1}),
            "ArgumentValidationError: Object contains extra field `extra` that is not in the validator.",
        ),
        ("action", "nothing", json!({}), "Could not find public function for 'service/actions:nothing'"),
        (
            "query",
            "listAgents",
            json!({}),
            "Trying to execute service/actions.js:listAgents as Query, but it is defined as Action.",
        ),
    ];
    for redact in [false, true] {
        let board = Board::with(Options { redact, ..Options::default() });
        for (endpoint, name, args, words) in &rows {
            let mut args = args.clone();
            args["accountId"] = json!(board.account);
            args["serviceToken"] = json!(board.token);
            let body = json!({"path": format!("service/actions:{name}"), "args": args}).to_string();
            let id = ("Convex-Request-Id", "feedfacefeedface");
            let answer = post(&board, &format!("/api/{endpoint}"), &[JSON, id], &body);
            assert_eq!(answer.status(), 200);
            let answer: Value = serde_json::from_str(answer.body()).unwrap();
            assert_eq!(answer["status"], "error");
            let message = answer["errorMessage"].as_str().unwrap();
            let head = "[Request ID: feedfacefeedface] Server Error";
            if redact {
                assert_eq!(message, head);
            } else {
                let text = message.strip_prefix(&format!("{head}\n")).unwrap();
                assert!(text.starts_with(words), "{name}: {text}");
            }
            assert!(!message.contains(&board.token));
        }
    }
}

#[test]
fn a_missing_request_id_is_generated() {
    let board = Board::new();
    let body = json!({"path": "a:b", "args": {}}).to_string();
    let answer = post(&board, "/api/query", &[JSON], &body);
    let id = answer.body().split("[Request ID: ").nth(1).unwrap().split(']').next().unwrap().to_owned();
    assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
}

/// Otherwise every agent on the host could approve its own work, and every page in a browser on this machine could
/// send requests.
#[test]
fn only_callers_with_the_admin_key_are_people() {
    let board = Board::new();
    let body = json!({"path": "tasks:list", "args": {"accountId": board.account}}).to_string();
    let ask = |headers: &[(&str, &str)]| {
        let answer = post(&board, "/api/query", &[&[JSON], headers].concat(), &body);
        (
            answer.status().as_u16(),
            answer.body().contains("\"success\""),
            answer.body().contains("Unauthenticated"),
        )
    };
    let (no, yes) = ((200, false, true), (200, true, false));
    assert_eq!(ask(&[]), no);
    assert_eq!(ask(&[("Authorization", &format!("Convex {ADMIN_KEY}"))]), yes);

    let login = post(&board, "/login", &[JSON], &json!({"key": ADMIN_KEY}).to_string());
    assert_eq!(login.status(), 200);
    let set = login.headers()["Set-Cookie"].to_str().unwrap();
    assert!(set.contains("HttpOnly; SameSite=Strict") && !set.contains(ADMIN_KEY), "{set}");
    let host = board.url().strip_prefix("http://").unwrap().to_owned();
    let port = host.split(':').nth(1).unwrap();
    let Login { cookie, proof } = Login::of(&login);
    let value = cookie.strip_prefix(&format!("mission-control-{port}=")).expect("the port is in its name");
    assert!(value.len() == 32 && proof.len() == 32 && value != proof, "128 bits each");
    let proof = ("X-Mission-Control", proof.as_str());
    let another = log_in(&board);
    let (many, other_port) = (format!("a=b; {cookie}"), format!("mission-control-1={value}"));

    let rows: [(&str, &[(&str, &str)], _); 11] = [
        ("both", &[("Cookie", &cookie), proof], yes),
        ("among others", &[("Cookie", &many), proof], yes),
        ("our own page", &[("Cookie", &cookie), proof, ("Origin", &format!("http://{host}"))], yes),
        ("only the cookie, as a server on another port gets it", &[("Cookie", &cookie)], no),
        ("an empty proof", &[("Cookie", &cookie), ("X-Mission-Control", "")], no),
        ("a guessed proof", &[("Cookie", &cookie), ("X-Mission-Control", &"0".repeat(32))], no),
        ("the cookie as the proof", &[("Cookie", &cookie), ("X-Mission-Control", value)], no),
        ("another login's proof", &[("Cookie", &cookie), ("X-Mission-Control", &another.proof)], no),
        ("the proof alone", &[proof], no),
        ("a guessed cookie", &[("Cookie", &format!("mission-control-{port}=guess")), proof], no),
        ("the cookie of another port", &[("Cookie", &other_port), proof], no),
    ];
    for (what, headers, expected) in rows {
        assert_eq!(ask(headers), expected, "{what}");
    }
    // A page of another origin, and a host name that was rebound to this machine.
    for header in [("Origin", "http://evil.example"), ("Origin", "null"), ("Host", "evil.example")] {
        assert_eq!(ask(&[("Cookie", &cookie), proof, header]).0, 403, "{header:?}");
    }

    let out = |headers: &[_]| post(&board, "/logout", &[&[JSON], headers].concat(), "").status().as_u16();
    assert_eq!((out(&[("Cookie", &cookie)]), ask(&[("Cookie", &cookie), proof])), (204, yes));
    assert_eq!((out(&[("Cookie", &cookie), proof]), ask(&[("Cookie", &cookie), proof])), (204, no));
    assert_eq!(ask(&[("Cookie", &another.cookie), ("X-Mission-Control", &another.proof)]), yes);
}

/// JavaScript writes half of a surrogate pair if it cuts an emoji. The rest of the text must survive.
#[test]
fn half_an_emoji_is_replaced_and_the_rest_of_the_text_is_kept() {
    let board = Board::new();
    let body = json!({"path": "tasks:create", "args": {"accountId": board.account, "title": "cut HALF"}});
    let body = body.to_string().replace("HALF", r"\ud83d");
    let key = format!("Convex {ADMIN_KEY}");
    let answer = post(&board, "/api/mutation", &[JSON, ("Authorization", &key)], &body);
    assert!(answer.body().contains("\"success\""), "{}", answer.body());
    assert!(board.rows("tasks").iter().any(|task| task["title"] == "cut \u{fffd}"));
}

#[test]
fn the_page_has_a_strict_policy_and_a_new_nonce() {
    let board = Board::new();
    let page = || {
        let mut answer = agent().get(format!("{}/", board.url())).call().unwrap();
        let policy = answer.headers()["Content-Security-Policy"].to_str().unwrap().to_owned();
        (policy, answer.body_mut().read_to_string().unwrap())
    };
    let (policy, text) = page();
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    assert!(text.contains(&format!("nonce=\"{nonce}\"")) && !text.contains("{{NONCE}}"));
    assert_ne!(page().0, policy, "each page has a new nonce");
}

#[test]
fn changes_are_streamed_immediately() {
    let board = Board::new();
    let without = agent().get(format!("{}/changes", board.url())).call().unwrap();
    assert_eq!(without.status(), 401);

    let cookie = log_in(&board).cookie;
    let stream = agent().get(format!("{}/changes", board.url())).header("Cookie", &cookie).call().unwrap();
    assert_eq!(stream.headers()["Content-Type"], "text/event-stream");
    let mut lines = BufReader::new(stream.into_body().into_reader()).lines().map(Result::unwrap);
    let mut next = || -> u64 {
        let line = lines.by_ref().find(|line| line.starts_with("data: ")).unwrap();
        line["data: ".len()..].parse().unwrap()
    };
    let before = next();
    board.person("tasks:create", json!({"title": "Write it down"})).unwrap();
    assert!(next() > before);
}

/// The credentials of a browser.
struct Login {
    cookie: String,
    proof: String,
}

impl Login {
    fn of(answer: &Response<String>) -> Self {
        let body: Value = serde_json::from_str(answer.body()).unwrap();
        let cookie = answer.headers()["Set-Cookie"].to_str().unwrap().split(';').next().unwrap();
        Self { cookie: cookie.to_owned(), proof: body["proof"].as_str().unwrap().to_owned() }
    }
}

fn log_in(board: &Board) -> Login {
    Login::of(&post(board, "/login", &[JSON], &json!({"key": ADMIN_KEY}).to_string()))
}

/// The raw bytes of a stream of changes.
struct Raw {
    stream: TcpStream,
    /// Received text that no call has waited for yet.
    rest: String,
    /// The text before the last match.
    passed: String,
}

impl Raw {
    fn open(board: &Board, cookie: &str) -> Self {
        let host = board.url().strip_prefix("http://").unwrap().to_owned();
        let mut stream = TcpStream::connect(&host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /changes HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n").unwrap();
        Self { stream, rest: String::new(), passed: String::new() }
    }

    /// Whether this text arrives, after the last match.
    fn says(&mut self, words: &str) -> bool {
        let mut piece = [0; 1024];
        let began = Instant::now();
        loop {
            if let Some(at) = self.rest.find(words) {
                self.passed = self.rest.drain(..at + words.len()).collect();
                return true;
            }
            match self.stream.read(&mut piece) {
                Ok(bytes) if bytes > 0 && began.elapsed() < PATIENCE => {
                    self.rest.push_str(std::str::from_utf8(&piece[..bytes]).unwrap());
                }
                _ => return false,
            }
        }
    }

    /// Whether the last chunk arrives, which ends the stream properly.
    fn ends(&mut self) -> bool {
        self.says("\r\n0\r\n\r\n")
    }
}

#[test]
fn a_stream_starts_with_its_retry_time() {
    let board = Board::new();
    let mut stream = Raw::open(&board, &log_in(&board).cookie);
    assert!(stream.says("\r\n\r\n"));
    assert!(stream.says("\r\nretry: 1000\ndata: "));
}

/// Every stream occupies one of the server's 256 connections.
#[test]
fn too_many_streams_end_the_oldest_and_leave_connections_for_requests() {
    let board = Board::new();
    let cookie = log_in(&board).cookie;
    let mut streams = Vec::new();
    for number in 0..66 {
        streams.push(Raw::open(&board, &cookie));
        assert!(streams[number].says("data: "), "{number}");
    }
    assert!(streams[0].ends() && streams[1].ends());
    board.person("tasks:create", json!({"title": "Write it down"})).unwrap();
    for (number, stream) in streams.iter_mut().enumerate().skip(2) {
        assert!(stream.says("data: "), "{number}");
    }

    let crowd: Vec<_> = (0..300).map(|_| Raw::open(&board, &cookie)).collect();
    for _ in 0..5 {
        let answer = agent().get(format!("{}/version", board.url())).call().unwrap();
        assert_eq!(answer.status(), 200);
    }
    drop((streams, crowd));
    // And there is space again.
    let came = (0..30).any(|_| Raw::open(&board, &cookie).says("data: "));
    assert!(came);
}

#[test]
fn a_stream_ends_with_its_login() {
    type Deed = fn(&Board, &Login, &Login);
    let rows: [(&str, Deed, bool); 4] = [
        ("nothing", |_, _, _| {}, false),
        ("it logs out", |board, own, _| out(board, own), true),
        ("another logs out", |board, _, other| out(board, other), false),
        ("64 others log in", |board, _, _| (0..64).for_each(|_| drop(log_in(board))), true),
    ];
    for (what, happens, ends) in rows {
        let board = Board::new();
        let (own, other) = (log_in(&board), log_in(&board));
        let mut stream = Raw::open(&board, &own.cookie);
        assert!(stream.says("data: "), "{what}");
        happens(&board, &own, &other);
        board.person("tasks:create", json!({"title": "Write it down"})).unwrap();
        if ends {
            assert!(stream.ends() && !stream.passed.contains("data: "), "{what}: {}", stream.passed);
        } else {
            assert!(stream.says("data: "), "{what}");
        }
    }
}

fn out(board: &Board, login: &Login) {
    let headers = [JSON, ("Cookie", login.cookie.as_str()), ("X-Mission-Control", &login.proof)];
    assert_eq!(post(board, "/logout", &headers, "").status(), 204);
}
