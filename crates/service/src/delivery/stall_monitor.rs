//! The stall monitor: looks after turns whose connection has been silent for a while (openclaw-gateway §11.7).
//!
//! The connection of a turn says nothing while the agent thinks or works with tools of its own; its session's history
//! grows all the same. Whatever grows there is a sign of life. A turn whose answer stands in the history, or whose gateway
//! is gone, is not waited for any longer: the worker is told, and settles it. Nothing else ends a turn but silence on all
//! ways for `OPENCLAW_REQUEST_TIMEOUT_MS`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, select};
use log::{debug, info};

use super::inflight::{InFlight, TurnActivity};
use mcr_core::gateway::history::Glance;
use mcr_core::gateway::{GatewayError, Why};
use mcr_core::ops::TurnState;
use mcr_http::panics::Panics;

/// Looks at a turn's session; nothing where the gateway does not show it.
pub type SessionProbe = Box<dyn Fn(&TurnActivity) -> Result<Option<Glance>, GatewayError> + Send>;

/// When it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StallLimits {
    /// A turn is quiet after so long without a sign of life.
    pub quiet: Duration,
    /// Between two looks at one.
    pub look: Duration,
    /// How often it asks who is quiet.
    pub round: Duration,
}

impl StallLimits {
    /// Where nothing may be silent for longer than this.
    pub fn of(silence_max: Duration) -> Self {
        let quiet = (silence_max / 4).min(Duration::from_mins(1));
        let look = (silence_max / 8).min(Duration::from_secs(30));
        Self { quiet, look, round: (silence_max / 16).min(Duration::from_secs(5)) }
    }
}

/// What is remembered of a quiet turn between two looks.
#[derive(Debug, Default)]
struct QuietTurn {
    looked: Option<Instant>,
    last: Option<u64>,
    /// How many looks in a row found it over, or the gateway gone.
    over: u32,
    gone: u32,
}

/// What a look has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// It lives.
    Life,
    /// It has not begun, while others live.
    Waiting,
    /// Nothing.
    Quiet,
    /// There is nothing left to wait for.
    Over,
}

impl QuietTurn {
    /// `others` says whether another of our turns has shown life lately.
    fn judge(&mut self, looked: &Result<Option<Glance>, GatewayError>, others: bool) -> Sign {
        // One that drains, or does not let us in now, brings the turn to its end all the same.
        let gone = matches!(looked, Err(error) if error.why == Why::Unreachable);
        self.gone = if gone { self.gone + 1 } else { 0 };
        let Ok(Some(glance)) = looked else {
            // Once may be a hiccup.
            return if self.gone >= 2 { Sign::Over } else { Sign::Quiet };
        };
        self.over = if glance.over { self.over + 1 } else { 0 };
        let grown = self.last.replace(glance.last).is_some_and(|last| glance.last > last);
        match glance {
            // The answer is on its way to us, mostly.
            Glance { over: true, .. } if self.over >= 2 => Sign::Over,
            _ if grown => Sign::Life,
            Glance { queued: true, .. } => Sign::Waiting,
            Glance { begun: false, .. } if others => Sign::Waiting,
            _ => Sign::Quiet,
        }
    }
}

/// Watches until the deliveries have `ended`. While no turn is under way it waits for the `bell`, which rings when one
/// begins.
pub(super) fn monitor(
    table: &InFlight,
    look: &SessionProbe,
    rhythm: StallLimits,
    bell: &Receiver<()>,
    ended: &Receiver<()>,
    panics: &Panics,
) {
    let mut memories: HashMap<u64, QuietTurn> = HashMap::new();
    loop {
        // What a panic cuts off is looked at in the next round.
        let is_idle = panics.catch("stall-monitor", || round(table, look, rhythm, &mut memories));
        if is_idle == Some(true) {
            select! { recv(bell) -> _ => {}, recv(ended) -> _ => return }
        }
        select! { recv(ended) -> _ => return, default(rhythm.round) => {} }
    }
}

