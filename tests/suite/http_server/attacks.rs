//! The attacks (notes §5). During each attack `/health` answers promptly (`prober`) and the server's memory grows by no
//! more than its limit. Afterwards the server stops cleanly.
//!
//! The server is a separate process, so that its memory, descriptors and threads are measured alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::child::Actor;
use super::prober::Prober;
use super::*;
use crate::support::one_at_a_time;

/// The duration of most attacks.
const ATTACK: Duration = Duration::from_millis(500);
const MIB: u64 = 1024;
/// The permitted memory growth of a server whose places are all taken, each by a full head.
const FULL: u64 = 12 * MIB;

/// Attacks one server with these limits and this `ulimit`.
fn attack_server(
    what: &str,
    server: &str,
    ulimit: Option<&str>,
    growth: u64,
    attack: impl FnOnce(SocketAddr),
) {
    // One attack at a time: each measures its own effect, and the attackers need enough descriptors.
    let _turn = one_at_a_time();
    let (mut actor, address) = Actor::server(server, ulimit);
    Client::connect(address).expect_health();
    let before = actor.kib("VmRSS");
    let prober = Prober::start(address);
    attack(address);
    prober.expect_prompt(what);
    let grown = actor.kib("VmHWM").saturating_sub(before);
    assert!(grown <= growth, "{what}: the server grew by {grown} KiB at worst");
    actor.end();
    assert_eq!(actor.read_line(), "0 cut off", "{what}: it did not stop cleanly");
}

/// Clients that each send `start` and then a byte now and then. A client that is cut off reconnects.
fn drip(address: SocketAddr, count: usize, start: &[u8]) {
    let come = || {
        thread::sleep(Duration::from_micros(500)); // the kernel holds 128 that wait to be accepted
        let client = TcpStream::connect_timeout(&address, GUARD).unwrap();
        let _ = (&client).write_all(start);
        client
    };
    let until = Instant::now() + ATTACK;
    let mut clients: Vec<TcpStream> = (0..count).map(|_| come()).collect();
    while Instant::now() < until {
        for client in &mut clients {
            client.set_nonblocking(true).unwrap();
            let thrown_out =
                !matches!(client.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
            if thrown_out || client.write_all(b"x").is_err() {
                *client = come();
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Child processes whose clients connect and send nothing. With a pace all of them are accepted. Without one the kernel
/// keeps some waiting.
fn crowds(address: SocketAddr, crowds: usize, each: usize, pace_micros: usize) {
    let part = format!("crowd {address} {each} {pace_micros}");
    let mut crowds: Vec<Actor> = (0..crowds).map(|_| Actor::start(&part, None)).collect();
    if pace_micros == 0 {
        return thread::sleep(ATTACK * 2);
    }
    for crowd in &mut crowds {
        assert_eq!(crowd.read_line(), format!("{each} connected"));
    }
    thread::sleep(ATTACK / 4);
}

#[test]
fn survives_two_thousand_idle_connections() {
    // Notes §5: 2,008 threads. §6.3: the oldest idle connections are evicted. Four processes, since one usually has only
    // a thousand descriptors.
    attack_server("2,000 idle connections", "", None, 6 * MIB + MIB / 2, |address| {
        crowds(address, 4, 500, 2000);
    });
}

#[test]
fn survives_slow_heads() {
    // Notes §5.6 and §6.1: more slow heads than places.
    attack_server("400 slow heads", "head_time=300", None, FULL, |address| {
        drip(address, 400, b"GET / HTTP/1.1\r\nHost: h\r\nX: ");
    });
}

#[test]
fn survives_slow_bodies() {
    // Notes §5.8: as many as there were handlers, and `/health` was dead.
    let start = b"POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n";
    attack_server("400 slow bodies", "body_time=300", None, FULL, |address| drip(address, 400, start));
    let start = b"POST /length HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n";
    attack_server("200 slow bodies in chunks", "", None, FULL, |address| drip(address, 200, start));
}

#[test]
fn survives_absurd_body_lengths() {
    // Notes §5.1: one such packet aborted the process.
    attack_server("lengths of 9·10¹⁸", "", None, FULL, |address| {
        let until = Instant::now() + ATTACK;
        for length in ["9000000000000000000", "18446744073709551615", "100000000000"].iter().cycle() {
            let request = format!("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\nx");
            assert_eq!(Client::connect(address).ask(request).status, 413);
            if Instant::now() >= until {
                break;
            }
        }
    });
}

#[test]
fn reads_little_of_an_unwanted_gigabyte() {
    // Notes §5: a handler read it to the end. §6.7: the server reads at most 256 KiB in at most a second.
    attack_server("bodies of 1 GiB", "", None, FULL, |address| {
        let start = Instant::now();
        let piece = vec![b'x'; 64 * 1024];
        while start.elapsed() < ATTACK {
            let mut client = Client::connect(address);
            client.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741824\r\n\r\n");
            let sent = (0..16 * 1024).take_while(|_| client.socket().write_all(&piece).is_ok()).count() / 16;
            assert!(sent < 100, "{sent} MiB were taken");
        }
        assert!(start.elapsed() < GUARD, "it took {:?}", start.elapsed());
    });
}

#[test]
fn survives_endless_headers() {
    // Notes §5.7: 200 MB without a newline were all kept.
    attack_server("8 endless headers", "", None, FULL, |address| {
        for header in ["A: ", "A: b\r\n"] {
            let until = Instant::now() + ATTACK / 2;
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        while Instant::now() < until {
                            let mut client = Client::connect(address);
                            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n");
                            let piece = header.repeat(1024);
                            while client.socket().write_all(piece.as_bytes()).is_ok() {}
                            // A client that keeps sending after a refusal may lose it. A client that stops receives it.
                            let answer = client.answer_or_end(&Method::Get);
                            assert!(answer.is_none_or(|answer| answer.status == 431));
                        }
                    });
                }
            });
        }
    });
}

