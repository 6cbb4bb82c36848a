//! The attack list (notes §5). Whatever is done to the server, `/health` answers promptly all the while
//! (`prober`), the server grows by no more than it may, and afterwards it stops with nobody left.
//!
//! The server is a process of its own, so that memory, descriptors and threads are its own too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::child::Actor;
use super::prober::Prober;
use super::*;
use crate::support::one_at_a_time;

/// How long most attacks go on.
const ATTACK: Duration = Duration::from_millis(500);
const MIB: u64 = 1024;
/// What a server may grow by with every place taken, each with a full head.
const FULL: u64 = 12 * MIB;

/// Attacks one server, with these limits as words and this `ulimit`.
fn besiege(what: &str, server: &str, ulimit: Option<&str>, growth: u64, attack: impl FnOnce(SocketAddr)) {
    // One at a time: figures are about this attack, and the attackers have descriptors enough.
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
    assert_eq!(actor.hear(), "0 cut off", "{what}: it did not stop cleanly");
}

/// Clients who each send `start` and then a byte now and then; who is thrown out comes back.
fn drip(address: SocketAddr, count: usize, start: &[u8]) {
    let come = || {
        thread::sleep(Duration::from_micros(500)); // the kernel holds 128 who wait to be accepted
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

/// Crowds in processes of their own, who connect and say nothing. At a pace all of them get in; without one the
/// kernel keeps some waiting.
fn crowds(address: SocketAddr, crowds: usize, each: usize, pace_micros: usize) {
    let part = format!("crowd {address} {each} {pace_micros}");
    let mut crowds: Vec<Actor> = (0..crowds).map(|_| Actor::start(&part, None)).collect();
    if pace_micros == 0 {
        return thread::sleep(ATTACK * 2);
    }
    for crowd in &mut crowds {
        assert_eq!(crowd.hear(), format!("{each} connected"));
    }
    thread::sleep(ATTACK / 4);
}

#[test]
fn two_thousand_idle_connections() {
    // Notes §5: 2,008 threads; §6.3: the oldest idle ones go. In four processes, since a thousand descriptors are
    // what one process usually may have.
    besiege("2,000 idle connections", "", None, 6 * MIB + MIB / 2, |address| crowds(address, 4, 500, 2000));
}

#[test]
fn slow_heads() {
    // Notes §5.6 and §6.1: more of them than places.
    besiege("400 slow heads", "head_time=300", None, FULL, |address| {
        drip(address, 400, b"GET / HTTP/1.1\r\nHost: h\r\nX: ");
    });
}

#[test]
fn slow_bodies() {
    // Notes §5.8: as many as there were handlers, and `/health` was dead.
    let start = b"POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n";
    besiege("400 slow bodies", "body_time=300", None, FULL, |address| drip(address, 400, start));
    let start = b"POST /length HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n";
    besiege("200 slow bodies in chunks", "", None, FULL, |address| drip(address, 200, start));
}

#[test]
fn lengths_beyond_all_bounds() {
    // Notes §5.1: one such packet aborted the process.
    besiege("lengths of 9·10¹⁸", "", None, FULL, |address| {
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
fn a_gigabyte_nobody_asked_for() {
    // Notes §5: it was read to the end by a handler. §6.7: at most 256 KiB for at most a second.
    besiege("bodies of 1 GiB", "", None, FULL, |address| {
        let start = Instant::now();
        let piece = vec![b'x'; 64 * 1024];
        while start.elapsed() < ATTACK {
            let mut client = Client::connect(address);
            client.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741824\r\n\r\n");
            let sent = (0..16 * 1024).take_while(|_| client.socket().write_all(&piece).is_ok()).count() / 16;
            assert!(sent < 100, "{sent} MiB were taken");
        }
        assert!(start.elapsed() < ATTACK + Duration::from_secs(3), "it took {:?}", start.elapsed());
    });
}

#[test]
fn endless_headers() {
    // Notes §5.7: 200 MB without a newline were all kept.
    besiege("8 endless headers", "", None, FULL, |address| {
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
                            // Whoever goes on shouting after a refusal may lose it; who stops does not.
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
fn pipelining_without_reading() {
    // Notes §5.9: 8 MB of requests became 140 MB of memory and a deaf server. Large answers are stuck at once, and
    // the client is cut off; of small ones the kernel takes in a hundred thousand first, so these clients go.
    for (what, path, time) in [
        ("20 pipeliners of large answers", "/large", GUARD),
        ("20 pipeliners of small answers", "/health", ATTACK * 2),
    ] {
        let requests = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").repeat(200);
        besiege(what, "write_time=500", None, FULL, |address| {
            thread::scope(|scope| {
                for _ in 0..20 {
                    scope.spawn(|| {
                        let client = Client::connect(address);
                        client.socket().set_write_timeout(Some(time)).unwrap();
                        let start = Instant::now();
                        while start.elapsed() < time && client.socket().write_all(requests.as_bytes()).is_ok()
                        {
                        }
                        assert!(time < GUARD || start.elapsed() < GUARD, "it was not cut off");
                    });
                }
            });
        });
    }
}

/// One fresh connection that asks for `/livez`; whether it hears 200 within a second.
fn lives(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut client = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        client.set_read_timeout(Some(Duration::from_secs(1)))?;
        client.write_all(b"GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        client.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200 "))
    };
    ask().unwrap_or(false)
}

/// 400 connections that pipeline requests for a page and never read: each takes its place anew when it is cut off.
#[test]
fn pipeliners_on_every_place_fail_no_probe() {
    const PROBES: usize = 120;
    let (mut actor, address) = Actor::server("", None);
    let ended = AtomicBool::new(false);
    let failed = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| pipeliners(address, 200, "/large", &ended));
        }
        // The attack counts from the moment when every place is taken.
        thread::sleep(ATTACK);
        let failed = (0..PROBES).filter(|_| !lives(address)).count();
        ended.store(true, Ordering::Release);
        failed
    });
    assert_eq!(failed, 0, "of {PROBES} probes {failed} failed");
    actor.end();
    assert_eq!(actor.hear(), "0 cut off", "it did not stop cleanly");
}

/// Clients that send as many requests as the socket takes and read nothing; cut off, they come back.
fn pipeliners(address: SocketAddr, count: usize, path: &str, ended: &AtomicBool) {
    let requests = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").repeat(100);
    let come = || {
        thread::sleep(Duration::from_micros(500)); // the kernel holds 128 who wait to be accepted
        let mut client = TcpStream::connect_timeout(&address, GUARD).ok()?;
        // At once, or the newcomer would be idle and the first to go.
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
fn resets() {
    // Notes §5.2. A socket closed with unread data, or closed before its answer, resets the connection.
    besiege("resets", "", None, FULL, |address| {
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
fn no_descriptors_left() {
    // Notes §5.4: the accept loop ended for good.
    for (what, crowd) in
        [("150 connections at 64 descriptors", 150), ("1,000 connections at 64 descriptors", 500)]
    {
        besiege(what, "", Some("-n 64"), FULL, |address| crowds(address, 1 + crowd / 500, crowd, 0));
    }
}

#[test]
fn no_threads_left() {
    // Notes §5.5: the accept thread panicked. Stacks of a quarter GiB in a space of 4 GiB are some ten threads;
    // `ulimit -u` would count, and bind, more than this process.
    let big_stacks = format!("stack_bytes={}", 256 * 1024 * 1024);
    besiege("300 connections at ten threads", &big_stacks, Some("-v 4194304"), FULL, |address| {
        crowds(address, 1, 300, 0);
    });
}
