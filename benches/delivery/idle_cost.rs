//! The idle cost of the program, and the latency and throughput of `/health`: size, start, memory, processor time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Options;
use super::bursts;
use super::observations::{Load, Pace};
use super::process::{Behind, Carrier, Runtime, Setting, program};
use super::table::{Table, Target};

const STARTS: usize = 11;
/// After this time a started program has finished its start-up work.
const SETTLED: Duration = Duration::from_secs(3);
/// The shortest interval of the roster.
const SYNC_INTERVAL: Duration = Duration::from_secs(5);
/// The size of a very large roster.
const MANY_AGENTS: usize = 10_000;
const CONNECTIONS: usize = 32;
/// Client threads. The server has the rest of the machine.
const CLIENTS: usize = 2;

#[allow(clippy::cast_precision_loss, reason = "a program of 2^53 bytes does not start")]
pub(crate) fn size(table: &mut Table) {
    let program = std::fs::read(program()).unwrap();
    // A dynamic binary names its loader near its start, such as `/lib64/ld-linux-x86-64.so.2`.
    let head = &program[..program.len().min(4096)];
    let dynamic = head.windows(4).any(|window| window == b"/ld-");
    let megabytes = vec![program.len() as f64 / 1e6];
    let (name, target) = if dynamic {
        ("binary (dynamic; the target is for a static one)", Target::None)
    } else {
        ("binary, static", Target::AtMost(7.5))
    };
    table.add(name, "MB", megabytes, target);
}

pub(crate) fn start(table: &mut Table, behind: &Behind, options: &Options) {
    let count = if options.runs == 1 { 3 } else { STARTS };
    let starts = (0..count).map(|_| {
        let state = options.folder();
        Runtime::start(behind, state.path(), Setting::default()).start.as_secs_f64() * 1e3
    });
    table.add("start to /health", "ms", starts.collect(), Target::AtMost(10.0));
}

pub(crate) fn idle(table: &mut Table, behind: &Behind, options: &Options) {
    behind.reset();
    let state = options.folder();
    let runtime = Runtime::start(behind, state.path(), Setting::default());
    thread::sleep(SETTLED);
    let (before, began) = (runtime.process().fine_cpu(), Instant::now());
    thread::sleep(options.idle);
    let spent = runtime.process().fine_cpu().saturating_sub(before);
    let percent = spent.as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    table.add("memory, idle", "MiB", vec![runtime.process().memory()], Target::AtMost(7.0));
    let name = format!("processor, idle for {:?}", options.idle);
    table.add(&name, "%", vec![percent], Target::AtMost(0.03));
}

/// The processor time of one fetch of a huge roster: parsing, publication and what follows from it.
pub(crate) fn roster(table: &mut Table, options: &Options) {
    let many = Behind::start(MANY_AGENTS);
    let span = options.idle.max(4 * SYNC_INTERVAL);
    let spent = |interval| {
        let state = options.folder();
        let setting = Setting { sync_interval: Some(interval), ..Setting::default() };
        let runtime = Runtime::start(&many, state.path(), setting);
        thread::sleep(SETTLED);
        let before = runtime.process().fine_cpu();
        thread::sleep(span);
        runtime.process().fine_cpu().saturating_sub(before).as_secs_f64() * 1e3
    };
    let added = spent(SYNC_INTERVAL) - spent(Duration::from_hours(1));
    let each = added * SYNC_INTERVAL.as_secs_f64() / span.as_secs_f64();
    table.add("roster, 10,000 agents, processor of a fetch", "ms", vec![each], Target::AtMost(300.0));
}

/// `/health` under load, with a team of the usual size and with a huge one.
pub(crate) fn health(table: &mut Table, behind: &Behind, options: &Options) {
    let many = Behind::start(MANY_AGENTS);
    for (name, behind, slowest) in
        [("/health", behind, Target::None), ("/health, 10,000 agents", &many, Target::AtMost(20.0))]
    {
        behind.reset();
        let state = options.folder();
        let runtime = Runtime::start(behind, state.path(), Setting::default());
        thread::sleep(SETTLED);
        let (mut rates, mut worst) = (Vec::new(), Vec::new());
        run(runtime.address, Duration::from_millis(300));
        for _ in 0..options.runs {
            let (rate, longest) = run(runtime.address, options.health);
            rates.push(rate);
            worst.push(longest.as_secs_f64() * 1e3);
        }
        let of = format!("{name}, {CONNECTIONS} connections");
        table.add(&of, "/s", rates, Target::AtLeast(options.goal(40_000.0, 30_000.0)));
        table.add(&format!("{name}, the longest wait"), "ms", worst, slowest);
        println!("  (memory then: {:.1} MiB)", runtime.process().memory());
    }
}

