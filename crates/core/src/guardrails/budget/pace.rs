//! How fast running turns may spend: when their usage is read next, and how much room they need to be aborted in time.
//!
//! A reading costs the gateway a request, so a turn is read every five seconds. In that time, quick model requests could
//! lead far over a limit. So a turn is read sooner where all running turns of a scope might have used half of the rest
//! since their readings. Half leaves room for requests that are larger or quicker than the earlier ones.
//!
//! A turn that makes several requests before it can be aborted is aborted early, when they would not fit any more.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{OpenTurn, Scope, Spending, TurnId};
use mcr_model::spending::Amount;
use mcr_model::zone::Day;

/// The longest time between two readings of a turn.
pub const READING_INTERVAL: Duration = Duration::from_secs(5);

/// The shortest time between two readings of a turn.
pub const SHORTEST_READING_INTERVAL: Duration = Duration::from_millis(200);

/// From a model request that reaches a limit to the abort of the turn: the time until the next reading, and for the abort.
/// Model requests are expected to take at least as long, unless the readings show quicker ones.
const REACTION: Duration = Duration::from_millis(500);

/// The expected cost of the first model request of an agent whose turns have not been measured: a long session.
const FIRST_REQUEST: Amount = Amount { tokens: 50_000, nano_dollars: 500_000_000 };

/// The model requests of a running turn, as its readings show them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RequestPace {
    /// How many requests were read.
    calls: u64,
    /// The largest one of them.
    largest: Amount,
    /// The shortest time for a request.
    fastest: Option<Duration>,
    /// The time since a reading showed a new request.
    waited: Duration,
}

impl RequestPace {
    /// Takes a reading of this many requests, `since` the reading before.
    pub(super) fn read(&mut self, calls: u64, largest: Amount, since: Duration) {
        self.waited = self.waited.saturating_add(since);
        self.largest = self.largest.at_least(largest);
        let Some(new) = calls.checked_sub(self.calls).filter(|new| *new > 0) else { return };
        let each = std::mem::take(&mut self.waited) / u32::try_from(new).unwrap_or(u32::MAX);
        let each = each.max(Duration::from_millis(1));
        self.fastest = Some(self.fastest.map_or(each, |before| before.min(each)));
        self.calls = calls;
    }

    /// What the next request is expected to cost. `turn` is the usual cost of the agent's turns.
    fn request(&self, turn: Option<Amount>) -> Amount {
        if self.calls > 0 { self.largest } else { turn.unwrap_or(FIRST_REQUEST) }
    }

    /// The time that a request is expected to take at least.
    fn each(&self) -> Duration {
        self.fastest.unwrap_or(REACTION).min(REACTION)
    }

    /// What the turn may have used since its last reading, with the request that it was in then.
    fn unread(&self, turn: Option<Amount>, since: Duration) -> Amount {
        scaled(self.request(turn), since + self.each(), self.each())
    }

    /// What the turn may use in a second.
    fn a_second(&self, turn: Option<Amount>) -> Amount {
        scaled(self.request(turn), Duration::from_secs(1), self.each())
    }

    /// What the turn may use before it can be aborted, apart from the request that it is in.
    pub(super) fn ahead(&self) -> Amount {
        let Some(each) = self.fastest.filter(|each| *each < REACTION) else { return Amount::default() };
        scaled(self.largest, REACTION.saturating_sub(each), each)
    }
}

/// The amount, times one duration by another.
fn scaled(amount: Amount, time: Duration, each: Duration) -> Amount {
    let part = |amount: u64| {
        let product = u128::from(amount).saturating_mul(time.as_millis());
        u64::try_from(product / each.as_millis().max(1)).unwrap_or(u64::MAX)
    };
    Amount { tokens: part(amount.tokens), nano_dollars: part(amount.nano_dollars) }
}

