//! The threads of the delivery with doubles that panic, lose calls or stay away: what the board shows afterwards.

/// A dispatcher that hangs, and the watchdog of systemd.
mod supervised;

use mission_control_runtime::convex;
use mission_control_runtime::delivery::agent_limits::AgentLimitsConfig;
use mission_control_runtime::delivery::budget::BudgetKeeper;
use mission_control_runtime::delivery::call_limit::CallLimit;
use mission_control_runtime::delivery::journal::{Journal, JournalError, Note, Step, Wait};
use mission_control_runtime::delivery::operator_requests::{Hold, OperatorReply, OperatorRequest};
use mission_control_runtime::delivery::scheduler::{PollIntervals, RecoveredState, SchedulerConfig};
use mission_control_runtime::delivery::service::{DeliverySetup, Service, View};
use mission_control_runtime::delivery::stall_monitor::{StallLimits, StallWatch};
use mission_control_runtime::delivery::worker::Worker;
use mission_control_runtime::gateway::history::TurnMark;
use mission_control_runtime::gateway::{Class, Gateway, GatewayError, Progress, Recovered, Reply, Turn, Why};
use mission_control_runtime::http::health::{PanicHealth, Parts};
use mission_control_runtime::http::message;
use mission_control_runtime::http::server::{Server, ServerLimits};
use mission_control_runtime::local::Options;
use mission_control_runtime::metrics::Metrics;
use mission_control_runtime::mission::Mission;
use mission_control_runtime::model::{AccountId, SessionKey};
use mission_control_runtime::ops::HealthReason;
use mission_control_runtime::panics::Panics;
use mission_control_runtime::roster;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::sessions::Sessions;
use mission_control_runtime::wakeup::Wakeup;
use mission_control_runtime::wire::Stop;
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::beats;
use crate::support::board::{Board, agent};
use crate::support::direct::{Direct, Fault};
use crate::support::service_parts;

const POST: &str = "createMessageFromAgent";
const LIST: &str = "listUndeliveredNotifications";

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// A gateway that answers every turn while it is there.
#[derive(Clone, Default)]
struct Simple {
    away: Arc<AtomicBool>,
    turns: Arc<AtomicUsize>,
    /// The next turn waits until somebody says so.
    gate: Arc<Mutex<Option<crossbeam_channel::Receiver<()>>>>,
}

impl Gateway for Simple {
    fn turn(&self, turn: &Turn<'_>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Reply, GatewayError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(GatewayError::new(Class::Closed, Why::Unreachable, None));
        }
        let number = self.turns.fetch_add(1, Ordering::SeqCst);
        progress(Progress::TurnAccepted(&format!("resp_{number}")));
        let gate = self.gate.lock().unwrap().take();
        if let Some(gate) = gate {
            gate.recv_timeout(PATIENCE).unwrap();
        }
        Ok(Reply { text: Some(format!("{} answers.", turn.agent)), ..Reply::default() })
    }

    fn recover(&self, _: &SessionKey, _: &str, _: &TurnMark<'_>) -> Result<Recovered, GatewayError> {
        Ok(Recovered::Absent { marker_seen: false })
    }

    fn abort(&self, _: &SessionKey, _: &str, _: Option<&str>) -> Result<bool, GatewayError> {
        Ok(false)
    }
}

/// A journal that panics at the next note of this step, or waits there for a message.
#[derive(Default)]
struct Fragile(Mutex<Option<Step>>, Mutex<Option<crossbeam_channel::Receiver<()>>>);

impl Fragile {
    fn panics_at(&self, step: Step) {
        *self.0.lock().unwrap() = Some(step);
    }

    fn waits_at(&self, step: Step) -> crossbeam_channel::Sender<()> {
        let (open, gate) = crossbeam_channel::bounded(1);
        *self.1.lock().unwrap() = Some(gate);
        self.panics_at(step);
        open
    }
}

