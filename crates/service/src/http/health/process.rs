//! The process and the machine: versions, memory, panics.

use serde::Serialize;

use super::seconds;
use mcr_http::panics::Last;

/// Versions.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// Ours.
    pub runtime_service: String,
    /// The gateway's.
    pub openclaw: String,
}

/// The machine.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Infrastructure {
    /// Its id.
    pub droplet_id: String,
    /// Its address.
    pub ip_address: String,
    /// Where it stands.
    pub region: String,
}

/// Of this process, in bytes; the original's other fields are a garbage collector's.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Memory {
    /// What is resident.
    pub rss: u64,
}

/// Panics of the threads: caught, and the thread has gone on.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PanicHealth {
    /// How many there were since the start.
    pub count: u64,
    /// The thread of the last one.
    pub last_thread: Option<&'static str>,
    /// How many seconds ago that was.
    pub last_seconds_ago: Option<f64>,
    /// Whether it was so lately that somebody should look.
    #[serde(skip)]
    pub recent: bool,
}

impl PanicHealth {
    /// By the last one.
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
