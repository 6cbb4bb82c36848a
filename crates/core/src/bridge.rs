//! The bridge: how a skill calls a function of the consumer's application (worker-pool B.13).
//!
//! The settings come from the hydration bundle of the current message; what it lacks comes from the environment. All four
//! settings are needed. A call is repeated if the application is overloaded or failed, three attempts in all.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use mcr_model::secret::Secret;
use mcr_model::{BaseUrl, BridgeSettings};

/// The attempts of a call.
pub const ATTEMPTS: u32 = 3;

/// The path of the application's endpoint.
const PATH: &str = "/agent/execute";

/// The longest key of a function.
const KEY_CHARS_MAX: usize = 128;

/// Where a call goes, and its credentials. `Debug` hides the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeTarget {
    /// The address of the endpoint.
    pub url: String,
    /// Whether that is a loopback address.
    pub base: BaseUrl,
    /// The id of the service.
    pub service_id: String,
    /// The key of the service.
    pub service_key: Secret,
    /// The application.
    pub app_key: String,
}

/// What an agent asks for.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BridgeAsk<'a> {
    /// The function, with or without `bridge.` in front.
    pub function_key: String,
    /// Its arguments, an object.
    #[serde(borrow, default)]
    pub args: Option<&'a RawValue>,
    /// The token of the person for whom the function is called.
    #[serde(default)]
    pub user_token: Option<String>,
}

/// What a call returns to the agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BridgeResult {
    /// Whether the function ran well.
    pub success: bool,
    /// The status of the application's answer, or the one that fits the failure.
    pub status: u16,
    /// The function.
    pub function_key: String,
    /// What the function returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// What failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl BridgeResult {
    /// A failure.
    pub fn failed(function_key: &str, status: u16, error: impl Into<String>) -> Self {
        let function_key = function_key.to_owned();
        Self { success: false, status, function_key, result: None, error: Some(error.into()) }
    }

    /// Reads the application's answer. It is a success only if its status and its body say so.
    pub fn of_answer(function_key: &str, status: u16, body: &[u8]) -> Self {
        let parsed = serde_json::from_slice::<Map<String, Value>>(body);
        let Ok(mut fields) = parsed else {
            let status = if (200..300).contains(&status) { 502 } else { status };
            return Self::failed(function_key, status, "The application did not answer with a JSON object");
        };
        if (200..300).contains(&status) && fields.get("success") == Some(&Value::Bool(true)) {
            return Self {
                success: true,
                status,
                function_key: function_key.to_owned(),
                result: fields.remove("result"),
                error: None,
            };
        }
        let said = fields.get("error").and_then(|error| {
            let text = error.as_str().or_else(|| error.get("message").and_then(Value::as_str));
            text.map(|text| text.chars().take(1_000).collect::<String>())
        });
        let error = said.unwrap_or_else(|| {
            format!("The application refused the call (status {status}) without a reason")
        });
        Self::failed(function_key, status, error)
    }
}

/// The pause before the next attempt, or `None` if the call is not repeated: three attempts, only after 429 and 5xx.
pub fn pause_after(attempt: u32, status: u16) -> Option<Duration> {
    let may_repeat = status == 429 || status >= 500;
    (may_repeat && attempt < ATTEMPTS).then(|| Duration::from_millis(250) * 2_u32.pow(attempt - 1))
}

/// The key of the function without `bridge.`. The error is a sentence without the final full stop.
pub fn function_key(text: &str) -> Result<&str, String> {
    let key = text.strip_prefix("bridge.").unwrap_or(text);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !key.is_empty() && key.len() <= KEY_CHARS_MAX && key.chars().all(is_plain) {
        Ok(key)
    } else {
        Err(format!("functionKey needs 1 to {KEY_CHARS_MAX} letters, digits, `.`, `_` or `-`"))
    }
}

