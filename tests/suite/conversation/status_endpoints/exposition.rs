//! The text format 0.0.4, parsed strictly: everything that Prometheus would only tolerate is refused.

use std::collections::{BTreeMap, BTreeSet};

/// A line with a figure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// The families of a page, by name.
#[derive(Debug, Default)]
pub(in super::super) struct Page {
    pub(super) families: BTreeMap<String, Family>,
}

#[derive(Debug)]
pub(super) struct Family {
    pub(super) kind: String,
    pub(super) samples: Vec<Sample>,
}

impl Page {
    /// The one figure of a family with these labels.
    pub(in super::super) fn value(&self, family: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let fits = |sample: &&Sample| {
            labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|found| found == value))
        };
        let samples = &self.families.get(family)?.samples;
        let mut found = samples.iter().filter(fits);
        let value = found.next()?.value;
        assert!(found.next().is_none(), "{family} {labels:?} is not one figure");
        Some(value)
    }

    /// The values of this label in a family.
    pub(in super::super) fn label(&self, family: &str, label: &str) -> BTreeSet<&str> {
        let samples = self.families.get(family).map_or(&[][..], |family| &family.samples);
        samples.iter().filter_map(|sample| sample.labels.get(label)).map(String::as_str).collect()
    }
}

fn is_name(text: &str) -> bool {
    let begins = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    text.starts_with(begins) && text.chars().all(|c| begins(c) || c.is_ascii_digit())
}

/// Parses leading `{name="value",…}`; returns the rest too.
fn labels(text: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut found = BTreeMap::new();
    let Some(mut rest) = text.strip_prefix('{') else { return Ok((found, text)) };
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(name) || name.contains(':') || name.starts_with("__") {
            return Err(format!("the label {name:?}"));
        }
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().ok_or("a value without an end")? {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, c @ ('\\' | '"'))) => c,
                    other => return Err(format!("the escape {other:?}")),
                }),
                (_, c) => value.push(c),
            }
        };
        if found.insert(name.to_owned(), value).is_some() {
            return Err(format!("the label {name} twice"));
        }
        rest = &after[end + 1..];
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((found, after));
        }
        rest = rest.strip_prefix(',').ok_or("no comma between labels")?;
    }
}

fn number(text: &str) -> Result<f64, String> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        _ if text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) => {
            text.parse().map_err(|_| format!("the number {text:?}"))
        }
        _ => Err(format!("the number {text:?}")),
    }
}

