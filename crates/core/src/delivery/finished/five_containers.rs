//! A second, simpler implementation of the rules of finished items, with one container for each rule. A property test
//! compares every answer of both implementations.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use mcr_model::clock::Millis;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::tests::job;
use super::{
    Admission, ClosedWork, DeadLetter, End, FinishedItems, Job, REFUSED_FOR, REFUSED_MAX, Record,
    dead_letters,
};
use crate::delivery::Stage;
use crate::work::WorkId;

#[derive(Debug, Default)]
struct FiveContainers {
    /// Items that have ended, each with the last look that had begun by then.
    settled: HashMap<WorkId, u64>,
    /// Items that are refused.
    unmarked: HashMap<WorkId, End>,
    unmarked_order: VecDeque<(Millis, WorkId)>,
    /// Items whose mark alone is retried.
    closed: HashMap<WorkId, End>,
    letters: VecDeque<DeadLetter>,
}

impl FiveContainers {
    fn new(closed: HashMap<WorkId, End>, letters: Vec<DeadLetter>) -> Self {
        let mut containers = Self { closed, ..Self::default() };
        for letter in letters {
            containers.put(letter);
        }
        containers
    }

    fn insert(&mut self, job: Job, end: &End, had_ended: bool, look: u64, now: Millis) {
        let id = job.work.id.clone();
        self.settled.insert(id.clone(), look);
        if matches!(end, End::Gone | End::Dead(_)) || job.record.unmarked {
            if self.unmarked_order.len() == REFUSED_MAX
                && let Some((_, oldest)) = self.unmarked_order.pop_front()
            {
                self.release(oldest);
            }
            self.unmarked_order.push_back((now, id.clone()));
            self.unmarked.insert(id.clone(), end.clone());
        }
        match end {
            End::Dead(_) if had_ended => {}
            End::Dead(why) => {
                self.put(DeadLetter { at: now, work: job.work, record: job.record, why: why.clone() });
            }
            _ => drop(self.take(&id)),
        }
    }

    fn expire(&mut self, look: u64, now: Millis) {
        self.settled.retain(|_, at| *at >= look);
        while let Some((at, id)) = self.unmarked_order.front()
            && now.since(*at) >= REFUSED_FOR
        {
            let id = id.clone();
            self.unmarked_order.pop_front();
            self.release(id);
        }
    }

    fn release(&mut self, id: WorkId) {
        if let Some(end) = self.unmarked.remove(&id).filter(End::is_marked) {
            self.closed.insert(id, end);
        }
    }

    fn admit(&mut self, id: &WorkId) -> Admission {
        if self.unmarked.contains_key(id) {
            return Admission::Refused;
        }
        if self.settled.contains_key(id) {
            return Admission::Outdated;
        }
        match self.closed.remove(id) {
            None | Some(End::Gone) => Admission::Start,
            Some(end) => {
                let letter = self.letters.iter().find(|letter| letter.work.id == *id);
                let record = letter.map_or_else(|| Record::closed(end), |letter| letter.record.clone());
                let record = Record { is_closed: true, ..record };
                Admission::OnlyMark(Box::new(record))
            }
        }
    }

    fn put(&mut self, letter: DeadLetter) {
        self.letters.retain(|other| other.work.id != letter.work.id);
        if self.letters.len() == dead_letters::MOST {
            self.letters.pop_front();
        }
        self.letters.push_back(letter);
    }

    fn take(&mut self, id: &WorkId) -> Option<DeadLetter> {
        let at = self.letters.iter().position(|letter| letter.work.id == *id)?;
        self.letters.remove(at)
    }

    fn retry(&mut self, id: &WorkId) -> Option<DeadLetter> {
        let letter = self.take(id)?;
        self.closed.remove(id);
        self.settled.remove(id);
        self.unmarked.remove(id);
        self.unmarked_order.retain(|(_, other)| other != id);
        Some(letter)
    }

    fn drop_dead_letter(&mut self, id: &WorkId) -> Option<DeadLetter> {
        let letter = self.retry(id)?;
        self.closed.insert(id.clone(), End::Dropped(letter.why.clone()));
        Some(letter)
    }
}

/// The compared parts of a dead letter.
fn shown(letter: &DeadLetter) -> (Millis, &str, &str, &Record) {
    (letter.at, letter.work.id.as_str(), &letter.why, &letter.record)
}

