//! Replies that are streams.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

const EVENTS: &[u8] = b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n";

/// Sends `tick` until the stream closes, then reports how it ended.
fn ticking(word: Sender<io::Result<()>>) -> impl Fn(Request) -> Reply + Send + Sync + 'static {
    move |request| {
        if request.path() != "/events" {
            return routes(&request);
        }
        let word = word.clone();
        Reply::events(move |sink| {
            let mut ended = Ok(());
            while ended.is_ok() && sink.is_open() {
                ended = sink.send(b"data: tick\n\n");
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = word.send(ended);
            Ok(())
        })
    }
}

fn ticking_server(limits: ServerLimits) -> (Server, Receiver<io::Result<()>>) {
    let (word, ended) = channel();
    (Server::bind("127.0.0.1:0", limits, ticking(word)).unwrap(), ended)
}

#[test]
fn a_stream_is_chunked_and_keeps_the_connection() {
    let server = serve(long_limits());
    let mut client = Client::connect(server.local_addr());
    for _ in 0..2 {
        let answer = client.ask(b"GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(answer.body, "data: 1\n\ndata: 2\n\n");
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
        assert_eq!(answer.header("content-length"), None);
    }
}

#[test]
fn a_stream_for_http_1_0_ends_with_the_connection() {
    let server = serve(long_limits());
    let mut client = Client::connect(server.local_addr());
    let answer = client.ask(b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(answer.body, "data: 1\n\ndata: 2\n\n");
    assert_eq!((answer.header("transfer-encoding"), answer.header("connection")), (None, Some("close")));
}

#[test]
fn an_abrupt_reply_sends_exactly_its_bytes() {
    let abrupt = |request: Request| match request.path().as_ref() {
        "/half" => Reply::abrupt("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
        "/nothing" => Reply::abrupt(""),
        _ => routes(&request),
    };
    let server = Server::bind("127.0.0.1:0", long_limits(), abrupt).unwrap();
    let rows = [("half", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), ("nothing", "")];
    for (path, bytes) in rows {
        let mut client = Client::connect(server.local_addr());
        client.send(format!("GET /{path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let mut got = String::new();
        client.stream.read_to_string(&mut got).unwrap();
        assert_eq!(got, bytes);
    }
    Client::connect(server.local_addr()).expect_health();
}

#[test]
fn a_stream_ends_when_its_client_disconnects() {
    let (server, ended) = ticking_server(long_limits());
    let mut client = Client::connect(server.local_addr());
    client.send(EVENTS).stream.read_line(&mut String::new()).unwrap();
    drop(client);
    ended.recv_timeout(GUARD).expect("the writer to notice").ok();
    wait_until("the connection has ended", || server.connections() == 0);
}

#[test]
fn a_stream_ends_when_the_server_stops() {
    let (server, ended) = ticking_server(long_limits());
    let mut client = Client::connect(server.local_addr());
    client.send(EVENTS).stream.read_line(&mut String::new()).unwrap();
    assert_eq!(server.stop(GUARD), 0);
    ended.try_recv().expect("an end before the stop is done").unwrap();
    let mut rest = String::new();
    client.stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "the stream is complete: {rest:?}");
}

#[test]
fn the_write_deadline_cuts_off_an_unread_stream() {
    let (word, ended) = channel();
    let server = Server::bind("127.0.0.1:0", short_limits(), move |_| {
        let word = word.clone();
        Reply::stream("text/plain", move |sink| {
            let piece = vec![b'x'; 1024 * 1024];
            let error = (0..1000).find_map(|_| sink.send(&piece).err());
            let _ = word.send(error.map(|error| error.kind()));
            Ok(())
        })
    })
    .unwrap();
    let mut client = Client::connect(server.local_addr());
    client.send(EVENTS);
    assert_eq!(ended.recv_timeout(GUARD).unwrap(), Some(ErrorKind::TimedOut));
}

#[test]
fn a_failed_stream_does_not_look_complete() {
    let server = Server::bind("127.0.0.1:0", long_limits(), |request| {
        let panics = request.path() == "/panic";
        Reply::stream("text/plain", move |sink| {
            sink.send(b"half")?;
            assert!(!panics, "this writer panics (the test wants it to)");
            Err(io::Error::other("no more"))
        })
    })
    .unwrap();
    for path in ["/error", "/panic"] {
        let mut client = Client::connect(server.local_addr());
        let mut all = String::new();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        client.stream.read_to_string(&mut all).unwrap();
        assert!(all.ends_with("4\r\nhalf\r\n"), "{path}: {all:?}");
    }
}

/// Few pipelined requests are handled at once, but a stream lasts as long as its client likes.
#[test]
fn pipelined_streams_do_not_block_other_clients() {
    let (server, _ended) = ticking_server(long_limits());
    let both = [HEALTH, EVENTS].concat();
    let listeners: Vec<Client> = (0..8)
        .map(|_| {
            let mut client = Client::connect(server.local_addr());
            assert_eq!(client.ask(&both).status, 200);
            let mut line = String::new();
            while line != "data: tick\n" {
                line.clear();
                assert_ne!(client.stream.read_line(&mut line).unwrap(), 0, "the stream begins");
            }
            client
        })
        .collect();
    let mut other = Client::connect(server.local_addr());
    other.send([HEALTH; 3].concat());
    for n in 0..3 {
        assert_eq!(other.answer().status, 200, "answer {n}");
    }
    drop(listeners);
}
