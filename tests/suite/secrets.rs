//! Redaction: http-and-tools.md §3.4 and its gaps, W9, W30; backend-contract.md §1.4 and D8.

use mission_control_runtime::config::{Kind, TABLE};
use mission_control_runtime::redact::{Redactor, credentials_in};
use mission_control_runtime::secret::Secret;
use proptest::prelude::*;
use serde_json::json;

use crate::support::program::{Program, get, text};
use crate::support::scripted_http::{Move, ScriptedHttp, answer};

/// A token as the backend gives it out; put together here so that no file of ours holds one.
fn token() -> String {
    ["mc", "service", "k173a5f0", "5f0c99aa77bb55cc"].join("_")
}

#[test]
fn a_secret_cannot_be_printed() {
    let secret = Secret::new(token());
    assert_eq!(format!("{secret:?} {:?}", Secret::new("")), "Secret(***) Secret(empty)");
    assert_eq!(format!("{:?}", Redactor::new([&secret])).matches("5f0c").count(), 0);
}

#[test]
fn what_looks_like_a_secret_is_hidden() {
    let t = token();
    let rows: Vec<(String, &str)> = vec![
        // §3.4 rule 1 and 2
        ("SERVICE_TOKEN=abc next".into(), "SERVICE_TOKEN=*** next"),
        ("openclaw_gateway_token=x;y".into(), "openclaw_gateway_token=***;y"),
        ("token: abc".into(), "token: ***"),
        ("{serviceToken: \"a b\", status: \"x\"}".into(), "{serviceToken: \"***\", status: \"x\"}"),
        // §3.4 gaps: JSON-quoted keys, also inside a JSON text, with escapes in the value
        (r#"{"token":"x","n":1}"#.into(), r#"{"token":"***","n":1}"#),
        (r#"{"serviceToken": "a\"b,c"}"#.into(), r#"{"serviceToken": "***"}"#),
        (r#""{\"token\":\"x y\",\"n\":1}""#.into(), r#""{\"token\":\"***\",\"n\":1}""#),
        ("x-api-key: k1 and".into(), "x-api-key: *** and"),
        ("{ apiKey = 'k1' }".into(), "{ apiKey = '***' }"),
        ("password=hunter2&user=me".into(), "password=***&user=me"),
        // bare tokens
        (format!("bad {t}."), "bad mc_service_***"),
        (format!("bad '{t}'"), "bad 'mc_service_***'"),
        ("a token starting with mc_service_.".into(), "a token starting with mc_service_."),
        (format!("BAD {}", t.to_uppercase()), "BAD MC_SERVICE_***"),
        (["it is mc", "operator", "0f0f."].join("_"), "it is mc_operator_***"),
        (["it is mc", "session", "0f0f."].join("_"), "it is mc_session_***"),
        // Authorization and Bearer
        ("Authorization: Bearer abc.def".into(), "Authorization: ***"),
        ("authorization: Convex prod:abc|def\nHost: x".into(), "authorization: ***\nHost: x"),
        ("sent Bearer abc123 to".into(), "sent Bearer *** to"),
        ("the bearer of news".into(), "the bearer of news"),
        // provider keys
        (["sk-", "ant-api03-AbCdEfGhIjKlMnOp"].concat(), "sk-***"),
        (["(ghp_", "abcdefghijklmnopqrstuvwx)"].concat(), "(ghp_***)"),
        (
            "a task-force, a risk-assessment-of-everything".into(),
            "a task-force, a risk-assessment-of-everything",
        ),
        // §3.4 rule 3: session keys in both spellings, plain and in an address
        ("key task:abc:agent:engineer:acc:v1 unknown".into(), "key (session-key) unknown"),
        ("\"system:agent:qa:acc:v1\"".into(), "\"(session-key)\""),
        ("agent:qa:task:abc:acc:v1".into(), "(session-key)"),
        ("GET /sessions/agent%3Aqa%3Asystem%3Aacc%3Av1/history".into(), "GET /sessions/(session-key)"),
        ("task: write the docs; agent: qa; agent:qa".into(), "task: write the docs; agent: qa; agent:qa"),
        ("label system:orchestrator-chat is reserved".into(), "label system:orchestrator-chat is reserved"),
        ("subtask:abc".into(), "subtask:abc"),
        // behind an escape of a JSON text or an address
        (r"one\nagent:qa:key:0f two".into(), r"one\n(session-key) two"),
        (r"one\\tsystem:agent:qa:acc:v1".into(), r"one\\t(session-key)"),
        (r"one\u000atask:abc:agent:qa:acc:v1".into(), r"one\u000a(session-key)"),
        ("a%0Aagent%3Aqa%3Aacc".into(), "a%0A(session-key)"),
        (["one\\nsk-", "ant-api03-AbCdEfGhIjKlMnOp"].concat(), "one\\nsk-***"),
        (r"one\nBearer abc123".into(), r"one\nBearer ***"),
        ("100%agent:qa:acc".into(), "100%(session-key)"),
        // addresses
        ("https://me:pw@host/x".into(), "https://***@host/x"),
        ("https://host/x@y".into(), "https://host/x@y"),
        // what must stay readable
        ("Invalid service token".into(), "Invalid service token"),
        (
            "Forbidden: Service token does not match account".into(),
            "Forbidden: Service token does not match account",
        ),
        ("maxTokens: 4096, tokens=7".into(), "maxTokens: 4096, tokens=7"),
        (String::new(), ""),
        ("grüße – 你好 🎉 token".into(), "grüße – 你好 🎉 token"),
    ];
    let redactor = Redactor::default();
    for (text, expected) in rows {
        assert_eq!(redactor.clean(&text), expected, "{text}");
    }
}

#[test]
fn a_known_value_is_hidden_in_every_form_in_which_it_travels() {
    let odd = Secret::new("pa\"ss/wörd +1");
    let redactor = Redactor::new([&odd, &Secret::new(token()), &Secret::new("short"), &Secret::new("abc")]);
    let rows = [
        ("plain pa\"ss/wörd +1 end", "plain *** end"),
        (r#"json "pa\"ss/wörd +1""#, r#"json "***""#),
        (r#"json in json "{\"v\":\"pa\\\"ss/wörd +1\"}""#, r#"json in json "{\"v\":\"***\"}""#),
        ("url pa%22ss%2Fw%C3%B6rd%20%2B1", "url ***"),
        ("url pa%22ss%2fw%c3%b6rd%20%2b1", "url ***"),
        (r#"ascii "pa\"ss/w\u00f6rd +1""#, r#"ascii "***""#),
        (r#"slashed "pa\"ss\/wörd +1""#, r#"slashed "***""#),
        // the last part of a service token opens the account, too
        ("part 5f0c99aa77bb55cc", "part ***"),
        // a shape that would end in the middle of a known value takes all of it
        ("Bearer pa\"ss/wörd +1!", "Bearer ***!"),
        ("{\"token\":\"pa\"ss/wörd +1\"}", "{\"token\":\"***\"}"),
        // half of one in front of a cut, whoever has cut it; a word that only begins like one goes on
        ("cut pa\"ss/wör… and on", "cut ***… and on"),
        ("cut pa\"ss/wö", "cut ***"),
        ("cut 5f0c99aa77bb…", "cut ***…"),
        ("pa\"ss/wörter …", "pa\"ss/wörter …"),
        // a short value is hidden as a word only; a tiny one is no secret
        ("short, shorter, (short)", "***, shorter, (***)"),
        ("abc", "abc"),
    ];
    for (text, expected) in rows {
        assert_eq!(redactor.clean(text), expected, "{text}");
    }
}

#[test]
fn an_excerpt_never_ends_in_half_a_secret() {
    let redactor = Redactor::new([&Secret::new("canary-canary-canary")]);
    let long = format!("{} canary-canary-canary", "word ".repeat(2000));
    for limit in 0..40 {
        let text = format!("{}canary-canary-canary tail", "x".repeat(20));
        let cut = redactor.excerpt(&text, limit);
        assert!(!cut.contains("can"), "{cut}");
        assert!(cut.chars().count() <= limit + 1, "{cut}");
        assert!(!redactor.excerpt(&long, limit * 300).contains("can"));
    }
    assert_eq!(redactor.excerpt("short text", 10), "short text");
    assert_eq!(redactor.excerpt("short text", 5), "short…");
    assert_eq!(redactor.excerpt(&"é".repeat(9), 3), "ééé…");
}

#[test]
fn credentials_are_found_for_the_check_of_what_is_committed() {
    let key = ["sk", "proj-0123456789abcdefghij"].join("-");
    assert_eq!(credentials_in(&format!("a {} b {key}", token())).len(), 2);
    assert_eq!(credentials_in("token: x, Bearer y"), []);
}

proptest! {
    #[test]
    fn whatever_surrounds_a_known_value_it_never_gets_through(
        before in "\\PC{0,40}", value in "[!-~]{8,60}", after in "\\PC{0,40}", limit in 0_usize..200,
    ) {
        let redactor = Redactor::new([&Secret::new(value.clone())]);
        let text = format!("{before}{value}{after}{value}");
        prop_assert!(!redactor.clean(&text).contains(&value));
        prop_assert!(!redactor.excerpt(&text, limit).contains(&value));
        // Nor does the half of one that somebody else has cut.
        let cut: String = text.chars().take(limit).chain(['…']).collect();
        let (cut, begins) = (redactor.clean(&cut), &value[..8]);
        prop_assert!(!cut.contains(begins) || before.contains(begins) || after.contains(begins), "{}", cut);
    }

    #[test]
    fn redaction_is_total_and_settles(text in "\\PC{0,200}") {
        let redactor = Redactor::default();
        let once = redactor.clean(&text);
        let twice = redactor.clean(&once);
        prop_assert_eq!(redactor.clean(&twice), twice);
    }
}

/// Canaries in every secret variable, given back by a hostile backend in every form it can think of: none comes out
/// of any command.
#[test]
fn canaries_come_out_of_no_command() {
    let secrets: Vec<(&str, String)> = TABLE
        .iter()
        .filter(|variable| matches!(variable.kind, Kind::Secret { .. }))
        .flat_map(|variable| [variable.name].into_iter().chain(variable.aliases.iter().copied()))
        .map(|name| (name, format!("c4n4ry-{}-\"q/b", name.to_lowercase().replace('_', "-"))))
        .collect();
    assert!(secrets.len() >= 8, "{secrets:?}");
    let value = |name: &str, canary: &str| match name {
        "SERVICE_TOKEN" => ["mc", "service", "acc0unt", canary].join("_"),
        _ => canary.to_owned(),
    };
    let all = secrets.iter().map(|(name, canary)| value(name, canary)).collect::<Vec<_>>().join(" ");
    let hostile = |status: u16, body: &str| ScriptedHttp::start([Move::Send(answer(status, body))]);
    let error =
        |message: String| hostile(200, &json!({"status": "error", "errorMessage": message}).to_string());
    let backends = [
        error(format!("[Request ID: 1] Server Error\nUncaught Error: {all}\n")),
        error(format!("[Request ID: 1] Server Error\nArgumentValidationError: {:?}\n", json!({"a": all}))),
        hostile(400, &json!({"code": "BadJsonBody", "message": all}).to_string()),
        hostile(502, &format!("<html>{all}</html>")),
        hostile(200, &json!({"status": "success", "value": {"orchestratorAgentId": [all]}}).to_string()),
        hostile(200, &json!({"status": "success", "value": all}).to_string()),
        hostile(200, &all),
    ];
    for backend in backends {
        for (command, level) in
            [("doctor", "info"), ("doctor --json", "info"), ("run", "trace"), ("run", "info")]
        {
            let mut program = match command {
                "doctor --json" => Program::new(["doctor", "--json"]),
                "doctor" => Program::new(["doctor", "--all"]),
                command => Program::new([command]),
            };
            program =
                program.configured(&backend.url(), "").with("HEALTH_PORT", "0").with("LOG_LEVEL", level);
            for (name, canary) in &secrets {
                program = program.with(name, &value(name, canary));
            }
            // Secrets in variables that are shown.
            let token = value("SERVICE_TOKEN", &secrets[0].1);
            for name in ["DROPLET_ID", "DROPLET_IP", "DROPLET_REGION", "RUNTIME_VERSION", "OPENCLAW_VERSION"]
            {
                program = program.with(name, &token);
            }
            program = program.with("STATE_DIR", &format!("/tmp/{}", secrets[1].1));
            let text = if command == "run" {
                let mut service = program.start();
                let address = service.address();
                service.wait_for_log("service/actions:listAgents");
                let paths = ["/health", "/version", "/metrics", "/readyz", "/livez"];
                let health: String = paths.iter().map(|path| get(&address, path).1).collect();
                service.signal("TERM");
                let (code, log) = service.end();
                assert_eq!(code, Some(0), "{log}");
                health + &log
            } else {
                text(&program.output())
            };
            assert!(!text.contains("c4n4ry"), "{command}: {text}");
            // The HTTP library would write every byte that passes in hexadecimal, where no redaction finds a token.
            assert!(!text.contains(" TRACE ureq"), "{command}: {text}");
        }
    }
}

/// A password in an address is a mistake where it is ours; it is shown nowhere all the same.
#[test]
fn a_password_in_an_address_is_not_shown() {
    let addresses =
        ["http://robin:c4n4ry@127.0.0.1:9", "robin:c4n4ry@127.0.0.1:9", "https://c4n4ry@127.0.0.1:9"];
    for (variable, address) in ["CONVEX_URL", "OPENCLAW_GATEWAY_URL", "TASK_STATUS_BASE_URL"]
        .into_iter()
        .flat_map(|variable| addresses.map(|address| (variable, address)))
    {
        for args in
            [["run", ""], ["doctor", "--all"], ["doctor", "--json"], ["status", "--json"], ["dead", "list"]]
        {
            let program = if args[1].is_empty() { Program::new([args[0]]) } else { Program::new(args) };
            let program = program.configured("http://127.0.0.1:9", &token()).with("ACCOUNT_ID", "k173a5f0");
            let text = text(&program.with(variable, address).output());
            assert!(!text.contains("c4n4ry"), "{args:?} with {variable}={address}: {text}");
        }
    }
}
