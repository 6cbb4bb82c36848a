//! The threads of the delivery: dispatcher, poller, prober, stall monitor, session events and workers, with the channels between them.
//!
//! Only the dispatcher's thread owns the scheduler. It waits for an event, for a nudge, or until the time that the
//! scheduler named, and carries out the scheduler's effects. It never blocks on a send: poller and prober get an order
//! only after the answer to the last one. A job starts only if a worker is free. Each channel has room for that.

mod setup;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, select};
use log::{error, warn};

use super::blocked_agents::BlockedAgents;
use super::inflight::InFlight;
use super::job_handout::JobHandout;
use super::poller::{Order, poll, prober};
use super::session_events::follow_silent_turns;
use super::stall_monitor::{MonitorSignals, monitor};
use super::state_changes::{log_breaker, log_duplicate_runtime, log_lists_limited, wake_background_tasks};
pub use super::view::View;
use super::worker::WorkerChannels;
use crate::clock::SteadyClock;
use crate::roster::Team;
use crate::wakeup::Wakeup;
use mcr_clients::wire::Stop;
use mcr_core::delivery::duplicate_runtime;
use mcr_core::delivery::journal::{Journal, Note, Step, Wait};
use mcr_core::delivery::operator_requests::{OperatorRequest, ReplyTo};
use mcr_core::delivery::scheduler::{Effect, Event, OperatorEffect, Scheduler, SchedulerState};
use mcr_core::delivery::{End, dead_letters};
use mcr_core::guardrails::agent_names::AgentNames;
use mcr_http::panics::Panics;
use mcr_model::Roster;
use mcr_model::clock::{Clock, Millis, SystemClock};

pub use setup::DeliverySetup;

/// How long the dispatcher sleeps if no decision is due.
const LONG: Duration = Duration::from_hours(1);

/// The stack of a thread: a job needs little more than nested JSON and a TLS handshake.
const STACK_BYTES: usize = 1024 * 1024;

/// How long threads may take to end after their work, for the last calls of aborted turns.
const JOIN_TIMEOUT: Duration = Duration::from_secs(4);

/// How long threads may take to end after a second stop signal.
const HURRIED_JOIN_TIMEOUT: Duration = Duration::from_millis(300);

/// For tests: the wait after the first sign of another runtime, in milliseconds.
pub const STAND_BACK: &str = "MCR_TEST_STAND_BACK_MS";

fn stand_back() -> Duration {
    let given = std::env::var(STAND_BACK).ok().and_then(|text| text.parse().ok());
    given.map_or(duplicate_runtime::STAND_BACK, Duration::from_millis)
}

/// The running delivery.
pub struct Service {
    inbox: Sender<Event>,
    view: View,
    /// Never carries a message; it closes when the dispatcher's thread ends.
    ended: Receiver<()>,
    leave: Receiver<()>,
    threads: Vec<JoinHandle<()>>,
}

/// How the delivery has stopped.
#[derive(Clone, Copy, Debug)]
pub struct StopResult {
    /// Whether no thread ended by a panic.
    pub in_order: bool,
    /// Whether all threads have ended.
    pub has_ended: bool,
}

impl StopResult {
    /// Whether no call is under way, and none follows.
    pub fn makes_no_calls(self) -> bool {
        self.in_order && self.has_ended
    }
}

/// The dispatcher's ends of the channels.
struct DispatcherThread {
    dispatcher: Scheduler,
    inbox: Receiver<Event>,
    nudges: Receiver<()>,
    writes: Receiver<()>,
    jobs: JobHandout,
    lists: Sender<Order>,
    probes: Sender<()>,
    on_trial: Arc<AtomicBool>,
    journal: Arc<dyn Journal>,
    inflight: InFlight,
    asked: Receiver<(OperatorRequest, ReplyTo)>,
    state: Arc<Mutex<SchedulerState>>,
    leaving: Sender<()>,
    team: Team,
    backend_calls: Box<dyn Fn() -> u64 + Send>,
    reporter: Wakeup,
    /// The digest of the names that the dispatcher has.
    names: u64,
    panics: Panics,
    _alive: Sender<()>,
}

