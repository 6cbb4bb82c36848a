//! Detects a service token that is never accepted: after a while that is a configuration mistake, not an
//! outage.

use std::time::Duration;

use mcr_model::clock::Millis;

/// How long the backend must refuse the token, from the first call of the process on.
const REFUSED_FOR: Duration = Duration::from_mins(10);

/// What a call shows about the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The token was accepted.
    Accepted,
    /// The backend says that it does not accept the token.
    Refused,
    /// The call failed in another way, or hides its reason.
    Unclear,
}

/// The refusals so far. One accepted call proves the token for the life of the process.
#[derive(Debug, Default)]
pub(super) struct TokenRefusals {
    accepted: bool,
    /// The first of the uninterrupted refusals.
    since: Option<Millis>,
    hopeless: bool,
}

impl TokenRefusals {
    /// Notes the result of a call.
    pub(super) fn note(&mut self, token: Token, now: Millis) {
        match token {
            Token::Accepted => *self = Self { accepted: true, ..Self::default() },
            Token::Unclear => *self = Self { accepted: self.accepted, ..Self::default() },
            Token::Refused => {
                let since = *self.since.get_or_insert(now);
                self.hopeless |= !self.accepted && now.since(since) >= REFUSED_FOR;
            }
        }
    }

    /// Whether to give up: only refusals since the start, for ten minutes.
    pub(super) fn is_hopeless(&self) -> bool {
        self.hopeless
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ten_minutes_of_uninterrupted_refusals_are_hopeless() {
        use Token::{Accepted, Refused, Unclear};
        let rows: &[(&[(i64, Token)], bool)] = &[
            (&[(0, Refused), (300, Refused), (600, Refused)], true),
            (&[(40, Refused), (639, Refused)], false),
            (&[(40, Refused), (640, Refused)], true),
            (&[(600, Refused)], false),
            // A success before, between or after.
            (&[(0, Accepted), (1, Refused), (900, Refused)], false),
            (&[(0, Refused), (599, Accepted), (600, Refused), (9_000, Refused)], false),
            (&[(0, Refused), (600, Refused), (601, Accepted)], false),
            // A refusal that passes, and reasons that are hidden.
            (&[(0, Refused), (300, Unclear), (600, Refused), (899, Refused)], false),
            (&[(0, Refused), (300, Unclear), (600, Refused), (1_200, Refused)], true),
            (&[(0, Unclear), (600, Unclear), (1_200, Unclear)], false),
        ];
        for (row, (calls, hopeless)) in rows.iter().enumerate() {
            let mut refusal = TokenRefusals::default();
            for (second, token) in *calls {
                refusal.note(*token, Millis(second * 1_000));
            }
            assert_eq!(refusal.is_hopeless(), *hopeless, "row {row}");
        }
    }
}
