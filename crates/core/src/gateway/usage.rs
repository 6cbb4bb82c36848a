//! What a turn has used: tokens and dollars.

use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use mcr_model::spending::Dollars;

/// A reported cost of a model call beyond this many dollars is nonsense.
const CALL_DOLLARS_MAX: f64 = 1e6;

/// The cost of turns in tokens, and in money where the gateway reports it (in the history of a session).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read by the model.
    pub input_tokens: u64,
    /// Tokens written by the model.
    pub output_tokens: u64,
    /// Billionths of a dollar; 0 if not reported.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub nano_dollars: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_nothing(amount: &u64) -> bool {
    *amount == 0
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens read and {} written", self.input_tokens, self.output_tokens)?;
        match self.nano_dollars {
            0 => Ok(()),
            nanos => write!(f, ", ${} of it reported in money", Dollars(nanos)),
        }
    }
}

impl Usage {
    /// Tokens read and written.
    pub fn tokens(self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// An amount of dollars from JSON, in billionths; 0 if absent, or if no model call costs that much.
    pub fn nanos(dollars: Option<f64>) -> u64 {
        // Negative amounts and NaN become 0.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
        dollars
            .filter(|dollars| *dollars <= CALL_DOLLARS_MAX)
            .map_or(0, |dollars| (dollars * 1e9).round() as u64)
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        self.input_tokens = self.input_tokens.saturating_add(more.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(more.output_tokens);
        self.nano_dollars = self.nano_dollars.saturating_add(more.nano_dollars);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_printed_without_trailing_zeros() {
        let rows = [
            (Some(0.000_114), "0.000114"),
            (Some(12.5), "12.5"),
            (Some(3.0), "3"),
            (Some(0.000_000_000_4), "0"),
            (Some(-1.0), "0"),
            (Some(f64::NAN), "0"),
            (Some(1e6), "1000000"),
            (Some(1e12), "0"),
            (Some(f64::INFINITY), "0"),
            (None, "0"),
        ];
        for (dollars, text) in rows {
            assert_eq!(Dollars(Usage::nanos(dollars)).to_string(), text, "{dollars:?}");
        }
        let usage = Usage { input_tokens: 7, output_tokens: 3, nano_dollars: 0 };
        assert_eq!(usage.to_string(), "7 tokens read and 3 written");
        let with_cost = Usage { nano_dollars: 120_000_000, ..usage };
        assert_eq!(with_cost.to_string(), "7 tokens read and 3 written, $0.12 of it reported in money");
    }
}
