//! The gate to the gateway: closed while nothing that we send would be run.
//!
//! ```text
//!         a turn found it closed              a probe was answered
//! open ───────────────────────────► closed ─────────────────────────► trial
//!  ▲                                  ▲                                 │
//!  │                                  └───── the trial found it closed ─┤
//!  └──────────────────────────────────────── the trial found it open ───┘
//! ```
//!
//! While it is closed no turn begins, and no row loses an attempt; rows that need no turn are none of its business. One
//! probe, shared by all, asks whether the gateway is back: every second in the first minute (being early beats the
//! gateway's own recovery of interrupted turns), then every 15 s. A probe cannot tell everything (a wrong token, say), so
//! then a single row that needs a turn goes first. If that row ends without having met the gateway, the next one does.

use std::time::Duration;

use mcr_model::clock::Millis;

/// The pace of the probes in the first minute.
const EARLY: Duration = Duration::from_secs(1);
/// How long that is.
const FIRST_MINUTE: Duration = Duration::from_mins(1);
/// The pace of the probes after it.
const LATE: Duration = Duration::from_secs(15);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Open,
    Closed { since: Millis, probe_at: Millis, probing: bool },
    Trial { since: Millis, job: Option<u64> },
}

/// How many turns may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turns {
    /// As many as there are workers.
    All,
    /// One, on trial.
    One,
    /// None.
    None,
}

#[derive(Debug)]
pub(super) struct Gate {
    state: State,
    why: Option<String>,
}

impl Gate {
    /// Open: the first turn tells.
    pub(super) fn new() -> Self {
        Self { state: State::Open, why: None }
    }

    /// Why it is closed, if it is.
    pub(super) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// Whether a single row goes first.
    pub(super) fn is_on_trial(&self) -> bool {
        matches!(self.state, State::Trial { .. })
    }

    /// How many turns may begin now.
    pub(super) fn lets_in(&self) -> Turns {
        match self.state {
            State::Open => Turns::All,
            State::Trial { job: None, .. } => Turns::One,
            State::Closed { .. } | State::Trial { job: Some(_), .. } => Turns::None,
        }
    }

    /// A turn of this row begins.
    pub(super) fn begins(&mut self, number: u64) {
        if let State::Trial { job, .. } = &mut self.state {
            *job = Some(number);
        }
    }

    /// A turn found that nothing would be run.
    pub(super) fn found_closed(&mut self, why: &str, not_before: Option<Duration>, now: Millis) {
        let since = match self.state {
            State::Closed { .. } => return,
            // A gateway that answers probes and refuses turns is not asked every second for ever.
            State::Trial { since, .. } => since,
            State::Open => now,
        };
        let probe_at = now + Self::pace(since, now).max(not_before.unwrap_or_default());
        self.state = State::Closed { since, probe_at, probing: false };
        self.why = Some(why.to_owned());
    }

    /// The gateway has taken the row's turn, or has answered it in some other way.
    pub(super) fn found_open(&mut self, number: u64) {
        if self.state.is_trial_of(number) {
            self.state = State::Open;
            self.why = None;
        }
    }

    /// The row is done, or rests, and has not met the gateway.
    pub(super) fn found_nothing(&mut self, number: u64) {
        if self.state.is_trial_of(number)
            && let State::Trial { job, .. } = &mut self.state
        {
            *job = None;
        }
    }

    fn pace(since: Millis, now: Millis) -> Duration {
        if now.since(since) < FIRST_MINUTE { EARLY } else { LATE }
    }

    /// When the next probe is due.
    pub(super) fn probe_at(&self) -> Option<Millis> {
        match self.state {
            State::Closed { probe_at, probing: false, .. } => Some(probe_at),
            State::Open | State::Closed { .. } | State::Trial { .. } => None,
        }
    }

    /// Begins a probe, if one is due.
    pub(super) fn probe(&mut self, now: Millis) -> bool {
        match &mut self.state {
            State::Closed { probe_at, probing, .. } if !*probing && *probe_at <= now => {
                *probing = true;
                true
            }
            State::Open | State::Closed { .. } | State::Trial { .. } => false,
        }
    }

    /// What the probe found: nothing, or why it is still closed.
    pub(super) fn probed(&mut self, trouble: Option<&str>, now: Millis) {
        let State::Closed { since, .. } = self.state else { return };
        match trouble {
            None => self.state = State::Trial { since, job: None },
            Some(why) => {
                let probe_at = now + Self::pace(since, now);
                self.state = State::Closed { since, probe_at, probing: false };
                self.why = Some(why.to_owned());
            }
        }
    }
}

impl State {
    fn is_trial_of(&self, number: u64) -> bool {
        matches!(self, Self::Trial { job: Some(job), .. } if *job == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At most 60 probes in the first minute after a loss, then one per 15 s.
    #[test]
    fn a_gateway_that_stays_away_is_asked_every_second_and_then_every_fifteen() {
        let mut gate = Gate::new();
        gate.found_closed("nobody answers", None, Millis(0));
        let mut probes = Vec::new();
        let mut now = Millis(0);
        while now < Millis(600_000) {
            now = gate.probe_at().unwrap();
            assert!(gate.probe(now) && !gate.probe(now), "one at a time");
            probes.push(now);
            gate.probed(Some("nobody answers"), now);
        }
        let early = probes.iter().filter(|at| **at <= Millis(60_000)).count();
        assert_eq!(early, 60);
        assert_eq!(probes.len() - early, 540 / 15);
        assert_eq!(gate.lets_in(), Turns::None);
    }

    #[test]
    fn one_row_goes_first_and_the_others_follow_if_it_gets_through() {
        let mut gate = Gate::new();
        gate.found_closed("draining", None, Millis(0));
        gate.found_closed("draining", None, Millis(400));
        assert_eq!(gate.probe_at(), Some(Millis(1000)), "the first to find it tells the time");
        assert!(gate.probe(Millis(1000)));
        gate.probed(None, Millis(1002));
        assert_eq!(gate.lets_in(), Turns::One);
        gate.begins(7);
        assert_eq!(gate.lets_in(), Turns::None);
        gate.found_open(5);
        gate.found_nothing(5);
        assert_eq!(gate.lets_in(), Turns::None, "a row that began before tells nothing");
        gate.found_nothing(7);
        assert_eq!((gate.lets_in(), gate.why()), (Turns::One, Some("draining")), "the next one goes first");
        gate.begins(8);
        gate.found_open(8);
        assert_eq!((gate.lets_in(), gate.why()), (Turns::All, None));
    }

    #[test]
    fn a_gateway_that_answers_probes_but_no_turns_is_asked_less_and_less() {
        let mut gate = Gate::new();
        gate.found_closed("token", None, Millis(0));
        let mut now = Millis(0);
        for _ in 0..70 {
            now = gate.probe_at().unwrap();
            assert!(gate.probe(now));
            gate.probed(None, now);
            gate.begins(1);
            gate.found_closed("token", None, now);
        }
        assert!(now > Millis(61_000) && gate.probe_at().unwrap().since(now) == LATE);
    }
}
