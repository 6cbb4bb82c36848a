//! Logs, through `log`: level, component, one line each, redacted.
