//! Slow clients, and stopping (notes §5.6, §6.1, §6.9).

use std::thread;

use super::*;

/// Sends a byte now and then until the server closes the connection. Returns the status and the time.
fn drip(address: SocketAddr, start: &str) -> (u16, Duration) {
    let mut client = Client::connect(address);
    client.send(start);
    let begun = Instant::now();
    client.socket().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    while client.socket().peek(&mut [0]).is_err() {
        client.send(b"x");
        assert!(begun.elapsed() < GUARD, "never had enough");
    }
    client.socket().set_read_timeout(Some(GUARD)).unwrap();
    (client.answer().status, begun.elapsed())
}

#[test]
fn one_byte_per_interval_does_not_extend_a_deadline() {
    // Notes §6.1: each byte would satisfy a timeout per read.
    let server = serve(ServerLimits { linger_time: GUARD, ..short_limits() });
    for start in [
        "GET /",
        "GET / HTTP/1.1\r\nHost: h",
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
    ] {
        let (status, took) = drip(server.local_addr(), start);
        assert_eq!(status, 408, "of {start:?}");
        // With a deadline for each byte it would never be refused.
        assert!(took >= Duration::from_millis(300), "{start:?} took {took:?}, not 400 ms");
    }
}

#[test]
fn closes_idle_connections_without_a_reply() {
    let idle_time = Duration::from_millis(200);
    let server = serve(ServerLimits { idle_time, ..long_limits() });
    let mut fresh = Client::connect(server.local_addr());
    let mut used = Client::connect(server.local_addr());
    used.expect_health();
    fresh.expect_end();
    used.expect_end();
}

#[test]
fn cuts_off_a_client_that_does_not_read() {
    let server = serve(short_limits());
    let mut client = Client::connect(server.local_addr());
    client.send(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n".repeat(20));
    client.socket().peek(&mut [0]).unwrap();
    wait_until("its place is free", || server.connections() == 0);
}

/// The link is slow, not dead: each piece is taken in time, but all pieces together take longer than one may: six seconds.
#[test]
fn a_slow_reading_client_receives_the_whole_reply() {
    // More bytes than the kernel buffers.
    const BYTES: usize = 40_000_000;
    let limits = ServerLimits { write_time: Duration::from_secs(4), ..long_limits() };
    let server =
        Server::bind("127.0.0.1:0", limits, |_| Reply::whole("text/plain", vec![b'x'; BYTES])).unwrap();
    let mut client = Client::connect(server.local_addr());
    client.send(HEALTH);
    let (mut read, mut piece) = (0, vec![0; 64 * 1024]);
    while read < BYTES {
        let count = client.socket().read(&mut piece).unwrap();
        assert_ne!(count, 0, "cut off after {read} bytes");
        read += count;
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn stop_finishes_busy_requests_and_closes_idle_connections() {
    let (gate, handler) = gate();
    let server = Server::bind("127.0.0.1:0", long_limits(), handler).unwrap();
    let mut idle = Client::connect(server.local_addr());
    idle.expect_health();
    let mut half = Client::connect(server.local_addr());
    half.send(b"GET /health HT");
    let mut busy = Client::connect(server.local_addr());
    busy.send(GATE).send(HEALTH);
    gate.await_waiting(1);
    wait_until("all have places", || server.connections() == 3);
    thread::scope(|scope| {
        let stop = scope.spawn(|| server.stop(GUARD));
        idle.expect_end();
        half.expect_end();
        gate.open();
        assert_eq!(busy.answer().header("connection"), Some("close"));
        busy.expect_end();
        assert_eq!(stop.join().unwrap(), 0, "connections that failed to end");
    });
    assert!(TcpStream::connect(server.local_addr()).is_err(), "the port is closed");
    assert_eq!(server.stop(GUARD), 0, "stopping twice is harmless");
}

#[test]
fn stop_cuts_off_stuck_requests_and_counts_them() {
    let (gate, handler) = gate();
    let server = Server::bind("127.0.0.1:0", long_limits(), handler).unwrap();
    let mut busy = Client::connect(server.local_addr());
    busy.send(GATE);
    gate.await_waiting(1);
    let start = Instant::now();
    assert_eq!(server.stop(Duration::from_millis(50)), 1);
    assert!(start.elapsed() < GUARD / 2, "it waited for the gate: {:?}", start.elapsed());
    busy.expect_end();
    gate.open();
}

#[test]
fn stop_gives_stalled_clients_the_limit_and_no_more() {
    let server = serve(ServerLimits { write_time: GUARD, ..long_limits() });
    let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(server.local_addr())).collect();
    for client in &mut clients {
        client.send(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n".repeat(20));
        client.socket().peek(&mut [0]).unwrap();
    }
    let (start, limit) = (Instant::now(), Duration::from_millis(300));
    assert_eq!(server.stop(limit), 20);
    let took = start.elapsed();
    assert!(took >= limit && took < GUARD / 2, "{took:?}");
}

#[test]
fn stop_is_quick_with_many_idle_connections() {
    // Notes §6: 7 ms. A stop that waited for them would take the idle time.
    let server = serve(long_limits());
    let clients: Vec<Client> = (0..100).map(|_| Client::connect(server.local_addr())).collect();
    wait_until("all have places", || server.connections() == 100);
    let start = Instant::now();
    assert_eq!(server.stop(GUARD), 0);
    assert!(start.elapsed() < GUARD / 2, "{:?}", start.elapsed());
    drop(clients);
}

#[test]
fn a_server_on_all_addresses_stops() {
    // Notes §6.9: wake the acceptor over loopback, not over 0.0.0.0.
    let bind = |address| Server::bind(address, long_limits(), |request| routes(&request)).ok();
    let servers: Vec<Server> = ["0.0.0.0:0", "[::]:0"].into_iter().filter_map(bind).collect();
    assert!(!servers.is_empty(), "a machine may lack IPv6 or IPv4, not both");
    for server in servers {
        let address = SocketAddr::from(([127, 0, 0, 1], server.local_addr().port()));
        Client::connect(address).expect_health();
        assert_eq!(server.stop(GUARD), 0);
        assert!(TcpStream::connect(address).is_err());
    }
}

#[test]
fn a_dropped_server_frees_its_port() {
    let server = serve(long_limits());
    let address = server.local_addr();
    let mut client = Client::connect(address);
    client.expect_health();
    drop(server);
    client.expect_end();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_taken_port_is_an_error_not_a_panic() {
    let server = serve(long_limits());
    let second = Server::bind(server.local_addr(), long_limits(), |request| routes(&request));
    assert_eq!(second.err().map(|error| error.kind()), Some(ErrorKind::AddrInUse));
}