impl Service {
    /// Starts all threads. The first list is requested at once.
    pub fn start(setup: DeliverySetup) -> std::io::Result<Self> {
        let workers = setup.workers.len();
        // Three events for each job (thread resumed, accepted, finished), one for a list, one for a probe, one for an
        // offer, one signal of the wake query, and one to stop.
        let (inbox, heard) = bounded(3 * workers + 5);
        // One waiting nudge is as good as many.
        let (nudges, nudge_receiver) = bounded(1);
        let (writes, write_receiver) = bounded(1);
        // Operators send one request at a time and wait for the answer.
        let (asks, asked) = bounded(1);
        let (lists, list_orders) = bounded(1);
        let (probes, probe_orders) = bounded(1);
        let (alive, ended) = bounded(0);
        // Sent once.
        let (leaving, leave) = bounded(1);
        let state = Arc::<Mutex<SchedulerState>>::default();
        let mut threads = Vec::with_capacity(workers + 6);

        let panics = setup.panics;
        let (enters, entered) = bounded(1);
        let mut left = setup.left;
        let inflight = InFlight::new(enters).counting(std::mem::take(&mut left.threads));
        // The table keeps one delivery per track: the last one added. So those whose turn may still run come last.
        let (sent, settled): (Vec<_>, Vec<_>) =
            left.open.iter_mut().partition(|(_, record, _)| record.sent.is_some());
        for (work, record, _) in settled.into_iter().chain(sent) {
            inflight.resume(work, record);
        }
        if let Some(jobs) = &setup.jobs {
            let (turns, to) = (inflight.clone(), inbox.clone());
            jobs.connect(move |work| {
                turns.end_turns(work);
                // The dispatcher ends at the end of the program.
                let _ = to.send(Event::Fenced(work.clone()));
            });
        }
        let (mission, to) = (setup.mission, inbox.clone());
        let (table, noted) = (inflight.clone(), panics.clone());
        threads.push(spawn("poller", move || poll(&mission, &list_orders, &to, &table, &noted))?);
        #[cfg(feature = "test-kind")]
        {
            let to = inbox.clone();
            threads.push(spawn("test-source", move || super::test_source::run(&to))?);
        }
        let (beats, to, until) = (setup.beats, inbox.clone(), ended.clone());
        let noted = panics.clone();
        threads.push(spawn("heartbeats", move || beats.run(&to, &until, &noted))?);
        let (probe, to, noted) = (setup.probe, inbox.clone(), panics.clone());
        threads.push(spawn("prober", move || prober(&*probe, &probe_orders, &to, &noted))?);
        let (mut watch, table, noted) = (setup.watch, inflight.clone(), panics.clone());
        let (silent_turn, silent) = bounded(1);
        let (limits, events) = (watch.limits, watch.events.take());
        let signals = MonitorSignals { turn_started: entered, silent_turn, ended: ended.clone() };
        threads.push(spawn("stall-monitor", move || monitor(&table, &watch, &signals, &noted))?);
        if let Some(gateway) = events {
            let (table, until, noted) = (inflight.clone(), ended.clone(), panics.clone());
            let follow = move || follow_silent_turns(&gateway, &table, limits, &silent, &until, &noted);
            threads.push(spawn("session-events", follow)?);
        }
        let blocked = Arc::<BlockedAgents>::default();
        let on_trial = Arc::<AtomicBool>::default();
        let channels = WorkerChannels {
            inbox: inbox.clone(),
            writes: writes.clone(),
            inflight: inflight.clone(),
            cooldown: Arc::default(),
            blocked: Arc::clone(&blocked),
            answers: Arc::default(),
            on_trial: Arc::clone(&on_trial),
            panics: panics.clone(),
        };
        let (jobs, seats) = JobHandout::among(workers);
        for ((number, worker), seat) in (1..).zip(setup.workers).zip(seats) {
            let channels = channels.clone();
            threads.push(spawn(&format!("worker-{number}"), move || worker.run(&seat, &channels))?);
        }
        let scheduler = Scheduler::with(setup.plan, left, SystemClock.now()).standing_back(stand_back());
        let deps = DispatcherThread {
            dispatcher: if setup.jobs.is_some() { scheduler.without_lists() } else { scheduler },
            journal: setup.journal,
            inflight: inflight.clone(),
            inbox: heard,
            nudges: nudge_receiver,
            writes: write_receiver,
            jobs,
            lists,
            probes,
            on_trial,
            asked,
            state: state.clone(),
            leaving,
            team: setup.team,
            backend_calls: setup.backend_calls,
            reporter: setup.reporter,
            names: Roster::default().names_digest(),
            panics,
            _alive: alive,
        };
        let noted = deps.panics.clone();
        let run = move || {
            catch_unwind(AssertUnwindSafe(|| deps.run())).unwrap_or_else(|panic| {
                noted.note("dispatcher");
                resume_unwind(panic)
            });
        };
        threads.push(spawn("dispatcher", run)?);
        let view = View { nudges, writes, inbox: inbox.clone(), asks, inflight, blocked, state };
        Ok(Self { inbox, view, ended, leave, threads })
    }

