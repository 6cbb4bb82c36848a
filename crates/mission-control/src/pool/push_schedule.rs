//! When a scheduled message runs (worker-pool C.10; F.42).

use serde_json::Value;

use super::rows::PushSchedule;
use crate::answer::{Refusal, ensure};
use crate::validate::{Is, check, need};
use mcr_model::clock::{Millis, civil, day_number};
use mcr_model::zone::{Day, Zone};

pub(super) const PERIODICITY: Is = Is::OneOf(&[MANUAL, DAILY, WEEKLY, MONTHLY]);
pub(super) const MANUAL: &str = "manual";
const DAILY: &str = "daily";
const WEEKLY: &str = "weekly";
const MONTHLY: &str = "monthly";

const KIND: crate::validate::Arg = need("kind", PERIODICITY);
const TIME: crate::validate::Arg = need("time", Is::Text);
const OF_MANUAL: Is = Is::Object(&[KIND]);
const OF_DAILY: Is = Is::Object(&[KIND, TIME]);
const OF_WEEKLY: Is = Is::Object(&[KIND, need("weekday", Is::Number), TIME]);
const OF_MONTHLY: Is = Is::Object(&[KIND, need("dayOfMonth", Is::Any), TIME]);

/// The zone with this name, or a refusal.
pub(super) fn zone(name: &str) -> Result<Zone, Refusal> {
    Zone::find(name).ok_or_else(|| {
        let hint = Zone::similar(name).map_or_else(
            || "use a name of the IANA database, such as Europe/Rome".to_owned(),
            |similar| format!("did you mean {similar}?"),
        );
        Refusal::thrown(format!("The time zone {name:?} does not exist: {hint}"))
    })
}

/// A schedule of this periodicity, or a refusal.
pub(super) fn parse(value: &Value, periodicity: &str) -> Result<PushSchedule, Refusal> {
    let form = match value["kind"].as_str() {
        Some(DAILY) => OF_DAILY,
        Some(WEEKLY) => OF_WEEKLY,
        Some(MONTHLY) => OF_MONTHLY,
        _ => OF_MANUAL,
    };
    check(value, &form, ".schedule").map_err(Refusal::Arguments)?;
    let read = serde_json::from_value::<PushSchedule>(value.clone());
    let schedule = read.map_err(|why| Refusal::thrown(format!("The schedule is not understood: {why}")))?;
    ensure!(
        schedule.kind == periodicity,
        "The schedule is {}, but the periodicity is {periodicity}: make them equal",
        schedule.kind
    );
    if schedule.kind != MANUAL {
        minute(&schedule)?;
    }
    if schedule.kind == WEEKLY {
        let is_day = schedule.weekday.is_some_and(|day| (1.0..=7.0).contains(&day) && day.fract() == 0.0);
        ensure!(is_day, "The weekday must be a whole number from 1 (Monday) to 7 (Sunday)");
    }
    if schedule.kind == MONTHLY {
        let day = schedule.day_of_month.as_ref();
        let is_day = day.and_then(day_of_month).is_some() || day.is_some_and(|day| day == "last");
        ensure!(is_day, "The day of the month must be a whole number from 1 to 31, or \"last\"");
    }
    Ok(schedule)
}

/// Checks a stored schedule, whatever the periodicity of its row.
pub(super) fn check_stored(value: &Value) -> Result<(), Refusal> {
    parse(value, value["kind"].as_str().unwrap_or(MANUAL)).map(drop)
}

fn day_of_month(day: &Value) -> Option<i64> {
    (1..=31).find(|number: &i64| i32::try_from(*number).ok().map(f64::from) == day.as_f64())
}

/// The minute of the day: `HH:mm`, two digits each.
fn minute(schedule: &PushSchedule) -> Result<u16, Refusal> {
    let time = schedule.time.as_deref().unwrap_or_default();
    let number = |text: &str, max: u16| {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| is_plain && *number <= max)
    };
    let parts =
        time.split_once(':').and_then(|(hour, minute)| Some(number(hour, 23)? * 60 + number(minute, 59)?));
    parts.ok_or_else(|| Refusal::thrown(format!("The time {time:?} is not of the form HH:mm, such as 08:30")))
}

/// The first run strictly after one second from now. None for a manual schedule.
pub(super) fn next_run(schedule: &PushSchedule, zone: Zone, now: Millis) -> Result<Option<Millis>, Refusal> {
    if schedule.kind == MANUAL {
        return Ok(None);
    }
    let after = Millis(now.0.saturating_add(1_000));
    let minute = minute(schedule)?;
    let today = zone.day(after);
    let (year, month, _) = civil(today.0);
    let days: Vec<i64> = match schedule.kind.as_str() {
        DAILY => (0..=2).map(|further| today.0 + further).collect(),
        WEEKLY => {
            // Day 0 was a Thursday.
            let is_weekday = |day: &i64| {
                let weekday = i32::try_from((day + 3).rem_euclid(7) + 1).map(f64::from);
                weekday.ok() == schedule.weekday
            };
            (0..=14).map(|further| today.0 + further).filter(is_weekday).collect()
        }
        _ => {
            (0..=2).map(|further| month_day(year, month + further, schedule.day_of_month.as_ref())).collect()
        }
    };
    let runs = days.into_iter().map(|day| zone.instant(Day(day), minute));
    Ok(runs.filter(|run| *run > after).min())
}

