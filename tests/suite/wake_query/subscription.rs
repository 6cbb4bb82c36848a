//! The client against the embedded Mission Control.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use mission_control_runtime::convex::{SubscriptionEnd, WakeLimits};
use mission_control_runtime::local::Options;
use mission_control_runtime::wake_query::pace::EndClass;
use mission_control_runtime::wire::Stop;
use serde_json::{Value, json};

use super::client::subscriber;
use super::peer::PATIENCE;
use crate::support::board::Board;

/// Runs `test` with a subscription. It gets a message for each new value. Returns the end of the subscription.
fn with_subscription(
    board: &mut Board,
    test: impl FnOnce(&mut Board, &Receiver<()>),
) -> Option<SubscriptionEnd> {
    let (url, token, account) = (board.url(), board.token.clone(), board.account.clone());
    let (values, seen): (Sender<()>, Receiver<()>) = channel();
    let stop = Stop::new();
    let switch = stop.clone();
    thread::scope(|scope| {
        let following = scope.spawn(move || {
            let mut subscriber = subscriber(&url, &token, &account, WakeLimits::default());
            subscriber.subscribe(&stop, &mut || {
                values.send(()).unwrap();
                ControlFlow::Continue(())
            })
        });
        test(board, &seen);
        switch.close();
        following.join().unwrap()
    })
}

fn is_new(seen: &Receiver<()>) {
    seen.recv_timeout(PATIENCE).expect("a new value");
    assert_eq!(seen.try_recv().ok(), None, "one value for one change");
}

fn deliver(board: &Board, id: &str) {
    board.service("markNotificationDelivered", json!({"notificationId": id})).unwrap();
}

/// The value of the query, as the platform writes it.
fn value(board: &Board) -> Value {
    let args = json!({"accountId": board.account, "serviceToken": board.token});
    board.call(mission_control_runtime::local::Kind::Query, "service/wake:changed", &args).unwrap()
}

#[test]
fn each_new_or_delivered_row_of_an_agent_changes_the_value_and_nothing_else_does() {
    let mut board = Board::new();
    let agent = board.agent("engineer", "Engineer", "Builds", json!({}));
    assert_eq!(value(&board), 0.0);
    let end = with_subscription(&mut board, |board, seen| {
        is_new(seen);
        let one = board.notification(&agent, json!({}));
        is_new(seen);
        // In the same millisecond: the clock of the board stands still.
        let other = board.notification(&agent, json!({}));
        is_new(seen);
        board.notification("user_dana", json!({"recipientType": "user"}));
        board.foreign("notifications", &one);
        board.service("markNotificationRead", json!({"notificationId": one})).unwrap();
        let report = json!({"status": "online"});
        board.service("updateRuntimeStatus", report).unwrap();
        deliver(board, &one);
        deliver(board, &other);
        is_new(seen);
        assert_eq!(value(board), 0.0);
    });
    assert_eq!(end, None);
}

/// Backend-contract §5.4: a later message is folded into the undelivered row, whose id and creation stay.
#[test]
fn a_row_that_a_message_is_folded_into_changes_the_value() {
    let mut board = Board::new();
    let agent = board.agent("engineer", "Engineer", "Builds", json!({}));
    let task = board.task(json!({"status": "in_progress"}));
    board.follows(&task, "agent", &agent);
    let end = with_subscription(&mut board, |board, seen| {
        is_new(seen);
        for number in 0..3 {
            board.advance(1_000);
            board.person_says(&task, &format!("Message {number}"));
            is_new(seen);
        }
        assert_eq!(board.rows("notifications").len(), 1);
    });
    assert_eq!(end, None);
}

#[test]
fn a_rotated_token_ends_the_subscription_without_showing_a_token() {
    for redact in [false, true] {
        let mut board = Board::with(Options { redact, ..Options::default() });
        let token = board.token.clone();
        let end = with_subscription(&mut board, |board, seen| {
            is_new(seen);
            let args = json!({"accountId": board.account});
            let made = board.call(
                mission_control_runtime::local::Kind::Action,
                "service/actions:provisionServiceToken",
                &args,
            );
            let new = made.unwrap()["token"].as_str().unwrap().to_owned();
            assert_ne!(new, board.token);
            // The channel closes with the subscription.
            assert!(seen.recv_timeout(PATIENCE).is_err_and(|why| why == DISCONNECTED));
        });
        let end = end.unwrap();
        assert_eq!(end.class, EndClass::Refused, "{end:?}");
        assert_eq!(end.reason.contains("Invalid service token"), !redact, "{end:?}");
        assert!(!end.reason.contains(&token), "{end:?}");
    }
}

const DISCONNECTED: std::sync::mpsc::RecvTimeoutError = std::sync::mpsc::RecvTimeoutError::Disconnected;

#[test]
fn a_server_that_stops_is_told_from_a_refusal_and_a_restarted_one_serves_again() {
    let mut board = Board::new();
    let address = board.url().trim_start_matches("http://").to_owned();
    for _ in 0..2 {
        let end = with_subscription(&mut board, |board, seen| {
            is_new(seen);
            board.stop_serving();
            assert!(seen.recv_timeout(PATIENCE).is_err_and(|why| why == DISCONNECTED));
        });
        assert_eq!(end.unwrap().class, EndClass::Broken);
        board.serve(&address);
    }
}

#[test]
fn a_wrong_account_or_token_is_refused_at_once() {
    let board = Board::new();
    let other = format!("k1{}", "0".repeat(30));
    let wrong = format!("mc_service_{}_wrong", board.account);
    for (token, account) in [(wrong.as_str(), board.account.as_str()), (&board.token, &other)] {
        let mut subscriber = subscriber(&board.url(), token, account, WakeLimits::default());
        let end = subscriber.subscribe(&Stop::new(), &mut || ControlFlow::Continue(())).unwrap();
        assert_eq!((end.class, end.lasted), (EndClass::Refused, None::<Duration>), "{end:?}");
        assert!(!end.reason.contains(token), "{end:?}");
    }
}
