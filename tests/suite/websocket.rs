//! Frames of RFC 6455, row by row: which are accepted, which are refused, in any fragmentation.

use mission_control_runtime::http::websocket::{
    Broken, Incoming, Kind, Reader, Side, WebSocketLimits, accept_key, close_frame, frame, key_of,
};
use proptest::prelude::*;

const LIMITS: WebSocketLimits = WebSocketLimits { message_bytes: 100_000, frames: 8 };
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// Everything one side has sent, read in pieces of this size.
fn received(side: Side, bytes: &[u8], piece: usize) -> (Vec<Incoming>, Option<Broken>) {
    let mut reader = Reader::new(side, LIMITS);
    let mut received = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        reader.push(piece);
        loop {
            match reader.take() {
                Ok(Some(next)) => received.push(next),
                Ok(None) => break,
                Err(broken) => return (received, Some(broken)),
            }
        }
    }
    (received, None)
}

fn text(words: &str) -> Incoming {
    Incoming::Text(words.to_owned())
}

fn plain(kind: Kind, last: bool, payload: &[u8]) -> Vec<u8> {
    frame(kind, last, payload, None)
}

/// RFC 6455 §5.2: the three encodings of a length and their limits.
#[test]
fn encodes_every_length_in_the_shortest_form() {
    let rows = [(0, 2), (1, 2), (125, 2), (126, 4), (127, 4), (65_535, 4), (65_536, 10), (100_000, 10)];
    for (length, head) in rows {
        let words = "x".repeat(length);
        let bytes = plain(Kind::Text, true, words.as_bytes());
        assert_eq!(bytes.len(), head + length);
        let masked = frame(Kind::Text, true, words.as_bytes(), Some(MASK));
        assert_eq!(masked.len(), head + 4 + length);
        for piece in [1, 3, 1_000, usize::MAX / 2] {
            if length > 1_000 && piece < 1_000 {
                continue;
            }
            assert_eq!(received(Side::Server, &bytes, piece), (vec![text(&words)], None), "{length} {piece}");
            assert_eq!(
                received(Side::Client, &masked, piece),
                (vec![text(&words)], None),
                "{length} {piece}"
            );
        }
    }
}

