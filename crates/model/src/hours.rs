//! The hours of a day in which scheduled beats are sent to the model.

use std::fmt;
use std::str::FromStr;

use crate::zone::Day;

/// The minutes of a day.
const DAY: u16 = 24 * 60;

/// A moment as the clock on the wall shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// The calendar day.
    pub day: Day,
    /// The minutes since midnight.
    pub minute: u16,
}

/// A part of each day. It may cross midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveHours {
    /// The first minute.
    from: u16,
    /// The minute after the last one.
    to: u16,
}

impl ActiveHours {
    /// Whether the hours contain this minute of the day.
    pub fn contain(self, minute: u16) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

impl FromStr for ActiveHours {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "expected a part of the day such as `08:00-18:30`";
        let (from, to) = text.split_once('-').ok_or(FORM)?;
        let from = minute(from.trim()).filter(|from| *from < DAY).ok_or(FORM)?;
        let to = minute(to.trim()).ok_or(FORM)?;
        if from == to {
            return Err("the first and the last time are the same; leave the value empty for the whole day");
        }
        Ok(Self { from, to })
    }
}

impl fmt::Display for ActiveHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

/// The minutes since midnight of `HH:MM`, up to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let is_plain = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute).filter(|minute| *minute < 60)?);
    let all = hour * 60 + minute;
    (all <= DAY).then_some(all)
}
