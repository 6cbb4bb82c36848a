//! Detects another runtime on the same account.
//!
//! The backend has no lease, so two runtimes would both deliver everything. But the lists show what the other
//! one does: a runtime that begins a row marks it as read. A mark that changes on a row that was never ours
//! is another runtime's. Lists are compared only with each other, and with no clock.
//!
//! * **At the start** nothing begins until two lists, an interval apart, agree. A random pause precedes the
//!   first, for two reasons. Calls of a killed predecessor may still arrive. Of two runtimes that start in
//!   the same instant, the later one must find the earlier one at work.
//! * **After a restart** in the same state folder the predecessor is known ([`Predecessor`]), and starts are faster.
//!   If it stopped in order a moment ago, work begins at once. If it crashed, two lists are compared that are at least
//!   `AFTER_CRASH` and twice the duration of a list apart. A late call of the predecessor may lie between them, so
//!   a first change only causes one more comparison.
//! * **Later**, when a mark changes, no further row begins for a random time up to a minute: the other
//!   runtime has seen this one and does the same. Then two lists are compared as at the start. The first
//!   runtime to return finds no change and continues.
//! * **A change between the two lists** is the first sign, but no proof: a late call of a killed runtime
//!   looks the same. Nothing begins for at least [`STAND_BACK`], and two lists are compared again. Late calls
//!   have arrived by then. A second change therefore proves that the other runtime is alive, and this one
//!   stops.
//!
//! Three changes prove nothing. A row with newer content: a later message was folded into it. A row that
//! vanished untouched: people delete rows. A row that is no longer marked as read: the backend itself resets
//! the mark if a runtime has not reported for a while.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use mcr_model::clock::Millis;
use mcr_model::{Notification, NotificationId, RecipientType};

/// The longest hold after another runtime was seen.
const HOLD_MAX: Duration = Duration::from_mins(1);

/// The least time between the first sign of another runtime and the second look; it takes up to twice as
/// long. A call of a killed runtime arrives within this time or never.
pub const STAND_BACK: Duration = Duration::from_mins(2);

/// The least time between two compared lists after a crash.
const AFTER_CRASH: Duration = Duration::from_secs(1);

/// What is known about the last process in the same state folder on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Predecessor {
    /// Nothing: it was long ago, or there was none.
    #[default]
    Unknown,
    /// It stopped in order a moment ago, and its last call has returned.
    Stopped,
    /// It was killed or crashed.
    Crashed,
}

/// The part of an interval in which active calls arrive: the least time before a comparison. Before the first
/// two lists the random pause adds up to a whole interval.
const SETTLING: f64 = 0.2;

/// The longest interval without new work at the start; a busy runtime has shown itself by then.
const INTERVAL_MAX: Duration = Duration::from_secs(10);

/// How often the span between the two lists is doubled.
const DOUBLED_MAX: u32 = 4;

/// How often it is doubled at least for the second observed.
const SECOND_LOOK_DOUBLED: u32 = 3;

/// The evidence for another runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignRuntime {
    /// The row that the other runtime has changed.
    pub row: NotificationId,
    /// Whether it is certain, so that this runtime stops.
    pub certain: bool,
}

impl fmt::Display for ForeignRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = &self.row;
        if self.certain {
            write!(f, "another runtime works on this account: it has started {row}. Stop one of the two.")
        } else {
            write!(
                f,
                "another runtime seems to work on this account: it has started {row}. Nothing starts until a second check, \
                 within minutes. Stop one of the two."
            )
        }
    }
}

#[derive(Debug)]
enum DuplicateState {
    /// No list has arrived yet.
    Starting,
    /// Nothing begins and nothing is compared before this instant.
    Holding(Millis),
    /// Nothing begins; the first of the two lists began at this instant.
    Comparing(Millis),
    /// No other runtime: normal operation.
    Alone,
    /// The other runtime stays; this one stops.
    Leaving,
}

/// The marks of a row that only runtimes set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Marks {
    read: Option<Millis>,
    ended: Option<Millis>,
    delivered: Option<Millis>,
}

impl Marks {
    fn of(row: &Notification) -> Self {
        Self { read: row.read_at, ended: row.delivery_ended_at, delivered: row.delivered_at }
    }

    /// Whether a runtime has begun an attempt between `before` and this. Only the beginning of the next
    /// attempt resets the end mark of an attempt.
    fn begun_since(self, before: Self) -> bool {
        self.read.is_some() && self.read != before.read || before.ended.is_some() && self.ended.is_none()
    }

