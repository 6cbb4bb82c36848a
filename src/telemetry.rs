//! The log format: one line per record, with instant, level, component, message and fields, all redacted.
//!
//! The component is the part of the program that logs (`convex`, `http`, `app`). Other crates pass from `warn` on.
//! Fields (`agent`, `task`, `notification`, `attempt`, …) are members of the JSON object, or `key=value` after the
//! sentence of a text line. Control characters are escaped, so input from outside cannot forge a line.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::{Arc, OnceLock};
use std::{panic, thread};

use env_logger::{Builder, Target};
use log::kv::{self, Key, Source, Value, VisitSource};
use log::{Level, LevelFilter, error};

use mcr_config::{LogFormat, LogOutput};
use mcr_model::clock::{Clock, Millis, SystemClock};
use mcr_model::redact::Redactor;
use mcr_model::visible;

/// The prefix of our crates' names, for the filter.
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

/// The longest message of a line; the rest is cut with `…`.
const MESSAGE_CHARS: usize = 4_000;

/// The longest value of a field; the rest is cut with `…`.
const VALUE_CHARS: usize = 1_000;

/// Members of a JSON line that no field may replace.
const FIXED_MEMBERS: [&str; 4] = ["ts", "level", "component", "message"];

/// Starts logging. Only the first call has an effect.
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
                let line = Line {
                    at: SystemClock.now(),
                    level: record.level(),
                    component: component(record.target()),
                    message: &redactor.excerpt(&record.args().to_string(), MESSAGE_CHARS),
                    fields: &Fields::read(record.key_values(), &redactor),
                };
                out.write_all(line.render(format).as_bytes())
            })
            .init();
        // A panic message is redacted and formatted like every other line.
        panic::set_hook(Box::new(|info| {
            let thread = thread::current();
            let name = thread.name().unwrap_or("nameless");
            let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
            let reason = info.payload_as_str().unwrap_or("no words");
            error!(thread = name, place, reason; "A thread panicked");
        }));
    });
}

/// Own crates log from this level on, other crates from `warn` on.
fn filtered(level: LevelFilter) -> Builder {
    let mut builder = Builder::new();
    builder
        .filter_level(level.min(LevelFilter::Warn))
        .filter_module(env!("CARGO_CRATE_NAME"), level)
        .filter_module(LAYERS, level);
    builder
}

/// The part of the program that logs: a crate with one subject, a module of another own crate, or a foreign crate.
fn component(target: &str) -> &str {
    let (name, path) = target.split_once("::").unwrap_or((target, ""));
    if let Some((_, subject)) = ONE_SUBJECT.iter().find(|(ours, _)| *ours == name) {
        return subject;
    }
    let ours = name == env!("CARGO_CRATE_NAME") || name.starts_with(LAYERS);
    let module = path.split("::").next().filter(|module| ours && !module.is_empty());
    module.unwrap_or(name)
}

/// The structured fields of a record, in the order in which they were given.
#[derive(Default)]
struct Fields(Vec<(String, FieldValue)>);

/// A field's value: numbers and booleans keep their form, everything else is redacted text.
enum FieldValue {
    Plain(String),
    Text(String),
}

impl Fields {
    fn read(source: &dyn Source, redactor: &Redactor) -> Self {
        struct Reader<'a>(Vec<(String, FieldValue)>, &'a Redactor);
        impl<'kvs> VisitSource<'kvs> for Reader<'_> {
            fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
                let text = value.to_string();
                let plain = value.to_bool().is_some() || value.to_i64().is_some() || value.to_u64().is_some();
                let value = if plain {
                    FieldValue::Plain(text)
                } else {
                    FieldValue::Text(self.1.excerpt(&text, VALUE_CHARS))
                };
                self.0.push((key.as_str().to_owned(), value));
                Ok(())
            }
        }
        let mut reader = Reader(Vec::new(), redactor);
        let read = source.visit(&mut reader);
        debug_assert!(read.is_ok(), "the reader accepts every pair");
        Self(reader.0)
    }
}

/// A record as it is written.
struct Line<'a> {
    at: Millis,
    level: Level,
    component: &'a str,
    message: &'a str,
    fields: &'a Fields,
}

