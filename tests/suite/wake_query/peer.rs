//! Both ends of a WebSocket without the code under test: only the frames are shared.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use mission_control_runtime::http::websocket::{
    Incoming, Kind, Reader, Side, WebSocketLimits, accept_key, close_frame, frame,
};
use mission_control_runtime::model::sync_protocol::Timestamp;
use serde_json::{Value, json};

/// Longer than any step here.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);

const LIMITS: WebSocketLimits = WebSocketLimits { message_bytes: 32 * 1024 * 1024, frames: 1_024 };
const MASK: [u8; 4] = [1, 2, 3, 4];

/// One end of an open WebSocket.
pub(super) struct Peer {
    stream: TcpStream,
    reader: Reader,
    mask: Option<[u8; 4]>,
    /// The head of the request, or of the answer.
    pub(super) head: String,
}

impl Peer {
    /// Accepts the next connection of a client, and its WebSocket.
    pub(super) fn accept(listener: &TcpListener) -> Self {
        let mut stream = accept(listener);
        let head = read_head(&mut stream);
        let key = header(&head, "sec-websocket-key").expect("a key");
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            accept_key(key)
        );
        stream.write_all(answer.as_bytes()).unwrap();
        Self { stream, reader: Reader::new(Side::Client, LIMITS), mask: None, head }
    }

    /// Opens a WebSocket at this address (`host:port`) and path.
    pub(super) fn open(address: &str, path: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let head = read_head(&mut stream);
        Self { stream, reader: Reader::new(Side::Server, LIMITS), mask: Some(MASK), head }
    }

    pub(super) fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string());
    }

    pub(super) fn send_text(&mut self, text: &str) {
        let frame = frame(Kind::Text, true, text.as_bytes(), self.mask);
        self.send_bytes(&frame);
    }

    /// Sends bytes. The other end may have closed the connection already.
    pub(super) fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub(super) fn close(&mut self, code: u16) {
        let frame = close_frame(code, self.mask);
        self.send_bytes(&frame);
    }

    /// The next frame; `None` at the end of the connection.
    pub(super) fn next(&mut self) -> Option<Incoming> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(incoming) = self.reader.take().expect("the other end follows the standard") {
                return Some(incoming);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.reader.push(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing arrives: {error}"),
            }
        }
    }

    /// The next text message.
    pub(super) fn message(&mut self) -> Value {
        loop {
            match self.next() {
                Some(Incoming::Text(text)) => return serde_json::from_str(&text).unwrap(),
                Some(Incoming::Ping(_) | Incoming::Pong) => {}
                other => panic!("no message: {other:?}"),
            }
        }
    }

    /// The code with which the other end closes the connection, after any messages.
    pub(super) fn closed(&mut self) -> Option<u16> {
        let until = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < until, "the connection stays open");
            match self.next() {
                Some(Incoming::Close(code)) => return code,
                Some(_) => {}
                None => return None,
            }
        }
    }

    /// Ends the connection without a close frame.
    pub(super) fn close_abruptly(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    /// Drops the connection without a close frame.
    pub(super) fn cut(self) {
        drop(self);
    }
}

/// Accepts a connection.
pub(super) fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads the head of a message.
pub(super) fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap() == 0 {
            break;
        }
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

/// A header of a head.
pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The first message of every client.
pub(super) fn connect() -> Value {
    json!({"type": "Connect", "sessionId": "4e3a4f4c-7a0e-4f2c-9a61-0f6c2d2a7f10", "connectionCount": 0,
        "lastCloseReason": "InitialConnect", "clientTs": 0})
}

/// A version whose timestamp is this number below 256.
pub(super) fn version(query_set: u32, ts: u8) -> Value {
    json!({"querySet": query_set, "identity": 0, "ts": Timestamp(ts.into())})
}

/// A transition with these modifications.
pub(super) fn transition(from: &Value, to: &Value, modifications: &Value) -> Value {
    json!({"type": "Transition", "startVersion": from, "endVersion": to, "modifications": modifications})
}

/// The query's value, in the form of the platform.
#[expect(clippy::needless_pass_by_value, reason = "tests write the values in place")]
pub(super) fn updated(value: Value) -> Value {
    json!([{"type": "QueryUpdated", "queryId": 0, "value": value, "logLines": [], "journal": null}])
}

/// The query's error.
pub(super) fn failed(text: &str) -> Value {
    json!([{"type": "QueryFailed", "queryId": 0, "errorMessage": text, "logLines": [], "journal": null}])
}
