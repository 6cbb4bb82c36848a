//! Many clients at once (notes §5.2–§5.6, §6.2–§6.4).

use std::thread;

use super::child::Actor;
use super::*;

/// How long `/health` may take while everybody else is a nuisance.
const PROMPT: Duration = Duration::from_millis(50);

/// Most must be prompt; single ones may meet a busy machine, but none may be refused or wait for a deadline.
fn assert_prompt(mut times: Vec<Duration>) {
    times.sort();
    let (worst, usual) = (times[times.len() - 1], times[times.len() * 9 / 10]);
    assert!(usual <= PROMPT, "of {} requests a tenth took more than {usual:?}", times.len());
    assert!(worst < Duration::from_secs(1), "of {} requests one took {worst:?}", times.len());
}

#[test]
fn two_thousand_idle_connections_do_not_keep_health_from_answering() {
    // Notes §5: 2,008 threads; §6.3: the oldest idle ones go. In four processes, since a thousand descriptors are
    // what one process usually may have.
    let server = serve(Limits::default());
    let address = server.local_addr();
    let mut crowds: Vec<Actor> =
        (0..4).map(|_| Actor::start(&format!("crowd {address} 500"), None)).collect();
    let waiting = thread::spawn(move || {
        for crowd in &mut crowds {
            assert_eq!(crowd.hear(), "500 connected");
        }
        crowds
    });
    let mut times = Vec::new();
    while !waiting.is_finished() {
        times.push(health_takes(address));
        thread::sleep(Duration::from_millis(2));
    }
    let crowds = waiting.join().unwrap();
    times.extend((0..50).map(|_| health_takes(address)));
    assert_prompt(times);
    let open = server.connections();
    assert!((200..=256 + 32).contains(&open), "{open} connections are open");
    drop(crowds);
    assert_eq!(server.stop(GUARD), 0);
}

#[test]
fn forty_clients_with_ten_requests_each_are_all_answered() {
    // Notes §5.3: up to 199 of 400 were not.
    let server = serve(short_limits());
    let start = std::sync::Barrier::new(40);
    thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                start.wait();
                let mut client = Client::connect(server.local_addr());
                (0..10).for_each(|_| client.expect_health());
                client
            });
        }
    });
}

#[test]
fn at_the_cap_the_longest_idle_goes_first() {
    let server = serve(Limits { connections: 3, ..short_limits() });
    let mut clients: Vec<Client> = Vec::new();
    for count in 1..=3 {
        clients.push(Client::connect(server.local_addr()));
        clients[count - 1].expect_health();
        // Ages are counted in milliseconds.
        let next = Instant::now() + Duration::from_millis(2);
        wait_until("they differ in age", || Instant::now() >= next);
    }
    clients[0].expect_health(); // now the second is the oldest
    wait_until("it is idle again", || {
        Client::connect(server.local_addr()).expect_health();
        clients[1].socket().set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        matches!(clients[1].socket().peek(&mut [0]), Ok(0))
    });
}

#[test]
fn nobody_in_the_middle_of_a_request_has_to_go() {
    let (gate, handler) = gate();
    let limits = Limits { connections: 3, patience: GUARD, ..short_limits() };
    let server = Server::bind("127.0.0.1:0", limits, handler).unwrap();
    let mut busy: Vec<Client> = (0..3).map(|_| Client::connect(server.local_addr())).collect();
    for client in &mut busy {
        client.send(GATE);
    }
    gate.await_waiting(3);
    // §6.3: a clear word at once, and nobody else waits for it.
    for _ in 0..50 {
        let answer = Client::connect(server.local_addr()).ask(HEALTH);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    }
    gate.open();
    for client in &mut busy {
        assert_eq!(client.answer().status, 404);
    }
    Client::connect(server.local_addr()).expect_health();
}