impl Line<'_> {
    fn render(&self, format: LogFormat) -> String {
        let mut line = String::with_capacity(self.message.len() + 128);
        let written = match format {
            LogFormat::Text => self.text(&mut line),
            LogFormat::Json => self.json(&mut line),
        };
        debug_assert!(written.is_ok(), "writing into a String cannot fail");
        line.push('\n');
        line
    }

    fn text(&self, line: &mut String) -> fmt::Result {
        write!(line, "{} {:<5} {:<9} ", self.at, self.level, self.component)?;
        visible::push_line(line, self.message);
        for (key, value) in &self.fields.0 {
            write!(line, " {key}=")?;
            match value {
                FieldValue::Text(text) if !is_bare(text) => line.push_str(&quote(text)),
                FieldValue::Plain(text) | FieldValue::Text(text) => line.push_str(text),
            }
        }
        Ok(())
    }

    fn json(&self, line: &mut String) -> fmt::Result {
        let level = self.level.as_str().to_ascii_lowercase();
        let (component, message) = (quote(self.component), quote(self.message));
        write!(
            line,
            r#"{{"ts":"{}","level":"{level}","component":{component},"message":{message}"#,
            self.at
        )?;
        for (key, value) in self.fields.0.iter().filter(|(key, _)| !FIXED_MEMBERS.contains(&key.as_str())) {
            let value = match value {
                FieldValue::Plain(text) => text.clone(),
                FieldValue::Text(text) => quote(text),
            };
            write!(line, ",{}:{value}", quote(key))?;
        }
        line.push('}');
        Ok(())
    }
}

/// Whether a value can be read without quotes in a text line.
fn is_bare(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
    !text.is_empty() && text.chars().all(plain)
}

/// A JSON string without invisible characters.
fn quote(text: &str) -> String {
    visible::json(&serde_json::Value::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use mcr_model::secret::Secret;

    use super::*;

    fn render(format: LogFormat, level: Level, message: &str, fields: &Fields) -> String {
        Line { at: Millis(1_765_526_400_123), level, component: "convex", message, fields }.render(format)
    }

    #[test]
    fn a_line_has_instant_level_component_and_message_and_never_breaks() {
        let none = Fields::default();
        let text = render(LogFormat::Text, Level::Warn, "first\nsecond \u{1b}[31m", &none);
        assert_eq!(text, "2025-12-12T08:00:00.123Z WARN  convex    first\\nsecond \\u{1b}[31m\n");
        let json = render(LogFormat::Json, Level::Info, "say \"hi\"\n", &none);
        let expected = r#"{"ts":"2025-12-12T08:00:00.123Z","level":"info","component":"convex","message":"say \"hi\"\n"}"#;
        assert_eq!(json, format!("{expected}\n"));
    }

    #[test]
    fn fields_are_members_in_json_and_key_value_pairs_in_text() {
        let redactor = Redactor::new([&Secret::new("s3cret-token-value".to_owned())]);
        let pairs: [(&str, Value<'_>); 6] = [
            ("agent", Value::from("ben")),
            ("attempt", Value::from(2_u64)),
            ("moved", Value::from(true)),
            ("task", Value::from("Fix\nthe \"page\"")),
            ("error", Value::from("got s3cret-token-value")),
            ("message", Value::from("forged")),
        ];
        let fields = Fields::read(&pairs.as_slice(), &redactor);
        let text = render(LogFormat::Text, Level::Info, "Answer posted", &fields);
        let json = render(LogFormat::Json, Level::Info, "Answer posted", &fields);
        assert!(!text.contains("s3cret") && !json.contains("s3cret"), "{text}{json}");
        let head = r#" Answer posted agent=ben attempt=2 moved=true task="Fix\nthe \"page\"" error="got "#;
        assert!(text.contains(head) && text.lines().count() == 1, "{text}");
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&read["agent"], &read["attempt"]), (&"ben".into(), &2.into()));
        assert_eq!((&read["task"], &read["message"]), (&"Fix\nthe \"page\"".into(), &"Answer posted".into()));
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
    fn the_component_is_the_crate_or_its_module() {
        for (target, expected) in [
            ("mission_control_runtime::app::run", "app"),
            ("mcr_clients::convex::client", "convex"),
            ("mcr_clients", "mcr_clients"),
            ("mcr_http::server::acceptor", "http"),
            ("mcr_mission_control", "local"),
            ("mission_control_runtime", "mission_control_runtime"),
            ("ureq::unversioned", "ureq"),
            ("", ""),
        ] {
            assert_eq!(component(target), expected);
        }
    }
}
