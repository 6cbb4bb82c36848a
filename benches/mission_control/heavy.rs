//! A heavy board under concurrent use: the first load, the polls for changes, and the list of notifications. The list is
//! measured alone, with six pages at their normal rate, and with six pages at full speed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::copies::{Size, copy, id};
use super::{Data, Served, SystemClock, opening};

const SIZE: Size =
    Size { tasks: 10_000, agents: 5, messages: 100_000, documents: 2_000, waiting: 100, followers: 1 };
const PAGES: usize = 6;
/// The interval at which a page polls during activity.
const RHYTHM: Duration = Duration::from_secs(1);
/// The number of timed lists, first loads and polls.
const LISTS: usize = 1_000;
const LOADS: usize = 30;

/// The targets.
const FIRST_LOAD_BYTES: usize = 1_000_000;
const LIST_P99: Duration = Duration::from_millis(20);

/// Measures everything. Returns whether every target is met.
pub(super) fn measure() -> bool {
    let home = tempfile::tempdir().unwrap();
    let (file, directory) = (home.path().join("copy.json"), home.path().join("data"));
    std::fs::write(&file, copy(SIZE).to_string()).unwrap();
    let began = Instant::now();
    drop(
        Data::import(&opening(&directory), &file, Box::new(SystemClock))
            .unwrap_or_else(|why| panic!("{why}")),
    );
    println!(
        "\na heavy board: {} tasks, {} messages, {} documents; imported in {:.1?}",
        SIZE.tasks,
        SIZE.messages,
        SIZE.documents,
        began.elapsed()
    );
    let served = Served::start(&directory);
    let mut met = first_load(&served);
    polls(&served);
    met &= lists(&served, "alone", &|_| {});
    met &= lists(&served, "with six pages, each once a second", &|page| {
        page.poll();
        thread::sleep(RHYTHM);
    });
    met &= lists(&served, "with six pages that poll without a pause", &|page| page.poll());
    met &= lists(&served, "with six pages that reload without a pause", &|page| page.load());
    met
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The time at a share of sorted times.
fn at(times: &[Duration], share: usize) -> f64 {
    ms(times[(times.len() - 1) * share / 100])
}

/// Calls a function of Mission Control over HTTP: endpoint, path, arguments.
type Ask<'a> = Box<dyn FnMut(&str, &str, Value) -> Value + Send + 'a>;

/// The requests of one page.
struct Page<'a> {
    ask: Ask<'a>,
    revision: String,
}

impl<'a> Page<'a> {
    fn open(served: &'a Served) -> Self {
        let mut page = Self { ask: Box::new(served.client()), revision: String::new() };
        page.load();
        page
    }

    fn load(&mut self) {
        let loaded = (self.ask)("query", "board:snapshot", json!({}));
        self.note(&loaded);
    }

    fn poll(&mut self) {
        let news = (self.ask)("query", "board:changes", json!({"since": self.revision}));
        self.note(&news);
    }

    fn note(&mut self, answer: &Value) {
        match answer["revision"].as_str() {
            Some(revision) => revision.clone_into(&mut self.revision),
            None => self.load(),
        }
    }
}

fn first_load(served: &Served) -> bool {
    let mut client = served.client();
    let mut times = Vec::new();
    let mut bytes = 0;
    for number in 0..LOADS {
        let args = if number % 2 == 0 { json!({}) } else { json!({"taskId": id("kx", number)}) };
        let began = Instant::now();
        let loaded = client("query", "board:snapshot", args);
        times.push(began.elapsed());
        bytes = bytes.max(loaded.to_string().len());
    }
    times.sort();
    let met = bytes <= FIRST_LOAD_BYTES;
    println!(
        "first load: {bytes} bytes (with a task opened), {:.1} ms p50, {:.1} ms at most; target <= {FIRST_LOAD_BYTES} bytes: {}",
        at(&times, 50),
        at(&times, 100),
        verdict(met)
    );
    met
}

/// Polls after a change, and after no change.
fn polls(served: &Served) {
    let mut page = Page::open(served);
    let mut client = served.client();
    for (what, changes) in [("nothing", false), ("one task and a message", true)] {
        let (mut times, mut bytes) = (Vec::new(), 0);
        for number in 0..LOADS {
            if changes {
                let task = id("kx", 1 + number);
                client("mutation", "tasks:update", json!({"taskId": task, "priority": 1 + number % 5}));
                client("mutation", "messages:create", json!({"taskId": task, "content": "It goes on."}));
            }
            let began = Instant::now();
            let news = (page.ask)("query", "board:changes", json!({"since": page.revision}));
            times.push(began.elapsed());
            bytes = bytes.max(news.to_string().len());
            page.note(&news);
        }
        times.sort();
        println!(
            "poll after {what}: {bytes} bytes, {:.2} ms p50, {:.2} ms at most",
            at(&times, 50),
            at(&times, 100)
        );
    }
}

/// Lists of waiting notifications while pages do this and a person writes ten times a second.
fn lists(served: &Served, beside: &str, what: &(dyn Fn(&mut Page<'_>) + Sync)) -> bool {
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut times = Vec::new();
    let began = Instant::now();
    thread::scope(|scope| {
        if beside != "alone" {
            for _ in 0..PAGES {
                scope.spawn(|| {
                    let mut page = Page::open(served);
                    while !stop.load(Ordering::Relaxed) {
                        what(&mut page);
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            scope.spawn(|| {
                let mut client = served.client();
                let mut number = 1;
                while !stop.load(Ordering::Relaxed) {
                    let args = json!({"taskId": id("kx", number), "content": "It goes on."});
                    client("mutation", "messages:create", args);
                    number = number % 1_000 + 1;
                    thread::sleep(RHYTHM / 10);
                }
            });
        }
        let mut client = served.client();
        for _ in 0..LISTS {
            let before = Instant::now();
            client("action", "service/actions:listUndeliveredNotifications", json!({"limit": 50}));
            times.push(before.elapsed());
            // A runtime pauses between lists.
            thread::sleep(Duration::from_millis(5));
        }
        stop.store(true, Ordering::Relaxed);
    });
    times.sort();
    let met = ms(LIST_P99) >= at(&times, 99);
    println!(
        "list {beside}: {:.2} ms p50, {:.2} ms p99, {:.2} ms at most; pages were answered {:.0} times a second; target p99 <= \
         {LIST_P99:?}: {}",
        at(&times, 50),
        at(&times, 99),
        at(&times, 100),
        asked.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64(),
        verdict(met)
    );
    met
}
