//! A stream of server-sent events, cut into events. Bytes go in, in pieces of any size; lines may end in any way, and
//! data may stand on several lines.

use std::mem;

use super::{Class, Failure, Why};

/// The largest event, and the longest line.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The beginning of a stream that somebody's editor has marked.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event: what it is called (empty where it is not), and its data.
#[derive(Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) data: &'a [u8],
}

/// Who hears of events.
pub(crate) type Listener<'a> = &'a mut dyn FnMut(Event<'_>) -> Result<(), Failure>;

/// The state between two pieces.
pub(crate) struct Events {
    /// A line that has not ended yet.
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_return: bool,
    begun: bool,
    limit: usize,
}

impl Default for Events {
    fn default() -> Self {
        Self::with_limit(EVENT_BYTES_MAX)
    }
}

impl Events {
    fn with_limit(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            name: Vec::new(),
            data: Vec::new(),
            has_data: false,
            after_return: false,
            begun: false,
            limit,
        }
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, mut bytes: &[u8], hear: Listener<'_>) -> Result<(), Failure> {
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
            if self.line.is_empty() {
                self.line_ended(line_end, hear)?;
            } else {
                self.keep(line_end)?;
                let mut line = mem::take(&mut self.line);
                self.line_ended(&line, hear)?;
                line.clear();
                self.line = line;
            }
        }
        self.keep(bytes)
    }

    /// The stream has ended. Its last event counts even if the blank line behind it is missing: the JSON in it tells
    /// whether it is whole.
    pub(crate) fn end(&mut self, hear: Listener<'_>) -> Result<(), Failure> {
        let line = mem::take(&mut self.line);
        self.line_ended(&line, hear)?;
        self.line_ended(b"", hear)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.line.len() + bytes.len() > self.limit {
            return Err(too_large());
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn line_ended(&mut self, line: &[u8], hear: Listener<'_>) -> Result<(), Failure> {
        let first = !mem::replace(&mut self.begun, true);
        let line = if first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        if line.is_empty() {
            let told = mem::take(&mut self.has_data);
            let result = if told { hear(Event { name: &self.name, data: &self.data }) } else { Ok(()) };
            self.name.clear();
            self.data.clear();
            return result;
        }
        // A comment begins with the colon.
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = colon.map_or((line, &b""[..]), |at| (&line[..at], &line[at + 1..]));
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if self.data.len() + value.len() >= self.limit {
                    return Err(too_large());
                }
                if mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
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

fn too_large() -> Failure {
    Failure::new(Class::Lost, Why::AnswerTooLarge).with_detail("one event of over 16 MiB")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heard(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut events = Events::default();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut hear = |event: Event<'_>| {
            found.push((text(event.name), text(event.data)));
            Ok(())
        };
        for piece in pieces {
            events.push(piece, &mut hear).unwrap();
        }
        events.end(&mut hear).unwrap();
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
            assert_eq!(heard(&[stream.as_bytes()]), expected, "{end:?}");
        }
    }

    /// Every place where a piece can end, in all three spellings of a line's end.
    #[test]
    fn pieces_may_end_anywhere() {
        let stream =
            "event: response.created\ndata: {\"a\":\"ü\"}\n\n: x\ndata: 1\ndata: 2\n\ndata: [DONE]\n\n";
        for end in ["\n", "\r\n", "\r"] {
            let stream = stream.replace('\n', end).into_bytes();
            let whole = heard(&[&stream]);
            assert_eq!(whole.len(), 3);
            for at in 0..=stream.len() {
                for to in at..=stream.len() {
                    assert_eq!(heard(&[&stream[..at], &stream[at..to], &stream[to..]]), whole, "{at} {to}");
                }
            }
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            assert_eq!(heard(&bytes), whole);
        }
    }

    #[test]
    fn what_never_ends_is_not_kept() {
        for piece in [&b"data: 12345678\n"[..], b": comment without end ", b"data: x"] {
            let mut events = Events::with_limit(64);
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
        let mut events = Events::with_limit(64);
        for _ in 0..100 {
            events.push(b": alive\n\nevent: ping\n\n", &mut |_| Ok(())).unwrap();
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_the_same_way_wherever_pieces_end(
            bytes in prop::collection::vec(prop::sample::select(b"\r\n: daetv1\xef\xbb\xbf".to_vec()), 0..60),
            at in 0_usize..60,
        ) {
            let at = at.min(bytes.len());
            prop_assert_eq!(heard(&[&bytes[..at], &bytes[at..]]), heard(&[&bytes]));
        }
    }
}