/// The day of a month, at most its last one. Months above 12 belong to the next year.
fn month_day(year: i64, month: i64, day: Option<&Value>) -> i64 {
    let first = |year: i64, month: i64| {
        let (year, month) = (year + (month - 1) / 12, (month - 1) % 12 + 1);
        day_number(year, month, 1)
    };
    let last = first(year, month + 1) - 1;
    match day.and_then(day_of_month) {
        Some(day) => (first(year, month) + day - 1).min(last),
        None => last,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Millis {
        Millis::from_rfc3339(text).unwrap()
    }

    /// Zone, schedule, now, next run.
    #[test]
    fn the_next_run_follows_the_clock_on_the_wall() {
        let daily = json!({"kind": "daily", "time": "09:00"});
        let midnight = json!({"kind": "weekly", "weekday": 4, "time": "00:30"});
        let monday = json!({"kind": "weekly", "weekday": 1, "time": "08:00"});
        let last = json!({"kind": "monthly", "dayOfMonth": "last", "time": "23:59"});
        let day31 = json!({"kind": "monthly", "dayOfMonth": 31, "time": "12:00"});
        let first = json!({"kind": "monthly", "dayOfMonth": 1, "time": "00:00"});
        let gap = json!({"kind": "daily", "time": "02:30"});
        let rows = [
            ("Europe/Rome", &daily, "2026-03-28T07:59:58Z", "2026-03-28T08:00:00.000Z"),
            ("Europe/Rome", &daily, "2026-03-28T07:59:59Z", "2026-03-29T07:00:00.000Z"),
            ("Europe/Rome", &daily, "2026-10-24T08:00:00Z", "2026-10-25T08:00:00.000Z"),
            // F.42: Thursday half past midnight, not Wednesday.
            ("Europe/Rome", &midnight, "2026-11-30T12:00:00Z", "2026-12-02T23:30:00.000Z"),
            ("Europe/Rome", &midnight, "2026-12-02T23:30:00Z", "2026-12-09T23:30:00.000Z"),
            ("UTC", &monday, "2026-11-30T07:00:00Z", "2026-11-30T08:00:00.000Z"),
            ("UTC", &monday, "2026-11-30T08:00:00Z", "2026-12-07T08:00:00.000Z"),
            ("UTC", &last, "2026-02-10T00:00:00Z", "2026-02-28T23:59:00.000Z"),
            ("UTC", &last, "2026-12-31T23:59:00Z", "2027-01-31T23:59:00.000Z"),
            ("UTC", &day31, "2026-04-01T00:00:00Z", "2026-04-30T12:00:00.000Z"),
            ("UTC", &day31, "2028-01-31T12:00:00Z", "2028-02-29T12:00:00.000Z"),
            ("Europe/Rome", &first, "2026-11-30T12:00:00Z", "2026-11-30T23:00:00.000Z"),
            ("America/New_York", &daily, "2026-11-01T00:00:00Z", "2026-11-01T14:00:00.000Z"),
            ("Europe/Rome", &gap, "2026-03-28T12:00:00Z", "2026-03-29T01:30:00.000Z"),
            ("Europe/Rome", &gap, "2026-03-29T01:30:00Z", "2026-03-30T00:30:00.000Z"),
            ("Europe/Rome", &gap, "2026-10-25T00:30:00Z", "2026-10-26T01:30:00.000Z"),
        ];
        for (name, schedule, now, expected) in rows {
            let parsed = parse(schedule, schedule["kind"].as_str().unwrap()).unwrap();
            let next = next_run(&parsed, zone(name).unwrap(), at(now)).unwrap().unwrap();
            assert_eq!(next.to_string(), expected, "{name} {schedule} {now}");
        }
        let manual = parse(&json!({"kind": "manual"}), "manual").unwrap();
        assert_eq!(next_run(&manual, Zone::default(), Millis(0)).unwrap(), None);
    }

    #[test]
    fn a_wrong_schedule_is_refused_with_a_sentence() {
        let rows = [
            (json!({"kind": "daily", "time": "9:00"}), "daily", "HH:mm"),
            (json!({"kind": "daily", "time": "24:00"}), "daily", "HH:mm"),
            (json!({"kind": "daily", "time": "09:60"}), "daily", "HH:mm"),
            (json!({"kind": "daily", "time": "+9:00"}), "daily", "HH:mm"),
            (json!({"kind": "daily", "time": 9}), "daily", ".schedule.time"),
            (json!({"kind": "daily"}), "daily", "missing the required field `time`"),
            (json!({"kind": "daily", "time": "09:00", "weekday": 1}), "daily", "extra field `weekday`"),
            (json!({"kind": "daily", "time": "09:00"}), "weekly", "make them equal"),
            (json!({"kind": "weekly", "weekday": 0, "time": "09:00"}), "weekly", "from 1 (Monday)"),
            (json!({"kind": "weekly", "weekday": 1.5, "time": "09:00"}), "weekly", "from 1 (Monday)"),
            (json!({"kind": "monthly", "dayOfMonth": 32, "time": "09:00"}), "monthly", "from 1 to 31"),
            (json!({"kind": "monthly", "dayOfMonth": "first", "time": "09:00"}), "monthly", "from 1 to 31"),
            (json!({"kind": "hourly"}), "daily", "Value does not match"),
            (json!("daily"), "daily", "Value does not match"),
            (json!({"kind": "manual", "time": "09:00"}), "manual", "extra field `time`"),
        ];
        for (schedule, periodicity, words) in rows {
            let why = parse(&schedule, periodicity).unwrap_err().to_string();
            assert!(why.contains(words), "{schedule}: {why}");
        }
        assert!(zone("berlin").unwrap_err().to_string().contains("did you mean Europe/Berlin?"));
        assert!(zone("Mars/Olympus").unwrap_err().to_string().contains("does not exist"));
    }
}
