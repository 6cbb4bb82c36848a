//! A connection that no longer carries HTTP keeps its place and its limits.

use std::io::ErrorKind;

use super::*;
use crate::support::wait;

/// Echoes everything in capitals until the client has sent everything.
fn echo(request: &Request) -> Reply {
    if request.path() != "/echo" {
        return Reply::text("plain");
    }
    let reply = Reply::switched("echo", |line| {
        let mut buffer = [0; 64];
        loop {
            match line.receive(&mut buffer, Duration::from_millis(20)) {
                Ok(0) => return Ok(()),
                Ok(count) => line.send(&buffer[..count].to_ascii_uppercase())?,
                Err(error) if error.kind() == ErrorKind::TimedOut && line.is_open() => {}
                Err(error) => return Err(error),
            }
        }
    });
    reply.with_header("X-Key", "accepted").with_header("Upgrade", "not the handler's business")
}

fn served(limits: ServerLimits) -> Server {
    Server::bind("127.0.0.1:0", limits, |request| echo(&request)).unwrap()
}

const ASK: &[u8] = b"GET /echo HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

/// Requests the other protocol, with further bytes behind the request. Returns the reply's head.
fn switch(server: &Server, ask: &[u8]) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    stream.write_all(ask).unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1);
        head.push(byte[0]);
    }
    (stream, String::from_utf8(head).unwrap())
}

#[test]
fn bytes_after_the_upgrade_belong_to_the_new_protocol() {
    let server = served(long_limits());
    // Some of the bytes arrive in the same packet.
    let (mut stream, head) = switch(&server, &[ASK, b"early "].concat());
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let lower = head.to_lowercase();
    assert!(
        lower.contains("\r\nconnection: upgrade\r\n") && lower.contains("\r\nupgrade: echo\r\n"),
        "{head}"
    );
    assert!(lower.contains("\r\nx-key: accepted\r\n") && !lower.contains("content-length"), "{head}");
    assert!(!lower.contains("transfer-encoding") && lower.matches("upgrade:").count() == 1, "{head}");
    stream.write_all(b"and late").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert_eq!(said, "EARLY AND LATE");
}

#[test]
fn refuses_clients_that_cannot_switch() {
    let server = served(long_limits());
    let (_stream, head) = switch(&server, b"GET /echo HTTP/1.0\r\nConnection: Upgrade\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    let (_stream, head) = switch(&server, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

/// The connection counts as busy: it is not evicted, and a stop waits for it no longer than for others.
#[test]
fn a_switched_connection_keeps_its_place_until_the_stop() {
    let server = served(ServerLimits { connections: 1, ..long_limits() });
    let (mut stream, _) = switch(&server, ASK);
    let (_other, head) = switch(&server, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    stream.write_all(b"still here").unwrap();
    let mut said = [0; 10];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"STILL HERE");
    let begun = Instant::now();
    assert_eq!(server.stop(GUARD), 0, "it has ended by itself");
    assert!(begun.elapsed() < GUARD / 2, "{:?}", begun.elapsed());
    assert_eq!(stream.read(&mut said).unwrap_or(0), 0);
}

/// A client that does not read is cut off after the write time.
#[test]
fn cuts_off_a_switched_client_that_does_not_read() {
    let server = Server::bind("127.0.0.1:0", short_limits(), |_| {
        Reply::switched("flood", |line| {
            loop {
                line.send(&LARGE)?;
            }
        })
    })
    .unwrap();
    let (_stream, _) = switch(&server, ASK);
    wait::until("the end of the connection", || server.connections() == 0);
}
