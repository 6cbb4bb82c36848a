//! Many clients at once: which connections are accepted and which are evicted (notes §5.3, §6.3).

use std::thread;

use super::*;

#[test]
fn answers_forty_clients_with_ten_requests_each() {
    // Notes §5.3: up to 199 of 400 requests remained unanswered.
    let server = serve(long_limits());
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
fn evicts_the_longest_idle_connection_at_the_cap() {
    let server = serve(ServerLimits { connections: 3, ..long_limits() });
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
fn never_evicts_a_request_in_progress() {
    let (gate, handler) = gate();
    let limits = ServerLimits { connections: 3, patience: GUARD, ..long_limits() };
    let server = Server::bind("127.0.0.1:0", limits, handler).unwrap();
    let mut busy: Vec<Client> = (0..3).map(|_| Client::connect(server.local_addr())).collect();
    for client in &mut busy {
        client.send(GATE);
    }
    gate.await_waiting(3);
    // §6.3: an immediate refusal, and no other connection waits for it.
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
fn refused_connections_start_few_threads() {
    let (gate, handler) = gate();
    let server =
        Server::bind("127.0.0.1:0", ServerLimits { connections: 1, ..long_limits() }, handler).unwrap();
    let mut busy = Client::connect(server.local_addr());
    busy.send(GATE);
    gate.await_waiting(1);
    // They neither read nor disconnect. The 33rd and later ones are closed without a reply.
    let crowd: Vec<Client> = (0..200).map(|_| Client::connect(server.local_addr())).collect();
    let answered = crowd.into_iter().map(|mut client| client.answer_or_end(&Method::Get));
    assert!(answered.flatten().all(|answer| answer.status == 503));
    gate.open();
    assert_eq!(busy.answer().status, 404);
}

#[test]
fn a_request_during_eviction_is_answered_whole_or_not_started() {
    // One place, and two clients that keep taking it from each other.
    let server = serve(ServerLimits { connections: 1, ..long_limits() });
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
    wait_until("all have ended", || server.connections() == 0);
    Client::connect(address).expect_health();
}
