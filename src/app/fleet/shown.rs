//! What `fleet` shows: accounts in a table, one account, an upgrade, and the answers to changes.

use std::fmt::Write as _;

use mcr_model::clock::Millis;
use serde_json::{Map, Value};

fn rows(listed: &Value) -> &[Value] {
    listed["accounts"].as_array().map_or(&[], Vec::as_slice)
}

/// The account with this slug or this id.
pub(super) fn find<'a>(listed: &'a Value, account: &str) -> Result<&'a Value, String> {
    let found = rows(listed).iter().find(|row| row["slug"] == account || row["accountId"] == account);
    found.ok_or_else(|| format!("There is no account “{account}”. `fleet list` shows all."))
}

pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// A text, or a hyphen where it is missing or empty.
fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().filter(|text| !text.is_empty()).unwrap_or("-")
}

/// A time, or a hyphen.
fn time(value: &Value) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a date in milliseconds")]
    value.as_f64().map_or_else(|| "-".to_owned(), |ms| Millis(ms as i64).to_string())
}

/// All accounts, one line each, then what needs attention.
pub(super) fn table(listed: &Value) -> String {
    let mut lines = vec![
        ["ACCOUNT", "STATE", "RUNTIME", "OPENCLAW", "LAST REPORT", "OPEN", "ENDED", "A DAY", "MACHINE"]
            .map(str::to_owned),
    ];
    for row in rows(listed) {
        let count = |name: &str| format!("{:.0}", row["deliveries"][name].as_f64().unwrap_or_default());
        let cost = row["dollarsADay"].as_f64().map_or_else(|| "-".to_owned(), |usd| format!("${usd:.2}"));
        lines.push([
            text(row, "slug").to_owned(),
            text(row, "status").to_owned(),
            text(row, "runtimeVersion").to_owned(),
            text(row, "openclawVersion").to_owned(),
            time(&row["lastReport"]),
            count("open"),
            count("ended"),
            cost,
            text(&row["machine"], "state").to_owned(),
        ]);
    }
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or_default())
        .collect();
    let mut shown = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        shown.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        shown.push('\n');
    }
    for row in rows(listed) {
        for reason in row["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            // Writing to a `String` cannot fail.
            let _ = writeln!(shown, "{}: {reason}", text(row, "slug"));
        }
    }
    for machine in listed["machinesWithoutAccount"].as_array().into_iter().flatten() {
        let _ = writeln!(
            shown,
            "A machine without an account: {} {} ({})",
            text(machine, "provider"),
            text(machine, "machineId"),
            text(machine, "state")
        );
    }
    let last = &listed["rollout"];
    if last.is_object() { shown + &rollout(listed, last) } else { shown }
}

/// An upgrade and its steps. `listed` names their accounts.
pub(super) fn rollout(listed: &Value, rollout: &Value) -> String {
    let mut shown = format!("Last upgrade: {}", text(rollout, "state"));
    if let Some(reason) = rollout["reason"].as_str() {
        // Writing to a `String` cannot fail.
        let _ = write!(shown, " ({reason})");
    }
    shown.push('\n');
    for step in rollout["steps"].as_array().into_iter().flatten() {
        let known = rows(listed).iter().find(|row| row["accountId"] == step["accountId"]);
        let name = known.map_or_else(|| text(step, "accountId"), |row| text(row, "slug"));
        let from = step["fromRuntimeVersion"].as_str().map_or(String::new(), |from| format!("from {from} "));
        let reason = step["reason"].as_str().map_or(String::new(), |reason| format!(": {reason}"));
        let (state, to) = (text(step, "state"), text(step, "toRuntimeVersion"));
        let _ = writeln!(shown, "  {name}: {from}to {to}, {state}{reason}");
    }
    shown
}

/// Whether an upgrade has skipped every runtime.
pub(super) fn upgrades_nothing(rollout: &Value) -> bool {
    let steps = rollout["steps"].as_array().map_or(&[][..], Vec::as_slice);
    rollout["state"] != "running" && !steps.is_empty() && steps.iter().all(|step| step["state"] == "skipped")
}

/// The runtimes whose restart was requested.
pub(super) fn restarts(answer: &Value) -> String {
    let rows = answer["restarts"].as_array().map_or(&[][..], Vec::as_slice);
    let slugs: Vec<&str> = rows.iter().map(|row| text(row, "slug")).collect();
    let mut shown = format!("Requested a restart of {}.\n", slugs.join(", "));
    for row in rows.iter().filter(|row| !matches!(text(row, "status"), "online" | "degraded")) {
        let (slug, status) = (text(row, "slug"), text(row, "status"));
        // Writing to a `String` cannot fail.
        let _ = writeln!(shown, "{slug} is {status}: it reads the request when it reports again.");
    }
    shown
}

