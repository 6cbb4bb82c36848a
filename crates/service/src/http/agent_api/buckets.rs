//! The rate limit of the agents' API: a token bucket per agent, and limits on concurrent calls. One agent's excess
//! calls do not slow other agents.

use std::collections::HashMap;
use std::time::Duration;

use mcr_model::clock::Millis;

/// Calls that an agent may make at once after a pause.
pub const BURST: u32 = 20;
/// Calls per second after the burst.
pub const PER_SECOND: u32 = 5;
/// Concurrent calls of one agent. Each waits for the backend and holds a connection.
pub const AT_ONCE: u32 = 8;
/// Concurrent calls of all agents: less than half of the server's connections, so that `/health` is always served.
pub const ALL_AT_ONCE: u32 = 96;

/// From this number of buckets on, full buckets without a running call are removed.
const AGENTS: usize = 4_096;
/// One call, in thousandths, the unit of the buckets.
const CALL: u64 = 1_000;

/// Which limit a call exceeds, and how long it must wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooMuch {
    /// The agent's own limit.
    OfThisAgent(Duration),
    /// The limit of all agents together.
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

    /// Starts a call, unless it exceeds a limit. Each started call must be ended with [`Buckets::end`].
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

    /// Ends a started call.
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
    fn a_thousand_calls_in_a_second_are_cut_to_the_burst_and_five() {
        let mut buckets = Buckets::default();
        let mut made = 0;
        for ms in 0..=1_000 {
            if buckets.begin("a", Millis(ms)).is_ok() {
                buckets.end("a");
                made += 1;
            }
        }
        assert_eq!(made, BURST + PER_SECOND);
        assert!(buckets.begin("b", Millis(1_000)).is_ok(), "another agent is not limited");
        let wait = buckets.begin("a", Millis(1_000)).unwrap_err();
        let TooMuch::OfThisAgent(wait) = wait else { panic!("{wait:?}") };
        let later = Millis(1_000) + wait;
        assert!(buckets.begin("a", later).is_ok(), "accepted after the reported wait");
        assert!(buckets.begin("a", Millis(0)).is_err(), "a clock that goes back adds no calls");
    }

    #[test]
    fn concurrent_calls_are_limited_per_agent_and_in_total() {
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