/// Looks at every quiet turn whose time has come; whether there is no turn at all.
fn round(
    table: &InFlight,
    look: &SessionProbe,
    rhythm: StallLimits,
    memories: &mut HashMap<u64, QuietTurn>,
) -> bool {
    let turns = table.turns();
    memories.retain(|number, _| turns.iter().any(|(other, _)| other == number));
    for (number, life) in &turns {
        if life.pulse.quiet() < rhythm.quiet {
            // Who waits is kept alive by us; its state changes when it begins.
            if life.state != TurnState::Waiting {
                table.is(*number, TurnState::Working);
            }
            continue;
        }
        let memory = memories.entry(*number).or_default();
        if memory.looked.is_some_and(|at| at.elapsed() < rhythm.look) {
            continue;
        }
        memory.looked = Some(Instant::now());
        let looked = look(life);
        // Who waits is kept alive by us, and so is no sign of anything.
        let lives = |(other, life): &(u64, TurnActivity)| {
            other != number && life.state != TurnState::Waiting && life.pulse.quiet() < rhythm.quiet
        };
        let sign = memory.judge(&looked, turns.iter().any(lives));
        table.is(*number, heed(sign, life));
    }
    turns.is_empty()
}

fn heed(sign: Sign, life: &TurnActivity) -> TurnState {
    match sign {
        Sign::Life => {
            debug!("{}: {} is at work", life.work, life.agent);
            life.pulse.beat();
            TurnState::Working
        }
        Sign::Waiting => {
            // It has not begun, so it cannot be stuck.
            life.pulse.beat();
            TurnState::Waiting
        }
        Sign::Quiet => TurnState::Quiet,
        Sign::Over => {
            info!("{}: the turn of {} is over, and its connection does not say so", life.work, life.agent);
            life.pulse.end();
            TurnState::Quiet
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcr_core::gateway::Class;

    type Looked = Result<Option<Glance>, GatewayError>;

    /// Openclaw-gateway §11.7, look by look: what was seen, whether others live, what it means.
    #[test]
    fn what_a_look_means() {
        let glance = |last, begun, over| -> Looked { Ok(Some(Glance { last, begun, over, queued: false })) };
        let queued = || -> Looked { Ok(Some(Glance { queued: true, ..Glance::default() })) };
        let error = |class, why| -> Looked { Err(GatewayError::new(class, why, None)) };
        let gone = || error(Class::Closed, Why::Unreachable);
        let rows: [(&str, Vec<_>); 9] = [
            (
                "what grows lives",
                vec![
                    (glance(3, true, false), false, Sign::Quiet),
                    (glance(5, true, false), false, Sign::Life),
                    (glance(5, true, false), false, Sign::Quiet),
                    (glance(6, true, false), true, Sign::Life),
                ],
            ),
            ("what has begun does not wait for others", vec![(glance(3, true, false), true, Sign::Quiet)]),
            (
                "what has not begun waits while others live",
                vec![
                    (glance(0, false, false), true, Sign::Waiting),
                    (glance(0, false, false), true, Sign::Waiting),
                    (glance(0, false, false), false, Sign::Quiet),
                    (glance(1, true, false), false, Sign::Life),
                ],
            ),
            (
                "what is queued waits, whoever lives",
                vec![(queued(), false, Sign::Waiting), (glance(1, true, false), false, Sign::Life)],
            ),
            (
                "an answer is mostly on its way",
                vec![(glance(4, true, true), false, Sign::Quiet), (glance(4, true, true), false, Sign::Over)],
            ),
            (
                "an answer that is followed by more is over, too",
                vec![(glance(4, true, true), false, Sign::Quiet), (glance(6, true, true), false, Sign::Over)],
            ),
            (
                "a gateway that is gone once may be busy",
                vec![
                    (gone(), false, Sign::Quiet),
                    (glance(4, true, false), false, Sign::Quiet),
                    (gone(), false, Sign::Quiet),
                    (gone(), false, Sign::Over),
                ],
            ),
            (
                "what is not shown says nothing",
                vec![(Ok(None), true, Sign::Quiet), (Ok(None), false, Sign::Quiet)],
            ),
            (
                "a look that fails says nothing",
                vec![
                    (error(Class::Transient, Why::Internal), true, Sign::Quiet),
                    (error(Class::Transient, Why::Internal), true, Sign::Quiet),
                ],
            ),
        ];
        for (name, looks) in rows {
            let mut memory = QuietTurn::default();
            for (number, (looked, others, expected)) in looks.into_iter().enumerate() {
                assert_eq!(memory.judge(&looked, others), expected, "{name}, look {number}");
            }
        }
    }

    /// However short the silence may be, a turn is looked at several times before it counts as stuck.
    #[test]
    fn the_rhythm_fits_into_the_silence() {
        for secs in [5, 60, 900, 86_400] {
            let silence = Duration::from_secs(secs);
            let rhythm = StallLimits::of(silence);
            assert!(rhythm.quiet + 3 * rhythm.look <= silence && rhythm.round <= rhythm.look, "{secs}");
        }
        let slow = StallLimits::of(Duration::from_mins(15));
        assert_eq!((slow.quiet, slow.look), (Duration::from_mins(1), Duration::from_secs(30)));
    }

    /// Openclaw-gateway §11.5: a gateway that drains brings the run to its end and answers it; and a token that is
    /// refused says nothing of a run either.
    #[test]
    fn a_gateway_that_drains_is_not_gone() {
        for why in [Why::Draining, Why::TokenRefused, Why::TooManyLogins] {
            let mut memory = QuietTurn::default();
            for _ in 0..3 {
                let looked: Looked = Err(GatewayError::new(Class::Closed, why, None));
                assert_eq!(memory.judge(&looked, false), Sign::Quiet, "{why:?}");
            }
        }
    }

    /// Two that have not begun, and nobody else: sooner or later they are stuck.
    #[test]
    fn two_that_wait_do_not_keep_each_other_alive() {
        use crate::clock::Pulse;
        use mcr_core::gateway::LifeSigns as _;
        use mcr_core::work::WorkId;
        use mcr_model::SessionKey;
        use mcr_model::clock::Millis;
        let (bell, entered) = crossbeam_channel::bounded(1);
        let table = InFlight::new(bell);
        let life = |row: &str, pulse: &Pulse| TurnActivity {
            work: WorkId::new(row),
            agent: row.to_owned(),
            session: SessionKey::new(row),
            marker: String::new(),
            result_of: None,
            run: None,
            began: Millis(0),
            pulse: pulse.share(),
            state: TurnState::Working,
        };
        let pulses = [Pulse::new(), Pulse::new(), Pulse::new()];
        let look: SessionProbe = Box::new(|_| {
            // As long as a question takes.
            std::thread::sleep(Duration::from_millis(20));
            Ok(Some(Glance::default()))
        });
        let rhythm = StallLimits {
            quiet: Duration::from_millis(400),
            look: Duration::from_millis(100),
            round: Duration::from_millis(10),
        };
        let (end, ended) = crossbeam_channel::bounded::<()>(0);
        let other = table.clone();
        let watcher =
            std::thread::spawn(move || monitor(&other, &look, rhythm, &entered, &ended, &Panics::default()));
        let _one = table.enter(life("one", &pulses[0]));
        std::thread::sleep(Duration::from_millis(200));
        pulses[1].beat();
        let _two = table.enter(life("two", &pulses[1]));
        {
            let _alive = table.enter(life("alive", &pulses[2]));
            for _ in 0..100 {
                pulses[2].beat();
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        std::thread::sleep(Duration::from_millis(1_500));
        let quiet = [pulses[0].quiet(), pulses[1].quiet()];
        drop(end);
        watcher.join().unwrap();
        assert!(quiet.iter().all(|quiet| *quiet > Duration::from_millis(700)), "{quiet:?}");
    }
}