    /// Closes when the dispatcher ends.
    pub fn ended(&self) -> Receiver<()> {
        self.ended.clone()
    }

    /// Receives one message if another runtime is active on the account, so that this one must stop.
    pub fn must_leave(&self) -> Receiver<()> {
        self.leave.clone()
    }

    /// Access for other parts of the program.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Starts no more work and waits for running turns, at most for `drain`, or until `hurry` closes. Then closes `turns`,
    /// which aborts the rest. Aborted deliveries still report to the backend, within `JOIN_TIMEOUT`.
    pub fn stop(self, drain: Duration, hurry: &Receiver<()>, turns: &Stop) -> StopResult {
        // The send fails only if the dispatcher has ended, and then there is nothing to stop.
        let _ = self.inbox.send(Event::Stop);
        let why = select! {
            recv(self.ended) -> _ => None,
            recv(hurry) -> _ => Some("a second stop signal".to_owned()),
            default(drain) => Some(format!("{:.1} s have passed", drain.as_secs_f64())),
        };
        if let Some(why) = why {
            let running = self.view.state().running;
            if running > 0 {
                warn!(turns = running, reason = why.as_str(); "Running turns are aborted");
            }
            turns.close();
        }
        drop((self.inbox, self.view));
        let until = Instant::now() + JOIN_TIMEOUT;
        let in_a_hurry = || hurry.try_recv() == Err(TryRecvError::Disconnected);
        let mut soon = None;
        let mut result = StopResult { in_order: true, has_ended: true };
        for thread in self.threads {
            while !thread.is_finished() {
                if in_a_hurry() && soon.is_none() {
                    soon = Some(Instant::now() + HURRIED_JOIN_TIMEOUT);
                }
                if Instant::now() >= soon.unwrap_or(until).min(until) {
                    break;
                }
                thread::park_timeout(Duration::from_millis(2));
            }
            let name = thread.thread().name().unwrap_or("a thread").to_owned();
            if !thread.is_finished() {
                warn!(thread = name.as_str(); "A thread did not end in time");
                result.has_ended = false;
            } else if thread.join().is_err() {
                error!(thread = name.as_str(); "A thread panicked; please report this as a bug");
                result.in_order = false;
            }
        }
        result
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(work)
}

impl DispatcherThread {
    fn run(mut self) {
        let clock = SteadyClock::new();
        let mut event = None;
        loop {
            let mut now = clock.now();
            self.handle(event, now);
            // All waiting events are taken at once, so that under load the state is published once for many.
            while let Ok(event) = self.inbox.try_recv() {
                now = clock.now();
                self.handle(Some(event), now);
            }
            self.on_trial.store(self.dispatcher.is_on_trial(), Ordering::Relaxed);
            let state = self.dispatcher.state();
            let before = std::mem::replace(
                &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner),
                state.clone(),
            );
            log_breaker(&before, &state);
            log_duplicate_runtime(&before, &state);
            log_lists_limited(&before, &state);
            wake_background_tasks(&before, &state, &self.reporter, self.team.wakeup());
            if self.dispatcher.is_done() {
                return;
            }
            let wait = self.dispatcher.wake_at(now).map_or(LONG, |at| at.since(now));
            event = select! {
                recv(self.inbox) -> event => event.ok(),
                recv(self.nudges) -> _ => Some(Event::Nudged),
                recv(self.writes) -> _ => Some(Event::Written),
                recv(self.asked) -> asked => asked.ok().map(|(ask, reply_to)| Event::Asked(ask, reply_to)),
                default(wait) => None,
            };
        }
    }

