//! Logs, through `log`: one line each, with instant, level and component, and redacted.
//!
//! The component is the room that speaks (`convex`, `http`, `app`); what other crates say passes from `warn` on.
//! A line never breaks: whatever came from outside is escaped, so that nobody can forge a line of ours.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, OnceLock};
use std::{panic, thread};

use env_logger::{Builder, Target};
use log::{Level, LevelFilter, error};

use mcr_config::{LogFormat, LogOutput};
use mcr_model::clock::{Clock, Millis, SystemClock};
use mcr_model::redact::Redactor;
use mcr_model::visible;

/// What the names of our other crates begin with; the filter takes it as a prefix.
const LAYERS: &str = "mcr_";

/// Crates with one subject; the others are named by their modules.
const ONE_SUBJECT: [(&str, &str); 6] = [
    ("mcr_model", "model"),
    ("mcr_files", "files"),
    ("mcr_config", "config"),
    ("mcr_http", "http"),
    ("mcr_mission_control", "local"),
    ("mcr_gateway_sim", "demo"),
];

/// The longest message that a line carries; the rest is cut with `…`.
const MESSAGE_CHARS: usize = 4_000;

/// Starts logging. Later calls change nothing: the first one rules.
pub fn start(level: LevelFilter, format: LogFormat, output: LogOutput, redactor: Arc<Redactor>) {
    static STARTED: OnceLock<()> = OnceLock::new();
    let target = match output {
        LogOutput::Stderr => Target::Stderr,
        LogOutput::Stdout => Target::Stdout,
    };
    STARTED.get_or_init(|| {
        filtered(level)
            .target(target)
            .format(move |out, record| {
                let message = redactor.excerpt(&record.args().to_string(), MESSAGE_CHARS);
                let component = component(record.target());
                out.write_all(line(format, SystemClock.now(), record.level(), component, &message).as_bytes())
            })
            .init();
        // A panic's words pass the same redaction and have the same form as everything else.
        panic::set_hook(Box::new(|info| {
            let thread = thread::current();
            let name = thread.name().unwrap_or("nameless");
            let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
            error!("the thread {name} panicked at {place}: {}", info.payload_as_str().unwrap_or("no words"));
        }));
    });
}

/// Lines of ours from this level on; what other crates say from `warn` on.
fn filtered(level: LevelFilter) -> Builder {
    let mut builder = Builder::new();
    builder
        .filter_level(level.min(LevelFilter::Warn))
        .filter_module(env!("CARGO_CRATE_NAME"), level)
        .filter_module(LAYERS, level);
    builder
}

/// The part of the program that speaks: a crate with one subject, a module of another crate of ours, or a foreign crate.
fn component(target: &str) -> &str {
    let (name, path) = target.split_once("::").unwrap_or((target, ""));
    if let Some((_, subject)) = ONE_SUBJECT.iter().find(|(ours, _)| *ours == name) {
        return subject;
    }
    let ours = name == env!("CARGO_CRATE_NAME") || name.starts_with(LAYERS);
    let module = path.split("::").next().filter(|module| ours && !module.is_empty());
    module.unwrap_or(name)
}

/// One finished line.
fn line(format: LogFormat, at: Millis, level: Level, component: &str, message: &str) -> String {
    let mut line = String::with_capacity(message.len() + 64);
    let written = match format {
        LogFormat::Text => {
            write!(line, "{at} {level:<5} {component:<9} ").map(|()| visible::push_line(&mut line, message))
        }
        LogFormat::Json => {
            let word = level.as_str().to_ascii_lowercase();
            let quote = |text: &str| visible::json(&serde_json::Value::from(text).to_string());
            let (component, message) = (quote(component), quote(message));
            write!(line, r#"{{"ts":"{at}","level":"{word}","component":{component},"message":{message}}}"#)
        }
    };
    debug_assert!(written.is_ok(), "writing into a String cannot fail");
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_when_how_grave_and_who_and_never_breaks() {
        let at = Millis(1_765_526_400_123);
        let text = line(LogFormat::Text, at, Level::Warn, "convex", "first\nsecond \u{1b}[31m");
        assert_eq!(text, "2025-12-12T08:00:00.123Z WARN  convex    first\\nsecond \\u{1b}[31m\n");
        let json = line(LogFormat::Json, at, Level::Info, "app", "say \"hi\"\n");
        let expected =
            r#"{"ts":"2025-12-12T08:00:00.123Z","level":"info","component":"app","message":"say \"hi\"\n"}"#;
        assert_eq!(json, format!("{expected}\n"));
    }

    /// A new crate has to be known to the filter and to have a name in the log.
    #[test]
    fn lines_of_every_crate_appear_under_a_plain_name() {
        let logger = filtered(LevelFilter::Info).build();
        let info = |target: &str| {
            log::Log::enabled(&logger, &log::Metadata::builder().level(Level::Info).target(target).build())
        };
        let crates = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/crates")).unwrap();
        let names = crates.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let targets: Vec<String> =
            names.map(|name| format!("mcr_{}::part", name.replace('-', "_"))).collect();
        assert!(targets.len() >= 10, "{targets:?}");
        for target in &targets {
            assert!(info(target), "{target} is filtered out");
            assert!(!component(target).starts_with(LAYERS), "{target} has no name");
        }
        assert!(info("mission_control_runtime::app::run") && !info("ureq::unversioned"));
    }

    #[test]
    fn the_component_is_the_room() {
        for (target, room) in [
            ("mission_control_runtime::app::run", "app"),
            ("mcr_clients::convex::client", "convex"),
            ("mcr_clients", "mcr_clients"),
            ("mcr_http::server::acceptor", "http"),
            ("mcr_mission_control", "local"),
            ("mission_control_runtime", "mission_control_runtime"),
            ("ureq::unversioned", "ureq"),
            ("", ""),
        ] {
            assert_eq!(component(target), room);
        }
    }
}