/// The items that the steps use.
const ITEMS: usize = 8;

fn name(item: usize) -> WorkId {
    WorkId::new(item.to_string())
}

#[derive(Clone, Debug)]
enum Action {
    /// A source offers the item.
    Offer(usize),
    /// The item ends in this way if it is in the queue, and its mark is lost or not.
    End(usize, End, bool),
    Retry(usize),
    Drop(usize),
    LookBegins,
    /// The current look comes back, or the one before.
    LookComesBack {
        current: bool,
    },
    /// This many minutes pass.
    Pass(u64),
    /// Another item is given up.
    AnotherDies,
}

fn end() -> impl Strategy<Value = End> {
    let ends = [End::Answered(1), End::Gone, End::Dead("no".to_owned()), End::Stopped];
    prop::sample::select(ends.to_vec())
}

fn step() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (0..ITEMS).prop_map(Action::Offer),
        8 => (0..ITEMS, end(), any::<bool>()).prop_map(|(item, end, lost)| Action::End(item, end, lost)),
        2 => (0..ITEMS).prop_map(Action::Retry),
        2 => (0..ITEMS).prop_map(Action::Drop),
        4 => Just(Action::LookBegins),
        4 => any::<bool>().prop_map(|current| Action::LookComesBack { current }),
        2 => (1..70u64).prop_map(Action::Pass),
        2 => Just(Action::AnotherDies),
    ]
}

/// The map and the five containers behind one queue: an item is offered only if it is not in the queue, and ends only
/// if it is.
struct Both {
    map: FinishedItems,
    containers: FiveContainers,
    /// The items in the queue; an item that had ended before has its end.
    queue: HashMap<WorkId, Option<End>>,
    look: u64,
    now: Millis,
    others: usize,
}

/// How often each answer was given.
type Seen = RefCell<BTreeMap<&'static str, u32>>;

fn count(seen: &Seen, answer: &'static str) {
    *seen.borrow_mut().entry(answer).or_default() += 1;
}

impl Both {
    /// Starts with this many dead letters and refused items. The oldest of both are among the items that the steps use.
    fn new(letters: usize, refused: usize) -> Self {
        let dead = End::Dead("before".to_owned());
        let letters: Vec<_> = (0..letters)
            .map(|number| {
                job(&if number < 4 { number.to_string() } else { format!("d{number}") }, &dead, false)
            })
            .map(|job| DeadLetter {
                at: Millis(0),
                work: job.work,
                record: job.record,
                why: "before".to_owned(),
            })
            .collect();
        let mut closed: HashMap<_, _> =
            letters.iter().map(|letter| (letter.work.id.clone(), dead.clone())).collect();
        closed.extend([(name(4), End::Answered(1)), (name(5), End::Gone)]);
        let recalled =
            closed.iter().map(|(id, end)| (id.clone(), ClosedWork { end: end.clone(), unmarked: false }));
        let recalled = recalled.collect();
        let mut both = Self {
            map: FinishedItems::new(recalled, letters.clone()),
            containers: FiveContainers::new(closed, letters),
            queue: HashMap::new(),
            look: 1,
            now: Millis(1_000_000),
            others: 0,
        };
        for number in 0..refused {
            match number {
                0 => both.insert(&name(6), &End::Gone, true, false),
                1 => both.insert(&name(7), &End::Answered(1), true, false),
                _ => both.another(&End::Gone),
            }
        }
        both
    }

    fn insert(&mut self, id: &WorkId, end: &End, lost: bool, had_ended: bool) {
        let job = job(id.as_str(), end, lost);
        self.map.insert(job.clone(), end, had_ended, Some(self.look), self.now);
        self.containers.insert(job, end, had_ended, self.look, self.now);
    }

    fn another(&mut self, end: &End) {
        self.others += 1;
        self.insert(&WorkId::new(format!("other {}", self.others)), end, false, false);
    }

