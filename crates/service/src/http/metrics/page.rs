//! Prometheus' text format: each family has one `HELP` and one `TYPE` line, followed by its samples.

use std::fmt::{Display, Write as _};

use crate::metrics::{Durations, Family};

/// The type of a family.
#[derive(Clone, Copy)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

impl MetricKind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The text, built family by family.
#[derive(Default)]
pub(super) struct Page {
    pub(super) text: String,
    name: &'static str,
}

impl Page {
    /// Starts a family. The samples that follow belong to it.
    pub(super) fn family(&mut self, kind: MetricKind, name: &'static str, help: &str) -> &mut Self {
        self.name = name;
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
        self
    }

    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.line("", labels, value)
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (number, (name, value)) in labels.iter().enumerate() {
            let begin = if number == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{begin}{name}=\"{}\"", escaped(value));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
        self
    }

    /// A family with one sample.
    pub(super) fn one(&mut self, kind: MetricKind, name: &'static str, help: &str, value: impl Display) {
        self.family(kind, name, help).sample(&[], value);
    }

    /// A gauge with one sample, if its value is known.
    pub(super) fn maybe(&mut self, name: &'static str, help: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.one(MetricKind::Gauge, name, help, value);
        }
    }

    pub(super) fn counts(&mut self, name: &'static str, help: &str, labels: [&str; 2], family: &Family) {
        self.family(MetricKind::Counter, name, help);
        for (first, second, count) in family.counts() {
            self.sample(&[(labels[0], first), (labels[1], second)], count);
        }
    }

    pub(super) fn times(&mut self, name: &'static str, help: &str, label: &str, family: &Family) {
        self.family(MetricKind::Histogram, name, help);
        for (of, times) in family.times() {
            self.histogram(&[(label, of)], &times);
        }
    }

    pub(super) fn histogram(&mut self, labels: &[(&str, &str)], times: &Durations) {
        let bounds = times.bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (bound, upto) in bounds.zip(&times.upto) {
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.line("_bucket", &labels, upto);
        }
        self.line("_sum", labels, times.seconds);
        self.line("_count", labels, times.count());
    }
}

/// A label's value, escaped for its quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
