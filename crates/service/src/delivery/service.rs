//! The threads of the delivery: the dispatcher's own, the poller, the prober, the stall monitor, the workers; and the channels
//! between.
//!
//! The dispatcher's thread is the only one that touches the dispatcher. It waits for an event, for a nudge, or until
//! the instant that the dispatcher named, and carries out what it says. It never blocks on a send: an order to poller or
//! prober is given only when the last one was answered, a job only when a worker is free, and each channel has room
//! for that many.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, select};
use log::{error, info, warn};

use super::inflight::{InFlight, Seen};
use super::poller::{Order, poll, prober};
use super::stall_monitor::{SessionProbe, StallLimits, monitor};
use super::worker::{Worker, WorkerChannels};
use crate::clock::SteadyClock;
use mcr_clients::mission::Mission;
use mcr_clients::wire::Stop;
use mcr_core::delivery::duplicate_runtime;
use mcr_core::delivery::journal::{Journal, Note, Step, Wait};
use mcr_core::delivery::operator_requests::{OperatorReply, OperatorRequest, ReplyTo};
use mcr_core::delivery::scheduler::{
    Effect, Event, OperatorEffect, RecoveredState, Scheduler, SchedulerConfig, Standing,
};
use mcr_core::delivery::{End, Job, dead_letters};
use mcr_http::panics::Panics;
use mcr_model::clock::{Clock, Millis, SystemClock};

/// So long the dispatcher sleeps if it knows of nothing that will happen.
const LONG: Duration = Duration::from_hours(1);

/// A job needs little more than nested JSON and a TLS handshake.
const STACK_BYTES: usize = 1024 * 1024;

/// How long the dispatcher may take to answer a person; it never takes so long.
const ANSWER: Duration = Duration::from_secs(5);

/// How long threads may take to end once their work is over: for the last calls of those that were cut off.
const FAREWELL: Duration = Duration::from_secs(4);

/// The same if somebody is in a hurry.
const FAREWELL_IN_A_HURRY: Duration = Duration::from_millis(300);

/// Shortens the wait after the first sign of another runtime to so many milliseconds, for tests.
pub const STAND_BACK: &str = "MCR_TEST_STAND_BACK_MS";

fn stand_back() -> Duration {
    let given = std::env::var(STAND_BACK).ok().and_then(|text| text.parse().ok());
    given.map_or(duplicate_runtime::STAND_BACK, Duration::from_millis)
}

/// What the delivery is made of.
pub struct DeliverySetup {
    /// What it is set to.
    pub plan: SchedulerConfig,
    /// For the poller.
    pub mission: Mission,
    /// One for each worker.
    pub workers: Vec<Worker>,
    /// Where it is noted that a row is gone.
    pub journal: Arc<dyn Journal>,
    /// What an earlier process has left.
    pub left: RecoveredState,
    /// How long a turn may show no sign of life, and how to look at one.
    pub watch: (StallLimits, SessionProbe),
    /// Asks the gateway whether it is there: nothing, or why not.
    pub probe: Box<dyn Fn() -> Option<String> + Send>,
    /// Where panics of the threads are noted.
    pub panics: Panics,
}

/// What others may see of the delivery, and what they may have done. Cheap to clone.
#[derive(Clone)]
pub struct View {
    nudges: Sender<()>,
    asks: Sender<(OperatorRequest, ReplyTo)>,
    inflight: InFlight,
    standing: Arc<Mutex<Standing>>,
}

impl View {
    /// There may be new rows.
    pub fn nudge(&self) {
        // A full channel has the news already.
        let _ = self.nudges.try_send(());
    }

    /// Asks the dispatcher, or has something done by it; nothing if it does not answer in time.
    pub fn ask(&self, ask: OperatorRequest) -> Option<OperatorReply> {
        let until = Instant::now() + ANSWER;
        let (tell, told) = bounded(1);
        // It fails only if whoever asked has gone.
        let reply_to = ReplyTo::new(move |answer| drop(tell.send(answer)));
        self.asks.send_deadline((ask, reply_to), until).ok()?;
        told.recv_deadline(until).ok()
    }

    /// The turns under way.
    pub fn turns(&self) -> Vec<Seen> {
        self.inflight.seen(SystemClock.now())
    }

    /// What agents are at work on.
    pub fn inflight(&self) -> &InFlight {
        &self.inflight
    }

