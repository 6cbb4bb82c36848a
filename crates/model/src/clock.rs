//! Time as a value. Only [`SystemClock`] reads the machine's clock.
//!
//! Decisions take a [`Millis`] argument. Only edges and workers hold a [`Clock`].

use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, as the backend counts time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

/// A source of the present time.
pub trait Clock: Send + Sync {
    /// The present time.
    fn now(&self) -> Millis;
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one reading of the clock")]
    fn now(&self) -> Millis {
        SystemTime::now().into()
    }
}

/// A time before 1970 counts as 1970.
impl From<SystemTime> for Millis {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Millis {
    /// Parses the date of an HTTP response. Returns `None` for a leap second (`:60`).
    pub fn from_http_date(text: &str) -> Option<Self> {
        httpdate::parse_http_date(text.trim()).ok().map(Self::from)
    }

    /// Parses a date of RFC 3339, such as `2026-11-21T12:44:05.123Z`. Returns `None` for a leap second (`:60`).
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let number = |from: usize, to: usize| -> Option<i64> {
            let digits = text.get(from..to)?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
        };
        let is =
            |at: usize, allowed: &[u8]| text.as_bytes().get(at).is_some_and(|byte| allowed.contains(byte));
        let date = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let (fraction, zone) = match text.get(19..)?.strip_prefix('.') {
            Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
            None => ("0", text.get(19..)?),
        };
        let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        let offset = match (zone, zone.get(..1)?) {
            ("Z" | "z", _) => 0,
            (_, sign @ ("+" | "-")) if zone.len() == 6 && zone.get(3..4)? == ":" => {
                let minutes =
                    zone.get(1..3)?.parse::<i64>().ok()? * 60 + zone.get(4..)?.parse::<i64>().ok()?;
                if sign == "+" { minutes } else { -minutes }
            }
            _ => return None,
        };
        let days = day_number(year, month, day);
        let fits = date && civil(days) == (year, month, day) && hour < 24 && minute < 60 && second < 60;
        let seconds = ((days * 24 + hour) * 60 + minute - offset) * 60 + second;
        fits.then_some(Self(seconds * 1000 + millis))
    }

    /// The time since `earlier`, or zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Millis {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Millis {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// `2026-11-21T12:44:05.123Z`.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: i64 = 86_400_000;
        let (year, month, day) = civil(self.0.div_euclid(DAY));
        let ms = self.0.rem_euclid(DAY);
        let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z", ms % 1000)
    }
}

/// The Gregorian date of a day counted from 1970-01-01. Years start in March, so that the leap day is the last of its
/// year. Eras have 400 years, which always have 146,097 days.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The reverse of [`civil`].
pub fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_instants_as_iso_dates() {
        let rows = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_765_526_400_123, "2025-12-12T08:00:00.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ];
        for (ms, expected) in rows {
            assert_eq!(Millis(ms).to_string(), expected);
        }
    }

    #[test]
    fn parses_rfc3339_dates() {
        let rows = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T00:00:00.000Z", Some(951_782_400_000)),
            ("2025-12-12T08:00:00.123Z", Some(1_765_526_400_123)),
            ("2025-12-12t08:00:00.123456789z", Some(1_765_526_400_123)),
            ("2025-12-12T09:30:00.1+01:30", Some(1_765_526_400_100)),
            ("2025-12-12T04:00:00-04:00", Some(1_765_526_400_000)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400_000)),
            ("2025-02-29T00:00:00Z", None),
            ("2025-13-01T00:00:00Z", None),
            ("2025-12-12T24:00:00Z", None),
            ("2025-12-12T08:00:60Z", None),
            ("2025-12-12T08:00:00", None),
            ("2025-12-12T08:00:00.Z5", None),
            ("2025-12-12T08:00:00+1:30", None),
            ("2025-12-12", None),
            ("+025-12-12T08:00:00Z", None),
            ("", None),
            ("ä025-12-12T08:00:00Z", None),
        ];
        for (text, expected) in rows {
            assert_eq!(Millis::from_rfc3339(text), expected.map(Millis), "{text}");
        }
    }

    #[test]
    fn parses_http_dates() {
        let rows = [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777_000)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400_000)),
            ("Mon, 01 Mar 2100 00:00:00 GMT", Some(4_107_542_400_000)),
            (" Fri, 31 Dec 2027 23:59:59 GMT ", Some(1_830_297_599_000)),
            // RFC 9110 §5.6.7: the two forms that are no longer sent must be read.
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777_000)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777_000)),
            ("Fri, 31 Dec 2027 23:59:60 GMT", None),
            ("Mon, 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37:1 GMT", None),
            ("Sun, 32 Nov 1994 08:49:37 GMT", None),
            ("Sun, 30 Feb 2025 00:00:00 GMT", None),
            ("Sat, 21 Nov 1969 12:44:05 GMT", None),
            ("Sun, 06 Nom 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 99999999999 08:49:37 GMT", None),
            ("Sun, x", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(Millis::from_http_date(text), expected.map(Millis), "{text}");
        }
    }

    #[test]
    fn spans_saturate_at_zero_and_at_the_maximum() {
        assert_eq!(Millis(5).since(Millis(3)), Duration::from_millis(2));
        assert_eq!(Millis(3).since(Millis(5)), Duration::ZERO);
        assert_eq!(Millis(i64::MAX) + Duration::from_secs(1), Millis(i64::MAX));
        assert_eq!(Millis(i64::MIN) - Duration::MAX, Millis(i64::MIN));
    }
}