#[test]
fn many_turned_away_do_not_become_many_threads() {
    let (gate, handler) = gate();
    let server = Server::bind("127.0.0.1:0", Limits { connections: 1, ..short_limits() }, handler).unwrap();
    let mut busy = Client::connect(server.local_addr());
    busy.send(GATE);
    gate.await_waiting(1);
    // They neither read nor hang up; the 33rd and later are closed without a word.
    let crowd: Vec<Client> = (0..200).map(|_| Client::connect(server.local_addr())).collect();
    let answered = crowd.into_iter().map(|mut client| client.answer_or_end(&Method::Get));
    assert!(answered.flatten().all(|answer| answer.status == 503));
    gate.open();
    assert_eq!(busy.answer().status, 404);
}

#[test]
fn a_siege_of_slow_heads_is_lifted_by_who_comes_next() {
    // Notes §5.6 and §6.1; with the cap full of half heads, those beyond our patience make room.
    let server = serve(Limits { head_time: Duration::from_secs(2), ..short_limits() });
    let start = Instant::now();
    let mut siege: Vec<Client> = (0..300).map(|_| Client::connect(server.local_addr())).collect();
    for client in &mut siege {
        let _ = client.socket().write_all(b"GET / HTTP/1.1\r\nHost: h\r\nX: ");
    }
    // Up to here some may have been turned away; from now on nobody is.
    let patience = Instant::now() + Duration::from_millis(150);
    wait_until("our patience is over", || Instant::now() >= patience);
    let times = (0..50).map(|_| health_takes(server.local_addr())).collect();
    assert_prompt(times);
    for client in &mut siege {
        if let Some(answer) = client.answer_or_end(&Method::Get) {
            assert!([408, 503].contains(&answer.status), "{answer:?}");
        }
    }
    assert!(start.elapsed() < Duration::from_secs(5), "all gone after {:?}", start.elapsed());
}

#[test]
fn a_request_that_meets_its_eviction_is_answered_whole_or_not_begun() {
    // One place, two clients who keep taking it from each other.
    let server = serve(Limits { connections: 1, ..short_limits() });
    let address = server.local_addr();
    let answered: usize = thread::scope(|scope| {
        let rival = |_| {
            scope.spawn(move || {
                let answers = (0..200).filter_map(|_| {
                    let mut client = Client::connect(address);
                    client.socket().write_all(HEALTH).ok()?;
                    client.answer_or_end(&Method::Get)
                });
                answers.filter(|answer| answer.status == 200 || answer.status == 503).count()
            })
        };
        let rivals: Vec<_> = (0..2).map(rival).collect();
        rivals.into_iter().map(|rival| rival.join().unwrap()).sum()
    });
    assert!(answered >= 360, "of 400 only {answered} got an answer");
    wait_until("all have ended", || server.connections() <= 1);
    Client::connect(address).expect_health();
}

#[test]
fn three_hundred_resets_leave_no_trace() {
    // Notes §5.2. A socket closed with unread data, or closed before its answer, resets the connection.
    let server = serve(short_limits());
    for round in 0..75 {
        let mut unread = Client::connect(server.local_addr());
        unread.send(HEALTH).socket().peek(&mut [0]).unwrap();
        drop(unread);
        for request in [
            HEALTH,
            b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n",
            b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx",
        ] {
            Client::connect(server.local_addr()).send(request);
        }
        if round % 25 == 0 {
            Client::connect(server.local_addr()).expect_health();
        }
    }
    wait_until("all have ended", || server.connections() == 0);
    Client::connect(server.local_addr()).expect_health();
    assert_eq!(server.stop(GUARD), 0);
}

#[test]
fn at_the_descriptor_limit_idle_connections_go_and_the_server_hears() {
    // Notes §5.4: the accept loop ended for good.
    let (actor, address) = Actor::server(Some("-n 64"));
    let crowd: Vec<Client> = (0..150).map(|_| Client::connect(address)).collect();
    let took = health_takes(address);
    assert!(took < Duration::from_secs(5), "with all descriptors taken it took {took:?}");
    drop(crowd);
    let took = health_takes(address);
    assert!(took < Duration::from_secs(1), "after all had left it took {took:?}");
    drop(actor);
}
