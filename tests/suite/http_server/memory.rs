//! The memory of connections, measured in a separate process (debug builds use more).

use super::child::Actor;
use super::*;

/// All places of a server with default limits.
const PLACES: usize = 256;
const MIB: u64 = 1024;

/// Bytes that have arrived at this port and that the server has not read, over all connections.
fn unread_bytes(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let of_line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ours = words.get(1)?.strip_suffix(&format!(":{port:04X}")).is_some();
        let (_, unread) = words.get(4)?.split_once(':')?;
        ours.then_some(u64::from_str_radix(unread, 16).ok()?)
    };
    table.lines().skip(1).filter_map(of_line).sum()
}

/// The growth of the server in KiB after `occupy` on every place. It counts private memory only: how much of the program
/// file is resident is random.
fn growth(occupy: impl Fn(&mut Client)) -> u64 {
    let (actor, address) = Actor::server("", None);
    Client::connect(address).expect_health();
    let before = actor.kib("RssAnon");
    let mut clients: Vec<Client> = (0..PLACES).map(|_| Client::connect(address)).collect();
    clients.iter_mut().for_each(occupy);
    wait_until("all is read", || unread_bytes(address.port()) == 0);
    let growth = actor.kib("RssAnon").saturating_sub(before);
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.ask("\r\n\r\n").status, 200, "connection {n} is still there");
    }
    growth
}

#[test]
fn idle_connections_use_little_memory() {
    let growth = growth(|client| {
        client.expect_health();
        client.send("GET /health HTTP/1.1\r\nHost: h");
    });
    // About 21 KiB each in a debug build, mostly the stack that an exchange has touched.
    assert!(growth <= 5 * MIB + MIB / 2, "{PLACES} connections cost {growth} KiB");
}

#[test]
fn full_heads_use_little_more_memory_than_their_size() {
    let head = format!("GET /health HTTP/1.1\r\nHost: h\r\nX: {}", "x".repeat(15 * 1024));
    let growth = growth(|client| {
        client.send(&head);
    });
    assert!(growth <= 8 * MIB, "{PLACES} heads of 15 KiB cost {growth} KiB");
}
