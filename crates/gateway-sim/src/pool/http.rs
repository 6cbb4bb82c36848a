//! The backend over HTTP, as Convex serves it (convex-http-api A.1 to A.4).

use std::io;
use std::net::ToSocketAddrs;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::functions::FunctionKind;
use super::snapshots::UPLOAD_PATH;
use super::{PoolBackend, PoolFault, locked};
use mcr_http::message::{Method, Reply, Request};
use mcr_http::server::{Server, ServerLimits};

/// The limit of an uploaded file.
const UPLOAD_BYTES: usize = 64 * 1024 * 1024;

/// Where stored files are.
const STORAGE: &str = "/api/storage/";

#[derive(Deserialize)]
struct CallBody {
    path: String,
    args: Value,
}

impl PoolBackend {
    /// Serves the backend at this address. A second server for the same backend is the backend after a restart.
    pub fn serve(&self, address: impl ToSocketAddrs) -> io::Result<Server> {
        let limits = ServerLimits::default().with_body_limit(UPLOAD_PATH, UPLOAD_BYTES);
        let backend = self.clone();
        Server::bind(address, limits, move |request: Request| backend.answer(&request))
    }

    /// Answers one HTTP request.
    pub fn answer(&self, request: &Request) -> Reply {
        if let Some(host) = request.header("Host") {
            locked(&self.shared.state).base_url = format!("http://{host}");
        }
        let path = request.path();
        match (request.method(), &*path) {
            (Method::Post, "/api/query") => self.answer_call(FunctionKind::Query, request),
            (Method::Post, "/api/mutation") => self.answer_call(FunctionKind::Mutation, request),
            (Method::Post, UPLOAD_PATH) => {
                Reply::json_of(&json!({"storageId": self.store(request.body().to_vec())}))
            }
            (Method::Get, path) => match path.strip_prefix(STORAGE).and_then(|id| self.stored(id)) {
                Some(content) => Reply::whole("application/octet-stream", content),
                None => Reply::empty(404),
            },
            _ => Reply::empty(404),
        }
    }

    fn answer_call(&self, kind: FunctionKind, request: &Request) -> Reply {
        let body: CallBody = match serde_json::from_slice(request.body()) {
            Ok(body) => body,
            Err(why) => return system_error(400, "BadJsonBody", &why.to_string()),
        };
        // Named arguments, or the older form: a list of one.
        let args: Option<Map<String, Value>> = match body.args {
            Value::Object(args) => Some(args),
            Value::Array(mut list) if list.len() == 1 => match list.pop() {
                Some(Value::Object(args)) => Some(args),
                _ => None,
            },
            _ => None,
        };
        let Some(args) = args else { return system_error(400, "BadJsonBody", "args is not an object") };
        let name = body.path.rsplit(':').next().unwrap_or_default();
        let fault = self.fault_of(name);
        match fault {
            Some(PoolFault::Cut) => return Reply::abrupt(Vec::new()),
            Some(PoolFault::Overload) => return system_error(503, "WorkerOverloaded", "too many requests"),
            Some(PoolFault::LoseAnswer) | None => {}
        }
        let result = self.call(kind, &body.path, &args);
        if fault == Some(PoolFault::LoseAnswer) {
            return Reply::abrupt(Vec::new());
        }
        Reply::json_of(&match result {
            Ok(value) => json!({"status": "success", "value": with_fractions(value)}),
            Err(why) => json!({"status": "error",
                "errorMessage": format!("[Request ID: 0123456789abcdef] Server Error\nUncaught Error: {why}\n")}),
        })
    }
}

/// Convex writes every number as a float.
fn with_fractions(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(list) => list.into_iter().map(with_fractions).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, with_fractions(value))).collect()
        }
        other @ (Value::Null | Value::Bool(_) | Value::String(_)) => other,
    }
}

fn system_error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json_of(&json!({"code": code, "message": message})).with_status(status)
}
