//! What `/health` and `/version` say (http-and-tools §3.1, §3.2): the fields that this version can fill with truth.

use std::time::Duration;

use serde::Serialize;

use crate::clock::Millis;

/// `GET /version`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Ours.
    pub runtime_service_version: String,
    /// The gateway's, or `unknown`.
    pub openclaw_version: String,
    /// The machine.
    pub droplet_id: String,
    /// Where it stands.
    pub region: String,
}

/// What is known of the backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendHealth {
    /// Whether it answered, whatever it said; none before the first call.
    pub reachable: Option<bool>,
    /// Whether it knows account and token; none where it did not answer.
    pub accepted: Option<bool>,
    /// When that was.
    pub checked_at: Option<Millis>,
    /// What went wrong, redacted; none if nothing did.
    pub last_error: Option<String>,
}

/// `GET /health`. The status is `degraded` as long as nothing is delivered, as in the original.
#[derive(Clone, Debug, Serialize)]
pub struct Health<'a> {
    status: &'static str,
    uptime: f64,
    versions: Versions<'a>,
    infrastructure: Infrastructure<'a>,
    gateway: Running,
    delivery: Running,
    backend: BackendHealth,
    timestamp: Millis,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions<'a> {
    runtime_service: &'a str,
    openclaw: &'a str,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Infrastructure<'a> {
    droplet_id: &'a str,
    ip_address: &'a str,
    region: &'a str,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Running {
    running: bool,
}

impl<'a> Health<'a> {
    /// How the service is now.
    pub fn new(
        version: &'a Version,
        ip_address: &'a str,
        up: Duration,
        backend: BackendHealth,
        now: Millis,
    ) -> Self {
        let not_yet = Running { running: false };
        Self {
            status: "degraded",
            uptime: (up.as_secs_f64() * 1000.0).round() / 1000.0,
            versions: Versions {
                runtime_service: &version.runtime_service_version,
                openclaw: &version.openclaw_version,
            },
            infrastructure: Infrastructure {
                droplet_id: &version.droplet_id,
                ip_address,
                region: &version.region,
            },
            gateway: not_yet,
            delivery: not_yet,
            backend,
            timestamp: now,
        }
    }

    /// Indented by two spaces, as the original answers.
    pub fn pretty(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain fields and text keys always make JSON")
    }
}
