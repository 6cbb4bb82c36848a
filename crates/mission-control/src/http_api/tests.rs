//! Bootstrap over HTTP, and the limits of wrong keys and tokens.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

use super::{Exposure, HttpApi};
use crate::test_board::TestBoard;
use mcr_http::hosts::Hosts;
use mcr_http::message::{Method, Reply, Request};
use mcr_model::secret::Secret;

const PROXY: &str = "127.0.0.1";

fn api(board: &TestBoard) -> HttpApi {
    let hosts = Hosts::new(["control.example.com"]);
    HttpApi::new(board.engine.clone(), Secret::new("the admin key of the test"), hosts)
        .with_exposure(Exposure::behind([PROXY.parse::<IpAddr>().unwrap()]))
}

fn post(api: &HttpApi, path: &str, client: &str, body: &Value, more: &[&str]) -> Reply {
    let peer = SocketAddr::new(PROXY.parse().unwrap(), 40_000);
    let headers = [
        "Host: control.example.com".to_owned(),
        "Content-Type: application/json".to_owned(),
        "X-Forwarded-Proto: https".to_owned(),
        format!("X-Forwarded-For: {client}"),
    ];
    let headers = headers.iter().map(String::as_str).chain(more.iter().copied());
    let request = Request::new(Method::Post, path)
        .with_headers(headers.map(|line| line.parse().unwrap()))
        .with_body(body.to_string())
        .with_peer(peer);
    api.answer(&request)
}

