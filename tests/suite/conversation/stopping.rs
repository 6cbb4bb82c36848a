//! The orderly stop of the program, whatever hangs.

#![allow(clippy::print_stdout, reason = "figures for whoever runs the tests with --nocapture")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{Fault, Prompt, Thought};
use serde_json::Value;

use super::processes::Stack;
use crate::support::program::get;

/// The bound for a stop. The promise is ten seconds after the drain, and one second after a second signal, on a machine
/// without other load. What hangs here hangs for ten minutes.
const SOON: Duration = Duration::from_mins(1);

fn endless(prompt: &Prompt) -> Thought {
    Thought::say(prompt.agent.clone()).after(Duration::from_mins(10))
}

/// A proxy that forwards everything until it stalls.
struct Relay {
    address: String,
    asleep: Arc<AtomicBool>,
}

impl Relay {
    fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asleep = Arc::<AtomicBool>::default();
        let (target, sleeping) = (target.trim_start_matches("http://").to_owned(), asleep.clone());
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(&target) else { return };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let sleeping = sleeping.clone();
                    thread::spawn(move || pass_on(from, to, &sleeping));
                }
            }
        });
        Self { address, asleep }
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, asleep: &AtomicBool) {
    let mut bytes = [0; 8 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if asleep.load(Ordering::SeqCst) {
            // The connections stay open for as long as the test lives.
            thread::park();
        }
        if to.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
    // The end of one direction is forwarded to the other side.
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// The only row of an agent.
fn row(stack: &Stack) -> Option<Value> {
    stack.board.rows("notifications").into_iter().find(|row| row["recipientType"] == "agent")
}

/// A turn that is cut off at the end of the drain is marked as ended at the backend before the account goes
/// offline; the server answers until then.
#[test]
fn a_turn_cut_off_by_the_stop_ends_typing() {
    for stalls in [false, true] {
        let mut stack = Stack::set(&["ben"], endless, &[("DRAIN_TIMEOUT_MS", "5000")]);
        if stalls {
            stack.faults().always(Fault::StallBefore);
        }
        let task = stack.task("assigned", &["ben"]);
        stack.mention(&task, "ben", "hello");
        stack.until("a turn", |_| row(&stack).is_some_and(|row| row.get("readAt").is_some()));
        let address = stack.address().to_owned();
        let mut program = stack.give();
        let began = Instant::now();
        program.signal("TERM");
        program.wait_for_log("Stopping turns=1 drain_seconds=5");
        assert_eq!(get(&address, "/health").0, 200, "it answers while it waits");
        let (code, log) = program.end();
        let took = began.elapsed();
        assert_eq!(code, Some(0), "{log}");
        assert!(took >= Duration::from_secs(5) && took < SOON, "{took:?}");
        let row = row(&stack).unwrap();
        assert!(row.get("deliveryEndedAt").is_some() && row.get("deliveredAt").is_none(), "{row}");
        assert!(row.get("readAt").is_none(), "that was before the account went offline: {row}");
        assert_eq!(stack.account()["runtimeStatus"], "offline");
    }
}

/// From the signal to the exit it takes little more than the drain; a second signal ends it at once.
#[test]
fn the_program_stops_in_time_whatever_hangs() {
    // A second signal that were ignored would leave the whole drain.
    for (hurry, drain) in [(false, Duration::from_millis(500)), (true, SOON * 5)] {
        let drain_ms = drain.as_millis().to_string();
        let mut stack = Stack::set(&["ben"], endless, &[("DRAIN_TIMEOUT_MS", &drain_ms)]);
        let relay = Relay::to(&stack.board.url());
        // The next process connects over the stalling proxy.
        stack.kill();
        let mut program = stack.another_with(&[("CONVEX_URL", &relay.address)]);
        let address = program.address();
        program.wait_for_log("The roster has changed");
        let task = stack.task("assigned", &["ben"]);
        stack.board.person_says(&task, "@ben, hello");
        stack.begun();
        relay.asleep.store(true, Ordering::SeqCst);
        // Clients that hang: before their request, in the middle of it, and with their answer unread.
        let clients: Vec<TcpStream> =
            ["", "GET /health HTTP/1.1\r\nHos", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"]
                .iter()
                .cycle()
                .take(30)
                .map(|words| {
                    let mut client = TcpStream::connect(&address).unwrap();
                    client.write_all(words.as_bytes()).unwrap();
                    client
                })
                .collect();
        let mut began = Instant::now();
        program.signal("TERM");
        program.wait_for_log("Stopping turns=1");
        if hurry {
            began = Instant::now();
            program.signal("TERM");
        }
        let (code, log) = program.end();
        let took = began.elapsed();
        println!("hurry {hurry}: it ended within {took:?}");
        assert_eq!(code, Some(0), "{log}");
        assert!(took < SOON, "{took:?}: {log}");
        assert!(took >= drain || hurry, "{took:?}: {log}");
        drop(clients);
    }
}

#[test]
fn without_a_drain_turns_are_cut_off_at_once() {
    let mut stack = Stack::set(&["ben"], endless, &[("DRAIN_TIMEOUT_MS", "0")]);
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "hello");
    stack.begun();
    let began = Instant::now();
    let log = stack.stop();
    assert!(began.elapsed() < SOON, "{:?}: {log}", began.elapsed());
    assert!(log.lines().any(|line| line.ends_with("drain_seconds=0")), "{log}");
    assert!(row(&stack).unwrap().get("deliveryEndedAt").is_some());
}
