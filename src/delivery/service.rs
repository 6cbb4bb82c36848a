//! The threads of the delivery: the dispatcher's own, the scout, the prober, the workers; and the channels between.
//!
//! The dispatcher's thread is the only one that touches the dispatcher. It waits for an event, for a nudge, or until
//! the instant that the dispatcher named, and carries out what it says. It never blocks on a send: an order to scout or
//! prober is given only when the last one was answered, a job only when a worker is free, and each channel has room
//! for that many.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select};
use log::warn;

use super::Job;
use super::dispatcher::{Dispatcher, Effect, Event, Plan, Standing};
use super::scout::{Order, prober, scout};
use super::worker::Worker;
use crate::clock::{Clock, SteadyClock};
use crate::mission::Mission;
use crate::wire::Stop;

/// So long the dispatcher sleeps if it knows of nothing that will happen.
const LONG: Duration = Duration::from_hours(1);

/// A job needs little more than nested JSON and a TLS handshake.
const STACK_BYTES: usize = 1024 * 1024;

/// How long threads may take to end once their work is over.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the delivery is made of.
pub struct Setup {
    /// What it is set to.
    pub plan: Plan,
    /// For the scout.
    pub mission: Mission,
    /// One for each worker.
    pub workers: Vec<Worker>,
    /// Asks the gateway whether it is there: nothing, or why not.
    pub probe: Box<dyn Fn() -> Option<String> + Send>,
}

/// What others may see of the delivery, and the one thing they may do. Cheap to clone.
#[derive(Clone)]
pub struct View {
    nudges: Sender<()>,
    standing: Arc<Mutex<Standing>>,
}

impl View {
    /// There may be new rows.
    pub fn nudge(&self) {
        // A full channel has the news already.
        let _ = self.nudges.try_send(());
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
    threads: Vec<JoinHandle<()>>,
}

/// The dispatcher's ends of the channels.
struct Desk {
    dispatcher: Dispatcher,
    inbox: Receiver<Event>,
    nudges: Receiver<()>,
    jobs: Sender<Box<Job>>,
    lists: Sender<Order>,
    probes: Sender<()>,
    standing: Arc<Mutex<Standing>>,
    _alive: Sender<()>,
}

impl Service {
    /// Starts all threads. The first list is asked for at once.
    pub fn start(setup: Setup) -> std::io::Result<Self> {
        let workers = setup.workers.len();
        // One answer for each job, list and probe under way, and the order to stop.
        let (inbox, heard) = bounded(workers + 3);
        // One waiting nudge says as much as many.
        let (nudges, bell) = bounded(1);
        let (jobs, work) = bounded(workers);
        let (lists, list_orders) = bounded(1);
        let (probes, probe_orders) = bounded(1);
        let (alive, ended) = bounded(0);
        let standing = Arc::<Mutex<Standing>>::default();
        let mut threads = Vec::with_capacity(workers + 3);

        let (mission, to) = (setup.mission, inbox.clone());
        threads.push(spawn("scout", move || scout(&mission, &list_orders, &to))?);
        let (probe, to) = (setup.probe, inbox.clone());
        threads.push(spawn("prober", move || prober(&*probe, &probe_orders, &to))?);
        for (number, worker) in (1..).zip(setup.workers) {
            let (work, to, nudges) = (work.clone(), inbox.clone(), nudges.clone());
            threads.push(spawn(&format!("worker-{number}"), move || worker.run(&work, &to, &nudges))?);
        }
        let desk = Desk {
            dispatcher: Dispatcher::new(setup.plan),
            inbox: heard,
            nudges: bell,
            jobs,
            lists,
            probes,
            standing: standing.clone(),
            _alive: alive,
        };
        threads.push(spawn("dispatcher", move || desk.run())?);
        Ok(Self { inbox, view: View { nudges, standing }, ended, threads })
    }

    /// What others may see of it.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Begins nothing any more and waits for what runs, at most this long; then `turns` is closed, which ends it.
    pub fn stop(self, drain: Duration, turns: &Stop) {
        // It cannot fail as long as the dispatcher lives, and if it does not there is nothing to stop.
        let _ = self.inbox.send(Event::Stop);
        let in_time = self.ended.recv_timeout(drain);
        if in_time == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            let running = self.view.standing().running;
            warn!("turns still running after {} s are cut off: {running}", drain.as_secs());
            turns.close();
        }
        drop((self.inbox, self.view));
        let until = Instant::now() + FAREWELL;
        for thread in self.threads {
            while !thread.is_finished() && Instant::now() < until {
                thread::park_timeout(Duration::from_millis(2));
            }
            if !thread.is_finished() {
                let name = thread.thread().name().unwrap_or("a thread").to_owned();
                warn!("{name} did not end within {} s", FAREWELL.as_secs());
            }
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(work)
}

impl Desk {
    fn run(mut self) {
        let clock = SteadyClock::new();
        let mut event = None;
        loop {
            let now = clock.now();
            for effect in self.dispatcher.on(event, now) {
                self.carry_out(effect);
            }
            *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = self.dispatcher.standing();
            if self.dispatcher.is_done() {
                return;
            }
            let wait = self.dispatcher.wake_at(now).map_or(LONG, |at| at.since(now));
            event = select! {
                recv(self.inbox) -> event => event.ok(),
                recv(self.nudges) -> _ => Some(Event::Nudged),
                default(wait) => None,
            };
        }
    }

    fn carry_out(&self, effect: Effect) {
        // There is room, see above; and the threads at the other ends live until this one has ended.
        let done = match effect {
            Effect::List { list, limit } => self.lists.try_send(Order { list, limit }).is_ok(),
            Effect::Start(job) => self.jobs.try_send(job).is_ok(),
            Effect::Probe => self.probes.try_send(()).is_ok(),
        };
        if !done {
            warn!("an order of the dispatcher found nobody; please report this as a bug");
        }
    }
}
