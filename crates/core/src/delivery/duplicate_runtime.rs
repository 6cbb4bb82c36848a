//! Whether another runtime lives on the same account.
//!
//! The backend has no lease: two runtimes would both deliver everything. But what the other one does shows in the lists:
//! a runtime that begins a row marks it as read. So a mark that moves on a row that was never ours is somebody else's.
//! Lists are compared with each other and with nothing else: no clock of ours, and none of the backend's.
//!
//! * **At the start** nothing begins before two lists, an interval apart, agree. A random pause precedes the first of
//!   them, for two reasons: calls of a killed predecessor may still arrive, and of two runtimes that start in the same
//!   instant the later one must find the earlier one at work.
//! * **Later**, when something moves, nothing more begins for a random time up to a minute: the other runtime has seen us
//!   and does the same. Then the same two lists are compared. The first to come back finds nothing and goes on.
//! * **When something moves between the two lists**, that is the first sign, and not yet a proof: a late call of a runtime
//!   that was killed looks the same. Nothing begins for at least [`STAND_BACK`], and two lists are compared again. By then
//!   late calls have arrived, so a second movement proves that the other runtime is alive, and this one leaves.
//!
//! What proves nothing: a row that got newer content, since a later message was folded into it; one that vanished
//! untouched, since people delete; and one that is not read any more, since the backend itself takes these marks back
//! when it has not heard of a runtime for a while.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use mcr_model::clock::Millis;
use mcr_model::{Notification, NotificationId, RecipientType};

/// The longest that nothing begins after another runtime was seen.
const HOLD_MAX: Duration = Duration::from_mins(1);

/// The least time between the first sign of another runtime and the second look; it takes up to twice as long. A call of
/// a runtime that was killed arrives within this time or never.
pub const STAND_BACK: Duration = Duration::from_mins(2);

/// The part of an interval in which calls that are under way land: so long nothing is compared, at the least. In front of
/// the first two lists the dice add up to a whole interval.
const SETTLING: f64 = 0.2;

/// The longest interval that nothing begins for at the start; a busy runtime has shown itself by then.
const INTERVAL_MAX: Duration = Duration::from_secs(10);

/// How often the span between the two lists is doubled.
const DOUBLED_MAX: u32 = 4;

/// How often it is doubled at least for the second look.
const SECOND_LOOK_DOUBLED: u32 = 3;

/// What tells of another runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignRuntime {
    /// The row that somebody else has worked on.
    pub row: NotificationId,
    /// Whether it is certain, so that we leave.
    pub certain: bool,
}

impl fmt::Display for ForeignRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = &self.row;
        if self.certain {
            write!(f, "another runtime works on this account: it has {row}. Stop one of the two.")
        } else {
            write!(
                f,
                "another runtime seems to work on this account: it has {row}. Nothing begins until a second look, within \
                 minutes."
            )
        }
    }
}

#[derive(Debug)]
enum DuplicateState {
    /// No list has come yet.
    Starting,
    /// Nothing begins before this instant, and nothing is judged.
    Holding(Millis),
    /// Nothing begins; this is when the first of the two lists began.
    Comparing(Millis),
    /// As it should be.
    Alone,
    /// The other one stays.
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

    /// Whether a runtime has begun an attempt between `before` and this. The end of an attempt is taken back by the
    /// beginning of the next one and by nothing else.
    fn begun_since(self, before: Self) -> bool {
        self.read.is_some() && self.read != before.read || before.ended.is_some() && self.ended.is_none()
    }

    /// Whether a runtime was at work at all.
    fn moved_since(self, before: Self) -> bool {
        let ended = self.ended.is_some() && self.ended != before.ended;
        self.begun_since(before) || ended || self.delivered.is_some() && self.delivered != before.delivered
    }

    fn is_typing(self) -> bool {
        self.read.is_some() && self.ended.is_none()
    }
}

/// What came back from the backend, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListObservation<'a> {
    /// The number of the list.
    pub(super) list: u64,
    /// When it was asked for.
    pub(super) began: Millis,
    /// Its rows.
    pub(super) rows: &'a [Notification],
    /// Whether there are no others.
    pub(super) whole: bool,
    /// From 0 to 1.
    pub(super) dice: f64,
}

/// The watch for another runtime.
#[derive(Debug)]
pub(super) struct DuplicateCheck {
    /// Between two lists that are compared.
    interval: Duration,
    state: DuplicateState,
    stand_back: Duration,
    found: Option<NotificationId>,
    /// Whether rows have moved between two compared lists; two such comparisons, [`STAND_BACK`] apart, are a proof.
    signed: bool,
    /// How often another runtime was seen; each time it is watched for longer, so that one with little to do shows, too.
    times: u32,
    /// The rows of the last list.
    seen: HashMap<NotificationId, Marks>,
    /// Whether the last list had all rows.
    whole: bool,
    /// Rows that were begun here, each with the last list that could still show it. While the backend has more rows than
    /// it lists they are all kept, since one may be hidden behind the others.
    ours: HashMap<NotificationId, u64>,
}