/// Where calls go: the first setting that is not blank counts, and `hydrated` precedes `environment`. The error names
/// the missing settings, or what is wrong with the address.
pub fn target(
    hydrated: Option<&BridgeSettings>,
    environment: &BridgeSettings,
) -> Result<BridgeTarget, String> {
    fn given(text: Option<&str>) -> Option<&str> {
        text.map(str::trim).filter(|text| !text.is_empty())
    }
    let sources = || hydrated.into_iter().chain([environment]);
    let first = |read: fn(&BridgeSettings) -> Option<&str>| sources().find_map(|source| given(read(source)));
    let app_key = first(|settings| settings.app_key.as_deref());
    let of_map = || {
        sources().find_map(|source| {
            let map: Map<String, Value> =
                serde_json::from_str(given(source.app_base_url_map_json.as_deref())?).ok()?;
            given(map.get(app_key?)?.as_str()).map(str::to_owned)
        })
    };
    let base = first(|settings| settings.base_url.as_deref()).map(str::to_owned).or_else(of_map);
    let service_id = first(|settings| settings.service_id.as_deref());
    let service_key = first(|settings| settings.service_key.as_ref().map(Secret::expose));
    let (Some(base), Some(service_id), Some(service_key), Some(app_key)) =
        (&base, service_id, service_key, app_key)
    else {
        let missing = [
            ("OPENCLAW_AGENT_BRIDGE_BASE_URL", base.is_none()),
            ("OPENCLAW_SERVICE_ID", service_id.is_none()),
            ("OPENCLAW_SERVICE_KEY", service_key.is_none()),
            ("OPENCLAW_AGENT_APP", app_key.is_none()),
        ];
        let missing: Vec<&str> = missing.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        return Err(format!("The bridge is not configured: {} is missing", missing.join(", ")));
    };
    for (name, value) in [
        ("OPENCLAW_SERVICE_ID", service_id),
        ("OPENCLAW_SERVICE_KEY", service_key),
        ("OPENCLAW_AGENT_APP", app_key),
    ] {
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("The bridge is not configured: {name} cannot be sent in a header"));
        }
    }
    let base = BaseUrl::parse(base.strip_suffix('/').unwrap_or(base))
        .map_err(|why| format!("The address of the bridge cannot be used: {}", why.explain()))?;
    Ok(BridgeTarget {
        url: base.join(PATH),
        base,
        service_id: service_id.to_owned(),
        service_key: Secret::new(service_key),
        app_key: app_key.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(value: &Value) -> BridgeSettings {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn hydration_precedes_the_environment_and_blank_is_absent() {
        let environment = settings(&json!({"baseUrl": "https://env.example/", "serviceId": "env-id",
            "serviceKey": "env-key", "appKey": "env-app"}));
        let hydrated =
            settings(&json!({"baseUrl": "  ", "serviceId": "id", "serviceKey": "key", "appKey": null}));
        let found = target(Some(&hydrated), &environment).unwrap();
        assert_eq!(found.url, "https://env.example/agent/execute");
        assert_eq!((found.service_id.as_str(), found.app_key.as_str()), ("id", "env-app"));
        assert_eq!(found.service_key.expose(), "key");
        assert!(!format!("{found:?}").contains("\"key\""));
        assert_eq!(target(None, &environment).unwrap().service_id, "env-id");
    }

    /// The map is asked only if no address is set.
    #[test]
    fn the_map_has_the_address_of_the_application() {
        let map = json!({"crm": "https://crm.example/api", "shop": "https://shop.example"}).to_string();
        let mut own = settings(
            &json!({"appBaseUrlMapJson": map, "serviceId": "i", "serviceKey": "k", "appKey": "crm"}),
        );
        let empty = settings(&json!({}));
        assert_eq!(target(Some(&own), &empty).unwrap().url, "https://crm.example/api/agent/execute");
        own.app_key = Some("other".to_owned());
        let error = target(Some(&own), &empty).unwrap_err();
        assert!(error.contains("OPENCLAW_AGENT_BRIDGE_BASE_URL is missing"), "{error}");
        let error = target(None, &empty).unwrap_err();
        for name in ["BASE_URL", "OPENCLAW_SERVICE_ID", "OPENCLAW_SERVICE_KEY", "OPENCLAW_AGENT_APP"] {
            assert!(error.contains(name), "{error}");
        }
        own.base_url = Some("ftp://x".to_owned());
        assert!(target(Some(&own), &empty).unwrap_err().contains("cannot be used"));
        (own.base_url, own.service_key) = (Some("http://x".to_owned()), Some(Secret::new("a\nb")));
        assert!(target(Some(&own), &empty).unwrap_err().contains("OPENCLAW_SERVICE_KEY cannot be sent"));
    }

    #[test]
    fn an_answer_is_a_success_if_status_and_body_say_so() {
        let rows: [(u16, &str, (bool, u16)); 6] = [
            (200, r#"{"success":true,"result":{"a":1}}"#, (true, 200)),
            (201, r#"{"success":true}"#, (true, 201)),
            (200, r#"{"success":false,"error":"no such order"}"#, (false, 200)),
            (200, r#"{"success":"true"}"#, (false, 200)),
            (200, "<html>", (false, 502)),
            (403, r#"{"error":{"message":"not allowed"}}"#, (false, 403)),
        ];
        for (status, body, expected) in rows {
            let found = BridgeResult::of_answer("f", status, body.as_bytes());
            assert_eq!((found.success, found.status), expected, "{body}");
            assert_eq!(found.error.is_none(), found.success);
        }
        let error = |body: &str| BridgeResult::of_answer("f", 403, body.as_bytes()).error.unwrap();
        assert_eq!(error(r#"{"error":{"message":"not allowed"}}"#), "not allowed");
        assert_eq!(error(r#"{"error":"plain"}"#), "plain");
    }

    #[test]
    fn only_overload_and_failures_are_repeated() {
        let rows = [
            (1, 429, Some(250)),
            (2, 500, Some(500)),
            (3, 503, None),
            (1, 400, None),
            (1, 404, None),
            (1, 200, None),
        ];
        for (attempt, status, pause) in rows {
            assert_eq!(pause_after(attempt, status), pause.map(Duration::from_millis), "{attempt} {status}");
        }
        assert_eq!(function_key("bridge.orders.list"), Ok("orders.list"));
        for bad in ["", "bridge.", "a/b", "a b", "ü", &"x".repeat(129)] {
            assert!(function_key(bad).is_err(), "{bad}");
        }
    }
}
