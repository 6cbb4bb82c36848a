//! Decides how a restart of this process affects the open deliveries that it finds.
//!
//! A process that is killed, runs out of memory or aborts leaves its deliveries where they were. They
//! continue. Each crash during a delivery is counted for that delivery, apart from all other failures, and
//! lengthens its pause. There is no pause after the first crash, then 1 s, 2 s, 4 s, up to 10 minutes. A
//! crash while the delivery waits has another cause and takes back half of that. So a delivery that
//! crashes the runtime each time pauses longer and longer. One that is hit by chance does not.
//!
//! A delivery may be the cause. A crash is **held against** it only if
//!
//! - it was the only active one at that moment, and
//! - the process had worked without it for at least nine times as long as it then worked on it.
//!
//! After [`HELD_MAX`] such crashes in a row the delivery is given up. Any other crash (with several active
//! deliveries, or without this one) shows another cause and resets the count. Kills at random instants meet the condition
//! at most once in ten times, and practically never six times in a row. An orderly stop and a restart of the
//! machine are not crashes.

use std::sync::Arc;
use std::time::Duration;

use super::Record;
use super::cause::Cause;
use super::journal::{Journal, JournalError, Note, Step, Wait};
use crate::work::{Work, WorkId};
use mcr_model::clock::Millis;

/// A delivery is given up after this many consecutive crashes that are held against it.
pub const HELD_MAX: u32 = 6;

/// How many times longer the process must have worked without the delivery than with it.
const QUIET: u32 = 9;

/// A crash during a delivery raises its suspicion by `HIT`, a crash without it lowers the suspicion by
/// `SPARED`. Two deliveries that crash the runtime in turns both pause longer and longer.
const HIT: u32 = 2;
const SPARED: u32 = 1;

/// The pause after the second crash; doubled with each further one.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_mins(10);

/// A pause set by an earlier process lasts at most this long.
const REST_MAX: Duration = Duration::from_hours(1);

/// An unexpected end of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// When the process started.
    pub began: Millis,
    /// The deliveries that its workers processed, each with the instant at which a worker took it.
    pub active: Vec<(WorkId, Millis)>,
}

/// An open delivery, and the instant until which it pauses.
pub type UnfinishedDelivery = (Arc<Work>, Record, Option<Millis>);

/// Continues the deliveries that an earlier process has left, and records a step for each. `crash` describes
/// how that process ended, if it crashed. An error means that the counts may not survive another crash.
pub fn go_on(
    found: &mut [UnfinishedDelivery],
    crash: Option<&Crash>,
    journal: &dyn Journal,
    now: Millis,
) -> Result<(), JournalError> {
    let last = found.len().saturating_sub(1);
    for (number, (work, record, not_before)) in found.iter_mut().enumerate() {
        record.recalled(now);
        // The clock may have been set back since.
        *not_before = not_before.map(|until| until.min(now + REST_MAX));
        let words = match crash {
            None => "the runtime was stopped and started again".to_owned(),
            Some(crash) => {
                let words = judge(record, &work.id, crash, now);
                // A delivery that is to be given up does not pause first.
                let counted = crash.had(&work.id) && record.held < HELD_MAX;
                let rests = rest(record.suspected).filter(|_| counted).map(|rest| now + rest);
                *not_before = rests.max(*not_before);
                words
            }
        };
        let note = Note::of(work, now).record(record).step(Step::Restarted, &words).rests(*not_before);
        // The counts must survive the next crash.
        let wait = if crash.is_some() && number == last { Wait::ForDisk } else { Wait::Not };
        journal.note(&note, wait)?;
    }
    Ok(())
}

impl Crash {
    fn had(&self, work: &WorkId) -> bool {
        self.active.iter().any(|(id, _)| id == work)
    }

    /// Whether the crash counts as evidence against this delivery.
    fn accuses(&self, work: &WorkId, now: Millis) -> bool {
        let [(id, since)] = &self.active[..] else { return false };
        // The instant of the crash is unknown; it was before now.
        id == work && since.since(self.began) >= now.since(*since) * QUIET
    }
}

/// Counts the crash and returns the text of the step.
fn judge(record: &mut Record, work: &WorkId, crash: &Crash, now: Millis) -> String {
    let accused = crash.accuses(work, now);
    record.held = if accused { record.held.saturating_add(1) } else { 0 };
    if !crash.had(work) {
        record.suspected = record.suspected.saturating_sub(SPARED);
        return "the runtime crashed while this delivery waited".to_owned();
    }
    let count = record.failures.add(Cause::Crash, 1);
    record.suspected = record.suspected.saturating_add(HIT);
    match crash.active.len() - 1 {
        _ if accused => format!("the runtime crashed while it worked on this delivery alone (crash {count})"),
        0 => format!("the runtime crashed while it worked on this delivery (crash {count})"),
        others => {
            format!("the runtime crashed while it worked on this delivery and {others} more (crash {count})")
        }
    }
}

