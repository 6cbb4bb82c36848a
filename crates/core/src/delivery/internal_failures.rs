//! Decides which agents the gateway cannot run any more, although it runs others.
//!
//! A gateway can lose the ability to run one agent until it is restarted: every turn then ends with an internal error, and
//! its probes say that all is well. One internal error proves nothing, and neither do errors of all agents. So an agent
//! counts as blocked after several consecutive ones over some time, during which another agent was answered.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use mcr_model::clock::Millis;

/// How many turns of an agent must fail in a row.
const FAILURES_MIN: u32 = 3;
/// How long they must have failed for.
pub const BLOCKED_AFTER: Duration = Duration::from_mins(1);
/// An agent without a turn for this many times [`BLOCKED_AFTER`] counts as blocked no longer: nothing is known of it then.
const FORGOTTEN_AFTER: u32 = 10;
/// How often one item may wait for a blocked agent, with a minute between its turns. An item that alone makes its agent fail
/// looks like a blocked agent. After four hours its attempts count again, so it ends as dead.
const WAITS_MAX: u32 = 240;

/// The internal failures of each agent since its last other result.
#[derive(Clone, Debug)]
pub struct InternalFailures {
    after: Duration,
    agents: HashMap<String, FailingAgent>,
    /// The agents that ran since the start of the process.
    ran: HashSet<String>,
}

#[derive(Clone, Copy, Debug)]
struct FailingAgent {
    since: Millis,
    last: Millis,
    times: u32,
    /// Whether another agent was answered since the first failure.
    others_answered: bool,
}

impl InternalFailures {
    /// No failures. Agents count as blocked after this time, normally [`BLOCKED_AFTER`].
    pub fn new(after: Duration) -> Self {
        Self { after, agents: HashMap::new(), ran: HashSet::new() }
    }

    /// A turn of this agent failed inside the gateway.
    pub fn failed(&mut self, agent: &str, now: Millis) {
        let forgotten = self.after * FORGOTTEN_AFTER;
        self.agents.retain(|_, failing| now.since(failing.last) < forgotten);
        let failing = self.agents.entry(agent.to_owned()).or_insert(FailingAgent {
            since: now,
            last: now,
            times: 0,
            others_answered: false,
        });
        failing.times += 1;
        failing.last = now;
    }

    /// An earlier process found the agent blocked, and its next turn has failed too. That counts unless the agent ran since.
    pub fn recall(&mut self, agent: &str, now: Millis) {
        if self.ran.contains(agent) {
            return;
        }
        let since = now - self.after;
        let recalled = FailingAgent { since, last: now, times: FAILURES_MIN, others_answered: true };
        self.agents.insert(agent.to_owned(), recalled);
    }

    /// A turn of this agent was answered.
    pub fn answered(&mut self, agent: &str) {
        self.ran(agent);
        self.agents.values_mut().for_each(|failing| failing.others_answered = true);
    }

    /// A turn of this agent reached its model, whatever the result.
    pub fn ran(&mut self, agent: &str) {
        self.agents.remove(agent);
        if !self.ran.contains(agent) {
            self.ran.insert(agent.to_owned());
        }
    }

    /// Whether the gateway cannot run this agent.
    pub fn is_blocked(&self, agent: &str, now: Millis) -> bool {
        self.agents.get(agent).is_some_and(|failing| self.blocks(failing, now))
    }

    /// Whether an item that has waited so often for this blocked agent waits once more.
    pub fn holds_back(&self, agent: &str, waits: u32, now: Millis) -> bool {
        waits < WAITS_MAX && self.is_blocked(agent, now)
    }

    /// The agents that the gateway cannot run.
    pub fn blocked(&self, now: Millis) -> impl Iterator<Item = &str> {
        let blocked = self.agents.iter().filter(move |(_, failing)| self.blocks(failing, now));
        blocked.map(|(agent, _)| agent.as_str())
    }

