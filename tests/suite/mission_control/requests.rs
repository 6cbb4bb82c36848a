//! HTTP requests of all sizes and shapes: each gets a clear response, and no response contains a token.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use mission_control_runtime::local::http_api::BODY_BYTES;
use serde_json::{Value, json};

use super::process::{Client, Process, program};
use super::seeds::refusal;

/// A server with an agent and a task. No answer may contain its secrets.
struct TestServer {
    process: Process,
    agent: String,
    task: String,
}

impl TestServer {
    fn new() -> Self {
        let process =
            Process::start(program(Path::new(":memory:"))).unwrap_or_else(|(_, why)| panic!("{why}"));
        let args = json!({"name": "Ada", "slug": "ada", "role": "Engineer"});
        let agent = process.client.person("agents:create", args).unwrap();
        let task = process.client.person("tasks:create", json!({"title": "Fix login"})).unwrap();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        Self { agent: word(&agent), task: word(&task), process }
    }

    fn client(&self) -> &Client {
        &self.process.client
    }

    /// Posts a body. Returns status and response, which must not contain a token.
    fn post(&self, body: &[u8], as_person: bool) -> (u16, String) {
        let endpoint = if as_person { "/api/mutation" } else { "/api/action" };
        let (status, answer) = self.client().post(endpoint, body, as_person).unwrap();
        self.holds_no_secret(&answer);
        (status, answer)
    }

    fn holds_no_secret(&self, answer: &str) {
        let (_, secret) = self.client().token.rsplit_once('_').unwrap();
        for secret in [&self.client().token, &self.client().admin_key, secret] {
            assert!(!answer.contains(secret), "a response contains a secret");
        }
    }

    /// Calls a service function with our token and these arguments. Returns the text of its error.
    fn refused(&self, name: &str, mut args: Value) -> String {
        args["accountId"] = json!(self.client().account);
        args["serviceToken"] = json!(self.client().token);
        self.refused_as_it_is(name, &args)
    }

    fn refused_as_it_is(&self, name: &str, args: &Value) -> String {
        let body = json!({"path": format!("service/actions:{name}"), "args": args}).to_string();
        let (status, answer) = self.post(body.as_bytes(), false);
        assert_eq!(status, 200, "{name}: {answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["status"], "error", "{name}: {answer}");
        refusal(Err(answer["errorMessage"].as_str().unwrap().to_owned()))
    }
}

/// Sends as many of these bytes as the server takes. Returns status and body of the response.
fn exchange(server: &TestServer, bytes: &[u8]) -> (u16, Value) {
    let mut stream = TcpStream::connect(server.client().url.strip_prefix("http://").unwrap()).unwrap();
    let mut writing = stream.try_clone().unwrap();
    let bytes = bytes.to_vec();
    // The server may respond and close the connection before it has read everything.
    let writer = std::thread::spawn(move || writing.write_all(&bytes).is_ok());
    let mut answer = Vec::new();
    let mut piece = [0; 512];
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        answer.extend_from_slice(&piece[..read]);
    }
    writer.join().unwrap();
    let answer = String::from_utf8(answer).unwrap();
    server.holds_no_secret(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|why| panic!("{why}: {answer}")))
}

/// A request of which only the head arrives.
fn announced(server: &TestServer, header: &str) -> (u16, Value) {
    exchange(server, head(header).as_bytes())
}

fn head(header: &str) -> String {
    format!(
        "POST /api/action HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{header}\r\n\r\n"
    )
}

