//! What a test's own thread wrote to the log.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Once;

use log::kv::{Error, Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut line = Line(format!("{} {} {}", record.level(), record.target(), record.args()));
        record.key_values().visit(&mut line).expect("a line takes every field");
        let Line(line) = line;
        LINES.with_borrow_mut(|lines| lines.push(line));
    }

    fn flush(&self) {}
}

struct Line(String);

impl<'kvs> VisitSource<'kvs> for Line {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        Ok(write!(self.0, " {key}={value}")?)
    }
}

/// Begins to collect the lines of this thread, of all levels: `LEVEL target text key=value…`.
pub(crate) fn begin() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Capture).expect("this is the only logger of the test binary");
        log::set_max_level(LevelFilter::Trace);
    });
    LINES.with_borrow_mut(Vec::clear);
}

/// The lines since [`begin`].
pub(crate) fn lines() -> Vec<String> {
    LINES.with_borrow(Clone::clone)
}
