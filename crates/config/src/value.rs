//! Parses each kind of value. Parsing is strict: a text that does not match as a whole is refused with a reason.

use std::collections::BTreeMap;

use super::diagnostic::FileTrouble;
use super::table::{COMMAND_CHARS_MAX, FLY_API_TOKEN};
use super::variable::{ALLOWED_BOOLEAN, Kind, Variable, either};
use mcr_model::spending::{self, Limits, Prices};
use mcr_model::zone::Zone;
use mcr_model::{ActiveHours, ChildCommand, WakeRules};

/// Why a value cannot be used, and what is allowed: a sentence that follows the variable's name and value.
pub(super) type Problem = String;

/// A `#` after a value that would be good without what follows.
pub(super) const COMMENT: &str =
    "a comment after a value is part of the value here; move it to a separate line.";
/// The `…` of an example.
pub(super) const PLACEHOLDER: &str =
    "it still contains the placeholder \"…\" of an example; replace it with the real value.";

/// A value that does not have the form of its kind.
pub(super) fn expected(allowed: &str) -> Problem {
    format!("expected {allowed}.")
}

/// A file that a variable names.
pub(super) fn unusable_file(trouble: FileTrouble) -> Problem {
    format!("the file cannot be used: {trouble}.")
}

/// A whole number, and whether it was clamped to its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) used: u64,
    pub(super) clamped: bool,
}

/// A command and its arguments, which no shell reads.
pub(super) fn command(text: &str) -> Result<ChildCommand, Problem> {
    line(text, COMMAND_CHARS_MAX)?;
    ChildCommand::parse(text).map_err(|why| format!("{why}; expected a program and its arguments."))
}

/// Only digits: no sign, no exponent, no `0x`, no unit. A number of any length is valid; one out of range is clamped.
pub(super) fn whole(text: &str, min: u64, max: u64) -> Result<Whole, Problem> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(number_expected(min, max));
    }
    // Digits that do not parse exceed 64 bits.
    let given = text.parse().unwrap_or(u64::MAX);
    let used = given.clamp(min, max);
    Ok(Whole { used, clamped: used != given })
}

/// A port, in digits. A number out of range is an error: 70000 does not mean 65535.
pub(super) fn port(text: &str) -> Result<u16, Problem> {
    match whole(text, 0, u64::from(u16::MAX)) {
        Ok(Whole { used, clamped: false }) => u16::try_from(used).map_err(|_| port_expected()),
        Ok(Whole { clamped: true, .. }) | Err(_) => Err(port_expected()),
    }
}

fn port_expected() -> Problem {
    number_expected(0, u64::from(u16::MAX))
}

fn number_expected(min: u64, max: u64) -> Problem {
    expected(&format!("a whole number from {min} to {max}, digits only"))
}

/// A boolean, in upper or lower case.
pub(super) fn boolean(text: &str) -> Result<bool, Problem> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(expected(ALLOWED_BOOLEAN)),
    }
}

/// Rules on what wakes each agent.
pub(super) fn wake_rules(text: &str) -> Result<WakeRules, Problem> {
    WakeRules::parse(text).map_err(|why| {
        format!(
            "{why}. Expected `all` or `addressed`, then rules of single agents: `addressed,squad-lead=all`."
        )
    })
}

/// A daily limit in tokens.
pub(super) fn tokens(text: &str) -> Result<u64, Problem> {
    spending::parse_tokens(text).map_err(sentence)
}

/// A daily limit in dollars, in billionths.
pub(super) fn dollars(text: &str) -> Result<u64, Problem> {
    spending::parse_dollars(text).map_err(sentence)
}

/// Daily limits of single agents.
pub(super) fn agent_budgets(text: &str) -> Result<BTreeMap<String, Limits>, Problem> {
    spending::parse_agents(text).map_err(sentence)
}

/// Prices of models.
pub(super) fn prices(text: &str) -> Result<Prices, Problem> {
    Prices::parse(text).map_err(sentence)
}

/// A time zone.
pub(super) fn zone(text: &str) -> Result<Zone, Problem> {
    Zone::find(text).ok_or_else(|| {
        let similar = Zone::similar(text).map_or(String::new(), |name| format!(" Did you mean {name}?"));
        format!(
            "no time zone has this name; expected a name of the IANA database, like Europe/Berlin.{similar}"
        )
    })
}

