//! Splits a stream of server-sent events into events. Input comes in pieces of any size. Lines end in LF, CR
//! or CRLF, and the data of an event may span several lines.

use std::mem;

use super::{Class, TurnFailure, Why};
use mcr_model::memory::{FREE_BYTES, reserve_returnable};

/// The longest line without data.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Enough bytes to identify a data line: byte order mark, field name, blank, and one more.
const DATA_HEAD_BYTES: usize = 16;

/// A byte order mark may precede the stream.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event: its name (empty if it has none) and its data.
#[derive(Clone, Copy)]
pub(crate) struct StreamEvent<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) data: &'a [u8],
}

/// Receives events.
pub(crate) type Listener<'a> = &'a mut dyn FnMut(StreamEvent<'_>) -> Result<(), TurnFailure>;

/// How much of the current event has arrived.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SoFar {
    /// No data line.
    NoData,
    /// Complete data lines.
    Data,
    /// An incomplete data line.
    PartOfData,
}

/// The state between two pieces. The data of an event is stored once, and only if the receiver needs it.
pub(crate) struct Events {
    /// An incomplete line. A data line is not stored here; it is added to the data as it arrives.
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    so_far: SoFar,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_return: bool,
    started: bool,
    /// The most bytes of an event.
    limit: usize,
    /// Whether the data of an event with this name is needed.
    needs: fn(&[u8]) -> bool,
}

impl Events {
    /// A splitter for one stream. It refuses an event of more than `limit` bytes.
    pub(crate) fn new(limit: usize, needs: fn(&[u8]) -> bool) -> Self {
        Self {
            line: Vec::new(),
            name: Vec::new(),
            data: Vec::new(),
            so_far: SoFar::NoData,
            after_return: false,
            started: false,
            limit,
            needs,
        }
    }

    /// How many bytes of the current event are kept.
    pub(crate) fn bytes_kept(&self) -> usize {
        self.data.len()
    }

    /// Takes the next piece; it adds at most its own length to the bytes kept.
    pub(crate) fn push(&mut self, mut bytes: &[u8], listener: Listener<'_>) -> Result<(), TurnFailure> {
        if mem::take(&mut self.after_return) {
            match bytes.first() {
                Some(b'\n') => bytes = &bytes[1..],
                Some(_) => {}
                None => self.after_return = true,
            }
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line_end, rest) = (&bytes[..end], &bytes[end + 1..]);
            let returned = bytes[end] == b'\r';
            bytes = rest;
            if returned {
                match bytes.first() {
                    Some(b'\n') => bytes = &bytes[1..],
                    Some(_) => {}
                    None => self.after_return = true,
                }
            }
            self.keep(line_end)?;
            self.line_ended(listener)?;
        }
        self.keep(bytes)
    }

    /// Ends the stream. The last event counts even without the final blank line, because its JSON shows
    /// whether it is complete.
    pub(crate) fn end(&mut self, listener: Listener<'_>) -> Result<(), TurnFailure> {
        self.line_ended(listener)?;
        self.line_ended(listener)
    }

    /// Takes part of a line.
    fn keep(&mut self, bytes: &[u8]) -> Result<(), TurnFailure> {
        if self.so_far == SoFar::PartOfData {
            return self.add(bytes);
        }
        if self.line.len() + bytes.len().min(DATA_HEAD_BYTES) > self.limit.min(LINE_BYTES_MAX) {
            return Err(too_large());
        }
        // Enough to identify a data line; the rest of such a line is copied only once.
        let (head, rest) = bytes.split_at(bytes.len().min(DATA_HEAD_BYTES.saturating_sub(self.line.len())));
        self.line.extend_from_slice(head);
        if self.line.len() >= DATA_HEAD_BYTES
            && let Some(value) = self.line_of_data()
        {
            let value = value.to_vec();
            self.line.clear();
            self.started = true;
            self.begin_data(SoFar::PartOfData)?;
            self.add(&value)?;
            return self.add(rest);
        }
        if self.line.len() + rest.len() > self.limit.min(LINE_BYTES_MAX) {
            return Err(too_large());
        }
        self.line.extend_from_slice(rest);
        Ok(())
    }

    /// The line so far, without a byte order mark before the first line.
    fn unmarked(&self) -> &[u8] {
        if self.started { &self.line } else { self.line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.line) }
    }

    /// The value of the line, if it is a data line.
    fn line_of_data(&self) -> Option<&[u8]> {
        let value = self.unmarked().strip_prefix(b"data:")?;
        Some(value.strip_prefix(b" ").unwrap_or(value))
    }

    fn begin_data(&mut self, so_far: SoFar) -> Result<(), TurnFailure> {
        let first = mem::replace(&mut self.so_far, so_far) == SoFar::NoData;
        if first { Ok(()) } else { self.add(b"\n") }
    }

    fn add(&mut self, value: &[u8]) -> Result<(), TurnFailure> {
        if !(self.needs)(&self.name) {
            return Ok(());
        }
        let bytes = self.data.len() + value.len();
        if bytes > self.limit {
            return Err(too_large());
        }
        reserve_returnable(&mut self.data, bytes);
        self.data.extend_from_slice(value);
        Ok(())
    }

    fn line_ended(&mut self, listener: Listener<'_>) -> Result<(), TurnFailure> {
        if self.so_far == SoFar::PartOfData {
            self.so_far = SoFar::Data;
            return Ok(());
        }
        let line = mem::take(&mut self.line);
        let first = !mem::replace(&mut self.started, true);
        let line = if first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line) } else { &line };
        if line.is_empty() {
            let has_event = mem::replace(&mut self.so_far, SoFar::NoData) != SoFar::NoData;
            let result =
                if has_event { listener(StreamEvent { name: &self.name, data: &self.data }) } else { Ok(()) };
            self.name.clear();
            // The memory of a large event is released at once.
            if self.data.capacity() > FREE_BYTES {
                self.data = Vec::new();
            } else {
                self.data.clear();
            }
            return result;
        }
        // A comment begins with a colon.
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = colon.map_or((line, &b""[..]), |at| (&line[..at], &line[at + 1..]));
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                self.begin_data(SoFar::Data)?;
                self.add(value)?;
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            _ => {}
        }
        Ok(())
    }
}