/// RFC 6455 §5.7, byte by byte.
#[test]
fn matches_the_examples_of_the_standard() {
    let hello = text("Hello");
    let rows: [(Side, &[u8], Incoming); 5] = [
        (Side::Server, b"\x81\x05Hello", hello.clone()),
        (Side::Client, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", hello.clone()),
        (Side::Server, b"\x01\x03Hel\x80\x02lo", hello),
        (Side::Server, b"\x89\x05Hello", Incoming::Ping(b"Hello".to_vec())),
        (Side::Client, b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", Incoming::Pong),
    ];
    for (side, bytes, expected) in rows {
        assert_eq!(received(side, bytes, 1), (vec![expected], None));
    }
    assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "§1.3");
    assert_eq!(key_of(*b"the sample nonce"), "dGhlIHNhbXBsZSBub25jZQ==");
}

#[test]
fn joins_fragments_with_control_frames_in_between() {
    let pieces = [
        plain(Kind::Text, false, "Gr\u{fc}".as_bytes()),
        plain(Kind::Ping, true, b"?"),
        plain(Kind::More, false, b""),
        // Inside a character.
        plain(Kind::More, false, &"\u{df}e".as_bytes()[..1]),
        plain(Kind::Pong, true, b""),
        plain(Kind::More, true, &"\u{df}e".as_bytes()[1..]),
        close_frame(1001, None),
    ]
    .concat();
    let expected = vec![
        Incoming::Ping(b"?".to_vec()),
        Incoming::Pong,
        text("Gr\u{fc}\u{df}e"),
        Incoming::Close(Some(1001)),
    ];
    for piece in 1..pieces.len() {
        assert_eq!(received(Side::Server, &pieces, piece), (expected.clone(), None), "{piece}");
    }
}

#[test]
fn names_each_protocol_violation() {
    let long = |second: u8, length: &[u8]| [&[0x81, second][..], length].concat();
    let many = [plain(Kind::Text, false, b""), plain(Kind::More, false, b"").repeat(8)].concat();
    let rows: Vec<(&str, Side, Vec<u8>, Broken)> = vec![
        ("a mask from a server", Side::Server, frame(Kind::Text, true, b"x", Some(MASK)), Broken::Frame),
        ("no mask from a client", Side::Client, plain(Kind::Text, true, b"x"), Broken::Frame),
        ("a reserved bit", Side::Server, b"\xc1\x01x".to_vec(), Broken::Frame),
        ("an unknown kind", Side::Server, b"\x83\x01x".to_vec(), Broken::Frame),
        ("an unknown control", Side::Server, b"\x8b\x00".to_vec(), Broken::Frame),
        ("a ping in pieces", Side::Server, plain(Kind::Ping, false, b""), Broken::Frame),
        ("a long ping", Side::Server, plain(Kind::Ping, true, &[0; 126]), Broken::Frame),
        ("more of nothing", Side::Server, plain(Kind::More, true, b"x"), Broken::Frame),
        (
            "a text inside a text",
            Side::Server,
            [plain(Kind::Text, false, b"x"), plain(Kind::Text, true, b"y")].concat(),
            Broken::Frame,
        ),
        ("125 in two bytes", Side::Server, long(126, &125_u16.to_be_bytes()), Broken::Frame),
        ("65535 in eight", Side::Server, long(127, &65_535_u64.to_be_bytes()), Broken::Frame),
        ("a length below zero", Side::Server, long(127, &u64::MAX.to_be_bytes()), Broken::Frame),
        ("half a reason", Side::Server, plain(Kind::Close, true, &[3]), Broken::Frame),
        ("a reason that is no text", Side::Server, plain(Kind::Close, true, &[3, 232, 0xff]), Broken::Frame),
        ("bytes", Side::Server, plain(Kind::Binary, true, b"x"), Broken::Binary),
        ("no UTF-8", Side::Server, plain(Kind::Text, true, &[0xff]), Broken::Utf8),
        ("half a character", Side::Server, plain(Kind::Text, true, &[0xc3]), Broken::Utf8),
        // Refused by its head: its payload is not awaited.
        ("announced too large", Side::Server, long(127, &100_001_u64.to_be_bytes()), Broken::TooLarge),
        ("announced absurdly", Side::Server, long(127, &(u64::MAX >> 1).to_be_bytes()), Broken::TooLarge),
        (
            "too large in pieces",
            Side::Server,
            [plain(Kind::Text, false, &[b'x'; 60_000]), plain(Kind::More, true, &[b'x'; 40_001])].concat(),
            Broken::TooLarge,
        ),
        ("too many pieces", Side::Server, many, Broken::TooMany),
        ("pings for ever", Side::Server, plain(Kind::Ping, true, b"").repeat(9), Broken::TooMany),
    ];
    for (name, side, bytes, expected) in rows {
        for piece in [1, usize::MAX / 2] {
            assert_eq!(received(side, &bytes, piece).1, Some(expected), "{name}");
        }
    }
}

/// Eight frames are allowed per message. The count restarts with each message.
#[test]
fn counts_frames_per_message_only() {
    let one = [plain(Kind::Ping, true, b""), plain(Kind::Text, true, b"x")].concat();
    let (all, broken) = received(Side::Server, &one.repeat(1_000), 7);
    assert_eq!((all.len(), broken), (2_000, None));
}

#[test]
fn an_incomplete_frame_yields_no_message() {
    let bytes = frame(Kind::Text, true, &[b'x'; 300], Some(MASK));
    for end in 0..bytes.len() {
        assert_eq!(received(Side::Client, &bytes[..end], 1), (Vec::new(), None), "{end}");
    }
    assert_eq!(
        received(Side::Server, &plain(Kind::Close, true, b""), 1),
        (vec![Incoming::Close(None)], None)
    );
}

proptest! {
    /// Every text arrives, whatever its frames and pieces.
    #[test]
    fn every_text_arrives_in_any_fragmentation(words in ".{0,300}", cuts in proptest::collection::vec(0_usize..300, 0..4), mask: [u8; 4], piece in 1_usize..50) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(words.len())).collect();
        cuts.sort_unstable();
        let (mut bytes, mut from) = (Vec::new(), 0);
        for (number, to) in cuts.iter().copied().chain([words.len()]).enumerate() {
            let kind = if number == 0 { Kind::Text } else { Kind::More };
            bytes.extend(frame(kind, number == cuts.len(), &words.as_bytes()[from..to], Some(mask)));
            from = to;
        }
        prop_assert_eq!(received(Side::Client, &bytes, piece), (vec![Incoming::Text(words)], None));
    }

    /// No input causes a panic, or memory use beyond the bytes sent.
    #[test]
    fn arbitrary_bytes_cause_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), piece in 1_usize..50) {
        let one = received(Side::Server, &bytes, piece);
        prop_assert_eq!(one, received(Side::Server, &bytes, 1), "however it is cut");
    }
}
