//! Places, evictions and the reserve, over sockets without a server.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

/// A registry of two places that loses patience after `patience`.
fn two_places(patience: Duration) -> (Arc<Registry>, TcpListener) {
    let limits = ServerLimits { connections: 2, reserve: 0, patience, ..ServerLimits::default() };
    (Arc::new(Registry::new(&limits)), TcpListener::bind("127.0.0.1:0").unwrap())
}

/// A new client, and the place it gets.
fn come(registry: &Arc<Registry>, listener: &TcpListener) -> (TcpStream, Option<Place>) {
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, peer) = listener.accept().unwrap();
    match registry.admit(stream, peer) {
        Admission::Admitted(place) => (client, Some(place)),
        Admission::Full | Admission::Closed => (client, None),
    }
}

/// A later millisecond than now, so that ages differ.
fn grow_older(registry: &Registry) {
    let now = registry.millis();
    while registry.millis() == now {
        std::thread::yield_now();
    }
}

#[test]
fn the_longest_idle_leaves_and_the_busy_stay() {
    let (registry, listener) = two_places(Duration::MAX);
    let (_one, Some(first)) = come(&registry, &listener) else { panic!("no place") };
    grow_older(&registry);
    let (_two, Some(second)) = come(&registry, &listener) else { panic!("no place") };
    first.now(Doing::Busy);
    let (_three, Some(third)) = come(&registry, &listener) else { panic!("no place") };
    assert_eq!((first.is_leaving(), second.is_leaving()), (false, true));
    third.now(Doing::Reading);
    let (_four, none) = come(&registry, &listener);
    assert!(none.is_none(), "one is busy, one is sending a request, one leaves already");
    drop(second);
    assert!(come(&registry, &listener).1.is_none(), "two stay, and that is the cap");
    drop(first);
    assert!(come(&registry, &listener).1.is_some());
}

#[test]
fn a_slow_request_makes_room_only_when_nobody_is_idle() {
    let (registry, listener) = two_places(Duration::ZERO);
    let (_one, Some(slow)) = come(&registry, &listener) else { panic!("no place") };
    slow.now(Doing::Reading);
    grow_older(&registry);
    let (_two, Some(idle)) = come(&registry, &listener) else { panic!("no place") };
    let (_three, Some(third)) = come(&registry, &listener) else { panic!("no place") };
    assert_eq!((slow.is_leaving(), idle.is_leaving()), (false, true));
    third.now(Doing::Busy);
    assert!(come(&registry, &listener).1.is_some());
    assert!(slow.is_leaving());
}

/// A peer that takes its answer piece by piece stays; one that does not is cut off in the middle of it.
#[test]
fn a_peer_that_does_not_take_its_answer_makes_room() {
    let (registry, listener) = two_places(Duration::from_millis(50));
    let (_one, Some(taking)) = come(&registry, &listener) else { panic!("no place") };
    let (_two, Some(stalled)) = come(&registry, &listener) else { panic!("no place") };
    taking.now(Doing::Busy);
    stalled.now(Doing::Sending);
    assert!(come(&registry, &listener).1.is_none(), "nobody is late yet");
    assert!(!registry.cut_off_stalled());
    while !registry.is_late(Doing::read(stalled.mine.get()).1, registry.millis()) {
        std::thread::yield_now();
    }
    taking.while_sending(|| assert!(come(&registry, &listener).1.is_some()));
    assert_eq!((taking.is_leaving(), stalled.is_leaving()), (false, true));
    assert!(stalled.stream().write(b"more").is_err(), "it cannot be sent to any more");
    assert_eq!(Doing::read(taking.mine.get()).0, Doing::Busy, "it does again what it did before");
}

#[test]
fn the_reserve_has_its_own_places_and_its_own_evictions() {
    let limits =
        ServerLimits { connections: 1, reserve: 1, patience: Duration::MAX, ..ServerLimits::default() };
    let registry = Arc::new(Registry::new(&limits));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_one, Some(busy)) = come(&registry, &listener) else { panic!("no place") };
    busy.now(Doing::Busy);
    let (_two, Some(reserved)) = come(&registry, &listener) else { panic!("no place") };
    assert_eq!((busy.is_reserved(), reserved.is_reserved()), (false, true));
    let (_three, Some(next)) = come(&registry, &listener) else { panic!("no place") };
    assert_eq!((busy.is_leaving(), reserved.is_leaving(), next.is_reserved()), (false, true, true));
    next.now(Doing::Busy);
    assert!(come(&registry, &listener).1.is_none());
    drop((busy, reserved, next));
    let (_four, Some(place)) = come(&registry, &listener) else { panic!("no place") };
    assert!(!place.is_reserved());
}

#[test]
fn a_request_that_had_come_is_still_read_by_who_has_to_leave() {
    let (registry, listener) = two_places(Duration::MAX);
    let (mut client, Some(place)) = come(&registry, &listener) else { panic!("no place") };
    client.write_all(b"request").unwrap();
    place.stream().peek(&mut [0]).unwrap();
    registry.make_way();
    place.now(Doing::Reading);
    assert!(place.is_leaving(), "what was decided stays decided");
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
fn making_way_costs_an_eighth_of_the_idle_and_waits_for_one_to_end() {
    let limits = ServerLimits { connections: 100, patience: Duration::MAX, ..ServerLimits::default() };
    let registry = Arc::new(Registry::new(&limits));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let come = || {
        grow_older(&registry);
        come(&registry, &listener)
    };
    let (clients, mut places): (Vec<_>, Vec<_>) = (0..17).map(|_| come()).unzip();
    let leaving = |places: &[Option<Place>]| {
        places.iter().flatten().map(|place| usize::from(place.is_leaving())).sum::<usize>()
    };
    let start = Instant::now();
    registry.make_way();
    assert!(start.elapsed() >= WAY_OUT, "nobody ended");
    assert_eq!(leaving(&places[..3]), 3, "the three oldest of seventeen");
    assert_eq!(leaving(&places), 3);
    // Now they are late, so others have to go: two of fourteen. The first to end ends the wait.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| registry.make_way());
        while leaving(&places[3..]) < 2 {
            std::thread::yield_now();
        }
        places[3] = None;
        waiting.join().unwrap();
    });
    assert_eq!(leaving(&places[3..]), 1, "the other one of the two; nobody else");
    drop(clients);
}

#[test]
fn what_and_since_when_fit_one_word() {
    for doing in Doing::ALL {
        assert_eq!(Doing::read(doing.since(1234)), (doing, 1234));
    }
}
