//! The stall monitor: checks turns whose connection has been silent for a while (openclaw-gateway §11.7).
//!
//! The connection of a turn is silent while the agent thinks or uses its own tools, but its session's history grows.
//! Growth there is a sign of life. If the answer is in the history, or the gateway is gone, the wait ends: the worker
//! gets an error and settles the turn. Otherwise a turn ends only after silence everywhere for
//! `OPENCLAW_REQUEST_TIMEOUT_MS`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};
use log::Level;
use log::kv::Value;

use super::call_limit::{CallCount, CallLimit};
use super::inflight::{InFlight, TurnActivity};
use super::log_item::LogItem;
use mcr_clients::gateway::HttpGateway;
use mcr_core::gateway::history::TurnProgress;
use mcr_core::gateway::{GatewayError, Why};
use mcr_core::ops::TurnState;
use mcr_http::panics::Panics;

/// Reads a turn's session; none if the gateway does not show it.
pub type SessionProbe = Box<dyn Fn(&TurnActivity) -> Result<Option<TurnProgress>, GatewayError> + Send>;

/// The intervals of the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StallLimits {
    /// The session of a turn is followed after this time without a sign of life.
    pub silent: Duration,
    /// A turn is quiet after this time without a sign of life.
    pub quiet: Duration,
    /// The time between two readings of one session.
    pub look: Duration,
    /// The time between two checks of all turns.
    pub round: Duration,
}

impl StallLimits {
    /// The intervals for turns that may be silent this long.
    pub fn of(silence_max: Duration) -> Self {
        let quiet = (silence_max / 4).min(Duration::from_mins(1));
        let look = (silence_max / 8).min(Duration::from_secs(30));
        Self { silent: quiet / 4, quiet, look, round: (silence_max / 16).min(Duration::from_secs(5)) }
    }
}

/// What the monitor does.
pub struct StallWatch {
    /// The intervals.
    pub limits: StallLimits,
    /// Reads a session.
    pub look: SessionProbe,
    /// The limit of calls within one turn.
    pub calls: CallLimit,
    /// The gateway whose sessions are followed; none without a gateway.
    pub events: Option<HttpGateway>,
}

/// The signals between the monitor and other threads.
pub(super) struct MonitorSignals {
    /// A turn has started.
    pub(super) turn_started: Receiver<()>,
    /// A turn is silent, so its session should be followed.
    pub(super) silent_turn: Sender<()>,
    /// Closes when the deliveries have ended.
    pub(super) ended: Receiver<()>,
}

/// The memory of a turn between two rounds.
#[derive(Debug)]
struct TurnMemory {
    quiet: QuietTurn,
    calls: CallCount,
}

/// The memory of a quiet turn between two readings.
#[derive(Debug, Default)]
struct QuietTurn {
    looked: Option<Instant>,
    last: Option<u64>,
    /// How many consecutive readings found the turn ended, or the gateway gone.
    over: u32,
    gone: u32,
}

/// What a reading shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// The turn shows progress.
    Life,
    /// The turn has not started, while other turns show progress.
    Waiting,
    /// No sign of life.
    Quiet,
    /// The turn has ended, or its gateway is gone.
    Over,
}

impl QuietTurn {
    /// Judges a reading. `others` says whether another of our turns showed life recently.
    fn judge(&mut self, looked: &Result<Option<TurnProgress>, GatewayError>, others: bool) -> Sign {
        // A gateway that drains, or refuses us now, still finishes the turn.
        let gone = matches!(looked, Err(error) if error.why == Why::Unreachable);
        self.gone = if gone { self.gone + 1 } else { 0 };
        let Ok(Some(turn_progress)) = looked else {
            // A single failure proves nothing.
            return if self.gone >= 2 { Sign::Over } else { Sign::Quiet };
        };
        self.over = if turn_progress.over { self.over + 1 } else { 0 };
        let grown = self.last.replace(turn_progress.last).is_some_and(|last| turn_progress.last > last);
        match turn_progress {
            // At the first such reading the answer is mostly still being sent to us.
            TurnProgress { over: true, .. } if self.over >= 2 => Sign::Over,
            _ if grown => Sign::Life,
            TurnProgress { queued: true, .. } => Sign::Waiting,
            TurnProgress { begun: false, .. } if others => Sign::Waiting,
            _ => Sign::Quiet,
        }
    }
}

