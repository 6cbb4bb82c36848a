//! How much an agent may ask for: so many calls at once, and so many a second. What one agent asks for in excess costs
//! nobody else anything.

use std::collections::HashMap;
use std::time::Duration;

use mcr_model::clock::Millis;

/// Calls that an agent may make in one go after a rest.
pub const BURST: u32 = 20;
/// And how many each second after that.
pub const PER_SECOND: u32 = 5;
/// Calls of one agent under way at once: the backend makes each wait for itself.
pub const AT_ONCE: u32 = 8;
/// Calls of all agents under way at once: less than half of the server's connections, so that `/health` has room.
pub const ALL_AT_ONCE: u32 = 96;

/// Agents that are remembered before those are forgotten of whom there is nothing to remember.
const AGENTS: usize = 4_096;
/// One call, in the thousandths in which buckets are counted.
const CALL: u64 = 1_000;

/// Why a call has to wait, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooMuch {
    /// The agent asks too often.
    OfThisAgent(Duration),
    /// Everybody together does.
    OfAll(Duration),
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u64,
    at: Millis,
    under_way: u32,
}

/// A bucket for each agent.
#[derive(Debug, Default)]
pub struct Buckets {
    agents: HashMap<String, Bucket>,
    under_way: u32,
}

impl Buckets {
    const FULL: u64 = BURST as u64 * CALL;

    /// A call begins, unless it has to wait; whoever begins ends.
    pub fn begin(&mut self, agent: &str, now: Millis) -> Result<(), TooMuch> {
        const SOON: Duration = Duration::from_secs(1);
        if self.agents.len() >= AGENTS {
            self.agents.retain(|_, bucket| bucket.under_way > 0 || bucket.at_level(now) < Self::FULL);
        }
        let fresh = Bucket { left: Self::FULL, at: now, under_way: 0 };
        let bucket = self.agents.entry(agent.to_owned()).or_insert(fresh);
        (bucket.left, bucket.at) = (bucket.at_level(now), now.max(bucket.at));
        let Some(left) = bucket.left.checked_sub(CALL) else {
            let missing = CALL - bucket.left;
            return Err(TooMuch::OfThisAgent(Duration::from_millis(missing / u64::from(PER_SECOND))));
        };
        if bucket.under_way >= AT_ONCE {
            return Err(TooMuch::OfThisAgent(SOON));
        }
        if self.under_way >= ALL_AT_ONCE {
            return Err(TooMuch::OfAll(SOON));
        }
        (bucket.left, bucket.under_way, self.under_way) = (left, bucket.under_way + 1, self.under_way + 1);
        Ok(())
    }

    /// A call that began is over.
    pub fn end(&mut self, agent: &str) {
        self.under_way = self.under_way.saturating_sub(1);
        if let Some(bucket) = self.agents.get_mut(agent) {
            bucket.under_way = bucket.under_way.saturating_sub(1);
        }
    }
}

impl Bucket {
    fn at_level(&self, now: Millis) -> u64 {
        let millis = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        self.left.saturating_add(millis.saturating_mul(u64::from(PER_SECOND))).min(Buckets::FULL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_calls_in_a_second_are_a_burst_and_five() {
        let mut buckets = Buckets::default();
        let mut made = 0;
        for ms in 0..=1_000 {
            if buckets.begin("a", Millis(ms)).is_ok() {
                buckets.end("a");
                made += 1;
            }
        }
        assert_eq!(made, BURST + PER_SECOND);
        assert!(buckets.begin("b", Millis(1_000)).is_ok(), "others do not notice");
        let wait = buckets.begin("a", Millis(1_000)).unwrap_err();
        let TooMuch::OfThisAgent(wait) = wait else { panic!("{wait:?}") };
        let later = Millis(1_000) + wait;
        assert!(buckets.begin("a", later).is_ok(), "after the time it was told");
        assert!(buckets.begin("a", Millis(0)).is_err(), "a clock that goes back brings nothing");
    }

    #[test]
    fn few_are_under_way_at_once() {
        let mut buckets = Buckets::default();
        for _ in 0..AT_ONCE {
            buckets.begin("a", Millis(0)).unwrap();
        }
        assert!(matches!(buckets.begin("a", Millis(0)), Err(TooMuch::OfThisAgent(_))));
        buckets.end("a");
        assert!(buckets.begin("a", Millis(0)).is_ok());
        for number in AT_ONCE..ALL_AT_ONCE {
            buckets.begin(&number.to_string(), Millis(0)).unwrap();
        }
        assert!(matches!(buckets.begin("b", Millis(0)), Err(TooMuch::OfAll(_))));
    }

    #[test]
    fn memory_is_bounded() {
        let mut buckets = Buckets::default();
        for number in 0..20_000_i64 {
            buckets.begin(&number.to_string(), Millis(number * 1_000)).unwrap();
            buckets.end(&number.to_string());
        }
        assert!(buckets.agents.len() <= AGENTS);
    }
}