impl Journal for Fragile {
    fn note(&self, note: &Note<'_>, _: Wait) -> Result<(), JournalError> {
        let mut at = self.0.lock().unwrap();
        if at.is_some() && note.step.map(|(step, _)| step) == *at {
            *at = None;
            drop(at);
            if let Some(gate) = self.1.lock().unwrap().take() {
                gate.recv_timeout(PATIENCE).unwrap();
                return Ok(());
            }
            panic!("the journal panics, as ordered");
        }
        Ok(())
    }
}

/// A board, a gateway, and the threads between them.
struct Shop {
    board: Board,
    /// Ben and Ada.
    agents: [String; 2],
    backend: Direct,
    gateway: Simple,
    journal: Arc<Fragile>,
    /// How many probes panic.
    panics: Arc<AtomicUsize>,
    /// How many looks at quiet turns panic, and how many there were.
    looks: Arc<(AtomicUsize, AtomicUsize)>,
    /// The calls of the backend that the process counts.
    calls: Arc<AtomicU64>,
    noted: Panics,
    service: Option<Service>,
    view: Option<View>,
}

impl Shop {
    fn new() -> Self {
        let board = Board::unserved(Options::default());
        let agents = ["ben", "ada"].map(|slug| board.agent(slug, slug, "Writer", json!({})));
        let backend = Direct::new(board.engine.clone());
        Self {
            board,
            agents,
            backend,
            gateway: Simple::default(),
            journal: Arc::default(),
            panics: Arc::default(),
            looks: Arc::default(),
            calls: Arc::default(),
            noted: Panics::default(),
            service: None,
            view: None,
        }
    }

    fn start(&mut self, workers: usize) {
        let account = AccountId::new(&self.board.account);
        let token = Secret::new(&self.board.token);
        let mission = Mission::new(Arc::new(self.backend.clone()), account.clone(), token);
        let rules = Arc::new(service_parts::rules());
        let people = roster::Team::default();
        people.fetch(&mission).unwrap();
        let sessions = Arc::new(Sessions::in_memory(account));
        let no_beats = beats::none(&self.board.account);
        let worker = |_| Worker {
            mission: mission.clone(),
            gateway: Box::new(self.gateway.clone()),
            journal: self.journal.clone(),
            team: people.clone(),
            made: Arc::default(),
            sessions: sessions.clone(),
            rules: rules.clone(),
            beats: no_beats.clone(),
            budget: Arc::new(BudgetKeeper::off()),
            metrics: Arc::new(Metrics::new([])),
            pool: None,
        };
        let (away, panics, looks) = (self.gateway.away.clone(), self.panics.clone(), self.looks.clone());
        let quick = Duration::from_millis(20);
        let intervals = PollIntervals {
            interval: Duration::from_millis(200),
            idle_interval: Duration::from_millis(200),
            backoff_base: Duration::from_millis(200),
            backoff_max: Duration::from_millis(400),
        };
        let service = Service::start(DeliverySetup {
            plan: SchedulerConfig {
                workers,
                list_limit: 50,
                calls_monthly: 900_000,
                intervals,
                fold_max: 1,
                agent_limits: AgentLimitsConfig::default(),
            },
            mission: mission.clone(),
            workers: (0..workers).map(worker).collect(),
            journal: self.journal.clone(),
            left: RecoveredState::default(),
            watch: StallWatch {
                limits: StallLimits { quiet: quick, look: quick, round: quick },
                look: Box::new(move |_| {
                    looks.1.fetch_add(1, Ordering::SeqCst);
                    assert!(!take(&looks.0), "the look panics, as ordered");
                    Ok(None)
                }),
                calls: CallLimit { most: 32, may_loop: Box::new(|| false) },
            },
            beats: no_beats.clone(),
            probe: Box::new(move || {
                assert!(!take(&panics), "the probe panics, as ordered");
                away.load(Ordering::SeqCst).then(|| "away".to_owned())
            }),
            team: people.clone(),
            backend_calls: {
                let calls = self.calls.clone();
                Box::new(move || calls.load(Ordering::SeqCst))
            },
            reporter: Wakeup::new(),
            panics: self.noted.clone(),
            jobs: None,
        });
        let service = service.unwrap();
        self.view = Some(service.view());
        self.service = Some(service);
    }