/// Every fact of one account, one line each.
pub(super) fn details(row: &Value) -> String {
    let mut shown = String::new();
    if let Some(fields) = row.as_object() {
        flatten(&mut shown, "", fields);
    }
    shown
}

fn flatten(shown: &mut String, prefix: &str, fields: &Map<String, Value>) {
    // The names of the database's own fields begin with an underscore.
    for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with('_')) {
        let name = format!("{prefix}{name}");
        let is_time = ["At", "Since", "Report", "oldest", "deadline"].iter().any(|end| name.ends_with(end));
        match value {
            Value::Object(fields) => flatten(shown, &format!("{name}."), fields),
            Value::Null => {}
            Value::Number(_) if is_time => drop(writeln!(shown, "{name}: {}", time(value))),
            // A count comes as a number with a fraction.
            Value::Number(number) => {
                let _ = match number.as_f64() {
                    Some(whole) if whole.fract() == 0.0 => writeln!(shown, "{name}: {whole:.0}"),
                    _ => writeln!(shown, "{name}: {number}"),
                };
            }
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => drop(writeln!(shown, "{name}: {text}")),
            Value::Array(values) => {
                for value in values {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let _ = writeln!(shown, "{name}: {value}");
                }
            }
            Value::Bool(_) => drop(writeln!(shown, "{name}: {value}")),
        }
    }
}

/// What a change answered, for people.
pub(super) fn done(value: &Value) -> String {
    if let Some(token) = value["token"].as_str() {
        let until = time(&value["expiresAt"]);
        return format!("{token}\nValid once, until {until}, from the machine itself.\n");
    }
    match (value["state"].as_str(), value["accountId"].as_str()) {
        (Some(state), _) => format!("Accepted. The state is {state}; `fleet list` shows the progress.\n"),
        (None, Some(account)) => format!("Created the account {account}.\n"),
        (None, None) => "Done.\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn missing_data_is_a_hyphen_and_numbers_are_as_people_write_them() {
        let bare = json!({"accounts": [{"slug": "a", "status": "offline", "runtimeVersion": "", "deliveries": {"open": 0.0}}]});
        let shown = table(&bare);
        let line: Vec<&str> = shown.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(line, ["a", "offline", "-", "-", "-", "0", "0", "-", "-"]);
        assert_eq!(shown.lines().count(), 2, "{shown}");
        let row = json!({
            "slug": "a", "dollarsADay": 0.39, "openclawVersion": "", "deliveries": {"open": 2.0, "oldest": null},
            "machine": {"_id": "p1", "_creationTime": 1.0, "attempt": 1.0, "deadline": 0.0, "nextAt": 0.0},
        });
        assert_eq!(
            details(&row),
            "deliveries.open: 2\ndollarsADay: 0.39\nmachine.attempt: 1\nmachine.deadline: 1970-01-01T00:00:00.000Z\n\
             machine.nextAt: 1970-01-01T00:00:00.000Z\nslug: a\n"
        );
        let priced = json!({"accounts": [{"slug": "a", "dollarsADay": 0.4}]});
        assert!(table(&priced).contains("$0.40"));
    }

    #[test]
    fn fifty_accounts_stand_in_columns() {
        let accounts: Vec<Value> = (0..50)
            .map(|at| json!({"slug": "x".repeat(at + 1), "status": "online", "lastReport": 0.0, "reasons": ["r"]}))
            .collect();
        let shown = table(&json!({"accounts": accounts}));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 1 + 50 + 50);
        let columns: Vec<usize> = lines[1..=50].iter().map(|line| line.find("online").unwrap()).collect();
        assert!(columns.iter().all(|column| *column == 52), "{columns:?}");
    }

    #[test]
    fn an_upgrade_that_skips_every_runtime_is_a_failure() {
        let of = |state: &str, steps: &[&str]| {
            let steps: Vec<Value> = steps.iter().map(|state| json!({"state": state})).collect();
            upgrades_nothing(&json!({"state": state, "steps": steps}))
        };
        assert!(of("done", &["skipped"]) && of("done", &["skipped", "skipped"]));
        assert!(!of("running", &["skipped", "requested"]) && !of("done", &["current"]));
        assert!(!of("done", &["current", "skipped"]) && !of("done", &[]));
    }
}
