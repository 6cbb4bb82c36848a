//! What quiet mode would have saved.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::why::Case;
use crate::delivery::End;
use crate::gateway::Usage;
use crate::spans::span;
use mcr_model::clock::Millis;

/// What turns without an address have cost: the saving of quiet mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unaddressed {
    /// All turns in this time.
    pub all_turns: u32,
    /// The turns of notifications that did not address their agent.
    pub turns: u32,
    /// The deliveries among them that brought no answer.
    pub silent: u32,
    /// Tokens read by the models in these turns.
    pub tokens_read: u64,
    /// Tokens written by the models in these turns.
    pub tokens_written: u64,
    /// The start of this time: a day ago, or the oldest known delivery.
    pub since: Millis,
}

impl Unaddressed {
    /// What `WAKE_ON=addressed` would have saved; nothing if every turn addressed its agent.
    pub fn sentence(&self, now: Millis) -> Option<String> {
        let Self { all_turns, turns, silent, tokens_read, tokens_written, since } = *self;
        if turns == 0 {
            return None;
        }
        let spent = Usage { input_tokens: tokens_read, output_tokens: tokens_written, ..Usage::default() };
        let silent = match silent {
            0 => String::new(),
            count => format!("; {count} of these deliveries brought no answer"),
        };
        let cost = if tokens_read + tokens_written > 0 { format!(" and {spent}") } else { String::new() };
        Some(format!(
            "WAKE_ON=addressed would have saved {turns} of {all_turns} turns{cost} in the last {}{silent}",
            span(now.since(since))
        ))
    }
}

/// The time that is looked at.
const LOOK_BACK: Duration = Duration::from_hours(24);

/// Sums up the turns of the last day that quiet mode would have saved, as far back as the ledger reaches.
pub fn unaddressed(cases: &[Case], now: Millis) -> Unaddressed {
    let day_ago = Millis(now.0.saturating_sub(i64::try_from(LOOK_BACK.as_millis()).unwrap_or(i64::MAX)));
    let at = |case: &Case| match &case.closed {
        Some((at, _)) => *at,
        None => case.first_seen.unwrap_or_else(|| case.work.created_at()),
    };
    let recent: Vec<&Case> = cases.iter().filter(|case| at(case) >= day_ago).collect();
    let mut sum = Unaddressed {
        since: recent.iter().map(|case| at(case)).min().unwrap_or(now),
        ..Unaddressed::default()
    };
    let mut spent = Usage::default();
    for case in recent {
        let turns = case.record.asked();
        sum.all_turns += turns;
        if case.record.unaddressed {
            sum.turns += turns;
            spent += *case.record.spent;
            let is_silent = matches!(&case.closed, Some((_, Some(End::Silent(_) | End::Unanswered(_)))));
            sum.silent += u32::from(is_silent);
        }
    }
    (sum.tokens_read, sum.tokens_written) = (spent.input_tokens, spent.output_tokens);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_counts_turns_and_deliveries_apart_and_is_absent_without_savings() {
        let now = Millis(10 * 60 * 60 * 1_000);
        let saved = Unaddressed {
            all_turns: 9,
            turns: 4,
            silent: 2,
            tokens_read: 70,
            tokens_written: 5,
            since: Millis(0),
        };
        assert_eq!(
            saved.sentence(now).as_deref(),
            Some(
                "WAKE_ON=addressed would have saved 4 of 9 turns and 70 tokens read and 5 written in the last 10 h; 2 of these \
                 deliveries brought no answer"
            )
        );
        let quiet = Unaddressed { turns: 0, ..saved };
        assert_eq!(quiet.sentence(now), None);
        let answered = Unaddressed { silent: 0, tokens_read: 0, tokens_written: 0, ..saved };
        assert_eq!(
            answered.sentence(now).as_deref(),
            Some("WAKE_ON=addressed would have saved 4 of 9 turns in the last 10 h")
        );
    }
}
