//! `docs/gateways.md`: what each release of OpenClaw does, from the stored results of `make conformance`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use mission_control_runtime::gateway::dialect::Release;
use serde_json::Value;

use crate::support::documents::{check_fresh, project, with_block};

const PAGE: &str = "docs/gateways.md";
const RESULTS: &str = "docs/gateways";

/// The stored results, oldest release first.
fn results() -> Vec<Value> {
    let files = fs::read_dir(project(RESULTS)).unwrap();
    let read = |path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut results: Vec<Value> = files.map(|file| read(file.unwrap().path())).collect();
    results.sort_by_key(|result| Release::parse(text(&result["release"])));
    results
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text is expected: {value}"))
}

fn cases(result: &Value) -> &[Value] {
    result["cases"].as_array().unwrap()
}

/// The third and second number of a release, as in the head of a table.
fn short(result: &Value) -> &str {
    text(&result["release"]).strip_prefix("2026.").unwrap()
}

fn cell(found: Option<&Value>) -> &'static str {
    match found.map(|case| text(&case["result"])) {
        Some("ok") => "yes",
        Some("degraded") => "said",
        Some("bad") => "**bad**",
        Some("skipped") | None => "-",
        Some(other) => panic!("unknown result {other}"),
    }
}

fn row(head: &str, cells: impl Iterator<Item = impl AsRef<str>>) -> String {
    cells.fold(format!("| {head} |"), |row, cell| format!("{row} {} |", cell.as_ref())) + "\n"
}

/// The cases in the rows, the releases in the columns.
fn matrix(results: &[Value]) -> String {
    let mut table = row("", results.iter().map(short));
    table += &row("---", results.iter().map(|_| "---"));
    // All releases have the same cases in the same order.
    let longest = results.iter().map(cases).max_by_key(|cases| cases.len()).unwrap_or_default();
    for case in longest {
        let of = |result: &Value| cell(cases(result).iter().find(|other| other["case"] == case["case"]));
        table += &row(text(&case["title"]), results.iter().map(of));
    }
    table
}

fn needs(results: &[Value]) -> String {
    let mut table =
        "| release | in its configuration | history | tested with |\n|---|---|---|---|\n".to_owned();
    for result in results {
        let needs = result["needs"].as_array().unwrap().iter();
        let needs: Vec<String> = needs.map(|need| format!("`{}`", text(need))).collect();
        let tested = format!("{}, {}", text(&result["runtime"]), text(&result["date"]));
        let row = [needs.join("<br>"), text(&result["history"]).to_owned(), tested];
        table += &self::row(text(&result["release"]), row.iter());
    }
    table
}

/// The cases that are not as they should be, with their releases. Cases of one sentence are one line.
fn limits(results: &[Value]) -> String {
    let mut limits: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for result in results {
        for case in cases(result).iter().filter(|case| matches!(text(&case["result"]), "degraded" | "bad")) {
            let titles = limits.entry(text(&case["sentence"])).or_default();
            titles.entry(text(&case["title"])).or_default().push(short(result));
        }
    }
    let mut list = String::new();
    for (sentence, titles) in limits {
        let titles: Vec<String> =
            titles.iter().map(|(title, releases)| format!("{title} ({})", releases.join(", "))).collect();
        // Writing to a `String` cannot fail.
        let _ = writeln!(list, "- {}: {sentence}", titles.join("; "));
    }
    list
}

#[test]
fn the_page_of_the_releases_shows_the_stored_results() {
    let results = results();
    check_fresh(PAGE, |page| {
        let page = with_block(page, "matrix", &matrix(&results));
        let page = with_block(&page, "needs", &needs(&results));
        with_block(&page, "limits", &limits(&results))
    });
}

/// A result that is worse than the release permits is never stored.
#[test]
fn no_stored_result_is_worse_than_possible() {
    let order = |grade: &str| ["ok", "degraded", "bad"].iter().position(|known| *known == grade).unwrap();
    for result in results() {
        for case in cases(&result).iter().filter(|case| case["result"] != "skipped") {
            let (found, possible) = (text(&case["result"]), text(&case["possible"]));
            assert!(order(found) <= order(possible), "{} {case}", result["release"]);
        }
    }
}
