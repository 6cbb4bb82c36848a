//! Latency with the wake query: from a new row to its turn. Nothing nudges the program.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mission_control_runtime::http::message::{Duplex, Reply, Request};
use mission_control_runtime::http::websocket::{
    Incoming, Kind as FrameKind, Reader, Side, WebSocketLimits, accept_key, frame, requested_key,
};
use mission_control_runtime::model::sync_protocol::Timestamp;
use serde_json::json;

use super::Options;
use super::bursts::{TRACKS, complain};
use super::doubles::Doubles;
use super::observations::{Load, Pace};
use super::process::{Behind, Carrier, Runtime, Setting};
use super::table::{Table, Target, share_of};
use super::waits::waits;

/// The pause between two looks of the double at its rows. It adds to the latency.
const LOOK: Duration = Duration::from_millis(1);

/// The double of the sync endpoint: the value is the number of the newest row, or 0 if all are settled.
pub(crate) fn subscribe(doubles: &Arc<Doubles>, request: &Request) -> Reply {
    let Some(key) = requested_key(request) else { return Reply::error(400, "no WebSocket") };
    let accept = accept_key(key);
    let doubles = doubles.clone();
    let reply = Reply::switched("websocket", move |connection| follow(&doubles, connection));
    reply.with_header("Sec-WebSocket-Accept", &accept)
}

fn follow(doubles: &Doubles, connection: &mut dyn Duplex) -> io::Result<()> {
    let limits = WebSocketLimits { message_bytes: 100_000, frames: 100 };
    let (mut reader, mut buffer) = (Reader::new(Side::Client, limits), [0; 4096]);
    let (mut version, mut sent) = (json!({"querySet": 0, "identity": 0, "ts": Timestamp(0)}), None);
    let mut is_subscribed = false;
    while connection.is_open() {
        match connection.receive(&mut buffer, LOOK) {
            Ok(0) => return Ok(()),
            Ok(count) => reader.push(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::TimedOut => {}
            Err(error) => return Err(error),
        }
        while let Ok(Some(incoming)) = reader.take() {
            is_subscribed |= matches!(incoming, Incoming::Text(text) if text.contains("ModifyQuerySet"));
        }
        let value = doubles.state().newest_open();
        if !is_subscribed || sent == Some(value) {
            continue;
        }
        sent = Some(value);
        let next = json!({"querySet": 1, "identity": 0, "ts": Timestamp(doubles.now())});
        let updated =
            json!([{"type": "QueryUpdated", "queryId": 0, "value": value, "logLines": [], "journal": null}]);
        let message = json!({"type": "Transition", "startVersion": version, "endVersion": next, "modifications": updated});
        connection.send(&frame(FrameKind::Text, true, message.to_string().as_bytes(), None))?;
        version = next;
    }
    Ok(())
}

/// One row after the other, without other work.
pub(crate) fn measure(table: &mut Table, behind: &Behind, options: &Options) {
    let name = "row to turn by the wake query, p50";
    behind.reset();
    behind.pace(Pace { millis: 20, slow: None });
    let state = options.folder();
    let setting = Setting { wake_query: true, ..Setting::default() };
    let runtime = Runtime::start(behind, state.path(), setting);
    for number in 0..options.singles {
        behind.load(Load { first_task: number % TRACKS, ..Load::mentions(1, 1) });
        if behind.delivered(number + 1, options.patience) <= number {
            let why = format!("row {} was not settled:\n{}", number + 1, runtime.last_words());
            return table.missing(name, Target::AtMost(100.0), &why);
        }
        // A row that arrives while the last one is settled would be found by the list that follows that.
        thread::sleep(Duration::from_millis(30));
    }
    let observations = behind.observations();
    complain(table, "wake query", &observations);
    // Of the first row, the start of the program is the larger part.
    let begun: Vec<f64> = waits(&observations, |row| (row.created, row.turn)).split_off(1);
    for (name, share, most) in [(name, 0.5, 100.0), ("the same, p99", 0.99, 250.0)] {
        table.add(name, "ms", vec![share_of(begun.clone(), share)], Target::AtMost(most));
    }
    for (row, wait) in begun.iter().enumerate().filter(|(_, wait)| **wait > 250.0) {
        table.note(format!("wake query: row {row} waited {wait:.1} ms"));
    }
}