    fn offer(&mut self, id: &WorkId, seen: &Seen) -> Result<(), TestCaseError> {
        if self.queue.contains_key(id) {
            return Ok(());
        }
        let work = job(id.as_str(), &End::Gone, false).work;
        let (admission, expected) = (self.map.admit(&work), self.containers.admit(id));
        prop_assert_eq!(&admission, &expected, "{}", id);
        match admission {
            Admission::Start => {
                count(seen, "start");
                self.queue.insert(id.clone(), None);
            }
            Admission::OnlyMark(record) => {
                count(seen, "only mark");
                let Stage::Ended(end) = record.stage else { panic!("{id} has not ended") };
                self.queue.insert(id.clone(), Some(end));
            }
            Admission::Outdated => count(seen, "outdated"),
            Admission::Refused => count(seen, "refused"),
        }
        Ok(())
    }

    fn take(&mut self, step: &Action, seen: &Seen) -> Result<(), TestCaseError> {
        match step {
            Action::Offer(item) => self.offer(&name(*item), seen)?,
            Action::End(item, end, lost) => {
                let id = name(*item);
                match self.queue.remove(&id) {
                    None => {}
                    Some(None) => self.insert(&id, end, *lost, false),
                    // An item that had ended keeps its end, whether its mark succeeds or not.
                    Some(Some(end)) => self.insert(&id, &end, *lost, true),
                }
            }
            // The dispatcher refuses to retry an item that is in the queue.
            Action::Retry(item) if self.queue.contains_key(&name(*item)) => {}
            Action::Retry(item) => {
                let id = name(*item);
                let (letter, expected) = (self.map.retry(&id), self.containers.retry(&id));
                prop_assert_eq!(letter.as_ref().map(shown), expected.as_ref().map(shown));
                if letter.is_some() {
                    count(seen, "retried");
                    self.queue.insert(id, None);
                }
            }
            Action::Drop(item) => {
                let id = name(*item);
                let (letter, expected) =
                    (self.map.drop_dead_letter(&id), self.containers.drop_dead_letter(&id));
                prop_assert_eq!(letter.as_ref().map(shown), expected.as_ref().map(shown));
                if letter.is_some() {
                    count(
                        seen,
                        if self.queue.contains_key(&id) { "dropped in the queue" } else { "dropped" },
                    );
                }
            }
            Action::LookBegins => self.look += 1,
            Action::LookComesBack { current } => {
                self.expire(self.look - u64::from(!current));
            }
            Action::Pass(minutes) => self.now = self.now + Duration::from_mins(*minutes),
            Action::AnotherDies => self.another(&End::Dead("no".to_owned())),
        }
        let letters = self.map.dead_letters();
        prop_assert_eq!(self.map.dead_letter_count(), letters.len());
        prop_assert!(letters.iter().map(shown).eq(self.containers.letters.iter().map(shown)), "{:?}", step);
        Ok(())
    }

    fn expire(&mut self, look: u64) {
        self.map.expire(look, self.now);
        self.containers.expire(look, self.now);
    }

    /// Offers every item that ever existed, as later looks would.
    fn offer_all(&mut self, seen: &Seen) -> Result<(), TestCaseError> {
        let others = (0..=self.others).map(|number| format!("other {number}"));
        let left = (0..dead_letters::MOST).map(|number| format!("d{number}"));
        let all: Vec<_> = (0..ITEMS).map(name).chain(others.chain(left).map(WorkId::new)).collect();
        for minutes in [0, 59, 1, 1] {
            self.now = self.now + Duration::from_mins(minutes);
            all.iter().try_for_each(|id| self.offer(id, seen))?;
            self.look += 1;
            self.expire(self.look);
        }
        Ok(())
    }
}

/// After any steps, the map gives the same answers as the five containers.
#[test]
fn one_map_answers_as_five_containers_do() {
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
    let letters = prop_oneof![Just(0), dead_letters::MOST - 3..=dead_letters::MOST];
    let refused = prop_oneof![Just(0), REFUSED_MAX - 3..=REFUSED_MAX];
    let strategy = (letters, refused, prop::collection::vec(step(), 1..150));
    let seen = Seen::default();
    let run = |(letters, refused, steps): (usize, usize, Vec<Action>)| {
        let mut both = Both::new(letters, refused);
        steps.iter().try_for_each(|step| both.take(step, &seen))?;
        both.offer_all(&seen)
    };
    TestRunner::new(config).run(&strategy, run).unwrap();
    let answers = ["start", "only mark", "outdated", "refused", "retried", "dropped", "dropped in the queue"];
    let seen = seen.into_inner();
    assert!(answers.iter().all(|answer| seen.contains_key(answer)), "{seen:?}");
}
