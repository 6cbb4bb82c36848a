//! The settings of log lines.

use crate::reader::Reader;
use crate::table::{LOG_FORMAT, LOG_LEVEL, LOG_OUTPUT};

/// The lowest level of log lines that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Failures.
    Error,
    /// And conditions that need attention.
    Warn,
    /// And events.
    Info,
    /// And details of events.
    Debug,
    /// And everything else.
    Trace,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The stream of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
}

pub(super) fn level(reader: &mut Reader) -> LogLevel {
    match reader.text(&LOG_LEVEL).as_str() {
        "error" => LogLevel::Error,
        "warn" => LogLevel::Warn,
        "debug" => LogLevel::Debug,
        "trace" => LogLevel::Trace,
        _ => LogLevel::Info,
    }
}

pub(super) fn format(reader: &mut Reader) -> LogFormat {
    match reader.text(&LOG_FORMAT).as_str() {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    }
}

pub(super) fn output(reader: &mut Reader) -> LogOutput {
    match reader.text(&LOG_OUTPUT).as_str() {
        "stdout" => LogOutput::Stdout,
        _ => LogOutput::Stderr,
    }
}