    /// A panic while an effect is carried out does not end the thread. A panic of the scheduler itself ends the thread and
    /// the process: its state cannot be trusted then, and the ledger has everything for the next process.
    fn handle(&mut self, event: Option<Event>, now: Millis) {
        if let Some(Event::Listed { .. }) = &event {
            self.pass_on_names(now);
            let calls = (self.backend_calls)();
            self.handle(Some(Event::BackendCalls(calls)), now);
        }
        for effect in self.dispatcher.on(event, now) {
            self.panics.catch("dispatcher", || self.carry_out(effect));
        }
    }

    /// Tells the dispatcher the names of the agents after each change of the roster, before it judges the rows of a list.
    fn pass_on_names(&mut self, now: Millis) {
        let roster = self.team.now();
        let digest = roster.names_digest();
        if std::mem::replace(&mut self.names, digest) == digest {
            return;
        }
        let names = AgentNames::of(&roster);
        self.handle(Some(Event::AgentNames(names)), now);
    }

    fn carry_out(&self, effect: Effect) {
        // Each channel has room (see the module), and the receiving threads live until this one ends.
        let done = match effect {
            Effect::List { list, limit } => self.lists.try_send(Order { list, limit }).is_ok(),
            Effect::Start(job) => self.jobs.give(job),
            Effect::Probe => self.probes.try_send(()).is_ok(),
            Effect::Leave => self.leaving.try_send(()).is_ok(),
            Effect::Forget(work) => {
                self.inflight.forget(&work);
                let note = Note::of(&work, SystemClock.now()).step(Step::Ended, "gone").ends(&End::Gone);
                // `Wait::Not` never returns an error.
                let _ = self.journal.note(&note, Wait::Not);
                true
            }
            Effect::Operator(wanted) => {
                self.serve_operator(wanted);
                true
            }
        };
        if !done {
            warn!("An effect of the dispatcher had no receiver; please report this as a bug");
        }
    }

    /// Records an operator's action, or answers the operator.
    fn serve_operator(&self, wanted: OperatorEffect) {
        let now = SystemClock.now();
        // `Wait::Not` never returns an error.
        match wanted {
            OperatorEffect::Reopen(again, words) => {
                let (work, record) = &*again;
                let _ = self.journal.note(&dead_letters::started_again(work, record, words, now), Wait::Not);
            }
            OperatorEffect::Dropped(dead, why) => {
                let ((work, record), end) = (&*dead, End::Dropped(why));
                let _ = self.journal.note(&dead_letters::dropped(work, record, &end, now), Wait::Not);
            }
            OperatorEffect::DroppedUnreadable(id) => {
                let _ = self.journal.drop_unreadable(&id, now, Wait::Not);
            }
            OperatorEffect::GiveUp(id) => self.inflight.give_up(&id),
            OperatorEffect::Tell(reply_to, answer) => reply_to.tell(answer),
        }
    }
}

#[cfg(test)]
mod tests;