#[test]
fn cuts_off_clients_that_pipeline_without_reading() {
    // Notes §5.9: 8 MB of requests caused 140 MB of memory and an unresponsive server. Large replies stall immediately,
    // and the client is cut off. The kernel buffers a hundred thousand small ones first, so these clients disconnect.
    for (what, path, time) in [
        ("20 pipelining clients of large answers", "/large", GUARD),
        ("20 pipelining clients of small answers", "/health", ATTACK * 2),
    ] {
        let requests = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").repeat(200);
        attack_server(what, "write_time=500", None, FULL, |address| {
            thread::scope(|scope| {
                for _ in 0..20 {
                    scope.spawn(|| {
                        let client = Client::connect(address);
                        client.socket().set_write_timeout(Some(time)).unwrap();
                        let start = Instant::now();
                        while start.elapsed() < time && client.socket().write_all(requests.as_bytes()).is_ok()
                        {
                        }
                        assert!(time < GUARD || start.elapsed() < time, "it was not cut off");
                    });
                }
            });
        });
    }
}

/// Requests `/livez` over a new connection. Returns whether 200 arrives. Only a refused or forgotten probe has no answer
/// within the time, even on a loaded machine.
fn is_live(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut client = TcpStream::connect_timeout(&address, GUARD)?;
        client.set_read_timeout(Some(GUARD))?;
        client.write_all(b"GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        client.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200 "))
    };
    ask().unwrap_or(false)
}

/// 400 connections that pipeline requests for a page and never read. Each reconnects when it is cut off.
#[test]
fn pipelining_clients_on_every_place_fail_no_probe() {
    const PROBES: usize = 120;
    let (mut actor, address) = Actor::server("", None);
    let ended = AtomicBool::new(false);
    let failed = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| pipelining_clients(address, 200, "/large", &ended));
        }
        // The attack counts from the moment when every place is taken.
        thread::sleep(ATTACK);
        let failed = (0..PROBES).filter(|_| !is_live(address)).count();
        ended.store(true, Ordering::Release);
        failed
    });
    assert_eq!(failed, 0, "of {PROBES} probes {failed} failed");
    actor.end();
    assert_eq!(actor.read_line(), "0 cut off", "it did not stop cleanly");
}

/// Clients that send as many requests as the socket accepts and read nothing. A client that is cut off reconnects.
fn pipelining_clients(address: SocketAddr, count: usize, path: &str, ended: &AtomicBool) {
    let requests = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").repeat(100);
    let come = || {
        thread::sleep(Duration::from_micros(500)); // the kernel holds 128 that wait to be accepted
        let mut client = TcpStream::connect_timeout(&address, GUARD).ok()?;
        // Immediately, since an idle newcomer would be evicted first.
        client.write_all(requests.as_bytes()).ok()?;
        client.set_nonblocking(true).ok()?;
        Some(client)
    };
    let mut clients: Vec<Option<TcpStream>> = (0..count).map(|_| come()).collect();
    while !ended.load(Ordering::Acquire) {
        for client in &mut clients {
            let stays = client.as_mut().is_some_and(|client| match client.write(requests.as_bytes()) {
                Ok(_) => true,
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            });
            if !stays {
                *client = come();
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn survives_connection_resets() {
    // Notes §5.2. Closing a socket with unread data, or before its reply, resets the connection.
    attack_server("resets", "", None, FULL, |address| {
        let until = Instant::now() + ATTACK;
        while Instant::now() < until {
            let mut unread = Client::connect(address);
            unread.send(HEALTH).socket().peek(&mut [0]).unwrap();
            drop(unread);
            for request in [
                HEALTH,
                b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n",
                b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx",
            ] {
                Client::connect(address).send(request);
            }
        }
    });
}

#[test]
fn survives_a_lack_of_descriptors() {
    // Notes §5.4: the accept loop ended permanently.
    for (what, crowd) in
        [("150 connections at 64 descriptors", 150), ("1,000 connections at 64 descriptors", 500)]
    {
        attack_server(what, "", Some("-n 64"), FULL, |address| crowds(address, 1 + crowd / 500, crowd, 0));
    }
}

#[test]
fn survives_a_lack_of_threads() {
    // Notes §5.5: the accept thread panicked. With stacks of 256 MiB, an address space of 4 GiB has room for about ten
    // threads. `ulimit -u` would also count the threads of other processes.
    let big_stacks = format!("stack_bytes={}", 256 * 1024 * 1024);
    attack_server("300 connections at ten threads", &big_stacks, Some("-v 4194304"), FULL, |address| {
        crowds(address, 1, 300, 0);
    });
}