    fn blocks(&self, failing: &FailingAgent, now: Millis) -> bool {
        failing.times >= FAILURES_MIN
            && failing.others_answered
            && failing.last.since(failing.since) >= self.after
            && now.since(failing.last) < self.after * FORGOTTEN_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    enum Turn {
        Fails(&'static str, i64),
        Answered(&'static str),
        Ran(&'static str),
    }

    /// Each row: the turns with their seconds, and the blocked agents at a second.
    #[test]
    fn an_agent_is_blocked_if_it_alone_fails_for_a_while() {
        use Turn::{Answered, Fails, Ran};
        let others = [Fails("ben", 0), Answered("ada"), Fails("ben", 30)];
        let rows: [(&str, Vec<Turn>, i64, &[&str]); 9] = [
            ("three over a minute", [&others[..], &[Fails("ben", 60)]].concat(), 60, &["ben"]),
            ("within a minute", [&others[..], &[Fails("ben", 59)]].concat(), 90, &[]),
            ("only two", vec![Fails("ben", 0), Answered("ada"), Fails("ben", 90)], 90, &[]),
            ("no other agent answered", vec![Fails("ben", 0), Fails("ben", 30), Fails("ben", 90)], 90, &[]),
            (
                "the other one answered before",
                vec![Answered("ada"), Fails("ben", 0), Fails("ben", 30), Fails("ben", 90)],
                90,
                &[],
            ),
            (
                "all agents fail",
                vec![
                    Fails("ben", 0),
                    Fails("ada", 0),
                    Fails("ben", 30),
                    Fails("ada", 30),
                    Fails("ben", 90),
                    Fails("ada", 90),
                ],
                90,
                &[],
            ),
            (
                "it was answered in between",
                [&others[..], &[Answered("ben"), Fails("ben", 60), Fails("ben", 90)]].concat(),
                90,
                &[],
            ),
            (
                "its model failed in between",
                [&others[..], &[Ran("ben"), Fails("ben", 60), Fails("ben", 90), Fails("ben", 130)]].concat(),
                130,
                &[],
            ),
            ("long ago", [&others[..], &[Fails("ben", 60)]].concat(), 660, &[]),
        ];
        for (name, turns, at, expected) in rows {
            let mut failures = InternalFailures::new(BLOCKED_AFTER);
            for turn in turns {
                match turn {
                    Fails(agent, second) => failures.failed(agent, Millis(second * 1_000)),
                    Answered(agent) => failures.answered(agent),
                    Ran(agent) => failures.ran(agent),
                }
            }
            let now = Millis(at * 1_000);
            assert_eq!(failures.blocked(now).collect::<Vec<_>>(), expected, "{name}");
            assert_eq!(failures.is_blocked("ben", now), !expected.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_block_that_an_earlier_process_found_counts_until_the_agent_runs() {
        let mut failures = InternalFailures::new(BLOCKED_AFTER);
        failures.recall("ben", Millis(5_000));
        assert!(failures.is_blocked("ben", Millis(5_000)));
        failures.failed("ben", Millis(65_000));
        assert!(failures.is_blocked("ben", Millis(65_000)));
        failures.answered("ben");
        failures.recall("ben", Millis(70_000));
        assert!(!failures.is_blocked("ben", Millis(70_000)));
    }

    #[test]
    fn an_item_waits_for_a_blocked_agent_a_limited_time() {
        let mut failures = InternalFailures::new(BLOCKED_AFTER);
        failures.recall("ben", Millis(5_000));
        assert!(failures.holds_back("ben", WAITS_MAX - 1, Millis(5_000)));
        assert!(!failures.holds_back("ben", WAITS_MAX, Millis(5_000)));
        assert!(!failures.holds_back("ada", 0, Millis(5_000)));
    }

    #[test]
    fn an_answer_ends_the_block_and_old_failures_are_dropped() {
        let mut failures = InternalFailures::new(BLOCKED_AFTER);
        for second in [0, 30, 60] {
            failures.failed("ben", Millis(second * 1_000));
            failures.answered("ada");
        }
        assert!(failures.is_blocked("ben", Millis(60_000)));
        failures.answered("ben");
        assert!(!failures.is_blocked("ben", Millis(60_000)));
        failures.failed("eve", Millis(70_000));
        failures.failed("ada", Millis(670_000));
        assert_eq!(failures.agents.len(), 1, "what is known of eve is too old");
    }
}
