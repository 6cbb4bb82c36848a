//! §2 and §7: paths, methods, tokens, probes.

use serde_json::{Value, json};

use super::super::*;

#[test]
fn requires_the_token() {
    let target = Target::both();
    let wrong = ("Authorization", "Bearer not-the-token".to_owned());
    for headers in [Vec::new(), vec![wrong]] {
        let answer = target.send(PATH, &headers, "{no json").unwrap();
        assert_eq!(answer.refusal(), (401, "unauthorized".into(), "Unauthorized".into()));
        assert_eq!(target.get("/v1/models", &headers).status, 401);
        assert_eq!(target.get("/sessions/agent:engineer:x/history", &headers).status, 401);
        assert_eq!(target.get("/__openclaw/control-ui-config.json", &headers).status, 401);
    }
}

#[test]
fn other_methods_receive_the_allowed_ones() {
    let target = Target::both();
    for headers in [Vec::new(), vec![target.bearer()]] {
        let answer = target.get(PATH, &headers);
        assert_eq!(
            (answer.status, answer.header("allow"), answer.body.as_str()),
            (405, "POST", "Method Not Allowed")
        );
    }
    let rows =
        [("/health", "GET, HEAD"), ("/v1/models", "GET"), ("/sessions/agent:engineer:x/history", "GET")];
    for (path, allowed) in rows {
        let answer = target.send(path, &[target.bearer()], "{}").unwrap();
        assert_eq!((answer.status, answer.header("allow")), (405, allowed), "{path}");
    }
    assert_eq!(target.send("/nothing", &[target.bearer()], "{}").unwrap().status, 404);
}

#[test]
fn probes_are_json_and_other_paths_the_page() {
    let target = Target::both();
    for path in ["/health", "/healthz"] {
        assert_eq!(target.get(path, &[]).json(), json!({"ok": true, "status": "live"}));
    }
    for path in ["/ready", "/readyz"] {
        let ready = target.get(path, &[]);
        assert_eq!(
            (ready.status, &ready.json()["ready"], &ready.json()["failing"]),
            (200, &json!(true), &json!([]))
        );
        assert!(ready.json()["uptimeMs"].is_u64());
    }
    let started = target.get("/startupz", &[]).json();
    assert_eq!(
        (&started["ok"], &started["status"], &started["version"]),
        (&json!(true), &json!("started"), &json!("2026.9.6"))
    );
    let config = target.get("/__openclaw/control-ui-config.json", &[target.bearer()]).json();
    assert_eq!(config["serverVersion"], "2026.9.6");
    for path in ["/", "/nothing", "/apix", "/a/b/c", "/sessions/agent:engineer:x"] {
        let page = target.get(path, &[]);
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"), "{path}");
    }
    for path in ["/api", "/api/v9", "/v1", "/v1/nothing", "/plugins/x", "/a.js", "/a.png"] {
        let none = target.get(path, &[target.bearer()]);
        assert_eq!((none.status, none.body.as_str()), (404, "Not Found"), "{path}");
    }
}

#[test]
fn lists_agents_as_models() {
    let target = Target::both();
    let list = target.get("/v1/models", &[target.bearer()]).json();
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    let agents = AGENTS.map(|id| format!("openclaw/{id}"));
    let expected: Vec<&str> =
        ["openclaw", "openclaw/default"].into_iter().chain(agents.iter().map(String::as_str)).collect();
    // A real gateway has more agents, for other tests.
    assert!(ids.starts_with(&expected), "{ids:?}");
    let one = target.get("/v1/models/openclaw%2Fqa", &[target.bearer()]).json();
    assert_eq!((&one["id"], &one["object"]), (&json!("openclaw/qa"), &json!("model")));
    let none = target.get("/v1/models/gpt-4", &[target.bearer()]);
    assert_eq!(none.refusal(), (400, "invalid_request_error".into(), "Invalid model id.".into()));
}

/// §11.4: these agents have the profile `minimal`, so these tools are not allowed.
#[test]
fn forbidden_tools_are_unavailable() {
    let target = Target::both();
    for tool in ["sessions_list", "sessions_history"] {
        let body = json!({"tool": tool, "args": {}, "sessionKey": "agent:engineer:x"}).to_string();
        let answer = target.send("/tools/invoke", &[target.bearer()], &body).unwrap();
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert_eq!((answer.status, answer.json()["ok"] == false), (404, true), "{answer:?}");
        assert!(message.starts_with("Tool not available"), "{message}");
    }
    assert_eq!(target.send("/tools/invoke", &[], "{}").unwrap().status, 401);
    assert_eq!(target.get("/tools/invoke", &[target.bearer()]).status, 405);
}

#[test]
fn refuses_a_body_over_20_mib_by_its_length() {
    use std::io::{Read, Write};
    let target = Target::both();
    let address = target.url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    let (length, token) = (20 * 1024 * 1024 + 1, &target.token);
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let error = json!({"message": "Payload too large", "type": "invalid_request_error"});
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), json!({"error": error}));
}