    /// Whether a runtime has changed anything.
    fn moved_since(self, before: Self) -> bool {
        let ended = self.ended.is_some() && self.ended != before.ended;
        self.begun_since(before) || ended || self.delivered.is_some() && self.delivered != before.delivered
    }

    fn is_typing(self) -> bool {
        self.read.is_some() && self.ended.is_none()
    }
}

/// The relevant parts of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListObservation<'a> {
    /// The number of the list.
    pub(super) list: u64,
    /// When it was requested.
    pub(super) began: Millis,
    /// The rows.
    pub(super) rows: &'a [Notification],
    /// Whether the list is complete.
    pub(super) whole: bool,
    /// From 0 to 1.
    pub(super) dice: f64,
}

/// The check for another runtime.
#[derive(Debug)]
pub(super) struct DuplicateCheck {
    /// The time between two compared lists.
    interval: Duration,
    state: DuplicateState,
    predecessor: Predecessor,
    /// Whether a change after the crash of the predecessor was taken for a late call of it.
    had_late_call: bool,
    /// The longest duration of a list.
    slowest: Duration,
    stand_back: Duration,
    found: Option<NotificationId>,
    /// Whether rows changed between two compared lists. Two such comparisons, [`STAND_BACK`] apart, are a
    /// proof.
    first_sign: bool,
    /// How often another runtime was seen. Each time the check takes longer, so that a runtime with little
    /// work shows too.
    times: u32,
    /// The rows of the last list.
    seen: HashMap<NotificationId, Marks>,
    /// Whether the last list was complete.
    whole: bool,
    /// Rows that began here, each with the last list that could still show it. While the backend has more
    /// rows than it lists, all are kept, because one may be hidden behind the others.
    ours: HashMap<NotificationId, u64>,
}

impl DuplicateCheck {
    /// A check that compares lists at this interval, limited by [`INTERVAL_MAX`].
    pub(super) fn new(interval: Duration, predecessor: Predecessor) -> Self {
        let interval = interval.min(INTERVAL_MAX);
        let (seen, ours) = (HashMap::new(), HashMap::new());
        Self {
            interval,
            state: if predecessor == Predecessor::Stopped {
                DuplicateState::Alone
            } else {
                DuplicateState::Starting
            },
            predecessor,
            had_late_call: false,
            slowest: Duration::ZERO,
            stand_back: STAND_BACK,
            found: None,
            first_sign: false,
            times: 0,
            seen,
            whole: false,
            ours,
        }
    }

    /// Sets a wait other than [`STAND_BACK`].
    pub(super) fn stands_back(&mut self, least: Duration) {
        self.stand_back = least;
    }

    /// Whether rows may begin.
    pub(super) fn lets_begin(&self) -> bool {
        matches!(self.state, DuplicateState::Alone)
    }

    /// Whether this runtime stops because of the other one.
    pub(super) fn leaves(&self) -> bool {
        matches!(self.state, DuplicateState::Leaving)
    }

    /// The evidence, as long as it is relevant.
    pub(super) fn found(&self) -> Option<ForeignRuntime> {
        self.found.clone().map(|row| ForeignRuntime { row, certain: self.leaves() })
    }

    /// A row begins here, after this many lists.
    pub(super) fn begins(&mut self, id: NotificationId, lists: u64) {
        self.ours.insert(id, lists);
    }

    /// The row did not begin here because another runtime was faster: the next list shows it.
    pub(super) fn was_taken(&mut self, id: &NotificationId) {
        self.ours.remove(id);
    }

    /// When the next list is wanted.
    pub(super) fn list_at(&self) -> Option<Millis> {
        match self.state {
            DuplicateState::Holding(until) => Some(until),
            DuplicateState::Comparing(from) => Some(from + self.span()),
            DuplicateState::Starting | DuplicateState::Alone | DuplicateState::Leaving => None,
        }
    }