/// A machine that boots at an address, with its one-time token.
fn booting(board: &TestBoard, address: &str) -> String {
    board.switch("runtime_provisioning_enabled", "true");
    let account = board.account("acme");
    let row = json!({
        "accountId": account, "provider": "digitalocean", "region": "fra1", "size": "s", "image": "i",
        "state": "booting", "attempt": 1.0, "requestedBy": "u", "createdAt": 1.0, "stateSince": 1.0, "failures": 0.0,
        "nextAt": 1.0, "createCalledAt": 1.0, "machineId": "7", "address": address,
    });
    board.engine.write_row("provisions", row).unwrap();
    let issued = board.change("provisioning:rotateToken", json!({"accountId": account})).unwrap();
    issued["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_machine_gets_its_environment_through_the_proxy_from_its_own_address_only() {
    let board = TestBoard::new();
    let token = booting(&board, "203.0.113.7");
    let api = api(&board);
    let body = json!({"token": token});
    let path = "/provision/bootstrap";
    assert_eq!(post(&api, path, "198.51.100.1", &body, &[]).status(), 403);
    // A client cannot write its own address: the proxy adds the true one behind it.
    assert_eq!(post(&api, path, "203.0.113.7, 198.51.100.1", &body, &[]).status(), 403);
    for wrong in [json!({}), json!({"token": 7}), json!([]), json!({"token": ""})] {
        assert_eq!(post(&api, path, "203.0.113.7", &wrong, &[]).status(), 403, "{wrong}");
    }
    let reply = post(&api, path, "203.0.113.7", &body, &[]);
    assert_eq!((reply.status(), reply.header("cache-control")), (200, Some("no-store")));
    let got: Value = serde_json::from_slice(reply.body().unwrap()).unwrap();
    assert!(got["environment"]["SERVICE_TOKEN"].as_str().unwrap().starts_with("mc_service_"));
    assert_eq!(post(&api, path, "203.0.113.7", &body, &[]).status(), 403, "used up");
}

#[test]
fn a_client_that_guesses_must_wait_and_others_need_not() {
    let board = TestBoard::new();
    let token = booting(&board, "203.0.113.7");
    let api = api(&board);
    let statuses: Vec<u16> = (0..25)
        .map(|guess| {
            post(&api, "/provision/bootstrap", "198.51.100.1", &json!({"token": guess}), &[]).status()
        })
        .collect();
    assert_eq!((&statuses[..20], &statuses[20..]), (&[403; 20][..], &[429; 5][..]));
    assert_eq!(
        post(&api, "/provision/bootstrap", "203.0.113.7", &json!({"token": token}), &[]).status(),
        200
    );
}

#[test]
fn wrong_admin_keys_are_limited_on_every_way_in() {
    let login =
        |api: &HttpApi, client: &str, key: &str| post(api, "/login", client, &json!({"key": key}), &[]);
    let call = |api: &HttpApi, client: &str, key: &str| {
        let body = json!({"path": "accounts:list", "args": {}});
        post(api, "/api/query", client, &body, &[&format!("Authorization: Convex {key}")])
    };
    let right = "the admin key of the test";
    let board = TestBoard::new();
    let api = api(&board);
    for _ in 0..10 {
        assert_eq!(login(&api, "198.51.100.1", "wrong").status(), 401);
        assert_eq!(call(&api, "198.51.100.1", "wrong").status(), 403);
    }
    // From now on even the right key is not looked at.
    assert_eq!(login(&api, "198.51.100.1", right).status(), 429);
    assert_eq!(call(&api, "198.51.100.1", right).status(), 429);
    let reply = login(&api, "198.51.100.2", right);
    assert_eq!(reply.status(), 200);
    assert!(reply.header("set-cookie").unwrap().ends_with("; Secure"));
    assert_eq!(call(&api, "198.51.100.2", right).status(), 200);
}

#[test]
fn each_page_is_complete_and_has_a_new_nonce() {
    let board = TestBoard::new();
    let api = api(&board);
    for path in ["/fleet", "/pool"] {
        let get = || {
            let request = Request::new(Method::Get, path).with_headers(["Host: localhost".parse().unwrap()]);
            let reply = api.answer(&request.with_peer(SocketAddr::new(PROXY.parse().unwrap(), 1)));
            assert_eq!(reply.status(), 200, "{path}");
            String::from_utf8(reply.body().unwrap().to_vec()).unwrap()
        };
        let (one, other) = (get(), get());
        assert_ne!(one, other, "{path}");
        assert!(!one.contains("{{") && one.matches("<script").count() == 1, "{path}");
        for word in ["innerHTML", "insertAdjacentHTML", "eval(", " style=", " onclick=", "https://"] {
            assert!(!one.contains(word), "{path} {word}");
        }
        assert_eq!(post(&api, path, PROXY, &json!({}), &[]).status(), 405, "{path}");
    }
}

#[test]
fn a_strangers_upload_is_refused_by_its_head() {
    let board = TestBoard::new();
    let api = api(&board);
    let made =
        board.call(crate::Kind::Mutation, "agentFactory:workerGenerateMediaUploadUrl", &json!({})).unwrap();
    let url = made["uploadUrl"].as_str().unwrap();
    let known = &url[url.find("/api/").unwrap()..];
    let head = |path: &str, host: &str| {
        let headers = [format!("Host: {host}"), "X-Forwarded-Proto: https".to_owned()];
        let peer = SocketAddr::new(PROXY.parse().unwrap(), 40_000);
        let request = Request::new(Method::Post, path).with_peer(peer);
        request.with_headers(headers.iter().map(|line| line.parse().unwrap()))
    };
    let status = |path: &str, host: &str| api.refusal_of_head(&head(path, host)).map(|reply| reply.status());
    let ours = "control.example.com";
    assert_eq!(status(known, ours), None);
    assert_eq!(status(known, "evil.example"), Some(403));
    for wrong in ["/api/storage/upload", "/api/storage/upload?secret=", "/api/storage/upload?secret=guess"] {
        assert_eq!(status(wrong, ours), Some(403), "{wrong}");
        assert_eq!(api.answer(&head(wrong, ours)).status(), 403, "{wrong}");
    }
    assert_eq!(status("/api/mutation", ours), None, "decided with its body");
    assert_eq!(api.answer(&head(known, ours)).status(), 200);
    assert_eq!(status(known, ours), Some(403), "used");
}

/// The worker's log shows the sentence, so it says what to set.
#[test]
fn a_header_without_a_known_key_is_answered_with_what_to_do() {
    let board = TestBoard::new();
    let with_workers = api(&board).with_worker_token(Secret::new("the token of workers"));
    let without = api(&board);
    let rows = [
        (&with_workers, "Bearer another", "is not the worker token of this server. Set WORKER_AUTH_TOKEN"),
        (&with_workers, "Basic dTpw", "workers `Authorization: Bearer TOKEN` with the worker token"),
        (&without, "Bearer another", "This server has no worker token. Send the admin key"),
    ];
    let body = json!({"path": "agentFactory:workerClaim", "args": {"workerId": "w"}});
    for (api, header, words) in rows {
        let reply = post(api, "/api/mutation", "198.51.100.1", &body, &[&format!("Authorization: {header}")]);
        let said: Value = serde_json::from_slice(reply.body().unwrap()).unwrap();
        assert_eq!((reply.status(), &said["code"]), (401, &json!("InvalidAuthHeader")), "{header}");
        assert!(said["message"].as_str().unwrap().contains(words), "{header}: {said}");
        assert!(!said.to_string().contains("another"), "the token is not shown: {said}");
    }
    let reply = post(
        &with_workers,
        "/api/mutation",
        "198.51.100.1",
        &body,
        &["Authorization: Bearer the token of workers"],
    );
    assert_eq!(reply.status(), 200);
}
