//! The checklist of a beat: what an agent looks at, and whether the clock alone can make it do so.

/// The longest checklist in a prompt.
pub const CHARS_MAX: usize = 8_000;

/// The words that make a checklist depend on the time. They count in any case.
const WORDS: [&str; 12] = [
    "always",
    "midnight",
    "noon",
    "weekday",
    "weekend",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Short names of weekdays. They count only with a capital letter: `sat` and `sun` are ordinary words.
const SHORT_DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Whether the checklist names a clock time, a weekday, or `always`. Its beats are then always sent to the model, because
/// the time alone may make the agent act.
pub fn names_time(text: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == ':' || c == '_';
    let words: Vec<&str> = text.split(|c: char| !is_part(c)).map(|word| word.trim_matches(':')).collect();
    let is_named = |word: &&str| {
        let lower = word.to_lowercase();
        let singular = lower.strip_suffix('s').unwrap_or(&lower);
        SHORT_DAYS.contains(word) || WORDS.contains(&lower.as_str()) || WORDS.contains(&singular)
    };
    let is_half_day = |pair: &[&str]| matches!(pair, [hour, half] if is_hour(hour) && ["am", "pm"].contains(&half.to_lowercase().as_str()));
    let filled: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    filled.iter().any(|word| is_named(word) || is_clock_time(word)) || filled.windows(2).any(is_half_day)
}

/// A time of the day: `9:30`, `23:59:00`, `9am`, `9:30am`.
fn is_clock_time(word: &str) -> bool {
    let lower = word.to_lowercase();
    let (time, has_half) = match lower.strip_suffix("am").or_else(|| lower.strip_suffix("pm")) {
        Some(time) => (time, true),
        None => (lower.as_str(), false),
    };
    let mut parts = time.split(':');
    let (Some(hour), minute) = (parts.next(), parts.next()) else { return false };
    match minute {
        None => has_half && is_hour(hour),
        Some(minute) => {
            is_hour(hour) && minute.len() == 2 && minute.parse::<u8>().is_ok_and(|minute| minute < 60)
        }
    }
}

fn is_hour(word: &str) -> bool {
    word.len() <= 2
        && word.bytes().all(|byte| byte.is_ascii_digit())
        && word.parse::<u8>().is_ok_and(|hour| hour < 25)
}
