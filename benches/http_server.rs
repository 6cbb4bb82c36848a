//! Small requests per second: the server compared with a bare loop that reads a head and writes fixed bytes. The bare loop
//! is the upper limit for any server with a thread per connection.
//!
//! The servers are child processes (this program in another role), so that their time and memory are measured alone. The
//! clients write to all their connections before they read from any, as many clients at once do.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark prints figures and panics on errors"
)]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write, stdin};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mission_control_runtime::http::message::Reply;
use mission_control_runtime::http::server::{Server, ServerLimits};

const CONNECTIONS: usize = 32;
/// Client threads. The server has the rest of the machine.
const CLIENTS: usize = 2;
const RUNS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(500);
const RUN: Duration = Duration::from_secs(2);
/// One tick of the kernel's accounting (`CLK_TCK` is 100 on every Linux we run on).
const TICK: Duration = Duration::from_millis(10);
/// The target for small replies (design, "Proof").
const TARGET: f64 = 40_000.0;

/// The paths and the bodies of their replies.
const ANSWERS: [(&str, usize); 2] = [("/small", 100), ("/medium", 2000)];
/// Connections that pipeline requests and read nothing, and the number of threads that drive them.
const PIPELINERS: usize = 400;
const DRIVERS: usize = 4;
/// The number of probes during that, each over a new connection.
const PROBES: usize = 500;
/// The target for the slowest percent of the probes.
const PROBE_TARGET: Duration = Duration::from_millis(50);
/// About the size of the HTML page.
const PAGE_BYTES: usize = 62_000;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("serve-ours") => ours(),
        Some("serve-bare") => bare(),
        _ => measure(),
    }
}

/// The server as the runtime uses it, with prepared bodies.
fn ours() {
    let bodies = ANSWERS.map(|(path, size)| (path, Arc::<[u8]>::from(vec![b'x'; size])));
    let limits = ServerLimits { reserved_paths: vec!["/livez"], ..ServerLimits::default() };
    let server = Server::bind("127.0.0.1:0", limits, move |request| {
        if request.path() == "/page" {
            return Reply::html(vec![b'x'; PAGE_BYTES]);
        }
        if request.path() == "/livez" {
            return Reply::json(r#"{"live":true}"#).no_store();
        }
        match bodies.iter().find(|(path, _)| request.path() == *path) {
            Some((_, body)) => Reply::json(Arc::clone(body)).no_store(),
            None => Reply::error(404, "Not Found"),
        }
    })
    .unwrap();
    println!("{}", server.local_addr());
    let _ = std::io::copy(&mut stdin(), &mut std::io::sink());
}

/// The upper limit: one read, one search for the end of the head, one write.
fn bare() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || {
                let answers = ANSWERS.map(|(_, size)| {
                    let head = "HTTP/1.1 200 OK\r\nServer: bare\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\
                        Content-Type: application/json\r\nCache-Control: no-store\r\nContent-Length";
                    format!("{head}: {size}\r\n\r\n{}", "x".repeat(size)).into_bytes()
                });
                let mut head = [0; 2048];
                while let Ok(length @ 1..) = stream.read(&mut head) {
                    assert!(head[..length].ends_with(b"\r\n\r\n"));
                    let answer = &answers[usize::from(head[..length].starts_with(b"GET /medium"))];
                    stream.write_all(answer).unwrap();
                }
            });
        }
    });
    let _ = std::io::copy(&mut stdin(), &mut std::io::sink());
}

/// A server in a child process.
struct Subject {
    name: &'static str,
    process: Child,
    address: SocketAddr,
}

impl Subject {
    fn start(name: &'static str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(format!("serve-{name}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { name, process, address: line.trim().parse().unwrap() }
    }

    /// The processor time of the process, user and kernel.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let (_, after_name) = stat.rsplit_once(") ").unwrap();
        let ticks: u32 =
            after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u32>().unwrap()).sum();
        TICK * ticks
    }

    fn rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The figures of one run.
struct Figures {
    per_second: f64,
    worst: Duration,
    cpu: Duration,
}

/// Keeps all connections busy for a while.
fn run(subject: &Subject, path: &str, span: Duration) -> Figures {
    let before = subject.cpu();
    let start = Instant::now();
    let client = || client(subject.address, path, start + span);
    let (count, worst) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let results = clients.into_iter().map(|client| client.join().unwrap());
        results.fold((0, Duration::ZERO), |(all, slowest), (count, worst)| (all + count, slowest.max(worst)))
    });
    let per_second = f64::from(count) / start.elapsed().as_secs_f64();
    Figures { per_second, worst, cpu: subject.cpu().saturating_sub(before) / count }
}

/// One client thread: the number of its replies, and its longest wait for one.
fn client(address: SocketAddr, path: &str, until: Instant) -> (u32, Duration) {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n");
    let mut answer = vec![0; 16 * 1024];
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS / CLIENTS)
        .map(|_| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream
        })
        .collect();
    // All replies have the length of the first one: the length of the date is constant, too.
    streams[0].write_all(request.as_bytes()).unwrap();
    let length = streams[0].read(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..length]));

    let (mut count, mut worst) = (0, Duration::ZERO);
    while Instant::now() < until {
        let start = Instant::now();
        for stream in &mut streams {
            stream.write_all(request.as_bytes()).unwrap();
        }
        for stream in &mut streams {
            stream.read_exact(&mut answer[..length]).unwrap();
            count += 1;
        }
        worst = worst.max(start.elapsed());
    }
    (count, worst)
}

