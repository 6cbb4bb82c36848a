//! Formats durations and instants for people.

use std::time::Duration;

use mcr_model::clock::Millis;

/// `4 s`, `3 min`, `2 h`, `5 days`: one unit only.
pub fn span(span: Duration) -> String {
    let secs = span.as_secs();
    match secs {
        0 if span.as_millis() > 0 => format!("{} ms", span.as_millis()),
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 => format!("{} h", secs / 3_600),
        _ => format!("{} days", secs / 86_400),
    }
}

/// The time that a text such as `30m`, `12h` or `7d` names.
pub fn parse(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let number = text.strip_suffix(unit).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    let number: u64 = number.parse().ok().filter(|number| (1..=SPAN_MAX).contains(number))?;
    Some(Duration::from_secs(number * seconds))
}

/// The largest number that [`parse`] takes: more days than any ledger has.
const SPAN_MAX: u64 = 100_000;

/// `3 min ago (2026-11-21T12:44:05Z)`.
pub fn ago(at: Millis, now: Millis) -> String {
    format!("{} ago ({})", span(now.since(at)), clock(at))
}

/// `in 12 s (2026-11-21T12:44:05Z)`, or `now`.
pub fn until(at: Millis, now: Millis) -> String {
    if at <= now { "now".to_owned() } else { format!("in {} ({})", span(at.since(now)), clock(at)) }
}

/// `once`, `3 times`.
pub fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// `1 attempt`, `3 attempts`: a count with its noun, which takes an `s` in the plural.
pub fn counted(count: impl Into<u64>, noun: &str) -> String {
    match count.into() {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

/// The instant, to the second.
pub fn clock(at: Millis) -> String {
    let text = at.to_string();
    text.split_once('.').map_or_else(|| text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

/// The text with a capital letter and a final full stop.
pub fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let first: String = rest.next().into_iter().flat_map(char::to_uppercase).collect();
    dotted(&format!("{first}{}", rest.as_str()))
}

/// The text with a final full stop.
pub fn dotted(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?', '…']) { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_a_unit() {
        for (text, secs) in [("30m", 1_800), ("12h", 43_200), ("7d", 604_800), ("100000d", 8_640_000_000)] {
            assert_eq!(parse(text), Some(Duration::from_secs(secs)), "{text}");
        }
        for text in [
            "",
            "7",
            "d",
            "0d",
            "-7d",
            "+7d",
            "7 d",
            "1.5h",
            "7D",
            "100001d",
            "99999999999999999999d",
            "７d",
            "7é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_span_has_one_unit() {
        let rows = [
            (0, "0 s"),
            (7, "7 ms"),
            (1_999, "1 s"),
            (119_000, "119 s"),
            (120_000, "2 min"),
            (7_200_000, "2 h"),
            (172_800_000, "2 days"),
        ];
        for (ms, text) in rows {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
        let (then, now) = (Millis(1_000), Millis(61_000));
        assert_eq!(ago(then, now), "60 s ago (1970-01-01T00:00:01Z)");
        assert_eq!(until(now, then), "in 60 s (1970-01-01T00:01:01Z)");
        assert_eq!(until(then, now), "now");
    }
}