    /// Takes the next list.
    pub(super) fn observe(&mut self, observed: ListObservation<'_>, now: Millis) {
        let moved = self.moved(&observed);
        self.remember(&observed);
        self.slowest = self.slowest.max(now.since(observed.began));
        let dice = observed.dice.clamp(0.0, 1.0);
        // An empty list cannot change, and no row could begin twice, so waiting would prove nothing. Later
        // rows are watched from their first list on.
        let idle = observed.rows.is_empty() && self.times == 0 && !self.first_sign;
        match self.state {
            DuplicateState::Starting if self.predecessor == Predecessor::Crashed => {
                self.state = DuplicateState::Comparing(observed.began);
            }
            DuplicateState::Comparing(_)
                if moved.is_some() && self.predecessor == Predecessor::Crashed && !self.had_late_call =>
            {
                // It may have been a late call of the predecessor. The next change is the first sign.
                self.had_late_call = true;
                self.state = DuplicateState::Comparing(observed.began);
            }
            DuplicateState::Comparing(_) if moved.is_some() => {
                self.found = moved;
                self.state = if self.first_sign {
                    DuplicateState::Leaving
                } else {
                    DuplicateState::Holding(now + self.stand_back.mul_f64(1.0 + dice))
                };
                self.first_sign = true;
            }
            DuplicateState::Starting | DuplicateState::Holding(_) | DuplicateState::Comparing(_) if idle => {
                self.state = DuplicateState::Alone;
            }
            DuplicateState::Starting => {
                let part = SETTLING + (1.0 - SETTLING) * dice;
                self.state = DuplicateState::Holding(now + self.interval.mul_f64(part));
            }
            DuplicateState::Holding(until) if observed.began >= until => {
                self.state = DuplicateState::Comparing(observed.began);
            }
            DuplicateState::Comparing(from) if observed.began >= from + self.span() => {
                self.state = DuplicateState::Alone;
                self.found = None;
                self.times += u32::from(std::mem::take(&mut self.first_sign));
            }
            DuplicateState::Alone if moved.is_some() => {
                self.found = moved;
                self.times += 1;
                let least = self.interval.mul_f64(SETTLING);
                self.state =
                    DuplicateState::Holding(now + HOLD_MAX.min(self.stand_back).mul_f64(dice).max(least));
            }
            DuplicateState::Holding(_)
            | DuplicateState::Comparing(_)
            | DuplicateState::Alone
            | DuplicateState::Leaving => {}
        }
    }

    /// The time between the two lists. It is longer for the second look, so that a runtime with little work
    /// shows too.
    fn span(&self) -> Duration {
        if self.predecessor == Predecessor::Crashed && self.times == 0 && !self.first_sign {
            return AFTER_CRASH.min(self.interval).max(2 * self.slowest);
        }
        let doubled = self.times.saturating_sub(1).min(DOUBLED_MAX);
        self.interval * (1 << doubled.max(if self.first_sign { SECOND_LOOK_DOUBLED } else { 0 }))
    }

    /// A row that another runtime has changed since the last list. Once two runtimes have seen each other,
    /// both only finish their active deliveries. From then on only the beginning of an attempt counts.
    fn moved(&self, observed: &ListObservation<'_>) -> Option<NotificationId> {
        let theirs = |row: &&Notification| {
            let ours = self.ours.contains_key(&row.id) || row.recipient_type == RecipientType::User;
            let marks = Marks::of(row);
            let moved = match self.seen.get(&row.id) {
                Some(before) if self.is_new() => marks.moved_since(*before),
                Some(before) => marks.begun_since(*before),
                // A row that was missing in a complete list was created after it, and so was read after it.
                None => self.whole && marks.read.is_some(),
            };
            moved && !ours
        };
        let moved = observed.rows.iter().find(theirs).map(|row| row.id.clone());
        moved.or_else(|| self.settled(observed).filter(|_| self.is_new()))
    }

    /// Whether no row has ever begun here.
    fn is_new(&self) -> bool {
        self.times == 0 && !matches!(self.state, DuplicateState::Alone)
    }

    /// A row that was being answered and has vanished. A person may have deleted it. It therefore counts only
    /// between the two lists, where a deletion is unlikely.
    fn settled(&self, observed: &ListObservation<'_>) -> Option<NotificationId> {
        if !observed.whole {
            return None;
        }
        let there: std::collections::HashSet<_> = observed.rows.iter().map(|row| &row.id).collect();
        let mut gone = self
            .seen
            .iter()
            .filter(|(id, marks)| marks.is_typing() && !there.contains(id) && !self.ours.contains_key(*id));
        gone.next().map(|(id, _)| id.clone())
    }

    fn remember(&mut self, observed: &ListObservation<'_>) {
        self.seen.clear();
        for row in observed.rows {
            self.seen.insert(row.id.clone(), Marks::of(row));
            if let Some(list) = self.ours.get_mut(&row.id) {
                *list = observed.list.max(*list);
            }
        }
        self.whole = observed.whole;
        if observed.whole {
            self.ours.retain(|_, list| *list >= observed.list);
        }
    }
}