/// Monitors turns until the deliveries have ended. Without a running turn it waits for the signal of the next one.
pub(super) fn monitor(table: &InFlight, watch: &StallWatch, signals: &MonitorSignals, panics: &Panics) {
    let MonitorSignals { turn_started, ended, silent_turn } = signals;
    let mut memories: HashMap<u64, TurnMemory> = HashMap::new();
    loop {
        // The next round covers the turns that a panic skipped.
        let is_idle = panics.catch("stall-monitor", || {
            let turns = table.turns();
            if turns.iter().any(|(_, life)| life.pulse.quiet() >= watch.limits.silent) {
                // In a full channel, a signal waits already. Without a receiver, no session is followed.
                let _ = silent_turn.try_send(());
            }
            round(table, watch, &turns, &mut memories);
            turns.is_empty()
        });
        if is_idle == Some(true) {
            select! { recv(turn_started) -> _ => {}, recv(ended) -> _ => return }
        }
        let round = watch.limits.round;
        // Calls are counted up to twice as often as quiet turns are read.
        let pause = if (watch.calls.may_loop)() { round / 2 } else { round };
        select! { recv(ended) -> _ => return, default(pause) => {} }
    }
}

/// Reads the session of every quiet turn that is due.
fn round(
    table: &InFlight,
    watch: &StallWatch,
    turns: &[(u64, TurnActivity)],
    memories: &mut HashMap<u64, TurnMemory>,
) {
    let limits = watch.limits;
    let may_loop = !turns.is_empty() && (watch.calls.may_loop)();
    memories.retain(|number, _| turns.iter().any(|(other, _)| other == number));
    for (number, life) in turns {
        let now = Instant::now();
        let memory = memories
            .entry(*number)
            .or_insert_with(|| TurnMemory { quiet: QuietTurn::default(), calls: CallCount::new(now) });
        if may_loop && memory.calls.is_due(now, watch.calls.most, limits.round) {
            count_calls(table, watch, life, &mut memory.calls);
        }
        if life.pulse.quiet() < limits.quiet {
            // The monitor itself beats for a waiting turn, whose state changes when it starts.
            if life.state != TurnState::Waiting {
                table.is(*number, TurnState::Working);
            }
            continue;
        }
        let memory = &mut memory.quiet;
        if memory.looked.is_some_and(|at| at.elapsed() < limits.look) {
            continue;
        }
        memory.looked = Some(Instant::now());
        let looked = (watch.look)(life);
        // The monitor itself beats for a waiting turn, so its pulse proves nothing.
        let lives = |(other, life): &(u64, TurnActivity)| {
            other != number && life.state != TurnState::Waiting && life.pulse.quiet() < limits.quiet
        };
        let sign = memory.judge(&looked, turns.iter().any(lives));
        table.is(*number, apply_sign(sign, life));
    }
}

/// Counts the calls of a turn, and ends the turn if they exceed the limit. A reading that fails is repeated later.
fn count_calls(table: &InFlight, watch: &StallWatch, life: &TurnActivity, count: &mut CallCount) {
    let promised = match (watch.look)(life) {
        Ok(Some(progress)) => progress.promised,
        Ok(None) | Err(_) => 0,
    };
    count.is(promised, Instant::now());
    if promised > watch.calls.most && table.loops(&life.work.id, promised) {
        let calls = ("calls", Value::from(promised));
        let item = LogItem::from(&*life.work).with_slug(&life.agent);
        item.log(
            Level::Warn,
            "A running turn is ended: it makes calls without waiting for their results",
            &[calls],
        );
    }
}