#[test]
fn refusals_of_the_http_server_have_the_platforms_form() {
    let server = TestServer::new();
    let chunks = |chunks: &str| [head("Transfer-Encoding: chunked").as_bytes(), chunks.as_bytes()].concat();
    let too_large = format!("{:x}\r\n", BODY_BYTES + 1);
    let two = format!("400\r\n{}\r\n{:x}\r\n", "x".repeat(1024), BODY_BYTES - 1023);
    let long_header = head(&format!("X-Long: {}", "x".repeat(20_000)));
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(9_000));
    let rows: [(&str, Vec<u8>, u16, &str); 11] = [
        ("length", head(&format!("Content-Length: {}", BODY_BYTES + 1)).into(), 400, "BadJsonBody"),
        ("one chunk", chunks(&too_large), 400, "BadJsonBody"),
        ("two chunks", chunks(&two), 400, "BadJsonBody"),
        ("no chunk", chunks("what?\r\n"), 400, "BadRequest"),
        ("two lengths", head("Content-Length: 1\r\nContent-Length: 2").into(), 400, "BadRequest"),
        ("no request", b"what?\r\n\r\n".to_vec(), 400, "BadRequest"),
        ("header", long_header.into(), 431, "RequestHeaderFieldsTooLarge"),
        ("target", long_target.into(), 414, "UriTooLong"),
        ("expectation", head("Expect: wonders").into(), 417, "ExpectationFailed"),
        ("coding", head("Transfer-Encoding: gzip").into(), 501, "NotImplemented"),
        ("version", b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n".to_vec(), 505, "HttpVersionNotSupported"),
    ];
    for (name, bytes, status, code) in rows {
        let (answered, body) = exchange(&server, &bytes);
        assert_eq!((answered, &body["code"]), (status, &json!(code)), "{name}: {body}");
        assert!(body["message"].as_str().is_some_and(|why| why.len() > 10), "{name}: {body}");
        assert_eq!(body.as_object().unwrap().len(), 2, "{name}: {body}");
    }
    assert!(server.client().look("tasks:list", json!({})).is_ok(), "the server continues");
}

#[test]
fn a_body_may_be_as_large_as_on_the_platform_and_one_byte_more_is_refused() {
    let server = TestServer::new();
    for length in [BODY_BYTES + 1, usize::MAX] {
        let (status, body) = announced(&server, &format!("Content-Length: {length}"));
        assert_eq!((status, &body["code"]), (400, &json!("BadJsonBody")), "{body}");
    }

    let args = json!({"accountId": server.client().account, "title": "t", "description": ""});
    let body = json!({"path": "tasks:create", "args": args}).to_string();
    let padded = |length: usize| {
        let letters = "x".repeat(length - body.len());
        body.replace("\"description\":\"\"", &format!("\"description\":\"{letters}\""))
    };
    // The largest body is read completely, and then refused by the function.
    let (status, answer) = server.post(padded(BODY_BYTES).as_bytes(), true);
    assert_eq!(status, 200);
    assert!(answer.contains("Description too long"), "{answer}");
    // The server works on, and nothing was stored.
    assert_eq!(server.client().look("tasks:list", json!({})).unwrap().as_array().unwrap().len(), 1);
}

