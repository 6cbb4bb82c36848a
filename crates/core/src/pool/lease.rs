//! The lease of a claimed job: when it is renewed, and from when on the job is fenced.
//!
//! A worker that has lost its lease must have no effect any more: another worker may be answering the same message. The
//! queue says `false` to a renewal without a lease. If it says nothing, the worker cannot know, so it assumes the loss
//! before the lease can end. Time without an answer counts from the moment when the last confirmed renewal was *sent*:
//! the queue has extended the lease at that moment or later.

use std::time::Duration;

use mcr_model::clock::Millis;

/// The time between two renewals.
pub const RENEWAL: Duration = Duration::from_secs(10);

/// The longest time without a confirmed renewal.
pub const SILENCE_MAX: Duration = Duration::from_mins(1);

/// The pause after a renewal without an answer.
const AGAIN: Duration = Duration::from_secs(2);

/// How long before its end a lease counts as lost at the latest. This covers a step that is just beginning.
const MARGIN: Duration = Duration::from_secs(1);

/// Why a job is fenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceReason {
    /// The queue has given the job to another worker, or has ended it.
    Lost,
    /// The queue has not confirmed the lease for too long.
    Unconfirmed,
}

impl FenceReason {
    /// The reason, as the end of "the job is fenced: ".
    pub fn explain(self) -> &'static str {
        match self {
            Self::Lost => "the queue says that this worker does not hold its lease",
            Self::Unconfirmed => "the queue has not confirmed the lease in time",
        }
    }
}

/// The times of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// The time between two renewals.
    pub renewal: Duration,
    /// The longest time without a confirmed renewal. It is shorter than the lease.
    pub silence_max: Duration,
}

impl LeaseTimes {
    /// The times for leases of this length: from the claim to the lease's end. A short lease is renewed more often.
    pub fn of(length: Duration) -> Self {
        Self { renewal: RENEWAL.min(length / 4), silence_max: SILENCE_MAX.min(length.saturating_sub(MARGIN)) }
    }
}

/// A lease and its renewals. Once fenced, it stays fenced.
#[derive(Clone, Debug)]
pub struct Lease {
    times: LeaseTimes,
    confirmed: Millis,
    due: Millis,
    /// When the renewal that has no answer yet was sent.
    sent: Option<Millis>,
    fenced: Option<FenceReason>,
}

impl Lease {
    /// The lease of a claim that was sent at this time.
    pub fn new(claimed: Millis, times: LeaseTimes) -> Self {
        Self { times, confirmed: claimed, due: claimed + times.renewal, sent: None, fenced: None }
    }

    /// When the next renewal is due; none while one has no answer yet, or if the job is fenced.
    pub fn renewal_due(&self) -> Option<Millis> {
        (self.sent.is_none() && self.fenced.is_none()).then_some(self.due)
    }

    /// When the job is fenced unless a renewal is confirmed before.
    pub fn fenced_from(&self) -> Millis {
        self.confirmed + self.times.silence_max
    }

    /// A renewal is being sent.
    pub fn renewing(&mut self, now: Millis) {
        self.sent = Some(now);
    }

    /// The answer to the renewal: whether the lease is held, or none if no answer came. Late confirmations do not undo a
    /// fence: effects may have been given up since.
    pub fn answered(&mut self, held: Option<bool>, now: Millis) {
        let Some(sent) = self.sent.take() else { return };
        self.fence(now);
        match held {
            Some(true) => {
                self.confirmed = self.confirmed.max(sent);
                self.due = sent + self.times.renewal;
            }
            Some(false) => {
                self.fenced.get_or_insert(FenceReason::Lost);
            }
            None => self.due = now + AGAIN.min(self.times.renewal),
        }
    }

    /// The answer to a renewal beside the regular ones, which was sent at this time.
    pub fn answered_beside(&mut self, sent: Millis, is_held: bool, now: Millis) {
        self.fence(now);
        if is_held {
            self.confirmed = self.confirmed.max(sent);
        } else {
            self.fenced.get_or_insert(FenceReason::Lost);
        }
    }

