//! The buffers of a connection. Each exists only while it is needed.
//!
//! A connection between two requests has none. A connection that waits for an answer has no output buffer.
//!
//! The library writes the head of a request and the first part of its body separately. The output buffer can
//! keep the head in front, so that both are sent by one write.

use ureq::unversioned::transport::{Buffers, ConnectionDetails};

/// The space for a part of a chunked body.
const CHUNK_BYTES: usize = 10 * 1024;

/// The input and output of a connection.
#[derive(Debug)]
pub(super) struct ConnectionBuffers {
    input: Vec<u8>,
    consumed: usize,
    filled: usize,
    /// Whether the last use of the input consumed any of it.
    progress: bool,
    output: Vec<u8>,
    /// Bytes of the output that wait for the next ones.
    held: usize,
    input_bytes: usize,
    output_bytes: usize,
}

impl ConnectionBuffers {
    pub(super) fn new(details: &ConnectionDetails<'_>) -> Self {
        Self::of(details.config.input_buffer_size(), details.config.output_buffer_size())
    }

    fn of(input_bytes: usize, output_bytes: usize) -> Self {
        let (input, output) = (Vec::new(), Vec::new());
        Self { input, consumed: 0, filled: 0, progress: false, output, held: 0, input_bytes, output_bytes }
    }

    /// Accepts the next bytes of output. Returns all bytes to send now: none if these are the head of a `POST`,
    /// whose body follows.
    pub(super) fn outgoing(&mut self, amount: usize) -> &[u8] {
        let all = self.held + amount;
        let is_head = self.held == 0
            && self.output.starts_with(b"POST ")
            && self.output[..all].ends_with(b"\r\n\r\n")
            && all <= self.output.len() / 2;
        if is_head {
            self.held = all;
            return &[];
        }
        self.held = 0;
        &self.output[..all]
    }

    /// The bytes that are still kept back. They must be sent before the wait for input.
    pub(super) fn held_back(&mut self) -> &[u8] {
        let held = std::mem::take(&mut self.held);
        &self.output[..held]
    }

    /// Frees the output buffer.
    pub(super) fn release_output(&mut self) {
        if self.held == 0 {
            self.output = Vec::new();
        }
    }

    /// Frees both buffers, except for input that is not consumed yet.
    pub(super) fn release(&mut self) {
        self.release_output();
        if self.input().is_empty() {
            (self.consumed, self.filled) = (0, 0);
            self.input = Vec::new();
        }
    }

    /// Frees space behind the input.
    fn make_room(&mut self) {
        if self.input.is_empty() {
            self.input = vec![0; self.input_bytes];
        }
        if self.consumed == self.filled {
            (self.consumed, self.filled) = (0, 0);
        } else if self.filled > self.input.len() / 2 {
            self.input.copy_within(self.consumed..self.filled, 0);
            (self.consumed, self.filled) = (0, self.filled - self.consumed);
        }
    }

    fn ensure_output(&mut self) {
        if self.output.is_empty() {
            self.output = vec![0; self.output_bytes];
        }
    }
}

impl Buffers for ConnectionBuffers {
    fn output(&mut self) -> &mut [u8] {
        self.ensure_output();
        &mut self.output[self.held..]
    }

    fn input(&self) -> &[u8] {
        &self.input[self.consumed..self.filled]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.make_room();
        &mut self.input[self.filled..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.filled += amount;
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.consumed += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.make_room();
        // Input before the request is sent is unusual, but must not stop its body.
        let needed = self.filled + CHUNK_BYTES;
        if self.input.len() < needed {
            self.input.resize(needed, 0);
        }
        self.ensure_output();
        (&mut self.input[self.filled..], &mut self.output[self.held..])
    }

    fn can_use_input(&self) -> bool {
        !self.input().is_empty() && self.progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(buffers: &mut ConnectionBuffers, bytes: &[u8]) -> Vec<u8> {
        buffers.output()[..bytes.len()].copy_from_slice(bytes);
        buffers.outgoing(bytes.len()).to_vec()
    }

    #[test]
    fn the_head_of_a_post_is_sent_with_its_body() {
        let mut buffers = ConnectionBuffers::of(64, 64);
        assert_eq!(put(&mut buffers, b"POST / HTTP/1.1\r\n\r\n"), b"");
        assert_eq!(put(&mut buffers, b"body"), b"POST / HTTP/1.1\r\n\r\nbody");
        assert_eq!(put(&mut buffers, b"rest"), b"rest");
        assert_eq!(buffers.held_back(), b"");
    }

    #[test]
    fn other_bytes_are_sent_at_once_and_a_lone_head_before_the_wait() {
        let mut buffers = ConnectionBuffers::of(64, 64);
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"POST / HTTP/1.1\r\n", b"\x16\x03\x01"] {
            assert_eq!(put(&mut buffers, bytes), bytes);
        }
        assert_eq!(put(&mut buffers, b"POST / HTTP/1.1\r\n\r\n"), b"");
        buffers.release();
        assert_eq!(buffers.held_back(), b"POST / HTTP/1.1\r\n\r\n", "held bytes are not freed");
        assert_eq!(buffers.held_back(), b"");
        // A head that leaves little space for a body.
        let mut large = b"POST / HTTP/1.1\r\n".to_vec();
        large.resize(40, b'x');
        large.extend(b"\r\n\r\n");
        assert_eq!(put(&mut buffers, &large), large);
    }

    #[test]
    fn unconsumed_input_survives_a_release_and_the_rest_is_freed() {
        let mut buffers = ConnectionBuffers::of(8, 8);
        buffers.input_append_buf()[..5].copy_from_slice(b"abcde");
        buffers.input_appended(5);
        buffers.input_consume(3);
        buffers.release();
        assert_eq!(buffers.input(), b"de");
        assert!(buffers.can_use_input());
        buffers.input_consume(0);
        assert!(!buffers.can_use_input(), "the reader needs more input first");
        assert_eq!(buffers.input_append_buf().len(), 6, "the rest moves to the front");
        buffers.input_consume(2);
        buffers.release();
        assert_eq!((buffers.input.capacity(), buffers.output.capacity()), (0, 0));
        assert_eq!(buffers.input_append_buf().len(), 8);
    }

    #[test]
    fn a_chunked_body_has_space_even_behind_early_input() {
        let mut buffers = ConnectionBuffers::of(8, 8);
        buffers.input_append_buf().fill(1);
        buffers.input_appended(8);
        let (space, output) = buffers.tmp_and_output();
        assert_eq!((space.len(), output.len()), (CHUNK_BYTES, 8));
        assert_eq!(buffers.input(), [1; 8]);
    }
}