    fn view(&self) -> &View {
        self.view.as_ref().unwrap()
    }

    /// A person names an agent in a new thread.
    fn mention(&self, slug: &str) -> String {
        let agent = &self.agents[usize::from(slug == "ada")];
        let task = self.board.task(json!({"status": "assigned", "assignedAgentIds": [agent]}));
        self.board.person_says(&task, &format!("@{slug}?"));
        self.view.as_ref().inspect(|view| view.nudge());
        task
    }

    fn answers(&self, task: &str) -> usize {
        let rows = self.board.rows("messages").into_iter();
        rows.filter(|row| row["taskId"] == task && row["authorType"] == "agent").count()
    }

    #[track_caller]
    fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < until, "{what} does not come: {:?}", self.view().state());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[track_caller]
    fn answered(&self, task: &str) {
        self.until("the answer", |shop| shop.answers(task) == 1);
    }

    /// Health knows which thread panicked.
    #[track_caller]
    fn names(&self, thread: &str) {
        let health = PanicHealth::of(self.noted.last().as_ref());
        assert_eq!(health.last_thread, Some(thread), "{health:?}");
        let parts = Parts { panics: health, ..Parts::default() };
        assert_eq!(parts.reasons(), [HealthReason::ThreadPanicked]);
    }

    /// The only worker has a turn, and a second row waits. Returns the task of the turn, and what ends the turn.
    fn a_row_waits_for_the_worker(&self) -> (String, crossbeam_channel::Sender<()>) {
        let (open, gate) = crossbeam_channel::bounded(1);
        *self.gateway.gate.lock().unwrap() = Some(gate);
        let busy = self.mention("ben");
        self.until("a turn", |shop| shop.gateway.turns.load(Ordering::SeqCst) == 1);
        self.mention("ada");
        self.until("the second row", |shop| shop.view().state().known == 2);
        (busy, open)
    }

    /// The waiting row is missing from the next list, and the dispatcher notes that.
    fn loses_the_waiting_row(&self) {
        self.backend.fail(LIST, [Fault::Instead(json!([]))]);
        self.view().nudge();
        self.until("the note", |shop| shop.journal.0.lock().unwrap().is_none());
    }

    fn stop(&mut self) {
        let (_hurry, calm) = crossbeam_channel::bounded(0);
        assert!(self.service.take().unwrap().stop(Duration::from_secs(5), &calm, &Stop::default()).in_order);
    }
}