/// A part of the day.
pub(super) fn active_hours(text: &str) -> Result<ActiveHours, Problem> {
    text.parse().map_err(|why: &str| format!("{why}."))
}

fn sentence(problem: String) -> Problem {
    problem + "."
}

/// One of the options, in upper or lower case.
pub(super) fn choice(
    text: &str,
    options: &[&'static str],
    synonyms: &[(&str, &'static str)],
) -> Result<&'static str, Problem> {
    let text = text.to_ascii_lowercase();
    let synonym = synonyms.iter().find(|(accepted, _)| *accepted == text).map(|(_, means)| *means);
    let option = options.iter().find(|option| **option == text).copied();
    option.or(synonym).ok_or_else(|| expected(&either(options)))
}

/// Checks that a text consists of visible ASCII characters and is not too long.
pub(super) fn visible(text: &str, chars_max: usize) -> Result<(), Problem> {
    at_most(text, chars_max)?;
    match text.chars().enumerate().find(|(_, c)| !c.is_ascii_graphic()) {
        Some((index, c)) => {
            let what = match c {
                ' ' | '\t' => "a blank",
                c if c.is_control() => "a control character",
                c if c.is_whitespace() => "a blank",
                _ => "not ASCII",
            };
            Err(format!("character {} is {what}; expected visible ASCII characters only.", index + 1))
        }
        None => Ok(()),
    }
}

/// Checks that a text is one line and not too long.
pub(super) fn line(text: &str, chars_max: usize) -> Result<(), Problem> {
    at_most(text, chars_max)?;
    match text.chars().position(char::is_control) {
        Some(index) => Err(format!("character {} is a control character; expected plain text.", index + 1)),
        None => Ok(()),
    }
}

fn at_most(text: &str, chars_max: usize) -> Result<(), Problem> {
    match text.chars().count() {
        chars if chars > chars_max => {
            Err(format!("it has {chars} characters; at most {chars_max} are allowed."))
        }
        _ => Ok(()),
    }
}

/// The longest id. Ids of the backend have 32 characters.
pub(super) const IDENTIFIER_CHARS_MAX: usize = 128;

/// The longest path that systems accept.
const PATH_CHARS_MAX: usize = 4096;

/// Checks a text by the kind of its variable, and returns it in its normal spelling.
pub(super) fn text(variable: &Variable, text: &str) -> Result<String, Problem> {
    match variable.kind {
        Kind::Text { chars_max } => line(text, chars_max)?,
        Kind::Identifier => visible(text, IDENTIFIER_CHARS_MAX)?,
        // Fly shows its tokens with their scheme in front.
        Kind::Secret { chars_max } if variable.name == FLY_API_TOKEN.name => {
            visible(text.strip_prefix("FlyV1 ").unwrap_or(text), chars_max)?;
        }
        Kind::Secret { chars_max } => visible(text, chars_max)?,
        Kind::Path => line(text, PATH_CHARS_MAX)?,
        Kind::Host => return super::address::host(text),
        Kind::Url { .. } => drop(super::address::url(variable, text)?),
        Kind::Integer { min, max, .. } => drop(whole(text, min, max)?),
        Kind::Port => return port(text).map(|port| port.to_string()),
        Kind::Boolean => return boolean(text).map(|flag| flag.to_string()),
        Kind::Choice { options, synonyms } => return choice(text, options, synonyms).map(str::to_owned),
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_digits_as_a_number() {
        for text in ["30000abc", "1e3", "-1", "+1", "70000.5", "0x10", "５", "", "1 000", "1_000", "∞"] {
            assert_eq!(
                whole(text, 1, 9),
                Err("expected a whole number from 1 to 9, digits only.".to_owned()),
                "{text:?}"
            );
        }
        let rows = [
            ("5", 5, false),
            ("0005", 5, false),
            ("0", 1, true),
            ("10", 9, true),
            ("99999999999999999999", 9, true),
        ];
        for (text, used, clamped) in rows {
            assert_eq!(whole(text, 1, 9), Ok(Whole { used, clamped }), "{text}");
        }
    }
}
