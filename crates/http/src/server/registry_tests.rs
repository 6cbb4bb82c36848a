//! Places, evictions and the reserve, tested over sockets without a server.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

/// A registry of two places with this patience.
fn two_places(patience: Duration) -> (Arc<Registry>, TcpListener) {
    let limits = ServerLimits { connections: 2, reserve: 0, patience, ..ServerLimits::default() };
    (Arc::new(Registry::new(&limits)), TcpListener::bind("127.0.0.1:0").unwrap())
}

/// Connects a new client and returns the place it receives.
fn connect(registry: &Arc<Registry>, listener: &TcpListener) -> (TcpStream, Option<Place>) {
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, peer) = listener.accept().unwrap();
    match registry.admit(stream, peer) {
        Admission::Admitted(place) => (client, Some(place)),
        Admission::Full | Admission::Closed => (client, None),
    }
}

/// Waits for the next millisecond, so that ages differ.
fn next_millisecond(registry: &Registry) {
    let now = registry.millis();
    while registry.millis() == now {
        std::thread::yield_now();
    }
}

#[test]
fn evicts_the_longest_idle_and_keeps_the_busy() {
    let (registry, listener) = two_places(Duration::MAX);
    let (_one, Some(first)) = connect(&registry, &listener) else { panic!("no place") };
    next_millisecond(&registry);
    let (_two, Some(second)) = connect(&registry, &listener) else { panic!("no place") };
    first.enter(Activity::Busy);
    let (_three, Some(third)) = connect(&registry, &listener) else { panic!("no place") };
    assert_eq!((first.is_evicted(), second.is_evicted()), (false, true));
    third.enter(Activity::Reading);
    let (_four, none) = connect(&registry, &listener);
    assert!(none.is_none(), "one is busy, one is sending a request, one is evicted already");
    drop(second);
    assert!(connect(&registry, &listener).1.is_none(), "two stay, and that is the cap");
    drop(first);
    assert!(connect(&registry, &listener).1.is_some());
}

#[test]
fn evicts_a_slow_request_only_if_no_connection_is_idle() {
    let (registry, listener) = two_places(Duration::ZERO);
    let (_one, Some(slow)) = connect(&registry, &listener) else { panic!("no place") };
    slow.enter(Activity::Reading);
    next_millisecond(&registry);
    let (_two, Some(idle)) = connect(&registry, &listener) else { panic!("no place") };
    let (_three, Some(third)) = connect(&registry, &listener) else { panic!("no place") };
    assert_eq!((slow.is_evicted(), idle.is_evicted()), (false, true));
    third.enter(Activity::Busy);
    assert!(connect(&registry, &listener).1.is_some());
    assert!(slow.is_evicted());
}

/// A peer that takes its reply piece by piece stays. A stalled one is cut off in the middle of its reply.
#[test]
fn evicts_a_peer_that_stalls_on_its_reply() {
    let (registry, listener) = two_places(Duration::from_millis(50));
    let (_one, Some(taking)) = connect(&registry, &listener) else { panic!("no place") };
    let (_two, Some(stalled)) = connect(&registry, &listener) else { panic!("no place") };
    taking.enter(Activity::Busy);
    stalled.enter(Activity::Sending);
    assert!(connect(&registry, &listener).1.is_none(), "no peer is late yet");
    assert!(!registry.cut_off_stalled());
    while !registry.is_late(Activity::decode(stalled.mine.get()).1, registry.millis()) {
        std::thread::yield_now();
    }
    taking.while_sending(|| assert!(connect(&registry, &listener).1.is_some()));
    assert_eq!((taking.is_evicted(), stalled.is_evicted()), (false, true));
    assert!(stalled.stream().write(b"more").is_err(), "its socket is shut down");
    assert_eq!(Activity::decode(taking.mine.get()).0, Activity::Busy, "the previous activity is restored");
}

#[test]
fn bounds_and_evicts_the_reserve_separately() {
    let limits =
        ServerLimits { connections: 1, reserve: 1, patience: Duration::MAX, ..ServerLimits::default() };
    let registry = Arc::new(Registry::new(&limits));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_one, Some(busy)) = connect(&registry, &listener) else { panic!("no place") };
    busy.enter(Activity::Busy);
    let (_two, Some(reserved)) = connect(&registry, &listener) else { panic!("no place") };
    assert_eq!((busy.is_reserved(), reserved.is_reserved()), (false, true));
    let (_three, Some(next)) = connect(&registry, &listener) else { panic!("no place") };
    assert_eq!((busy.is_evicted(), reserved.is_evicted(), next.is_reserved()), (false, true, true));
    next.enter(Activity::Busy);
    assert!(connect(&registry, &listener).1.is_none());
    drop((busy, reserved, next));
    let (_four, Some(place)) = connect(&registry, &listener) else { panic!("no place") };
    assert!(!place.is_reserved());
}

#[test]
fn an_evicted_connection_still_reads_a_request_received_before() {
    let (registry, listener) = two_places(Duration::MAX);
    let (mut client, Some(place)) = connect(&registry, &listener) else { panic!("no place") };
    client.write_all(b"request").unwrap();
    place.stream().peek(&mut [0]).unwrap();
    registry.free_resources();
    place.enter(Activity::Reading);
    assert!(place.is_evicted(), "an eviction is final");
    let mut heard = Vec::new();
    place.stream().read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"request");
    place.stream().write_all(b"answer").unwrap();
    drop(place);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");
    assert_eq!(registry.open(), 0);
}

#[test]
fn freeing_resources_evicts_an_eighth_of_the_idle_and_waits_for_one_to_end() {
    let limits = ServerLimits { connections: 100, patience: Duration::MAX, ..ServerLimits::default() };
    let registry = Arc::new(Registry::new(&limits));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = || {
        next_millisecond(&registry);
        connect(&registry, &listener)
    };
    let (clients, mut places): (Vec<_>, Vec<_>) = (0..17).map(|_| connect()).unzip();
    let evicted = |places: &[Option<Place>]| {
        places.iter().flatten().map(|place| usize::from(place.is_evicted())).sum::<usize>()
    };
    let start = Instant::now();
    registry.free_resources();
    assert!(start.elapsed() >= EVICTION_WAIT, "no connection ended");
    assert_eq!(evicted(&places[..3]), 3, "the three oldest of seventeen");
    assert_eq!(evicted(&places), 3);
    // The evicted ones are overdue now, so two of the other fourteen follow. The first to end ends the wait.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| registry.free_resources());
        while evicted(&places[3..]) < 2 {
            std::thread::yield_now();
        }
        places[3] = None;
        waiting.join().unwrap();
    });
    assert_eq!(evicted(&places[3..]), 1, "only the other one of the two");
    drop(clients);
}

#[test]
fn one_word_encodes_activity_and_start() {
    for activity in Activity::ALL {
        assert_eq!(Activity::decode(activity.encode(1234)), (activity, 1234));
    }
}