/// Parses a page, or reports the line with the error.
pub(super) fn read(text: &str) -> Result<Page, String> {
    let mut page = Page::default();
    let (mut open, mut helped) = (None::<String>, BTreeSet::new());
    let mut seen = BTreeSet::new();
    if !text.ends_with('\n') {
        return Err("it does not end with a line's end".to_owned());
    }
    for line in text.lines() {
        let wrong = |what: &str| Err(format!("{what} in {line:?}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let Some((name, help)) = rest.split_once(' ') else { return wrong("no help") };
            if !is_name(name) || help.is_empty() || !helped.insert(name.to_owned()) {
                return wrong("a second help, or an odd one");
            }
            open = Some(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { return wrong("no type") };
            if open.as_deref() != Some(name) || !["counter", "gauge", "histogram"].contains(&kind) {
                return wrong("a type without its help");
            }
            let family = Family { kind: kind.to_owned(), samples: Vec::new() };
            if page.families.insert(name.to_owned(), family).is_some() {
                return wrong("a second type");
            }
        } else {
            let end = line.find(['{', ' ']).unwrap_or(line.len());
            let (name, rest) = line.split_at(end);
            let (labels, rest) = labels(rest).map_err(|why| format!("{why} in {line:?}"))?;
            // One space, one number, and no timestamp.
            let Some(value) = rest.strip_prefix(' ') else { return wrong("no figure") };
            let value = number(value).map_err(|why| format!("{why} in {line:?}"))?;
            let Some(of) = open.clone() else { return wrong("a figure without a family") };
            let Some(family) = page.families.get_mut(&of) else { return wrong("a figure before its type") };
            let suffix = name.strip_prefix(of.as_str());
            let fits = match family.kind.as_str() {
                "histogram" => matches!(suffix, Some("_bucket" | "_sum" | "_count")),
                _ => suffix == Some(""),
            };
            if !is_name(name) || !fits {
                return wrong("a figure of another family");
            }
            if family.kind == "counter" && !(value >= 0.0 && value.is_finite()) {
                return wrong("a counter that cannot be one");
            }
            if !seen.insert((name.to_owned(), labels.clone())) {
                return wrong("the same figure twice");
            }
            family.samples.push(Sample { name: name.to_owned(), labels, value });
        }
    }
    for (name, family) in page.families.iter().filter(|(_, family)| family.kind == "histogram") {
        histogram(name, family)?;
    }
    Ok(page)
}

/// Buckets increase, end with `+Inf`, and agree with the count.
fn histogram(name: &str, family: &Family) -> Result<(), String> {
    let mut sets: BTreeMap<BTreeMap<String, String>, Vec<&Sample>> = BTreeMap::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        labels.remove("le");
        sets.entry(labels).or_default().push(sample);
    }
    for (labels, samples) in sets {
        let wrong = |what: &str| Err(format!("{name} {labels:?}: {what}"));
        let (mut bound, mut count) = (f64::NEG_INFINITY, 0.0);
        let of = |suffix: &str| {
            let mut found = samples.iter().filter(|sample| sample.name.ends_with(suffix));
            found.next().filter(|_| found.next().is_none()).map(|sample| sample.value)
        };
        for sample in samples.iter().filter(|sample| sample.name.ends_with("_bucket")) {
            let Some(le) = sample.labels.get("le") else { return wrong("a bucket without an end") };
            let le = number(le)?;
            if le <= bound || sample.value < count {
                return wrong("buckets out of order");
            }
            (bound, count) = (le, sample.value);
        }
        if bound != f64::INFINITY || of("_count") != Some(count) || of("_sum").is_none() {
            return wrong("not all of a histogram");
        }
    }
    Ok(())
}

/// The parser refuses invalid pages, otherwise it would prove nothing.
#[test]
fn the_parser_is_strict() {
    let good = "# HELP a A.\n# TYPE a counter\na{b=\"x \\\"y\\\\\\n\",c=\"\"} 1\na 2.5e3\n\
                # HELP h H.\n# TYPE h histogram\nh_bucket{le=\"0.1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 0.3\nh_count 2\n";
    let page = read(good).unwrap();
    assert_eq!(page.value("a", &[("b", "x \"y\\\n")]), Some(1.0));
    let rows = [
        ("# HELP a A.\n# TYPE a counter\na 1", "the last line has no end"),
        ("a 1\n", "no family"),
        ("# HELP a A.\na 1\n", "no type"),
        ("# TYPE a counter\na 1\n", "no help"),
        ("# HELP a A.\n# TYPE a counter\n# HELP a A.\n# TYPE a counter\na 1\n", "twice"),
        ("# HELP a A.\n# TYPE a sum\na 1\n", "an odd type"),
        ("# HELP a A.\n# TYPE a counter\nb 1\n", "another family"),
        ("# HELP a A.\n# TYPE a counter\na 1 1712345678901\n", "a timestamp"),
        ("# HELP a A.\n# TYPE a counter\na -1\n", "a negative counter"),
        ("# HELP a A.\n# TYPE a gauge\na NaN\n", "no number"),
        ("# HELP a A.\n# TYPE a gauge\na inf\n", "no number"),
        ("# HELP a A.\n# TYPE a gauge\na  1\n", "two spaces"),
        ("# HELP a A.\n# TYPE a gauge\na{b=\"x\"} 1\na{b=\"x\"} 2\n", "the same twice"),
        ("# HELP a A.\n# TYPE a gauge\na{b=\"x\",b=\"y\"} 1\n", "a label twice"),
        ("# HELP a A.\n# TYPE a gauge\na{b=\"\\x\"} 1\n", "an odd escape"),
        ("# HELP a A.\n# TYPE a gauge\na{b-c=\"x\"} 1\n", "an odd label"),
        ("# HELP a A.\n# TYPE a gauge\na{b=\"x\" 1\n", "no end of labels"),
        ("# HELP a A.\n# TYPE a gauge\n\na 1\n", "an empty line"),
        ("# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"0.1\"} 1\nh_sum 1\nh_count 1\n", "no last bucket"),
        ("# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n", "a wrong count"),
        (
            "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"0.1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
            "shrinking buckets",
        ),
    ];
    for (text, why) in rows {
        assert!(read(text).is_err(), "{why}: {text}");
    }
}
