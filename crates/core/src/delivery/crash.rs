//! What a restart of this process means for the deliveries that it finds.
//!
//! A process that is killed, runs out of memory or aborts leaves its deliveries where they were. They go on; each crash
//! with a delivery in hand is counted for it, apart from everything else that fails, and lengthens its rest: none after
//! the first, then 1 s, 2 s, 4 s, up to 10 minutes. Each crash without it in hand has another cause and takes back half of
//! that: so a delivery that crashes the runtime each time rests longer and longer, and one that is hit by chance does not.
//!
//! A delivery may be the cause. A crash is **held against** it only if
//!
//! - it was the only one in hand at that moment, and
//! - the process had worked without it for at least nine times as long as it then had it in hand.
//!
//! After [`HELD_MAX`] such crashes in a row it is given up. Any other crash (with several in hand, or with none of it)
//! shows that there is another cause, and takes everything back. So whoever kills the process at random hits such a
//! moment once in ten times at most, and six times in a row practically never. A stop in order and a restart of the
//! machine are no crashes.

use std::sync::Arc;
use std::time::Duration;

use super::Record;
use super::cause::Cause;
use super::journal::{Journal, JournalError, Note, Step, Wait};
use crate::work::{Work, WorkId};
use mcr_model::clock::Millis;

/// After so many crashes that are held against it, in a row, a delivery is given up.
pub const HELD_MAX: u32 = 6;

/// So many times as long as with it in hand the process must have worked without it.
const QUIET: u32 = 9;

/// By how much a crash with a delivery in hand points to it, and by how much one without it points elsewhere. Of two
/// deliveries that crash the runtime in turns both rest longer and longer.
const HIT: u32 = 2;
const SPARED: u32 = 1;

/// The rest after the second crash; doubled with each.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_mins(10);

/// What an earlier process let rest rests no longer than this.
const REST_MAX: Duration = Duration::from_hours(1);

/// How a process ended that was not told to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// When it began to work.
    pub began: Millis,
    /// What its workers had in hand, and since when.
    pub in_hand: Vec<(WorkId, Millis)>,
}

/// A delivery that is not over, and until when it rests.
pub type Found = (Arc<Work>, Record, Option<Millis>);

/// Deliveries that an earlier process has left go on in this one; each of them is told so. `crash` is how that process
/// ended, if it was a crash. An error means that what was counted may not outlive another one.
pub fn go_on(
    found: &mut [Found],
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
                // What is given up does not rest before.
                let counted = crash.had(&work.id) && record.held < HELD_MAX;
                let rests = rest(record.suspected).filter(|_| counted).map(|rest| now + rest);
                *not_before = rests.max(*not_before);
                words
            }
        };
        let note = Note::of(work, now).record(record).step(Step::Restarted, &words).rests(*not_before);
        // What was counted must outlive the next crash.
        let wait = if crash.is_some() && number == last { Wait::ForDisk } else { Wait::Not };
        journal.note(&note, wait)?;
    }
    Ok(())
}

impl Crash {
    fn had(&self, work: &WorkId) -> bool {
        self.in_hand.iter().any(|(id, _)| id == work)
    }

    /// Whether it proves something against this delivery.
    fn accuses(&self, work: &WorkId, now: Millis) -> bool {
        let [(id, since)] = &self.in_hand[..] else { return false };
        // The instant of the crash is not known; it was before now.
        id == work && since.since(self.began) >= now.since(*since) * QUIET
    }
}

/// Counts the crash; what is told of it.
fn judge(record: &mut Record, work: &WorkId, crash: &Crash, now: Millis) -> String {
    let accused = crash.accuses(work, now);
    record.held = if accused { record.held.saturating_add(1) } else { 0 };
    if !crash.had(work) {
        record.suspected = record.suspected.saturating_sub(SPARED);
        return "the runtime crashed while this delivery waited".to_owned();
    }
    let count = record.failures.add(Cause::Crash, 1);
    record.suspected = record.suspected.saturating_add(HIT);
    match crash.in_hand.len() - 1 {
        _ if accused => format!("the runtime crashed while it worked on this delivery alone (crash {count})"),
        0 => format!("the runtime crashed while it worked on this delivery (crash {count})"),
        others => {
            format!("the runtime crashed while it worked on this delivery and {others} more (crash {count})")
        }
    }
}

/// How long it rests where so much points to it.
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

    /// The process worked for so long without the row, and then had these in hand for so long.
    fn crash(without: u64, rows: &[&str]) -> Crash {
        let since = START + secs(without);
        Crash { began: START, in_hand: rows.iter().map(|row| (WorkId::new(*row), since)).collect() }
    }

    fn after(record: &mut Record, crash: &Crash, with: u64) -> String {
        let since = crash.in_hand.first().map_or(START, |(_, since)| *since);
        judge(record, &WorkId::new("n1"), crash, since + secs(with))
    }

    /// What is held against a delivery, and what takes it back.
    #[test]
    fn only_a_crash_that_it_alone_can_have_caused_is_held_against_a_delivery() {
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
            let told = after(&mut record, &crash, with);
            assert!(told.ends_with(words), "{told}");
            assert_eq!(record.held, held, "{told}");
        }
    }

    #[test]
    fn rests_grow_up_to_a_limit() {
        let rests: Vec<_> = [1, 2, 3, 6, 11, 12, 1_000]
            .map(|crashes| rest(crashes * HIT))
            .into_iter()
            .map(|rest| rest.map(|rest| rest.as_secs()))
            .collect();
        assert_eq!(rests, [None, Some(1), Some(2), Some(16), Some(512), Some(600), Some(600)]);
    }

    /// The runtime is killed all the time, and a delivery is in hand at many of the kills: whatever their number, its rest
    /// stays short. Where it is in hand at every crash, or at every second one, its rest grows.
    #[test]
    fn a_delivery_that_is_hit_by_chance_rests_for_a_moment() {
        let (mut record, mut resting) = (Record::default(), 0_u64);
        for _ in 0..200 {
            // Each process lives for two seconds, and has the delivery in hand unless that rests.
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

    /// A delivery that is alone with the runtime, and a runtime that is killed at random: whatever the turn takes, and
    /// however often it is killed, it is not given up. One that crashes the runtime each time is.
    #[test]
    fn a_random_killer_kills_no_row_and_a_poisonous_one_is_found() {
        let mut seed = 7_u64;
        let mut roll = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % most
        };
        for turn in [1, 20, 300, 7_200_u64] {
            let mut record = Record::default();
            for _ in 0..400 {
                let rests = rest(record.suspected).unwrap_or_default().as_secs();
                // Killed at a random instant of the rest and the turn.
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