/// The pause at this level of suspicion.
fn rest(suspected: u32) -> Option<Duration> {
    let doubled = (suspected / HIT).checked_sub(2)?;
    Some(FIRST.saturating_mul(1 << doubled.min(16)).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Millis = Millis(1_765_526_400_000);

    fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// A process that worked this long without the row, and then worked on these rows.
    fn crash(without: u64, rows: &[&str]) -> Crash {
        let since = START + secs(without);
        Crash { began: START, active: rows.iter().map(|row| (WorkId::new(*row), since)).collect() }
    }

    fn after(record: &mut Record, crash: &Crash, with: u64) -> String {
        let since = crash.active.first().map_or(START, |(_, since)| *since);
        judge(record, &WorkId::new("n1"), crash, since + secs(with))
    }

    /// What is held against a delivery, and what resets the count.
    #[test]
    fn only_a_crash_without_other_suspects_is_held_against_a_delivery() {
        let rows: [(Crash, u64, u32, &str); 7] = [
            (crash(90, &["n1"]), 10, 3, "alone (crash 8)"),
            (crash(90, &["n1"]), 11, 0, "on this delivery (crash 8)"),
            (crash(0, &["n1"]), 1, 0, "on this delivery (crash 8)"),
            (crash(3_000, &["n1", "n2"]), 1, 0, "and 1 more (crash 8)"),
            (crash(3_000, &["n2", "n1", "n3"]), 1, 0, "and 2 more (crash 8)"),
            (crash(3_000, &["n2"]), 1, 0, "while this delivery waited"),
            (crash(3_000, &[]), 1, 0, "while this delivery waited"),
        ];
        for (crash, with, held, words) in rows {
            let mut record = Record { failures: [(Cause::Crash, 7)].into(), held: 2, ..Record::default() };
            let step = after(&mut record, &crash, with);
            assert!(step.ends_with(words), "{step}");
            assert_eq!(record.held, held, "{step}");
        }
    }

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let rests: Vec<_> = [1, 2, 3, 6, 11, 12, 1_000]
            .map(|crashes| rest(crashes * HIT))
            .into_iter()
            .map(|rest| rest.map(|rest| rest.as_secs()))
            .collect();
        assert_eq!(rests, [None, Some(1), Some(2), Some(16), Some(512), Some(600), Some(600)]);
    }

    /// The runtime is killed all the time, and a delivery is active at many of the kills. Its pause stays
    /// short, whatever their number. If it is active at every crash, or at every second one, its pause
    /// grows.
    #[test]
    fn a_delivery_hit_by_chance_pauses_only_briefly() {
        let (mut record, mut resting) = (Record::default(), 0_u64);
        for _ in 0..200 {
            // Each process lives for two seconds, and works on the delivery unless that pauses.
            let hit = resting == 0;
            after(&mut record, &crash(0, if hit { &["n1", "n2"] } else { &["n2"] }), 1);
            let rests = rest(record.suspected).unwrap_or_default();
            assert!(rests <= secs(16), "{rests:?} after {} crashes", record.failures.of(Cause::Crash));
            resting = if hit { rests.as_secs() } else { resting.saturating_sub(2) };
        }
        let mut record = Record::default();
        for _ in 0..30 {
            after(&mut record, &crash(3_000, &["n1"]), 1);
            after(&mut record, &crash(3_000, &["n2"]), 1);
        }
        assert_eq!(rest(record.suspected), Some(LONGEST), "two that crash it in turns");
    }

    /// A single delivery, and a runtime that is killed at random. The delivery is not given up, whatever its
    /// duration and the number of kills. A delivery that crashes the runtime each time is given up.
    #[test]
    fn random_kills_give_up_no_row_and_a_crashing_row_is_found() {
        let mut seed = 7_u64;
        let mut roll = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % most
        };
        for turn in [1, 20, 300, 7_200_u64] {
            let mut record = Record::default();
            for _ in 0..400 {
                let rests = rest(record.suspected).unwrap_or_default().as_secs();
                // Killed at a random instant of the pause and the turn.
                let killed = roll(rests + turn + 1);
                let crash = if killed < rests { crash(0, &[]) } else { crash(rests, &["n1"]) };
                after(&mut record, &crash, killed.saturating_sub(rests));
                assert!(record.held < HELD_MAX, "{turn} s");
            }
        }
        let mut record = Record::default();
        let crashes = (1..100).find(|_| {
            let rests = rest(record.suspected).unwrap_or_default().as_secs();
            after(&mut record, &crash(rests, &["n1"]), 2);
            record.held >= HELD_MAX
        });
        assert_eq!(crashes, Some(13), "the rests grow until one is long enough, and then it is six times");
    }
}