fn too_large() -> TurnFailure {
    TurnFailure::new(Class::Lost, Why::AnswerTooLarge).with_detail("one event of over 16 MiB")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::EVENT_BYTES_MAX;
    use super::*;

    fn events(limit: usize) -> Events {
        Events::new(limit, |name| name != b"unwanted")
    }

    fn events_of(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut events = events(EVENT_BYTES_MAX);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut listener = |event: StreamEvent<'_>| {
            found.push((text(event.name), text(event.data)));
            Ok(())
        };
        for piece in pieces {
            events.push(piece, &mut listener).unwrap();
        }
        events.end(&mut listener).unwrap();
        found
    }

    fn pairs(rows: &[(&str, &str)]) -> Vec<(String, String)> {
        rows.iter().map(|(name, data)| ((*name).to_owned(), (*data).to_owned())).collect()
    }

    #[test]
    fn lines_end_in_any_way_and_data_may_have_several() {
        let stream = "\u{feff}: hello\nevent: a\ndata: 1\ndata:2\nid: 7\n\ndata\n\nevent: lost\n\nretry: 9\ndata: {\"x\": 1}\n\ndata:  [DONE]";
        let expected = pairs(&[("a", "1\n2"), ("", ""), ("", "{\"x\": 1}"), ("", " [DONE]")]);
        for end in ["\n", "\r\n", "\r"] {
            let stream = stream.replace('\n', end);
            assert_eq!(events_of(&[stream.as_bytes()]), expected, "{end:?}");
        }
    }

    /// Every position of a piece's end, with all three line endings.
    #[test]
    fn pieces_may_end_anywhere() {
        let stream =
            "event: response.created\ndata: {\"a\":\"ü\"}\n\n: x\ndata: 1\ndata: 2\n\ndata: [DONE]\n\n";
        for end in ["\n", "\r\n", "\r"] {
            let stream = stream.replace('\n', end).into_bytes();
            let whole = events_of(&[&stream]);
            assert_eq!(whole.len(), 3);
            for at in 0..=stream.len() {
                for to in at..=stream.len() {
                    assert_eq!(
                        events_of(&[&stream[..at], &stream[at..to], &stream[to..]]),
                        whole,
                        "{at} {to}"
                    );
                }
            }
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            assert_eq!(events_of(&bytes), whole);
        }
    }

    #[test]
    fn an_endless_line_or_event_is_refused() {
        for piece in [&b"data: 12345678\n"[..], b": comment without end ", b"data: x"] {
            let mut events = events(64);
            let mut refused = None;
            for _ in 0..100 {
                if let Err(failure) = events.push(piece, &mut |_| Ok(())) {
                    refused = Some(failure.why);
                    break;
                }
            }
            assert_eq!(refused, Some(Why::AnswerTooLarge));
            assert!(events.line.len() <= 64 && events.data.len() <= 64);
        }
        let mut events = events(64);
        for _ in 0..100 {
            events.push(b": alive\n\nevent: ping\n\n", &mut |_| Ok(())).unwrap();
        }
    }

    /// Unneeded data is not stored. Large data is stored once, and its memory is released with its event.
    #[test]
    fn only_needed_data_is_stored() {
        let mut events = events(EVENT_BYTES_MAX);
        let long = "x".repeat(1_000_000);
        let mut found = Vec::new();
        let mut listener = |event: StreamEvent<'_>| {
            found.push((event.name.to_vec(), event.data.len()));
            Ok(())
        };
        for name in ["unwanted", "wanted"] {
            for piece in format!("event: {name}\ndata: {long}\n").as_bytes().chunks(16 * 1024) {
                let most = events.bytes_kept() + piece.len();
                events.push(piece, &mut listener).unwrap();
                assert!(events.bytes_kept() <= most);
            }
            assert_eq!(events.bytes_kept(), if name == "wanted" { long.len() } else { 0 });
            events.push(b"\n", &mut listener).unwrap();
            assert_eq!((events.bytes_kept(), events.data.capacity() <= FREE_BYTES), (0, true));
        }
        assert_eq!(found, [(b"unwanted".to_vec(), 0), (b"wanted".to_vec(), 1_000_000)]);
    }

    proptest! {
        #[test]
        fn the_same_events_come_out_wherever_pieces_end(
            bytes in prop::collection::vec(prop::sample::select(b"\r\n: daetv1\xef\xbb\xbf".to_vec()), 0..60),
            at in 0_usize..60,
        ) {
            let at = at.min(bytes.len());
            prop_assert_eq!(events_of(&[&bytes[..at], &bytes[at..]]), events_of(&[&bytes]));
        }
    }
}