    /// Why the job is fenced at this time, if it is. A step with an effect asks right before it begins.
    pub fn fence(&mut self, now: Millis) -> Option<FenceReason> {
        if self.fenced.is_none() && now >= self.fenced_from() {
            self.fenced = Some(FenceReason::Unconfirmed);
        }
        self.fenced
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LENGTH: Duration = Duration::from_mins(6);

    fn at(seconds: i64) -> Millis {
        Millis(seconds * 1_000)
    }

    #[test]
    fn a_lease_is_renewed_every_ten_seconds_and_held_while_confirmed() {
        let mut lease = Lease::new(at(0), LeaseTimes::of(LENGTH));
        for turn in 1..=100 {
            let now = at(turn * 10);
            assert_eq!(lease.renewal_due(), Some(now));
            lease.renewing(now);
            assert_eq!(lease.renewal_due(), None, "one at a time");
            lease.answered(Some(true), now + Duration::from_secs(3));
            assert_eq!(lease.fence(now + Duration::from_secs(3)), None);
        }
    }

    #[test]
    fn a_lost_lease_fences_at_once_and_for_ever() {
        let mut lease = Lease::new(at(0), LeaseTimes::of(LENGTH));
        lease.renewing(at(10));
        lease.answered(Some(false), at(11));
        assert_eq!(lease.fence(at(11)), Some(FenceReason::Lost));
        assert_eq!(lease.renewal_due(), None);
        lease.renewing(at(12));
        lease.answered(Some(true), at(12));
        assert_eq!(lease.fence(at(12)), Some(FenceReason::Lost));
    }

    #[test]
    fn a_minute_without_an_answer_fences() {
        let mut lease = Lease::new(at(0), LeaseTimes::of(LENGTH));
        lease.renewing(at(10));
        lease.answered(Some(true), at(14));
        assert_eq!(lease.fenced_from(), at(70), "counted from the sending");
        lease.renewing(at(20));
        lease.answered(None, at(25));
        assert_eq!(lease.renewal_due(), Some(at(27)));
        assert_eq!(lease.fence(at(69)), None);
        assert_eq!(lease.fence(at(70)), Some(FenceReason::Unconfirmed));
    }

    #[test]
    fn an_answer_that_comes_after_the_fence_changes_nothing() {
        let mut lease = Lease::new(at(0), LeaseTimes::of(LENGTH));
        lease.renewing(at(10));
        lease.answered(Some(true), at(61));
        assert_eq!(lease.fence(at(61)), Some(FenceReason::Unconfirmed));
    }

    #[test]
    fn a_short_lease_is_renewed_more_often_and_fenced_before_its_end() {
        let mut lease = Lease::new(at(0), LeaseTimes::of(Duration::from_secs(5)));
        assert_eq!(lease.renewal_due(), Some(Millis(1_250)));
        assert_eq!(lease.fenced_from(), at(4));
        assert_eq!(lease.fence(at(4)), Some(FenceReason::Unconfirmed));
    }

    #[derive(Clone, Copy, Debug)]
    enum Answer {
        Held,
        Lost,
        Nothing,
        /// The queue extends the lease, but its answer does not arrive.
        HeldUnheard,
    }

    proptest! {
        /// Against the queue's own book: while the worker believes in its lease, the lease has not ended.
        #[test]
        fn a_worker_never_believes_in_a_lease_that_has_ended(
            length in 3_u64..400,
            answers in prop::collection::vec((0_i64..30_000, prop_oneof![
                4 => Just(Answer::Held), 1 => Just(Answer::Nothing), 1 => Just(Answer::HeldUnheard), 1 => Just(Answer::Lost)
            ]), 0..60)
        ) {
            let length = Duration::from_secs(length);
            let mut lease = Lease::new(Millis(0), LeaseTimes::of(length));
            // The claim was carried out when it was sent, at the earliest.
            let mut ends = Millis(0) + length;
            let mut now = Millis(0);
            for (took, answer) in answers {
                let Some(due) = lease.renewal_due() else { break };
                now = now.max(due);
                lease.renewing(now);
                // In the queue the lease may have ended before this renewal.
                let is_gone = now >= ends || matches!(answer, Answer::Lost);
                if !is_gone && matches!(answer, Answer::Held | Answer::HeldUnheard) {
                    ends = now + length;
                }
                let until = now + Duration::from_millis(took.unsigned_abs());
                if lease.clone().fence(until).is_none() {
                    prop_assert!(until < ends, "believes at {until} in a lease until {ends}");
                }
                now = until;
                lease.answered(match answer {
                    Answer::Held if is_gone => Some(false),
                    Answer::Held => Some(true),
                    Answer::Lost => Some(false),
                    Answer::Nothing | Answer::HeldUnheard => None,
                }, now);
                if is_gone && matches!(answer, Answer::Held | Answer::Lost) {
                    prop_assert!(lease.fence(now).is_some());
                    break;
                }
            }
        }
    }
}
