//! Decides which changes of the subscription's condition are logged. A connection that breaks again and again must not fill
//! the log.

use std::time::Duration;

use super::WakeCondition;
use mcr_model::clock::Millis;

/// The least time between two log lines of the same condition.
const PAUSE: Duration = Duration::from_mins(10);

/// The log lines so far.
#[derive(Clone, Debug, Default)]
pub struct ConditionLog {
    condition: WakeCondition,
    /// The condition of the last line.
    logged: WakeCondition,
    /// The changes since the last line.
    changes: u32,
    /// The last line of each condition.
    lines: Vec<(WakeCondition, Millis)>,
}

impl ConditionLog {
    /// Takes the condition. Returns the number of changes since the last line, if a line is due.
    pub fn take(&mut self, condition: WakeCondition, now: Millis) -> Option<u32> {
        if std::mem::replace(&mut self.condition, condition) != condition {
            self.changes = self.changes.saturating_add(1);
        }
        let is_recent = |(of, at): &(WakeCondition, Millis)| *of == condition && now.since(*at) < PAUSE;
        if self.logged == condition || self.lines.iter().any(is_recent) {
            return None;
        }
        self.logged = condition;
        self.lines.retain(|(of, _)| *of != condition);
        self.lines.push((condition, now));
        Some(std::mem::take(&mut self.changes))
    }
}

#[cfg(test)]
mod tests {
    use super::WakeCondition::{Failing, Missing, Subscribed};
    use super::*;

    #[test]
    fn each_condition_has_one_line_in_ten_minutes_with_the_number_of_changes() {
        let mut log = ConditionLog::default();
        let rows = [
            (Subscribed, 0, Some(1)),
            (Subscribed, 1, None),
            (Failing, 2, Some(1)),
            (Subscribed, 3, None),
            (Failing, 4, None),
            (Subscribed, 5, None),
            (Missing, 6, Some(4)),
            (Subscribed, 599, None),
            (Subscribed, 600, Some(1)),
            (Failing, 601, None),
            (Failing, 602, Some(1)),
        ];
        for (condition, second, expected) in rows {
            assert_eq!(log.take(condition, Millis(second * 1_000)), expected, "{condition:?} at {second} s");
        }
    }

    /// The last line is about the condition that lasts.
    #[test]
    fn a_condition_that_lasts_is_logged_in_the_end() {
        let mut log = ConditionLog::default();
        for second in 0..120 {
            log.take(if second % 2 == 0 { Subscribed } else { Failing }, Millis(second * 1_000));
        }
        assert_eq!(log.take(Subscribed, Millis(121_000)), None, "the last line says that it fails");
        assert_eq!(log.take(Subscribed, Millis(600_000)), Some(119));
    }
}