/// `/health` as a dashboard requests it, while rows are delivered at full speed.
pub(crate) fn health_in_a_burst(table: &mut Table, behind: &Behind, options: &Options) {
    behind.pace(Pace::default());
    let state = options.folder();
    let (workers, list_limit) = (Some(bursts::WORKERS), Some(options.list_limit));
    let setting = Setting { workers, list_limit, ..Setting::default() };
    let mut runtime = Runtime::start(behind, state.path(), setting);
    let address = runtime.address;
    let (mut middles, mut worst) = (Vec::new(), Vec::new());
    for _ in 0..options.runs {
        let over = AtomicBool::new(false);
        let load = Load::mentions(options.rows, bursts::TRACKS);
        let (done, mut waits) = thread::scope(|scope| {
            let asking = scope.spawn(|| dashboard(address, &over));
            let done = bursts::burst(&mut runtime, load, options.patience);
            over.store(true, Ordering::Relaxed);
            (done, asking.join().unwrap())
        });
        if let Err(why) = done {
            return table.note(why);
        }
        waits.sort_by(f64::total_cmp);
        middles.push(waits[waits.len() / 2]);
        worst.extend(waits.last());
    }
    table.add("/health in a burst, p50", "ms", middles, Target::None);
    table.add("/health in a burst, the longest wait", "ms", worst, Target::AtMost(20.0));
}

/// Requests every few milliseconds. Returns the latency of each reply.
fn dashboard(address: SocketAddr, over: &AtomicBool) -> Vec<f64> {
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut answer, mut waits) = (vec![0; 64 * 1024], Vec::new());
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        stream.write_all(request.as_bytes()).unwrap();
        read_answer(&mut stream, &mut answer);
        waits.push(began.elapsed().as_secs_f64() * 1e3);
        thread::sleep(Duration::from_millis(5));
    }
    waits
}

/// Keeps all connections busy for a while. Returns replies per second and the longest wait.
fn run(address: SocketAddr, span: Duration) -> (f64, Duration) {
    let began = Instant::now();
    let (count, worst) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| client(address, began + span))).collect();
        let results = clients.into_iter().map(|client| client.join().unwrap());
        results.fold((0, Duration::ZERO), |(all, slowest), (count, worst)| (all + count, slowest.max(worst)))
    });
    (f64::from(count) / began.elapsed().as_secs_f64(), worst)
}

/// Writes to all its connections before it reads from any, as many clients at once do.
fn client(address: SocketAddr, until: Instant) -> (u32, Duration) {
    let request =
        format!("GET /health HTTP/1.1\r\nHost: {address}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n");
    let connect = |_| {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    };
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS / CLIENTS).map(connect).collect();
    let mut answer = vec![0; 64 * 1024];
    let (mut count, mut worst) = (0, Duration::ZERO);
    while Instant::now() < until {
        let began = Instant::now();
        for stream in &mut streams {
            stream.write_all(request.as_bytes()).unwrap();
        }
        for stream in &mut streams {
            read_answer(stream, &mut answer);
            worst = worst.max(began.elapsed());
            count += 1;
        }
    }
    (count, worst)
}

/// One reply. Only its head states its length.
fn read_answer(stream: &mut TcpStream, answer: &mut [u8]) {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut answer[filled..]).unwrap();
        assert_ne!(read, 0, "the server hung up");
        filled += read;
        let Some(end) = answer[..filled].windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = &answer[..end];
        assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(head));
        let mark = b"Content-Length: ";
        let from = head.windows(mark.len()).position(|window| window == mark).unwrap() + mark.len();
        let digits = head[from..].iter().take_while(|byte| byte.is_ascii_digit());
        let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
        let whole = end + 4 + length;
        assert!(whole <= answer.len(), "an answer of {length} bytes");
        if filled < whole {
            stream.read_exact(&mut answer[filled..whole]).unwrap();
        }
        return;
    }
}