/// Takes one of what is left.
fn take(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

/// The answer is recorded when the backend refuses it for a moment. Then the gateway goes away, or the agents are
/// paused: the answer is posted, and the next row waits.
#[test]
fn a_recorded_answer_is_posted_while_no_turn_may_start() {
    for how in ["the gateway is away", "paused"] {
        let mut shop = Shop::new();
        shop.start(2);
        shop.backend
            .fail(POST, [Fault::Before(convex::CallClass::Transient, convex::CallReason::Unreachable)]);
        let first = shop.mention("ben");
        shop.until("the refusal", |shop| shop.view().state().stats.failed == 1);
        assert_eq!(shop.answers(&first), 0);
        if how == "paused" {
            let hold = Hold { all: true, ..Hold::default() };
            assert!(matches!(shop.view().ask(OperatorRequest::Hold(hold)), Some(OperatorReply::Done)));
        } else {
            shop.gateway.away.store(true, Ordering::SeqCst);
        }
        let second = shop.mention("ada");
        if how != "paused" {
            shop.until("the breaker", |shop| shop.view().state().breaker_open.is_some());
        }
        shop.answered(&first);
        assert_eq!((shop.answers(&second), shop.gateway.turns.load(Ordering::SeqCst)), (0, 1), "{how}");
        assert_eq!(shop.view().state().breaker_open.is_some(), how != "paused");
        shop.stop();
    }
}

/// 900,000 calls a month are 30,000 a day, which may be made at once.
#[test]
fn calls_above_the_monthly_rate_limit_the_lists_and_no_delivery() {
    let mut shop = Shop::new();
    shop.start(2);
    shop.until("lists", |shop| shop.view().state().lists > 2);
    assert!(!shop.view().state().lists_limited);
    shop.calls.store(30_001, Ordering::SeqCst);
    shop.until("the limit", |shop| shop.view().state().lists_limited);
    let task = shop.mention("ben");
    shop.answered(&task);
    assert!(shop.view().state().lists_limited);
    shop.stop();
}

#[test]
fn a_probe_that_panics_is_repeated() {
    let mut shop = Shop::new();
    shop.start(2);
    shop.gateway.away.store(true, Ordering::SeqCst);
    let task = shop.mention("ben");
    shop.panics.store(2, Ordering::SeqCst);
    shop.until("two panics", |shop| shop.panics.load(Ordering::SeqCst) == 0);
    shop.gateway.away.store(false, Ordering::SeqCst);
    shop.answered(&task);
    shop.names("prober");
    shop.stop();
}

/// A panic behind the steps of the delivery, where its end is noted.
#[test]
fn a_worker_that_panics_gives_its_row_back_and_goes_on() {
    for step in [Step::Ended, Step::Rests] {
        let mut shop = Shop::new();
        shop.start(1);
        shop.journal.panics_at(step);
        if step == Step::Rests {
            shop.backend
                .fail(POST, [Fault::Before(convex::CallClass::Transient, convex::CallReason::Unreachable)]);
        }
        let first = shop.mention("ben");
        shop.until("the panic", |shop| shop.journal.0.lock().unwrap().is_none());
        let second = shop.mention("ada");
        shop.answered(&second);
        shop.answered(&first);
        shop.until("the end of both", |shop| shop.view().state().known == 0);
        let (turns, running) = (shop.gateway.turns.load(Ordering::SeqCst), shop.view().state().running);
        assert_eq!((turns, running), (2, 0), "each agent is asked once");
        shop.names("worker");
        shop.stop();
    }
}

/// The dispatcher notes that a row is gone, and the journal panics over it.
#[test]
fn a_dispatcher_that_panics_goes_on() {
    let mut shop = Shop::new();
    shop.start(1);
    let (busy, open) = shop.a_row_waits_for_the_worker();
    shop.journal.panics_at(Step::Ended);
    shop.loses_the_waiting_row();
    open.send(()).unwrap();
    shop.answered(&busy);
    let third = shop.mention("ada");
    shop.answered(&third);
    shop.names("dispatcher");
    shop.stop();
}

#[test]
fn a_list_that_panics_is_repeated() {
    let mut shop = Shop::new();
    shop.backend.fail(LIST, [Fault::Panic, Fault::Panic]);
    shop.start(1);
    let task = shop.mention("ben");
    shop.answered(&task);
    shop.names("poller");
    shop.stop();
}

#[test]
fn a_check_of_a_quiet_turn_that_panics_is_repeated() {
    let mut shop = Shop::new();
    shop.start(1);
    shop.looks.0.store(2, Ordering::SeqCst);
    let (open, gate) = crossbeam_channel::bounded(1);
    *shop.gateway.gate.lock().unwrap() = Some(gate);
    let task = shop.mention("ben");
    shop.until("looks behind the panics", |shop| shop.looks.1.load(Ordering::SeqCst) > 3);
    open.send(()).unwrap();
    shop.answered(&task);
    shop.names("stall-monitor");
    shop.stop();
}

#[test]
fn a_panic_in_a_handler_refuses_the_request_and_is_shown_in_health() {
    let left = AtomicUsize::new(1);
    let handler = move |_| {
        assert!(!take(&left), "the handler panics, as ordered");
        message::Reply::json("{}")
    };
    let server = Server::bind("127.0.0.1:0", ServerLimits::default(), handler).unwrap();
    let noted = Panics::default();
    server.notes_panics(noted.clone());
    let url = format!("http://{}/", server.local_addr());
    let statuses = [(); 2].map(|()| agent().get(&url).call().unwrap().status().as_u16());
    assert_eq!(statuses, [500, 200]);
    assert_eq!(noted.last().map(|last| (last.thread, last.count)), Some(("http-connection", 1)));
}
