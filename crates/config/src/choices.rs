//! Variables whose value is one of a few words.

use super::reader::Reader;
use super::settings::{LedgerSwitch, LogFormat, LogLevel, LogOutput};
use super::table::{DONE_POLICY, LEDGER, LEDGER_SYNC, LOG_FORMAT, LOG_LEVEL, LOG_OUTPUT, NO_RESPONSE_NOTE};
use mcr_model::{DonePolicy, LedgerSync, NoResponseNote};

pub(super) fn log_level(reader: &mut Reader) -> LogLevel {
    match reader.text(&LOG_LEVEL).as_str() {
        "error" => LogLevel::Error,
        "warn" => LogLevel::Warn,
        "debug" => LogLevel::Debug,
        "trace" => LogLevel::Trace,
        _ => LogLevel::Info,
    }
}

pub(super) fn log_format(reader: &mut Reader) -> LogFormat {
    match reader.text(&LOG_FORMAT).as_str() {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    }
}

pub(super) fn ledger(reader: &mut Reader) -> LedgerSwitch {
    match reader.text(&LEDGER).as_str() {
        "off" => LedgerSwitch::Off,
        _ => LedgerSwitch::On,
    }
}

pub(super) fn ledger_sync(reader: &mut Reader) -> LedgerSync {
    match reader.text(&LEDGER_SYNC).as_str() {
        "normal" => LedgerSync::Normal,
        _ => LedgerSync::Full,
    }
}

pub(super) fn no_response_note(reader: &mut Reader) -> NoResponseNote {
    match reader.text(&NO_RESPONSE_NOTE).as_str() {
        "all" => NoResponseNote::All,
        "off" => NoResponseNote::Off,
        _ => NoResponseNote::People,
    }
}

pub(super) fn log_output(reader: &mut Reader) -> LogOutput {
    match reader.text(&LOG_OUTPUT).as_str() {
        "stdout" => LogOutput::Stdout,
        _ => LogOutput::Stderr,
    }
}

pub(super) fn done_policy(reader: &mut Reader) -> DonePolicy {
    match reader.text(&DONE_POLICY).as_str() {
        "off" => DonePolicy::Off,
        _ => DonePolicy::Warn,
    }
}
