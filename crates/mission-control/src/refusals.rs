//! The platform's form of the errors that the HTTP server returns before a request reaches the API (convex-http-api
//! A.2, A.3).

use serde_json::json;

use mcr_http::message::Reply;

/// The platform's status and code. For errors of the hosted service's proxy, the code is the status in words.
fn form(status: u16) -> (u16, &'static str) {
    match status {
        // On the platform, a body that is too large is an unreadable body.
        413 => (400, "BadJsonBody"),
        503 => (503, "WorkerOverloaded"),
        400 => (400, "BadRequest"),
        408 => (408, "RequestTimeout"),
        414 => (414, "UriTooLong"),
        417 => (417, "ExpectationFailed"),
        431 => (431, "RequestHeaderFieldsTooLarge"),
        501 => (501, "NotImplemented"),
        505 => (505, "HttpVersionNotSupported"),
        other => (other, "InternalServerError"),
    }
}

/// The response for a request that was refused with this status and sentence.
pub fn refused(status: u16, why: &str) -> Reply {
    let (status, code) = form(status);
    Reply::json_of(&json!({"code": code, "message": why})).with_status(status).no_store()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn whatever_is_refused_has_a_code_and_a_sentence() {
        let rows = [
            (413, 400, "BadJsonBody"),
            (408, 408, "RequestTimeout"),
            (500, 500, "InternalServerError"),
            (503, 503, "WorkerOverloaded"),
        ];
        for (status, answered, code) in rows {
            let reply = refused(status, "Too \"slow\"");
            let body: Value = serde_json::from_slice(reply.body().unwrap()).unwrap();
            assert_eq!((reply.status(), body), (answered, json!({"code": code, "message": "Too \"slow\""})));
            assert_eq!(reply.header("cache-control"), Some("no-store"));
        }
    }
}
