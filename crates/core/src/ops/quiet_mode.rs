//! What quiet mode has saved, and what it would have saved for the agents that do not use it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::why::Case;
use crate::delivery::End;
use crate::delivery::policy::Skip;
use crate::gateway::Usage;
use crate::spans::{counted, span};
use mcr_model::clock::Millis;
use mcr_model::spending::grouped;
use mcr_model::{WakeOn, WakeRules};

/// What turns without an address have cost, and how many quiet mode has saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unaddressed {
    /// All turns in this time.
    pub all_turns: u32,
    /// The turns of notifications that did not address their agent, for agents without quiet mode.
    pub turns: u32,
    /// The deliveries among them that brought no answer.
    pub silent: u32,
    /// Tokens read by the models in these turns.
    pub tokens_read: u64,
    /// Tokens written by the models in these turns.
    pub tokens_written: u64,
    /// The deliveries that quiet mode has skipped.
    #[serde(default)]
    pub saved: u32,
    /// What they would have cost at the average of all turns.
    #[serde(default)]
    pub tokens_saved: u64,
    /// The start of this time: a day ago, or the oldest known delivery.
    pub since: Millis,
}

impl Unaddressed {
    /// What `WAKE_ON=addressed` has saved, and what it would have saved. Nothing if every turn addressed its agent.
    pub fn sentence(&self, now: Millis) -> Option<String> {
        let time = format!("in the last {}", span(now.since(self.since)));
        let clauses = [self.has_saved(&time), self.would_have_saved(&time)];
        let clauses: Vec<String> = clauses.into_iter().flatten().collect();
        (!clauses.is_empty()).then(|| clauses.join(". "))
    }

    fn has_saved(&self, time: &str) -> Option<String> {
        let tokens = match self.tokens_saved {
            0 => String::new(),
            tokens => format!(" and about {} tokens", grouped(tokens)),
        };
        let turns = counted(self.saved, "turn");
        (self.saved > 0).then(|| format!("WAKE_ON=addressed has saved {turns}{tokens} {time}"))
    }

    fn would_have_saved(&self, time: &str) -> Option<String> {
        let Self { all_turns, turns, silent, tokens_read, tokens_written, .. } = *self;
        if turns == 0 {
            return None;
        }
        let spent = Usage { input_tokens: tokens_read, output_tokens: tokens_written, ..Usage::default() };
        let silent = match silent {
            0 => String::new(),
            count => format!("; {count} of these deliveries brought no answer"),
        };
        let cost = if tokens_read + tokens_written > 0 { format!(" and {spent}") } else { String::new() };
        Some(format!("WAKE_ON=addressed would have saved {turns} of {all_turns} turns{cost} {time}{silent}"))
    }
}

/// The time that is looked at.
const LOOK_BACK: Duration = Duration::from_hours(24);

/// Sums up what quiet mode has saved in the last day, and would have saved for agents that it does not apply to. It reaches
/// as far back as the ledger.
pub fn unaddressed(cases: &[Case], rules: &WakeRules, now: Millis) -> Unaddressed {
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
    let (mut spent, mut spent_in_all) = (Usage::default(), Usage::default());
    for case in recent {
        let turns = case.record.asked();
        sum.all_turns += turns;
        spent_in_all += *case.record.spent;
        sum.saved += u32::from(matches!(case.closed, Some((_, Some(End::Skipped(Skip::NotAddressed))))));
        // An earlier turn of an agent that is in quiet mode now could not happen again.
        if case.record.unaddressed && rules.of(&case.agent) == WakeOn::All {
            sum.turns += turns;
            spent += *case.record.spent;
            let is_silent = matches!(&case.closed, Some((_, Some(End::Silent(_) | End::Unanswered(_)))));
            sum.silent += u32::from(is_silent);
        }
    }
    (sum.tokens_read, sum.tokens_written) = (spent.input_tokens, spent.output_tokens);
    let tokens = spent_in_all.input_tokens + spent_in_all.output_tokens;
    sum.tokens_saved = (tokens * u64::from(sum.saved)).checked_div(sum.all_turns.into()).unwrap_or_default();
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
            saved: 0,
            tokens_saved: 0,
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
        let in_use = Unaddressed { turns: 0, saved: 3, tokens_saved: 12_000, ..saved };
        assert_eq!(
            in_use.sentence(now).as_deref(),
            Some("WAKE_ON=addressed has saved 3 turns and about 12,000 tokens in the last 10 h")
        );
        let of_some = Unaddressed { saved: 1, ..answered };
        assert_eq!(
            of_some.sentence(now).as_deref(),
            Some(
                "WAKE_ON=addressed has saved 1 turn in the last 10 h. WAKE_ON=addressed would have saved 4 of 9 turns in the \
                 last 10 h"
            )
        );
    }
}