#[test]
fn invalid_json_is_refused() {
    let server = TestServer::new();
    let token = &server.client().token;
    let wrap = |args: &str| format!(r#"{{"path":"service/actions:listAgents","args":{args}}}"#).into_bytes();
    let deep = |open: &str, close: &str, depth: usize| open.repeat(depth) + "1" + &close.repeat(depth);
    let rows: [(&str, Vec<u8>); 14] = [
        ("nothing", Vec::new()),
        ("a byte order mark", [b"\xEF\xBB\xBF".to_vec(), wrap("{}")].concat()),
        ("nested lists", wrap(&deep("[", "]", 1_000))),
        ("very nested lists", wrap(&deep("[", "]", 1_000_000))),
        ("nested objects", wrap(&deep("{\"a\":", "}", 100_000))),
        ("only opened", wrap(&"[".repeat(1_000_000))),
        (
            "invalid UTF-8",
            wrap("{\"a\":\"\u{1}\"}").into_iter().map(|b| if b == 1 { 0xFF } else { b }).collect(),
        ),
        ("overlong UTF-8", [b"{\"path\":\"".as_slice(), b"\xC0\xAF\"}"].concat()),
        ("an encoded surrogate", [b"{\"path\":\"".as_slice(), b"\xED\xA0\x80\"}"].concat()),
        ("a control character", wrap("{\"a\":\"\u{0}\"}")),
        ("a number that is too large", wrap(r#"{"limit":1e999}"#)),
        ("not a number", wrap(r#"{"limit":NaN}"#)),
        ("a second value", [wrap("{}"), b"{}".to_vec()].concat()),
        ("a token in it", format!(r#"{{"serviceToken":"{token}" "{token}"}}"#).into_bytes()),
    ];
    for (name, body) in rows {
        let (status, answer) = server.post(&body, false);
        assert_eq!(status, 400, "{name}: {answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["code"], "BadJsonBody", "{name}: {answer}");
    }
    assert!(server.client().service("listAgents", json!({})).is_ok());
}

#[test]
fn json_with_wrong_arguments_is_refused() {
    let server = TestServer::new();
    let many = Value::from(vec![json!(server.agent); 100_000]);
    let numbers = Value::from(vec![0; 1_000_000]);
    let mismatch = "ArgumentValidationError: Value does not match validator.";
    let (agent, task) = (&server.agent, &server.task);
    let rows = [
        ("listAgents", json!([]), mismatch),
        ("listAgents", numbers.clone(), mismatch),
        ("listAgents", json!("text"), mismatch),
        ("listAgents", Value::Null, mismatch),
    ];
    for (name, args, words) in rows {
        let said = server.refused_as_it_is(name, &args);
        assert!(said.starts_with(words), "{name}: {said}");
    }
    let rows = [
        ("listUndeliveredNotifications", json!({"limit": {"$integer": "AAAAAAAA8D8="}}), mismatch),
        ("listUndeliveredNotifications", json!({"limit": {"$float": "AAAA"}}), mismatch),
        ("listUndeliveredNotifications", json!({"limit": "5"}), mismatch),
        ("listUndeliveredNotifications", json!({"limit": numbers}), mismatch),
        (
            "createTaskFromAgent",
            json!({"agentId": agent, "title": "t", "priority": {"$bytes": "AAAA"}}),
            mismatch,
        ),
        (
            "assignTaskFromAgent",
            json!({"agentId": agent, "taskId": task, "assignedAgentIds": numbers}),
            mismatch,
        ),
        (
            "createResponseRequestNotifications",
            json!({"requesterAgentId": agent, "taskId": task, "recipientSlugs": many, "message": "m"}),
            "Too many recipients: max 10 allowed per request",
        ),
        (
            "createMessageFromAgent",
            json!({"agentId": agent, "taskId": task, "content": "😀".repeat(50_001)}),
            "Message content too long (max 100000 characters)",
        ),
        ("getTaskForAgentTool", json!({"agentId": agent, "taskId": "\u{0}"}), mismatch),
        ("getTaskForAgentTool", json!({"agentId": agent, "taskId": "x".repeat(1_000_000)}), mismatch),
        (
            "getTaskForAgentTool",
            json!({"agentId": agent, "taskId": agent}),
            "ArgumentValidationError: Found ID",
        ),
    ];
    for (name, args, words) in rows {
        let said = server.refused(name, args);
        assert!(said.starts_with(words), "{name}: {}", said.chars().take(200).collect::<String>());
    }
    // The platform's notation for numbers that JSON cannot express is accepted, and the limit is clamped.
    for limit in [json!({"$float": "AAAAAAAA8H8="}), json!(1e308), json!(-1e308), json!(0.5)] {
        assert_eq!(
            server.client().service("listUndeliveredNotifications", json!({"limit": limit})).unwrap(),
            json!([])
        );
    }
}

#[test]
fn every_text_is_returned_unchanged() {
    let server = TestServer::new();
    let texts = [
        "\u{0}",
        "a\u{0}b",
        "\u{7f}\u{80}\u{9f}",
        "\u{feff}mark",
        "\u{ffff}\u{fffe}",
        "\u{10ffff}",
        "👩‍👩‍👧",
        "e\u{301}é",
        "\u{202e}right to left",
        "\u{2028}\u{2029}",
        "'; DROP TABLE tasks; --",
        "\\\"\\u0000",
        "<script>",
        "\r\n\t",
        "@",
        "@\u{0}",
        "{\"$float\":\"AAAAAAAA8H8=\"}",
        "%00%s$1{{NONCE}}",
    ];
    for content in texts {
        let args = json!({"taskId": server.task, "agentId": server.agent, "content": content});
        server.client().service("createMessageFromAgent", args).unwrap();
        server.client().person("tasks:create", json!({"title": content, "labels": [content]})).unwrap();
    }
    let thread = server.client().look("messages:listByTask", json!({"taskId": server.task})).unwrap();
    let thread: Vec<&str> =
        thread.as_array().unwrap().iter().map(|row| row["content"].as_str().unwrap()).collect();
    assert_eq!(thread, texts);
    let tasks = server.client().look("tasks:list", json!({})).unwrap();
    let titles: Vec<&str> =
        tasks.as_array().unwrap()[1..].iter().map(|row| row["title"].as_str().unwrap()).collect();
    assert_eq!(titles, texts);
    // A pair of escapes is one character.
    let body = format!(
        r#"{{"path":"tasks:create","args":{{"accountId":"{}","title":"\ud83d\ude00"}}}}"#,
        server.client().account
    );
    assert_eq!(server.post(body.as_bytes(), true).0, 200);
    let tasks = server.client().look("tasks:list", json!({})).unwrap();
    assert_eq!(tasks.as_array().unwrap().last().unwrap()["title"], "😀");
}

/// A caller that confuses fields must not find the token in the response, and thus in logs.
#[test]
fn a_token_in_the_wrong_field_is_not_repeated() {
    let server = TestServer::new();
    let (client, agent, task) = (server.client(), &server.agent, &server.task);
    for secret in [client.token.clone(), format!(" {}", client.token), client.admin_key.clone()] {
        let rows = [
            ("listAgents", json!({&secret: 1})),
            ("listAgents", json!({"extra": {&secret: 1}})),
            (&secret, json!({})),
            ("getTaskForAgentTool", json!({"agentId": secret, "taskId": secret})),
            ("getTaskForAgentTool", json!({"agentId": agent, "taskId": [secret]})),
            ("updateTaskStatusFromAgent", json!({"agentId": agent, "taskId": task, "status": secret})),
            (
                "createResponseRequestNotifications",
                json!({"requesterAgentId": agent, "taskId": task, "recipientSlugs": [secret], "message": "m"}),
            ),
        ];
        for (name, args) in rows {
            server.refused(name, args);
        }
        let token_elsewhere = json!({"accountId": secret, "serviceToken": client.account});
        server.refused_as_it_is("listAgents", &token_elsewhere);
        let bodies = [
            json!({"path": secret, "args": {}}),
            json!({"path": {"a": secret}, "args": {}}),
            json!({"path": "service/actions:listAgents", "args": [secret]}),
            json!({"path": "service/actions:listAgents", "args": {}, "format": secret}),
            json!({"path": format!("{secret}:x.js:y"), "args": secret}),
            json!(secret),
        ];
        for body in bodies {
            server.post(body.to_string().as_bytes(), false);
            server.post(body.to_string().as_bytes(), true);
        }
        // The same in headers.
        for name in
            ["Convex-Request-Id", "Convex-Client", "Authorization", "Content-Type", "Origin", "Cookie"]
        {
            let request = super::board::agent().post(format!("{}/api/action", client.url));
            let request = request.header("Content-Type", "application/json").header(name, &secret);
            let body = json!({"path": "service/actions:nothing", "args": {}}).to_string();
            let mut answer = request.send(body).unwrap();
            let headers = format!("{:?}", answer.headers());
            server.holds_no_secret(&(answer.body_mut().read_to_string().unwrap() + &headers));
        }
        let mut answer =
            super::board::agent().get(format!("{}/{}", client.url, secret.trim())).call().unwrap();
        server.holds_no_secret(&answer.body_mut().read_to_string().unwrap());
    }
}

#[test]
fn invalid_tokens_and_missing_rows_are_refused() {
    let server = TestServer::new();
    let (client, agent) = (server.client(), &server.agent);
    let (account, token) = (&client.account, &client.token);
    let secret = token.rsplit_once('_').unwrap().1;
    let other = format!("{}{}", &account[..2], "0".repeat(30));
    let rows = [
        (account, String::new(), "Invalid service token format"),
        (account, "x".repeat(600), "Invalid service token"),
        (account, "mc_service_x".to_owned(), "Invalid service token structure"),
        (account, format!("mc_service_{other}_{secret}"), "Not found: Account does not exist"),
        (account, format!("mc_service_{account}_"), "Invalid service token"),
        (account, format!("mc_service_{account}_{secret}x"), "Invalid service token"),
        (account, format!("mc_service_{account}_{}", secret.to_uppercase() + "x"), "Invalid service token"),
        (account, format!("mc_service_{agent}_{secret}"), "ArgumentValidationError: Value does not match"),
        (&other, token.clone(), "Forbidden: Service token does not match account"),
    ];
    for (account, token, words) in rows {
        let said =
            server.refused_as_it_is("listAgents", &json!({"accountId": account, "serviceToken": token}));
        assert!(said.starts_with(words), "{said}");
    }
    let gone = |prefix: &str| format!("{prefix}{}", "0".repeat(30));
    let rows = [
        (
            "getTaskForAgentTool",
            json!({"agentId": gone("js"), "taskId": server.task}),
            "Not found: Agent does not exist",
        ),
        (
            "markNotificationRead",
            json!({"notificationId": gone("jn")}),
            "Not found: Notification does not exist",
        ),
        (
            "createMessageFromAgent",
            json!({"agentId": agent, "taskId": gone("kx"), "content": "c"}),
            "Not found: Task does not exist",
        ),
    ];
    for (name, args, words) in rows {
        assert_eq!(server.refused(name, args), words);
    }
}