    /// How things stand.
    pub fn standing(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The delivery at work.
pub struct Service {
    inbox: Sender<Event>,
    view: View,
    /// Nothing is ever sent: it ends with the dispatcher's thread.
    ended: Receiver<()>,
    leave: Receiver<()>,
    threads: Vec<JoinHandle<()>>,
}

/// The dispatcher's ends of the channels.
struct DispatcherThread {
    dispatcher: Scheduler,
    inbox: Receiver<Event>,
    nudges: Receiver<()>,
    jobs: Sender<Box<Job>>,
    lists: Sender<Order>,
    probes: Sender<()>,
    on_trial: Arc<AtomicBool>,
    journal: Arc<dyn Journal>,
    inflight: InFlight,
    asked: Receiver<(OperatorRequest, ReplyTo)>,
    standing: Arc<Mutex<Standing>>,
    leaving: Sender<()>,
    panics: Panics,
    _alive: Sender<()>,
}

impl Service {
    /// Starts all threads. The first list is asked for at once.
    pub fn start(setup: DeliverySetup) -> std::io::Result<Self> {
        let workers = setup.workers.len();
        // Two for each job under way (taken, finished), one for each list and probe, and the order to stop.
        let (inbox, heard) = bounded(2 * workers + 3);
        // One waiting nudge says as much as many.
        let (nudges, bell) = bounded(1);
        // People ask one after another, and wait for the answer.
        let (asks, asked) = bounded(1);
        let (jobs, work) = bounded(workers);
        let (lists, list_orders) = bounded(1);
        let (probes, probe_orders) = bounded(1);
        let (alive, ended) = bounded(0);
        // Said once.
        let (leaving, leave) = bounded(1);
        let standing = Arc::<Mutex<Standing>>::default();
        let mut threads = Vec::with_capacity(workers + 4);

        let panics = setup.panics;
        let (enters, entered) = bounded(1);
        let inflight = InFlight::new(enters);
        // Of each track one delivery is held: the one whose turn may still run, if there is one.
        let mut left = setup.left;
        let (sent, settled): (Vec<_>, Vec<_>) =
            left.open.iter_mut().partition(|(_, record, _)| record.sent.is_some());
        for (work, record, _) in settled.into_iter().chain(sent) {
            inflight.resume(work, record);
        }
        let (mission, to) = (setup.mission, inbox.clone());
        let (table, noted) = (inflight.clone(), panics.clone());
        threads.push(spawn("poller", move || poll(&mission, &list_orders, &to, &table, &noted))?);
        #[cfg(feature = "test-kind")]
        {
            let to = inbox.clone();
            threads.push(spawn("test-source", move || super::test_source::run(&to))?);
        }
        let (probe, to, noted) = (setup.probe, inbox.clone(), panics.clone());
        threads.push(spawn("prober", move || prober(&*probe, &probe_orders, &to, &noted))?);
        let ((rhythm, look), table, until) = (setup.watch, inflight.clone(), ended.clone());
        let noted = panics.clone();
        threads
            .push(spawn("stall-monitor", move || monitor(&table, &look, rhythm, &entered, &until, &noted))?);
        let (on_trial, answers) = (Arc::<AtomicBool>::default(), Arc::default());
        let cooldown = Arc::default();
        for (number, worker) in (1..).zip(setup.workers) {
            let (jobs, inbox) = (work.clone(), inbox.clone());
            let (nudges, on_trial, answers) = (nudges.clone(), on_trial.clone(), Arc::clone(&answers));
            let inflight = inflight.clone();
            let (cooldown, panics) = (Arc::clone(&cooldown), panics.clone());
            let ends = WorkerChannels { jobs, inbox, nudges, inflight, cooldown, answers, on_trial, panics };
            threads.push(spawn(&format!("worker-{number}"), move || worker.run(&ends))?);
        }
        let deps = DispatcherThread {
            dispatcher: Scheduler::with(setup.plan, left, SystemClock.now()).standing_back(stand_back()),
            journal: setup.journal,
            inflight: inflight.clone(),
            inbox: heard,
            nudges: bell,
            jobs,
            lists,
            probes,
            on_trial,
            asked,
            standing: standing.clone(),
            leaving,
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
        Ok(Self { inbox, view: View { nudges, asks, inflight, standing }, ended, leave, threads })
    }

    /// Ends when the dispatcher does: after an order to stop, or never.
    pub fn ended(&self) -> Receiver<()> {
        self.ended.clone()
    }

    /// Says once that another runtime lives on the account, so that this one is to be stopped.
    pub fn must_leave(&self) -> Receiver<()> {
        self.leave.clone()
    }

    /// What others may see of it.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Begins nothing any more and waits for what runs, at most this long, and not at all once somebody is in a
    /// `hurry` (which then ends); then `turns` is closed, which ends it. What was cut off tells the backend so: as long as
    /// its calls may take. Returns whether no thread has ended by a panic: then the service has stopped in order.
    pub fn stop(self, drain: Duration, hurry: &Receiver<()>, turns: &Stop) -> bool {
        // It cannot fail as long as the dispatcher lives, and if it does not there is nothing to stop.
        let _ = self.inbox.send(Event::Stop);
        let why = select! {
            recv(self.ended) -> _ => None,
            recv(hurry) -> _ => Some("we were told twice".to_owned()),
            default(drain) => Some(format!("they were given {:.1} s", drain.as_secs_f64())),
        };
        if let Some(why) = why {
            let running = self.view.standing().running;
            if running > 0 {
                warn!("turns that still run are cut off, because {why}: {running}");
            }
            turns.close();
        }
        drop((self.inbox, self.view));
        let until = Instant::now() + FAREWELL;
        let in_a_hurry = || hurry.try_recv() == Err(TryRecvError::Disconnected);
        let (mut soon, mut in_order) = (None, true);
        for thread in self.threads {
            while !thread.is_finished() {
                if in_a_hurry() && soon.is_none() {
                    soon = Some(Instant::now() + FAREWELL_IN_A_HURRY);
                }
                if Instant::now() >= soon.unwrap_or(until).min(until) {
                    break;
                }
                thread::park_timeout(Duration::from_millis(2));
            }
            let name = thread.thread().name().unwrap_or("a thread").to_owned();
            if !thread.is_finished() {
                warn!("{name} did not end in time");
            } else if thread.join().is_err() {
                error!("{name} panicked; please report this as a bug");
                in_order = false;
            }
        }
        in_order
    }
}

/// The log hears of what has changed, not of every row that finds it so.
fn tell_of_the_gate(before: &Standing, now: &Standing) {
    match (&before.breaker_open, &now.breaker_open) {
        (None, Some(why)) => {
            warn!(
                "nothing is sent to agents until the gateway is back: {why} Deliveries that wait: {}",
                now.known
            );
        }
        (Some(_), None) => info!("the gateway is back; deliveries that wait: {}", now.known),
        (None, None) | (Some(_), Some(_)) => {}
    }
}

/// The same of another runtime.
fn tell_of_the_rival(before: &Standing, now: &Standing) {
    match (&before.foreign, &now.foreign) {
        (before, now) if before == now => {}
        (_, Some(foreign)) if foreign.certain => error!("{foreign}"),
        (_, Some(foreign)) => warn!("{foreign}"),
        (_, None) => info!("no other runtime is at work on this account any more: going on"),
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
            self.hear(event, now);
            // What has come meanwhile is taken at once, so that in a storm the standing is published once for many.
            while let Ok(event) = self.inbox.try_recv() {
                now = clock.now();
                self.hear(Some(event), now);
            }
            self.on_trial.store(self.dispatcher.is_on_trial(), Ordering::Relaxed);
            let standing = self.dispatcher.standing();
            let before = std::mem::replace(
                &mut *self.standing.lock().unwrap_or_else(PoisonError::into_inner),
                standing.clone(),
            );
            tell_of_the_gate(&before, &standing);
            tell_of_the_rival(&before, &standing);
            if self.dispatcher.is_done() {
                return;
            }
            let wait = self.dispatcher.wake_at(now).map_or(LONG, |at| at.since(now));
            event = select! {
                recv(self.inbox) -> event => event.ok(),
                recv(self.nudges) -> _ => Some(Event::Nudged),
                recv(self.asked) -> asked => asked.ok().map(|(ask, reply_to)| Event::Asked(ask, reply_to)),
                default(wait) => None,
            };
        }
    }

    /// What an effect meets outside may panic without ending the thread. A panic of the dispatcher itself ends it, and with
    /// it the process: what it knows cannot be trusted then, and the ledger has everything for the next one.
    fn hear(&mut self, event: Option<Event>, now: Millis) {
        for effect in self.dispatcher.on(event, now) {
            self.panics.catch("dispatcher", || self.carry_out(effect));
        }
    }

    fn carry_out(&self, effect: Effect) {
        // There is room, see above; and the threads at the other ends live until this one has ended.
        let done = match effect {
            Effect::List { list, limit } => self.lists.try_send(Order { list, limit }).is_ok(),
            Effect::Start(job) => self.jobs.try_send(job).is_ok(),
            Effect::Probe => self.probes.try_send(()).is_ok(),
            Effect::Leave => self.leaving.try_send(()).is_ok(),
            Effect::Forget(work) => {
                self.inflight.forget(&work);
                let note = Note::of(&work, SystemClock.now()).step(Step::Ended, "gone").ends(&End::Gone);
                // Nobody waits for it, so it brings no error.
                let _ = self.journal.note(&note, Wait::Not);
                true
            }
            Effect::Operator(wanted) => {
                self.serve_operator(wanted);
                true
            }
        };
        if !done {
            warn!("an order of the dispatcher found nobody; please report this as a bug");
        }
    }

    /// What a person wants is noted, and whoever asked is told.
    fn serve_operator(&self, wanted: OperatorEffect) {
        let now = SystemClock.now();
        // Nobody waits for the notes, so they bring no errors.
        match wanted {
            OperatorEffect::Reopen(again) => {
                let (work, record) = &*again;
                let _ = self.journal.note(&dead_letters::retried(work, record, now), Wait::Not);
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
