//! The queue of a worker pool over HTTP: who may call, and how files and updates arrive.

use std::sync::Arc;

use mission_control_runtime::http::hosts::Hosts;
use mission_control_runtime::http::server::{Server, ServerLimits};
use mission_control_runtime::local::http_api::{HttpApi, with_limits};
use mission_control_runtime::local::{MasterKey, Options, Vault};
use mission_control_runtime::secret::Secret;
use serde_json::{Value, json};
use ureq::http::Response;

use super::board::{ADMIN_KEY, Board, agent};

const WORKER_TOKEN: &str = "mc_worker_0123456789abcdef";

struct Pool {
    server: Server,
}

impl Pool {
    fn new() -> Self {
        let engine = Arc::into_inner(Board::unserved(Options::default()).engine).unwrap();
        let vault = Vault::new(&MasterKey::from_file(&[7; 32]).unwrap());
        let engine = Arc::new(engine.with_vault(vault).unwrap());
        let api = HttpApi::new(engine, Secret::new(ADMIN_KEY), Hosts::default())
            .with_worker_token(Secret::new(WORKER_TOKEN));
        let server = Server::bind("127.0.0.1:0", with_limits(ServerLimits::default()), move |request| {
            api.answer(&request)
        });
        Self { server: server.unwrap() }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.local_addr())
    }

    fn post(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Response<String> {
        let mut request = agent().post(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, mut body) = request.send(body).unwrap().into_parts();
        Response::from_parts(parts, body.read_to_string().unwrap())
    }

    fn call(&self, kind: &str, name: &str, args: &Value, authorization: Option<&str>) -> (u16, Value) {
        let body =
            json!({"path": format!("agentFactory:{name}"), "args": args, "format": "json"}).to_string();
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(authorization.map(|shown| ("Authorization", shown)));
        let answer = Self::post(&format!("{}/api/{kind}", self.url()), &headers, body.as_bytes());
        (answer.status().as_u16(), serde_json::from_str(answer.body()).unwrap())
    }

    fn person(&self, kind: &str, name: &str, args: &Value) -> Value {
        let (status, mut answer) = self.call(kind, name, args, Some(&format!("Convex {ADMIN_KEY}")));
        assert_eq!((status, &answer["status"]), (200, &json!("success")), "{answer}");
        answer["value"].take()
    }

    fn worker(&self, kind: &str, name: &str, args: &Value) -> Value {
        let (status, mut answer) = self.call(kind, name, args, Some(&format!("Bearer {WORKER_TOKEN}")));
        assert_eq!((status, &answer["status"]), (200, &json!("success")), "{answer}");
        answer["value"].take()
    }
}

/// worker-pool F.32.
#[test]
fn a_worker_shows_its_token() {
    let pool = Pool::new();
    let agent = json!({"agentKey": "support", "version": "1", "secretsRef": [], "enabled": true});
    pool.person("mutation", "configureAgent", &agent);
    let message = json!({"conversationId": "c1", "agentKey": "support", "provider": "telegram",
        "providerUserId": "42", "messageText": "hello"});
    pool.person("mutation", "enqueue", &message.clone());
    let claim = json!({"workerId": "w1"});
    let (_, answer) = pool.call("mutation", "workerClaim", &claim, None);
    assert!(answer["errorMessage"].as_str().unwrap().contains("Authorization: Bearer TOKEN"), "{answer}");
    let wrong = pool.call("mutation", "workerClaim", &claim, Some("Bearer mc_worker_0123456789abcdee"));
    assert_eq!(wrong.0, 401);
    let (_, answer) = pool.call("mutation", "enqueue", &message, Some(&format!("Bearer {WORKER_TOKEN}")));
    assert!(answer["errorMessage"].as_str().unwrap().contains("Unauthenticated"), "{answer}");
    let job = pool.worker("mutation", "workerClaim", &claim);
    assert_eq!(job["payload"]["messageText"], "hello");
    let ends = json!({"workerId": "w1", "messageId": job["messageId"], "leaseId": job["leaseId"]});
    assert_eq!(pool.worker("mutation", "workerComplete", &ends), true);
}

#[test]
fn a_file_is_posted_once_and_fetched_by_its_id() {
    let pool = Pool::new();
    let made = pool.worker("mutation", "workerGenerateMediaUploadUrl", &json!({}));
    let url = made["uploadUrl"].as_str().unwrap();
    assert!(url.starts_with(&format!("{}/api/storage/upload?secret=", pool.url())), "{url}");
    let content = vec![9; 3_000_000];
    let posted = Pool::post(url, &[("Content-Type", "image/png")], &content);
    let posted: Value = serde_json::from_str(posted.body()).unwrap();
    let again = Pool::post(url, &[], b"again");
    assert_eq!((again.status().as_u16(), again.body().contains("ask for a new one")), (403, true));
    let file = pool.worker("query", "workerGetStorageFileUrl", &json!({"storageId": posted["storageId"]}));
    let mut answer = agent().get(file.as_str().unwrap()).call().unwrap();
    assert_eq!(answer.headers()["Content-Type"], "image/png");
    assert_eq!(answer.body_mut().read_to_vec().unwrap(), content);
    let missing = agent().get(format!("{}/api/storage/kg{}", pool.url(), "0".repeat(30))).call().unwrap();
    assert_eq!(missing.status(), 404);
}

#[test]
fn an_update_without_the_secret_is_refused() {
    let pool = Pool::new();
    let url = format!("{}/agent-factory/telegram/webhook", pool.url());
    for secret in ["", "af_v1_1", "af_v1_1_00"] {
        let headers = [("X-Telegram-Bot-Api-Secret-Token", secret), ("Content-Type", "application/json")];
        let answer = Pool::post(&url, &headers, br#"{"update_id":1}"#);
        assert_eq!(
            (answer.status().as_u16(), answer.body().contains("\"ok\":false")),
            (403, true),
            "{secret}"
        );
    }
    assert_eq!(agent().get(url).call().unwrap().status(), 405);
}
