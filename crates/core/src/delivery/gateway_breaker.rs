//! The breaker for the gateway: open while the gateway runs no turns of ours.
//!
//! ```text
//!    a turn found the gateway away             a probe succeeded
//! closed ─────────────────────────────────► open ────────────────────────► half-open
//!    ▲                                         ▲                                 │
//!    │                                         └── the trial found it away ──────┤
//!    └──────────────────────────────────────────── the trial found it there ─────┘
//! ```
//!
//! While the breaker is open no turn starts, and no row loses an attempt. Rows that need no turn are not
//! affected. One shared probe checks whether the gateway is back: every second in the first minute, then
//! every 15 s. Early probes matter, because a new turn must precede the gateway's own recovery of interrupted
//! turns. A probe does not detect every problem (a wrong token, for example), so a single row that needs a turn goes
//! first. If that row ends without reaching the gateway, the next row takes its place. The next row also goes when the
//! first has shown nothing for ten seconds, so that one hung session holds back no other.

use std::time::Duration;

use mcr_model::clock::Millis;

/// The interval of the probes in the first minute.
const EARLY: Duration = Duration::from_secs(1);
/// The duration of the fast probes.
const FIRST_MINUTE: Duration = Duration::from_mins(1);
/// The interval of the later probes.
const LATE: Duration = Duration::from_secs(15);

/// How long a trial may show nothing before another row goes on trial. Working gateways accept a turn at once.
const TRIAL_MAX: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq)]
enum BreakerState {
    Closed,
    Open { since: Millis, probe_at: Millis, probing: bool },
    HalfOpen { since: Millis, trial: Option<TurnOnTrial> },
}

/// The last row on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TurnOnTrial {
    job: u64,
    /// When the next row may go on trial.
    until: Millis,
}

/// How many turns may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnAllowance {
    /// As many as there are workers.
    All,
    /// One, on trial.
    One,
    /// None.
    None,
}

#[derive(Debug)]
pub(super) struct GatewayBreaker {
    state: BreakerState,
    why: Option<String>,
}

impl GatewayBreaker {
    /// A closed breaker: the first turn shows the gateway's state.
    pub(super) fn new() -> Self {
        Self { state: BreakerState::Closed, why: None }
    }

    /// Why the breaker is open, if it is.
    pub(super) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// Whether a single row is on trial.
    pub(super) fn is_on_trial(&self) -> bool {
        matches!(self.state, BreakerState::HalfOpen { .. })
    }

    /// How many turns may start now.
    pub(super) fn lets_in(&self, now: Millis) -> TurnAllowance {
        match self.state {
            BreakerState::Closed => TurnAllowance::All,
            BreakerState::HalfOpen { trial, .. } if trial.is_none_or(|trial| trial.until <= now) => {
                TurnAllowance::One
            }
            BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => TurnAllowance::None,
        }
    }

    /// When the next row may go on trial, although the last one has shown nothing.
    pub(super) fn next_trial_at(&self) -> Option<Millis> {
        match self.state {
            BreakerState::HalfOpen { trial, .. } => trial.map(|trial| trial.until),
            BreakerState::Closed | BreakerState::Open { .. } => None,
        }
    }

    /// A turn of this row starts.
    pub(super) fn begins(&mut self, number: u64, now: Millis) {
        if let BreakerState::HalfOpen { trial, .. } = &mut self.state {
            *trial = Some(TurnOnTrial { job: number, until: now + TRIAL_MAX });
        }
    }

    /// A turn found the gateway unavailable.
    pub(super) fn found_unreachable(&mut self, why: &str, not_before: Option<Duration>, now: Millis) {
        let since = match self.state {
            BreakerState::Open { .. } => return,
            // A gateway that answers probes but refuses turns must not be probed every second forever.
            BreakerState::HalfOpen { since, .. } => since,
            BreakerState::Closed => now,
        };
        let probe_at = now + Self::schedule(since, now).max(not_before.unwrap_or_default());
        self.state = BreakerState::Open { since, probe_at, probing: false };
        self.why = Some(why.to_owned());
    }

    /// The gateway has accepted the row's turn, or has answered it in some other way.
    pub(super) fn found_reachable(&mut self, number: u64) {
        if self.state.is_trial_of(number) {
            self.state = BreakerState::Closed;
            self.why = None;
        }
    }

    /// The row ended or pauses without having reached the gateway.
    pub(super) fn found_nothing(&mut self, number: u64) {
        if self.state.is_trial_of(number)
            && let BreakerState::HalfOpen { trial, .. } = &mut self.state
        {
            *trial = None;
        }
    }

    fn schedule(since: Millis, now: Millis) -> Duration {
        if now.since(since) < FIRST_MINUTE { EARLY } else { LATE }
    }

    /// When the next probe is due.
    pub(super) fn probe_at(&self) -> Option<Millis> {
        match self.state {
            BreakerState::Open { probe_at, probing: false, .. } => Some(probe_at),
            BreakerState::Closed | BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => None,
        }
    }

