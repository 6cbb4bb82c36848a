//! `POST /agent/bridge` (worker-pool B.13): what the application receives, what the agent gets back, and who may call.

use std::sync::{Arc, Mutex};

use mission_control_runtime::http::message::{Reply, Request};
use mission_control_runtime::http::server::{Server, ServerLimits};
use mission_control_runtime::model::BridgeSettings;
use serde_json::{Value, json};

use super::{Plan, Stand};

const KEY: &str = "the-key-of-the-service";

/// A request: its path, its headers by name, its body.
type Called = (String, Vec<(String, String)>, Value);

/// An application with a book of its own. It gives these answers in turn, and the last one from then on.
struct Application {
    server: Server,
    book: Arc<Mutex<Vec<Called>>>,
}

impl Application {
    fn answering(answers: &[(u16, Value)]) -> Self {
        let book = Arc::new(Mutex::new(Vec::new()));
        let (noted, answers) = (book.clone(), answers.to_vec());
        let server = Server::bind("127.0.0.1:0", ServerLimits::default(), move |request: Request| {
            let names = ["X-Agent-Service-Id", "X-Agent-Service-Key", "X-Agent-App", "Authorization"];
            let header = |name: &str| Some((name.to_owned(), request.header(name)?.to_owned()));
            let headers = names.iter().filter_map(|name| header(name)).collect();
            let body = serde_json::from_slice(request.body()).unwrap();
            let mut book = noted.lock().unwrap();
            let (status, answer) = &answers[book.len().min(answers.len() - 1)];
            book.push((request.path().into_owned(), headers, body));
            Reply::json_of(answer).with_status(*status)
        });
        Self { server: server.unwrap(), book }
    }

    fn settings(&self) -> BridgeSettings {
        let url = format!("http://{}/api/", self.server.local_addr());
        serde_json::from_value(
            json!({"baseUrl": url, "serviceId": "svc", "serviceKey": KEY, "appKey": "crm"}),
        )
        .unwrap()
    }

    fn stand(&self) -> Stand {
        Stand::with(Plan { bridge: self.settings(), ..Plan::default() })
    }
}

#[test]
fn a_call_reaches_the_application_with_its_headers() {
    let application = Application::answering(&[(200, json!({"success": true, "result": {"orders": 3}}))]);
    let stand = application.stand();
    let body = json!({"functionKey": "bridge.orders.list", "args": {"limit": 3}, "userToken": "t0k"});
    let answer = stand.done("bridge", &stand.own("ada"), &body);
    let expected =
        json!({"success": true, "status": 200, "functionKey": "orders.list", "result": {"orders": 3}});
    assert_eq!(answer, expected);
    let book = application.book.lock().unwrap();
    let [(path, headers, sent)] = &book[..] else { panic!("{book:?}") };
    assert_eq!(path, "/api/agent/execute");
    assert_eq!(*sent, json!({"functionKey": "orders.list", "args": {"limit": 3}}));
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("X-Agent-Service-Id", "svc"),
        ("X-Agent-Service-Key", KEY),
        ("X-Agent-App", "crm"),
        ("Authorization", "Bearer t0k"),
    ];
    assert_eq!(headers, expected);
}

/// Three attempts in all, only after 429 and 5xx.
#[test]
fn overload_is_repeated_and_a_refusal_is_not() {
    let good = json!({"success": true});
    let busy = json!({"success": false, "error": "busy"});
    let rows = [
        (vec![(429, busy.clone()), (503, busy.clone()), (200, good)], 3, 200),
        (vec![(500, busy.clone())], 3, 500),
        (vec![(404, busy.clone())], 1, 404),
        (vec![(200, busy)], 1, 502),
    ];
    for (answers, calls, status) in rows {
        let application = Application::answering(&answers);
        let stand = application.stand();
        let answer = stand.post("bridge", &stand.own("ada"), &json!({"functionKey": "f"}));
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(application.book.lock().unwrap().len(), calls, "{answers:?}");
        assert_eq!(answer.body["error"].as_str(), (status != 200).then_some("busy"));
    }
}

#[test]
fn a_call_that_cannot_be_made_says_why() {
    let stand = Stand::with(Plan::default());
    let answer = stand.post("bridge", &stand.own("ada"), &json!({"functionKey": "f"}));
    assert_eq!((answer.status, &answer.body["status"]), (400, &json!(400)));
    assert!(answer.error().contains("OPENCLAW_SERVICE_KEY"), "{answer:?}");

    let application = Application::answering(&[(200, json!({"success": true}))]);
    let stand = application.stand();
    let key = stand.own("ada");
    for (body, words) in [
        (json!({}), "functionKey"),
        (json!({"functionKey": "a/b"}), "letters, digits"),
        (json!({"functionKey": "f", "args": [1]}), "args must be an object"),
        (json!({"functionKey": "f", "userToken": "a b"}), "userToken"),
        (json!({"functionKey": "f", "more": 1}), "more"),
    ] {
        let answer = stand.post("bridge", &key, &body);
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.error().contains(words), "{words}: {answer:?}");
    }
    let stranger = stand.post("bridge", "agent:nobody:main", &json!({"functionKey": "f"}));
    assert_eq!(stranger.status, 401);
    let named = stand.send(
        "bridge",
        &[("x-openclaw-session-key", &key), ("Idempotency-Key", "k")],
        "{\"functionKey\":\"f\"}",
    );
    assert_eq!(named.status, 400, "{named:?}");
    assert!(application.book.lock().unwrap().is_empty(), "nothing was sent");
    drop(application);
    let answer = stand.post("bridge", &key, &json!({"functionKey": "f"}));
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(answer.error().contains("did not answer") && !answer.error().contains(KEY), "{answer:?}");
}
