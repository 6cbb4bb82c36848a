//! Refusals: the table of spec §7, in both shapes, streamed and plain; and answers of other servers.

use std::time::Duration;

use mission_control_runtime::gateway::{Class, Why};
use serde_json::json;

use super::{created, refused, stream};
use crate::support::scripted_http::{Move, answer, answer_with};

/// `{"error":{…}}`: nothing was run.
#[test]
fn a_refusal_before_a_run_concerns_the_request_or_the_gateway() {
    let rows = [
        ("§7 401", 401, "Unauthorized", "unauthorized", Class::Closed, Why::TokenRefused),
        ("403", 403, "missing scope", "forbidden", Class::Closed, Why::TokenRefused),
        (
            "§7 malformed",
            400,
            "Unexpected end of JSON input",
            "invalid_request_error",
            Class::Refused,
            Why::OurRequest,
        ),
        (
            "§7 unknown key",
            400,
            ": Unrecognized key: \"foo\"",
            "invalid_request_error",
            Class::Refused,
            Why::OurRequest,
        ),
        (
            "§7 empty input",
            400,
            "Missing user message in `input`.",
            "invalid_request_error",
            Class::Refused,
            Why::OurRequest,
        ),
        (
            "§7 unknown agent",
            400,
            "Unknown agent 'nobody'.",
            "invalid_request_error",
            Class::Refused,
            Why::UnknownAgent,
        ),
        (
            "§7 no owner",
            400,
            "Multiple agents are configured, but this operation has no explicit owner.",
            "invalid_request_error",
            Class::Refused,
            Why::OurRequest,
        ),
        (
            "§4 reserved",
            400,
            "`x-openclaw-session-key` cannot use reserved internal session namespaces.",
            "invalid_request_error",
            Class::Refused,
            Why::OurRequest,
        ),
        (
            "§7 tool",
            400,
            "tools.0.parameters: Invalid input",
            "invalid_request_error",
            Class::Refused,
            Why::ToolsRefused,
        ),
        ("§7 413", 413, "Payload too large", "invalid_request_error", Class::Refused, Why::TooLarge),
        (
            "§7 429",
            429,
            "Too many failed authentication attempts",
            "rate_limited",
            Class::Closed,
            Why::TooManyLogins,
        ),
        ("404", 404, "Not Found", "not_found", Class::Closed, Why::EndpointOff),
        ("500", 500, "boom", "api_error", Class::Transient, Why::Internal),
    ];
    for (name, status, message, kind, class, why) in rows {
        let body = json!({"error": {"message": message, "type": kind}}).to_string();
        let error = refused(name, Move::Send(answer(status, &body)), class, why);
        assert_eq!((error.status, error.run), (Some(status), None), "{name}");
        assert!(error.sentence.contains(message.trim_end_matches('.')), "{name}: {}", error.sentence);
    }
    let drain = json!({"error": {"message": "Gateway is temporarily unavailable while suspending or restarting",
        "type": "service_unavailable", "code": "gateway_unavailable"}});
    refused("§7 stopping", Move::Send(answer(503, &drain.to_string())), Class::Closed, Why::Draining);
}