/// The memory of connections that have been answered once and are idle now: as many as the server has places.
fn idle_cost(subject: &Subject) {
    let connect = |_| {
        let mut stream = TcpStream::connect(subject.address).unwrap();
        stream.write_all(b"GET /small HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        assert_ne!(stream.read(&mut [0; 1024]).unwrap(), 0);
        stream
    };
    let first = connect(0); // loads the code itself
    let before = subject.rss_kib();
    let crowd: Vec<TcpStream> = (1..ServerLimits::default().connections).map(connect).collect();
    let cost = subject.rss_kib() - before;
    println!("\n{} more idle connections cost {cost} KiB", crowd.len());
    drop(first);
}

fn measure() {
    println!("{CONNECTIONS} kept-alive connections, {CLIENTS} client threads, {RUNS} runs of {RUN:?} each");
    println!(
        "{:8} {:8} {:>9} {:>9} {:>9}  {:>8} {:>8} {:>9}",
        "path", "server", "median/s", "min", "max", "worst", "CPU/req", "RSS"
    );
    let subjects = [Subject::start("ours"), Subject::start("bare")];
    for (path, _) in ANSWERS {
        let mut medians = Vec::new();
        for subject in &subjects {
            run(subject, path, WARM_UP);
        }
        // Alternating, so that other load on the machine affects both.
        let mut all: [Vec<Figures>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..RUNS {
            for (subject, figures) in subjects.iter().zip(&mut all) {
                figures.push(run(subject, path, RUN));
            }
        }
        for (subject, figures) in subjects.iter().zip(&mut all) {
            figures.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
            let rate = |at: usize| figures[at].per_second;
            let worst = figures.iter().map(|run| run.worst).max().unwrap();
            let (median, cpu) = (rate(RUNS / 2), figures[RUNS / 2].cpu);
            let (name, least, most) = (subject.name, rate(0), rate(RUNS - 1));
            let rss = subject.rss_kib();
            println!(
                "{path:8} {name:8} {median:9.0} {least:9.0} {most:9.0}  {worst:>8.1?} {cpu:>8.1?} {rss:>5} KiB"
            );
            medians.push(median);
        }
        println!("{path:8} ratio ours/bare: {:.2}", medians[0] / medians[1]);
        if path == "/small" {
            let verdict = if medians[0] >= TARGET { "met" } else { "MISSED" };
            println!("{path:8} target {TARGET:.0}/s: {verdict}");
        }
    }
    idle_cost(&Subject::start("ours"));
    attack(&Subject::start("ours"));
}

/// Probes while clients that do not read take every place. Such a client reconnects when it is cut off.
fn attack(subject: &Subject) {
    let ended = AtomicBool::new(false);
    let (failed, mut times) = thread::scope(|scope| {
        for _ in 0..DRIVERS {
            scope.spawn(|| pipeliners(subject.address, PIPELINERS / DRIVERS, &ended));
        }
        thread::sleep(RUN);
        let mut times = Vec::with_capacity(PROBES);
        let mut failed = 0;
        for _ in 0..PROBES {
            let start = Instant::now();
            failed += usize::from(!lives(subject.address));
            times.push(start.elapsed());
            thread::sleep(WARM_UP / 100);
        }
        ended.store(true, Ordering::Release);
        (failed, times)
    });
    times.sort_unstable();
    let (p50, p99, worst) = (times[PROBES / 2], times[PROBES * 99 / 100], times[PROBES - 1]);
    println!(
        "\n{PIPELINERS} pipeliners that never read: {failed} of {PROBES} probes failed; \
         p50 {p50:.1?}, p99 {p99:.1?}, worst {worst:.1?}; RSS {} KiB",
        subject.rss_kib()
    );
    let verdict = if failed == 0 && p99 <= PROBE_TARGET { "met" } else { "MISSED" };
    println!("target 0 failed, p99 {PROBE_TARGET:?}: {verdict}");
}

fn lives(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200 "))
    };
    ask().unwrap_or(false)
}

fn pipeliners(address: SocketAddr, count: usize, ended: &AtomicBool) {
    let requests = "GET /page HTTP/1.1\r\nHost: h\r\n\r\n".repeat(100);
    let come = || {
        // The kernel holds 128 connections that wait to be accepted.
        thread::sleep(Duration::from_micros(500));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
        stream.write_all(requests.as_bytes()).ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(stream)
    };
    let mut streams: Vec<Option<TcpStream>> = (0..count).map(|_| come()).collect();
    while !ended.load(Ordering::Acquire) {
        for stream in &mut streams {
            let stays = stream.as_mut().is_some_and(|stream| match stream.write(requests.as_bytes()) {
                Ok(_) => true,
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            });
            if !stays {
                *stream = come();
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
}