    /// Starts a probe, if one is due.
    pub(super) fn probe(&mut self, now: Millis) -> bool {
        match &mut self.state {
            BreakerState::Open { probe_at, probing, .. } if !*probing && *probe_at <= now => {
                *probing = true;
                true
            }
            BreakerState::Closed | BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => false,
        }
    }

    /// Takes the result of the probe: `None`, or why the gateway is still unavailable.
    pub(super) fn probed(&mut self, trouble: Option<&str>, now: Millis) {
        let BreakerState::Open { since, .. } = self.state else { return };
        match trouble {
            None => self.state = BreakerState::HalfOpen { since, trial: None },
            Some(why) => {
                let probe_at = now + Self::schedule(since, now);
                self.state = BreakerState::Open { since, probe_at, probing: false };
                self.why = Some(why.to_owned());
            }
        }
    }
}

impl BreakerState {
    fn is_trial_of(&self, number: u64) -> bool {
        matches!(self, Self::HalfOpen { trial: Some(trial), .. } if trial.job == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At most 60 probes in the first minute after a loss, then one per 15 s.
    #[test]
    fn an_unavailable_gateway_is_probed_every_second_and_then_every_fifteen() {
        let mut breaker = GatewayBreaker::new();
        breaker.found_unreachable("no answer", None, Millis(0));
        let mut probes = Vec::new();
        let mut now = Millis(0);
        while now < Millis(600_000) {
            now = breaker.probe_at().unwrap();
            assert!(breaker.probe(now) && !breaker.probe(now), "one at a time");
            probes.push(now);
            breaker.probed(Some("no answer"), now);
        }
        let early = probes.iter().filter(|at| **at <= Millis(60_000)).count();
        assert_eq!(early, 60);
        assert_eq!(probes.len() - early, 540 / 15);
        assert_eq!(breaker.lets_in(now), TurnAllowance::None);
    }

    #[test]
    fn one_row_goes_first_and_the_others_follow_if_it_succeeds() {
        let mut breaker = GatewayBreaker::new();
        breaker.found_unreachable("draining", None, Millis(0));
        breaker.found_unreachable("draining", None, Millis(400));
        assert_eq!(breaker.probe_at(), Some(Millis(1000)), "the first to find it tells the time");
        assert!(breaker.probe(Millis(1000)));
        let now = Millis(1002);
        breaker.probed(None, now);
        assert_eq!(breaker.lets_in(now), TurnAllowance::One);
        breaker.begins(7, now);
        assert_eq!(breaker.lets_in(now), TurnAllowance::None);
        breaker.found_reachable(5);
        breaker.found_nothing(5);
        assert_eq!(breaker.lets_in(now), TurnAllowance::None, "a row that began before tells nothing");
        breaker.found_nothing(7);
        assert_eq!(
            (breaker.lets_in(now), breaker.why()),
            (TurnAllowance::One, Some("draining")),
            "the next one goes first"
        );
        breaker.begins(8, now);
        breaker.found_reachable(8);
        assert_eq!((breaker.lets_in(now), breaker.why()), (TurnAllowance::All, None));
    }

    /// A hung session shows nothing. The others do not wait for its end.
    #[test]
    fn a_trial_that_shows_nothing_is_followed_by_the_next_row() {
        let mut breaker = GatewayBreaker::new();
        breaker.found_unreachable("a page", None, Millis(0));
        assert!(breaker.probe(Millis(1_000)));
        breaker.probed(None, Millis(1_000));
        assert_eq!(breaker.next_trial_at(), None, "the first row goes at once");
        breaker.begins(7, Millis(2_000));
        assert_eq!(breaker.next_trial_at(), Some(Millis(12_000)));
        assert_eq!(breaker.lets_in(Millis(11_999)), TurnAllowance::None);
        assert_eq!(breaker.lets_in(Millis(12_000)), TurnAllowance::One);
        breaker.begins(8, Millis(12_000));
        assert_eq!(breaker.lets_in(Millis(12_000)), TurnAllowance::None, "one more");
        breaker.found_nothing(7);
        assert_eq!(
            breaker.lets_in(Millis(12_000)),
            TurnAllowance::None,
            "the end of the hung row changes nothing"
        );
        breaker.found_reachable(8);
        assert_eq!(breaker.lets_in(Millis(12_000)), TurnAllowance::All);
        assert_eq!(breaker.next_trial_at(), None);
    }

    #[test]
    fn a_gateway_that_answers_probes_but_no_turns_is_probed_less_often() {
        let mut breaker = GatewayBreaker::new();
        breaker.found_unreachable("token", None, Millis(0));
        let mut now = Millis(0);
        for _ in 0..70 {
            now = breaker.probe_at().unwrap();
            assert!(breaker.probe(now));
            breaker.probed(None, now);
            breaker.begins(1, now);
            breaker.found_unreachable("token", None, now);
        }
        assert!(now > Millis(61_000) && breaker.probe_at().unwrap().since(now) == LATE);
    }
}
