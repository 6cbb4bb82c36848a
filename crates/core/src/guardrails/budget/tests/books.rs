//! Random steps against books of their own.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

/// One step.
#[derive(Clone, Debug)]
enum BookStep {
    Reserve(u32, u64),
    /// A model request of a running turn, read at once.
    Request(u32, u64),
    Settle(u32),
    Release(u32),
    /// The clock moves by hours, in either direction.
    Clock(i64),
    /// The process is killed: what was stored survives, and only sent turns stay open.
    Restart,
}

fn step() -> impl Strategy<Value = BookStep> {
    prop_oneof![
        6 => (0..12_u32, 1..400_u64).prop_map(|(turn, estimate)| BookStep::Reserve(turn, estimate)),
        12 => (0..12_u32, 1..=REQUEST_MAX).prop_map(|(turn, tokens)| BookStep::Request(turn, tokens)),
        2 => (0..12_u32).prop_map(BookStep::Settle),
        1 => (0..12_u32).prop_map(BookStep::Release),
        1 => (-60..60_i64).prop_map(BookStep::Clock),
        1 => Just(BookStep::Restart),
    ]
}

/// The largest model request.
const REQUEST_MAX: u64 = 100;

const LIMIT: u64 = 1_000;

/// How often the interesting cases were reached.
#[derive(Default)]
struct Cases {
    refused: Cell<u32>,
    aborted: Cell<u32>,
    aborted_without_a_request: Cell<u32>,
    carried: Cell<u32>,
}

fn count(cell: &Cell<u32>) {
    cell.set(cell.get() + 1);
}

/// A running turn in the other books.
struct TurnUse {
    used: u64,
    estimate: u64,
}

/// Every finished request is charged exactly once, an ended turn without a known request by its estimate, no turn starts at
/// a limit, and each running turn overspends a day by at most one request.
#[test]
fn spending_agrees_with_other_books() {
    let reached = Cases::default();
    let acts = prop::collection::vec(step(), 1..200);
    let config = ProptestConfig { source_file: Some(file!()), ..ProptestConfig::default() };
    TestRunner::new(config).run(&acts, |acts| agrees(acts, &reached)).unwrap();
    let Cases { refused, aborted, aborted_without_a_request, carried } = reached;
    let counts = [refused, aborted, aborted_without_a_request, carried].map(|count| count.get());
    assert!(counts.iter().all(|count| *count > 0), "an interesting case was not reached: {counts:?}");
}

/// The process is killed while turns count in a day without a settled turn. Then the clock goes back to that day twice.
#[test]
fn a_clock_that_goes_back_after_a_restart_adds_no_other_day() {
    use BookStep::{Clock, Request, Reserve, Restart, Settle};
    let mut acts = vec![Clock(3), Reserve(0, 1), Request(0, 87), Settle(0)];
    acts.extend((1..5).map(|turn| Reserve(turn, 1)));
    acts.extend((1..5).map(|turn| Request(turn, 99)));
    acts.extend([Clock(-29), Clock(36)]);
    acts.extend((5..8).map(|turn| Reserve(turn, 1)));
    acts.extend([Clock(-49), Clock(24), Restart]);
    acts.extend((0..2).flat_map(|_| (5..8).map(|turn| Request(turn, 99))));
    acts.extend([Clock(-24), Reserve(8, 1), Request(5, 33)]);
    let reached = Cases::default();
    agrees(acts, &reached).unwrap();
    assert_eq!(reached.aborted.get(), 0, "no day has used its budget");
}

fn agrees(acts: Vec<BookStep>, reached: &Cases) -> Result<(), TestCaseError> {
    let zone = Zone::find("Africa/Cairo").unwrap();
    let account = Limits { tokens: Some(LIMIT), nano_dollars: None };
    let mut spending = Spending::new(Budgets { account, zone, ..Budgets::default() });
    let (mut stored, mut now) = (BTreeMap::new(), NOON);
    let mut running: BTreeMap<TurnId, TurnUse> = BTreeMap::new();
    // What ended turns have used, and the estimates of those without a known request.
    let (mut finished, mut estimated, mut numbers, mut at_once) = (0, 0, 0, 0);
    let mut names: BTreeMap<u32, TurnId> = BTreeMap::new();
    for act in acts {
        match act {
            BookStep::Reserve(turn, estimate) if !names.contains_key(&turn) => {
                numbers += 1;
                let id = id(numbers);
                spending.turn_to(now);
                let was_held = spending.held().all();
                if spending.reserve(&id, "ben", tokens(estimate), now).is_ok() {
                    prop_assert!(!was_held, "a turn started at the limit");
                    running.insert(id.clone(), TurnUse { used: 0, estimate });
                    names.insert(turn, id);
                    at_once = at_once.max(running.len() as u64);
                } else {
                    count(&reached.refused);
                }
            }
            BookStep::Request(turn, tokens) if let Some(id) = names.get(&turn) => {
                let of_turn = running.get_mut(id).unwrap();
                of_turn.used += tokens;
                spending.observe(id, &cost(of_turn.used), SECOND);
                for id in spending.to_abort() {
                    let TurnUse { used, estimate } = running.remove(&id).unwrap();
                    count(&reached.aborted);
                    if used == 0 {
                        // It may be in its first request.
                        count(&reached.aborted_without_a_request);
                        estimated += estimate;
                    }
                    finished += used;
                    spending.settle(&id, &cost(used), Some(0));
                    names.retain(|_, other| *other != id);
                }
            }
            BookStep::Settle(turn) if let Some(id) = names.remove(&turn) => {
                let used = running.remove(&id).unwrap().used;
                if used > 0 {
                    finished += used;
                    spending.settle(&id, &cost(used), Some(0));
                    spending.settle(&id, &cost(used), Some(0));
                } else {
                    spending.release(&id);
                }
            }
            BookStep::Release(turn) if names.get(&turn).is_some_and(|id| running[id].used == 0) => {
                let id = names.remove(&turn).unwrap();
                running.remove(&id);
                spending.release(&id);
            }
            BookStep::Clock(hours) => {
                now = Millis(now.0 + hours * HOUR_MS);
                spending.turn_to(now);
                if spending.open.values().any(|turn| !turn.carried_to().is_empty()) {
                    count(&reached.carried);
                }
            }
            BookStep::Restart => {
                apply(&mut stored, spending.take_changes());
                let budgets = spending.budgets().clone();
                spending = Spending::recall(budgets, &stored, |id| running.contains_key(id));
                // The history still shows what the running turns have used.
                for (id, of_turn) in &running {
                    spending.observe(id, &cost(of_turn.used), SECOND);
                }
            }
            BookStep::Reserve(..) | BookStep::Request(..) | BookStep::Settle(_) | BookStep::Release(_) => {}
        }
        for (day, scope, count) in spending.books.all() {
            let overspent = count.counted().tokens.saturating_sub(LIMIT);
            let most = at_once * REQUEST_MAX + estimated;
            prop_assert!(overspent <= most, "{overspent} over on {day} for {scope:?}");
        }
    }
    prop_assert_eq!(spending.spent_in_all().tokens, finished + estimated);
    Ok(())
}