impl DuplicateCheck {
    /// Lists are compared at this interval, if it is not too long.
    pub(super) fn new(interval: Duration) -> Self {
        let interval = interval.min(INTERVAL_MAX);
        let (seen, ours) = (HashMap::new(), HashMap::new());
        Self {
            interval,
            state: DuplicateState::Starting,
            stand_back: STAND_BACK,
            found: None,
            signed: false,
            times: 0,
            seen,
            whole: false,
            ours,
        }
    }

    /// Waits this long instead of [`STAND_BACK`].
    pub(super) fn stands_back(&mut self, least: Duration) {
        self.stand_back = least;
    }

    /// Whether rows may begin.
    pub(super) fn lets_begin(&self) -> bool {
        matches!(self.state, DuplicateState::Alone)
    }

    /// Whether the other one stays and we leave.
    pub(super) fn leaves(&self) -> bool {
        matches!(self.state, DuplicateState::Leaving)
    }

    /// What has been found, as long as it matters.
    pub(super) fn found(&self) -> Option<ForeignRuntime> {
        self.found.clone().map(|row| ForeignRuntime { row, certain: self.leaves() })
    }

    /// This row begins here, after so many lists.
    pub(super) fn begins(&mut self, id: NotificationId, lists: u64) {
        self.ours.insert(id, lists);
    }

    /// It was not begun, for somebody else was faster: the next list shows it.
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
    pub(super) fn look(&mut self, look: ListObservation<'_>, now: Millis) {
        let moved = self.moved(&look);
        self.remember(&look);
        let dice = look.dice.clamp(0.0, 1.0);
        // Where there is nothing to be read nothing can move, and there is nothing to be begun twice: to wait would tell
        // nothing. What comes later is watched from its first list on.
        let idle = look.rows.is_empty() && self.times == 0 && !self.signed;
        match self.state {
            DuplicateState::Comparing(_) if moved.is_some() => {
                self.found = moved;
                self.state = if self.signed {
                    DuplicateState::Leaving
                } else {
                    DuplicateState::Holding(now + self.stand_back.mul_f64(1.0 + dice))
                };
                self.signed = true;
            }
            DuplicateState::Starting | DuplicateState::Holding(_) | DuplicateState::Comparing(_) if idle => {
                self.state = DuplicateState::Alone;
            }
            DuplicateState::Starting => {
                let part = SETTLING + (1.0 - SETTLING) * dice;
                self.state = DuplicateState::Holding(now + self.interval.mul_f64(part));
            }
            DuplicateState::Holding(until) if look.began >= until => {
                self.state = DuplicateState::Comparing(look.began);
            }
            DuplicateState::Comparing(from) if look.began >= from + self.span() => {
                self.state = DuplicateState::Alone;
                self.found = None;
                self.times += u32::from(std::mem::take(&mut self.signed));
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

    /// How far the two lists are apart. The second look is a long one, so that a runtime with little to do shows, too.
    fn span(&self) -> Duration {
        let doubled = self.times.saturating_sub(1).min(DOUBLED_MAX);
        self.interval * (1 << doubled.max(if self.signed { SECOND_LOOK_DOUBLED } else { 0 }))
    }

    /// A row that somebody else has worked on since the last list. Once two have seen each other both only end what they
    /// have in hand, so from then on nothing but a beginning counts.
    fn moved(&self, look: &ListObservation<'_>) -> Option<NotificationId> {
        let theirs = |row: &&Notification| {
            let ours = self.ours.contains_key(&row.id) || row.recipient_type == RecipientType::User;
            let marks = Marks::of(row);
            let moved = match self.seen.get(&row.id) {
                Some(before) if self.is_new() => marks.moved_since(*before),
                Some(before) => marks.begun_since(*before),
                // What was not in a whole list of ours came after it, and so was read after it.
                None => self.whole && marks.read.is_some(),
            };
            moved && !ours
        };
        let moved = look.rows.iter().find(theirs).map(|row| row.id.clone());
        moved.or_else(|| self.settled(look).filter(|_| self.is_new()))
    }

    /// Whether nothing has ever begun here.
    fn is_new(&self) -> bool {
        self.times == 0 && !matches!(self.state, DuplicateState::Alone)
    }

    /// A row that was being answered and is there no more. Somebody may have deleted it, so that counts only where it
    /// would be a rare chance: between the two lists.
    fn settled(&self, look: &ListObservation<'_>) -> Option<NotificationId> {
        if !look.whole {
            return None;
        }
        let there: std::collections::HashSet<_> = look.rows.iter().map(|row| &row.id).collect();
        let mut gone = self
            .seen
            .iter()
            .filter(|(id, marks)| marks.is_typing() && !there.contains(id) && !self.ours.contains_key(*id));
        gone.next().map(|(id, _)| id.clone())
    }

    fn remember(&mut self, look: &ListObservation<'_>) {
        self.seen.clear();
        for row in look.rows {
            self.seen.insert(row.id.clone(), Marks::of(row));
            if let Some(list) = self.ours.get_mut(&row.id) {
                *list = look.list.max(*list);
            }
        }
        self.whole = look.whole;
        if look.whole {
            self.ours.retain(|_, list| *list >= look.list);
        }
    }
}