/// `{"object":"response","status":"failed","error":{…}}`, and the same in a stream, whose status is always
/// 200.
#[test]
fn a_failed_run_is_usually_the_providers() {
    let rows = [
        (
            "§7 provider 400",
            400,
            "invalid_request_error",
            "no such model",
            Class::Refused,
            Why::ProviderRejected,
        ),
        (
            "§7 provider 404",
            404,
            "invalid_request_error",
            "no such model",
            Class::Refused,
            Why::ProviderRejected,
        ),
        ("§7 provider 401", 401, "authentication_error", "bad key", Class::Transient, Why::ProviderRefused),
        ("§7 provider 403", 403, "authentication_error", "bad key", Class::Transient, Why::ProviderRefused),
        ("§7 provider 402", 402, "insufficient_quota", "pay", Class::Transient, Why::ProviderRefused),
        ("§7 provider 429", 429, "rate_limit_error", "slow down", Class::Transient, Why::ProviderTrouble),
        (
            "§7 provider 500",
            502,
            "api_error",
            "upstream provider error",
            Class::Transient,
            Why::ProviderTrouble,
        ),
        (
            "§7 provider 503",
            503,
            "api_error",
            "upstream provider overloaded",
            Class::Transient,
            Why::ProviderTrouble,
        ),
        (
            "§7 provider cut",
            408,
            "api_error",
            "upstream provider timeout",
            Class::Transient,
            Why::ProviderTrouble,
        ),
        ("§11.8 internal", 500, "api_error", "internal error", Class::Lost, Why::Internal),
        (
            "§11.7 aborted",
            500,
            "server_error",
            "This operation was aborted",
            Class::Transient,
            Why::Interrupted,
        ),
        (
            "§5 tools",
            400,
            "invalid_request_error",
            "invalid tool configuration",
            Class::Refused,
            Why::ToolsRefused,
        ),
        (
            "§6 answered",
            500,
            "server_error",
            "Assistant output cannot be represented as an append-only response stream.",
            Class::Lost,
            Why::Internal,
        ),
    ];
    for (name, status, code, message, class, why) in rows {
        let response = json!({"id": "resp_1", "object": "response", "status": "failed", "output": [],
            "error": {"code": code, "message": message}});
        let failed = json!({"type": "response.failed", "response": response});
        for (status, bad) in [
            (status, Move::Send(answer(status, &response.to_string()))),
            (200, Move::Send(answer(200, &response.to_string()))),
            (200, Move::Send(stream(&[created(), failed]))),
        ] {
            let error = refused(name, bad, class, why);
            assert_eq!((error.status, error.run.as_deref()), (Some(status), Some("resp_1")), "{name}");
            let wait = (why == Why::ProviderRefused).then_some(Duration::from_mins(1));
            assert_eq!(error.not_before, wait, "{name}: §7 cooldown");
        }
    }
    let event = json!({"type": "error", "code": "rate_limit_error", "message": "slow down"});
    refused(
        "an error as an event",
        Move::Send(stream(&[created(), event])),
        Class::Transient,
        Why::ProviderTrouble,
    );
}

/// §2, §7, §8: plain texts and pages.
#[test]
fn answers_without_json_are_classified() {
    let page = "<!doctype html><title>OpenClaw Control</title>";
    let rows = [
        ("§8 endpoint off", 404, "text/plain", "Not Found", Class::Closed, Why::EndpointOff),
        ("§7 405", 405, "text/plain", "Method Not Allowed", Class::Closed, Why::EndpointOff),
        ("§2 the control page", 200, "text/html", page, Class::Closed, Why::NotAGateway),
        ("a page that calls itself JSON", 200, "application/json", page, Class::Closed, Why::NotAGateway),
        ("a text", 200, "text/plain", "It works!", Class::Closed, Why::NotAGateway),
        ("nothing", 200, "text/plain", "", Class::Closed, Why::NotAGateway),
        ("a page", 404, "text/html", page, Class::Closed, Why::NotAGateway),
        ("a front's login", 401, "text/html", page, Class::Closed, Why::NotAGateway),
        ("a redirect", 302, "text/html", "", Class::Closed, Why::NotAGateway),
        ("no content", 204, "text/plain", "", Class::Closed, Why::NotAGateway),
        ("401 as a text", 401, "text/plain", "Unauthorized", Class::Closed, Why::TokenRefused),
        ("413 of a front", 413, "text/html", page, Class::Refused, Why::TooLarge),
        ("§9 500 as a text", 500, "text/plain", "Internal Server Error", Class::Transient, Why::Internal),
        (
            "502 of a front: the turn may go on behind it",
            502,
            "text/html",
            page,
            Class::Lost,
            Why::LostAnswer,
        ),
        ("503 of a front", 503, "text/html", page, Class::Closed, Why::Unreachable),
        ("504 of a front: the turn goes on behind it", 504, "text/html", page, Class::Lost, Why::LostAnswer),
    ];
    for (name, status, kind, body, class, why) in rows {
        let headers = format!("Content-Type: {kind}\r\n");
        let error = refused(name, Move::Send(answer_with(status, &headers, body.as_bytes())), class, why);
        assert_eq!(error.status, Some(status), "{name}");
        assert!(!error.sentence.contains("doctype"), "{name}: {}", error.sentence);
    }
}

#[test]
fn retry_after_is_honoured() {
    let body = br#"{"error":{"message":"Too many failed authentication attempts","type":"rate_limited"}}"#;
    let rows =
        [("7", Some(7)), (" 90 ", Some(90)), ("99999999", Some(3600)), ("-1", None), ("tomorrow", None)];
    for (value, seconds) in rows {
        let headers = format!("Content-Type: application/json\r\nRetry-After: {value}\r\n");
        let bad = Move::Send(answer_with(429, &headers, body));
        let error = refused("§7 429", bad, Class::Closed, Why::TooManyLogins);
        assert_eq!(error.not_before, seconds.map(Duration::from_secs), "{value}");
    }
}