fn apply_sign(sign: Sign, life: &TurnActivity) -> TurnState {
    let item = LogItem::from(&*life.work).with_slug(&life.agent);
    match sign {
        Sign::Life => {
            item.log(Level::Debug, "The session of a quiet turn shows progress", &[]);
            life.pulse.beat();
            TurnState::Working
        }
        Sign::Waiting => {
            // A turn that has not started cannot be stuck.
            life.pulse.beat();
            TurnState::Waiting
        }
        Sign::Quiet => TurnState::Quiet,
        Sign::Over => {
            item.log(Level::Info, "The turn has ended, but its connection is silent", &[]);
            life.pulse.end();
            TurnState::Quiet
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcr_core::gateway::Class;

    type Looked = Result<Option<TurnProgress>, GatewayError>;

    /// Openclaw-gateway §11.7, reading by reading: the reading, whether other turns show life, and the verdict.
    #[test]
    fn a_reading_is_judged_with_the_readings_before_it() {
        let turn_progress = |last, begun, over| -> Looked {
            Ok(Some(TurnProgress { last, begun, over, ..TurnProgress::default() }))
        };
        let queued = || -> Looked { Ok(Some(TurnProgress { queued: true, ..TurnProgress::default() })) };
        let error = |class, why| -> Looked { Err(GatewayError::new(class, why, None)) };
        let gone = || error(Class::Closed, Why::Unreachable);
        let rows: [(&str, Vec<_>); 9] = [
            (
                "growth is a sign of life",
                vec![
                    (turn_progress(3, true, false), false, Sign::Quiet),
                    (turn_progress(5, true, false), false, Sign::Life),
                    (turn_progress(5, true, false), false, Sign::Quiet),
                    (turn_progress(6, true, false), true, Sign::Life),
                ],
            ),
            (
                "a started turn does not wait for others",
                vec![(turn_progress(3, true, false), true, Sign::Quiet)],
            ),
            (
                "a turn that has not started waits while others show life",
                vec![
                    (turn_progress(0, false, false), true, Sign::Waiting),
                    (turn_progress(0, false, false), true, Sign::Waiting),
                    (turn_progress(0, false, false), false, Sign::Quiet),
                    (turn_progress(1, true, false), false, Sign::Life),
                ],
            ),
            (
                "a queued turn waits, even without other turns",
                vec![(queued(), false, Sign::Waiting), (turn_progress(1, true, false), false, Sign::Life)],
            ),
            (
                "an answer in the history ends the wait at the second reading",
                vec![
                    (turn_progress(4, true, true), false, Sign::Quiet),
                    (turn_progress(4, true, true), false, Sign::Over),
                ],
            ),
            (
                "an answer that is followed by more ends the wait too",
                vec![
                    (turn_progress(4, true, true), false, Sign::Quiet),
                    (turn_progress(6, true, true), false, Sign::Over),
                ],
            ),
            (
                "a gateway is gone after two consecutive failures",
                vec![
                    (gone(), false, Sign::Quiet),
                    (turn_progress(4, true, false), false, Sign::Quiet),
                    (gone(), false, Sign::Quiet),
                    (gone(), false, Sign::Over),
                ],
            ),
            (
                "a session that is not shown proves nothing",
                vec![(Ok(None), true, Sign::Quiet), (Ok(None), false, Sign::Quiet)],
            ),
            (
                "a failed reading proves nothing",
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

    /// A turn is read several times before it counts as stuck, however short the allowed silence is.
    #[test]
    fn several_readings_fit_into_the_allowed_silence() {
        for secs in [5, 60, 900, 86_400] {
            let silence = Duration::from_secs(secs);
            let limits = StallLimits::of(silence);
            assert!(limits.quiet + 3 * limits.look <= silence && limits.round <= limits.look, "{secs}");
            assert!(limits.silent < limits.quiet, "{secs}");
        }
        let slow = StallLimits::of(Duration::from_mins(15));
        assert_eq!((slow.quiet, slow.look), (Duration::from_mins(1), Duration::from_secs(30)));
    }

    /// Openclaw-gateway §11.5: a draining gateway finishes the run and answers it. A refused token proves nothing about a
    /// run either.
    #[test]
    fn a_draining_gateway_is_not_gone() {
        for why in [Why::Draining, Why::TokenRefused, Why::TooManyLogins] {
            let mut memory = QuietTurn::default();
            for _ in 0..3 {
                let looked: Looked = Err(GatewayError::new(Class::Closed, why, None));
                assert_eq!(memory.judge(&looked, false), Sign::Quiet, "{why:?}");
            }
        }
    }

    /// Two turns that have not started, without any other turn, become stuck in the end.
    #[test]
    fn two_waiting_turns_do_not_keep_each_other_alive() {
        use mcr_core::gateway::LifeSigns as _;
        use std::sync::Arc;

        use serde_json::json;

        use crate::clock::Pulse;
        use mcr_core::work::Work;
        use mcr_model::Notification;
        use mcr_model::SessionKey;
        use mcr_model::clock::Millis;
        let work = |id: &str| -> Work {
            let row = json!({"_id": id, "type": "mention", "recipientType": "agent", "recipientId": id,
                "title": "", "body": "", "createdAt": 1});
            serde_json::from_value::<Notification>(row).unwrap().into()
        };
        let (turn_started, entered) = crossbeam_channel::bounded(1);
        let table = InFlight::new(turn_started);
        let life = |row: &str, pulse: &Pulse| TurnActivity {
            work: Arc::new(work(row)),
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
            // A reading takes time.
            std::thread::sleep(Duration::from_millis(20));
            Ok(Some(TurnProgress::default()))
        });
        let limits = StallLimits {
            silent: Duration::from_millis(100),
            quiet: Duration::from_millis(400),
            look: Duration::from_millis(100),
            round: Duration::from_millis(10),
        };
        let calls = CallLimit { most: 32, may_loop: Box::new(|| false) };
        let watch = StallWatch { limits, look, calls, events: None };
        let (end, ended) = crossbeam_channel::bounded::<()>(0);
        let (silent_turn, silent) = crossbeam_channel::bounded(1);
        let signals = MonitorSignals { turn_started: entered, silent_turn, ended };
        let other = table.clone();
        let watcher = std::thread::spawn(move || monitor(&other, &watch, &signals, &Panics::default()));
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
        std::thread::sleep(Duration::from_secs(3));
        let quiet = [pulses[0].quiet(), pulses[1].quiet()];
        drop(end);
        watcher.join().unwrap();
        assert_eq!(silent.try_recv(), Ok(()), "silent turns are signalled");
        assert!(quiet.iter().all(|quiet| *quiet > Duration::from_millis(700)), "{quiet:?}");
    }
}
