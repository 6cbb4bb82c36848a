//! The parts of `/health` about the process and the machine: versions, memory, panics.

use serde::Serialize;

use super::seconds;
use mcr_http::panics::Last;

/// Versions.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// The runtime's version.
    pub runtime_service: String,
    /// The gateway's version.
    pub openclaw: String,
}

/// `GET /version`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The runtime's version.
    pub runtime_service_version: String,
    /// The gateway's version, or `unknown`.
    pub openclaw_version: String,
    /// The machine's id.
    pub droplet_id: String,
    /// The machine's region.
    pub region: String,
}

/// The machine.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Infrastructure {
    /// Its id.
    pub droplet_id: String,
    /// Its address.
    pub ip_address: String,
    /// Its region.
    pub region: String,
}

/// The memory of this process, in bytes. The old runtime's other fields belong to its garbage collector.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Memory {
    /// Resident memory.
    pub rss: u64,
}

/// Panics of threads. Each was caught, and the thread went on.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PanicHealth {
    /// The number of panics since the start.
    pub count: u64,
    /// The thread of the last one.
    pub last_thread: Option<&'static str>,
    /// Seconds since the last one.
    pub last_seconds_ago: Option<f64>,
    /// Whether the last one is so recent that a person should look.
    #[serde(skip)]
    pub recent: bool,
}

impl PanicHealth {
    /// From the last panic.
    pub fn of(last: Option<&Last>) -> Self {
        let Some(last) = last else { return Self::default() };
        Self {
            count: last.count,
            last_thread: Some(last.thread),
            last_seconds_ago: Some(seconds(last.ago())),
            recent: last.is_recent(),
        }
    }
}
