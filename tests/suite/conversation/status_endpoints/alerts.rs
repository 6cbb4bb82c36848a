//! `packaging/alerts.yml`: a rule for each reason, with only names of `/metrics`.

use std::collections::BTreeSet;

use mission_control_runtime::ops::HealthReason;

use super::super::processes::Stack;
use super::exposition::Page;

/// One rule.
#[derive(Debug, Default)]
struct Rule {
    alert: String,
    expr: String,
    span: String,
    severity: String,
    summary: String,
    description: String,
}

/// Parses the file: not YAML in general, only the one form in which it is written.
fn rules(text: &str) -> Vec<Rule> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    for expected in ["groups:", "  - name: mission-control-runtime", "    rules:"] {
        assert_eq!(lines.next(), Some(expected));
    }
    let quoted =
        |text: &str| -> String { serde_json::from_str(text).unwrap_or_else(|why| panic!("{why}: {text}")) };
    let mut rules: Vec<Rule> = Vec::new();
    while let Some(line) = lines.next() {
        let mut rule = Rule::default();
        let word = |line: Option<&str>, key: &str| {
            let line = line.unwrap();
            line.strip_prefix(key).unwrap_or_else(|| panic!("{line:?} is not {key:?}")).to_owned()
        };
        rule.alert = word(Some(line), "      - alert: ");
        rule.expr = quoted(&word(lines.next(), "        expr: "));
        rule.span = word(lines.next(), "        for: ");
        assert_eq!(lines.next(), Some("        labels:"));
        rule.severity = word(lines.next(), "          severity: ");
        assert_eq!(lines.next(), Some("        annotations:"));
        rule.summary = quoted(&word(lines.next(), "          summary: "));
        rule.description = quoted(&word(lines.next(), "          description: "));
        rules.push(rule);
    }
    rules
}

/// The metrics in an expression, with their labels.
fn names(expr: &str) -> Vec<(String, Vec<(String, String)>)> {
    const WORDS: [&str; 4] = ["absent", "increase", "sum", "abs"];
    let mut found = Vec::new();
    let mut rest = expr;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        rest = &rest[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        if WORDS.contains(&name) {
            continue;
        }
        let mut labels = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            let (inside, after) = inside.split_once('}').unwrap();
            rest = after;
            for pair in inside.split(',') {
                let (label, value) = pair.split_once('=').unwrap();
                labels.push((label.to_owned(), value.trim_matches(['"', '~']).to_owned()));
            }
        }
        if let Some(span) = rest.strip_prefix('[') {
            rest = span.split_once(']').unwrap().1;
        }
        found.push((name.to_owned(), labels));
    }
    found
}

fn holds(page: &Page, name: &str, labels: &[(String, String)]) -> bool {
    let Some(family) = page.families.get(name) else { return false };
    labels.iter().all(|(label, value)| {
        // A family whose figures come with the first event has none yet.
        family.samples.is_empty()
            || family.samples.iter().any(|sample| {
                sample.labels.get(label).is_some_and(|found| found == value || value.contains('|'))
            })
    })
}

#[test]
fn every_important_reason_has_an_alert_with_advice() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/alerts.yml");
    let rules = rules(&std::fs::read_to_string(path).unwrap());
    let stack = Stack::new(&["ben"], super::tables::busy);
    let page = super::figures(&stack);
    let mut seen = BTreeSet::new();
    for rule in &rules {
        assert!(seen.insert(&rule.alert), "{} stands there twice", rule.alert);
        assert!(rule.alert.chars().all(|c| c.is_ascii_alphanumeric()), "{}", rule.alert);
        let (number, unit) = rule.span.split_at(rule.span.len() - 1);
        assert!(number.parse::<u32>().is_ok() && ["s", "m", "h"].contains(&unit), "{}", rule.span);
        assert!(["critical", "warning"].contains(&rule.severity.as_str()), "{}", rule.alert);
        for text in [&rule.summary, &rule.description] {
            assert!(text.ends_with('.') && text.len() > 12, "{}: {text}", rule.alert);
        }
        let (open, closed) = (rule.expr.matches('(').count(), rule.expr.matches(')').count());
        assert_eq!(open, closed, "{}", rule.expr);
        let names = names(&rule.expr);
        assert!(!names.is_empty(), "{}", rule.expr);
        for (name, labels) in names {
            assert!(holds(&page, &name, &labels), "{}: {name} {labels:?} is not in /metrics", rule.alert);
        }
    }
    for reason in HealthReason::ALL {
        let of = |rule: &&Rule| rule.expr.contains(&format!("reason=\"{reason}\""));
        assert_eq!(rules.iter().filter(of).count(), 1, "{reason}");
    }
    assert!(!holds(&page, "delivery_unheard_of", &[]), "the check must be able to fail");
    let odd = [("reason".to_owned(), "unheard_of".to_owned())];
    assert!(!holds(&page, "runtime_reason", &odd), "the check must be able to fail");
}
