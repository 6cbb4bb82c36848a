//! The cost of deliveries in words: turns, requests, tokens, and failed attempts.

use super::why::Case;
use crate::delivery::Record;
use crate::gateway::Usage;
use crate::spans::times;

/// How many attempts failed, of all causes together.
pub(super) fn attempts(record: &Record) -> u32 {
    record.failures.attempts()
}

pub(super) fn cost(record: &Record) -> String {
    let failed = match attempts(record) {
        0 => String::new(),
        count => format!(", {count} failed"),
    };
    format!("{}{}{failed}", asked(record), tokens(*record.spent))
}

pub(super) fn cost_of_all(cases: &[Case]) -> String {
    let (mut asked, mut spent) = (0, Usage::default());
    for case in cases {
        asked += case.record.asked();
        spent += *case.record.spent;
    }
    cost_of(asked, spent)
}

/// The cost of several deliveries.
pub(super) fn cost_of(turns: u32, spent: Usage) -> String {
    format!("{}{}", asked_times(turns), tokens(spent))
}

fn tokens(spent: Usage) -> String {
    match spent.input_tokens + spent.output_tokens {
        0 => String::new(),
        _ => format!(", {spent}"),
    }
}

/// How many turns, and how many requests if tool results needed more.
pub(super) fn asked(record: &Record) -> String {
    let (count, requests) = (record.asked(), record.requests);
    let asked = asked_times(count);
    if requests > count { format!("{asked} in {requests} requests") } else { asked }
}

fn asked_times(count: u32) -> String {
    if count == 0 { "not asked".to_owned() } else { format!("asked {}", times(count)) }
}