impl Spending {
    /// The time until each of these turns is read next; zero if it is due. They run, and were read or sent before the
    /// given times.
    pub fn next_readings(&self, running: &BTreeMap<TurnId, Duration>) -> BTreeMap<TurnId, Duration> {
        let mut waits: BTreeMap<(Day, Scope), Duration> = BTreeMap::new();
        let mut next = BTreeMap::new();
        for (id, since) in running {
            let Some(turn) = self.open.get(id) else { continue };
            let in_scopes = turn.scopes().map(|(day, scope)| {
                let known = waits.get(&(day, scope.clone())).copied();
                let wait = known.unwrap_or_else(|| self.wait(day, &scope, running));
                waits.insert((day, scope), wait);
                wait
            });
            let soon = in_scopes.min().unwrap_or(READING_INTERVAL);
            let soon = soon.max(SHORTEST_READING_INTERVAL.saturating_sub(*since));
            next.insert(id.clone(), soon.min(READING_INTERVAL.saturating_sub(*since)));
        }
        next
    }

    /// The time until the running turns may have used half of what is left.
    fn wait(&self, day: Day, scope: &Scope, running: &BTreeMap<TurnId, Duration>) -> Duration {
        let limits = self.limits(day, scope);
        let turns: Vec<(&OpenTurn, Duration)> = self
            .open_in(day, scope)
            .filter_map(|(id, turn)| running.get(id).map(|since| (turn, *since)))
            .collect();
        let usual = |turn: &OpenTurn| self.usual.get(&turn.agent).copied();
        let unread = turns.iter().map(|(turn, since)| turn.pace().unread(usual(turn), *since));
        let unread = unread.fold(Amount::default(), Amount::plus);
        let a_second = turns.iter().map(|(turn, _)| turn.pace().a_second(usual(turn)));
        let a_second = a_second.fold(Amount::default(), Amount::plus);
        let counted = self.counted_with_running(day, scope);
        let wait = |limit: Option<u64>, part: fn(Amount) -> u64| {
            let left = limit?.saturating_sub(part(counted)) / 2;
            let left = u128::from(left.saturating_sub(part(unread)));
            let millis = (left * 1_000).checked_div(u128::from(part(a_second)))?;
            Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
        };
        let waits = [
            wait(limits.tokens, |amount| amount.tokens),
            wait(limits.nano_dollars, |amount| amount.nano_dollars),
        ];
        waits.into_iter().flatten().min().unwrap_or(READING_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    use super::super::{TurnCost, tests::NOON};
    use super::*;
    use crate::gateway::{ModelCall, Usage};
    use crate::work::WorkId;
    use mcr_model::spending::{Budgets, Limits};

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn tokens(tokens: u64) -> Amount {
        Amount { tokens, nano_dollars: 0 }
    }

    fn with(limit: u64) -> Spending {
        let account = Limits { tokens: Some(limit), nano_dollars: None };
        Spending::new(Budgets { account, ..Budgets::default() })
    }

    fn id(number: usize) -> TurnId {
        TurnId::new(&WorkId::new("n1"), u32::try_from(number).unwrap())
    }

    fn cost(requests: &[u64]) -> TurnCost {
        let call =
            |read: &u64| ModelCall { model: None, usage: Usage { input_tokens: *read, ..Usage::default() } };
        TurnCost(requests.iter().map(call).collect())
    }

    /// A limit, the requests that were read in a time, and when the next reading is due after the last one.
    #[test]
    fn a_turn_is_read_sooner_near_its_limit() {
        let rows: [(u64, &[u64], u64, u64); 8] = [
            (10_000_000, &[], 0, 5_000),
            (500_000, &[], 0, 2_000),
            (10_000, &[], 0, 200),
            (500_000, &[1_000; 4], 5_000, 5_000),
            (30_000, &[1_000; 10], 5_000, 4_500),
            (15_000, &[1_000; 10], 5_000, 750),
            (12_000, &[1_000; 10], 5_000, 200),
            (30_000, &[1_000; 10], 1_000, 900),
        ];
        for (limit, requests, took, due) in rows {
            let mut spending = with(limit);
            spending.reserve(&id(1), "ben", tokens(100), NOON).unwrap();
            if !requests.is_empty() {
                spending.observe(&id(1), &cost(requests), ms(took));
            }
            let next = spending.next_readings(&BTreeMap::from([(id(1), Duration::ZERO)]));
            assert_eq!(next[&id(1)], ms(due), "{limit} {requests:?} in {took} ms");
        }
    }

    #[test]
    fn a_measured_agent_needs_no_early_first_reading() {
        let mut spending = with(100_000);
        spending.reserve(&id(1), "ben", tokens(100), NOON).unwrap();
        spending.settle(&id(1), &cost(&[1_000]), Some(0));
        spending.reserve(&id(2), "ben", tokens(100), NOON).unwrap();
        let due = |since| spending.next_readings(&BTreeMap::from([(id(2), ms(since))]))[&id(2)];
        assert_eq!([due(0), due(4_000), due(9_000)], [ms(5_000), ms(1_000), ms(0)]);
    }

    /// A turn of the simulation: when it starts, and its requests with their time and their size.
    #[derive(Clone, Debug)]
    struct Simulated {
        starts: u64,
        requests: Vec<(u64, u64)>,
    }

    impl Simulated {
        /// The requests that have finished at a time.
        fn finished(&self, at: u64) -> Vec<u64> {
            let mut end = self.starts;
            let ends = self.requests.iter().map(|(time, size)| {
                end += time;
                (end, *size)
            });
            ends.take_while(|(end, _)| *end <= at).map(|(_, size)| size).collect()
        }
    }

    /// Requests of at least half a second. Each may be twice as large as the largest before.
    fn simulated() -> impl Strategy<Value = Simulated> {
        let first = 1..=100_000_u64;
        let others = prop::collection::vec((500..4_000_u64, 1..=200_u64), 60);
        (0..3_000_u64, first, others).prop_map(|(starts, first, others)| {
            let mut largest = first / 2;
            let requests = others.into_iter().enumerate().map(|(number, (time, percent))| {
                let size = if number == 0 { first } else { (largest * percent / 100).clamp(1, 200_000) };
                largest = largest.max(size);
                (time, size)
            });
            Simulated { starts, requests: requests.collect() }
        })
    }

    /// The monitor looks every 50 ms, a reading takes 50 ms, and the abort follows 200 ms later.
    #[test]
    fn a_running_turn_overspends_by_at_most_the_request_that_it_is_in() {
        let aborted = Cell::new(0);
        let config = ProptestConfig { source_file: Some(file!()), ..ProptestConfig::with_cases(64) };
        let team = (prop::collection::vec(simulated(), 1..8), 10_000..3_000_000_u64);
        let run = TestRunner::new(config).run(&team, |(turns, limit)| {
            let Some((used, most)) = simulate(&turns, limit) else { return Ok(()) };
            aborted.set(aborted.get() + 1);
            prop_assert!(used <= most, "{used} of {limit}, at most {most}");
            Ok(())
        });
        run.unwrap();
        assert!(aborted.get() > 20, "the limit is rarely reached: {}", aborted.get());
    }

    /// What the turns have used when they are aborted, and the most that they may.
    fn simulate(turns: &[Simulated], limit: u64) -> Option<(u64, u64)> {
        let mut spending = with(limit);
        let mut read: BTreeMap<usize, u64> = BTreeMap::new();
        // Readings that go on: their end, the turn, the time since the reading before, and what they will show.
        let mut readings: Vec<(u64, usize, Duration, Vec<u64>)> = Vec::new();
        for now in (0..200_000_u64).step_by(50) {
            for (number, turn) in turns.iter().enumerate().filter(|(_, turn)| turn.starts / 50 * 50 == now) {
                let texts = tokens(turn.requests[0].1 / 2);
                if spending.reserve(&id(number), "ben", texts, NOON).is_ok() {
                    read.insert(number, now);
                }
            }
            readings.retain(|(end, number, since, shows)| {
                if *end <= now {
                    spending.observe(&id(*number), &cost(shows), *since);
                }
                *end > now
            });
            if !spending.to_abort().is_empty() {
                let finished: Vec<Vec<u64>> =
                    read.keys().map(|number| turns[*number].finished(now + 200)).collect();
                let one_of_each = finished.iter().filter_map(|turn| turn.iter().max()).sum::<u64>();
                return Some((finished.iter().flatten().sum(), limit + one_of_each));
            }
            let since: BTreeMap<TurnId, Duration> =
                read.iter().map(|(number, at)| (id(*number), ms(now - at))).collect();
            for (number, at) in &mut read {
                let is_read = readings.iter().any(|(_, other, ..)| other == number);
                if !is_read && spending.next_readings(&since)[&id(*number)].is_zero() {
                    readings.push((now + 50, *number, since[&id(*number)], turns[*number].finished(now)));
                    *at = now;
                }
            }
        }
        None
    }
}
